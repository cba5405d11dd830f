// The families of scenarios of client and broker, and what may happen in them: one act of the
// application, the network, the broker or the clock after the other, chosen by chance. Everything
// comes from the seed; a failure throws an Error that names seed and step, and what went over the
// wire last. Runs on Node and on XS.

import { CONNECTED } from '../../src/client/states.js';
import { Client } from '../../src/client/client.js';
import { restoreSession } from '../../src/client/save.js';
import { QueueFull } from '../../src/limits.js';
import { LAST_PACKET_ID } from '../../src/session/deliveries.js';
import { Random } from '../support/random.js';
import { judgeAlive, judgeEnd, judgeIncoming, judgeOutgoing, judgeSubscriptions, type Injected } from './judge.js';
import { World, type Setting } from './world.js';

export interface Coverage {
  [what: string]: number;
}

const WEIGHTS = {
  publish: 30, burst: 3, subscribe: 6, unsubscribe: 4, inject: 22, large: 2, resume: 6, close: 2, connect: 4, time: 14,
  stall: 5, drain: 5, partition: 4, notice: 4, break: 3, net: 3, broker: 1, restore: 1,
};
type What = keyof typeof WEIGHTS;

const FILTERS = ['s/0', 's/1', 's/2', 's/+', 's/#', 's/0/#', `s/${'long/'.repeat(5)}x`];
/** The broker of these tests takes eight levels. */
const DEEP = 'd/1/2/3/4/5/6/7/8/9';

export interface Family {
  setting: (random: Random) => Partial<Setting>;
  /** The broker may be replaced by another that knows nothing. */
  replaces: boolean;
  /** The application calls the client from inside its callbacks. */
  reentrant: boolean;
}

const smallOrNot = (random: Random): Setting['limits'] => ({
  outboxBytes: random.pick([320, 400, 2000]), inboxBytes: random.pick([256, 300, 1000]),
  inflightMax: random.pick([1, 2, 8]), acknowledgementBytes: random.pick([4, 16, 64]),
});

export const FAMILIES: Readonly<Record<string, Family>> = {
  /** The broker keeps the session, and nothing is full: the strictest judgement. */
  kept: {
    setting: (random) => ({ keepAliveSeconds: random.pick([0, 2, 5]), queueQos0: random.chance(50),
      limits: smallOrNot(random) }),
    replaces: false, reentrant: false,
  },
  'kept, reentrant': {
    setting: (random) => ({ keepAliveSeconds: random.pick([0, 2, 5]), queueQos0: random.chance(50),
      limits: smallOrNot(random) }),
    replaces: false, reentrant: true,
  },
  'kept, few identifiers': {
    setting: (random) => ({ protocolLevel: random.pick([3, 4]), queueQos0: random.chance(50),
      limits: { ...smallOrNot(random), receiveMax: random.between(1, 4) } }),
    replaces: false, reentrant: false,
  },
  full: {
    setting: (random) => ({ keepAliveSeconds: random.pick([0, 2]), queueQos0: random.chance(50),
      limits: { ...smallOrNot(random), queuedMax: random.between(2, 8), queueBytes: random.between(256, 512),
        messageBlockBytes: random.pick([16, 32]), queueFull: random.pick(Object.values(QueueFull)) } }),
    replaces: false, reentrant: false,
  },
  lost: {
    setting: (random) => ({ clean: random.chance(40), keepAliveSeconds: random.pick([0, 3]),
      queueQos0: random.chance(50), limits: smallOrNot(random) }),
    replaces: true, reentrant: false,
  },
  '5.0, kept': {
    setting: (random) => ({ protocolLevel: 5, keepAliveSeconds: random.pick([0, 2, 5]), queueQos0: random.chance(50),
      limits: { ...smallOrNot(random), receiveMax: random.pick([1, 4, 16]), topicAliasMax: random.pick([0, 1, 8]) },
      brokerLimits: { receiveMax: random.pick([1, 3, 16]), topicAliasMax: random.pick([0, 2, 8]) } }),
    replaces: false, reentrant: false,
  },
  '5.0, full': {
    setting: (random) => ({ protocolLevel: 5, keepAliveSeconds: random.pick([0, 2]), queueQos0: random.chance(50),
      limits: { ...smallOrNot(random), queuedMax: random.between(2, 8), queueBytes: random.between(256, 512),
        messageBlockBytes: random.pick([16, 32]), queueFull: random.pick(Object.values(QueueFull)) } }),
    replaces: false, reentrant: false,
  },
  '5.0, lost and reentrant': {
    setting: (random) => ({ protocolLevel: 5, clean: random.chance(40), keepAliveSeconds: random.pick([0, 3]),
      queueQos0: random.chance(50), limits: { ...smallOrNot(random), subscriptionsMax: random.between(3, 16) } }),
    replaces: true, reentrant: true,
  },
  'lost, full and reentrant': {
    setting: (random) => ({ clean: random.chance(40), keepAliveSeconds: random.pick([0, 3]),
      queueQos0: random.chance(50), limits: { ...smallOrNot(random), queuedMax: random.between(2, 8),
        subscriptionsMax: random.between(3, 16), queueFull: random.pick(Object.values(QueueFull)) } }),
    replaces: true, reentrant: true,
  },
};

