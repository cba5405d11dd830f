// Packets written in place. Called by broker, client and tests with room already reserved: every
// function writes at `at`, returns the offset after the last byte, checks nothing and allocates
// nothing. The sizes they need come from the `…Bytes` functions and constants beside them.

import {
  CONNACK, CONNECT, CONNECT_PASSWORD, CONNECT_USER_NAME, CONNECT_WILL, LEVEL_3_1, LEVEL_5, PUBLISH,
  PUBREL,
} from './codes.js';
import { varintBytes } from './properties.js';

/** Size of PUBACK, PUBREC, PUBREL, PUBCOMP, and before MQTT 5.0 of CONNACK and UNSUBACK. */
export const SHORT_PACKET_BYTES = 4;
/** The most that `encodeReason` writes. */
export const REASON_PACKET_BYTES = 5;
/** Size of PINGREQ, PINGRESP and DISCONNECT. */
export const EMPTY_PACKET_BYTES = 2;
/** The largest remaining length, 268,435,455 (MQTT 3.1.1 section 2.2.3). */
export const REMAINING_LENGTH_MAX = 0x0fffffff;

/** Size of the whole packet whose body has `remainingLength` bytes, 0 to REMAINING_LENGTH_MAX. */
export function packetBytes(remainingLength: number): number {
  if (remainingLength < 0x80) return remainingLength + 2;
  return remainingLength + (remainingLength < 0x4000 ? 3 : remainingLength < 0x200000 ? 4 : 5);
}

/** Size of a PUBLISH, header included. */
export function publishBytes(topicBytes: number, payloadBytes: number, qos: number): number {
  return packetBytes(topicBytes + payloadBytes + (qos !== 0 ? 4 : 2));
}

/** First byte and remaining length. */
export function encodeHeader(
  bytes: Uint8Array, at: number, firstByte: number, remainingLength: number,
): number {
  bytes[at] = firstByte;
  if (remainingLength > 0x7f) return encodeVarint(bytes, at + 1, remainingLength);
  bytes[at + 1] = remainingLength;
  return at + 2;
}

/** A variable byte integer: `varintBytes(value)` bytes. */
export function encodeVarint(bytes: Uint8Array, at: number, value: number): number {
  while (value > 0x7f) {
    bytes[at++] = value & 0x7f | 0x80;
    value >>= 7;
  }
  bytes[at++] = value;
  return at;
}

/** `value` as two bytes, high first. */
export function encodeUint16(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
  return at + 2;
}

/**
 * A PUBLISH whose topic and payload lie in the same array (an inbox, say): copied with
 * `copyWithin`, which is native and free of allocation on every engine. `flags` holds DUP, QoS and
 * RETAIN as the header does; `packetId` is written for QoS 1 and 2 only. Source and target must not
 * overlap.
 */
export function encodePublish(
  bytes: Uint8Array, at: number, flags: number, packetId: number,
  topicStart: number, topicEnd: number, payloadStart: number, payloadEnd: number,
): number {
  const topicBytes = topicEnd - topicStart;
  const acknowledged = (flags & 0x06) !== 0;
  const remaining = topicBytes + payloadEnd - payloadStart + (acknowledged ? 4 : 2);
  at = encodeHeader(bytes, at, PUBLISH << 4 | flags, remaining);
  bytes[at] = topicBytes >> 8;
  bytes[at + 1] = topicBytes;
  at += 2;
  bytes.copyWithin(at, topicStart, topicEnd);
  at += topicBytes;
  if (acknowledged) at = encodeUint16(bytes, at, packetId);
  bytes.copyWithin(at, payloadStart, payloadEnd);
  return at + payloadEnd - payloadStart;
}

/**
 * A PUBLISH whose body, `bodyStart` to `bodyEnd`, stands in the same array as it is to be sent:
 * what QoS 0 in and QoS 0 out have in common.
 */
