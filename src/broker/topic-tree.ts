// Topics or filters as a tree of levels, in typed-array columns. Used twice: for subscriptions and
// for retained messages. A child is found by hash, so a step costs the same among 10 children and
// among 10,000.
//
//   ROOT ─ maison ─ salon ─ temperature      each node: text of its level (in blocks), one value
//                 └ +     ─ temperature
//
// Invariant: a node other than ROOT has a value, a child or a pin; a node in the tree is in one
// hash chain and in its parent's list of children.

import { LEVEL_BLOCK_BYTES } from '../limits.js';
import { BlockPool } from '../session/blocks.js';
import { indexColumn, unusedColumn, type IndexColumn } from '../session/columns.js';
import { NONE } from '../wire/codes.js';
import { DOLLAR, HASH, PLUS, SLASH, type TopicLevels } from '../wire/topic.js';

export const ROOT = 0;


export class TopicTree {
  readonly text: BlockPool;
  readonly nodesMax: number;
  /** Nodes in use, ROOT included. */
  nodeCount = 1;

  /**
   * Columns by node. `value` is NONE or the owner's; `plus` and `hash` are the children `+` and
   * `#`.
   */
  readonly value: Int32Array;
  readonly pins: Uint16Array | Uint32Array | null;
  readonly parent: IndexColumn;
  readonly firstChild: IndexColumn;
  readonly nextSibling: IndexColumn;
  readonly plus: IndexColumn;
  readonly hash: IndexColumn;
  readonly #previousSibling: IndexColumn;
  readonly #lastChild: IndexColumn;
  readonly #textBlock: IndexColumn;
  readonly #textBytes: Uint16Array;
  readonly #levelHash: Int32Array;
  readonly #chain: IndexColumn;
  readonly #buckets: IndexColumn;
  readonly #bucketShift: number;
  readonly #view: DataView;
  readonly #textStart: number;
  /** Hash of the level that `child` looked for last. */
  #hashed = 0;
  #freeHead = NONE;
  #freshStart = 1;

  /** `pinsMax` is how many may stand on one node; 0 for a tree on which nobody does. */
  constructor(
    memory: Uint8Array, base: number, textBlocks: number, nodesMax: number, pinsMax: number,
  ) {
    this.text = new BlockPool(memory, base, LEVEL_BLOCK_BYTES, textBlocks);
    this.nodesMax = nodesMax;
    this.value = new Int32Array(nodesMax);
    this.pins = pinsMax === 0 ? null :
      pinsMax <= 0xffff ? new Uint16Array(nodesMax) : new Uint32Array(nodesMax);
    const column = (): IndexColumn => unusedColumn(nodesMax, nodesMax);
    this.parent = column();
    this.firstChild = column();
    this.nextSibling = column();
    this.plus = column();
    this.hash = column();
    this.#previousSibling = column();
    this.#lastChild = column();
    this.#textBlock = indexColumn(nodesMax, textBlocks);
    this.#textBytes = new Uint16Array(nodesMax);
    this.#levelHash = new Int32Array(nodesMax);
    this.#chain = column();
    let bits = 1;
    while (1 << bits < nodesMax) bits++;
    this.#buckets = indexColumn(1 << bits, nodesMax);
    this.#bucketShift = 32 - bits;
    this.#textStart = base;
    this.#view = new DataView(memory.buffer, memory.byteOffset);
    this.#reset(ROOT, NONE);
  }

