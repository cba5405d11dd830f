// UTF-8, topic names and topic filters against slow definitions of their own: by code points and by levels.
// Exhaustive where that is feasible. Runs on Node and on XS alike.
import t from 'tap';
import { MALFORMED, OK, TOPIC_FILTER_INVALID, TOPIC_NAME_INVALID } from '../../src/wire/codes.js';
import { TopicLevels, checkTopicFilter, checkTopicName } from '../../src/wire/topic.js';
import { isUtf8, utf8SequenceBytes } from '../../src/wire/utf8.js';
import { ascii, toHex } from '../support/packets.js';

const PLUS = 0x2b;
const HASH = 0x23;
const SLASH = 0x2f;

/**
 * The code points of `bytes`, or null: RFC 3629 as the bit patterns of its section 3 and, afterwards, the
 * conditions on the code point (shortest form, no surrogate, at most U+10FFFF), and MQTT's own: not U+0000.
 */
function codePointsOf(bytes: Uint8Array): number[] | null {
  const points: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    const lead = bytes[at++]!;
    let more = 0;
    let smallest = 1;
    let point = lead;
    if (lead >> 5 === 0b110) [more, smallest, point] = [1, 0x80, lead & 0x1f];
    else if (lead >> 4 === 0b1110) [more, smallest, point] = [2, 0x800, lead & 0x0f];
    else if (lead >> 3 === 0b11110) [more, smallest, point] = [3, 0x10000, lead & 0x07];
    else if (lead >> 7 !== 0) return null;
    for (; more > 0; more--) {
      if (at === bytes.length || bytes[at]! >> 6 !== 0b10) return null;
      point = point * 64 + bytes[at++]! % 64;
    }
    if (point < smallest || point > 0x10ffff || point >= 0xd800 && point <= 0xdfff) return null;
    points.push(point);
  }
  return points;
}

/** What is wrong with the three functions about `bytes`, which lie among others; '' if nothing is. */
function utf8Problem(bytes: Uint8Array, around: Uint8Array): string {
  const start = 2;
  const end = start + bytes.length;
  around.fill(0x80);
  around.set(bytes, start);
  const points = codePointsOf(bytes);
  const found = isUtf8(around, start, end);
  if (found !== (points !== null)) return `isUtf8 of ${toHex(bytes)} is ${found}`;
  const wild = bytes.includes(PLUS) || bytes.includes(HASH);
  const name = checkTopicName(around, start, end);
  if (!allows(points, wild, TOPIC_NAME_INVALID, name)) return `checkTopicName of ${toHex(bytes)} is ${name}`;
  const filter = checkTopicFilter(around, start, end);
  const badFilter = wild && !isFilter(bytes);
  if (allows(points, badFilter, TOPIC_FILTER_INVALID, filter)) return '';
  return `checkTopicFilter of ${toHex(bytes)} is ${filter}`;
}

/** Of two faults either may be named. */
function allows(points: number[] | null, misplaced: boolean, refusal: number, found: number): boolean {
  if (points !== null && !misplaced) return found === OK;
  return points === null && found === MALFORMED || misplaced && found === refusal;
}

/** MQTT 3.1.1 section 4.7.1, level by level; `bytes` are not empty. */
function isFilter(bytes: Uint8Array): boolean {
  const levels: number[][] = [[]];
  for (const byte of bytes) {
    if (byte === SLASH) levels.push([]);
    else levels[levels.length - 1]!.push(byte);
  }
  return levels.every((level, index) => {
    if (level.includes(HASH)) return level.length === 1 && index === levels.length - 1;
    return !level.includes(PLUS) || level.length === 1;
  });
}

/** Every sequence of one byte out of each of `places`; the first five problems. */
function problemsOf(places: readonly (readonly number[])[]): string {
  const bytes = new Uint8Array(places.length);
  const around = new Uint8Array(places.length + 6);
  const problems: string[] = [];
  const step = (place: number): void => {
    if (place === places.length) {
      const problem = utf8Problem(bytes, around);
      if (problem !== '' && problems.length < 5) problems.push(problem);
      return;
    }
    for (const byte of places[place]!) {
      bytes[place] = byte;
      step(place + 1);
    }
  };
  step(0);
  return problems.join('\n');
}

