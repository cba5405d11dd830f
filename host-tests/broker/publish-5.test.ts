// PUBLISH in MQTT 5.0: properties on their way through the broker, between the versions, and what publishers are
// answered. MQTT 5.0 sections 3.3 to 3.7. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import {
  connect, puback, pubcomp, publish, publish5, pubrec, pubrel, RETAIN_AS_PUBLISHED, subscribe,
  subscribe5, type Properties, type PublishFields,
} from '../support/packets.js';
import { connected, makeBroker, type Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import type { Broker } from '../../src/broker/broker.js';
import { attempt, tablesInUse, takeAll, withoutId } from './steps.js';

/** Every property that a PUBLISH passes on, in an order of its own. */
const ALL: Properties = {
  user: [['b', '2'], ['a', '1'], ['b', '3']], contentType: 'text/plain', correlation: Uint8Array.of(0x21, 0x7e),
  responseTopic: 'antwort/a', format: 1,
};
const ALL_WORDS =
  '{user b=2, user a=1, user b=3, contentType text/plain, correlation !~, responseTopic antwort/a, format 1}';

interface Four {
  broker: Broker;
  old: Peer;
  young: Peer;
  oldSubscriber: Peer;
  youngSubscriber: Peer;
}

/** Publishers and subscribers of 3.1.1 and 5.0; those subscribe to all with QoS 2. */
function four(limits: Parameters<typeof makeBroker>[0] = {}): Four {
  const broker = makeBroker(limits);
  const [old, young] = [connected(broker, { clientId: 'old' }), connected(broker, { clientId: 'young', level: 5 })];
  const oldSubscriber = connected(broker, { clientId: 'old-subscriber' });
  const youngSubscriber = connected(broker, { clientId: 'young-subscriber', level: 5 });
  oldSubscriber.send(subscribe(1, ['#', 2]));
  youngSubscriber.send(subscribe5(1, {}, ['#', 2]));
  return { broker, old, young, oldSubscriber, youngSubscriber };
}

/** Publishes and completes it; what both subscribers got, each in full. */
function exchange({ old, young, oldSubscriber, youngSubscriber }: Four, level: 4 | 5, fields: PublishFields,
  payload = 'x'): [old: string[], young: string[]] {
  const publisher = level === 4 ? old : young;
  publisher.send(level === 4 ? publish('a/b', payload, fields) : publish5('a/b', payload, fields));
  if (fields.qos === 2) publisher.send(pubrel(fields.id ?? 1));
  return [takeAll(oldSubscriber, oldSubscriber.received()), takeAll(youngSubscriber, youngSubscriber.received())];
}

t.test('3.1.1 and 5.0 exchange messages of every QoS, each in its own form', (t) => {
  const clients = four();
  for (const qos of [0, 1, 2]) {
    for (const payload of ['', 'x', 'y'.repeat(200)]) {
      const plain = [`q${qos} a/b ${payload}`];
      t.same(exchange(clients, 4, { qos }, payload), [plain, plain], `from 3.1.1, QoS ${qos}`);
      t.same(exchange(clients, 5, { qos }, payload), [plain, plain], `from 5.0, QoS ${qos}`);
      t.same(exchange(clients, 5, { qos, properties: ALL }, payload), [plain, [`${plain[0]} ${ALL_WORDS}`]]);
      checkInvariants(clients.broker);
    }
  }
  for (const peer of [clients.old, clients.young, clients.oldSubscriber, clients.youngSubscriber]) peer.drop();
  t.same(tablesInUse(clients.broker), []);
  t.end();
});

t.test('5.0 [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20] ' +
  'properties are passed on unaltered and in their order, at once, queued and retained', (t) => {
  const orders: [Properties, string][] = [
    [ALL, ALL_WORDS], [{ format: 0 }, '{format 0}'], [{ user: ['', ''] }, '{user =}'],
    [{ correlation: Uint8Array.of() }, '{correlation }'],
    [{ user: Array.from({ length: 30 }, (_, i) => [`name-${i}`, `value ${i}`] as [string, string]) },
      `{${Array.from({ length: 30 }, (_, i) => `user name-${i}=value ${i}`).join(', ')}}`],
  ];
  for (const [properties, words] of orders) {
    for (const qos of [0, 1, 2]) {
      for (const alias of [false, true]) {
        const broker = makeBroker({ packetBytesMax: 2048, inboxBytes: 2048, outboxBytes: 2048 });
        const publisher = connected(broker, { clientId: 'p', level: 5 });
        const subscriber = connected(broker, { clientId: 's', level: 5 });
        subscriber.send(subscribe5(1, {}, ['#', 2]));
        // An alias before, among and behind them is for the broker alone.
        const [first, ...rest] = Object.entries(properties);
        const sent = !alias ? properties : rest.length === 0 ? { ...properties, alias: 3 } :
          Object.fromEntries([first!, ['alias', 3], ...rest]) as Properties;
        publisher.send(publish5('a', 'x', { qos, id: 7, retain: true, properties: sent }));
        publisher.send(pubrel(7));
        t.same(takeAll(subscriber, subscriber.received()), [`q${qos} a x ${words}`]);
        t.same(takeAll(subscriber, subscriber.send(subscribe5(2, {}, ['a', 2]))),
          [`q${qos} retain a x ${words}`]);
        checkInvariants(broker);
      }
    }
  }
  t.end();
});

t.test('5.0 [MQTT-3.3.1-12] [MQTT-3.3.1-13] RETAIN as published goes on as it came, else as 0', (t) => {
  for (const level of [4, 5] as const) {
    for (const qos of [0, 1]) {
      for (const retain of [false, true]) {
        const { broker, old, young } = four();
        const asPublished = connected(broker, { clientId: 'as-published', level: 5 });
        asPublished.send(subscribe5(1, {}, ['a', 1 | RETAIN_AS_PUBLISHED]));
        const plain = connected(broker, { clientId: 'plain', level: 5 });
        plain.send(subscribe5(1, {}, ['a', 1]));
        if (level === 4) old.send(publish('a', 'x', { qos, retain }));
        else young.send(publish5('a', 'x', { qos, retain }));
        t.same(takeAll(asPublished, asPublished.received()), [`q${qos}${retain ? ' retain' : ''} a x`]);
        t.same(takeAll(plain, plain.received()), [`q${qos} a x`]);
        checkInvariants(broker);
      }
    }
  }
  t.end();
});

t.test('[MQTT-3.3.1-9] RETAIN as published, asked for in 5.0, is not for 3.1.1, which resumes the session', (t) => {
  for (const filter of ['a', '$share/g/a']) {
    const broker = makeBroker();
    connected(broker, { clientId: 's', level: 5, clean: false, properties: { sessionExpiry: 1000 } })
      .send(subscribe5(1, {}, [filter, 1 | RETAIN_AS_PUBLISHED]));
    const old = connected(broker, { clientId: 's', clean: false });
    const publisher = connected(broker, { clientId: 'p' });
    for (const qos of [0, 1]) publisher.send(publish('a', 'x', { qos, retain: true }));
    t.same(takeAll(old, old.received()), ['q0 a x', 'q1 a x']);
    t.same(takeAll(old, old.send(subscribe(2, ['a', 1]))), ['q1 retain a x'], 'but for what is retained');
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-3.3.4-1] PUBACK and PUBREC say 0x10 when nobody wants the message, also when it is retained', (t) => {
  const broker = makeBroker();
  const peer = connected(broker, { clientId: 'p', level: 5 });
  const old = connected(broker, { clientId: 'old' });
  t.same(peer.send(publish5('a', 'x', { qos: 1, id: 3 })), ['PUBACK id3 0x10']);
  t.same(peer.send(publish5('a', 'x', { qos: 2, id: 4, retain: true })), ['PUBREC id4 0x10']);
  t.same(peer.send(pubrel(4)), ['PUBCOMP id4'], 'which is a success');
  t.same(old.send(publish('a', 'x', { qos: 1, id: 3 })), ['PUBACK id3'], 'not in 3.1.1');
  old.send(subscribe(1, ['a', 0]));
  t.same(peer.send(publish5('a', 'x', { qos: 1, id: 5 })), ['PUBACK id5']);
  t.same(peer.send(publish5('a', 'x', { qos: 2, id: 6 })), ['PUBREC id6']);
  t.end();
});

t.test('a topic of the broker itself is refused with 0x87, and what is not retained or queued with 0x97', (t) => {
  const broker = makeBroker({ retainedMax: 1, queueBytes: 1024, sysIntervalMs: 0, slowSubscriberMs: 1 });
  const peer = connected(broker, { clientId: 'p', level: 5 });
  t.same(peer.send(publish5('$SYS/a', 'x', { qos: 1, id: 3 })), ['PUBACK id3 0x87']);
  t.same(peer.send(publish5('$SYS/a', 'x', { qos: 2, id: 4 })), ['PUBREC id4 0x87']);
  t.same(peer.send(pubrel(4)), ['PUBCOMP id4 0x92'], '5.0 [MQTT-4.3.3-9]: nothing is open');
  t.same(peer.send(publish5('$SYS/a', 'x')), [], 'QoS 0 is only counted');
  t.equal(broker.counters[count.DROPPED_SYS], 3);
  peer.send(publish5('kept', 'x', { retain: true }));
  t.same(peer.send(publish5('other', 'x', { qos: 1, id: 5, retain: true })), ['PUBACK id5 0x97']);
  const away = connected(broker, { clientId: 'away', clean: false });
  away.send(subscribe(1, ['a', 1]));
  away.drop();
  t.same(peer.send(publish5('a', 'x'.repeat(900), { qos: 1, id: 6 })), ['PUBACK id6']);
  t.same(peer.send(publish5('a', 'x'.repeat(900), { qos: 1, id: 7 })), ['PUBACK id7 0x97']);
  t.same(peer.send(publish5('a', 'x'.repeat(900), { qos: 2, id: 8, retain: true })), ['PUBREC id8 0x97']);
  t.equal(broker.memory.packetIds.counts[0], 0);
  t.equal(broker.memory.retained.count, 1, 'what is refused is not retained either');
  connected(broker, { clientId: 'now' }).send(subscribe(1, ['a', 0]));
  t.same(peer.send(publish5('a', 'x'.repeat(900), { qos: 1, id: 9 })), ['PUBACK id9'], 'somebody gets it');
  checkInvariants(broker);
  t.end();
});

t.test('a payload that says it is UTF-8 and is not: 0x99, nobody gets it; QoS 0 ends the connection', (t) => {
  const { broker, young, youngSubscriber } = four();
  const invalid = Uint8Array.of(0x61, 0xc0, 0x80);
  const format = { format: 1 };
  t.same(young.send(publish5('a', invalid, { qos: 1, id: 3, properties: format })), ['PUBACK id3 0x99']);
  t.same(young.send(publish5('a', invalid, { qos: 2, id: 4, retain: true, properties: format })), ['PUBREC id4 0x99']);
  t.same(young.send(publish5('a', invalid, { qos: 2, id: 4, properties: format })), ['PUBREC id4 0x99'],
    '5.0 [MQTT-4.3.3-9]: the same identifier again is a new message');
  t.same(youngSubscriber.received(), []);
  t.equal(broker.memory.retained.count, 0);
  young.send(publish5('a', invalid, { properties: { format: 0 } }));
  young.send(publish5('a', 'gr\0\u00fcn', { properties: { format: 0 } }));
  young.send(publish5('a', Uint8Array.of(0, 0xc3, 0xbc), { properties: format }));
  t.equal(youngSubscriber.received().length, 3);
  t.match(young.send(publish5('a', invalid, { properties: format })), [/^DISCONNECT 0x99/]);
  t.ok(young.link.closed);
  t.same(youngSubscriber.received(), []);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.3.4-6] a client that sends a subscription identifier is disconnected with 0x82', (t) => {
  const { broker, young, youngSubscriber } = four();
  t.match(young.send(publish5('a', 'x', { properties: { subscription: 1 } })), [/^DISCONNECT 0x82/]);
  t.ok(young.link.closed);
  t.same(youngSubscriber.received(), []);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-4.3.3-4] [MQTT-4.8.2-6] a subscriber may refuse: not sent again, and no PUBREL', (t) => {
  const { broker, young, youngSubscriber, oldSubscriber } = four();
  oldSubscriber.drop();
  young.send(publish5('a', 'x', { qos: 1 }));
  t.same(youngSubscriber.received(), ['PUBLISH q1 id1 a x']);
  t.same(youngSubscriber.send(puback(1, 0x83)), []);
  young.send(publish5('a', 'x', { qos: 2, id: 2 }));
  young.send(pubrel(2));
  t.same(youngSubscriber.received(), ['PUBLISH q2 id2 a x']);
  t.same(youngSubscriber.send(pubrec(2, 0x97)), []);
  t.equal(broker.memory.deliveries.count(3), 0);
  young.send(publish5('a', 'x', { qos: 2, id: 2 }));
  t.same(youngSubscriber.received(), ['PUBLISH q2 id3 a x']);
  t.same(youngSubscriber.send(pubrec(3, 0x10)), ['PUBREL id3'], 'below 0x80 it took it');
  t.same(youngSubscriber.send(pubcomp(3)), []);
  checkInvariants(broker);
  t.end();
});

