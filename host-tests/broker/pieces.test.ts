// Bytes as a network brings them: cut anywhere, or many packets at once; and one write for each
// link and turn. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import {
  concat, connect, disconnect, pingreq, puback, publish, pubrel, subscribe, unsubscribe,
} from '../support/packets.js';
import { connected, makeBroker, Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import { tablesInUse } from './steps.js';

/**
 * A conversation with packets of every size of header that 1,024 bytes allow, and what it is
 * answered with.
 */
const CONVERSATION = concat(
  connect({ clientId: 'talker', keepAlive: 60, userName: 'marie',
    will: { topic: 'w', payload: 'x'.repeat(150) } }),
  subscribe(1, ['a/#', 1], ['b', 0]), publish('a/b', 'short'), pingreq(), pingreq(),
  publish('b', 'y'.repeat(400)),
  publish('a/c', 'z'.repeat(200), { qos: 1, id: 7 }), puback(1),
  publish('c', '', { qos: 2, id: 8 }), pubrel(8),
  unsubscribe(2, 'b', 'nothing'), pingreq(), publish('b', 'unheard'), publish('a', 'last'),
  disconnect());
const ANSWERS = [
  'CONNACK new 0', 'SUBACK id1 1,0', 'PUBLISH q0 a/b short', 'PINGRESP', 'PINGRESP',
  `PUBLISH q0 b ${'y'.repeat(400)}`,
  'PUBACK id7', `PUBLISH q1 id1 a/c ${'z'.repeat(200)}`, 'PUBREC id8', 'PUBCOMP id8',
  'UNSUBACK id2', 'PINGRESP',
  'PUBLISH q0 a last',
];

for (const pieceBytes of [1, 2, 3, 5, 64, 511, Infinity]) {
  t.test(`4.2: a conversation in pieces of ${pieceBytes} bytes is answered as in one`, (t) => {
    const broker = makeBroker();
    const peer = new Peer(broker);
    t.same(peer.send(CONVERSATION, pieceBytes), ANSWERS);
    t.ok(peer.link.closed);
    t.equal(broker.counters[count.BYTES_RECEIVED], CONVERSATION.length);
    t.equal(broker.counters[count.MESSAGES_RECEIVED], 15);
    t.equal(broker.counters[count.MESSAGES_SENT], ANSWERS.length);
    t.same(tablesInUse(broker), []);
    checkInvariants(broker);
    t.end();
  });
}

t.test('4.2: a conversation cut once, at every place', (t) => {
  const bytes = concat(connect({ clientId: 'a' }), subscribe(1, ['a', 0]), publish('a', 'x'),
    pingreq(),
    publish('a', 'y'.repeat(130)), pingreq());
  const wanted = ['CONNACK new 0', 'SUBACK id1 0', 'PUBLISH q0 a x', 'PINGRESP',
    `PUBLISH q0 a ${'y'.repeat(130)}`,
    'PINGRESP'].join();
  let differing = '';
  for (let cut = 1; cut < bytes.length; cut++) {
    const broker = makeBroker({ clientsMax: 1, connectionsMax: 1, sessionsMax: 1 });
    const peer = new Peer(broker);
    const found = [...peer.send(bytes.slice(0, cut)), ...peer.send(bytes.slice(cut))].join();
    if (found !== wanted) differing += `${cut}: ${found}\n`;
  }
  t.equal(differing, '');
  t.end();
});

t.test('4.2: a packet is answered with its last byte, not later and not earlier', (t) => {
  const broker = makeBroker();
  const peer = connected(broker, { clientId: 'a' });
  const bytes = publish('a', 'x'.repeat(140), { qos: 1, id: 3 });
  for (let at = 0; at < bytes.length - 1; at++) {
    if (peer.send(bytes.slice(at, at + 1)).length > 0) t.fail(`answered after ${at + 1} bytes`);
  }
  t.same(peer.send(bytes.slice(-1)), ['PUBACK id3']);
  t.same(peer.send(concat(pingreq(), bytes.slice(0, 50))), ['PINGRESP']);
  t.same(peer.send(concat(bytes.slice(50), pingreq(), pingreq().slice(0, 1))),
    ['PUBACK id3', 'PINGRESP']);
  t.same(peer.send(pingreq().slice(1)), ['PINGRESP']);
  checkInvariants(broker);
  t.end();
});

t.test('4.2: a packet of packetBytesMax in many windows, and the next one behind it', (t) => {
  for (const inboxBytes of [1024, 1500]) {
    const broker = makeBroker({ packetBytesMax: 1024, windowBytes: 100, inboxBytes });
    const peer = connected(broker, { clientId: 'a' });
    const whole = publish('a', 'x'.repeat(1016), { qos: 1, id: 9 });
    t.equal(whole.length, 1024);
    t.same(peer.send(concat(whole, pingreq(), whole, pingreq())),
      ['PUBACK id9', 'PINGRESP', 'PUBACK id9', 'PINGRESP']);
    t.same(peer.send(concat(whole, whole), 7), ['PUBACK id9', 'PUBACK id9']);
    checkInvariants(broker);
  }
  t.end();
});

t.test('4.2: what two peers send by turns in pieces does not mix', (t) => {
  const broker = makeBroker();
  const peers = ['a', 'b'].map((clientId) => connected(broker, { clientId }));
  for (const [i, peer] of peers.entries()) peer.send(subscribe(1, [`own/${i}`, 0]));
  const streams = peers.map((_, i) => concat(publish(`own/${i}`, `${i}`.repeat(90)),
    publish(`own/${i}`, `end${i}`)));
  const received: string[][] = [[], []];
  for (let at = 0; at < streams[0]!.length; at += 7) {
    peers.forEach((peer, i) => received[i]!.push(...peer.send(streams[i]!.slice(at, at + 7))));
  }
  t.same(received, [0, 1].map((i) => [`PUBLISH q0 own/${i} ${`${i}`.repeat(90)}`,
    `PUBLISH q0 own/${i} end${i}`]));
  checkInvariants(broker);
  t.end();
});

t.test('4.2: all that a turn has for a link goes out in one write', (t) => {
  const broker = makeBroker();
  const publisher = connected(broker, { clientId: 'publisher' });
  const subscriber = connected(broker, { clientId: 'subscriber' });
  const bystander = connected(broker, { clientId: 'bystander' });
  subscriber.send(subscribe(1, ['#', 1]));
  const before = [publisher, subscriber, bystander].map((peer) => peer.link.writes);
  publisher.send(concat(publish('a', '1'), publish('b', '2', { qos: 1, id: 1 }), pingreq(),
    publish('c', '3', { qos: 1, id: 2 }), publish('d', '4')));
  const after = [publisher, subscriber, bystander].map((peer) => peer.link.writes);
  t.same(after.map((writes, i) => writes - before[i]!), [1, 1, 0]);
  t.equal(subscriber.received().length, 4);
  t.notOk(broker.dirty, 'nothing is left for another flush');
  broker.flush();
  t.equal(subscriber.link.writes, after[1]);
  t.end();
});

t.test('[MQTT-3.14.4-2] bytes behind DISCONNECT, or behind what closes, are not looked at', (t) => {
  const broker = makeBroker();
  const witness = connected(broker, { clientId: 'witness' });
  witness.send(subscribe(1, ['#', 0]));
  for (const pieceBytes of [1, Infinity]) {
    for (const last of [disconnect(), publish('a/+', 'x')]) {
      const peer = connected(broker, { clientId: 'a' });
      peer.send(concat(publish('before', 'x'), last, publish('after', 'x'),
        publish('cut', 'x').slice(0, 4)), pieceBytes);
      t.ok(peer.link.closed);
      t.same(witness.received(), ['PUBLISH q0 before x']);
    }
  }
  t.equal(broker.counters[count.ERRORS_TOPIC], 2);
  checkInvariants(broker);
  t.end();
});
