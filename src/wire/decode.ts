// Body of a framed packet to offsets in the reused record, checked clause by clause.
// Called by broker and client right after `frame`; both directions of every packet type.
// Reads only packet.bodyStart to packet.end, throws nothing, allocates nothing.

import {
  CONNACK, CONNECT, CONNECT_PASSWORD, CONNECT_RESERVED, CONNECT_USER_NAME, CONNECT_WILL,
  CONNECT_WILL_QOS_SHIFT, CONNECT_WILL_RETAIN, LEVEL_3_1, LEVEL_3_1_1, MALFORMED, OK,
  PROTOCOL_ERROR, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, SUBACK_FAILURE, SUBSCRIBE,
  UNSUBACK, UNSUBSCRIBE, UNSUPPORTED_LEVEL,
} from './codes.js';
import type { Packet } from './packet.js';
import { checkTopicFilter, checkTopicName } from './topic.js';
import { isUtf8 } from './utf8.js';

/**
 * Decodes the packet that `frame` found. `packet.protocolLevel` is that of the connection; CONNECT
 * sets it. Returns OK, or MALFORMED, PROTOCOL_ERROR, TOPIC_NAME_INVALID, TOPIC_FILTER_INVALID,
 * UNSUPPORTED_LEVEL: after any of them the connection cannot go on [MQTT-4.8.0-1].
 */
export function decode(bytes: Uint8Array, packet: Packet): number {
  switch (packet.type) {
    case PUBLISH:
      return decodePublish(bytes, packet);
    case PUBACK:
    case PUBREC:
    case PUBREL:
    case PUBCOMP:
    case UNSUBACK:
      return packet.end - packet.bodyStart === 2 ? readPacketId(bytes, packet) : MALFORMED;
    case SUBSCRIBE:
    case UNSUBSCRIBE:
      return decodeFilters(bytes, packet);
    case SUBACK:
      return decodeSuback(bytes, packet);
    case CONNECT:
      return decodeConnect(bytes, packet);
    case CONNACK:
      return decodeConnack(bytes, packet);
    default: // PINGREQ, PINGRESP, DISCONNECT: nothing but the header.
      return packet.end === packet.bodyStart ? OK : MALFORMED;
  }
}

function decodePublish(bytes: Uint8Array, packet: Packet): number {
  const start = packet.bodyStart;
  const end = packet.end;
  const qos = packet.flags >> 1 & 3;
  if (start + 2 > end) return MALFORMED;
  const topicEnd = start + 2 + (bytes[start] << 8 | bytes[start + 1]);
  let payloadStart = topicEnd;
  packet.packetId = 0;
  if (qos !== 0) {
    payloadStart += 2;
    if (payloadStart > end) return MALFORMED;
    packet.packetId = (bytes[topicEnd] << 8) | bytes[topicEnd + 1];
    if (packet.packetId === 0) return PROTOCOL_ERROR; // [MQTT-2.3.1-1]
  } else if (topicEnd > end) {
    return MALFORMED;
  }
  packet.qos = qos;
  packet.topicStart = start + 2;
  packet.topicEnd = topicEnd;
  packet.payloadStart = payloadStart;
  packet.payloadEnd = end;
  return checkTopicName(bytes, start + 2, topicEnd, packet.levels);
}

/** The packet identifier that opens the body. */
function readPacketId(bytes: Uint8Array, packet: Packet): number {
  const start = packet.bodyStart;
  if (packet.end - start < 2) return MALFORMED;
  packet.packetId = (bytes[start] << 8) | bytes[start + 1];
  return packet.packetId === 0 ? PROTOCOL_ERROR : OK; // [MQTT-2.3.1-1]
}

