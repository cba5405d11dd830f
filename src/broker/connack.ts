// CONNACK: accepted, with what a client of MQTT 5.0 must know of this broker, or refused. What is
// always available here (QoS 2, retained messages, wildcards, subscription identifiers, shared
// subscriptions) is not announced: absent means available. MQTT 5.0 section 3.2.
//
//   type length | session present | 0 | length | properties, the data of authentication last

import {
  ACCEPTED, CONNACK, LEVEL_3_1, LEVEL_5, OK, PAYLOAD_FORMAT_INVALID, REFUSED_IDENTIFIER,
  REFUSED_PROTOCOL_LEVEL, REFUSED_UNAVAILABLE, TOO_LARGE,
} from '../wire/codes.js';
import {
  encodeConnack, encodeHeader, encodeUint16, encodeUint16Property, encodeUint32Property,
  encodeVarint, packetBytes, propertiesBytes, SHORT_PACKET_BYTES,
} from '../wire/encode.js';
import {
  ASSIGNED_CLIENT_IDENTIFIER, AUTHENTICATION_DATA, AUTHENTICATION_METHOD, MAXIMUM_PACKET_SIZE,
  RECEIVE_MAXIMUM, SERVER_KEEP_ALIVE, SESSION_EXPIRY_INTERVAL, TOPIC_ALIAS_MAXIMUM, uint16At,
  uint32At,
} from '../wire/properties.js';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';
import {
  ERRORS_PROTOCOL, ERRORS_TOO_LARGE, REFUSED_FULL, REFUSED_IDENTIFIER_COUNT, REFUSED_LEVEL,
  REFUSED_LOGIN,
} from './counters.js';
import { reserve } from './deliver.js';
import { CONNECT_REFUSED, endConnection } from './end.js';
import { sayRefused } from './last-words.js';
import { expiryOf } from './sessions.js';

/** 5.0 codes of the return codes of 3.1.1. */
const REASON_CODES: readonly number[] = Object.freeze([0, 0x84, 0x85, 0x97, 0x86, 0x87]);

/**
 * Refuses the CONNECT: `code` is a return code of 3.1.1, or, for what only MQTT 5.0 can say, a
 * reason code. The observer gets the one that the client gets.
 */
export function refuseConnect(broker: Broker, connection: Connection, code: number): number {
  const level = broker.packet.protocolLevel;
  // A level that is not supported, and 5 all the same, comes with the name of MQTT 3.1.
  const isLevel5 = level > LEVEL_5 || (level === LEVEL_5 && code !== REFUSED_PROTOCOL_LEVEL);
  broker.counters[refusalCounter(code)]++;
  const sent = isLevel5 && code < REASON_CODES.length ? REASON_CODES[code] : code;
  if (isLevel5) {
    sayRefused(broker, connection, sent);
  } else {
    const at = reserve(broker, connection, SHORT_PACKET_BYTES);
    broker.sent(connection, encodeConnack(broker.bytes, at, false, sent)); // [MQTT-3.2.2-4]
  }
  broker.options.observer?.clientRefused(connection, sent);
  endConnection(broker, connection, CONNECT_REFUSED); // [MQTT-3.2.2-5], 5.0 [MQTT-3.2.2-7]
  return OK;
}

function refusalCounter(code: number): number {
  switch (code) {
    case REFUSED_PROTOCOL_LEVEL:
      return REFUSED_LEVEL;
    case REFUSED_IDENTIFIER:
      return REFUSED_IDENTIFIER_COUNT;
    case REFUSED_UNAVAILABLE:
      return REFUSED_FULL;
    case -TOO_LARGE:
      return ERRORS_TOO_LARGE;
    case -PAYLOAD_FORMAT_INVALID:
      return ERRORS_PROTOCOL;
    default: // all that a login or an authentication may be answered
      return REFUSED_LOGIN;
  }
}

/** The keep-alive that counts: that of the client, or the shorter one of MQTT 5.0 it is told. */
export function keepAliveOf(broker: Broker): number {
  const { keepAliveSeconds, protocolLevel } = broker.packet;
  const most = broker.limits.keepAliveSecondsMax;
  return protocolLevel === LEVEL_5 && most !== 0 &&
    (keepAliveSeconds === 0 || keepAliveSeconds > most) ? most : keepAliveSeconds;
}

/** The expiry of the session that the CONNECT of MQTT 5.0 asks for, in seconds. */
export function expiryWanted(broker: Broker): number {
  const at = broker.packet.properties[SESSION_EXPIRY_INTERVAL];
  return at === 0 ? 0 : uint32At(broker.bytes, at);
}

/** Whether the client has the identifier from us: it was made in the scratch. */
function isAssigned(broker: Broker): boolean {
  return broker.packet.clientIdStart === broker.memory.scratchStart;
}

/**
 * Bytes of the CONNACK that accepts the CONNECT of MQTT 5.0, with `dataBytes` of authentication.
 */
