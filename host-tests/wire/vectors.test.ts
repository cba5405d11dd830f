// Every vector of host-tests/vectors: whole, byte by byte, cut short at every byte, and among other bytes.
// Runs on Node and on XS alike; every packet lies inside a larger array, because that is where inboxes keep them.
import t from 'tap';
import {
  AUTH, CONNACK, CONNECT, DISCONNECT, INCOMPLETE, LEVEL_3_1, LEVEL_5, OK, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL,
  SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE,
} from '../../src/wire/codes.js';
import { decode } from '../../src/wire/decode.js';
import { frame } from '../../src/wire/frame.js';
import { Packet } from '../../src/wire/packet.js';
import { concat, packet as buildPacket, toHex } from '../support/packets.js';
import {
  GROUPS, bytesMaxOf, bytesOf, differences, levelBefore, meaningOf, nameOf, outcomeOf, run, titleOf, usedPacket,
  type Meaning, type Vector,
} from './vectors.js';

/** Bytes before and after the packet. */
const MARGIN = 40;

/** Three arrays with `bytes` in the middle: among 0xff, among 0x00, and among noise. */
function surrounded(bytes: Uint8Array): Uint8Array[] {
  let noise = 20260707;
  return [() => 0xff, () => 0, () => (noise = Math.imul(noise, 1103515245) + 12345 | 0) >>> 16 & 0xff].map((next) => {
    const whole = new Uint8Array(bytes.length + 2 * MARGIN);
    for (let i = 0; i < whole.length; i++) whole[i] = next();
    whole.set(bytes, MARGIN);
    return whole;
  });
}

/** Reads of `bytes` outside `start` to `end` are added to `strays`. */
function watched(bytes: Uint8Array, start: number, end: number, strays: string[]): Uint8Array {
  return new Proxy(bytes, {
    get(target, key) {
      const index = typeof key === 'string' ? Number(key) : NaN;
      if (!(index >= start && index < end)) strays.push(`read ${String(key)} outside ${start}..${end}`);
      return target[index];
    },
  });
}

/** Length of the fixed header as far as it is there; 0 while its end is not. */
function headerBytes(bytes: Uint8Array): number {
  for (let at = 1; at < bytes.length && at < 5; at++) {
    if (bytes[at]! < 0x80) return at + 1;
  }
  return 0;
}

function remainingLength(bytes: Uint8Array, header: number): number {
  let length = 0;
  for (let at = header - 1; at >= 1; at--) length = length * 128 + (bytes[at]! & 0x7f);
  return length;
}

interface Result {
  outcome: number;
  meaning: Meaning | null;
}

/** Frames and decodes what lies MARGIN into `bytes`. */
function resultOf(bytes: Uint8Array, length: number, vector: Vector): Result {
  const packet = usedPacket(vector);
  const outcome = run(bytes, MARGIN, MARGIN + length, vector, packet);
  return { outcome, meaning: outcome === OK ? meaningOf(bytes, packet) : null };
}

function wholeProblems(vector: Vector): string[] {
  const problems: string[] = [];
  const bytes = bytesOf(vector);
  for (const around of surrounded(bytes)) {
    const { outcome, meaning } = resultOf(around, bytes.length, vector);
    if (outcome !== outcomeOf(vector)) problems.push(`${nameOf(outcome)}, wanted ${vector.outcome}`);
    else if (meaning) problems.push(...differences(vector, meaning));
  }
  return problems.filter((problem, index) => problems.indexOf(problem) === index);
}

for (const { name, vectors } of GROUPS) {
  t.test(`${name}: every vector decodes as the specification says`, (t) => {
    for (const vector of vectors) t.equal(wholeProblems(vector).join('; '), '', titleOf(vector));
    t.end();
  });
}

