// The DHT22 (AM2302): relative humidity and temperature, as an ECMA-419 sensor class. Made and
// polled by a sensor node; it has no timer of its own, time comes from `now`.
//
// What the owner does: `request()`, then `poll()` every 250 ms or so until it answers READ or
// FAILED. `sample()` is both in one, for those who like objects.
//
// What the sensor wants, and gets here without the owner knowing:
//  - rest: `powerUpMs` before the first transfer, `transferIntervalMs` between transfers, always;
//  - two transfers for one reading: it answers with its previous measurement and then makes a new
//    one. A first transfer whose answer would be old only starts a measurement, and the next one,
//    `transferIntervalMs` later, brings it. So what is requested comes 2 to 3 seconds later, from a
//    measurement made since, or not more than FRESH_MS ago.
//
// Invariant: a reading is told once, by READ, and only after every check; a request ends after
// `failuresMax` failed transfers and one that started a measurement, never later.

import {
  FRAME_BYTES, GLITCH, JUMP, OK, Reading, WIDTHS_MAX, decodeFrame, decodePulses, sentenceOf,
} from './dht22-pulses.js';

/** What `poll` answers. */
export const IDLE = 0;
export const PENDING = 1;
export const READ = 2;
export const FAILED = 3;

/** A transfer that only started a measurement. */
const STARTED = 1;
const NEVER = -Infinity;

/** The platform's side of the data line. */
export interface PulseCapture {
  /**
   * Sends the start pulse and records the answer: widths of lows and highs by turns, the first one
   * a low, in microseconds clipped to 255. Blocks for some 25 ms. Returns how many there were, at
   * most `widths.length`; 0 when nobody answers.
   */
  capture(widths: Uint8Array): number;
  close(): void;
}

export interface DHT22Settings {
  /** Rest after power came up, from construction on: 1,000 to 60,000, default 2,000. */
  powerUpMs?: number;
  /** Rest between the starts of two transfers: 2,000 to 60,000, default 2,000. */
  transferIntervalMs?: number;
  /** Failed transfers that end a request: 1 to 10, default 3. */
  failuresMax?: number;
}

/** The capture, or its class and beside it the options that its constructor takes. */
export interface DHT22Sensor {
  io: PulseCapture | (new (options: never) => PulseCapture);
  [option: string]: unknown;
}

export interface DHT22Options extends DHT22Settings {
  sensor: DHT22Sensor;
  /**
   * Milliseconds of a clock that nobody sets. If it goes back all the same, what was read before is
   * forgotten.
   */
  now: () => number;
  /**
   * Told once for each request that fails why the last transfer did, in a sentence. May call the
   * sensor.
   */
  onError?: (message: string) => void;
}

/** Units: humidity in percent, 0 to 100; temperature in degrees Celsius; both in steps of 0.1. */
export interface DHT22Sample {
  hygrometer: { humidity: number };
  thermometer: { temperature: number };
}

/** A measurement this old still counts as the present one. */
const FRESH_MS = 4000;

/**
 * The furthest that two readings of a room may lie apart: this much at once, and so much more with
 * every second. What is further must be confirmed by the next transfer, which costs two seconds, so
 * these are narrow.
 */
const JUMP_TEMPERATURE_TENTHS = 50;
const JUMP_TEMPERATURE_TENTHS_PER_SECOND = 5;
const JUMP_HUMIDITY_TENTHS = 300;
const JUMP_HUMIDITY_TENTHS_PER_SECOND = 30;
/** After more than this the room may be anywhere, and one more transfer says so. */
const JUMP_SECONDS_MAX = 20;

/**
 * Some sensors now and then send 00ff 00ff, 25.5 % and 25.5 degrees, with its right checksum. Such
 * a frame is taken only if the reading before it, or the transfer after it, is this near.
 */
const GLITCH_TENTHS = 255;
const GLITCH_TEMPERATURE_TENTHS = 10;
const GLITCH_HUMIDITY_TENTHS = 50;

