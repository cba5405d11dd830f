// The watchman watched: a table put into disorder on purpose must be noticed by checkInvariants.
// Deterministic; also runs in XS.

import t from 'tap';
import type { Broker } from '../../src/broker/broker.js';
import { CLIENTS_CONNECTED } from '../../src/broker/counters.js';
import { NODE } from '../../src/broker/subscriptions.js';
import { FIRST_CHILD, PLUS_CHILD, ROOT, VALUE } from '../../src/broker/topic-tree.js';
import { PUBLISHED } from '../../src/session/deliveries.js';
import { NONE } from '../../src/wire/codes.js';
import { checkInvariants } from '../support/invariants.js';
import { publish, subscribe } from '../support/packets.js';
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
    queued.release(deliveries.message[deliveries.head[1]!]!),
  'a chain of blocks that goes round': ({ memory: { deliveries, queued } }) => {
    const first = deliveries.message[deliveries.head[1]!]!;
    queued.blocks.next[first] = first;
  },
  'a row in flight that is not counted': ({ memory }) => memory.deliveries.inflight[1]!--,
  'an identifier twice': ({ memory: { deliveries } }) =>
    deliveries.packetId[deliveries.next[deliveries.head[1]!]!] = deliveries.packetId[deliveries.head[1]!]!,
  'a row in flight behind one that waits': ({ memory: { deliveries } }) => {
    deliveries.state[deliveries.head[1]!] = 0;
    deliveries.state[deliveries.tail[1]!] = PUBLISHED;
  },
  'a cursor that skips what waits': ({ memory }) => memory.deliveries.cursor[1] = NONE,
  'bytes of a queue': ({ memory }) => memory.deliveries.bytes[1]!++,
  'rows lost': ({ memory }) => memory.deliveries.freeRows--,
  'packet identifiers lost': ({ memory }) => memory.packetIds.counts[0]!++,
  'a replay of nothing': ({ memory }) => memory.replays.cursor[1] = 0,
  'a pause without reason': ({ memory }) => memory.connections[0]!.paused = true,
};

t.test('tables in order are let pass, those in disorder are noticed', (t) => {
  checkInvariants(busyBroker());
  for (const [what, corrupt] of Object.entries(CORRUPTIONS)) {
    const broker = busyBroker();
    corrupt(broker);
    t.throws(() => checkInvariants(broker), /invariant broken/, what);
  }
  t.end();
});
