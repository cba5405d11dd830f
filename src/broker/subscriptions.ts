// Who wants which topics: a tree of filters, a row for each subscription. `match` answers a topic
// with the sessions to deliver to, each once, at the highest QoS of its matching filters
// [MQTT-3.3.5-1]. The cost goes with the depth of the topic and the matches, not with the number of
// subscriptions.
//
// Invariant: a row is in the list of its node and in the list of its session; a node's value is its
// first row.

import { indexColumn, type IndexColumn } from '../session/columns.js';
import { NONE } from '../wire/codes.js';
import type { TopicLevels } from '../wire/topic.js';
import { ROOT, TopicTree } from './topic-tree.js';


export class Subscriptions {
  readonly tree: TopicTree;
  readonly rowsMax: number;
  count = 0;

  /** Columns by row. */
  readonly session: IndexColumn;
  readonly node: IndexColumn;
  readonly qos: Uint8Array;
  readonly nextOfNode: IndexColumn;
  readonly #previousOfNode: IndexColumn;
  readonly nextOfSession: IndexColumn;
  readonly #previousOfSession: IndexColumn;

  /** First row of each session. */
  readonly firstOfSession: IndexColumn;

  /** Result of `match`: sessions and the QoS for each. */
  readonly matchedSessions: Int32Array;
  readonly matchedQos: Uint8Array;

  readonly #stampOfSession: Uint32Array;
  readonly #placeOfSession: Int32Array;
  #stamp = 0;
  #matchedCount = 0;
  readonly #stackNodes: Int32Array;
  readonly #stackDepths: Int32Array;
  #freeHead = NONE;
  #freshStart = 0;

  constructor(tree: TopicTree, rowsMax: number, sessionsMax: number, levelsMax: number) {
    this.tree = tree;
    this.rowsMax = rowsMax;
    this.session = indexColumn(rowsMax, sessionsMax);
    this.node = indexColumn(rowsMax, tree.nodesMax);
    this.qos = new Uint8Array(rowsMax);
    this.nextOfNode = indexColumn(rowsMax, rowsMax);
    this.#previousOfNode = indexColumn(rowsMax, rowsMax);
    this.nextOfSession = indexColumn(rowsMax, rowsMax);
    this.#previousOfSession = indexColumn(rowsMax, rowsMax);
    this.firstOfSession = indexColumn(sessionsMax, rowsMax);
    this.matchedSessions = new Int32Array(sessionsMax);
    this.matchedQos = new Uint8Array(sessionsMax);
    this.#stampOfSession = new Uint32Array(sessionsMax);
    this.#placeOfSession = new Int32Array(sessionsMax);
    this.#stackNodes = new Int32Array(levelsMax + 2);
    this.#stackDepths = new Int32Array(levelsMax + 2);
  }

  /**
   * Subscribes `session` to the filter in `levels`; an identical filter of it is replaced
   * [MQTT-3.8.4-3]. Returns the row, or NONE when a table is full.
   */
  add(session: number, levels: TopicLevels, qos: number): number {
    const node = this.tree.insert(levels);
    if (node === NONE) return NONE;
    let row = this.#find(session, node);
    if (row === NONE) {
      if (this.count === this.rowsMax) {
        this.tree.prune(node);
        return NONE;
      }
      row = this.#freeHead;
      if (row === NONE) row = this.#freshStart++;
      else this.#freeHead = this.nextOfSession[row];
      this.count++;
      this.#link(row, session, node);
    }
    this.qos[row] = qos;
    return row;
  }

