// The sensor class: its rhythm against a sensor that insists on rest and answers with old measurements, its settings,
// the ECMA-419 shape. Runs on Node and on XS. What it does with failures: dht22-failures.test.ts.
import t from 'tap';
import { DHT22, FAILED, IDLE, PENDING, READ, type DHT22Settings, type PulseCapture } from '../../src/sensor/dht22.js';
import { OK } from '../../src/sensor/dht22-pulses.js';
import { Bench, settled, tenths } from './bench.js';

t.test('nothing is read before it is requested, nor before the sensor has powered up', (t) => {
  const bench = new Bench();
  const sensor = new DHT22(bench.options());
  t.same(tenths(sensor), [NaN, NaN], 'there is no number before there is a reading');
  t.equal(sensor.measuredAtMs, -Infinity);
  bench.nowMs += 500;
  t.equal(sensor.poll(), IDLE);
  sensor.request();
  for (; bench.nowMs < 102_000; bench.nowMs += 100) t.equal(sensor.poll(), PENDING);
  t.same(bench.transfersMs, [], 'two seconds of rest');
  t.equal(sensor.poll(), PENDING);
  t.same(bench.transfersMs, [102_000], 'starts a measurement');
  t.equal(sensor.failure, OK, 'which is no failure');
  t.equal(bench.until(sensor), READ);
  t.same(bench.transfersMs, [102_000, 104_000]);
  t.same(tenths(sensor), [487, 230]);
  t.equal(sensor.measuredAtMs, 102_000);
  t.equal(sensor.poll(), IDLE, 'a reading is told once');
  t.same(tenths(sensor), [487, 230], 'and stays');
  t.end();
});

t.test('a sensor that has rested answers with what was long ago: that is not a reading', (t) => {
  const { bench, sensor } = settled();
  bench.nowMs += 60_000;
  bench.room(600, 200);
  sensor.request();
  const requestedAtMs = bench.nowMs;
  t.equal(sensor.poll(), PENDING, 'gives 23.0 of a minute ago');
  t.same(tenths(sensor), [487, 230]);
  t.equal(bench.until(sensor), READ);
  t.same(tenths(sensor), [600, 200]);
  t.equal(sensor.measuredAtMs, requestedAtMs);
  t.equal(bench.nowMs - requestedAtMs, 2000, 'two seconds after it was requested');
  t.equal(bench.transfersMs.length, 2);
  t.end();
});

t.test('who reads without a pause needs one transfer for each reading', (t) => {
  const { bench, sensor } = settled();
  for (let i = 1; i <= 20; i++) {
    bench.temperature = 230 + i;
    t.equal(bench.read(sensor), READ);
    t.equal(sensor.temperatureTenths, i === 1 ? 230 : 229 + i, 'what the transfer before has measured');
    t.equal(bench.nowMs - sensor.measuredAtMs, 2000);
  }
  t.equal(bench.transfersMs.length, 20);
  t.end();
});

t.test('a measurement of up to 4 s ago is of now, an older one is not', (t) => {
  for (const pauseMs of [4000, 4001]) {
    const { bench, sensor } = settled();
    bench.nowMs += pauseMs;
    sensor.request();
    t.equal(sensor.poll(), pauseMs === 4000 ? READ : PENDING, `${pauseMs} ms`);
  }
  t.end();
});

t.test('an owner that polls seldom gets its readings, from a measurement made since it asked', (t) => {
  for (const stepMs of [1, 250, 1999, 2001, 5000, 60_000]) {
    const bench = new Bench();
    const sensor = new DHT22(bench.options());
    let problem = '';
    for (let i = 0; i < 5; i++) {
      sensor.request();
      const requestedAtMs = bench.nowMs;
      bench.temperature = 220 + i;
      if (bench.until(sensor, stepMs) !== READ) problem = `no reading ${i}`;
      if (sensor.temperatureTenths !== 220 + i) problem = `reading ${i} is ${sensor.temperatureTenths}`;
      if (sensor.measuredAtMs < requestedAtMs) problem = `reading ${i} is old`;
      bench.nowMs += 10_000;
    }
    t.equal(problem, '', `every ${stepMs} ms`);
    t.equal(bench.transfersMs.length, 10);
  }
  t.end();
});

