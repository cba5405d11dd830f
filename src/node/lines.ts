// Standard input as bytes and as lines: what `maisonnette pub` reads with -l and -s.

import { FailureError } from './arguments.js';

/** What comes on standard input. Throws FailureError when it cannot be read. */
export async function* standardInput(): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of process.stdin) yield chunk as Buffer;
  } catch (error) {
    throw new FailureError(`standard input cannot be read: ${(error as Error).message}`);
  }
}

/**
 * The lines of `chunks`, without their `\n`, as bytes; the last one need not end with it. Reads on
 * only when the lines so far are used. Throws FailureError for a line of more than `bytesMax`.
 */
export async function* lines(
  chunks: AsyncIterable<Uint8Array>, bytesMax: number,
): AsyncGenerator<Uint8Array> {
  /** Of a line that has not ended. */
  let parts: Uint8Array[] = [];
  let byteCount = 0;
  let lineNumber = 1;
  const add = (part: Uint8Array): void => {
    byteCount += part.length;
    if (byteCount > bytesMax) {
      throw new FailureError(`line ${lineNumber} of the input has more than ${bytesMax} bytes`);
    }
    parts.push(part);
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      add(chunk.subarray(start, end));
      yield parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      parts = [];
      byteCount = 0;
      lineNumber++;
      start = end + 1;
    }
    if (start < chunk.length) add(chunk.subarray(start));
  }
  if (byteCount > 0) yield Buffer.concat(parts);
}
