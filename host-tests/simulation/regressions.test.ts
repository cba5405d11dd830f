// Faults that simulation and fuzz have found, each as its smallest case. Deterministic: also runs
// in XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { connect, puback, publish, pubrel, subscribe, subscribe5 } from '../support/packets.js';
import { connected, makeBroker, Peer } from '../support/peer.js';

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

t.test('a publisher that is told that its message is not taken may send it again: nobody has it then', (t) => {
  const broker = makeBroker({ topicLevelsMax: 3 });
  const subscriber = connected(broker, { clientId: 's' });
  subscriber.send(subscribe(1, ['#', 2]));
  const deep = 'a/b/c/d'; // too deep to be retained
  const publisher = connected(broker, { clientId: 'p', level: 5 });
  for (const duplicate of [false, true]) {
    t.same(publisher.send(publish(deep, 'x', { qos: 2, id: 1, retain: true, duplicate, properties: {} })),
      ['PUBREC id1 0x97']);
    t.same(subscriber.received(), [], 'delivered, it would come twice');
  }
  t.same(publisher.send(publish(deep, 'x', { qos: 2, id: 1, properties: {} })), ['PUBREC id1'], 'not to be retained');
  t.same(subscriber.received(), ['PUBLISH q2 id1 a/b/c/d x']);
  const older = connected(broker, { clientId: 'o' });
  t.same(older.send(publish(deep, 'y', { qos: 2, id: 1, retain: true })), ['PUBREC id1'], '3.1.1 cannot be told');
  t.same(subscriber.received(), ['PUBLISH q2 id2 a/b/c/d y']);
  t.same(older.send(pubrel(1)), ['PUBCOMP id1']);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.3.1-9] RETAIN as published is for 5.0: a session that 3.1.1 resumes gets RETAIN 0, at any QoS', (t) => {
  const broker = makeBroker();
  const publisher = connected(broker, { clientId: 'p' });
  const before = connected(broker, { clientId: 's', level: 5, properties: { sessionExpiry: 0xffffffff } });
  before.send(subscribe5(1, {}, ['a', 9], ['b', 8]));
  publisher.send(publish('a', 'x', { qos: 1, id: 1, retain: true }));
  t.same(before.received(), ['PUBLISH q1 id1 retain a x']);
  before.drop();
  const after = connected(broker, { clientId: 's', clean: false });
  t.same(after.received(), [], 'what was sent again came with CONNACK');
  publisher.send(publish('a', 'y', { qos: 1, id: 2, retain: true }));
  publisher.send(publish('b', 'z', { retain: true }));
  t.same(after.received(), ['PUBLISH q1 id2 a y', 'PUBLISH q0 b z']);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.3.4-3] retained messages that 3.1.1 had come again in 5.0 each with its own identifier', (t) => {
  const broker = makeBroker();
  const publisher = connected(broker, { clientId: 'p' });
  publisher.send(publish('a', 'kept', { qos: 1, id: 1, retain: true }));
  const properties = { sessionExpiry: 0xffffffff };
  const before = connected(broker, { clientId: 's', level: 5, properties: { ...properties, receiveMaximum: 1 } });
  before.send(subscribe5(1, {}, ['b', 1]));
  publisher.send(publish('b', 'x', { qos: 1, id: 2 }));
  t.same(before.received(), ['PUBLISH q1 id1 b x'], 'the one message in flight');
  before.send(subscribe5(2, { subscription: 300 }, ['a', 1]));
  before.send(subscribe5(3, {}, ['#', 1]));
  before.drop();
  const older = new Peer(broker);
  t.same(older.send(connect({ clientId: 's', clean: false })), ['CONNACK present 0', 'PUBLISH q1 id1 dup b x',
    'PUBLISH q1 id2 retain a kept', 'PUBLISH q1 id3 retain a kept']);
  older.drop();
  const after = new Peer(broker);
  t.same(after.send(connect({ clientId: 's', clean: false, level: 5, properties })).slice(1), ['PUBLISH q1 id1 dup b x',
    'PUBLISH q1 id2 dup retain a kept {subscription 300}', 'PUBLISH q1 id3 dup retain a kept']);
  checkInvariants(broker);
  t.end();
});
