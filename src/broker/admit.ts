// A CONNECT with nothing against it becomes a connection with a session: found, taken over, begun
// anew. Called by handle-connect.ts, and by authenticate.ts when the client has proved itself.

import {
  ACCEPTED, CONNECT_CLEAN_SESSION, CONNECT_WILL, LEVEL_5, NONE, OK, REFUSED_UNAVAILABLE, TOO_LARGE,
} from '../wire/codes.js';
import {
  RECEIVE_MAXIMUM, uint16At, uint32At, WILL_DELAY_INTERVAL,
} from '../wire/properties.js';
import type { Broker } from './broker.js';
import {
  accept, acceptanceBytes, acceptLevel5, expiryWanted, keepAliveOf, refuseConnect,
} from './connack.js';
import type { Connection } from './connection.js';
import { CLIENTS_CONNECTED, CLIENTS_MAXIMUM } from './counters.js';
import { discardSession, endConnection, TAKEN_OVER } from './end.js';
import { checkWill, storeWill, willBytes } from './publish-properties.js';
import { EXPIRES_NEVER, expiryOf } from './sessions.js';
import { dropWill, publishWill } from './wills.js';

/**
 * Gives the client of the CONNECT in hand its session, or refuses it. `dataStart` to `dataEnd` is
 * what the method of authentication has to say in CONNACK.
 */
export function admit(
  broker: Broker, connection: Connection, dataStart: number, dataEnd: number,
): number {
  // All that can be refused is refused before anything of the stored session is touched.
  const refusal = refusalOf(broker, connection, dataEnd - dataStart);
  if (refusal !== ACCEPTED) return refuseConnect(broker, connection, refusal);
  const slot = connectedSlot(broker); // [MQTT-3.1.4-2], 5.0 [MQTT-3.1.4-3]
  if (slot !== NONE) endConnection(broker, broker.memory.connections[slot], TAKEN_OVER);
  settleOld(broker);
  const present = enter(broker, connection);
  if (present === NONE) return refuseConnect(broker, connection, REFUSED_UNAVAILABLE);
  if (broker.packet.protocolLevel === LEVEL_5) {
    acceptLevel5(broker, connection, present !== 0, dataStart, dataEnd);
  } else {
    accept(broker, connection, present !== 0);
  }
  broker.options.observer?.clientConnected(connection);
  // [MQTT-4.4.0-1], within what the client takes at once, 5.0 [MQTT-3.3.4-9]
  broker.memory.deliveries.resume(connection.session, receiveMaximum(broker));
  connection.blocked = true; // what waits for it follows with the flush
  return OK;
}

/** Why there is no place for the client, or ACCEPTED. */
function refusalOf(broker: Broker, connection: Connection, dataBytes: number): number {
  const { counters, limits, packet } = broker;
  // [MQTT-3.1.3-6], 5.0 [MQTT-3.1.3-6]
  if (packet.clientIdStart === packet.clientIdEnd) assignClientId(broker);
  if (packet.protocolLevel === LEVEL_5 && acceptanceBytes(broker, dataBytes) >
      Math.min(connection.packetBytesMax, limits.packetBytesMax)) return -TOO_LARGE;
  const will = (packet.connectFlags & CONNECT_WILL) === 0 ? OK : checkWill(broker);
  if (will !== OK) return -will;
  const others = counters[CLIENTS_CONNECTED] - (connectedSlot(broker) === NONE ? 0 : 1);
  return others >= limits.clientsMax || !willFits(broker) ?
    REFUSED_UNAVAILABLE :
    ACCEPTED;
}

/** Slot of the connection that the client has already, or NONE. */
function connectedSlot(broker: Broker): number {
  const session = storedSession(broker);
  return session === NONE ? NONE : broker.memory.sessions.slot[session];
}

/** The session that is kept for the client, or NONE. */
function storedSession(broker: Broker): number {
  const { clientIdStart, clientIdEnd } = broker.packet;
  return broker.memory.sessions.find(clientIdStart, clientIdEnd);
}

/**
 * What is kept for the client is forgotten, if it wants that or it should have ended; else the will
 * of the connection before: the client is back before it was due, or too late.
 */
function settleOld(broker: Broker): void {
  const { sessions } = broker.memory;
  const session = storedSession(broker);
  if (session === NONE) return;
  if (isClean(broker) || sessions.endsAtMs(session) <= broker.nowMs) {
    return discardSession(broker, session);
  }
  if (sessions.willAtMs(session) <= broker.nowMs) return publishWill(broker, session);
  dropWill(broker, session); // 5.0 [MQTT-3.1.3-9]
}

