// What outlives a deep sleep: the queue with what is in flight, and the identifiers of QoS 2
// messages taken but not released, as bytes. Called by an application before it sleeps and after it
// woke, while no connection is open. All numbers are big-endian.
//
//   'M' 'Q' | version | 0 | bytes in all (4) | client identifier: length (2), text
//   packet identifier given last (2) | count (2), identifiers taken (2 each) | count (4), and for
//   each message: state | flags | packet identifier (2) | then unless it is RELEASED:
//   content bytes (4) | topic length (2) | topic | content: the properties, if flags say so, with
//   their length, and the payload; an expiry is what is left of it when it is saved
//   CRC-32 of all before it (4)
//
// Version 2 has properties, version 1 had none; it is taken up as well.

import { LAST_PACKET_ID, PUBLISHED, QUEUED, RELEASED } from '../session/deliveries.js';
import { EXPIRES, WITH_PROPERTIES } from '../session/messages.js';
import {
  CLIENT_IDENTIFIER_NOT_VALID, MALFORMED, NONE, OK, PROTOCOL_ERROR, QUOTA_EXCEEDED,
} from '../wire/codes.js';
import { encodeField, encodeUint16, encodeUint32, publishBytes } from '../wire/encode.js';
import { uint16At, uint32At, varintAt, varintBytes } from '../wire/properties.js';
import type { Client } from './client.js';
import { CLOSED } from './states.js';

const VERSION = 2;
/** Behind it the client identifier. */
export const HEADER_BYTES = 8;
const ROW_BYTES = 4;
/** `flags` of a message beside QoS and RETAIN. */
const SAVED_PROPERTIES = 0x08;
const SAVED_EXPIRES = 0x10;
const PUBLISH_FLAGS = 0x07;
const CRC_BYTES = 4;

/** Bytes that `saveSession` writes now. */
export function savedBytes(client: Client): number {
  const { deliveries, packetIds, queued } = client.memory;
  let byteCount = HEADER_BYTES + 2 + client.options.clientId.length + 2 + 2 +
    2 * packetIds.counts[0] + 4 + CRC_BYTES;
  for (let row = deliveries.head(0); row !== NONE; row = deliveries.next(row)) {
    byteCount += ROW_BYTES;
    if (deliveries.state(row) === RELEASED) continue;
    const message = deliveries.message(row);
    byteCount += 6 + queued.byteCount(message);
  }
  return byteCount;
}

/**
 * Writes the session to the start of `target` and returns its size, or QUOTA_EXCEEDED, and writes
 * nothing, when `target` is shorter than `savedBytes`.
 */
export function saveSession(client: Client, target: Uint8Array): number {
  const byteCount = savedBytes(client);
  if (byteCount > target.length) return QUOTA_EXCEEDED;
  const { deliveries, packetIds } = client.memory;
  target[0] = 0x4d;
  target[1] = 0x51;
  target[2] = VERSION;
  target[3] = 0;
  let at = encodeField(target, encodeUint32(target, 4, byteCount), client.options.clientId);
  at = encodeUint16(target, at, deliveries.lastPacketId(0));
  at = encodeUint16(target, at, packetIds.counts[0]);
  for (let cell = 0; cell < packetIds.cellCount; cell++) {
    const packetId = packetIds.inCell(0, cell);
    if (packetId !== 0) at = encodeUint16(target, at, packetId);
  }
  at = encodeUint32(target, at, deliveries.count(0));
  for (let row = deliveries.head(0); row !== NONE; row = deliveries.next(row)) {
    at = saveRow(client, row, target, at);
  }
  return encodeUint32(target, at, crc32(target, at));
}

function saveRow(client: Client, row: number, target: Uint8Array, at: number): number {
  const { bytes, memory } = client;
  const { deliveries, queued, scratchStart } = memory;
  target[at] = deliveries.state(row);
  target[at + 1] = deliveries.flags(row);
  at = encodeUint16(target, at + 2, deliveries.packetId(row));
  if (deliveries.state(row) === RELEASED) return at;
  const message = deliveries.message(row);
  const flags = queued.flags(message);
  if ((flags & WITH_PROPERTIES) !== 0) target[at - 3] |= SAVED_PROPERTIES;
  at = encodeUint32(target, at, queued.contentBytes(message));
  const end = queued.blocks.read(message, 0, scratchStart, 2 + queued.byteCount(message));
  if ((flags & EXPIRES) !== 0) {
    target[at - 7] |= SAVED_EXPIRES;
    moveExpiry(bytes, scratchStart, end, -nowSeconds(client));
  }
  for (let from = scratchStart; from < end; from++) target[at++] = bytes[from];
  return at;
}

/** The expiry of the message laid out at `start` counts from elsewhere, by so many seconds. */
function moveExpiry(bytes: Uint8Array, start: number, end: number, seconds: number): void {
  const contentStart = start + 2 + uint16At(bytes, start);
  const at = contentStart + varintBytes(varintAt(bytes, contentStart, end)) + 1;
  encodeUint32(bytes, at, Math.min(Math.max(uint32At(bytes, at) + seconds, 0), 0xffff_ffff));
}

function nowSeconds({ terms }: Client): number {
  return terms === null ? 0 : terms.nowSeconds;
}

