// The sockets of a broker or a client on a board, and its turns: what both bindings have in common.
// Whatever the platform calls, a socket's callback or the timer, is one turn here: something is
// reported to the core, then all it wants to send is flushed.
//
// Invariants. No exception leaves a callback, where it would restart the board: it is traced, and
// ends the link it happened with. A socket is closed in turns of the timer only, so that none is
// closed inside its own callback, which some platforms go on to call; and what a socket says after
// that is not heard. What a peer has sent before it was lost is delivered first. What one turn
// reads and how many sockets it writes to is bounded; the rest follows in the next. Nothing is
// allocated but for a new connection.

import type { TcpSocket, TcpSocketConstructor } from './io.js';
import type { Staging } from './staging.js';
import { TcpLink, Turn, type LinkOwner } from './tcp-link.js';
import { Ticker, type TickerUser, type TimedIo } from './ticker.js';

/** About a segment: bytes that one link is read in one turn, */
const READ_BYTES_MAX = 1536;
/** and all links together in a turn of the timer. */
const TURN_BYTES_MAX = 2 * READ_BYTES_MAX;
/**
 * Time for a last packet to arrive, and to be read, before the socket is closed: on ESP8266 closing
 * resets the connection. What comes meanwhile is read into nothing.
 */
const LINGER_MS = 200;
/** The core ticks several times a second, not with every turn. */
const TICK_MS_MIN = 100;

const READABLE = 0;
const WRITABLE = 1;
const ERROR = 2;

/** The core of a binding, by its entry points. */
export interface LinkUser {
  /** Where bytes that came for `link` belong, */
  windowStart(link: TcpLink): number;
  /** and how many of them there is room for. */
  room(link: TcpLink): number;
  received(link: TcpLink, byteCount: number): void;
  /** The link takes bytes, again or for the first time. */
  writable(link: TcpLink): void;
  /** The link is lost. */
  lost(link: TcpLink): void;
  tick(nowMs: number): void;
  readonly dirty: boolean;
  flush(): void;
}

/** For all sockets: by its target each one knows its link, and that its owner. */
const CALLBACKS = Object.freeze({
  onReadable(this: TcpSocket, count: number): void {
    (this.target as TcpLink).owner.socketTurn(this, READABLE, count);
  },
  onWritable(this: TcpSocket, count: number): void {
    (this.target as TcpLink).owner.socketTurn(this, WRITABLE, count);
  },
  onError(this: TcpSocket): void {
    (this.target as TcpLink).owner.socketTurn(this, ERROR, 0);
  },
});

export class TcpLinks implements LinkOwner, TickerUser {
  readonly staging: Staging;
  readonly current: Turn = new Turn();
  private readonly io: TimedIo;
  private readonly user: LinkUser;
  private readonly links: readonly TcpLink[];
  private readonly ticker: Ticker;
  /** The next turn is wanted soon. */
  private wanted = false;
  /** Who is first in the next turn of the timer. */
  private first = 0;
  private nowMs = 0;
  private tickedAtMs = -Infinity;
  /** Called when all links are released. */
  private finished: (() => void) | undefined;

  /** `linkCount` links, of which one is always free or closing when one is taken. */
  constructor(io: TimedIo, user: LinkUser, staging: Staging, linkCount: number) {
    this.io = io;
    this.user = user;
    this.staging = staging;
    this.links = Array.from({ length: linkCount }, () => new TcpLink(this));
    this.ticker = io.ticker ?? new Ticker(io);
  }

  /** Time passes, and turns take place, until `finish`. Idempotent. */
  start(): void {
    const finished = this.finished;
    this.finished = undefined;
    finished?.();
    this.ticker.add(this);
  }

  /** Once all links are closed and released, time stops and `finished` is called. */
  finish(finished: () => void): void {
    this.finished = finished;
    this.wake();
  }

  /** There is something to flush: at the end of this turn, or soon. */
  flushSoon(): void {
    if (!this.current.running) this.ticker.soon();
  }

  /** A link for a new connection; if there is none, the one that has been closing for longest. */
  take(): TcpLink {
    let taken = this.links[0]!;
    for (let i = 0; i < this.links.length; i++) {
      const link = this.links[i]!;
      if (!link.inUse) {
        taken = link;
        break;
      }
      if (link.closed && (!taken.closed || link.closedAtMs < taken.closedAtMs)) taken = link;
    }
    if (taken.inUse) this.release(taken);
    taken.take();
    return taken;
  }

  /**
   * Opens the socket of `link`: `options` tell whereto, or from what. Throws what the platform
   * throws.
   */
  open(TCP: TcpSocketConstructor, link: TcpLink, options: object): void {
    link.socket = new TCP({ ...options, nodelay: true, target: link, ...CALLBACKS });
  }

  /** The link is dead: its user learns of it in the next turn. */
  kill(link: TcpLink): void {
    link.die();
    this.wake();
  }

  /** What `error` is, and where it was caught. */
  trace(where: string, error: unknown): void {
    this.io.trace(`maisonnette: ${where}: ${error}\n`);
  }

