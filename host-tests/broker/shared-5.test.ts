// Shared subscriptions. MQTT 5.0 section 4.8.2; in MQTT 3.1.1 they work in the same way. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import {
  connect, disconnect, NO_LOCAL, puback, publish, publish5, pubrec, RETAIN_AS_PUBLISHED, subscribe, subscribe5,
  unsubscribe, unsubscribe5,
} from '../support/packets.js';
import { connected, makeBroker, pass, type Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import type { Broker } from '../../src/broker/broker.js';
import { attempt, tablesInUse, takeAll, withoutId } from './steps.js';

/** Members of `$share/g/filter` that come to stay; each takes QoS `qos`. */
function group(broker: Broker, names: string, filter = 'a', qos = 2, level = 5): Peer[] {
  return [...names].map((clientId) => {
    const peer = connected(broker, { clientId, level, clean: false,
      ...(level === 5 ? { properties: { sessionExpiry: 1000 } } : {}) });
    const filters: [string, number] = [`$share/g/${filter}`, qos];
    peer.send(level === 5 ? subscribe5(1, {}, filters) : subscribe(1, filters));
    return peer;
  });
}

/** What each member got, in full. */
function taken(members: Peer[]): string[][] {
  return members.map((member) => takeAll(member, member.received()).map((packet) => packet.slice(-1)));
}

t.test('each message goes to one member, in turns, of every group and to the others', (t) => {
  for (const level of [4, 5]) {
    for (const qos of [0, 1, 2]) {
      const broker = makeBroker();
      const members = group(broker, 'xyz', 'a', 2, level);
      const plain = connected(broker, { clientId: 'plain', level });
      plain.send(level === 5 ? subscribe5(1, {}, ['a', 0], ['$share/other/+', 1]) :
        subscribe(1, ['a', 0], ['$share/other/+', 1]));
      const publisher = connected(broker, { clientId: 'p' });
      for (const [i, payload] of [...'123456'].entries()) {
        publisher.send(publish('a', payload, { qos, id: 1 + i }));
        publisher.send(Uint8Array.of(0x62, 2, 0, 1 + i));
        for (const member of members) checkInvariants(member.broker);
      }
      t.same(taken(members), [['1', '4'], ['2', '5'], ['3', '6']], `level ${level}, QoS ${qos}`);
      t.equal(takeAll(plain, plain.received()).length, 12, 'its own, and the only member of the other group');
      checkInvariants(broker);
      for (const peer of [...members, plain, publisher]) peer.send(disconnect());
    }
  }
  t.end();
});

t.test('5.0 [MQTT-4.8.2-1] [MQTT-4.8.2-2] a group has a name, and a filter: else 0x8f, in 3.1.1 0x80', (t) => {
  const broker = makeBroker();
  const peer = connected(broker, { clientId: 'x', level: 5 });
  const old = connected(broker, { clientId: 'old' });
  const cases: [string, boolean][] = [
    ['$share/g/a', true], ['$share/g/#', true], ['$share/g//', true], ['$share/g/+/b', true], ['$share/g', false],
    ['$share/g/', false], ['$share//a', false], ['$share/', false], ['$share/+/a', false], ['$share/#', false],
    ['$share', true], ['$shared/a', true], ['$SHARE/a', true],
  ];
  for (const [filter, valid] of cases) {
    t.same(peer.send(subscribe5(1, {}, [filter, 1])), [`SUBACK id1 ${valid ? 1 : 0x8f}`], filter);
    t.same(old.send(subscribe(1, [filter, 1])), [`SUBACK id1 ${valid ? 1 : 0x80}`], filter);
    t.same(peer.send(unsubscribe5(1, {}, filter)), [`UNSUBACK id1 ${valid ? 0 : 17}`]);
    old.send(unsubscribe(1, filter));
    checkInvariants(broker);
  }
  t.equal(broker.memory.subscriptions.tree.nodeCount, 1);
  t.end();
});

t.test('5.0 [MQTT-3.8.3-4] no local on a shared subscription is a protocol error, of the whole packet', (t) => {
  const broker = makeBroker();
  const peer = connected(broker, { clientId: 'x', level: 5 });
  t.match(peer.send(subscribe5(1, {}, ['a', 0], ['$share/g/a', NO_LOCAL])), [/^DISCONNECT 0x82/]);
  t.equal(broker.memory.subscriptions.count, 0);
  checkInvariants(broker);
  t.end();
});

t.test('no retained messages come to a member, and a topic that spells the filter does not match', (t) => {
  const broker = makeBroker();
  const publisher = connected(broker, { clientId: 'p' });
  publisher.send(publish('a', 'x', { retain: true }));
  const [member] = group(broker, 'x');
  t.same(member!.received(), []);
  publisher.send(publish('$share/g/a', 'x'));
  t.same(member!.received(), []);
  const [all] = group(broker, 'y', '#');
  publisher.send(publish('$x', 'x'));
  publisher.send(publish('$share/g/b', 'x'));
  t.same(all!.received(), [], '# of a group passes over $… as # does');
  publisher.send(publish('b', 'y'));
  t.same(all!.received(), ['PUBLISH q0 b y']);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-4.8.2-3] every member has its own QoS and options, and its own identifier goes along', (t) => {
  const broker = makeBroker();
  const one = connected(broker, { clientId: 'one', level: 5 });
  const two = connected(broker, { clientId: 'two', level: 5 });
  one.send(subscribe5(1, { subscription: 11 }, ['$share/g/a/+', 0]));
  one.send(subscribe5(1, { subscription: 12 }, ['a/b', 1]));
  two.send(subscribe5(1, { subscription: 21 }, ['$share/g/a/+', 2 | RETAIN_AS_PUBLISHED]));
  const publisher = connected(broker, { clientId: 'p' });
  for (const payload of ['1', '2']) publisher.send(publish('a/b', payload, { qos: 1, retain: true }));
  t.same(takeAll(one, one.received()).sort(),
    ['q0 a/b 1 {subscription 11}', 'q1 a/b 1 {subscription 12}', 'q1 a/b 2 {subscription 12}']);
  t.same(takeAll(two, two.received()), ['q1 retain a/b 2 {subscription 21}']);
  checkInvariants(broker);
  t.end();
});

