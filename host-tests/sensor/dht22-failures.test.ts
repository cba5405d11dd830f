// The sensor class when transfers fail or say what cannot be: retries, reasons, jumps no room makes, the glitch of
// 25.5. Runs on Node and on XS.
import t from 'tap';
import { DHT22, FAILED, IDLE, PENDING, READ } from '../../src/sensor/dht22.js';
import {
  ALL_ZERO, GLITCH, JUMP, NO_ANSWER, OK, TOO_SHORT, WRONG_CHECKSUM, sentenceOf,
} from '../../src/sensor/dht22-pulses.js';
import { Random } from '../support/random.js';
import { Bench, settled, tenths, type Fault } from './bench.js';

const SEED = 20260815;

t.test('failed transfers are repeated, with rest between them, then the reading comes', (t) => {
  for (const fault of ['silent', 'short', 'checksum', 'zero'] as const) {
    const { bench, sensor } = settled();
    sensor.request();
    bench.fault = fault;
    bench.nowMs += 2000;
    t.equal(sensor.poll(), PENDING, fault);
    t.ok(sensor.failure < OK);
    bench.nowMs += 2000;
    t.equal(sensor.poll(), PENDING);
    bench.fault = 'none';
    t.equal(bench.until(sensor), READ);
    t.equal(sensor.failure, OK);
    t.ok(bench.transfersMs.length <= 4, `${bench.transfersMs.length} transfers`);
    t.same(bench.errors, [], 'what went well in the end is no error');
  }
  t.end();
});

t.test('retries are bounded; a failure is told once, with its reason, and never as a number', (t) => {
  const reasons = { silent: NO_ANSWER, short: TOO_SHORT, checksum: WRONG_CHECKSUM, zero: ALL_ZERO };
  for (const fault of ['silent', 'short', 'checksum', 'zero'] as const) {
    for (const failuresMax of [1, 3, 10]) {
      const bench = new Bench();
      const sensor = new DHT22(bench.options({ failuresMax }));
      bench.fault = fault;
      t.equal(bench.read(sensor), FAILED, `${fault}, ${failuresMax}`);
      // A frame of 40 bits, right or wrong, has started a measurement and was not asked for its value.
      const started = fault === 'checksum' || fault === 'zero' ? 1 : 0;
      t.equal(bench.transfersMs.length, failuresMax + started);
      t.same(bench.errors, [sentenceOf(reasons[fault])]);
      t.equal(sensor.failure, reasons[fault]);
      t.same(tenths(sensor), [NaN, NaN]);
      t.equal(sensor.poll(), IDLE);
      bench.fault = 'none';
      t.equal(bench.read(sensor), READ, 'and the next request reads');
      t.equal(bench.errors.length, 1);
    }
  }
  t.end();
});

t.test('after a failure the last good reading stays, with its age', (t) => {
  const { bench, sensor } = settled();
  const measuredAtMs = sensor.measuredAtMs;
  bench.nowMs += 10_000;
  bench.fault = 'silent';
  t.equal(bench.read(sensor), FAILED);
  t.same(tenths(sensor), [487, 230]);
  t.equal(sensor.measuredAtMs, measuredAtMs);
  t.end();
});

t.test('onError may request again, close, and is not needed', (t) => {
  const bench = new Bench();
  bench.fault = 'silent';
  const again = new DHT22({ ...bench.options(), onError: () => again.request() });
  t.equal(bench.read(again), FAILED);
  t.equal(again.poll(), PENDING);
  const other = new Bench();
  other.fault = 'silent';
  const closing = new DHT22({ ...other.options(), onError: () => closing.close() });
  t.equal(other.read(closing), FAILED);
  t.equal(closing.poll(), IDLE);
  const third = new Bench();
  third.fault = 'silent';
  t.equal(third.read(new DHT22({ sensor: { io: third }, now: () => third.nowMs })), FAILED);
  t.end();
});

t.test('a jump no room makes is refused, and forgotten when the next transfer says otherwise', (t) => {
  for (const [humidity, temperature] of [[487, 300], [487, 160], [900, 230], [100, 230]] as const) {
    const { bench, sensor } = settled();
    bench.hold(humidity, temperature);
    sensor.request();
    bench.nowMs += 2000;
    t.equal(sensor.poll(), PENDING, `${humidity}, ${temperature}`);
    t.equal(sensor.failure, JUMP);
    t.same(tenths(sensor), [487, 230]);
    t.equal(bench.until(sensor), READ);
    t.same(tenths(sensor), [487, 230]);
    t.equal(bench.transfersMs.length, 2);
  }
  t.end();
});

t.test('a jump that the next transfer confirms is taken', (t) => {
  const { bench, sensor } = settled();
  bench.hold(900, 300);
  bench.room(890, 310);
  sensor.request();
  bench.nowMs += 2000;
  t.equal(sensor.poll(), PENDING);
  t.equal(bench.until(sensor), READ);
  t.same(tenths(sensor), [890, 310]);
  t.end();
});

t.test('jumps here and there are all refused, and the request fails', (t) => {
  const { bench, sensor } = settled();
  sensor.request();
  for (const temperature of [400, 100, 600]) {
    bench.nowMs += 2000;
    bench.hold(487, temperature);
    t.equal(sensor.poll(), temperature === 600 ? FAILED : PENDING);
  }
  t.same(bench.errors, [sentenceOf(JUMP)]);
  t.same(tenths(sensor), [487, 230]);
  t.end();
});