t.test('PUBREL and PUBREC for identifiers that are not in use are answered with 0x92, and counted', (t) => {
  const broker = makeBroker();
  const peer = connected(broker, { clientId: 'p', level: 5 });
  t.same(peer.send(pubrel(9)), ['PUBCOMP id9 0x92']);
  t.same(peer.send(pubrec(9)), ['PUBREL id9 0x92']);
  t.same(peer.send(puback(9)), []);
  t.same(peer.send(pubcomp(9, 0x92)), []);
  t.equal(broker.counters[count.UNKNOWN_ACKNOWLEDGEMENTS], 3);
  t.notOk(peer.link.closed);
  t.end();
});

t.test('5.0 [MQTT-3.1.2-24] [MQTT-3.1.2-25] what is larger than the client takes is skipped and counted', (t) => {
  for (const qos of [0, 1, 2]) {
    for (const retained of [false, true]) {
      const broker = makeBroker();
      const publisher = connected(broker, { clientId: 'p', level: 5 });
      const small = connected(broker, { clientId: 's', level: 5, properties: { packetMaximum: 40 } });
      const filters = subscribe5(1, {}, ['#', 2]);
      if (!retained) small.send(filters);
      // The header takes 2 bytes, the topic 3, the identifier 2, the length of no properties 1.
      const room = 40 - 2 - 3 - (qos === 0 ? 0 : 2) - 1;
      for (const [topic, size] of [['a', room], ['b', room + 1], ['c', 1]] as const) {
        publisher.send(publish5(topic, 'x'.repeat(size), { qos, id: 1, retain: true }));
        publisher.send(pubrel(1));
      }
      const got = takeAll(small, retained ? small.send(filters) : small.received());
      const flag = retained ? ' retain' : '';
      t.same(got, [`q${qos}${flag} a ${'x'.repeat(room)}`, `q${qos}${flag} c x`], `QoS ${qos}, ${flag}`);
      t.equal(broker.counters[count.DROPPED_TOO_LARGE], 1);
      t.equal(broker.memory.deliveries.count(1), 0);
      checkInvariants(broker);
    }
  }
  t.end();
});

