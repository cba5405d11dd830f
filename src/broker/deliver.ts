// From a session's queue and replays to its outbox. Called when something was queued, acknowledged,
// or when the outbox has room again.

import { NONE, PUBREL } from '../wire/codes.js';
import { encodeAcknowledgement, SHORT_PACKET_BYTES } from '../wire/encode.js';
import { PUBLISHED, RELEASED } from '../session/deliveries.js';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';
import { BYTES_SENT, PUBLISH_SENT } from './counters.js';
import { SEARCHING } from './replays.js';
import { QOS } from './subscriptions.js';
import { VALUE } from './topic-tree.js';

const RETAIN = 1;
const DUPLICATE = 8;

/** Whether the queue of `session` takes a message of `byteCount` bytes of topic and payload. */
export function hasRoom(broker: Broker, session: number, byteCount: number): boolean {
  const deliveries = broker.memory.deliveries;
  return deliveries.counts[session] < broker.limits.sessionQueuedMax &&
    deliveries.bytes[session] + byteCount <= broker.limits.sessionQueuedBytesMax;
}

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
 * Encodes what the session has waiting, as far as outbox and window allow: what is in flight and
 * must go again, then the queue, then retained messages for new subscriptions. Sets
 * `connection.blocked` when there was no room for more, `connection.searching` when the next turn
 * must look for more. Uses the scratch: whoever has a message there delivers it first.
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
 * Encodes one row: PUBLISH, the same with DUP if it was sent before [MQTT-3.3.1-1], or PUBREL.
 * False without room.
 */
function transmitRow(broker: Broker, connection: Connection, row: number): boolean {
  const { deliveries, queued } = broker.memory;
  const session = connection.session;
  const state = deliveries.state[row];
  if (state === RELEASED) {
    const at = reserve(broker, connection, SHORT_PACKET_BYTES);
    if (at === NONE) return false;
    const end = encodeAcknowledgement(broker.bytes, at, PUBREL, deliveries.transmit(session, row));
    broker.sent(connection, end);
    return true;
  }
  const message = deliveries.message[row];
  const flags = deliveries.flags[row] | (state === PUBLISHED ? DUPLICATE : 0);
  const at = reserve(broker, connection, queued.publishBytes(message, flags >> 1 & 3));
  if (at === NONE) return false;
  const end = queued.encode(message, at, flags, deliveries.transmit(session, row));
  broker.counters[PUBLISH_SENT]++;
  broker.sent(connection, end);
  return true;
}

/** Delivers the retained message at `node`; false when it must wait for room. */
function replayOne(broker: Broker, connection: Connection, node: number): boolean {
  const { kept, replays, retained, subscriptions } = broker.memory;
  const session = connection.session;
  const message = retained.tree.cells[node + VALUE];
  const published = kept.flags(message) >> 1;
  const subscribed = subscriptions.cells[replays.firstRow[session] + QOS];
  const qos = published < subscribed ? published : subscribed;
  if (qos !== 0) return queueRetained(broker, connection, message, qos);
  const at = reserve(broker, connection, kept.publishBytes(message, 0));
  if (at === NONE) return false;
  broker.counters[PUBLISH_SENT]++;
  broker.sent(connection, kept.encode(message, at, RETAIN, 0)); // [MQTT-3.3.1-8]
  replays.delivered(session);
  return true;
}

/** QoS 1 and 2 go through the queue, whose messages lie in another store: by way of the scratch. */
function queueRetained(
  broker: Broker, connection: Connection, message: number, qos: number,
): boolean {
  const { deliveries, kept, queued, replays, scratchStart } = broker.memory;
  const session = connection.session;
  const topicBytes = kept.topicBytes(message);
  const payloadBytes = kept.payloadBytes(message);
  if (!hasRoom(broker, session, topicBytes + payloadBytes) ||
      deliveries.freeRows === 0) return false;
  if (deliveries.inflight[session] >= deliveries.inflightMax) return false;
  const topicStart = scratchStart + 2;
  const end = kept.blocks.read(message, 0, scratchStart, 2 + topicBytes + payloadBytes);
  const copy = queued.store(
    topicStart, topicStart + topicBytes, topicStart + topicBytes, end, qos << 1 | RETAIN);
  if (copy === NONE) return false;
  deliveries.append(session, copy, qos << 1 | RETAIN);
  queued.release(copy);
  replays.delivered(session);
  const row = deliveries.toTransmit(session);
  return row === NONE || transmitRow(broker, connection, row);
}
