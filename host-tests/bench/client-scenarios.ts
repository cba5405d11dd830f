// The scenarios about clients: ours and MQTT.js by turns, the same broker at the other end, whose cost
// does not count here. Messages go in bursts of BURST_COUNT, the next one when all of the last have
// arrived and are acknowledged, so that nothing has a reason to be dropped; between bursts the
// client rests, which costs it no CPU.
//
// In flight, at QoS 1 and 2: ours keeps to its window (clientLimits) and queues the rest of
// the burst; MQTT.js has no window in MQTT 3.1.1, so the whole burst is in flight.

import { ClientProcess, peakResidentBytes } from './client-process.js';
import { SequenceCheck, type Faults } from './load-check.js';
import { sleep, type Connection } from './load-connection.js';
import { numberBatch, publishBatch } from './load-packets.js';
import { NO_FAULTS, figures, measureLoad, timed, type Figures, type Target } from './measure.js';
import { residentBytes } from './process-figures.js';
import type { Load } from './loads.js';
import type { Row } from './scenarios.js';

export interface ClientKind {
  /** Of `openByName`. */
  readonly name: string;
  readonly title: string;
}

export const clientKinds: readonly ClientKind[] = [
  { name: 'ours', title: 'Maisonnette' }, { name: 'mqttjs', title: 'MQTT.js' },
];
/** Not a client: the baseline of memory. */
export const bareClient: ClientKind = { name: 'bare', title: 'bare Node socket' };

export interface ClientScenario {
  readonly name: string;
  readonly rows: readonly Row[];
  /** `target.broker` is the broker. */
  readonly run: (target: Target, kind: ClientKind) => Promise<Figures>;
}

const TOPIC = 'bench/client';
/**
 * 80 KB: what a client, a broker and the sockets between them hold without dropping QoS 0, and as
 * many messages as our client keeps by default.
 */
export const BURST_COUNT = 1_000;

/** Bursts that the client publishes and the generator receives. */
class PublishedBursts implements Load {
  readonly #client: ClientProcess;
  readonly #qos: number;
  readonly #check = new SequenceCheck(1);
  #running = false;
  #sentCount = 0;
  #acknowledgedCount = 0;

  constructor(client: ClientProcess, subscriber: Connection, qos: number) {
    this.#client = client;
    this.#qos = qos;
    subscriber.check = this.#check;
    subscriber.onRead = () => this.#next();
    client.onAnswer = () => {
      this.#acknowledgedCount += BURST_COUNT;
      this.#next();
    };
  }

  #next(): void {
    if (!this.#running || !this.settled()) return;
    this.#sentCount += BURST_COUNT;
    this.#client.tell({ name: 'publish', topic: TOPIC, qos: this.#qos, count: BURST_COUNT });
  }

  start(): void {
    this.#running = true;
    this.#next();
  }

  stop(): void {
    this.#running = false;
  }

  settled(): boolean {
    return this.count() >= this.#sentCount && this.#acknowledgedCount >= this.#sentCount;
  }

  count(): number {
    return this.#check.arrivedCount;
  }

  progress(): number {
    return this.count() + this.#acknowledgedCount;
  }

  faults(): Faults {
    const faults = { ...NO_FAULTS };
    this.#check.addTo(faults, () => this.#sentCount);
    return faults;
  }
}

/** Bursts that the generator publishes and the client receives. */
class ReceivedBursts implements Load {
  readonly #publisher: Connection;
  readonly #qos: number;
  readonly #batch;
  #running = false;
  #sentCount = 0;
  #arrivedCount = 0;

  constructor(client: ClientProcess, publisher: Connection, qos: number) {
    this.#publisher = publisher;
    this.#qos = qos;
    this.#batch = publishBatch({ qos, messageCount: BURST_COUNT, topic: () => TOPIC });
    publisher.onRead = () => this.#next();
    client.onAnswer = () => {
      this.#arrivedCount += BURST_COUNT;
      this.#next();
    };
  }

  get sentCount(): number {
    return this.#sentCount;
  }

