// The two families of scenarios: under generous limits the model knows every packet; under small
// ones, with queues that overflow and publishers that wait, what holds always must hold.
// Deterministic; runs on Node and on XS.

import {
  DROPPED_OUTBOX_FULL, DROPPED_QUEUE_FULL, DROPPED_RETAINED_FULL, DROPPED_SESSION_FULL, DROPPED_TOO_LARGE,
} from '../../src/broker/counters.js';
import { QueueFull, type Limits } from '../../src/limits.js';
import { Client, type Wire } from './client.js';
import { Model } from './model.js';
import { Random } from '../support/random.js';
import { Safety } from './safety.js';
import { run, World, type Coverage, type Judge, type Tamper } from './world.js';

export type { Coverage };

/** The model as a judge. */
class ModelJudge implements Judge {
  readonly model: Model;

  constructor(world: World) {
    const { memory: { sessions }, limits } = world.broker;
    const clientIdOf = (session: number): string => String.fromCharCode(...sessions.memory.subarray(
      sessions.clientIdStart(session), sessions.clientIdStart(session) + sessions.clientIdBytes(session)));
    this.model = new Model({
      ending: (number) => world.watch(world.wireOf(number)),
      met: (what) => world.count(what),
      congested: (number) => world.wireOf(number).congested,
      rank: (clientId) =>
        Array.from({ length: sessions.used }, (_, session) => clientIdOf(session)).indexOf(clientId),
    }, limits);
  }

  opened(wire: Wire): void {
    this.model.opened(wire.number);
  }

  observe(wire: Wire, words: string): void {
    this.model.observe(wire.number, words);
  }

  ended(wire: Wire, lossy: boolean, code = 0): void {
    this.model.end(wire.number, true, lossy, code);
  }

  settle(wire: Wire): void {
    this.model.settle(wire.number);
  }

  settleAll(): void {
    this.model.settleAll();
  }
}

/** Under limits that nothing reaches, except outboxes, and the number of messages in flight. */
export function runModel(seed: number, steps: number, coverage: Coverage, tamper: Tamper | null = null): void {
  const random = new Random(seed ^ 0x5eed);
  const limits = {
    clientsMax: 10, connectionsMax: 40, sessionsMax: 40, packetBytesMax: 256, windowBytes: random.pick([32, 256]),
    inboxBytes: 512, outboxBytes: random.pick([256, 256, 600, 4096]), topicLevelsMax: 8, subscriptionsMax: 400,
    subscriptionNodesMax: 600, queuedMax: 4000, queueBytes: 4000 * 64, sessionQueuedMax: 1000, retainedBytes: 32_768,
    sessionQueuedBytesMax: 400_000, inflightMax: random.pick([1, 2, 5, 20]), receiveMax: 16, connectTimeoutMs: 6000,
    topicAliasMax: random.pick([0, 2, 3]), topicAliasBytes: 32, sessionExpirySecondsMax: random.pick([0, 0, 4]),
    keepAliveSecondsMax: random.pick([0, 0, 3]),
  };
  const world = new World(seed, limits, coverage, tamper);
  const { model } = world.judge = new ModelJudge(world);
  for (let i = 0; i < 6; i++) world.clients.push(new Client(`c${i}`, i === 0 ? '' : `c${i}`, i > 2));
  for (const client of world.clients) client.refuses = () => random.chance(3);
  run(world, 'simulation with the model', seed, steps);
  world.counters();
  const { counters } = world.broker;
  const full = counters[DROPPED_QUEUE_FULL]! + counters[DROPPED_RETAINED_FULL]! - model.unretained;
  const dropped = counters[DROPPED_OUTBOX_FULL]! + counters[DROPPED_TOO_LARGE]!;
  if (full === 0 && counters[DROPPED_SESSION_FULL]! <= model.lostWithSession && model.dropped <= dropped) return;
  throw new Error(`simulation with the model, seed ${seed}: dropped are ${full} messages for want of room, ` +
    `${counters[DROPPED_SESSION_FULL]} with sessions, of which ${model.lostWithSession} may be, ` +
    `and ${dropped} of QoS 0 or too large; missing are ${model.dropped} of QoS 0`);
}

/** Under limits that are reached all the time. */
export function runSafety(seed: number, steps: number, coverage: Coverage): void {
  const random = new Random(seed ^ 0x5afe);
  const packetBytesMax = random.pick([160, 256]);
  const limits: Partial<Limits> = {
    clientsMax: random.between(3, 6), connectionsMax: 6, sessionsMax: random.between(6, 8), packetBytesMax,
    windowBytes: random.pick([16, 64, 256]), inboxBytes: packetBytesMax,
    outboxBytes: packetBytesMax * random.between(1, 3), subscriptionsMax: random.between(3, 20),
    subscriptionNodesMax: random.between(6, 40), retainedMax: random.between(1, 8),
    retainedNodesMax: random.between(3, 16), retainedBytes: random.between(256, 1024),
    messageBlockBytes: random.pick([16, 64]),
    queueBytes: random.between(256, 2048), queuedMax: random.between(4, 40), sessionQueuedMax: random.between(2, 10),
    sessionQueuedBytesMax: random.between(packetBytesMax, 600), inflightMax: random.between(1, 4),
    receiveMax: random.between(1, 6), connectTimeoutMs: 3000, slowSubscriberMs: random.pick([0, 500, 2000]),
    queueFull: random.pick(Object.values(QueueFull)), sysIntervalMs: 0,
    topicAliasMax: random.below(3), topicAliasBytes: random.pick([12, 32]), keepAliveSecondsMax: random.pick([0, 3]),
    sessionExpirySecondsMax: random.pick([0, 2]),
  };
  const world = new World(seed, limits, coverage);
  const safety = new Safety();
  world.judge = safety;
  world.outgoingMax = random.chance(50) ? limits.receiveMax! : 8;
  world.published = (message, again) => safety.published(message, again);
  for (let i = 0; i < 7; i++) {
    world.clients.push(new Client(`c${i}`, i === 0 ? '' : `c${i}`, i > 3,
      (message) => safety.published(message, true)));
  }
  run(world, 'simulation under small limits', seed, steps);
  world.broker.close();
  world.counters();
}
