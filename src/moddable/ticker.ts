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

export class Ticker {
  readonly #io: SystemIo;
  readonly #turn: (nowMs: number) => void;
  #timer: unknown;
  #paceMs = TICK_MS;
  #wanted = false;
  #inside = false;
  #firedAtMs = 0;
  #nowMs = 0;

  /** `turn` is called with milliseconds that never go back, and must not throw. */
  constructor(io: SystemIo, turn: (nowMs: number) => void) {
    this.#io = io;
    this.#turn = turn;
  }

  /** Idempotent. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#firedAtMs = this.#io.now();
    this.#paceMs = TICK_MS;
    this.#wanted = false;
    this.#timer = this.#io.Timer.repeat(() => this.#fire(), TICK_MS);
  }

  /** Idempotent. */
  stop(): void {
    if (this.#timer !== undefined) this.#io.Timer.clear(this.#timer);
    this.#timer = undefined;
  }

  /** Asks for a turn soon. */
  soon(): void {
    this.#wanted = true;
    if (!this.#inside) this.#pace(TURN_MS);
  }

  #fire(): void {
    const nowMs = this.#io.now();
    // Right also when the clock has wrapped. After a time in which this board was held up, peers
    // that were not silent at all would look so: of such a time only a little counts.
    const elapsedMs = (nowMs - this.#firedAtMs) | 0;
    this.#firedAtMs = nowMs;
    if (elapsedMs > 0) this.#nowMs += elapsedMs < 2 * TICK_MS ? elapsedMs : 2 * TICK_MS;
    this.#wanted = false;
    this.#inside = true;
    this.#turn(this.#nowMs);
    this.#inside = false;
    this.#pace(this.#wanted ? TURN_MS : TICK_MS);
  }

  #pace(ms: number): void {
    if (ms === this.#paceMs || this.#timer === undefined) return;
    this.#paceMs = ms;
    this.#io.Timer.schedule(this.#timer, ms, ms);
  }
}
