// SUBSCRIBE, UNSUBSCRIBE, and which filters match which topics. MQTT 3.1.1 sections 3.8 to 3.11 and
// 4.7. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import {
  concat, disconnect, fromHex, packet, publish, subscribe, unsubscribe, type Text,
} from '../support/packets.js';
import { connected, makeBroker, type Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import type { Broker } from '../../src/broker/broker.js';
import { tablesInUse, takeAll } from './steps.js';

/** A broker with a publisher and a client that subscribes. */
function pair(limits: Parameters<typeof makeBroker>[0] = {}): { broker: Broker; publisher: Peer; subscriber: Peer } {
  const broker = makeBroker(limits);
  const publisher = connected(broker, { clientId: 'publisher' });
  return { broker, publisher, subscriber: connected(broker, { clientId: 'subscriber' }) };
}

/** Whether a message on `topic` comes to a subscriber of `filter`, once. */
function matches(broker: Broker, publisher: Peer, subscriber: Peer, filter: Text,
  topic: Text): boolean {
  subscriber.send(subscribe(1, [filter, 0]));
  publisher.send(publish(topic, 'x'));
  const { length } = subscriber.received();
  subscriber.send(unsubscribe(2, filter));
  if (length > 1 || broker.memory.subscriptions.count !== 0) throw new Error(`${length} copies for ${String(filter)}`);
  return length === 1;
}

t.test('[MQTT-3.8.4-5] SUBACK has one code for each filter, in their order, and the identifier of SUBSCRIBE', (t) => {
  const { broker, subscriber } = pair();
  t.same(subscriber.send(subscribe(65535, ['a', 0], ['b', 1], ['c', 2], ['a/+', 1])),
    ['SUBACK id65535 0,1,2,1']);
  t.same(subscriber.send(concat(subscribe(1, ['d', 2]), subscribe(1, ['e', 0]))),
    ['SUBACK id1 2', 'SUBACK id1 0']);
  t.equal(broker.memory.subscriptions.count, 6);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.8.4-3] an identical filter replaces the QoS of the one before; another filter does not', (t) => {
  const { broker, publisher, subscriber } = pair();
  const receive = (): string[] => {
    publisher.send(publish('a/b', 'x', { qos: 2, id: 1 }));
    publisher.send(fromHex('62020001'));
    return takeAll(subscriber, subscriber.received());
  };
  for (const qos of [2, 0, 1]) {
    t.same(subscriber.send(subscribe(1, ['a/b', qos])), [`SUBACK id1 ${qos}`]);
    t.same(receive(), [`q${qos} a/b x`]);
    t.equal(broker.memory.subscriptions.count, 1);
  }
  subscriber.send(subscribe(1, ['a/b', 2], ['a/b', 0]));
  t.same(receive(), ['q0 a/b x'], 'twice in one packet: the last counts');
  t.equal(broker.memory.subscriptions.count, 1);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.3.5-1] filters that overlap: one copy, at the highest QoS', (t) => {
  const { broker, publisher, subscriber } = pair();
  subscriber.send(subscribe(1, ['a/b', 0], ['a/+', 2], ['#', 1], ['+/b/#', 0], ['+/+', 1]));
  publisher.send(publish('a/b', 'x', { qos: 2, id: 1 }));
  t.same(takeAll(subscriber, subscriber.received()), ['q2 a/b x']);
  subscriber.send(unsubscribe(2, 'a/+'));
  publisher.send(publish('a/b', 'y', { qos: 2, id: 2 }));
  t.same(takeAll(subscriber, subscriber.received()), ['q1 a/b y']);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.3.5-1] many subscribers with filters that overlap get one copy each, at their own QoS', (t) => {
  const broker = makeBroker();
  const publisher = connected(broker, { clientId: 'publisher' });
  const filters: [string, number][][] = [
    [['a/b', 0], ['#', 2]], [['+/b', 1]], [['a/#', 0], ['a/+', 1]], [['c', 2]],
    [['+/+', 2], ['a/b', 2], ['a/b/#', 0]],
  ];
  const subscribers = filters.map((list, i) => {
    const peer = connected(broker, { clientId: `subscriber-${i}` });
    peer.send(subscribe(1, ...list));
    return peer;
  });
  publisher.send(publish('a/b', 'x', { qos: 2, id: 1 }));
  t.same(subscribers.map((peer) => takeAll(peer, peer.received()).join()),
    ['q2 a/b x', 'q1 a/b x', 'q1 a/b x', '', 'q2 a/b x']);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.10.4-4] [MQTT-3.10.4-5] UNSUBSCRIBE is acknowledged whether there was something or not', (t) => {
  const { broker, publisher, subscriber } = pair();
  subscriber.send(subscribe(1, ['a', 0], ['a/b', 0], ['+', 0]));
  t.same(subscriber.send(unsubscribe(7, 'nothing', 'a/+', '#')), ['UNSUBACK id7']);
  t.equal(broker.memory.subscriptions.count, 3);
  t.same(subscriber.send(unsubscribe(8, 'a', 'nothing', 'a/b')), ['UNSUBACK id8']);
  publisher.send(concat(publish('a', 'x'), publish('a/b', 'x')));
  t.same(subscriber.received(), ['PUBLISH q0 a x'], 'compared character by character: `+` stays');
  publisher.send(unsubscribe(9, '+'));
  t.equal(broker.memory.subscriptions.count, 1, "another client's subscription is not touched");
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.10.4-1] what a client unsubscribes from is delivered no more, and nothing is left of it', (t) => {
  const { broker, publisher, subscriber } = pair();
  const filters = ['a', 'a/b', 'a/+', 'a/#', '#', '+', '+/+/c', '/', '$x/#'];
  subscriber.send(subscribe(1, ...filters.map((filter): [string, number] => [filter, 1])));
  for (const filter of filters) subscriber.send(unsubscribe(2, filter));
  for (const topic of ['a', 'a/b', 'a/b/c', '/', '$x/y']) {
    publisher.send(publish(topic, 'x', { qos: 1 }));
  }
  t.same(subscriber.received(), []);
  t.same(tablesInUse(broker), ['clients', 'links', 'sessions']);
  t.end();
});

