// Topics or filters as a tree of levels. Used twice: for subscriptions and for retained messages. A
// child is found by hash, so a step costs the same among 10 children and among 10,000.
//
//   ROOT ─ maison ─ salon ─ temperature      each node: text of its level (in blocks), one value
//                 └ +     ─ temperature
//
// A node is a record of cells, and its number is where that begins: `cells[node + PARENT]`. One
// array for all, because on a microcontroller an array takes more memory than what stands in it.
//
// Invariant: a node other than ROOT has a value, a child or a pin; a node in the tree is in one
// hash chain and in its parent's list of children.

import { LEVEL_BLOCK_BYTES, NODE_CELLS } from '../limits.js';
import { BlockPool } from '../session/blocks.js';
import type { Columns, IndexColumn } from '../session/columns.js';
import { powerOfTwo } from '../table-bytes.js';
import { NONE } from '../wire/codes.js';
import { DOLLAR, HASH, PLUS, SLASH, type TopicLevels } from '../wire/topic.js';

export const ROOT = 0;

/** Cells of a node; NODE_CELLS of them. Links are nodes or NONE. */
export const PARENT = 0;
/** NONE, or the owner's. */
export const VALUE = 1;
export const FIRST_CHILD = 2;
export const NEXT_SIBLING = 3;
/** The children `+` and `#`. */
export const PLUS_CHILD = 4;
export const HASH_CHILD = 5;
/** How many stand on the node. */
export const PINS = 6;
/** Before the first child stands the last one. */
const PREVIOUS_SIBLING = 7;
/** The text of its level: first block and bytes. */
const TEXT_BLOCK = 8;
const TEXT_BYTES = 9;
/** Its hash chain: the bucket where that begins, and the next node. */
const BUCKET = 10;
const CHAIN = 11;

export class TopicTree {
  readonly text: BlockPool;
  readonly nodesMax: number;
  /** Nodes in use, ROOT included. */
  nodeCount = 1;
  readonly cells: IndexColumn;

  private readonly buckets: IndexColumn;
  private readonly bucketShift: number;
  private readonly view: DataView;
  /** The bucket in which `child` looked last in vain. */
  private bucket = 0;
  private freeHead = NONE;
  private freshStart = NODE_CELLS;

  /** `view` is on all of the pool's memory; `cellMax` is the largest number in a cell. */
  constructor(
    text: BlockPool, view: DataView, nodesMax: number, cellMax: number, columns: Columns,
  ) {
    this.text = text;
    this.view = view;
    this.nodesMax = nodesMax;
    this.cells = columns.unusedIndices(nodesMax * NODE_CELLS, cellMax);
    const bucketCount = powerOfTwo(nodesMax);
    this.buckets = columns.indices(bucketCount, cellMax);
    this.bucketShift = 1 + Math.clz32(bucketCount);
    this.reset(ROOT, NONE);
  }

  private reset(node: number, parent: number): void {
    const cells = this.cells;
    cells[node + PARENT] = parent;
    cells[node + VALUE] = NONE;
    cells[node + FIRST_CHILD] = NONE;
    cells[node + NEXT_SIBLING] = NONE;
    cells[node + PLUS_CHILD] = NONE;
    cells[node + HASH_CHILD] = NONE;
    cells[node + PINS] = 0;
    cells[node + TEXT_BYTES] = 0;
  }

