// The client side of a simulation: an identity that keeps its part of a session, and a wire for
// each of its connections. It answers late, in any order or never, and after a reconnection sends
// again what it must. It decides nothing by itself: world.ts tells it what to do. Deterministic;
// runs on Node and on XS.

import type { Broker } from '../../src/broker/broker.js';
import { concat, puback, pubcomp, publish, pubrec, pubrel } from '../support/packets.js';
import { MemoryLink } from '../support/peer.js';
import { parsePublish, type Message } from './expect.js';
import type { Model, Will } from './model.js';

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
}

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
  readonly link = new MemoryLink();
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
  readonly inbox: string[] = [];
  /** Acknowledgements to send, some time. */
  readonly due: { bytes: Uint8Array; step: Step }[] = [];
  readonly #broker: Broker;
  #unsent: Uint8Array = new Uint8Array(0);
  #offered = 0;
  #queued = 0;
  readonly #waiting: Waiting[] = [];

  constructor(broker: Broker, client: Client, number: number, keepAliveSeconds: number, nowMs: number) {
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
  send(bytes: Uint8Array, step: Step): void {
    this.#unsent = concat(this.#unsent, bytes);
    this.#queued += bytes.length;
    this.#waiting.push({ end: this.#queued, step });
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
  wire: Wire | null = null;
  will: Will | null = null;
  readonly #outgoing = new Map<number, Outgoing>();
  #clean = false;
  /** Told of a message that is sent again. */
  readonly #resent: (message: Message) => void;

  constructor(name: string, clientId: string, resent: (message: Message) => void = () => {}) {
    this.name = name;
    this.clientId = clientId;
    this.#resent = resent;
  }

  /**
   * Opens a session: a clean one starts from nothing, and what belonged to a clean one went with
   * it. The connection before, if it is still open, is deserted: nothing more comes from there.
   */
  begin(clean: boolean): void {
    if (clean || this.#clean) this.#outgoing.clear();
    this.#clean = clean;
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
    wire.send(publish(topic, payload, { qos, id, retain, duplicate }),
      (model) => model.publish(wire.number, message, id, retain));
  }

  /**
   * Looks at a packet that has come: notes what is to be answered, and what the answer of the
   * broker means.
   */
  read(wire: Wire, words: string): void {
    const seen = parsePublish(words);
    const [name, rest] = words.split(' ');
    const id = Number(rest?.slice(2));
    if (seen !== null) {
      if (seen.qos === 1) this.#owe(wire, puback(seen.id), (model) => model.puback(wire.number, seen.id));
      else if (seen.qos === 2) this.#owe(wire, pubrec(seen.id), (model) => model.pubrec(wire.number, seen.id));
    } else if (name === 'CONNACK') {
      wire.accepted = words.endsWith(' 0');
      if (!wire.accepted) wire.finished = true;
      if (wire.accepted) this.#resume(wire, rest === 'present');
    } else if (name === 'PUBACK' || name === 'PUBCOMP') {
      this.#outgoing.delete(id);
    } else if (name === 'PUBREC') {
      const outgoing = this.#outgoing.get(id);
      if (outgoing !== undefined) outgoing.released = true;
      this.#owe(wire, pubrel(id), (model) => model.pubrel(wire.number, id));
    } else if (name === 'PUBREL') {
      this.#owe(wire, pubcomp(id), (model) => model.pubcomp(wire.number, id));
    }
  }

  #owe(wire: Wire, bytes: Uint8Array, step: Step): void {
    wire.due.push({ bytes, step });
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
        this.#resent(outgoing.message);
        this.#sendPublish(wire, outgoing.message, outgoing.retain, id, true);
      }
    }
  }
}