t.test('a message in flight is not sent again to a client that came back for less', (t) => {
  const broker = makeBroker();
  const fields = { clientId: 's', level: 5, clean: false };
  const subscriber = connected(broker, { ...fields, properties: { sessionExpiry: 100 } });
  subscriber.send(subscribe5(1, {}, ['#', 1]));
  const publisher = connected(broker, { clientId: 'p' });
  publisher.send(publish('a', 'x'.repeat(50), { qos: 1 }));
  publisher.send(publish('b', 'y', { qos: 1 }));
  subscriber.drop();
  const { answers, peer: again } =
    attempt(broker, connect({ ...fields, properties: { sessionExpiry: 100, packetMaximum: 40 } }));
  t.same(answers.slice(1), ['PUBLISH q1 id2 dup b y']);
  t.equal(broker.counters[count.DROPPED_TOO_LARGE], 1);
  checkInvariants(broker);
  t.same(again.send(puback(2)), []);
  t.equal(broker.memory.deliveries.count(0), 0);
  t.end();
});

t.test('5.0 [MQTT-3.3.4-9] no more than Receive Maximum unacknowledged, also of what is sent again', (t) => {
  const broker = makeBroker({ inflightMax: 4 });
  const fields = (receiveMaximum: number) =>
    ({ clientId: 's', level: 5, clean: false, properties: { sessionExpiry: 100, receiveMaximum } });
  const subscriber = connected(broker, fields(3));
  subscriber.send(subscribe5(1, {}, ['#', 1]));
  const publisher = connected(broker, { clientId: 'p' });
  for (const payload of '12345') publisher.send(publish('a', payload, { qos: 1 }));
  t.same(subscriber.received().map(withoutId), ['q1 a 1', 'q1 a 2', 'q1 a 3']);
  publisher.send(publish('a', 'zero'));
  t.same(subscriber.received(), ['PUBLISH q0 a zero'], '5.0 [MQTT-3.3.4-10]: QoS 0 is not held up');
  subscriber.drop();
  const { answers, peer: again } = attempt(broker, connect(fields(2)));
  t.same(answers.slice(1), ['PUBLISH q1 id1 dup a 1', 'PUBLISH q1 id2 dup a 2']);
  checkInvariants(broker);
  t.same(again.send(puback(1)).map(withoutId), ['q1 dup a 3']);
  t.same(again.send(puback(2)).map(withoutId), ['q1 a 4']);
  t.same(again.send(puback(3)).map(withoutId), ['q1 a 5']);
  t.same([...again.send(puback(4)), ...again.send(puback(5))], []);
  t.equal(broker.memory.deliveries.count(0), 0);
  t.end();
});

