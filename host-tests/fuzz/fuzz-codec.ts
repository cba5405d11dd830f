// Framing and decoding of damaged packets: never an exception, never a read outside the packet,
// never an offset outside it. Deterministic; runs on Node and on XS.

import { Random } from '../support/random.js';
import { toHex } from '../support/packets.js';
import { INCOMPLETE, OK, SUBSCRIBE, UNSUBSCRIBE, UNSUPPORTED_LEVEL, CONNECT, PUBLISH } from '../../src/wire/codes.js';
import { decode, nextFilter } from '../../src/wire/decode.js';
import { frame } from '../../src/wire/frame.js';
import { Packet } from '../../src/wire/packet.js';
import { TopicLevels } from '../../src/wire/topic.js';
import { someStream } from './mutate.js';

const PACKET_BYTES_MAX = 300;
const LEVELS_MAX = 4;

function order(offsets: readonly number[]): void {
  for (let i = 1; i < offsets.length; i++) {
    if (!(offsets[i - 1]! <= offsets[i]!)) throw new Error(`offsets out of order: ${offsets.join(' ')}`);
  }
}

function checkOffsets(bytes: Uint8Array, packet: Packet, outcome: number): void {
  const { bodyStart, end } = packet;
  if (packet.type === PUBLISH) {
    order([bodyStart + 2, packet.topicStart, packet.topicEnd, packet.payloadStart, packet.payloadEnd, end]);
  } else if (packet.type === CONNECT && outcome === OK) {
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
}

/**
 * What framing and decoding say of the packets in `bytes` from `start` to `end`; whatever surrounds
 * them.
 */
function readAll(bytes: Uint8Array, start: number, end: number): string {
  const packet = new Packet(new TopicLevels(LEVELS_MAX));
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
    if (outcome === OK) checkOffsets(bytes, packet, outcome);
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

export function fuzzCodec(seed: number, steps: number): void {
  const random = new Random(seed);
  for (let step = 0; step < steps; step++) {
    const bytes = someStream(random);
    try {
      const said = readAll(bytes, 0, bytes.length);
      for (const filler of [0x00, 0x61, 0xff]) {
        const other = readAll(surrounded(bytes, filler, 9), 9, 9 + bytes.length);
        if (other !== said) throw new Error(`"${said}" alone, "${other}" among ${filler}`);
      }
    } catch (error) {
      throw new Error(`fuzz of the codec, seed ${seed}, step ${step}, bytes ${toHex(bytes)}: ` +
        (error instanceof Error ? error.stack ?? error.message : String(error)));
    }
  }
}
