// The client side of a simulation: an identity that keeps its part of a session, and a wire for
// each of its connections. It answers late, in any order or never, and after a reconnection sends
// again what it must. It decides nothing by itself: world.ts tells it what to do. Deterministic;
// runs on Node and on XS.

import type { Broker } from '../../src/broker/broker.js';
import { concat, puback, pubcomp, publish, pubrec, pubrel } from '../support/packets.js';
import { MemoryLink } from '../support/peer.js';
import { parsePublish, type Message } from './message.js';
import type { Model } from './model.js';
import type { ConnectRequest } from './terms.js';

/**
 * Sent once the broker has handled the packet: the same step in the model; null for a packet that
 * breaks the protocol.
 */
export type Step = ((model: Model) => void) | null;

/** A message that this client has published and that is not acknowledged to the end. */
interface Outgoing {
  message: Message;
  retain: boolean;
  released: boolean;
  /** The connection on which it was sent last. */
  wire: Wire;
}

interface Waiting {
  /** Where the packet ends among all bytes of the wire. */
  end: number;
  step: Step;
  /** With which reason code of MQTT 5.0 the broker ends the connection. */
  code: number;
}

/** A link that looks at the size of each packet, and that keeps the promise of MQTT 5.0 [MQTT-3.1.2-24]. */
class MeasuringLink extends MemoryLink {
  packetBytesMax = Infinity;
  /** Bytes of the header in hand, and of the packet that are still to come. */
  #header: number[] = [];
  #restBytes = 0;

