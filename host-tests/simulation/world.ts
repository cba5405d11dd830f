// A run of the simulation: a few clients, the real core, a judge, and one step of chance after the
// other. Everything comes from the seed; a failure throws an Error that names seed and step.
// Deterministic; runs on Node and on XS.
//
// The judge hears of each packet when the core has handled it (told by its counter), and of each
// packet that leaves the core; in the order in which both happened.

import type { Broker } from '../../src/broker/broker.js';
import { OWN_OUTBOX } from '../../src/broker/connection.js';
import { MESSAGES_RECEIVED, SYS_NAMES } from '../../src/broker/counters.js';
import { CONNECT_TIMEOUT, KEEP_ALIVE_TIMEOUT } from '../../src/broker/end.js';
import type { Limits } from '../../src/limits.js';
import { checkInvariants } from '../support/invariants.js';
import { ascii } from '../support/packets.js';
import { makeBroker } from '../support/peer.js';
import { Client, Wire, type Wishes } from './client.js';
import type { Message } from './message.js';
import type { Model } from './model.js';
import { Random } from '../support/random.js';
import { act } from './steps.js';

/** Decides whether the core behaves: the model, or what holds under any limits. */
export interface Judge {
  /** The model that steps are made with, if there is one. */
  readonly model: Model | null;
  opened(wire: Wire): void;
  observe(wire: Wire, words: string): void;
  /**
   * The link was lost, or the core has ended the connection for a fault or a silence, and told so
   * with that reason code to a client of MQTT 5.0.
   */
  ended(wire: Wire, lossy: boolean, code?: number): void;
  /** The wire is open, its client reads, and the turn is over. */
  settle(wire: Wire): void;
  /** All wires that can be settled are. */
  settleAll(): void;
}

/** Changes what was observed, to see whether a judge notices: for the tests of the tests. */
export type Tamper = (wire: Wire, packets: string[]) => string[];

export interface Coverage {
  [what: string]: number;
}

export class World {
  readonly random: Random;
  readonly broker: Broker;
  readonly clients: Client[] = [];
  readonly wires: Wire[] = [];
  readonly coverage: Coverage;
  judge!: Judge;
  nowMs = 0;
  /** The number of the last message, and how many unacknowledged ones a client has at most. */
  lastNumber = 0;
  outgoingMax = 12;
  /** In how many of 100 cases a filter of who shares is of a group, and a will is delayed. */
  readonly sharedPercent: number;
  readonly delayedPercent: number;
  /** Told of each message before it is sent. */
  published: (message: Message, again: boolean) => void = () => {};
  /** Connections that the core ended since the last tick began. */
  #ended: { slot: number; reason: number }[] = [];
  readonly #tamper: Tamper | null;
  #wireCount = 0;

  constructor(seed: number, limits: Partial<Limits>, coverage: Coverage, tamper: Tamper | null = null) {
    this.random = new Random(seed);
    this.sharedPercent = this.random.pick([20, 30, 60]);
    this.delayedPercent = this.random.pick([30, 80]);
    this.coverage = coverage;
    this.#tamper = tamper;
    this.broker = makeBroker(limits, { random: () => this.random.next(), observer: {
      clientConnected: () => {},
      clientRefused: () => {},
      connectionEnded: ({ slot }, reason) => this.#ended.push({ slot, reason }),
    } });
    this.broker.tick(0);
  }

  count(what: string, by = 1): void {
    this.coverage[what] = (this.coverage[what] ?? 0) + by;
  }

  /** Adds the counters of the core to the coverage. */
  counters(): void {
    SYS_NAMES.forEach((name, i) => this.count(name, this.broker.counters[i]!));
  }

  wireOf(number: number): Wire {
    return this.wires.find((wire) => wire.number === number)!;
  }

