// Where bytes lie on their way between a buffer of the core and a socket. A socket takes views, and
// a view made for each packet would be garbage for each packet; so there are views of all powers of
// two, made once, at one place inside the core's own buffer, and a range of bytes goes through
// there in a few parts, moved by `copyWithin`, which is native and makes nothing.
//
//   bytes:  … | stagingStart: 1, 2, 4, … size | …

import type { TcpSocket } from './io.js';

const NOTHING = new Uint8Array(0);

export class Staging {
  private readonly bytes: Uint8Array;
  private readonly start: number;
  /** By exponent: the first 2^i bytes. */
  private readonly views: readonly Uint8Array[];

  /**
   * Uses the largest power of two of bytes that `byteCount` from `start` on have room for. Throws
   * RangeError when that is none.
   */
  constructor(bytes: Uint8Array, start: number, byteCount: number) {
    if (byteCount < 1) {
      throw new RangeError(`stagingBytes is ${byteCount}: sockets of this platform need a place ` +
        'where bytes are laid out for them, say 256');
    }
    this.bytes = bytes;
    this.start = start;
    this.views = Array.from({ length: 32 - Math.clz32(byteCount) }, (_, exponent) =>
      bytes.subarray(start, start + (1 << exponent)));
  }

  /** The largest view of at most `byteCount` bytes, which is at least 1. */
  private view(byteCount: number): Uint8Array {
    const exponent = 31 - Math.clz32(byteCount);
    const last = this.views.length - 1;
    return this.views[exponent < last ? exponent : last]!;
  }

  /**
   * Writes bytes `start` to `end` of the buffer, which fit into the socket. Returns how many bytes
   * more fit, or -1 when the socket is dead. Throws what the socket throws.
   */
  write(socket: TcpSocket, start: number, end: number): number {
    let room = 0;
    while (start < end) {
      const view = this.view(end - start);
      const byteCount = view.length;
      this.bytes.copyWithin(this.start, start, start + byteCount);
      const left = socket.write(view);
      if (left === undefined) return -1;
      room = left;
      start += byteCount;
    }
    return room;
  }

  /** Writes no byte at all: a dead socket answers undefined, or throws. */
  probe(socket: TcpSocket): boolean {
    return socket.write(NOTHING) !== undefined;
  }

  /** Reads `byteCount` bytes, which are there, to `at` of the buffer. Throws as the socket does. */
  read(socket: TcpSocket, at: number, byteCount: number): void {
    for (const end = at + byteCount; at < end;) {
      const view = this.view(end - at);
      this.fill(socket, view);
      this.bytes.copyWithin(at, this.start, this.start + view.length);
      at += view.length;
    }
  }

  /** Reads `byteCount` bytes, which are there, into nothing. Throws as the socket does. */
  discard(socket: TcpSocket, byteCount: number): void {
    while (byteCount > 0) {
      const view = this.view(byteCount);
      this.fill(socket, view);
      byteCount -= view.length;
    }
  }

  private fill(socket: TcpSocket, view: Uint8Array): void {
    if (socket.read(view) !== view.length) throw new Error('fewer bytes to read than were told');
  }
}
