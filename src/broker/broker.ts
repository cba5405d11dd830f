// The broker: slots for links, the one switch over packet types, and time. A platform binding
// constructs it, reports what happens to its links through `connected`, `received`, `writable`,
// `disconnected`, calls `flush` at the end of each such turn, and `tick` once a second or oftener.
//
// Invariants: no method throws for anything a peer sends; none allocates; a link is closed by the
// broker or reported lost by the platform, never both; what a peer does wrong ends that peer's
// connection and touches no other.

import type { Limits } from '../limits.js';
import type { Link } from '../link.js';
import {
  CONNECT, DISCONNECT, INCOMPLETE, NONE, OK, PINGREQ, PINGRESP, PROTOCOL_ERROR, PUBACK, PUBCOMP,
  PUBLISH, PUBREC, PUBREL, SUBSCRIBE, UNSUBSCRIBE, UNSUPPORTED_LEVEL,
} from '../wire/codes.js';
import { decode } from '../wire/decode.js';
import { EMPTY_PACKET_BYTES, encodeEmpty, SHORT_PACKET_BYTES } from '../wire/encode.js';
import { frame } from '../wire/frame.js';
import { Packet } from '../wire/packet.js';
import { age } from './age.js';
import { FLOWING, OWN_OUTBOX, SLOW_SUBSCRIBER, STALLED, type Connection } from './connection.js';
import {
  BYTES_RECEIVED, BYTES_SENT, MESSAGES_RECEIVED, MESSAGES_SENT, PUBLISHERS_WAITED, REFUSED_FULL,
} from './counters.js';
import { reserve, transmitWaiting } from './deliver.js';
import {
  CLIENT_CLOSED, CONNECT_TIMEOUT, endConnection, LINK_LOST, publishWill, refuse,
  SERVER_SHUTTING_DOWN,
} from './end.js';
import { handleConnect } from './handle-connect.js';
import {
  handlePuback, handlePubcomp, handlePublish, handlePubrec, handlePubrel,
} from './handle-publish.js';
import { handleSubscribe, handleUnsubscribe } from './handle-subscribe.js';
import { BrokerMemory } from './memory.js';
import type { BrokerOptions } from './options.js';
import { publishLocally } from './publish-locally.js';
import { NEVER } from './sessions.js';
import { SysTopics } from './sys-topics.js';

export class Broker {
  readonly limits: Limits;
  readonly options: BrokerOptions;
  readonly memory: BrokerMemory;
  /** All bytes of the broker; the platform writes at `windowStart`. */
  readonly bytes: Uint8Array;
  readonly windowStart: number;
  /** The packet being handled. */
  readonly packet: Packet;
  readonly counters: Float64Array;
  /** Something left a queue since the last flush: publishers that wait may go on. */
  queueMoved = false;
  /** Milliseconds of all ticks so far. */
  nowMs = 0;
  /** When a publisher first found the queue that all share full, on this clock, or NEVER. */
  queueFullSinceMs = NEVER;
  readonly #sys: SysTopics | null;
  #freeCount: number;
  #dirtyCount = 0;
  #stalledCount = 0;
  #searchingCount = 0;
  #retryFirst = 0;
  #lastTickMs = NaN;

  /** Throws RangeError for limits that contradict each other, as `checkLimits` does. */
  constructor(limits: Limits, options: BrokerOptions) {
    this.limits = limits;
    this.options = options;
    this.memory = new BrokerMemory(limits);
    this.packet = new Packet(this.memory.levels);
    this.bytes = this.memory.bytes;
    this.windowStart = this.memory.windowStart;
    this.counters = this.memory.counters;
    this.#freeCount = limits.connectionsMax;
    this.#sys = limits.sysIntervalMs === 0 ? null : new SysTopics(this);
  }

