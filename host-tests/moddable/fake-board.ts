// What hub and sensor get from their board besides sockets: a network that the test switches, figures, memory that
// outlives deep sleep, and a DHT22 whose room the test chooses.
import type { BoardFigures, NetworkUser, ProgramNetwork } from '../../src/moddable/hub.js';
import type { SleepMemory } from '../../src/moddable/sensor.js';
import type { PulseCapture } from '../../src/sensor/dht22.js';
import { frameOf, pulsesOf } from '../sensor/pulse-trains.js';
import { Random } from '../support/random.js';

export class FakeNetwork implements ProgramNetwork {
  signalDbm: number | undefined = -61;
  joinCount = 0;
  started = false;
  closed = false;
  readonly user: NetworkUser;

  constructor(user: NetworkUser) {
    this.user = user;
  }

  start(): void {
    this.started = true;
  }

  close(): void {
    this.closed = true;
  }

  up(address = '192.168.1.7'): void {
    this.joinCount++;
    this.user.onUp(address);
  }

  down(): void {
    this.user.onDown();
  }
}

export class FakeBoard implements BoardFigures {
  freeMemoryBytes = 41_000;
  slotBytes = 8000;
  chunkBytes = 9000;
  resetReason = 'power on';
}

/** Begins with what memory has after power came up. */
export class FakeMemory implements SleepMemory {
  readonly byteCount: number;
  bytes: Uint8Array;
  writeCount = 0;

  constructor(byteCount: number, random = new Random(20261122)) {
    this.byteCount = byteCount;
    this.bytes = Uint8Array.from({ length: byteCount }, () => random.next() & 0xff);
  }

  read(target: Uint8Array): void {
    target.set(this.bytes.subarray(0, target.length));
  }

  write(source: Uint8Array): void {
    this.bytes = Uint8Array.from(source);
    this.writeCount++;
  }
}

/** A DHT22 that answers always with 48.3 % and so many tenths of a degree, or never. */
export function dht22(temperatureTenths: number | undefined): PulseCapture {
  return {
    capture(widths) {
      if (temperatureTenths === undefined) return 0;
      const pulses = pulsesOf(frameOf(483, temperatureTenths));
      widths.set(pulses);
      return pulses.length;
    },
    close() {},
  };
}