t.test('members that are connected come first, then those that are away and keep messages', (t) => {
  const broker = makeBroker();
  const members = group(broker, 'xyz');
  const publisher = connected(broker, { clientId: 'p' });
  members[0]!.drop();
  for (const payload of '1234') publisher.send(publish('a', payload, { qos: 1 }));
  t.same(taken(members.slice(1)), [['1', '3'], ['2', '4']]);
  t.equal(broker.memory.deliveries.count(0), 0);
  for (const member of members.slice(1)) member.drop();
  for (const payload of '567') publisher.send(publish('a', payload, { qos: 1 }));
  t.same([0, 1, 2].map((queue) => broker.memory.deliveries.count(queue)), [1, 1, 1]);
  publisher.send(publish('a', '8'));
  t.equal(broker.memory.queued.count, 3, 'QoS 0 waits for nobody');
  checkInvariants(broker);
  t.end();
});

t.test('a member whose queue is full is passed over; when all are, the publisher waits', (t) => {
  const broker = makeBroker({ sessionQueuedMax: 1, slowSubscriberMs: 60_000 });
  const [x, y] = group(broker, 'xy');
  const publisher = connected(broker, { clientId: 'p' });
  publisher.send(publish('a', '1', { qos: 1 }));
  publisher.send(publish('a', '2', { qos: 1 }));
  t.same(taken([y!]), [['2']]);
  publisher.send(publish('a', '3', { qos: 1 }));
  t.same(y!.received().map(withoutId), ['q1 a 3'], 'it is the turn of x, which is full');
  publisher.send(publish('a', '4', { qos: 1 }));
  t.notOk(publisher.link.reading);
  t.same(x!.received().map(withoutId), ['q1 a 1']);
  t.same(x!.send(puback(1)).map(withoutId), ['q1 a 4']);
  t.ok(publisher.link.reading);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-4.8.2-4] [MQTT-4.8.2-5] a session that ends hands over QoS 1, and QoS 2 never sent', (t) => {
  const broker = makeBroker({ inflightMax: 2 });
  const [x] = group(broker, 'x');
  const publisher = connected(broker, { clientId: 'p', level: 5 });
  publisher.send(publish5('a', '1', { qos: 1, properties: { user: ['k', 'v'] } }));
  for (const [id, payload] of [[2, '2'], [3, '3']] as const) publisher.send(publish5('a', payload, { qos: 2, id }));
  publisher.send(publish5('a', '4', { qos: 1, id: 4 }));
  t.same(x!.received().map(withoutId), ['q1 a 1 {user k=v}', 'q2 a 2']);
  x!.drop();
  const [y] = group(broker, 'y');
  t.same(y!.received(), [], 'as long as the session is there its messages wait for it');
  connected(broker, { clientId: 'x', level: 5 }); // a clean start
  t.same(takeAll(y!, y!.received()), ['q1 a 1 {user k=v}', 'q2 a 3', 'q1 a 4']);
  t.equal(broker.memory.queued.count, 0, 'what it may have had is gone with it');
  checkInvariants(broker);
  t.end();
});

