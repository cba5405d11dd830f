// The scenarios about what a broker keeps: idle connections, subscriptions and retained messages.

import { SequenceCheck, type Faults } from './load-check.js';
import { MARKER, MARKER_TOPIC, publishBatch, type BatchShape } from './load-packets.js';
import { sleep, type Connection, type ConnectionGroup } from './load-connection.js';
import { MarkedBatches } from './loads.js';
import { NO_FAULTS, figures, measureLoad, timed } from './measure.js';
import { residentBytes } from './process-figures.js';
import type { Scenario } from './scenarios.js';

/**
 * Connections before the first look at the memory: a broker's first ones bring its heap to size.
 */
const IDLE_WARM_UP_COUNT = 250;
const IDLE_COUNT = 500;
const IDLE_REST_MS = 250;

const idle: Scenario = {
  name: 'idle',
  rows: [{ key: 'idle', title: 'memory per idle connection', unit: 'bytes', wantedMax: 8_192 }],
  run: async (target) => {
    const { pid } = target.broker;
    await target.group.open(IDLE_WARM_UP_COUNT, 'early');
    await sleep(IDLE_REST_MS);
    const before = residentBytes(pid);
    await target.group.open(IDLE_COUNT, 'idle');
    await sleep(IDLE_REST_MS);
    const after = residentBytes(pid);
    const perConnection = before === undefined || after === undefined ? undefined
      : (after - before) / IDLE_COUNT;
    return { values: { idle: perConnection }, residentBytes: after, faults: NO_FAULTS };
  },
};

function fourDigits(index: number): string {
  return String(index).padStart(4, '0');
}

function withMarker(shape: BatchShape): Buffer {
  const marker = publishBatch({
    qos: 0, messageCount: 1, topic: () => MARKER_TOPIC, source: () => MARKER,
  });
  return Buffer.concat([publishBatch(shape).bytes, marker.bytes]);
}

async function openWatcher(group: ConnectionGroup): Promise<Connection> {
  const [watcher] = await group.open(1, 'watcher');
  await group.subscribe(watcher!, [MARKER_TOPIC]);
  return watcher!;
}

const FEW = 10;
const MANY = 10_000;
const FILTERS_PER_CLIENT = 100;

/**
 * Filters that differ from the published topics at the last level but one; every tenth ends in
 * '#'.
 */
function otherFilters(start: number, end: number): string[] {
  return Array.from({ length: end - start }, (_, index) =>
    `bench/other/${fourDigits(start + index)}/${index % 10 === 9 ? '#' : 'value'}`);
}

const subscriptions: Scenario = {
  name: 'subscriptions',
  rows: [
    { key: 'few', title: `publish that matches none of ${FEW} filters`, unit: 'micros' },
    { key: 'many', title: 'publish that matches none of 10,000 filters', unit: 'micros' },
    { key: 'growth', title: `growth from ${FEW} to 10,000 filters`, unit: 'times', wantedMax: 2 },
  ],
  run: async (target) => {
    const { group } = target;
    const watcher = await openWatcher(group);
    const [publisher] = await group.open(1, 'publisher');
    const [first] = await group.open(1, 'first');
    await group.subscribe(first!, otherFilters(0, FEW));
    const buffer = withMarker({
      qos: 0, messageCount: 500, topic: (index) => `bench/other/none-${fourDigits(index)}/value`,
    });
    const load = new MarkedBatches(publisher!, watcher, [buffer, buffer], 500, 2);
    const few = await measureLoad(target, load);
    const others = await group.open((MANY / FILTERS_PER_CLIENT) - 1, 'other');
    await group.subscribe(first!, otherFilters(FEW, FILTERS_PER_CLIENT));
    for (const [index, other] of others.entries()) {
      const start = (index + 1) * FILTERS_PER_CLIENT;
      await group.subscribe(other, otherFilters(start, start + FILTERS_PER_CLIENT));
    }
    const many = await measureLoad(target, load);
    const growth = few.cpuMicros === undefined || many.cpuMicros === undefined ? undefined
      : many.cpuMicros / few.cpuMicros;
    return {
      ...figures(target, 'many', many, load.faults()),
      values: { few: few.cpuMicros, many: many.cpuMicros, growth },
    };
  },
};

const RETAINED_COUNT = 10_000;
const RETAINED_BATCH = 500;
const WARM_UP_BATCHES = 10;
/** New subscribers one after the other: a single one would be over within few milliseconds. */
const RETAINED_SUBSCRIBERS = 3;

/**
 * Every message is a source of its own, numbered 0: so each must arrive once, in whatever order.
 */
function retainedBatch(prefix: string, start: number): Buffer {
  return withMarker({
    qos: 0, retain: true, messageCount: RETAINED_BATCH,
    topic: (index) => `${prefix}/${fourDigits(start + index)}`, source: (index) => start + index,
  });
}

async function setRetained(group: ConnectionGroup, load: MarkedBatches, batchCount: number):
  Promise<number> {
  const before = load.count();
  load.start(batchCount);
  await group.until(() => load.settled(), () => load.progress());
  load.stop();
  return load.count() - before;
}

/** A new subscriber takes all of them; returns how many arrived. */
async function takeRetained(group: ConnectionGroup, subscriber: Connection, filter: string,
  wanted: number, faults: Faults): Promise<number> {
  const check = subscriber.check = new SequenceCheck(wanted);
  subscriber.subscribe([filter], 0);
  await group.until(() => check.arrivedCount >= wanted, () => check.arrivedCount);
  check.addTo(faults, () => 1);
  return check.arrivedCount;
}

const retained: Scenario = {
  name: 'retained',
  rows: [
    { key: 'set', title: '10,000 retained: set', unit: 'micros', wantedMax: 1 },
    { key: 'deliver', title: '10,000 retained: deliver', unit: 'micros', wantedMax: 1 },
  ],
  run: async (target) => {
    const { group } = target;
    const watcher = await openWatcher(group);
    const [publisher, early] = await group.open(2, 'client');
    const faults = { ...NO_FAULTS };
    const batchesOf = (prefix: string, count: number): Buffer[] =>
      Array.from({ length: count }, (_, index) => retainedBatch(prefix, index * RETAINED_BATCH));
    // The warm-up sets new topics too, as what is measured does.
    const warmUp = new MarkedBatches(publisher!, watcher, batchesOf('bench/warm-up', WARM_UP_BATCHES),
      RETAINED_BATCH, 1);
    await setRetained(group, warmUp, WARM_UP_BATCHES);
    await takeRetained(group, early!, 'bench/warm-up/#', WARM_UP_BATCHES * RETAINED_BATCH, faults);
    const batches = batchesOf('bench/retained', RETAINED_COUNT / RETAINED_BATCH);
    const load = new MarkedBatches(publisher!, watcher, batches, RETAINED_BATCH, 2);
    const set = await timed(target, () => setRetained(group, load, batches.length));
    const subscribers = await group.open(RETAINED_SUBSCRIBERS, 'late');
    const deliver = await timed(target, async () => {
      let count = 0;
      for (const subscriber of subscribers) {
        count += await takeRetained(group, subscriber, 'bench/retained/#', RETAINED_COUNT, faults);
      }
      return count;
    });
    faults.lost += load.faults().lost;
    return {
      ...figures(target, 'deliver', deliver, faults),
      values: { set: set.cpuMicros, deliver: deliver.cpuMicros },
    };
  },
};

export const tableScenarios: readonly Scenario[] = [idle, subscriptions, retained];
