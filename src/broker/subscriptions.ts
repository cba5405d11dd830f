// Who wants which topics: a tree of filters, a row for each subscription. `match` answers a topic
// with the sessions to deliver to, each once, at the highest QoS of its matching filters
// [MQTT-3.3.5-1]. The cost goes with the depth of the topic and the matches, not with the number of
// subscriptions.
//
// Shared subscriptions, `$share/group/filter` (MQTT 5.0 section 4.8.2), stand in the same tree
// under their own path: each child of `$share` is a root of more filters. `match` gives their nodes
// apart, and who delivers chooses one row of each.
//
// Invariant: a row is in the list of its node and in the list of its session; a node's value is its
// first row, and before that stands its last one. Rows with a subscription identifier come first in
// the list of their session.

import { SUBSCRIPTION_CELLS } from '../limits.js';
import type { Columns, CountColumn, IndexColumn } from '../session/columns.js';
import { NONE } from '../wire/codes.js';
import type { TopicLevels } from '../wire/topic.js';
import {
  FIRST_CHILD, HASH_CHILD, NEXT_SIBLING, PARENT, PLUS_CHILD, ROOT, VALUE, type TopicTree,
} from './topic-tree.js';

/** Cells of a row; SUBSCRIPTION_CELLS of them. A row's number is where its record begins. */
export const SESSION = 0;
export const NODE = 1;
/** QoS in bits 1 and 2, RETAIN_AS_PUBLISHED, NOT_LOCAL, SHARED. */
export const OPTIONS = 2;
export const NEXT_OF_NODE = 3;
export const NEXT_OF_SESSION = 4;
const PREVIOUS_OF_NODE = 5;
const PREVIOUS_OF_SESSION = 6;
/**
 * Kept by `Replays`: the list of rows that wait. Before the first one stands the last one; NONE
 * stands before a row that does not wait. Shared ones never do: there `match` puts the first row of
 * the next node.
 */
export const NEXT_WAITING = 7;
export const PREVIOUS_WAITING = 8;
export const NEXT_SHARED = NEXT_WAITING;
/** Subscription identifier, 0 for none: 14 bits in either cell. */
const IDENTIFIER_HIGH = 9;
const IDENTIFIER_LOW = 10;
const IDENTIFIER_BITS = 14;

/** Options of a row: RETAIN goes to the session as it was published. Lies where RETAIN does. */
export const RETAIN_AS_PUBLISHED = 1;
/** What the session publishes itself does not come back to it. */
export const NOT_LOCAL = 8;
/** One of the members of its node gets a message, not all. */
export const SHARED = 16;

export class Subscriptions {
  readonly tree: TopicTree;
  readonly rowsMax: number;
  count = 0;
  readonly cells: IndexColumn;

  /** First row of each session. */
  readonly firstOfSession: IndexColumn;

  /**
   * Result of `match`: the sessions, each as `session << 3 | qos << 1 | RETAIN_AS_PUBLISHED`, of
   * that filter which has the highest QoS.
   */
  readonly matched: Int32Array;
  /** How many of them. */
  matchedCount = 0;
  /** Result of `match`: first row of the first matching shared node, or NONE; then NEXT_SHARED. */
  firstShared = NONE;
  /** The session whose message is matched next, or NONE: for rows that are NOT_LOCAL. */
  publisher = NONE;