t.test('a session that expires hands over to members that are away, or to nobody', (t) => {
  const broker = makeBroker();
  const clock = { nowMs: 0 };
  broker.tick(0);
  const x = connected(broker, { clientId: 'x', level: 5, properties: { sessionExpiry: 10 } });
  x.send(subscribe5(1, {}, ['$share/g/a', 1], ['$share/h/a', 1], ['a', 1]));
  const [y] = group(broker, 'y', 'a', 1);
  y!.drop();
  const publisher = connected(broker, { clientId: 'p' });
  publisher.send(publish('a', '1', { qos: 1 }));
  t.equal(broker.memory.deliveries.count(0), 3);
  x.drop();
  pass(broker, clock, 1000);
  pass(broker, clock, 11_000);
  t.equal(broker.memory.deliveries.count(1), 1, 'of three copies one: the others have no more members');
  checkInvariants(broker);
  const { answers, peer } = attempt(broker, connect({ clientId: 'y', level: 5, clean: false }));
  t.same(takeAll(peer, answers), ['q1 a 1']);
  t.equal(broker.memory.queued.count, 0);
  t.end();
});

t.test('what cannot be handed over is counted; a member of QoS 0 gets nothing late', (t) => {
  for (const qos of [0, 1]) {
    const broker = makeBroker({ sessionQueuedMax: 2 });
    const [x] = group(broker, 'x', 'a', 1);
    const [y] = group(broker, 'y', 'a', qos);
    y!.drop();
    const publisher = connected(broker, { clientId: 'p' });
    for (const payload of '12') publisher.send(publish('a', payload, { qos: 1 }));
    const full = connected(broker, { clientId: 'y', level: 5, clean: false, properties: { sessionExpiry: 9 } });
    if (qos === 1) {
      full.send(subscribe5(1, {}, ['b', 1]));
      for (const payload of '34') publisher.send(publish('b', payload, { qos: 1 }));
    }
    x!.drop();
    connected(broker, { clientId: 'x' });
    t.equal(broker.counters[count.DROPPED_SESSION_FULL], 2);
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-4.8.2-6] a message that a member refuses goes to no other', (t) => {
  const broker = makeBroker();
  const [x, y] = group(broker, 'xy');
  const publisher = connected(broker, { clientId: 'p' });
  publisher.send(publish('a', '1', { qos: 1 }));
  t.same(x!.received(), ['PUBLISH q1 id1 a 1']);
  t.same(x!.send(puback(1, 0x80)), []);
  publisher.send(publish('a', '2', { qos: 2, id: 2 }));
  t.same(y!.received(), ['PUBLISH q2 id1 a 2']);
  t.same(y!.send(pubrec(1, 0x97)), []);
  t.same([x!.received(), y!.received(), broker.memory.queued.count], [[], [], 0]);
  t.end();
});

t.test('0x10 when a group has nobody to give the message to', (t) => {
  const broker = makeBroker();
  const [x] = group(broker, 'x', 'a', 0);
  const publisher = connected(broker, { clientId: 'p', level: 5 });
  t.same(publisher.send(publish5('a', '1', { qos: 1 })), ['PUBACK id1']);
  t.same(publisher.send(publish5('b', '1', { qos: 1 })), ['PUBACK id1 0x10']);
  x!.drop();
  t.same(publisher.send(publish5('a', '1', { qos: 1 })), ['PUBACK id1'], 'a subscriber, though away');
  checkInvariants(broker);
  t.end();
});

