// Time: who was silent for too long, or never sent CONNECT, is ended; sessions whose clients stay
// away end, and wills that were delayed are published. Called by the broker's tick.

import { NONE } from '../wire/codes.js';
import type { Broker } from './broker.js';
import { SLOW_SUBSCRIBER, type Connection } from './connection.js';
import { CLIENTS_EXPIRED } from './counters.js';
import { transmitWaiting } from './deliver.js';
import {
  CONNECT_TIMEOUT, discardSession, endConnection, KEEP_ALIVE_TIMEOUT,
} from './end.js';
import { publishWill } from './wills.js';

export function age(broker: Broker, connection: Connection, elapsedMs: number): void {
  // Who waits for a slow subscriber is not silent: its bytes are there, unread.
  if (connection.heard || connection.stalled === SLOW_SUBSCRIBER) connection.silentMs = 0;
  else connection.silentMs += elapsedMs;
  connection.heard = false;
  if (connection.session === NONE) {
    if (connection.silentMs >= broker.limits.connectTimeoutMs) {
      endConnection(broker, connection, CONNECT_TIMEOUT);
    }
  } else if (connection.silenceMaxMs !== 0 && connection.silentMs >= connection.silenceMaxMs) {
    endConnection(broker, connection, KEEP_ALIVE_TIMEOUT); // [MQTT-3.1.2-24], 5.0 [MQTT-3.1.2-22]
  } else if (connection.blocked) {
    transmitWaiting(broker, connection);
  }
}

/** Ends the link that has waited longest without sending CONNECT, if there is one. */
export function evictSilent(broker: Broker): void {
  let oldest: Connection | null = null;
  for (let slot = 0; slot < broker.limits.connectionsMax; slot++) {
    const connection = broker.memory.connections[slot];
    if (connection.session === NONE &&
        (oldest === null || connection.silentMs > oldest.silentMs)) {
      oldest = connection;
    }
  }
  if (oldest !== null) endConnection(broker, oldest, CONNECT_TIMEOUT);
}

/** Sessions that one tick ends or publishes the will of: what is more follows with the next. */
export const SESSIONS_PER_TICK = 64;

/**
 * Sessions whose clients are away: what is due is done, a little late rather than early. Looks at
 * none before the first of them is due.
 */
export function ageSessions(broker: Broker): void {
  const { sessions } = broker.memory;
  if (broker.nowMs < sessions.dueMs) return;
  let done = 0;
  let dueMs = Infinity;
  for (let session = 0; session < sessions.used; session++) {
    if (!sessions.isAway(session)) continue;
    sessions.noteLeft(session, broker.nowMs);
    if (done < SESSIONS_PER_TICK && ageSession(broker, session)) done++;
    if (!sessions.isAway(session)) continue;
    dueMs = Math.min(dueMs, sessions.endsAtMs(session), sessions.willAtMs(session));
  }
  sessions.dueMs = dueMs;
}

/** Whether something was due: its end, 5.0 [MQTT-4.1.0-2], or its will, 5.0 [MQTT-3.1.2-8]. */
function ageSession(broker: Broker, session: number): boolean {
  const { sessions } = broker.memory;
  if (sessions.endsAtMs(session) <= broker.nowMs) {
    broker.counters[CLIENTS_EXPIRED]++;
    discardSession(broker, session);
    return true;
  }
  if (sessions.willAtMs(session) > broker.nowMs) return false;
  publishWill(broker, session);
  return true;
}