  override write(source: Uint8Array, start: number, end: number): void {
    super.write(source, start, end);
    for (let at = start; at < end;) {
      if (this.#restBytes > 0) {
        const count = Math.min(this.#restBytes, end - at);
        this.#restBytes -= count;
        at += count;
        continue;
      }
      this.#header.push(source[at++]!);
      if (this.#header.length === 1 || this.#header.at(-1)! > 0x7f) continue;
      this.#restBytes = this.#header.slice(1).reduce((sum, byte, i) => sum + (byte & 0x7f) * 128 ** i, 0);
      const byteCount = this.#header.length + this.#restBytes;
      if (byteCount > this.packetBytesMax) throw new Error(`${byteCount} bytes, more than ${this.packetBytesMax}`);
      this.#header = [];
    }
  }
}

/** What a client says of itself in CONNECT, and keeps to. */
export type Wishes = Omit<ConnectRequest, 'clientId' | 'will'>;

export const WISHES_OF_3_1_1: Wishes = { clean: true, level: 4, expirySeconds: 0, keepAliveSeconds: 0,
  receiveMaximum: Infinity, packetBytesMax: Infinity, aliasMaximum: 0, problems: true };

/**
 * Alike in their low bits, for the sake of hash tables; a client has fewer messages than that
 * unacknowledged.
 */
const IDENTIFIERS = [1, 33, 65, 2, 34, 66, 129, 3, 35, 65_535, 32, 64, 128, 4, 31, 16] as const;

/**
 * One connection: bytes on their way to the broker, and packets that the client has not looked at
 * yet.
 */
export class Wire {
  readonly number: number;
  readonly client: Client;
  readonly link = new MeasuringLink();
  readonly slot: number;
  readonly keepAliveMs: number;
  readonly openedMs: number;
  /** When the broker handled the last packet, and the first tick after that. */
  heardMs: number;
  quietMs = -1;
  /** CONNECT was sent; CONNACK 0 has come; nothing more is to be sent. */
  connecting = false;
  accepted = false;
  finished = false;
  /** Its capacity was limited at some time. */
  everCongested = false;
  /** What the client said of itself. */
  readonly wishes: Wishes;
  readonly inbox: string[] = [];
  /** Acknowledgements to send, some time. */
  readonly due: { bytes: Uint8Array; step: Step; id: number }[] = [];
  readonly #broker: Broker;
  #unsent: Uint8Array = new Uint8Array(0);
  #offered = 0;
  #queued = 0;
  readonly #waiting: Waiting[] = [];
  /** Identifiers of messages that have come and are not acknowledged to the end. */
  readonly #outstanding = new Set<number>();
  /** Topics by alias: those that the broker gave, and those that the client gave. */
  readonly #aliases = new Map<number, string>();
  readonly aliasesGiven = new Map<number, string>();
  /** How many of the latter the broker takes. */
  aliasesMax = 0;

  /** `keepAliveSeconds` is what counts: that of the client or a shorter one of the broker. */
  constructor(
    broker: Broker, client: Client, number: number, wishes: Wishes, keepAliveSeconds: number, nowMs: number,
  ) {
    this.wishes = wishes;
    this.link.protocolLevel = wishes.level;
    this.link.packetBytesMax = wishes.packetBytesMax;
    this.#broker = broker;
    this.client = client;
    this.number = number;
    this.keepAliveMs = keepAliveSeconds * 1000;
    this.openedMs = nowMs;
    this.heardMs = nowMs;
    this.slot = broker.connected(this.link);
    if (this.slot < 0) this.link.close();
  }

  get open(): boolean {
    return !this.link.closed;
  }

  get congested(): boolean {
    return this.link.capacity !== Infinity;
  }

  get unsentBytes(): number {
    return this.#unsent.length;
  }

  /** Queues a packet. */
  send(bytes: Uint8Array, step: Step, code = 0): void {
    this.#unsent = concat(this.#unsent, bytes);
    this.#queued += bytes.length;
    this.#waiting.push({ end: this.#queued, step, code });
  }

  /** Sends nothing more, not even the rest of a packet. */
  desert(): void {
    this.finished = true;
    this.#unsent = new Uint8Array(0);
  }

  /** Gives the broker up to `byteCount` bytes, as many as it wants; returns how many it took. */
  offer(byteCount: number): number {
    if (!this.open || !this.link.reading) return 0;
    const count = Math.min(byteCount, this.#unsent.length, this.#broker.room(this.slot));
    if (count === 0) return 0;
    this.#broker.bytes.set(this.#unsent.subarray(0, count), this.#broker.windowStart);
    this.#unsent = this.#unsent.slice(count);
    this.#offered += count;
    this.#broker.received(this.slot, count);
    return count;
  }

  /** The step of the packet that the broker handled next. */
  handled(): Step {
    const waiting = this.#waiting.shift();
    if (waiting === undefined || waiting.end > this.#offered) throw new Error('handled a packet that was not sent');
    return waiting.step;
  }

  /** Whether the next packet, all or part of which the broker has, breaks the protocol. */
  get breaks(): boolean {
    return this.#waiting[0]?.step === null;
  }

  /** The reason code of MQTT 5.0 for that. */
  get code(): number {
    return this.#waiting[0]!.code;
  }

  /**
   * What has come, in words, with topics in the place of aliases. Throws for an alias that means
   * nothing or is one too many, and for more messages at once than the client takes.
   */
  arrived(words: string): string {
    const seen = parsePublish(words);
    if (seen === null) return words;
    if (seen.qos > 0) {
      this.#outstanding.add(seen.id);
      if (this.#outstanding.size > this.wishes.receiveMaximum) { // 5.0 [MQTT-3.3.4-9]
        throw new Error(`received ${words} with ${this.#outstanding.size - 1} unacknowledged`);
      }
    }
    const found = /(?:, |\{)alias (\d+)/.exec(words);
    const alias = Number(found?.[1] ?? 0);
    if (found === null && seen.topic !== '') return words;
    if (alias < 1 || alias > this.wishes.aliasMaximum) { // 5.0 [MQTT-3.1.2-26], [MQTT-3.1.2-27]
      throw new Error(`received an alias that is none: ${words}`);
    }
    if (seen.topic !== '') this.#aliases.set(alias, seen.topic);
    const topic = this.#aliases.get(alias);
    if (topic === undefined) throw new Error(`received an alias without topic: ${words}`);
    const rest = words.replace(`, alias ${alias}`, '').replace(`alias ${alias}, `, '').replace(` {alias ${alias}}`, '');
    return seen.topic !== '' ? rest : rest.replace('  ', ` ${topic} `);
  }

  /** The client acknowledges to the end what has that identifier. */
  acknowledged(id: number): void {
    this.#outstanding.delete(id);
  }

  /** Whether the broker has the whole of a packet, and has not handled it. */
  get owed(): boolean {
    const first = this.#waiting[0];
    return first !== undefined && first.end <= this.#offered;
  }
}

/** An identity: what a client remembers from one connection to the next. */
export class Client {
  readonly clientId: string;
  readonly name: string;
  /** Whether its filters are those that share topics. */
  readonly shares: boolean;
  wire: Wire | null = null;
  readonly #outgoing = new Map<number, Outgoing>();
  #clean = false;
  /** Told of a message that is sent again. */
  readonly #resent: (message: Message) => void;
  /** Whether it refuses the message that it looks at. */
  refuses: () => boolean = () => false;

  constructor(name: string, clientId: string, shares = false, resent: (message: Message) => void = () => {}) {
    this.shares = shares;
    this.name = name;
    this.clientId = clientId;
    this.#resent = resent;
  }

  /**
   * Opens a session: a clean one starts from nothing, and what belonged to a clean one went with
   * it. The connection before, if it is still open, is deserted: nothing more comes from there.
   */
  begin({ clean, expirySeconds }: Wishes): void {
    if (clean || this.#clean) this.#outgoing.clear();
    this.#clean = expirySeconds === 0;
    this.wire?.desert();
  }

  /** How many messages await acknowledgement. */
  get outgoingCount(): number {
    return this.#outgoing.size;
  }

  /** The first identifier that is not in use, so that each is used again at once. */
  freeId(): number {
    return IDENTIFIERS.find((id) => !this.#outgoing.has(id))!;
  }

  publish(wire: Wire, message: Message, retain: boolean): void {
    const id = message.qos === 0 ? 0 : this.freeId();
    if (id !== 0) this.#outgoing.set(id, { message, retain, released: false, wire });
    this.#sendPublish(wire, message, retain, id, false);
  }

  #sendPublish(wire: Wire, message: Message, retain: boolean, id: number, duplicate: boolean): void {
    const { topic, payload, qos } = message;
    const { level } = wire.wishes;
    const properties = level === 5 ? message.properties : {};
    const carried = { ...message, properties };
    if (duplicate) this.#resent(carried);
    const alias = wire.aliasesMax === 0 ? 0 : topic.length % (wire.aliasesMax + 1);
    const isKnown = alias > 0 && wire.aliasesGiven.get(alias) === topic;
    if (alias > 0) wire.aliasesGiven.set(alias, topic);
    const fields = { qos, id, retain, duplicate };
    wire.send(publish(isKnown ? '' : topic, payload, level < 5 ? fields :
      { ...fields, properties: alias > 0 ? { ...properties, alias } : properties }),
      (model) => model.publish(wire.number, carried, id, retain));
  }

  /**
   * Looks at a packet that has come: notes what is to be answered, and what the answer of the
   * broker means.
   */
  read(wire: Wire, words: string): void {
    const seen = parsePublish(words);
    const [name, rest, code] = words.split(' ');
    const id = Number(rest?.slice(2));
    const isRefused = code !== undefined && code >= '0x80';
    if (seen !== null) {
      if (seen.qos > 0) this.#acknowledge(wire, seen.id, seen.qos);
    } else if (name === 'CONNACK') {
      wire.accepted = code === '0';
      wire.aliasesMax = Number(/aliasMaximum (\d+)/.exec(words)?.[1] ?? 0);
      if (!wire.accepted) wire.finished = true;
      if (wire.accepted) this.#resume(wire, rest === 'present');
    } else if (name === 'PUBACK' || name === 'PUBCOMP' || (name === 'PUBREC' && isRefused)) {
      this.#outgoing.delete(id);
    } else if (name === 'PUBREC') {
      const outgoing = this.#outgoing.get(id);
      if (outgoing !== undefined) outgoing.released = true;
      this.#owe(wire, pubrel(id), (model) => model.pubrel(wire.number, id));
    } else if (name === 'PUBREL') {
      this.#owe(wire, pubcomp(id), (model) => model.pubcomp(wire.number, id), id);
    }
  }

  /** Now and then with an error, in MQTT 5.0. */
  #acknowledge(wire: Wire, id: number, qos: number): void {
    const code = wire.wishes.level === 5 && this.refuses() ? 0x83 : undefined;
    if (qos === 1) this.#owe(wire, puback(id, code), (model) => model.puback(wire.number, id), id);
    else this.#owe(wire, pubrec(id, code), (model) => model.pubrec(wire.number, id, code), code === undefined ? 0 : id);
  }

  /** An answer that the client will send; with it, `id` is free again. */
  #owe(wire: Wire, bytes: Uint8Array, step: Step, id = 0): void {
    wire.due.push({ bytes, step, id });
  }

  /**
   * CONNACK has come: what earlier connections left unfinished is sent again [MQTT-4.4.0-1], or
   * forgotten.
   */
  #resume(wire: Wire, present: boolean): void {
    for (const [id, outgoing] of this.#outgoing) {
      if (outgoing.wire === wire) continue;
      if (!present) {
        this.#outgoing.delete(id);
        continue;
      }
      outgoing.wire = wire;
      if (outgoing.released) {
        wire.send(pubrel(id), (model) => model.pubrel(wire.number, id));
      } else {
        this.#sendPublish(wire, outgoing.message, outgoing.retain, id, true);
      }
    }
  }
}
