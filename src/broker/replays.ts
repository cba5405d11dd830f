// Retained messages on their way to new subscriptions. A subscription waits in its session's list
// until each retained topic that matches its filter was delivered; a cursor stands on the topic
// that comes next, so a session takes them as its outbox and its window allow, one or ten thousand.
// A search that finds nothing stops after some nodes and goes on in the next turn: no filter makes
// the others wait.
//
// Invariant: a cursor is NONE, ROOT, or a node that is pinned for it and so cannot go.

import type { Columns, IndexColumn } from '../session/columns.js';
import { NONE } from '../wire/codes.js';
import { HASH, PLUS, type TopicLevels } from '../wire/topic.js';
import {
  NEXT_WAITING, NODE, PREVIOUS_WAITING, SESSION, type Subscriptions,
} from './subscriptions.js';
import { FIRST_CHILD, NEXT_SIBLING, PARENT, ROOT, VALUE, type TopicTree } from './topic-tree.js';

/** What `find` answers when it has looked long enough for one turn. */
export const SEARCHING = -2;

const VISITS_PER_TURN = 512;
/** What it takes to begin with another filter, in visits. */
const VISITS_TO_LOAD = 16;

export class Replays {
  private readonly topics: TopicTree;
  private readonly subscriptions: Subscriptions;
  /** Room for one filter in the memory, and its levels. */
  private readonly filterAt: number;
  private readonly levels: TopicLevels;
  private readonly memory: Uint8Array;
  /** The row whose filter stands in `levels`. */
  private loadedRow = NONE;
  private fixedLevels = 0;
  private endsWithHash = false;
  private visitsLeft = 0;
  /** Where a search stopped for this turn. */
  private stoppedAt = ROOT;

  /**
   * By session: the first subscription that waits, or NONE. Behind that, by session, too, `cursor`;
   * and 1 if its topic is to be delivered, else it is to be searched on from.
   */
  readonly firstRow: IndexColumn;
  private readonly sessionsMax: number;
  /** Sessions with subscriptions that wait. */
  activeCount = 0;

  constructor(
    topics: TopicTree, subscriptions: Subscriptions, memory: Uint8Array, filterAt: number,
    levels: TopicLevels, cellMax: number, columns: Columns,
  ) {
    const sessionsMax = subscriptions.firstOfSession.length;
    this.topics = topics;
    this.subscriptions = subscriptions;
    this.memory = memory;
    this.filterAt = filterAt;
    this.levels = levels;
    this.firstRow = columns.indices(3 * sessionsMax, cellMax);
    this.sessionsMax = sessionsMax;
  }

  /**
   * Subscription `row` is new, or new again [MQTT-3.8.4-3]: deliver all retained messages that
   * match it.
   */
  add(row: number): void {
    const rows = this.subscriptions.cells;
    const session = rows[row + SESSION];
    this.drop(row); // if it waits already, it begins again, after the others
    const first = this.firstRow[session];
    rows[row + NEXT_WAITING] = NONE;
    if (first !== NONE) {
      const last = rows[first + PREVIOUS_WAITING];
      rows[row + PREVIOUS_WAITING] = last;
      rows[last + NEXT_WAITING] = row;
      rows[first + PREVIOUS_WAITING] = row;
      return;
    }
    rows[row + PREVIOUS_WAITING] = row;
    this.firstRow[session] = row;
    this.activeCount++;
    this.moveCursor(session, ROOT);
  }

  /** Subscription `row` goes, or was served. */
  drop(row: number): void {
    if (this.loadedRow === row) this.loadedRow = NONE;
    const rows = this.subscriptions.cells;
    const session = rows[row + SESSION];
    const previous = rows[row + PREVIOUS_WAITING];
    if (previous === NONE) return; // it does not wait
    rows[row + PREVIOUS_WAITING] = NONE;
    const next = rows[row + NEXT_WAITING];
    const first = this.firstRow[session];
    if (next !== NONE) rows[next + PREVIOUS_WAITING] = previous;
    else if (row !== first) rows[first + PREVIOUS_WAITING] = previous;
    if (row !== first) {
      rows[previous + NEXT_WAITING] = next;
      return;
    }
    this.firstRow[session] = next;
    if (next === NONE) this.activeCount--;
    this.moveCursor(session, next === NONE ? NONE : ROOT);
  }

