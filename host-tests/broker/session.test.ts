// Persistent sessions: what waits for a client that is away, and how it is sent when it comes back.
// MQTT 3.1.1 sections 3.1.2.4, 4.1 and 4.4. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import {
  concat, connect, disconnect, puback, pubcomp, publish, pubrec, pubrel, subscribe, unsubscribe,
} from '../support/packets.js';
import { connected, makeBroker, type Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import type { Broker } from '../../src/broker/broker.js';
import type { Limits } from '../../src/limits.js';
import { attempt, tablesInUse, takeAll } from './steps.js';

const AWAY = { clientId: 'away', clean: false };

/** A session subscribed to `news/#` with QoS 2 whose client has left, and a publisher. */
function withSession(limits: Partial<Limits> = {}): { broker: Broker; publisher: Peer } {
  const broker = makeBroker(limits);
  const away = connected(broker, AWAY);
  away.send(subscribe(1, ['news/#', 2]));
  away.send(disconnect());
  return { broker, publisher: connected(broker, { clientId: 'publisher' }) };
}

/** The client comes back: its connection, and what it gets, answering everything. */
function comeBack(broker: Broker): { peer: Peer; taken: string[] } {
  const { answers, peer } = attempt(broker, connect(AWAY));
  return { peer, taken: takeAll(peer, answers) };
}

t.test('[MQTT-3.1.2-5] QoS 1 and 2 wait for a client that is away, in order; QoS 0 does not', (t) => {
  const { broker, publisher } = withSession();
  for (let i = 0; i < 9; i++) {
    const answers = publisher.send(publish(`news/${i}`, `${i}`, { qos: i % 3, id: i + 1 }));
    t.same(answers, [[], [`PUBACK id${i + 1}`], [`PUBREC id${i + 1}`]][i % 3]);
  }
  const { taken } = comeBack(broker);
  t.same(taken, ['q1 news/1 1', 'q2 news/2 2', 'q1 news/4 4', 'q2 news/5 5', 'q1 news/7 7',
    'q2 news/8 8']);
  t.equal(broker.memory.queued.count, 0);
  t.equal(broker.counters[count.PUBLISH_DROPPED], 0, 'QoS 0 to who is away is no loss');
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.1.2-4] subscriptions of a persistent session stay, and so does their removal', (t) => {
  const broker = makeBroker();
  const first = connected(broker, AWAY);
  first.send(concat(subscribe(1, ['a', 1], ['b', 0], ['c', 1]), unsubscribe(2, 'c')));
  first.drop();
  const second = connected(broker, AWAY);
  second.send(subscribe(3, ['b', 1]));
  second.drop();
  const publisher = connected(broker, { clientId: 'publisher' });
  for (const topic of ['a', 'b', 'c']) publisher.send(publish(topic, 'x', { qos: 1 }));
  t.same(comeBack(broker).taken, ['q1 a x', 'q1 b x']);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-4.4.0-1] on resumption what is in flight goes again with its identifier and DUP, then the rest', (t) => {
  const { broker, publisher } = withSession({ inflightMax: 2 });
  for (let i = 1; i <= 4; i++) publisher.send(publish('news/a', `${i}`, { qos: 1, id: i }));
  for (let round = 0; round < 3; round++) {
    const { answers, peer } = attempt(broker, connect(AWAY));
    const dup = round === 0 ? '' : 'dup ';
    t.same(answers, ['CONNACK present 0', `PUBLISH q1 id1 ${dup}news/a 1`,
      `PUBLISH q1 id2 ${dup}news/a 2`]);
    peer.drop();
    checkInvariants(broker);
  }
  const { answers, peer } = attempt(broker, connect(AWAY));
  t.same(answers.slice(1), ['PUBLISH q1 id1 dup news/a 1', 'PUBLISH q1 id2 dup news/a 2']);
  t.same(peer.send(puback(1)), ['PUBLISH q1 id3 news/a 3'], 'what was not sent before has no DUP');
  peer.drop();
  t.same(comeBack(broker).taken, ['q1 dup news/a 2', 'q1 dup news/a 3', 'q1 news/a 4']);
  checkInvariants(broker);
  t.end();
});

t.test('4.4: on a connection that lasts nothing is sent twice', (t) => {
  const { broker, publisher } = withSession({ inflightMax: 2, slowSubscriberMs: 1000 });
  const { peer } = comeBack(broker);
  for (let i = 1; i <= 4; i++) publisher.send(publish('news/a', `${i}`, { qos: 1, id: i }));
  t.equal(peer.received().length, 2);
  for (let second = 0; second < 600; second++) {
    broker.tick(second * 1000);
    broker.flush();
  }
  t.same(peer.received(), []);
  t.end();
});

