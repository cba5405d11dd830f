// From a session's queue and replays, and from the message in hand, to its outbox. Called when
// something was published, queued, acknowledged, or when the outbox has room again.
//
// The message in hand is described by the PUBLISH group of `broker.packet`, wherever its bytes lie:
// the topic behind its two length bytes; between `contentStart` and `payloadStart` the properties
// with their length, as publish-properties.ts leaves them, or nothing.

import { WITH_PROPERTIES, type MessageStore } from '../session/messages.js';
import { FLAGS, MESSAGE, PUBLISHED, QUEUED, RELEASED, STATE } from '../session/deliveries.js';
import { LEVEL_5, NONE, OK, PUBLISH, PUBREL, TOO_LARGE } from '../wire/codes.js';
import {
  encodeAcknowledgement, encodeHeader, encodePublish, encodePublishBody, encodeUint16,
  encodeUint16Property, encodeUint32, encodeVarint, packetBytes, SHORT_PACKET_BYTES,
} from '../wire/encode.js';
import { MESSAGE_EXPIRY_INTERVAL, TOPIC_ALIAS, uint32At, varintBytes } from '../wire/properties.js';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';
import {
  BYTES_SENT, DROPPED_EXPIRED, DROPPED_OUTBOX_FULL, DROPPED_TOO_LARGE, PUBLISH_SENT,
} from './counters.js';
import { encodeIdentifiers, identifierBytes } from './identifiers.js';
import { layOut, nowSeconds, storedBytes } from './publish-properties.js';
import { drop, hasRoom, madeProgress } from './queue.js';
import { SEARCHING } from './replays.js';
import { OPTIONS, SHARED } from './subscriptions.js';
import { VALUE } from './topic-tree.js';

const RETAIN = 1;
const DUPLICATE = 8;
const QOS = 6;
const ALIAS_BYTES = 3;

/**
 * Where `byteCount` bytes fit into the outbox of `connection`, after a flush if need be, or NONE.
 */
export function reserve(broker: Broker, connection: Connection, byteCount: number): number {
  const at = connection.outbox.reserve(byteCount);
  if (at !== NONE || connection.link === null) return at;
  broker.counters[BYTES_SENT] += connection.outbox.flush(connection.link);
  return connection.outbox.reserve(byteCount);
}

/**
 * QoS 0: the message in hand goes straight into the outbox, or is dropped when the subscriber does
 * not keep up. `flags` has RETAIN as the subscriber is to see it, other bits mean nothing; `via` as
 * in `BrokerMemory`.
 */
export function deliverNow(
  broker: Broker, connection: Connection, flags: number, via: number,
): void {
  if (connection.protocolLevel === LEVEL_5) {
    return deliverInLevel5(broker, connection, flags & RETAIN, via);
  }
  const packet = broker.packet;
  const topicStart = packet.topicStart;
  const topicEnd = packet.topicEnd;
  const payloadStart = packet.payloadStart;
  const payloadEnd = packet.payloadEnd;
  const byteCount = packetBytes(topicEnd - topicStart + payloadEnd - payloadStart + 2);
  let at = connection.outbox.reserve(byteCount);
  if (at === NONE) at = reserve(broker, connection, byteCount);
  if (at === NONE) {
    drop(broker, DROPPED_OUTBOX_FULL);
    return;
  }
  broker.counters[PUBLISH_SENT]++;
  broker.sent(connection, payloadStart === topicEnd ?
    encodePublishBody(broker.bytes, at, 0, topicStart - 2, payloadEnd) :
    encodePublish(broker.bytes, at, 0, 0, topicStart, topicEnd, payloadStart, payloadEnd));
}

/** The same to a client of MQTT 5.0; `flags` has RETAIN and nothing else. */
function deliverInLevel5(
  broker: Broker, connection: Connection, flags: number, via: number,
): void {
  const outcome = encodeInHand(broker, connection, flags, via);
  if (outcome !== OK) drop(broker, outcome === NONE ? DROPPED_OUTBOX_FULL : DROPPED_TOO_LARGE);
}

/**
 * Encodes the message in hand with QoS 0 for a client of MQTT 5.0, `flags` being those of the
 * header. Returns OK, NONE without room, or TOO_LARGE for this client, 5.0 [MQTT-3.1.2-24].
 */
