// From the pulses of a DHT22 to five bytes, and from these to a reading: every public frame, every encoding, pulses
// that are off, lost, stuck and cut short. Runs on Node and on XS.
import t from 'tap';
import * as pulses from '../../src/sensor/dht22-pulses.js';
import { fromHex, toHex } from '../support/packets.js';
import { Random } from '../support/random.js';
import vectors from '../vectors/dht22.json' with { type: 'json' };
import { ENCODINGS, TRAINS, bitOf, frameOf, pulsesOf, trainTitle } from './pulse-trains.js';

const {
  OK, NO_ANSWER, TOO_SHORT, TOO_LONG, STUCK, WRONG_CHECKSUM, ALL_ZERO, WIDTHS_MAX, GLITCH, Reading, decodeFrame,
  decodePulses, sentenceOf,
} = pulses;

const SEED = 20260801;

interface Vector {
  title: string;
  hex: string;
  outcome: string;
  humidityTenths?: number;
  temperatureTenths?: number;
}

/** What a frame must decode to, as `read` writes it. */
function wantedOf(vector: Vector): string {
  if (vector.outcome === 'OK') return `${vector.humidityTenths} ${vector.temperatureTenths}`;
  return `${(pulses as unknown as Record<string, number>)[vector.outcome]}`;
}

/** Decodes all the way: both numbers, or the failure. */
function read(widths: Uint8Array, count = widths.length): string {
  const room = new Uint8Array(WIDTHS_MAX).fill(50);
  room.set(widths.length > WIDTHS_MAX ? widths.slice(0, WIDTHS_MAX) : widths);
  const frame = new Uint8Array(5);
  const decoded = decodePulses(room, Math.min(count, WIDTHS_MAX), frame);
  return decoded === OK ? readFrame(frame) : `${decoded}`;
}

function readFrame(frame: Uint8Array): string {
  const reading = new Reading();
  const outcome = decodeFrame(frame, reading);
  return outcome === OK ? `${reading.humidityTenths} ${reading.temperatureTenths}` : `${outcome}`;
}

const isFailure = (outcome: string): boolean => !outcome.includes(' ');

/** A frame of a reading that a sensor can give, in one of the encodings. */
function randomFrame(random: Random): { frame: Uint8Array; wanted: string } {
  const humidity = random.between(1, 1000);
  const temperature = random.between(-400, 800);
  const encoding = ENCODINGS[random.pick(Object.keys(ENCODINGS))]!;
  return { frame: frameOf(humidity, encoding(temperature)), wanted: `${humidity} ${temperature}` };
}

t.test('every public frame and every border, from bytes and from all kinds of captures', (t) => {
  for (const vector of vectors as Vector[]) {
    const frame = fromHex(vector.hex);
    t.equal(readFrame(frame), wantedOf(vector), vector.title);
    for (const train of TRAINS) {
      if (bitOf(frame, 0) === 1 && !train.preamble) continue;
      t.equal(read(pulsesOf(frame, train)), wantedOf(vector), `${vector.title}, ${trainTitle(train)}`);
    }
  }
  t.end();
});

t.test('without a preamble, a first bit that is 1 is no humidity and no reading', (t) => {
  for (const train of TRAINS.filter(({ preamble }) => !preamble)) {
    t.equal(read(pulsesOf(frameOf(0x8000, 215), train)), `${TOO_SHORT}`, trainTitle(train));
  }
  t.end();
});

t.test('all temperatures in all encodings, and all humidities', (t) => {
  for (const name of Object.keys(ENCODINGS)) {
    let problem = '';
    for (let tenths = -400; tenths <= 800; tenths++) {
      const outcome = readFrame(frameOf(500, ENCODINGS[name]!(tenths)));
      if (outcome !== `500 ${tenths}`) problem ||= `${tenths}: ${outcome}`;
    }
    t.equal(problem, '', name);
  }
  let problem = '';
  for (let tenths = 0; tenths <= 1000; tenths++) {
    if (readFrame(frameOf(tenths, 215)) !== `${tenths} 215`) problem ||= `${tenths}`;
  }
  t.equal(problem, '', 'humidities');
  t.end();
});

