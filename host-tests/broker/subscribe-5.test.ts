// SUBSCRIBE and UNSUBSCRIBE in MQTT 5.0: options, identifiers, codes. MQTT 5.0 sections 3.8 to 3.11. Runs on Node and
// on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import {
  connect, NO_LOCAL, puback, publish, publish5, RETAIN_AS_PUBLISHED, RETAIN_IF_NEW, RETAIN_NEVER, subscribe, subscribe5,
  unsubscribe5,
} from '../support/packets.js';
import { connected, makeBroker, type Peer } from '../support/peer.js';
import { Random } from '../support/random.js';
import * as count from '../../src/broker/counters.js';
import type { Broker } from '../../src/broker/broker.js';
import { attempt, tablesInUse, takeAll } from './steps.js';

const SEED = 20261121;

function pair(limits: Parameters<typeof makeBroker>[0] = {}): { broker: Broker; publisher: Peer; subscriber: Peer } {
  const broker = makeBroker(limits);
  const publisher = connected(broker, { clientId: 'p', level: 5 });
  return { broker, publisher, subscriber: connected(broker, { clientId: 's', level: 5 }) };
}

t.test('5.0 [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.11.3-1] [MQTT-3.11.3-2] a code for each filter, in order', (t) => {
  const { broker, subscriber } = pair();
  t.same(subscriber.send(subscribe5(7, { user: ['a', 'b'] }, ['a', 0], ['b', 1], ['c', 2], ['a', 1])),
    ['SUBACK id7 0,1,2,1']);
  t.same(subscriber.send(unsubscribe5(8, { user: ['a', 'b'] }, 'b', 'x', 'a', 'a')), ['UNSUBACK id8 0,17,0,17']);
  t.equal(broker.memory.subscriptions.count, 1);
  checkInvariants(broker);
  t.end();
});

