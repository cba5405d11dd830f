// What a board tells of itself, and its deep sleep; done by board-chip.c. Made by the main
// programs, for the parts that hub.ts and sensor.ts ask for. In the simulators there is little to
// tell, and no sleep.

import type { BoardFigures } from '../hub.js';
import type { SleepMemory } from '../sensor.js';

// XS's compiler knows this, and takes one string literal. The typings lack it.
declare function native(callback: string): (this: unknown, ...values: unknown[]) => unknown;

/** As the enum in board-chip.c. */
const RESET_REASONS: readonly string[] = Object.freeze([
  'power on', 'reset pin', 'restart', 'crash', 'watchdog', 'deep sleep', 'brown-out',
]);

export class Board implements BoardFigures, SleepMemory {
  /** Bytes of the system's heap, where XS, sockets and Wi-Fi have their memory; -1 if unknown. */
  get freeMemoryBytes(): number {
    return native('xs_board_free_memory').call(this) as number;
  }

  /** Bytes of slots and of chunks in use, as of the last garbage collection and what came since. */
  get slotBytes(): number {
    return native('xs_board_slots').call(this) as number;
  }

  get chunkBytes(): number {
    return native('xs_board_chunks').call(this) as number;
  }

  /** Why the program began, in a word or two. */
  get resetReason(): string {
    return RESET_REASONS[this.resetNumber] ?? 'unknown';
  }

  private get resetNumber(): number {
    return native('xs_board_reset_reason').call(this) as number;
  }

  /** Bytes that outlive deep sleep. */
  get byteCount(): number {
    return native('xs_board_sleep_bytes').call(this) as number;
  }

  /** Fills `target` with the first of them; whole words, at most `byteCount`, else RangeError. */
  read(target: Uint8Array): void {
    native('xs_board_read').call(this, target);
  }

  /** Keeps `source`; as many as for `read`. */
  write(source: Uint8Array): void {
    native('xs_board_write').call(this, source);
  }

  /**
   * Switches off, and after `ms`, 71 minutes at most, begins anew as if after a reset: on ESP8266
   * only if GPIO16 is connected to RST. False where there is no deep sleep.
   */
  deepSleep(ms: number): boolean {
    return native('xs_board_deep_sleep').call(this, ms) as boolean;
  }
}
