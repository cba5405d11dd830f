// The sessions of the broker: a row for each client identifier that is connected or left a
// persistent session. Found by identifier through a hash table; what a session waits for lies in
// `Deliveries`, `PacketIdSets` and `Subscriptions` under the same index.
//
// Invariant: a row in use is in exactly one hash chain; a free one is in the free list.

import { SESSION_CELLS } from '../limits.js';
import type { Columns, IndexColumn } from '../session/columns.js';
import { powerOfTwo } from '../table-bytes.js';
import { NONE } from '../wire/codes.js';

/** In columns of times: it has not happened. */
export const NEVER = -1;

/** Cells of a session; SESSION_CELLS of them. */
const CLIENT_ID_BYTES = 0;
const CLEAN = 1;
const WILL = 2;
/** Next one of its hash chain, or of the free ones. */
const CHAIN = 3;

export class Sessions {
  readonly memory: Uint8Array;
  readonly sessionsMax: number;
  readonly clientIdBytesMax: number;
  /** Connection slot, or NONE while the session is offline. */
  readonly slot: IndexColumn;
  /** When a publisher first found the queue full, on the broker's clock; NEVER unless it did. */
  readonly fullSinceMs: Float64Array;
  /** Sessions in use, connected or not. */
  count = 0;

  readonly #base: number;
  readonly #cells: IndexColumn;
  readonly #buckets: IndexColumn;
  readonly #bucketMask: number;
  #freeHead = NONE;
  #freshStart = 0;

  /**
   * Takes `sessionsMax * clientIdBytesMax` bytes of `memory` from `base` on; `cellMax` is the
   * largest number that a cell must hold.
   */
  constructor(
    memory: Uint8Array, base: number, sessionsMax: number, clientIdBytesMax: number,
    slotCount: number, cellMax: number, columns: Columns,
  ) {
    this.memory = memory;
    this.#base = base;
    this.sessionsMax = sessionsMax;
    this.clientIdBytesMax = clientIdBytesMax;
    this.fullSinceMs = columns.float64(sessionsMax).fill(NEVER);
    this.slot = columns.indices(sessionsMax, slotCount);
    this.#cells = columns.unusedIndices(sessionsMax * SESSION_CELLS, cellMax);
    const bucketCount = powerOfTwo(sessionsMax);
    this.#buckets = columns.indices(bucketCount, sessionsMax);
    this.#bucketMask = bucketCount - 1;
  }

  /** Sessions ever used lie below this index: the bound for walks over all of them. */
  get used(): number {
    return this.#freshStart;
  }

  /** Length of the identifier of `session`; 0 for one that is free. */
  clientIdBytes(session: number): number {
    return this.#cells[session * SESSION_CELLS + CLIENT_ID_BYTES];
  }

  /** Whether the session ends with its connection. */
  isClean(session: number): boolean {
    return this.#cells[session * SESSION_CELLS + CLEAN] !== 0;
  }

  setClean(session: number, clean: boolean): void {
    this.#cells[session * SESSION_CELLS + CLEAN] = clean ? 1 : 0;
  }

  /** Stored will of the connection, or NONE. */
  will(session: number): number {
    return this.#cells[session * SESSION_CELLS + WILL];
  }

  setWill(session: number, will: number): void {
    this.#cells[session * SESSION_CELLS + WILL] = will;
  }

  /** Where the identifier of `session` stands in the memory; its length is `clientIdBytes`. */
  clientIdStart(session: number): number {
    return this.#base + session * this.clientIdBytesMax;
  }

  private bucketOf(start: number, end: number): number {
    let hash = 0;
    for (let at = start; at < end; at++) hash = (hash << 5) - hash + this.memory[at] | 0;
    return (hash ^ hash >>> 16) & this.#bucketMask;
  }

  /** The session with the identifier at `start` to `end` of the memory, or NONE. */
  find(start: number, end: number): number {
    let session: number = this.#buckets[this.bucketOf(start, end)];
    while (session !== NONE && !this.isClientId(session, start, end)) {
      session = this.#cells[session * SESSION_CELLS + CHAIN];
    }
    return session;
  }

  private isClientId(session: number, start: number, end: number): boolean {
    if (this.clientIdBytes(session) !== end - start) return false;
    const memory = this.memory;
    let other = this.clientIdStart(session);
    for (let at = start; at < end; at++) {
      if (memory[at] !== memory[other++]) return false;
    }
    return true;
  }

  /** A new session with an identifier that no other has; NONE when all are in use. */
  create(start: number, end: number): number {
    let session = this.#freeHead;
    if (session !== NONE) {
      this.#freeHead = this.#cells[session * SESSION_CELLS + CHAIN];
    } else {
      if (this.#freshStart === this.sessionsMax) return NONE;
      session = this.#freshStart++;
    }
    this.count++;
    this.memory.copyWithin(this.clientIdStart(session), start, end);
    this.slot[session] = NONE;
    this.fullSinceMs[session] = NEVER;
    const bucket = this.bucketOf(start, end);
    const at = session * SESSION_CELLS;
    this.#cells[at + CLIENT_ID_BYTES] = end - start;
    this.#cells[at + CLEAN] = 1;
    this.#cells[at + WILL] = NONE;
    this.#cells[at + CHAIN] = this.#buckets[bucket];
    this.#buckets[bucket] = session;
    return session;
  }

  /** Gives the row back. What other tables hold under its index is cleared by the caller. */
  remove(session: number): void {
    const cells = this.#cells;
    const start = this.clientIdStart(session);
    const bucket = this.bucketOf(start, start + this.clientIdBytes(session));
    const next = cells[session * SESSION_CELLS + CHAIN];
    if (this.#buckets[bucket] === session) {
      this.#buckets[bucket] = next;
    } else {
      let previous: number = this.#buckets[bucket];
      while (cells[previous * SESSION_CELLS + CHAIN] !== session) {
        previous = cells[previous * SESSION_CELLS + CHAIN];
      }
      cells[previous * SESSION_CELLS + CHAIN] = next;
    }
    cells[session * SESSION_CELLS + CHAIN] = this.#freeHead;
    cells[session * SESSION_CELLS + CLIENT_ID_BYTES] = 0;
    this.#freeHead = session;
    this.count--;
  }
}
