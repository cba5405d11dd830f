// Framing, exhaustively: every first byte at every level, and the remaining length around its borders.
// `frame` looks at the header alone, so the bodies of these packets need not exist. Runs on Node and on XS alike.
import t from 'tap';
import { INCOMPLETE, MALFORMED, TOO_LARGE } from '../../src/wire/codes.js';
import { frame } from '../../src/wire/frame.js';
import { Packet } from '../../src/wire/packet.js';

const START = 3;
const ANY_SIZE = 0x10000005;

function frameAt(header: readonly number[], available: number, max: number, packet: Packet): number {
  const bytes = new Uint8Array(START + header.length + 4).fill(0xff);
  bytes.set(header, START);
  return frame(bytes, START, START + available, max, packet);
}

/** First bytes that MQTT 3.1.1 allows: table 2.2, and section 3.3.1 for PUBLISH. */
const ALLOWED = [0x10, 0x20, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x3a, 0x3b, 0x3c, 0x3d, 0x40, 0x50, 0x62, 0x70, 0x82,
  0x90, 0xa2, 0xb0, 0xc0, 0xd0, 0xe0];
/** MQTT 3.1 section 2.1 adds DUP where a packet is sent at QoS 1. */
const REPEATED = [0x6a, 0x8a, 0xaa];
/** MQTT 5.0 adds AUTH. */
const AUTH = 0xf0;

t.test('[MQTT-2.2.2-1] [MQTT-2.2.2-2], 5.0 [MQTT-2.1.3-1]: ' +
  'every first byte at every level, alone and with a length', (t) => {
  for (const level of [0, 3, 4, 5]) {
    const problems: string[] = [];
    const packet = new Packet();
    for (let first = 0; first < 256; first++) {
      packet.protocolLevel = level;
      const allowed = ALLOWED.includes(first) || level === 3 && REPEATED.includes(first) ||
        level === 5 && first === AUTH;
      const alone = frameAt([first], 1, ANY_SIZE, packet);
      if (alone !== (allowed ? INCOMPLETE : MALFORMED)) problems.push(`${first.toString(16)} alone: ${alone}`);
      const whole = frameAt([first, 0], 2, ANY_SIZE, packet);
      if (whole !== (allowed ? START + 2 : MALFORMED)) problems.push(`${first.toString(16)} 00: ${whole}`);
      if (allowed && (packet.type !== first >> 4 || packet.flags !== first % 16 || packet.start !== START ||
          packet.bodyStart !== START + 2 || packet.end !== START + 2)) problems.push(`${first.toString(16)}: record`);
    }
    t.equal(problems.join('\n'), '', `256 first bytes at level ${level}`);
  }
  t.end();
});

function lengthBytes(length: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) =>
    Math.floor(length / 128 ** index) % 128 + (index < count - 1 ? 128 : 0));
}

const LENGTHS = [0, 1, 127, 128, 129, 16383, 16384, 16385, 2097151, 2097152, 2097153, 268435454, 268435455];

t.test('[3.1.1 section 2.2.3] remaining lengths around the borders, in the shortest form and in longer ones', (t) => {
  for (const length of LENGTHS) {
    const problems: string[] = [];
    for (let count = 1; count <= 4; count++) {
      if (length >= 128 ** count) continue;
      const header = [0x30, ...lengthBytes(length, count)];
      const end = START + header.length + length;
      const packet = new Packet();
      for (let available = 0; available < header.length; available++) {
        const answer = frameAt(header, available, ANY_SIZE, packet);
        if (answer !== INCOMPLETE || packet.end !== START) problems.push(`${available} of header ${header}: ${answer}`);
      }
      if (length > 0) {
        for (const available of [header.length, header.length + length - 1]) {
          const answer = frameAt(header, available, ANY_SIZE, packet);
          if (answer !== INCOMPLETE || packet.end !== end) problems.push(`${available} bytes of ${header}: ${answer}`);
        }
      }
      for (const available of [header.length + length, header.length + length + 9]) {
        const answer = frameAt(header, available, ANY_SIZE, packet);
        if (answer !== end || packet.end !== end || packet.bodyStart !== START + header.length) {
          problems.push(`${available} bytes of ${header}: ${answer}`);
        }
      }
    }
    t.equal(problems.join('\n'), '', `${length}`);
  }
  t.end();
});

t.test('5.0 [MQTT-1.5.5-1]: remaining lengths in their shortest form, and no other', (t) => {
  const packet = new Packet();
  packet.protocolLevel = 5;
  for (const length of LENGTHS) {
    const problems: string[] = [];
    for (let count = 1; count <= 4; count++) {
      if (length >= 128 ** count) continue;
      const isShortest = count === 1 || length >= 128 ** (count - 1);
      const header = [0x30, ...lengthBytes(length, count)];
      const answer = frameAt(header, header.length, ANY_SIZE, packet);
      const wanted = !isShortest ? MALFORMED : length === 0 ? START + 2 : INCOMPLETE;
      if (answer !== wanted) problems.push(`${header}: ${answer}`);
    }
    t.same(problems, [], `${length}`);
  }
  t.end();
});

t.test('[3.1.1 section 2.2.3] the limit counts the header, and one byte more is refused without any body', (t) => {
  for (const length of LENGTHS) {
    const problems: string[] = [];
    for (let count = 1; count <= 4; count++) {
      if (length >= 128 ** count) continue;
      const header = [0x30, ...lengthBytes(length, count)];
      const size = header.length + length;
      const packet = new Packet();
      const exact = frameAt(header, size, size, packet);
      if (exact !== START + size) problems.push(`limit ${size}: ${exact}`);
      const over = frameAt(header, header.length, size - 1, packet);
      if (over !== TOO_LARGE) problems.push(`limit ${size - 1}: ${over}`);
      const early = frameAt(header, header.length - 1, size - 1, packet);
      if (early !== INCOMPLETE) problems.push(`limit ${size - 1}, header cut short: ${early}`);
    }
    t.equal(problems.join('\n'), '', `${length}`);
  }
  t.end();
});

t.test('[3.1.1 section 2.2.3] a fourth byte with the continuation bit is malformed, whatever the others', (t) => {
  const problems: string[] = [];
  const packet = new Packet();
  for (const low of [0x80, 0x81, 0xff]) {
    for (let fourth = 0x80; fourth <= 0xff; fourth++) {
      for (const available of [5, 6, 7]) {
        const answer = frameAt([0x30, low, low, low, fourth, 0, 0], available, ANY_SIZE, packet);
        if (answer !== MALFORMED) problems.push(`${low} three times, ${fourth}, ${available} bytes: ${answer}`);
      }
    }
  }
  t.equal(problems.join('\n'), '', '384 headers');
  t.end();
});
