// From `publish` to the outbox: at once when the way is free, else by way of the queue, whose order
// is kept. Also what a new connection sends again. Called by client.ts.

import { PUBLISHED, QUEUED, RELEASED } from '../session/deliveries.js';
import { EXPIRES, WITH_PROPERTIES } from '../session/messages.js';
import { QueueFull } from '../limits.js';
import {
  LEVEL_3_1, LEVEL_5, NONE, OK, PROTOCOL_ERROR, PUBLISH, PUBREL, QUOTA_EXCEEDED,
  SERVER_UNAVAILABLE, SUCCESS, TOO_LARGE,
} from '../wire/codes.js';
import {
  encodeAcknowledgement, encodeField, encodeHeader, encodeProperties, encodeUint32, propertiesBytes,
  publishBytes, SHORT_PACKET_BYTES,
} from '../wire/encode.js';
import { MESSAGE_EXPIRY_INTERVAL, uint32At } from '../wire/properties.js';
import { checkTopicName } from '../wire/topic.js';
import type { Client } from './client.js';
import type { EncodedProperties } from './encoded-properties.js';
import { knownAlias, publishNow5, transmitMessage5 } from './publish-5.js';
import { CONNECTED, EXPIRED, MADE_ROOM } from './states.js';
import { transmitSubscriptions } from './subscribe.js';

const DUPLICATE = 8;

/**
 * Publishes: topic and payload are copied, QoS is 0 to 2. Returns OK when a QoS 0 message is on its
 * way; a handle > 0 when the message is kept until the broker has it, which `observer.delivered`
 * tells; or why it was not taken: TOPIC_NAME_INVALID, MALFORMED (not UTF-8), TOO_LARGE,
 * PROTOCOL_ERROR (another QoS, or properties of another packet), QUOTA_EXCEEDED (the queue is
 * full), SERVER_UNAVAILABLE (QoS 0, which is not kept, and no broker); and what the broker has told
 * that it takes not: TOO_LARGE, QOS_NOT_SUPPORTED, RETAIN_NOT_SUPPORTED. Properties are left out
 * before MQTT 5.0; the expiry of a message that is kept counts down.
 */
export function publish(
  client: Client, topic: Uint8Array, payload: Uint8Array, qos: number, retain: boolean,
  properties: EncodedProperties | null,
): number {
  const { state, options, terms } = client;
  const topicBytes = topic.length;
  const contentBytes = terms === null ? payload.length :
    payload.length + (properties === null ? 1 : propertiesBytes(properties.bytes.length));
  const byteCount = publishBytes(topicBytes, contentBytes, qos);
  if (topicBytes > 0xffff || byteCount > client.limits.packetBytesMax) return TOO_LARGE;
  let alias = terms !== null && qos === 0 ? knownAlias(client, terms, topic) : 0;
  if (alias === 0) {
    const outcome = checkTopicName(topic, 0, topicBytes);
    if (outcome !== OK) return outcome;
  }
  if (qos !== 0 && qos !== 1 && qos !== 2) return PROTOCOL_ERROR;
  if (properties !== null && properties.kind !== PUBLISH) return PROTOCOL_ERROR;
  if (state === CONNECTED && client.protocolLevel === LEVEL_5) {
    const refusal = terms!.checkPublish(byteCount, qos << 1 | (retain ? 1 : 0));
    if (refusal !== OK) return refusal;
  }
  const keeps = qos !== 0 || options.queueQos0;
  if (qos === 0 && state === CONNECTED &&
      !(keeps && client.memory.deliveries.cursor(0) !== NONE)) {
    if (client.waiting) {
      transmitWaiting(client); // what came first goes first, and may have given the topic an alias
      if (terms !== null && alias === 0) alias = knownAlias(client, terms, topic);
    }
    // From what that told, the application may have ended the connection.
    if (client.state === CONNECTED && (client.protocolLevel === LEVEL_5 ?
      publishNow5(client, byteCount, topic, payload, retain, properties, alias) :
      publishNow(client, byteCount, topic, payload, retain))) {
      client.counters.messagesSent++;
      return OK;
    }
  }
  if (!keeps) {
    client.counters.droppedQos0++;
    return client.state === CONNECTED ? QUOTA_EXCEEDED : SERVER_UNAVAILABLE;
  }
  const handle = enqueue(client, topic, payload, qos << 1 | (retain ? 1 : 0), properties);
  if (handle > 0) client.transmitSoon();
  return handle;
}

