// Statements on connections and sessions that 3.1.1 and 5.0 share, through the broker's core. Runs on Node and on XS.
import t from 'tap';
import type { Broker } from '../../src/broker/broker.js';
import { checkInvariants } from '../support/invariants.js';
import { concat, connect, pingreq, publish, pubrel, subscribe } from '../support/packets.js';
import { connected, makeBroker, pass, Peer } from '../support/peer.js';
import { bare, DIALECTS } from './dialects.js';

/** A client of 3.1.1 that hears everything. */
function listener(broker: Broker): Peer {
  const peer = connected(broker, { clientId: 'listener' });
  peer.send(subscribe(1, ['#', 0]));
  return peer;
}

t.test('[MQTT-3.1.2-7]: a retained message outlives the session of its publisher, in 5.0 as well', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const publisher = connected(broker, d.passing('a'));
    publisher.send(concat(d.publish('a', 'kept', { retain: true }), d.disconnect()));
    t.ok(publisher.link.closed, 'its session is over');
    t.same(connected(broker, d.passing('b')).send(d.subscribe(1, ['a', 0])),
      ['SUBACK id1 0', 'PUBLISH q0 retain a kept'], d.name);
    checkInvariants(broker);
  }
  t.end();
});

t.test('[MQTT-3.1.2-12]: without a will nothing is published when the link is lost, in 5.0 as well', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const other = listener(broker);
    connected(broker, d.passing('a')).drop();
    t.same(other.received(), [], d.name);
  }
  t.end();
});

t.test('5.0 [MQTT-3.1.2-7], [MQTT-3.1.2-8], [MQTT-3.1.2-10], [MQTT-3.14.4-3]: ' +
  'a will is kept, published, or dismissed', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const other = listener(broker);
    const will = { topic: 'will', payload: 'gone', qos: 1 };
    const lost = connected(broker, { ...d.passing('a'), will });
    t.same(other.received(), [], 'not while it is connected');
    lost.drop();
    t.same(other.received(), ['PUBLISH q0 will gone'], `${d.name}: a lost link`);
    connected(broker, { ...d.passing('a'), will }).send(d.disconnect());
    t.same(other.received(), [], `${d.name}: DISCONNECT`);
    connected(broker, d.passing('a')).drop();
    t.same(other.received(), [], `${d.name}: not again for the next connection`);
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-3.1.2-14], [MQTT-3.1.2-15]: a will is retained if it says so, and not if it does not', (t) => {
  for (const d of DIALECTS) {
    for (const retain of [false, true]) {
      const broker = makeBroker();
      connected(broker, { ...d.passing('a'), will: { topic: 'will', payload: 'gone', retain } }).drop();
      const answers = connected(broker, d.passing('b')).send(d.subscribe(1, ['will', 0]));
      t.same(answers.slice(1), retain ? ['PUBLISH q0 retain will gone'] : [], `${d.name}, retain ${retain}`);
    }
  }
  t.end();
});

t.test('[MQTT-3.1.3-2], 5.0 [MQTT-3.1.3-2], [MQTT-3.1.2-5], [MQTT-3.1.2-6]: ' +
  'a session goes by its client identifier', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    for (const [clientId, filter] of [['one', 'a'], ['One', 'b'], ['on', 'c']] as const) {
      const peer = new Peer(broker);
      t.same(bare(peer.send(connect(d.lasting(clientId)))), ['CONNACK new 0'], `${d.name}: ${clientId} begins`);
      peer.send(d.subscribe(1, [filter, 1]));
      peer.drop();
    }
    const publisher = connected(broker, d.passing('publisher'));
    for (const topic of ['a', 'b', 'c']) publisher.send(d.publish(topic, topic, { qos: 1, id: 7 }));
    for (const [clientId, topic] of [['One', 'b'], ['on', 'c'], ['one', 'a']] as const) {
      t.same(bare(new Peer(broker).send(connect(d.lasting(clientId)))),
        ['CONNACK present 0', `PUBLISH q1 id1 ${topic} ${topic}`], `${d.name}: ${clientId} goes on`);
    }
    checkInvariants(broker);
  }
  t.end();
});

t.test('[MQTT-3.1.3-5], 5.0 [MQTT-3.1.3-5]: client identifiers of 1 to 23 letters and digits', (t) => {
  const all = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
  for (const d of DIALECTS) {
    const broker = makeBroker();
    for (const clientId of [all.slice(0, 23), all.slice(23, 46), all.slice(39), '0', 'Z']) {
      const peer = new Peer(broker);
      t.same(bare(peer.send(connect(d.passing(clientId)))), ['CONNACK new 0'], `${d.name}: ${clientId}`);
      peer.drop();
    }
  }
  t.end();
});

t.test('[MQTT-3.1.3-9], 5.0 [MQTT-3.1.3-8]: ' +
  'a client identifier that is too long is refused, and the link closed', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker({ clientIdBytesMax: 32 });
    const peer = new Peer(broker);
    const answers = bare(peer.send(connect(d.passing('x'.repeat(33)))));
    t.same(answers, [`CONNACK new ${d.level === 5 ? 0x85 : 2}`], d.name);
    t.ok(peer.link.closed, 'closed');
  }
  t.end();
});

