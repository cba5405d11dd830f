// The watchman watched: a table put into disorder on purpose must be noticed by checkInvariants.
// Deterministic; also runs in XS.

import t from 'tap';
import type { Broker } from '../../src/broker/broker.js';
import { CLIENTS_CONNECTED } from '../../src/broker/counters.js';
import { NEXT_OF_SESSION, NODE, OPTIONS, SHARED } from '../../src/broker/subscriptions.js';
import { FIRST_CHILD, PLUS_CHILD, ROOT, VALUE } from '../../src/broker/topic-tree.js';
import { SUBSCRIPTION_CELLS } from '../../src/limits.js';
import {
  BYTES, CURSOR, INFLIGHT, PACKET_ID, PUBLISHED, STATE, TAIL, VIA, WINDOW,
} from '../../src/session/deliveries.js';
import { QUEUE_CELLS } from '../../src/table-bytes.js';
import { NONE } from '../../src/wire/codes.js';
import { checkInvariants } from '../support/invariants.js';
import { publish, subscribe, subscribe5 } from '../support/packets.js';
import { connected, makeBroker } from '../support/peer.js';

/**
 * Two sessions; subscriptions, retained messages, a will, a queue with two in flight and one
 * behind, a QoS 2 set.
 */
function busyBroker(): Broker {
  const broker = makeBroker({ inflightMax: 2 });
  const publisher = connected(broker, { clientId: 'p', will: { topic: 'w', payload: 'gone' } });
  const subscriber = connected(broker, { clientId: 's', clean: false });
  subscriber.send(subscribe(1, ['a/+', 1], ['a/b', 2], ['#', 0]));
  for (let id = 1; id <= 3; id++) publisher.send(publish('a/b', 'x', { qos: 2, id }));
  publisher.send(publish('kept/here', 'x', { retain: true }));
  return broker;
}

const CORRUPTIONS: Readonly<Record<string, (broker: Broker) => void>> = {
  'a counter of clients': ({ counters }) => counters[CLIENTS_CONNECTED]!++,
  'a slot that is another': ({ memory }) => memory.sessions.slot[1] = 0,
  'an identifier that is another': ({ memory: { sessions } }) =>
    sessions.memory[sessions.clientIdStart(0)] = 0x7a,
  'a number of sessions': ({ memory }) => memory.sessions.count--,
  'a subscription cut off its session': ({ memory }) => memory.subscriptions.firstOfSession[1] = NONE,
  'a subscription cut off its filter': ({ memory: { subscriptions } }) =>
    subscriptions.tree.cells[subscriptions.cells[NODE]! + VALUE] = NONE,
  'a child + forgotten': ({ memory: { subscriptions: { tree: { cells } } } }) =>
    cells[cells[ROOT + FIRST_CHILD]! + PLUS_CHILD] = NONE,
  'a node cut off': ({ memory }) => memory.retained.tree.cells[ROOT + FIRST_CHILD] = NONE,
  'a retained message twice': ({ memory: { retained: { tree: { cells } } } }) => {
    const kept = cells[ROOT + FIRST_CHILD]!;
    cells[kept + VALUE] = cells[cells[kept + FIRST_CHILD]! + VALUE]!;
  },
  'a will that nobody holds': ({ memory }) => memory.sessions.setWill(0, NONE),
  'a reference too few': ({ memory: { deliveries, queued } }) =>
    queued.release(deliveries.message(deliveries.head(1))),
  'a chain of blocks that goes round': ({ memory: { deliveries, queued } }) => {
    const first = deliveries.message(deliveries.head(1));
    queued.blocks.next[first] = first;
  },
  'a row in flight that is not counted': ({ memory }) => memory.deliveries.queues[QUEUE_CELLS + INFLIGHT]!--,
  'an identifier twice': ({ memory: { deliveries } }) =>
    deliveries.rows[deliveries.next(deliveries.head(1)) + PACKET_ID] = deliveries.packetId(deliveries.head(1)),
  'a row in flight behind one that waits': ({ memory: { deliveries } }) => {
    deliveries.rows[deliveries.head(1) + STATE] = 0;
    deliveries.rows[deliveries.queues[QUEUE_CELLS + TAIL]! + STATE] = PUBLISHED;
  },
  'a cursor that skips what waits': ({ memory }) => memory.deliveries.queues[QUEUE_CELLS + CURSOR] = NONE,
  'bytes of a queue': ({ memory }) => memory.deliveries.queues[QUEUE_CELLS + BYTES]!++,
  'rows lost': ({ memory }) => memory.deliveries.freeRows--,
  'packet identifiers lost': ({ memory }) => memory.packetIds.counts[0]!++,
  'a replay of nothing': ({ memory: { replays, sessions } }) => replays.firstRow[sessions.sessionsMax + 1] = 0,
  'a pause without reason': ({ memory }) => memory.connections[0]!.paused = true,
};