function publishNow(
  client: Client, byteCount: number, topic: Uint8Array, payload: Uint8Array, retain: boolean,
): boolean {
  const at = client.reserve(byteCount);
  if (at === NONE) return false;
  const bytes = client.bytes;
  const remaining = topic.length + payload.length + 2;
  const bodyAt = encodeHeader(bytes, at, PUBLISH << 4 | (retain ? 1 : 0), remaining);
  const payloadAt = encodeField(bytes, bodyAt, topic);
  bytes.set(payload, payloadAt);
  client.sent(payloadAt + payload.length);
  return true;
}

/** Stores the message behind those that wait; returns its handle, or QUOTA_EXCEEDED. */
function enqueue(
  client: Client, topic: Uint8Array, payload: Uint8Array, flags: number,
  properties: EncodedProperties | null,
): number {
  const { bytes, memory, terms } = client;
  const { deliveries, queued, scratchStart } = memory;
  const topicEnd = encodeField(bytes, scratchStart, topic);
  let payloadAt = topicEnd;
  let kept = flags;
  if (terms !== null && properties !== null && properties.bytes.length > 0) {
    payloadAt = encodeProperties(bytes, topicEnd, properties.bytes);
    kept |= WITH_PROPERTIES;
    if (properties.beginWith(MESSAGE_EXPIRY_INTERVAL)) {
      kept |= EXPIRES;
      setDeadline(bytes, payloadAt - properties.bytes.length + 1, terms.nowSeconds);
    }
  }
  const end = payloadAt + payload.length;
  bytes.set(payload, payloadAt);
  if (!makeRoom(client, topicEnd, end - scratchStart)) {
    client.counters.droppedNew++;
    return QUOTA_EXCEEDED;
  }
  const message = queued.store(scratchStart + 2, topicEnd, topicEnd, end, kept);
  const row = deliveries.append(0, message, flags);
  queued.release(message);
  return deliveries.handle(row);
}

/** The interval at `at` becomes a deadline; the latest one there is, if it is later. */
function setDeadline(bytes: Uint8Array, at: number, nowSeconds: number): void {
  encodeUint32(bytes, at, Math.min(uint32At(bytes, at) + nowSeconds, 0xffff_ffff));
}

/**
 * Sees to a free row and the blocks for `byteCount` bytes of the message in the scratch, whose
 * topic ends at `topicEnd`; false when there is no room, and then nothing was dropped.
 */
function makeRoom(client: Client, topicEnd: number, byteCount: number): boolean {
  const { deliveries, queued, scratchStart } = client.memory;
  const blocks = queued.blocks.blocksFor(byteCount);
  if (hasRoom(client, blocks)) return true;
  if (client.terms !== null && queued.expiringCount > 0) {
    dropExpired(client, client.terms.nowSeconds);
    if (hasRoom(client, blocks)) return true;
  }
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
    client.options.observer.dropped(client.memory.deliveries.handle(row), MADE_ROOM);
  } while (!hasRoom(client, blocks));
  return true;
}

function hasRoom({ memory: { deliveries, queued } }: Client, blocks: number): boolean {
  return deliveries.freeRows > 0 && queued.blocks.freeCount >= blocks;
}

/** Drops all that has expired while it waited. */
function dropExpired(client: Client, nowSeconds: number): void {
  const { deliveries, queued } = client.memory;
  let row: number = deliveries.head(0);
  while (row !== NONE) {
    const next = deliveries.next(row);
    if (deliveries.state(row) === QUEUED && queued.expired(deliveries.message(row), nowSeconds)) {
      drop(client, row, EXPIRED);
    }
    row = next;
  }
}

/** Whether dropping all that may be dropped would make room. */
function canMakeRoom(client: Client, blocks: number): boolean {
  const { deliveries, queued } = client.memory;
  let rows = deliveries.freeRows;
  let free = queued.blocks.freeCount;
  let row = deliveries.head(0);
  for (; row !== NONE && (rows === 0 || free < blocks); row = deliveries.next(row)) {
    if (deliveries.state(row) !== QUEUED) continue;
    rows++;
    free += queued.blocksOf(deliveries.message(row));
  }
  return rows > 0 && free >= blocks;
}

/**
 * The broker still has our session: transmit again what it has not acknowledged [MQTT-4.4.0-1]. If
 * it is `unsure` whether that is the old session or one that began with a CONNACK that was lost,
 * filters are subscribed again, too.
 */
export function resumeSession(
  client: Client, unsure: boolean, receiveMaximum: number,
): void {
  client.memory.deliveries.resume(0, receiveMaximum);
  if (unsure) client.memory.subscriptions.restart();
}

