// Time for the core, and turns, on a board: one timer that fires four times a second, or as soon as
// it can while a turn is wanted. Called by tcp-links.ts.
//
// The timer is made once. Within its own callback it may be given another pace only with a first
// wait as long as the others: with two different ones the simulator on Linux leaves a timer behind
// that fires without end. A wait of zero would let a board see to one message of its queue only
// before the next turn.

import type { SystemIo } from './io.js';

const TICK_MS = 250;
const TURN_MS = 1;

/** Whose turns these are. An object, since a function of its own takes three times as much. */
export interface TickerUser {
  /** With milliseconds that never go back; must not throw. */
  turn(nowMs: number): void;
}

export class Ticker {
  private readonly io: SystemIo;
  private readonly user: TickerUser;
  private timer: unknown;
  private paceMs = TICK_MS;
  private wanted = false;
  private inside = false;
  private firedAtMs = 0;
  private nowMs = 0;

  constructor(io: SystemIo, user: TickerUser) {
    this.io = io;
    this.user = user;
  }

  /** Idempotent. */
  start(): void {
    if (this.timer !== undefined) return;
    this.firedAtMs = this.io.now();
    this.paceMs = TICK_MS;
    this.wanted = false;
    this.timer = this.io.Timer.repeat(() => this.fire(), TICK_MS);
  }

  /** Idempotent. */
  stop(): void {
    if (this.timer !== undefined) this.io.Timer.clear(this.timer);
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
    this.user.turn(this.nowMs);
    this.inside = false;
    this.pace(this.wanted ? TURN_MS : TICK_MS);
  }

  private pace(ms: number): void {
    if (ms === this.paceMs || this.timer === undefined) return;
    this.paceMs = ms;
    this.io.Timer.schedule(this.timer, ms, ms);
  }
}
