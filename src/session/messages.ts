// Messages kept for later: retained ones, wills, and what waits for a subscriber or its
// acknowledgement. A message is stored once, however many sessions wait for it, and goes when the
// last of them lets go.
//
//   chain of blocks:   topic length (2) | topic | payload        as PUBLISH carries them
//
// A handle is the first block of the chain; the columns have a cell for every block and use those
// of first ones.

import { NONE, PUBLISH } from '../wire/codes.js';
import { encodeHeader, encodeUint16, publishBytes } from '../wire/encode.js';
import { BlockPool } from './blocks.js';

export class MessageStore {
  readonly blocks: BlockPool;
  readonly topicBytes: Uint16Array;
  readonly payloadBytes: Uint32Array;
  /** QoS in bits 1 and 2, RETAIN in bit 0: as in the flags of PUBLISH. */
  readonly flags: Uint8Array;
  /** Holders of each message. */
  readonly references: Uint16Array | Uint32Array;
  count = 0;

  /** `referencesMax` is how many holders one message can have. */
  constructor(
    memory: Uint8Array, base: number, blockBytes: number, blockCount: number,
    referencesMax: number,
  ) {
    this.blocks = new BlockPool(memory, base, blockBytes, blockCount);
    this.topicBytes = new Uint16Array(blockCount);
    this.payloadBytes = new Uint32Array(blockCount);
    this.flags = new Uint8Array(blockCount);
    this.references = referencesMax <= 0xffff ?
      new Uint16Array(blockCount) :
      new Uint32Array(blockCount);
  }

  /** Blocks that a stored message takes. */
  blocksOf(message: number): number {
    return this.blocks.blocksFor(this.topicBytes[message] + this.payloadBytes[message] + 2);
  }

  /**
   * Stores the topic, which the memory holds with its two length bytes before it, and the payload.
   * Returns a handle that the caller holds once, or NONE when the pool is full.
   */
  store(
    topicStart: number, topicEnd: number, payloadStart: number, payloadEnd: number, flags: number,
  ): number {
    const payloadBytes = payloadEnd - payloadStart;
    const topicBytes = topicEnd - topicStart;
    const message = this.blocks.allocate(topicBytes + payloadBytes + 2);
    if (message === NONE) return NONE;
    this.topicBytes[message] = topicBytes;
    this.payloadBytes[message] = payloadBytes;
    this.flags[message] = flags;
    this.references[message] = 1;
    this.count++;
    if (payloadStart === topicEnd) {
      this.blocks.write(message, topicStart - 2, topicBytes + payloadBytes + 2);
    } else {
      this.#writeParts(message, topicStart - 2, topicBytes + 2, payloadStart, payloadBytes);
    }
    return message;
  }

  /** Topic and payload that do not touch: fills the chain block by block from the two. */
  #writeParts(
    message: number, first: number, firstBytes: number, second: number, secondBytes: number,
  ): void {
    const blocks = this.blocks;
    const blockBytes = blocks.blockBytes;
    let at = blocks.base + message * blockBytes;
    let blockEnd = at + blockBytes;
    let block = message;
    let source = first;
    let left = firstBytes;
    for (;;) {
      if (left === 0) {
        if (secondBytes === 0) return;
        source = second;
        left = secondBytes;
        secondBytes = 0;
      }
      if (at === blockEnd) {
        block = blocks.next[block];
        at = blocks.base + block * blockBytes;
        blockEnd = at + blockBytes;
      }
      const part = left < blockEnd - at ? left : blockEnd - at;
      blocks.memory.copyWithin(at, source, source + part);
      at += part;
      source += part;
      left -= part;
    }
  }

  /** One holder more. */
  hold(message: number): void {
    this.references[message]++;
  }

  /** One holder less; the last one frees the blocks. */
  release(message: number): void {
    if (--this.references[message] === 0) {
      this.blocks.release(message);
      this.count--;
    }
  }

  /** Size of the PUBLISH that `encode` writes. */
  publishBytes(message: number, qos: number): number {
    return publishBytes(this.topicBytes[message], this.payloadBytes[message], qos);
  }

  /**
   * Writes the message as a PUBLISH with these header flags at `at` of the memory; returns its end.
   */
  encode(message: number, at: number, flags: number, packetId: number): number {
    const blocks = this.blocks;
    const topic = this.topicBytes[message] + 2;
    const payload = this.payloadBytes[message];
    if ((flags & 0x06) === 0) {
      at = encodeHeader(blocks.memory, at, PUBLISH << 4 | flags, topic + payload);
      return blocks.read(message, 0, at, topic + payload);
    }
    at = encodeHeader(blocks.memory, at, PUBLISH << 4 | flags, topic + payload + 2);
    at = blocks.read(message, 0, at, topic);
    at = encodeUint16(blocks.memory, at, packetId);
    return blocks.read(message, topic, at, payload);
  }
}
