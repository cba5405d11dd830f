// `$SYS/broker/…`: names, values, interval, and that every refusal and drop shows there. Runs on
// Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import {
  ascii, concat, connect, disconnect, fromHex, pingreq, puback, publish, subscribe,
} from '../support/packets.js';
import { connected, makeBroker, pass, Peer } from '../support/peer.js';
import type { Broker } from '../../src/broker/broker.js';
import { COUNTER_COUNT, SYS_NAMES } from '../../src/broker/counters.js';
import { COUNTER_BYTES, SYS_NODES_MAX, SYS_TEXT_BYTES, SYS_TOPICS_MAX, type Limits } from '../../src/limits.js';
import { attempt } from './steps.js';

const NAMES = [
  'acknowledgements/unknown', 'bytes/received', 'bytes/sent', 'clients/connected',
  'clients/disconnected',
  'clients/expired', 'clients/maximum', 'clients/total', 'dropped/expired', 'dropped/outbox-full', 'dropped/queue-full',
  'dropped/retained-full',
  'dropped/session-full', 'dropped/sys', 'dropped/too-large', 'ended/keep-alive', 'ended/link-lost', 'ended/taken-over',
  'errors/malformed',
  'errors/protocol', 'errors/receive-maximum', 'errors/too-large', 'errors/topic',
  'messages/received',
  'messages/sent', 'publish/messages/dropped', 'publish/messages/received', 'publish/messages/sent',
  'publishers/waited', 'refused/connect-timeout', 'refused/full', 'refused/identifier',
  'refused/level',
  'refused/login', 'refused/subscriptions', 'retained messages/count', 'store/messages/count',
  'subscriptions/count',
  'uptime', 'version',
];

function start(limits: Partial<Limits> = {},
  options = {}): { broker: Broker; clock: { nowMs: number } } {
  const broker = makeBroker({ sysIntervalMs: 1000, ...limits }, options);
  const clock = { nowMs: 777 };
  broker.tick(clock.nowMs);
  return { broker, clock };
}

/** The values under `$SYS/broker/` that a new client is sent, by name. */
function values(broker: Broker): Record<string, string> {
  const reader = new Peer(broker);
  const packets = reader.send(concat(connect({ clientId: 'reader' }), subscribe(1, ['$SYS/#', 0])));
  reader.send(disconnect());
  const found: Record<string, string> = {};
  for (const packet of packets.slice(2)) {
    const parts = /^PUBLISH q0 retain \$SYS\/broker\/(retained messages\/count|\S+) (.*)$/.exec(packet);
    found[parts?.[1] ?? packet] = parts?.[2] ?? '';
  }
  return found;
}

t.test('$SYS/broker: all names are there and retained from the beginning', (t) => {
  const { broker } = start();
  const found = values(broker);
  t.same(Object.keys(found).sort(), NAMES);
  t.equal(found.version, 'test');
  t.equal(found.uptime, '0 seconds');
  for (const name of NAMES) {
    if (!['version', 'uptime', 'retained messages/count', 'store/messages/count'].includes(name)) {
      t.equal(found[name], '0', name);
    }
  }
  t.equal(broker.memory.retained.count, NAMES.length);
  checkInvariants(broker);
  t.end();
});

t.test('$SYS/broker: counters, names and reserved memory agree', (t) => {
  t.equal(SYS_NAMES.length, COUNTER_COUNT);
  t.ok(COUNTER_COUNT + 1 <= SYS_TOPICS_MAX && 8 * COUNTER_COUNT <= COUNTER_BYTES);
  const nodes = new Set(NAMES.flatMap((name) => {
    const levels = `$SYS/broker/${name}`.split('/');
    return levels.map((_, depth) => levels.slice(0, depth + 1).join('/'));
  }));
  t.equal(nodes.size, SYS_NODES_MAX);
  t.same(SYS_NAMES.filter((name) => `$SYS/broker/${name} seconds`.length > SYS_TEXT_BYTES), []);
  t.end();
});

t.test('$SYS/broker: tables that clients may fill are theirs in full', (t) => {
  const { broker } = start({ retainedMax: 3, retainedBytes: 1024, retainedNodesMax: 3 });
  const publisher = connected(broker, { clientId: 'publisher' });
  for (const topic of ['a', 'b', 'c']) {
    publisher.send(publish(topic, 'x'.repeat(230), { retain: true }));
  }
  t.equal(broker.memory.retained.count, NAMES.length + 3);
  checkInvariants(broker);
  t.end();
});