/** What framing must answer when `count` bytes of the vector are there, and where it must say the packet ends. */
function framingProblem(vector: Vector, bytes: Uint8Array, count: number, packet: Packet): string {
  const around = surrounded(bytes)[0]!;
  const strays: string[] = [];
  const answer = frame(watched(around, MARGIN, MARGIN + count, strays), MARGIN, MARGIN + count, bytesMaxOf(vector),
    packet);
  if (strays.length > 0) return `${count} bytes: ${strays[0]}`;
  let wanted = INCOMPLETE;
  if (vector.refusedAt !== undefined) {
    if (count >= vector.refusedAt) wanted = outcomeOf(vector);
  } else if (count === bytes.length && outcomeOf(vector) !== INCOMPLETE) {
    wanted = MARGIN + bytes.length;
  }
  if (answer !== wanted) return `${count} bytes: ${nameOf(answer)}, wanted ${nameOf(wanted)}`;
  if (answer !== INCOMPLETE) return '';
  const header = headerBytes(bytes.slice(0, count));
  const end = MARGIN + (header === 0 ? 0 : header + remainingLength(bytes, header));
  return packet.end === end ? '' : `${count} bytes: waits for ${packet.end}, wanted ${end}`;
}

t.test('[3.1.1 section 2.2] byte by byte, a packet is incomplete until its last byte or refused by its header', (t) => {
  for (const { name, vectors } of GROUPS) {
    const problems: string[] = [];
    for (const vector of vectors) {
      const bytes = bytesOf(vector);
      const packet = usedPacket(vector);
      for (let count = 0; count <= bytes.length; count++) {
        const problem = framingProblem(vector, bytes, count, packet);
        if (problem !== '') problems.push(`${titleOf(vector)}: ${problem}`);
      }
      if (bytes.length > 0 && vector.refusedAt === undefined && outcomeOf(vector) !== INCOMPLETE) {
        const outcome = decode(surrounded(bytes)[2]!, packet);
        if (outcome !== outcomeOf(vector)) problems.push(`${titleOf(vector)}: decodes to ${nameOf(outcome)}`);
      }
    }
    t.equal(problems.join('\n'), '', `${name}: ${vectors.length} vectors growing`);
  }
  t.end();
});

t.test('[3.1.1 section 2.2] cut short at every byte, a packet is incomplete to a fresh record as well', (t) => {
  for (const { name, vectors } of GROUPS) {
    const problems: string[] = [];
    for (const vector of vectors) {
      const bytes = bytesOf(vector);
      for (let count = bytes.length - 1; count >= 0; count--) {
        const problem = framingProblem(vector, bytes, count, usedPacket(vector));
        if (problem !== '') problems.push(`${titleOf(vector)}: ${problem}`);
      }
    }
    t.equal(problems.join('\n'), '', `${name}: ${vectors.length} vectors cut short`);
  }
  t.end();
});

/** Types of which a shorter body may be a packet, too: fewer bytes of payload, fewer entries. */
const STRETCHING = [PUBLISH, SUBSCRIBE, UNSUBSCRIBE, SUBACK];
/** In MQTT 5.0 also those that may leave out their reason code and properties, or some codes, or an older server's. */
const STRETCHING_5 = [...STRETCHING, PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK, DISCONNECT, AUTH, CONNACK];

/** `bytes` are a whole packet: nothing outside it may matter, and no answer may point outside. */
function isolationProblem(vector: Vector, bytes: Uint8Array, shorter: boolean): string {
  const answers: string[] = [];
  let outcome = OK;
  for (const around of surrounded(bytes)) {
    const result = resultOf(around, bytes.length, vector);
    if (result.meaning && result.meaning.astray.length > 0) return result.meaning.astray.join();
    answers.push(JSON.stringify(result));
    outcome = result.outcome;
  }
  if (answers[0] !== answers[1] || answers[0] !== answers[2]) return `depends on its surroundings: ${answers.join()}`;
  const stretching = vector.level === LEVEL_5 ? STRETCHING_5 : STRETCHING;
  if (shorter && outcome === OK && vector.outcome === 'OK' && !stretching.includes(bytes[0]! >> 4) &&
      !mayLackCredentials(vector)) return 'taken though its body is short';
  const strays: string[] = [];
  const end = MARGIN + bytes.length;
  run(watched(surrounded(bytes)[2]!, MARGIN, end, strays), MARGIN, end, vector, usedPacket(vector));
  return strays.length > 0 ? strays[0]! : '';
}