  /**
   * The child of `parent` whose level is level `level` of `levels`, or NONE. The hottest function
   * of a broker: it hashes and compares four bytes at a time, the last four again if they do not
   * come out even (on XS a word costs hardly more than a byte), and calls nothing for levels of 4
   * to 16 bytes. The chain is that of the high bits of a multiplicative hash; `add` wants it too.
   */
  child(parent: number, levels: TopicLevels, level: number): number {
    const cells = this.cells;
    const view = this.view;
    const start = levels.slashes[level] + 1;
    const end = levels.slashes[level + 1];
    const count = end - start;
    const last = end - 4;
    let hash = count;
    let at = start;
    while (at < last) {
      hash = hash * 31 + view.getInt32(at) | 0;
      at += 4;
    }
    if (last >= start) hash = hash * 31 + view.getInt32(last) | 0;
    else while (at < end) hash = hash * 256 + view.getUint8(at++) | 0;
    const bucket = Math.imul(hash ^ parent * 0xc2b3, 0x9e3779b1) >>> this.bucketShift;
    let offset = 0;
    let node: number = this.buckets[bucket];
    for (; node !== NONE; node = cells[node + CHAIN]) {
      if (cells[node + PARENT] !== parent || cells[node + TEXT_BYTES] !== count) continue;
      if (last < start || count > LEVEL_BLOCK_BYTES) {
        if (this.text.equals(cells[node + TEXT_BLOCK], start, count)) return node;
        continue;
      }
      offset = this.text.base + cells[node + TEXT_BLOCK] * LEVEL_BLOCK_BYTES - start;
      at = start;
      while (at < last && view.getInt32(at) === view.getInt32(at + offset)) at += 4;
      if (at >= last && view.getInt32(last) === view.getInt32(last + offset)) return node;
    }
    this.bucket = bucket;
    return NONE;
  }

  /** The node of the whole topic, or NONE. */
  find(levels: TopicLevels): number {
    if (levels.count > levels.levelsMax) return NONE;
    let node = ROOT;
    for (let level = 0; level < levels.count && node !== NONE; level++) {
      node = this.child(node, levels, level);
    }
    return node;
  }

  /**
   * The node of the whole topic, made where missing; NONE, and nothing changed, when the tree is
   * full.
   */
  insert(levels: TopicLevels): number {
    if (levels.count > levels.levelsMax) return NONE;
    let node = ROOT;
    for (let level = 0; level < levels.count; level++) {
      let child = this.child(node, levels, level);
      if (child === NONE) child = this.add(node, levels, level);
      if (child === NONE) {
        this.prune(node);
        return NONE;
      }
      node = child;
    }
    return node;
  }

  /** Adds the child that `child` has just looked for in vain. */
  private add(parent: number, levels: TopicLevels, level: number): number {
    const cells = this.cells;
    const start = levels.slashes[level] + 1;
    const count = levels.slashes[level + 1] - start;
    if (this.nodeCount === this.nodesMax) return NONE;
    const block = this.text.allocate(count);
    if (block === NONE) return NONE;
    this.text.write(block, start, count);
    let node = this.freeHead;
    if (node === NONE) {
      node = this.freshStart;
      this.freshStart += NODE_CELLS;
    } else {
      this.freeHead = cells[node + NEXT_SIBLING];
    }
    this.nodeCount++;
    this.reset(node, parent);
    cells[node + TEXT_BLOCK] = block;
    cells[node + TEXT_BYTES] = count;
    cells[node + BUCKET] = this.bucket;
    cells[node + CHAIN] = this.buckets[this.bucket];
    this.buckets[this.bucket] = node;
    this.linkChild(node, parent);
    if (this.isByte(levels, level, PLUS)) cells[parent + PLUS_CHILD] = node;
    else if (this.isByte(levels, level, HASH)) cells[parent + HASH_CHILD] = node;
    return node;
  }

  /** Makes `node` the last child of `parent`. */
  private linkChild(node: number, parent: number): void {
    const cells = this.cells;
    const first = cells[parent + FIRST_CHILD];
    if (first === NONE) {
      cells[parent + FIRST_CHILD] = node;
      cells[node + PREVIOUS_SIBLING] = node;
      return;
    }
    const last = cells[first + PREVIOUS_SIBLING];
    cells[last + NEXT_SIBLING] = node;
    cells[node + PREVIOUS_SIBLING] = last;
    cells[first + PREVIOUS_SIBLING] = node;
  }

  private unlinkChild(node: number, parent: number): void {
    const cells = this.cells;
    const first = cells[parent + FIRST_CHILD];
    const previous = cells[node + PREVIOUS_SIBLING];
    const next = cells[node + NEXT_SIBLING];
    if (node === first) cells[parent + FIRST_CHILD] = next;
    else cells[previous + NEXT_SIBLING] = next;
    if (next !== NONE) cells[next + PREVIOUS_SIBLING] = previous;
    else cells[first + PREVIOUS_SIBLING] = previous;
  }

  /** Somebody stands on `node`: it stays until `unpin` was called as often. */
  pin(node: number): void {
    this.cells[node + PINS]++;
  }

