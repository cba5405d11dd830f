// Retained messages: kept, replaced, cleared, and sent to new subscriptions. MQTT 3.1.1 sections
// 3.3.1.3 and 3.8.4. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { concat, disconnect, publish, pubrel, subscribe } from '../support/packets.js';
import { connected, makeBroker, type Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import type { Broker } from '../../src/broker/broker.js';
import type { Limits } from '../../src/limits.js';
import { takeAll } from './steps.js';

const RETAIN = { retain: true };

/** A broker that retains `<topic>-value` for each topic, with QoS 0, and its publisher. */
function withRetained(topics: string[],
  limits: Partial<Limits> = {}): { broker: Broker; publisher: Peer } {
  const broker = makeBroker(limits);
  const publisher = connected(broker, { clientId: 'publisher' });
  for (const topic of topics) publisher.send(publish(topic, `${topic}-value`, RETAIN));
  return { broker, publisher };
}

/** Topics of what a client that subscribes to `filter` is sent with RETAIN. */
function retainedFor(broker: Broker, filter: string): string[] {
  const peer = connected(broker, { clientId: 'reader' });
  const packets = peer.send(subscribe(1, [filter, 0]));
  peer.send(disconnect());
  return packets.slice(1).map((packet) => /^PUBLISH q0 retain (\S*) /.exec(packet)?.[1] ?? `not retained: ${packet}`);
}

t.test('[MQTT-3.3.1-5] [MQTT-3.3.1-7] the last message with RETAIN is kept, whatever its QoS', (t) => {
  const { broker, publisher } = withRetained([]);
  const read = (): string[] => {
    const reader = connected(broker, { clientId: 'reader' });
    const taken = takeAll(reader, reader.send(subscribe(1, ['a', 2])));
    reader.send(disconnect());
    return taken;
  };
  publisher.send(publish('a', 'one', RETAIN));
  t.same(read(), ['q0 retain a one']);
  publisher.send(concat(publish('a', 'two', { retain: true, qos: 2, id: 1 }), pubrel(1)));
  t.same(read(), ['q2 retain a two']);
  publisher.send(publish('a', 'three', { retain: true, qos: 1, id: 1 }));
  t.same(read(), ['q1 retain a three']);
  publisher.send(publish('a', 'four', RETAIN));
  t.same(read(), ['q0 retain a four']);
  t.equal(broker.memory.retained.count, 1);
  t.equal(broker.memory.kept.count, 1);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.3.1-12] a message without RETAIN is neither kept nor replaces what is', (t) => {
  const { broker, publisher } = withRetained(['a']);
  publisher.send(concat(publish('a', 'passing'), publish('b', 'passing'), publish('a', '')));
  t.same(retainedFor(broker, '#'), ['a']);
  t.end();
});

t.test('[MQTT-3.3.1-10] [MQTT-3.3.1-11] an empty payload clears, is delivered live, and is not itself kept', (t) => {
  const { broker, publisher } = withRetained(['a', 'a/b']);
  const established = connected(broker, { clientId: 'established' });
  established.send(subscribe(1, ['a', 1]));
  publisher.send(publish('a', '', { retain: true, qos: 1 }));
  t.same(established.received(), ['PUBLISH q1 id1 a '], 'with RETAIN 0');
  t.same(retainedFor(broker, '#'), ['a/b']);
  publisher.send(publish('a/b', '', RETAIN));
  publisher.send(publish('never/kept', '', RETAIN));
  t.same(retainedFor(broker, '#'), []);
  t.equal(broker.memory.retained.tree.nodeCount, 1, 'only the root is left');
  t.equal(broker.memory.kept.count, 0);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.3.1-8] [MQTT-3.3.1-9] RETAIN is 1 for a new subscription, 0 for an established one', (t) => {
  const { publisher, broker } = withRetained([]);
  const established = connected(broker, { clientId: 'established' });
  established.send(subscribe(1, ['a', 0]));
  publisher.send(publish('a', 'x', RETAIN));
  t.same(established.received(), ['PUBLISH q0 a x']);
  const late = connected(broker, { clientId: 'late' });
  t.same(late.send(subscribe(1, ['a', 0])), ['SUBACK id1 0', 'PUBLISH q0 retain a x']);
  publisher.send(publish('a', 'y', RETAIN));
  t.same(late.received(), ['PUBLISH q0 a y']);
  t.end();
});

