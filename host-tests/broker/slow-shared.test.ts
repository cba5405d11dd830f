// The rows and blocks that all queues share, used up: who waits, and what is counted. Runs on Node
// and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { concat, puback, publish, subscribe } from '../support/packets.js';
import { connected, makeBroker, pass, type Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import type { Broker } from '../../src/broker/broker.js';
import type { Limits } from '../../src/limits.js';

const WAIT_MS = 5000;
/** Four rows, or room for four messages of 250 bytes: less than one session may have. */
const FEW_ROWS: Partial<Limits> = { queuedMax: 4 };
const FEW_BLOCKS: Partial<Limits> = { queueBytes: 1024 };

function start(limits: Partial<Limits>): { broker: Broker; clock: { nowMs: number } } {
  const broker = makeBroker({ inflightMax: 4, slowSubscriberMs: WAIT_MS, ...limits });
  broker.tick(0);
  return { broker, clock: { nowMs: 0 } };
}

/**
 * Publishes `topic` with QoS 1 and 240 bytes under the identifiers `first` to `last`; the
 * identifiers acknowledged.
 */
function publishIds(publisher: Peer, topic: string, first: number, last: number): number[] {
  const answers: string[] = [];
  for (let id = first; id <= last; id++) {
    answers.push(...publisher.send(publish(topic, `${id}`.repeat(240), { qos: 1, id })));
  }
  return acknowledged(answers);
}

function acknowledged(packets: string[]): number[] {
  return packets.filter((text) => text.startsWith('PUBACK')).map((text) => Number(text.slice(9)));
}

for (const [name, limits] of [['queuedMax', FEW_ROWS], ['queueBytes', FEW_BLOCKS]] as const) {
  t.test(`${name}: a publisher waits for the shared queue, and goes on when a subscriber acknowledges`, (t) => {
    const { broker, publisher, subscriber } = withSubscriber(limits);
    t.same(publishIds(publisher, 'a', 1, 5), [1, 2, 3, 4]);
    t.notOk(publisher.link.reading);
    t.equal(broker.counters[count.PUBLISHERS_WAITED], 1);
    checkInvariants(broker);
    subscriber.send(puback(1));
    t.same(acknowledged(publisher.received()), [5]);
    t.equal(broker.counters[count.PUBLISH_DROPPED], 0);
    checkInvariants(broker);
    t.end();
  });

  t.test(`${name}: given up after slowSubscriberMs, counted, and not waited for again until half is free`, (t) => {
    const { broker, clock, publisher, subscriber } = withSubscriber(limits);
    publishIds(publisher, 'a', 1, 5);
    pass(broker, clock, WAIT_MS - 1);
    t.same(publisher.received(), []);
    pass(broker, clock, 1);
    t.same(acknowledged(publisher.received()), [5]);
    t.equal(broker.counters[count.DROPPED_QUEUE_FULL], 1);
    t.same(publishIds(publisher, 'a', 6, 8), [6, 7, 8]);
    t.same([broker.counters[count.DROPPED_QUEUE_FULL], broker.counters[count.PUBLISH_DROPPED]],
      [4, 4]);
    subscriber.send(puback(1));
    t.same(publishIds(publisher, 'a', 9, 10), [9, 10], 'room for one; the other does not wait');
    t.equal(broker.counters[count.DROPPED_QUEUE_FULL], 5);
    subscriber.send(concat(puback(2), puback(3)));
    const taken = name === 'queuedMax' ? [11, 12] : [11]; // with two digits they are twice as long
    t.same(publishIds(publisher, 'a', 11, 13), taken, 'half was free: it is waited for again');
    t.notOk(publisher.link.reading);
    checkInvariants(broker);
    t.end();
  });

  t.test(`${name}: QoS 0 and other topics without subscribers do not wait`, (t) => {
    const { broker, publisher } = withSubscriber(limits);
    publishIds(publisher, 'a', 1, 4);
    const other = connected(broker, { clientId: 'other' });
    other.send(subscribe(1, ['b', 0]));
    t.same(other.send(concat(publish('b', 'x'), publish('b', 'y', { qos: 1, id: 7 }),
      publish('c', 'z', { qos: 2 }))),
      ['PUBLISH q0 b x', 'PUBACK id7', 'PUBLISH q0 b y', 'PUBREC id1']);
    t.ok(other.link.reading);
    checkInvariants(broker);
    t.end();
  });

  t.test(`${name}: full of messages for who is offline, a publisher to who is offline does not wait`, (t) => {
    const { broker } = start(limits);
    const publisher = connected(broker, { clientId: 'publisher' });
    const away = connected(broker, { clientId: 'away', clean: false });
    away.send(subscribe(1, ['b', 1]));
    away.drop();
    t.same(publishIds(publisher, 'b', 1, 7), [1, 2, 3, 4, 5, 6, 7]);
    t.ok(publisher.link.reading);
    t.equal(broker.counters[count.PUBLISHERS_WAITED], 0);
    t.equal(broker.counters[count.DROPPED_QUEUE_FULL], 3);
    checkInvariants(broker);
    t.end();
  });

  t.test(`${name}: nobody waits for itself: full of its own messages, a publisher goes on`, (t) => {
    const { broker } = start(limits);
    const peer = connected(broker, { clientId: 'a' });
    peer.send(subscribe(1, ['a', 1]));
    t.same(publishIds(peer, 'a', 1, 6), [1, 2, 3, 4, 5, 6]);
    t.ok(peer.link.reading);
    t.equal(broker.counters[count.DROPPED_QUEUE_FULL], 2);
    checkInvariants(broker);
    t.end();
  });
}

function withSubscriber(limits: Partial<Limits>): {
  broker: Broker; clock: { nowMs: number }; publisher: Peer; subscriber: Peer;
} {
  const { broker, clock } = start(limits);
  const subscriber = connected(broker, { clientId: 'subscriber' });
  subscriber.send(subscribe(1, ['a', 1]));
  return { broker, clock, subscriber, publisher: connected(broker, { clientId: 'publisher' }) };
}

t.test('queuedMax: a message for several sessions takes a row for each, and is kept for those that have one', (t) => {
  const { broker } = start({ queuedMax: 3 });
  const publisher = connected(broker, { clientId: 'publisher' });
  for (const clientId of ['x', 'y', 'z']) {
    const away = connected(broker, { clientId, clean: false });
    away.send(subscribe(1, ['b', 1]));
    away.drop();
  }
  publishIds(publisher, 'b', 1, 1);
  t.equal(broker.memory.deliveries.freeRows, 0);
  t.equal(broker.memory.queued.count, 1, 'stored once');
  t.equal(broker.counters[count.PUBLISH_DROPPED], 0);
  checkInvariants(broker);
  t.end();
});

t.test('queueBytes: a retained message is kept though no subscriber can be given it', (t) => {
  const { broker } = start(FEW_BLOCKS);
  const publisher = connected(broker, { clientId: 'publisher' });
  const subscriber = connected(broker, { clientId: 'subscriber' });
  subscriber.send(subscribe(1, ['a', 1]));
  publishIds(publisher, 'a', 1, 4);
  broker.publish(Uint8Array.of(0x61), Uint8Array.of(0x78), 1, true);
  broker.flush();
  t.equal(broker.memory.retained.count, 1);
  t.equal(broker.counters[count.DROPPED_QUEUE_FULL], 1, 'and the application does not wait');
  checkInvariants(broker);
  t.end();
});
