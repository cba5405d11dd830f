// A TCP socket of a board as the core sees it: a Link. Instances are made once, by links.ts, and
// reused; they know how much may be written when, and what state the socket is in.
//
// A socket says how many bytes it takes and throws for one more; nothing but this file writes to
// it. Bytes are not all: lwIP also counts the pieces that wait for their acknowledgement, of which
// every turn that writes makes at least one, and a piece too many costs the connection. It is
// configured for at least two per segment that the send buffer holds; so a link writes in at most
// one turn for each such segment before it has heard of the peer again, and the core collects.

import type { Link } from '../link.js';
import type { TcpSocket } from './io.js';
import type { Staging } from './staging.js';

/** The largest segments in use. */
const SEGMENT_BYTES = 1460;

/**
 * A socket to which something was written sends itself one message through the board's queue, of
 * fixed length: the others wait for the next turn.
 */
const SOCKETS_PER_TURN_MAX = 8;

/** The turn that runs, for all links of an owner. */
export class Turn {
  number = 0;
  /** False while the application calls on its own account. */
  running = false;
  /** Sockets written to in this turn. */
  socketCount = 0;
  /** Links that could not write because of others: they may in the next turn of the timer. */
  postponedCount = 0;

  begin(): void {
    this.number++;
    this.running = true;
    this.socketCount = 0;
  }
}

export class TcpLink implements Link {
  readonly #staging: Staging;
  readonly #turn: Turn;
  readonly #wake: () => void;
  /** Somebody uses it: from `take` to `release`. */
  inUse = false;
  /** undefined before the socket is there, and after `release`. */
  socket: TcpSocket | undefined;
  /** For the owner: the slot of the broker. */
  slot = 0;
  /** Bytes that can be read and were left there. */
  readableBytes = 0;
  /** Whether the core wants them. */
  reading = true;
  /** The core has closed it, or was told that it is lost: nothing is reported any more. */
  closed = false;
  /** It was closed with something on its way that closing the socket could destroy. */
  lingers = false;
  /** When the owner noticed that, on its clock. */
  closedAtMs = Infinity;
  /** The socket is dead: what the core writes goes nowhere, so that it can take what is unread. */
  dead = false;
  /** It is one of those, see `postponed`. */
  #postponed = false;
  /** Bytes that the socket takes, */
  #room = 0;
  /** and as many as it ever took: then nothing waits for its acknowledgement. */
  #roomMax = 0;
  /** Turns that have written something of which the peer may not have heard yet, at most. */
  #unheardTurns = 0;
  #writtenTurn = -1;

  /** `wake` asks the owner for a turn in which it looks after its links. */
  constructor(staging: Staging, turn: Turn, wake: () => void) {
    this.#staging = staging;
    this.#turn = turn;
    this.#wake = wake;
  }

  /** A new connection. */
  take(): void {
    this.inUse = true;
    this.slot = 0;
    this.readableBytes = 0;
    this.reading = true;
    this.closed = false;
    this.lingers = false;
    this.closedAtMs = Infinity;
    this.dead = false;
    this.#room = 0;
    this.#roomMax = 0;
    this.#unheardTurns = 0;
    this.#writtenTurn = -1;
  }

  /** The socket takes `byteCount` bytes: it is open, or the peer has acknowledged something. */
  grant(byteCount: number): void {
    this.#room = byteCount;
    if (byteCount >= this.#roomMax) {
      this.#roomMax = byteCount;
      this.#unheardTurns = 0;
    } else if (this.#unheardTurns > 0) {
      this.#unheardTurns--;
    }
  }

  get writableBytes(): number {
    if (this.dead) return Number.MAX_SAFE_INTEGER;
    if (this.closed || this.#room === 0) return 0;
    if (this.#hasWritten()) return this.#room;
    if (this.#unheardTurns * SEGMENT_BYTES >= this.#roomMax) return 0;
    if (this.#turn.socketCount < SOCKETS_PER_TURN_MAX) return this.#room;
    if (!this.#postponed) {
      this.#postponed = true;
      this.#turn.postponedCount++;
      this.#wake();
    }
    return 0;
  }

  /** Whether something was written in this turn, so that more of it needs no piece of its own. */
  #hasWritten(): boolean {
    return this.#turn.running && this.#writtenTurn === this.#turn.number;
  }

  /** Whether it would have taken bytes in another turn; no longer, after the question. */
  postponed(): boolean {
    if (!this.#postponed) return false;
    this.#postponed = false;
    this.#turn.postponedCount--;
    return true;
  }

  write(_source: Uint8Array, start: number, end: number): void {
    if (this.dead) return;
    if (!this.#hasWritten()) {
      this.#writtenTurn = this.#turn.number;
      this.#turn.socketCount++;
      this.#unheardTurns++;
    }
    let room = -1;
    try {
      room = this.#staging.write(this.socket!, start, end);
    } catch {
      // It takes less than it said: it died since, and says so in its own time, or never.
    }
    this.#room = room;
    if (room >= 0) return;
    this.dead = true;
    this.#wake();
  }

  /**
   * Whether the socket is still alive, if bytes are left unread: as long as they are, a platform
   * tells nobody that the peer has gone.
   */
  probe(): void {
    if (this.reading || this.readableBytes === 0 || this.socket === undefined) return;
    try {
      if (!this.#staging.probe(this.socket)) this.dead = true;
    } catch {
      this.dead = true; // how lwIP's sockets say so
    }
  }

  setReading(wanted: boolean): void {
    this.reading = wanted;
    if (wanted && (this.readableBytes > 0 || this.dead)) this.#wake();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.lingers = this.#unheardTurns > 0;
    this.#wake();
  }

  /** Reads what is unread into nothing. Throws as the socket does. */
  discard(): void {
    const byteCount = this.readableBytes;
    this.readableBytes = 0;
    this.#staging.discard(this.socket!, byteCount);
  }

  /** Gives the socket back to the platform; not from inside a callback of it. Idempotent. */
  release(): void {
    this.postponed();
    const socket = this.socket;
    this.socket = undefined;
    this.inUse = false;
    this.closed = true;
    socket?.close();
  }
}
