// The bytes that wait for one link: packets are encoded in place at its end, a flush hands its
// front to the link.
//
//   base            start            end            limit
//   |   (sent)      | waits for the link |   room    |
//
// One instance for each connection, reused. The region comes from a pool when something is to be
// written and goes back when all of it is sent: a connection that has nothing to say takes none,
// and few regions stay in use.

import type { Link } from '../link.js';
import { NONE } from '../wire/codes.js';
import type { Columns } from './columns.js';

/**
 * Regions of equal size in the memory of the owner, as many as there are outboxes; a stack of the
 * free ones.
 */
export class OutboxRegions {
  readonly memory: Uint8Array;
  readonly regionBytes: number;
  /**
   * Offsets of the free regions; the one that was in use last comes first: its bytes are likely to
   * be in a cache.
   */
  readonly free: Int32Array;
  freeCount: number;

  constructor(
    memory: Uint8Array, base: number, regionBytes: number, regionCount: number, columns: Columns,
  ) {
    this.memory = memory;
    this.regionBytes = regionBytes;
    this.free = columns.int32(regionCount);
    this.freeCount = regionCount;
    for (let i = 0; i < regionCount; i++) this.free[i] = base + (regionCount - 1 - i) * regionBytes;
  }
}

export class Outbox {
  private readonly regions: OutboxRegions;
  /** NONE while the outbox has no region; `start` and `end` are equal then. */
  private base = NONE;
  private start = 0;
  private end = 0;

  constructor(regions: OutboxRegions) {
    this.regions = regions;
  }

  /** Bytes that wait. */
  get byteCount(): number {
    return this.end - this.start;
  }

  /** Where `count` bytes can be written, or NONE when they do not fit. Follow with `commit`. */
  reserve(count: number): number {
    if (this.base === NONE) {
      const regions = this.regions;
      this.base = this.start = this.end = regions.free[--regions.freeCount];
    }
    return this.end + count <= this.base + this.regions.regionBytes ?
      this.end :
      this.compact(count);
  }

  private compact(count: number): number {
    if (this.start === this.base ||
        this.end - this.start + count > this.regions.regionBytes) return NONE;
    this.regions.memory.copyWithin(this.base, this.start, this.end);
    this.end -= this.start - this.base;
    this.start = this.base;
    return this.end;
  }

  /** What was reserved is written up to `end`. */
  commit(end: number): void {
    this.end = end;
  }

  /** Hands the link what it takes; returns how many bytes that were. */
  flush(link: Link): number {
    const regions = this.regions;
    const writable = link.writableBytes;
    let count = this.end - this.start;
    if (count > writable) count = writable;
    if (count <= 0) return 0;
    link.write(regions.memory, this.start, this.start + count);
    this.start += count;
    if (this.start === this.end) {
      regions.free[regions.freeCount++] = this.base;
      this.base = NONE;
    }
    return count;
  }

  /** Forgets everything. */
  clear(): void {
    this.start = this.end;
    if (this.base === NONE) return;
    this.regions.free[this.regions.freeCount++] = this.base;
    this.base = NONE;
  }
}