t.test('a clock that goes back costs a rest, and what was read before is forgotten', (t) => {
  const { bench, sensor } = settled();
  bench.nowMs += 10_000;
  sensor.request();
  t.equal(sensor.poll(), PENDING);
  let fakeMs = 0;
  const clocked = new DHT22({ sensor: { io: bench }, now: () => fakeMs });
  bench.nowMs += 10_000;
  clocked.request();
  fakeMs = 2000;
  t.equal(clocked.poll(), PENDING);
  bench.nowMs += 2000;
  fakeMs = 4000;
  t.equal(clocked.poll(), READ);
  fakeMs = -500_000;
  bench.nowMs += 10;
  clocked.request();
  t.equal(clocked.poll(), PENDING, 'no transfer, whatever the clock says');
  t.same(tenths(clocked), [NaN, NaN]);
  bench.nowMs += 2000;
  fakeMs += 2000;
  t.equal(clocked.poll(), PENDING);
  bench.nowMs += 2000;
  fakeMs += 2000;
  t.equal(clocked.poll(), READ);
  t.same(tenths(clocked), [487, 230]);
  clocked.request();
  fakeMs -= 1_000_000;
  for (const wanted of [PENDING, PENDING, READ]) {
    t.equal(clocked.poll(), wanted, 'a request that was pending ends, seldom as it is polled');
    fakeMs += 5000;
    bench.nowMs += 5000;
  }
  t.end();
});

t.test('sample: a new reading as ECMA-419 has it, in percent and degrees, or undefined', (t) => {
  const bench = new Bench();
  bench.room(505, -101);
  const sensor = new DHT22(bench.options());
  const samples: unknown[] = [];
  for (let i = 0; i < 40; i++) {
    const sample = sensor.sample();
    if (sample !== undefined) samples.push(sample);
    bench.nowMs += 250;
  }
  t.same(samples[0], { hygrometer: { humidity: 50.5 }, thermometer: { temperature: -10.1 } });
  t.equal(samples.length, 2, 'at 6 and 8 s of 10: the first had another frame before it, and was confirmed');
  bench.fault = 'silent';
  for (let i = 0; i < 20; i++) {
    t.equal(sensor.sample(), undefined);
    bench.nowMs += 250;
  }
  t.end();
});

t.test('close is idempotent, and nothing is read afterwards', (t) => {
  const { bench, sensor } = settled();
  sensor.request();
  sensor.close();
  sensor.close();
  t.equal(bench.closes, 1);
  bench.nowMs += 10_000;
  sensor.request();
  t.equal(sensor.poll(), IDLE);
  t.equal(sensor.sample(), undefined);
  t.same(bench.transfersMs, []);
  t.end();
});

t.test('io may be a class: it is made with the sensor options', (t) => {
  const bench = new Bench();
  let given: unknown;
  class Capture implements PulseCapture {
    constructor(options: { pin: number }) {
      given = options.pin;
    }
    capture(widths: Uint8Array): number {
      return bench.capture(widths);
    }
    close(): void {
      bench.close();
    }
  }
  const sensor = new DHT22({ sensor: { io: Capture, pin: 4 }, now: () => bench.nowMs });
  t.equal(given, 4);
  t.equal(bench.read(sensor), READ);
  sensor.close();
  t.equal(bench.closes, 1);
  t.end();
});

t.test('settings out of range are refused by name, number and limits, and change nothing', (t) => {
  const bad: [DHT22Settings, string][] = [
    [{ powerUpMs: 999 }, 'powerUpMs is 999: it must be a whole number, 1000 to 60000'],
    [{ powerUpMs: 60_001 }, 'powerUpMs is 60001: it must be a whole number, 1000 to 60000'],
    [{ transferIntervalMs: 1999 }, 'transferIntervalMs is 1999: it must be a whole number, 2000 to 60000'],
    [{ transferIntervalMs: NaN }, 'transferIntervalMs is NaN: it must be a whole number, 2000 to 60000'],
    [{ failuresMax: 0 }, 'failuresMax is 0: it must be a whole number, 1 to 10'],
    [{ failuresMax: 2.5 }, 'failuresMax is 2.5: it must be a whole number, 1 to 10'],
    [{ failuresMax: 1, transferIntervalMs: -1 },
      'transferIntervalMs is -1: it must be a whole number, 2000 to 60000'],
  ];
  const bench = new Bench();
  const sensor = new DHT22(bench.options());
  for (const [settings, message] of bad) {
    t.throws(() => sensor.configure(settings), new RangeError(message));
    t.throws(() => new DHT22(new Bench().options(settings)), new RangeError(message));
  }
  bench.fault = 'silent';
  t.equal(bench.read(sensor), FAILED);
  t.equal(bench.transfersMs.length, 3, 'the default still');
  t.end();
});

t.test('configure changes the rests and the retries that follow', (t) => {
  const bench = new Bench();
  const sensor = new DHT22(bench.options({ powerUpMs: 5000 }));
  sensor.configure({ transferIntervalMs: 3000, failuresMax: 2 });
  bench.fault = 'silent';
  t.equal(bench.read(sensor), FAILED);
  t.same(bench.transfersMs, [105_000, 108_000]);
  bench.fault = 'none';
  sensor.configure({ transferIntervalMs: 6000 });
  t.equal(bench.read(sensor), READ, 'even when all measurements get old');
  t.same(bench.transfersMs.slice(2), [114_000, 120_000]);
  t.end();
});
