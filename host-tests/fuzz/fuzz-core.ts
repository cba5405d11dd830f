// A hostile peer beside two that behave: what it sends, damaged and in pieces, must neither throw
// nor disturb them, nor leave a table in disorder. Deterministic; runs on Node and on XS.

import type { AuthenticationMethod } from '../../src/broker/authenticate.js';
import type { Broker } from '../../src/broker/broker.js';
import { SYS_NAMES } from '../../src/broker/counters.js';
import { QueueFull, type Limits } from '../../src/limits.js';
import {
  ACCEPTED, CONTINUE_AUTHENTICATION, NOT_AUTHORIZED, REFUSED_NOT_AUTHORIZED, SUCCESS,
} from '../../src/wire/codes.js';
import { Random } from '../support/random.js';
import { checkInvariants } from '../support/invariants.js';
import {
  ascii, puback, pubcomp, publish, pubrec, pubrel, subscribe, subscribe5, toHex, type Properties,
} from '../support/packets.js';
import { connected, makeBroker, pass, Peer } from '../support/peer.js';
import { someStream5 } from './mutate-5.js';
import { someStream } from './mutate.js';

/**
 * The well-behaved pair use one topic for each QoS, below a `$`: a hostile subscriber of `#` that
 * reads nothing would slow them down, and rightly.
 */
const OWN = ['$own/0', '$own/1', '$own/2'];

/** The sum of each of the core's counters, by name. */
export interface Coverage {
  [counter: string]: number;
}

/** Two clients, each of 3.1.1 or of 5.0. */
class Pair {
  readonly #publisher: Peer;
  readonly #subscriber: Peer;
  readonly #level: number;
  readonly #subscriberLevel: number;
  readonly #sent = [0, 0, 0];
  readonly #seen = [0, 0, 0];
  #id = 0;

  constructor(broker: Broker, random: Random) {
    this.#level = random.pick([4, 5]);
    this.#subscriberLevel = random.pick([4, 5]);
    this.#publisher = connected(broker, { clientId: 'publisher', level: this.#level });
    this.#subscriber = connected(broker, { clientId: 'subscriber', level: this.#subscriberLevel });
    const filters = OWN.map((topic, qos): [string, number] => [topic, qos]);
    this.#subscriber.send(this.#subscriberLevel === 5 ? subscribe5(1, { subscription: 7 }, ...filters) :
      subscribe(1, ...filters));
  }

  /** What comes along with the message of that number, in words. */
  #extra(number: number): string {
    if (this.#subscriberLevel < 5) return '';
    return this.#level < 5 ? ' {subscription 7}' : ` {contentType text, user number=${number}, subscription 7}`;
  }

  /** One numbered message, through to the last acknowledgement on both sides. */
  exchange(qos: number): void {
    this.#id = this.#id % 0xffff + 1;
    const number = ++this.#sent[qos]!;
    const properties: Properties = { contentType: 'text', user: ['number', String(number)] };
    const answers = this.#publisher.send(publish(OWN[qos]!, ascii(String(number)),
      { qos, id: this.#id, ...(this.#level === 5 ? { properties } : {}) }));
    const wanted = ['', `PUBACK id${this.#id}`, `PUBREC id${this.#id}`][qos]!;
    if (answers.join() !== wanted) throw new Error(`publisher got "${answers.join('; ')}" and not "${wanted}"`);
    if (qos === 2) this.#publisher.send(pubrel(this.#id));
    this.#take(this.#subscriber.received());
    if (this.#seen[qos] !== number) throw new Error(`subscriber has ${this.#seen[qos]} of ${number} at QoS ${qos}`);
  }

  #take(packets: string[]): void {
    for (const words of packets) {
      const [name, ...rest] = words.split(' ');
      if (name === 'PUBREL') {
        this.#take(this.#subscriber.send(pubcomp(Number(rest[0]!.slice(2)))));
        continue;
      }
      if (name === 'SUBACK') continue;
      const found = /^PUBLISH q(\d)(?: id(\d+))? \$own\/(\d) (\d+)(.*)$/.exec(words);
      if (found === null || found[1] !== found[3] || found[5] !== this.#extra(Number(found[4]))) {
        throw new Error(`subscriber got "${words}"`);
      }
      const qos = Number(found[1]);
      const next = ++this.#seen[qos]!;
      if (Number(found[4]) !== next) throw new Error(`subscriber got "${words}" in the place of number ${next}`);
      if (qos > 0) this.#take(this.#subscriber.send((qos === 1 ? puback : pubrec)(Number(found[2]))));
    }
  }
}

/** Room enough beside hostile peers for the pair, whose messages must not wait. */
function roomyLimits(random: Random): Partial<Limits> {
  return { sysIntervalMs: random.chance(50) ? 1000 : 0, packetBytesMax: 512, inboxBytes: 600, outboxBytes: 600,
    queuedMax: 192, queueBytes: 192 * 512, connectTimeoutMs: 2000, slowSubscriberMs: 1000,
    topicAliasMax: random.below(4), topicAliasBytes: 40 };
}