/** The same in MQTT 5.0: identifiers, a shared subscription, aliases, a will that waits, messages that expire. */
function busyBroker5(): Broker {
  const broker = makeBroker({ inflightMax: 2 });
  const away = connected(broker, { clientId: 'away', level: 5, properties: { sessionExpiry: 9 },
    will: { topic: 'w', payload: 'gone', properties: { willDelay: 5, expiry: 7 } } });
  const subscriber = connected(broker, { clientId: 's', level: 5, properties: { aliasMaximum: 2, receiveMaximum: 1 } });
  subscriber.send(subscribe5(1, { subscription: 7 }, ['a/+', 1], ['$share/g/a/#', 1]));
  subscriber.send(subscribe5(2, {}, ['a/b', 2]));
  away.send(publish('a/b', 'x', { qos: 1, id: 1, retain: true, properties: { expiry: 9, alias: 1 } }));
  away.drop();
  broker.tick(1);
  return broker;
}

const CORRUPTIONS_5: Readonly<Record<string, (broker: Broker) => void>> = {
  'an identifier that is overlooked': ({ memory: { subscriptions: { cells, firstOfSession } } }) => {
    cells[firstOfSession[1]! + SUBSCRIPTION_CELLS - 1] = 0;
  },
  'a shared subscription that is not': ({ memory: { subscriptions: { cells, firstOfSession } } }) =>
    cells[firstOfSession[1]! + OPTIONS]! &= 6,
  'a topic that is not shared': ({ memory: { subscriptions: { cells, firstOfSession } } }) =>
    cells[cells[firstOfSession[1]! + NEXT_OF_SESSION]! + OPTIONS]! |= SHARED,
  'more aliases than the client takes': ({ memory: { aliases } }) => {
    for (let alias = 1; alias <= 3; alias++) aliases.add(1, alias, 0, 1);
  },
  'an alias with a topic too long': ({ memory, bytes }) =>
    memory.aliases.learn(1, 1, 0, Math.min(bytes.length, memory.aliases.topicBytesMax + 1)),
  'a window too wide': ({ memory }) => memory.deliveries.queues[QUEUE_CELLS + WINDOW] = 3,
  'an expiry that is not counted': ({ memory }) => memory.queued.expiringCount--,
  'a retained one that is not counted': ({ memory }) => memory.kept.expiringCount = 0,
  'a session that nobody ends': ({ memory }) => memory.sessions.dueMs = Infinity,
  'a session that has ended': ({ memory }) => memory.sessions.setExpiry(0, 0),
  'a will without delay': ({ memory: { sessions } }) => sessions.setWill(0, sessions.will(0)),
  'a delivery of a stranger': ({ memory: { deliveries, subscriptions } }) => {
    deliveries.rows[deliveries.head(1) + VIA] = subscriptions.cells.length;
  },
};

t.test('tables in order are let pass, those in disorder are noticed', (t) => {
  checkInvariants(busyBroker());
  for (const [what, corrupt] of Object.entries(CORRUPTIONS)) {
    const broker = busyBroker();
    corrupt(broker);
    t.throws(() => checkInvariants(broker), /invariant broken/, what);
  }
  checkInvariants(busyBroker5());
  for (const [what, corrupt] of Object.entries(CORRUPTIONS_5)) {
    const broker = busyBroker5();
    corrupt(broker);
    t.throws(() => checkInvariants(broker), /invariant broken/, what);
  }
  t.end();
});