t.test('a filter that finds no room is refused with 0x97, its neighbours are not', (t) => {
  const { broker, subscriber } = pair({ subscriptionsMax: 2 });
  t.same(subscriber.send(subscribe5(1, {}, ['a', 0], ['b', 1], ['c', 2], ['b', 2])), ['SUBACK id1 0,1,151,2']);
  t.equal(broker.counters[count.REFUSED_SUBSCRIPTIONS], 1);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.8.3-3] no local: what a client publishes does not come back to it, but does to others', (t) => {
  for (const qos of [0, 1]) {
    const { broker, publisher: one, subscriber: other } = pair();
    for (const peer of [one, other]) peer.send(subscribe5(1, {}, ['a', qos | NO_LOCAL]));
    t.same(takeAll(one, one.send(publish5('a', 'x', { qos }))), []);
    t.same(takeAll(other, other.received()), [`q${qos} a x`]);
    one.send(subscribe5(2, {}, ['+', 0]));
    t.same(takeAll(one, one.send(publish5('a', 'y', { qos }))), ['q0 a y'], 'another subscription of it matches');
    one.send(subscribe5(3, {}, ['a', qos]));
    t.same(takeAll(one, one.send(publish5('a', 'z', { qos }))), [`q${qos} a z`], 'the option is replaced');
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-3.8.3-3] no local holds for a will, too, and for a client that comes back', (t) => {
  const { broker, publisher } = pair();
  const fields = { clientId: 'w', level: 5, clean: false, will: { topic: 'a', payload: 'gone', qos: 1 },
    properties: { sessionExpiry: 100 } };
  const peer = connected(broker, fields);
  peer.send(subscribe5(1, {}, ['a', 1 | NO_LOCAL]));
  publisher.send(subscribe5(1, {}, ['a', 1 | NO_LOCAL]));
  peer.drop();
  t.same(takeAll(publisher, publisher.received()), ['q1 a gone']);
  publisher.send(publish5('a', 'x', { qos: 1 }));
  const { answers, peer: again } = attempt(broker, connect(fields));
  t.same(takeAll(again, answers), ['q1 a x']);
  t.same(again.send(publish5('a', 'y', { qos: 1 })), ['PUBACK id1']);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.8.4-4] retained: always, if new, never', (t) => {
  for (const [options, atFirst, again] of [
    [0, true, true], [RETAIN_IF_NEW, true, false], [RETAIN_NEVER, false, false],
  ] as const) {
    const { broker, publisher, subscriber } = pair();
    publisher.send(publish5('a', 'x', { retain: true }));
    const packets = (wanted: boolean): string[] => ['SUBACK id1 0', ...(wanted ? ['PUBLISH q0 retain a x'] : [])];
    t.same(subscriber.send(subscribe5(1, {}, ['a', options])), packets(atFirst));
    t.same(subscriber.send(subscribe5(1, {}, ['a', options])), packets(again));
    t.same(subscriber.send(subscribe5(1, {}, ['a', options | RETAIN_AS_PUBLISHED])), packets(again));
    subscriber.send(unsubscribe5(2, {}, 'a'));
    t.same(subscriber.send(subscribe5(1, {}, ['a', options])), packets(atFirst), 'gone and new');
    publisher.send(publish5('a', 'y', { retain: true }));
    t.same(subscriber.received(), ['PUBLISH q0 a y'], 'live ones come anyway');
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-3.8.4-3] a filter that is there is replaced with all its options; nothing is missed', (t) => {
  const { broker, publisher, subscriber } = pair();
  subscriber.send(subscribe5(1, { subscription: 5 }, ['a', 2 | NO_LOCAL | RETAIN_AS_PUBLISHED]));
  subscriber.send(subscribe5(1, {}, ['a', 1]));
  publisher.send(publish5('a', 'x', { qos: 2, retain: true }));
  t.same(takeAll(subscriber, subscriber.received()), ['q1 a x']);
  subscriber.send(subscribe5(1, { subscription: 268_435_455 }, ['a', 0 | RETAIN_AS_PUBLISHED]));
  publisher.send(publish5('a', 'y', { qos: 1, id: 9, retain: true }));
  t.same(subscriber.received(), ['PUBLISH q0 retain a y {subscription 268435455}']);
  t.equal(broker.memory.subscriptions.count, 1);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.8.4-4] no message is lost when a subscription is replaced', (t) => {
  const { broker, publisher, subscriber } = pair({ inflightMax: 1 });
  subscriber.send(subscribe5(1, {}, ['a', 1]));
  for (const payload of '12') publisher.send(publish5('a', payload, { qos: 1, retain: true }));
  const first = subscriber.received();
  const rest = subscriber.send(subscribe5(1, {}, ['a', 2]));
  publisher.send(publish5('a', '3', { qos: 1 }));
  t.same(takeAll(subscriber, [...first, ...rest]), ['q1 a 1', 'q1 a 2', 'q1 a 3', 'q1 retain a 2']);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4] one copy, at the highest QoS, all identifiers', (t) => {
  const { broker, publisher, subscriber } = pair();
  const other = connected(broker, { clientId: 'other', level: 5 });
  other.send(subscribe5(1, { subscription: 99 }, ['a/b', 0]));
  const old = connected(broker, { clientId: 'old' });
  old.send(subscribe(1, ['a/#', 2]));
  for (const [identifier, filter, qos] of [
    [1, 'a/b', 0], [2, 'a/+', 2], [3, 'x', 0], [200, '#', 1], [20_000, '+/b', 0], [3_000_000, 'a/b/#', 0],
    [7, '+/+/c', 0], [8, '/a/b', 0], [9, 'a', 0],
  ] as const) subscriber.send(subscribe5(1, { subscription: identifier }, [filter, qos]));
  subscriber.send(subscribe5(1, {}, ['a/b/+/#', 2], ['+/#', 2]));
  for (const level of [4, 5]) {
    for (const qos of [0, 1]) {
      const from = connected(broker, { clientId: 'from', level });
      const properties = { user: ['u', 'v'] as [string, string] };
      from.send(level === 4 ? publish('a/b', 'x', { qos }) : publish5('a/b', 'x', { qos, properties }));
      const got = takeAll(subscriber, subscriber.received());
      t.match(got, [new RegExp(`^q${qos} a/b x \\{${level === 5 ? 'user u=v, ' : ''}subscription`)]);
      t.same([...got[0]!.matchAll(/subscription (\d+)/g)].map(([, id]) => Number(id)).sort((a, b) => a - b),
        [1, 2, 200, 20_000, 3_000_000]);
      t.match(other.received(), [/^PUBLISH q0 a\/b x \{.*subscription 99\}$/]);
      t.same(takeAll(old, old.received()), [`q${qos} a/b x`]);
    }
  }
  t.same(publisher.send(publish5('$SYS-like', 'x', { qos: 1 })), ['PUBACK id1 0x10'], 'no wildcard takes $…');
  subscriber.send(subscribe5(1, { subscription: 11 }, ['$x/#', 0]));
  publisher.send(publish5('$x', 'x'));
  t.same(subscriber.received(), ['PUBLISH q0 $x x {subscription 11}']);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.3.4-5] a retained message comes with the identifier of the subscription that asked for it', (t) => {
  for (const qos of [0, 1]) {
    const { broker, publisher, subscriber } = pair();
    publisher.send(publish5('a', 'x', { qos: 1, retain: true }));
    subscriber.send(subscribe5(1, { subscription: 1 }, ['#', qos]));
    subscriber.send(puback(1));
    t.same(takeAll(subscriber, subscriber.send(subscribe5(1, { subscription: 2 }, ['a', qos]))),
      [`q${qos} retain a x {subscription 2}`]);
    t.same(takeAll(subscriber, subscriber.send(subscribe5(1, {}, ['+', qos]))), [`q${qos} retain a x`]);
    checkInvariants(broker);
  }
  t.end();
});

