// Framing and decoding of damaged packets: never an exception, never a read outside the packet,
// never an offset outside it. Of 3.1.1 and of 5.0, whose packets come from the vectors.
// Deterministic; runs on Node and on XS.

import { Random } from '../support/random.js';
import { concat, toHex } from '../support/packets.js';
import {
  CONNECT, INCOMPLETE, LEVEL_5, OK, PINGREQ, PINGRESP, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, UNSUPPORTED_LEVEL,
} from '../../src/wire/codes.js';
import { decode, nextFilter } from '../../src/wire/decode.js';
import { frame } from '../../src/wire/frame.js';
import { Packet } from '../../src/wire/packet.js';
import { nextProperty } from '../../src/wire/properties.js';
import { TopicLevels } from '../../src/wire/topic.js';
import { placesProblem, propertyCases } from '../wire/plain-properties.js';
import { bytesOf, GROUPS } from '../wire/vectors.js';
import { damage, someStream } from './mutate.js';

const PACKET_BYTES_MAX = 300;
const LEVELS_MAX = 4;

/** Packets of 5.0, right and wrong ones: those of the vectors, and each property in each packet. */
const PACKETS_5 = [
  ...GROUPS.flatMap(({ vectors }) => vectors).filter(({ clause }) => clause.startsWith('5.0 ')).map(bytesOf),
  ...propertyCases().filter(({ property }) => property !== null).map(({ bytes }) => bytes),
];
const CONNECTS_5 = PACKETS_5.filter((bytes) => bytes[0] === 0x10);

function order(offsets: readonly number[]): void {
  for (let i = 1; i < offsets.length; i++) {
    if (!(offsets[i - 1]! <= offsets[i]!)) throw new Error(`offsets out of order: ${offsets.join(' ')}`);
  }
}

function checkOffsets(bytes: Uint8Array, packet: Packet): void {
  const { bodyStart, end } = packet;
  if (packet.type === PUBLISH) {
    order([bodyStart + 2, packet.topicStart, packet.topicEnd, packet.contentStart, packet.payloadStart,
      packet.payloadEnd, end]);
  } else if (packet.type === CONNECT) {
    order([bodyStart, packet.clientIdStart, packet.clientIdEnd, packet.willTopicStart, packet.willTopicEnd,
      packet.willPayloadStart, packet.willPayloadEnd, packet.userNameStart, packet.userNameEnd, end]);
    order([packet.willPayloadEnd, packet.passwordStart, packet.passwordEnd, end]);
    if (packet.passwordStart < packet.passwordEnd) order([packet.userNameEnd, packet.passwordStart]); // or it is absent
  } else if (packet.type === SUBSCRIBE || packet.type === UNSUBSCRIBE) {
    let count = 0;
    while (nextFilter(bytes, packet)) {
      order([packet.listStart + 2, packet.filterStart, packet.filterEnd, end]);
      count++;
    }
    if (count !== packet.filterCount) throw new Error(`${count} filters, filterCount ${packet.filterCount}`);
  }
  if (packet.protocolLevel === LEVEL_5) checkProperties(bytes, packet);
}

/** Properties lie inside the packet, their offsets point at them, and a walk over them ends where they end. */
function checkProperties(bytes: Uint8Array, packet: Packet): void {
  if (packet.type === PINGREQ || packet.type === PINGRESP) return;
  if (packet.type === PUBLISH && !packet.hasProperties) return;
  const ranges: [start: number, end: number][] = [[packet.propertiesStart, packet.propertiesEnd]];
  if (packet.type === CONNECT) ranges.push([packet.willPropertiesStart, packet.willPropertiesEnd]);
  for (const [start, end] of ranges) {
    order([packet.bodyStart, start, end, packet.end]);
    let at = start;
    while (at < end) at = nextProperty(bytes, at);
    if (at !== end) throw new Error(`a walk over the properties ${start} to ${end} ends at ${at}`);
  }
  const problem = placesProblem(bytes, packet.properties, ranges);
  if (problem !== '') throw new Error(problem);
}

/**
 * What framing and decoding say of the packets in `bytes` from `start` to `end`, on a connection of
 * that level; whatever surrounds them.
 */
function readAll(bytes: Uint8Array, start: number, end: number, level: number): string {
  const packet = new Packet(new TopicLevels(LEVELS_MAX));
  packet.protocolLevel = level;
  packet.properties.fill(1e6);
  let said = '';
  let at = start;
  while (at < end) {
    const packetEnd = frame(bytes, at, end, PACKET_BYTES_MAX, packet);
    if (packetEnd === INCOMPLETE) {
      if (packet.end !== at && packet.end <= end) throw new Error(`incomplete, and complete at ${packet.end}`);
      return `${said} incomplete`;
    }
    if (packetEnd < 0) return `${said} ${packetEnd}`;
    if (packetEnd <= at || packetEnd > end) throw new Error(`end ${packetEnd} of the packet at ${at}`);
    order([at + 2, packet.bodyStart, packet.end, end]);
    const outcome = decode(bytes, packet);
    said += ` ${packet.type}:${outcome}`;
    if (outcome === OK) checkOffsets(bytes, packet);
    else if (outcome !== UNSUPPORTED_LEVEL) return said;
    at = packetEnd;
  }
  return said;
}

/** Bytes around the packets must not change what is said of them: so none is read. */
function surrounded(bytes: Uint8Array, filler: number, margin: number): Uint8Array {
  const larger = new Uint8Array(bytes.length + 2 * margin).fill(filler);
  larger.set(bytes, margin);
  return larger;
}

/** Some packets of 5.0, the first a CONNECT where there is no level yet, damaged in up to three places. */
function someStream5(random: Random, level: number): Uint8Array {
  let bytes = random.pick(level === 0 ? CONNECTS_5 : PACKETS_5);
  for (let count = random.below(4); count > 0; count--) bytes = concat(bytes, random.pick(PACKETS_5));
  for (let count = random.chance(25) ? 0 : random.between(1, 3); count > 0; count--) bytes = damage(random, bytes);
  return bytes;
}

export function fuzzCodec(seed: number, steps: number): void {
  const random = new Random(seed);
  for (let step = 0; step < steps; step++) {
    const level = random.chance(50) ? LEVEL_5 : 0;
    const bytes = random.chance(40) ? someStream(random) : someStream5(random, level);
    try {
      const said = readAll(bytes, 0, bytes.length, level);
      for (const filler of [0x00, 0x61, 0xff]) {
        const other = readAll(surrounded(bytes, filler, 9), 9, 9 + bytes.length, level);
        if (other !== said) throw new Error(`"${said}" alone, "${other}" among ${filler}`);
      }
    } catch (error) {
      throw new Error(`fuzz of the codec, seed ${seed}, step ${step}, level ${level}, bytes ${toHex(bytes)}: ` +
        (error instanceof Error ? error.stack ?? error.message : String(error)));
    }
  }
}