  /**
   * A peer has opened `link`. Returns the slot to report it under, or NONE when there is none: then
   * the platform closes the link. Before that, a link that has not sent CONNECT gives way to the
   * new one.
   */
  connected(link: Link): number {
    if (this.#freeCount === 0) this.evictSilent();
    if (this.#freeCount === 0) {
      this.counters[REFUSED_FULL]++;
      return NONE;
    }
    const connection = this.memory.connections[this.memory.freeSlots[--this.#freeCount]];
    connection.link = link;
    connection.heard = true; // its silence counts from the next tick on
    return connection.slot;
  }

  /** Ends the link that has waited longest without sending CONNECT, if there is one. */
  private evictSilent(): void {
    let oldest: Connection | null = null;
    for (let slot = 0; slot < this.limits.connectionsMax; slot++) {
      const connection = this.memory.connections[slot];
      if (connection.session === NONE &&
          (oldest === null || connection.silentMs > oldest.silentMs)) {
        oldest = connection;
      }
    }
    if (oldest !== null) endConnection(this, oldest, CONNECT_TIMEOUT);
  }

  /** How many bytes `received` will take for `slot` now: 0 to `limits.windowBytes`. */
  room(slot: number): number {
    const inbox = this.memory.connections[slot].inbox;
    const room = inbox.capacity - inbox.count;
    return room < this.limits.windowBytes ? room : this.limits.windowBytes;
  }

  /**
   * The platform has put `byteCount` bytes that came for `slot` at `windowStart`: at most
   * `room(slot)`.
   */
  received(slot: number, byteCount: number): void {
    const connection = this.memory.connections[slot];
    const inbox = connection.inbox;
    let at = this.windowStart;
    const end = at + byteCount;
    this.counters[BYTES_RECEIVED] += byteCount;
    while (inbox.count > 0 && at < end && connection.stalled === FLOWING) {
      at = this.completePacket(connection, at, end);
      if (connection.link === null) return;
    }
    if (connection.stalled === FLOWING) at = this.consume(connection, at, end);
    if (connection.link !== null && at < end) inbox.append(at, end);
  }

  /**
   * Brings the packet that waits in the inbox forward with bytes of the window; returns how far it
   * used them.
   */
  private completePacket(connection: Connection, at: number, end: number): number {
    const inbox = connection.inbox;
    const before = inbox.count;
    const used = inbox.wanted(end - at);
    inbox.append(at, at + used);
    const stop = this.consume(connection, inbox.base, inbox.base + inbox.count);
    if (connection.link === null || stop === inbox.base) return at + used;
    if (connection.stalled !== FLOWING) {
      inbox.keepFrom(stop);
      return at + used;
    }
    // The packet is done. Bytes appended past its end still stand in the window.
    inbox.clear();
    return at + (stop - inbox.base) - before;
  }

  /**
   * Handles the whole packets from `at` on; returns where it stopped: at `end`, or a packet that is
   * cut or must wait.
   */
  private consume(connection: Connection, at: number, end: number): number {
    const packet = this.packet;
    while (at < end) {
      packet.protocolLevel = connection.protocolLevel;
      const packetEnd = frame(this.bytes, at, end, this.limits.packetBytesMax, packet);
      if (packetEnd === INCOMPLETE && (packet.type === CONNECT || connection.session !== NONE)) {
        connection.inbox.packetBytes = packet.end - at;
        return at;
      }
      const outcome = packetEnd >= 0 ? this.handle(connection) :
        packetEnd === INCOMPLETE ? PROTOCOL_ERROR : packetEnd; // CONNECT comes first
      if (outcome !== OK) {
        if (outcome === STALLED) return at;
        refuse(this, connection, outcome);
      }
      if (connection.link === null) return end;
      at = packetEnd;
    }
    return at;
  }

  /**
   * Decodes and handles the framed packet: OK, STALLED, or the refusal that ends the connection.
   */
  private handle(connection: Connection): number {
    const packet = this.packet;
    const type = packet.type;
    // CONNECT comes first [MQTT-3.1.0-1], and once [MQTT-3.1.0-2].
    if ((type === CONNECT) !== (connection.session === NONE)) return PROTOCOL_ERROR;
    const outcome = decode(this.bytes, packet);
    if (outcome !== OK && outcome !== UNSUPPORTED_LEVEL) return outcome;
    if ((type !== PUBLISH || packet.qos !== 0) && !this.canAnswer(connection, type)) {
      return this.stall(connection, OWN_OUTBOX);
    }
    connection.heard = true;
    const handled = type === PUBLISH ?
      handlePublish(this, connection) :
      this.dispatch(connection, type, outcome);
    if (handled === STALLED) return this.stall(connection, SLOW_SUBSCRIBER);
    this.counters[MESSAGES_RECEIVED]++;
    return handled;
  }

  /**
   * Whether the outbox has room for the answer to the packet, so that its handler may count on it.
   */
  private canAnswer(connection: Connection, type: number): boolean {
    if (type === PUBACK || type === PUBCOMP || type === DISCONNECT) return true;
    const answerBytes = type === SUBSCRIBE ? this.packet.filterCount + 7 : SHORT_PACKET_BYTES;
    return reserve(this, connection, answerBytes) !== NONE;
  }

  private dispatch(connection: Connection, type: number, outcome: number): number {
    switch (type) {
      case PUBACK:
        return handlePuback(this, connection);
      case PUBREC:
        return handlePubrec(this, connection);
      case PUBREL:
        return handlePubrel(this, connection);
      case PUBCOMP:
        return handlePubcomp(this, connection);
      case PINGREQ:
        return this.answerPing(connection); // [MQTT-3.12.4-1]
      case SUBSCRIBE:
        return handleSubscribe(this, connection);
      case UNSUBSCRIBE:
        return handleUnsubscribe(this, connection);
      case CONNECT:
        return handleConnect(this, connection, outcome);
      case DISCONNECT:
        endConnection(this, connection, CLIENT_CLOSED);
        return OK;
      default: // CONNACK, SUBACK, UNSUBACK, PINGRESP: only a server sends them.
        return PROTOCOL_ERROR;
    }
  }

  private answerPing(connection: Connection): number {
    const at = reserve(this, connection, EMPTY_PACKET_BYTES);
    this.sent(connection, encodeEmpty(this.bytes, at, PINGRESP));
    return OK;
  }

  /**
   * A packet was written into the outbox of `connection`, up to `end`: it goes out with the next
   * flush.
   */
  sent(connection: Connection, end: number): void {
    connection.outbox.commit(end);
    this.counters[MESSAGES_SENT]++;
    if (connection.dirty) return;
    connection.dirty = true;
    this.memory.dirtySlots[this.#dirtyCount++] = connection.slot;
  }

  /** Leaves the packet where it is and stops reading from the peer. */
  private stall(connection: Connection, reason: number): number {
    this.#stalledCount++;
    connection.stalled = reason;
    if (connection.outbox.byteCount === 0) connection.outbox.clear(); // gives back its region
    if (connection.paused || connection.link === null) return STALLED;
    connection.paused = true;
    connection.link.setReading(false);
    if (reason === SLOW_SUBSCRIBER) this.counters[PUBLISHERS_WAITED]++;
    return STALLED;
  }

  /** Takes the packets of a stalled connection up again. */
  private resume(connection: Connection): void {
    const inbox = connection.inbox;
    connection.stalled = FLOWING;
    this.#stalledCount--;
    const stop = this.consume(connection, inbox.base, inbox.base + inbox.count);
    if (connection.link === null) return;
    inbox.keepFrom(stop);
    if (connection.stalled !== FLOWING) return;
    connection.paused = false;
    connection.link.setReading(true);
  }

  /** The link of `slot` takes bytes again. */
  writable(slot: number): void {
    const connection = this.memory.connections[slot];
    this.flushConnection(connection);
    if (connection.stalled !== OWN_OUTBOX) return;
    connection.heard = true; // we leave its packets unread; that it reads ours is a sign of life
    this.resume(connection);
  }

  /** The link of `slot` is lost. The slot is free afterwards, and the platform closes the link. */
  disconnected(slot: number): void {
    const connection = this.memory.connections[slot];
    if (connection.link !== null) endConnection(this, connection, LINK_LOST);
  }

  /** Returns a slot to the free ones; for endConnection. */
  free(connection: Connection): void {
    if (connection.stalled !== FLOWING) this.#stalledCount--;
    if (connection.searching) this.searchEnded(connection);
    connection.reset();
    this.memory.freeSlots[this.#freeCount++] = connection.slot;
  }

  /** Whether `flush` has something to do. */
  get dirty(): boolean {
    return this.#dirtyCount > 0 || this.#searchingCount > 0 ||
      (this.queueMoved && this.#stalledCount > 0);
  }

  /** Hands what was encoded in this turn to the links, each link's bytes in one write. */
  flush(): void {
    while (this.queueMoved) { // again if a publisher that went on also acknowledged something
      this.queueMoved = false;
      if (this.#stalledCount > 0) this.retryStalled();
    }
    if (this.#searchingCount !== 0) this.searchOn();
    for (let i = 0; i < this.#dirtyCount; i++) {
      const connection = this.memory.connections[this.memory.dirtySlots[i]];
      this.flushConnection(connection);
      connection.dirty = false; // not before: what it encoded meanwhile has gone out too
    }
    this.#dirtyCount = 0;
  }

  /** `connection` goes on looking for retained messages with the next flush. */
  searchLater(connection: Connection): void {
    connection.searching = true;
    this.#searchingCount++;
  }

  private searchOn(): void {
    for (let slot = 0; slot < this.limits.connectionsMax; slot++) {
      const connection = this.memory.connections[slot];
      if (connection.searching) transmitWaiting(this, connection);
    }
  }

  searchEnded(connection: Connection): void {
    connection.searching = false;
    this.#searchingCount--;
  }

  private flushConnection(connection: Connection): void {
    const link = connection.link;
    if (link === null) return;
    this.counters[BYTES_SENT] += connection.outbox.flush(link);
    while (connection.blocked && connection.outbox.byteCount === 0) {
      transmitWaiting(this, connection);
      if (connection.outbox.byteCount === 0) return;
      this.counters[BYTES_SENT] += connection.outbox.flush(link);
    }
  }

  private retryStalled(): void {
    const slotCount = this.limits.connectionsMax;
    const first = this.#retryFirst;
    this.#retryFirst = (first + 1) % slotCount; // everybody is first in turn
    for (let i = 0; i < slotCount; i++) {
      const connection = this.memory.connections[(first + i) % slotCount];
      if (connection.stalled === SLOW_SUBSCRIBER) this.resume(connection);
    }
  }

  /**
   * Time passes: `nowMs` counts milliseconds from anywhere, and never back. Then call `flush`. A
   * platform that was asleep itself counts little of that time: its peers could not be heard.
   */
  tick(nowMs: number): void {
    const elapsedMs = nowMs >= this.#lastTickMs ? nowMs - this.#lastTickMs : 0;
    this.#lastTickMs = nowMs;
    this.nowMs += elapsedMs;
    for (let slot = 0; slot < this.limits.connectionsMax; slot++) {
      const connection = this.memory.connections[slot];
      if (connection.link !== null) age(this, connection, elapsedMs);
      if (connection.stalled === SLOW_SUBSCRIBER) this.resume(connection);
    }
    this.#sys?.tick(elapsedMs);
  }

  /**
   * Publishes in the name of the application: topic and payload as bytes, QoS 0 to 2. Returns OK,
   * or why not: TOPIC_NAME_INVALID, MALFORMED (not UTF-8), TOO_LARGE, or PROTOCOL_ERROR for another
   * QoS. Waits for nobody.
   */
  publish(topic: Uint8Array, payload: Uint8Array, qos: number, retain: boolean): number {
    return publishLocally(this, topic, payload, qos, retain);
  }

  /**
   * Ends every connection in an orderly way. All wills are published first, while there are still
   * all to receive them. Then `flush` is not needed.
   */
  close(): void {
    for (let slot = 0; slot < this.limits.connectionsMax; slot++) {
      const session = this.memory.connections[slot].session;
      if (session !== NONE) publishWill(this, session);
    }
    this.flush();
    for (let slot = 0; slot < this.limits.connectionsMax; slot++) {
      const connection = this.memory.connections[slot];
      if (connection.link !== null) endConnection(this, connection, SERVER_SHUTTING_DOWN);
    }
  }
}
