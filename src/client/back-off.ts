// How long a client waits before it tries again: exponential, with jitter, so that a house full of
// sensors does not fall upon a broker that has just come back. Called by client.ts.

import type { ClientLimits } from './limits.js';

export class BackOff {
  private readonly firstMs: number;
  private readonly maxMs: number;
  private readonly random: () => number;
  /** The longest that the last wait could be; 0 at first. */
  private lastMs = 0;

  constructor({ reconnectFirstMs, reconnectMaxMs }: ClientLimits, random: () => number) {
    this.firstMs = reconnectFirstMs;
    this.maxMs = reconnectMaxMs;
    this.random = random;
  }

  reset(): void {
    this.lastMs = 0;
  }

  /**
   * Milliseconds to wait: between half and all of twice the last time. It starts small again after
   * a connection that held, `connectedMs`, for as long: one that is accepted and cut at once, over
   * and over, counts as a failure.
   */
  next(connectedMs: number): number {
    const doubledMs = Math.min(2 * this.lastMs, this.maxMs);
    this.lastMs = connectedMs >= doubledMs ? this.firstMs : doubledMs;
    return this.lastMs * (0.5 + this.random() / 0x2_0000_0000);
  }
}
