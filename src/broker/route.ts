// From one message to the sessions that want it: match, see whether there is room, keep it if it
// asks so, deliver. Called for PUBLISH, for wills, and for what the application and `$SYS` publish,
// with the message in hand (deliver.ts).

import { WITH_PROPERTIES } from '../session/messages.js';
import { NONE, OK } from '../wire/codes.js';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';
import { DROPPED_RETAINED_FULL } from './counters.js';
import { deliverNow, transmitWaiting } from './deliver.js';
import { dropExpired, enqueue, hasRoom } from './queue.js';
import { pickMember } from './shared.js';
import { NEXT_SHARED, OPTIONS, SESSION } from './subscriptions.js';

const RETAIN = 1;
const QOS = 6;

/** Bytes of topic and content of the message in hand. */
function bytesInHand(broker: Broker): number {
  const packet = broker.packet;
  return packet.topicEnd - packet.topicStart + packet.payloadEnd - packet.contentStart;
}

/**
 * Whether the message in hand, of QoS 1 or 2 from `publisher`, should wait for one of those matched
 * last: a subscriber that is connected and full, or the queue that all share. Nobody waits for a
 * session that is offline, nor for itself: its own acknowledgements come behind the message. Who
 * was full for `slowSubscriberMs` is not waited for until half of its queue is free.
 */
export function mustWait(broker: Broker, publisher: Connection): boolean {
  const { deliveries, queued, sessions, subscriptions } = broker.memory;
  const byteCount = bytesInHand(broker);
  let wanted = 0;
  let others = 0; // who may free something: connected, and not the publisher
  const count = subscriptions.matchedCount;
  for (let i = 0; i < count; i++) {
    const match = subscriptions.matched[i];
    if ((match & QOS) === 0) continue;
    const session = match >> 3;
    wanted++;
    if (sessions.slot[session] === NONE || session === publisher.session) continue;
    others++;
    if (!hasRoom(broker, session, byteCount) && isWorthIt(broker, session, byteCount)) return true;
  }
  let first = subscriptions.firstShared;
  for (; first !== NONE; first = subscriptions.cells[first + NEXT_SHARED]) {
    const row = pickMember(broker, first, QOS, byteCount);
    if (row === NONE || (subscriptions.cells[row + OPTIONS] & QOS) === 0) continue;
    const session = subscriptions.cells[row + SESSION];
    wanted++;
    if (sessions.slot[session] === NONE || session === publisher.session) continue;
    others++;
    if (!hasRoom(broker, session, byteCount) && isWorthIt(broker, session, byteCount)) return true;
  }
  if (others === 0 || (deliveries.freeRows >= wanted &&
      queued.blocks.blocksFor(byteCount + 2) <= queued.blocks.freeCount)) return false;
  if (broker.queueFullSinceMs < 0) broker.queueFullSinceMs = broker.nowMs;
  return isWorthWaiting(broker, broker.queueFullSinceMs);
}

/** Whether the session, which is connected and full, may soon have room, and has it not now. */
function isWorthIt(broker: Broker, session: number, byteCount: number): boolean {
  dropExpired(broker, session);
  if (hasRoom(broker, session, byteCount)) return false;
  const { fullSinceMs } = broker.memory.sessions;
  if (fullSinceMs[session] < 0) fullSinceMs[session] = broker.nowMs;
  return isWorthWaiting(broker, fullSinceMs[session]);
}

function isWorthWaiting(broker: Broker, fullSinceMs: number): boolean {
  return broker.nowMs - fullSinceMs < broker.limits.slowSubscriberMs;
}

/**
 * Whether nobody would get the message in hand, of QoS 1 or 2, because the queue that all share is
 * full.
 */
export function isRefused(broker: Broker): boolean {
  const { deliveries, queued, subscriptions } = broker.memory;
  if (deliveries.freeRows > 0 &&
      queued.blocks.blocksFor(bytesInHand(broker) + 2) <= queued.blocks.freeCount) return false;
  for (let i = 0; i < subscriptions.matchedCount; i++) {
    if ((subscriptions.matched[i] & QOS) === 0) return false;
  }
  const cells = subscriptions.cells;
  for (let first = subscriptions.firstShared; first !== NONE; first = cells[first + NEXT_SHARED]) {
    const row = pickMember(broker, first, QOS, bytesInHand(broker));
    if (row !== NONE && (cells[row + OPTIONS] & QOS) === 0) return false;
  }
  return true;
}

/**
 * Keeps, replaces or clears the retained message of the topic that was matched last. `flags`: QoS
 * and RETAIN as in a PUBLISH, WITH_PROPERTIES and EXPIRES. False when it cannot be kept.
 */