t.test('4.7.1: filters match exactly the topics that the specification says', (t) => {
  const topics = ['a', 'b', 'A', 'a/b', 'a/b/c', 'a/', '/a', '/', '//', 'a//b', 'aa', 'a/bb', '$a',
    '$a/b', 'p'];
  const cases: Record<string, string[]> = {
    'a': ['a'], 'A': ['A'], 'aa': ['aa'], '/': ['/'], '//': ['//'], 'a/': ['a/'], '/a': ['/a'],
    '#': topics.filter((topic) => topic[0] !== '$'),
    '+': ['a', 'b', 'A', 'aa', 'p'],
    'a/#': ['a', 'a/b', 'a/b/c', 'a/', 'a//b', 'a/bb'],
    'a/+': ['a/b', 'a/', 'a/bb'],
    '+/+': ['a/b', 'a/', '/a', '/', 'a/bb'],
    '+/#': topics.filter((topic) => topic[0] !== '$'),
    '/+': ['/a', '/'],
    '/#': ['/a', '/', '//'],
    '+/b': ['a/b'],
    'a/+/c': ['a/b/c'],
    'a/+/b': ['a//b'],
    'a/+/#': ['a/b', 'a/b/c', 'a/', 'a//b', 'a/bb'],
    'a/b/#': ['a/b', 'a/b/c'],
    '+/+/+': ['a/b/c', '//', 'a//b'],
    '//#': ['/', '//'],
    '$a': ['$a'], '$a/#': ['$a', '$a/b'], '$a/+': ['$a/b'],
    '+/b/#': ['a/b', 'a/b/c'],
  };
  const { broker, publisher, subscriber } = pair();
  for (const [filter, wanted] of Object.entries(cases)) {
    t.same(topics.filter((topic) => matches(broker, publisher, subscriber, filter, topic)), wanted,
      filter);
  }
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-4.7.3-4] topics are bytes: no normalization, no trimming, beyond ASCII too', (t) => {
  const { broker, publisher, subscriber } = pair();
  const composed = fromHex('6d6169736f6e2f 6574c3a9'); // maison/été, its last é in one code point
  const decomposed = fromHex('6d6169736f6e2f 657465cc81'); // and in two
  const astral = fromHex('f09f8fa0 2f e29883');
  const texts = [composed, decomposed, astral, 'maison/ete', 'maison/ete ', fromHex('efbbbf 61'),
    'a'];
  for (const filter of texts) {
    const found = texts.filter((topic) => matches(broker, publisher, subscriber, filter, topic));
    t.equal(found.length, 1);
    t.equal(found[0], filter);
  }
  t.ok(matches(broker, publisher, subscriber, '+/+', astral));
  t.ok(matches(broker, publisher, subscriber, 'maison/#', composed));
  t.end();
});