  #next(): void {
    if (!this.#running || !this.settled()) return;
    numberBatch(this.#batch, this.#sentCount);
    this.#sentCount += BURST_COUNT;
    this.#publisher.write(this.#batch.bytes);
  }

  start(): void {
    this.#running = true;
    this.#next();
  }

  stop(): void {
    this.#running = false;
  }

  settled(): boolean {
    return this.#arrivedCount >= this.#sentCount &&
      (this.#qos === 0 || this.#publisher.completedCount >= this.#sentCount);
  }

  count(): number {
    return this.#arrivedCount;
  }

  progress(): number {
    return this.#arrivedCount + this.#publisher.completedCount;
  }

  /** The client knows them. */
  faults(): Faults {
    return NO_FAULTS;
  }
}

/** Runs `act` with a process of that kind, which ends with it. */
async function withClient(target: Target, kind: ClientKind,
  act: (client: ClientProcess) => Promise<Figures>): Promise<Figures> {
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => { fail = reject; });
  const client = new ClientProcess(kind.name, target.broker.port, (error) => {
    target.group.fail(error);
    fail(error);
  });
  try {
    return await Promise.race([act(client), failed]);
  } finally {
    await client.end();
  }
}

/** The CPU time counted is that of the client. */
async function measureClient(target: Target, client: ClientProcess, key: string, load: Load,
  faults: () => Promise<Faults>): Promise<Figures> {
  const ofClient: Target = { broker: client, group: target.group };
  // The first time is for warming up only: a client that rests between bursts is slowly compiled.
  await measureLoad(ofClient, load);
  if (!load.settled()) {
    const { lost, duplicates, outOfOrder } = await faults();
    throw new Error(`came to a standstill: ${lost} lost, ${duplicates} twice, ${outOfOrder} out of order`);
  }
  const measured = await measureLoad(ofClient, load);
  const peakBytes = peakResidentBytes(client.pid);
  return { ...figures(ofClient, key, measured, await faults()), residentBytes: peakBytes };
}

function publishing(qos: number): ClientScenario {
  const key = `client-publish-qos${qos}`;
  return {
    name: key,
    rows: [{ key, title: `publish, QoS ${qos}`, unit: 'micros' }],
    run: (target, kind) => withClient(target, kind, async (client) => {
      const [subscriber] = await target.group.open(1, 'subscriber');
      await target.group.subscribe(subscriber!, [TOPIC]);
      await client.ask({ name: 'open', count: 1 });
      const load = new PublishedBursts(client, subscriber!, qos);
      return measureClient(target, client, key, load, async () => load.faults());
    }),
  };
}

function receiving(qos: number): ClientScenario {
  const key = `client-receive-qos${qos}`;
  return {
    name: key,
    rows: [{ key, title: `receive, QoS ${qos}`, unit: 'micros' }],
    run: (target, kind) => withClient(target, kind, async (client) => {
      const [publisher] = await target.group.open(1, 'publisher');
      await client.ask({ name: 'open', count: 1 });
      await client.ask({ name: 'subscribe', topic: TOPIC, qos, arrivalsPerAnswer: BURST_COUNT });
      const load = new ReceivedBursts(client, publisher!, qos);
      return measureClient(target, client, key, load, async () => {
        const { faults = NO_FAULTS } = await client.ask({ name: 'faults', sentCount: load.sentCount });
        return faults;
      });
    }),
  };
}

const IDLE_WARM_UP_COUNT = 50;
const IDLE_COUNT = 100;
const IDLE_REST_MS = 250;

const idle: ClientScenario = {
  name: 'client-idle',
  rows: [
    { key: 'idle', title: 'memory per idle client', unit: 'bytes' },
    { key: 'open', title: 'CPU to make and connect a client', unit: 'micros' },
  ],
  run: (target, kind) => withClient(target, kind, async (client) => {
    const restingBytes = async (): Promise<number | undefined> => {
      await sleep(IDLE_REST_MS);
      await client.ask({ name: 'collect' });
      return residentBytes(client.pid);
    };
    await client.ask({ name: 'open', count: IDLE_WARM_UP_COUNT });
    const before = await restingBytes();
    const opened = await timed({ broker: client, group: target.group }, async () => {
      await client.ask({ name: 'open', count: IDLE_COUNT });
      return IDLE_COUNT;
    });
    const after = await restingBytes();
    const perClient = before === undefined || after === undefined ? undefined
      : (after - before) / IDLE_COUNT;
    return {
      values: { idle: perClient, open: opened.cpuMicros },
      residentBytes: peakResidentBytes(client.pid), faults: NO_FAULTS,
    };
  }),
};

export const clientScenarios: readonly ClientScenario[] = [
  publishing(0), publishing(1), publishing(2), receiving(0), receiving(1), idle,
];
