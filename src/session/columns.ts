// Columns of tables. Called by constructors only: nothing here runs after construction.

/**
 * A column for indices of a table of `rowCount` rows, filled with NONE (-1): 16 bits wide where
 * that is enough, which halves the tables of a microcontroller.
 */
export function indexColumn(length: number, rowCount: number): Int16Array | Int32Array {
  const column = rowCount <= 0x7fff ? new Int16Array(length) : new Int32Array(length);
  column.fill(-1);
  return column;
}
