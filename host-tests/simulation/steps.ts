// What happens in a simulation: one act of one client, link, application or clock, chosen by
// chance. Called by world.ts for each step. Deterministic; runs on Node and on XS.

import {
  auth, connect, disconnect, packet, pingreq, puback, pubcomp, publish, pubrec, subscribe, subscribe5, unsubscribe,
  unsubscribe5, type Properties,
} from '../support/packets.js';
import { Client, WISHES_OF_3_1_1, type Wire, type Wishes } from './client.js';
import { isMisformed, type Message } from './message.js';
import { isShared, matches, mayBeShared, NEVER, type Subscription, type Will } from './terms.js';
import type { World } from './world.js';

/** Nine levels are one more than a broker of the simulation takes. */
const DEEP = 'a/b/c/d/e/f/g/h/i';
const TOPICS = ['s/a', 's/b', 'a', 'b', 'a/b', 'a/c', 'b/b', 'a/b/c', '/', '/a', 'a//c', '$a/b', 'caf\u00c3\u00a9/a',
  DEEP];
const FILTERS = [...TOPICS, '#', '+', 'a/#', 'a/+', '+/b', '+/+', '+/#', 'a/+/c', '/+', '/#', '$a/#', '$a/+', 'a/b/#',
  'a/b/c/#', '+/b/+', 'a/b/c/d/+/#', `${DEEP}/#`];
/**
 * For the clients that share: filters of groups, of which the last ones are none, and others that
 * match none of their topics, so that it can be told for which of them a message comes.
 */
const SHARED = ['$share/g/s/#', '$share/g/s/a', '$share/h/s/+', '$share/h/s/b', '$share/g', '$share//s', '$share/+/s',
  '$share/g/'];
const APART = FILTERS.filter((filter) => !matches(filter, 's/a') && !matches(filter, 's/b'));

const WEIGHTS = {
  connect: 10, publish: 34, subscribe: 10, unsubscribe: 4, acknowledge: 34, ping: 2, disconnect: 2, drop: 6, stall: 7,
  drain: 8, time: 6, publishLocally: 4, stray: 2, violate: 2, silence: 1,
};

type Act = (world: World, wire: Wire) => void;

/** Acts of a client that is connected, or has sent CONNECT and does not wait for the answer. */
const ACTS: Readonly<Record<string, Act>> = {
  publish: (world, wire) =>
    wire.client.publish(wire, someMessage(world, wire.client, wire.wishes.level), world.random.chance(35)),
  subscribe: sendSubscribe,
  unsubscribe: sendUnsubscribe,
  acknowledge,
  ping: (_, wire) => wire.send(pingreq(), (model) => model.ping(wire.number)),
  disconnect: sendDisconnect,
  stray: sendStray,
  violate: breakProtocol,
};

export function act(world: World): void {
  const { random } = world;
  const what = random.weighted(WEIGHTS);
  if (what === 'time') {
    world.pass(someTime(world));
  } else if (what === 'publishLocally') {
    const { topic, payload, qos } = someMessage(world, null, 4);
    world.publishLocally(topic, payload, qos, random.chance(30));
  } else if (what === 'silence') {
    world.open(new Client('silent', 'silent'), WISHES_OF_3_1_1);
  } else if (what === 'connect') {
    sendConnect(world);
  } else if (what === 'drop' || what === 'stall' || what === 'drain') {
    const open = world.wires.filter((wire) => wire.open);
    if (open.length > 0) disturb(world, random.pick(open), what);
  } else {
    const ready = world.wires.filter((wire) => wire.open && !wire.finished && wire.connecting &&
      (wire.accepted || (world.judge.model !== null && random.chance(10))));
    if (ready.length > 0) ACTS[what]!(world, random.pick(ready));
  }
}

