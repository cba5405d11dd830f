// Where the broker is: asks the local network by multicast DNS, for the service `_mqtt._tcp` or for
// a name. Called by TcpClient, for each attempt anew: the broker's address may have changed.
//
// It asks from a port of its own, so that whoever answers answers to it alone (RFC 6762 section
// 6.7), and needs to be in no group: it works in the simulators too, and sees nothing of what
// others say. Whoever is in the local network can answer; that it is the broker, its password or
// TLS has to tell.

import type { SystemIo } from '../io.js';
import type { Locate } from '../tcp-client.js';
import {
  CLASS_IN, CLASS_TOP_BIT, compareBytes, DnsReader, DnsWriter, dnsName, MDNS_ADDRESS, MDNS_PORT,
  TYPE_A, TYPE_PTR, TYPE_SRV, type UdpSocket, type UdpSocketConstructor,
} from './dns-message.js';

export interface BrokerFinderOptions extends SystemIo {
  UDP: UdpSocketConstructor;
  /** The name of the broker, with or without `.local`; otherwise any broker is good. */
  hostName?: string;
  /** With `hostName`; default 1883. */
  port?: number;
}

/** Made when the program is linked, so that on a board it is in flash. */
const SERVICE = dnsName('_mqtt', '_tcp', 'local');
const ASK = CLASS_IN | CLASS_TOP_BIT;

const TICK_MS = 250;
/** When it asks: at once, and so many ticks later. */
const ASK_AGAIN = Object.freeze([4, 8, 12]);
/** How long it asks, */
const GIVE_UP = 20;
/** and how long it waits for other brokers when it has found one. */
const COLLECT = 3;
/** Brokers of one network that are told apart. */
const BROKER_COUNT = 8;

/** A header, a name and what it is asked for. */
const QUESTION_BYTES = 12 + 255 + 4;

/** As much as is known of it. */
interface Found {
  instance: Uint8Array;
  host?: Uint8Array;
  port: number;
  address: string;
}

/**
 * For `locate` of TcpClient. Of several brokers it chooses the one whose name comes first in the
 * alphabet, so that all boards of a house choose the same. Throws RangeError when `hostName` is no
 * name of the local network.
 */
export function brokerFinder(options: BrokerFinderOptions): Locate {
  const host = options.hostName === undefined ? undefined : localName(options.hostName);
  let search: Search | undefined;
  return (found, failed) => {
    search?.close(); // of an attempt that is over
    search = new Search(options, host, found, failed);
  };
}

class Search {
  private readonly options: BrokerFinderOptions;
  private readonly onFound: Parameters<Locate>[0];
  private readonly onFailed: Parameters<Locate>[1];
  private readonly brokers: Found[] = [];
  private socket: UdpSocket | undefined;
  private timer: unknown;
  private ticks = 0;
  /** When the first broker was known. */
  private foundAt = 0;

  /** Throws what the socket throws: then there is no network. */
  constructor(
    options: BrokerFinderOptions, host: Uint8Array | undefined,
    found: Parameters<Locate>[0], failed: Parameters<Locate>[1],
  ) {
    this.options = options;
    this.onFound = found;
    this.onFailed = failed;
    const { port = 1883 } = options;
    if (host !== undefined) this.brokers.push({ instance: host, host, port, address: '' });
    const search = this;
    this.socket = new options.UDP({
      onReadable(count): void {
        search.guard(() => {
          for (; count > 0 && search.socket !== undefined; count--) {
            const packet = this.read();
            if (packet !== undefined) search.received(new Uint8Array(packet));
          }
        });
      },
    });
    this.timer = options.Timer.repeat(() => this.guard(() => this.tick()), TICK_MS);
    this.ask();
  }

  close(): void {
    if (this.socket === undefined) return;
    this.socket.close();
    this.socket = undefined;
    this.options.Timer.clear(this.timer);
  }