function upTo(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

const ALL = upTo(0, 0xff);
/** One byte on each side of every border between the bytes that UTF-8 tells apart. */
const BORDERS = [0x00, 0x2f, 0x7f, 0x80, 0xbf, 0xc0, 0xff];

t.test('[MQTT-1.5.3-1] every sequence of one byte and of two', (t) => {
  t.equal(problemsOf([ALL]), '', '256 bytes');
  t.equal(problemsOf([ALL, ALL]), '', '65,536 pairs');
  t.end();
});

t.test('[MQTT-1.5.3-1] three-byte forms: every lead and second byte, and the borders of the third', (t) => {
  t.equal(problemsOf([upTo(0xe0, 0xef), ALL, BORDERS]), '', '28,672 triples');
  t.equal(problemsOf([upTo(0xe0, 0xef), ALL]), '', 'all of them cut short');
  t.end();
});

t.test('[MQTT-1.5.3-1] four-byte forms: every lead and second byte, and the borders of the others', (t) => {
  t.equal(problemsOf([upTo(0xf0, 0xff), ALL, [0x7f, 0x80, 0xbf, 0xc0], [0x7f, 0x80, 0xbf, 0xc0]]), '',
    '65,536 quadruples');
  t.equal(problemsOf([upTo(0xf0, 0xff), ALL, [0x80, 0xbf]]), '', 'cut short by one byte');
  t.equal(problemsOf([upTo(0xf0, 0xff), ALL]), '', 'cut short by two');
  t.end();
});

t.test('[MQTT-1.5.3-1] a sequence between two ASCII characters', (t) => {
  t.equal(problemsOf([[0x61], BORDERS.concat(0xc2, 0xe0, 0xed, 0xf4), ALL, [0x61]]), '', '2,816 quadruples');
  t.end();
});

function encodeCodePoint(point: number): Uint8Array {
  if (point < 0x80) return Uint8Array.of(point);
  const tail = (shift: number): number => 0x80 + Math.floor(point / 2 ** shift) % 64;
  if (point < 0x800) return Uint8Array.of(0xc0 + (point >> 6), tail(0));
  if (point < 0x10000) return Uint8Array.of(0xe0 + (point >> 12), tail(6), tail(0));
  return Uint8Array.of(0xf0 + (point >> 18), tail(12), tail(6), tail(0));
}

t.test('[MQTT-1.5.3-2] every character of the first plane and one in 31 of the others, encoded', (t) => {
  const wrong: string[] = [];
  let count = 0;
  for (let point = 0; point <= 0x10ffff; point += point < 0x10000 ? 1 : 31) {
    const bytes = encodeCodePoint(point);
    const wanted = point === 0 || point >= 0xd800 && point <= 0xdfff ? 0 : bytes.length;
    if (utf8SequenceBytes(bytes, 0, bytes.length) !== wanted) wrong.push(point.toString(16));
    count++;
  }
  for (const point of [0x1ffff, 0xfffff, 0x100000, 0x10ffff]) {
    if (utf8SequenceBytes(encodeCodePoint(point), 0, 4) !== 4) wrong.push(point.toString(16));
  }
  for (const point of [0x110000, 0x13ffff, 0x1fffff]) {
    if (utf8SequenceBytes(encodeCodePoint(point), 0, 4) !== 0) wrong.push(point.toString(16));
  }
  t.equal(wrong.join(' '), '', `${count} code points`);
  t.end();
});

t.test('[MQTT-4.7.1-2] [MQTT-4.7.1-3] every topic of up to seven characters out of a / + #', (t) => {
  const letters = [0x61, SLASH, PLUS, HASH];
  for (let length = 1; length <= 7; length++) {
    t.equal(problemsOf(new Array<number[]>(length).fill(letters)), '', `${4 ** length} of ${length} characters`);
  }
  t.end();
});

t.test('[MQTT-4.7.1-2] [MQTT-4.7.1-3] wildcards beside characters of several bytes, and beside none', (t) => {
  const pieces = [0x61, SLASH, PLUS, HASH, 0x24, 0xc3, 0xa9, 0x00];
  for (let length = 1; length <= 4; length++) {
    t.equal(problemsOf(new Array<number[]>(length).fill(pieces)), '', `${8 ** length} of ${length} bytes`);
  }
  t.end();
});

t.test('[MQTT-4.7.3-1] topics have at least one character', (t) => {
  const bytes = ascii('a');
  for (const at of [0, 1]) {
    t.equal(checkTopicName(bytes, at, at), TOPIC_NAME_INVALID, `empty name at ${at}`);
    t.equal(checkTopicFilter(bytes, at, at), TOPIC_FILTER_INVALID, `empty filter at ${at}`);
    t.ok(isUtf8(bytes, at, at), `empty text at ${at} is UTF-8`);
  }
  t.end();
});

t.test('[MQTT-4.7.3-3] topics of 65,535 bytes, with a fault in the last one', (t) => {
  const bytes = new Uint8Array(65536).fill(0x61);
  t.equal(checkTopicName(bytes, 0, 65535), OK, 'a name');
  t.equal(checkTopicFilter(bytes, 0, 65535), OK, 'a filter');
  bytes[65534] = HASH;
  t.equal(checkTopicName(bytes, 0, 65535), TOPIC_NAME_INVALID, 'a name that ends in #');
  t.equal(checkTopicFilter(bytes, 0, 65535), TOPIC_FILTER_INVALID, 'a filter that ends in a#');
  bytes[65533] = SLASH;
  t.equal(checkTopicFilter(bytes, 0, 65535), OK, 'a filter that ends in /#');
  bytes[65534] = 0xc3;
  bytes[65535] = 0xa9;
  t.equal(checkTopicName(bytes, 0, 65535), MALFORMED, 'a name whose last character reaches beyond it');
  t.equal(checkTopicFilter(bytes, 0, 65535), MALFORMED, 'a filter whose last character reaches beyond it');
  t.equal(checkTopicName(bytes, 0, 65536), OK, 'the same name with that byte');
  t.end();
});

/** Levels of `bytes` by a plain walk: [start, end) each, offset by `start`. */
function rangesOf(bytes: Uint8Array, start: number): string[] {
  const ranges: string[] = [];
  let from = 0;
  for (let at = 0; at <= bytes.length; at++) {
    if (at < bytes.length && bytes[at] !== SLASH) continue;
    ranges.push(`${start + from}..${start + at}`);
    from = at + 1;
  }
  return ranges;
}

/** What `levels` says, as far as it has room; '' if that is what it should say. */
function levelsProblem(levels: TopicLevels, wanted: readonly string[]): string {
  if (levels.count !== wanted.length) return `${levels.count} levels, wanted ${wanted.length}`;
  // Of a topic with more levels than there is room for, the slashes end what fits.
  const known = Math.min(levels.count, levels.levelsMax);
  for (let i = 0; i < known; i++) {
    const found = `${levels.slashes[i]! + 1}..${levels.slashes[i + 1]!}`;
    if (found !== wanted[i]) return `level ${i}: ${found}, wanted ${wanted[i]}`;
  }
  return '';
}

t.test('[3.1.1 section 4.7.1.1] every level of a topic is found, by the check and by the split', (t) => {
  const pieces = [0x61, SLASH, 0xc3];
  const problems: string[] = [];
  for (let code = 0; code < 3 ** 7; code++) {
    const letters: number[] = [];
    for (let rest = code + 1; rest > 0; rest = Math.floor(rest / 3)) letters.push(...twoBytes(pieces[rest % 3]!));
    const around = new Uint8Array(letters.length + 8).fill(SLASH);
    around.set(letters, 4);
    const end = 4 + letters.length;
    const wanted = rangesOf(Uint8Array.from(letters), 4);
    for (const levelsMax of [1, 2, 3, 10]) {
      const levels = new TopicLevels(levelsMax);
      if (checkTopicName(around, 4, end, levels) !== OK) problems.push(`${toHex(around)} is refused`);
      const checked = levelsProblem(levels, wanted);
      const cut = new TopicLevels(levelsMax);
      cut.split(around, 4, end);
      const split = levelsProblem(cut, wanted);
      if (checked + split !== '') problems.push(`${toHex(around)}, room for ${levelsMax}: ${checked} | ${split}`);
    }
  }
  t.equal(problems.slice(0, 5).join('\n'), '', '2,187 topics, with room for 1, 2, 3 and 10 levels');
  t.end();
});

/** 0xc3 stands for a character of two bytes. */
function twoBytes(byte: number): number[] {
  return byte === 0xc3 ? [0xc3, 0xa9] : [byte];
}
