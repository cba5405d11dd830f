// Retained messages on their way to new subscriptions. A subscription waits in its session's list
// until each retained topic that matches its filter was delivered; a cursor stands on the topic
// that comes next, so a session takes them as its outbox and its window allow, one or ten thousand.
// A search that finds nothing stops after some nodes and goes on in the next turn: no filter makes
// the others wait.
//
// Invariant: a cursor is NONE, ROOT, or a node that is pinned for it and so cannot go.

import { indexColumn, unusedColumn, type IndexColumn } from '../session/columns.js';
import { NONE } from '../wire/codes.js';
import { HASH, PLUS, TopicLevels } from '../wire/topic.js';
import type { Subscriptions } from './subscriptions.js';
import { ROOT, type TopicTree } from './topic-tree.js';

/** What `find` answers when it has looked long enough for one turn. */
export const SEARCHING = -2;

const VISITS_PER_TURN = 512;
/** What it takes to begin with another filter, in visits. */
const VISITS_TO_LOAD = 16;

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
  #visitsLeft = 0;
  /** Where a search stopped for this turn. */
  #stoppedAt = ROOT;

  /** By session: the subscriptions that wait, first and last; NONE when there are none. */
  readonly firstRow: IndexColumn;
  readonly #lastRow: IndexColumn;
  /** By session: a retained topic, and 1 if it is to be delivered, 0 if to be searched on from. */
  readonly cursor: IndexColumn;
  readonly #found: Uint8Array;
  /** By row: its neighbours in the list, and 1 if it is in one. */
  readonly #nextRow: IndexColumn;
  readonly #previousRow: IndexColumn;
  readonly #waiting: Uint8Array;
  /** Sessions with subscriptions that wait. */
  activeCount = 0;

  constructor(
    topics: TopicTree, subscriptions: Subscriptions, memory: Uint8Array, filterAt: number,
    sessionsMax: number, levelsMax: number,
  ) {
    const rowsMax = subscriptions.rowsMax;
    this.#topics = topics;
    this.#subscriptions = subscriptions;
    this.#memory = memory;
    this.#filterAt = filterAt;
    this.#levels = new TopicLevels(levelsMax);
    this.firstRow = indexColumn(sessionsMax, rowsMax);
    this.#lastRow = indexColumn(sessionsMax, rowsMax);
    this.cursor = indexColumn(sessionsMax, topics.nodesMax);
    this.#found = new Uint8Array(sessionsMax);
    this.#nextRow = unusedColumn(rowsMax, rowsMax);
    this.#previousRow = unusedColumn(rowsMax, rowsMax);
    this.#waiting = new Uint8Array(rowsMax);
  }

  /**
   * Subscription `row` is new, or new again [MQTT-3.8.4-3]: deliver all retained messages that
   * match it.
   */
  add(row: number): void {
    const session = this.#subscriptions.session[row];
    this.drop(row); // if it waits already, it begins again, after the others
    const last = this.#lastRow[session];
    this.#waiting[row] = 1;
    this.#nextRow[row] = NONE;
    this.#previousRow[row] = last;
    this.#lastRow[session] = row;
    if (last !== NONE) {
      this.#nextRow[last] = row;
      return;
    }
    this.firstRow[session] = row;
    this.activeCount++;
    this.#moveCursor(session, ROOT);
  }

  /** Subscription `row` goes, or was served. */
  drop(row: number): void {
    if (this.#loadedRow === row) this.#loadedRow = NONE;
    if (this.#waiting[row] === 0) return;
    this.#waiting[row] = 0;
    const session = this.#subscriptions.session[row];
    const previous = this.#previousRow[row];
    const next = this.#nextRow[row];
    if (next === NONE) this.#lastRow[session] = previous;
    else this.#previousRow[next] = previous;
    if (previous !== NONE) {
      this.#nextRow[previous] = next;
      return;
    }
    this.firstRow[session] = next;
    if (next === NONE) this.activeCount--;
    this.#moveCursor(session, next === NONE ? NONE : ROOT);
  }

  /** A turn begins: `find` may look at some topics again before it answers SEARCHING. */
  allowVisits(): void {
    this.#visitsLeft = VISITS_PER_TURN;
  }

  /**
   * The retained topic to deliver next to `session`, for its subscription `firstRow`; NONE when
   * nothing waits; SEARCHING when the next turn must go on looking.
   */
  find(session: number): number {
    let row: number = this.firstRow[session];
    while (row !== NONE) {
      const cursor = this.cursor[session];
      if (this.#found[session] !== 0 && this.#topics.value[cursor] !== NONE) return cursor;
      this.#load(row);
      const next = this.#nextMatch(cursor);
      if (next === SEARCHING) {
        this.#moveCursor(session, this.#stoppedAt);
        return SEARCHING;
      }
      if (next !== NONE) {
        this.#moveCursor(session, next);
        this.#found[session] = 1;
        return next;
      }
      this.drop(row);
      row = this.firstRow[session];
      this.#visitsLeft -= VISITS_TO_LOAD;
      if (this.#visitsLeft <= 0 && row !== NONE) return SEARCHING;
    }
    return NONE;
  }

  /** The message that `find` gave was delivered. */
  delivered(session: number): void {
    this.#found[session] = 0;
  }

  #moveCursor(session: number, node: number): void {
    const before = this.cursor[session];
    this.#found[session] = 0;
    this.cursor[session] = node;
    if (node > ROOT) this.#topics.pin(node);
    if (before > ROOT) this.#topics.unpin(before);
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
   * The first node after `node`, parents before children, whose topic matches the loaded filter and
   * has a message; NONE after the last; SEARCHING when this turn has seen enough, at `#stoppedAt`.
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
      if (--this.#visitsLeft <= 0) {
        this.#stoppedAt = node;
        return SEARCHING;
      }
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
      this.#visitsLeft--;
    }
    return node;
  }
}
