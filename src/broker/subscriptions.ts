// Who wants which topics: a tree of filters, a row for each subscription. `match` answers a topic
// with the sessions to deliver to, each once, at the highest QoS of its matching filters
// [MQTT-3.3.5-1]. The cost goes with the depth of the topic and the matches, not with the number of
// subscriptions.
//
// Invariant: a row is in the list of its node and in the list of its session; a node's value is its
// first row.

import { SUBSCRIPTION_CELLS } from '../limits.js';
import type { Columns, CountColumn, IndexColumn } from '../session/columns.js';
import { NONE } from '../wire/codes.js';
import type { TopicLevels } from '../wire/topic.js';
import {
  FIRST_CHILD, HASH_CHILD, PLUS_CHILD, ROOT, VALUE, type TopicTree,
} from './topic-tree.js';

/** Cells of a row; SUBSCRIPTION_CELLS of them. A row's number is where its record begins. */
export const SESSION = 0;
export const NODE = 1;
export const QOS = 2;
export const NEXT_OF_NODE = 3;
export const NEXT_OF_SESSION = 4;
const PREVIOUS_OF_NODE = 5;
const PREVIOUS_OF_SESSION = 6;
/**
 * Kept by `Replays`: the list of rows that wait. Before the first one stands the last one; NONE
 * stands before a row that does not wait.
 */
export const NEXT_WAITING = 7;
export const PREVIOUS_WAITING = 8;

export class Subscriptions {
  readonly tree: TopicTree;
  readonly rowsMax: number;
  count = 0;
  readonly cells: IndexColumn;

  /** First row of each session. */
  readonly firstOfSession: IndexColumn;

  /** Result of `match`: the sessions, each as `session << 2 | qos`. */
  readonly matched: Int32Array;

  /** Where a session stands among the matched ones; means nothing unless it does stand there. */
  readonly #placeOfSession: CountColumn;
  #matchedCount = 0;
  /** Nodes to look at later, and the depth of each. */
  readonly #stack: Int32Array;
  #freeHead = NONE;
  #freshStart = 0;

  /** `cellMax` is the largest number that a cell must hold. */
  constructor(
    tree: TopicTree, rowsMax: number, sessionsMax: number, levelsMax: number, cellMax: number,
    columns: Columns,
  ) {
    this.tree = tree;
    this.rowsMax = rowsMax;
    this.cells = columns.indices(rowsMax * SUBSCRIPTION_CELLS, cellMax);
    this.firstOfSession = columns.indices(sessionsMax, cellMax);
    this.matched = columns.int32(sessionsMax);
    this.#placeOfSession = columns.counts(sessionsMax, sessionsMax);
    this.#stack = columns.int32(2 * (levelsMax + 2));
  }

  /**
   * Subscribes `session` to the filter in `levels`; an identical filter of it is replaced
   * [MQTT-3.8.4-3]. Returns the row, or NONE when a table is full.
   */
  add(session: number, levels: TopicLevels, qos: number): number {
    const node = this.tree.insert(levels);
    if (node === NONE) return NONE;
    let row = this.findRow(session, node);
    if (row === NONE) {
      if (this.count === this.rowsMax) {
        this.tree.prune(node);
        return NONE;
      }
      row = this.allocate();
      this.link(row, session, node);
    }
    this.cells[row + QOS] = qos;
    return row;
  }

  private allocate(): number {
    this.count++;
    let row = this.#freeHead;
    if (row === NONE) {
      row = this.#freshStart;
      this.#freshStart += SUBSCRIPTION_CELLS;
    } else {
      this.#freeHead = this.cells[row + NEXT_OF_SESSION];
    }
    return row;
  }

  private link(row: number, session: number, node: number): void {
    const cells = this.cells;
    cells[row + SESSION] = session;
    cells[row + NODE] = node;
    const firstOfSession = this.firstOfSession[session];
    cells[row + PREVIOUS_OF_SESSION] = NONE;
    cells[row + NEXT_OF_SESSION] = firstOfSession;
    if (firstOfSession !== NONE) cells[firstOfSession + PREVIOUS_OF_SESSION] = row;
    this.firstOfSession[session] = row;
    const first = this.tree.cells[node + VALUE];
    cells[row + PREVIOUS_OF_NODE] = NONE;
    cells[row + NEXT_OF_NODE] = first;
    if (first !== NONE) cells[first + PREVIOUS_OF_NODE] = row;
    this.tree.cells[node + VALUE] = row;
  }

