// Topic names and topic filters, as bytes. Called by `decode`, and by the APIs that take topics from an application.

import { OK, TOPIC_FILTER_INVALID, TOPIC_NAME_INVALID, MALFORMED } from './codes.js';
import { utf8SequenceBytes } from './utf8.js';

export const SLASH = 0x2f;
export const PLUS = 0x2b;
export const HASH = 0x23;
export const DOLLAR = 0x24;

/** 1 for each byte that needs a second look: U+0000, both wildcards, and whatever is not ASCII. */
const SPECIAL = /* @__PURE__ */ specialBytes();

function specialBytes(): Uint8Array {
  const table = new Uint8Array(256);
  table[0] = 1;
  table[PLUS] = 1;
  table[HASH] = 1;
  table.fill(1, 0x80);
  return table;
}

/**
 * OK, or why `start` to `end` is no topic name: MALFORMED when it is not UTF-8, TOPIC_NAME_INVALID when it is
 * empty [MQTT-4.7.3-1] or holds a wildcard [MQTT-3.3.2-2].
 */
export function checkTopicName(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) return TOPIC_NAME_INVALID;
  const special = SPECIAL;
  let at = start;
  for (;;) {
    while (at < end && special[bytes[at]] === 0) at++;
    if (at >= end) return OK;
    if (bytes[at] === PLUS || bytes[at] === HASH) return TOPIC_NAME_INVALID;
    const count = utf8SequenceBytes(bytes, at, end);
    if (count === 0) return MALFORMED;
    at += count;
  }
}

/**
 * OK, or why `start` to `end` is no topic filter: MALFORMED when it is not UTF-8, TOPIC_FILTER_INVALID when it
 * is empty, when `#` is not alone in the last level [MQTT-4.7.1-2] or `+` not alone in its level [MQTT-4.7.1-3].
 */
export function checkTopicFilter(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) return TOPIC_FILTER_INVALID;
  let at = start;
  while (at < end) {
    const byte = bytes[at];
    if (byte === PLUS || byte === HASH) {
      if (at > start && bytes[at - 1] !== SLASH) return TOPIC_FILTER_INVALID;
      if (at + 1 < end && (byte === HASH || bytes[at + 1] !== SLASH)) return TOPIC_FILTER_INVALID;
    }
    const count = utf8SequenceBytes(bytes, at, end);
    if (count === 0) return MALFORMED;
    at += count;
  }
  return OK;
}