/**
 * The broker begins a new session. What it has not acknowledged is published anew; what it had
 * taken (PUBREC) is its own since then, and done. Filters are subscribed again. Not so in MQTT 3.1,
 * where CONNACK does not tell: there a session that is asked for is taken to be there, and a broker
 * that forgot it may lose the first QoS 2 messages whose identifiers were in use.
 */
export function startSession(client: Client, receiveMaximum: number): void {
  const { deliveries, packetIds, subscriptions } = client.memory;
  if (client.protocolLevel === LEVEL_3_1 && !client.options.cleanSession) {
    resumeSession(client, true, receiveMaximum);
    return;
  }
  packetIds.clear(0);
  const link = client.link; // which the application may end from what it is told here
  let row = firstReleased(client);
  for (; row !== NONE && client.link === link; row = firstReleased(client)) {
    deliveries.remove(0, deliveries.find(0, deliveries.packetId(row)));
    client.options.observer.delivered(client.memory.deliveries.handle(row), SUCCESS);
  }
  if (client.link === link) deliveries.restart(0, receiveMaximum);
  row = subscriptions.leaving(0);
  for (; row !== NONE && client.link === link; row = subscriptions.leaving(row + 1)) {
    tellUnsubscribed(client, row);
  }
  subscriptions.restart();
}

function firstReleased(client: Client): number {
  const deliveries = client.memory.deliveries;
  let row = deliveries.head(0);
  while (row !== NONE && deliveries.state(row) !== RELEASED) row = deliveries.next(row);
  return row;
}

function tellUnsubscribed(client: Client, row: number): void {
  const { bytes, memory } = client;
  const end = memory.subscriptions.read(row, memory.scratchStart);
  memory.subscriptions.remove(row);
  client.options.observer.unsubscribed(bytes, memory.scratchStart, end, SUCCESS);
}

/**
 * Encodes what waits, as far as outbox and window allow: subscriptions, what is in flight and must
 * go again, then the queue. Leaves `client.waiting` when there was no room for more.
 */
export function transmitWaiting(client: Client): void {
  const deliveries = client.memory.deliveries;
  client.waiting = false; // unless the application asks for more from what it is told here
  if (!transmitSubscriptions(client)) {
    client.waiting = client.state === CONNECTED;
    return;
  }
  let row = deliveries.toTransmit(0);
  while (row !== NONE && client.state === CONNECTED) { // which `delivered` may end
    if (!transmitRow(client, row)) {
      client.waiting = true;
      return;
    }
    row = deliveries.toTransmit(0);
  }
}

/** PUBLISH, the same with DUP if it was sent before [MQTT-3.3.1-1], or PUBREL. */
function transmitRow(client: Client, row: number): boolean {
  const { deliveries, queued } = client.memory;
  const state = deliveries.state(row);
  if (state === RELEASED) {
    const at = client.reserve(SHORT_PACKET_BYTES);
    if (at === NONE) return false;
    const packetId = deliveries.transmit(0, row);
    client.sent(encodeAcknowledgement(client.bytes, at, PUBREL, packetId));
    return true;
  }
  const message = deliveries.message(row);
  if (state === QUEUED && client.terms !== null &&
      queued.expired(message, client.terms.nowSeconds)) {
    drop(client, row, EXPIRED);
    return true;
  }
  const qos = deliveries.flags(row) >> 1;
  const flags = deliveries.flags(row) | (state === PUBLISHED ? DUPLICATE : 0);
  if (client.protocolLevel === LEVEL_5) {
    const byteCount = queued.publishBytes5(message, qos, queued.topicBytes(message), 0);
    const refusal = client.terms!.checkPublish(byteCount, flags);
    if (refusal !== OK) {
      drop(client, row, refusal);
      return true;
    }
    if (!transmitMessage5(client, row, flags, byteCount)) return false;
  } else {
    const at = client.reserve(queued.publishBytes(message, qos));
    if (at === NONE) return false;
    client.sent(queued.encode(message, at, flags, qos === 0 ? 0 : deliveries.transmit(0, row)));
  }
  client.counters.messagesSent++;
  if (qos !== 0) return true;
  deliveries.sentOnce(0, row);
  client.options.observer.delivered(client.memory.deliveries.handle(row), SUCCESS);
  return true;
}

function drop(client: Client, row: number, reason: number): void {
  client.memory.deliveries.sentOnce(0, row);
  if (reason === EXPIRED) client.counters.droppedExpired++;
  else client.counters.droppedRefused++;
  client.options.observer.dropped(client.memory.deliveries.handle(row), reason);
}
