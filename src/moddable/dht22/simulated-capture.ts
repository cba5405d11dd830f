// The DHT22 of the Moddable simulator, which has no pins: a simulated device under the name that
// capture.ts has on a board, so that programs stay the same. manifest.json chooses.

import { SimulatedDHT22 } from '../../sensor/simulated-dht22.js';
import type { Dht22CaptureOptions } from './capture.js';

/** Each one is another room. */
export class Dht22Capture extends SimulatedDHT22 {
  /** Takes what the one on a board takes; any pin will do. */
  constructor(_options: Dht22CaptureOptions) {
    super({ now: Date.now, random });
  }
}

/** The simulator starts with the same chance each time: the clock makes programs differ. */
function random(): number {
  return (Math.random() * 0x1_0000_0000 ^ Math.imul(Date.now(), 0x9e37_79b1)) >>> 0;
}
