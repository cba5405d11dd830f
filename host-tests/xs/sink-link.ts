// A link that takes everything and keeps nothing but where the last write stood: for measuring what the core costs
// without what a link costs.
import type { Link } from '../../src/link.js';

export class SinkLink implements Link {
  writableBytes = 65536;
  /** Bytes of all writes. */
  written = 0;
  lastStart = 0;

  write(_source: Uint8Array, start: number, end: number): void {
    this.written += end - start;
    this.lastStart = start;
  }

  setReading(): void {}

  close(): void {}
}
