// A hostile broker at a client: what it sends, damaged, at the wrong time and in pieces, must neither
// throw nor leave a table in disorder, and ends the connection at worst; with a good broker all is
// delivered in the end. Deterministic; runs on Node and on XS.

import { clientByteBudget, type ClientLimits } from '../../src/client/limits.js';
import { CLOSED, CONNECTED, CONNECTING, OPENING, WAITING } from '../../src/client/states.js';
import { QueueFull } from '../../src/limits.js';
import { Application } from '../client/application.js';
import { checkClientInvariants } from '../client/invariants.js';
import { ScriptedBroker } from '../client/scripted-broker.js';
import {
  auth, concat, connack, connack5, disconnect, packet, pingresp, puback, pubcomp, publish, publish5, pubrec, pubrel,
  suback, suback5, toHex, unsuback, unsuback5, type Properties,
} from '../support/packets.js';
import { Random } from '../support/random.js';
import type { Coverage } from './fuzz-core.js';
import { damage, somePacket } from './mutate.js';

/** Messages and filters of the client; a low identifier is probably one in flight. */
const TOPICS = ['a', 'a/b', '/', '$x/a', 't'.repeat(60)];
const FILTERS = [...TOPICS, '#', 'a/+'];
const SUBSCRIPTIONS_MAX = 4;
const NAMES = ['CONNECT', 'PUBLISH', 'PUBACK', 'PUBREC', 'PUBREL', 'PUBCOMP', 'SUBSCRIBE', 'UNSUBSCRIBE', 'PINGREQ',
  'DISCONNECT'];

function someLimits(random: Random): Partial<ClientLimits> {
  return { packetBytesMax: random.pick([128, 256]), inboxBytes: random.pick([256, 400]), outboxBytes: 288,
    acknowledgementBytes: random.pick([4, 32]), topicAliasMax: random.below(4), topicAliasBytes: random.pick([4, 70]),
    subscriptionsMax: SUBSCRIPTIONS_MAX, queuedMax: random.between(1, 8),
    inflightMax: random.between(1, 4), receiveMax: random.between(1, 5), connectTimeoutMs: 3000, pingTimeoutMs: 2000,
    queueFull: random.pick(Object.values(QueueFull)) };
}

/** What a broker of 5.0 may send beside what others may. */
function someAnswer5(random: Random): Uint8Array {
  const id = random.between(1, 6);
  const filterId = 0x10000 - SUBSCRIPTIONS_MAX + random.below(SUBSCRIPTIONS_MAX);
  const reason: Properties = random.chance(30) ? { reason: 'why', user: [['a', 'b']] } : {};
  const code = random.pick([0, 0, 0x10, 0x80, 0x92, 0x97]);
  switch (random.below(10)) {
    case 0: return puback(id, code, reason);
    case 1: return pubrec(id, code, reason);
    case 2: return pubcomp(id, random.pick([0, 0x92]), reason);
    case 3: return pubrel(id, random.pick([0, 0x92]), reason);
    case 4: return suback5(filterId, reason, random.pick([0, 1, 2, 0x80, 0xa2]));
    case 5: return unsuback5(filterId, reason, random.pick([0, 0x11, 0x87]));
    case 6: return random.chance(10) ? disconnect(random.pick([0, 0x8b, 0x9c]), reason) : pingresp();
    case 7: return random.chance(10) ? auth(random.pick([0, 0x18]), { method: 'M' }) : pingresp();
    default: {
      const alias = random.chance(30) ? { alias: random.between(1, 4) } : {};
      const more: Properties = random.chance(30) ? { expiry: 9, contentType: 'c', subscription: [1, 300] } : {};
      const topic = 'alias' in alias && random.chance(50) ? '' : random.pick(TOPICS);
      return publish5(topic, 'p'.repeat(random.below(random.chance(5) ? 900 : 30)),
        { qos: random.below(3), id, retain: random.chance(20), properties: { ...alias, ...more } });
    }
  }
}

/** What a broker may send, with the identifiers that are likely to be in use. */
function someAnswer(random: Random, level: number): Uint8Array {
  if (level === 5 && random.chance(90)) return someAnswer5(random);
  const id = random.chance(90) ? random.between(1, 6) : random.below(0x10000);
  const filterId = 0x10000 - SUBSCRIPTIONS_MAX + random.below(SUBSCRIPTIONS_MAX);
  switch (random.below(13)) {
    case 0: return puback(id);
    case 1: return pubrec(id);
    case 2: return pubcomp(id);
    case 3: return pubrel(id);
    case 4: return suback(filterId, random.pick([0, 1, 2, 0x80]));
    case 5: return random.chance(50) ? unsuback(filterId) : suback(filterId, 0, 1);
    case 6: return pingresp();
    case 7: return random.chance(20) ? connack(random.chance(50), random.below(6)) : pingresp();
    case 8: return packet(random.below(256), Uint8Array.from({ length: random.below(9) }, () => random.below(256)));
    case 9: return random.chance(30) ? somePacket(random) : puback(id);
    default: return publish(random.pick(TOPICS), 'p'.repeat(random.below(random.chance(15) ? 900 : 30)),
      { qos: random.below(3), id, retain: random.chance(20), duplicate: false });
  }
}