t.test('[MQTT-3.1.4-1], [MQTT-3.2.2-6]: ' +
  'in 3.1.1 a CONNECT that is wrong has no return code: closed without CONNACK', (t) => {
  const broker = makeBroker();
  const good = connect({ clientId: 'a', will: { topic: 'w', payload: '' } });
  const wrong = [connect({ clientId: 'a', will: { topic: '#', payload: '' } }),
    connect({ clientId: Uint8Array.of(0xff) }), good.map((byte, at) => at === 9 ? byte | 1 : byte),
    good.map((byte, at) => at === 9 ? byte | 0x18 : byte)];
  for (const bytes of wrong) {
    const peer = new Peer(broker);
    t.same(peer.send(bytes), []);
    t.ok(peer.link.closed);
  }
  t.same(new Peer(broker).send(good), ['CONNACK new 0'], 'what was made wrong is right');
  t.end();
});

t.test('[MQTT-3.1.4-3], [MQTT-3.1.4-4], 5.0 [MQTT-3.1.2-4], [MQTT-3.1.4-4], [MQTT-3.1.4-5], [MQTT-3.2.2-2]: ' +
  'a clean start', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const before = connected(broker, d.lasting('a'));
    before.send(d.subscribe(1, ['a', 1]));
    before.drop();
    connected(broker, d.passing('publisher')).send(d.publish('a', 'waits', { qos: 1 }));
    const peer = new Peer(broker);
    t.same(bare(peer.send(connect({ ...d.lasting('a'), clean: true }))), ['CONNACK new 0'],
      `${d.name}: accepted, no session, no message`);
    connected(broker, d.passing('publisher')).send(d.publish('a', 'x', { qos: 1 }));
    t.same(peer.received(), [], 'no subscription');
    checkInvariants(broker);
  }
  t.end();
});

t.test('[MQTT-3.1.4-5], 5.0 [MQTT-3.1.4-6]: what follows a CONNECT that was refused is not looked at', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker({ clientIdBytesMax: 23 });
    const other = listener(broker);
    const peer = new Peer(broker);
    const answers = peer.send(concat(connect(d.passing('too-long-for-this-broker')),
      d.publish('a', 'x', { retain: true }), pingreq()));
    t.ok(/^CONNACK new \d+$/.test(bare(answers).join()), `${d.name}: one answer`);
    t.same(other.received(), [], 'no message');
    t.same(connected(broker).send(subscribe(1, ['#', 0])), ['SUBACK id1 0'], 'none retained');
  }
  t.end();
});

t.test('5.0 [MQTT-3.1.0-2]: a second CONNECT ends the connection', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const peer = connected(broker, d.passing('a'));
    t.same(bare(peer.send(connect(d.passing('a')))), d.ended('0x82'), d.name);
    t.ok(peer.link.closed);
  }
  t.end();
});

t.test('5.0 [MQTT-3.2.0-1], [MQTT-3.2.0-2]: CONNACK comes first, and once', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const first = connected(broker, d.lasting('a'));
    first.send(d.subscribe(1, ['#', 1]));
    first.drop();
    const publisher = connected(broker, d.passing('b'));
    for (let id = 1; id < 4; id++) publisher.send(d.publish('a', `${id}`, { qos: 1, id }));
    const answers = new Peer(broker).send(concat(connect(d.lasting('a')), pingreq(), d.subscribe(2, ['x', 0])));
    t.equal(answers.findIndex((answer) => answer.startsWith('CONNACK')), 0, `${d.name}: before what waited`);
    t.equal(answers.filter((answer) => answer.startsWith('CONNACK')).length, 1, 'one');
    t.ok(answers.length > 5, 'and all the others');
  }
  t.end();
});

t.test('[MQTT-4.1.0-1], [MQTT-4.1.0-2], 5.0 [MQTT-4.1.0-1]: ' +
  'a session stays as long as its connection, however long', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const clock = { nowMs: 1000 };
    broker.tick(clock.nowMs);
    const peer = connected(broker, d.passing('a'));
    peer.send(concat(d.subscribe(1, ['a', 1]), d.publish('b', 'x', { qos: 2, id: 5 })));
    for (let day = 0; day < 40; day++) pass(broker, clock, 86_400_000);
    t.same(peer.send(d.publish('a', 'x')), ['PUBLISH q0 a x'], `${d.name}: its subscription`);
    t.same(peer.send(pubrel(5)), ['PUBCOMP id5'], 'and its exchange of QoS 2');
  }
  t.end();
});

t.test('[MQTT-4.8.0-1]: whatever breaks the protocol ends its own connection, and no other', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const other = listener(broker);
    for (const [bytes, code] of [[Uint8Array.of(0x60, 2, 0, 1), '0x81'],
      [d.publish('a', 'x', { qos: 1, id: 0 }), '0x82'], [d.subscribe(1, ['a#', 0]), '0x8f'],
      [Uint8Array.of(0, 0), '0x81']] as const) {
      const peer = connected(broker, d.passing('a'));
      t.same(bare(peer.send(bytes)), d.ended(code), d.name);
      t.ok(peer.link.closed, 'closed');
    }
    t.same(other.send(publish('here', 'x')), ['PUBLISH q0 here x']);
    checkInvariants(broker);
  }
  t.end();
});

