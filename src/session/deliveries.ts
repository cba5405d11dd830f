// What each session still has to send with QoS 1 or 2: one queue per session, in order, over rows
// that all queues share. The first rows are in flight (they have a packet identifier), the others
// wait.
//
//   head                    cursor                       tail
//   [id 7 RELEASED]→[id 8 PUBLISHED]→[QUEUED]→[QUEUED]
//   cursor: next row to transmit on this connection
//
// On resumption the cursor goes back to the head: rows in flight are transmitted again, PUBLISH
// with DUP and its old identifier, or PUBREL [MQTT-4.4.0-1]; on no other occasion. No PUBLISH is
// transmitted while as many rows as the window are not acknowledged on this connection, 5.0
// [MQTT-3.3.4-7], [MQTT-3.3.4-9]. Identifiers go round in queue order, so a new one can only meet
// that of the oldest row in flight; then the queue waits for that acknowledgement.
//
// A row is a record of cells, and its number is where that begins: `rows[row + STATE]`. A queue is
// one, too, and its number is that of its session: `queues[queue * QUEUE_CELLS + HEAD]`.

import { DELIVERY_CELLS, QUEUE_CELLS } from '../table-bytes.js';
import { NONE } from '../wire/codes.js';
import type { Columns, IndexColumn } from './columns.js';
import type { MessageStore } from './messages.js';

/** Cells of a row; DELIVERY_CELLS of them. */
export const MESSAGE = 0;
export const STATE = 1;
export const FLAGS = 2;
/** The owner's. */
export const VIA = 3;
/** Next row of the queue, or of the free ones. */
export const NEXT = 4;
/** The lower 16 bits of the cell: read it by `packetId`. */
export const PACKET_ID = 5;