/** SUBSCRIBE and UNSUBSCRIBE: every entry is checked here, so `nextFilter` may trust them. */
function decodeFilters(bytes: Uint8Array, packet: Packet): number {
  const outcome = readPacketId(bytes, packet);
  if (outcome !== OK) return outcome;
  packet.listStart = packet.bodyStart + 2;
  packet.listEnd = packet.end;
  packet.filterCount = 0;
  const optionBytes = packet.type === SUBSCRIBE ? 1 : 0;
  let at = packet.listStart;
  if (at === packet.end) return PROTOCOL_ERROR; // no filter at all [MQTT-3.8.3-3], [MQTT-3.10.3-2]
  while (at < packet.end) {
    const filterStart = at + 2;
    if (filterStart > packet.end) return MALFORMED;
    const filterEnd = filterStart + ((bytes[at] << 8) | bytes[at + 1]);
    if (filterEnd + optionBytes > packet.end) return MALFORMED;
    const filter = checkTopicFilter(bytes, filterStart, filterEnd);
    if (filter !== OK) return filter;
    if (optionBytes !== 0 && bytes[filterEnd] > 2) return MALFORMED; // [MQTT-3-8.3-4]
    packet.filterCount++;
    at = filterEnd + optionBytes;
  }
  rewindFilters(packet);
  return OK;
}

/** Puts `packet` before its first filter. */
export function rewindFilters(packet: Packet): void {
  packet.filterStart = packet.listStart;
  packet.filterEnd = packet.listStart - (packet.type === SUBSCRIBE ? 1 : 0);
}

/** Steps to the next filter of a decoded SUBSCRIBE or UNSUBSCRIBE; false after the last. */
export function nextFilter(bytes: Uint8Array, packet: Packet): boolean {
  const optionBytes = packet.type === SUBSCRIBE ? 1 : 0;
  const at = packet.filterEnd + optionBytes;
  if (at >= packet.listEnd) return false;
  packet.filterStart = at + 2;
  packet.filterEnd = packet.filterStart + ((bytes[at] << 8) | bytes[at + 1]);
  packet.filterQos = optionBytes !== 0 ? bytes[packet.filterEnd] : 0;
  return true;
}

function decodeSuback(bytes: Uint8Array, packet: Packet): number {
  const outcome = readPacketId(bytes, packet);
  if (outcome !== OK) return outcome;
  packet.listStart = packet.bodyStart + 2;
  packet.listEnd = packet.end;
  if (packet.listStart === packet.listEnd) return MALFORMED;
  for (let at = packet.listStart; at < packet.listEnd; at++) {
    if (bytes[at] > 2 && bytes[at] !== SUBACK_FAILURE) return MALFORMED; // [MQTT-3.9.3-2]
  }
  return OK;
}

function decodeConnack(bytes: Uint8Array, packet: Packet): number {
  const start = packet.bodyStart;
  if (packet.end - start !== 2 || bytes[start] > 1) return MALFORMED;
  packet.sessionPresent = bytes[start] === 1;
  packet.returnCode = bytes[start + 1];
  if (packet.returnCode > 5) return MALFORMED;
  return packet.sessionPresent && packet.returnCode !== 0 ? PROTOCOL_ERROR : OK; // [MQTT-3.2.2-4]
}

function decodeConnect(bytes: Uint8Array, packet: Packet): number {
  const end = packet.end;
  let at = packet.bodyStart;
  const nameLevel = protocolLevelOf(bytes, at, end);
  if (nameLevel < 0) return nameLevel;
  at += 2 + (bytes[at] << 8 | bytes[at + 1]);
  packet.protocolLevel = bytes[at] & 0x7f; // the high bit marks a bridge, in Mosquitto's convention
  if (packet.protocolLevel !== nameLevel) return UNSUPPORTED_LEVEL; // [MQTT-3.1.2-2]
  if (at + 4 > end) return MALFORMED;
  const flags = bytes[at + 1];
  if (!connectFlagsAreValid(flags, nameLevel)) return MALFORMED;
  packet.connectFlags = flags;
  packet.keepAliveSeconds = bytes[at + 2] << 8 | bytes[at + 3];
  return decodeConnectPayload(bytes, packet, at + 4);
}

/**
 * The level the protocol name stands for; PROTOCOL_ERROR for another name [MQTT-3.1.2-1], MALFORMED
 * if cut short.
 */
