// How connections end: in order, refused, lost or taken over. Called by the switch, by CONNECT and
// by time.

import {
  MALFORMED, NONE, PROTOCOL_ERROR, RECEIVE_MAXIMUM_EXCEEDED,
  TOO_LARGE, TOPIC_FILTER_INVALID, TOPIC_NAME_INVALID,
} from '../wire/codes.js';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';
import {
  BYTES_SENT, CLIENTS_CONNECTED, ENDED_KEEP_ALIVE, ENDED_LINK_LOST, ENDED_TAKEN_OVER,
  ERRORS_MALFORMED, ERRORS_PROTOCOL, ERRORS_RECEIVE_MAXIMUM, ERRORS_TOO_LARGE, ERRORS_TOPIC,
  REFUSED_CONNECT_TIMEOUT,
} from './counters.js';
import { publishStored } from './publish-locally.js';
import { NEVER } from './sessions.js';

/** Why a connection ended: reason codes of MQTT 5.0, section 2.4, where it has one. */
export const CLIENT_CLOSED = 0x00;
export const LINK_LOST = 0x80;
export const SERVER_SHUTTING_DOWN = 0x8b;
export const KEEP_ALIVE_TIMEOUT = 0x8d;
export const TAKEN_OVER = 0x8e;
/** CONNACK said why. */
export const CONNECT_REFUSED = 0x100;
/** No CONNECT within the limit, or not before somebody else needed the slot. */
export const CONNECT_TIMEOUT = 0x101;

/** Ends the connection for what the peer sent: `outcome` is the negative reason. */
export function refuse(broker: Broker, connection: Connection, outcome: number): void {
  broker.counters[errorCounter(outcome)]++;
  endConnection(broker, connection, outcome);
}

function errorCounter(outcome: number): number {
  switch (outcome) {
    case MALFORMED:
      return ERRORS_MALFORMED;
    case TOO_LARGE:
      return ERRORS_TOO_LARGE;
    case TOPIC_NAME_INVALID:
    case TOPIC_FILTER_INVALID:
      return ERRORS_TOPIC;
    case RECEIVE_MAXIMUM_EXCEEDED:
      return ERRORS_RECEIVE_MAXIMUM;
    case PROTOCOL_ERROR:
    default:
      return ERRORS_PROTOCOL;
  }
}

/**
 * Closes the link, frees the slot, and ends the session if it was clean. The will is published for
 * every reason but CLIENT_CLOSED [MQTT-3.1.2-8], [MQTT-3.14.4-3].
 */
export function endConnection(broker: Broker, connection: Connection, reason: number): void {
  const { link, session } = connection;
  const sessions = broker.memory.sessions;
  broker.options.observer?.connectionEnded(connection, reason);
  if (reason === LINK_LOST) broker.counters[ENDED_LINK_LOST]++;
  else if (reason === KEEP_ALIVE_TIMEOUT) broker.counters[ENDED_KEEP_ALIVE]++;
  else if (reason === TAKEN_OVER) broker.counters[ENDED_TAKEN_OVER]++;
  else if (reason === CONNECT_TIMEOUT) broker.counters[REFUSED_CONNECT_TIMEOUT]++;

  if (reason !== LINK_LOST && link !== null) {
    broker.counters[BYTES_SENT] += connection.outbox.flush(link);
    link.close();
  }
  broker.free(connection);
  if (session === NONE) return;
  broker.counters[CLIENTS_CONNECTED]--;
  sessions.slot[session] = NONE;
  sessions.fullSinceMs[session] = NEVER;
  // Nobody waits for who is offline.
  if (broker.memory.deliveries.counts[session] !== 0) broker.queueMoved = true;
  if (reason === CLIENT_CLOSED) dropWill(broker, session);
  else publishWill(broker, session);
  if (sessions.isClean(session)) discardSession(broker, session);
}

/** Publishes the will of `session`, if it has one left, and forgets it. */
export function publishWill(broker: Broker, session: number): void {
  const will = broker.memory.sessions.will(session);
  if (will !== NONE) publishStored(broker, will);
  dropWill(broker, session);
}

function dropWill(broker: Broker, session: number): void {
  const { kept, sessions } = broker.memory;
  const will = sessions.will(session);
  if (will === NONE) return;
  sessions.setWill(session, NONE);
  kept.release(will);
}

/** Forgets everything about a session that is not connected [MQTT-3.1.2-6]. */
export function discardSession(broker: Broker, session: number): void {
  const { subscriptions, replays, deliveries, packetIds, sessions } = broker.memory;
  while (subscriptions.firstOfSession[session] !== NONE) {
    const row = subscriptions.firstOfSession[session];
    replays.drop(row);
    subscriptions.remove(row);
  }
  if (deliveries.counts[session] !== 0) {
    broker.queueMoved = true;
    broker.queueFullSinceMs = NEVER;
  }
  deliveries.clear(session);
  packetIds.clear(session);
  sessions.remove(session);
}
