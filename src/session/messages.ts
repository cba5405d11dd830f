// Messages kept for later: retained ones, wills, and what waits for a subscriber or its
// acknowledgement. A message is stored once, however many sessions wait for it, and goes when the
// last of them lets go.
//
//   chain of blocks:   topic length (2) | topic | payload        as PUBLISH carries them
//
// A handle is the first block of the chain. There is a record of cells for every block, and those
// of first ones are used: what is known of the message.

import { MESSAGE_CELLS } from '../table-bytes.js';
import { NONE, PUBLISH } from '../wire/codes.js';
import { encodeHeader, encodeUint16, publishBytes } from '../wire/encode.js';
import { BlockPool } from './blocks.js';
import type { Columns, CountColumn } from './columns.js';

/** Cells of a message; MESSAGE_CELLS of them. */
const TOPIC_BYTES = 0;
const PAYLOAD_BYTES = 1;
const FLAGS = 2;
const HOLDERS = 3;

export class MessageStore {
  readonly blocks: BlockPool;
  count = 0;
  readonly #cells: CountColumn;

  /** A message has at most `messageBytesMax` bytes and `holdersMax` holders. */
  constructor(
    memory: Uint8Array, base: number, blockBytes: number, blockCount: number,
    messageBytesMax: number, holdersMax: number, columns: Columns,
  ) {
    this.blocks = new BlockPool(memory, base, blockBytes, blockCount, columns);
    this.#cells = columns.counts(
      MESSAGE_CELLS * blockCount, Math.max(messageBytesMax, holdersMax));
  }

  topicBytes(message: number): number {
    return this.#cells[message * MESSAGE_CELLS + TOPIC_BYTES];
  }

  payloadBytes(message: number): number {
    return this.#cells[message * MESSAGE_CELLS + PAYLOAD_BYTES];
  }

  /** QoS in bits 1 and 2, RETAIN in bit 0: as in the flags of PUBLISH. */
  flags(message: number): number {
    return this.#cells[message * MESSAGE_CELLS + FLAGS];
  }

  /** How many hold the message. */
  holders(message: number): number {
    return this.#cells[message * MESSAGE_CELLS + HOLDERS];
  }

  /** Bytes of topic and payload. */
  byteCount(message: number): number {
    const at = message * MESSAGE_CELLS;
    return this.#cells[at + TOPIC_BYTES] + this.#cells[at + PAYLOAD_BYTES];
  }

  /** Blocks that a stored message takes. */
  blocksOf(message: number): number {
    return this.blocks.blocksFor(this.byteCount(message) + 2);
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
    const at = message * MESSAGE_CELLS;
    this.#cells[at + TOPIC_BYTES] = topicBytes;
    this.#cells[at + PAYLOAD_BYTES] = payloadBytes;
    this.#cells[at + FLAGS] = flags;
    this.#cells[at + HOLDERS] = 1;
    this.count++;
    if (payloadStart === topicEnd) {
      this.blocks.write(message, topicStart - 2, topicBytes + payloadBytes + 2);
    } else {
      this.writeParts(message, topicStart - 2, topicBytes + 2, payloadStart, payloadBytes);
    }
    return message;
  }

  /** Topic and payload that do not touch: fills the chain block by block from the two. */
  private writeParts(
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
    this.#cells[message * MESSAGE_CELLS + HOLDERS]++;
  }

  /** One holder less; the last one frees the blocks. */
  release(message: number): void {
    if (--this.#cells[message * MESSAGE_CELLS + HOLDERS] === 0) {
      this.blocks.release(message);
      this.count--;
    }
  }

  /** Size of the PUBLISH that `encode` writes. */
  publishBytes(message: number, qos: number): number {
    return publishBytes(this.topicBytes(message), this.payloadBytes(message), qos);
  }

  /**
   * Writes the message as a PUBLISH with these header flags at `at` of the memory; returns its end.
   */
  encode(message: number, at: number, flags: number, packetId: number): number {
    const blocks = this.blocks;
    const topic = this.topicBytes(message) + 2;
    const payload = this.payloadBytes(message);
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
