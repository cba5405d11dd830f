// The sessions of the broker: a row for each client identifier that is connected or left a
// persistent session. Found by identifier through a hash table; what a session waits for lies in
// `Deliveries`, `PacketIdSets` and `Subscriptions` under the same index.
//
// Invariant: a row in use is in exactly one hash chain; a free one is in the free list.

import { SESSION_CELLS, SESSION_TIMES, type Limits } from '../limits.js';
import type { Columns, IndexColumn } from '../session/columns.js';
import { powerOfTwo } from '../table-bytes.js';
import { NONE } from '../wire/codes.js';

/** In columns of times: it has not happened. */
export const NEVER = -1;

/** A session with this expiry is kept for ever; other ones in seconds, 0 to this. */
export const EXPIRES_NEVER = 0xffffffff;

/** What a client that asks for an expiry of `seconds` gets. */
export function expiryOf(limits: Limits, seconds: number): number {
  const most = limits.sessionExpirySecondsMax;
  return most !== 0 && seconds > most ? most : seconds;
}

/** Cells of a session; SESSION_CELLS of them. */
const CLIENT_ID_BYTES = 0;
const WILL = 1;
/** Next one of its hash chain, or of the free ones. */
const CHAIN = 2;

/** Times of a session, behind `fullSinceMs`, which is the first of SESSION_TIMES. */
const EXPIRY_SECONDS = 1;
const WILL_DELAY_SECONDS = 2;
/** On the broker's clock; NEVER while it is connected, and after that until a tick has come. */
const LEFT_MS = 3;

export class Sessions {
  readonly memory: Uint8Array;
  readonly sessionsMax: number;
  readonly clientIdBytesMax: number;
  /** Connection slot, or NONE while the session is offline. */
  readonly slot: IndexColumn;
  /**
   * When a publisher first found the queue full, on the broker's clock; NEVER unless it did. Behind
   * those of all sessions stand their other times, kind by kind: one view for all of them.
   */
  readonly fullSinceMs: Float64Array;
  /** Sessions in use, connected or not. */
  count = 0;
  /** Before this time of the broker's clock, no session ends and no will is due. */
  dueMs = 0;

  private readonly base: number;
  private readonly cells: IndexColumn;
  private readonly buckets: IndexColumn;
  private readonly bucketMask: number;
  private freeHead = NONE;
  private freshStart = 0;

  /**
   * Takes `sessionsMax * clientIdBytesMax` bytes of `memory` from `base` on; `cellMax` is the
   * largest number that a cell must hold.
   */
  constructor(
    memory: Uint8Array, base: number, sessionsMax: number, clientIdBytesMax: number,
    slotCount: number, cellMax: number, columns: Columns,
  ) {
    this.memory = memory;
    this.base = base;
    this.sessionsMax = sessionsMax;
    this.clientIdBytesMax = clientIdBytesMax;
    this.fullSinceMs = columns.float64(sessionsMax * SESSION_TIMES);
    this.slot = columns.indices(sessionsMax, slotCount);
    this.cells = columns.unusedIndices(sessionsMax * SESSION_CELLS, cellMax);
    const bucketCount = powerOfTwo(sessionsMax);
    this.buckets = columns.indices(bucketCount, sessionsMax);
    this.bucketMask = bucketCount - 1;
  }

  /** Sessions ever used lie below this index: the bound for walks over all of them. */
  get used(): number {
    return this.freshStart;
  }

  /** Length of the identifier of `session`; 0 for one that is free. */
  clientIdBytes(session: number): number {
    return this.cells[session * SESSION_CELLS + CLIENT_ID_BYTES];
  }

  /**
   * Whether there is a session in this row, below `used`, whose client is away: it waits for its
   * client, or for its end.
   */
  isAway(session: number): boolean {
    return this.slot[session] === NONE && this.clientIdBytes(session) !== 0;
  }

  /** How long the session outlives its connection; 0: it ends with it. */
  expirySeconds(session: number): number {
    return this.fullSinceMs[EXPIRY_SECONDS * this.sessionsMax + session];
  }

  setExpiry(session: number, seconds: number): void {
    this.fullSinceMs[EXPIRY_SECONDS * this.sessionsMax + session] = seconds;
  }

