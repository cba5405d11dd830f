// What src/moddable/network needs of a board, without one: Wi-Fi as the SDK's `wifi` tells of it, a store, a browser
// over the sockets of fake-io.ts, and UDP in one local network. For network.test.ts, setup-page.test.ts and
// discovery.test.ts.
import { type PreferenceModule } from '../../src/moddable/network/credentials.js';
import { type UdpSocket, type UdpSocketConstructor } from '../../src/moddable/network/dns-message.js';
import { type WiFiModule } from '../../src/moddable/network/network.js';
import { concat } from '../support/packets.js';
import { type End } from './fake-network.js';
import { type FakeNet } from './fake-io.js';

/** What becomes of an attempt to join. */
export type Attempt = 'joins' | 'refused' | 'password' | 'silent' | 'throws';

export class FakeWiFi {
  readonly net: FakeNet;
  /** What the next attempts come to; the last one stays. */
  readonly attempts: Attempt[] = ['joins'];
  /** What the program asked for, with the time in seconds. */
  readonly asked: string[] = [];
  address = '192.168.1.7';
  mac: string | undefined = '24:0A:C4:12:AB:CD';
  signal = -61;
  joined = false;
  accessPointFails = false;
  /** Of the access point, once it is there. */
  accessPoint = '';
  #notify: ((message: string, reason?: number) => void) | undefined;
  #attempt = 0;
  readonly module: WiFiModule;

  constructor(net: FakeNet) {
    this.net = net;
    const wifi = this;
    let mode = 0;
    const module = class {
      static get mode(): number {
        return mode;
      }

      static set mode(value: number) {
        mode = value;
        if (value === 1) wifi.accessPoint = '';
      }

      static connect({ ssid, password }: { ssid: string; password?: string }): void {
        wifi.#connect(ssid, password);
      }

      static disconnect(): void {
        wifi.#attempt++;
        wifi.joined = false;
      }

      static accessPoint({ ssid }: { ssid: string }): void {
        if (wifi.accessPointFails) throw new Error('esp_wifi_set_mode failed');
        wifi.accessPoint = ssid;
        wifi.asked.push(`access point ${ssid}`);
      }

      constructor(_options: undefined, onNotify: (message: string, reason?: number) => void) {
        wifi.#notify = onNotify;
      }
    };
    this.module = module;
  }

  get Net() {
    return { get: (property: string): unknown => this.#property(property) };
  }

  #property(property: string): unknown {
    if (property === 'MAC') return this.mac;
    if (property === 'RSSI') return this.signal;
    if (this.accessPoint !== '') return '192.168.4.1';
    return this.joined ? this.address : undefined;
  }

  #connect(ssid: string, password: string | undefined): void {
    this.asked.push(`${Math.round(this.net.nowMs / 1000)} ${ssid}${password === undefined ? '' : `/${password}`}`);
    const attempt = this.attempts.length > 1 ? this.attempts.shift()! : this.attempts[0]!;
    if (attempt === 'throws') throw new Error('esp_wifi_connect failed');
    const number = ++this.#attempt;
    this.net.after(2000, () => {
      if (number !== this.#attempt) return;
      if (attempt === 'joins') this.join();
      else if (attempt !== 'silent') this.tell('disconnect', attempt === 'password' ? -1 : 0);
    });
  }

  join(): void {
    this.joined = true;
    this.tell('connect');
    this.tell('gotIP');
  }

  lose(): void {
    this.joined = false;
    this.tell('disconnect', 0);
  }

  tell(message: string, reason?: number): void {
    this.net.call(() => reason === undefined ? this.#notify?.(message) : this.#notify?.(message, reason));
  }
}

/** As `preference` on ESP8266, which has the least room: an entry of 64 bytes in all. */
export class FakePreference implements PreferenceModule {
  readonly entries = new Map<string, string | boolean>();
  /** So many writes succeed. */
  writesLeft = Infinity;

  get(domain: string, name: string): unknown {
    return this.entries.get(`${domain}/${name}`);
  }

  set(domain: string, name: string, value: string | boolean): void {
    const valueBytes = typeof value === 'string' ? new TextEncoder().encode(value).length + 1 : 1;
    const byteCount = domain.length + 1 + name.length + 1 + 1 + valueBytes;
    if (Math.ceil(byteCount / 4) * 4 > 64 || name.length > 15) throw new Error("can't save prefs");
    if (--this.writesLeft < 0) throw new Error('power is lost');
    this.entries.set(`${domain}/${name}`, value);
  }

