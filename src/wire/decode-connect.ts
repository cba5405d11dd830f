// CONNECT to offsets in the reused record, checked clause by clause. Called by `decode`.

import {
  CONNECT_PASSWORD, CONNECT_RESERVED, CONNECT_USER_NAME, CONNECT_WILL, CONNECT_WILL_QOS_SHIFT,
  CONNECT_WILL_RETAIN, LEVEL_3_1, LEVEL_3_1_1, LEVEL_5, MALFORMED, OK, PROTOCOL_ERROR,
  UNSUPPORTED_LEVEL,
} from './codes.js';
import type { Packet } from './packet.js';
import {
  AUTHENTICATION_DATA, AUTHENTICATION_METHOD, checkResponseTopic, fieldEnd, readProperties,
  readWillProperties, varintBytes,
} from './properties.js';
import { checkTopicName } from './topic.js';
import { isUtf8 } from './utf8.js';

/**
 * As `decode`. Client identifier, will, user name, password: in this order [MQTT-3.1.3-1], and
 * nothing after them.
 */
export function decodeConnect(bytes: Uint8Array, packet: Packet): number {
  let at = decodeVariableHeader(bytes, packet);
  if (at >= 0) at = decodeClientId(bytes, packet, at);
  if (at >= 0) at = decodeWill(bytes, packet, at);
  return at < 0 ? at : decodeLogin(bytes, packet, at);
}

/** Protocol, flags, keep-alive and properties; returns their end. */
function decodeVariableHeader(bytes: Uint8Array, packet: Packet): number {
  const end = packet.end;
  let at = packet.bodyStart;
  const isOld = isOldName(bytes, at, end);
  if (isOld < 0) return isOld;
  at += 2 + (bytes[at] << 8 | bytes[at + 1]);
  const level = bytes[at] & 0x7f; // the high bit marks a bridge, in Mosquitto's convention
  packet.protocolLevel = level;
  // [MQTT-3.1.2-2]
  if (isOld !== 0 ? level !== LEVEL_3_1 : level !== LEVEL_3_1_1 && level !== LEVEL_5) {
    return UNSUPPORTED_LEVEL;
  }
  if (at + 4 > end) return MALFORMED;
  const flags = bytes[at + 1];
  if (!connectFlagsAreValid(flags, level)) return MALFORMED;
  packet.connectFlags = flags;
  packet.keepAliveSeconds = bytes[at + 2] << 8 | bytes[at + 3];
  at += 4;
  if (level === LEVEL_5) {
    // `frame` did not know the level: a length of more bytes than it takes, 5.0 [MQTT-1.5.5-1].
    if (packet.bodyStart - packet.start !== 1 + varintBytes(packet.end - packet.bodyStart)) {
      return MALFORMED;
    }
    at = readProperties(bytes, packet, at);
    if (at < 0) return at;
    // Data without a method, section 3.1.2.11.10.
    if (packet.properties[AUTHENTICATION_DATA] !== 0 &&
        packet.properties[AUTHENTICATION_METHOD] === 0) return PROTOCOL_ERROR;
  }
  return at;
}

/**
 * 1 when the protocol name is that of MQTT 3.1, 0 when it is that of all later ones; PROTOCOL_ERROR
 * for another name [MQTT-3.1.2-1], MALFORMED if cut short.
 */
function isOldName(bytes: Uint8Array, at: number, end: number): number {
  if (at + 2 > end) return MALFORMED;
  const length = bytes[at] << 8 | bytes[at + 1];
  if (at + 2 + length >= end) return MALFORMED;
  if (length === 4 && spells(bytes, at + 2, MQTT)) return 0;
  if (length === 6 && spells(bytes, at + 2, MQISDP)) return 1;
  return PROTOCOL_ERROR;
}

const MQTT: readonly number[] = Object.freeze([0x4d, 0x51, 0x54, 0x54]);
const MQISDP: readonly number[] = Object.freeze([0x4d, 0x51, 0x49, 0x73, 0x64, 0x70]);

