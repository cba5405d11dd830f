// Peers that do not keep up: what is dropped and counted, who waits for whom and how long, and that
// nobody else notices. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import {
  concat, pingreq, puback, publish, pubcomp, pubrec, pubrel, subscribe, unsubscribe,
} from '../support/packets.js';
import { connected, makeBroker, pass, type Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import type { Broker } from '../../src/broker/broker.js';
import type { Limits } from '../../src/limits.js';
import { INFLIGHT } from '../../src/session/deliveries.js';

const WAIT_MS = 5000;

interface Scene {
  broker: Broker;
  clock: { nowMs: number };
  publisher: Peer;
  subscriber: Peer;
}

/** A subscriber of `a` with QoS 2 that takes 4 messages, and acknowledges none, and a publisher. */
function scene(limits: Partial<Limits> = {}): Scene {
  const broker = makeBroker({ sessionQueuedMax: 4, inflightMax: 2, slowSubscriberMs: WAIT_MS,
    ...limits });
  const clock = { nowMs: 0 };
  broker.tick(0);
  const subscriber = connected(broker, { clientId: 'subscriber' });
  subscriber.send(subscribe(1, ['a', 2]));
  return { broker, clock, subscriber, publisher: connected(broker, { clientId: 'publisher' }) };
}

/** Stops the peer from reading: its link takes no byte more. */
function stopReading(peer: Peer): void {
  peer.link.drain();
  peer.link.capacity = 0;
}

/** Publishes `a` with QoS 1 under the identifiers `first` to `last`; what was answered. */
function publishIds(publisher: Peer, first: number, last: number): string[] {
  const answers: string[] = [];
  for (let id = first; id <= last; id++) {
    answers.push(...publisher.send(publish('a', `${id}`, { qos: 1, id })));
  }
  return answers;
}

function pubacks(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, i) => `PUBACK id${first + i}`);
}

t.test('4.2: a peer that does not read its answers is no longer read, and goes on where it stopped', (t) => {
  const broker = makeBroker();
  const other = connected(broker, { clientId: 'other' });
  const peer = connected(broker, { clientId: 'a' });
  stopReading(peer);
  const pings = concat(...Array.from({ length: 900 }, pingreq));
  t.same(peer.send(pings), []);
  t.notOk(peer.link.reading);
  t.notOk(peer.link.closed);
  t.same(other.send(pingreq()), ['PINGRESP'], 'nobody else is disturbed');
  checkInvariants(broker);
  peer.link.capacity = 100;
  let answered = 0;
  for (let turn = 0; turn < 30; turn++) {
    answered += peer.resume().filter((text) => text === 'PINGRESP').length;
    checkInvariants(broker);
  }
  t.equal(answered, 900);
  t.ok(peer.link.reading);
  t.equal(broker.counters[count.PUBLISHERS_WAITED], 0);
  t.end();
});

t.test('4.2: acknowledgements are taken though the outbox has no room for an answer', (t) => {
  const { broker, publisher, subscriber } = scene();
  publishIds(publisher, 1, 4);
  t.equal(subscriber.received().length, 2);
  stopReading(subscriber);
  subscriber.send(concat(...Array.from({ length: 511 }, pingreq)));
  t.ok(subscriber.link.reading);
  subscriber.send(puback(1));
  t.equal(broker.memory.deliveries.count(0), 3);
  checkInvariants(broker);
  t.end();
});