  delete(domain: string, name: string): void {
    this.entries.delete(`${domain}/${name}`);
  }
}

/** A browser, or somebody who is none. */
export class Browser {
  readonly end: End;
  received = '';
  ended = '';

  constructor(net: FakeNet, port: number) {
    this.end = net.connect(port);
    this.end.receiveBytes = 65536;
    let bytes: Uint8Array = new Uint8Array(0);
    this.end.onData = () => {
      bytes = concat(bytes, this.end.take(this.end.inbox.length));
      this.received = new TextDecoder().decode(bytes);
    };
    this.end.onFin = () => this.ended = 'closed';
    this.end.onReset = () => this.ended = 'reset';
  }

  send(text: string | Uint8Array): this {
    this.end.send(typeof text === 'string' ? new TextEncoder().encode(text) : text);
    this.end.output();
    return this;
  }

  get status(): number {
    return Number(this.received.split(' ')[1]);
  }

  get body(): string {
    return this.received.split('\r\n\r\n').slice(1).join('\r\n\r\n');
  }
}

export function formRequest(body: string): string {
  return `POST / HTTP/1.1\r\nHost: 192.168.4.1\r\nContent-Type: application/x-www-form-urlencoded\r\n`
    + `content-length: ${body.length}\r\n\r\n${body}`;
}

/** A local network for UDP, where all that is sent to the group reaches all that are in it. */
export class FakeLan {
  readonly net: FakeNet;
  readonly sockets: FakeUdp[] = [];
  /** Every packet: from, to, bytes. */
  readonly packets: { from: string; to: string; bytes: Uint8Array }[] = [];
  #nextPort = 50000;
  /** Nothing can be sent. */
  down = false;

  constructor(net: FakeNet) {
    this.net = net;
  }

  /** The class of a host's sockets. `group`: whether it can be in one, as it cannot in the simulator on Linux. */
  host(address: string, group = true): UdpSocketConstructor {
    const lan = this;
    return class extends FakeUdp {
      constructor(options: UdpOptions) {
        super(lan, address, options.port ?? lan.#nextPort++, options);
        if (!group) delete this.add;
      }
    };
  }

  send(from: FakeUdp, bytes: Uint8Array, address: string, port: number): void {
    if (this.down) throw new Error('UDP send failed');
    const copy = bytes.slice();
    this.packets.push({ from: `${from.address}:${from.port}`, to: `${address}:${port}`, bytes: copy });
    for (const socket of this.sockets) {
      const reached = address === socket.address || socket.groups.has(address) && socket !== from;
      if (reached && socket.port === port) this.net.after(1, () => socket.deliver(copy, from));
    }
  }
}

type UdpOptions = ConstructorParameters<UdpSocketConstructor>[0];
type Packet = ReturnType<UdpSocket['read']>;

class FakeUdp implements UdpSocket {
  readonly #lan: FakeLan;
  readonly address: string;
  readonly port: number;
  readonly #options: UdpOptions;
  readonly groups = new Set<string>();
  readonly #waiting: Packet[] = [];
  closed = false;
  add?: (group: string) => void;

  constructor(lan: FakeLan, address: string, port: number, options: UdpOptions) {
    if (lan.sockets.some((other) => other.address === address && other.port === port)) throw new Error('bind failed');
    this.#lan = lan;
    this.address = address;
    this.port = port;
    this.#options = options;
    this.add = (group) => this.groups.add(group);
    lan.sockets.push(this);
  }

  read(): Packet {
    if (this.closed) throw new Error('closed');
    return this.#waiting.shift();
  }

  write(bytes: Uint8Array, address: string, port: number): void {
    if (this.closed) throw new Error('closed');
    this.#lan.send(this, bytes, address, port);
  }

  close(): void {
    this.closed = true;
    const at = this.#lan.sockets.indexOf(this);
    if (at >= 0) this.#lan.sockets.splice(at, 1);
  }

  deliver(bytes: Uint8Array, from: FakeUdp): void {
    if (this.closed) return;
    this.#waiting.push(Object.assign(bytes.slice().buffer, { address: from.address, port: from.port }));
    this.#lan.net.call(() => this.#options.onReadable.call(this, this.#waiting.length));
  }
}
