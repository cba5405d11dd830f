// The scenarios that deliver messages: bursts, fan-out, fan-in and pairs. The others (memory, many
// subscriptions, retained messages) are in scenarios-tables.ts.
//
// In flight, chosen so that no broker drops or disconnects and none is ever short of work:
// - QoS 0 bursts: 4 batches of 500, which is 160 KB, less than two socket buffers on loopback hold.
// - QoS 1 and 2 bursts: 4 batches of 200; at most 800 unacknowledged or undelivered. aedes
//   disconnects a client with more than 1,000 unfinished QoS 2 messages.
// - fan-out: 4 batches of 50, which is 20,000 deliveries and 16 KB per subscriber.
// - fan-in and pairs: one message per publisher.

import { Bursts, OneInFlight, type BurstShape } from './loads.js';
import { figures, measureBoth, measureLoad, type Figures, type Target } from './measure.js';

export interface Row {
  /** Key in Figures.values. */
  readonly key: string;
  readonly title: string;
  /** micros: CPU per message; bytes: memory per connection; times: a ratio within one broker. */
  readonly unit: 'micros' | 'bytes' | 'times';
  /** The most that ours / Mosquitto's should be; for `times` and `bytes`, that ours should be. */
  readonly wantedMax?: number;
}

export interface Scenario {
  readonly name: string;
  readonly rows: readonly Row[];
  /** Only for brokers of MQTT 5.0. */
  readonly level5?: true;
  readonly run: (target: Target) => Promise<Figures>;
}

const TOPIC = 'bench/burst';

function bursts(name: string, title: string, shape: BurstShape, subscriberCount: number,
  wantedMax?: number): Scenario {
  const row: Row = { key: name, title, unit: 'micros' };
  return {
    name,
    rows: [wantedMax === undefined ? row : { ...row, wantedMax }],
    run: async (target) => {
      const { group } = target;
      const subscribers = await group.open(subscriberCount, 'subscriber');
      for (const subscriber of subscribers) await group.subscribe(subscriber, [TOPIC], shape.qos);
      const [publisher] = await group.open(1, 'publisher');
      const load = new Bursts(publisher!, subscribers, shape);
      const measured = await measureLoad(target, load);
      return figures(target, name, measured, load.faults());
    },
  };
}

/** The same burst in MQTT 5.0 and in 3.1.1, by turns, in one run of the broker. */
function burstsOfBothLevels(qos: number, batchMessageCount: number): Scenario {
  const name = `level-5-qos${qos}`;
  const title = `burst 1:1, QoS ${qos}, MQTT 5.0`;
  return {
    name,
    level5: true,
    rows: [
      { key: name, title, unit: 'micros' },
      { key: `${name}-ratio`, title: `${title} to 3.1.1`, unit: 'times', wantedMax: 1.15 },
    ],
    run: async (target) => {
      const loads: Bursts[] = [];
      for (const level of [4, 5] as const) {
        const shape = { ...burstShape(qos, batchMessageCount), level, topic: `bench/level${level}` };
        const subscribers = await target.group.open(1, `subscriber${level}`, level);
        await target.group.subscribe(subscribers[0]!, [shape.topic], qos);
        const [publisher] = await target.group.open(1, `publisher${level}`, level);
        loads.push(new Bursts(publisher!, subscribers, shape));
      }
      const { measured, ratio } = await measureBoth(target, loads[0]!, loads[1]!);
      const faults = loads[0]!.faults();
      const others = loads[1]!.faults();
      return {
        ...figures(target, name, measured, {
          lost: faults.lost + others.lost, duplicates: faults.duplicates + others.duplicates,
          outOfOrder: faults.outOfOrder + others.outOfOrder,
        }),
        values: { [name]: measured.cpuMicros, [`${name}-ratio`]: ratio },
      };
    },
  };
}

const fanIn: Scenario = {
  name: 'fan-in',
  rows: [
    { key: 'fan-in', title: 'fan-in 100:1, a message per segment', unit: 'micros', wantedMax: 0.5 },
  ],
  run: async (target) => {
    const subscribers = await target.group.open(1, 'subscriber');
    await target.group.subscribe(subscribers[0]!, ['bench/fan-in/+']);
    const publishers = await target.group.open(100, 'publisher');
    const load = new OneInFlight(publishers, subscribers, (index) => `bench/fan-in/${index}`);
    return figures(target, 'fan-in', await measureLoad(target, load), load.faults());
  },
};

const PAIR_COUNT = 200;

const pairs: Scenario = {
  name: 'pairs',
  rows: [
    { key: 'pairs', title: `${PAIR_COUNT} pairs, one in flight each`, unit: 'micros', wantedMax: 1 },
  ],
  run: async (target) => {
    const { group } = target;
    const subscribers = await group.open(PAIR_COUNT, 'subscriber');
    await Promise.all(subscribers.map((subscriber, index) =>
      group.subscribe(subscriber, [`bench/pairs/${index}`])));
    const publishers = await group.open(PAIR_COUNT, 'publisher');
    const load = new OneInFlight(publishers, subscribers, (index) => `bench/pairs/${index}`);
    return figures(target, 'pairs', await measureLoad(target, load), load.faults());
  },
};

function burstShape(qos: number, batchMessageCount: number): BurstShape {
  return { qos, batchCount: 4, batchMessageCount, topic: TOPIC };
}

export const deliveryScenarios: readonly Scenario[] = [
  bursts('burst-qos0', 'burst 1:1, QoS 0', burstShape(0, 500), 1, 0.1),
  bursts('burst-qos1', 'burst 1:1, QoS 1', burstShape(1, 200), 1, 0.15),
  bursts('burst-qos2', 'burst 1:1, QoS 2', burstShape(2, 200), 1),
  bursts('fan-out', 'fan-out 1:100, QoS 0', burstShape(0, 50), 100, 0.2),
  fanIn,
  pairs,
  burstsOfBothLevels(0, 500),
  burstsOfBothLevels(1, 200),
];
