// The last message of each topic that asked to be kept: a tree of topics whose values are handles
// of stored messages. Called when a message with RETAIN is published, and by the replays of new
// subscriptions.
//
// Invariant: a node's value is NONE or a message held once for it; `count` is the number of those.

import type { MessageStore } from '../session/messages.js';
import { NONE } from '../wire/codes.js';
import type { TopicLevels } from '../wire/topic.js';
import { VALUE, type TopicTree } from './topic-tree.js';

export class Retained {
  readonly tree: TopicTree;
  readonly store: MessageStore;
  readonly messagesMax: number;
  count = 0;

  constructor(tree: TopicTree, store: MessageStore, messagesMax: number) {
    this.tree = tree;
    this.store = store;
    this.messagesMax = messagesMax;
  }

  /** The node whose message a new one for the topic in `levels` would replace, or NONE. */
  find(levels: TopicLevels): number {
    const node = this.tree.find(levels);
    return node !== NONE && this.tree.cells[node + VALUE] !== NONE ? node : NONE;
  }

  /**
   * Keeps a message for the topic in `levels`, in the place of the one before; arguments as
   * `MessageStore.store`. False when there is no room for it; then the topic has none: no message
   * is better than one that is no longer true.
   */
  set(
    levels: TopicLevels, topicStart: number, topicEnd: number,
    contentStart: number, contentEnd: number, flags: number,
  ): boolean {
    const tree = this.tree;
    const node = tree.insert(levels);
    if (node === NONE) return false;
    const before = tree.cells[node + VALUE];
    if (before === NONE && this.count === this.messagesMax) {
      tree.prune(node);
      return false;
    }
    // First, so that a full store still takes news of topics it knows.
    if (before !== NONE) this.forget(node);
    const message = this.store.store(topicStart, topicEnd, contentStart, contentEnd, flags);
    if (message === NONE) {
      tree.prune(node);
      return false;
    }
    tree.cells[node + VALUE] = message;
    this.count++;
    return true;
  }

  /** Forgets the message at a node that `find` gave. */
  clear(node: number): void {
    this.forget(node);
    this.tree.prune(node);
  }

  private forget(node: number): void {
    const cells = this.tree.cells;
    this.store.release(cells[node + VALUE]);
    cells[node + VALUE] = NONE;
    this.count--;
  }
}
