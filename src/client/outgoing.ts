// From `publish` to the outbox: at once when the way is free, else by way of the queue, whose order
// is kept. Also what a new connection sends again. Called by client.ts, handle.ts, subscribe.ts.

import { PUBLISHED, QUEUED, RELEASED } from '../session/deliveries.js';
import { QueueFull } from '../limits.js';
import {
  LEVEL_3_1, NONE, OK, PROTOCOL_ERROR, PUBLISH, PUBREL, QUOTA_EXCEEDED, SERVER_UNAVAILABLE,
  SUBSCRIBE, TOO_LARGE, UNSUBSCRIBE,
} from '../wire/codes.js';
import {
  encodeAcknowledgement, encodeField, encodeFiltersHeader, encodeHeader, encodeUint16,
  packetBytes, publishBytes, SHORT_PACKET_BYTES,
} from '../wire/encode.js';
import { checkTopicName } from '../wire/topic.js';
import type { Client } from './client.js';
import { CONNECTED } from './states.js';
import { LEAVING } from './subscriptions.js';

const DUPLICATE = 8;

/** As `Client.publish`. */
export function publish(
  client: Client, topic: Uint8Array, payload: Uint8Array, qos: number, retain: boolean,
): number {
  const topicBytes = topic.length;
  const byteCount = publishBytes(topicBytes, payload.length, qos);
  if (topicBytes > 0xffff || byteCount > client.limits.packetBytesMax) return TOO_LARGE;
  const outcome = checkTopicName(topic, 0, topicBytes);
  if (outcome !== OK) return outcome;
  if (qos !== 0 && qos !== 1 && qos !== 2) return PROTOCOL_ERROR;
  const { state, options } = client;
  const keeps = qos !== 0 || options.queueQos0;
  if (qos === 0 && state === CONNECTED &&
      !(keeps && client.memory.deliveries.cursor[0] !== NONE)) {
    if (client.waiting) transmitWaiting(client); // what came first goes first
    const at = client.reserve(byteCount);
    if (at !== NONE) {
      encodeNow(client, at, topic, payload, retain);
      return OK;
    }
  }
  if (!keeps) {
    client.counters.droppedQos0++;
    return state === CONNECTED ? QUOTA_EXCEEDED : SERVER_UNAVAILABLE;
  }
  const handle = enqueue(client, topic, payload, qos << 1 | (retain ? 1 : 0));
  if (handle > 0) client.transmitSoon();
  return handle;
}

function encodeNow(
  client: Client, at: number, topic: Uint8Array, payload: Uint8Array, retain: boolean,
): void {
  const bytes = client.bytes;
  const remaining = topic.length + payload.length + 2;
  const bodyAt = encodeHeader(bytes, at, PUBLISH << 4 | (retain ? 1 : 0), remaining);
  const payloadAt = encodeField(bytes, bodyAt, topic);
  bytes.set(payload, payloadAt);
  client.counters.messagesSent++;
  client.sent(payloadAt + payload.length);
}

/** Stores the message behind those that wait; returns its handle, or QUOTA_EXCEEDED. */
function enqueue(
  client: Client, topic: Uint8Array, payload: Uint8Array, flags: number,
): number {
  const { bytes, memory } = client;
  const { deliveries, queued, scratchStart } = memory;
  const topicEnd = encodeField(bytes, scratchStart, topic);
  const end = topicEnd + payload.length;
  bytes.set(payload, topicEnd);
  if (!makeRoom(client, topicEnd, end - scratchStart)) {
    client.counters.droppedNew++;
    return QUOTA_EXCEEDED;
  }
  const message = queued.store(scratchStart + 2, topicEnd, topicEnd, end, flags);
  const row = deliveries.append(0, message, flags);
  queued.release(message);
  return row + 1;
}

/**
 * Sees to a free row and the blocks for `byteCount` bytes of the message in the scratch, whose
 * topic ends at `topicEnd`; false when there is no room, and then nothing was dropped.
 */
function makeRoom(client: Client, topicEnd: number, byteCount: number): boolean {
  const { deliveries, queued, scratchStart } = client.memory;
  const blocks = queued.blocks.blocksFor(byteCount);
  if (deliveries.freeRows > 0 && queued.blocks.freeCount >= blocks) return true;
  const queueFull = client.limits.queueFull;
  if (queueFull === QueueFull.REFUSE_NEW || !canMakeRoom(client, blocks)) return false;
  do {
    let row = NONE;
    if (queueFull === QueueFull.KEEP_LATEST) {
      row = deliveries.dropSameTopic(0, scratchStart, topicEnd);
    }
    if (row === NONE) row = deliveries.dropOldest(0);
    if (row === NONE) return false;
    client.counters.droppedOld++;
    client.options.observer.dropped(row + 1);
  } while (deliveries.freeRows === 0 || queued.blocks.freeCount < blocks);
  return true;
}

/** Whether dropping all that may be dropped would make room. */
function canMakeRoom(client: Client, blocks: number): boolean {
  const { deliveries, queued } = client.memory;
  let rows = deliveries.freeRows;
  let free = queued.blocks.freeCount;
  let row = deliveries.head[0];
  for (; row !== NONE && (rows === 0 || free < blocks); row = deliveries.next[row]) {
    if (deliveries.state[row] !== QUEUED) continue;
    rows++;
    free += queued.blocksOf(deliveries.message[row]);
  }
  return rows > 0 && free >= blocks;
}

