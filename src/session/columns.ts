// Columns of tables. Called by constructors only: nothing here runs after construction.

/**
 * Indices into a table: 16 bits wide where that is enough, which halves the tables of a
 * microcontroller.
 */
export type IndexColumn = Int16Array | Int32Array;

/** A column of indices into a table of `rowCount` rows, filled with NONE (-1). */
export function indexColumn(length: number, rowCount: number): IndexColumn {
  return unusedColumn(length, rowCount).fill(-1);
}

/**
 * The same, not filled: for cells that are written before they are read. What is never used then
 * takes no resident memory on a host.
 */
export function unusedColumn(length: number, rowCount: number): IndexColumn {
  return rowCount <= 0x7fff ? new Int16Array(length) : new Int32Array(length);
}