/** Often just before or after somebody has been silent for too long. */
function someTime(world: World): number {
  const { random } = world;
  const waiting = world.wires.filter((wire) => wire.keepAliveMs > 0 && wire.quietMs >= 0);
  if (waiting.length > 0 && random.chance(50)) {
    const { quietMs, keepAliveMs } = random.pick(waiting);
    const leftMs = quietMs + 1.5 * keepAliveMs - world.nowMs;
    if (leftMs > 1) return leftMs + random.between(-1, 1);
  }
  if (random.chance(20)) return 0;
  return random.chance(80) ? random.between(1, 700) : random.between(1000, 5000);
}

/**
 * A message that is like no other: publisher, number and QoS stand in its payload; or an empty one.
 */
function someMessage(world: World, client: Client | null, level: number): Message {
  const { random } = world;
  const free = client === null || client.outgoingCount < world.outgoingMax;
  const qos = free ? random.below(3) : 0;
  const topic = random.chance(3) ? '$SYS/a' : someTopic(world);
  const fill = 'x'.repeat(random.below(random.chance(10) ? 120 : 12));
  const isEmpty = random.chance(8) && !mayBeShared(topic);
  const payload = isEmpty ? '' : `${client?.name ?? 'local'}.${++world.lastNumber}.${qos}.${fill}`;
  const message = { topic, payload, qos, properties: level === 5 ? someProperties(world) : {} };
  if (level === 5 && qos > 0 && random.chance(4)) {
    message.properties = { format: 1 };
    message.payload += '\xff';
  }
  if (!isMisformed(message)) world.published(message, false);
  return message;
}

function someTopic({ random, sharedPercent }: World): string {
  return random.chance(sharedPercent - 20) ? random.pick(['s/a', 's/b']) : random.pick(TOPICS);
}

/** Properties of a PUBLISH or will, in whatever order; often none. */
function someProperties(world: World): Properties {
  const { random } = world;
  if (random.chance(50)) return {};
  const some: Properties = { format: random.below(2), expiry: random.pick([0, 1, 2, 3, 5, 4_000_000_000]),
    contentType: 'text/x', responseTopic: 'a/b', correlation: 'c\xff0',
    user: random.chance(50) ? [['n', 'v']] : [['n', 'v'], ['m', ''], ['n', 'v']] };
  const names = (Object.keys(some) as (keyof Properties)[]).filter(() => random.chance(35));
  const properties: Properties = {};
  while (names.length > 0) {
    const [name] = names.splice(random.below(names.length), 1);
    properties[name!] = some[name!]!;
  }
  return properties;
}

function someWishes(world: World, client: Client): Wishes {
  const { random } = world;
  const isNameless = client.clientId === '';
  const keepAliveSeconds = random.pick([0, 0, 0, 1, 2, 4]);
  const clean = random.chance(isNameless ? 80 : 30);
  if (random.chance(40)) return { ...WISHES_OF_3_1_1, clean, keepAliveSeconds, expirySeconds: clean ? 0 : NEVER };
  return { level: 5, clean, keepAliveSeconds, problems: random.chance(80),
    // Nobody could come back to a session whose name the broker has chosen.
    expirySeconds: isNameless ? 0 : random.pick([0, 1, 3, 8, 8, NEVER, NEVER, NEVER]),
    receiveMaximum: random.pick([1, 2, 5, 0xffff]), aliasMaximum: random.pick([0, 1, 3]),
    packetBytesMax: random.chance(60) ? Infinity : random.between(75, 160) };
}

function sendConnect(world: World): void {
  const { random } = world;
  const client = random.pick(world.clients);
  if (client.wire?.open) {
    if (random.chance(60)) return;
    if (random.chance(50)) world.drop(client.wire);
  }
  const wishes = someWishes(world, client);
  const will = random.chance(50) ? someWill(world, wishes.level) : null;
  if (will !== null) world.published(will, false);
  const wire = world.open(client, wishes);
  if (!wire.open) return;
  client.begin(wishes);
  client.wire = wire;
  wire.connecting = true;
  if (random.chance(10)) limit(world, wire);
  const { clientId } = client;
  wire.send(connectOf(clientId, wishes, will), (model) => model.connect(wire.number, { clientId, ...wishes, will }));
}

