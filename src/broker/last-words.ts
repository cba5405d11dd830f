// What a client of MQTT 5.0 is told before its link is closed, 5.0 section 4.13: CONNACK with a
// reason code when it was not accepted, DISCONNECT when it was. Called by end.ts and connack.ts.
//
//   CONNACK     type length | session present | code | properties length | reason string
//   DISCONNECT  type length                   | code | properties length | reason string

import { CONNACK, DISCONNECT, NONE } from '../wire/codes.js';
import { encodeReason, encodeUint16 } from '../wire/encode.js';
import { REASON_STRING } from '../wire/properties.js';
import { asciiBytes } from './ascii.js';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';
import { reserve } from './deliver.js';

/** Type, length and code; without properties their length may be left out. */
const DISCONNECT_BYTES = 3;
/** The same, session present, and the length of the properties. */
const CONNACK_BYTES = 5;
/** Identifier and length of a reason string. */
const TEXT_HEADER_BYTES = 3;

/** A reason string that is left out. */
const NO_TEXT = /* @__PURE__ */ new Uint8Array(0);

/**
 * What lies behind the codes from 0x80 on, where the code alone does not say it, in less than 122
 * characters. Bytes, because to look into a text allocates.
 */
const TEXTS: readonly Uint8Array[] = /* @__PURE__ */ Object.freeze([
  NO_TEXT,
  asciiBytes('a packet was malformed'),
  asciiBytes('a packet broke the protocol'), // 0x82
  NO_TEXT,
  asciiBytes('this broker speaks MQTT 3.1, 3.1.1 and 5.0'), // 0x84
  asciiBytes('the client identifier is too long'),
  NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT,
  asciiBytes('the authentication method is not known here'), // 0x8c
  asciiBytes('nothing was heard for one and a half times the keep alive'),
  asciiBytes('another connection uses the client identifier'), // 0x8e
  NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT,
  asciiBytes('more unfinished messages than the receive maximum of CONNACK'), // 0x93
  asciiBytes('a topic alias is 0 or above the maximum of CONNACK'),
  asciiBytes('a packet is larger than the maximum packet size'), // 0x95
  NO_TEXT,
  asciiBytes('a limit of the broker is reached'), // 0x97
  NO_TEXT,
  asciiBytes('a payload or will is said to be UTF-8 and is not'), // 0x99
]);

/** CONNACK with `reasonCode`, 0x80 to 0xff; nothing if the client does not take so much. */
export function sayRefused(broker: Broker, connection: Connection, reasonCode: number): void {
  const text = textFor(connection, reasonCode, CONNACK_BYTES);
  const byteCount = CONNACK_BYTES + textBytes(text);
  if (byteCount > connection.packetBytesMax) return;
  const at = reserve(broker, connection, byteCount);
  if (at === NONE) return;
  const bytes = broker.bytes;
  bytes[at] = CONNACK << 4;
  bytes[at + 1] = byteCount - 2;
  bytes[at + 2] = 0;
  bytes[at + 3] = reasonCode;
  broker.sent(connection, encodeText(bytes, at + 4, text));
}

/**
 * DISCONNECT to a client that was accepted, unless it left by itself. `reason` is one of end.ts, or
 * the negative outcome of a packet. Without room for all of it the text is left out, or nothing is
 * said.
 */
export function sayDisconnected(broker: Broker, connection: Connection, reason: number): void {
  const reasonCode = reason < 0 ? -reason : reason;
  if (connection.session === NONE || reasonCode < 0x80 || reasonCode > 0xff) return;
  const text = textFor(connection, reasonCode, DISCONNECT_BYTES + 1);
  const byteCount = DISCONNECT_BYTES + 1 + textBytes(text);
  let at = linkTakes(connection, byteCount) && text.length > 0 ?
    reserve(broker, connection, byteCount) :
    NONE;
  if (at !== NONE) {
    const bytes = broker.bytes;
    bytes[at] = DISCONNECT << 4;
    bytes[at + 1] = byteCount - 2;
    bytes[at + 2] = reasonCode;
    broker.sent(connection, encodeText(bytes, at + 3, text));
    return;
  }
  if (DISCONNECT_BYTES > connection.packetBytesMax ||
      !linkTakes(connection, DISCONNECT_BYTES)) return;
  at = reserve(broker, connection, DISCONNECT_BYTES);
  if (at === NONE) return;
  broker.sent(connection, encodeReason(broker.bytes, at, DISCONNECT, 0, reasonCode));
}

/** Whether the link takes so much at once: it is closed behind it. */
function linkTakes({ link, outbox }: Connection, byteCount: number): boolean {
  return link !== null && outbox.byteCount + byteCount <= link.writableBytes;
}

/**
 * The reason string, or NO_TEXT where the client does not want it, 5.0 [MQTT-3.1.2-29], or does not
 * take a packet with it, 5.0 [MQTT-3.2.2-19], [MQTT-3.14.2-3].
 */
function textFor(connection: Connection, reasonCode: number, otherBytes: number): Uint8Array {
  if (!connection.problemInformation) return NO_TEXT;
  const text = reasonCode - 0x80 < TEXTS.length ? TEXTS[reasonCode - 0x80] : NO_TEXT;
  return otherBytes + textBytes(text) <= connection.packetBytesMax ? text : NO_TEXT;
}

function textBytes(text: Uint8Array): number {
  return text.length === 0 ? 0 : TEXT_HEADER_BYTES + text.length;
}

/**
 * Length of the properties, and the reason string as one of them: byte by byte, since an ESP8266
 * cannot copy from its flash, where these constants are.
 */
function encodeText(bytes: Uint8Array, at: number, text: Uint8Array): number {
  bytes[at++] = textBytes(text);
  if (text.length === 0) return at;
  bytes[at++] = REASON_STRING;
  at = encodeUint16(bytes, at, text.length);
  for (let i = 0; i < text.length; i++) bytes[at++] = text[i];
  return at;
}
