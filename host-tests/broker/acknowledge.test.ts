// Acknowledgements: exactly once for QoS 2, unknown and wrong ones, the window of messages in
// flight, and packet identifiers. MQTT 3.1.1 sections 2.3.1, 4.3, 4.4. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import {
  concat, pingreq, puback, pubcomp, publish, pubrec, pubrel, subscribe,
} from '../support/packets.js';
import { connected, makeBroker, type Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import type { Broker } from '../../src/broker/broker.js';
import { idOf, takeAll } from './steps.js';

/** A subscriber of `a` with QoS 2 and a publisher. */
function pair(limits: Parameters<typeof makeBroker>[0] = {}): { broker: Broker; subscriber: Peer; publisher: Peer } {
  const broker = makeBroker(limits);
  const subscriber = connected(broker, { clientId: 'subscriber', clean: false });
  subscriber.send(subscribe(1, ['a', 2]));
  return { broker, subscriber, publisher: connected(broker,
    { clientId: 'publisher', clean: false }) };
}

t.test('[MQTT-4.3.3-2] a PUBLISH of QoS 2 that is repeated before PUBREL is not delivered twice', (t) => {
  const { broker, subscriber, publisher } = pair();
  const packet = publish('a', 'x', { qos: 2, id: 9 });
  t.same(publisher.send(packet), ['PUBREC id9']);
  t.same(publisher.send(publish('a', 'x', { qos: 2, id: 9, duplicate: true })), ['PUBREC id9']);
  t.same(publisher.send(packet), ['PUBREC id9'], 'DUP or not');
  t.same(takeAll(subscriber, subscriber.received()), ['q2 a x']);
  t.same(publisher.send(pubrel(9)), ['PUBCOMP id9']);
  t.same(publisher.send(packet), ['PUBREC id9']);
  t.same(takeAll(subscriber, subscriber.received()), ['q2 a x'],
    'after PUBREL it is a new message');
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-4.3.3-2] identifiers that await PUBREL are part of a persistent session', (t) => {
  const { broker, subscriber, publisher } = pair();
  publisher.send(publish('a', 'x', { qos: 2, id: 9 }));
  publisher.drop();
  const back = connected(broker, { clientId: 'publisher', clean: false });
  t.same(back.send(publish('a', 'x', { qos: 2, id: 9, duplicate: true })), ['PUBREC id9']);
  t.same(takeAll(subscriber, subscriber.received()), ['q2 a x']);
  back.drop();
  const clean = connected(broker, { clientId: 'publisher' });
  clean.send(publish('a', 'y', { qos: 2, id: 9 }));
  t.same(takeAll(subscriber, subscriber.received()), ['q2 a y'], 'and not of a clean one');
  checkInvariants(broker);
  t.end();
});

t.test('4.3.3: PUBREL of an unknown identifier is answered with PUBCOMP', (t) => {
  const { publisher } = pair();
  t.same(publisher.send(pubrel(77)), ['PUBCOMP id77']);
  t.notOk(publisher.link.closed);
  t.end();
});

t.test('[MQTT-4.3.3-1] the way of QoS 2 out: PUBREC gets PUBREL, again if repeated, PUBCOMP ends it', (t) => {
  const { broker, subscriber, publisher } = pair();
  publisher.send(publish('a', 'x', { qos: 2, id: 9 }));
  t.same(subscriber.received(), ['PUBLISH q2 id1 a x']);
  t.same(subscriber.send(pubrec(1)), ['PUBREL id1']);
  t.equal(broker.memory.queued.count, 0, 'the message itself is gone');
  t.same(subscriber.send(pubrec(1)), ['PUBREL id1']);
  t.equal(broker.memory.deliveries.freeRows, broker.limits.queuedMax - 1);
  t.same(subscriber.send(pubcomp(1)), []);
  t.equal(broker.memory.deliveries.freeRows, broker.limits.queuedMax);
  t.equal(broker.counters[count.UNKNOWN_ACKNOWLEDGEMENTS], 0);
  checkInvariants(broker);
  t.end();
});

t.test('4.3: unknown acknowledgements are counted and tolerated; PUBREC gets its PUBREL all the same', (t) => {
  const { broker, subscriber, publisher } = pair();
  publisher.send(publish('a', 'x', { qos: 1, id: 9 }));
  t.same(subscriber.received(), ['PUBLISH q1 id1 a x']);
  t.same(subscriber.send(puback(2)), []);
  t.same(subscriber.send(pubcomp(2)), []);
  t.same(subscriber.send(pubrec(2)), ['PUBREL id2']);
  t.same(subscriber.send(puback(1)), []);
  t.same(subscriber.send(puback(1)), []);
  t.equal(broker.counters[count.UNKNOWN_ACKNOWLEDGEMENTS], 4);
  t.same(subscriber.send(pingreq()), ['PINGRESP']);
  t.equal(broker.memory.queued.count, 0);
  checkInvariants(broker);
  t.end();
});

t.test('4.3: an acknowledgement of the wrong kind for the QoS closes the connection', (t) => {
  const cases: [string, number, Uint8Array][] = [
    ['PUBREC of QoS 1', 1, pubrec(1)], ['PUBCOMP of QoS 1', 1, pubcomp(1)],
    ['PUBACK of QoS 2', 2, puback(1)], ['PUBCOMP before PUBREC', 2, pubcomp(1)],
    ['PUBACK after PUBREC', 2, concat(pubrec(1), puback(1))],
  ];
  for (const [name, qos, bytes] of cases) {
    const { broker, subscriber, publisher } = pair();
    publisher.send(publish('a', 'x', { qos, id: 9 }));
    subscriber.send(bytes);
    t.ok(subscriber.link.closed, name);
    t.equal(broker.counters[count.ERRORS_PROTOCOL], 1);
    t.notOk(publisher.link.closed);
    const back = connected(broker, { clientId: 'subscriber', clean: false });
    t.equal(broker.memory.deliveries.count(0), 1, 'and takes nothing out of the session');
    t.notOk(back.link.closed);
    checkInvariants(broker);
  }
  t.end();
});