function someWill(world: World, level: number): Will {
  const { random } = world;
  const isDelayed = level === 5 && random.chance(world.delayedPercent);
  const topic = random.chance(5) ? '$SYS/w' : someTopic(world);
  const payload = random.chance(10) && !mayBeShared(topic) ? '' : `will.${++world.lastNumber}`;
  return { topic, payload, qos: random.below(3), retain: random.chance(40),
    properties: level === 5 ? someProperties(world) : {}, delaySeconds: isDelayed ? random.pick([1, 1, 3]) : 0 };
}

function connectOf(clientId: string, wishes: Wishes, will: Will | null): Uint8Array {
  const { clean, level, keepAliveSeconds: keepAlive, expirySeconds, receiveMaximum, packetBytesMax } = wishes;
  if (level < 5) return connect({ clientId, clean, keepAlive, ...(will === null ? {} : { will }) });
  const properties: Properties = { aliasMaximum: wishes.aliasMaximum, problem: wishes.problems ? 1 : 0 };
  if (expirySeconds > 0) properties.sessionExpiry = expirySeconds;
  if (receiveMaximum < 0xffff) properties.receiveMaximum = receiveMaximum;
  if (packetBytesMax < Infinity) properties.packetMaximum = packetBytesMax;
  if (will === null) return connect({ clientId, clean, keepAlive, level, properties });
  const delay = will.delaySeconds === 0 ? {} : { willDelay: will.delaySeconds };
  return connect({ clientId, clean, keepAlive, level, properties,
    will: { ...will, properties: { ...will.properties, ...delay } } });
}

function someFilter({ random, sharedPercent }: World, client: Client): string {
  if (!client.shares) return random.pick(FILTERS);
  return random.pick(random.chance(sharedPercent) ? SHARED : APART);
}

function sendSubscribe(world: World, wire: Wire): void {
  const { random } = world;
  const isLevel5 = wire.wishes.level === 5;
  const subscriptions: Subscription[] = [];
  const identifier = isLevel5 && random.chance(40) ? random.pick([1, 2, 3, 300, 268_435_455]) : 0;
  for (let count = random.between(1, 4); count > 0; count--) {
    const filter = someFilter(world, wire.client);
    subscriptions.push(!isLevel5 ? { filter, qos: random.below(3) } : { filter, qos: random.below(3), identifier,
      noLocal: !isShared(filter) && random.chance(20), asPublished: random.chance(30),
      handling: random.pick([0, 0, 1, 2]) });
  }
  const id = random.between(100, 0xffff);
  const options = subscriptions.map(({ filter, qos, noLocal, asPublished, handling = 0 }): [string, number] =>
    [filter, qos | (noLocal ? 4 : 0) | (asPublished ? 8 : 0) | handling << 4]);
  wire.send(isLevel5 ? subscribe5(id, identifier > 0 ? { subscription: identifier } : {}, ...options) :
    subscribe(id, ...options), (model) => model.subscribe(wire.number, id, subscriptions));
}

function sendUnsubscribe(world: World, wire: Wire): void {
  const { random } = world;
  const filters: string[] = [];
  for (let count = random.between(1, 4); count > 0; count--) {
    filters.push(someFilter(world, wire.client));
  }
  const id = random.between(100, 0xffff);
  wire.send(wire.wishes.level === 5 ? unsubscribe5(id, {}, ...filters) : unsubscribe(id, ...filters),
    (model) => model.unsubscribe(wire.number, id, filters));
}

/**
 * The client looks at some of what has come, and sends some of the answers it owes, in whatever
 * order.
 */
function acknowledge(world: World, wire: Wire): void {
  const { random } = world;
  const look = random.chance(70) ? wire.inbox.length : random.below(wire.inbox.length + 1);
  for (const words of wire.inbox.splice(0, look)) wire.client.read(wire, words);
  const inOrder = random.chance(60);
  for (let count = random.below(wire.due.length + 2); count > 0 && wire.due.length > 0; count--) {
    const [due] = wire.due.splice(inOrder ? 0 : random.below(wire.due.length), 1);
    wire.send(due!.bytes, due!.step);
    wire.acknowledged(due!.id);
  }
}

