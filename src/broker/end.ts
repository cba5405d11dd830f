// How connections end: in order, refused, lost or taken over; and sessions with them, or later.
// Called by dispatch.ts, by CONNECT and by time.

import {
  DISCONNECT_WITH_WILL, LEVEL_5, MALFORMED, NONE, OK, PROTOCOL_ERROR, RECEIVE_MAXIMUM_EXCEEDED,
  SUCCESS, TOO_LARGE, TOPIC_ALIAS_INVALID, TOPIC_FILTER_INVALID, TOPIC_NAME_INVALID,
} from '../wire/codes.js';
import { SESSION_EXPIRY_INTERVAL, uint32At } from '../wire/properties.js';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';
import {
  BYTES_SENT, CLIENTS_CONNECTED, ENDED_KEEP_ALIVE, ENDED_LINK_LOST, ENDED_TAKEN_OVER,
  ERRORS_MALFORMED, ERRORS_PROTOCOL, ERRORS_RECEIVE_MAXIMUM, ERRORS_TOO_LARGE, ERRORS_TOPIC,
  REFUSED_CONNECT_TIMEOUT,
} from './counters.js';
import { sayDisconnected, sayRefused } from './last-words.js';
import { expiryOf, NEVER } from './sessions.js';
import { handOver } from './shared.js';
import { dropWill, publishWill } from './wills.js';

/** Why a connection ended: reason codes of MQTT 5.0, section 2.4, where it has one. */
export const CLIENT_CLOSED = 0x00;
/** The same, and its will is wanted: it said so, or gave an error as its reason. */
export const CLIENT_CLOSED_WITH_WILL = DISCONNECT_WITH_WILL;
export const LINK_LOST = 0x80;
export const SERVER_SHUTTING_DOWN = 0x8b;
export const KEEP_ALIVE_TIMEOUT = 0x8d;
export const TAKEN_OVER = 0x8e;
/** CONNACK said why. */
export const CONNECT_REFUSED = 0x100;
/** No CONNECT within the limit, or not before somebody else needed the slot. */
export const CONNECT_TIMEOUT = 0x101;

/**
 * Ends the connection for what the peer sent: `outcome` is the negative reason. Before CONNACK, a
 * client of MQTT 5.0 is told in CONNACK, 5.0 section 4.13.1.
 */
export function refuse(broker: Broker, connection: Connection, outcome: number): void {
  broker.counters[errorCounter(outcome)]++;
  if (connection.session === NONE && broker.packet.protocolLevel >= LEVEL_5) {
    sayRefused(broker, connection, -outcome);
  }
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
    case TOPIC_ALIAS_INVALID:
      return ERRORS_TOPIC;
    case RECEIVE_MAXIMUM_EXCEEDED:
      return ERRORS_RECEIVE_MAXIMUM;
    case PROTOCOL_ERROR:
    default:
      return ERRORS_PROTOCOL;
  }
}

/**
 * DISCONNECT from the client. In MQTT 5.0 it may change how long the session is kept, but not keep
 * one that was to end with the connection, section 3.14.2.2.2, and may want the will published.
 */
export function handleDisconnect(broker: Broker, connection: Connection): number {
  const { bytes, packet } = broker;
  const { sessions } = broker.memory;
  const { protocolLevel, session } = connection;
  const expiryAt = protocolLevel === LEVEL_5 ? packet.properties[SESSION_EXPIRY_INTERVAL] : 0;
  if (expiryAt !== 0 && session !== NONE) {
    const seconds = uint32At(bytes, expiryAt);
    if (seconds !== 0 && sessions.expirySeconds(session) === 0) return PROTOCOL_ERROR;
    sessions.setExpiry(session, expiryOf(broker.limits, seconds));
  }
  const inOrder = protocolLevel !== LEVEL_5 || packet.reasonCode === SUCCESS;
  endConnection(broker, connection, inOrder ? CLIENT_CLOSED : CLIENT_CLOSED_WITH_WILL);
  return OK;
}

/**
 * Closes the link, frees the slot, and ends the session if it is not to outlive its connection. The
 * will is published for every reason but CLIENT_CLOSED [MQTT-3.1.2-8], [MQTT-3.14.4-3], or waits
 * for its delay; `ageSessions` then goes on.
 */
export function endConnection(broker: Broker, connection: Connection, reason: number): void {
  const session = connection.session;
  const sessions = broker.memory.sessions;
  close(broker, connection, reason);
  if (session === NONE) return;
  if (reason === CLIENT_CLOSED) dropWill(broker, session);
  else if (!sessions.isWillDelayed(session)) publishWill(broker, session);
  if (sessions.expirySeconds(session) === 0) discardSession(broker, session);
  else sessions.dueMs = 0; // the next tick notes that its client is away
}

/** All of that for the connection itself; its session is offline then. */
function close(broker: Broker, connection: Connection, reason: number): void {
  const { link, session } = connection;
  const { deliveries, sessions } = broker.memory;
  broker.options.observer?.connectionEnded(connection, reason);
  if (reason === LINK_LOST) broker.counters[ENDED_LINK_LOST]++;
  else if (reason === KEEP_ALIVE_TIMEOUT) broker.counters[ENDED_KEEP_ALIVE]++;
  else if (reason === TAKEN_OVER) broker.counters[ENDED_TAKEN_OVER]++;
  else if (reason === CONNECT_TIMEOUT) broker.counters[REFUSED_CONNECT_TIMEOUT]++;

  if (reason !== LINK_LOST && link !== null) {
    if (connection.protocolLevel === LEVEL_5) sayDisconnected(broker, connection, reason);
    broker.counters[BYTES_SENT] += connection.outbox.flush(link);
    link.close();
  }
  broker.free(connection);
  if (session === NONE) return;
  broker.counters[CLIENTS_CONNECTED]--;
  sessions.slot[session] = NONE;
  sessions.fullSinceMs[session] = NEVER;
  // Nobody waits for who is offline.
  if (deliveries.count(session) !== 0) broker.queueMoved = true;
}

/**
 * Forgets everything about a session that is not connected [MQTT-3.1.2-6]. Its will, if that still
 * waits, waits no longer, 5.0 [MQTT-3.1.2-8].
 */
export function discardSession(broker: Broker, session: number): void {
  publishWill(broker, session);
  const { subscriptions, replays, deliveries, packetIds, sessions } = broker.memory;
  if (deliveries.count(session) !== 0) handOver(broker, session);
  while (subscriptions.firstOfSession[session] !== NONE) {
    const row = subscriptions.firstOfSession[session];
    replays.drop(row);
    subscriptions.remove(row);
  }
  if (deliveries.count(session) !== 0) {
    broker.queueMoved = true;
    broker.queueFullSinceMs = NEVER;
  }
  deliveries.clear(session);
  packetIds.clear(session);
  sessions.remove(session);
}