t.test('5.0 [MQTT-3.3.1-3] [MQTT-3.3.1-1] DUP is the broker\'s own, with properties as without', (t) => {
  const broker = makeBroker();
  const fields = { clientId: 's', level: 5, clean: false, properties: { sessionExpiry: 100 } };
  const subscriber = connected(broker, fields);
  subscriber.send(subscribe5(1, {}, ['#', 1]));
  const publisher = connected(broker, { clientId: 'p', level: 5 });
  publisher.send(publish5('a', 'x', { qos: 1, duplicate: true, properties: ALL }));
  t.same(subscriber.received(), [`PUBLISH q1 id1 a x ${ALL_WORDS}`]);
  subscriber.drop();
  const { answers, peer: again } = attempt(broker, connect(fields));
  t.same(answers.slice(1), [`PUBLISH q1 id1 dup a x ${ALL_WORDS}`]);
  t.same(again.send(puback(1)), []);
  t.equal(broker.memory.queued.count, 0);
  t.end();
});

t.test('a packet that must wait for a slow subscriber is decoded again as it came, alias and expiry included', (t) => {
  const broker = makeBroker({ sessionQueuedMax: 1, slowSubscriberMs: 60_000 });
  const slow = connected(broker, { clientId: 'slow', level: 5 });
  slow.send(subscribe5(1, {}, ['#', 1]));
  const publisher = connected(broker, { clientId: 'p', level: 5 });
  const sent = { user: ['a', 'b'] as [string, string], alias: 2, expiry: 60 };
  publisher.send(publish5('a', '1', { qos: 1, properties: sent }));
  t.same(slow.received(), ['PUBLISH q1 id1 a 1 {expiry 60, user a=b}']);
  for (const [id, payload] of [[2, '2'], [3, '3']] as const) {
    t.same(publisher.send(publish5('', payload, { qos: 1, id, properties: sent })), []);
    t.notOk(publisher.link.reading, 'it waits');
    t.same(slow.send(puback(id - 1)), [`PUBLISH q1 id${id} a ${payload} {expiry 60, user a=b}`]);
    t.ok(publisher.link.reading);
    t.same(publisher.received(), [`PUBACK id${id}`]);
    checkInvariants(broker);
  }
  t.end();
});