function sendDisconnect({ random }: World, wire: Wire): void {
  wire.finished = true;
  if (wire.wishes.level < 5) {
    wire.send(disconnect(), (model) => model.disconnect(wire.number));
    return;
  }
  const code = random.pick([0, 0, 4]);
  const expirySeconds = wire.wishes.expirySeconds > 0 && random.chance(30) ? random.pick([0, 2, NEVER]) : null;
  wire.send(expirySeconds === null ? disconnect(code) : disconnect(code, { sessionExpiry: expirySeconds }),
    (model) => model.disconnect(wire.number, code === 4, expirySeconds));
}

/** An acknowledgement for which nothing is in flight. */
function sendStray(world: World, wire: Wire): void {
  const id = world.random.between(60_000, 0xffff);
  switch (world.random.below(3)) {
    case 0:
      wire.send(puback(id), (model) => model.puback(wire.number, id));
      break;
    case 1:
      wire.send(pubrec(id), (model) => model.pubrec(wire.number, id));
      break;
    default:
      wire.send(pubcomp(id), (model) => model.pubcomp(wire.number, id));
  }
}

/** Packets for which the broker must close the connection, and publish the will. */
const VIOLATIONS = [connect({ clientId: 'again' }), packet(0xf0), publish('a/#', 'x'),
  packet(0x80, subscribe(1, ['a', 0])), subscribe(1, ['a#', 0]), packet(0xd0), publish('', 'x'),
  publish('a', 'x', { qos: 1, id: 0 })];
const none: Properties = {};
/** The same in MQTT 5.0, and with which reason code. */
const VIOLATIONS_5: readonly [code: number, bytes: Uint8Array][] = [
  [0x82, connect({ clientId: 'again', level: 5, properties: none })], [0x82, auth(0x18, { method: 'm' })],
  [0x90, publish('a/#', 'x', { properties: none })], [0x81, packet(0x80, subscribe5(1, none, ['a', 0]))],
  [0x8f, subscribe5(1, none, ['a#', 0])], [0x82, packet(0xd0)], [0x82, publish('', 'x', { properties: none })],
  [0x82, publish('a', 'x', { qos: 1, id: 0, properties: none })],
  [0x94, publish('a', 'x', { properties: { alias: 0 } })],
  [0x94, publish('a', 'x', { properties: { alias: 99 } })],
  [0x99, publish('a', '\xff', { properties: { format: 1 } })], [0x82, subscribe5(1, none, ['$share/g/s/a', 4])],
  [0x82, publish('a', 'x', { properties: { subscription: 1 } })], [0x82, subscribe5(1, none, ['a', 0x30])],
  [0x81, subscribe5(1, none, ['a', 0x40])], [0x82, subscribe5(1, { subscription: 0 }, ['a', 0])],
  [0x82, publish('a', 'x', { properties: { expiry: [1, 2] } })],
  [0x81, publish('a', 'x', { properties: { willDelay: 1 } })],
  [0x81, publish('a', 'x', { properties: { contentType: '\xff' } })], [0x81, puback(1, 0x10, { user: ['\xff', ''] })],
];

function breakProtocol({ random }: World, wire: Wire): void {
  const [code, bytes] = wire.wishes.level < 5 ? [0, random.pick(VIOLATIONS)] : random.pick(VIOLATIONS_5);
  wire.send(bytes, null, code);
  wire.finished = true;
}

function disturb(world: World, wire: Wire, what: 'drop' | 'stall' | 'drain'): void {
  if (what === 'drop') {
    world.drop(wire);
  } else if (what === 'stall') {
    limit(world, wire);
  } else {
    if (world.random.chance(50)) wire.link.capacity = Infinity;
    wire.link.drain();
    world.handle(wire, () => world.broker.writable(wire.slot));
  }
}

/** The client reads no more than a few bytes, until its link is drained. */
function limit(world: World, wire: Wire): void {
  wire.link.drain();
  wire.link.capacity = world.random.below(100);
  wire.everCongested = true;
  world.count('stalls');
}
