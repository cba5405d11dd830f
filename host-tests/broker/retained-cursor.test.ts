// The cursor of a replay: what retained messages do that come, change and go while a new subscriber
// takes its own slowly. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import {
  concat, connect, disconnect, publish, subscribe, unsubscribe,
} from '../support/packets.js';
import { connected, makeBroker, type Peer } from '../support/peer.js';
import type { Broker } from '../../src/broker/broker.js';
import type { Limits } from '../../src/limits.js';
import { attempt, tablesInUse, takeAll } from './steps.js';

const RETAIN = { retain: true };

/**
 * A broker that has retained the topics with QoS 1, and a subscriber that is at the first of them.
 */
function replaying(topics: string[], filters: [string, number][], limits: Partial<Limits> = {}): {
  broker: Broker; publisher: Peer; subscriber: Peer; first: string[];
} {
  const broker = makeBroker({ inflightMax: 1, ...limits });
  const publisher = connected(broker, { clientId: 'publisher' });
  for (const topic of topics) publisher.send(publish(topic, 'old', { retain: true, qos: 1 }));
  const subscriber = connected(broker, { clientId: 'subscriber', clean: false });
  return { broker, publisher, subscriber, first: subscriber.send(subscribe(1, ...filters)) };
}

/** What `peer` takes with RETAIN 1: of its replays, not what was published live. */
function takeRetained(peer: Peer, packets: string[]): string[] {
  return takeAll(peer, packets).filter((text) => text.includes(' retain '));
}

t.test('4.4: a replay of QoS 1 and 2 respects the window and goes on with the acknowledgements', (t) => {
  const topics = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  const { broker, subscriber, first } = replaying(topics, [['+', 1]], { inflightMax: 3 });
  t.equal(first.length, 1 + 3);
  t.same(takeAll(subscriber, first), topics.map((topic) => `q1 retain ${topic} old`));
  t.same([broker.memory.replays.activeCount, broker.memory.queued.count], [0, 0]);
  checkInvariants(broker);
  t.end();
});

t.test('3.3.1.3: many retained messages go through a small outbox, as the link takes them', (t) => {
  const broker = makeBroker({ packetBytesMax: 256, outboxBytes: 256, retainedMax: 64,
    retainedNodesMax: 128 });
  const publisher = connected(broker, { clientId: 'publisher' });
  const wanted: string[] = [];
  for (let i = 0; i < 60; i++) {
    publisher.send(publish(`topic/${i}`, 'x'.repeat(i * 2), RETAIN));
    if (i > 0) wanted.push(`PUBLISH q0 retain topic/${i} ${'x'.repeat(i * 2)}`);
  }
  const subscriber = connected(broker, { clientId: 'subscriber' });
  subscriber.link.drain();
  subscriber.link.capacity = 300;
  const received = subscriber.send(subscribe(1, ['topic/+', 1]));
  t.same(received.shift(), 'SUBACK id1 1');
  let turns = 0;
  while (broker.memory.replays.activeCount > 0 && turns < 100) {
    received.push(...subscriber.resume());
    checkInvariants(broker);
    turns++;
  }
  received.push(...subscriber.resume());
  t.same(received, wanted);
  t.ok(turns > 10, `in ${turns} turns`);
  t.end();
});

t.test('3.3.1.3: a publication between two turns of a replay is delivered, and new values replace old', (t) => {
  const { publisher, subscriber, first } = replaying(['a', 'b', 'c'], [['+', 1]]);
  publisher.send(publish('c', 'new', { retain: true, qos: 1 }));
  publisher.send(publish('d', 'new', { retain: true, qos: 1 }));
  const taken = takeAll(subscriber, first);
  t.same(taken.filter((text) => !text.includes('retain')), ['q1 c new', 'q1 d new']);
  t.same(taken.filter((text) => text.includes('retain')),
    ['q1 retain a old', 'q1 retain b old', 'q1 retain c new', 'q1 retain d new']);
  t.end();
});

t.test('3.3.1.3: the message at the cursor is cleared: the replay goes on with the next', (t) => {
  const { broker, publisher, subscriber, first } = replaying(['a', 'b', 'c'], [['+', 1]]);
  publisher.send(publish('b', '', RETAIN));
  checkInvariants(broker);
  t.same(takeAll(subscriber, [...first, ...subscriber.received()]),
    ['q1 retain a old', 'q0 b ', 'q1 retain c old']);
  checkInvariants(broker);
  t.end();
});

t.test('3.3.1.3: a node below or above the one at the cursor goes, and the cursor keeps its place', (t) => {
  const { broker, publisher, subscriber, first } = replaying(['z', 'a', 'a/b', 'a/b/c', 'd'],
    [['#', 1]]);
  for (const topic of ['a', 'a/b/c', 'z']) publisher.send(publish(topic, '', RETAIN));
  checkInvariants(broker);
  t.same(takeRetained(subscriber, first),
    ['q1 retain z old', 'q1 retain a/b old', 'q1 retain d old']);
  publisher.send(publish('a/b', '', RETAIN));
  t.equal(broker.memory.retained.tree.nodeCount, 2, 'the root and d');
  checkInvariants(broker);
  t.end();
});