  open(client: Client, wishes: Wishes): Wire {
    const { level, keepAliveSeconds } = wishes;
    const most = this.broker.limits.keepAliveSecondsMax;
    const isLimited = level === 5 && most > 0 && (keepAliveSeconds === 0 || keepAliveSeconds > most);
    const seconds = isLimited ? most : keepAliveSeconds;
    const wire = new Wire(this.broker, client, ++this.#wireCount, wishes, seconds, this.nowMs);
    this.wires.push(wire);
    if (wire.open) this.judge.opened(wire);
    return wire;
  }

  /**
   * One step of chance, then as much of a turn as chance wants; the last step of a run completes
   * it.
   */
  step(last: boolean): void {
    const { random, broker } = this;
    act(this);
    for (const wire of this.wires) if (random.chance(80)) this.pump(wire);
    if (random.chance(10) && !last) return;
    broker.flush();
    for (const wire of this.wires) this.watch(wire);
    checkInvariants(broker);
    for (const wire of this.wires) this.#settle(wire);
    this.judge.settleAll();
    for (const client of this.clients) if (client.wire?.open === false) client.wire = null;
    for (let i = this.wires.length - 1; i >= 0; i--) if (!this.wires[i]!.open) this.wires.splice(i, 1);
  }

  /** Gives the core what waits on the wire, in pieces. */
  pump(wire: Wire): void {
    const { random } = this;
    const pieceBytes = random.chance(50) ? Infinity : random.between(1, 30);
    const keep = random.chance(15) ? random.below(20) : 0;
    for (let offered = 1; offered > 0 && wire.unsentBytes > keep;) {
      offered = this.handle(wire, () => wire.offer(Math.min(pieceBytes, wire.unsentBytes - keep)));
    }
  }

  /** Lets the core handle bytes of a wire, and tells the judge what it handled. */
  handle<Result>(wire: Wire, work: () => Result): Result {
    const counters = this.broker.counters;
    const before = counters[MESSAGES_RECEIVED]!;
    const result = work();
    const { model } = this.judge;
    if (model !== null) {
      for (let count = counters[MESSAGES_RECEIVED]! - before; count > 0; count--) {
        const step = wire.breaks ? null : wire.handled(); // some faults count as handled
        if (step === null) break;
        step(model);
        wire.heardMs = this.nowMs;
        wire.quietMs = -1;
      }
      if (!wire.open && wire.breaks && model.isOpen(wire.number)) {
        this.judge.ended(wire, wire.congested, wire.code);
        this.count('protocol broken');
      }
    }
    for (const other of this.wires) if (other.open) this.watch(other);
    return result;
  }

  /** Hands what has left the core on this wire to the judge and to the client. */
  watch(wire: Wire): void {
    let packets = wire.link.packets();
    if (packets.length === 0) return;
    if (packets.some((words) => words.includes('alias '))) this.count('aliases');
    packets = packets.map((words) => wire.arrived(words));
    if (this.#tamper !== null) packets = this.#tamper(wire, packets);
    for (const words of packets) {
      this.#note(words);
      this.judge.observe(wire, words);
      if (words.startsWith('CONNACK')) wire.client.read(wire, words);
      else wire.inbox.push(words);
    }
  }

  #note(words: string): void {
    const found = /^(CONNACK present|PUBLISH q\d(?: id\d+)?( dup)?( retain)?|[A-Z]+)/.exec(words)!;
    this.count(found[0].replace(/ id\d+/, ''));
    const code = /^(PUB[A-Z]+|DISCONNECT)(?: id\d+)? (0x[0-9a-f]{2})/.exec(words);
    if (code !== null) this.count(`${code[1]} ${code[2]}`);
    if (!words.includes('{')) return;
    const properties = words.slice(words.indexOf('{') + 1).split(', ');
    for (const property of properties) this.count(`with ${property.split(' ')[0]}`);
  }

  #settle(wire: Wire): void {
    const { model } = this.judge;
    if (model !== null && wire.open !== model.isOpen(wire.number)) {
      throw new Error(`connection ${wire.number} is ${wire.open ? 'open' : 'closed'}, and should not`);
    }
    const connection = this.broker.memory.connections[wire.slot];
    if (wire.open && connection!.stalled === OWN_OUTBOX) this.count('answers that waited');
    if (!wire.open || wire.congested) return;
    if (model !== null && wire.owed) throw new Error(`connection ${wire.number}: a packet is not handled`);
    this.judge.settle(wire);
  }

  /** The link breaks. */
  drop(wire: Wire): void {
    this.watch(wire);
    const lossy = wire.congested || this.broker.dirty;
    this.broker.disconnected(wire.slot);
    wire.link.close();
    this.judge.ended(wire, lossy);
    this.count('links lost');
  }

  /**
   * Time passes, in one tick; whoever was silent for too long is gone afterwards, and nobody else.
   */
  pass(ms: number): void {
    const slots = this.wires.filter((wire) => wire.open);
    const sinceMs = this.nowMs;
    this.nowMs += ms;
    this.#ended = [];
    this.judge.model?.clock(this.nowMs);
    this.broker.tick(this.nowMs);
    const ended = this.#ended;
    for (const { slot, reason } of ended) {
      const wire = slots.find((other) => other.slot === slot)!;
      const silentMs = this.nowMs - wire.heardMs;
      if (reason === KEEP_ALIVE_TIMEOUT && wire.keepAliveMs > 0 && silentMs >= 1.5 * wire.keepAliveMs) {
        this.count('keep-alive over');
      } else if (reason === CONNECT_TIMEOUT && !wire.accepted) {
        this.count('connect timeout');
      } else if (this.judge.model !== null) { // without one, packets that waited are handled in a tick
        throw new Error(`connection ${wire.number} ended for ${reason} after ${silentMs} ms of silence`);
      }
      this.judge.ended(wire, wire.congested, reason === KEEP_ALIVE_TIMEOUT ? reason : 0);
    }
    this.judge.model?.tick();
    for (const wire of slots) {
      if (wire.quietMs < 0) wire.quietMs = this.nowMs;
      if (this.judge.model === null || !wire.open || wire.keepAliveMs === 0 || !wire.accepted) continue;
      if (this.nowMs - wire.quietMs <= 1.5 * wire.keepAliveMs) continue; // [MQTT-3.1.2-24], 5.0 [MQTT-3.1.2-22]
      throw new Error(`connection ${wire.number} is open after ${sinceMs - wire.heardMs} ms of silence`);
    }
  }

  /** An application on the broker's side publishes. */
  publishLocally(topic: string, payload: string, qos: number, retain: boolean): void {
    const outcome = this.broker.publish(ascii(topic), ascii(payload), qos, retain);
    if (outcome !== 0) throw new Error(`publish answers ${outcome}`);
    this.judge.model?.publishLocally({ topic, payload, qos, properties: {} }, retain);
  }
}

/** Runs `steps` steps; a failure is told with the seed and the step. */
export function run(world: World, name: string, seed: number, steps: number): void {
  for (let step = 0; step < steps; step++) {
    try {
      world.step(step === steps - 1);
    } catch (error) {
      throw new Error(`${name}, seed ${seed}, step ${step}: ` +
        (error instanceof Error ? error.stack ?? error.message : String(error)));
    }
  }
}