t.test('[MQTT-3.8.4-6] a retained message comes at the lower of its QoS and the one granted', (t) => {
  for (let published = 0; published <= 2; published++) {
    for (let granted = 0; granted <= 2; granted++) {
      const { broker, publisher } = withRetained([]);
      publisher.send(publish('a', 'x', { retain: true, qos: published }));
      const reader = connected(broker, { clientId: 'reader' });
      const taken = takeAll(reader, reader.send(subscribe(1, ['a', granted])));
      t.same(taken, [`q${Math.min(published, granted)} retain a x`], `${published} to ${granted}`);
      t.equal(broker.memory.queued.count, 0);
      checkInvariants(broker);
    }
  }
  t.end();
});

t.test('[MQTT-3.3.1-6] [MQTT-3.8.4-3] each subscription sends them, an identical one again', (t) => {
  const { broker } = withRetained(['a', 'b']);
  const reader = connected(broker, { clientId: 'reader' });
  const both = ['PUBLISH q0 retain a a-value', 'PUBLISH q0 retain b b-value'];
  t.same(reader.send(subscribe(1, ['+', 0])), ['SUBACK id1 0', ...both]);
  t.same(reader.send(subscribe(2, ['+', 0])), ['SUBACK id2 0', ...both]);
  t.same(reader.send(subscribe(3, ['+', 0], ['b', 0], ['x', 0])),
    ['SUBACK id3 0,0,0', ...both, both[1]]);
  t.equal(broker.memory.replays.activeCount, 0);
  t.end();
});

t.test('4.7.1: wildcards find exactly the retained topics that match, and $ only by name', (t) => {
  const topics = ['a', 'a/b', 'a/b/c', 'a/', 'b', 'b/b', '/', '/a', 'a//c', '$x', '$x/y', 'A'];
  const { broker } = withRetained(topics);
  const cases: Record<string, string[]> = {
    '#': ['a', 'a/', 'a//c', 'a/b', 'a/b/c', 'b', 'b/b', '/', '/a', 'A'],
    '+': ['a', 'b', 'A'],
    'a': ['a'],
    'a/#': ['a', 'a/', 'a//c', 'a/b', 'a/b/c'],
    'a/+': ['a/', 'a/b'],
    '+/+': ['a/', 'a/b', 'b/b', '/', '/a'],
    '/#': ['/', '/a'],
    '+/b': ['a/b', 'b/b'],
    '+/b/#': ['a/b', 'a/b/c', 'b/b'],
    'a/+/c': ['a//c', 'a/b/c'],
    '+/+/+': ['a//c', 'a/b/c'],
    '/+': ['/', '/a'],
    '$x/#': ['$x', '$x/y'],
    '$x': ['$x'],
    '$x/+': ['$x/y'],
    'c/#': [],
    'a/b/c/#': ['a/b/c'],
    'a/b/c/+': [],
  };
  for (const [filter, wanted] of Object.entries(cases)) {
    t.same(retainedFor(broker, filter).sort(), [...wanted].sort(), filter);
  }
  checkInvariants(broker);
  t.end();
});

t.test('4.7.1: retained topics with levels of 0 to 50 bytes, replaced and cleared', (t) => {
  const broker = makeBroker({ retainedMax: 64, retainedNodesMax: 200 });
  const publisher = connected(broker, { clientId: 'publisher' });
  const level = 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMN';
  const topics = Array.from({ length: 51 }, (_, length) => `l/${level.slice(0, length)}/end`);
  for (const payload of ['first', 'second']) {
    for (const topic of topics) publisher.send(publish(topic, payload, RETAIN));
  }
  t.equal(broker.memory.retained.count, topics.length);
  t.same(retainedFor(broker, 'l/+/end'), topics);
  for (const topic of topics) t.same(retainedFor(broker, topic), [topic]);
  for (const topic of topics) publisher.send(publish(topic, '', RETAIN));
  t.equal(broker.memory.retained.tree.nodeCount, 1);
  t.equal(broker.memory.retained.tree.text.freeCount, broker.memory.retained.tree.text.blockCount);
  checkInvariants(broker);
  t.end();
});