/** MQTT 3.1 section 3.1: the remaining length takes precedence over the flags of user name and password. */
function mayLackCredentials(vector: Vector): boolean {
  return vector.fields?.['protocolLevel'] === LEVEL_3_1;
}

t.test('[3.1.1 section 2.2.3] a body cut short is judged by its own bytes alone', (t) => {
  for (const { name, vectors } of GROUPS) {
    const problems: string[] = [];
    for (const vector of vectors) {
      const bytes = bytesOf(vector);
      if (vector.refusedAt !== undefined || outcomeOf(vector) === INCOMPLETE) continue;
      const header = headerBytes(bytes);
      for (let count = bytes.length - header; count >= 0; count--) {
        const cut = buildPacket(bytes[0]!, bytes.slice(header, header + count));
        const problem = isolationProblem(vector, cut, count < bytes.length - header);
        if (problem !== '') problems.push(`${titleOf(vector)}: ${toHex(cut)}: ${problem}`);
      }
    }
    t.equal(problems.join('\n'), '', `${name}: nothing outside the packet is read or reported`);
  }
  t.end();
});

t.test('[3.1.1 section 2.2.3] a field length that claims more than there is never reaches outside the packet', (t) => {
  for (const { name, vectors } of GROUPS) {
    const problems: string[] = [];
    for (const vector of vectors) {
      if (outcomeOf(vector) !== OK) continue;
      const bytes = bytesOf(vector);
      for (let at = headerBytes(bytes); at < bytes.length; at++) {
        for (const value of bytes.length > 60 ? [0xff] : [0, 1, 0x7f, 0xff]) { // XS takes its time
          const changed = bytes.slice();
          changed[at] = value;
          const problem = isolationProblem(vector, changed, false);
          if (problem !== '') problems.push(`${titleOf(vector)}: ${toHex(changed)}: ${problem}`);
        }
      }
    }
    t.equal(problems.join('\n'), '', `${name}: each byte of each good vector changed`);
  }
  t.end();
});

t.test('[3.1.1 section 2.2] packets behind one another are found one after the other with one record', (t) => {
  for (const level of [0, 3, 4, 5]) {
    const good = GROUPS.flatMap((group) => group.vectors).filter((vector) => outcomeOf(vector) === OK &&
      levelBefore(vector) === level && vector.packetBytesMax === undefined);
    const whole = concat(...good.map(bytesOf), Uint8Array.of(0x30));
    const packet = new Packet();
    const problems: string[] = [];
    let at = 0;
    for (const vector of good) {
      packet.protocolLevel = level;
      const end = frame(whole, at, whole.length, bytesMaxOf(vector), packet);
      if (end !== at + bytesOf(vector).length) {
        problems.push(`${titleOf(vector)}: ends at ${nameOf(end)}`);
        break;
      }
      const outcome = decode(whole, packet);
      if (outcome !== OK) problems.push(`${titleOf(vector)}: ${nameOf(outcome)}`);
      else problems.push(...differences(vector, meaningOf(whole, packet)));
      at = end;
    }
    t.equal(problems.join('\n'), '', `${good.length} packets at level ${level}`);
    t.equal(frame(whole, at, whole.length, 1024, packet), INCOMPLETE, 'and the first byte of the next');
  }
  t.end();
});

t.test('every type of packet has vectors, good ones and bad ones', (t) => {
  const seen = new Set<string>();
  for (const { vectors } of GROUPS) {
    for (const vector of vectors) {
      seen.add(`${vector.clause.startsWith('5.0 ')} ${bytesOf(vector)[0]! >> 4} ${outcomeOf(vector) === OK}`);
    }
  }
  for (const is5 of [false, true]) {
    for (let type = CONNECT; type <= (is5 ? AUTH : DISCONNECT); type++) {
      t.ok(seen.has(`${is5} ${type} true`) && seen.has(`${is5} ${type} false`), `type ${type} ${is5 ? 'of 5.0' : ''}`);
    }
  }
  const titles = GROUPS.flatMap((group) => group.vectors.map(titleOf));
  t.equal(new Set(titles).size, titles.length, 'no title twice');
  t.end();
});
