// The sessions of the broker: a row for each client identifier that is connected or left a
// persistent session. Found by identifier through a hash table; what a session waits for lies in
// `Deliveries`, `PacketIdSets` and `Subscriptions` under the same index.
//
// Invariant: a row in use is in exactly one hash chain; a free one is in the free list.

import { indexColumn, type IndexColumn } from '../session/columns.js';
import { NONE } from '../wire/codes.js';

/** In columns of times: it has not happened. */
export const NEVER = -1;


export class Sessions {
  readonly memory: Uint8Array;
  readonly sessionsMax: number;
  readonly clientIdBytesMax: number;
  readonly clientIdBytes: Uint16Array;
  /** Connection slot, or NONE while the session is offline. */
  readonly slot: IndexColumn;
  /** 1: the session ends with its connection. */
  readonly clean: Uint8Array;
  /** Stored will of the connection, or NONE. */
  readonly will: Int32Array;
  /** When a publisher first found the queue full, on the broker's clock; NEVER unless it did. */
  readonly fullSinceMs: Float64Array;
  /** Sessions in use, connected or not. */
  count = 0;

  readonly #base: number;
  readonly #chain: IndexColumn;
  readonly #hash: Int32Array;
  readonly #buckets: IndexColumn;
  readonly #bucketMask: number;
  #freeHead = NONE;
  #freshStart = 0;

  /** Takes `sessionsMax * clientIdBytesMax` bytes of `memory` from `base` on. */
  constructor(
    memory: Uint8Array, base: number, sessionsMax: number, clientIdBytesMax: number,
    slotCount: number,
  ) {
    this.memory = memory;
    this.#base = base;
    this.sessionsMax = sessionsMax;
    this.clientIdBytesMax = clientIdBytesMax;
    this.clientIdBytes = new Uint16Array(sessionsMax);
    this.slot = indexColumn(sessionsMax, slotCount);
    this.clean = new Uint8Array(sessionsMax);
    this.will = new Int32Array(sessionsMax);
    this.fullSinceMs = new Float64Array(sessionsMax).fill(NEVER);
    this.#chain = indexColumn(sessionsMax, sessionsMax);
    this.#hash = new Int32Array(sessionsMax);
    let buckets = 2;
    while (buckets < sessionsMax) buckets *= 2;
    this.#buckets = indexColumn(buckets, sessionsMax);
    this.#bucketMask = buckets - 1;
  }

  /** Sessions ever used lie below this index: the bound for walks over all of them. */
  get used(): number {
    return this.#freshStart;
  }

  /** Where the identifier of `session` stands in the memory; its length is in `clientIdBytes`. */
  clientIdStart(session: number): number {
    return this.#base + session * this.clientIdBytesMax;
  }

  #hashOf(start: number, end: number): number {
    let hash = 0;
    for (let at = start; at < end; at++) hash = (hash << 5) - hash + this.memory[at] | 0;
    return hash ^ hash >>> 16;
  }

  /** The session with the identifier at `start` to `end` of the memory, or NONE. */
  find(start: number, end: number): number {
    const hash = this.#hashOf(start, end);
    let session: number = this.#buckets[hash & this.#bucketMask];
    while (session !== NONE &&
        !(this.#hash[session] === hash && this.#isClientId(session, start, end))) {
      session = this.#chain[session];
    }
    return session;
  }

  #isClientId(session: number, start: number, end: number): boolean {
    if (this.clientIdBytes[session] !== end - start) return false;
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
      this.#freeHead = this.#chain[session];
    } else {
      if (this.#freshStart === this.sessionsMax) return NONE;
      session = this.#freshStart++;
    }
    this.count++;
    this.memory.copyWithin(this.clientIdStart(session), start, end);
    this.clientIdBytes[session] = end - start;
    this.slot[session] = NONE;
    this.clean[session] = 1;
    this.will[session] = NONE;
    this.fullSinceMs[session] = NEVER;
    const hash = this.#hashOf(start, end);
    this.#hash[session] = hash;
    const bucket = hash & this.#bucketMask;
    this.#chain[session] = this.#buckets[bucket];
    this.#buckets[bucket] = session;
    return session;
  }

  /** Gives the row back. What other tables hold under its index is cleared by the caller. */
  remove(session: number): void {
    const bucket = this.#hash[session] & this.#bucketMask;
    if (this.#buckets[bucket] === session) {
      this.#buckets[bucket] = this.#chain[session];
    } else {
      let previous: number = this.#buckets[bucket];
      while (this.#chain[previous] !== session) previous = this.#chain[previous];
      this.#chain[previous] = this.#chain[session];
    }
    this.#chain[session] = this.#freeHead;
    this.#freeHead = session;
    this.clientIdBytes[session] = 0;
    this.count--;
  }
}
