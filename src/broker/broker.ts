// The broker: slots for links, the way of bytes in and out, and time. A platform binding
// constructs it, reports what happens to its links through `connected`, `received`, `writable`,
// `disconnected`, calls `flush` at the end of each such turn, and `tick` once a second or oftener.
//
// Invariants: no method throws for anything a peer sends; none allocates; a link is closed by the
// broker or reported lost by the platform, never both; what a peer does wrong ends that peer's
// connection and touches no other.

import type { Limits } from '../limits.js';
import type { Link } from '../link.js';
import {
  CONNECT, INCOMPLETE, NONE, OK, PROTOCOL_ERROR, PUBLISH, TOO_LARGE,
} from '../wire/codes.js';
import { decodePublish } from '../wire/decode.js';
import { frame } from '../wire/frame.js';
import { Packet } from '../wire/packet.js';
import { age, ageSessions, evictSilent } from './age.js';
import { Authentication } from './authenticate.js';
import { FLOWING, OWN_OUTBOX, SLOW_SUBSCRIBER, STALLED, type Connection } from './connection.js';
import {
  BYTES_RECEIVED, BYTES_SENT, MESSAGES_RECEIVED, MESSAGES_SENT, PUBLISHERS_WAITED, REFUSED_FULL,
} from './counters.js';
import { transmitWaiting } from './deliver.js';
import { canAnswer, dispatch } from './dispatch.js';
import { endConnection, LINK_LOST, refuse, SERVER_SHUTTING_DOWN } from './end.js';
import { sweepExpired } from './expiry.js';
import { handlePublish } from './handle-publish.js';
import { BrokerMemory } from './memory.js';
import type { BrokerOptions } from './options.js';
import { publishLocally } from './publish-locally.js';
import { NEVER } from './sessions.js';
import { SysTopics } from './sys-topics.js';
import { publishWill } from './wills.js';

