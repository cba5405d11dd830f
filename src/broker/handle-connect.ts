// CONNECT. Called by the switch in broker.ts with a decoded packet and room for CONNACK. MQTT 3.1.1
// sections 3.1, 3.2.

import {
  ACCEPTED, CONNECT_CLEAN_SESSION, CONNECT_WILL, CONNECT_WILL_QOS_SHIFT, LEVEL_3_1, NONE,
  OK, REFUSED_IDENTIFIER, REFUSED_PROTOCOL_LEVEL, REFUSED_UNAVAILABLE, UNSUPPORTED_LEVEL,
} from '../wire/codes.js';
import { encodeConnack, SHORT_PACKET_BYTES } from '../wire/encode.js';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';
import {
  CLIENTS_CONNECTED, CLIENTS_MAXIMUM, REFUSED_FULL, REFUSED_IDENTIFIER_COUNT, REFUSED_LEVEL,
  REFUSED_LOGIN,
} from './counters.js';
import { reserve, transmitWaiting } from './deliver.js';
import { CONNECT_REFUSED, discardSession, endConnection, TAKEN_OVER } from './end.js';

/**
 * `outcome` is what decoding said: OK, or UNSUPPORTED_LEVEL, which alone of all refusals is
 * answered.
 */
export function handleConnect(broker: Broker, connection: Connection, outcome: number): number {
  const packet = broker.packet;
  const { sessions } = broker.memory;
  // [MQTT-3.1.2-2]
  if (outcome === UNSUPPORTED_LEVEL) return refuse(broker, connection, REFUSED_PROTOCOL_LEVEL);
  const clean = (packet.connectFlags & CONNECT_CLEAN_SESSION) !== 0;
  const clientIdBytes = packet.clientIdEnd - packet.clientIdStart;
  if (clientIdBytes > sessions.clientIdBytesMax ||
      (clientIdBytes === 0 && (!clean || packet.protocolLevel === LEVEL_3_1))) {
    return refuse(broker, connection, REFUSED_IDENTIFIER); // [MQTT-3.1.3-8], [MQTT-3.1.3-9]
  }
  const login = broker.options.authenticate?.(broker.bytes, packet) ?? ACCEPTED;
  if (login !== ACCEPTED) return refuse(broker, connection, login);
  if (clientIdBytes === 0) assignClientId(broker); // [MQTT-3.1.3-6]

  let session = sessions.find(packet.clientIdStart, packet.clientIdEnd);
  const connectedSlot = session === NONE ? NONE : sessions.slot[session];
  // All that can be refused is refused before anything of the stored session is touched.
  const others = broker.counters[CLIENTS_CONNECTED] - (connectedSlot === NONE ? 0 : 1);
  if (others >= broker.limits.clientsMax || !willFits(broker, session)) {
    return refuse(broker, connection, REFUSED_UNAVAILABLE);
  }
  if (connectedSlot !== NONE) { // [MQTT-3.1.4-2]
    endConnection(broker, broker.memory.connections[connectedSlot], TAKEN_OVER);
    session = sessions.find(packet.clientIdStart, packet.clientIdEnd);
  }
  if (session !== NONE && clean) {
    discardSession(broker, session);
    session = NONE;
  }
  const sessionPresent = session !== NONE; // [MQTT-3.2.2-1] to [MQTT-3.2.2-3]
  if (!sessionPresent) session = sessions.create(packet.clientIdStart, packet.clientIdEnd);
  if (session === NONE) return refuse(broker, connection, REFUSED_UNAVAILABLE);
  if (!takeWill(broker, session)) { // a retained will of the old connection has taken the room
    if (!sessionPresent) sessions.remove(session);
    return refuse(broker, connection, REFUSED_UNAVAILABLE);
  }
  accept(broker, connection, session, clean, sessionPresent);
  return OK;
}

function accept(
  broker: Broker, connection: Connection, session: number, clean: boolean, sessionPresent: boolean,
): void {
  const { counters, packet } = broker;
  const { deliveries, sessions } = broker.memory;
  sessions.setClean(session, clean);
  sessions.slot[session] = connection.slot;
  connection.session = session;
  connection.protocolLevel = packet.protocolLevel;
  connection.silenceMaxMs = packet.keepAliveSeconds * 1500;
  counters[CLIENTS_CONNECTED]++;
  if (counters[CLIENTS_CONNECTED] > counters[CLIENTS_MAXIMUM]) {
    counters[CLIENTS_MAXIMUM] = counters[CLIENTS_CONNECTED];
  }
  // In MQTT 3.1 the byte of session present is reserved.
  answer(broker, connection, sessionPresent && packet.protocolLevel !== LEVEL_3_1, ACCEPTED);
  broker.options.observer?.clientConnected(connection);
  deliveries.resume(session); // [MQTT-4.4.0-1]
  transmitWaiting(broker, connection);
}

/**
 * Whether there is room for the will of the CONNECT, if it has one, in the place of the session's
 * old one.
 */
function willFits(broker: Broker, session: number): boolean {
  const { kept, sessions } = broker.memory;
  const packet = broker.packet;
  if ((packet.connectFlags & CONNECT_WILL) === 0) return true;
  const old = session === NONE ? NONE : sessions.will(session);
  const byteCount = packet.willTopicEnd - packet.willTopicStart +
    packet.willPayloadEnd - packet.willPayloadStart + 2;
  return kept.blocks.blocksFor(byteCount) <=
    kept.blocks.freeCount + (old === NONE ? 0 : kept.blocksOf(old));
}

/** Stores the will of the CONNECT, if it has one; false when there is no room. */
function takeWill(broker: Broker, session: number): boolean {
  const packet = broker.packet;
  if ((packet.connectFlags & CONNECT_WILL) === 0) return true;
  const will = broker.memory.kept.store(
    packet.willTopicStart, packet.willTopicEnd, packet.willPayloadStart, packet.willPayloadEnd,
    willFlags(packet.connectFlags),
  );
  broker.memory.sessions.setWill(session, will);
  return will !== NONE;
}

/**
 * Bits of the will in CONNECT's flags, as the flags of a PUBLISH: QoS in bits 1 and 2, RETAIN in
 * bit 0.
 */
function willFlags(connectFlags: number): number {
  return (connectFlags >> CONNECT_WILL_QOS_SHIFT & 3) << 1 | connectFlags >> 5 & 1;
}

function refuse(broker: Broker, connection: Connection, returnCode: number): number {
  broker.counters[refusalCounter(returnCode)]++;
  answer(broker, connection, false, returnCode); // [MQTT-3.2.2-4]
  broker.options.observer?.clientRefused(connection, returnCode);
  endConnection(broker, connection, CONNECT_REFUSED); // [MQTT-3.2.2-5]
  return OK;
}

function refusalCounter(returnCode: number): number {
  switch (returnCode) {
    case REFUSED_PROTOCOL_LEVEL:
      return REFUSED_LEVEL;
    case REFUSED_IDENTIFIER:
      return REFUSED_IDENTIFIER_COUNT;
    case REFUSED_UNAVAILABLE:
      return REFUSED_FULL;
    default:
      return REFUSED_LOGIN;
  }
}

function answer(
  broker: Broker, connection: Connection, sessionPresent: boolean, returnCode: number,
): void {
  const at = reserve(broker, connection, SHORT_PACKET_BYTES);
  broker.sent(connection, encodeConnack(broker.bytes, at, sessionPresent, returnCode));
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
