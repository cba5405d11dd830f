// Time for the core, under Node. Called by the bindings of broker and client.
//
// Timers run before sockets are read: after this process was held up, peers that were not silent at
// all would look so. Of such a time only a little counts.

const TICK_MS = 250;

export class Ticker {
  readonly #tick: (nowMs: number) => void;
  #clockMs = 0;
  #tickedAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `tick` is called four times a second with milliseconds that never go back. */
  constructor(tick: (nowMs: number) => void) {
    this.#tick = tick;
  }

  /** Idempotent; calls `tick` at once. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#tickedAtMs = performance.now();
    this.#timer = setInterval(() => this.#advance(), TICK_MS);
    this.#advance();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #advance(): void {
    const nowMs = performance.now();
    this.#clockMs += Math.min(nowMs - this.#tickedAtMs, 2 * TICK_MS);
    this.#tickedAtMs = nowMs;
    this.#tick(this.#clockMs);
  }
}