  #link(row: number, session: number, node: number): void {
    this.session[row] = session;
    this.node[row] = node;
    const firstOfSession = this.firstOfSession[session];
    this.#previousOfSession[row] = NONE;
    this.nextOfSession[row] = firstOfSession;
    if (firstOfSession !== NONE) this.#previousOfSession[firstOfSession] = row;
    this.firstOfSession[session] = row;
    const first = this.tree.value[node];
    this.#previousOfNode[row] = NONE;
    this.nextOfNode[row] = first;
    if (first !== NONE) this.#previousOfNode[first] = row;
    this.tree.value[node] = row;
  }

  /** Looks through the rows of the session and of the node by turns: the shorter list decides. */
  #find(session: number, node: number): number {
    let ofSession: number = this.firstOfSession[session];
    let ofNode: number = this.tree.value[node];
    while (ofSession !== NONE && ofNode !== NONE) {
      if (this.node[ofSession] === node) return ofSession;
      if (this.session[ofNode] === session) return ofNode;
      ofSession = this.nextOfSession[ofSession];
      ofNode = this.nextOfNode[ofNode];
    }
    return NONE;
  }

  /** The row of `session` for the filter in `levels`, or NONE. */
  find(session: number, levels: TopicLevels): number {
    const node = this.tree.find(levels);
    return node === NONE ? NONE : this.#find(session, node);
  }

  #unlinkOfSession(row: number): void {
    const session = this.session[row];
    const next = this.nextOfSession[row];
    const previous = this.#previousOfSession[row];
    if (previous === NONE) this.firstOfSession[session] = next;
    else this.nextOfSession[previous] = next;
    if (next !== NONE) this.#previousOfSession[next] = previous;
  }

  /** Removes a row. */
  remove(row: number): void {
    this.#unlinkOfSession(row);
    const node = this.node[row];
    const next = this.nextOfNode[row];
    const previous = this.#previousOfNode[row];
    if (previous === NONE) this.tree.value[node] = next;
    else this.nextOfNode[previous] = next;
    if (next !== NONE) this.#previousOfNode[next] = previous;
    this.nextOfSession[row] = this.#freeHead;
    this.#freeHead = row;
    this.count--;
    this.tree.prune(node);
  }

  /**
   * Fills `matchedSessions` and `matchedQos` for the topic name in `levels`; returns how many there
   * are.
   */
  match(levels: TopicLevels): number {
    const tree = this.tree;
    this.#matchedCount = 0;
    this.#stamp = this.#stamp + 1 >>> 0;
    if (this.#stamp === 0) this.#restamp();
    let height = 0;
    // A leading wildcard does not match `$…` [MQTT-4.7.2-1].
    if ((tree.hash[ROOT] !== NONE || tree.plus[ROOT] !== NONE) && !tree.startsWithDollar(levels)) {
      if (tree.hash[ROOT] !== NONE) this.#collect(tree.hash[ROOT]);
      height = this.#push(tree.plus[ROOT], 1, height);
    }
    let node = tree.child(ROOT, levels, 0);
    let depth = 1;
    for (;;) {
      if (node === NONE) {
        if (height === 0) return this.#matchedCount;
        node = this.#stackNodes[--height];
        depth = this.#stackDepths[height];
      }
      // `a/#` also matches `a` [MQTT-4.7.1-2].
      if (tree.hash[node] !== NONE) this.#collect(tree.hash[node]);
      // A topic deeper than any filter may be never comes to its last level here.
      if (depth < levels.count) {
        if (tree.plus[node] !== NONE) height = this.#push(tree.plus[node], depth + 1, height);
        node = tree.firstChild[node] === NONE ? NONE : tree.child(node, levels, depth++);
      } else {
        this.#collect(node);
        node = NONE;
      }
    }
  }

  /** A node to look at later; returns the new height of the stack. */
  #push(node: number, depth: number, height: number): number {
    if (node === NONE) return height;
    this.#stackNodes[height] = node;
    this.#stackDepths[height] = depth;
    return height + 1;
  }

  #collect(node: number): void {
    for (let row: number = this.tree.value[node]; row !== NONE; row = this.nextOfNode[row]) {
      const session = this.session[row];
      const qos = this.qos[row];
      if (this.#stampOfSession[session] === this.#stamp) {
        const place = this.#placeOfSession[session];
        if (this.matchedQos[place] < qos) this.matchedQos[place] = qos;
      } else {
        this.#stampOfSession[session] = this.#stamp;
        this.#placeOfSession[session] = this.#matchedCount;
        this.matchedSessions[this.#matchedCount] = session;
        this.matchedQos[this.#matchedCount++] = qos;
      }
    }
  }

  /** The stamp has gone round after 2³² topics: no old one may look new. */
  #restamp(): void {
    this.#stampOfSession.fill(0);
    this.#stamp = 1;
  }
}
