// One end of a TCP connection in memory, as a stack keeps it: what has come and was not read, what was sent and is not
// acknowledged. Used by fake-io.ts, whose sockets and raw peers sit on top.

import { concat } from '../support/packets.js';

/** What an end needs of its network. */
interface Time {
  readonly options: { readonly latencyMs: number };
  after(delayMs: number, run: () => void): void;
}

const SEGMENT_BYTES = 1460;

export class End {
  readonly #time: Time;
  peer!: End;
  inbox: Uint8Array = new Uint8Array(0);
  /** How much of it may come before it is read. */
  receiveBytes = 5744;
  sendBytes = 65536;
  /** Pieces not acknowledged, the last one perhaps not sent: then it still grows. */
  #pieces: Uint8Array[] = [];
  /** Of these, sent. */
  #sentCount = 0;
  #unacknowledgedBytes = 0;
  #finWanted = false;
  #closed = false;
  finReceived = false;
  /** Reset by the other side, or given up. */
  dead = false;
  /** More has come. */
  onData = (): void => {};
  /** Something was acknowledged. */
  onRoom = (): void => {};
  onFin = (): void => {};
  onReset = (): void => {};

  constructor(time: Time) {
    this.#time = time;
  }

  get room(): number {
    return this.sendBytes - this.#unacknowledgedBytes;
  }

  /** Pieces that may wait for their acknowledgement: lwIP's TCP_SND_QUEUELEN, as it is configured. */
  get #piecesMax(): number {
    return Math.ceil(4 * this.sendBytes / SEGMENT_BYTES);
  }

  /** Takes a copy of the bytes; false when there are too many pieces. */
  send(bytes: Uint8Array): boolean {
    for (let at = 0; at < bytes.length;) {
      let last = this.#pieces.length - 1;
      if (last < this.#sentCount || this.#pieces[last]!.length === SEGMENT_BYTES) {
        if (this.#pieces.length >= this.#piecesMax && this.sendBytes < 65536) return false;
        last = this.#pieces.push(new Uint8Array(0)) - 1;
      }
      const part = bytes.slice(at, at + SEGMENT_BYTES - this.#pieces[last]!.length);
      this.#pieces[last] = concat(this.#pieces[last]!, part);
      at += part.length;
      this.#unacknowledgedBytes += part.length;
    }
    return true;
  }

  output(): void {
    this.#sentCount = this.#pieces.length;
    this.#time.after(this.#time.options.latencyMs, () => this.#transmit());
  }

  /** As much as the other end takes arrives there. */
  #transmit(): void {
    const { peer } = this;
    if (this.dead) return;
    if (peer.#closed && this.#sentCount > 0) {
      this.#die();
      return;
    }
    let byteCount = 0;
    while (this.#sentCount > 0) {
      const piece = this.#pieces[0]!;
      const part = piece.slice(0, Math.max(0, peer.receiveBytes - peer.inbox.length));
      if (part.length === 0) break;
      peer.inbox = concat(peer.inbox, part);
      byteCount += part.length;
      if (part.length < piece.length) {
        this.#pieces[0] = piece.slice(part.length);
        break;
      }
      this.#pieces.shift();
      this.#sentCount--;
    }
    if (byteCount > 0) {
      this.#time.after(this.#time.options.latencyMs, () => {
        this.#unacknowledgedBytes -= byteCount;
        if (!this.dead && !this.#closed) this.onRoom();
      });
      peer.onData();
    }
    if (this.#finWanted && this.#pieces.length === 0 && !peer.finReceived && !peer.dead) {
      peer.finReceived = true;
      peer.onFin();
    }
  }

  #die(): void {
    if (this.dead) return;
    this.dead = true;
    if (!this.#closed) this.onReset();
  }

  take(byteCount: number): Uint8Array {
    const bytes = this.inbox.slice(0, byteCount);
    this.inbox = this.inbox.slice(byteCount);
    if (byteCount > 0 && this.peer.#pieces.length > 0) this.peer.#transmitLater();
    return bytes;
  }

  #transmitLater(): void {
    this.#time.after(this.#time.options.latencyMs, () => this.#transmit());
  }

  /** Sends what is left, then closes; with something unread it is a reset, as everywhere. */
  close(): void {
    if (this.#closed) return;
    if (this.inbox.length > 0) {
      this.abort();
      return;
    }
    this.#closed = true;
    this.#finWanted = true;
    this.output();
  }

  /** Resets the connection: what was sent and has not arrived never will. */
  abort(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.dead = true;
    this.#pieces = [];
    this.#sentCount = 0;
    this.#time.after(this.#time.options.latencyMs, () => this.peer.#die());
  }
}