  wake(): void {
    this.wanted = true;
    if (!this.current.running) this.ticker.soon();
  }

  socketTurn(socket: TcpSocket, event: number, count: number): void {
    const link = socket.target as TcpLink;
    if (link.socket !== socket) return;
    this.begin();
    try {
      if (event === READABLE) {
        link.readableBytes = count;
        this.read(link);
      } else if (event === ERROR) {
        link.die();
        this.wanted = true;
      } else {
        link.grant(count);
        if (!link.closed) this.user.writable(link);
      }
    } catch (error) {
      this.failed(link, error);
    }
    this.end();
  }

  /** One of the timer. */
  turn(nowMs: number): void {
    this.nowMs = nowMs;
    this.begin();
    if (nowMs - this.tickedAtMs >= TICK_MS_MIN) this.tick(nowMs);
    const count = this.links.length;
    const first = this.first;
    this.first = (first + 1) % count; // everybody is first in turn
    for (let i = 0; i < count && this.current.postponedCount > 0; i++) {
      this.writePostponed(this.links[(first + i) % count]!);
    }
    let left = TURN_BYTES_MAX;
    let openCount = 0;
    for (let i = 0; i < count; i++) {
      const link = this.links[(first + i) % count]!;
      if (!link.inUse) continue;
      if (left > 0) left -= this.lookAfter(link);
      else if (link.readableBytes > 0 || link.closed || link.dead) this.wanted = true;
      if (link.inUse) openCount++;
    }
    this.end();
    if (openCount === 0 && this.finished !== undefined) this.stop(this.finished);
  }

  private tick(nowMs: number): void {
    this.tickedAtMs = nowMs;
    for (let i = 0; i < this.links.length; i++) this.links[i]!.probe();
    try {
      this.user.tick(nowMs);
    } catch (error) {
      this.trace('tick', error);
    }
  }

  private stop(finished: () => void): void {
    this.finished = undefined;
    this.ticker.remove(this);
    try {
      finished();
    } catch (error) {
      this.trace('close', error);
    }
  }

  private writePostponed(link: TcpLink): void {
    try {
      if (link.postponed() && !link.closed) this.user.writable(link);
    } catch (error) {
      this.failed(link, error);
    }
  }

  /** Whatever a link needs between its callbacks. Returns how many bytes it has read. */
  private lookAfter(link: TcpLink): number {
    try {
      const byteCount = this.read(link);
      if (link.dead && !link.closed) this.bringToAnEnd(link);
      if (link.closed) this.close(link);
      return byteCount;
    } catch (error) {
      this.failed(link, error);
      return 0;
    }
  }

  /**
   * Reads what the core takes, up to a bound, and nothing while there is one to whom what was read
   * could not be written yet. What comes for a closed link is read by nobody.
   */
  private read(link: TcpLink): number {
    const user = this.user;
    const turn = this.current;
    let left = READ_BYTES_MAX;
    while (left > 0 && link.readableBytes > 0 && link.reading && !link.closed &&
        turn.postponedCount === 0) {
      let byteCount = user.room(link);
      if (byteCount > link.readableBytes) byteCount = link.readableBytes;
      if (byteCount > left) byteCount = left;
      if (byteCount <= 0) return READ_BYTES_MAX - left;
      this.staging.read(link.socket!, user.windowStart(link), byteCount);
      link.readableBytes -= byteCount;
      left -= byteCount;
      user.received(link, byteCount);
      if (user.dirty) user.flush(); // so that the next portion finds room in the outboxes
    }
    if (link.readableBytes > 0) {
      if (link.closed) link.discard();
      else if (link.reading) this.wanted = true;
    }
    return READ_BYTES_MAX - left;
  }

  /** The socket is dead; the user is told when it has got all that had come before. */
  private bringToAnEnd(link: TcpLink): void {
    if (!link.reading) {
      this.user.writable(link); // takes everything now: no reason left to leave bytes unread
    } else if (link.readableBytes === 0) {
      this.user.lost(link);
      link.lose();
    }
  }

  private close(link: TcpLink): void {
    if (link.closedAtMs === Infinity) link.closedAtMs = this.nowMs;
    if (link.lingers && !link.dead && this.nowMs - link.closedAtMs < LINGER_MS) return;
    this.release(link);
  }

  private release(link: TcpLink): void {
    try {
      link.release();
    } catch (error) {
      this.trace('close', error);
    }
  }

  /** An exception has come this far: a fault of ours, of the application or of the platform. */
  private failed(link: TcpLink, error: unknown): void {
    this.trace('connection ended', error);
    link.die();
    link.readableBytes = 0;
    this.wanted = true;
    if (link.closed) return;
    link.lose();
    try {
      this.user.lost(link);
    } catch (another) {
      this.trace('and when it was ended', another);
    }
  }

  private begin(): void {
    this.wanted = false;
    this.current.begin();
  }

  private end(): void {
    const user = this.user;
    try {
      if (user.dirty) user.flush();
      if (user.dirty) this.wanted = true;
    } catch (error) {
      this.trace('flush', error);
    }
    this.current.running = false;
    if (this.wanted) this.ticker.soon();
  }
}