/** The protocol's name and its length, before the level. */
const MQTT_FIELD_BYTES = 6;

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
  /** null where no method of enhanced authentication is registered. */
  readonly authentication: Authentication | null;
  /** Something left a queue since the last flush: publishers that wait may go on. */
  queueMoved = false;
  /** Milliseconds of all ticks so far. */
  nowMs = 0;
  /** When a publisher first found the queue that all share full, on this clock, or NEVER. */
  queueFullSinceMs = NEVER;
  private readonly sys: SysTopics | null;
  private freeCount: number;
  private dirtyCount = 0;
  private stalledCount = 0;
  private searchingCount = 0;
  private retryFirst = 0;
  private lastTickMs = NaN;

  /** Throws RangeError for limits that contradict each other, as `checkLimits` does. */
  constructor(limits: Limits, options: BrokerOptions) {
    this.limits = limits;
    this.options = options;
    this.memory = new BrokerMemory(limits);
    this.packet = new Packet(this.memory.levels, this.memory.properties);
    this.bytes = this.memory.bytes;
    this.windowStart = this.memory.windowStart;
    this.counters = this.memory.counters;
    this.authentication = options.authenticationMethods === undefined ? null :
      new Authentication(
        this.bytes, this.packet, limits.connectionsMax, options.authenticationMethods);
    this.freeCount = limits.connectionsMax;
    this.sys = limits.sysIntervalMs === 0 ? null : new SysTopics(this);
  }

  /**
   * A peer has opened `link`. Returns the slot to report it under, or NONE when there is none: then
   * the platform closes the link. Before that, a link that has not sent CONNECT gives way to the
   * new one.
   */
  connected(link: Link): number {
    if (this.freeCount === 0) evictSilent(this);
    if (this.freeCount === 0) {
      this.counters[REFUSED_FULL]++;
      return NONE;
    }
    const connection = this.memory.connections[this.memory.freeSlots[--this.freeCount]];
    connection.link = link;
    connection.heard = true; // its silence counts from the next tick on
    return connection.slot;
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
    if (at < end && connection.link !== null) inbox.append(at, end);
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
    const { bytes, packet } = this;
    while (at < end) {
      packet.protocolLevel = connection.protocolLevel;
      const packetEnd = frame(bytes, at, end, this.limits.packetBytesMax, packet);
      let outcome = packetEnd;
      if (packetEnd < 0) {
        outcome = this.notFramed(connection, packetEnd, at, end);
      } else if (packet.type !== PUBLISH || connection.session === NONE) {
        outcome = dispatch(this, connection);
        if (outcome === STALLED) this.stall(connection, OWN_OUTBOX);
      } else {
        outcome = decodePublish(bytes, packet);
        if (outcome === OK) outcome = this.publishReceived(connection);
      }
      if (outcome !== OK) {
        if (outcome === STALLED) return at;
        refuse(this, connection, outcome);
      }
      if (connection.link === null) return end;
      at = packetEnd;
    }
    return at;
  }

  /** `frame` found no whole packet at `at`, but `outcome`: that, or STALLED to wait for more. */
  private notFramed(connection: Connection, outcome: number, at: number, end: number): number {
    if (outcome === INCOMPLETE) return this.waitFor(connection, at);
    return outcome === TOO_LARGE ? this.findLevel(connection, at, end) : outcome;
  }

  /**
   * The packet at `at` is cut: STALLED to wait for the rest of it, or why it is refused already.
   */
  private waitFor(connection: Connection, at: number): number {
    const packet = this.packet;
    const inbox = connection.inbox;
    // CONNECT comes first.
    if (packet.type !== CONNECT && connection.protocolLevel === 0) return PROTOCOL_ERROR;
    if (packet.end - at > inbox.capacity) return TOO_LARGE; // while CONNECT is held
    inbox.packetBytes = packet.end - at;
    return STALLED;
  }

  /**
   * The packet at `at` is too large, and refused. If it is CONNECT, its client can be told when its
   * level is known: STALLED to wait for that.
   */
  private findLevel(connection: Connection, at: number, end: number): number {
    const { bytes, packet } = this;
    if (packet.type !== CONNECT || connection.protocolLevel !== 0) return TOO_LARGE;
    let body = at + 1;
    while (bytes[body] > 0x7f) body++;
    const levelAt = body + 1 + MQTT_FIELD_BYTES;
    if (levelAt >= end) {
      connection.inbox.packetBytes = levelAt + 1 - at;
      return STALLED;
    }
    if (bytes[body + 2] === MQTT_FIELD_BYTES - 2) packet.protocolLevel = bytes[levelAt] & 0x7f;
    return TOO_LARGE;
  }

  /** The decoded PUBLISH of a client: OK, STALLED, or the refusal that ends the connection. */
  private publishReceived(connection: Connection): number {
    if (this.packet.qos !== 0 && !canAnswer(this, connection)) {
      return this.stall(connection, OWN_OUTBOX);
    }
    connection.heard = true;
    const outcome = handlePublish(this, connection);
    if (outcome === STALLED) return this.stall(connection, SLOW_SUBSCRIBER);
    this.counters[MESSAGES_RECEIVED]++;
    return outcome;
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
    this.memory.dirtySlots[this.dirtyCount++] = connection.slot;
  }

  /** Leaves the packet where it is and stops reading from the peer. */
  private stall(connection: Connection, reason: number): number {
    this.stalledCount++;
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
    this.stalledCount--;
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
    if (connection.stalled !== FLOWING) this.stalledCount--;
    if (connection.searching) this.searchEnded(connection);
    connection.reset();
    connection.inbox.release(this.limits.inboxBytes);
    this.authentication?.end(connection.slot);
    this.memory.freeSlots[this.freeCount++] = connection.slot;
  }

  /** Whether `flush` has something to do. */
  get dirty(): boolean {
    return this.dirtyCount > 0 || this.searchingCount > 0 ||
      (this.queueMoved && this.stalledCount > 0);
  }

  /** Hands what was encoded in this turn to the links, each link's bytes in one write. */
  flush(): void {
    while (this.queueMoved) { // again if a publisher that went on also acknowledged something
      this.queueMoved = false;
      if (this.stalledCount > 0) this.retryStalled();
    }
    if (this.searchingCount !== 0) this.searchOn();
    for (let i = 0; i < this.dirtyCount; i++) {
      const connection = this.memory.connections[this.memory.dirtySlots[i]];
      this.flushConnection(connection);
      connection.dirty = false; // not before: what it encoded meanwhile has gone out too
    }
    this.dirtyCount = 0;
  }

  /** `connection` goes on looking for retained messages with the next flush. */
  searchLater(connection: Connection): void {
    connection.searching = true;
    this.searchingCount++;
  }

  private searchOn(): void {
    for (let slot = 0; slot < this.limits.connectionsMax; slot++) {
      const connection = this.memory.connections[slot];
      if (connection.searching) transmitWaiting(this, connection);
    }
  }

  searchEnded(connection: Connection): void {
    connection.searching = false;
    this.searchingCount--;
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
    const first = this.retryFirst;
    this.retryFirst = (first + 1) % slotCount; // everybody is first in turn
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
    const elapsedMs = nowMs >= this.lastTickMs ? nowMs - this.lastTickMs : 0;
    this.lastTickMs = nowMs;
    this.nowMs += elapsedMs;
    for (let slot = 0; slot < this.limits.connectionsMax; slot++) {
      const connection = this.memory.connections[slot];
      if (connection.link !== null) age(this, connection, elapsedMs);
      if (connection.stalled === SLOW_SUBSCRIBER) this.resume(connection);
    }
    ageSessions(this);
    sweepExpired(this);
    this.sys?.tick(elapsedMs);
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
   * Ends every connection in an orderly way. All wills are published first, those that wait for a
   * delay with them, while there are still all to receive them. Then `flush` is not needed.
   */
  close(): void {
    const { sessions } = this.memory;
    for (let session = 0; session < sessions.used; session++) publishWill(this, session);
    this.flush();
    for (let slot = 0; slot < this.limits.connectionsMax; slot++) {
      const connection = this.memory.connections[slot];
      if (connection.link !== null) endConnection(this, connection, SERVER_SHUTTING_DOWN);
    }
  }
}
