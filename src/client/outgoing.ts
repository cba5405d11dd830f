// From `publish` to the outbox: at once when the way is free, else by way of the queue, whose order
// is kept. Also what a new connection sends again. Called by client.ts, handle.ts, subscribe.ts.

import { PUBLISHED, QUEUED, RELEASED } from '../session/deliveries.js';
import { QueueFull } from '../limits.js';
import {
  NONE, OK, PROTOCOL_ERROR, PUBLISH, PUBREL, QUOTA_EXCEEDED, SERVER_UNAVAILABLE, SUBSCRIBE,
  TOO_LARGE, UNSUBSCRIBE,
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
  if (qos !== 0) {
    if (qos !== 1 && qos !== 2) return PROTOCOL_ERROR;
    const handle = enqueue(client, topic, payload, qos << 1 | (retain ? 1 : 0));
    if (handle > 0 && client.state === CONNECTED) transmitWaiting(client);
    return handle;
  }
  const queueQos0 = client.options.queueQos0;
  if (client.state === CONNECTED && !(queueQos0 && client.memory.deliveries.cursor[0] !== NONE)) {
    const at = client.reserve(byteCount);
    if (at !== NONE) {
      const bytes = client.bytes;
      const bodyAt = encodeHeader(
        bytes, at, PUBLISH << 4 | (retain ? 1 : 0), topicBytes + payload.length + 2);
      const payloadAt = encodeField(bytes, bodyAt, topic);
      bytes.set(payload, payloadAt);
      client.counters.messagesSent++;
      client.sent(payloadAt + payload.length);
      return OK;
    }
    client.blocked = true;
  }
  if (queueQos0) return enqueue(client, topic, payload, retain ? 1 : 0);
  client.counters.droppedQos0++;
  return client.state === CONNECTED ? QUOTA_EXCEEDED : SERVER_UNAVAILABLE;
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
  for (; row !== NONE; row = deliveries.next[row]) {
    if (deliveries.state[row] !== QUEUED) continue;
    rows++;
    free += queued.blocksOf(deliveries.message[row]);
  }
  return rows > 0 && free >= blocks;
}

/**
 * The broker still has our session: transmit again what it has not acknowledged [MQTT-4.4.0-1].
 */
export function resumeSession(client: Client): void {
  client.memory.deliveries.resume(0);
}

/**
 * The broker begins a new session. What it has not acknowledged is published anew; what it had
 * taken (PUBREC) is its own since then, and done. Filters are subscribed again.
 */
export function startSession(client: Client): void {
  const { bytes, memory } = client;
  const { deliveries, packetIds, scratchStart, subscriptions } = memory;
  const observer = client.options.observer;
  packetIds.clear(0);
  let row = deliveries.head[0];
  while (row !== NONE && deliveries.state[row] !== QUEUED) {
    const next = deliveries.next[row];
    if (deliveries.state[row] === RELEASED) {
      deliveries.remove(0, deliveries.find(0, deliveries.packetId[row]));
      observer.delivered(row + 1);
    }
    row = next;
  }
  deliveries.restart(0);
  for (row = subscriptions.leaving(0); row !== NONE; row = subscriptions.leaving(row + 1)) {
    const end = subscriptions.read(row, scratchStart);
    subscriptions.remove(row);
    observer.unsubscribed(bytes, scratchStart, end);
  }
  subscriptions.restart();
}

/**
 * Encodes what waits, as far as outbox and window allow: subscriptions, what is in flight and must
 * go again, then the queue. Sets `client.blocked` when there was no room for more.
 */
export function transmitWaiting(client: Client): void {
  const deliveries = client.memory.deliveries;
  client.blocked = !transmitSubscriptions(client);
  if (client.blocked) return;
  let row = deliveries.toTransmit(0);
  while (row !== NONE && client.state === CONNECTED) { // which `delivered` may end
    if (!transmitRow(client, row)) {
      client.blocked = true;
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
