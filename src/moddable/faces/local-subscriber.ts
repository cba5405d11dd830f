// An application inside the broker as one of its clients: a link whose other end is this object. It
// needs nothing of the core that TCP clients do not need too. Made by mqtt-server.ts.
//
// Invariant: the application is called only by `drain`, which its owner calls in a turn of its own,
// so that it may call the broker. Until then the outbox of the link keeps what more comes, and once
// that is full, publishers of QoS 1 and 2 wait, and QoS 0 is dropped and counted.

import type { Broker } from '../../broker/broker.js';
import { decodeText, encodeText } from '../../client/text.js';
import type { Link } from '../../link.js';
import { CONNECT_CLEAN_SESSION, LEVEL_3_1_1, NONE, PUBACK, PUBLISH, SUBSCRIBE }
  from '../../wire/codes.js';
import { decode } from '../../wire/decode.js';
import {
  encodeAcknowledgement, encodeConnect, encodeField, encodeFiltersHeader,
} from '../../wire/encode.js';
import { frame } from '../../wire/frame.js';
import { Packet } from '../../wire/packet.js';

interface Message {
  topic: string;
  body: ArrayBuffer;
  /** 0 with QoS 0. */
  packetId: number;
}

const EVERYTHING = /* @__PURE__ */ encodeText('#');
/** Enough for CONNECT, SUBSCRIBE and PUBACK as they are written here. */
const PACKET_BYTES_MAX = 32;

export class LocalSubscriber implements Link {
  readonly #broker: Broker;
  readonly #wake: () => void;
  readonly #slot: number;
  readonly #packet = new Packet();
  readonly #outgoing = new Uint8Array(PACKET_BYTES_MAX);
  #arrived: Message[] = [];
  closed = false;

  /**
   * Subscribes to all topics but those that begin with `$`. `wake` is called when there is
   * something to drain; it must not call the broker. Throws Error when the broker does not take
   * another client, which its limits should have room for.
   */
  constructor(broker: Broker, wake: () => void) {
    this.#broker = broker;
    this.#wake = wake;
    this.#packet.protocolLevel = LEVEL_3_1_1;
    this.#slot = broker.connected(this);
    if (this.#slot !== NONE) this.#subscribe();
    if (this.closed || this.#slot === NONE || this.#subscription() === NONE) {
      throw new Error('the broker has no room for the application itself: it takes one client ' +
        'and one subscription');
    }
  }

  #subscribe(): void {
    const bytes = this.#outgoing;
    const none = bytes.subarray(0, 0);
    // Without an identifier, so that the broker gives it one that nobody guesses and takes over.
    this.#send(encodeConnect(
      bytes, 0, LEVEL_3_1_1, CONNECT_CLEAN_SESSION, 0, none, none, none, none, none, none, none));
    if (this.closed) return;
    const at = encodeFiltersHeader(bytes, 0, SUBSCRIBE, 1, 3 + EVERYTHING.length);
    const end = encodeField(bytes, at, EVERYTHING);
    bytes[end] = 1; // QoS
    this.#send(end + 1);
    this.#broker.flush();
  }

  #session(): number {
    return this.#broker.memory.connections[this.#slot]!.session;
  }

  #subscription(): number {
    const session = this.#session();
    return session === NONE ? NONE : this.#broker.memory.subscriptions.firstOfSession[session]!;
  }

  /** The broker receives the first `byteCount` bytes of `#outgoing`. */
  #send(byteCount: number): void {
    const broker = this.#broker;
    for (let at = 0; at < byteCount && !this.closed;) {
      const count = Math.min(broker.room(this.#slot), byteCount - at);
      broker.bytes.set(this.#outgoing.subarray(at, at + count), broker.windowStart);
      broker.received(this.#slot, count);
      at += count;
    }
  }

  get writableBytes(): number {
    return this.closed || this.#arrived.length > 0 ? 0 : 0x7fffffff;
  }

  /** An outbox holds whole packets, and all of it is taken. */
  write(source: Uint8Array, start: number, end: number): void {
    const packet = this.#packet;
    for (let at = start; at < end; at = packet.end) {
      frame(source, at, end, end - at, packet);
      decode(source, packet);
      if (packet.type !== PUBLISH) continue;
      this.#arrived.push({
        topic: decodeText(source, packet.topicStart, packet.topicEnd),
        body: source.slice(packet.payloadStart, packet.payloadEnd).buffer as ArrayBuffer,
        packetId: packet.qos === 0 ? 0 : packet.packetId,
      });
    }
    if (this.#arrived.length > 0) this.#wake();
  }

  setReading(): void {} // it sends nothing that could wait

  close(): void {
    this.closed = true;
  }

  /** Hands over what has come, oldest first, until there is no more. */
  drain(onMessage: (topic: string, body: ArrayBuffer) => void): void {
    while (this.#arrived.length > 0 && !this.closed) {
      const arrived = this.#arrived;
      this.#arrived = [];
      for (let i = 0; i < arrived.length && !this.closed; i++) {
        const { topic, body, packetId } = arrived[i]!;
        if (packetId !== 0) this.#send(encodeAcknowledgement(this.#outgoing, 0, PUBACK, packetId));
        onMessage(topic, body);
      }
      if (!this.closed) this.#broker.writable(this.#slot);
    }
  }

  /** As `Broker.publish` with QoS 0, to all but this subscriber. */
  publish(topic: Uint8Array, payload: Uint8Array): number {
    const sessions = this.#broker.memory.sessions;
    const session = this.#session();
    if (session === NONE) return this.#broker.publish(topic, payload, 0, false);
    sessions.slot[session] = NONE; // QoS 0 passes over who is offline
    const outcome = this.#broker.publish(topic, payload, 0, false);
    sessions.slot[session] = this.#slot;
    return outcome;
  }
}
