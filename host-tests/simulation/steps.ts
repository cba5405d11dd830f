// What happens in a simulation: one act of one client, link, application or clock, chosen by
// chance. Called by world.ts for each step. Deterministic; runs on Node and on XS.

import {
  connect, disconnect, packet, pingreq, puback, pubcomp, publish, pubrec, subscribe, unsubscribe,
} from '../support/packets.js';
import { Client, type Wire } from './client.js';
import type { Message } from './expect.js';
import type { Will } from './model.js';
import type { World } from './world.js';

/** Nine levels are one more than a broker of the simulation takes. */
const DEEP = 'a/b/c/d/e/f/g/h/i';
const TOPICS = ['a', 'b', 'a/b', 'a/c', 'b/b', 'a/b/c', '/', '/a', 'a//c', '$a/b', 'caf\u00c3\u00a9/a', DEEP];
const FILTERS = [...TOPICS, '#', '+', 'a/#', 'a/+', '+/b', '+/+', '+/#', 'a/+/c', '/+', '/#', '$a/#', '$a/+', 'a/b/#',
  'a/b/c/#', '+/b/+', 'a/b/c/d/+/#', `${DEEP}/#`];

const WEIGHTS = {
  connect: 10, publish: 34, subscribe: 10, unsubscribe: 4, acknowledge: 34, ping: 2, disconnect: 2, drop: 6, stall: 4,
  drain: 9, time: 6, publishLocally: 4, stray: 2, violate: 1, silence: 1,
};

type Act = (world: World, wire: Wire) => void;

/** Acts of a client that is connected, or has sent CONNECT and does not wait for the answer. */
const ACTS: Readonly<Record<string, Act>> = {
  publish: (world, wire) => wire.client.publish(wire, someMessage(world, wire.client), world.random.chance(35)),
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
    const { topic, payload, qos } = someMessage(world, null);
    world.publishLocally(topic, payload, qos, random.chance(30));
  } else if (what === 'silence') {
    world.open(new Client('silent', 'silent'), 0);
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
function someMessage(world: World, client: Client | null): Message {
  const { random } = world;
  const free = client === null || client.outgoingCount < world.outgoingMax;
  const qos = free ? random.below(3) : 0;
  const topic = random.chance(3) ? '$SYS/a' : random.pick(TOPICS);
  const fill = 'x'.repeat(random.below(random.chance(10) ? 120 : 12));
  const payload = random.chance(8) ? '' : `${client?.name ?? 'local'}.${++world.lastNumber}.${qos}.${fill}`;
  const message = { topic, payload, qos };
  world.published(message, false);
  return message;
}

function sendConnect(world: World): void {
  const { random } = world;
  const client = random.pick(world.clients);
  if (client.wire?.open) {
    if (random.chance(60)) return;
    if (random.chance(50)) world.drop(client.wire);
  }
  const clean = random.chance(client.clientId === '' ? 80 : 30);
  const keepAlive = random.pick([0, 0, 0, 1, 2, 4]);
  const will: Will | null = random.chance(40) ? {
    topic: random.chance(5) ? '$SYS/w' : random.pick(TOPICS),
    payload: random.chance(10) ? '' : `will.${++world.lastNumber}`,
    qos: random.below(3), retain: random.chance(40),
  } : null;
  if (will !== null) world.published(will, false);
  const wire = world.open(client, keepAlive);
  if (!wire.open) return;
  client.begin(clean);
  client.wire = wire;
  wire.connecting = true;
  if (random.chance(10)) limit(world, wire);
  const { clientId } = client;
  wire.send(connect({ clientId, clean, keepAlive, ...(will === null ? {} : { will }) }),
    (model) => model.connect(wire.number, { clientId, clean, will }));
}

function sendSubscribe(world: World, wire: Wire): void {
  const { random } = world;
  const filters: [filter: string, qos: number][] = [];
  for (let count = random.between(1, 4); count > 0; count--) filters.push([random.pick(FILTERS), random.below(3)]);
  const id = random.between(100, 0xffff);
  wire.send(subscribe(id, ...filters), (model) => model.subscribe(wire.number, id, filters));
}

function sendUnsubscribe(world: World, wire: Wire): void {
  const { random } = world;
  const filters: string[] = [];
  for (let count = random.between(1, 4); count > 0; count--) filters.push(random.pick(FILTERS));
  const id = random.between(100, 0xffff);
  wire.send(unsubscribe(id, ...filters), (model) => model.unsubscribe(wire.number, id, filters));
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
  }
}

function sendDisconnect(_: World, wire: Wire): void {
  wire.send(disconnect(), (model) => model.disconnect(wire.number));
  wire.finished = true;
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

/** A packet for which the broker must close the connection, and publish the will. */
function breakProtocol(world: World, wire: Wire): void {
  const wrong = [connect({ clientId: 'again' }), packet(0xf0), publish('a/#', 'x'),
    packet(0x80, subscribe(1, ['a', 0])), subscribe(1, ['a#', 0]), packet(0xd0), publish('', 'x'),
    publish('a', 'x', { qos: 1, id: 0 })];
  wire.send(world.random.pick(wrong), null);
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
