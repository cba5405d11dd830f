// Columns of tables, as views on one buffer that their owner makes for all of them: on XS an array
// with a buffer of its own takes seven slots and a chunk, a view takes four. Called by constructors
// only: nothing here runs after construction.

import { cellBytes, columnBytes, indexBytes } from '../table-bytes.js';

/**
 * Indices into a table, or NONE: as narrow as the table allows, which makes the tables of a
 * microcontroller small.
 */
export type IndexColumn = Int8Array | Int16Array | Int32Array;

/** Numbers from 0 up to a known one, as narrow as that allows. */
export type CountColumn = Uint8Array | Uint16Array | Uint32Array;

export class Columns {
  private readonly buffer: ArrayBuffer;
  private at = 0;

  /** Room for columns that take `byteCount` bytes, each of them `columnBytes` of table-bytes.ts. */
  constructor(byteCount: number) {
    this.buffer = new ArrayBuffer(byteCount);
  }

  /** Where a column begins: at a multiple of four bytes. */
  private place(length: number, bytesPerCell: number): number {
    const start = this.at;
    this.at += columnBytes(length, bytesPerCell);
    return start;
  }

  /** Columns of eight bytes must be asked for before all others. */
  float64(length: number): Float64Array {
    return new Float64Array(this.buffer, this.place(length, 8), length);
  }

  int32(length: number): Int32Array {
    return new Int32Array(this.buffer, this.place(length, 4), length);
  }

  uint16(length: number): Uint16Array {
    return new Uint16Array(this.buffer, this.place(length, 2), length);
  }

  uint8(length: number): Uint8Array {
    return new Uint8Array(this.buffer, this.place(length, 1), length);
  }

  /** A column of numbers from 0 to `most`. */
  counts(length: number, most: number): CountColumn {
    const bytesPerCell = cellBytes(most);
    const start = this.place(length, bytesPerCell);
    return bytesPerCell === 1 ? new Uint8Array(this.buffer, start, length) :
      bytesPerCell === 2 ? new Uint16Array(this.buffer, start, length) :
      new Uint32Array(this.buffer, start, length);
  }

  /** A column of indices into a table of `rowCount` rows, filled with NONE (-1). */
  indices(length: number, rowCount: number): IndexColumn {
    return this.unusedIndices(length, rowCount).fill(-1);
  }

  /**
   * The same, not filled: for cells that are written before they are read. What is never used then
   * takes no resident memory on a host.
   */
  unusedIndices(length: number, rowCount: number): IndexColumn {
    const bytesPerCell = indexBytes(rowCount);
    const start = this.place(length, bytesPerCell);
    return bytesPerCell === 1 ? new Int8Array(this.buffer, start, length) :
      bytesPerCell === 2 ? new Int16Array(this.buffer, start, length) :
      new Int32Array(this.buffer, start, length);
  }
}
