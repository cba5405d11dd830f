// Retained messages on their way to new subscriptions. A subscription waits in its session's list
// until each retained topic that matches its filter was delivered; a cursor stands on the topic
// that comes next, so a session takes them as its outbox and its window allow, one or ten thousand.
//
// Invariant: a cursor is NONE or a node with a value. `leave` keeps it so when a retained message
// goes.

import { indexColumn, type IndexColumn } from '../session/columns.js';
import { NONE } from '../wire/codes.js';
import { HASH, PLUS, TopicLevels } from '../wire/topic.js';
import type { Subscriptions } from './subscriptions.js';
import { ROOT, type TopicTree } from './topic-tree.js';


export class Replays {
  readonly #topics: TopicTree;
  readonly #subscriptions: Subscriptions;
  /** Room for one filter in the memory, and its levels. */
  readonly #filterAt: number;
  readonly #levels: TopicLevels;
  readonly #memory: Uint8Array;
  /** The row whose filter stands in `#levels`. */
  #loadedRow = NONE;
  #fixedLevels = 0;
  #endsWithHash = false;

  /**
   * By session: the first row that waits, and the retained node to deliver next. By row: the next
   * that waits.
   */
  readonly #firstRow: IndexColumn;
  readonly cursor: IndexColumn;
  readonly #nextRow: IndexColumn;
  readonly #waiting: Uint8Array;
  /** Sessions whose list is not empty, and where each stands among them. */
  readonly #active: Int32Array;
  readonly #place: Int32Array;
  activeCount = 0;

  constructor(
    topics: TopicTree, subscriptions: Subscriptions, memory: Uint8Array, filterAt: number,
    sessionsMax: number, levelsMax: number,
  ) {
    this.#topics = topics;
    this.#subscriptions = subscriptions;
    this.#memory = memory;
    this.#filterAt = filterAt;
    this.#levels = new TopicLevels(levelsMax);
    this.#firstRow = indexColumn(sessionsMax, subscriptions.rowsMax);
    this.cursor = indexColumn(sessionsMax, topics.nodesMax);
    this.#nextRow = indexColumn(subscriptions.rowsMax, subscriptions.rowsMax);
    this.#waiting = new Uint8Array(subscriptions.rowsMax);
    this.#active = new Int32Array(sessionsMax);
    this.#place = new Int32Array(sessionsMax);
  }

  /** The subscription that the cursor of `session` delivers to. */
  row(session: number): number {
    return this.#firstRow[session];
  }

  /**
   * Subscription `row` is new, or new again [MQTT-3.8.4-3]: deliver all retained messages that
   * match it.
   */
  add(row: number): void {
    const session = this.#subscriptions.session[row];
    if (this.#waiting[row] !== 0) this.drop(row);
    this.#waiting[row] = 1;
    this.#nextRow[row] = NONE;
    let last: number = this.#firstRow[session];
    if (last === NONE) {
      this.#firstRow[session] = row;
      this.#place[session] = this.activeCount;
      this.#active[this.activeCount++] = session;
      this.#stepTo(session, ROOT);
      return;
    }
    while (this.#nextRow[last] !== NONE) last = this.#nextRow[last];
    this.#nextRow[last] = row;
  }

  /** The message at the cursor was delivered: on to the next. */
  advance(session: number): void {
    this.#stepTo(session, this.cursor[session]);
  }

  /** Subscription `row` goes, and with it what it waits for. */
  drop(row: number): void {
    if (this.#loadedRow === row) this.#loadedRow = NONE;
    if (this.#waiting[row] === 0) return;
    this.#waiting[row] = 0;
    const session = this.#subscriptions.session[row];
    if (this.#firstRow[session] === row) {
      this.#firstRow[session] = this.#nextRow[row];
      if (this.#firstRow[session] === NONE) this.#deactivate(session);
      else this.#stepTo(session, ROOT);
      return;
    }
    let previous: number = this.#firstRow[session];
    while (this.#nextRow[previous] !== row) previous = this.#nextRow[previous];
    this.#nextRow[previous] = this.#nextRow[row];
  }

  /** The retained message at `node` is about to go: no cursor may stay on it. */
  leave(node: number): void {
    for (let i = this.activeCount - 1; i >= 0; i--) {
      const session = this.#active[i];
      // Again for the next filter that waits: it may begin on the very same topic.
      while (this.cursor[session] === node) this.#stepTo(session, node);
    }
  }

  /** Moves the cursor to the first match after `node`, through the rows that wait. */
  #stepTo(session: number, node: number): void {
    let from = node;
    for (;;) {
      const row = this.#firstRow[session];
      this.#load(row);
      const next = this.#nextMatch(from);
      this.cursor[session] = next;
      if (next !== NONE) return;
      this.#waiting[row] = 0;
      this.#firstRow[session] = this.#nextRow[row];
      if (this.#firstRow[session] === NONE) {
        this.#deactivate(session);
        return;
      }
      from = ROOT;
    }
  }

  #deactivate(session: number): void {
    this.cursor[session] = NONE;
    const last = this.#active[--this.activeCount];
    this.#active[this.#place[session]] = last;
    this.#place[last] = this.#place[session];
  }

  #load(row: number): void {
    if (this.#loadedRow === row) return;
    this.#loadedRow = row;
    const levels = this.#levels;
    const end = this.#subscriptions.tree.writePath(this.#subscriptions.node[row], this.#filterAt);
    levels.split(this.#memory, this.#filterAt, end);
    this.#endsWithHash = this.#topics.isByte(levels, levels.count - 1, HASH);
    this.#fixedLevels = this.#endsWithHash ? levels.count - 1 : levels.count;
  }

  /**
   * The first node after `node`, parents before children, whose topic matches the loaded filter.
   */
  #nextMatch(node: number): number {
    const topics = this.#topics;
    let depth = topics.depth(node);
    for (;;) {
      let to = this.#matchingChild(node, depth);
      if (to !== NONE) depth++;
      while (to === NONE) {
        if (node === ROOT) return NONE;
        to = this.#matchingSibling(node, depth);
        if (to === NONE) {
          node = topics.parent[node];
          depth--;
        }
      }
      node = to;
      if (topics.value[node] !== NONE && (depth === this.#fixedLevels ||
          (this.#endsWithHash && depth > this.#fixedLevels))) return node;
    }
  }

  /** The first child of `node`, which is `depth` levels down, that the filter lets pass. */
  #matchingChild(node: number, depth: number): number {
    if (depth < this.#fixedLevels && !this.#topics.isByte(this.#levels, depth, PLUS)) {
      return this.#topics.child(node, this.#levels, depth);
    }
    if (depth >= this.#fixedLevels && !this.#endsWithHash) return NONE;
    return this.#skipDollar(this.#topics.firstChild[node], depth + 1);
  }

  #matchingSibling(node: number, depth: number): number {
    if (depth <= this.#fixedLevels &&
        !this.#topics.isByte(this.#levels, depth - 1, PLUS)) return NONE;
    return this.#skipDollar(this.#topics.nextSibling[node], depth);
  }

  /** Leading wildcards pass over topics that start with `$` [MQTT-4.7.2-1]. */
  #skipDollar(node: number, depth: number): number {
    while (depth === 1 && node !== NONE && this.#topics.isDollar(node)) {
      node = this.#topics.nextSibling[node];
    }
    return node;
  }
}