t.test('4.3.1: QoS 0 to a subscriber whose outbox is full is dropped and counted, the publisher does not wait', (t) => {
  const { broker, publisher, subscriber } = scene();
  const other = connected(broker, { clientId: 'other' });
  other.send(subscribe(1, ['a', 0]));
  stopReading(subscriber);
  const payload = (i: number): string => `${i}`.repeat(95); // 100 bytes each: ten fit
  for (let i = 1; i <= 9; i++) publisher.send(publish('a', payload(i)));
  for (let i = 0; i < 5; i++) publisher.send(publish('a', payload(0) + payload(0)));
  t.ok(publisher.link.reading);
  t.equal(broker.counters[count.DROPPED_OUTBOX_FULL], 5);
  t.equal(broker.counters[count.PUBLISH_DROPPED], 5);
  t.equal(other.received().length, 14, 'others get all of it');
  subscriber.link.capacity = Infinity;
  const wanted = Array.from({ length: 9 }, (_, i) => `PUBLISH q0 a ${payload(i + 1)}`);
  t.same(subscriber.resume(), wanted, 'whole messages, in order');
  publisher.send(publish('a', 'after'));
  t.same(subscriber.received(), ['PUBLISH q0 a after']);
  checkInvariants(broker);
  t.end();
});

t.test('4.3: QoS 1 and 2 to a full outbox wait in the queue and go on when the link takes bytes', (t) => {
  const { broker, publisher, subscriber } = scene({ inflightMax: 4 });
  stopReading(subscriber);
  const payload = 'x'.repeat(400);
  for (let id = 1; id <= 4; id++) {
    t.same(publisher.send(publish('a', payload, { qos: 1, id })), [`PUBACK id${id}`]);
  }
  t.equal(broker.memory.deliveries.queues[INFLIGHT], 2, 'two fit into the outbox');
  subscriber.link.capacity = 500;
  const received: string[] = [];
  for (let turn = 0; turn < 6; turn++) received.push(...subscriber.resume());
  t.same(received, [1, 2, 3, 4].map((id) => `PUBLISH q1 id${id} a ${payload}`));
  t.equal(broker.counters[count.PUBLISH_DROPPED], 0);
  checkInvariants(broker);
  t.end();
});

t.test('4.3: a publisher of QoS 1 and 2 waits for a full subscriber, and goes on when that acknowledges', (t) => {
  for (const qos of [1, 2]) {
    const { broker, publisher, subscriber } = scene();
    const answer = qos === 1 ? 'PUBACK' : 'PUBREC';
    for (let id = 1; id <= 4; id++) {
      t.same(publisher.send(publish('a', `${id}`, { qos, id })), [`${answer} id${id}`]);
      if (qos === 2) publisher.send(pubrel(id));
    }
    t.same(publisher.send(concat(publish('a', '5', { qos, id: 5 }), pingreq())), [],
      'its acknowledgement is withheld');
    t.notOk(publisher.link.reading, 'and its bytes are left unread');
    t.same(publisher.send(pingreq()), []);
    t.equal(broker.counters[count.PUBLISHERS_WAITED], 1);
    checkInvariants(broker);
    if (qos === 1) subscriber.send(puback(1));
    else subscriber.send(concat(pubrec(1), pubcomp(1)));
    t.same(publisher.received(), [`${answer} id5`, 'PINGRESP'], 'within the same turn');
    t.ok(publisher.link.reading);
    t.same(publisher.resume(), ['PINGRESP'], 'what was left unread is not lost');
    t.equal(broker.counters[count.PUBLISH_DROPPED], 0);
    checkInvariants(broker);
  }
  t.end();
});

t.test('4.3: after slowSubscriberMs the publisher goes on and the drop is counted; never before', (t) => {
  const { broker, clock, publisher, subscriber } = scene();
  publishIds(publisher, 1, 5);
  for (let waitedMs = 1000; waitedMs < WAIT_MS; waitedMs += 1000) {
    pass(broker, clock, 1000);
    t.same(publisher.received(), [], `${waitedMs} ms`);
  }
  pass(broker, clock, 999);
  t.same(publisher.received(), []);
  pass(broker, clock, 1);
  t.same(publisher.received(), ['PUBACK id5']);
  t.ok(publisher.link.reading);
  t.same([broker.counters[count.DROPPED_SESSION_FULL], broker.counters[count.PUBLISH_DROPPED]],
    [1, 1]);
  t.same(subscriber.received(), ['PUBLISH q1 id1 a 1', 'PUBLISH q1 id2 a 2']);
  checkInvariants(broker);
  t.end();
});

