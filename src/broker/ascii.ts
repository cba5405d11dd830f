// Text of the broker's own as bytes, made when it is loaded or constructed: on XS to look into a
// text allocates. ASCII only. Called by sys-topics.ts, last-words.ts and authenticate.ts.

/** Writes the characters of a text at `at`; returns their end. */
export function writeAscii(bytes: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  return at + text.length;
}

export function asciiBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  writeAscii(bytes, 0, text);
  return bytes;
}
