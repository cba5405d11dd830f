// What one run of one scenario against one broker yields, and how a load is timed: broker's CPU
// before and after, with a pause on both sides so that the broker has come to rest when its clock
// is read.

import { cpuMicros, residentBytes } from './process-figures.js';
import { sleep, type ConnectionGroup } from './load-connection.js';
import { median } from './median.js';
import type { RunningBroker } from './brokers.js';
import type { Faults } from './load-check.js';
import type { Load } from './loads.js';

export interface Target {
  readonly broker: RunningBroker;
  readonly group: ConnectionGroup;
}

export interface Measured {
  /** Per message: of the broker, undefined without /proc, and of the generator. */
  readonly cpuMicros: number | undefined;
  readonly generatorMicros: number;
  readonly perSecond: number;
}

/** The figures of one run, by the key of the report's row. */
export interface Figures {
  readonly values: Readonly<Record<string, number | undefined>>;
  readonly perSecond?: number;
  readonly generatorMicros?: number;
  readonly residentBytes: number | undefined;
  readonly faults: Faults;
}

export const NO_FAULTS: Faults = { lost: 0, duplicates: 0, outOfOrder: 0 };

const REST_MS = 30;
/** Long enough for V8 to have compiled the hot path of the brokers on Node. */
const WARM_UP_MS = 300;
const MEASURED_MS = 400;
/** Of two loads by turns. */
const TURNS = 5;

function ownMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Times `act`, which returns how many messages it was. */
export async function timed(target: Target, act: () => Promise<number>): Promise<Measured> {
  const { pid } = target.broker;
  await sleep(REST_MS);
  const cpuBefore = cpuMicros(pid);
  const ownBefore = ownMicros();
  const startMs = performance.now();
  const count = await act();
  const seconds = (performance.now() - startMs) / 1_000;
  const own = ownMicros() - ownBefore;
  await sleep(REST_MS);
  const cpuAfter = cpuMicros(pid);
  if (count === 0) throw new Error('no message arrived');
  return {
    cpuMicros: cpuBefore === undefined || cpuAfter === undefined ? undefined
      : (cpuAfter - cpuBefore) / count,
    generatorMicros: own / count,
    perSecond: count / seconds,
  };
}

/**
 * Lets a load run for a while and come to its end; returns its messages. Loss shows as a
 * standstill.
 */
async function runFor(group: ConnectionGroup, load: Load, ms: number): Promise<number> {
  const before = load.count();
  load.start();
  const endMs = performance.now() + ms;
  await group.until(() => performance.now() >= endMs, () => load.progress());
  load.stop();
  await group.until(() => load.settled(), () => load.progress());
  return load.count() - before;
}

export async function measureLoad(target: Target, load: Load): Promise<Measured> {
  await runFor(target.group, load, WARM_UP_MS);
  return timed(target, () => runFor(target.group, load, MEASURED_MS));
}

/**
 * Two loads by turns, so that what else the machine does meets both alike: what the second one takes, and the ratio of
 * its CPU to that of the first, each the median of the turns.
 */
export async function measureBoth(target: Target, one: Load, other: Load):
  Promise<{ measured: Measured; ratio: number | undefined }> {
  for (const load of [one, other]) await runFor(target.group, load, WARM_UP_MS);
  const turns: [Measured, Measured][] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    const measured = async (load: Load): Promise<Measured> =>
      timed(target, () => runFor(target.group, load, MEASURED_MS / 2));
    turns.push([await measured(one), await measured(other)]);
  }
  return {
    measured: middleOf(turns.map(([, each]) => each)),
    ratio: median(turns.map(([first, second]) => first.cpuMicros === undefined || second.cpuMicros === undefined
      ? undefined : second.cpuMicros / first.cpuMicros)),
  };
}

function middleOf(turns: readonly Measured[]): Measured {
  return {
    cpuMicros: median(turns.map((turn) => turn.cpuMicros)),
    generatorMicros: median(turns.map((turn) => turn.generatorMicros))!,
    perSecond: median(turns.map((turn) => turn.perSecond))!,
  };
}

export function figures(target: Target, key: string, measured: Measured, faults: Faults): Figures {
  return {
    values: { [key]: measured.cpuMicros },
    perSecond: measured.perSecond, generatorMicros: measured.generatorMicros,
    residentBytes: residentBytes(target.broker.pid), faults,
  };
}
