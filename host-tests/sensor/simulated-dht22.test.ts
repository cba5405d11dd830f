// The simulated sensor: it keeps to the data sheet, its faults come as often as asked, a seed repeats it, and the real
// driver lives with it for a day. Runs on Node and on XS.
import t from 'tap';
import { DHT22, FAILED, READ } from '../../src/sensor/dht22.js';
import {
  NO_ANSWER, OK, Reading, TOO_SHORT, WIDTHS_MAX, WRONG_CHECKSUM, decodeFrame, decodePulses,
} from '../../src/sensor/dht22-pulses.js';
import { SimulatedDHT22, type SimulatedDHT22Options } from '../../src/sensor/simulated-dht22.js';
import { Random } from '../support/random.js';

const SEED = 20260820;
const HOUR_MS = 3_600_000;
const FAULTLESS = { missingShare: 0, shortShare: 0, corruptShare: 0 };

class House {
  nowMs = 1000;
  readonly device: SimulatedDHT22;
  readonly widths = new Uint8Array(WIDTHS_MAX);
  readonly frame = new Uint8Array(5);
  readonly reading = new Reading();

  constructor(options: Partial<SimulatedDHT22Options> = {}, seed = SEED) {
    const random = new Random(seed);
    this.device = new SimulatedDHT22({ random: () => random.next(), now: () => this.nowMs, ...options });
  }

  /** One transfer, `afterMs` later: OK or a failure. */
  transfer(afterMs: number): number {
    this.nowMs += afterMs;
    const decoded = decodePulses(this.widths, this.device.capture(this.widths), this.frame);
    return decoded === OK ? decodeFrame(this.frame, this.reading) : decoded;
  }
}

t.test('is silent until it has powered up, and when it is read again too soon', (t) => {
  const house = new House(FAULTLESS);
  t.equal(house.transfer(999), NO_ANSWER);
  t.equal(house.transfer(1), OK);
  t.equal(house.transfer(499), NO_ANSWER);
  t.equal(house.transfer(1), OK);
  t.equal(house.transfer(2000), OK);
  t.end();
});

t.test('measures with a tenth of noise', (t) => {
  const house = new House({ ...FAULTLESS, temperature: () => 20, humidity: () => 50 });
  const seen = new Set<number>();
  for (let i = 0; i < 100; i++) {
    house.transfer(2000);
    seen.add(house.reading.temperatureTenths);
    seen.add(house.reading.humidityTenths);
  }
  t.same([...seen].sort((a, b) => a - b), [199, 200, 201, 499, 500, 501]);
  t.end();
});

t.test('answers with its previous measurement', (t) => {
  let temperature = 20;
  const house = new House({ ...FAULTLESS, temperature: () => temperature, humidity: () => 50 });
  const near = (wanted: number): boolean => Math.abs(house.reading.temperatureTenths - wanted) <= 1;
  temperature = -10;
  t.equal(house.transfer(2000), OK);
  t.ok(near(200), `${house.reading.temperatureTenths}: measured at power-up`);
  temperature = 30;
  house.transfer(60_000);
  t.ok(near(-100), `${house.reading.temperatureTenths}: of a minute ago`);
  house.transfer(2000);
  t.ok(near(300));
  t.ok(Math.abs(house.reading.humidityTenths - 500) <= 1);
  t.end();
});

t.test('gives the pulses of the data sheet, with preamble and last low, jitter aside', (t) => {
  const house = new House({ ...FAULTLESS, jitterMicros: 0 });
  house.nowMs += 2000;
  t.equal(house.device.capture(house.widths), 83);
  const kinds = new Set<string>();
  for (let i = 2; i < 83; i++) kinds.add(`${i & 1} ${house.widths[i]}`);
  t.same([...kinds].sort(), ['0 50', '1 27', '1 70']);
  t.same([house.widths[0], house.widths[1]], [80, 80]);
  house.nowMs += 2000;
  t.equal(house.device.capture(new Uint8Array(10)), 10, 'never more than there is room for');
  t.end();
});

t.test('up to 6 µs of jitter are never a wrong bit', (t) => {
  const house = new House({ ...FAULTLESS, jitterMicros: 6 });
  let problem = '';
  const seen = new Set<number>();
  for (let i = 0; i < 500; i++) {
    const outcome = house.transfer(2000);
    if (outcome !== OK) problem = `${i}: ${outcome}`;
    for (let at = 2; at < 82; at += 2) seen.add(house.widths[at]!);
  }
  t.equal(problem, '');
  t.same([Math.min(...seen), Math.max(...seen)], [44, 56]);
  t.end();
});