t.test('a message without room for a byte more goes to 3.1.1 as it came, and to 5.0 if the outbox takes it', (t) => {
  for (const qos of [0, 1]) {
    const broker = makeBroker({ packetBytesMax: 1024, outboxBytes: 1024, inboxBytes: 1024 });
    const old = connected(broker, { clientId: 'old' });
    const young = connected(broker, { clientId: 'young', level: 5 });
    old.send(subscribe(1, ['a', 1]));
    young.send(subscribe5(1, {}, ['a', 1]));
    const publisher = connected(broker, { clientId: 'p' });
    const payload = 'x'.repeat(1024 - 3 - 3 - 2 * qos);
    publisher.send(publish('a', payload, { qos }));
    t.same(takeAll(old, old.received()), [`q${qos} a ${payload}`]);
    t.same(takeAll(young, young.received()), []);
    t.equal(broker.counters[count.DROPPED_TOO_LARGE], 1);
    publisher.send(publish('a', payload.slice(1), { qos }));
    t.same(takeAll(young, young.received()), [`q${qos} a ${payload.slice(1)}`]);
    checkInvariants(broker);
  }
  t.end();
});

t.test('a client of 3.1.1 takes over a session of 5.0 with what waits in it, and the other way round', (t) => {
  const broker = makeBroker();
  connected(broker, { clientId: 's', level: 5, clean: false, properties: { sessionExpiry: 0xffffffff } })
    .send(subscribe5(1, { subscription: 5 }, ['#', 1]));
  const old = connected(broker, { clientId: 's', clean: false });
  const publisher = connected(broker, { clientId: 'p', level: 5 });
  publisher.send(publish5('a', 'x', { qos: 1, properties: ALL }));
  t.same(old.received(), ['PUBLISH q1 id1 a x']);
  old.drop();
  publisher.send(publish5('b', 'y', { qos: 1, properties: ALL }));
  const { answers, peer: young } = attempt(broker, connect({ clientId: 's', level: 5, clean: false }));
  t.same(answers.slice(1), [`PUBLISH q1 id1 dup a x ${ALL_WORDS.replace('}', ', subscription 5}')}`,
    `PUBLISH q1 id2 b y ${ALL_WORDS.replace('}', ', subscription 5}')}`]);
  t.same([...young.send(puback(1)), ...young.send(puback(2))], []);
  t.equal(broker.memory.deliveries.count(0), 0);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 section 4.3.3: PUBREC with a failure is the end of it: no PUBREL, whatever is in flight', (t) => {
  const broker = makeBroker();
  const subscriber = connected(broker, { clientId: 's', level: 5 });
  t.same(subscriber.send(pubrec(7, 0x97)), [], 'unknown');
  subscriber.send(subscribe5(1, {}, ['a', 2]));
  connected(broker, { clientId: 'p', level: 5 }).send(publish5('a', 'x', { qos: 2, id: 1 }));
  t.same(subscriber.received(), ['PUBLISH q2 id1 a x']);
  t.same(subscriber.send(pubrec(1)), ['PUBREL id1']);
  t.same(subscriber.send(pubrec(1, 0x97)), [], 'released');
  t.same(subscriber.send(pubrec(1)), ['PUBREL id1'], 'and it may still be finished');
  checkInvariants(broker);
  t.end();
});
