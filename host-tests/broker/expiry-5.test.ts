// Message expiry: counted down while a message waits, and what becomes of it afterwards. MQTT 5.0 section 3.3.2.3.3.
// Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { connect, publish, publish5, pubrel, subscribe, subscribe5, type ConnectFields } from '../support/packets.js';
import { connected, makeBroker, pass, type Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import type { Broker } from '../../src/broker/broker.js';
import { QueueFull, type Limits } from '../../src/limits.js';
import { attempt, tablesInUse, takeAll, withoutId } from './steps.js';

interface Start {
  broker: Broker;
  clock: { nowMs: number };
  publisher: Peer;
}

function start(limits: Partial<Limits> = {}): Start {
  const broker = makeBroker(limits);
  const clock = { nowMs: 0 };
  broker.tick(0);
  return { broker, clock, publisher: connected(broker, { clientId: 'p', level: 5 }) };
}

const KEPT: ConnectFields = { clientId: 's', level: 5, clean: false, properties: { sessionExpiry: 0xffffffff } };

/** The subscriber comes back; what it gets, each in full. */
function comeBack(broker: Broker): string[] {
  const { answers, peer } = attempt(broker, connect(KEPT));
  return takeAll(peer, answers);
}

t.test('5.0 [MQTT-3.3.2-6] who subscribes later gets what is left of the expiry of a retained message', (t) => {
  const { broker, clock, publisher } = start();
  const subscriber = connected(broker, { clientId: 's', level: 5 });
  const old = connected(broker, { clientId: 'old' });
  publisher.send(publish5('a', 'x', { retain: true, properties: { user: ['u', 'v'], expiry: 100, format: 1 } }));
  for (const [afterMs, left] of [[0, 100], [1000, 99], [400, 98], [600, 98], [58_000, 40], [40_000, 0]] as const) {
    pass(broker, clock, afterMs);
    for (const qos of [0, 1]) {
      t.same(takeAll(subscriber, subscriber.send(subscribe5(1, {}, ['a', qos]))),
        [`q0 retain a x {expiry ${left}, user u=v, format 1}`]);
    }
    t.same(old.send(subscribe(1, ['a', 1])), ['SUBACK id1 1', 'PUBLISH q0 retain a x']);
  }
  pass(broker, clock, 1000);
  t.same(old.send(subscribe(1, ['a', 1])), ['SUBACK id1 1'], '5.0 [MQTT-3.3.2-5]');
  t.equal(broker.memory.retained.count, 0);
  t.equal(broker.counters[count.DROPPED_EXPIRED], 1);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.3.2-6] a message that waits in the queue of its subscriber is counted down', (t) => {
  for (const qos of [1, 2]) {
    const { broker, clock, publisher } = start({ inflightMax: 1 });
    const subscriber = connected(broker, KEPT);
    subscriber.send(subscribe5(1, {}, ['#', 2]));
    for (const [payload, expiry] of [['1', 5], ['2', 10], ['3', 20]] as const) {
      publisher.send(publish5('a', payload, { qos, properties: { expiry } }));
      publisher.send(pubrel(1));
      publisher.send(publish5('a', `${payload} for ever`, { qos, id: 2 }));
      publisher.send(pubrel(2));
    }
    t.same(subscriber.received().map(withoutId), [`q${qos} a 1 {expiry 5}`]);
    pass(broker, clock, 10_001);
    const got = takeAll(subscriber, [`PUBLISH q${qos} id1 a 1`]);
    t.same(got.map((packet) => packet.slice(3)),
      ['a 1', 'a 1 for ever', 'a 2 for ever', 'a 3 {expiry 9}', 'a 3 for ever'], 'the second has expired');
    t.equal(broker.counters[count.DROPPED_EXPIRED], 1);
    t.equal(broker.counters[count.PUBLISH_DROPPED], 1);
    t.equal(broker.memory.queued.count, 0);
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-3.3.2-5] what expires while the client is away is not sent; nor is it kept for long', (t) => {
  for (const visit of [false, true]) {
    const { broker, clock, publisher } = start();
    const subscriber = connected(broker, KEPT);
    subscriber.send(subscribe5(1, {}, ['#', 1]));
    subscriber.drop();
    publisher.send(publish5('a', 'short', { qos: 1, properties: { expiry: 3 } }));
    publisher.send(publish5('a', 'long', { qos: 1, properties: { expiry: 1000 } }));
    publisher.send(publish5('a', 'kept', { qos: 1, retain: true, properties: { expiry: 3 } }));
    publisher.send(publish5('b', 'kept too', { qos: 1, retain: true, properties: { expiry: 1000 } }));
    t.equal(broker.memory.deliveries.count(1), 4);
    pass(broker, clock, 4000);
    if (visit) {
      t.same(comeBack(broker), ['q1 a long {expiry 996}', 'q1 b kept too {expiry 996}']);
    } else {
      // Nobody asks: a sweep finds them within a round of 64 seconds.
      for (let i = 0; i < 64; i++) pass(broker, clock, 1000);
      t.equal(broker.memory.deliveries.count(1), 2);
      t.equal(broker.memory.retained.count, 1);
      t.equal(broker.counters[count.DROPPED_EXPIRED], 3, 'two in the queue, one retained');
    }
    checkInvariants(broker);
  }
  t.end();
});