/**
 * The broker still has our session: transmit again what it has not acknowledged [MQTT-4.4.0-1]. If
 * it is `unsure` whether that is the old session or one that began with a CONNACK that was lost,
 * filters are subscribed again, too.
 */
export function resumeSession(client: Client, unsure: boolean): void {
  client.memory.deliveries.resume(0);
  if (unsure) client.memory.subscriptions.restart();
}

/**
 * The broker begins a new session. What it has not acknowledged is published anew; what it had
 * taken (PUBREC) is its own since then, and done. Filters are subscribed again. Not so in MQTT 3.1,
 * where CONNACK does not tell: there a session that is asked for is taken to be there, and a broker
 * that forgot it may lose the first QoS 2 messages whose identifiers were in use.
 */
export function startSession(client: Client): void {
  const { deliveries, packetIds, subscriptions } = client.memory;
  if (client.options.protocolLevel === LEVEL_3_1 && !client.options.cleanSession) {
    resumeSession(client, true);
    return;
  }
  packetIds.clear(0);
  const link = client.link; // which the application may end from what it is told here
  let row = firstReleased(client);
  for (; row !== NONE && client.link === link; row = firstReleased(client)) {
    deliveries.remove(0, deliveries.find(0, deliveries.packetId[row]));
    client.options.observer.delivered(row + 1);
  }
  if (client.link === link) deliveries.restart(0);
  row = subscriptions.leaving(0);
  for (; row !== NONE && client.link === link; row = subscriptions.leaving(row + 1)) {
    tellUnsubscribed(client, row);
  }
  subscriptions.restart();
}

function firstReleased(client: Client): number {
  const deliveries = client.memory.deliveries;
  let row = deliveries.head[0];
  while (row !== NONE && deliveries.state[row] !== RELEASED) row = deliveries.next[row];
  return row;
}

function tellUnsubscribed(client: Client, row: number): void {
  const { bytes, memory } = client;
  const end = memory.subscriptions.read(row, memory.scratchStart);
  memory.subscriptions.remove(row);
  client.options.observer.unsubscribed(bytes, memory.scratchStart, end);
}

/**
 * Encodes what waits, as far as outbox and window allow: subscriptions, what is in flight and must
 * go again, then the queue. Leaves `client.waiting` when there was no room for more.
 */
export function transmitWaiting(client: Client): void {
  const deliveries = client.memory.deliveries;
  if (!transmitSubscriptions(client)) return;
  client.waiting = false;
  let row = deliveries.toTransmit(0);
  while (row !== NONE && client.state === CONNECTED) { // which `delivered` may end
    if (!transmitRow(client, row)) {
      client.waiting = true;
      return;
    }
    row = deliveries.toTransmit(0);
  }
}

/** One SUBSCRIBE or UNSUBSCRIBE for each filter that changed; false without room. */
function transmitSubscriptions(client: Client): boolean {
  const { bytes, memory } = client;
  const { subscriptions } = memory;
  let row = subscriptions.toTransmit(0);
  for (; row !== NONE; row = subscriptions.toTransmit(row + 1)) {
    const leaving = subscriptions.wanted[row] === LEAVING;
    const filterBytes = subscriptions.filterBytes[row];
    const listBytes = filterBytes + (leaving ? 2 : 3);
    const start = client.reserve(packetBytes(listBytes + 2));
    if (start === NONE) return false;
    const type = leaving ? UNSUBSCRIBE : SUBSCRIBE;
    const packetId = subscriptions.firstPacketId + row;
    let at = encodeFiltersHeader(bytes, start, type, packetId, listBytes);
    at = subscriptions.read(row, encodeUint16(bytes, at, filterBytes));
    if (!leaving) bytes[at++] = subscriptions.wanted[row];
    subscriptions.transmitted(row, type);
    client.sent(at);
  }
  return true;
}

/** PUBLISH, the same with DUP if it was sent before [MQTT-3.3.1-1], or PUBREL. */
function transmitRow(client: Client, row: number): boolean {
  const { deliveries, queued } = client.memory;
  const state = deliveries.state[row];
  if (state === RELEASED) {
    const at = client.reserve(SHORT_PACKET_BYTES);
    if (at === NONE) return false;
    const packetId = deliveries.transmit(0, row);
    client.sent(encodeAcknowledgement(client.bytes, at, PUBREL, packetId));
    return true;
  }
  const message = deliveries.message[row];
  const qos = deliveries.flags[row] >> 1;
  const flags = deliveries.flags[row] | (state === PUBLISHED ? DUPLICATE : 0);
  const at = client.reserve(queued.publishBytes(message, qos));
  if (at === NONE) return false;
  client.counters.messagesSent++;
  if (qos !== 0) {
    client.sent(queued.encode(message, at, flags, deliveries.transmit(0, row)));
    return true;
  }
  client.sent(queued.encode(message, at, flags, 0));
  deliveries.sentOnce(0, row);
  client.options.observer.delivered(row + 1);
  return true;
}
