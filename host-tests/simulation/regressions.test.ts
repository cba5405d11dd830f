// Faults that simulation and fuzz have found, each as its smallest case. Deterministic: also runs
// in XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { puback, publish, subscribe } from '../support/packets.js';
import { connected, makeBroker } from '../support/peer.js';

t.test('a flush survives that every slot has more to send when its link drains within the turn', (t) => {
  const broker = makeBroker({
    clientsMax: 4, connectionsMax: 4, packetBytesMax: 256, outboxBytes: 256, inboxBytes: 512,
  });
  const peers = [0, 1, 2, 3].map((i) => connected(broker, { clientId: `client-${i}` }));
  for (let i = 0; i < 8; i++) peers[0]!.send(publish(`retained/${i}`, 'x'.repeat(100), { retain: true }));
  for (const peer of peers) peer.link.capacity = 300;
  for (const peer of peers) {
    const bytes = subscribe(1, ['#', 0]);
    broker.bytes.set(bytes, broker.windowStart);
    broker.received(peer.slot, bytes.length);
  }
  for (const peer of peers) peer.link.drain();
  broker.flush();
  checkInvariants(broker);
  for (const peer of peers) {
    const packets = peer.received();
    for (let turn = 0; turn < 8; turn++) packets.push(...peer.resume());
    t.equal(packets.filter((packet) => packet.startsWith('PUBLISH q0 retain')).length, 8);
  }
  checkInvariants(broker);
  t.end();
});

t.test('a retained message that goes leaves no replay on it, though two filters of a session wait for it', (t) => {
  const broker = makeBroker({ inflightMax: 1 });
  const publisher = connected(broker, { clientId: 'publisher' });
  publisher.send(publish('a', 'kept', { qos: 1, id: 1, retain: true }));
  publisher.send(publish('b', 'kept', { qos: 1, id: 2, retain: true }));
  const subscriber = connected(broker, { clientId: 'subscriber' });
  subscriber.send(subscribe(1, ['b', 1])); // the one message in flight
  subscriber.send(subscribe(2, ['a', 1], ['+', 1]));
  publisher.send(publish('a', '', { retain: true }));
  checkInvariants(broker);
  t.same(subscriber.received(), ['PUBLISH q0 a '], 'the clearing message itself, live');
  t.same(subscriber.send(puback(1)), ['PUBLISH q1 id2 retain b kept'], 'and of the two retained ones what is left');
  t.end();
});