t.test('of all words, those are temperatures that one of the encodings makes', (t) => {
  const made = new Set<number>([0x8000]);
  for (const name of Object.keys(ENCODINGS)) {
    for (let tenths = -400; tenths <= 800; tenths++) made.add(ENCODINGS[name]!(tenths));
  }
  const reading = new Reading();
  let problem = '';
  for (let word = 0; word <= 0xffff; word++) {
    const taken = decodeFrame(frameOf(500, word), reading) === OK;
    if (taken !== made.has(word)) problem ||= `${word.toString(16)} taken: ${taken}`;
  }
  t.equal(problem, '');
  t.equal(made.size, 801 + 4 * 400 + 1);
  t.end();
});

t.test(`pulses that are each up to 30 % off, in any way, read right; seed ${SEED}`, (t) => {
  const random = new Random(SEED);
  let problem = '';
  for (let i = 0; i < 4000; i++) {
    const { frame, wanted } = randomFrame(random);
    const train = random.pick(TRAINS);
    const widths = pulsesOf(frame, train, (micros) => micros * random.between(700, 1300) / 1000);
    const outcome = read(widths);
    if (outcome !== wanted) problem ||= `seed ${SEED}, ${i}: ${toHex(frame)} ${trainTitle(train)} read ${outcome}`;
  }
  t.equal(problem, '');
  t.end();
});

t.test('the corners of 30 %: all lows and all highs at their shortest and longest', (t) => {
  const random = new Random(SEED + 1);
  for (const lows of [0.7, 1, 1.3]) {
    for (const highs of [0.7, 1, 1.3]) {
      let problem = '';
      for (let i = 0; i < 40; i++) {
        const { frame, wanted } = randomFrame(random);
        const widths = pulsesOf(frame, TRAINS[i & 3], (micros, index) => micros * ((index & 1) === 0 ? lows : highs));
        if (read(widths) !== wanted) problem ||= `seed ${SEED + 1}, ${i}: ${toHex(frame)} read ${read(widths)}`;
      }
      t.equal(problem, '', `lows × ${lows}, highs × ${highs}`);
    }
  }
  t.end();
});

t.test('a clock that is wrong for all pulses alike, from half to double, does not matter', (t) => {
  const random = new Random(SEED + 2);
  for (let percent = 50; percent <= 200; percent += 5) {
    let problem = '';
    for (let i = 0; i < 20; i++) {
      const { frame, wanted } = randomFrame(random);
      const widths = pulsesOf(frame, TRAINS[i & 3], (micros) => micros * percent / 100);
      if (read(widths) !== wanted) problem ||= `seed ${SEED + 2}, ${i}: ${toHex(frame)} read ${read(widths)}`;
    }
    t.equal(problem, '', `${percent} %`);
  }
  t.end();
});

t.test('a frame with any one bit wrong is refused', (t) => {
  const random = new Random(SEED + 3);
  let problem = '';
  for (let i = 0; i < 300; i++) {
    const { frame } = randomFrame(random);
    for (let bit = 0; bit < 40; bit++) {
      const wrong = frame.slice();
      wrong[bit >> 3]! ^= 0x80 >> (bit & 7);
      if (readFrame(wrong) !== `${WRONG_CHECKSUM}`) problem ||= `seed ${SEED + 3}: ${toHex(wrong)} of ${toHex(frame)}`;
      const outcome = read(pulsesOf(wrong, TRAINS[i & 3]));
      if (!isFailure(outcome)) problem ||= `seed ${SEED + 3}: pulses of ${toHex(wrong)} read ${outcome}`;
    }
  }
  t.equal(problem, '');
  t.end();
});

t.test('a frame with any one pulse of any other width reads right or not at all', (t) => {
  const random = new Random(SEED + 4);
  let problem = '';
  let refused = 0;
  for (let i = 0; i < 16; i++) {
    const { frame, wanted } = randomFrame(random);
    const off = random.between(75, 125) / 100;
    const widths = pulsesOf(frame, TRAINS[i & 3], (micros) => micros * off);
    for (let at = 0; at < widths.length; at++) {
      const before = widths[at]!;
      for (let micros = 0; micros <= 255; micros += random.between(3, 9)) {
        widths[at] = micros;
        const outcome = read(widths);
        if (isFailure(outcome)) refused++;
        else if (outcome !== wanted) problem ||= `seed ${SEED + 4}: ${toHex(frame)}, ${at}: ${micros} read ${outcome}`;
      }
      widths[at] = before;
    }
  }
  t.equal(problem, '');
  t.ok(refused > 0, `${refused} refused`);
  t.end();
});

