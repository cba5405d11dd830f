// Finds the packet at the start of some bytes. Called by inbox owners (broker, client) before
// `decode`.
//
//   first byte     remaining length, 1 to 4 bytes      body
//   type | flags   7 bits each, low first, 0x80: more  that many bytes
//
// Refuses from the header alone: nobody makes the receiver buffer a packet it will not take.

import {
  AUTH, INCOMPLETE, LEVEL_3_1, LEVEL_5, MALFORMED, PUBLISH, TOO_LARGE,
} from './codes.js';
import type { Packet } from './packet.js';

/** Flags each type must carry [MQTT-2.2.2-1]; 0xff marks a type that does not exist. */
const FLAGS: readonly number[] = Object.freeze([
  0xff, 0, 0, 0, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0,
]);

function flagsAreValid(type: number, flags: number, protocolLevel: number): boolean {
  if (type === PUBLISH) {
    // QoS 3 does not exist [MQTT-3.3.1-4]; DUP belongs to QoS 1 and 2 [MQTT-3.3.1-2].
    return (flags & 0x06) !== 0x06 && ((flags & 0x0e) !== 0x08);
  }
  // MQTT 3.1 marks repeated PUBREL, SUBSCRIBE and UNSUBSCRIBE with DUP.
  if (protocolLevel === LEVEL_3_1 && FLAGS[type] === 2) return (flags & 0x07) === 2;
  return FLAGS[type] === flags && (type !== AUTH || protocolLevel === LEVEL_5);
}

/**
 * Reads the fixed header at `start` and fills `packet.type`, `flags`, `start`, `bodyStart` and
 * `end`.
 *
 * Returns the end of the packet (> start) when all of it lies before `end`; INCOMPLETE when more
 * bytes are needed (`packet.end` then is the end to wait for, or `start` while the header itself is
 * short); MALFORMED for flags the type forbids or a length of more bytes than it may have
 * [MQTT-2.2.2-2, 2.2.3]; TOO_LARGE when the packet, header included, exceeds `packetBytesMax`.
 */
export function frame(
  bytes: Uint8Array, start: number, end: number, packetBytesMax: number, packet: Packet,
): number {
  packet.start = packet.end = start;
  if (start >= end) return INCOMPLETE;
  const first = bytes[start];
  packet.type = first >> 4;
  packet.flags = first & 0x0f;
  if (first !== 0x30 && !flagsAreValid(first >> 4, first & 0x0f, packet.protocolLevel)) {
    return MALFORMED;
  }

  let at = start + 1;
  if (at >= end) return INCOMPLETE;
  let length = bytes[at++];
  if (length >= 0x80) {
    length &= 0x7f;
    for (let shift = 7, digit = 0x80; digit >= 0x80; shift += 7) {
      if (shift > 21) return MALFORMED;
      if (at >= end) return INCOMPLETE;
      digit = bytes[at++];
      length += (digit & 0x7f) << shift;
      // No byte more than it takes, 5.0 [MQTT-1.5.5-1]; 3.1.1 does not say so.
      if (digit === 0 && packet.protocolLevel === LEVEL_5) return MALFORMED;
    }
  }
  const packetEnd = at + length;
  if (packetEnd - start > packetBytesMax) return TOO_LARGE;
  packet.bodyStart = at;
  packet.end = packetEnd;
  return packetEnd > end ? INCOMPLETE : packetEnd;
}