function spells(bytes: Uint8Array, at: number, word: readonly number[]): boolean {
  for (let i = 0; i < word.length; i++) {
    if (bytes[at + i] !== word[i]) return false;
  }
  return true;
}

function connectFlagsAreValid(flags: number, level: number): boolean {
  if ((flags & CONNECT_RESERVED) !== 0) return false; // [MQTT-3.1.2-3]
  const willQos = flags >> CONNECT_WILL_QOS_SHIFT & 3;
  if (willQos === 3) return false; // [MQTT-3.1.2-14]
  // A password needs a user name [MQTT-3.1.2-22], until 5.0.
  if ((flags & (CONNECT_USER_NAME | CONNECT_PASSWORD)) === CONNECT_PASSWORD &&
      level !== LEVEL_5) return false;
  // Bits of a will that is not there: forbidden [MQTT-3.1.2-11], [MQTT-3.1.2-13], [MQTT-3.1.2-15],
  // and in MQTT 3.1 disregarded.
  return (flags & CONNECT_WILL) !== 0 || level === LEVEL_3_1 ||
    (willQos === 0 && (flags & CONNECT_WILL_RETAIN) === 0);
}

/** The client identifier at `start`; returns its end. */
function decodeClientId(bytes: Uint8Array, packet: Packet, start: number): number {
  const at = fieldEnd(bytes, start, packet.end);
  packet.clientIdStart = start + 2;
  packet.clientIdEnd = at;
  return at >= 0 && isUtf8(bytes, start + 2, at) ? at : MALFORMED; // [MQTT-3.1.3-4]
}

/** The fields of the will, if there is one, from `at` on; returns their end. */
function decodeWill(bytes: Uint8Array, packet: Packet, at: number): number {
  const end = packet.end;
  packet.willPropertiesStart = packet.willPropertiesEnd = packet.willTopicStart =
    packet.willTopicEnd = packet.willPayloadStart = packet.willPayloadEnd = at;
  if ((packet.connectFlags & CONNECT_WILL) === 0) return at;
  if (packet.protocolLevel === LEVEL_5) {
    at = readWillProperties(bytes, packet, at);
    if (at < 0) return at;
    const response = checkResponseTopic(bytes, packet);
    if (response !== OK) return response;
  }
  packet.willTopicStart = at + 2;
  at = fieldEnd(bytes, at, end);
  if (at < 0) return MALFORMED;
  packet.willTopicEnd = at;
  const outcome = checkTopicName(bytes, packet.willTopicStart, at); // [MQTT-3.1.3-10]
  if (outcome !== OK) return outcome;
  packet.willPayloadStart = at + 2;
  packet.willPayloadEnd = fieldEnd(bytes, at, end);
  return packet.willPayloadEnd;
}

/** User name and password, as far as they are there, up to the end of the packet. */
function decodeLogin(bytes: Uint8Array, packet: Packet, at: number): number {
  const { connectFlags: flags, end } = packet;
  packet.userNameStart = packet.userNameEnd = packet.passwordStart = packet.passwordEnd = at;
  // In MQTT 3.1 the remaining length comes before the flags: the packet may end where a login would
  // begin.
  if (packet.protocolLevel === LEVEL_3_1 && at === end) {
    packet.connectFlags &= ~(CONNECT_USER_NAME | CONNECT_PASSWORD);
    return OK;
  }
  if ((flags & CONNECT_USER_NAME) !== 0) {
    packet.userNameStart = at + 2;
    at = fieldEnd(bytes, at, end);
    // [MQTT-3.1.3-11]
    if (at < 0 || !isUtf8(bytes, packet.userNameStart, at)) return MALFORMED;
    packet.userNameEnd = packet.passwordStart = packet.passwordEnd = at;
    if (packet.protocolLevel === LEVEL_3_1 && at === end) {
      packet.connectFlags &= ~CONNECT_PASSWORD;
      return OK;
    }
  }
  if ((flags & CONNECT_PASSWORD) !== 0) {
    packet.passwordStart = at + 2;
    at = fieldEnd(bytes, at, end);
    if (at < 0) return MALFORMED;
    packet.passwordEnd = at;
  }
  return at === end ? OK : MALFORMED;
}