/** One run: the world and what its steps need. */
class Scenario {
  readonly world: World;
  readonly family: Family;
  readonly coverage: Coverage;
  readonly injected: Injected[] = [];
  /** The broker has had the subscription of `in/#`, and keeps it. */
  firm = false;
  #depth = 0;

  constructor(seed: number, family: Family, coverage: Coverage) {
    this.family = family;
    this.coverage = coverage;
    const world = this.world = new World(seed, family.setting(new Random(seed ^ 0xc11e)));
    const { application, random } = world;
    application.takes = () => !random.chance(8);
    world.pieceBytes = () => random.chance(40) ? Infinity : random.between(1, 20);
    if (family.reentrant) application.meanwhile = (callback) => this.#meanwhile(callback);
  }

  count(what: string): void {
    this.coverage[what] = (this.coverage[what] ?? 0) + 1;
  }

  /** The application calls the client from inside a callback. */
  #meanwhile(callback: string): void {
    const { application, random } = this.world;
    if (this.#depth > 2 || !random.chance(20)) return;
    this.#depth++;
    this.count(`from inside ${callback}`);
    const what = random.weighted({ publish: 6, subscribe: 3, unsubscribe: 3, resume: 2, close: 1, again: 1 });
    if (what === 'publish') this.publish();
    else if (what === 'subscribe') application.subscribe(random.pick(FILTERS), random.below(3));
    else if (what === 'unsubscribe') application.unsubscribe(random.pick(FILTERS));
    else if (what !== 'resume') application.client.disconnect();
    else if (application.unread) application.resume();
    if (what === 'again') this.world.connect();
    this.#depth--;
  }

  publish(): void {
    const { application, random } = this.world;
    const fill = 'x'.repeat(random.below(random.chance(10) ? 200 : 20));
    const topic = `out/${random.below(3)}`;
    const qos = random.below(3);
    const expirySeconds = this.world.setting.protocolLevel === 5 && random.chance(50) ?
      random.pick([2, 5, 600, Infinity]) : undefined;
    const outcome = application.publish(topic, qos, fill, false, expirySeconds);
    this.count(outcome < 0 ? `publish gives ${outcome}` : outcome === 0 ? 'published at once' : 'kept');
  }

  act(): void {
    const what = this.world.random.weighted(WEIGHTS);
    this.count(what);
    if (what === 'publish' || what === 'burst') {
      for (let count = what === 'burst' ? 20 : 1; count > 0; count--) this.publish();
    } else if (!this.#ofApplication(what)) {
      this.#ofNetwork(what);
    }
  }