t.test('[MQTT-4.4.0-1] PUBREL is resumed, and PUBLISH is not sent again once PUBREC has come', (t) => {
  const { broker, publisher } = withSession();
  for (let i = 1; i <= 3; i++) publisher.send(publish('news/a', `${i}`, { qos: 2, id: i }));
  const first = connected(broker, AWAY);
  t.same(first.send(concat(pubrec(2), pubrec(1))), ['PUBREL id2', 'PUBREL id1']);
  first.drop();
  const second = attempt(broker, connect(AWAY));
  t.same(second.answers, ['CONNACK present 0', 'PUBREL id1', 'PUBREL id2',
    'PUBLISH q2 id3 dup news/a 3']);
  t.same(second.peer.send(concat(pubcomp(2), pubrec(3), pubcomp(3))), ['PUBREL id3']);
  second.peer.drop();
  const third = attempt(broker, connect(AWAY));
  t.same(third.answers, ['CONNACK present 0', 'PUBREL id1']);
  t.same(third.peer.send(pubcomp(1)), []);
  t.equal(broker.memory.deliveries.freeRows, broker.limits.queuedMax);
  checkInvariants(broker);
  t.end();
});

t.test('4.4: an acknowledgement on the new connection counts for what was sent on the old one', (t) => {
  const { broker, publisher } = withSession({ inflightMax: 2 });
  const { peer } = comeBack(broker);
  for (let i = 1; i <= 3; i++) publisher.send(publish('news/a', `${i}`, { qos: 1, id: i }));
  peer.drop();
  const back = connected(broker, AWAY);
  t.same(back.send(concat(puback(2), puback(1))), ['PUBLISH q1 id3 news/a 3']);
  t.equal(broker.counters[count.UNKNOWN_ACKNOWLEDGEMENTS], 0);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.1.2-6] a clean session leaves nothing behind, however its connection ends', (t) => {
  const endings: [string, (peer: Peer) => void][] = [
    ['DISCONNECT', (peer) => peer.send(disconnect())], ['a lost link', (peer) => peer.drop()],
    ['a protocol error', (peer) => peer.send(publish('+', 'x'))],
  ];
  for (const [name, end] of endings) {
    const broker = makeBroker({ inflightMax: 1 });
    const peer = connected(broker, { clientId: 'a',
      will: { topic: 'nobody', payload: 'x'.repeat(200) } });
    peer.send(subscribe(1, ['a/b', 1], ['a/+', 2], ['long-level-'.repeat(6), 2]));
    peer.send(concat(publish('a/b', '1', { qos: 2, id: 1 }),
      publish('a/b', '2', { qos: 2, id: 2 })));
    t.not(tablesInUse(broker).length, 0);
    end(peer);
    t.same(tablesInUse(broker), [], name);
    checkInvariants(broker);
  }
  t.end();
});

t.test('[MQTT-3.1.2-6] what another session waits for survives the end of a clean one', (t) => {
  const { broker, publisher } = withSession();
  const clean = connected(broker, { clientId: 'clean' });
  clean.send(subscribe(1, ['news/#', 1]));
  publisher.send(publish('news/a', 'shared', { qos: 1, id: 1 }));
  t.equal(broker.memory.queued.count, 1, 'one copy for both');
  clean.drop();
  t.same(comeBack(broker).taken, ['q1 news/a shared']);
  t.equal(broker.memory.queued.count, 0);
  checkInvariants(broker);
  t.end();
});

/**
 * Publishes `payloads` to topics `news/<first letter>` with QoS 1; every one must be acknowledged.
 */
function publishAll(publisher: Peer, payloads: string[]): boolean {
  return payloads.every((payload) =>
    publisher.send(publish(`news/${payload[0]}`, payload,
      { qos: 1, id: 1 })).join() === 'PUBACK id1');
}

t.test('queueFull refuse-new: a full queue keeps what it has, and counts what it refuses', (t) => {
  const { broker, publisher } = withSession({ sessionQueuedMax: 3, queueFull: 'refuse-new' });
  t.ok(publishAll(publisher, ['a1', 'b1', 'a2', 'c1', 'a3']));
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 2);
  t.equal(broker.counters[count.PUBLISH_DROPPED], 2);
  t.same(comeBack(broker).taken, ['q1 news/a a1', 'q1 news/b b1', 'q1 news/a a2']);
  checkInvariants(broker);
  t.end();
});