t.test('4.3: who was waited for in vain is not waited for again until half of its queue is free', (t) => {
  const { broker, clock, publisher, subscriber } = scene();
  publishIds(publisher, 1, 5);
  pass(broker, clock, WAIT_MS);
  publisher.received();
  t.same(publishIds(publisher, 6, 9), pubacks(6, 9), 'no more waiting');
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 5);
  t.equal(broker.counters[count.PUBLISHERS_WAITED], 1);
  subscriber.send(puback(1));
  t.same(publishIds(publisher, 10, 11), pubacks(10, 11), 'room for one; the other does not wait');
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 6);
  subscriber.send(concat(puback(2), puback(3)));
  t.same(publishIds(publisher, 12, 14), pubacks(12, 13), 'half was free: it is waited for again');
  t.equal(broker.counters[count.PUBLISHERS_WAITED], 2);
  pass(broker, clock, WAIT_MS - 1);
  t.same(publisher.received(), [], 'for the whole time');
  pass(broker, clock, 1);
  t.same(publisher.received(), ['PUBACK id14']);
  checkInvariants(broker);
  t.end();
});

t.test('slowSubscriberMs 0: nobody waits', (t) => {
  const { broker, clock, publisher } = scene({ slowSubscriberMs: 0 });
  pass(broker, clock, 1);
  t.same(publishIds(publisher, 1, 5), pubacks(1, 5));
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 1);
  t.end();
});

t.test('queueFull drop-oldest: a subscriber given up waiting for loses its oldest message', (t) => {
  const { broker, clock, publisher, subscriber } = scene({ queueFull: 'drop-oldest' });
  publishIds(publisher, 1, 5);
  pass(broker, clock, WAIT_MS);
  publisher.received();
  publishIds(publisher, 6, 6);
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 2);
  subscriber.received();
  t.same(subscriber.send(concat(puback(1), puback(2))),
    ['PUBLISH q1 id3 a 5', 'PUBLISH q1 id4 a 6']);
  checkInvariants(broker);
  t.end();
});

t.test('4.3: a publisher waits for one full subscriber, and nobody gets the message before or twice', (t) => {
  const { broker, clock, publisher } = scene();
  const quick = connected(broker, { clientId: 'quick' });
  quick.send(subscribe(1, ['a', 0], ['#', 0]));
  publishIds(publisher, 1, 4);
  t.equal(quick.received().length, 4);
  publishIds(publisher, 5, 5);
  t.same(quick.received(), []);
  for (let i = 0; i < 4; i++) pass(broker, clock, 1000);
  t.same(quick.received(), [], 'while it is tried again');
  pass(broker, clock, 1000);
  t.same(quick.received(), ['PUBLISH q0 a 5']);
  t.end();
});

t.test('4.3: nobody waits for itself: its acknowledgements come behind its messages', (t) => {
  const { broker, subscriber } = scene();
  const answers = publishIds(subscriber, 1, 6).filter((text) => text.startsWith('PUBACK'));
  t.same(answers, pubacks(1, 6));
  t.ok(subscriber.link.reading);
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 2);
  t.equal(broker.counters[count.PUBLISHERS_WAITED], 0);
  checkInvariants(broker);
  t.end();
});