export function keep(broker: Broker, flags: number): boolean {
  const { levels, retained } = broker.memory;
  const { topicStart, topicEnd, payloadStart, payloadEnd } = broker.packet;
  if (payloadStart === payloadEnd) {
    const node = retained.find(levels); // [MQTT-3.3.1-10], [MQTT-3.3.1-11]
    if (node !== NONE) retained.clear(node);
    return true;
  }
  const contentStart = (flags & WITH_PROPERTIES) === 0 ? payloadStart : broker.packet.contentStart;
  if (retained.set(levels, topicStart, topicEnd, contentStart, payloadEnd, flags)) return true;
  broker.counters[DROPPED_RETAINED_FULL]++;
  return false;
}

/**
 * Delivers the message in hand to the sessions matched last, at the lower of the two QoS, with
 * RETAIN 0 [MQTT-3.3.1-9] or as it was published. `matches` counts those of shared subscriptions,
 * too; `flags` as in `keep`.
 */
export function deliver(broker: Broker, matches: number, flags: number): number {
  const memory = broker.memory;
  const subscriptions = memory.subscriptions;
  const count = subscriptions.matchedCount;
  const qosFlags = flags & QOS;
  let message = NONE;
  for (let i = 0; i < count; i++) {
    const match = subscriptions.matched[i];
    const session = match >> 3;
    if (qosFlags === 0 || (match & QOS) === 0) {
      const slot = memory.sessions.slot[session];
      if (slot === NONE) continue;
      deliverNow(broker, memory.connections[slot], match & flags, NONE);
    } else {
      if (message === NONE) message = store(broker, flags);
      const granted = match & QOS;
      enqueue(broker, session, message,
        (granted < qosFlags ? granted : qosFlags) | match & flags & RETAIN, NONE);
    }
  }
  if (matches !== count) message = deliverShared(broker, flags, message);
  if (message === NONE) return OK;
  memory.queued.release(message);
  // Not before: what is transmitted may be laid out where this message stands, in the scratch.
  return transmitMatched(broker, matches);
}

/** The sessions matched last that have the message in their queues go on with these. */
function transmitMatched(broker: Broker, matches: number): number {
  const { connections, sessions, subscriptions } = broker.memory;
  const count = subscriptions.matchedCount;
  for (let i = 0; i < count; i++) {
    if ((subscriptions.matched[i] & QOS) === 0) continue; // it has the message
    const slot = sessions.slot[subscriptions.matched[i] >> 3];
    if (slot !== NONE) transmitWaiting(broker, connections[slot]);
  }
  let row = subscriptions.firstShared;
  for (; row !== NONE && matches !== count; row = subscriptions.cells[row + NEXT_SHARED]) {
    const slot = sessions.slot[subscriptions.cells[row + SESSION]];
    if (slot !== NONE) transmitWaiting(broker, connections[slot]);
  }
  return OK;
}

/** The message in hand in the store of the queues, held once, or NONE without room. */
function store(broker: Broker, flags: number): number {
  const packet = broker.packet;
  return broker.memory.queued.store(packet.topicStart, packet.topicEnd,
    (flags & WITH_PROPERTIES) === 0 ? packet.payloadStart : packet.contentStart,
    packet.payloadEnd, flags & ~RETAIN);
}

/**
 * One member of each shared subscription gets the message. Leaves those in the list that `match`
 * made, in the place of its nodes' first rows. Returns the stored message, or NONE if it is not.
 */
function deliverShared(broker: Broker, flags: number, message: number): number {
  const subscriptions = broker.memory.subscriptions;
  const cells = subscriptions.cells;
  let first = subscriptions.firstShared;
  subscriptions.firstShared = NONE;
  while (first !== NONE) {
    const row = pickMember(broker, first, flags & QOS, bytesInHand(broker));
    first = cells[first + NEXT_SHARED];
    if (row === NONE) continue;
    subscriptions.rotate(row);
    cells[row + NEXT_SHARED] = subscriptions.firstShared;
    subscriptions.firstShared = row;
    const options = cells[row + OPTIONS];
    const granted = Math.min(options & QOS, flags & QOS);
    if (granted === 0) {
      deliverNow(broker, connectionOf(broker, cells[row + SESSION])!, options & flags, row);
    } else {
      if (message === NONE) message = store(broker, flags);
      enqueue(broker, cells[row + SESSION], message, granted | options & flags & RETAIN, row);
    }
  }
  return message;
}

function connectionOf(broker: Broker, session: number): Connection | undefined {
  return broker.memory.connections[broker.memory.sessions.slot[session]];
}
