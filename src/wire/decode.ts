// Body of a framed packet to offsets in the reused record, checked clause by clause.
// Called by broker and client right after `frame`; both directions of every packet type.
// Reads only packet.bodyStart to packet.end, throws nothing, allocates nothing.

import {
  CONNACK, LEVEL_5, MALFORMED, OK, PROTOCOL_ERROR, SUBACK_FAILURE, SUBSCRIBE, SUCCESS,
  TOPIC_ALIAS_INVALID, UNSUBACK,
} from './codes.js';
import { decodeConnect } from './decode-connect.js';
import type { Packet } from './packet.js';
import {
  checkResponseTopic, noProperties, readProperties, TOPIC_ALIAS, uint16At,
} from './properties.js';
import { isReasonOf } from './reasons.js';
import { checkTopicFilter, checkTopicName } from './topic.js';

/**
 * Decodes the packet that `frame` found. `packet.protocolLevel` is that of the connection; CONNECT
 * sets it. Returns OK, or MALFORMED, PROTOCOL_ERROR, TOPIC_NAME_INVALID, TOPIC_FILTER_INVALID,
 * TOPIC_ALIAS_INVALID, UNSUPPORTED_LEVEL: after any of them the connection cannot go on
 * [MQTT-4.8.0-1], 5.0 [MQTT-4.13.1-1].
 */
export function decode(bytes: Uint8Array, packet: Packet): number {
  return DECODERS[packet.type](bytes, packet);
}

type Decoder = (bytes: Uint8Array, packet: Packet) => number;

/** By packet type. A table, since each name in a switch would take a slot of XS's stack. */
const DECODERS: readonly Decoder[] = /* @__PURE__ */ Object.freeze([
  decodeEmpty, decodeConnect, decodeConnack, decodePublish,
  decodeAcknowledgement, decodeAcknowledgement, decodeAcknowledgement, decodeAcknowledgement,
  decodeFilters, decodeFilterAnswers, decodeFilters, decodeFilterAnswers,
  decodeEmpty, decodeEmpty, decodeReason, decodeReason,
]);

/** PINGREQ, PINGRESP: nothing but the header. */
function decodeEmpty(_bytes: Uint8Array, packet: Packet): number {
  return packet.end === packet.bodyStart ? OK : MALFORMED;
}

/** The packet with most to do; the broker calls this itself. */
export function decodePublish(bytes: Uint8Array, packet: Packet): number {
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
  packet.contentStart = payloadStart;
  packet.payloadEnd = end;
  if (packet.protocolLevel === LEVEL_5) return decodeContent(bytes, packet);
  packet.payloadStart = payloadStart;
  return checkTopicName(bytes, start + 2, topicEnd, packet.levels);
}

/**
 * MQTT 5.0: the properties of a PUBLISH. Its topic may be empty when an alias stands for it; then
 * its levels are not cut.
 */
function decodeContent(bytes: Uint8Array, packet: Packet): number {
  const { contentStart, topicStart, topicEnd, properties } = packet;
  if (contentStart < packet.end && bytes[contentStart] === 0 && topicStart < topicEnd) {
    packet.payloadStart = contentStart + 1;
    return checkTopicName(bytes, topicStart, topicEnd, packet.levels);
  }
  const outcome = readProperties(bytes, packet, contentStart);
  if (outcome < 0) return outcome;
  packet.payloadStart = outcome;
  const response = checkResponseTopic(bytes, packet);
  if (response !== OK) return response;
  const alias = properties[TOPIC_ALIAS];
  if (alias !== 0) {
    if (uint16At(bytes, alias) === 0) return TOPIC_ALIAS_INVALID; // 5.0 [MQTT-3.3.2-8]
    if (topicStart === topicEnd) return OK;
  }
  if (topicStart === topicEnd) return PROTOCOL_ERROR;
  return checkTopicName(bytes, topicStart, topicEnd, packet.levels);
}