function someStream(random: Random, level: number): Uint8Array {
  let bytes: Uint8Array = new Uint8Array(0);
  for (let count = random.between(1, 8); count > 0; count--) bytes = concat(bytes, someAnswer(random, level));
  for (let count = random.chance(60) ? 0 : random.below(4); count > 0; count--) bytes = damage(random, bytes);
  return bytes;
}

class Run {
  readonly random: Random;
  readonly application = new Application();
  readonly broker: ScriptedBroker;
  /** What the client has sent on its last link: the packets, and whether that was the end. */
  #packets = 0;
  #finished = false;
  /** The application calls the client from inside a callback, and from inside that. */
  #depth = 0;

  constructor(seed: number) {
    const random = this.random = new Random(seed);
    const { application } = this;
    application.takes = () => !random.chance(5);
    const clean = random.chance(30);
    this.broker = new ScriptedBroker({
      cleanSession: clean, keepAliveSeconds: random.pick([0, 2]), queueQos0: random.chance(50),
      protocolLevel: random.pick([3, 4, 4, 5, 5, 5]), random: () => random.next(), observer: application,
    }, someLimits(random));
    application.client = this.broker.client;
    application.meanwhile = () => {
      if (this.#depth > 1 || !random.chance(10)) return;
      this.#depth++;
      this.#actOfApplication();
      this.#depth--;
    };
  }

  /** Brings the client nearer to a connection, and more often than not to it. */
  #approach(): void {
    const { broker, random } = this;
    const { client } = broker;
    if (client.state === CLOSED) client.connect();
    for (let i = 0; i < 200 && client.state === WAITING; i++) broker.pass(500, 500);
    if (client.state === OPENING && random.chance(90)) {
      this.#packets = 0;
      this.#finished = false;
      this.#judge(broker.open());
      if (random.chance(20)) broker.link.capacity = random.below(300);
    }
    if (client.state !== CONNECTING || !random.chance(85)) return;
    const present = !client.options.cleanSession && client.protocolLevel >= 4 && random.chance(60);
    if (random.chance(3)) this.give(connack(false, random.between(1, 5)));
    else this.give(client.protocolLevel === 5 ? connack5(present, 0, this.#told()) : connack(present));
  }

  /** What CONNACK of 5.0 tells. */
  #told(): Properties {
    const { random } = this;
    return { ...(random.chance(50) ? { receiveMaximum: random.between(1, 5) } : {}),
      ...(random.chance(50) ? { aliasMaximum: random.below(5) } : {}),
      ...(random.chance(20) ? { packetMaximum: random.between(40, 200) } : {}),
      ...(random.chance(20) ? { maximumQos: random.below(2) } : {}),
      ...(random.chance(20) ? { wildcards: 0 } : {}) };
  }

  /** Well-formed, CONNECT first, DISCONNECT last. */
  #judge(sent: readonly string[]): void {
    for (const words of sent) {
      const name = words.split(' ')[0]!;
      if (!NAMES.includes(name)) throw new Error(`the client sends ${words}`);
      if (this.#finished) throw new Error(`${words} after DISCONNECT [MQTT-3.14.4-2]`);
      if ((name === 'CONNECT') !== (this.#packets++ === 0)) throw new Error(`${words} as packet ${this.#packets}`);
      this.#finished = name === 'DISCONNECT';
    }
  }

  #actOfApplication(): void {
    const { application, random } = this;
    const what = random.weighted({ publish: 6, subscribe: 3, unsubscribe: 2, resume: 2, close: 1 });
    if (what === 'publish') application.publish(random.pick(TOPICS), random.below(3), 'x'.repeat(random.below(60)));
    else if (what === 'subscribe') application.subscribe(random.pick(FILTERS), random.below(3));
    else if (what === 'unsubscribe') application.unsubscribe(random.pick(FILTERS));
    else if (what === 'resume' && application.unread) application.resume();
    else if (what === 'close' && random.chance(30)) application.client.disconnect();
  }

  /** Gives the client bytes in pieces, as long as it has a link and reads. */
  give(bytes: Uint8Array): void {
    const { broker, random, application } = this;
    const { client } = broker;
    const pieceBytes = random.chance(30) ? 1 : random.between(1, 300);
    const { link } = broker;
    for (let at = 0; at < bytes.length && client.link === link;) {
      if (client.room === 0) {
        if (application.unread) application.resume();
        link.drain();
        link.capacity = Infinity;
        client.writable();
        if (client.room === 0 && client.link === link && !application.unread) throw new Error('it reads no more');
        if (random.chance(30)) return;
        continue;
      }
      const count = Math.min(pieceBytes, bytes.length - at, client.room);
      client.bytes.set(bytes.slice(at, at + count), client.receiveStart);
      client.received(count);
      at += count;
      if (random.chance(50)) client.flush();
    }
    client.flush();
  }

  step(bytes: Uint8Array): void {
    const { broker, random } = this;
    const { client } = broker;
    if (client.link === null || client.state !== CONNECTED) this.#approach();
    for (let count = random.below(4); count > 0; count--) this.#actOfApplication();
    client.flush();
    this.check();
    if (client.link !== null && client.state !== OPENING) this.give(bytes);
    this.check();
    if (random.chance(10)) broker.lose();
    this.check();
    if (random.chance(20) && client.link !== null) this.#judge(broker.pass(random.between(1, 400), 400));
    else if (random.chance(10)) broker.pass(3000);
    client.flush();
    this.check();
  }

  check(): void {
    const { client, links } = this.broker;
    checkClientInvariants(client);
    if (links.length > 0) this.#judge(links[links.length - 1]!.packets());
    const open = links.filter(({ closed }) => !closed).length;
    if (open !== (client.link === null ? 0 : 1)) throw new Error(`${open} links are open in state ${client.state}`);
    if (client.waitingCount !== this.application.kept.size) {
      throw new Error(`${client.waitingCount} messages wait, and ${this.application.kept.size} are not answered for`);
    }
    links.splice(0, links.length - 1);
  }

  /** A broker that answers as it should, until nothing is left to answer. */
  recover(): void {
    const { application, broker } = this;
    const { client } = broker;
    application.takes = () => true;
    application.meanwhile = () => {};
    broker.lose();
    for (let i = 0; i < 200 && client.state !== OPENING; i++) {
      client.connect();
      if (client.state === WAITING) broker.pass(500, 500);
    }
    const sent = [...broker.open(), ...broker.send(client.protocolLevel === 5 ? connack5(false) : connack(false))];
    for (let i = 0; i < sent.length; i++) {
      const answer = answerTo(sent[i]!, client.protocolLevel);
      if (answer !== null) sent.push(...broker.send(answer));
    }
    if (client.state !== CONNECTED) throw new Error(`no recovery: ${application.told.slice(-3).join()}`);
    const { subscriptions } = client.memory;
    if (client.waitingCount + subscriptions.pendingCount + application.kept.size !== 0) {
      throw new Error(`after recovery ${client.waitingCount} messages and ${subscriptions.pendingCount} filters wait`);
    }
    this.check();
  }
}

function answerTo(words: string, level: number): Uint8Array | null {
  const id = Number(/ id(\d+)/.exec(words)?.[1] ?? 0);
  const name = words.split(' ')[0];
  if (name === 'SUBSCRIBE') return level === 5 ? suback5(id, {}, 0) : suback(id, 0);
  if (name === 'UNSUBSCRIBE') return level === 5 ? unsuback5(id, {}, 0) : unsuback(id);
  if (name === 'PUBREL') return pubcomp(id);
  if (name === 'PINGREQ') return pingresp();
  if (words.startsWith('PUBLISH q1')) return puback(id);
  return words.startsWith('PUBLISH q2') ? pubrec(id) : null;
}

/**
 * Runs `steps` streams of a hostile broker, then a good one; adds the counters of the client to
 * `coverage`. Throws an Error that says how to repeat it.
 */
export function fuzzClient(seed: number, steps: number, coverage: Coverage): void {
  const run = new Run(seed);
  const { client } = run.broker;
  const budget = clientByteBudget(client.limits).memory;
  let bytes: Uint8Array = new Uint8Array(0);
  let step = 0;
  try {
    for (; step < steps; step++) {
      bytes = someStream(run.random, client.protocolLevel);
      run.step(bytes);
    }
    run.recover();
    if (client.bytes.length !== budget) throw new Error('the memory has grown');
  } catch (error) {
    throw new Error(`fuzz of the client, seed ${seed}, step ${step}, bytes ${toHex(bytes)}: ` +
      (error instanceof Error ? error.stack ?? error.message : String(error)));
  }
  const { counters } = client;
  for (const name of Object.keys(counters) as (keyof typeof counters)[]) {
    coverage[`client/${name}`] = (coverage[`client/${name}`] ?? 0) + counters[name];
  }
  for (const what of run.application.told.filter((words) => words.startsWith('ended'))) {
    coverage[`client/${what}`] = (coverage[`client/${what}`] ?? 0) + 1;
  }
}