  /** Where a session stands among the matched ones; means nothing unless it does stand there. */
  private readonly placeOfSession: CountColumn;
  private sharedCount = 0;
  /** The node `$share`, valid while there are shared rows; and its child below which `match` is. */
  private shareNode = NONE;
  private group = NONE;
  /** Nodes to look at later, and the depth of each. */
  private readonly stack: Int32Array;
  private freeHead = NONE;
  private freshStart = 0;

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
    this.placeOfSession = columns.counts(sessionsMax, sessionsMax);
    this.stack = columns.int32(2 * (levelsMax + 2));
  }

  /**
   * Subscribes `session` to the filter in `levels`, with that identifier or 0; an identical filter
   * of it is replaced [MQTT-3.8.4-3]. `options` has SHARED exactly for `$share/group/filter`.
   * Returns the row, or NONE when a table is full.
   */
  add(session: number, levels: TopicLevels, options: number, identifier = 0): number {
    const node = this.tree.insert(levels);
    if (node === NONE) return NONE;
    let row = this.findRow(session, node);
    if (row === NONE) {
      if (this.count === this.rowsMax) {
        this.tree.prune(node);
        return NONE;
      }
      row = this.allocate();
      this.cells[row + SESSION] = session;
      this.linkOfNode(row, node);
      if ((options & SHARED) !== 0) this.shareAt(node);
    } else {
      this.unlinkOfSession(row);
    }
    this.cells[row + OPTIONS] = options;
    this.cells[row + IDENTIFIER_HIGH] = identifier >> IDENTIFIER_BITS;
    this.cells[row + IDENTIFIER_LOW] = identifier & (1 << IDENTIFIER_BITS) - 1;
    this.linkOfSession(row, identifier !== 0);
    return row;
  }

  /** The subscription identifier of a row, or 0. */
  identifier(row: number): number {
    return this.cells[row + IDENTIFIER_HIGH] << IDENTIFIER_BITS | this.cells[row + IDENTIFIER_LOW];
  }

  private allocate(): number {
    this.count++;
    let row = this.freeHead;
    if (row === NONE) {
      row = this.freshStart;
      this.freshStart += SUBSCRIPTION_CELLS;
    } else {
      this.freeHead = this.cells[row + NEXT_OF_SESSION];
    }
    return row;
  }

  /** Makes `row` the last one of `node`. */
  private linkOfNode(row: number, node: number): void {
    const cells = this.cells;
    const first = this.tree.cells[node + VALUE];
    cells[row + NODE] = node;
    cells[row + NEXT_OF_NODE] = NONE;
    if (first === NONE) {
      cells[row + PREVIOUS_OF_NODE] = row;
      this.tree.cells[node + VALUE] = row;
      return;
    }
    const last = cells[first + PREVIOUS_OF_NODE];
    cells[row + PREVIOUS_OF_NODE] = last;
    cells[last + NEXT_OF_NODE] = row;
    cells[first + PREVIOUS_OF_NODE] = row;
  }

  private unlinkOfNode(row: number): void {
    const cells = this.cells;
    const node = cells[row + NODE];
    const first = this.tree.cells[node + VALUE];
    const next = cells[row + NEXT_OF_NODE];
    const previous = cells[row + PREVIOUS_OF_NODE];
    if (row === first) this.tree.cells[node + VALUE] = next;
    else cells[previous + NEXT_OF_NODE] = next;
    if (next !== NONE) cells[next + PREVIOUS_OF_NODE] = previous;
    else if (row !== first) cells[first + PREVIOUS_OF_NODE] = previous;
  }

  /** The row was chosen for a message: the other members of its node come first now. */
  rotate(row: number): void {
    this.unlinkOfNode(row);
    this.linkOfNode(row, this.cells[row + NODE]);
  }

  /** A row with an identifier goes first, one without behind all that have some. */
  private linkOfSession(row: number, hasIdentifier: boolean): void {
    const cells = this.cells;
    const session = cells[row + SESSION];
    let previous = NONE;
    let next: number = this.firstOfSession[session];
    while (!hasIdentifier && next !== NONE && this.identifier(next) !== 0) {
      previous = next;
      next = cells[next + NEXT_OF_SESSION];
    }
    cells[row + PREVIOUS_OF_SESSION] = previous;
    cells[row + NEXT_OF_SESSION] = next;
    if (next !== NONE) cells[next + PREVIOUS_OF_SESSION] = row;
    if (previous === NONE) this.firstOfSession[session] = row;
    else cells[previous + NEXT_OF_SESSION] = row;
  }

  /** A shared row is new at `node`, under `$share`. */
  private shareAt(node: number): void {
    const nodes = this.tree.cells;
    this.sharedCount++;
    while (nodes[node + PARENT] !== ROOT) node = nodes[node + PARENT];
    this.shareNode = node;
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
    this.unlinkOfNode(row);
    if ((cells[row + OPTIONS] & SHARED) !== 0 && --this.sharedCount === 0) {
      this.firstShared = NONE;
    }
    cells[row + NEXT_OF_SESSION] = this.freeHead;
    this.freeHead = row;
    this.count--;
    this.tree.prune(cells[row + NODE]);
  }

  /**
   * Fills `matched` and the list of shared nodes for the topic name in `levels`; returns how many
   * there are in both.
   */
  match(levels: TopicLevels): number {
    const tree = this.tree;
    const nodes = tree.cells;
    let root = ROOT;
    let height = 0;
    this.matchedCount = 0;
    for (;;) {
      // A leading wildcard does not match `$…` [MQTT-4.7.2-1].
      if ((nodes[root + HASH_CHILD] !== NONE || nodes[root + PLUS_CHILD] !== NONE) &&
          !tree.startsWithDollar(levels)) {
        if (nodes[root + HASH_CHILD] !== NONE) this.collect(nodes[root + HASH_CHILD]);
        if (nodes[root + PLUS_CHILD] !== NONE) {
          height = this.toVisit(nodes[root + PLUS_CHILD], 1, 0);
        }
      }
      let node = tree.child(root, levels, 0);
      let depth = 1;
      for (;;) {
        if (node === NONE) {
          if (height === 0) break;
          height -= 2;
          node = this.stack[height];
          depth = this.stack[height + 1];
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
      if (this.sharedCount === 0) return this.matchedCount;
      root = this.nextGroup(root);
      if (root === NONE) return this.countMatches();
    }
  }

  /** Filters are matched once more for each group of shared subscriptions. */
  private nextGroup(root: number): number {
    const nodes = this.tree.cells;
    if (root === ROOT) this.firstShared = NONE;
    this.group = nodes[root === ROOT ? this.shareNode + FIRST_CHILD : root + NEXT_SIBLING];
    return this.group;
  }

  private countMatches(): number {
    let count = this.matchedCount;
    for (let row = this.firstShared; row !== NONE; row = this.cells[row + NEXT_SHARED]) count++;
    return count;
  }

  /** A node to look at later; returns the new height of the stack. */
  private toVisit(node: number, depth: number, height: number): number {
    this.stack[height] = node;
    this.stack[height + 1] = depth;
    return height + 2;
  }

  private collect(node: number): void {
    const cells = this.cells;
    let row: number = this.tree.cells[node + VALUE];
    for (; row !== NONE; row = cells[row + NEXT_OF_NODE]) {
      const session = cells[row + SESSION];
      const options = cells[row + OPTIONS];
      if (options >= NOT_LOCAL) {
        if (options >= SHARED) {
          this.collectShared(row);
          return;
        }
        if (session === this.publisher) continue; // 5.0 [MQTT-3.8.3-3]
      }
      const match = session << 3 | options & 7;
      const place = this.placeOfSession[session];
      if (place < this.matchedCount && this.matched[place] >> 3 === session) {
        if (this.matched[place] < match) this.matched[place] = match;
      } else {
        this.placeOfSession[session] = this.matchedCount;
        this.matched[this.matchedCount++] = match;
      }
    }
  }

  /**
   * A node whose rows are shared; nothing if a topic name spells its whole path. A node is met once
   * only: no two ways of a walk lead to the same one.
   */
  private collectShared(firstRow: number): void {
    if (this.group === NONE) return;
    this.cells[firstRow + NEXT_SHARED] = this.firstShared;
    this.firstShared = firstRow;
  }

  /** Whether the session has a subscription with an identifier. */
  hasIdentifiers(session: number): boolean {
    const first = this.firstOfSession[session];
    return first !== NONE && this.identifier(first) !== 0;
  }
}
