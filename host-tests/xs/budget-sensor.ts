// What the sensor costs on XS, in XS only: proof that a poll, a transfer and a decode allocate nothing, whether they
// bring a reading or a failure, and their bytecodes. Run by suites.ts.
import tap from 'tap';
import {
  DHT22, FAILED, IDLE, PENDING, READ, type PulseCapture,
} from '../../src/sensor/dht22.js';
import { GLITCH, OK, Reading, decodeFrame, decodePulses, sentenceOf } from '../../src/sensor/dht22-pulses.js';
import { frameOf, pulsesOf } from '../sensor/pulse-trains.js';
import { freeFor } from './measure.js';

/** 1,000 operations against 2,000 of them. */
const OPERATIONS = 1000;

/** Answers always with the same pulses. */
class Fixed implements PulseCapture {
  pulses: Uint8Array;
  count: number;
  transfers = 0;

  constructor(pulses: Uint8Array) {
    this.pulses = pulses;
    this.count = pulses.length;
  }

  capture(widths: Uint8Array): number {
    this.transfers++;
    widths.set(this.pulses);
    return this.count;
  }

  close(): void {}
}

let nowMs = 0;
let told = 0;
const now = (): number => nowMs;
const onError = (): void => { told++; };

const free = freeFor(OPERATIONS);

tap.test('decoding allocates nothing', (t) => {
  const frame = new Uint8Array(5);
  const reading = new Reading();
  const widths = pulsesOf(frameOf(487, 0x8065));
  const cost = free(t, 'from pulses to a reading', () => {
    decodePulses(widths, widths.length, frame);
    decodeFrame(frame, reading);
  });
  t.same([reading.humidityTenths, reading.temperatureTenths], [487, -101]);
  t.ok(cost.bytecodes <= 8000, `${cost.bytecodes} bytecodes, at most 8,000: some 100 for each of 83 widths`);
  const slow = widths.map((micros) => Math.min(255, 2 * micros));
  free(t, 'with a clock that is wrong', () => {
    decodePulses(slow, slow.length, frame);
    decodeFrame(frame, reading);
  });
  free(t, 'a capture that is cut short', () => { decodePulses(widths, 60, frame); });
  t.end();
});

tap.test('readings allocate nothing', (t) => {
  const capture = new Fixed(pulsesOf(frameOf(487, 230)));
  const sensor = new DHT22({ sensor: { io: capture }, now, onError });
  let answers = 0;
  free(t, 'polls without a request', () => { if (sensor.poll() === IDLE) answers++; });
  t.equal(answers, 5 * OPERATIONS);
  answers = 0;
  sensor.request();
  free(t, 'polls before it is time', () => { if (sensor.poll() === PENDING) answers++; });
  t.equal(answers, 5 * OPERATIONS);
  t.equal(capture.transfers, 0);
  nowMs += 2000;
  sensor.poll();
  nowMs += 2000;
  t.equal(sensor.poll(), READ);
  answers = 0;
  let sum = 0;
  free(t, 'a request, two transfers and a reading', () => {
    nowMs += 10_000;
    sensor.request();
    sensor.poll();
    nowMs += 2000;
    if (sensor.poll() === READ) answers++;
    sum += sensor.humidityTenths + sensor.temperatureTenths + sensor.measuredAtMs % 2;
  });
  t.equal(answers, 5 * OPERATIONS);
  t.equal(sum, 5 * OPERATIONS * (487 + 230));
  t.equal(capture.transfers, 2 + 2 * 5 * OPERATIONS);
  t.end();
});

tap.test('failures allocate nothing', (t) => {
  const good = pulsesOf(frameOf(487, 230));
  const bad = pulsesOf(Uint8Array.of(1, 2, 3, 4, 5));
  const capture = new Fixed(good);
  const sensor = new DHT22({ sensor: { io: capture }, now, onError });
  let answers = 0;
  const request = (): void => {
    sensor.request();
    for (let i = 0; i < 4; i++) {
      nowMs += 2000;
      if (sensor.poll() === FAILED) answers++;
    }
  };
  capture.pulses = bad;
  free(t, 'wrong checksums', request);
  capture.count = 0;
  free(t, 'no answers', request);
  t.ok(answers >= 2 * 5 * OPERATIONS - 2, `${answers} failed`);
  t.equal(told, answers);

  capture.count = good.length;
  const hot = pulsesOf(frameOf(487, 800));
  const glitch = pulsesOf(frameOf(255, 255));
  answers = 0;
  free(t, 'jumps and glitches, refused and confirmed', () => {
    for (let i = 0; i < 6; i++) {
      capture.pulses = i < 2 ? good : i < 4 ? hot : glitch;
      sensor.request();
      nowMs += 2000;
      if (sensor.poll() === READ) answers++;
    }
  });
  t.ok(answers > 5 * OPERATIONS, `${answers} readings`);
  t.ok(sensor.failure >= GLITCH && sensor.failure <= OK);
  t.not(sentenceOf(GLITCH), '');
  t.end();
});