t.test('4.3: two clients that publish to each other and are both full go on after slowSubscriberMs', (t) => {
  const broker = makeBroker({ sessionQueuedMax: 2, inflightMax: 2, slowSubscriberMs: WAIT_MS });
  const clock = { nowMs: 0 };
  broker.tick(0);
  const peers = ['a', 'b'].map((clientId) => connected(broker, { clientId }));
  peers[0]!.send(subscribe(1, ['to/0', 1]));
  peers[1]!.send(subscribe(1, ['to/1', 1]));
  peers.forEach((peer, i) => {
    for (let id = 1; id <= 3; id++) peer.send(publish(`to/${1 - i}`, 'x', { qos: 1, id }));
  });
  t.same(peers.map((peer) => peer.link.reading), [false, false]);
  pass(broker, clock, WAIT_MS);
  t.same(peers.map((peer) => peer.link.reading), [true, true]);
  t.same(peers.map((peer) => peer.received().filter((text) => text === 'PUBACK id3').length),
    [1, 1]);
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 2);
  checkInvariants(broker);
  t.end();
});

t.test('4.3: offline subscribers never make a publisher wait', (t) => {
  const { broker, publisher } = scene();
  const away = connected(broker, { clientId: 'away', clean: false });
  away.send(subscribe(1, ['b', 1]));
  away.drop();
  for (let id = 1; id <= 6; id++) {
    t.same(publisher.send(publish('b', 'x', { qos: 1, id })), [`PUBACK id${id}`]);
  }
  t.equal(broker.counters[count.DROPPED_SESSION_FULL], 2);
  t.equal(broker.counters[count.PUBLISHERS_WAITED], 0);
  checkInvariants(broker);
  t.end();
});

t.test('4.3: a subscriber that leaves while it is waited for sets the publisher free at once', (t) => {
  for (const clean of [true, false]) {
    const { broker, publisher, subscriber } = scene();
    subscriber.drop();
    const leaver = connected(broker, { clientId: 'leaver', clean });
    leaver.send(subscribe(1, ['a', 1]));
    publishIds(publisher, 1, 5);
    t.notOk(publisher.link.reading);
    leaver.drop();
    t.same(publisher.received(), ['PUBACK id5']);
    t.ok(publisher.link.reading);
    t.equal(broker.counters[count.PUBLISH_DROPPED], clean ? 0 : 1);
    checkInvariants(broker);
  }
  t.end();
});

t.test('3.10: a subscriber that unsubscribes while it is waited for sets the publisher free by the next tick', (t) => {
  const { broker, clock, publisher, subscriber } = scene();
  publishIds(publisher, 1, 5);
  subscriber.send(unsubscribe(2, 'a'));
  pass(broker, clock, 250);
  t.same(publisher.received(), ['PUBACK id5']);
  t.equal(broker.counters[count.PUBLISH_DROPPED], 0);
  checkInvariants(broker);
  t.end();
});

t.test('4.3: a stalled publisher that drops its link leaves nothing: its message was not acknowledged', (t) => {
  const { broker, clock, publisher, subscriber } = scene();
  publishIds(publisher, 1, 5);
  publisher.drop();
  checkInvariants(broker);
  const next = connected(broker, { clientId: 'next' });
  t.equal(next.slot, publisher.slot);
  t.same(next.send(pingreq()), ['PINGRESP']);
  subscriber.received();
  subscriber.send(concat(puback(1), puback(2)));
  subscriber.send(concat(puback(3), puback(4)));
  pass(broker, clock, WAIT_MS);
  t.same(subscriber.received(), []);
  t.equal(broker.memory.queued.count, 0);
  checkInvariants(broker);
  t.end();
});

t.test('4.3: while a publisher waits, QoS 0 to the same subscriber and other traffic flow', (t) => {
  const { broker, publisher, subscriber } = scene();
  publishIds(publisher, 1, 5);
  subscriber.received();
  const other = connected(broker, { clientId: 'other' });
  other.send(subscribe(1, ['b', 1]));
  t.same(other.send(concat(publish('b', 'x', { qos: 1, id: 9 }), pingreq())),
    ['PUBACK id9', 'PUBLISH q1 id1 b x', 'PINGRESP']);
  other.send(publish('a', 'now'));
  t.same(subscriber.received(), ['PUBLISH q0 a now']);
  t.notOk(publisher.link.reading);
  checkInvariants(broker);
  t.end();
});
