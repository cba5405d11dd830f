// Messages kept for later: retained ones, wills, and what waits for a subscriber or its
// acknowledgement. A message is stored once, however many sessions wait for it, and goes when the
// last of them lets go.
//
//   chain of blocks:   topic length (2) | topic | payload        as PUBLISH carries them
//   with properties:   topic length (2) | topic | their length | properties | payload
//
// Kept properties are those that go on to subscribers. The expiry, if there is one, comes first and
// holds a deadline in whole seconds of the owner's clock, not an interval. Properties go out to
// peers of MQTT 5.0 only, those of a message and some of the peer's own: so a client writes their
// PUBLISH in steps, `encodeStart5`, the caller, `encodePayload`; the broker lays them out first.
//
// A handle is the first block of the chain. There is a record of cells for every block, and those
// of first ones are used: what is known of the message.

import { MESSAGE_CELLS } from '../table-bytes.js';
import { NONE, PUBLISH } from '../wire/codes.js';
import {
  encodeHeader, encodeUint16, encodeUint32, encodeVarint, packetBytes, publishBytes,
} from '../wire/encode.js';
import { varintBytes } from '../wire/properties.js';
import { BlockPool } from './blocks.js';
import type { Columns, CountColumn } from './columns.js';

/** Flags of a message beside QoS and RETAIN: properties stand before the payload. */
export const WITH_PROPERTIES = 0x10;
/** The first of them is the expiry. */
export const EXPIRES = 0x20;

/** Cells of a message; MESSAGE_CELLS of them. */
const TOPIC_BYTES = 0;
const CONTENT_BYTES = 1;
const FLAGS = 2;
const HOLDERS = 3;

export class MessageStore {
  readonly blocks: BlockPool;
  count = 0;
  /** How many of them expire. */
  expiringCount = 0;
  private readonly cells: CountColumn;

  /** A message has at most `messageBytesMax` bytes and `holdersMax` holders. */
  constructor(
    memory: Uint8Array, base: number, blockBytes: number, blockCount: number,
    messageBytesMax: number, holdersMax: number, columns: Columns,
  ) {
    this.blocks = new BlockPool(memory, base, blockBytes, blockCount, columns);
    this.cells = columns.counts(
      MESSAGE_CELLS * blockCount, Math.max(messageBytesMax, holdersMax));
  }

  topicBytes(message: number): number {
    return this.cells[message * MESSAGE_CELLS + TOPIC_BYTES];
  }

  /** Bytes of the payload and of the properties before it, with their length. */
  contentBytes(message: number): number {
    return this.cells[message * MESSAGE_CELLS + CONTENT_BYTES];
  }

  payloadBytes(message: number): number {
    const at = message * MESSAGE_CELLS;
    const content = this.cells[at + CONTENT_BYTES];
    if ((this.cells[at + FLAGS] & WITH_PROPERTIES) === 0) return content;
    const properties = this.propertiesBytes(message);
    return content - properties - varintBytes(properties);
  }

  /** Bytes of the properties, without their length. */
  private propertiesBytes(message: number): number {
    if ((this.flags(message) & WITH_PROPERTIES) === 0) return 0;
    let at = this.topicBytes(message) + 2;
    let value = 0;
    let digit = 0x80;
    for (let shift = 0; digit >= 0x80; shift += 7) {
      digit = this.blocks.byteAt(message, at++);
      value |= (digit & 0x7f) << shift;
    }
    return value;
  }

  /**
   * Whole seconds until the message expires, negative when it has; only for one that EXPIRES.
   * `nowSeconds` is the owner's clock, rounded up.
   */
  private secondsLeft(message: number, nowSeconds: number): number {
    // Before the deadline: the length of the properties, at most four bytes, and its identifier.
    let at = this.topicBytes(message) + 3 + varintBytes(this.propertiesBytes(message));
    let deadline = 0;
    for (const end = at + 4; at < end; at++) {
      deadline = deadline * 256 + this.blocks.byteAt(message, at);
    }
    return deadline - nowSeconds;
  }

  /** Whether the message has expired: it lived for longer than it was to, 5.0 [MQTT-3.3.2-5]. */
  expired(message: number, nowSeconds: number): boolean {
    return (this.flags(message) & EXPIRES) !== 0 && this.secondsLeft(message, nowSeconds) < 0;
  }

  /**
   * QoS in bits 1 and 2, RETAIN in bit 0: as in the flags of PUBLISH; and WITH_PROPERTIES, EXPIRES.
   */
  flags(message: number): number {
    return this.cells[message * MESSAGE_CELLS + FLAGS];
  }

  /** How many hold the message. */
  holders(message: number): number {
    return this.cells[message * MESSAGE_CELLS + HOLDERS];
  }

  /** Bytes of topic and content. */
  byteCount(message: number): number {
    const at = message * MESSAGE_CELLS;
    return this.cells[at + TOPIC_BYTES] + this.cells[at + CONTENT_BYTES];
  }

  /** Blocks that a stored message takes. */
  blocksOf(message: number): number {
    return this.blocks.blocksFor(this.byteCount(message) + 2);
  }

