// Moddable's Timer on a clock that the test moves: as modTimer.c has it for microcontrollers, and as lin/timer.c has it
// for the simulator on Linux, which is another thing inside a timer's own callback. Used by fake-io.ts.

import type { TimerModule } from '../../src/moddable/io.js';

/** What timers need of their network. */
interface Time {
  readonly nowMs: number;
  after(delayMs: number, run: () => void): void;
  call(callback: () => void): void;
}

interface Timer {
  callback: () => void;
  triggerMs: number;
  repeatMs: number;
  /** Which of the events that were planned for it counts. */
  plan: number;
  cleared: boolean;
}

export class FakeTimers implements TimerModule {
  readonly #time: Time;
  /** Timers that were made and not cleared. */
  count = 0;

  constructor(time: Time) {
    this.#time = time;
  }

  repeat(callback: () => void, ms: number): unknown {
    const timer = { callback, triggerMs: 0, repeatMs: 0, plan: 0, cleared: false };
    this.count++;
    this.schedule(timer, ms, ms);
    return timer;
  }

  schedule(timer: unknown, ms: number, repeatMs: number): void {
    const record = timer as Timer;
    if (record.cleared) throw new Error('invalid host data');
    record.triggerMs = this.#time.nowMs + ms;
    record.repeatMs = repeatMs;
    this.#plan(record);
  }

  #plan(timer: Timer): void {
    const plan = ++timer.plan;
    this.#time.after(Math.max(0, timer.triggerMs - this.#time.nowMs), () => {
      if (plan === timer.plan && !timer.cleared) this.#fire(timer);
    });
  }

  #fire(timer: Timer): void {
    const plan = timer.plan;
    timer.triggerMs += timer.repeatMs;
    this.#time.call(timer.callback);
    if (timer.cleared) return;
    if (timer.repeatMs === 0) this.clear(timer);
    else if (plan === timer.plan) this.#plan(timer);
  }

  clear(timer: unknown): void {
    const record = timer as Timer;
    if (record.cleared) return;
    record.cleared = true;
    this.count--;
  }
}

interface Source {
  removed: boolean;
}

interface LinTimer {
  callback: () => void;
  firstMs: number;
  intervalMs: number;
  source: Source | undefined;
  cleared: boolean;
}

export class LinTimers implements TimerModule {
  readonly #time: Time;
  count = 0;

  constructor(time: Time) {
    this.#time = time;
  }

  repeat(callback: () => void, ms: number): unknown {
    const timer: LinTimer = { callback, firstMs: ms, intervalMs: ms, source: undefined, cleared: false };
    this.count++;
    timer.source = this.#addSource(timer, ms);
    return timer;
  }

  schedule(timer: unknown, ms: number, repeatMs: number): void {
    const record = timer as LinTimer;
    if (record.cleared) throw new Error('invalid host data');
    if (record.source !== undefined) record.source.removed = true;
    record.firstMs = ms;
    record.intervalMs = repeatMs;
    record.source = this.#addSource(record, ms);
  }

  #addSource(timer: LinTimer, ms: number): Source {
    const source = { removed: false };
    const fire = (): void => {
      if (source.removed) return;
      if (this.#execute(timer) && !source.removed) this.#time.after(ms, fire);
    };
    this.#time.after(ms, fire);
    return source;
  }

  /** Whether the source that fired goes on. */
  #execute(timer: LinTimer): boolean {
    this.#time.call(timer.callback);
    if (timer.cleared) return false;
    if (timer.intervalMs === 0) {
      this.clear(timer);
      return false;
    }
    if (timer.firstMs === timer.intervalMs) return true;
    timer.source = this.#addSource(timer, timer.intervalMs); // and forgets one that the callback may have added
    timer.firstMs = timer.intervalMs;
    return false;
  }

  clear(timer: unknown): void {
    const record = timer as LinTimer;
    if (record.cleared) return;
    record.cleared = true;
    if (record.source !== undefined) record.source.removed = true;
    this.count--;
  }
}
