// The queue of a session: whether it has room, what goes in, and what goes when there is none.
// Called by who delivers and by who acknowledges.

import { QueueFull } from '../limits.js';
import { BYTES, COUNT } from '../session/deliveries.js';
import { QUEUE_CELLS } from '../table-bytes.js';
import { NONE } from '../wire/codes.js';
import type { Broker } from './broker.js';
import {
  DROPPED_EXPIRED, DROPPED_QUEUE_FULL, DROPPED_SESSION_FULL, PUBLISH_DROPPED,
} from './counters.js';
import { nowSeconds } from './publish-properties.js';
import { NEVER } from './sessions.js';

/** Whether the queue of `session` takes a message of `byteCount` bytes of topic and content. */
export function hasRoom(broker: Broker, session: number, byteCount: number): boolean {
  const queues = broker.memory.deliveries.queues;
  const limits = broker.limits;
  const at = session * QUEUE_CELLS;
  return queues[at + COUNT] < limits.sessionQueuedMax &&
    queues[at + BYTES] + byteCount <= limits.sessionQueuedBytesMax;
}

/** Something left the queue of `session`: whoever waits for room may try again. */
export function madeProgress(broker: Broker, session: number): void {
  const { deliveries, queued, sessions } = broker.memory;
  const at = session * QUEUE_CELLS;
  broker.queueMoved = true;
  if (deliveries.queues[at + COUNT] * 2 <= broker.limits.sessionQueuedMax &&
      deliveries.queues[at + BYTES] * 2 <= broker.limits.sessionQueuedBytesMax) {
    sessions.fullSinceMs[session] = NEVER;
  }
  if (deliveries.freeRows * 2 >= broker.limits.queuedMax &&
      queued.blocks.freeCount * 2 >= queued.blocks.blockCount) broker.queueFullSinceMs = NEVER;
}

/** Counts a delivery that did not happen, and why. */
export function drop(broker: Broker, reason: number): void {
  broker.counters[PUBLISH_DROPPED]++;
  broker.counters[reason]++;
}

/** Drops what has expired before it went out to `session`, 5.0 [MQTT-3.3.2-5]. */
export function dropExpired(broker: Broker, session: number): void {
  const { deliveries, queued } = broker.memory;
  if (queued.expiringCount === 0) return;
  const count = deliveries.dropExpired(session, nowSeconds(broker));
  if (count === 0) return;
  broker.counters[PUBLISH_DROPPED] += count;
  broker.counters[DROPPED_EXPIRED] += count;
  madeProgress(broker, session);
}

/**
 * Puts the message in hand, stored as `message` or NONE if there was no room, into the queue of a
 * session, or drops and counts it when that is full. `via` as in `BrokerMemory`.
 */
export function enqueue(
  broker: Broker, session: number, message: number, flags: number, via: number,
): void {
  const { deliveries, queued } = broker.memory;
  if (message === NONE) {
    drop(broker, DROPPED_QUEUE_FULL);
    return;
  }
  const byteCount = queued.byteCount(message);
  if (!hasRoom(broker, session, byteCount)) {
    dropExpired(broker, session);
    while (!hasRoom(broker, session, byteCount)) {
      drop(broker, DROPPED_SESSION_FULL);
      if (!makeRoom(broker, session)) return;
    }
  }
  if (deliveries.freeRows === 0) {
    drop(broker, DROPPED_QUEUE_FULL);
    return;
  }
  deliveries.append(session, message, flags, via);
}

function makeRoom(broker: Broker, session: number): boolean {
  const deliveries = broker.memory.deliveries;
  const { topicStart, topicEnd } = broker.packet;
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