t.test('retainedMax: one topic too many is counted, delivered all the same, and known topics are still updated', (t) => {
  const { broker, publisher } = withRetained(['a', 'b', 'c'], { retainedMax: 3 });
  const subscriber = connected(broker, { clientId: 'subscriber' });
  subscriber.send(subscribe(1, ['d', 0]));
  publisher.send(publish('d', 'x', RETAIN));
  t.same(subscriber.received(), ['PUBLISH q0 d x']);
  t.equal(broker.counters[count.DROPPED_RETAINED_FULL], 1);
  publisher.send(publish('b', 'new', RETAIN));
  t.equal(broker.counters[count.DROPPED_RETAINED_FULL], 1);
  t.same(retainedFor(broker, '#'), ['a', 'b', 'c']);
  publisher.send(concat(publish('a', '', RETAIN), publish('d', 'x', RETAIN)));
  t.same(retainedFor(broker, '#').sort(), ['b', 'c', 'd'], 'a cleared one makes room');
  checkInvariants(broker);
  t.end();
});

t.test('retainedBytes: what does not fit is counted, and the topic has none rather than an old one', (t) => {
  const { broker, publisher } = withRetained([], { retainedBytes: 1024 }); // 16 blocks of 64
  publisher.send(publish('a', 'x'.repeat(500), RETAIN)); // 8 blocks
  publisher.send(publish('b', 'y'.repeat(400), RETAIN)); // 7
  publisher.send(publish('c', 'z'.repeat(100), RETAIN)); // 2, of 1 that is left
  t.equal(broker.counters[count.DROPPED_RETAINED_FULL], 1);
  publisher.send(publish('b', 'Y'.repeat(600), RETAIN)); // 10, of 8 with its own
  t.equal(broker.counters[count.DROPPED_RETAINED_FULL], 2);
  const reader = connected(broker, { clientId: 'reader' });
  t.same(reader.send(subscribe(1, ['#', 0])),
    ['SUBACK id1 0', `PUBLISH q0 retain a ${'x'.repeat(500)}`]);
  publisher.send(publish('b', 'Y'.repeat(505), RETAIN)); // 8
  t.equal(broker.counters[count.DROPPED_RETAINED_FULL], 2);
  t.equal(broker.memory.kept.blocks.freeCount, 0);
  publisher.send(publish('a', 'news', RETAIN));
  publisher.send(publish('b', 'news', RETAIN));
  t.same(reader.received().slice(-2), ['PUBLISH q0 a news', 'PUBLISH q0 b news']);
  t.equal(broker.counters[count.DROPPED_RETAINED_FULL], 2,
    'a full store takes news of topics it knows');
  checkInvariants(broker);
  t.end();
});

t.test('retainedNodesMax and topicLevelsMax: a topic that the tree does not take is counted, and leaves nothing', (t) => {
  const { broker, publisher } = withRetained(['a/b/c', 'd'], { retainedNodesMax: 5 });
  const nodes = broker.memory.retained.tree.nodeCount;
  publisher.send(publish('e/f', 'x', RETAIN));
  publisher.send(publish('a/b/x/y', 'x', RETAIN));
  publisher.send(publish('1/2/3/4/5/6/7/8/9', 'x', RETAIN));
  t.equal(broker.counters[count.DROPPED_RETAINED_FULL], 3);
  t.equal(broker.memory.retained.tree.nodeCount, nodes);
  t.same(retainedFor(broker, '#'), ['a/b/c', 'd']);
  publisher.send(publish('a/b', 'x', RETAIN));
  publisher.send(publish('e', 'x', RETAIN));
  t.equal(broker.counters[count.DROPPED_RETAINED_FULL], 3, 'what needs no more levels is kept');
  checkInvariants(broker);
  t.end();
});
