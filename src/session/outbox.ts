// The bytes that wait for one link: packets are encoded in place at its end, a flush hands its front to the link.
//
//   base            start            end            limit
//   |   (sent)      | waits for the link |   room    |
//
// One instance for each connection, reused; its region lies in the memory of the owner.

import type { Link } from '../link.js';
import { NONE } from '../wire/codes.js';

export class Outbox {
  readonly #memory: Uint8Array;
  readonly #base: number;
  readonly #limit: number;
  #start: number;
  #end: number;

  constructor(memory: Uint8Array, base: number, byteCount: number) {
    this.#memory = memory;
    this.#base = base;
    this.#limit = base + byteCount;
    this.#start = base;
    this.#end = base;
  }

  /** Bytes that wait. */
  get byteCount(): number {
    return this.#end - this.#start;
  }

  /** Where `count` bytes can be written, or NONE when they do not fit. Follow with `commit`. */
  reserve(count: number): number {
    if (this.#end + count <= this.#limit) return this.#end;
    if (this.#start === this.#base || this.#end - this.#start + count > this.#limit - this.#base) return NONE;
    this.#memory.copyWithin(this.#base, this.#start, this.#end);
    this.#end -= this.#start - this.#base;
    this.#start = this.#base;
    return this.#end;
  }

  /** What was reserved is written up to `end`. */
  commit(end: number): void {
    this.#end = end;
  }

  /** Hands the link what it takes; returns how many bytes that were. */
  flush(link: Link): number {
    const writable = link.writableBytes;
    let count = this.#end - this.#start;
    if (count > writable) count = writable;
    if (count > 0) {
      link.write(this.#memory, this.#start, this.#start + count);
      this.#start += count;
    }
    if (this.#start === this.#end) this.#start = this.#end = this.#base;
    return count;
  }

  /** Forgets everything, for the next connection. */
  clear(): void {
    this.#start = this.#end = this.#base;
  }
}