export function encodePublishBody(
  bytes: Uint8Array, at: number, flags: number, bodyStart: number, bodyEnd: number,
): number {
  const bodyAt = encodeHeader(bytes, at, PUBLISH << 4 | flags, bodyEnd - bodyStart);
  bytes.copyWithin(bodyAt, bodyStart, bodyEnd);
  return bodyAt + bodyEnd - bodyStart;
}

/**
 * PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK. PUBREL carries the reserved flags 0010
 * [MQTT-3.6.1-1].
 */
export function encodeAcknowledgement(
  bytes: Uint8Array, at: number, type: number, packetId: number,
): number {
  bytes[at] = type << 4 | (type === PUBREL ? 2 : 0);
  bytes[at + 1] = 2;
  bytes[at + 2] = packetId >> 8;
  bytes[at + 3] = packetId;
  return at + SHORT_PACKET_BYTES;
}

/**
 * MQTT 5.0: a packet of nothing but a reason code: PUBACK, PUBREC, PUBREL or PUBCOMP, or, with
 * packet identifier 0, DISCONNECT or AUTH.
 */
export function encodeReason(
  bytes: Uint8Array, at: number, type: number, packetId: number, reasonCode: number,
): number {
  bytes[at] = type << 4 | (type === PUBREL ? 2 : 0);
  bytes[at + 1] = packetId === 0 ? 1 : 3;
  at += 2;
  if (packetId !== 0) at = encodeUint16(bytes, at, packetId);
  bytes[at] = reasonCode;
  return at + 1;
}

// Properties of MQTT 5.0, one by one; their length stands before the first (`encodeVarint`).

/** Sizes: 2 bytes, */
export function encodeByteProperty(
  bytes: Uint8Array, at: number, identifier: number, value: number,
): number {
  bytes[at] = identifier;
  bytes[at + 1] = value;
  return at + 2;
}

/** 3, */
export function encodeUint16Property(
  bytes: Uint8Array, at: number, identifier: number, value: number,
): number {
  bytes[at] = identifier;
  return encodeUint16(bytes, at + 1, value);
}

/** 5, */
export function encodeUint32Property(
  bytes: Uint8Array, at: number, identifier: number, value: number,
): number {
  bytes[at] = identifier;
  return encodeUint32(bytes, at + 1, value);
}

/** `value` as four bytes, high first. */
export function encodeUint32(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
  return at + 4;
}

/** 1 and those of the number, */
export function encodeVarintProperty(
  bytes: Uint8Array, at: number, identifier: number, value: number,
): number {
  bytes[at] = identifier;
  return encodeVarint(bytes, at + 1, value);
}

/** 3 and those of the text or data. */
export function encodeFieldProperty(
  bytes: Uint8Array, at: number, identifier: number, field: Uint8Array,
): number {
  bytes[at] = identifier;
  return encodeField(bytes, at + 1, field);
}

/** PINGREQ, PINGRESP, or DISCONNECT for the reason SUCCESS. */
export function encodeEmpty(bytes: Uint8Array, at: number, type: number): number {
  bytes[at] = type << 4;
  bytes[at + 1] = 0;
  return at + EMPTY_PACKET_BYTES;
}

export function encodeConnack(
  bytes: Uint8Array, at: number, sessionPresent: boolean, returnCode: number,
): number {
  bytes[at] = CONNACK << 4;
  bytes[at + 1] = 2;
  bytes[at + 2] = sessionPresent ? 1 : 0;
  bytes[at + 3] = returnCode;
  return at + SHORT_PACKET_BYTES;
}

/**
 * A CONNECT. `flags` as in MQTT 3.1.1 section 3.1.2.3 say which of the optional fields follow; an
 * absent one is an empty array. The properties, its own and those of its will, are written at level
 * 5 only, with their length before them. Size: `connectBytes` of the same fields.
 */