t.test('4.7.1: levels of 0 to 20 and of up to 600 bytes, and no other level of that length', (t) => {
  const { broker, publisher, subscriber } = pair();
  const text = 'abcdefghijklmnopqrstuvwxyz0123456789'.repeat(17);
  const lengths = [...Array.from({ length: 21 }, (_, i) => i), 31, 32, 33, 47, 48, 49, 50, 63, 64,
    65, 600];
  for (const length of lengths) {
    const level = text.slice(0, length);
    t.ok(matches(broker, publisher, subscriber, `x/${level}/y`, `x/${level}/y`), `${length} bytes`);
    t.ok(matches(broker, publisher, subscriber, 'x/+/y', `x/${level}/y`), `${length} bytes by +`);
    t.notOk(matches(broker, publisher, subscriber, `x/${level}`, `x/${level}z`), 'one byte more');
    let wrong = 0;
    for (const at of [0, length >> 1, length - 1]) {
      const other = `${level.slice(0, at)}!${level.slice(at + 1)}`;
      if (length > 0 && matches(broker, publisher, subscriber, `x/${level}`, `x/${other}`)) wrong++;
    }
    t.equal(wrong, 0, `${length} bytes of which one differs`);
  }
  checkInvariants(broker);
  t.end();
});

t.test('topicLevelsMax: deeper topics still match `#`, a deeper filter is refused', (t) => {
  const { broker, publisher, subscriber } = pair({ topicLevelsMax: 4 });
  const deep = '1/2/3/4/5/6/7/8/9';
  for (const filter of ['#', '1/#', '1/2/#', '+/2/#', '1/2/+/#']) {
    t.ok(matches(broker, publisher, subscriber, filter, deep), filter);
    t.ok(matches(broker, publisher, subscriber, filter, '1/2/3/4/5'), `${filter}, one too deep`);
  }
  for (const filter of ['1/2/3/4', '+/+/+/+', '1/2/3', '1/2/3/+', '2/#', '1/3/#']) {
    t.notOk(matches(broker, publisher, subscriber, filter, deep), filter);
  }
  t.ok(matches(broker, publisher, subscriber, '+/+/+/+', '1/2/3/4'));
  t.same(subscriber.send(subscribe(1, ['1/2/3/4/5', 1], ['1/2/3/4', 1], ['1/2/3/4/#', 0])),
    ['SUBACK id1 128,1,128']);
  t.same(subscriber.send(unsubscribe(2, '1/2/3/4/5')), ['UNSUBACK id2']);
  t.equal(broker.counters[count.REFUSED_SUBSCRIPTIONS], 2);
  checkInvariants(broker);
  t.end();
});

