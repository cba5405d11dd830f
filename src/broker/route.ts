// From one message to the sessions that want it: match, see whether there is room, keep it if it
// asks so, deliver. Called for PUBLISH, for wills, and for what the application and `$SYS` publish.

import { NONE } from '../wire/codes.js';
import { encodePublish, encodePublishBody, packetBytes } from '../wire/encode.js';
import { QueueFull } from '../limits.js';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';
import {
  DROPPED_OUTBOX_FULL, DROPPED_QUEUE_FULL, DROPPED_RETAINED_FULL, DROPPED_SESSION_FULL,
  PUBLISH_DROPPED, PUBLISH_SENT,
} from './counters.js';
import { hasRoom, reserve, transmitWaiting } from './deliver.js';
import { NEVER } from './sessions.js';

/**
 * Whether a message of QoS 1 or 2 from `publisher` should wait for one of the `matches`: a
 * subscriber that is connected and full, or the queue that all share. Nobody waits for a session
 * that is offline, nor for itself: its own acknowledgements come behind the message. Who was full
 * for `slowSubscriberMs` is not waited for until half of its queue is free.
 */
export function mustWait(
  broker: Broker, publisher: Connection, matches: number, byteCount: number,
): boolean {
  const { deliveries, queued, sessions, subscriptions } = broker.memory;
  let wanted = 0;
  let others = 0; // who may free something: connected, and not the publisher
  for (let i = 0; i < matches; i++) {
    if ((subscriptions.matched[i] & 3) === 0) continue;
    const session = subscriptions.matched[i] >> 2;
    wanted++;
    if (sessions.slot[session] === NONE || session === publisher.session) continue;
    others++;
    if (hasRoom(broker, session, byteCount)) continue;
    if (sessions.fullSinceMs[session] < 0) sessions.fullSinceMs[session] = broker.nowMs;
    if (isWorthWaiting(broker, sessions.fullSinceMs[session])) return true;
  }
  if (others === 0 || (deliveries.freeRows >= wanted &&
      queued.blocks.blocksFor(byteCount + 2) <= queued.blocks.freeCount)) return false;
  if (broker.queueFullSinceMs < 0) broker.queueFullSinceMs = broker.nowMs;
  return isWorthWaiting(broker, broker.queueFullSinceMs);
}

function isWorthWaiting(broker: Broker, fullSinceMs: number): boolean {
  return broker.nowMs - fullSinceMs < broker.limits.slowSubscriberMs;
}

/** Something left the queue of `session`: whoever waits for room may try again. */
export function madeProgress(broker: Broker, session: number): void {
  const { deliveries, queued, sessions } = broker.memory;
  broker.queueMoved = true;
  if (deliveries.counts[session] * 2 <= broker.limits.sessionQueuedMax &&
      deliveries.bytes[session] * 2 <= broker.limits.sessionQueuedBytesMax) {
    sessions.fullSinceMs[session] = NEVER;
  }
  if (deliveries.freeRows * 2 >= broker.limits.queuedMax &&
      queued.blocks.freeCount * 2 >= queued.blocks.blockCount) broker.queueFullSinceMs = NEVER;
}

/** Keeps, replaces or clears the retained message of the topic that was matched last. */
export function keep(
  broker: Broker, topicStart: number, topicEnd: number,
  payloadStart: number, payloadEnd: number, flags: number,
): void {
  const { levels, retained } = broker.memory;
  if (payloadStart === payloadEnd) {
    const node = retained.find(levels); // [MQTT-3.3.1-10], [MQTT-3.3.1-11]
    if (node === NONE) return;
    retained.clear(node);
  } else if (!retained.set(levels, topicStart, topicEnd, payloadStart, payloadEnd, flags)) {
    broker.counters[DROPPED_RETAINED_FULL]++;
  }
}

/**
 * Delivers to the sessions matched last, at the lower of the two QoS and with RETAIN 0
 * [MQTT-3.3.1-9]. Topic and payload lie in the memory, the topic behind its two length bytes.
 */
export function deliver(
  broker: Broker, matches: number, topicStart: number, topicEnd: number,
  payloadStart: number, payloadEnd: number, qos: number,
): void {
  const memory = broker.memory;
  const subscriptions = memory.subscriptions;
  let message = NONE;
  for (let i = 0; i < matches; i++) {
    const session = subscriptions.matched[i] >> 2;
    const slot = memory.sessions.slot[session];
    const granted = qos !== 0 && (subscriptions.matched[i] & 3) < qos ?
      subscriptions.matched[i] & 3 :
      qos;
    if (granted === 0) {
      if (slot === NONE) continue;
      deliverNow(broker, memory.connections[slot], topicStart, topicEnd, payloadStart, payloadEnd);
      continue;
    }
    if (message === NONE) {
      message = memory.queued.store(topicStart, topicEnd, payloadStart, payloadEnd, qos << 1);
    }
    if (message === NONE) drop(broker, DROPPED_QUEUE_FULL);
    else enqueue(broker, session, message, granted << 1, topicStart, topicEnd);
  }
  if (message === NONE) return;
  memory.queued.release(message);
  // Not before: what is transmitted may be laid out where this message stands, in the scratch.
  for (let i = 0; i < matches; i++) {
    if ((subscriptions.matched[i] & 3) === 0) continue; // it has the message, nothing was queued
    const slot = memory.sessions.slot[subscriptions.matched[i] >> 2];
    if (slot !== NONE) transmitWaiting(broker, memory.connections[slot]);
  }
}

/** QoS 0 goes straight into the outbox, or is dropped when the subscriber does not keep up. */
function deliverNow(
  broker: Broker, connection: Connection, topicStart: number, topicEnd: number,
  payloadStart: number, payloadEnd: number,
): void {
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

/** Puts the message into the queue of a session, or drops and counts it when that is full. */
function enqueue(
  broker: Broker, session: number, message: number, flags: number, topicStart: number,
  topicEnd: number,
): void {
  const { deliveries, queued } = broker.memory;
  const byteCount = queued.byteCount(message);
  while (!hasRoom(broker, session, byteCount)) {
    drop(broker, DROPPED_SESSION_FULL);
    if (!makeRoom(broker, session, topicStart, topicEnd)) return;
  }
  if (deliveries.freeRows === 0) {
    drop(broker, DROPPED_QUEUE_FULL);
    return;
  }
  deliveries.append(session, message, flags);
}

function makeRoom(
  broker: Broker, session: number, topicStart: number, topicEnd: number,
): boolean {
  const deliveries = broker.memory.deliveries;
  switch (broker.limits.queueFull) {
    case QueueFull.DROP_OLDEST:
      return deliveries.dropOldest(session) !== NONE;
    case QueueFull.KEEP_LATEST:
      return deliveries.dropSameTopic(session, topicStart - 2, topicEnd) !== NONE ||
        deliveries.dropOldest(session) !== NONE;
    default:
      return false;
  }
}

function drop(broker: Broker, reason: number): void {
  broker.counters[PUBLISH_DROPPED]++;
  broker.counters[reason]++;
}
