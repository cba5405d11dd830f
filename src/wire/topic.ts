// Topic names and topic filters, as bytes. Called by `decode`, and by the APIs that take topics
// from an application.

import { OK, TOPIC_FILTER_INVALID, TOPIC_NAME_INVALID, MALFORMED } from './codes.js';
import { utf8SequenceBytes } from './utf8.js';

export const SLASH = 0x2f;
export const PLUS = 0x2b;
export const HASH = 0x23;
export const DOLLAR = 0x24;

/**
 * 1 for each byte that needs a second look: U+0000, both wildcards, the end of a level, and
 * whatever is not ASCII.
 */
const SPECIAL = /* @__PURE__ */ specialBytes();

function specialBytes(): Uint8Array {
  const table = new Uint8Array(256);
  table[0] = 1;
  table[PLUS] = 1;
  table[HASH] = 1;
  table[SLASH] = 1;
  table.fill(1, 0x80);
  return table;
}

/**
 * The levels of one topic name or filter, in a reused array: the offsets of its slashes, with one
 * more thought of before it and one after. Level i lies between `slashes[i] + 1` and `slashes[i +
 * 1]`; an empty level is empty there.
 */
export class TopicLevels {
  readonly levelsMax: number;
  readonly slashes: Int32Array;
  /**
   * Levels of the topic. If they are more than `levelsMax`, the array holds the slashes of the
   * first ones.
   */
  count = 0;

  /** `slashes` has one cell more than there are levels. */
  constructor(levelsMax: number, slashes: Int32Array = new Int32Array(levelsMax + 1)) {
    this.levelsMax = levelsMax;
    this.slashes = slashes;
  }

  /**
   * The slashes between `start` and `end` stand in the array, as far as they fit, and make `count`
   * levels.
   */
  finish(start: number, end: number, count: number): void {
    this.slashes[0] = start - 1;
    this.count = count;
    if (count <= this.levelsMax) this.slashes[count] = end;
  }

  /** Cuts a topic name or filter that was checked before. */
  split(bytes: Uint8Array, start: number, end: number): void {
    let count = 1;
    for (let at = start; at < end; at++) {
      if (bytes[at] !== SLASH) continue;
      if (count <= this.levelsMax) this.slashes[count] = at;
      count++;
    }
    this.finish(start, end, count);
  }
}

/**
 * OK, or why `start` to `end` is no topic name: MALFORMED when it is not UTF-8, TOPIC_NAME_INVALID
 * when it is empty [MQTT-4.7.3-1] or holds a wildcard [MQTT-3.3.2-2]. Cuts the name into `levels`
 * on the way, if given.
 */
export function checkTopicName(
  bytes: Uint8Array, start: number, end: number, levels: TopicLevels | null = null,
): number {
  if (start >= end) return TOPIC_NAME_INVALID;
  const levelsMax = levels === null ? 0 : levels.levelsMax;
  let count = 1;
  let at = start;
  for (;;) {
    while (at < end) {
      // The number itself: a comparison would cost two bytecodes per byte.
      if (SPECIAL[bytes[at]]) break;
      ++at;
    }
    if (at >= end) break;
    if (bytes[at] === SLASH) {
      if (count <= levelsMax) levels!.slashes[count] = at;
      ++count;
      ++at;
      continue;
    }
    if (bytes[at] === PLUS || bytes[at] === HASH) return TOPIC_NAME_INVALID;
    const sequenceBytes = utf8SequenceBytes(bytes, at, end);
    if (sequenceBytes === 0) return MALFORMED;
    at += sequenceBytes;
  }
  if (levels !== null) levels.finish(start, end, count);
  return OK;
}

/**
 * OK, or why `start` to `end` is no topic filter: MALFORMED when it is not UTF-8,
 * TOPIC_FILTER_INVALID when it is empty, when `#` is not alone in the last level [MQTT-4.7.1-2] or
 * `+` not alone in its level [MQTT-4.7.1-3].
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

/** Whether the topic is `$SYS` or below it: the broker's own, into which no client publishes. */
export function isSysTopic(bytes: Uint8Array, start: number, end: number): boolean {
  return bytes[start] === DOLLAR && end - start >= 4 &&
    bytes[start + 1] === 0x53 && bytes[start + 2] === 0x59 && bytes[start + 3] === 0x53 &&
    (end - start === 4 || bytes[start + 4] === SLASH);
}

const SHARE: readonly number[] = Object.freeze([0x24, 0x73, 0x68, 0x61, 0x72, 0x65, SLASH]);

/** Whether the filter begins with `$share/`, MQTT 5.0 section 4.8.2. */
export function isShared(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < SHARE.length) return false;
  for (let i = 0; i < SHARE.length; i++) {
    if (bytes[start + i] !== SHARE[i]) return false;
  }
  return true;
}

/**
 * Whether a shared filter names its group, without wildcards, and a filter after it, 5.0
 * [MQTT-4.8.2-1], [MQTT-4.8.2-2].
 */
export function isWellShared(bytes: Uint8Array, start: number, end: number): boolean {
  const nameStart = start + SHARE.length;
  let at = nameStart;
  while (at < end && bytes[at] !== SLASH) {
    if (bytes[at] === PLUS || bytes[at] === HASH) return false;
    at++;
  }
  return at > nameStart && at + 1 < end;
}
