// Text to UTF-8 and back, at the edge of the API only: the core knows bytes. By hand, because
// TextEncoder is not everywhere where the core runs.

/**
 * The text in UTF-8. A lone surrogate becomes three bytes that are no UTF-8, so that whoever checks
 * them refuses the text instead of changing it.
 */
export function encodeText(text: string): Uint8Array {
  const ascii = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return encodeWide(text);
    ascii[i] = code;
  }
  return ascii;
}

function encodeWide(text: string): Uint8Array {
  const bytes = new Uint8Array(3 * text.length);
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i)!;
    if (point < 0x80) {
      bytes[at++] = point;
      continue;
    }
    if (point < 0x800) {
      bytes[at++] = 0xc0 | point >> 6;
    } else {
      if (point < 0x1_0000) {
        bytes[at++] = 0xe0 | point >> 12;
      } else {
        i++;
        bytes[at++] = 0xf0 | point >> 18;
        bytes[at++] = 0x80 | point >> 12 & 0x3f;
      }
      bytes[at++] = 0x80 | point >> 6 & 0x3f;
    }
    bytes[at++] = 0x80 | point & 0x3f;
  }
  return bytes.slice(0, at);
}

/** The text of well-formed UTF-8, `start` to `end` of `bytes`. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end;) {
    const lead = bytes[at++]!;
    let point = lead;
    if (lead >= 0x80) {
      let left = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
      point = lead & 0x3f >> left;
      for (; left > 0; left--) point = point << 6 | bytes[at++]! & 0x3f;
    }
    text += String.fromCodePoint(point);
  }
  return text;
}