t.test('3.9.3: a full table refuses the filter with 0x80, and grants the others', (t) => {
  const { broker, publisher, subscriber } = pair({ subscriptionsMax: 3 });
  publisher.send(subscribe(1, ['other', 0]));
  const answers = subscriber.send(subscribe(1, ['a', 0], ['b', 1], ['c', 2], ['a', 2], ['d', 0]));
  t.same(answers, ['SUBACK id1 0,1,128,2,128'], 'one that is there already is renewed');
  t.equal(broker.counters[count.REFUSED_SUBSCRIPTIONS], 2);
  publisher.send(publish('c', 'x'));
  t.same(subscriber.received(), []);
  subscriber.send(unsubscribe(2, 'b'));
  t.same(subscriber.send(subscribe(3, ['c', 2])), ['SUBACK id3 2'],
    'one that was removed makes room');
  checkInvariants(broker);
  t.end();
});

t.test('3.9.3: subscriptionNodesMax: filters that need too many new levels are refused and leave nothing', (t) => {
  const { broker, subscriber } = pair({ subscriptionNodesMax: 4 });
  const answers = subscriber.send(subscribe(1, ['a/b', 0], ['c/d/e', 0], ['c/d', 1], ['a/+', 0],
    ['a', 2]));
  t.same(answers, ['SUBACK id1 0,128,1,128,2']);
  t.equal(broker.memory.subscriptions.tree.nodeCount, 1 + 4);
  checkInvariants(broker);
  subscriber.send(unsubscribe(2, 'a/b', 'c/d', 'a'));
  t.equal(broker.memory.subscriptions.tree.nodeCount, 1);
  checkInvariants(broker);
  t.end();
});

t.test('3.9.3: levels whose text does not fit any more are refused and leave nothing', (t) => {
  const { broker, subscriber } = pair({ subscriptionNodesMax: 9 }); // 15 blocks of 16 bytes
  const long = 'l'.repeat(100); // seven blocks
  const answers = subscriber.send(subscribe(1, [`1${long}`, 0], [`2${long}`, 0], [`3${long}`, 0],
    ['a', 0], ['b/c', 0]));
  t.same(answers, ['SUBACK id1 0,0,128,0,128']);
  t.equal(broker.memory.subscriptions.tree.text.freeCount, 0);
  checkInvariants(broker);
  subscriber.send(disconnect());
  t.equal(broker.memory.subscriptions.tree.text.freeCount, 15);
  checkInvariants(broker);
  t.end();
});

t.test('3.8.3: a SUBSCRIBE or UNSUBSCRIBE that is malformed closes, and none of its filters counts', (t) => {
  const { broker, publisher } = pair();
  const cases: [string, Uint8Array][] = [
    ['no filter [MQTT-3.8.3-3]', packet(0x82, fromHex('0001'))],
    ['no filter [MQTT-3.10.3-2]', packet(0xa2, fromHex('0001'))],
    ['QoS 3 [MQTT-3.8.3-4]', subscribe(1, ['good', 0], ['a', 3])],
    ['empty filter [MQTT-4.7.3-1]', subscribe(1, ['good', 0], ['', 0])],
    ['a# [MQTT-4.7.1-2]', subscribe(1, ['good', 0], ['a#', 0])],
    ['#/a [MQTT-4.7.1-2]', subscribe(1, ['good', 0], ['#/a', 0])],
    ['a+ [MQTT-4.7.1-3]', subscribe(1, ['good', 0], ['a+', 0])],
    ['flags 0000 [MQTT-3.8.1-1]', packet(0x80, fromHex('0001000161 00'))],
    ['identifier 0 [MQTT-2.3.1-1]', subscribe(0, ['a', 0])],
    ['UNSUBSCRIBE a# [MQTT-4.7.1-2]', unsubscribe(1, 'good', 'a#')],
  ];
  for (const [name, bytes] of cases) {
    const peer = connected(broker, { clientId: 'offender' });
    t.same(peer.send(bytes), [], name);
    t.ok(peer.link.closed, `${name}: closes`);
    t.equal(broker.memory.subscriptions.count, 0);
  }
  t.notOk(publisher.link.closed);
  checkInvariants(broker);
  t.end();
});