t.test('what has expired makes room before anything else is dropped or refused', (t) => {
  for (const queueFull of Object.values(QueueFull)) {
    const { broker, clock, publisher } = start({ sessionQueuedMax: 3, queueFull });
    const subscriber = connected(broker, KEPT);
    subscriber.send(subscribe5(1, {}, ['#', 1]));
    subscriber.drop();
    publisher.send(publish5('a', '1', { qos: 1 }));
    publisher.send(publish5('b', '2', { qos: 1, properties: { expiry: 1 } }));
    publisher.send(publish5('c', '3', { qos: 1, properties: { expiry: 1 } }));
    pass(broker, clock, 2000);
    publisher.send(publish5('a', '4', { qos: 1 }));
    t.equal(broker.counters[count.DROPPED_SESSION_FULL], 0, queueFull);
    t.equal(broker.counters[count.DROPPED_EXPIRED], 2);
    t.equal(broker.memory.deliveries.count(1), 2);
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-4.3.2-3] [MQTT-4.3.3-7] what was sent once is sent again, expired or not', (t) => {
  const { broker, clock, publisher } = start();
  const subscriber = connected(broker, KEPT);
  subscriber.send(subscribe5(1, {}, ['#', 1]));
  publisher.send(publish5('a', 'x', { qos: 1, properties: { expiry: 1 } }));
  t.same(subscriber.received(), ['PUBLISH q1 id1 a x {expiry 1}']);
  subscriber.drop();
  for (let i = 0; i < 70; i++) pass(broker, clock, 1000);
  t.same(comeBack(broker), ['q1 dup a x {expiry 0}']);
  t.equal(broker.counters[count.DROPPED_EXPIRED], 0);
  t.end();
});

t.test('5.0 [MQTT-4.3.3-13] an exchange of QoS 2 goes on when the message has expired', (t) => {
  const { broker, clock, publisher } = start();
  const subscriber = connected(broker, { clientId: 's', level: 5 });
  subscriber.send(subscribe5(1, {}, ['#', 2]));
  publisher.send(publish5('a', 'x', { qos: 2, properties: { expiry: 1 } }));
  const waiting = subscriber.received();
  t.same(waiting, ['PUBLISH q2 id1 a x {expiry 1}']);
  pass(broker, clock, 100_000);
  t.same(publisher.send(publish5('a', 'x', { qos: 2, duplicate: true, properties: { expiry: 1 } })), ['PUBREC id1']);
  t.same(publisher.send(pubrel(1)), ['PUBCOMP id1']);
  t.same(takeAll(subscriber, waiting).length, 1);
  t.same([broker.memory.deliveries.count(1), subscriber.received()], [0, []]);
  t.end();
});

t.test('an expiry of 0 is for those who are there; one of 2^32-1 s outlives the clock', (t) => {
  const { broker, clock, publisher } = start();
  pass(broker, clock, 5000);
  const subscriber = connected(broker, KEPT);
  subscriber.send(subscribe5(1, {}, ['#', 1]));
  publisher.send(publish5('a', 'now', { qos: 1, properties: { expiry: 0 } }));
  publisher.send(publish5('a', 'now', { properties: { expiry: 0 } }));
  t.same(takeAll(subscriber, subscriber.received()), ['q1 a now {expiry 0}', 'q0 a now {expiry 0}']);
  publisher.send(publish5('b', 'ever', { retain: true, properties: { expiry: 0xffffffff } }));
  t.same(subscriber.received(), ['PUBLISH q0 b ever {expiry 4294967290}']);
  pass(broker, clock, 1000);
  t.same(subscriber.send(subscribe5(1, {}, ['b', 0])),
    ['SUBACK id1 0', 'PUBLISH q0 retain b ever {expiry 4294967289}']);
  checkInvariants(broker);
  t.end();
});

t.test('nothing of a message is left when it has expired everywhere', (t) => {
  const { broker, clock, publisher } = start();
  for (let i = 0; i < 8; i++) {
    publisher.send(publish5(`topic/${i}`, 'x'.repeat(20 * i), { retain: true, properties: { expiry: i } }));
  }
  publisher.drop();
  for (let i = 0; i < 80; i++) {
    pass(broker, clock, 1000);
    checkInvariants(broker);
  }
  t.same(tablesInUse(broker), []);
  t.equal(broker.memory.kept.expiringCount, 0);
  t.end();
});

t.test('a subscriber of 3.1.1 sees nothing of it; what waits for it expires all the same', (t) => {
  const { broker, clock, publisher } = start({ inflightMax: 1 });
  const old = connected(broker, { clientId: 'old' });
  old.send(subscribe(1, ['#', 1]));
  publisher.send(publish5('a', 'now', { properties: { expiry: 7 } }));
  t.same(old.received(), ['PUBLISH q0 a now']);
  for (const payload of ['1', '2']) publisher.send(publish5('a', payload, { qos: 1, properties: { expiry: 7 } }));
  publisher.send(publish('a', '3', { qos: 1, properties: {} }));
  pass(broker, clock, 8000);
  t.same(takeAll(old, old.received()), ['q1 a 1', 'q1 a 3']);
  t.equal(broker.counters[count.DROPPED_EXPIRED], 1);
  checkInvariants(broker);
  t.end();
});