function encodeInHand(
  broker: Broker, connection: Connection, flags: number, via: number,
): number {
  const packet = broker.packet;
  const body = packet.topicStart - 2;
  if (connection.topicAliasMaximum !== 0 || !isBody(broker) ||
      broker.memory.subscriptions.hasIdentifiers(connection.session)) {
    return encodeParts(broker, connection, flags, via, NONE);
  }
  const byteCount = packetBytes(packet.payloadEnd - body);
  if (byteCount > connection.packetBytesMax) return TOO_LARGE;
  const at = reserve(broker, connection, byteCount);
  if (at === NONE) return NONE;
  broker.counters[PUBLISH_SENT]++;
  broker.sent(connection,
    encodePublishBody(broker.bytes, at, flags, body, packet.payloadEnd));
  return OK;
}

/** Whether the message in hand, with QoS 0, stands as it is sent, if nothing is added. */
function isBody(broker: Broker): boolean {
  const { contentStart, payloadStart, topicEnd } = broker.packet;
  if (contentStart !== topicEnd || contentStart === payloadStart) return false;
  // Not with an expiry, which comes first, nor when it is not easy to see.
  const count = broker.bytes[contentStart];
  return count === 0 ||
    (count < 0x80 && broker.bytes[contentStart + 1] !== MESSAGE_EXPIRY_INTERVAL);
}

/**
 * The same where it is not one piece: with QoS 1 and 2, when `row` is its row in `deliveries`, not
 * NONE; with an alias, identifiers, what is left of the expiry. (Few variables: an ESP8266 has a
 * small stack.)
 */
function encodeParts(
  broker: Broker, connection: Connection, flags: number, via: number, row: number,
): number {
  const packet = broker.packet;
  const identifiers = identifierBytes(broker, connection.session, via);
  let alias = aliasFor(broker, connection); // negative: the client does not know it yet
  let properties = storedBytes(broker) + identifiers + (alias === 0 ? 0 : ALIAS_BYTES);
  // Topic and payload with the length of the one and the identifier of the packet.
  let remaining = packet.payloadEnd - packet.payloadStart + (row === NONE ? 2 : 4) +
    (alias > 0 ? 0 : packet.topicEnd - packet.topicStart);
  if (alias < 0 && isTooLarge(connection, remaining, properties)) {
    alias = 0; // then without
    properties -= ALIAS_BYTES;
  }
  if (isTooLarge(connection, remaining, properties)) return TOO_LARGE;
  remaining += varintBytes(properties) + properties;
  let at = reserve(broker, connection, packetBytes(remaining));
  if (at === NONE) return NONE;
  at = encodeHeader(broker.bytes, at, PUBLISH << 4 | flags, remaining);
  at = alias > 0 ? encodeUint16(broker.bytes, at, 0) :
    copy(broker, at, packet.topicStart - 2, packet.topicEnd);
  if (row !== NONE) {
    const packetId = broker.memory.deliveries.transmit(connection.session, row);
    at = encodeUint16(broker.bytes, at, packetId);
  }
  at = encodeStored(broker, encodeVarint(broker.bytes, at, properties));
  if (alias !== 0) at = encodeAlias(broker, connection, at, alias);
  if (identifiers !== 0) at = encodeIdentifiers(broker, at, connection.session, via);
  broker.counters[PUBLISH_SENT]++;
  broker.sent(connection, copy(broker, at, packet.payloadStart, packet.payloadEnd));
  return OK;
}

/** Whether the client does not take a packet of `rest` bytes and so many of properties. */
function isTooLarge(connection: Connection, rest: number, properties: number): boolean {
  return packetBytes(rest + varintBytes(properties) + properties) > connection.packetBytesMax;
}

/** Copies bytes `start` to `end` of the memory to `at`; returns their end there. */
function copy(broker: Broker, at: number, start: number, end: number): number {
  broker.bytes.copyWithin(at, start, end);
  return at + end - start;
}

/**
 * The alias under which the client knows the topic of the message in hand; if it is to learn one,
 * that, negated; 0 for none.
 */
function aliasFor(broker: Broker, connection: Connection): number {
  if (connection.topicAliasMaximum === 0) return 0;
  const { topicStart, topicEnd } = broker.packet;
  const { aliases } = broker.memory;
  return aliases.find(connection.slot, topicStart, topicEnd) ||
    -aliases.next(connection.slot, topicEnd - topicStart, connection.topicAliasMaximum);
}