  /** Looks through the rows of the session and of the node by turns: the shorter list decides. */
  private findRow(session: number, node: number): number {
    const cells = this.cells;
    let ofSession: number = this.firstOfSession[session];
    let ofNode: number = this.tree.cells[node + VALUE];
    while (ofSession !== NONE && ofNode !== NONE) {
      if (cells[ofSession + NODE] === node) return ofSession;
      if (cells[ofNode + SESSION] === session) return ofNode;
      ofSession = cells[ofSession + NEXT_OF_SESSION];
      ofNode = cells[ofNode + NEXT_OF_NODE];
    }
    return NONE;
  }

  /** The row of `session` for the filter in `levels`, or NONE. */
  find(session: number, levels: TopicLevels): number {
    const node = this.tree.find(levels);
    return node === NONE ? NONE : this.findRow(session, node);
  }

  private unlinkOfSession(row: number): void {
    const cells = this.cells;
    const next = cells[row + NEXT_OF_SESSION];
    const previous = cells[row + PREVIOUS_OF_SESSION];
    if (previous === NONE) this.firstOfSession[cells[row + SESSION]] = next;
    else cells[previous + NEXT_OF_SESSION] = next;
    if (next !== NONE) cells[next + PREVIOUS_OF_SESSION] = previous;
  }

  /** Removes a row. */
  remove(row: number): void {
    const cells = this.cells;
    this.unlinkOfSession(row);
    const node = cells[row + NODE];
    const next = cells[row + NEXT_OF_NODE];
    const previous = cells[row + PREVIOUS_OF_NODE];
    if (previous === NONE) this.tree.cells[node + VALUE] = next;
    else cells[previous + NEXT_OF_NODE] = next;
    if (next !== NONE) cells[next + PREVIOUS_OF_NODE] = previous;
    cells[row + NEXT_OF_SESSION] = this.#freeHead;
    this.#freeHead = row;
    this.count--;
    this.tree.prune(node);
  }

  /**
   * Fills `matched` for the topic name in `levels`; returns how many there are.
   */
  match(levels: TopicLevels): number {
    const tree = this.tree;
    const nodes = tree.cells;
    this.#matchedCount = 0;
    let height = 0;
    // A leading wildcard does not match `$…` [MQTT-4.7.2-1].
    if ((nodes[HASH_CHILD] !== NONE || nodes[PLUS_CHILD] !== NONE) &&
        !tree.startsWithDollar(levels)) {
      if (nodes[HASH_CHILD] !== NONE) this.collect(nodes[HASH_CHILD]);
      if (nodes[PLUS_CHILD] !== NONE) height = this.toVisit(nodes[PLUS_CHILD], 1, height);
    }
    let node = tree.child(ROOT, levels, 0);
    let depth = 1;
    for (;;) {
      if (node === NONE) {
        if (height === 0) return this.#matchedCount;
        height -= 2;
        node = this.#stack[height];
        depth = this.#stack[height + 1];
      }
      // `a/#` also matches `a` [MQTT-4.7.1-2].
      if (nodes[node + HASH_CHILD] !== NONE) this.collect(nodes[node + HASH_CHILD]);
      // A topic deeper than any filter may be never comes to its last level here.
      if (depth < levels.count) {
        if (nodes[node + PLUS_CHILD] !== NONE) {
          height = this.toVisit(nodes[node + PLUS_CHILD], depth + 1, height);
        }
        node = nodes[node + FIRST_CHILD] === NONE ? NONE : tree.child(node, levels, depth++);
      } else {
        this.collect(node);
        node = NONE;
      }
    }
  }

  /** A node to look at later; returns the new height of the stack. */
  private toVisit(node: number, depth: number, height: number): number {
    this.#stack[height] = node;
    this.#stack[height + 1] = depth;
    return height + 2;
  }

  private collect(node: number): void {
    const cells = this.cells;
    let row: number = this.tree.cells[node + VALUE];
    for (; row !== NONE; row = cells[row + NEXT_OF_NODE]) {
      const session = cells[row + SESSION];
      const match = session << 2 | cells[row + QOS];
      const place = this.#placeOfSession[session];
      if (place < this.#matchedCount && this.matched[place] >> 2 === session) {
        if (this.matched[place] < match) this.matched[place] = match;
      } else {
        this.#placeOfSession[session] = this.#matchedCount;
        this.matched[this.#matchedCount++] = match;
      }
    }
  }
}
