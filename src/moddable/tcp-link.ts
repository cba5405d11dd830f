// A TCP socket of a board as the core sees it: a Link. Instances are made once, by tcp-links.ts,
// and reused; they know how much may be written when, and what state the socket is in.
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
 * fixed length: the others wait for the next current.
 */
const SOCKETS_PER_TURN_MAX = 8;

/** The turn that runs, for all links of an owner. */
export class Turn {
  number = 0;
  /** False while the application calls on its own account. */
  running = false;
  /** Sockets written to in this current. */
  socketCount = 0;
  /** Links that could not write because of others: they may in the next turn of the timer. */
  postponedCount = 0;

  begin(): void {
    this.number++;
    this.running = true;
    this.socketCount = 0;
  }
}

/** What a link needs of its owner; the same for all of them. */
export interface LinkOwner {
  readonly staging: Staging;
  /** The turn that runs. */
  readonly current: Turn;
  /** Asks for a turn in which the owner looks after its links. */
  wake(): void;
  /** One of its sockets says something. */
  socketTurn(socket: TcpSocket, event: number, count: number): void;
}

// What a link is, as bits of one number: a slot of XS for each, on every link, would be 600 bytes.
const IN_USE = 1;
const READING = 2;
const CLOSED = 4;
const LINGERS = 8;
const DEAD = 16;
const POSTPONED = 32;

export class TcpLink implements Link {
  readonly owner: LinkOwner;
  /** undefined before the socket is there, and after `release`. */
  socket: TcpSocket | undefined;
  /** For the owner: the slot of the broker. */
  slot = 0;
  /** Bytes that can be read and were left there. */
  readableBytes = 0;
  /** When the owner noticed that it is closed and lingers, on its clock. */
  closedAtMs = Infinity;
  private bits = READING;
  /** Bytes that the socket takes, */
  private room = 0;
  /** and as many as it ever took: then nothing waits for its acknowledgement. */
  private roomMax = 0;
  /** Turns that have written something of which the peer may not have heard yet, at most. */
  private unheardTurns = 0;
  private writtenTurn = -1;

  constructor(owner: LinkOwner) {
    this.owner = owner;
  }

  /** Somebody uses it: from `take` to `release`. */
  get inUse(): boolean {
    return (this.bits & IN_USE) !== 0;
  }

  /** Whether the core wants the bytes that can be read. */
  get reading(): boolean {
    return (this.bits & READING) !== 0;
  }

  /** The core has closed it, or was told that it is lost: nothing is reported any more. */
  get closed(): boolean {
    return (this.bits & CLOSED) !== 0;
  }

  /** It was closed with something on its way that closing the socket could destroy. */
  get lingers(): boolean {
    return (this.bits & LINGERS) !== 0;
  }

  /** The socket is dead: what the core writes goes nowhere, so that it can take what is unread. */
  get dead(): boolean {
    return (this.bits & DEAD) !== 0;
  }

  /** The socket has died, or shall be treated so. */
  die(): void {
    this.bits |= DEAD;
  }

  /** The core has been told that it is lost. */
  lose(): void {
    this.bits |= CLOSED;
  }

  /** A new connection. */
  take(): void {
    this.bits = IN_USE | READING;
    this.slot = 0;
    this.readableBytes = 0;
    this.closedAtMs = Infinity;
    this.room = 0;
    this.roomMax = 0;
    this.unheardTurns = 0;
    this.writtenTurn = -1;
  }

  /** The socket takes `byteCount` bytes: it is open, or the peer has acknowledged something. */
  grant(byteCount: number): void {
    this.room = byteCount;
    if (byteCount >= this.roomMax) {
      this.roomMax = byteCount;
      this.unheardTurns = 0;
    } else if (this.unheardTurns > 0) {
      this.unheardTurns--;
    }
  }

  get writableBytes(): number {
    const { current } = this.owner;
    if (this.dead) return Number.MAX_SAFE_INTEGER;
    if (this.closed || this.room === 0) return 0;
    if (this.hasWritten()) return this.room;
    if (this.unheardTurns * SEGMENT_BYTES >= this.roomMax) return 0;
    if (current.socketCount < SOCKETS_PER_TURN_MAX) return this.room;
    if ((this.bits & POSTPONED) === 0) {
      this.bits |= POSTPONED;
      current.postponedCount++;
      this.owner.wake();
    }
    return 0;
  }

  /** Whether something was written in this turn, so that more of it needs no piece of its own. */
  private hasWritten(): boolean {
    const { current } = this.owner;
    return current.running && this.writtenTurn === current.number;
  }

  /** Whether it would have taken bytes in another turn; no longer, after the question. */
  postponed(): boolean {
    if ((this.bits & POSTPONED) === 0) return false;
    this.bits &= ~POSTPONED;
    this.owner.current.postponedCount--;
    return true;
  }

  write(_source: Uint8Array, start: number, end: number): void {
    if (this.dead) return;
    const { current, staging } = this.owner;
    if (!this.hasWritten()) {
      this.writtenTurn = current.number;
      current.socketCount++;
      this.unheardTurns++;
    }
    let room = -1;
    try {
      room = staging.write(this.socket!, start, end);
    } catch {
      // It takes less than it said: it died since, and says so in its own time, or never.
    }
    this.room = room;
    if (room >= 0) return;
    this.die();
    this.owner.wake();
  }

  /**
   * Whether the socket is still alive, if bytes are left unread: as long as they are, a platform
   * tells nobody that the peer has gone.
   */
  probe(): void {
    if (this.reading || this.readableBytes === 0 || this.socket === undefined) return;
    try {
      if (!this.owner.staging.probe(this.socket)) this.die();
    } catch {
      this.die(); // how lwIP's sockets say so
    }
  }

  setReading(wanted: boolean): void {
    if (wanted) this.bits |= READING;
    else this.bits &= ~READING;
    if (wanted && (this.readableBytes > 0 || this.dead)) this.owner.wake();
  }

  close(): void {
    if (this.closed) return;
    this.bits |= this.unheardTurns > 0 ? CLOSED | LINGERS : CLOSED;
    this.owner.wake();
  }

  /** Reads what is unread into nothing. Throws as the socket does. */
  discard(): void {
    const byteCount = this.readableBytes;
    this.readableBytes = 0;
    this.owner.staging.discard(this.socket!, byteCount);
  }

  /** Gives the socket back to the platform; not from inside a callback of it. Idempotent. */
  release(): void {
    this.postponed();
    const socket = this.socket;
    this.socket = undefined;
    this.bits = this.bits & ~IN_USE | CLOSED;
    socket?.close();
  }
}