/** Writes the alias that `aliasFor` gave at `at`; returns its end. */
function encodeAlias(broker: Broker, connection: Connection, at: number, alias: number): number {
  if (alias < 0) {
    const { topicStart, topicEnd } = broker.packet;
    alias = -alias;
    broker.memory.aliases.add(connection.slot, alias, topicStart, topicEnd);
  }
  return encodeUint16Property(broker.bytes, at, TOPIC_ALIAS, alias);
}

/**
 * Writes these properties at `at`, the deadline as what is left of the expiry, 5.0 [MQTT-3.3.2-6]:
 * 0 when it goes out again, late. Returns their end.
 */
function encodeStored(broker: Broker, at: number): number {
  const byteCount = storedBytes(broker);
  if (byteCount === 0) return at;
  const { bytes, packet } = broker;
  bytes.copyWithin(at, packet.payloadStart - byteCount, packet.payloadStart);
  if (bytes[at] === MESSAGE_EXPIRY_INTERVAL) {
    const left = uint32At(bytes, at + 1) - nowSeconds(broker);
    encodeUint32(bytes, at + 1, left > 0 ? left : 0);
  }
  return at + byteCount;
}

/**
 * Encodes what the session has waiting, as far as outbox and window allow: what is in flight and
 * must go again, then the queue, then retained messages for new subscriptions. Sets
 * `connection.blocked` when there was no room for more, `connection.searching` when the next turn
 * must look for more. Uses the scratch, and takes another message in hand: whoever has one delivers
 * it first.
 */
export function transmitWaiting(broker: Broker, connection: Connection): void {
  const { deliveries, replays } = broker.memory;
  const session = connection.session;
  connection.blocked = false;
  if (connection.searching) broker.searchEnded(connection);
  let row = deliveries.toTransmit(session);
  while (row !== NONE) {
    if (!transmitRow(broker, connection, row)) {
      connection.blocked = true;
      return;
    }
    row = deliveries.toTransmit(session);
  }
  if (replays.firstRow[session] === NONE) return;
  replays.allowVisits();
  while (replays.firstRow[session] !== NONE) {
    const node = replays.find(session);
    if (node === SEARCHING) {
      broker.searchLater(connection);
      return;
    }
    if (node !== NONE && !replayOne(broker, connection, node)) {
      connection.blocked = true;
      return;
    }
  }
}

/**
 * Encodes one row: PUBLISH, the same with DUP if it was sent before [MQTT-3.3.1-1], or PUBREL; or
 * drops it, if it has expired or the client does not take so much. False without room.
 */
function transmitRow(broker: Broker, connection: Connection, row: number): boolean {
  const { deliveries, queued } = broker.memory;
  const session = connection.session;
  const state = deliveries.rows[row + STATE];
  if (state === RELEASED) {
    const at = reserve(broker, connection, SHORT_PACKET_BYTES);
    if (at === NONE) return false;
    const end = encodeAcknowledgement(broker.bytes, at, PUBREL, deliveries.transmit(session, row));
    broker.sent(connection, end);
    return true;
  }
  const message = deliveries.rows[row + MESSAGE];
  if (state === QUEUED && queued.expiringCount !== 0 &&
      queued.expired(message, nowSeconds(broker))) {
    return dropRow(broker, session, row, DROPPED_EXPIRED);
  }
  let flags = deliveries.rows[row + FLAGS] | (state === PUBLISHED ? DUPLICATE : 0);
  const lengthBytes = connection.protocolLevel === LEVEL_5 ? 1 : 0;
  if ((flags & RETAIN) !== 0 && lengthBytes === 0 && isLive(broker, row)) flags &= ~RETAIN;
  if (lengthBytes !== 0 && isMore(broker, connection, message)) {
    return transmitParts(broker, connection, flags, row);
  }
  const byteCount = queued.publishBytes(message, flags >> 1 & 3, lengthBytes);
  if (byteCount > connection.packetBytesMax) {
    return dropRow(broker, session, row, DROPPED_TOO_LARGE);
  }
  const at = reserve(broker, connection, byteCount);
  if (at === NONE) return false;
  const packetId = deliveries.transmit(session, row);
  broker.counters[PUBLISH_SENT]++;
  broker.sent(connection, queued.encode(message, at, flags, packetId, lengthBytes));
  return true;
}