/** The packet identifier that opens the body. */
function readPacketId(bytes: Uint8Array, packet: Packet): number {
  const start = packet.bodyStart;
  if (packet.end - start < 2) return MALFORMED;
  packet.packetId = (bytes[start] << 8) | bytes[start + 1];
  return packet.packetId === 0 ? PROTOCOL_ERROR : OK; // [MQTT-2.3.1-1]
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP. */
function decodeAcknowledgement(bytes: Uint8Array, packet: Packet): number {
  const outcome = readPacketId(bytes, packet);
  if (outcome !== OK) return outcome;
  packet.reasonCode = SUCCESS;
  if (packet.protocolLevel === LEVEL_5) {
    if (packet.end - packet.bodyStart > 2) return readReason(bytes, packet, packet.bodyStart + 2);
    noProperties(packet);
    return OK;
  }
  return packet.end - packet.bodyStart === 2 ? OK : MALFORMED;
}

/** DISCONNECT, AUTH: a reason code and properties, both of which may be left out. */
function decodeReason(bytes: Uint8Array, packet: Packet): number {
  packet.reasonCode = SUCCESS;
  if (packet.end === packet.bodyStart) {
    noProperties(packet);
    return OK;
  }
  return packet.protocolLevel === LEVEL_5 ?
    readReason(bytes, packet, packet.bodyStart) :
    MALFORMED;
}

/** The reason code at `at`, and, if there are any, the properties behind it, up to the end. */
function readReason(bytes: Uint8Array, packet: Packet, at: number): number {
  packet.reasonCode = bytes[at];
  if (!isReasonOf(packet.type, packet.reasonCode)) return PROTOCOL_ERROR;
  if (at + 1 === packet.end) {
    noProperties(packet);
    return OK;
  }
  const end = readProperties(bytes, packet, at + 1);
  if (end < 0) return end;
  return end === packet.end ? OK : MALFORMED;
}

/** SUBSCRIBE and UNSUBSCRIBE: every entry is checked here, so `nextFilter` may trust them. */
function decodeFilters(bytes: Uint8Array, packet: Packet): number {
  const outcome = readPacketId(bytes, packet);
  if (outcome !== OK) return outcome;
  let at = listStart(bytes, packet);
  if (at < 0) return at;
  packet.listStart = at;
  packet.listEnd = packet.end;
  packet.filterCount = 0;
  const optionBytes = packet.type === SUBSCRIBE ? 1 : 0;
  if (at === packet.end) return PROTOCOL_ERROR; // no filter at all [MQTT-3.8.3-3], [MQTT-3.10.3-2]
  while (at < packet.end) {
    const filterStart = at + 2;
    if (filterStart > packet.end) return MALFORMED;
    const filterEnd = filterStart + ((bytes[at] << 8) | bytes[at + 1]);
    if (filterEnd + optionBytes > packet.end) return MALFORMED;
    const filter = checkTopicFilter(bytes, filterStart, filterEnd);
    if (filter !== OK) return filter;
    if (optionBytes !== 0) {
      const options = checkOptions(bytes[filterEnd], packet.protocolLevel);
      if (options !== OK) return options;
    }
    packet.filterCount++;
    at = filterEnd + optionBytes;
  }
  rewindFilters(packet);
  return OK;
}

/** Where filters or codes begin: behind the packet identifier and the properties of MQTT 5.0. */
function listStart(bytes: Uint8Array, packet: Packet): number {
  const at = packet.bodyStart + 2;
  return packet.protocolLevel === LEVEL_5 ? readProperties(bytes, packet, at) : at;
}

/** The byte behind a filter: QoS [MQTT-3-8.3-4], and in MQTT 5.0 the options of section 3.8.3.1. */
function checkOptions(options: number, protocolLevel: number): number {
  if (protocolLevel !== LEVEL_5) return options > 2 ? MALFORMED : OK;
  if ((options & 0xc0) !== 0) return MALFORMED; // 5.0 [MQTT-3.8.3-5]
  return (options & 0x03) === 0x03 || (options & 0x30) === 0x30 ? PROTOCOL_ERROR : OK;
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
  packet.filterOptions = optionBytes !== 0 ? bytes[packet.filterEnd] : 0;
  packet.filterQos = packet.filterOptions & 3;
  return true;
}

/** SUBACK and UNSUBACK; that of 3.1.1 has no codes. */
function decodeFilterAnswers(bytes: Uint8Array, packet: Packet): number {
  const outcome = readPacketId(bytes, packet);
  if (outcome !== OK) return outcome;
  const at = listStart(bytes, packet);
  if (at < 0) return at;
  packet.listStart = at;
  packet.listEnd = packet.end;
  const level5 = packet.protocolLevel === LEVEL_5;
  if (packet.type === UNSUBACK && !level5) return at === packet.end ? OK : MALFORMED;
  if (at === packet.end) return MALFORMED;
  for (let i = at; i < packet.end; i++) {
    if (level5 ? !isReasonOf(packet.type, bytes[i]) : // [MQTT-3.9.3-2]
      bytes[i] > 2 && bytes[i] !== SUBACK_FAILURE) return level5 ? PROTOCOL_ERROR : MALFORMED;
  }
  return OK;
}

function decodeConnack(bytes: Uint8Array, packet: Packet): number {
  const start = packet.bodyStart;
  const byteCount = packet.end - start;
  if (byteCount < 2 || bytes[start] > 1) return MALFORMED; // 5.0 [MQTT-3.2.2-1]
  packet.sessionPresent = bytes[start] === 1;
  packet.reasonCode = bytes[start + 1];
  // [MQTT-3.2.2-4], 5.0 [MQTT-3.2.2-6]
  if (packet.sessionPresent && packet.reasonCode !== 0) return PROTOCOL_ERROR;
  if (packet.protocolLevel === LEVEL_5 && byteCount > 2) {
    if (!isReasonOf(CONNACK, packet.reasonCode)) return PROTOCOL_ERROR;
    const end = readProperties(bytes, packet, start + 2);
    if (end < 0) return end;
    return end === packet.end ? OK : MALFORMED;
  }
  noProperties(packet);
  if (byteCount !== 2 || packet.reasonCode > 5) return MALFORMED;
  // To a CONNECT of 5.0, a server that does not know it may refuse in its own form, and no more.
  return packet.protocolLevel === LEVEL_5 && packet.reasonCode === 0 ? MALFORMED : OK;
}