t.test('a retained message that waits when its subscription goes comes without identifier', (t) => {
  const { broker, publisher, subscriber } = pair({ inflightMax: 1 });
  subscriber.send(subscribe5(1, { subscription: 1 }, ['live', 1]));
  publisher.send(publish5('live', 'x', { qos: 1 }));
  publisher.send(publish5('a', 'x', { qos: 1, retain: true }));
  publisher.send(publish5('live', 'y', { qos: 1 }));
  t.same(subscriber.received().length, 1);
  subscriber.send(subscribe5(1, { subscription: 2 }, ['a', 1]));
  t.same(takeAll(subscriber, subscriber.send(puback(1))).slice(0, 1), ['q1 live y {subscription 1}']);
  const fields = { clientId: 'back', level: 5, clean: false, properties: { sessionExpiry: 100 } };
  const peer = connected(broker, fields);
  t.same(peer.send(subscribe5(1, { subscription: 3 }, ['a', 1])),
    ['SUBACK id1 1', 'PUBLISH q1 id1 retain a x {subscription 3}']);
  peer.send(unsubscribe5(1, {}, 'a'));
  peer.send(subscribe5(1, { subscription: 4 }, ['other', 1]));
  peer.drop();
  t.same(attempt(broker, connect(fields)).answers.slice(1), ['PUBLISH q1 id1 dup retain a x']);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-3] what is on its way is completed, no more comes', (t) => {
  const { broker, publisher, subscriber } = pair();
  subscriber.send(subscribe5(1, { subscription: 1 }, ['a', 2]));
  publisher.send(publish5('a', 'x', { qos: 2 }));
  const waiting = subscriber.received();
  t.same(waiting, ['PUBLISH q2 id1 a x {subscription 1}']);
  t.same(subscriber.send(unsubscribe5(2, {}, 'a')), ['UNSUBACK id2 0']);
  publisher.send(publish5('a', 'y', { qos: 2, id: 2 }));
  t.same(takeAll(subscriber, waiting).length, 1);
  t.same(subscriber.received(), []);
  publisher.drop();
  subscriber.drop();
  t.same(tablesInUse(broker), []);
  t.end();
});

/** Whether a filter matches a topic, level by level, by the words of section 4.7. */
function matchesByWords(filter: string, topic: string): boolean {
  const wanted = filter.split('/');
  const levels = topic.split('/');
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false;
  for (const [i, level] of wanted.entries()) {
    if (level === '#') return true;
    if (i >= levels.length || (level !== '+' && level !== levels[i])) return false;
  }
  return wanted.length === levels.length;
}

t.test(`identifiers are those of the filters that match, whatever these are; seed ${SEED}`, (t) => {
  const random = new Random(SEED);
  const level = (): string => random.pick(['a', 'b', '', 'etwas-laenger-als-ein-block', '$c']);
  const wild = (): string => random.pick([level(), level(), '+']);
  let wrong = '';
  for (let round = 0; round < 40 && wrong === ''; round++) {
    const { broker, publisher, subscriber } = pair({ packetBytesMax: 2048, inboxBytes: 2048, outboxBytes: 2048 });
    const filters = new Map<string, number>();
    for (let i = 0; i < 12; i++) {
      const filter = [...Array.from({ length: random.below(3) }, wild), random.pick([wild(), '#'])].join('/');
      if (filter === '') continue;
      const identifier = random.pick([0, i + 1, 1000 + i]);
      filters.set(filter, identifier);
      subscriber.send(subscribe5(1, identifier === 0 ? {} : { subscription: identifier }, [filter, 0]));
    }
    for (let i = 0; i < 8; i++) {
      const topic = Array.from({ length: 1 + random.below(4) }, level).join('/');
      if (topic === '') continue;
      publisher.send(publish5(topic, 'x'));
      const matching = [...filters].filter(([filter]) => matchesByWords(filter, topic));
      const wanted = matching.map(([, identifier]) => identifier).filter((identifier) => identifier !== 0);
      const got = subscriber.received();
      const found = [...(got[0] ?? '').matchAll(/subscription (\d+)/g)].map(([, id]) => Number(id));
      if (got.length !== (matching.length > 0 ? 1 : 0) ||
        String(found.sort((a, b) => a - b)) !== String(wanted.sort((a, b) => a - b))) {
        wrong = `${topic} for ${JSON.stringify([...filters])}: ${got.join('; ')}`;
      }
    }
    checkInvariants(broker);
  }
  t.equal(wrong, '');
  t.end();
});

t.test('5.0 [MQTT-3.1.2-24] an answer larger than the client takes is not sent: it is cut instead', (t) => {
  for (const packetOf of [
    (filters: string[]) => subscribe5(1, {}, ...filters.map((filter) => [filter, 0] as [string, number])),
    (filters: string[]) => unsubscribe5(1, {}, ...filters),
  ]) {
    for (const [count, whole] of [[15, true], [16, false]] as const) {
      const broker = makeBroker();
      const peer = connected(broker, { clientId: 'a', level: 5, properties: { packetMaximum: 20 } });
      const answers = peer.send(packetOf(Array.from({ length: count }, (_, i) => `f${i}`)));
      t.match(answers[0], whole ? /^(UN)?SUBACK/ : /^DISCONNECT 0x95/);
      if (!whole) t.equal(broker.memory.subscriptions.count, 0, 'nothing of it was done');
      checkInvariants(broker);
    }
  }
  t.end();
});