/** The same, with these flags, for a PUBLISH of MQTT 5.0 with properties. */
function transmitParts(
  broker: Broker, connection: Connection, flags: number, row: number,
): boolean {
  const { deliveries, queued, subscriptions } = broker.memory;
  layOut(broker, queued, deliveries.message(row));
  if (subscriptions.hasIdentifiers(connection.session)) splitTopic(broker);
  const outcome = encodeParts(broker, connection, flags, deliveries.via(row), row);
  return outcome === TOO_LARGE ?
    dropRow(broker, connection.session, row, DROPPED_TOO_LARGE) :
    outcome === OK;
}

/**
 * Whether the row is no retained message that a new subscription asked for: then 3.1.1 knows no
 * RETAIN [MQTT-3.3.1-9], even if its session, once of MQTT 5.0, wants it as published.
 */
function isLive(broker: Broker, row: number): boolean {
  const from = broker.memory.deliveries.via(row);
  return from === NONE ||
    (from >= 0 && (broker.memory.subscriptions.cells[from + OPTIONS] & SHARED) !== 0);
}

/** Whether the queued message has properties, or gets some, for this client of MQTT 5.0. */
function isMore(broker: Broker, connection: Connection, message: number): boolean {
  return connection.topicAliasMaximum !== 0 ||
    (broker.memory.queued.flags(message) & WITH_PROPERTIES) !== 0 ||
    broker.memory.subscriptions.hasIdentifiers(connection.session);
}

/** Cuts the topic of the message in hand, as `identifierBytes` wants it. */
function splitTopic(broker: Broker): void {
  const { bytes, memory, packet } = broker;
  memory.levels.split(bytes, packet.topicStart, packet.topicEnd);
}

/** The row that comes next is not sent, and as good as done, 5.0 [MQTT-3.1.2-25]. */
function dropRow(broker: Broker, session: number, row: number, reason: number): true {
  broker.memory.deliveries.sentOnce(session, row);
  drop(broker, reason);
  madeProgress(broker, session);
  return true;
}

/** Delivers the retained message at `node`; false when it must wait for room. */
function replayOne(broker: Broker, connection: Connection, node: number): boolean {
  const { kept, replays, retained, subscriptions } = broker.memory;
  const session = connection.session;
  const message = retained.tree.cells[node + VALUE];
  if (kept.expiringCount !== 0 && kept.expired(message, nowSeconds(broker))) {
    retained.clear(node);
    broker.counters[DROPPED_EXPIRED]++;
    return true;
  }
  const row = replays.firstRow[session];
  const published = kept.flags(message) & QOS;
  const subscribed = subscriptions.cells[row + OPTIONS] & QOS;
  const qosFlags = published < subscribed ? published : subscribed;
  if (qosFlags !== 0) return queueRetained(broker, connection, message, qosFlags | RETAIN, row);
  if (connection.protocolLevel === LEVEL_5) {
    layOut(broker, kept, message);
    const outcome = encodeInHand(broker, connection, RETAIN, row);
    if (outcome === NONE) return false;
    if (outcome === TOO_LARGE) drop(broker, DROPPED_TOO_LARGE);
    replays.delivered(session);
    return true;
  }
  const at = reserve(broker, connection, kept.publishBytes(message, 0));
  if (at === NONE) return false;
  broker.counters[PUBLISH_SENT]++;
  broker.sent(connection, kept.encode(message, at, RETAIN, 0)); // [MQTT-3.3.1-8]
  replays.delivered(session);
  return true;
}

/** QoS 1 and 2 go through the queue, whose messages lie in another store: by way of the scratch. */
function queueRetained(
  broker: Broker, connection: Connection, message: number, flags: number, via: number,
): boolean {
  const { deliveries, kept, queued, replays } = broker.memory;
  const session = connection.session;
  if (!hasRoom(broker, session, kept.byteCount(message)) ||
      deliveries.freeRows === 0) return false;
  if (!deliveries.isOpen(session)) return false;
  const copy = copyToQueue(broker, kept, message);
  if (copy === NONE) return false;
  deliveries.append(session, copy, flags, via);
  queued.release(copy);
  replays.delivered(session);
  const row = deliveries.toTransmit(session);
  return row === NONE || transmitRow(broker, connection, row);
}

/** The message in the store of the queues, held once, or NONE. */
function copyToQueue(broker: Broker, store: MessageStore, message: number): number {
  const flags = layOut(broker, store, message);
  const { topicStart, topicEnd, contentStart, payloadEnd } = broker.packet;
  return broker.memory.queued.store(topicStart, topicEnd, contentStart, payloadEnd, flags);
}