/** Cells of a queue; QUEUE_CELLS of them. */
export const HEAD = 0;
export const CURSOR = 1;
export const TAIL = 2;
export const COUNT = 3;
/** Rows transmitted on this connection whose last acknowledgement is awaited. */
export const INFLIGHT = 4;
/** How many of them there may be: `inflightMax`, or the peer's Receive Maximum if lower. */
export const WINDOW = 5;
/** Bytes of topics and payloads that wait in the queue. */
export const BYTES = 6;
/** The identifier given last: as PACKET_ID. */
export const LAST_PACKET_ID = 7;

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
  readonly rows: IndexColumn;
  readonly queues: IndexColumn;

  private freeHead = NONE;
  private freshStart = 0;
  /** Of the row that `find` gave: the one before, and whether it counts as in flight. */
  private previous = NONE;
  private transmitted = false;

  /** `cellMax` is the largest number that a cell must hold, as `deliveryCellMax` says. */
  constructor(
    store: MessageStore, queueCount: number, rowCount: number, inflightMax: number,
    packetIdMax: number, cellMax: number, columns: Columns,
  ) {
    this.store = store;
    this.inflightMax = inflightMax;
    this.packetIdMax = packetIdMax;
    this.freeRows = rowCount;
    this.rows = columns.unusedIndices(rowCount * DELIVERY_CELLS, cellMax);
    this.queues = columns.unusedIndices(queueCount * QUEUE_CELLS, cellMax);
    for (let at = 0; at < this.queues.length; at += QUEUE_CELLS) {
      this.queues[at + HEAD] = this.queues[at + CURSOR] = this.queues[at + TAIL] = NONE;
      this.queues[at + WINDOW] = inflightMax;
    }
  }

  /** The first row of the queue, or NONE. */
  head(queue: number): number {
    return this.queues[queue * QUEUE_CELLS + HEAD];
  }

  /** The next row to transmit on this connection, if it may go, or NONE. */
  cursor(queue: number): number {
    return this.queues[queue * QUEUE_CELLS + CURSOR];
  }

  /** The identifier given last. */
  lastPacketId(queue: number): number {
    return this.queues[queue * QUEUE_CELLS + LAST_PACKET_ID] & 0xffff;
  }

  /** Rows in the queue. */
  count(queue: number): number {
    return this.queues[queue * QUEUE_CELLS + COUNT];
  }

  /** Bytes of topics and payloads that wait in the queue. */
  bytes(queue: number): number {
    return this.queues[queue * QUEUE_CELLS + BYTES];
  }

  /** The row that follows in its queue, or NONE. */
  next(row: number): number {
    return this.rows[row + NEXT];
  }

  /** A number for the row that is never 0, for the owner to tell others. */
  handle(row: number): number {
    return row / DELIVERY_CELLS + 1;
  }

  /** Its stored message; NONE when it is RELEASED. */
  message(row: number): number {
    return this.rows[row + MESSAGE];
  }

  state(row: number): number {
    return this.rows[row + STATE];
  }

  /** QoS in bits 1 and 2, RETAIN in bit 0. */
  flags(row: number): number {
    return this.rows[row + FLAGS];
  }

  /** What the owner said when it appended the row, or has set since. */
  via(row: number): number {
    return this.rows[row + VIA];
  }

  /** The identifier of a row that is in flight; 0 for one that is not. */
  packetId(row: number): number {
    return this.rows[row + PACKET_ID] & 0xffff;
  }

  /** Whether the peer takes one more message before it acknowledges another. */
  isOpen(queue: number): boolean {
    const at = queue * QUEUE_CELLS;
    return this.queues[at + INFLIGHT] < this.queues[at + WINDOW];
  }

  /**
   * Adds `message`, held once more, at the tail; there must be a free row. `via` is the owner's.
   * Returns the row.
   */
  append(queue: number, message: number, flags: number, via = NONE): number {
    return this.link(queue, message, flags, via, QUEUED, 0);
  }

  /**
   * Adds a row that was in flight when it was saved, behind the others, so that it is transmitted
   * again. A message that is not released is held once more.
   */
  appendInFlight(
    queue: number, message: number, flags: number, state: number, packetId: number,
  ): void {
    this.link(queue, message, flags, NONE, state, packetId);
  }

  private link(
    queue: number, message: number, flags: number, via: number, state: number, packetId: number,
  ): number {
    const { queues, rows } = this;
    let row = this.freeHead;
    if (row === NONE) {
      row = this.freshStart;
      this.freshStart += DELIVERY_CELLS;
    } else {
      this.freeHead = rows[row + NEXT];
    }
    this.freeRows--;
    rows[row + MESSAGE] = message;
    rows[row + STATE] = state;
    rows[row + FLAGS] = flags;
    rows[row + VIA] = via;
    rows[row + NEXT] = NONE;
    rows[row + PACKET_ID] = packetId;
    const at = queue * QUEUE_CELLS;
    if (queues[at + HEAD] === NONE) queues[at + HEAD] = row;
    else rows[queues[at + TAIL] + NEXT] = row;
    queues[at + TAIL] = row;
    if (queues[at + CURSOR] === NONE) queues[at + CURSOR] = row;
    queues[at + COUNT]++;
    if (state !== RELEASED) {
      queues[at + BYTES] += this.store.byteCount(message);
      this.store.hold(message);
    }
    return row;
  }

  /**
   * The next row to transmit, or NONE: nothing waits, the window of unacknowledged messages is
   * full, or the next identifier is still in use.
   */
  toTransmit(queue: number): number {
    const { queues, rows } = this;
    const at = queue * QUEUE_CELLS;
    const row = queues[at + CURSOR];
    if (row === NONE || rows[row + STATE] === RELEASED) return row;
    if (queues[at + INFLIGHT] >= queues[at + WINDOW]) return NONE; // 5.0 [MQTT-4.9.0-2]
    if (rows[row + STATE] !== QUEUED) return row;
    const head = queues[at + HEAD];
    return rows[head + STATE] !== QUEUED &&
      (rows[head + PACKET_ID] & 0xffff) === this.idAfter(queues[at + LAST_PACKET_ID]) ? NONE : row;
  }

  private idAfter(last: number): number {
    last &= 0xffff;
    return last === this.packetIdMax ? 1 : last + 1;
  }

  /**
   * The row that `toTransmit` gave goes out now: steps the cursor past it, counts it as in flight
   * and returns the identifier to send, a new one if the row was queued.
   */
  transmit(queue: number, row: number): number {
    const { queues, rows } = this;
    const at = queue * QUEUE_CELLS;
    queues[at + CURSOR] = rows[row + NEXT];
    queues[at + INFLIGHT]++;
    if (rows[row + STATE] !== QUEUED) return rows[row + PACKET_ID] & 0xffff;
    const packetId = this.idAfter(queues[at + LAST_PACKET_ID]);
    rows[row + STATE] = PUBLISHED;
    rows[row + PACKET_ID] = queues[at + LAST_PACKET_ID] = packetId;
    return packetId;
  }

  /**
   * The row that `toTransmit` gave leaves the queue and nobody will acknowledge it: it has gone out
   * with QoS 0, or it is not to be sent after all.
   */
  sentOnce(queue: number, row: number): void {
    let previous = NONE;
    for (let at = this.head(queue); at !== row; at = this.rows[at + NEXT]) previous = at;
    this.unlink(queue, row, previous);
  }

  /**
   * The connection is new: transmit what is in flight again, from the oldest on. The peer takes
   * `receiveMaximum` messages at once.
   */
  resume(queue: number, receiveMaximum = this.inflightMax): void {
    const { queues } = this;
    const at = queue * QUEUE_CELLS;
    queues[at + WINDOW] = Math.min(receiveMaximum, this.inflightMax); // 5.0 [MQTT-4.9.0-1]
    queues[at + INFLIGHT] = 0;
    queues[at + CURSOR] = queues[at + HEAD];
  }

  /**
   * The peer has forgotten the session: what it had not acknowledged waits again as it did at
   * first, in its order. No row may be RELEASED. Else as `resume`.
   */
  restart(queue: number, receiveMaximum = this.inflightMax): void {
    const { rows } = this;
    let row = this.head(queue);
    for (; row !== NONE && rows[row + STATE] !== QUEUED; row = rows[row + NEXT]) {
      rows[row + STATE] = QUEUED;
      rows[row + PACKET_ID] = 0;
    }
    this.resume(queue, receiveMaximum);
  }

  /**
   * The row in flight with that identifier, or NONE. `remove` and `released` may follow at once.
   */
  find(queue: number, packetId: number): number {
    const { queues, rows } = this;
    const at = queue * QUEUE_CELLS;
    const cursor = queues[at + CURSOR];
    let previous = NONE;
    let row = queues[at + HEAD];
    this.transmitted = true;
    while (row !== NONE && rows[row + STATE] !== QUEUED) {
      if (row === cursor) this.transmitted = false;
      if ((rows[row + PACKET_ID] & 0xffff) === packetId) {
        this.previous = previous;
        return row;
      }
      previous = row;
      row = rows[row + NEXT];
    }
    return NONE;
  }

  /**
   * PUBREC has come for the row that `find` gave: the message goes, its identifier stays until
   * PUBCOMP.
   */
  released(queue: number, row: number): void {
    this.rows[row + STATE] = RELEASED;
    this.letGo(queue * QUEUE_CELLS, row);
  }

  /** Takes the row that `find` gave out of the queue. */
  remove(queue: number, row: number): void {
    if (this.transmitted) this.queues[queue * QUEUE_CELLS + INFLIGHT]--;
    this.unlink(queue, row, this.previous);
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

  /** Drops all rows not in flight whose message has expired at `nowSeconds`; how many. */
  dropExpired(queue: number, nowSeconds: number): number {
    const { rows } = this;
    const before = this.freeRows;
    let previous = NONE;
    let row = this.head(queue);
    while (row !== NONE) {
      const next = rows[row + NEXT];
      if (rows[row + STATE] === QUEUED && this.store.expired(rows[row + MESSAGE], nowSeconds)) {
        this.unlink(queue, row, previous);
      } else {
        previous = row;
      }
      row = next;
    }
    return this.freeRows - before;
  }

  /** The first row whose message begins with those bytes: any, if there are none. */
  private dropQueued(queue: number, start: number, byteCount: number): number {
    const { rows } = this;
    let previous = NONE;
    for (let row = this.head(queue); row !== NONE; row = rows[row + NEXT]) {
      if (rows[row + STATE] === QUEUED &&
          this.store.blocks.equals(rows[row + MESSAGE], start, byteCount)) {
        this.unlink(queue, row, previous);
        return row;
      }
      previous = row;
    }
    return NONE;
  }

  /** Empties the queue and starts its identifiers afresh. */
  clear(queue: number): void {
    while (this.head(queue) !== NONE) this.unlink(queue, this.head(queue), NONE);
    this.queues[queue * QUEUE_CELLS + INFLIGHT] = 0;
    this.queues[queue * QUEUE_CELLS + LAST_PACKET_ID] = 0;
  }

  private unlink(queue: number, row: number, previous: number): void {
    const { queues, rows } = this;
    const at = queue * QUEUE_CELLS;
    const next = rows[row + NEXT];
    if (previous === NONE) queues[at + HEAD] = next;
    else rows[previous + NEXT] = next;
    if (queues[at + TAIL] === row) queues[at + TAIL] = previous;
    if (queues[at + CURSOR] === row) queues[at + CURSOR] = next;
    if (rows[row + STATE] !== RELEASED) this.letGo(at, row);
    queues[at + COUNT]--;
    rows[row + NEXT] = this.freeHead;
    this.freeHead = row;
    this.freeRows++;
  }

  /** The message of `row` goes; the record of its queue begins at `at`. */
  private letGo(at: number, row: number): void {
    const message = this.rows[row + MESSAGE];
    this.queues[at + BYTES] -= this.store.byteCount(message);
    this.store.release(message);
    this.rows[row + MESSAGE] = NONE;
  }
}