/** Room for so little that every table overflows: hostile peers have it to themselves. */
function tightLimits(random: Random): Partial<Limits> {
  return { sysIntervalMs: random.chance(50) ? 1000 : 0, clientsMax: 3, connectionsMax: 4, sessionsMax: 4,
    packetBytesMax: 300, inboxBytes: 300, outboxBytes: 300, windowBytes: random.pick([16, 300]),
    subscriptionsMax: random.between(2, 12), subscriptionNodesMax: random.between(4, 30),
    retainedMax: random.between(1, 6), retainedNodesMax: random.between(2, 12),
    retainedBytes: random.between(320, 900), queuedMax: random.between(3, 20),
    queueBytes: random.between(320, 1200), sessionQueuedMax: random.between(2, 12), inflightMax: random.between(1, 4),
    sessionQueuedBytesMax: random.between(300, 600), receiveMax: random.between(1, 6), connectTimeoutMs: 2000,
    slowSubscriberMs: random.pick([0, 500]), queueFull: random.pick(Object.values(QueueFull)),
    topicAliasMax: random.below(4), topicAliasBytes: random.pick([2, 50]), keepAliveSecondsMax: random.pick([0, 1]),
    sessionExpirySecondsMax: random.pick([0, 1, 30]) };
}

/**
 * A method of as many steps as the first byte of what the client says, modulo 4; the last one accepts
 * who says something, and refuses others. It answers with what it was told, as far as there is room.
 */
function someMethod(): AuthenticationMethod {
  const stepsLeft = new Map<number, number>();
  return { name: 'm', step(step) {
    const { slot, bytes, dataStart, dataEnd, answerStart, answerMax } = step;
    const count = dataEnd > dataStart ? bytes[dataStart]! & 3 : 0;
    const left = step.isFirst ? count : (stepsLeft.get(slot) ?? 0) - 1;
    stepsLeft.set(slot, left);
    step.answerEnd = Math.min(answerStart + dataEnd - dataStart, answerMax);
    bytes.copyWithin(answerStart, dataStart, dataStart + step.answerEnd - answerStart);
    return left > 0 ? CONTINUE_AUTHENTICATION : dataEnd > dataStart ? SUCCESS : -NOT_AUTHORIZED;
  } };
}

/**
 * Runs `steps` streams of one hostile peer after another, beside a pair that behaves or, under
 * tight limits, alone; adds the counters of the core to `coverage`. Throws an Error that says how
 * to repeat it.
 */
export function fuzzCore(seed: number, steps: number, alone: boolean, coverage: Coverage): void {
  const random = new Random(seed);
  const clock = { nowMs: 0 };
  const broker = makeBroker(alone ? tightLimits(random) : roomyLimits(random), {
    authenticate: (bytes, packet) => // "v"
      packet.userNameEnd > packet.userNameStart && bytes[packet.userNameStart] === 0x76 ?
        REFUSED_NOT_AUTHORIZED : ACCEPTED,
    authenticationMethods: [someMethod()],
  });
  pass(broker, clock, 0);
  const pair = alone ? null : new Pair(broker, random);
  let hostile: Peer[] = [];
  let bytes = new Uint8Array(0);
  for (let step = 0; step < steps; step++) {
    try {
      hostile = hostile.filter((peer) => !peer.link.closed);
      const peer = hostile.length < 5 && random.chance(50) || hostile.length === 0 ?
        newcomer(broker, random, hostile) : random.pick(hostile);
      const { protocolLevel } = peer.link;
      const is5 = random.chance(protocolLevel === 5 ? 95 : protocolLevel === 0 ? 60 : 5);
      bytes = (is5 ? someStream5(random, protocolLevel === 0) : someStream(random)).slice();
      if (!peer.link.closed && random.chance(95)) peer.send(bytes, random.chance(30) ? 1 : random.between(1, 40));
      checkInvariants(broker);
      pair?.exchange(step % 3);
      disturb(broker, random, hostile, clock);
      checkInvariants(broker);
    } catch (error) {
      throw new Error(`fuzz of the core${alone ? ', tight limits' : ''}, seed ${seed}, step ${step}, ` +
        `bytes ${toHex(bytes)}: ${error instanceof Error ? error.stack ?? error.message : String(error)}`);
    }
  }
  SYS_NAMES.forEach((name, i) => coverage[name] = (coverage[name] ?? 0) + broker.counters[i]!);
}

function newcomer(broker: Broker, random: Random, hostile: Peer[]): Peer {
  const peer = new Peer(broker);
  if (random.chance(30)) peer.link.capacity = random.below(200);
  hostile.push(peer);
  return peer;
}

/** What else happens to hostile peers: links drain, break, and time passes. */
function disturb(broker: Broker, random: Random, hostile: Peer[], clock: { nowMs: number }): void {
  const peer = hostile.length > 0 ? random.pick(hostile) : null;
  if (peer !== null && !peer.link.closed) {
    if (random.chance(20)) peer.resume();
    else if (random.chance(10)) peer.drop();
  }
  if (random.chance(20)) pass(broker, clock, random.chance(90) ? random.between(1, 900) : random.between(900, 4000));
}
