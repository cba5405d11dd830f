// The C source that reads a DHT22 on a board, compiled for this computer over a fake line, clock and interrupt mask
// (dht22-capture.c): what it stores, that it never waits for long, that interrupts come back. What the fake cannot show
// is the pin itself; dht22-capture-compiles.test.ts shows that its code compiles.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import {
  NO_ANSWER, OK, Reading, STUCK, TOO_LONG, TOO_SHORT, WIDTHS_MAX, WRONG_CHECKSUM, decodeFrame, decodePulses,
} from '../../src/sensor/dht22-pulses.js';
import { frameOf, pulsesOf } from '../sensor/pulse-trains.js';
import { fromHex, toHex } from '../support/packets.js';
import { Random } from '../support/random.js';

declare const HOST_TESTS: string;

const SEED = 20261121;
const COMPILER = 'cc';

/** As in dht22-edges.h. */
const START_MICROS = 2000;
const FRAME_MICROS_MAX = 6000;
const GLITCH_MICROS = 2;

const folder = mkdtempSync(join(tmpdir(), 'maisonnette-dht22-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const program = join(folder, 'fake');

function compile(): string | undefined {
  if (spawnSync(COMPILER, ['--version']).status !== 0) return `no C compiler "${COMPILER}" (Debian: gcc, libc6-dev)`;
  const { status, stderr } = spawnSync(COMPILER, ['-std=c99', '-O1', '-Wall', '-Wextra', '-Werror', '-o', program,
    `-I${join(dirname(HOST_TESTS), 'src', 'moddable', 'dht22')}`, join(HOST_TESTS, 'moddable', 'dht22-capture.c')],
  { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return undefined;
}

const missing = compile();
if (missing !== undefined) process.stderr.write(`not run: the DHT22 capture over a fake line: ${missing}\n`);

interface Scenario {
  /** A low, a high and so on, from when the line is let go; the last one stays. */
  levelsMicros: readonly number[];
  cyclesPerMicro?: number;
  counter?: number;
  lookNanos?: number;
  widthsMax?: number;
  /** Shorted to low or high. */
  wire?: 0 | 1;
  /** Nothing is executed for so long, as by an interrupt that cannot be masked. */
  awayAtMicros?: number;
  awayMicros?: number;
}

interface Captured {
  widths: Uint8Array;
  maskedMicros: number;
  totalMicros: number;
  lowMicros: number;
}

const nanos = (micros: number): number => Math.round(micros * 1000);

/** Captures them all, and holds what is true of each: no fault, and every time within its bound. */
function captureAll(t: Test, scenarios: readonly Scenario[]): Captured[] {
  const input = scenarios.map((it) => [it.cyclesPerMicro ?? 80, it.counter ?? 0, it.lookNanos ?? 250,
    it.widthsMax ?? WIDTHS_MAX, it.wire ?? 2, nanos(it.awayAtMicros ?? 0), nanos(it.awayMicros ?? 0),
    it.levelsMicros.length, ...it.levelsMicros.map(nanos)].join(' '));
  const { status, stdout, stderr } = spawnSync(program, { input: `${input.join('\n')}\n`, encoding: 'utf8' });
  if (status !== 0) throw new Error(`exit ${status}: ${stderr}`);
  const lines = stdout.trimEnd().split('\n');
  t.equal(lines.length, scenarios.length, 'an answer for each');
  return lines.map((line, index) => {
    const [count, maskedNanos, totalNanos, lowNanos, faults, ...widths] = line.split(' ').map(Number);
    const told = `${line} for ${input[index]}`;
    if (faults !== 0) t.fail(`a fault: ${told}`);
    if (count !== widths.length) t.fail(`another count: ${told}`);
    const { awayMicros = 0, lookNanos = 250 } = scenarios[index]!;
    const lateNanos = nanos(awayMicros) + 3 * (lookNanos + 13);
    const maskedNanosMax = nanos(FRAME_MICROS_MAX + GLITCH_MICROS) + lateNanos;
    if (maskedNanos! > maskedNanosMax) t.fail(`masked for more than ${maskedNanosMax}: ${told}`);
    if (totalNanos! > nanos(START_MICROS) + maskedNanosMax) t.fail(`takes too long: ${told}`);
    return {
      widths: Uint8Array.from(widths), maskedMicros: maskedNanos! / 1000, totalMicros: totalNanos! / 1000,
      lowMicros: lowNanos! / 1000,
    };
  });
}

const capture = (t: Test, scenario: Scenario): Captured => captureAll(t, [scenario])[0]!;

/** The frame that was captured, in hex, or the failure. */
function decoded({ widths }: Captured): string {
  const room = new Uint8Array(WIDTHS_MAX);
  room.set(widths.subarray(0, WIDTHS_MAX));
  const frame = new Uint8Array(5);
  const outcome = decodePulses(room, widths.length, frame);
  return outcome === OK ? toHex(frame) : `${outcome}`;
}

const RISE_MICROS = 0.5;
const WAIT_MICROS = 30;

/** A sensor's answer: our low until the line has risen, its silence, its 83 levels, and rest. */
function answer(pulses: ArrayLike<number>): number[] {
  return [RISE_MICROS, WAIT_MICROS, ...Array.from(pulses), 1];
}

function randomFrame(random: Random): Uint8Array {
  return frameOf(random.between(1, 1000), random.between(0, 800));
}

const FRAME = frameOf(652, 351);
const PULSES = [...pulsesOf(FRAME)];
const GOOD = answer(PULSES);


const options = { skip: missing ?? false };

t.test('a good answer is stored whole, at every clock, and decodes to the frame that was sent', options, (t) => {
  const random = new Random(SEED);
  for (const cyclesPerMicro of [80, 160, 240]) {
    for (const lookNanos of [50, 250, 600]) {
      const frames = Array.from({ length: 20 }, () => randomFrame(random));
      const scenarios = frames.map((frame) => ({ levelsMicros: answer(pulsesOf(frame)), cyclesPerMicro, lookNanos }));
      for (const [index, captured] of captureAll(t, scenarios).entries()) {
        const told = `${cyclesPerMicro} MHz, ${lookNanos} ns, frame ${index}`;
        const sent = pulsesOf(frames[index]!);
        if (captured.widths.length !== 83) t.equal(captured.widths.length, 83, told);
        const off = captured.widths.filter((micros, i) => Math.abs(micros - sent[i]!) > 1);
        if (off.length > 0) t.same([...captured.widths], [...sent], told);
        t.equal(decoded(captured), toHex(frames[index]!), told);
      }
    }
  }
  t.end();
});

t.test('the start pulse is 2 ms of low, and the line is let go before it is listened to', options, (t) => {
  const { lowMicros, maskedMicros, totalMicros } = capture(t, { levelsMicros: GOOD });
  t.ok(lowMicros >= START_MICROS && lowMicros < START_MICROS + 2, `${lowMicros} µs`);
  const frameMicros = GOOD.reduce((sum, micros) => sum + micros, 0);
  t.ok(maskedMicros >= frameMicros && maskedMicros < frameMicros + 260, 'masked while it answers, and one level more');
  t.ok(totalMicros - lowMicros - maskedMicros < 2, 'and in no other time');
  t.end();
});

t.test('jitter: each width off by up to 20 %, on its own', options, (t) => {
  const random = new Random(SEED + 1);
  const frames = Array.from({ length: 300 }, () => randomFrame(random));
  const captured = captureAll(t, frames.map((frame) => ({
    levelsMicros: answer(Array.from(pulsesOf(frame), (micros) => micros * random.between(80, 120) / 100)),
    cyclesPerMicro: random.pick([80, 160, 240]), lookNanos: random.between(50, 500),
  })));
  t.same(captured.map(decoded), frames.map(toHex));
  t.end();
});

t.test('a line that rises slowly: lows long, highs short, with chatter at the edge', options, (t) => {
  const random = new Random(SEED + 2);
  const frames = Array.from({ length: 100 }, () => randomFrame(random));
  const captured = captureAll(t, frames.map((frame) => {
    const levelsMicros = [3, WAIT_MICROS];
    for (const [i, micros] of pulsesOf(frame).entries()) {
      // Up it goes 4 µs late, after three looks over the threshold; down it goes at once.
      if (i % 2 === 0) levelsMicros.push(micros + 1, 0.3, 0.7, 0.4, 0.9, 0.3, 0.4);
      else levelsMicros.push(micros - 4);
    }
    return { levelsMicros: [...levelsMicros, 1] };
  }));
  t.same(captured.map(decoded), frames.map(toHex));
  t.end();
});

t.test('a sensor that takes the line before it has risen loses its preamble, not its frame', options, (t) => {
  const captured = capture(t, { levelsMicros: [RISE_MICROS + WAIT_MICROS + PULSES[0]!, ...PULSES.slice(1), 1] });
  t.equal(captured.widths.length, 81);
  t.equal(decoded(captured), toHex(FRAME));
  t.end();
});

t.test('the slowest answer that the data sheet allows is awaited', options, (t) => {
  t.equal(decoded(capture(t, { levelsMicros: [1, 200, ...PULSES, 1] })), toHex(FRAME));
  t.end();
});

t.test('shorted to ground or supply, no sensor, no resistor: nobody answers, and soon', options, (t) => {
  const cases: [string, Scenario, number][] = [
    ['shorted to ground', { levelsMicros: [0], wire: 0 }, 0],
    ['shorted to the supply', { levelsMicros: [0], wire: 1 }, 256],
    ['no sensor', { levelsMicros: [RISE_MICROS, 1] }, 256],
    ['a line that does not rise again', { levelsMicros: [1] }, 256],
    ['a sensor that waits for too long', { levelsMicros: [RISE_MICROS, 260, ...PULSES, 1] }, 256],
  ];
  for (const [title, scenario, maskedMicrosMax] of cases) {
    const captured = capture(t, scenario);
    t.equal(captured.widths.length, 0, title);
    t.equal(decoded(captured), `${NO_ANSWER}`, title);
    t.ok(captured.maskedMicros <= maskedMicrosMax, `${title}: masked for ${captured.maskedMicros} µs`);
  }
  t.end();
});

t.test('a sensor that stops after any number of levels: these are stored, and no more', options, (t) => {
  for (let ended = 0; ended <= 83; ended++) {
    const captured = capture(t, { levelsMicros: [...GOOD.slice(0, 2 + ended), 1] });
    t.equal(captured.widths.length, ended, `${ended} levels`);
    const wanted = ended === 0 ? `${NO_ANSWER}` : ended < 82 ? `${TOO_SHORT}` : toHex(FRAME);
    t.equal(decoded(captured), wanted, `${ended} levels`);
    const stopMicros = GOOD.slice(0, 2 + ended).reduce((sum, micros) => sum + micros, 0);
    t.ok(captured.maskedMicros < stopMicros + 257, 'waited for one level more');
  }
  t.end();
});

t.test('a level of up to 254 µs is a width; a longer one ends the capture', options, (t) => {
  for (const cyclesPerMicro of [80, 160, 240]) {
    const withLevel = (index: number, micros: number): Scenario =>
      ({ levelsMicros: answer(PULSES.with(index, micros)), cyclesPerMicro, lookNanos: 100 });
    const long = captureAll(t, PULSES.map((_, index) => withLevel(index, 254)));
    t.same(long.filter((it, index) => it.widths.length !== 83 || it.widths[index]! < 253), []);
    const longer = captureAll(t, PULSES.map((_, index) => withLevel(index, 256)));
    t.same(longer.map((it) => it.widths.length), PULSES.map((_, index) => index), 'what came before is stored');
  }
  t.end();
});

t.test('noise of up to 1.5 µs anywhere changes nothing; longer noise never makes another frame', options, (t) => {
  const random = new Random(SEED + 3);
  const scenarios: Scenario[] = [];
  /** A change of `micros` in the level of `index`, after `share` of it. */
  const withNoise = (index: number, share: number, micros: number): Scenario => {
    const before = GOOD[index]! * share;
    const levelsMicros = [...GOOD];
    levelsMicros.splice(index, 1, before, micros, GOOD[index]! - before - micros);
    return { levelsMicros, lookNanos: random.between(50, 300) };
  };
  for (let index = 1; index < 85; index++) {
    for (let i = 0; i < 10; i++) {
      scenarios.push(withNoise(index, random.between(10, 85) / 100, random.between(1, 15) / 10));
    }
  }
  const outcomes = captureAll(t, scenarios).map(decoded);
  t.same(outcomes.filter((outcome) => outcome !== toHex(FRAME)), []);

  const long = scenarios.map((_, i) => withNoise(2 + i % 82, random.between(20, 40) / 100, random.between(3, 10)));
  const spoilt = captureAll(t, long).map(decoded);
  t.same([...new Set(spoilt)].filter((outcome) => ![`${TOO_LONG}`, `${TOO_SHORT}`, `${STUCK}`].includes(outcome)), []);
  t.end();
});

t.test('the counter wraps anywhere in the answer, and nobody sees it', options, (t) => {
  const wanted = capture(t, { levelsMicros: GOOD });
  const scenarios: Scenario[] = [];
  for (const cyclesPerMicro of [80, 160, 240]) {
    for (let micros = 0; micros < START_MICROS + FRAME_MICROS_MAX; micros += 7) {
      scenarios.push({ levelsMicros: GOOD, cyclesPerMicro, counter: 2 ** 32 - micros * cyclesPerMicro - 1 });
    }
  }
  const captured = captureAll(t, scenarios);
  t.same(captured.filter((it) => decoded(it) !== toHex(FRAME)), []);
  const wrapped = captureAll(t, [5, 1000, 2001, 2100, 2500, 4000].map((micros) =>
    ({ levelsMicros: GOOD, counter: 2 ** 32 - micros * 80 })));
  for (const it of wrapped) t.same(it.widths, wanted.widths);
  const silent = captureAll(t, [1990, 2000, 2010, 2100, 2200].map((micros) =>
    ({ levelsMicros: [RISE_MICROS, 1], counter: 2 ** 32 - micros * 80 })));
  t.same(silent.map((it) => it.widths.length), [0, 0, 0, 0, 0]);
  t.end();
});

t.test('what cannot be masked delays the capture: widths are clipped, no other reading comes out', options, (t) => {
  const random = new Random(SEED + 4);
  const captured = captureAll(t, Array.from({ length: 3000 }, () => ({
    levelsMicros: GOOD, awayAtMicros: random.between(1, 4500), awayMicros: random.between(1, 700),
  })));
  t.ok(captured.some((it) => it.widths.includes(255)), 'a width is clipped');
  const frames = captured.map(decoded).filter((outcome) => outcome.length > 3);
  const wrong = frames.filter((hex) => hex !== toHex(FRAME));
  t.ok(wrong.length > 0, 'a bit is read wrong');
  t.same(wrong.filter((hex) => decodeFrame(fromHex(hex), new Reading()) !== WRONG_CHECKSUM), [], 'and found out');
  t.end();
});

t.test('a line that never rests ends by the array or by the time', options, (t) => {
  for (const [micros, lookNanos] of [[0.4, 100], [0.7, 250], [1, 250], [2.5, 250], [3, 250], [30, 250], [71, 250],
    [100, 250], [250, 250]] as const) {
    const levelsMicros = new Array<number>(4000).fill(micros);
    const { widths, maskedMicros } = capture(t, { levelsMicros, lookNanos });
    t.ok(widths.length <= WIDTHS_MAX, `${micros} µs: ${widths.length} widths in ${maskedMicros} µs`);
    if (micros > 2 && micros <= 70) t.equal(widths.length, WIDTHS_MAX);
    if (micros > 71) t.ok(maskedMicros >= FRAME_MICROS_MAX - 1, 'ended by the time');
  }
  t.end();
});

t.test('no more is stored than there is room for', options, (t) => {
  for (const widthsMax of [0, 1, 2, 82, 83, 84, 200]) {
    const { widths } = capture(t, { levelsMicros: GOOD, widthsMax });
    t.equal(widths.length, Math.min(widthsMax, 83));
    t.same([...widths], [...capture(t, { levelsMicros: GOOD }).widths.subarray(0, widthsMax)]);
  }
  t.end();
});

t.test('whatever the line does, the capture ends in time and gives interrupts back', options, (t) => {
  const random = new Random(SEED + 5);
  const scenarios = Array.from({ length: 5000 }, (): Scenario => {
    const most = random.pick([2, 10, 100, 250, 3000]);
    return {
      levelsMicros: Array.from({ length: random.between(1, 300) }, () => random.between(1, most * 10) / 10),
      cyclesPerMicro: random.pick([80, 160, 240]), counter: random.next(), lookNanos: random.between(20, 1000),
      widthsMax: random.between(0, 100),
    };
  });
  const captured = captureAll(t, scenarios);
  t.ok(captured.some((it) => it.widths.length > WIDTHS_MAX), 'some take all the room');
  t.ok(captured.some((it) => it.maskedMicros > FRAME_MICROS_MAX), 'some take all the time');
  t.end();
});