t.test('how far a room may get grows with the time: 5 degrees and one more in 2 s, 30 % and 6 % more', (t) => {
  const after2s: [number, number, boolean][] =
    [[487, 290, true], [487, 291, false], [847, 230, true], [848, 230, false], [127, 170, true], [127, 169, false]];
  for (const [humidity, temperature, taken] of after2s) {
    const { bench, sensor } = settled();
    bench.nowMs += 2000;
    bench.hold(humidity, temperature);
    sensor.request();
    // Measured 2 s after the first reading was.
    t.equal(sensor.poll() === READ, taken, `${humidity}, ${temperature}`);
  }
  const { bench, sensor } = settled();
  bench.room(900, 430);
  bench.nowMs += 60_000;
  t.equal(bench.read(sensor), READ, '20 degrees in a minute, when the next transfer says so, too');
  t.equal(bench.transfersMs.length, 3);
  t.end();
});

t.test('a single wrong frame is not believed, after whatever time', (t) => {
  for (const pauseMs of [2000, 10_000, 120_000, 3_600_000]) {
    const { bench, sensor } = settled();
    bench.nowMs += pauseMs;
    sensor.request();
    if (pauseMs > 4000) t.equal(sensor.poll(), PENDING, 'this one starts a measurement');
    bench.hold(100, 750);
    bench.nowMs += 2000;
    t.equal(sensor.poll(), PENDING, `after ${pauseMs} ms`);
    t.equal(sensor.failure, JUMP);
    t.equal(bench.until(sensor), READ);
    t.same(tenths(sensor), [487, 230]);
  }
  t.end();
});

t.test('nor as the first reading, beside the one that the sensor had at the start', (t) => {
  const bench = new Bench();
  const sensor = new DHT22(bench.options());
  sensor.request();
  bench.nowMs += 2000;
  t.equal(sensor.poll(), PENDING);
  bench.hold(100, 750);
  bench.nowMs += 2000;
  t.equal(sensor.poll(), PENDING);
  t.equal(sensor.failure, JUMP);
  t.equal(bench.until(sensor), READ);
  t.same(tenths(sensor), [487, 230]);
  t.end();
});

t.test('25.5 % at 25.5 degrees is taken only beside a reading near it', (t) => {
  const { bench, sensor } = settled();
  bench.nowMs += 10_000;
  sensor.request();
  sensor.poll();
  bench.hold(255, 255);
  bench.nowMs += 2000;
  t.equal(sensor.poll(), PENDING);
  t.equal(sensor.failure, GLITCH, 'though no jump that a room could not make');
  t.equal(bench.until(sensor), READ);
  t.same(tenths(sensor), [487, 230], 'a glitch: the next transfer says so');
  bench.hold(255, 255);
  sensor.request();
  bench.nowMs += 2000;
  t.equal(sensor.poll(), PENDING, 'and so is the next one, which the first does not confirm');
  t.equal(bench.until(sensor), READ);
  t.same(tenths(sensor), [487, 230]);

  bench.nowMs += 60_000;
  bench.room(257, 254);
  t.equal(bench.read(sensor), READ);
  bench.room(255, 255);
  bench.nowMs += 10_000;
  bench.transfersMs.length = 0;
  t.equal(bench.read(sensor), READ);
  t.same(tenths(sensor), [255, 255], 'a room that gets there');
  t.equal(bench.transfersMs.length, 2, 'without a retry');

  const first = new Bench();
  first.room(255, 255);
  const fresh = new DHT22(first.options());
  t.equal(first.read(fresh), READ);
  t.equal(first.transfersMs.length, 3, 'as the very first reading it must be confirmed');
  t.same(tenths(fresh), [255, 255]);
  t.end();
});

t.test(`whatever fails, whenever it is polled: rests are kept, requests end, readings are true; seed ${SEED}`, (t) => {
  const random = new Random(SEED);
  const faults: readonly Fault[] = ['none', 'none', 'silent', 'short', 'checksum', 'zero'];
  let problem = '';
  for (let run = 0; run < 30 && problem === ''; run++) {
    const bench = new Bench();
    const failuresMax = random.between(1, 5);
    const sensor = new DHT22(bench.options({ failuresMax }));
    const counts = [0, 0, 0, 0];
    let pending = false;
    let requestedAtMs = 0;
    let transfers = 0;
    // What the room was like at each transfer.
    const measured = new Map<number, number>();
    for (let step = 0; step < 400 && problem === ''; step++) {
      bench.nowMs += random.pick([1, 50, 250, 250, 1000, 7000]);
      bench.fault = random.pick(faults);
      bench.temperature = Math.max(-400, Math.min(bench.temperature + random.between(-3, 3), 800));
      if (random.chance(30)) {
        sensor.request();
        if (!pending) {
          requestedAtMs = bench.nowMs;
          transfers = bench.transfersMs.length;
        }
        pending = true;
      }
      const answer = sensor.poll();
      counts[answer]!++;
      if (pending === (answer === IDLE)) problem = `seed ${SEED}, ${run}, ${step}: answers ${answer}`;
      pending = answer === PENDING;
      if (bench.transfersMs.at(-1) === bench.nowMs) measured.set(bench.nowMs, bench.temperature);
      if (bench.transfersMs.length - transfers > failuresMax + 1) problem = `seed ${SEED}, ${run}, ${step}: goes on`;
      if (answer !== READ) continue;
      if (sensor.measuredAtMs < requestedAtMs - 4000) problem = `seed ${SEED}, ${run}, ${step}: old`;
      if (Math.abs(sensor.temperatureTenths - measured.get(sensor.measuredAtMs)!) > 60) {
        problem = `seed ${SEED}, ${run}, ${step}: ${sensor.temperatureTenths}`;
      }
    }
    if (counts[FAILED] !== bench.errors.length) problem ||= `seed ${SEED}, ${run}: errors`;
    if (counts[READ] === 0) problem ||= `seed ${SEED}, ${run}: no reading`;
  }
  t.equal(problem, '');
  t.end();
});
