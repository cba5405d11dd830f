// Time for the core, and turns, on a board: one timer for all parts of a program, which fires four
// times a second, or as soon as it can while a turn is wanted. Called by hub.ts, sensor.ts,
// network.ts and tcp-links.ts.
//
// The timer is there while somebody wants turns. Within its own callback it may be given another
// pace only with a first wait as long as the others: with two different ones the simulator on Linux
// leaves a timer behind that fires without end. A wait of zero would let a board see to one message
// of its queue only before the next turn.

import type { SystemIo } from './io.js';

const TICK_MS = 250;
const TURN_MS = 1;

/** Whose turns these are. An object, since a function of its own takes three times as much. */
export interface TickerUser {
  /** With milliseconds that never go back; must not throw. */
  turn(nowMs: number): void;
}

/** What has turns of its program's ticker. */
export interface TimedIo extends SystemIo {
  /** Of all parts of the program; without it, each part makes one of its own. */
  ticker?: Ticker;
}

export class Ticker {
  private readonly io: SystemIo;
  private readonly users: TickerUser[] = [];
  private timer: unknown;
  private paceMs = TICK_MS;
  private wanted = false;
  private inside = false;
  private firedAtMs = 0;
  private nowMs = 0;

  constructor(io: SystemIo) {
    this.io = io;
  }

  /** `user` has turns from now on, before those who had them earlier. Idempotent. */
  add(user: TickerUser): void {
    if (!this.users.includes(user)) this.users.push(user);
    if (this.timer !== undefined) return;
    this.firedAtMs = this.io.now();
    this.paceMs = TICK_MS;
    this.wanted = false;
    this.timer = this.io.Timer.repeat(() => this.fire(), TICK_MS);
  }

  /** `user` has no turns any more. Idempotent. */
  remove(user: TickerUser): void {
    const at = this.users.indexOf(user);
    if (at >= 0) this.users.splice(at, 1);
    if (this.users.length > 0 || this.timer === undefined) return;
    this.io.Timer.clear(this.timer);
    this.timer = undefined;
  }

  /** Asks for a turn soon. */
  soon(): void {
    this.wanted = true;
    if (!this.inside) this.pace(TURN_MS);
  }

  private fire(): void {
    const nowMs = this.io.now();
    // Right also when the clock has wrapped. After a time in which this board was held up, peers
    // that were not silent at all would look so: of such a time only a little counts.
    const elapsedMs = (nowMs - this.firedAtMs) | 0;
    this.firedAtMs = nowMs;
    if (elapsedMs > 0) this.nowMs += elapsedMs < 2 * TICK_MS ? elapsedMs : 2 * TICK_MS;
    this.wanted = false;
    this.inside = true;
    // From the last one on, so that one that leaves takes no other's turn.
    for (let i = this.users.length - 1; i >= 0; i--) this.users[i]?.turn(this.nowMs);
    this.inside = false;
    this.pace(this.wanted ? TURN_MS : TICK_MS);
  }

  private pace(ms: number): void {
    if (ms === this.paceMs || this.timer === undefined) return;
    this.paceMs = ms;
    this.io.Timer.schedule(this.timer, ms, ms);
  }
}
