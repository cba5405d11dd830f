// A pool of equal blocks inside the memory of its owner; a record of any length is a chain of them.
// Used for stored messages and for the levels of topic trees. No fragmentation: whatever was
// released can be used again, and how much fits is known from the numbers alone.
//
//   memory:  … | block 0 | block 1 | block 2 | …
//   next:    [ 2, -, NONE ]  = one record in blocks 0 and 2
//
// Invariant: every block is either in exactly one chain, or free.

import { NONE } from '../wire/codes.js';
import type { Columns, IndexColumn } from './columns.js';

export class BlockPool {
  readonly memory: Uint8Array;
  readonly base: number;
  readonly blockBytes: number;
  /**
   * Next block of the chain, NONE at its end. Filled as blocks are first used, so that an unused
   * pool costs nothing.
   */
  readonly next: IndexColumn;
  freeCount: number;
  private freeHead = NONE;
  /** Blocks from here on were never used. */
  private freshStart = 0;

  /** Takes `blockCount * blockBytes` bytes of `memory` from `base` on. */
  constructor(
    memory: Uint8Array, base: number, blockBytes: number, blockCount: number, columns: Columns,
  ) {
    this.memory = memory;
    this.base = base;
    this.blockBytes = blockBytes;
    this.next = columns.unusedIndices(blockCount, blockCount);
    this.freeCount = blockCount;
  }

  get blockCount(): number {
    return this.next.length;
  }

  /** Blocks that a record of `byteCount` bytes takes: at least one. */
  blocksFor(byteCount: number): number {
    return byteCount <= this.blockBytes ? 1 : Math.ceil(byteCount / this.blockBytes);
  }

  /** A chain with room for `byteCount` bytes: its first block, or NONE when too few are free. */
  allocate(byteCount: number): number {
    let wanted = this.blocksFor(byteCount);
    if (wanted > this.freeCount) return NONE;
    this.freeCount -= wanted;
    let first = NONE;
    while (wanted-- > 0) {
      let block = this.freeHead;
      if (block === NONE) {
        block = this.freshStart++;
      } else {
        this.freeHead = this.next[block];
      }
      this.next[block] = first;
      first = block;
    }
    return first;
  }

  /** Gives the chain that starts at `first` back. */
  release(first: number): void {
    let last = first;
    let count = 1;
    while (this.next[last] !== NONE) {
      last = this.next[last];
      count++;
    }
    this.next[last] = this.freeHead;
    this.freeHead = first;
    this.freeCount += count;
  }

  /** Copies `count` bytes at `source` of the memory into the chain, from its first byte on. */
  write(first: number, source: number, count: number): void {
    for (let block = first; count > 0; block = this.next[block]) {
      const part = count < this.blockBytes ? count : this.blockBytes;
      this.memory.copyWithin(this.base + block * this.blockBytes, source, source + part);
      source += part;
      count -= part;
    }
  }

  /**
   * Copies `count` bytes of the chain, after its first `skip`, to `target` in the memory. Returns
   * the end of the copy.
   */
  read(first: number, skip: number, target: number, count: number): number {
    let block = first;
    while (skip >= this.blockBytes) {
      skip -= this.blockBytes;
      block = this.next[block];
    }
    while (count > 0) {
      const room = this.blockBytes - skip;
      const part = count < room ? count : room;
      const source = this.base + block * this.blockBytes + skip;
      this.memory.copyWithin(target, source, source + part);
      target += part;
      count -= part;
      skip = 0;
      block = this.next[block];
    }
    return target;
  }

  /** The first byte of the chain. */
  firstByte(first: number): number {
    return this.memory[this.base + first * this.blockBytes];
  }

  /** The byte of the chain after its first `skip`. */
  byteAt(first: number, skip: number): number {
    let block = first;
    while (skip >= this.blockBytes) {
      skip -= this.blockBytes;
      block = this.next[block];
    }
    return this.memory[this.base + block * this.blockBytes + skip];
  }

  /** Whether the first `count` bytes of the chain are those at `other` in the memory. */
  equals(first: number, other: number, count: number): boolean {
    const memory = this.memory;
    let block = first;
    let at = this.base + block * this.blockBytes;
    let blockEnd = at + this.blockBytes;
    const end = other + count;
    while (other < end) {
      if (at === blockEnd) {
        block = this.next[block];
        at = this.base + block * this.blockBytes;
        blockEnd = at + this.blockBytes;
      }
      if (memory[at++] !== memory[other++]) return false;
    }
    return true;
  }
}