  #reset(node: number, parent: number): void {
    this.value[node] = NONE;
    this.parent[node] = parent;
    this.firstChild[node] = NONE;
    this.#lastChild[node] = NONE;
    this.nextSibling[node] = NONE;
    this.#previousSibling[node] = NONE;
    this.plus[node] = NONE;
    this.hash[node] = NONE;
  }

  /** The chain for a level below `parent`: the high bits of a multiplicative hash. */
  #bucket(parent: number, levelHash: number): number {
    return Math.imul(levelHash ^ parent * 0x9e3b, 0x9e3779b1) >>> this.#bucketShift;
  }

  /**
   * The child of `parent` whose level is level `level` of `levels`, or NONE. The hottest function
   * of a broker: it hashes and compares four bytes at a time, the last four again if they do not
   * come out even (on XS a word costs hardly more than a byte), and calls nothing for levels of 4
   * to 16 bytes. Leaves the hash for `#add`.
   */
  child(parent: number, levels: TopicLevels, level: number): number {
    const view = this.#view;
    const start = levels.slashes[level] + 1;
    const end = levels.slashes[level + 1];
    const last = end - 4;
    let levelHash = end - start;
    let at = start;
    while (at < last) {
      levelHash = levelHash * 31 + view.getInt32(at) | 0;
      at += 4;
    }
    if (last >= start) levelHash = levelHash * 31 + view.getInt32(last) | 0;
    else while (at < end) levelHash = levelHash * 256 + view.getUint8(at++) | 0;
    this.#hashed = levelHash;
    let node: number =
      this.#buckets[Math.imul(levelHash ^ parent * 0x9e3b, 0x9e3779b1) >>> this.#bucketShift];
    let offset = 0;
    for (; node !== NONE; node = this.#chain[node]) {
      if (this.#levelHash[node] !== levelHash || this.parent[node] !== parent) continue;
      if (this.#textBytes[node] !== end - start) continue;
      if (last < start || end - start > LEVEL_BLOCK_BYTES) {
        if (this.text.equals(this.#textBlock[node], start, end - start)) return node;
        continue;
      }
      offset = this.#textStart + this.#textBlock[node] * LEVEL_BLOCK_BYTES - start;
      at = start;
      while (at < last && view.getInt32(at) === view.getInt32(at + offset)) at += 4;
      if (at >= last && view.getInt32(last) === view.getInt32(last + offset)) return node;
    }
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
      if (child === NONE) child = this.#add(node, levels, level);
      if (child === NONE) {
        this.prune(node);
        return NONE;
      }
      node = child;
    }
    return node;
  }

  /** Adds the child that `child` has just looked for in vain. */
  #add(parent: number, levels: TopicLevels, level: number): number {
    const start = levels.slashes[level] + 1;
    const count = levels.slashes[level + 1] - start;
    if (this.nodeCount === this.nodesMax) return NONE;
    const block = this.text.allocate(count);
    if (block === NONE) return NONE;
    this.text.write(block, start, count);
    let node = this.#freeHead;
    if (node === NONE) node = this.#freshStart++;
    else this.#freeHead = this.nextSibling[node];
    this.nodeCount++;
    this.#reset(node, parent);
    this.#textBlock[node] = block;
    this.#textBytes[node] = count;
    const levelHash = this.#hashed;
    const bucket = this.#bucket(parent, levelHash);
    this.#levelHash[node] = levelHash;
    this.#chain[node] = this.#buckets[bucket];
    this.#buckets[bucket] = node;
    const last = this.#lastChild[parent];
    this.#previousSibling[node] = last;
    if (last === NONE) this.firstChild[parent] = node;
    else this.nextSibling[last] = node;
    this.#lastChild[parent] = node;
    if (this.isByte(levels, level, PLUS)) this.plus[parent] = node;
    else if (this.isByte(levels, level, HASH)) this.hash[parent] = node;
    return node;
  }

  /** Somebody stands on `node`: it stays until `unpin` was called as often. */
  pin(node: number): void {
    this.pins![node]++;
  }

  unpin(node: number): void {
    if (--this.pins![node] === 0) this.prune(node);
  }

  /** Removes `node` and every ancestor that is left without value, children and pins. */
  prune(node: number): void {
    const pins = this.pins;
    while (node !== ROOT && this.value[node] === NONE && this.firstChild[node] === NONE &&
        (pins === null || pins[node] === 0)) {
      const parent = this.parent[node];
      this.#remove(node, parent);
      node = parent;
    }
  }

  #remove(node: number, parent: number): void {
    const bucket = this.#bucket(parent, this.#levelHash[node]);
    if (this.#buckets[bucket] === node) {
      this.#buckets[bucket] = this.#chain[node];
    } else {
      let previous: number = this.#buckets[bucket];
      while (this.#chain[previous] !== node) previous = this.#chain[previous];
      this.#chain[previous] = this.#chain[node];
    }
    const previous = this.#previousSibling[node];
    const next = this.nextSibling[node];
    if (previous === NONE) this.firstChild[parent] = next;
    else this.nextSibling[previous] = next;
    if (next === NONE) this.#lastChild[parent] = previous;
    else this.#previousSibling[next] = previous;
    if (this.plus[parent] === node) this.plus[parent] = NONE;
    if (this.hash[parent] === node) this.hash[parent] = NONE;
    this.text.release(this.#textBlock[node]);
    this.nextSibling[node] = this.#freeHead;
    this.#freeHead = node;
    this.nodeCount--;
  }

  /** How many levels lie between ROOT and `node`. */
  depth(node: number): number {
    let depth = 0;
    for (; node !== ROOT; node = this.parent[node]) depth++;
    return depth;
  }

  /** Writes the topic or filter of `node` at `at` of the memory; returns its end. */
  writePath(node: number, at: number): number {
    let end = at;
    for (let up = node; up !== ROOT; up = this.parent[up]) end += this.#textBytes[up] + 1;
    end--;
    for (let up = node, levelEnd = end; up !== ROOT; up = this.parent[up]) {
      const count = this.#textBytes[up];
      this.text.read(this.#textBlock[up], 0, levelEnd - count, count);
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
    return this.#textBytes[node] > 0 && this.text.firstByte(this.#textBlock[node]) === DOLLAR;
  }
}