  unpin(node: number): void {
    if (--this.cells[node + PINS] === 0) this.prune(node);
  }

  /** Removes `node` and every ancestor that is left without value, children and pins. */
  prune(node: number): void {
    const cells = this.cells;
    while (node !== ROOT && cells[node + VALUE] === NONE && cells[node + FIRST_CHILD] === NONE &&
        cells[node + PINS] === 0) {
      const parent = cells[node + PARENT];
      this.remove(node, parent);
      node = parent;
    }
  }

  private remove(node: number, parent: number): void {
    const cells = this.cells;
    this.unchain(node);
    this.unlinkChild(node, parent);
    if (cells[parent + PLUS_CHILD] === node) cells[parent + PLUS_CHILD] = NONE;
    if (cells[parent + HASH_CHILD] === node) cells[parent + HASH_CHILD] = NONE;
    this.text.release(cells[node + TEXT_BLOCK]);
    cells[node + NEXT_SIBLING] = this.freeHead;
    this.freeHead = node;
    this.nodeCount--;
  }

  private unchain(node: number): void {
    const cells = this.cells;
    const bucket = cells[node + BUCKET];
    if (this.buckets[bucket] === node) {
      this.buckets[bucket] = cells[node + CHAIN];
      return;
    }
    let previous: number = this.buckets[bucket];
    while (cells[previous + CHAIN] !== node) previous = cells[previous + CHAIN];
    cells[previous + CHAIN] = cells[node + CHAIN];
  }

  /** How many levels lie between ROOT and `node`. */
  depth(node: number): number {
    let depth = 0;
    for (; node !== ROOT; node = this.cells[node + PARENT]) depth++;
    return depth;
  }

  /** Whether the filter of `node` matches the topic name in `levels`. */
  matches(node: number, levels: TopicLevels): boolean {
    const cells = this.cells;
    let level = this.depth(node);
    if (cells[cells[node + PARENT] + HASH_CHILD] === node) {
      node = cells[node + PARENT];
      if (--level > levels.count) return false;
      if (node === ROOT) return !this.startsWithDollar(levels);
    } else if (level !== levels.count) {
      return false;
    }
    for (; node !== ROOT; node = cells[node + PARENT]) {
      level--;
      if (cells[cells[node + PARENT] + PLUS_CHILD] === node) {
        if (level === 0 && this.startsWithDollar(levels)) return false;
        continue;
      }
      const start = levels.slashes[level] + 1;
      const count = levels.slashes[level + 1] - start;
      if (cells[node + TEXT_BYTES] !== count ||
          !this.text.equals(cells[node + TEXT_BLOCK], start, count)) return false;
    }
    return true;
  }

  /** Writes the topic or filter of `node` at `at` of the memory; returns its end. */
  writePath(node: number, at: number): number {
    const cells = this.cells;
    let end = at;
    for (let up = node; up !== ROOT; up = cells[up + PARENT]) end += cells[up + TEXT_BYTES] + 1;
    end--;
    for (let up = node, levelEnd = end; up !== ROOT; up = cells[up + PARENT]) {
      const count = cells[up + TEXT_BYTES];
      this.text.read(cells[up + TEXT_BLOCK], 0, levelEnd - count, count);
      levelEnd -= count + 1;
      if (levelEnd >= at) this.text.memory[levelEnd] = SLASH;
    }
    return end;
  }

  /** Whether level `level` of `levels` is the single byte `byte`: `+` or `#`. */
  isByte(levels: TopicLevels, level: number, byte: number): boolean {
    const start = levels.slashes[level] + 1;
    return levels.slashes[level + 1] === start + 1 && this.text.memory[start] === byte;
  }

  /**
   * Whether the first level of `levels` starts with `$`: leading wildcards do not match it
   * [MQTT-4.7.2-1].
   */
  startsWithDollar(levels: TopicLevels): boolean {
    return this.text.memory[levels.slashes[0] + 1] === DOLLAR;
  }

  /** Whether the level of `node` starts with `$`. */
  isDollar(node: number): boolean {
    const cells = this.cells;
    return cells[node + TEXT_BYTES] > 0 &&
      this.text.firstByte(cells[node + TEXT_BLOCK]) === DOLLAR;
  }
}