export class DHT22 {
  private io: PulseCapture | undefined;
  private readonly now: () => number;
  private readonly onError: ((message: string) => void) | undefined;
  private powerUpMs = 2000;
  private transferIntervalMs = 2000;
  private failuresMax = 3;

  private readonly widths = new Uint8Array(WIDTHS_MAX);
  private readonly frame = new Uint8Array(FRAME_BYTES);
  /** What the transfer at hand says, what was taken last, and what waits to be confirmed. */
  private fresh = new Reading();
  private taken = new Reading();
  private readonly doubtful = new Reading();
  /** When `taken` and `doubtful` were measured; NEVER while there is none. */
  private takenAtMs = NEVER;
  private doubtfulAtMs = NEVER;

  private pending = false;
  private requestedAtMs = 0;
  private failures = 0;
  private lastFailure = OK;
  /** Start of the last transfer, or construction. */
  private restingSinceMs: number;
  private transferred = false;
  /** Start of the last transfer that brought 40 bits, and with it of a measurement. */
  private startedAtMs = NEVER;

  /** Throws RangeError as `configure` does, and what the constructor of the capture throws. */
  constructor(options: DHT22Options) {
    const { sensor, now, onError } = options;
    this.configure(options);
    this.now = now;
    this.onError = onError;
    this.restingSinceMs = now();
    this.io = typeof sensor.io === 'function' ? new sensor.io(sensor as never) : sensor.io;
  }

  /**
   * Changes the settings that are given, from the next transfer on. Throws RangeError, naming the
   * number and its limits, and then changes none.
   */
  configure(options: DHT22Settings): void {
    const powerUpMs = options.powerUpMs ?? this.powerUpMs;
    const transferIntervalMs = options.transferIntervalMs ?? this.transferIntervalMs;
    const failuresMax = options.failuresMax ?? this.failuresMax;
    between('powerUpMs', powerUpMs, 1000, 60_000);
    between('transferIntervalMs', transferIntervalMs, 2000, 60_000);
    between('failuresMax', failuresMax, 1, 10);
    this.powerUpMs = powerUpMs;
    this.transferIntervalMs = transferIntervalMs;
    this.failuresMax = failuresMax;
  }

  /** Gives the data line back; afterwards nothing is read. Idempotent. */
  close(): void {
    this.io?.close();
    this.io = undefined;
    this.pending = false;
  }

  /** Humidity of the last reading in tenths of a percent, 0 to 1000; NaN while there is none. */
  get humidityTenths(): number {
    return this.takenAtMs === NEVER ? NaN : this.taken.humidityTenths;
  }

  /** Temperature of the last reading in tenths of a degree, -400 to 800; NaN without a reading. */
  get temperatureTenths(): number {
    return this.takenAtMs === NEVER ? NaN : this.taken.temperatureTenths;
  }

  /** When the last reading was measured, on the clock of `now`; -Infinity while there is none. */
  get measuredAtMs(): number {
    return this.takenAtMs;
  }

  /** Why the last transfer failed, NO_ANSWER to GLITCH; OK if it did not. */
  get failure(): number {
    return this.lastFailure;
  }

  /** Asks for one reading; nothing new while one is pending. */
  request(): void {
    if (this.pending || this.io === undefined) return;
    this.pending = true;
    this.failures = 0;
    this.requestedAtMs = this.clock();
  }

  /**
   * Does what the time has come for, at most one transfer: PENDING while the reading is awaited,
   * then once READ or FAILED, else IDLE.
   */
  poll(): number {
    if (!this.pending) return IDLE;
    const nowMs = this.clock();
    const restMs = this.transferred ? this.transferIntervalMs : this.powerUpMs;
    if (nowMs - this.restingSinceMs < restMs) return PENDING;
    const outcome = this.transfer(nowMs);
    if (outcome === STARTED) return PENDING;
    this.lastFailure = outcome;
    if (outcome === OK) {
      this.pending = false;
      return READ;
    }
    if (++this.failures < this.failuresMax) return PENDING;
    this.pending = false;
    if (this.onError !== undefined) this.onError(sentenceOf(outcome));
    return FAILED;
  }