t.test('4.4: no more than inflightMax messages go out unacknowledged, and the window is refilled', (t) => {
  for (const qos of [1, 2]) {
    const { broker, subscriber, publisher } = pair({ inflightMax: 3 });
    for (let i = 1; i <= 7; i++) {
      publisher.send(publish('a', `${i}`, { qos, id: i }));
      if (qos === 2) publisher.send(pubrel(i));
    }
    const sent = (ids: number[]): string[] => ids.map((id) => `PUBLISH q${qos} id${id} a ${id}`);
    t.same(subscriber.received(), sent([1, 2, 3]), `QoS ${qos}`);
    const finish = (id: number): string[] => qos === 1 ? subscriber.send(puback(id)) :
      [...subscriber.send(pubrec(id)).filter((text) => text !== `PUBREL id${id}`),
        ...subscriber.send(pubcomp(id))];
    t.same(finish(2), sent([4]), 'in any order');
    t.same(finish(1), sent([5]));
    t.same(subscriber.send(pingreq()), ['PINGRESP'], 'nothing without an acknowledgement');
    t.same([finish(3), finish(5), finish(4)], [sent([6]), sent([7]), []]);
    t.same([finish(6), finish(7)], [[], []]);
    t.equal(broker.memory.deliveries.freeRows, broker.limits.queuedMax);
    checkInvariants(broker);
  }
  t.end();
});

t.test('4.4: several acknowledgements in one piece refill the window at once', (t) => {
  const { subscriber, publisher } = pair({ inflightMax: 4 });
  for (let i = 1; i <= 8; i++) publisher.send(publish('a', `${i}`, { qos: 1, id: i }));
  t.equal(subscriber.received().length, 4);
  t.same(subscriber.send(concat(puback(1), puback(2), puback(3), puback(4))).map(idOf),
    [5, 6, 7, 8]);
  t.end();
});

/**
 * Brings the identifiers of `subscriber` to `last` without sending: as if that many messages had
 * been acknowledged.
 */
function skipIds(broker: Broker, subscriber: Peer, last: number): void {
  const { deliveries, queued, scratchStart } = broker.memory;
  const queue = broker.memory.connections[subscriber.slot]!.session;
  const message = queued.store(scratchStart + 2, scratchStart + 3, scratchStart + 3,
    scratchStart + 3, 2);
  let id = 0;
  while (id !== last) {
    deliveries.append(queue, message, 2);
    id = deliveries.transmit(queue, deliveries.toTransmit(queue));
    deliveries.remove(queue, deliveries.find(queue, id));
  }
  queued.release(message);
}

t.test('[MQTT-2.3.1-1] packet identifiers go round from 65,535 to 1', (t) => {
  const { broker, subscriber, publisher } = pair();
  skipIds(broker, subscriber, 65533);
  for (let i = 1; i <= 4; i++) publisher.send(publish('a', `${i}`, { qos: 1, id: i }));
  t.same(subscriber.received().map(idOf), [65534, 65535, 1, 2]);
  for (const id of [65534, 65535, 1, 2]) subscriber.send(puback(id));
  t.equal(broker.counters[count.UNKNOWN_ACKNOWLEDGEMENTS], 0);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-2.3.1-4] an identifier that is still in use is not given to another message: the queue waits', (t) => {
  const { broker, subscriber, publisher } = pair();
  publisher.send(publish('a', 'old', { qos: 2, id: 1 }));
  t.same(subscriber.received(), ['PUBLISH q2 id1 a old']);
  skipIds(broker, subscriber, 65535);
  publisher.send(publish('a', 'new', { qos: 1, id: 2 }));
  t.same(subscriber.received(), []);
  t.same(subscriber.send(pubrec(1)), ['PUBREL id1'], 'not before PUBCOMP');
  t.same(subscriber.send(pubcomp(1)), ['PUBLISH q1 id1 a new']);
  checkInvariants(broker);
  t.end();
});

t.test('4.3.3: more than receiveMax messages of QoS 2 without PUBREL close the connection', (t) => {
  const { broker, subscriber, publisher } = pair({ receiveMax: 3 });
  for (const id of [1, 300, 65535]) {
    t.same(publisher.send(publish('a', 'x', { qos: 2, id })), [`PUBREC id${id}`]);
  }
  t.same(publisher.send(publish('a', 'x', { qos: 2, id: 300 })), ['PUBREC id300'],
    'a repeated one is none more');
  publisher.send(pubrel(300));
  t.same(publisher.send(publish('a', 'x', { qos: 2, id: 4 })), ['PUBREC id4'], 'one was released');
  takeAll(subscriber, subscriber.received());
  t.same(publisher.send(publish('a', 'one too many', { qos: 2, id: 5 })), []);
  t.ok(publisher.link.closed);
  t.equal(broker.counters[count.ERRORS_RECEIVE_MAXIMUM], 1);
  t.same(subscriber.received(), [], 'it is not delivered');
  checkInvariants(broker);
  t.end();
});
