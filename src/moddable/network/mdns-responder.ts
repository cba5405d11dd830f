// The hub's name in the local network, `maison.local`, and its service `_mqtt._tcp`, by multicast
// DNS (RFC 6762) and DNS service discovery (RFC 6763). Called by the hub's program, which makes one
// when the network comes and closes it when the network goes.
//
// Our own, and not the SDK's `dnssd`: there a packet with a name that points to itself stops the
// board, one with an empty name restarts it, as does a loss of the network while it announces, and
// a long packet of others takes more memory to parse than an ESP8266 has left.
//
// The name is claimed first, with three probes, and given up for `maison-2` when another host has
// it. Of two hubs that claim it at once, the one that is done first has it: the other hears it
// announced. Not done: delays of 20 to 120 ms before answers that others could give too.

import type { SystemIo } from '../io.js';
import {
  CLASS_IN, CLASS_TOP_BIT, compareBytes, DnsReader, DnsWriter, dnsName, MDNS_ADDRESS, MDNS_PORT,
  TYPE_A, TYPE_AAAA, TYPE_ANY, TYPE_NSEC, TYPE_PTR, TYPE_SRV, TYPE_TXT,
  type UdpSocket, type UdpSocketConstructor,
} from './dns-message.js';

export interface MdnsResponderOptions extends SystemIo {
  UDP: UdpSocketConstructor;
  /** Without `.local`; letters, digits and hyphens, at most 32. */
  hostName: string;
  /** Of the board, as numbers. */
  address: string;
  /** Where the broker listens. */
  port: number;
  /** Random integer, 0 to 2³²-1. */
  random(): number;
  /** The name is the board's own: `hostName`, or that with a number. Comes again if it changes. */
  onName?(hostName: string): void;
}

const FLUSH = CLASS_IN | CLASS_TOP_BIT;
/** RFC 6762 section 10: of records with a host's name or address, and of others. */
const HOST_SECONDS = 120;
const OTHER_SECONDS = 4500;
/** For who speaks no multicast DNS (section 6.7). */
const LEGACY_SECONDS = 10;

const HOST_NAME_MAX = 32;
/** A whole answer with its question is at most 560. */
const MESSAGE_BYTES = 640;

/** Probes and announcements (sections 8.1 and 8.3), in steps of so many ms and a few more. */
const STEP_MS = 250;
const PROBE_COUNT = 3;
const LAST_STEP = PROBE_COUNT + 4;
/** After so many other names, it waits five seconds for each. */
const QUICK_NAMES_MAX = 8;
/** The same is not sent to all more often (section 6). */
const SAME_MS_MIN = 1000;

/** What a question asks for. */
const HOST = 1;
const BROKER = 2;
const TYPES = 4;

// Names that are always the same: made when the program is linked, so that on a board they are in
// flash.
const SERVICE = dnsName('_mqtt', '_tcp', 'local');
/** Who asks for this asks which services there are. */
const SERVICES = dnsName('_services', '_dns-sd', '_udp', 'local');

export class MdnsResponder {
  private readonly options: MdnsResponderOptions;
  private socket: UdpSocket | undefined;
  private timer: unknown;
  /** Which name of `maison`, `maison-2` and so on. */
  private number = 1;
  private label = '';
  private host = SERVICE;
  /** Of probing and announcing; less than 0 while it waits. */
  private step = 0;
  private sentMs: number | undefined;
  private sent = 0;

  /**
   * Claims the name. When that is impossible, it is traced: the broker works all the same. Throws
   * RangeError when `hostName` is none.
   */
  constructor(options: MdnsResponderOptions) {
    this.options = options;
    if (!isHostName(options.hostName)) {
      throw new RangeError(`hostName must be 1 to ${HOST_NAME_MAX} letters, digits and hyphens, `
        + `not "${options.hostName}"`);
    }
    const responder = this;
    try {
      this.socket = new options.UDP({
        port: MDNS_PORT,
        onReadable(count): void {
          responder.guard(() => {
            for (; count > 0 && responder.socket !== undefined; count--) {
              const packet = this.read();
              if (packet !== undefined) responder.received(packet, packet.address, packet.port);
            }
          });
        },
      });
      this.socket.add?.(MDNS_ADDRESS);
    } catch (error) {
      options.trace(`no name in the local network: ${error}\n`);
      this.close();
      return;
    }
    this.probe();
  }

