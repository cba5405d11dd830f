// PUBLISH of MQTT 5.0 on its way into the outbox: with its properties, and with an alias in place
// of a topic that goes out again on this connection (section 3.3.2.3.4). Called by outgoing.ts.
//
//   header | topic, or none | packet identifier | length | properties | alias | payload

import { NONE, PUBLISH } from '../wire/codes.js';
import {
  encodeField, encodeHeader, encodeUint16, encodeUint16Property, encodeVarint, packetBytes,
  propertiesBytes,
} from '../wire/encode.js';
import { TOPIC_ALIAS } from '../wire/properties.js';
import type { Client } from './client.js';
import type { EncodedProperties } from './encoded-properties.js';
import type { Terms } from './terms.js';

/** The property. A topic that is no longer gets none: with one, a PUBLISH is never longer. */
const ALIAS_BYTES = 3;
/** What a new one adds at most: it may make the length of the properties a byte longer. */
const NEW_ALIAS_BYTES = 4;

/**
 * The alias by which the broker knows the topic, or knew it on the last connection; or 0. A topic
 * that has one is a topic name.
 */
export function knownAlias(client: Client, terms: Terms, topic: Uint8Array): number {
  if (terms.aliasMax === 0) return 0;
  const memory = client.memory;
  const topicStart = memory.scratchStart + 2;
  encodeField(client.bytes, topicStart - 2, topic);
  return memory.aliases.find(0, topicStart, topicStart + topic.length);
}

/**
 * QoS 0, not by way of the queue, `byteCount` bytes without an alias, and with that one, if it is
 * not 0; false without room.
 */
export function publishNow5(
  client: Client, byteCount: number, topic: Uint8Array, payload: Uint8Array, retain: boolean,
  properties: EncodedProperties | null, known: number,
): boolean {
  const bytes = client.bytes;
  const alias = known !== 0 || client.terms!.aliasMax === 0 ? known :
    newAlias(client, byteCount, topic.length);
  const given = properties === null ? 0 : properties.bytes.length;
  const all = alias === 0 ? given : given + ALIAS_BYTES;
  const remaining = (alias > 0 ? 2 : 2 + topic.length) + propertiesBytes(all) + payload.length;
  const start = client.reserve(packetBytes(remaining));
  if (start === NONE) return false;
  let at = encodeHeader(bytes, start, PUBLISH << 4 | (retain ? 1 : 0), remaining);
  at = alias > 0 ? encodeUint16(bytes, at, 0) : encodeField(bytes, at, topic);
  at = encodeVarint(bytes, at, all);
  if (given > 0) {
    bytes.set(properties!.bytes, at);
    at += given;
  }
  if (alias > 0) {
    at = encodeUint16Property(bytes, at, TOPIC_ALIAS, alias);
  } else if (alias < 0) {
    encodeField(bytes, client.memory.scratchStart, topic);
    at = encodeNewAlias(client, at, -alias, topic.length);
  }
  bytes.set(payload, at);
  client.sent(at + payload.length);
  return true;
}

/**
 * That of a row of the queue, with these header flags, `byteCount` bytes without an alias; false
 * without room.
 */
export function transmitMessage5(
  client: Client, row: number, flags: number, byteCount: number,
): boolean {
  const { memory, terms } = client;
  const { aliases, deliveries, queued, scratchStart } = memory;
  const message = deliveries.message(row);
  const qos = flags >> 1 & 3;
  const topicBytes = queued.topicBytes(message);
  let alias = 0;
  if (terms!.aliasMax > 0) {
    const topicEnd = queued.blocks.read(message, 0, scratchStart, 2 + topicBytes);
    alias = aliases.find(0, scratchStart + 2, topicEnd);
    if (alias === 0) alias = newAlias(client, byteCount, topicBytes);
  }
  const extra = alias === 0 ? 0 : ALIAS_BYTES;
  const sentBytes = alias > 0 ? 0 : topicBytes;
  let at = client.reserve(alias < 0 ? byteCount + NEW_ALIAS_BYTES : byteCount);
  if (at === NONE) return false;
  const packetId = qos === 0 ? 0 : deliveries.transmit(0, row);
  at = queued.encodeStart5(message, at, flags, packetId, sentBytes, extra, terms!.nowSeconds);
  if (alias > 0) at = encodeUint16Property(client.bytes, at, TOPIC_ALIAS, alias);
  else if (alias < 0) at = encodeNewAlias(client, at, -alias, topicBytes);
  client.sent(queued.encodePayload(message, at));
  return true;
}

/** A new alias, negated, for a topic of that length, or 0: none is left, or it does not pay. */
function newAlias({ memory, terms }: Client, byteCount: number, topicBytes: number): number {
  const { aliasMax, packetBytesMax } = terms!;
  const most = byteCount + NEW_ALIAS_BYTES;
  return topicBytes <= ALIAS_BYTES || most > packetBytesMax ? 0 :
    -memory.aliases.next(0, topicBytes, aliasMax);
}

/** Writes the alias at `at`, new for the topic in the scratch; returns its end. */
function encodeNewAlias(
  { bytes, memory }: Client, at: number, alias: number, topicBytes: number,
): number {
  const topicStart = memory.scratchStart + 2;
  memory.aliases.add(0, alias, topicStart, topicStart + topicBytes);
  return encodeUint16Property(bytes, at, TOPIC_ALIAS, alias);
}
