// A DHT22 by the data sheet with its clock, for the tests of the driver: strict about rest, with faults to order.
import {
  DHT22, PENDING, READ, type DHT22Options, type DHT22Settings, type PulseCapture,
} from '../../src/sensor/dht22.js';
import { frameOf, pulsesOf } from './pulse-trains.js';

export type Fault = 'none' | 'silent' | 'short' | 'checksum' | 'zero';

/**
 * A sensor by the data sheet, and its clock. Answers with its previous measurement; throws when it gets less rest than
 * it wants, or is read after it was closed.
 */
export class Bench implements PulseCapture {
  nowMs = 100_000;
  /** What is in the room, in tenths. */
  humidity = 487;
  temperature = 230;
  fault: Fault = 'none';
  /** Rests to insist on. */
  powerUpMs = 2000;
  transferIntervalMs = 2000;
  transfersMs: number[] = [];
  closes = 0;
  errors: string[] = [];
  /** What it measured at the transfer before. */
  #held: Uint8Array;
  #restUntilMs: number;

  constructor() {
    this.#held = frameOf(this.humidity, this.temperature);
    this.#restUntilMs = this.nowMs + this.powerUpMs;
  }

  capture(widths: Uint8Array): number {
    if (this.closes > 0) throw new Error('read after close');
    if (this.nowMs < this.#restUntilMs) throw new Error(`read ${this.#restUntilMs - this.nowMs} ms too early`);
    this.#restUntilMs = this.nowMs + this.transferIntervalMs;
    this.transfersMs.push(this.nowMs);
    if (this.fault === 'silent') return 0;
    const frame = this.fault === 'zero' ? new Uint8Array(5) : this.#held.slice();
    if (this.fault === 'checksum') frame[4]!++;
    const pulses = pulsesOf(frame);
    const count = this.fault === 'short' ? 50 : pulses.length;
    widths.set(pulses.subarray(0, count));
    this.#held = frameOf(this.humidity, this.temperature < 0 ? 0x8000 | -this.temperature : this.temperature);
    return count;
  }

  close(): void {
    this.closes++;
  }

  /** The sensor sends this next, whatever the room is like. */
  hold(humidity: number, temperature: number): void {
    this.#held = frameOf(humidity, temperature);
  }

  room(humidity: number, temperature: number): void {
    this.humidity = humidity;
    this.temperature = temperature;
  }

  options(settings: DHT22Settings = {}): DHT22Options {
    return {
      ...settings, sensor: { io: this }, now: () => this.nowMs, onError: (message) => { this.errors.push(message); },
    };
  }

  /** Polls every `stepMs` until there is an answer. */
  until(sensor: DHT22, stepMs = 250): number {
    for (let i = 0; i < 10_000; i++) {
      const answer = sensor.poll();
      if (answer !== PENDING) return answer;
      this.nowMs += stepMs;
    }
    throw new Error('no answer');
  }

  read(sensor: DHT22, stepMs = 250): number {
    sensor.request();
    return this.until(sensor, stepMs);
  }
}

export const tenths = (sensor: DHT22): number[] => [sensor.humidityTenths, sensor.temperatureTenths];

/** A sensor that has read 48.7 % and 23.0 degrees. */
export function settled(settings: DHT22Settings = {}): { bench: Bench; sensor: DHT22 } {
  const bench = new Bench();
  const sensor = new DHT22(bench.options(settings));
  if (bench.read(sensor) !== READ) throw new Error('no first reading');
  bench.transfersMs.length = 0;
  return { bench, sensor };
}
