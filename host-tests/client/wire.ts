// A connection between two cores without a network: two ways for bytes, each with its own room, and
// each may be cut at any byte, which neither side notices until somebody tells. Used by world.ts.
// Runs on Node and on XS.

import type { Link } from '../../src/link.js';
import { concat } from '../support/packets.js';

/** Bytes on their way in one direction. */
export class Way {
  /** Bytes that may be on their way before the sender must wait. */
  capacity = Infinity;
  /** The receiver wants bytes. */
  reading = true;
  /** The sender has closed its end: nothing follows what is on its way. */
  ended = false;
  /** The sender has found no room, and waits to be told of some. */
  wasFull = false;
  /** All bytes sent so far; those from `lostFrom` on do not arrive. */
  sentBytes = 0;
  lostFrom = Infinity;
  #bytes: Uint8Array = new Uint8Array(0);
  #lostBytes = 0;

  /** Bytes that can arrive. */
  get count(): number {
    return this.#bytes.length;
  }

  get isCut(): boolean {
    return this.lostFrom < Infinity && this.sentBytes >= this.lostFrom;
  }

  get room(): number {
    const room = Math.max(0, this.capacity - this.#bytes.length - this.#lostBytes);
    if (room === 0) this.wasFull = true;
    return room;
  }

  push(bytes: Uint8Array): void {
    const arriving = Math.max(0, Math.min(bytes.length, this.lostFrom - this.sentBytes));
    this.#bytes = concat(this.#bytes, bytes.slice(0, arriving));
    this.#lostBytes += bytes.length - arriving;
    this.sentBytes += bytes.length;
    if (this.room === 0) this.wasFull = true;
  }

  take(count: number): Uint8Array {
    const taken = this.#bytes.slice(0, count);
    this.#bytes = this.#bytes.slice(count);
    return taken;
  }

  /** The receiver is gone. */
  discard(): void {
    this.#bytes = new Uint8Array(0);
  }
}

/** What one of the cores holds of a connection. */
export class End implements Link {
  readonly out: Way;
  readonly in: Way;
  closed = false;
  /** Told of everything that is written. */
  readonly #written: (bytes: Uint8Array) => void;

  constructor(out: Way, back: Way, written: (bytes: Uint8Array) => void = () => {}) {
    this.out = out;
    this.in = back;
    this.#written = written;
  }

  get writableBytes(): number {
    return this.closed ? 0 : this.out.room;
  }

  write(source: Uint8Array, start: number, end: number): void {
    if (this.closed) throw new Error('write on a closed link');
    if (end <= start) throw new Error('write of nothing');
    if (end - start > this.writableBytes) throw new Error('write of more than writableBytes');
    const bytes = source.slice(start, end);
    this.#written(bytes);
    this.out.push(bytes);
  }

  setReading(wanted: boolean): void {
    if (this.closed) throw new Error('setReading on a closed link');
    this.in.reading = wanted;
  }

  close(): void {
    this.closed = true;
    this.out.ended = true;
    this.in.discard();
  }
}

/** A connection from the client to the broker. */
export class Wire {
  readonly toBroker = new Way();
  readonly toClient = new Way();
  readonly client: End;
  readonly broker: End;
  /** The slot of the broker, or -1 while the link is not open. */
  slot = -1;
  /** Something was done to it that explains that it ends. */
  disturbed = false;

  constructor(written: (bytes: Uint8Array) => void) {
    this.client = new End(this.toBroker, this.toClient, written);
    this.broker = new End(this.toClient, this.toBroker);
    this.toBroker.capacity = 0; // until it is open
  }

  get isCut(): boolean {
    return this.toBroker.isCut || this.toClient.isCut;
  }

  /** It is cut, or will be. */
  get isFaulty(): boolean {
    return this.toBroker.lostFrom < Infinity || this.toClient.lostFrom < Infinity;
  }
}
