// What each session still has to send with QoS 1 or 2: one queue per session, in order, over rows
// that all queues share. The first rows are in flight (they have a packet identifier), the others
// wait.
//
//   head                    cursor                       tail
//   [id 7 RELEASED]→[id 8 PUBLISHED]→[QUEUED]→[QUEUED]
//   cursor: next row to transmit on this connection
//
// On resumption the cursor goes back to the head: rows in flight are transmitted again, PUBLISH
// with DUP and its old identifier, or PUBREL [MQTT-4.4.0-1]; on no other occasion. Identifiers go
// round in queue order, so a new one can only meet that of the oldest row in flight; then the queue
// waits for that acknowledgement.

import { NONE } from '../wire/codes.js';
import type { Columns, CountColumn, IndexColumn } from './columns.js';
import type { MessageStore } from './messages.js';

/** States of a row. */
export const QUEUED = 0;
/** PUBLISH sent; PUBACK (QoS 1) or PUBREC (QoS 2) awaited. */
export const PUBLISHED = 1;
/** PUBREL sent or to be sent; PUBCOMP awaited. The message itself is gone. */
export const RELEASED = 2;

export class Deliveries {
  readonly store: MessageStore;
  readonly inflightMax: number;
  /** Identifiers go from 1 to here; the owner may want those above for other packets. */
  readonly packetIdMax: number;
  freeRows: number;

  /** Columns by row. */
  readonly message: IndexColumn;
  readonly packetId: Uint16Array;
  readonly state: Uint8Array;
  /** QoS in bits 1 and 2, RETAIN in bit 0. */
  readonly flags: Uint8Array;
  readonly next: IndexColumn;

  /** Columns by queue. */
  readonly head: IndexColumn;
  readonly cursor: IndexColumn;
  readonly tail: IndexColumn;
  readonly counts: CountColumn;
  readonly inflight: CountColumn;
  /** Bytes of topics and payloads that wait in the queue. */
  readonly bytes: CountColumn;
  /** The identifier given last. */
  readonly lastPacketId: Uint16Array;

  #freeHead = NONE;
  #freshStart = 0;
  #previous = NONE;

  /** What waits in one queue has at most `queueBytesMax` bytes. */
  constructor(
    store: MessageStore, queueCount: number, rowCount: number, queueBytesMax: number,
    inflightMax: number, packetIdMax: number, columns: Columns,
  ) {
    this.store = store;
    this.inflightMax = inflightMax;
    this.packetIdMax = packetIdMax;
    this.freeRows = rowCount;
    this.message = columns.unusedIndices(rowCount, store.blocks.blockCount);
    this.packetId = columns.uint16(rowCount);
    this.state = columns.uint8(rowCount);
    this.flags = columns.uint8(rowCount);
    this.next = columns.unusedIndices(rowCount, rowCount);
    this.head = columns.indices(queueCount, rowCount);
    this.cursor = columns.indices(queueCount, rowCount);
    this.tail = columns.indices(queueCount, rowCount);
    this.counts = columns.counts(queueCount, rowCount);
    this.inflight = columns.counts(queueCount, rowCount);
    this.bytes = columns.counts(queueCount, queueBytesMax);
    this.lastPacketId = columns.uint16(queueCount);
  }

  /** Adds `message`, held once more, at the tail; there must be a free row. Returns the row. */
  append(queue: number, message: number, flags: number): number {
    const row = this.link(queue, message, flags, QUEUED, 0);
    if (this.cursor[queue] === NONE) this.cursor[queue] = row;
    this.bytes[queue] += this.store.byteCount(message);
    this.store.hold(message);
    return row;
  }

  /**
   * Adds a row that was in flight when it was saved, behind the others, so that it is transmitted
   * again. A message that is not released is held once more.
   */
  appendInFlight(
    queue: number, message: number, flags: number, state: number, packetId: number,
  ): void {
    const row = this.link(queue, message, flags, state, packetId);
    if (this.cursor[queue] === NONE) this.cursor[queue] = row;
    this.inflight[queue]++;
    if (state === RELEASED) return;
    this.bytes[queue] += this.store.byteCount(message);
    this.store.hold(message);
  }

  private link(
    queue: number, message: number, flags: number, state: number, packetId: number,
  ): number {
    let row = this.#freeHead;
    if (row === NONE) row = this.#freshStart++;
    else this.#freeHead = this.next[row];
    this.freeRows--;
    this.message[row] = message;
    this.packetId[row] = packetId;
    this.state[row] = state;
    this.flags[row] = flags;
    this.next[row] = NONE;
    if (this.head[queue] === NONE) this.head[queue] = row;
    else this.next[this.tail[queue]] = row;
    this.tail[queue] = row;
    this.counts[queue]++;
    return row;
  }