/**
 * Takes up a saved session: for a client that was just constructed and has nothing kept. Returns
 * OK, or why not, and then nothing has changed: MALFORMED (not what `saveSession` wrote, or
 * damaged), CLIENT_IDENTIFIER_NOT_VALID (of another client), QUOTA_EXCEEDED (more than the limits
 * allow), PROTOCOL_ERROR (this client is in use).
 */
export function restoreSession(client: Client, source: Uint8Array): number {
  const { deliveries, packetIds, queued } = client.memory;
  if (client.state !== CLOSED || deliveries.count(0) !== 0 || packetIds.counts[0] !== 0) {
    return PROTOCOL_ERROR;
  }
  const outcome = checkSaved(client, source);
  if (outcome !== OK) return outcome;
  let at = HEADER_BYTES + 2 + client.options.clientId.length;
  deliveries.queues[LAST_PACKET_ID] = uint16At(source, at);
  let count = uint16At(source, at + 2);
  for (at += 4; count > 0; count--, at += 2) packetIds.add(0, uint16At(source, at));
  count = uint32At(source, at);
  for (at += 4; count > 0; count--) {
    const state = source[at];
    const flags = source[at + 1];
    const packetId = uint16At(source, at + 2);
    at += ROW_BYTES;
    if (state === RELEASED) {
      deliveries.appendInFlight(0, NONE, flags, state, packetId);
      continue;
    }
    const end = at + 6 + uint16At(source, at + 4) + uint32At(source, at);
    const message = loadMessage(client, source, at, end, flags);
    if (state === QUEUED) deliveries.append(0, message, flags & PUBLISH_FLAGS);
    else deliveries.appendInFlight(0, message, flags & PUBLISH_FLAGS, state, packetId);
    queued.release(message);
    at = end;
  }
  return OK;
}

function loadMessage(
  client: Client, source: Uint8Array, at: number, end: number, flags: number,
): number {
  const { bytes, memory } = client;
  const topicStart = memory.scratchStart + 2;
  const topicEnd = topicStart + uint16At(source, at + 4);
  let to = memory.scratchStart;
  for (let from = at + 4; from < end; from++) bytes[to++] = source[from];
  let kept = flags & PUBLISH_FLAGS;
  if ((flags & SAVED_PROPERTIES) !== 0) kept |= WITH_PROPERTIES;
  if ((flags & SAVED_EXPIRES) !== 0) {
    kept |= EXPIRES;
    moveExpiry(bytes, memory.scratchStart, to, nowSeconds(client));
  }
  return memory.queued.store(topicStart, topicEnd, topicEnd, to, kept);
}

/** OK when all of `source` can be taken up. */
function checkSaved(client: Client, source: Uint8Array): number {
  const clientId = client.options.clientId;
  const end = source.length < HEADER_BYTES ? 0 : uint32At(source, 4) - CRC_BYTES;
  if (source[0] !== 0x4d || source[1] !== 0x51 ||
      source[2] < 1 || source[2] > VERSION || end < HEADER_BYTES + 10 ||
      end + CRC_BYTES > source.length || uint32At(source, end) !== crc32(source, end)) {
    return MALFORMED;
  }
  let at = HEADER_BYTES;
  if (uint16At(source, at) !== clientId.length) return CLIENT_IDENTIFIER_NOT_VALID;
  at += 2;
  for (let i = 0; i < clientId.length; i++) {
    if (source[at++] !== clientId[i]) return CLIENT_IDENTIFIER_NOT_VALID;
  }
  const { deliveries, packetIds } = client.memory;
  const taken = uint16At(source, at + 2);
  if (uint16At(source, at) > deliveries.packetIdMax || taken > packetIds.perSetMax) {
    return QUOTA_EXCEEDED;
  }
  return checkRows(client, source, at + 4 + 2 * taken, end);
}

/** The checksum says that the bytes are ours: what can differ is the room there is for them. */
function checkRows(client: Client, source: Uint8Array, at: number, end: number): number {
  const { deliveries, queued } = client.memory;
  const count = uint32At(source, at);
  let blocks = 0;
  let inflight = 0;
  at += 4;
  for (let i = 0; i < count; i++) {
    const state = source[at];
    const flags = source[at + 1];
    if (state === PUBLISHED || state === RELEASED) inflight++;
    if (uint16At(source, at + 2) > deliveries.packetIdMax) return QUOTA_EXCEEDED;
    at += ROW_BYTES;
    if (state === RELEASED) continue;
    const topicBytes = uint16At(source, at + 4);
    const contentBytes = uint32At(source, at);
    const byteCount = 2 + topicBytes + contentBytes;
    if (publishBytes(topicBytes, contentBytes, flags >> 1 & 3) > client.limits.packetBytesMax) {
      return QUOTA_EXCEEDED;
    }
    blocks += queued.blocks.blocksFor(byteCount);
    at += 4 + byteCount;
  }
  if (at !== end) return MALFORMED;
  return count > deliveries.freeRows || blocks > queued.blocks.freeCount ||
    inflight > deliveries.inflightMax ? QUOTA_EXCEEDED : OK;
}

/** CRC-32 (ISO-HDLC, that of zip) of the first `end` bytes; without a table, it runs seldom. */
function crc32(bytes: Uint8Array, end: number): number {
  let crc = 0xffff_ffff;
  for (let at = 0; at < end; at++) {
    crc ^= bytes[at];
    for (let bit = 0; bit < 8; bit++) crc = crc >>> 1 ^ (crc & 1 ? 0xedb8_8320 : 0);
  }
  return ~crc >>> 0;
}