  #ofApplication(what: What): boolean {
    const { world, injected } = this;
    const { application, random } = world;
    if (what === 'subscribe') {
      const filter = random.chance(10) ? DEEP : random.pick(FILTERS);
      application.subscribe(filter, random.below(3));
    } else if (what === 'unsubscribe') {
      application.unsubscribe(random.pick(FILTERS));
    } else if (what === 'inject') {
      const payload = `${injected.length + 1}.${'y'.repeat(random.below(30))}`;
      injected.push({ payload, qos: random.below(3), firm: this.firm });
      world.inject('in/x', payload, injected[injected.length - 1]!.qos);
    } else if (what === 'large') {
      world.inject('in/large', 'z'.repeat(random.between(260, 900)), random.below(3));
    } else if (what === 'resume') {
      if (application.unread) application.resume();
    } else if (what === 'close') {
      application.client.disconnect();
    } else if (what === 'connect') {
      world.connect();
    } else if (what === 'restore') {
      this.#restore();
    } else {
      return false;
    }
    return true;
  }

  /** Also: damaged bytes change nothing. */
  #restore(): void {
    const { world, family } = this;
    const { application, random } = world;
    if (family.reentrant) return;
    const bytes = world.saveAndRestore();
    const other = new Client(world.client.limits, world.client.options);
    for (let i = 0; i < 5; i++) {
      const damaged = random.chance(30) ? bytes.slice(0, random.below(bytes.length)) : bytes.slice();
      if (damaged.length === bytes.length) damaged[random.below(bytes.length)]! ^= 1 << random.below(8);
      if (restoreSession(other, damaged) >= 0) throw new Error('damaged bytes were restored');
    }
    if (other.waitingCount !== 0 || restoreSession(other, bytes) !== 0) throw new Error('a refusal has left traces');
    // Subscriptions are not saved: the application asks for them again, and leaves the others.
    for (const filter of ['in/#', ...FILTERS]) {
      const qos = application.wanted.get(filter);
      if (qos === undefined) application.unsubscribe(filter);
      else application.subscribe(filter, qos);
    }
    world.connect();
  }

  #ofNetwork(what: What): void {
    const { world } = this;
    const { random } = world;
    const wire = world.wires.length > 0 ? random.pick(world.wires) : null;
    if (what === 'time') {
      for (let count = random.between(1, 6); count > 0; count--) world.pass(random.between(1, 900));
    } else if (what === 'net') {
      world.net = random.pick(['up', 'up', 'up', 'refusing', 'silent'] as const);
    } else if (what === 'broker') {
      if (!this.family.replaces) return;
      this.firm = false;
      world.replaceBroker();
    } else if (wire === null || wire.slot < 0) {
      return;
    } else if (what === 'stall' || what === 'drain') {
      const way = random.pick([wire.toBroker, wire.toClient]);
      way.capacity = what === 'drain' ? Infinity : random.below(60);
      wire.disturbed = true;
    } else if (what === 'partition') {
      const way = random.pick([wire.toBroker, wire.toClient]);
      way.lostFrom = Math.min(way.lostFrom, way.sentBytes + random.below(80));
      wire.disturbed = true;
    } else if (what === 'break' || wire.isCut) {
      world.break(wire);
    }
  }

  run(steps: number): void {
    const { world } = this;
    const { application, random } = world;
    const { deliveries } = world.client.memory; // as after a long life: identifiers begin anew soon
    if (random.chance(30)) deliveries.queues[LAST_PACKET_ID] = deliveries.packetIdMax - random.below(8);
    application.subscribe('in/#', 2);
    if (random.chance(70)) world.connect();
    for (let step = 0; step < steps; step++) {
      try {
        this.act();
        this.#turns();
      } catch (error) {
        throw new Error(`step ${step}: ${error instanceof Error ? error.stack : String(error)}`);
      }
    }
  }

  /** A few turns or all: often the next act comes while something is on its way. */
  #turns(): void {
    const { world, family } = this;
    if (world.random.chance(50)) {
      for (let turns = world.random.below(4); turns > 0; turns--) world.turn();
    } else {
      world.run();
    }
    if (!this.firm && !family.replaces && world.application.told.some((what) => what.startsWith('subscribed in/#'))) {
      this.firm = !world.setting.clean;
    }
  }

  end(): void {
    const { world, family, injected } = this;
    world.application.meanwhile = () => {};
    const { clean } = world.setting;
    world.heal();
    judgeOutgoing(world, !clean && !family.replaces);
    if (world.application.got.some(({ topic }) => topic === 'in/large')) throw new Error('too large, and given');
    judgeIncoming(world, injected);
    judgeSubscriptions(world, ['s/0', 's/1', 's/2'].filter((filter) => !covered(world, filter)));
    judgeAlive(world);
    if (world.client.state !== CONNECTED) throw new Error('not connected');
    judgeEnd(world);
    for (const [what, count] of Object.entries(world.watch.seen)) {
      this.coverage[what] = (this.coverage[what] ?? 0) + count;
    }
    for (const what of world.application.told) this.count(what.replace(/ (s|in|d)\/\S*/, ''));
    const { counters } = world.client;
    for (const name of Object.keys(counters) as (keyof typeof counters)[]) {
      this.coverage[name] = (this.coverage[name] ?? 0) + counters[name];
    }
  }
}

/** Another filter wanted or known to the broker matches the topic, too: then QoS is the highest. */
function covered({ application }: World, filter: string): boolean {
  return ['s/+', 's/#', ...(filter === 's/0' ? ['s/0/#'] : [])].some((other) => application.wanted.has(other));
}

/** Runs one scenario of `steps` steps; throws an Error that says how to repeat it. */
export function runFamily(name: string, seed: number, steps: number, coverage: Coverage): void {
  const scenario = new Scenario(seed, FAMILIES[name]!, coverage);
  try {
    scenario.run(steps);
    scenario.end();
  } catch (error) {
    const { world } = scenario;
    throw new Error(`client and broker, family "${name}", seed ${seed}, ` +
      `${error instanceof Error ? error.message.startsWith('step') ? error.message : error.stack : String(error)}\n` +
      `state ${world.client.state}, at ${world.nowMs} ms; last on the wire:\n${world.watch.log.slice(-30).join('\n')}`);
  }
}