t.test('3.3.1.3: the last message that a replay has left is cleared: it is over', (t) => {
  const { broker, publisher, subscriber, first } = replaying(['a', 'b'], [['+', 1]]);
  publisher.send(publish('b', '', RETAIN));
  t.equal(broker.memory.replays.activeCount, 0);
  t.same(takeRetained(subscriber, first), ['q1 retain a old']);
  checkInvariants(broker);
  t.end();
});

t.test('3.3.1.3: the message at the cursor is cleared, and a second filter waits for it too', (t) => {
  const { broker, publisher, subscriber, first } =
    replaying(['first', 'a', 'b'], [['first', 1], ['a', 1], ['a/#', 1], ['b', 1]]);
  publisher.send(publish('a', '', RETAIN));
  checkInvariants(broker);
  t.same(takeRetained(subscriber, first), ['q1 retain first old', 'q1 retain b old']);
  checkInvariants(broker);
  t.end();
});

t.test('3.3.1.3: two replays at the same message that is cleared', (t) => {
  const { broker, publisher, subscriber, first } = replaying(['a', 'b', 'c'], [['+', 1]]);
  const other = connected(broker, { clientId: 'other' });
  const otherFirst = other.send(subscribe(1, ['#', 1]));
  t.equal(broker.memory.replays.activeCount, 2);
  publisher.send(publish('b', '', RETAIN));
  checkInvariants(broker);
  for (const [peer, packets] of [[subscriber, first], [other, otherFirst]] as const) {
    t.same(takeRetained(peer, [...packets]), ['q1 retain a old', 'q1 retain c old']);
  }
  checkInvariants(broker);
  t.end();
});

t.test('3.10: UNSUBSCRIBE ends the replay of that filter only, at its front or behind', (t) => {
  for (const gone of ['x/+', 'y/+', 'z/+']) {
    const topics = ['x/1', 'x/2', 'y/1', 'y/2', 'z/1', 'z/2'];
    const { broker, subscriber, first } = replaying(topics, [['x/+', 1], ['y/+', 1], ['z/+', 1]]);
    t.same(subscriber.send(unsubscribe(2, gone)), ['UNSUBACK id2']);
    checkInvariants(broker);
    const left = topics.filter((topic) => topic === 'x/1' || topic[0] !== gone[0]);
    t.same(takeAll(subscriber, first), left.map((topic) => `q1 retain ${topic} old`),
      `without ${gone}`);
    checkInvariants(broker);
  }
  t.end();
});

t.test('[MQTT-3.8.4-3] an identical subscription during its replay begins anew, with the QoS of the new one', (t) => {
  const { broker, subscriber, first } = replaying(['a', 'b'], [['+', 1]]);
  const again = subscriber.send(subscribe(2, ['+', 0]));
  t.same(again, ['SUBACK id2 0', 'PUBLISH q0 retain a old', 'PUBLISH q0 retain b old']);
  t.same(takeAll(subscriber, first), ['q1 retain a old']);
  t.equal(broker.memory.replays.activeCount, 0);
  checkInvariants(broker);
  t.end();
});

t.test('3.1.2.4: a clean session that ends during its replay leaves nothing', (t) => {
  const broker = makeBroker({ inflightMax: 1 });
  const publisher = connected(broker, { clientId: 'publisher' });
  for (const topic of ['a', 'b', 'c']) {
    publisher.send(publish(topic, 'old', { retain: true, qos: 1 }));
  }
  for (const end of ['disconnect', 'drop'] as const) {
    const subscriber = connected(broker, { clientId: 'subscriber' });
    subscriber.send(subscribe(1, ['+', 1], ['#', 1], ['b', 1]));
    if (end === 'drop') subscriber.drop();
    else subscriber.send(disconnect());
    t.same(broker.memory.replays.activeCount, 0);
    checkInvariants(broker);
  }
  for (const topic of ['a', 'b', 'c']) publisher.send(publish(topic, '', RETAIN));
  publisher.send(disconnect());
  t.same(tablesInUse(broker), []);
  t.end();
});

t.test('3.1.2.4: a persistent session goes on with its replay when it comes back, without what went meanwhile', (t) => {
  const { broker, publisher, subscriber } = replaying(['a', 'b', 'c', 'd'], [['+', 1]]);
  subscriber.drop();
  publisher.send(concat(publish('b', '', RETAIN), publish('c', 'new', RETAIN)));
  checkInvariants(broker);
  const { answers, peer } = attempt(broker, connect({ clientId: 'subscriber', clean: false }));
  t.same(takeAll(peer, answers), ['q1 dup retain a old', 'q0 retain c new', 'q1 retain d old']);
  checkInvariants(broker);
  t.end();
});

t.test('queueBytes: a replay that finds the shared queue full goes on when there is room', (t) => {
  const broker = makeBroker({ queueBytes: 1024, inflightMax: 4 }); // 16 blocks of 64
  const publisher = connected(broker, { clientId: 'publisher' });
  const topics = ['a', 'b', 'c', 'd', 'e'];
  for (const topic of topics) {
    publisher.send(publish(topic, 'x'.repeat(400), { retain: true, qos: 1 }));
  }
  const subscriber = connected(broker, { clientId: 'subscriber' });
  const first = subscriber.send(subscribe(1, ['+', 1]));
  t.equal(first.length, 1 + 2, 'two of seven blocks fit');
  t.same(takeAll(subscriber, first).map((text) => text.slice(0, 11)),
    topics.map((topic) => `q1 retain ${topic}`));
  checkInvariants(broker);
  t.end();
});