function isClean(broker: Broker): boolean {
  return (broker.packet.connectFlags & CONNECT_CLEAN_SESSION) !== 0;
}

/**
 * Gives the client, which has no other connection, its session: 1 if there was one, 0 if it is new,
 * NONE when there is no room.
 */
function enter(broker: Broker, connection: Connection): number {
  const packet = broker.packet;
  const { sessions } = broker.memory;
  let session = storedSession(broker);
  const isPresent = session !== NONE; // [MQTT-3.2.2-1] to [MQTT-3.2.2-3]
  if (!isPresent) session = sessions.create(packet.clientIdStart, packet.clientIdEnd);
  if (session === NONE) return NONE;
  if (!takeWill(broker, session)) { // a retained will of the old connection has taken the room
    if (!isPresent) sessions.remove(session);
    return NONE;
  }
  begin(broker, connection, session);
  return isPresent ? 1 : 0;
}

/** QoS 1 and 2 messages that the client takes without acknowledgement. */
function receiveMaximum(broker: Broker): number {
  const { bytes, packet } = broker;
  const at = packet.protocolLevel === LEVEL_5 ? packet.properties[RECEIVE_MAXIMUM] : 0;
  return at === 0 ? 0xffff : uint16At(bytes, at);
}

/** The session has a connection from now on. */
function begin(broker: Broker, connection: Connection, session: number): void {
  const { counters, limits, packet } = broker;
  const { sessions } = broker.memory;
  const isLevel5 = packet.protocolLevel === LEVEL_5;
  const wantedSeconds = isLevel5 ? expiryWanted(broker) : isClean(broker) ? 0 : EXPIRES_NEVER;
  sessions.setExpiry(session, expiryOf(limits, wantedSeconds));
  sessions.arrive(session, connection.slot);
  connection.session = session;
  connection.protocolLevel = packet.protocolLevel;
  connection.silenceMaxMs = keepAliveOf(broker) * 1500;
  connection.heard = true; // its silence may count since before a long authentication
  counters[CLIENTS_CONNECTED]++;
  if (counters[CLIENTS_CONNECTED] > counters[CLIENTS_MAXIMUM]) {
    counters[CLIENTS_MAXIMUM] = counters[CLIENTS_CONNECTED];
  }
  if (isLevel5) broker.memory.aliases.clear(connection.slot);
}

/**
 * Whether there is room for the will of the CONNECT, if it has one, in the place of the session's
 * old one.
 */
function willFits(broker: Broker): boolean {
  const { kept, sessions } = broker.memory;
  if ((broker.packet.connectFlags & CONNECT_WILL) === 0) return true;
  const session = storedSession(broker);
  const old = session === NONE ? NONE : sessions.will(session);
  return kept.blocks.blocksFor(willBytes(broker)) <=
    kept.blocks.freeCount + (old === NONE ? 0 : kept.blocksOf(old));
}

/** Stores the will of the CONNECT, if it has one; false when there is no room. */
function takeWill(broker: Broker, session: number): boolean {
  const packet = broker.packet;
  if ((packet.connectFlags & CONNECT_WILL) === 0) return true;
  const will = storeWill(broker);
  const delayAt = packet.protocolLevel === LEVEL_5 ? packet.properties[WILL_DELAY_INTERVAL] : 0;
  const delaySeconds = delayAt === 0 ? 0 : uint32At(broker.bytes, delayAt);
  broker.memory.sessions.setWill(session, will, delaySeconds);
  return will !== NONE;
}

/** Names a client that gave no identifier, in the scratch: `auto-` and 16 hexadecimal digits. */
function assignClientId(broker: Broker): void {
  const { packet, bytes } = broker;
  const start = broker.memory.scratchStart;
  packet.clientIdStart = start;
  do {
    let at = start;
    bytes[at++] = 0x61; // auto-
    bytes[at++] = 0x75;
    bytes[at++] = 0x74;
    bytes[at++] = 0x6f;
    bytes[at++] = 0x2d;
    at = writeHex(bytes, writeHex(bytes, at, broker.options.random()), broker.options.random());
    packet.clientIdEnd = at;
  } while (broker.memory.sessions.find(packet.clientIdStart, packet.clientIdEnd) !== NONE);
}

/** Eight hexadecimal digits. */
function writeHex(bytes: Uint8Array, at: number, value: number): number {
  for (let shift = 28; shift >= 0; shift -= 4) {
    const digit = value >>> shift & 15;
    bytes[at++] = digit < 10 ? 0x30 + digit : 0x57 + digit;
  }
  return at;
}
