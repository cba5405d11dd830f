// From one message to the sessions that want it: match, see whether there is room, keep it if it
// asks so, deliver. Called for PUBLISH, for wills, and for what the application and `$SYS` publish.

import { NONE } from '../wire/codes.js';
import { encodePublish, encodePublishBody, packetBytes } from '../wire/encode.js';
import { QueueFull } from '../limits.js';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';
import * as count from './counters.js';
import { hasRoom, reserve, transmitWaiting } from './deliver.js';

/**
 * Whether a message of QoS `qos` from `publisher` should wait for one of the `matches`: a
 * subscriber that is connected and full, or the shared queue, unless it was waited for in vain
 * before. Nobody waits for itself: its own acknowledgements come behind the message.
 */
export function mustWait(
  broker: Broker, publisher: Connection, matches: number, qos: number, byteCount: number,
): boolean {
  const { deliveries, queued, sessions, subscriptions } = broker.memory;
  let wanted = 0;
  let others = 0; // who may free something: connected, and not the publisher
  for (let i = 0; i < matches; i++) {
    if (subscriptions.matchedQos[i] === 0 || qos === 0) continue;
    const session = subscriptions.matchedSessions[i];
    wanted++;
    if (sessions.slot[session] === NONE || session === publisher.session) continue;
    others++;
    if (sessions.stuck[session] !== 0 || hasRoom(broker, session, byteCount)) continue;
    if (!publisher.waited) return true;
    sessions.stuck[session] = 1;
  }
  if (others === 0 || broker.queueStuck) return false;
  if (deliveries.freeRows >= wanted &&
      queued.blocks.blocksFor(byteCount + 2) <= queued.blocks.freeCount) return false;
  if (!publisher.waited) return true;
  broker.queueStuck = true;
  return false;
}

/** Keeps, replaces or clears the retained message of the topic that was matched last. */
export function keep(
  broker: Broker, topicStart: number, topicEnd: number,
  payloadStart: number, payloadEnd: number, flags: number,
): void {
  const { levels, replays, retained } = broker.memory;
  if (payloadStart === payloadEnd) {
    const node = retained.find(levels); // [MQTT-3.3.1-10], [MQTT-3.3.1-11]
    if (node === NONE) return;
    if (replays.activeCount !== 0) replays.leave(node);
    retained.clear(node);
  } else if (!retained.set(levels, topicStart, topicEnd, payloadStart, payloadEnd, flags)) {
    broker.counters[count.DROPPED_RETAINED_FULL]++;
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
    const session = subscriptions.matchedSessions[i];
    const slot = memory.sessions.slot[session];
    const granted = qos !== 0 && subscriptions.matchedQos[i] < qos ?
      subscriptions.matchedQos[i] :
      qos;
    if (granted === 0) {
      if (slot === NONE) continue;
      deliverNow(broker, memory.connections[slot], topicStart, topicEnd, payloadStart, payloadEnd);
      continue;
    }
    if (message === NONE) {
      message = memory.queued.store(topicStart, topicEnd, payloadStart, payloadEnd, qos << 1);
    }
    if (message === NONE || !enqueue(broker, session, message, granted << 1)) {
      if (message === NONE) drop(broker, count.DROPPED_QUEUE_FULL);
      continue;
    }
    if (slot !== NONE) transmitWaiting(broker, memory.connections[slot]);
  }
  if (message !== NONE) memory.queued.release(message);
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
    drop(broker, count.DROPPED_OUTBOX_FULL);
    return;
  }
  broker.counters[count.PUBLISH_SENT]++;
  broker.sent(connection, payloadStart === topicEnd ?
    encodePublishBody(broker.bytes, at, 0, topicStart - 2, payloadEnd) :
    encodePublish(broker.bytes, at, 0, 0, topicStart, topicEnd, payloadStart, payloadEnd));
}

/**
 * Puts the message into the queue of a session; false, and counted, when it is full and stays so.
 */
function enqueue(broker: Broker, session: number, message: number, flags: number): boolean {
  const { deliveries, queued } = broker.memory;
  const byteCount = queued.topicBytes[message] + queued.payloadBytes[message];
  while (!hasRoom(broker, session, byteCount)) {
    drop(broker, count.DROPPED_SESSION_FULL);
    if (!makeRoom(broker, session, message)) return false;
  }
  if (deliveries.freeRows === 0) {
    drop(broker, count.DROPPED_QUEUE_FULL);
    return false;
  }
  deliveries.append(session, message, flags);
  return true;
}

function makeRoom(broker: Broker, session: number, message: number): boolean {
  const deliveries = broker.memory.deliveries;
  switch (broker.limits.queueFull) {
    case QueueFull.DROP_OLDEST:
      return deliveries.dropOldest(session);
    case QueueFull.KEEP_LATEST:
      return deliveries.dropSameTopic(session, message) || deliveries.dropOldest(session);
    default:
      return false;
  }
}

function drop(broker: Broker, reason: number): void {
  broker.counters[count.PUBLISH_DROPPED]++;
  broker.counters[reason]++;
}
