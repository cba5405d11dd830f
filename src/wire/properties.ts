// The properties of MQTT 5.0, section 2.2.2: found and checked, never copied. Called by `decode`
// for every packet that has some; read by the handlers.
//
//   length, a variable byte integer | identifier value | identifier value | …

import {
  AUTH, CONNACK, CONNECT, DISCONNECT, MALFORMED, OK, PROPERTY_COUNT, PROTOCOL_ERROR, PUBACK,
  PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE,
} from './codes.js';
import type { Packet } from './packet.js';
import { checkTopicName } from './topic.js';
import { isUtf8 } from './utf8.js';

export const PAYLOAD_FORMAT_INDICATOR = 0x01;
export const MESSAGE_EXPIRY_INTERVAL = 0x02;
export const CONTENT_TYPE = 0x03;
export const RESPONSE_TOPIC = 0x08;
export const CORRELATION_DATA = 0x09;
export const SUBSCRIPTION_IDENTIFIER = 0x0b;
export const SESSION_EXPIRY_INTERVAL = 0x11;
export const ASSIGNED_CLIENT_IDENTIFIER = 0x12;
export const SERVER_KEEP_ALIVE = 0x13;
export const AUTHENTICATION_METHOD = 0x15;
export const AUTHENTICATION_DATA = 0x16;
export const REQUEST_PROBLEM_INFORMATION = 0x17;
export const WILL_DELAY_INTERVAL = 0x18;
export const REQUEST_RESPONSE_INFORMATION = 0x19;
export const RESPONSE_INFORMATION = 0x1a;
export const SERVER_REFERENCE = 0x1c;
export const REASON_STRING = 0x1f;
export const RECEIVE_MAXIMUM = 0x21;
export const TOPIC_ALIAS_MAXIMUM = 0x22;
export const TOPIC_ALIAS = 0x23;
export const MAXIMUM_QOS = 0x24;
export const RETAIN_AVAILABLE = 0x25;
export const USER_PROPERTY = 0x26;
export const MAXIMUM_PACKET_SIZE = 0x27;
export const WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28;
export const SUBSCRIPTION_IDENTIFIERS_AVAILABLE = 0x29;
export const SHARED_SUBSCRIPTION_AVAILABLE = 0x2a;

/** The kind of properties that a will has; those of a packet have its type. */
const WILL_PROPERTIES = 0;

/** The largest variable byte integer, and with it the largest subscription identifier. */
export const VARINT_MAX = 0x0fffffff;

/** How a value is written, MQTT 5.0 section 2.2.2.2. */
const FLAG = 1; // a byte that is 0 or 1
const UINT16 = 2;
const UINT32 = 4; // up to here the format is the size
const VARINT = 5;
const TEXT = 6;
const BINARY = 7;
const PAIR = 8;

/**
 * By identifier: how its value is written, and the kinds of properties it may stand in, as bits.
 * The latter as an array of numbers: of typed arrays in its flash, an ESP8266 reads those of bytes
 * only.
 */
const FORMAT = new Uint8Array(PROPERTY_COUNT);
const PLACES: number[] = [];
for (let identifier = 0; identifier < PROPERTY_COUNT; identifier++) PLACES[identifier] = 0;

function define(identifier: number, format: number, places: number): void {
  FORMAT[identifier] = format;
  PLACES[identifier] = places;
}

const IN_WILL = 1 << WILL_PROPERTIES;
const IN_CONNECT = 1 << CONNECT;
const IN_CONNACK = 1 << CONNACK;
const IN_PUBLISH = 1 << PUBLISH;
const IN_MESSAGE = IN_PUBLISH | IN_WILL;
const IN_SUBSCRIBE = 1 << SUBSCRIBE;
const IN_DISCONNECT = 1 << DISCONNECT;
const IN_AUTH = 1 << AUTH;
/** PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK. */
const IN_ANSWERS = 1 << PUBACK | 1 << PUBREC | 1 << PUBREL | 1 << PUBCOMP | 1 << SUBACK |
  1 << UNSUBACK;

