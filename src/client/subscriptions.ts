// The filters an application wants, kept so that every new session of the broker gets them. A row
// for each filter; what is to be told to the broker is `pending`, what it has not answered yet is
// `outstanding`; the application may change its mind meanwhile.
//
// The record of a row is its filter and, if it is to be told with properties (MQTT 5.0), these:
//
//   filter | length of the properties (2) | properties
//
// Each row has a packet identifier of its own, `firstPacketId` + row: the queue of messages gives
// others. A row sends one packet at a time, so no identifier is ever in use twice [MQTT-2.3.1-2].

import { BlockPool } from '../session/blocks.js';
import type { Columns, CountColumn, IndexColumn } from '../session/columns.js';
import { NONE } from '../wire/codes.js';
import { FILTER_BLOCK_BYTES } from './limits.js';

/** `wanted` of a row: properties stand behind the filter; */
export const WITH_PROPERTIES = 0x40;
/** the application has left the filter; else the other bits are the options of SUBSCRIBE. */
export const LEAVING = 0x80;
/** `wanted` of a free row. */
const FREE = 0xff;

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
  /** how it is wanted: the options of SUBSCRIBE or LEAVING, WITH_PROPERTIES or not, */
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
   * Notes how the filter, `start` to `filterEnd`, is wanted; `end` is that of its record. NONE, and
   * nothing noted, when there is no room for another one.
   */
  want(start: number, filterEnd: number, end: number, wanted: number): number {
    let row = this.find(start, filterEnd);
    if (row === NONE) row = this.add(start, filterEnd, end);
    else if (!this.rewrite(row, start, end, wanted)) return NONE;
    if (row === NONE) return NONE;
    this.wanted[row] = wanted;
    this.setPending(row);
    return row;
  }

  private add(start: number, filterEnd: number, end: number): number {
    if (this.count === this.rowsMax) return NONE;
    const text = this.write(start, end);
    if (text === NONE) return NONE;
    let row = 0;
    while (this.wanted[row] !== FREE) row++;
    this.filter[row] = text;
    this.filterBytes[row] = filterEnd - start;
    this.count++;
    return row;
  }

  /** Another record for the filter, if it has or gets properties; false without room. */
  private rewrite(row: number, start: number, end: number, wanted: number): boolean {
    if (((this.wanted[row] | wanted) & WITH_PROPERTIES) === 0) return true;
    const propertiesBytes = this.propertiesBytes(row);
    const before = this.filterBytes[row] + (propertiesBytes === 0 ? 0 : 2 + propertiesBytes);
    const { text } = this;
    if (text.blocksFor(end - start) > text.freeCount + text.blocksFor(before)) return false;
    text.release(this.filter[row]);
    this.filter[row] = this.write(start, end);
    return true;
  }

  private write(start: number, end: number): number {
    const text = this.text.allocate(end - start);
    if (text !== NONE) this.text.write(text, start, end - start);
    return text;
  }

  /** Bytes of the properties of the row, without their length. */
  propertiesBytes(row: number): number {
    if ((this.wanted[row] & WITH_PROPERTIES) === 0) return 0;
    const at = this.filterBytes[row];
    return this.text.byteAt(this.filter[row], at) << 8 | this.text.byteAt(this.filter[row], at + 1);
  }

  /** The identifier of the first of them, or 0. */
  firstProperty(row: number): number {
    return this.propertiesBytes(row) === 0 ? 0 :
      this.text.byteAt(this.filter[row], this.filterBytes[row] + 2);
  }

  /** Copies them to `at` of the memory; returns their end. */
  readProperties(row: number, at: number): number {
    return this.text.read(
      this.filter[row], this.filterBytes[row] + 2, at, this.propertiesBytes(row));
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
      if (this.wanted[row] < LEAVING) this.setPending(row);
    }
  }

  /** The first row, from `row` on, that the application has left, or NONE. */
  leaving(row: number): number {
    while (row < this.rowsMax && !this.isLeaving(row)) row++;
    return row < this.rowsMax ? row : NONE;
  }

  isLeaving(row: number): boolean {
    return this.wanted[row] >= LEAVING && this.wanted[row] !== FREE;
  }

  remove(row: number): void {
    if (this.pending[row] !== 0) this.pendingCount--;
    this.pending[row] = 0;
    this.wanted[row] = FREE;
    this.text.release(this.filter[row]);
    this.count--;
  }
}
