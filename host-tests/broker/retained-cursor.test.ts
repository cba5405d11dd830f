// The cursor of a replay: retained messages that come, change and go while a new subscriber takes its own slowly.
// Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { disconnect, puback, publish, subscribe, unsubscribe } from '../support/packets.js';
import { connected, makeBroker, type Peer } from '../support/peer.js';
import type { Broker } from '../../src/broker/broker.js';

const RETAIN = { retain: true };

/** A broker that has one message in flight at a time, and a publisher that retains the topics with QoS 1. */
function withRetained(...topics: string[]): { broker: Broker; publisher: Peer } {
  const broker = makeBroker({ inflightMax: 1 });
  const publisher = connected(broker, { clientId: 'publisher' });
  for (const topic of topics) publisher.send(publish(topic, `${topic}-1`, { retain: true, qos: 1 }));
  return { broker, publisher };
}

/** Acknowledges what comes until nothing more comes; topics and payloads in their order. */
function takeAll(peer: Peer, first: string[]): string[] {
  const taken: string[] = [];
  let packets = first;
  while (packets.length > 0) {
    const packet = packets.shift()!;
    const id = /^PUBLISH q1 id(\d+) (.*)$/.exec(packet);
    if (id === null) continue;
    taken.push(id[2]!);
    packets.push(...peer.send(puback(Number(id[1]))));
  }
  return taken;
}

t.test('the message at the cursor is cleared: the replay goes on with the next', (t) => {
  const { broker, publisher } = withRetained('a', 'b', 'c');
  const subscriber = connected(broker, { clientId: 'subscriber' });
  const first = subscriber.send(subscribe(1, ['+', 1]));
  publisher.send(publish('b', '', RETAIN));
  checkInvariants(broker);
  const taken = takeAll(subscriber, first);
  t.same(taken, ['retain a a-1', 'b ', 'retain c c-1'].filter((text) => text !== 'b '));
  checkInvariants(broker);
  t.end();
});

t.test('the message at the cursor is cleared and a second filter waits for it too: it is not delivered', (t) => {
  const { broker, publisher } = withRetained('first', 'a', 'b');
  const subscriber = connected(broker, { clientId: 'subscriber' });
  const first = subscriber.send(subscribe(1, ['first', 1], ['a', 1], ['a/#', 1], ['b', 1]));
  publisher.send(publish('a', '', RETAIN));
  checkInvariants(broker);
  t.same(takeAll(subscriber, first), ['retain first first-1', 'retain b b-1']);
  checkInvariants(broker);
  t.end();
});
void [disconnect, unsubscribe];
