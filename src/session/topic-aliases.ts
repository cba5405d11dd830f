// Topic aliases of MQTT 5.0, section 3.3.2.3.4: short numbers that stand for topics, for as long as
// a connection lasts, in each direction a set of its own. Called for every PUBLISH that has an
// alias, and for those to a peer that takes some.
//
//   connection 0: received alias 1 | 2 | … | sent alias 1 | 2 | …      connection 1: …
//   entry:        topic length (2) | topic | unused                    length 0: no topic
//
// A topic stands behind its two length bytes, as everywhere.

import { NONE } from '../wire/codes.js';
import { encodeUint16 } from '../wire/encode.js';
import { uint16At } from '../wire/properties.js';

export class TopicAliases {
  /** Aliases of each direction, from 1 on; 0 takes and gives none. */
  readonly aliasMax: number;
  /** Bytes of the longest topic that may have one. */
  readonly topicBytesMax: number;
  private readonly memory: Uint8Array;
  private readonly base: number;

  /** Takes `2 * aliasMax * (2 + topicBytesMax)` bytes of `memory` a connection, from `base` on. */
  constructor(memory: Uint8Array, base: number, aliasMax: number, topicBytesMax: number) {
    this.memory = memory;
    this.base = base;
    this.aliasMax = aliasMax;
    this.topicBytesMax = topicBytesMax;
  }

  private entry(connection: number, index: number): number {
    return this.base + (connection * 2 * this.aliasMax + index) * (this.topicBytesMax + 2);
  }

  /** The connection is new: no alias means anything, 5.0 [MQTT-3.3.2-7]. */
  clear(connection: number): void {
    for (let index = 2 * this.aliasMax - 1; index >= 0; index--) {
      encodeUint16(this.memory, this.entry(connection, index), 0);
    }
  }

  /**
   * The peer gives the topic that alias, 1 to `aliasMax`, and takes it from another; the topic is
   * at most `topicBytesMax` long.
   */
  learn(connection: number, alias: number, topicStart: number, topicEnd: number): void {
    this.write(this.entry(connection, alias - 1), topicStart, topicEnd);
  }

  private write(entry: number, topicStart: number, topicEnd: number): void {
    const topicAt = encodeUint16(this.memory, entry, topicEnd - topicStart);
    this.memory.copyWithin(topicAt, topicStart, topicEnd);
  }

  /** Where the topic begins that the peer gave that alias, or NONE; its length stands before it. */
  learned(connection: number, alias: number): number {
    const entry = this.entry(connection, alias - 1);
    return uint16At(this.memory, entry) === 0 ? NONE : entry + 2;
  }

  /** The alias under which the topic, behind its length, was sent to the peer, or 0. */
  find(connection: number, topicStart: number, topicEnd: number): number {
    const memory = this.memory;
    const entryBytes = this.topicBytesMax + 2;
    const length = topicStart - 2;
    let entry = this.entry(connection, this.aliasMax);
    for (let alias = 1; alias <= this.aliasMax; ++alias, entry += entryBytes) {
      if (memory[entry] === 0 && memory[entry + 1] === 0) return 0;
      // From behind: the topics of one house differ there. The lengths come last.
      let at = topicEnd;
      let other = entry + topicEnd - length;
      while (memory[--at] === memory[--other]) {
        if (at === length) return alias;
      }
    }
    return 0;
  }

  /**
   * The alias that `add` would give to a topic of that length, first come, first served, if the
   * peer takes `peerMax` of them; or 0.
   */
  next(connection: number, topicBytes: number, peerMax: number): number {
    if (topicBytes > this.topicBytesMax) return 0;
    const most = peerMax < this.aliasMax ? peerMax : this.aliasMax;
    for (let alias = 1; alias <= most; alias++) {
      const entry = this.entry(connection, this.aliasMax + alias - 1);
      if (uint16At(this.memory, entry) === 0) return alias;
    }
    return 0;
  }

  /** The topic goes to the peer with that alias, which `next` gave. */
  add(connection: number, alias: number, topicStart: number, topicEnd: number): void {
    this.write(this.entry(connection, this.aliasMax + alias - 1), topicStart, topicEnd);
  }
}