// MQTT 5.0 table 2-4.
define(PAYLOAD_FORMAT_INDICATOR, FLAG, IN_MESSAGE);
define(MESSAGE_EXPIRY_INTERVAL, UINT32, IN_MESSAGE);
define(CONTENT_TYPE, TEXT, IN_MESSAGE);
define(RESPONSE_TOPIC, TEXT, IN_MESSAGE);
define(CORRELATION_DATA, BINARY, IN_MESSAGE);
define(SUBSCRIPTION_IDENTIFIER, VARINT, IN_PUBLISH | IN_SUBSCRIBE);
define(SESSION_EXPIRY_INTERVAL, UINT32, IN_CONNECT | IN_CONNACK | IN_DISCONNECT);
define(ASSIGNED_CLIENT_IDENTIFIER, TEXT, IN_CONNACK);
define(SERVER_KEEP_ALIVE, UINT16, IN_CONNACK);
define(AUTHENTICATION_METHOD, TEXT, IN_CONNECT | IN_CONNACK | IN_AUTH);
define(AUTHENTICATION_DATA, BINARY, IN_CONNECT | IN_CONNACK | IN_AUTH);
define(REQUEST_PROBLEM_INFORMATION, FLAG, IN_CONNECT);
define(WILL_DELAY_INTERVAL, UINT32, IN_WILL);
define(REQUEST_RESPONSE_INFORMATION, FLAG, IN_CONNECT);
define(RESPONSE_INFORMATION, TEXT, IN_CONNACK);
define(SERVER_REFERENCE, TEXT, IN_CONNACK | IN_DISCONNECT);
define(REASON_STRING, TEXT, IN_CONNACK | IN_DISCONNECT | IN_AUTH | IN_ANSWERS);
define(RECEIVE_MAXIMUM, UINT16, IN_CONNECT | IN_CONNACK);
define(TOPIC_ALIAS_MAXIMUM, UINT16, IN_CONNECT | IN_CONNACK);
define(TOPIC_ALIAS, UINT16, IN_PUBLISH);
define(MAXIMUM_QOS, FLAG, IN_CONNACK);
define(RETAIN_AVAILABLE, FLAG, IN_CONNACK);
define(USER_PROPERTY, PAIR, IN_CONNECT | IN_CONNACK | IN_SUBSCRIBE | 1 << UNSUBSCRIBE |
  IN_DISCONNECT | IN_AUTH | IN_ANSWERS | IN_MESSAGE);
define(MAXIMUM_PACKET_SIZE, UINT32, IN_CONNECT | IN_CONNACK);
define(WILDCARD_SUBSCRIPTION_AVAILABLE, FLAG, IN_CONNACK);
define(SUBSCRIPTION_IDENTIFIERS_AVAILABLE, FLAG, IN_CONNACK);
define(SHARED_SUBSCRIPTION_AVAILABLE, FLAG, IN_CONNACK);
Object.freeze(PLACES);

/**
 * Reads the packet's own properties, whose length stands at `at`. Returns their end, or MALFORMED
 * (cut, not UTF-8, unknown, or not for this packet) or PROTOCOL_ERROR (there twice, or a value that
 * none may have), MQTT 5.0 section 2.2.2.2.
 */
export function readProperties(bytes: Uint8Array, packet: Packet, at: number): number {
  packet.properties.fill(0);
  const end = checkProperties(bytes, at, packet.end, packet.type, packet.properties);
  if (end < 0) return end;
  packet.propertiesStart = at + lengthBytes(bytes, at);
  packet.propertiesEnd = end;
  return end;
}

/** The same for those of a will, which CONNECT has beside its own. */
export function readWillProperties(bytes: Uint8Array, packet: Packet, at: number): number {
  const end = checkProperties(bytes, at, packet.end, WILL_PROPERTIES, packet.properties);
  if (end < 0) return end;
  packet.willPropertiesStart = at + lengthBytes(bytes, at);
  packet.willPropertiesEnd = end;
  return end;
}

/** OK, or why the response topic, if there is one, is no topic name, 5.0 [MQTT-3.3.2-14]. */
export function checkResponseTopic(bytes: Uint8Array, packet: Packet): number {
  const at = packet.properties[RESPONSE_TOPIC];
  return at === 0 ? OK : checkTopicName(bytes, at + 2, at + 2 + uint16At(bytes, at));
}

/** There are none, and those of the packet before are not meant. */
export function noProperties(packet: Packet): void {
  packet.properties.fill(0);
  packet.propertiesStart = packet.propertiesEnd = packet.end;
}

/** Bytes of the variable byte integer, checked before, at `at`. */
function lengthBytes(bytes: Uint8Array, at: number): number {
  let count = 1;
  while (bytes[at++] >= 0x80) count++;
  return count;
}