t.test('queueFull drop-oldest: the oldest message makes room and is counted', (t) => {
  const { broker, publisher } = withSession({ sessionQueuedMax: 3, queueFull: 'drop-oldest' });
  t.ok(publishAll(publisher, ['a1', 'b1', 'a2', 'c1', 'a3']));
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 2);
  t.same(comeBack(broker).taken, ['q1 news/a a2', 'q1 news/c c1', 'q1 news/a a3']);
  t.equal(broker.memory.queued.count, 0);
  checkInvariants(broker);
  t.end();
});

t.test('queueFull keep-latest: an older message of the same topic makes room, or else the oldest', (t) => {
  const { broker, publisher } = withSession({ sessionQueuedMax: 3, queueFull: 'keep-latest' });
  t.ok(publishAll(publisher, ['a1', 'b1', 'c1', 'b2', 'b3', 'd1', 'c2']));
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 4);
  t.same(comeBack(broker).taken, ['q1 news/b b3', 'q1 news/d d1', 'q1 news/c c2']);
  t.equal(broker.memory.queued.count, 0);
  checkInvariants(broker);
  t.end();
});

t.test('queueFull never drops what is in flight: it must come again with its identifier', (t) => {
  for (const queueFull of ['drop-oldest', 'keep-latest'] as const) {
    const { broker, publisher } = withSession({ sessionQueuedMax: 3, inflightMax: 2, queueFull });
    const first = connected(broker, AWAY);
    t.ok(publishAll(publisher, ['a1', 'a2']));
    first.drop();
    t.ok(publishAll(publisher, ['a3', 'a4', 'a5']));
    t.equal(broker.counters[count.DROPPED_SESSION_FULL], 2);
    t.same(comeBack(broker).taken, ['q1 dup news/a a1', 'q1 dup news/a a2', 'q1 news/a a5'],
      queueFull);
    checkInvariants(broker);
  }
  const { broker, publisher } = withSession({ sessionQueuedMax: 2, inflightMax: 2,
    queueFull: 'drop-oldest' });
  const first = connected(broker, AWAY);
  t.ok(publishAll(publisher, ['a1', 'a2']));
  first.drop();
  t.ok(publishAll(publisher, ['a3']));
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 1);
  t.same(comeBack(broker).taken, ['q1 dup news/a a1', 'q1 dup news/a a2'],
    'with all in flight the new one is refused');
  t.end();
});

t.test('sessionQueuedBytesMax bounds topics and payloads of one session', (t) => {
  const { broker, publisher } = withSession({ sessionQueuedBytesMax: 1024,
    queueFull: 'refuse-new' });
  const payload = (letter: string): string => letter + 'x'.repeat(335);
  t.ok(publishAll(publisher, ['a', 'b', 'c'].map(payload)), 'three of 342 bytes are 1,026');
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 1);
  t.ok(publishAll(publisher, ['d' + 'x'.repeat(333)]), '340 more are 1,024');
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 1);
  t.equal(comeBack(broker).taken.length, 3);
  t.ok(publishAll(publisher, ['a', 'b'].map(payload)), 'and they are free again when acknowledged');
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 1);
  checkInvariants(broker);
  t.end();
});

t.test('drop-oldest drops as many as the bytes of the new message need', (t) => {
  const { broker, publisher } = withSession({ sessionQueuedBytesMax: 1024,
    queueFull: 'drop-oldest' });
  t.ok(publishAll(publisher, ['a', 'b', 'c', 'd'].map((letter) => letter + 'x'.repeat(200))));
  t.ok(publishAll(publisher, [`e${'x'.repeat(700)}`]));
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 3);
  t.same(comeBack(broker).taken.map((text) => text.slice(0, 11)), ['q1 news/d d', 'q1 news/e e']);
  checkInvariants(broker);
  t.end();
});

t.test('4.3.3: an exchange of QoS 2 from the client outlives its connection', (t) => {
  const broker = makeBroker();
  const first = connected(broker, AWAY);
  t.same(first.send(publish('x', '1', { qos: 2, id: 5 })), ['PUBREC id5']);
  first.drop();
  t.equal(broker.memory.packetIds.counts[0], 1);
  const second = connected(broker, AWAY);
  t.same(second.send(pubrel(5)), ['PUBCOMP id5']);
  t.equal(broker.memory.packetIds.counts[0], 0);
  checkInvariants(broker);
  t.end();
});