  private guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.options.trace(`looking for the broker: ${error}\n`);
    }
  }

  private tick(): void {
    const ticks = ++this.ticks;
    const best = this.best();
    if (best !== undefined) {
      this.foundAt ||= ticks;
      if (this.options.hostName === undefined && ticks < this.foundAt + COLLECT) return;
      this.close();
      this.onFound(hostText(best.host!), best.address, best.port);
    } else if (ticks >= GIVE_UP) {
      this.close();
      const { hostName } = this.options;
      this.onFailed(new Error(hostName === undefined ? 'no broker answers in the local network'
        : `nobody is called ${hostName} in the local network`));
    } else if (ASK_AGAIN.includes(ticks)) {
      this.ask();
    }
  }

  private best(): Found | undefined {
    let best: Found | undefined;
    for (const broker of this.brokers) {
      if (broker.address === '') continue;
      if (best === undefined || isBefore(broker.instance, best.instance)) best = broker;
    }
    return best;
  }

  /** For the service, and for what is missing of each broker. */
  private ask(): void {
    if (this.options.hostName === undefined) this.question(SERVICE, TYPE_PTR);
    for (const { instance, host, address } of this.brokers) {
      if (address !== '') continue;
      if (host === undefined) this.question(instance, TYPE_SRV);
      else this.question(host, TYPE_A);
    }
  }

  private question(name: Uint8Array, type: number): void {
    this.guard(() => {
      const { message } = new DnsWriter(QUESTION_BYTES).start(0, false).question(name, type, ASK);
      this.socket?.write(message, MDNS_ADDRESS, MDNS_PORT);
    });
  }

  private received(bytes: Uint8Array): void {
    for (let reader = new DnsReader(bytes); reader.nextRecord();) {
      const { type, nameStart, dataStart } = reader;
      const name = reader.name(nameStart);
      if (name === undefined) return;
      if (type === TYPE_PTR && compareBytes(name, SERVICE) === 0) {
        this.brokerOf(reader.name(dataStart));
      } else if (type === TYPE_SRV) {
        const broker = this.brokerOf(name);
        const host = reader.name(dataStart + 6);
        if (broker === undefined || host === undefined) continue;
        broker.host = host;
        broker.port = reader.u16(dataStart + 4);
      }
    }
    // Addresses may come before whose they are.
    for (let reader = new DnsReader(bytes); reader.nextRecord();) {
      const { type, nameStart, dataStart, dataEnd } = reader;
      if (type !== TYPE_A || dataEnd - dataStart !== 4) continue;
      for (const broker of this.brokers) {
        if (broker.host === undefined || !reader.isName(nameStart, broker.host)) continue;
        broker.address = bytes.subarray(dataStart, dataEnd).join('.');
      }
    }
  }

  /** The one of this name, known or new; undefined when it is none, or one too many. */
  private brokerOf(instance: Uint8Array | undefined): Found | undefined {
    if (instance === undefined || this.options.hostName !== undefined) return undefined;
    for (const broker of this.brokers) {
      if (compareBytes(broker.instance, instance) === 0) return broker;
    }
    const suffix = instance.subarray(instance[0]! + 1);
    if (compareBytes(suffix, SERVICE) !== 0 || this.brokers.length >= BROKER_COUNT) {
      return undefined;
    }
    const broker = { instance, port: 0, address: '' };
    this.brokers.push(broker);
    return broker;
  }
}

/** In the alphabet: the first byte is a length. */
function isBefore(first: Uint8Array, second: Uint8Array): boolean {
  return compareBytes(first.subarray(1), second.subarray(1)) < 0;
}

function localName(hostName: string): Uint8Array {
  const labels = hostName.split('.');
  const label = labels[0]!;
  const local = labels.length === 1 || labels.length === 2 && labels[1] === 'local';
  if (local && label !== '' && label.length <= 63) return dnsName(label, 'local');
  throw new RangeError(`${hostName} is no name of the local network, such as maison.local`);
}

/** A host's name, as people write it. */
function hostText(name: Uint8Array): string {
  let text = '';
  for (let at = 0; name[at] !== 0; at += name[at]! + 1) {
    if (at > 0) text += '.';
    for (let i = 1; i <= name[at]!; i++) text += String.fromCharCode(name[at + i]!);
  }
  return text;
}