t.test('$SYS/broker: published at the interval, only what changed, with RETAIN 0 to who listens', (t) => {
  const { broker, clock } = start();
  const listener = connected(broker, { clientId: 'listener' });
  listener.send(subscribe(1, ['$SYS/broker/subscriptions/count', 0], ['$SYS/broker/uptime', 0],
    ['$SYS/broker/clients/connected', 0], ['$SYS/broker/errors/topic', 0]));
  listener.received();
  pass(broker, clock, 999);
  t.same(listener.received(), []);
  pass(broker, clock, 1);
  t.same(listener.received().sort(), ['PUBLISH q0 $SYS/broker/clients/connected 1',
    'PUBLISH q0 $SYS/broker/subscriptions/count 4', 'PUBLISH q0 $SYS/broker/uptime 1 seconds']);
  pass(broker, clock, 1000);
  t.same(listener.received(), ['PUBLISH q0 $SYS/broker/uptime 2 seconds']);
  pass(broker, clock, 60_000);
  t.same(listener.received(), ['PUBLISH q0 $SYS/broker/uptime 62 seconds'], 'once, however late');
  t.equal(values(broker).uptime, '62 seconds');
  checkInvariants(broker);
  t.end();
});

t.test('$SYS/broker: leading wildcards do not see it [MQTT-4.7.2-1]', (t) => {
  const { broker, clock } = start();
  const listener = connected(broker, { clientId: 'listener' });
  const filters = ['#', '+/#', '+/broker/#',
    '+/+/uptime'].map((filter): [string, number] => [filter, 0]);
  t.same(listener.send(subscribe(1, ...filters)), ['SUBACK id1 0,0,0,0']);
  pass(broker, clock, 1000);
  t.same(listener.received(), []);
  t.end();
});

t.test('sysIntervalMs 0 publishes none, and reserves nothing for it', (t) => {
  const broker = makeBroker({ sysIntervalMs: 0 });
  broker.tick(0);
  broker.tick(100_000);
  t.same(values(broker), {});
  t.equal(broker.memory.retained.tree.nodeCount, 1);
  t.equal(broker.memory.retained.messagesMax, broker.limits.retainedMax);
  t.end();
});

t.test('$SYS/broker: sizes of tables and traffic', (t) => {
  const { broker, clock } = start();
  const one = connected(broker, { clientId: 'one', clean: false });
  one.send(subscribe(1, ['a', 1], ['b', 0]));
  connected(broker, { clientId: 'gone', clean: false }).send(disconnect());
  const two = connected(broker, { clientId: 'two' });
  two.send(concat(publish('a', 'x', { retain: true, qos: 1 }), publish('b', 'y'), publish('c', 'z'),
    pingreq()));
  const { 'messages/sent': sentBefore, 'bytes/sent': bytesBefore } = values(broker);
  t.same([sentBefore, bytesBefore], ['0', '0'], 'not before the interval');
  const { counters } = broker;
  const sent = counters[1]!;
  pass(broker, clock, 1000);
  const found = values(broker);
  const wanted: Record<string, number> = {
    'clients/connected': 2, 'clients/maximum': 3, 'clients/total': 3, 'clients/disconnected': 1,
    'subscriptions/count': 2, 'retained messages/count': NAMES.length + 1,
    'store/messages/count': NAMES.length + 2,
    'publish/messages/received': 3, 'messages/received': 12, 'messages/sent': sent,
  };
  for (const [name, value] of Object.entries(wanted)) t.equal(found[name], String(value), name);
  t.equal(Number(found['publish/messages/sent']), 2 + NAMES.length);
  checkInvariants(broker);
  t.end();
});

t.test('$SYS/broker: large numbers are written in full', (t) => {
  const { broker, clock } = start();
  for (const value of [9, 10, 99, 100, 4294967295, 4294967296, 999_999_999_999,
    9_007_199_254_740_991]) {
    broker.counters[SYS_NAMES.indexOf('bytes/received')] = value;
    pass(broker, clock, 1000);
    t.equal(values(broker)['bytes/received'], String(value));
  }
  t.end();
});

/** Something that must be counted under exactly these names. */
interface Case {
  limits?: Partial<Limits>;
  counted: Record<string, number>;
  happens: (broker: Broker, clock: { nowMs: number }) => void;
}