  /** The board's own, without `.local`; empty while it is being claimed, or cannot be. */
  get hostName(): string {
    return this.step > PROBE_COUNT && this.socket !== undefined ? this.label : '';
  }

  // Made when they are needed, which is seldom: what is kept would be there always.

  private get address(): Uint8Array {
    return Uint8Array.from(this.options.address.split('.'), Number);
  }

  private get instance(): Uint8Array {
    return dnsName(this.label, '_mqtt', '_tcp', 'local');
  }

  /** Idempotent. Says nothing to anybody: the network may be gone. */
  close(): void {
    this.socket?.close();
    this.socket = undefined;
    this.stopTimer();
  }

  private stopTimer(): void {
    if (this.timer !== undefined) this.options.Timer.clear(this.timer);
    this.timer = undefined;
  }

  private guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.options.trace(`name in the local network: ${error}\n`);
    }
  }

  private probe(): void {
    const { hostName, random, Timer } = this.options;
    this.label = this.number === 1 ? hostName : `${hostName}-${this.number}`;
    this.host = dnsName(this.label, 'local');
    this.step = this.number > QUICK_NAMES_MAX ? -5000 / STEP_MS : 0;
    // Another pace for each, so that two that began together do not end together.
    this.timer ??= Timer.repeat(() => this.guard(() => this.tick()), STEP_MS + random() % 64);
  }

  private tick(): void {
    const step = this.step++;
    if (step < 0) return;
    if (step < PROBE_COUNT) {
      this.sendProbe();
    } else if (step === PROBE_COUNT) {
      this.options.trace(`this board is ${this.label}.local\n`);
      this.announce();
      this.options.onName?.(this.label);
    } else if (step === LAST_STEP) {
      this.stopTimer();
      this.announce();
    }
  }

  private sendProbe(): void {
    const writer = message(0, false).question(this.host, TYPE_ANY, FLUSH)
      .record(this.host, TYPE_A, CLASS_IN, HOST_SECONDS, this.address, true);
    this.send(writer, MDNS_ADDRESS, MDNS_PORT);
  }

  private announce(): void {
    this.send(this.write(message(0, true), HOST | BROKER, false), MDNS_ADDRESS, MDNS_PORT);
  }

  /** Nobody waits for what cannot be sent: it is asked for again. */
  private send(writer: DnsWriter, address: string, port: number): void {
    this.guard(() => this.socket?.write(writer.message, address, port));
  }

  private received(packet: ArrayBuffer, address: string, port: number): void {
    const reader = new DnsReader(new Uint8Array(packet));
    if (reader.isResponse) {
      while (reader.nextRecord()) {
        if (reader.type === TYPE_A && reader.isName(reader.nameStart, this.host)
          && compareBytes(this.dataOf(reader), this.address) !== 0) return this.conflict();
      }
    } else if (this.hostName !== '') {
      this.answer(reader, address, port);
    }
  }

  private dataOf(reader: DnsReader): Uint8Array {
    return reader.bytes.subarray(reader.dataStart, reader.dataEnd);
  }

  /** Another host has the name, or one that meanwhile had it too claims it once more. */
  private conflict(): void {
    if (this.hostName === '') this.number++;
    this.options.trace(`another host is ${this.label}.local\n`);
    this.probe();
  }

  private answer(reader: DnsReader, address: string, port: number): void {
    const legacy = port !== MDNS_PORT;
    let toAll = 0;
    let toOne = 0;
    let question: Uint8Array | undefined;
    let questionType = 0;
    while (reader.nextQuestion()) {
      const wanted = this.wantedBy(reader);
      if (wanted === 0) continue;
      if (legacy) question ??= reader.name(reader.nameStart);
      questionType ||= reader.type;
      if (legacy || (reader.dnsClass & CLASS_TOP_BIT) !== 0) toOne |= wanted;
      else toAll |= wanted;
    }
    if ((toOne | toAll) === 0) return;
    if (this.isKnown(reader)) {
      toOne &= ~BROKER;
      toAll &= ~BROKER;
    }
    if (toOne !== 0) {
      const writer = message(legacy ? reader.id : 0, true);
      if (question !== undefined) writer.question(question, questionType, CLASS_IN);
      this.send(this.write(writer, toOne, legacy), address, port);
    }
    if (toAll !== 0 && this.mayRepeat(toAll)) {
      this.send(this.write(message(0, true), toAll, false), MDNS_ADDRESS, MDNS_PORT);
    }
  }

  private mayRepeat(wanted: number): boolean {
    const nowMs = this.options.now();
    const recent = this.sentMs !== undefined && ((nowMs - this.sentMs) | 0) < SAME_MS_MIN;
    if (recent && (wanted & ~this.sent) === 0) return false;
    this.sent = recent ? this.sent | wanted : wanted;
    this.sentMs = nowMs;
    return true;
  }

  /** What a question asks of us; 0 when it is for others. */
  private wantedBy(reader: DnsReader): number {
    const { type, nameStart } = reader;
    const any = type === TYPE_ANY;
    if (any || type === TYPE_A || type === TYPE_AAAA) {
      if (reader.isName(nameStart, this.host)) return HOST;
    }
    if (any || type === TYPE_PTR) {
      if (reader.isName(nameStart, SERVICE)) return BROKER;
      if (reader.isName(nameStart, SERVICES)) return TYPES;
    }
    const ofBroker = any || type === TYPE_SRV || type === TYPE_TXT;
    return ofBroker && reader.isName(nameStart, this.instance) ? BROKER : 0;
  }

  /** Whoever asks for brokers and knows this one already says so (section 7.1). */
  private isKnown(reader: DnsReader): boolean {
    while (reader.nextRecord()) {
      if (reader.type === TYPE_PTR && reader.isName(reader.nameStart, SERVICE)
        && reader.isName(reader.dataStart, this.instance)) return true;
    }
    return false;
  }

  private write(writer: DnsWriter, wanted: number, legacy: boolean): DnsWriter {
    const host = this.host;
    const instance = this.instance;
    const flush = legacy ? CLASS_IN : FLUSH;
    const hostSeconds = legacy ? LEGACY_SECONDS : HOST_SECONDS;
    const otherSeconds = legacy ? LEGACY_SECONDS : OTHER_SECONDS;
    if ((wanted & TYPES) !== 0) {
      writer.record(SERVICES, TYPE_PTR, CLASS_IN, otherSeconds, SERVICE);
    }
    if ((wanted & BROKER) !== 0) {
      writer.record(SERVICE, TYPE_PTR, CLASS_IN, otherSeconds, instance)
        .record(instance, TYPE_SRV, flush, hostSeconds, serviceData(this.options.port, host))
        .record(instance, TYPE_TXT, flush, otherSeconds, new Uint8Array(1)); // no attributes
    }
    if ((wanted & (HOST | BROKER)) === 0) return writer;
    writer.record(host, TYPE_A, flush, hostSeconds, this.address);
    // That there is no address of IPv6: who asks for both need not wait for it (section 6.1).
    if (!legacy) writer.record(host, TYPE_NSEC, flush, hostSeconds, onlyAddress(host));
    return writer;
  }
}

/** A new one each time: they are seldom, and what is kept between them would be there always. */
function message(id: number, isResponse: boolean): DnsWriter {
  return new DnsWriter(MESSAGE_BYTES).start(id, isResponse);
}

/** Priority, weight, port and host (RFC 2782). */
function serviceData(port: number, host: Uint8Array): Uint8Array {
  const data = new Uint8Array(6 + host.length);
  data[4] = port >> 8;
  data[5] = port;
  data.set(host, 6);
  return data;
}

/** The name, and a bitmap of one byte in which only type A is set (RFC 4034 section 4.1). */
function onlyAddress(host: Uint8Array): Uint8Array {
  const data = new Uint8Array(host.length + 3);
  data.set(host);
  data[host.length + 1] = 1;
  data[host.length + 2] = 0x40;
  return data;
}

function isHostName(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    const letter = (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a;
    if (!letter && !(code >= 0x30 && code <= 0x39) && code !== 0x2d) return false;
  }
  return name.length > 0 && name.length <= HOST_NAME_MAX && name[0] !== '-';
}