t.test('[MQTT-4.8.0-2]: what the broker has no room for just then ends the connection it came on', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker({ receiveMax: 2 });
    const other = listener(broker);
    const peer = connected(broker, d.passing('a'));
    for (const id of [1, 2]) t.same(bare(peer.send(d.publish('a', 'x', { qos: 2, id }))).length, 1, `${d.name}: ${id}`);
    t.same(bare(peer.send(d.publish('a', 'x', { qos: 2, id: 3 }))), d.ended('0x93'), 'one too many');
    t.ok(peer.link.closed);
    t.equal(other.received().length, 2, 'two were taken');
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-3.12.4-1]: PINGREQ is answered', (t) => {
  for (const d of DIALECTS) {
    const peer = connected(makeBroker(), d.passing('a'));
    t.same(peer.send(concat(pingreq(), pingreq())), ['PINGRESP', 'PINGRESP'], d.name);
  }
  t.end();
});

t.test('5.0 [MQTT-3.1.2-22], [MQTT-3.2.2-22]: the keep alive of the client counts, one and a half times', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const clock = { nowMs: 1000 };
    broker.tick(clock.nowMs);
    const peer = connected(broker, { ...d.passing('a'), keepAlive: 10 });
    pass(broker, clock, 1);
    pass(broker, clock, 14_900);
    t.notOk(peer.link.closed, `${d.name}: not yet`);
    pass(broker, clock, 200);
    t.ok(peer.link.closed, 'closed');
    t.same(bare(peer.received()), d.ended('0x8d'), 'and told why');
  }
  t.end();
});

t.test('5.0 [MQTT-3.1.4-3], [MQTT-3.14.2-2]: the second connection of an identifier ends the first', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const old = connected(broker, d.lasting('a'));
    const peer = new Peer(broker);
    t.same(bare(peer.send(connect(d.lasting('a')))), ['CONNACK present 0'], d.name);
    const last = old.received();
    t.same(bare(last), d.ended('0x8e'), 'the old one is told why');
    t.notOk(/sessionExpiry/.test(last.join()), 'and nothing of an expiry');
    t.ok(old.link.closed && !peer.link.closed);
  }
  t.end();
});

t.test('[MQTT-7.1.1-1], 5.0 [MQTT-4.2.0-1]: ' +
  'of its transport the broker needs bytes in their order, in any pieces', (t) => {
  for (const d of DIALECTS) {
    const conversation = concat(connect(d.passing('a')), d.subscribe(1, ['#', 2]), d.publish('a/b', 'x'.repeat(200)),
      d.publish('a', 'y', { qos: 1, id: 9 }), d.publish('b', 'z', { qos: 2, id: 10 }), pubrel(10), pingreq());
    const whole = new Peer(makeBroker()).send(conversation);
    t.ok(whole.length >= 9, `${whole.length} answers`);
    for (const pieceBytes of [1, 2, 3, 7, 50]) {
      t.same(new Peer(makeBroker()).send(conversation, pieceBytes), whole, `${d.name}: pieces of ${pieceBytes}`);
    }
  }
  t.end();
});

t.test('5.0 [MQTT-3.1.3-7], [MQTT-3.2.2-16]: ' +
  'who brings no identifier is told a new one, under which it has a session', (t) => {
  const broker = makeBroker();
  const told = new Set<string>();
  for (let i = 0; i < 5; i++) {
    const answer = new Peer(broker).send(connect({ level: 5, clientId: '', properties: { sessionExpiry: 60 } }))[0]!;
    told.add(/assignedId ([^,}]+)/.exec(answer)?.[1] ?? 'none');
  }
  t.equal(told.size, 5, 'five different ones');
  t.notOk(told.has('none'), 'each told');
  const [clientId] = told;
  const again = new Peer(broker).send(connect({ level: 5, clientId: clientId!, clean: false }));
  t.ok(/^CONNACK present 0/.test(again[0]!), 'it can come back');
  t.end();
});

t.test('5.0 [MQTT-3.14.4-1]: nothing that follows a DISCONNECT counts, and nothing follows that of the broker', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const other = listener(broker);
    const peer = connected(broker, d.passing('a'));
    peer.send(d.subscribe(1, ['#', 0]));
    t.same(peer.send(concat(d.disconnect(), d.publish('a', 'late'), pingreq())), [], `${d.name}: that of the client`);
    t.ok(peer.link.closed);
    t.same(other.received(), []);
    const wrong = connected(broker, d.passing('a'));
    wrong.send(d.subscribe(1, ['#', 0]));
    t.same(bare(wrong.send(concat(Uint8Array.of(0, 0), d.publish('a', 'late'), pingreq()))), d.ended('0x81'));
    other.send(publish('b', 'x'));
    t.same(wrong.received(), [], 'that of the broker');
  }
  t.end();
});