/** Notes in `places`, by identifier, where the values are that the packet's properties have. */
function checkProperties(
  bytes: Uint8Array, at: number, packetEnd: number, kind: number, places: Int32Array,
): number {
  const byteCount = varintAt(bytes, at, packetEnd);
  if (byteCount < 0) return MALFORMED;
  at += varintBytes(byteCount);
  const end = at + byteCount;
  if (end > packetEnd) return MALFORMED;
  while (at < end) {
    const identifier = bytes[at];
    if (identifier >= PROPERTY_COUNT || (PLACES[identifier] >> kind & 1) === 0) return MALFORMED;
    const next = valueEnd(bytes, at + 1, end, FORMAT[identifier]);
    if (next < 0) return MALFORMED;
    if (places[identifier] === 0) places[identifier] = at + 1;
    else if (!mayRepeat(identifier, kind)) return PROTOCOL_ERROR;
    if (!isInRange(bytes, at + 1, identifier)) return PROTOCOL_ERROR;
    at = next;
  }
  return end;
}

/** What a server adds to a PUBLISH for each matching subscription may be there often. */
function mayRepeat(identifier: number, kind: number): boolean {
  return identifier === USER_PROPERTY ||
    (identifier === SUBSCRIPTION_IDENTIFIER && kind === PUBLISH);
}

function isInRange(bytes: Uint8Array, at: number, identifier: number): boolean {
  if (FORMAT[identifier] === FLAG) return bytes[at] < 2;
  switch (identifier) {
    case SUBSCRIPTION_IDENTIFIER:
      return bytes[at] !== 0;
    case RECEIVE_MAXIMUM:
      return uint16At(bytes, at) !== 0;
    case MAXIMUM_PACKET_SIZE:
      return uint32At(bytes, at) !== 0;
    default:
      return true;
  }
}

/** End of the value at `at` that must lie before `end`, or MALFORMED. */
function valueEnd(bytes: Uint8Array, at: number, end: number, format: number): number {
  if (format <= UINT32) return at + format > end ? MALFORMED : at + format;
  if (format === VARINT) return varintEnd(bytes, at, end);
  if (format === BINARY) return fieldEnd(bytes, at, end);
  if (format === PAIR) at = textEnd(bytes, at, end);
  return at < 0 ? at : textEnd(bytes, at, end);
}

function varintEnd(bytes: Uint8Array, at: number, end: number): number {
  const value = varintAt(bytes, at, end);
  return value < 0 ? MALFORMED : at + varintBytes(value);
}

function textEnd(bytes: Uint8Array, at: number, end: number): number {
  const next = fieldEnd(bytes, at, end);
  return next >= 0 && isUtf8(bytes, at + 2, next) ? next : MALFORMED;
}

/** End of the length-prefixed field at `at`, or MALFORMED when it overruns `end`. */
export function fieldEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at + 2 > end) return MALFORMED;
  const next = at + 2 + uint16At(bytes, at);
  return next > end ? MALFORMED : next;
}

/** End of the property, checked before, whose identifier stands at `at`. */
export function nextProperty(bytes: Uint8Array, at: number): number {
  const format = FORMAT[bytes[at]];
  if (format <= UINT32) return at + 1 + format;
  switch (format) {
    case VARINT:
      return at + 1 + lengthBytes(bytes, at + 1);
    case PAIR:
      at += 3 + uint16At(bytes, at + 1);
      return at + 2 + uint16At(bytes, at);
    default:
      return at + 3 + uint16At(bytes, at + 1);
  }
}

export function uint16At(bytes: Uint8Array, at: number): number {
  return bytes[at] << 8 | bytes[at + 1];
}

/** 0 to 2³²-1. */
export function uint32At(bytes: Uint8Array, at: number): number {
  return bytes[at] * 0x1000000 + (bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3]);
}

/**
 * The variable byte integer at `at`, 0 to VARINT_MAX; MALFORMED when it does not end before `end`
 * or within four bytes, or has more bytes than it needs, 5.0 [MQTT-1.5.5-1].
 */
export function varintAt(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  for (let shift = 0; shift <= 21 && at < end; shift += 7) {
    const digit = bytes[at++];
    value |= (digit & 0x7f) << shift;
    if (digit < 0x80) return digit === 0 && shift > 0 ? MALFORMED : value;
  }
  return MALFORMED;
}

/** Bytes that a variable byte integer takes, 1 to 4. */
export function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : 4;
}