  /** The ECMA-419 way: a new reading, or undefined while it is awaited or when it failed. */
  sample(): DHT22Sample | undefined {
    this.request();
    if (this.poll() !== READ) return undefined;
    return {
      hygrometer: { humidity: this.taken.humidityTenths / 10 },
      thermometer: { temperature: this.taken.temperatureTenths / 10 },
    };
  }

  private clock(): number {
    const nowMs = this.now();
    if (nowMs < this.restingSinceMs) {
      this.restingSinceMs = nowMs;
      this.requestedAtMs = nowMs;
      this.startedAtMs = NEVER;
      this.takenAtMs = NEVER;
      this.doubtfulAtMs = NEVER;
    }
    return nowMs;
  }

  /** OK when a reading was taken, STARTED, or a failure. */
  private transfer(nowMs: number): number {
    this.restingSinceMs = nowMs;
    this.transferred = true;
    const decoded = decodePulses(this.widths, this.io!.capture(this.widths), this.frame);
    if (decoded !== OK) return decoded;
    const measuredAtMs = this.startedAtMs;
    this.startedAtMs = nowMs;
    // An owner that polls seldom makes its own measurements old; it gets them none the less.
    const old = nowMs - measuredAtMs > FRESH_MS && measuredAtMs < this.requestedAtMs;
    if (old) {
      // Too old to be told, and good enough to confirm the next one where there is none yet.
      if (decodeFrame(this.frame, this.doubtful) === OK) this.doubtfulAtMs = nowMs;
      return STARTED;
    }
    const outcome = decodeFrame(this.frame, this.fresh);
    return outcome === OK ? this.judge(measuredAtMs) : outcome;
  }

  /** Takes `fresh`, measured at `atMs`, or answers JUMP or GLITCH and waits for the next one. */
  private judge(atMs: number): number {
    const fresh = this.fresh;
    const glitch = isGlitch(fresh);
    if (
      this.takenAtMs === NEVER && this.doubtfulAtMs === NEVER && !glitch ||
      agree(this.taken, fresh, atMs - this.takenAtMs) ||
      agree(this.doubtful, fresh, atMs - this.doubtfulAtMs)
    ) {
      this.fresh = this.taken;
      this.taken = fresh;
      this.takenAtMs = atMs;
      this.doubtfulAtMs = NEVER;
      return OK;
    }
    this.doubtful.humidityTenths = fresh.humidityTenths;
    this.doubtful.temperatureTenths = fresh.temperatureTenths;
    this.doubtfulAtMs = atMs;
    return glitch ? GLITCH : JUMP;
  }
}

function isGlitch(reading: Reading): boolean {
  return reading.humidityTenths === GLITCH_TENTHS && reading.temperatureTenths === GLITCH_TENTHS;
}

/** Whether a room may get from `before` to `after` in `elapsedMs`; never if that is infinite. */
function agree(before: Reading, after: Reading, elapsedMs: number): boolean {
  if (elapsedMs === Infinity) return false;
  const seconds = Math.min(elapsedMs / 1000, JUMP_SECONDS_MAX);
  let temperatureTenths = GLITCH_TEMPERATURE_TENTHS;
  let humidityTenths = GLITCH_HUMIDITY_TENTHS;
  if (!isGlitch(after)) {
    temperatureTenths = JUMP_TEMPERATURE_TENTHS + seconds * JUMP_TEMPERATURE_TENTHS_PER_SECOND;
    humidityTenths = JUMP_HUMIDITY_TENTHS + seconds * JUMP_HUMIDITY_TENTHS_PER_SECOND;
  }
  return Math.abs(after.temperatureTenths - before.temperatureTenths) <= temperatureTenths &&
    Math.abs(after.humidityTenths - before.humidityTenths) <= humidityTenths;
}

function between(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(`${name} is ${value}: it must be a whole number, ${least} to ${most}`);
}
