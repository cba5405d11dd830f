// UTF-8 as MQTT wants it: well formed, without U+0000. Called for every string of a packet.

/**
 * Length in bytes of the well-formed sequence at `at`, or 0 when there is none before `end`:
 * truncated, overlong, a surrogate, beyond U+10FFFF, or U+0000 (RFC 3629 section 4; [MQTT-1.5.3-1],
 * [MQTT-1.5.3-2]).
 */
export function utf8SequenceBytes(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at];
  if (lead < 0x80) return lead === 0 ? 0 : 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const count = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (at + count > end) return 0;
  const second = bytes[at + 1];
  // The second byte of four leads has a narrower range: no overlong forms, surrogates, or beyond
  // U+10FFFF.
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let i = at + 2; i < at + count; i++) {
    if ((bytes[i] & 0xc0) !== 0x80) return 0;
  }
  return count;
}

/** Whether all of `start` to `end` is well formed; an empty range is. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const count = utf8SequenceBytes(bytes, at, end);
    if (count === 0) return false;
    at += count;
  }
  return true;
}