const CASES: Record<string, Case> = {
  'a full table of clients': {
    limits: { clientsMax: 1 }, counted: { 'refused/full': 1 },
    happens: (broker) => {
      const peer = connected(broker, { clientId: 'a' });
      attempt(broker, connect({ clientId: 'b' }));
      peer.send(disconnect());
    },
  },
  'a refused identifier': {
    counted: { 'refused/identifier': 1 },
    happens: (broker) => attempt(broker, connect({ clean: false })),
  },
  'a protocol level': {
    counted: { 'refused/level': 1 },
    happens: (broker) => attempt(broker, connect({ clientId: 'a', level: 2 })),
  },
  'a login': {
    counted: { 'refused/login': 1 },
    happens: (broker) => attempt(broker, connect({ clientId: 'a', userName: 'eve' })),
  },
  'no CONNECT': {
    limits: { connectTimeoutMs: 500 }, counted: { 'refused/connect-timeout': 1 },
    happens: (broker, clock) => {
      new Peer(broker);
      pass(broker, clock, 500);
    },
  },
  'a subscription': {
    limits: { subscriptionsMax: 1 }, counted: { 'refused/subscriptions': 1 },
    happens: (broker) => connected(broker).send(concat(subscribe(1, ['a', 0], ['b', 0]),
      disconnect())),
  },
  'a malformed packet': {
    counted: { 'errors/malformed': 1 }, happens: (broker) => attempt(broker, fromHex('f000')),
  },
  'a protocol error': {
    counted: { 'errors/protocol': 1 }, happens: (broker) => attempt(broker, pingreq()),
  },
  'an impossible topic': {
    counted: { 'errors/topic': 1 }, happens: (broker) => connected(broker).send(publish('#', 'x')),
  },
  'a packet that is too large': {
    counted: { 'errors/too-large': 1 }, happens: (broker) => attempt(broker, fromHex('10ffffff7f 0004 4d515454 04')),
  },
  'too many of QoS 2': {
    limits: { receiveMax: 1 }, counted: { 'errors/receive-maximum': 1 },
    happens: (broker) => connected(broker).send(concat(publish('a', 'x', { qos: 2, id: 1 }),
      publish('a', 'x', { qos: 2, id: 2 }))),
  },
  'keep-alive': {
    counted: { 'ended/keep-alive': 1 },
    happens: (broker, clock) => {
      connected(broker, { keepAlive: 1 });
      pass(broker, clock, 10);
      pass(broker, clock, 1600);
    },
  },
  'takeover': {
    counted: { 'ended/taken-over': 1 },
    happens: (broker) => {
      connected(broker, { clientId: 'a' });
      connected(broker, { clientId: 'a' }).send(disconnect());
    },
  },
  'a lost link': { counted: { 'ended/link-lost': 1 },
    happens: (broker) => connected(broker).drop() },
  'an unknown acknowledgement': {
    counted: { 'acknowledgements/unknown': 1 },
    happens: (broker) => connected(broker).send(concat(puback(3), disconnect())),
  },
  'a publication into $SYS': {
    counted: { 'dropped/sys': 1 },
    happens: (broker) => connected(broker).send(concat(publish('$SYS/x', 'y'), disconnect())),
  },
  'a retained message too many': {
    limits: { topicLevelsMax: 5 }, counted: { 'dropped/retained-full': 1 },
    happens: (broker) => connected(broker).send(concat(publish('1/2/3/4/5/6', 'y',
      { retain: true }), disconnect())),
  },
  'a full session': {
    limits: { sessionQueuedMax: 1 },
    counted: { 'dropped/session-full': 2, 'publish/messages/dropped': 2 },
    happens: (broker) => {
      connected(broker, { clientId: 'a', clean: false }).send(concat(subscribe(1, ['x', 1]),
        disconnect()));
      for (let i = 0; i < 3; i++) broker.publish(ascii('x'), ascii('y'), 1, false);
    },
  },
  'a full shared queue': {
    limits: { queuedMax: 1 }, counted: { 'dropped/queue-full': 1, 'publish/messages/dropped': 1 },
    happens: (broker) => {
      connected(broker, { clientId: 'a', clean: false }).send(concat(subscribe(1, ['x', 1]),
        disconnect()));
      for (let i = 0; i < 2; i++) broker.publish(ascii('x'), ascii('y'), 1, false);
    },
  },
  'a full outbox': {
    counted: { 'dropped/outbox-full': 1, 'publish/messages/dropped': 1 },
    happens: (broker) => {
      const peer = connected(broker, { clientId: 'a' });
      peer.send(subscribe(1, ['x', 0]));
      peer.link.drain();
      peer.link.capacity = 0;
      for (let i = 0; i < 2; i++) broker.publish(ascii('x'), new Uint8Array(600), 0, false);
      peer.send(disconnect());
    },
  },
};

/** Names of what went wrong, as against what is traffic. */
const isTrouble = (name: string): boolean => /^(dropped|ended|errors|refused|ack)|dropped$/.test(name);

t.test('$SYS/broker: every refusal, drop and error is counted under its name, and under no other', (t) => {
  for (const [title, { limits, counted, happens }] of Object.entries(CASES)) {
    const { broker, clock } = start(limits,
      { authenticate: (_: Uint8Array, packet: { connectFlags: number }) =>
      (packet.connectFlags & 0x80) !== 0 ? 5 : 0 });
    happens(broker, clock);
    broker.flush();
    pass(broker, clock, 1000);
    const found: Record<string, number> = {};
    for (const [name, value] of Object.entries(values(broker))) {
      if (isTrouble(name) && value !== '0') found[name] = Number(value);
    }
    t.same(found, counted, title);
    checkInvariants(broker);
  }
  t.end();
});