  /** A turn begins: `find` may look at some topics again before it answers SEARCHING. */
  allowVisits(): void {
    this.visitsLeft = VISITS_PER_TURN;
  }

  /**
   * The retained topic to deliver next to `session`, for its subscription `firstRow`; NONE when
   * nothing waits; SEARCHING when the next turn must go on looking.
   */
  find(session: number): number {
    let row: number = this.firstRow[session];
    while (row !== NONE) {
      const cursor = this.cursor(session);
      if (this.isFound(session) && this.topics.cells[cursor + VALUE] !== NONE) return cursor;
      this.load(row);
      const next = this.nextMatch(cursor);
      if (next === SEARCHING) {
        this.moveCursor(session, this.stoppedAt);
        return SEARCHING;
      }
      if (next !== NONE) {
        this.moveCursor(session, next);
        this.setFound(session, 1);
        return next;
      }
      this.drop(row);
      row = this.firstRow[session];
      this.visitsLeft -= VISITS_TO_LOAD;
      if (this.visitsLeft <= 0 && row !== NONE) return SEARCHING;
    }
    return NONE;
  }

  /** The message that `find` gave was delivered. */
  delivered(session: number): void {
    this.setFound(session, 0);
  }

  /** The retained topic where the session has got to, or ROOT, or NONE while nothing waits. */
  cursor(session: number): number {
    return this.firstRow[this.sessionsMax + session];
  }

  private isFound(session: number): boolean {
    return this.firstRow[2 * this.sessionsMax + session] === 1;
  }

  private setFound(session: number, found: number): void {
    this.firstRow[2 * this.sessionsMax + session] = found;
  }

  private moveCursor(session: number, node: number): void {
    const before = this.cursor(session);
    this.setFound(session, 0);
    this.firstRow[this.sessionsMax + session] = node;
    if (node > ROOT) this.topics.pin(node);
    if (before > ROOT) this.topics.unpin(before);
  }

  private load(row: number): void {
    if (this.loadedRow === row) return;
    this.loadedRow = row;
    const levels = this.levels;
    const node = this.subscriptions.cells[row + NODE];
    const end = this.subscriptions.tree.writePath(node, this.filterAt);
    levels.split(this.memory, this.filterAt, end);
    this.endsWithHash = this.topics.isByte(levels, levels.count - 1, HASH);
    this.fixedLevels = this.endsWithHash ? levels.count - 1 : levels.count;
  }

  /**
   * The first node after `node`, parents before children, whose topic matches the loaded filter and
   * has a message; NONE after the last; SEARCHING when this turn has seen enough, at `stoppedAt`.
   */
  private nextMatch(node: number): number {
    const nodes = this.topics.cells;
    let depth = this.topics.depth(node);
    for (;;) {
      let to = this.matchingChild(node, depth);
      if (to !== NONE) depth++;
      while (to === NONE) {
        if (node === ROOT) return NONE;
        to = this.matchingSibling(node, depth);
        if (to === NONE) {
          node = nodes[node + PARENT];
          depth--;
        }
      }
      node = to;
      if (nodes[node + VALUE] !== NONE && (depth === this.fixedLevels ||
          (this.endsWithHash && depth > this.fixedLevels))) return node;
      if (--this.visitsLeft <= 0) {
        this.stoppedAt = node;
        return SEARCHING;
      }
    }
  }

  /** The first child of `node`, which is `depth` levels down, that the filter lets pass. */
  private matchingChild(node: number, depth: number): number {
    if (depth < this.fixedLevels && !this.topics.isByte(this.levels, depth, PLUS)) {
      return this.topics.child(node, this.levels, depth);
    }
    if (depth >= this.fixedLevels && !this.endsWithHash) return NONE;
    return this.skipDollar(this.topics.cells[node + FIRST_CHILD], depth + 1);
  }

  private matchingSibling(node: number, depth: number): number {
    if (depth <= this.fixedLevels &&
        !this.topics.isByte(this.levels, depth - 1, PLUS)) return NONE;
    return this.skipDollar(this.topics.cells[node + NEXT_SIBLING], depth);
  }

  /** Leading wildcards pass over topics that start with `$` [MQTT-4.7.2-1]. */
  private skipDollar(node: number, depth: number): number {
    while (depth === 1 && node !== NONE && this.topics.isDollar(node)) {
      node = this.topics.cells[node + NEXT_SIBLING];
      this.visitsLeft--;
    }
    return node;
  }
}