  /**
   * When a session whose client is away ends, in milliseconds of the broker's clock; Infinity:
   * never, or not known before the next tick.
   */
  endsAtMs(session: number): number {
    const seconds = this.expirySeconds(session);
    return seconds === EXPIRES_NEVER ? Infinity : this.afterLeaving(session, seconds);
  }

  /** When its will is to be published if its client does not come back; Infinity as above. */
  willAtMs(session: number): number {
    if (this.will(session) === NONE) return Infinity;
    return this.afterLeaving(
      session, this.fullSinceMs[WILL_DELAY_SECONDS * this.sessionsMax + session]);
  }

  private afterLeaving(session: number, seconds: number): number {
    const leftMs = this.fullSinceMs[LEFT_MS * this.sessionsMax + session];
    return leftMs === NEVER ? Infinity : leftMs + seconds * 1000;
  }

  /** Whether the will waits for a time after the end of the connection. */
  isWillDelayed(session: number): boolean {
    return this.fullSinceMs[WILL_DELAY_SECONDS * this.sessionsMax + session] !== 0;
  }

  /** The client is there, and has a connection in `slot`. */
  arrive(session: number, slot: number): void {
    this.slot[session] = slot;
    this.fullSinceMs[LEFT_MS * this.sessionsMax + session] = NEVER;
  }

  /** A tick finds that the client is away: from now on time counts, late rather than early. */
  noteLeft(session: number, nowMs: number): void {
    const at = LEFT_MS * this.sessionsMax + session;
    if (this.fullSinceMs[at] === NEVER) this.fullSinceMs[at] = nowMs;
  }

  /** Stored will of the connection, or NONE. */
  will(session: number): number {
    return this.cells[session * SESSION_CELLS + WILL];
  }

  setWill(session: number, will: number, delaySeconds = 0): void {
    this.cells[session * SESSION_CELLS + WILL] = will;
    this.fullSinceMs[WILL_DELAY_SECONDS * this.sessionsMax + session] = delaySeconds;
  }

  /** Where the identifier of `session` stands in the memory; its length is `clientIdBytes`. */
  clientIdStart(session: number): number {
    return this.base + session * this.clientIdBytesMax;
  }

  private bucketOf(start: number, end: number): number {
    let hash = 0;
    for (let at = start; at < end; at++) hash = (hash << 5) - hash + this.memory[at] | 0;
    return (hash ^ hash >>> 16) & this.bucketMask;
  }

  /** The session with the identifier at `start` to `end` of the memory, or NONE. */
  find(start: number, end: number): number {
    let session: number = this.buckets[this.bucketOf(start, end)];
    while (session !== NONE && !this.isClientId(session, start, end)) {
      session = this.cells[session * SESSION_CELLS + CHAIN];
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
    let session = this.freeHead;
    if (session !== NONE) {
      this.freeHead = this.cells[session * SESSION_CELLS + CHAIN];
    } else {
      if (this.freshStart === this.sessionsMax) return NONE;
      session = this.freshStart++;
    }
    this.count++;
    this.memory.copyWithin(this.clientIdStart(session), start, end);
    this.slot[session] = NONE;
    this.fullSinceMs[session] = NEVER;
    const bucket = this.bucketOf(start, end);
    const at = session * SESSION_CELLS;
    this.cells[at + CLIENT_ID_BYTES] = end - start;
    this.setWill(session, NONE);
    this.setExpiry(session, 0);
    this.cells[at + CHAIN] = this.buckets[bucket];
    this.buckets[bucket] = session;
    return session;
  }

  /** Gives the row back. What other tables hold under its index is cleared by the caller. */
  remove(session: number): void {
    const cells = this.cells;
    const start = this.clientIdStart(session);
    const bucket = this.bucketOf(start, start + this.clientIdBytes(session));
    const next = cells[session * SESSION_CELLS + CHAIN];
    if (this.buckets[bucket] === session) {
      this.buckets[bucket] = next;
    } else {
      let previous: number = this.buckets[bucket];
      while (cells[previous * SESSION_CELLS + CHAIN] !== session) {
        previous = cells[previous * SESSION_CELLS + CHAIN];
      }
      cells[previous * SESSION_CELLS + CHAIN] = next;
    }
    cells[session * SESSION_CELLS + CHAIN] = this.freeHead;
    cells[session * SESSION_CELLS + CLIENT_ID_BYTES] = 0;
    this.freeHead = session;
    this.count--;
  }
}
