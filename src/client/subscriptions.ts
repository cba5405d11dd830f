// The filters an application wants, kept so that every new session of the broker gets them. A row
// for each filter; what is to be told to the broker is `pending`, what it has not answered yet is
// `outstanding`; the application may change its mind meanwhile.
//
// Each row has a packet identifier of its own, `firstPacketId` + row: the queue of messages gives
// others. A row sends one packet at a time, so no identifier is ever in use twice [MQTT-2.3.1-2].

import { BlockPool } from '../session/blocks.js';
import type { Columns, CountColumn, IndexColumn } from '../session/columns.js';
import { NONE } from '../wire/codes.js';
import { FILTER_BLOCK_BYTES } from './limits.js';

/** `wanted` of a row whose filter the application has left. */
export const LEAVING = 0xff;
/** `wanted` of a free row. */
const FREE = 0xfe;

export class Subscriptions {
  readonly rowsMax: number;
  readonly firstPacketId: number;
  readonly text: BlockPool;
  /** Rows in use, and rows with something to tell the broker. */
  count = 0;
  pendingCount = 0;

  /** Columns by row: the filter's first block and bytes, */
  readonly filter: IndexColumn;
  readonly filterBytes: CountColumn;
  /** the QoS wanted, 0 to 2, or LEAVING, */
  readonly wanted: Uint8Array;
  /** whether the broker must be told, */
  readonly pending: Uint8Array;
  /** and the type of the packet it has not answered, or 0. */
  readonly outstanding: Uint8Array;

  constructor(
    memory: Uint8Array, base: number, blockCount: number, rowsMax: number, firstPacketId: number,
    filterBytesMax: number, columns: Columns,
  ) {
    this.rowsMax = rowsMax;
    this.firstPacketId = firstPacketId;
    this.text = new BlockPool(memory, base, FILTER_BLOCK_BYTES, blockCount, columns);
    this.filter = columns.unusedIndices(rowsMax, blockCount);
    this.filterBytes = columns.counts(rowsMax, filterBytesMax);
    this.wanted = columns.uint8(rowsMax).fill(FREE);
    this.pending = columns.uint8(rowsMax);
    this.outstanding = columns.uint8(rowsMax);
  }

  /** The row of the filter that `start` to `end` of the memory spell, or NONE. */
  find(start: number, end: number): number {
    for (let row = 0; row < this.rowsMax; row++) {
      if (this.wanted[row] !== FREE && this.filterBytes[row] === end - start &&
          this.text.equals(this.filter[row], start, end - start)) return row;
    }
    return NONE;
  }

  /**
   * Notes that the filter is wanted with that QoS, or LEAVING. NONE, and nothing noted, when there
   * is no room for another filter.
   */
  want(start: number, end: number, wanted: number): number {
    let row = this.find(start, end);
    if (row === NONE) row = this.add(start, end);
    if (row === NONE) return NONE;
    this.wanted[row] = wanted;
    this.setPending(row);
    return row;
  }

  private add(start: number, end: number): number {
    if (this.count === this.rowsMax) return NONE;
    const text = this.text.allocate(end - start);
    if (text === NONE) return NONE;
    let row = 0;
    while (this.wanted[row] !== FREE) row++;
    this.text.write(text, start, end - start);
    this.filter[row] = text;
    this.filterBytes[row] = end - start;
    this.count++;
    return row;
  }

  private setPending(row: number): void {
    if (this.pending[row] !== 0) return;
    this.pending[row] = 1;
    this.pendingCount++;
  }

  /** The first row, from `row` on, with something to send now, or NONE. */
  toTransmit(row: number): number {
    if (this.pendingCount === 0) return NONE;
    for (; row < this.rowsMax; row++) {
      if (this.pending[row] !== 0 && this.outstanding[row] === 0) return row;
    }
    return NONE;
  }

  /** A packet of that type goes out for the row. */
  transmitted(row: number, type: number): void {
    this.pending[row] = 0;
    this.pendingCount--;
    this.outstanding[row] = type;
  }

  /** The row whose packet of that type has the identifier, or NONE. */
  awaiting(packetId: number, type: number): number {
    const row = packetId - this.firstPacketId;
    return row >= 0 && row < this.rowsMax && this.outstanding[row] === type ? row : NONE;
  }

  /** The broker has answered. Unless more is to be told, a filter it refused or left is gone. */
  answered(row: number, subscribed: boolean): void {
    this.outstanding[row] = 0;
    if (this.pending[row] === 0 && !subscribed) this.remove(row);
  }

  /** Copies the filter to `at` of the memory; returns its end. */
  read(row: number, at: number): number {
    return this.text.read(this.filter[row], 0, at, this.filterBytes[row]);
  }

  /** The connection is lost: what was not answered must be told again. */
  interrupted(): void {
    for (let row = 0; row < this.rowsMax; row++) {
      if (this.outstanding[row] === 0) continue;
      this.outstanding[row] = 0;
      this.setPending(row);
    }
  }

  /** The broker begins a new session: all that is wanted must be told again. */
  restart(): void {
    for (let row = 0; row < this.rowsMax; row++) {
      if (this.wanted[row] <= 2) this.setPending(row);
    }
  }

  /** The first row, from `row` on, that the application has left, or NONE. */
  leaving(row: number): number {
    while (row < this.rowsMax && this.wanted[row] !== LEAVING) row++;
    return row < this.rowsMax ? row : NONE;
  }

  remove(row: number): void {
    if (this.pending[row] !== 0) this.pendingCount--;
    this.pending[row] = 0;
    this.wanted[row] = FREE;
    this.text.release(this.filter[row]);
    this.count--;
  }
}