t.test('faults come as often as asked, each of its kind', (t) => {
  const faults: [Partial<SimulatedDHT22Options>, number][] =
    [[{ missingShare: 1 }, NO_ANSWER], [{ shortShare: 1 }, TOO_SHORT], [{ corruptShare: 1 }, WRONG_CHECKSUM]];
  for (const [share, failure] of faults) {
    const house = new House({ ...FAULTLESS, ...share });
    let problem = '';
    for (let i = 0; i < 200; i++) {
      const outcome = house.transfer(2000);
      if (outcome !== failure) problem ||= `${i}: ${outcome}`;
    }
    t.equal(problem, '', `all ${failure}`);
  }
  const counts = new Map<number, number>();
  const house = new House({ missingShare: 0.1, shortShare: 0.1, corruptShare: 0.1 });
  for (let i = 0; i < 3000; i++) {
    const outcome = house.transfer(2000);
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  for (const [, failure] of faults) {
    const count = counts.get(failure) ?? 0;
    t.ok(count > 180 && count < 360, `${count} of 3,000 are ${failure}; seed ${SEED}`);
  }
  t.equal(counts.size, 4, 'and nothing else fails');
  t.end();
});

t.test('a seed repeats every pulse; another one is another room', (t) => {
  const trace = (seed: number): string => {
    const house = new House({}, seed);
    let text = '';
    for (let i = 0; i < 60; i++) {
      house.nowMs += 2000;
      const count = house.device.capture(house.widths);
      text += `${count}: ${house.widths.subarray(0, count).join()}\n`;
    }
    return text;
  };
  t.equal(trace(7), trace(7));
  t.not(trace(7), trace(8));
  t.end();
});

t.test('a day goes by: warmest and driest in the afternoon; a time lapse makes it short', (t) => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const house = new House({ ...FAULTLESS, startHour: 0, timeLapse: 1440 }, seed);
    house.transfer(1000);
    const temperatures: number[] = [];
    const humidities: number[] = [];
    for (let hour = 0; hour < 24; hour++) {
      // 2.5 s are an hour.
      house.transfer(2500);
      temperatures.push(house.reading.temperatureTenths);
      humidities.push(house.reading.humidityTenths);
    }
    const warmest = temperatures.indexOf(Math.max(...temperatures));
    const driest = humidities.indexOf(Math.min(...humidities));
    const range = Math.max(...temperatures) - Math.min(...temperatures);
    t.ok(warmest >= 11 && warmest <= 19, `seed ${seed}: warmest at ${warmest}`);
    t.ok(driest >= 11 && driest <= 19, `seed ${seed}: driest at ${driest}`);
    t.ok(range >= 18 && range <= 62, `seed ${seed}: by ${range} tenths`);
    t.ok(Math.min(...temperatures) > 130 && Math.max(...temperatures) < 270);
    t.ok(Math.min(...humidities) > 300 && Math.max(...humidities) < 700);
  }
  t.end();
});

t.test('curves are asked for the time of day, and what they say is kept within what a sensor can', (t) => {
  const hours: number[] = [];
  const house = new House({
    ...FAULTLESS, startHour: 23, timeLapse: 3600, humidity: () => 130,
    temperature: (dayMs) => {
      hours.push(dayMs / HOUR_MS);
      return -55;
    },
  });
  house.transfer(1000);
  house.transfer(1000);
  t.same(hours, [23, 0, 1]);
  t.same([house.reading.humidityTenths, house.reading.temperatureTenths], [1000, -400]);
  t.end();
});

t.test('options out of range are refused by name, number and limits', (t) => {
  const bad: [Partial<SimulatedDHT22Options>, string][] = [
    [{ missingShare: 1.1 }, 'missingShare is 1.1: it must be 0 to 1'],
    [{ shortShare: -0.1 }, 'shortShare is -0.1: it must be 0 to 1'],
    [{ corruptShare: NaN }, 'corruptShare is NaN: it must be 0 to 1'],
    [{ jitterMicros: 21 }, 'jitterMicros is 21: it must be 0 to 20'],
    [{ timeLapse: -1 }, 'timeLapse is -1: it must be 0 to 100000'],
    [{ startHour: 25 }, 'startHour is 25: it must be 0 to 24'],
  ];
  for (const [options, message] of bad) t.throws(() => new House(options), new RangeError(message));
  t.end();
});

t.test('closed, it is not read', (t) => {
  const house = new House();
  house.device.close();
  house.device.close();
  t.throws(() => house.transfer(2000), new Error('the simulated sensor is closed'));
  t.end();
});

t.test(`the driver lives with it for a day, every 10 s: readings are those of the room; seed ${SEED}`, (t) => {
  const temperature = (dayMs: number): number => 5 - 10 * Math.cos(2 * Math.PI * dayMs / (24 * HOUR_MS));
  for (const options of [{}, { missingShare: 0.2, shortShare: 0.1, corruptShare: 0.3, jitterMicros: 8 }]) {
    const house = new House({ temperature, startHour: 0, ...options });
    const startMs = house.nowMs;
    const errors: string[] = [];
    const sensor = new DHT22({
      sensor: { io: house.device }, now: () => house.nowMs, onError: (message) => { errors.push(message); },
    });
    const counts = { read: 0, failed: 0 };
    let slowestMs = 0;
    let problem = '';
    for (let at = 0; at < 24 * 360; at += 4) {
      const requestedAtMs = house.nowMs = startMs + at * 10_000;
      sensor.request();
      for (; house.nowMs < requestedAtMs + 10_000; house.nowMs += 250) {
        const answer = sensor.poll();
        if (answer === FAILED) counts.failed++;
        if (answer !== READ) continue;
        counts.read++;
        slowestMs = Math.max(slowestMs, house.nowMs - requestedAtMs);
        const wanted = 10 * temperature(sensor.measuredAtMs - startMs);
        if (Math.abs(sensor.temperatureTenths - wanted) > 2) {
          problem ||= `seed ${SEED}, ${at}: ${sensor.temperatureTenths} instead of ${wanted}`;
        }
      }
    }
    t.equal(problem, '');
    t.equal(counts.read + counts.failed, 2160, 'each request ends before the next one');
    t.equal(errors.length, counts.failed);
    t.ok(counts.failed < 2160 / 4, `${counts.failed} of 2,160 failed, the slowest reading took ${slowestMs} ms`);
  }
  t.end();
});