export function encodeConnect(
  bytes: Uint8Array, at: number, protocolLevel: number, flags: number, keepAliveSeconds: number,
  clientId: Uint8Array, willTopic: Uint8Array, willPayload: Uint8Array,
  userName: Uint8Array, password: Uint8Array, properties: Uint8Array, willProperties: Uint8Array,
): number {
  const remaining = connectRemaining(protocolLevel, flags, clientId, willTopic, willPayload,
    userName, password, properties, willProperties);
  const hasProperties = protocolLevel === LEVEL_5;
  at = encodeHeader(bytes, at, CONNECT << 4, remaining);
  at = encodeField(bytes, at, protocolLevel === LEVEL_3_1 ? NAME_3_1 : NAME_3_1_1);
  bytes[at] = protocolLevel;
  bytes[at + 1] = flags;
  at = encodeUint16(bytes, at + 2, keepAliveSeconds);
  if (hasProperties) at = encodeProperties(bytes, at, properties);
  at = encodeField(bytes, at, clientId);
  if ((flags & CONNECT_WILL) !== 0) {
    if (hasProperties) at = encodeProperties(bytes, at, willProperties);
    at = encodeField(bytes, encodeField(bytes, at, willTopic), willPayload);
  }
  if ((flags & CONNECT_USER_NAME) !== 0) at = encodeField(bytes, at, userName);
  if ((flags & CONNECT_PASSWORD) !== 0) at = encodeField(bytes, at, password);
  return at;
}

const NAME_3_1 = /* @__PURE__ */ Uint8Array.of(0x4d, 0x51, 0x49, 0x73, 0x64, 0x70);
const NAME_3_1_1 = /* @__PURE__ */ Uint8Array.of(0x4d, 0x51, 0x54, 0x54);

/** Size of the CONNECT that `encodeConnect` writes for the same arguments. */
export function connectBytes(
  protocolLevel: number, flags: number,
  clientId: Uint8Array, willTopic: Uint8Array, willPayload: Uint8Array,
  userName: Uint8Array, password: Uint8Array, properties: Uint8Array, willProperties: Uint8Array,
): number {
  return packetBytes(connectRemaining(protocolLevel, flags, clientId, willTopic, willPayload,
    userName, password, properties, willProperties));
}

function connectRemaining(
  protocolLevel: number, flags: number,
  clientId: Uint8Array, willTopic: Uint8Array, willPayload: Uint8Array,
  userName: Uint8Array, password: Uint8Array, properties: Uint8Array, willProperties: Uint8Array,
): number {
  let remaining = (protocolLevel === LEVEL_3_1 ? 12 : 10) + 2 + clientId.length;
  if (protocolLevel === LEVEL_5) remaining += propertiesBytes(properties.length);
  if ((flags & CONNECT_WILL) !== 0) {
    remaining += 4 + willTopic.length + willPayload.length;
    if (protocolLevel === LEVEL_5) remaining += propertiesBytes(willProperties.length);
  }
  if ((flags & CONNECT_USER_NAME) !== 0) remaining += 2 + userName.length;
  if ((flags & CONNECT_PASSWORD) !== 0) remaining += 2 + password.length;
  return remaining;
}

/** Bytes of properties with their length before them. */
export function propertiesBytes(byteCount: number): number {
  return varintBytes(byteCount) + byteCount;
}

/** Properties that are encoded already, with their length before them. */
export function encodeProperties(bytes: Uint8Array, at: number, properties: Uint8Array): number {
  at = encodeVarint(bytes, at, properties.length);
  bytes.set(properties, at);
  return at + properties.length;
}

/** Two bytes of length, then `field`, whole. */
export function encodeField(bytes: Uint8Array, at: number, field: Uint8Array): number {
  at = encodeUint16(bytes, at, field.length);
  bytes.set(field, at);
  return at + field.length;
}

/**
 * Header and packet id of a SUBSCRIBE or UNSUBSCRIBE whose filters, lengths and options take
 * `listBytes`; the caller writes each filter after it with `encodeField`, in a SUBSCRIBE followed
 * by its QoS byte.
 */
export function encodeFiltersHeader(
  bytes: Uint8Array, at: number, type: number, packetId: number, listBytes: number,
): number {
  return encodeUint16(bytes, encodeHeader(bytes, at, type << 4 | 2, listBytes + 2), packetId);
}