  /**
   * Stores the topic, which the memory holds with its two length bytes before it, and the content:
   * the payload, and if `flags` has WITH_PROPERTIES, these, in their form above, right before it.
   * Returns a handle that the caller holds once, or NONE when the pool is full.
   */
  store(
    topicStart: number, topicEnd: number, contentStart: number, contentEnd: number, flags: number,
  ): number {
    const contentBytes = contentEnd - contentStart;
    const topicBytes = topicEnd - topicStart;
    const message = this.blocks.allocate(topicBytes + contentBytes + 2);
    if (message === NONE) return NONE;
    const at = message * MESSAGE_CELLS;
    this.cells[at + TOPIC_BYTES] = topicBytes;
    this.cells[at + CONTENT_BYTES] = contentBytes;
    this.cells[at + FLAGS] = flags;
    this.cells[at + HOLDERS] = 1;
    this.count++;
    if ((flags & EXPIRES) !== 0) this.expiringCount++;
    if (contentStart === topicEnd) {
      this.blocks.write(message, topicStart - 2, topicBytes + contentBytes + 2);
    } else {
      this.writeParts(message, topicStart - 2, topicBytes + 2, contentStart, contentBytes);
    }
    return message;
  }

  /** Topic and content that do not touch: fills the chain block by block from the two. */
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
    this.cells[message * MESSAGE_CELLS + HOLDERS]++;
  }

  /** One holder less; the last one frees the blocks. */
  release(message: number): void {
    const at = message * MESSAGE_CELLS;
    if (--this.cells[at + HOLDERS] !== 0) return;
    if ((this.cells[at + FLAGS] & EXPIRES) !== 0) this.expiringCount--;
    this.blocks.release(message);
    this.count--;
  }

  /** Size of the PUBLISH that `encode` writes. */
  publishBytes(message: number, qos: number, lengthBytes = 0): number {
    return publishBytes(this.topicBytes(message), this.payloadBytes(message) + lengthBytes, qos);
  }

  /**
   * Writes the message without properties, with these header flags, at `at` of the memory; returns
   * its end. `lengthBytes` is 1 for MQTT 5.0, where a length says that there are none, else 0.
   */
  encode(
    message: number, at: number, flags: number, packetId: number, lengthBytes = 0,
  ): number {
    const blocks = this.blocks;
    const topic = this.cells[message * MESSAGE_CELLS + TOPIC_BYTES] + 2;
    const content = this.cells[message * MESSAGE_CELLS + CONTENT_BYTES];
    const payload = this.payloadBytes(message);
    const between = (flags & 0x06) === 0 ? lengthBytes : lengthBytes + 2;
    at = encodeHeader(blocks.memory, at, PUBLISH << 4 | flags, topic + between + payload);
    if (between === 0 && payload === content) return blocks.read(message, 0, at, topic + payload);
    at = blocks.read(message, 0, at, topic);
    if (between > 1) at = encodeUint16(blocks.memory, at, packetId);
    if (lengthBytes !== 0) blocks.memory[at++] = 0;
    return blocks.read(message, topic + content - payload, at, payload);
  }

  /**
   * Size of the PUBLISH of MQTT 5.0 whose topic takes `topicBytes`, which may be 0 with an alias,
   * and that has `extraBytes` of properties beside those of the message.
   */
  publishBytes5(message: number, qos: number, topicBytes: number, extraBytes: number): number {
    return packetBytes(
      this.remaining5(topicBytes, qos, this.propertiesBytes(message) + extraBytes,
        this.payloadBytes(message)));
  }

  private remaining5(
    topicBytes: number, qos: number, properties: number, payload: number,
  ): number {
    return topicBytes + (qos !== 0 ? 4 : 2) + varintBytes(properties) + properties + payload;
  }

  /**
   * Writes the beginning of that PUBLISH at `at` of the memory, up to where the caller writes the
   * extra properties; returns that place. The expiry is what is left of it at `nowSeconds`, 5.0
   * [MQTT-3.3.2-6].
   */
  encodeStart5(
    message: number, at: number, flags: number, packetId: number, topicBytes: number,
    extraBytes: number, nowSeconds: number,
  ): number {
    const { blocks } = this;
    const { memory } = blocks;
    const stored = this.propertiesBytes(message);
    const qos = flags >> 1 & 3;
    at = encodeHeader(memory, at, PUBLISH << 4 | flags,
      this.remaining5(topicBytes, qos, stored + extraBytes, this.payloadBytes(message)));
    at = topicBytes === 0 ?
      encodeUint16(memory, at, 0) :
      blocks.read(message, 0, at, topicBytes + 2);
    if (qos !== 0) at = encodeUint16(memory, at, packetId);
    at = encodeVarint(memory, at, stored + extraBytes);
    if (stored === 0) return at;
    if ((this.flags(message) & EXPIRES) !== 0) {
      const left = this.secondsLeft(message, nowSeconds);
      blocks.read(message, this.topicBytes(message) + 2 + varintBytes(stored), at, stored);
      encodeUint32(memory, at + 1, left > 0 ? left : 0); // 0 when it goes out again, late
      return at + stored;
    }
    return blocks.read(message, this.topicBytes(message) + 2 + varintBytes(stored), at, stored);
  }

  /** Writes its payload at `at`; returns the end of the PUBLISH. */
  encodePayload(message: number, at: number): number {
    const payload = this.payloadBytes(message);
    return this.blocks.read(message, this.byteCount(message) + 2 - payload, at, payload);
  }
}