function protocolLevelOf(bytes: Uint8Array, at: number, end: number): number {
  if (at + 2 > end) return MALFORMED;
  const length = bytes[at] << 8 | bytes[at + 1];
  if (at + 2 + length >= end) return MALFORMED;
  if (length === 4 && spells(bytes, at + 2, MQTT)) return LEVEL_3_1_1;
  if (length === 6 && spells(bytes, at + 2, MQISDP)) return LEVEL_3_1;
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
  // [MQTT-3.1.2-22]
  if ((flags & (CONNECT_USER_NAME | CONNECT_PASSWORD)) === CONNECT_PASSWORD) return false;
  // Bits of a will that is not there: forbidden [MQTT-3.1.2-11], [MQTT-3.1.2-13], [MQTT-3.1.2-15],
  // and in MQTT 3.1 disregarded.
  return (flags & CONNECT_WILL) !== 0 || level === LEVEL_3_1 ||
    (willQos === 0 && (flags & CONNECT_WILL_RETAIN) === 0);
}

/**
 * Client identifier, will, user name, password: in this order [MQTT-3.1.3-1], and nothing after
 * them.
 */
function decodeConnectPayload(bytes: Uint8Array, packet: Packet, start: number): number {
  const flags = packet.connectFlags;
  let fieldEnd = field(bytes, packet, start);
  if (fieldEnd < 0) return MALFORMED;
  packet.clientIdStart = start + 2;
  packet.clientIdEnd = fieldEnd;
  packet.willTopicStart = packet.willTopicEnd =
    packet.willPayloadStart = packet.willPayloadEnd = fieldEnd;
  if (!isUtf8(bytes, packet.clientIdStart, fieldEnd)) return MALFORMED; // [MQTT-3.1.3-4]
  if ((flags & CONNECT_WILL) !== 0) {
    packet.willTopicStart = fieldEnd + 2;
    fieldEnd = field(bytes, packet, fieldEnd);
    if (fieldEnd < 0) return MALFORMED;
    packet.willTopicEnd = fieldEnd;
    const outcome = checkTopicName(bytes, packet.willTopicStart, fieldEnd); // [MQTT-3.1.3-10]
    if (outcome !== OK) return outcome;
    packet.willPayloadStart = fieldEnd + 2;
    fieldEnd = field(bytes, packet, fieldEnd);
    if (fieldEnd < 0) return MALFORMED;
    packet.willPayloadEnd = fieldEnd;
  }
  packet.userNameStart = packet.userNameEnd = packet.passwordStart = packet.passwordEnd = fieldEnd;
  // In MQTT 3.1 the remaining length comes before the flags: the packet may end where a login would
  // begin.
  if (packet.protocolLevel === LEVEL_3_1 && fieldEnd === packet.end) {
    packet.connectFlags &= ~(CONNECT_USER_NAME | CONNECT_PASSWORD);
    return OK;
  }
  if ((flags & CONNECT_USER_NAME) !== 0) {
    packet.userNameStart = fieldEnd + 2;
    fieldEnd = field(bytes, packet, fieldEnd);
    // [MQTT-3.1.3-11]
    if (fieldEnd < 0 || !isUtf8(bytes, packet.userNameStart, fieldEnd)) return MALFORMED;
    packet.userNameEnd = packet.passwordStart = packet.passwordEnd = fieldEnd;
    if (packet.protocolLevel === LEVEL_3_1 && fieldEnd === packet.end) {
      packet.connectFlags &= ~CONNECT_PASSWORD;
      return OK;
    }
  }
  if ((flags & CONNECT_PASSWORD) !== 0) {
    packet.passwordStart = fieldEnd + 2;
    fieldEnd = field(bytes, packet, fieldEnd);
    if (fieldEnd < 0) return MALFORMED;
    packet.passwordEnd = fieldEnd;
  }
  return fieldEnd === packet.end ? OK : MALFORMED;
}

/** End of the length-prefixed field at `at`, or MALFORMED when it overruns the packet. */
function field(bytes: Uint8Array, packet: Packet, at: number): number {
  if (at + 2 > packet.end) return MALFORMED;
  const fieldEnd = at + 2 + (bytes[at] << 8 | bytes[at + 1]);
  return fieldEnd > packet.end ? MALFORMED : fieldEnd;
}