export function acceptanceBytes(broker: Broker, dataBytes: number): number {
  return packetBytes(2 + propertiesBytes(tellingBytes(broker, dataBytes)));
}

/** Bytes of the properties. */
function tellingBytes(broker: Broker, dataBytes: number): number {
  const { bytes, limits, packet } = broker;
  let count = 5; // maximum packet size
  if (limits.receiveMax !== 0xffff) count += 3;
  if (limits.topicAliasMax !== 0) count += 3;
  const expirySeconds = expiryWanted(broker);
  if (expiryOf(limits, expirySeconds) !== expirySeconds) count += 5;
  if (keepAliveOf(broker) !== packet.keepAliveSeconds) count += 3;
  if (isAssigned(broker)) count += 3 + packet.clientIdEnd - packet.clientIdStart;
  const method = packet.properties[AUTHENTICATION_METHOD];
  if (method !== 0) count += 3 + uint16At(bytes, method);
  return dataBytes === 0 ? count : count + 3 + dataBytes;
}

/** Accepts the CONNECT of 3.1.1. Session present is a reserved byte in MQTT 3.1. */
export function accept(broker: Broker, connection: Connection, sessionPresent: boolean): void {
  const at = reserve(broker, connection, SHORT_PACKET_BYTES);
  const isPresent = sessionPresent && broker.packet.protocolLevel !== LEVEL_3_1;
  broker.sent(connection, encodeConnack(broker.bytes, at, isPresent, ACCEPTED));
}

/**
 * Accepts the CONNECT of MQTT 5.0. Data of authentication, `dataStart` to `dataEnd`, may lie in the
 * outbox already, behind where it goes.
 */
export function acceptLevel5(
  broker: Broker, connection: Connection, sessionPresent: boolean, dataStart: number,
  dataEnd: number,
): void {
  const { bytes, limits, packet } = broker;
  const byteCount = tellingBytes(broker, dataEnd - dataStart);
  let at = reserve(broker, connection, acceptanceBytes(broker, dataEnd - dataStart));
  at = encodeHeader(bytes, at, CONNACK << 4, 2 + propertiesBytes(byteCount));
  bytes[at++] = sessionPresent ? 1 : 0; // 5.0 [MQTT-3.2.2-2], [MQTT-3.2.2-3]
  bytes[at++] = ACCEPTED;
  at = encodeVarint(bytes, at, byteCount);
  at = encodeUint32Property(bytes, at, MAXIMUM_PACKET_SIZE, limits.packetBytesMax);
  if (limits.receiveMax !== 0xffff) {
    at = encodeUint16Property(bytes, at, RECEIVE_MAXIMUM, limits.receiveMax);
  }
  if (limits.topicAliasMax !== 0) {
    at = encodeUint16Property(bytes, at, TOPIC_ALIAS_MAXIMUM, limits.topicAliasMax);
  }
  const wantedSeconds = expiryWanted(broker);
  const expirySeconds = expiryOf(limits, wantedSeconds);
  if (expirySeconds !== wantedSeconds) {
    at = encodeUint32Property(bytes, at, SESSION_EXPIRY_INTERVAL, expirySeconds);
  }
  const keepAliveSeconds = keepAliveOf(broker);
  if (keepAliveSeconds !== packet.keepAliveSeconds) {
    at = encodeUint16Property(bytes, at, SERVER_KEEP_ALIVE, keepAliveSeconds);
  }
  if (isAssigned(broker)) { // 5.0 [MQTT-3.1.3-7], [MQTT-3.2.2-16]
    const start = broker.memory.sessions.clientIdStart(connection.session);
    const end = start + packet.clientIdEnd - packet.clientIdStart;
    at = copyField(bytes, at, ASSIGNED_CLIENT_IDENTIFIER, start, end);
  }
  broker.sent(connection, encodeAuthentication(broker, at, dataStart, dataEnd));
}

/** The method of the packet in hand, 5.0 [MQTT-4.12.0-5], and data, if there is some. */
export function encodeAuthentication(
  broker: Broker, at: number, dataStart: number, dataEnd: number,
): number {
  const { bytes, packet } = broker;
  const method = packet.properties[AUTHENTICATION_METHOD];
  if (method !== 0) {
    const start = method + 2;
    at = copyField(bytes, at, AUTHENTICATION_METHOD, start, start + uint16At(bytes, method));
  }
  if (dataStart === dataEnd) return at;
  return copyField(bytes, at, AUTHENTICATION_DATA, dataStart, dataEnd);
}

/** The property `identifier` with a text or data that lies in the same array, `start` to `end`. */
function copyField(
  bytes: Uint8Array, at: number, identifier: number, start: number, end: number,
): number {
  bytes[at] = identifier;
  at = encodeUint16(bytes, at + 1, end - start);
  bytes.copyWithin(at, start, end);
  return at + end - start;
}
