// Members of shared subscriptions, MQTT 5.0 section 4.8.2: who gets a message, and who gets those
// of a session that ends. Called by route.ts and end.ts.

import { QUEUED } from '../session/deliveries.js';
import { NONE } from '../wire/codes.js';
import type { Broker } from './broker.js';
import { DROPPED_SESSION_FULL } from './counters.js';
import { drop, hasRoom } from './queue.js';
import { NEXT_OF_NODE, NODE, OPTIONS, SESSION, SHARED } from './subscriptions.js';
import { VALUE } from './topic-tree.js';

const RETAIN = 1;
const QOS = 6;
const QOS_1 = 2;

/**
 * The row, from `first` on, of the member that takes a message with the QoS in `qosFlags` and of
 * `byteCount` bytes: the first one that is connected and has room, else one that is connected, else
 * one that is not and keeps messages. NONE when nobody can have it.
 */
export function pickMember(
  broker: Broker, first: number, qosFlags: number, byteCount: number,
): number {
  const { sessions, subscriptions } = broker.memory;
  const { cells } = subscriptions;
  let connected = NONE;
  let absent = NONE;
  let absentHasRoom = false;
  for (let row = first; row !== NONE; row = cells[row + NEXT_OF_NODE]) {
    const session = cells[row + SESSION];
    const queues = qosFlags !== 0 && (cells[row + OPTIONS] & QOS) !== 0;
    if (sessions.slot[session] !== NONE) {
      if (!queues || hasRoom(broker, session, byteCount)) return row;
      if (connected === NONE) connected = row;
    } else if (queues && (absent === NONE || !absentHasRoom)) {
      absent = row;
      absentHasRoom = hasRoom(broker, session, byteCount);
    }
  }
  return connected !== NONE ? connected : absent;
}

/**
 * The row, from `first` on, of the member that takes over a message of `byteCount` bytes: the first
 * one with room in its queue, connected if there is one. NONE when there is none: a member that
 * takes QoS 0 gets nothing late. Not the one of session `except`.
 */
function pickHeir(broker: Broker, first: number, byteCount: number, except: number): number {
  const { sessions, subscriptions } = broker.memory;
  const { cells } = subscriptions;
  let absent = NONE;
  for (let row = first; row !== NONE; row = cells[row + NEXT_OF_NODE]) {
    const session = cells[row + SESSION];
    if (session === except || (cells[row + OPTIONS] & QOS) === 0 ||
        !hasRoom(broker, session, byteCount)) continue;
    if (sessions.slot[session] !== NONE) return row;
    if (absent === NONE) absent = row;
  }
  return absent;
}

/**
 * The session, not connected, is about to end for good: what came to it through shared
 * subscriptions and never reached it goes to other members. Not what it may have with QoS 2, 5.0
 * [MQTT-4.8.2-5]. Its subscriptions must still be there. What is handed over goes out with the next
 * flush; neither the scratch nor the message in hand is touched.
 */
export function handOver(broker: Broker, session: number): void {
  const { deliveries, subscriptions } = broker.memory;
  let next = NONE;
  for (let row = deliveries.head(session); row !== NONE; row = next) {
    next = deliveries.next(row);
    const from = deliveries.via(row);
    if (from < 0 || (subscriptions.cells[from + OPTIONS] & SHARED) === 0) continue;
    if (deliveries.state(row) !== QUEUED && (deliveries.flags(row) & QOS) !== QOS_1) continue;
    handOverRow(broker, session, row, subscriptions.cells[from + NODE]);
  }
}

function handOverRow(broker: Broker, session: number, row: number, node: number): void {
  const { connections, deliveries, queued, sessions, subscriptions } = broker.memory;
  const message = deliveries.message(row);
  const published = queued.flags(message) & QOS;
  const first = subscriptions.tree.cells[node + VALUE];
  const member = pickHeir(broker, first, queued.byteCount(message), session);
  if (member === NONE) {
    // Nothing is dropped where there is nobody else.
    if (subscriptions.cells[first + NEXT_OF_NODE] !== NONE) drop(broker, DROPPED_SESSION_FULL);
    return;
  }
  const heir = subscriptions.cells[member + SESSION];
  const granted = subscriptions.cells[member + OPTIONS] & QOS;
  subscriptions.rotate(member);
  const flags = (granted < published ? granted : published) | deliveries.flags(row) & RETAIN;
  // Out of the one queue before it goes into the other: so it finds room when all of it is taken.
  queued.hold(message);
  deliveries.sentOnce(session, row);
  deliveries.append(heir, message, flags, member);
  queued.release(message);
  const slot = sessions.slot[heir];
  if (slot !== NONE && !connections[slot].searching) broker.searchLater(connections[slot]);
}
