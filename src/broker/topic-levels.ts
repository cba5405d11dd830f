// A topic name or filter cut into its levels, in arrays that are reused for every topic. Filled by `split`, then
// read by the trees: each level is hashed once, however many nodes it is compared with.

import { DOLLAR, SLASH } from '../wire/topic.js';

export class TopicLevels {
  readonly memory: Uint8Array;
  readonly levelsMax: number;
  /** Half-open byte ranges and hashes of the levels, `count` of each. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly hashes: Int32Array;
  count = 0;
  /** There were more than `levelsMax` levels; the first `levelsMax` stand in the arrays. */
  deeper = false;
  /** The first level starts with `$`: leading wildcards do not match it [MQTT-4.7.2-1]. */
  isDollar = false;

  constructor(memory: Uint8Array, levelsMax: number) {
    this.memory = memory;
    this.levelsMax = levelsMax;
    this.starts = new Int32Array(levelsMax);
    this.ends = new Int32Array(levelsMax);
    this.hashes = new Int32Array(levelsMax);
  }

  /** Cuts bytes `start` to `end` of the memory, which hold a checked topic name or filter. */
  split(start: number, end: number): void {
    const memory = this.memory;
    let level = 0;
    let hash = 0;
    let levelStart = start;
    this.deeper = false;
    this.isDollar = memory[start] === DOLLAR;
    for (let at = start; at < end; at++) {
      const byte = memory[at];
      if (byte !== SLASH) {
        hash = (hash << 5) - hash + byte | 0;
        continue;
      }
      this.starts[level] = levelStart;
      this.ends[level] = at;
      this.hashes[level++] = hash;
      levelStart = at + 1;
      hash = 0;
      if (level === this.levelsMax) {
        this.deeper = true;
        this.count = level;
        return;
      }
    }
    this.starts[level] = levelStart;
    this.ends[level] = end;
    this.hashes[level] = hash;
    this.count = level + 1;
  }

  /** Whether level `level` is the single byte `byte`: `+` or `#`. */
  isByte(level: number, byte: number): boolean {
    const start = this.starts[level];
    return this.memory[start] === byte && this.ends[level] === start + 1;
  }
}
