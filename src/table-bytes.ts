// Bytes of typed arrays, for the budgets of limits.ts and client/limits.ts and for who makes the
// columns: what a cell, a column, a table takes. Pure numbers; imports nothing.

/** Cells of a stored message. */
export const MESSAGE_CELLS = 4;

/** Columns of a store of messages with so many blocks. */
export function storeBytes(blocks: number, messageBytesMax: number, holdersMax: number): number {
  return tableBytes(blocks, indexBytes(blocks)) +
    tableBytes(MESSAGE_CELLS * blocks, cellBytes(Math.max(messageBytesMax, holdersMax)));
}

/** Cells of a row of deliveries, and of a queue of them. */
export const DELIVERY_CELLS = 6;
export const QUEUE_CELLS = 8;

/** Columns of queues of deliveries. */
export function deliveriesBytes(rows: number, queues: number, cellMax: number): number {
  const cell = indexBytes(cellMax);
  return tableBytes(DELIVERY_CELLS * rows, cell) + tableBytes(QUEUE_CELLS * queues, cell);
}

/** The largest number in a cell of either, but for what the owner puts there: 15 bits at least. */
export function deliveryCellMax(rows: number, blocks: number, ...others: number[]): number {
  return Math.max(0x7fff, DELIVERY_CELLS * rows, blocks, ...others);
}

/** Columns of sets of packet identifiers. */
export function packetIdsBytes(sets: number, perSetMax: number): number {
  return tableBytes(sets, cellBytes(perSetMax)) +
    tableBytes(sets * (powerOfTwo(2 * perSetMax) + 1), 2);
}

/** Bytes of the columns of a table: one for each of `bytesPerCell`. */
export function tableBytes(rowCount: number, ...bytesPerCell: readonly number[]): number {
  let total = 0;
  for (const bytes of bytesPerCell) total += columnBytes(rowCount, bytes);
  return total;
}

/** Bytes of one column: whole words of four, so that the next one begins where it may. */
export function columnBytes(length: number, bytesPerCell: number): number {
  return Math.ceil(length * bytesPerCell / 4) * 4;
}

/** Bytes of a cell that holds 0 to `most`. */
export function cellBytes(most: number): number {
  return most <= 0xff ? 1 : most <= 0xffff ? 2 : 4;
}

/** Bytes of a cell that holds an index into `rowCount` rows, or NONE. */
export function indexBytes(rowCount: number): number {
  return rowCount <= 0x7f ? 1 : rowCount <= 0x7fff ? 2 : 4;
}

/** The least power of two, 2 or more, that is not below `least`. */
export function powerOfTwo(least: number): number {
  let size = 2;
  while (size < least) size *= 2;
  return size;
}

export function sum(lines: Record<string, number>): number {
  let total = 0;
  for (const bytes of Object.values(lines)) total += bytes;
  return total;
}
