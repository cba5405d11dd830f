// The packet identifiers of QoS 2 messages that a receiver has taken and whose PUBREL it still
// awaits: what makes delivery exactly once (MQTT 3.1.1 section 4.3.3, method B). One set for each
// session, all in one array.
//
// Each set is a small open-addressed table; identifiers mostly come in sequence, so nearly every
// one sits in its own cell. Invariant: a set holds at most `perSetMax` identifiers, half of its
// cells.

import { powerOfTwo } from '../table-bytes.js';
import type { Columns, CountColumn } from './columns.js';

export class PacketIdSets {
  readonly counts: CountColumn;
  readonly perSetMax: number;
  /** Cells of each set. */
  readonly cellCount: number;
  /**
   * By set: its cells, and behind them how many identifiers do not sit in their own; usually none.
   */
  private readonly cells: Uint16Array;
  private readonly mask: number;

  constructor(setCount: number, perSetMax: number, columns: Columns) {
    const size = powerOfTwo(2 * perSetMax);
    this.perSetMax = perSetMax;
    this.counts = columns.counts(setCount, perSetMax);
    this.cells = columns.uint16(setCount * (size + 1));
    this.mask = size - 1;
    this.cellCount = size;
  }

  /** Whether `packetId`, 1 to 65,535, is in the set. */
  has(set: number, packetId: number): boolean {
    const base = set * (this.cellCount + 1);
    let cell = packetId & this.mask;
    while (this.cells[base + cell] !== 0) {
      if (this.cells[base + cell] === packetId) return true;
      cell = cell + 1 & this.mask;
    }
    return false;
  }

  /**
   * Adds an identifier that is not in the set; false, and nothing changed, when the set is full.
   */
  add(set: number, packetId: number): boolean {
    if (this.counts[set] >= this.perSetMax) return false;
    const base = set * (this.cellCount + 1);
    const home = packetId & this.mask;
    let cell = home;
    while (this.cells[base + cell] !== 0) cell = cell + 1 & this.mask;
    this.cells[base + cell] = packetId;
    if (cell !== home) this.cells[base + this.cellCount]++;
    this.counts[set]++;
    return true;
  }

  /** Removes an identifier; false when it was not there. */
  remove(set: number, packetId: number): boolean {
    const base = set * (this.cellCount + 1);
    let hole = packetId & this.mask;
    while (this.cells[base + hole] !== packetId) {
      if (this.cells[base + hole] === 0) return false;
      hole = hole + 1 & this.mask;
    }
    this.counts[set]--;
    if (hole !== (packetId & this.mask)) this.cells[base + this.cellCount]--;
    this.cells[base + hole] = 0;
    if (this.cells[base + this.cellCount] === 0) return true;
    // Move back what probed past the hole, so that no search ends early.
    for (let cell = hole + 1 & this.mask; this.cells[base + cell] !== 0;
        cell = cell + 1 & this.mask) {
      const home = this.cells[base + cell] & this.mask;
      if ((cell - home & this.mask) >= (cell - hole & this.mask)) {
        this.cells[base + hole] = this.cells[base + cell];
        this.cells[base + cell] = 0;
        if (hole === home) this.cells[base + this.cellCount]--;
        hole = cell;
      }
    }
    return true;
  }

  /** The identifier in that cell of the set, 0 to `cellCount` - 1, or 0; for who saves the set. */
  inCell(set: number, cell: number): number {
    return this.cells[set * (this.cellCount + 1) + cell];
  }

  /** Empties the set. */
  clear(set: number): void {
    if (this.counts[set] === 0) return;
    const base = set * (this.cellCount + 1);
    this.cells.fill(0, base, base + this.cellCount + 1);
    this.counts[set] = 0;
  }
}