t.test('a capture cut short at any width is refused, whether or not it began with a preamble', (t) => {
  const random = new Random(SEED + 5);
  for (const train of TRAINS) {
    let problem = '';
    for (let i = 0; i < 60; i++) {
      const { frame } = randomFrame(random);
      const off = random.between(70, 130) / 100;
      const widths = pulsesOf(frame, train, (micros) => micros * off);
      const last = widths.length - (train.end ? 2 : 1);
      for (let count = 0; count <= last; count++) {
        const outcome = read(widths, count);
        if (outcome !== `${count === 0 ? NO_ANSWER : TOO_SHORT}`) {
          problem ||= `seed ${SEED + 5}: ${toHex(frame)}, ${count} widths read ${outcome}`;
        }
      }
    }
    t.equal(problem, '', trainTitle(train));
  }
  t.end();
});

t.test('a capture that lost a bit, or a high and the next low, or has a bit more, reads right or not at all', (t) => {
  const random = new Random(SEED + 6);
  let problem = '';
  for (let i = 0; i < 40; i++) {
    const { frame, wanted } = randomFrame(random);
    const train = TRAINS[i & 3]!;
    const widths = [...pulsesOf(frame, train)];
    for (let at = 0; at + 2 <= widths.length - (train.end ? 1 : 0); at++) {
      const fewer = read(Uint8Array.from([...widths.slice(0, at), ...widths.slice(at + 2)]));
      if (!isFailure(fewer) && fewer !== wanted) problem ||= `${toHex(frame)} without ${at} read ${fewer}`;
      const more = read(Uint8Array.from([...widths.slice(0, at), 50, 27, ...widths.slice(at)]));
      if (!isFailure(more) && more !== wanted) problem ||= `${toHex(frame)} and more at ${at} read ${more}`;
    }
  }
  t.equal(problem, '', `seed ${SEED + 6}`);
  const long = pulsesOf(frameOf(487, 230));
  t.equal(read(Uint8Array.from([...long, 40])), `${TOO_LONG}`, 'a high after the last low');
  t.equal(read(new Uint8Array(200).fill(60)), `${TOO_LONG}`);
  t.end();
});

t.test('a line that is stuck, silent or noise is never a reading', (t) => {
  t.equal(read(new Uint8Array(0)), `${NO_ANSWER}`);
  t.equal(read(Uint8Array.of(255)), `${TOO_SHORT}`);
  const problems: string[] = [];
  for (let micros = 0; micros <= 255; micros++) {
    for (let count = 0; count <= WIDTHS_MAX; count++) {
      const outcome = read(new Uint8Array(count).fill(micros));
      if (!isFailure(outcome)) problems.push(`${count} of ${micros}: ${outcome}`);
    }
  }
  t.equal(problems.join(), '', 'all widths alike');
  const good = pulsesOf(frameOf(487, 230));
  for (const micros of [0, 255]) {
    for (const at of [0, 2, 3, 40, 81]) {
      const widths = good.slice();
      widths[at] = micros;
      t.equal(read(widths), `${STUCK}`, `width ${at} is ${micros}`);
    }
  }
  good[82] = 255;
  t.equal(read(good), '487 230', 'how long the last low is does not matter');
  t.equal(read(pulsesOf(new Uint8Array(5))), `${ALL_ZERO}`);
  t.end();
});

t.test('a failure leaves the reading alone', (t) => {
  const reading = new Reading();
  decodeFrame(frameOf(487, 230), reading);
  for (const { hex, outcome } of vectors as Vector[]) {
    if (outcome !== 'OK') t.ok(decodeFrame(fromHex(hex), reading) < OK, outcome);
  }
  t.same([reading.humidityTenths, reading.temperatureTenths], [487, 230]);
  t.end();
});

t.test('each failure has a sentence of its own', (t) => {
  const sentences = new Set<string>();
  for (let failure = NO_ANSWER; failure >= GLITCH; failure--) sentences.add(sentenceOf(failure));
  t.equal(sentences.size, -GLITCH);
  t.notOk(sentences.has('') || sentences.has(undefined as unknown as string));
  t.equal(sentenceOf(WRONG_CHECKSUM), 'the checksum is wrong');
  t.end();
});
