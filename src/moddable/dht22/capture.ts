// The DHT22 on a pin of a board: what dht22.ts asks for its pulses, done by dht22-pin.c. Made by
// the programs for boards; in the simulator the module of this name is simulated-capture.ts.

import type { PulseCapture } from '../../sensor/dht22.js';

// XS's compiler knows these two, and takes one string literal for each. The typings lack them.
declare function native(callback: string): (this: unknown, ...values: unknown[]) => unknown;
declare function Native(destructor: string): new () => object;

export interface Dht22CaptureOptions {
  /** Number of the GPIO that the data line is on, with a resistor of some 5 kΩ to 3.3 V. */
  pin: number;
}

export class Dht22Capture extends Native('xs_dht22_destructor') implements PulseCapture {
  /**
   * Reserves the pin and lets the line rest. Throws RangeError when the chip cannot drive or read
   * that pin, Error when it is in use.
   */
  constructor(options: Dht22CaptureOptions) {
    super();
    native('xs_dht22').call(this, options);
  }

  /**
   * As PulseCapture has it, in 2 to 8 ms, with interrupts masked for the answer's 6 ms at most.
   * Allocates nothing. Throws after `close`.
   */
  capture(widths: Uint8Array): number {
    return native('xs_dht22_capture').call(this, widths) as number;
  }

  /** Gives the pin back. Idempotent. */
  close(): void {
    native('xs_dht22_close').call(this);
  }
}