t.test('members that leave, in any way, leave nothing behind, and the turn goes on', (t) => {
  const broker = makeBroker();
  const members = group(broker, 'vwxyz');
  const publisher = connected(broker, { clientId: 'p' });
  const send = (payloads: string): void => {
    for (const payload of payloads) publisher.send(publish('a', payload, { qos: 1 }));
  };
  send('12');
  t.same(members[2]!.send(unsubscribe5(1, {}, '$share/g/a')), ['UNSUBACK id1 0']);
  t.same(members[2]!.send(unsubscribe5(1, {}, '$share/g/a')), ['UNSUBACK id1 17']);
  members[4]!.send(disconnect(0, { sessionExpiry: 0 }));
  checkInvariants(broker);
  send('345');
  t.same(taken(members.slice(0, 4)), [['1', '4'], ['2', '5'], [], ['3']]);
  members[1]!.send(subscribe5(1, {}, ['$share/g/a', 1]));
  for (const member of members) {
    checkInvariants(broker);
    if (!member.link.closed) member.send(disconnect(0, { sessionExpiry: 0 }));
  }
  publisher.send(publish('a', 'x', { qos: 1 }));
  publisher.send(disconnect());
  t.same(tablesInUse(broker), []);
  t.end();
});

t.test('a message that is handed over passes by a member of QoS 0, whoever of the two came first', (t) => {
  for (const order of ['bc', 'cb']) {
    const broker = makeBroker();
    const a = connected(broker, { clientId: 'a', level: 5, properties: { sessionExpiry: 100 } });
    a.send(subscribe5(1, {}, ['$share/g/a', 1]));
    connected(broker, { clientId: 'p' }).send(publish('a', '1', { qos: 1 }));
    a.received();
    const members = new Map([...order].map((clientId) => {
      const member = connected(broker, { clientId, level: 5 });
      member.send(subscribe5(1, {}, ['$share/g/a', clientId === 'b' ? 0 : 1]));
      return [clientId, member];
    }));
    a.drop();
    connected(broker, { clientId: 'a' });
    t.same(members.get('b')!.received(), []);
    t.same(members.get('c')!.received(), ['PUBLISH q1 id1 a 1'], order);
    t.equal(broker.counters[count.DROPPED_SESSION_FULL], 0);
    checkInvariants(broker);
  }
  t.end();
});

t.test('when the queue of all is full, a member of QoS 0 has the message all the same, and PUBACK says so', (t) => {
  const broker = makeBroker({ queuedMax: 16, sessionQueuedMax: 16, slowSubscriberMs: 0 });
  const away = connected(broker, { clientId: 'away', clean: false });
  away.send(subscribe(1, ['fill', 1]));
  away.drop();
  const [member] = group(broker, 'm', 'a', 0);
  const publisher = connected(broker, { clientId: 'p', level: 5 });
  for (let id = 1; id <= 16; id++) publisher.send(publish5('fill', 'x', { qos: 1, id }));
  t.equal(broker.memory.deliveries.freeRows, 0);
  t.same(publisher.send(publish5('a', '1', { qos: 1, id: 50 })), ['PUBACK id50']);
  t.same(member!.received(), ['PUBLISH q0 a 1']);
  checkInvariants(broker);
  t.end();
});

t.test('what is handed over takes the place it had: it needs no room in the queue of all', (t) => {
  for (const queuedMax of [4, 5]) {
    const broker = makeBroker({ queuedMax, slowSubscriberMs: 0 });
    const [x] = group(broker, 'x', 'a', 1);
    x!.drop();
    const publisher = connected(broker, { clientId: 'p' });
    for (const payload of '1234') publisher.send(publish('a', payload, { qos: 1 }));
    const [y] = group(broker, 'y', 'a', 1);
    connected(broker, { clientId: 'x' });
    t.same(takeAll(y!, y!.received()), ['q1 a 1', 'q1 a 2', 'q1 a 3', 'q1 a 4']);
    t.equal(broker.counters[count.DROPPED_SESSION_FULL], 0);
    checkInvariants(broker);
  }
  t.end();
});