  /**
   * The next row to transmit, or NONE: nothing waits, the window of unacknowledged messages is
   * full, or the next identifier is still in use.
   */
  toTransmit(queue: number): number {
    const row = this.cursor[queue];
    if (row === NONE || this.state[row] !== QUEUED) return row;
    if (this.inflight[queue] >= this.inflightMax) return NONE;
    const head = this.head[queue];
    return this.state[head] !== QUEUED && this.packetId[head] === this.nextPacketId(queue) ?
      NONE :
      row;
  }

  private nextPacketId(queue: number): number {
    const last = this.lastPacketId[queue];
    return last === this.packetIdMax ? 1 : last + 1;
  }

  /**
   * The row that `toTransmit` gave goes out now: steps the cursor past it and returns the
   * identifier to send, a new one, counted as in flight, if the row was queued.
   */
  transmit(queue: number, row: number): number {
    this.cursor[queue] = this.next[row];
    if (this.state[row] === QUEUED) {
      this.state[row] = PUBLISHED;
      this.packetId[row] = this.lastPacketId[queue] = this.nextPacketId(queue);
      this.inflight[queue]++;
    }
    return this.packetId[row];
  }

  /**
   * The row that `toTransmit` gave has gone out with QoS 0: nobody will acknowledge it, it leaves
   * the queue.
   */
  sentOnce(queue: number, row: number): void {
    let previous = NONE;
    for (let at = this.head[queue]; at !== row; at = this.next[at]) previous = at;
    this.unlink(queue, row, previous);
  }

  /** The connection is new: transmit what is in flight again, from the oldest on. */
  resume(queue: number): void {
    this.cursor[queue] = this.head[queue];
  }

  /**
   * The peer has forgotten the session: what it had not acknowledged waits again as it did at
   * first, in its order. No row may be RELEASED.
   */
  restart(queue: number): void {
    let row = this.head[queue];
    for (; row !== NONE && this.state[row] !== QUEUED; row = this.next[row]) {
      this.state[row] = QUEUED;
      this.packetId[row] = 0;
    }
    this.inflight[queue] = 0;
    this.cursor[queue] = this.head[queue];
  }

  /**
   * The row in flight with that identifier, or NONE. `remove` and `released` may follow at once.
   */
  find(queue: number, packetId: number): number {
    let previous = NONE;
    let row = this.head[queue];
    while (row !== NONE && this.state[row] !== QUEUED) {
      if (this.packetId[row] === packetId) {
        this.#previous = previous;
        return row;
      }
      previous = row;
      row = this.next[row];
    }
    return NONE;
  }

  /** PUBREC has come for `row`: the message goes, its identifier stays until PUBCOMP. */
  released(queue: number, row: number): void {
    this.state[row] = RELEASED;
    this.letGo(queue, row);
  }

  /** Takes the row that `find` gave out of the queue. */
  remove(queue: number, row: number): void {
    this.inflight[queue]--;
    this.unlink(queue, row, this.#previous);
  }

  /** Drops the oldest row that is not in flight and returns it, or NONE when there is none. */
  dropOldest(queue: number): number {
    return this.dropQueued(queue, 0, 0);
  }

  /**
   * Drops the oldest row that is not in flight and has the topic that ends at `topicEnd` of the
   * memory, behind its two length bytes at `start`, and returns it, or NONE when there is none.
   */
  dropSameTopic(queue: number, start: number, topicEnd: number): number {
    return this.dropQueued(queue, start, topicEnd - start);
  }

  /** The first row whose message begins with those bytes: any, if there are none. */
  private dropQueued(queue: number, start: number, byteCount: number): number {
    let previous = NONE;
    for (let row = this.head[queue]; row !== NONE; row = this.next[row]) {
      if (this.state[row] === QUEUED &&
          this.store.blocks.equals(this.message[row], start, byteCount)) {
        this.unlink(queue, row, previous);
        return row;
      }
      previous = row;
    }
    return NONE;
  }

  /** Empties the queue and starts its identifiers afresh. */
  clear(queue: number): void {
    while (this.head[queue] !== NONE) this.unlink(queue, this.head[queue], NONE);
    this.inflight[queue] = 0;
    this.lastPacketId[queue] = 0;
  }

  private unlink(queue: number, row: number, previous: number): void {
    const next = this.next[row];
    if (previous === NONE) this.head[queue] = next;
    else this.next[previous] = next;
    if (this.tail[queue] === row) this.tail[queue] = previous;
    if (this.cursor[queue] === row) this.cursor[queue] = next;
    if (this.state[row] !== RELEASED) this.letGo(queue, row);
    this.counts[queue]--;
    this.next[row] = this.#freeHead;
    this.#freeHead = row;
    this.freeRows++;
  }

  private letGo(queue: number, row: number): void {
    const message = this.message[row];
    this.bytes[queue] -= this.store.byteCount(message);
    this.store.release(message);
    this.message[row] = NONE;
  }
}
