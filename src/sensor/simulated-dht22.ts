// A DHT22 made of numbers, for hosts and simulators: the pulses it gives are those of a real one,
// its silences, lost bits and old measurements, too. Made by demos and tests, in the place of a
// pulse capture. Needs no platform: time and chance come from outside, so a seed repeats a run.

import { FRAME_BYTES } from './dht22-pulses.js';
import type { PulseCapture } from './dht22.js';

/** A quantity over the time of day. */
export type Curve = (dayMs: number) => number;

export interface SimulatedDHT22Options {
  /** Random integer, 0 to 2³²-1. Another seed is another room, with another climate. */
  random: () => number;
  /** Milliseconds; the sensor is powered up at construction. */
  now: () => number;
  /** Degrees Celsius, -40 to 80. Default: warmest in the afternoon, by 1 to 3 degrees. */
  temperature?: Curve;
  /** Percent, 0 to 100. Default: driest when it is warmest. */
  humidity?: Curve;
  /** Time of day at construction, in hours. Default 8. */
  startHour?: number;
  /** How many times faster than the clock the day goes by. Default 1. */
  timeLapse?: number;
  /** The most that an edge is seen too late, in microseconds. Default 4; above 6 bits get lost. */
  jitterMicros?: number;
  /** Of all transfers, the share that goes unanswered, 0 to 1. Default 0.01. */
  missingShare?: number;
  /** The share that stops early. Default 0.01. */
  shortShare?: number;
  /** The share in which one bit is wrong. Default 0.02. */
  corruptShare?: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Before that the sensor is not ready, or not yet again. */
const POWER_UP_MS = 1000;
const RECOVERY_MS = 500;

/** Microseconds, by the data sheet. */
const PREAMBLE_MICROS = 80;
const LOW_MICROS = 50;
const ZERO_MICROS = 27;
const ONE_MICROS = 70;
const WIDTH_COUNT = 2 + 2 * 8 * FRAME_BYTES + 1;

export class SimulatedDHT22 implements PulseCapture {
  readonly #random: () => number;
  readonly #now: () => number;
  readonly #temperature: Curve;
  readonly #humidity: Curve;
  readonly #timeLapse: number;
  readonly #jitterMicros: number;
  readonly #missingShare: number;
  readonly #shortShare: number;
  readonly #corruptShare: number;

  readonly #poweredAtMs: number;
  readonly #startMs: number;
  #busyUntilMs: number;
  /** The measurement that the next transfer gets. */
  readonly #frame = new Uint8Array(FRAME_BYTES);
  #closed = false;

  /** Throws RangeError, naming the number and its limits. */
  constructor(options: SimulatedDHT22Options) {
    this.#random = options.random;
    this.#now = options.now;
    this.#timeLapse = between('timeLapse', options.timeLapse ?? 1, 0, 100_000);
    this.#jitterMicros = between('jitterMicros', options.jitterMicros ?? 4, 0, 20);
    this.#missingShare = between('missingShare', options.missingShare ?? 0.01, 0, 1);
    this.#shortShare = between('shortShare', options.shortShare ?? 0.01, 0, 1);
    this.#corruptShare = between('corruptShare', options.corruptShare ?? 0.02, 0, 1);
    const startHour = between('startHour', options.startHour ?? 8, 0, 24);

    const warmestHour = 13 + 4 * this.#share();
    this.#temperature = options.temperature ??
      dailyCurve(17 + 6 * this.#share(), 1 + 2 * this.#share(), warmestHour);
    this.#humidity = options.humidity ??
      dailyCurve(40 + 20 * this.#share(), -3 - 5 * this.#share(), warmestHour);
    this.#poweredAtMs = options.now();
    this.#startMs = startHour * HOUR_MS;
    this.#busyUntilMs = this.#poweredAtMs + POWER_UP_MS;
    this.#measure(this.#poweredAtMs);
  }

  /** As a real one: answers with its previous measurement, then makes a new one. */
  capture(widths: Uint8Array): number {
    if (this.#closed) throw new Error('the simulated sensor is closed');
    const nowMs = this.#now();
    if (nowMs < this.#busyUntilMs) return 0;
    this.#busyUntilMs = nowMs + RECOVERY_MS;
    if (this.#happens(this.#missingShare)) return 0;
    const wrongBit = this.#happens(this.#corruptShare) ? this.#below(8 * FRAME_BYTES) : -1;
    const wanted = this.#happens(this.#shortShare) ? 1 + this.#below(WIDTH_COUNT - 2) : WIDTH_COUNT;
    const count = Math.min(wanted, widths.length);
    let late = this.#late();
    for (let i = 0; i < count; i++) {
      const lateBefore = late;
      late = this.#late();
      const micros = Math.min(this.#nominalMicros(i, wrongBit) + late - lateBefore, 255);
      widths[i] = Math.max(micros, 0);
    }
    this.#measure(nowMs);
    return count;
  }

  close(): void {
    this.#closed = true;
  }

  #nominalMicros(index: number, wrongBit: number): number {
    if (index < 2) return PREAMBLE_MICROS;
    if ((index & 1) === 0) return LOW_MICROS;
    const bit = index - 3 >> 1;
    const one = (this.#frame[bit >> 3]! >> 7 - (bit & 7) & 1) === 1;
    return one !== (bit === wrongBit) ? ONE_MICROS : ZERO_MICROS;
  }

  /** Keeps what the curves say, with a tenth of noise, as the sensor sends it. */
  #measure(nowMs: number): void {
    const dayMs = (this.#startMs + (nowMs - this.#poweredAtMs) * this.#timeLapse) % DAY_MS;
    const humidity = this.#tenths(this.#humidity(dayMs), 0, 1000);
    const temperature = this.#tenths(this.#temperature(dayMs), -400, 800);
    const magnitude = Math.abs(temperature);
    const frame = this.#frame;
    frame[0] = humidity >> 8;
    frame[1] = humidity;
    frame[2] = magnitude >> 8 | (temperature < 0 ? 0x80 : 0);
    frame[3] = magnitude;
    frame[4] = frame[0]! + frame[1]! + frame[2]! + frame[3]!;
  }

  #tenths(value: number, least: number, most: number): number {
    const noisy = Math.round(10 * value + 2 * this.#share() - 1);
    return Math.max(least, Math.min(noisy, most));
  }

  #late(): number {
    return this.#below(this.#jitterMicros + 1);
  }

  #happens(share: number): boolean {
    return this.#share() < share;
  }

  #below(count: number): number {
    return Math.floor(this.#share() * count);
  }

  /** 0 to 1, without 1. */
  #share(): number {
    return (this.#random() >>> 0) / 0x1_0000_0000;
  }
}

function dailyCurve(mean: number, swing: number, peakHour: number): Curve {
  return (dayMs) => mean + swing * Math.cos(2 * Math.PI * (dayMs / HOUR_MS - peakHour) / 24);
}

function between(name: string, value: number, least: number, most: number): number {
  if (value >= least && value <= most) return value;
  throw new RangeError(`${name} is ${value}: it must be ${least} to ${most}`);
}
