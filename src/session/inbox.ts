// The bytes of one connection that could not be handled yet: the front of a packet that is still
// arriving, or packets that must wait. A connection with nothing unfinished touches its inbox
// never: packets are handled right where the platform put them (the owner's window), and only what
// is left over comes here.
//
// One instance for each connection, reused; its region lies in the memory of the owner.

export class Inbox {
  readonly base: number;
  /** Bytes it takes: those of its region, but for a packet that is held. */
  capacity: number;
  /** Bytes held, from `base` on. */
  count = 0;
  /** Bytes of the packet at `base`, set by who frames it; 0 while its header is short. */
  packetBytes = 0;
  readonly memory: Uint8Array;

  constructor(memory: Uint8Array, base: number, capacity: number) {
    this.memory = memory;
    this.base = base;
    this.capacity = capacity;
  }

  /** Appends bytes `start` to `end` of the memory; they must fit. */
  append(start: number, end: number): void {
    this.memory.copyWithin(this.base + this.count, start, end);
    this.count += end - start;
  }

  /**
   * Of `available` new bytes, how many to append so as to get on with the packet at `base` and no
   * further.
   */
  wanted(available: number): number {
    const missing = (this.packetBytes === 0 ? HEADER_BYTES_MAX : this.packetBytes) - this.count;
    return available < missing ? available : missing;
  }

  /** Drops everything before offset `at` of the memory. */
  keepFrom(at: number): void {
    const end = this.base + this.count;
    if (at > this.base && at < end) this.memory.copyWithin(this.base, at, end);
    this.count = end - at;
  }

  /**
   * Lays bytes `start` to `end` of the memory, which were the first ones here if they were here, at
   * the end of the region: they stay until `release`, whatever comes.
   */
  hold(start: number, end: number): void {
    this.capacity -= end - start;
    this.memory.copyWithin(this.base + this.capacity, start, end);
  }

  /** Nothing is held: the region, of `regionBytes`, is for what comes. */
  release(regionBytes: number): void {
    this.capacity = regionBytes;
  }

  clear(): void {
    this.count = 0;
    this.packetBytes = 0;
  }
}

/** First byte and four of remaining length. */
const HEADER_BYTES_MAX = 5;
