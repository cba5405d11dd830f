// Statements on messages that 3.1.1 and 5.0 share, through the broker's core. Runs on Node and on XS.
import t from 'tap';
import type { Broker } from '../../src/broker/broker.js';
import { checkInvariants } from '../support/invariants.js';
import { concat, connect, puback, pubcomp, pubrec, pubrel } from '../support/packets.js';
import { connected, makeBroker, Peer } from '../support/peer.js';
import { bare, DIALECTS, type Dialect } from './dialects.js';

const MANY = { inflightMax: 10, receiveMax: 10 };

/** A connected client with a session that lasts, subscribed to everything at QoS 2. */
function subscriber(broker: Broker, d: Dialect, clientId = 'subscriber'): Peer {
  const peer = connected(broker, d.lasting(clientId));
  peer.send(d.subscribe(1, ['#', 2]));
  return peer;
}

/** The same client on a new connection: what it is sent after CONNACK. */
function back(broker: Broker, d: Dialect, clientId = 'subscriber'): { peer: Peer; sent: string[] } {
  const peer = new Peer(broker);
  const [connack, ...sent] = peer.send(connect(d.lasting(clientId)));
  if (!connack?.startsWith('CONNACK present 0')) throw new Error(`not resumed: ${connack}`);
  return { peer, sent };
}

t.test('[MQTT-2.3.1-6], [MQTT-3.3.4-1], 5.0 [MQTT-2.2.1-5], [MQTT-3.3.4-1], [MQTT-4.3.2-4], [MQTT-4.3.3-8], ' +
  '5.0 [MQTT-4.3.3-11]: ' +
  'the answer fits the QoS and repeats the identifier', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const other = subscriber(broker, d, 'other');
    const peer = connected(broker, d.passing('a'));
    t.same(peer.send(d.publish('a', '0')), [], `${d.name}: none at QoS 0`);
    t.same(peer.send(d.publish('a', '1', { qos: 1, id: 258 })), ['PUBACK id258'], 'PUBACK');
    t.same(peer.send(d.publish('a', '2', { qos: 2, id: 513 })), ['PUBREC id513'], 'PUBREC');
    t.same(peer.send(pubrel(513)), ['PUBCOMP id513'], 'PUBCOMP');
    t.equal(other.received().length, 3, 'accepted');
  }
  t.end();
});

t.test('[MQTT-3.3.2-3], [MQTT-4.5.0-1], 5.0 [MQTT-3.3.2-3], [MQTT-4.5.0-1]: ' +
  'to each whose filter matches, and to no other', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker({ clientsMax: 12, connectionsMax: 12, sessionsMax: 12 });
    const filters = ['a/b', 'a/+', 'a/#', '+/b', '#', 'a', 'a/b/c', 'b/+', 'A/b'];
    const peers = filters.map((filter, i) => {
      const peer = connected(broker, i % 2 === 0 ? d.lasting(`c${i}`) : d.passing(`c${i}`));
      peer.send(d.subscribe(1, [filter, 1]));
      return peer;
    });
    connected(broker, d.passing('p')).send(d.publish('a/b', 'x', { qos: 1, id: 3 }));
    t.same(peers.map((peer) => peer.received().join()).map((heard) => heard === 'PUBLISH q1 id1 a/b x' ? 1 : heard),
      [1, 1, 1, 1, 1, '', '', '', ''], d.name);
  }
  t.end();
});

t.test('[MQTT-4.3.1-1], 5.0 [MQTT-4.3.1-1], [MQTT-2.2.1-2], [MQTT-3.3.1-3]: ' +
  'QoS 0 goes out once, without DUP or identifier', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const peer = connected(broker, d.lasting('s'));
    peer.send(d.subscribe(1, ['#', 0]));
    const publisher = connected(broker, d.passing('p'));
    publisher.send(d.publish('a', 'x', { qos: 1, id: 3, duplicate: true }));
    t.same(peer.received(), ['PUBLISH q0 a x'], `${d.name}: DUP came in`);
    peer.drop();
    publisher.send(d.publish('a', 'y'));
    t.same(back(broker, d, 's').sent, [], 'and never again');
  }
  t.end();
});

t.test('[MQTT-4.3.2-1], 5.0 [MQTT-4.3.2-1], [MQTT-4.3.2-2], [MQTT-4.3.2-3], [MQTT-2.2.1-4], [MQTT-4.4.0-1]: ' +
  'QoS 1 out', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker(MANY);
    const first = subscriber(broker, d);
    const publisher = connected(broker, d.passing('p'));
    for (let i = 1; i <= 3; i++) publisher.send(d.publish('a', `${i}`, { qos: 1, id: 7 }));
    t.same(first.received(), ['PUBLISH q1 id1 a 1', 'PUBLISH q1 id2 a 2', 'PUBLISH q1 id3 a 3'],
      `${d.name}: new identifiers`);
    first.send(puback(2));
    t.same(first.resume(), [], 'nothing is sent again on the same connection');
    first.drop();
    const { peer, sent } = back(broker, d);
    t.same(sent, ['PUBLISH q1 id1 dup a 1', 'PUBLISH q1 id3 dup a 3'], 'again, with DUP, what was not acknowledged');
    peer.send(concat(puback(1), puback(3)));
    peer.drop();
    t.same(back(broker, d).sent, [], 'and then no more');
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-4.3.2-5]: after PUBACK the same identifier brings a new message, DUP or not', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const other = subscriber(broker, d, 'other');
    const peer = connected(broker, d.passing('a'));
    for (const duplicate of [false, false, true]) {
      t.same(peer.send(d.publish('a', 'x', { qos: 1, id: 4, duplicate })), ['PUBACK id4'], d.name);
      t.equal(other.received().length, 1, 'delivered');
    }
  }
  t.end();
});

t.test('5.0 [MQTT-4.3.3-1], [MQTT-4.3.3-2], [MQTT-4.3.3-3], [MQTT-4.3.3-4], [MQTT-4.3.3-5], [MQTT-4.3.3-6]: ' +
  'QoS 2 out', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker(MANY);
    const first = subscriber(broker, d);
    const publisher = connected(broker, d.passing('p'));
    for (const id of [1, 2]) publisher.send(concat(d.publish('a', `${id}`, { qos: 2, id }), pubrel(id)));
    t.same(first.received(), ['PUBLISH q2 id1 a 1', 'PUBLISH q2 id2 a 2'], `${d.name}: without DUP`);
    t.same(first.send(pubrec(1)), ['PUBREL id1'], 'PUBREC gets PUBREL');
    first.drop();
    const second = back(broker, d);
    t.same(second.sent, ['PUBREL id1', 'PUBLISH q2 id2 dup a 2'], 'PUBREL again, and its PUBLISH no more');
    t.same(second.peer.send(concat(pubcomp(1), pubrec(2))), ['PUBREL id2']);
    second.peer.send(pubcomp(2));
    second.peer.drop();
    t.same(back(broker, d).sent, [], 'PUBCOMP ends it');
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-4.3.3-10], [MQTT-4.3.3-12]: ' +
  'QoS 2 in: no duplicate until PUBREL, a new message after PUBCOMP', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const other = subscriber(broker, d, 'other');
    const peer = connected(broker, d.passing('a'));
    const message = d.publish('a', 'x', { qos: 2, id: 6 });
    t.same(peer.send(message), ['PUBREC id6'], d.name);
    t.equal(other.received().length, 1, 'delivered');
    t.same(peer.send(concat(message, message)), ['PUBREC id6', 'PUBREC id6'], 'acknowledged again');
    t.same(other.received(), [], 'and not delivered');
    t.same(peer.send(concat(pubrel(6), message)), ['PUBCOMP id6', 'PUBREC id6']);
    t.equal(other.received().length, 1, 'a new one');
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-4.3.3-9]: after a PUBREC that refuses, the same identifier brings a new message', (t) => {
  const broker = makeBroker();
  const [, d] = DIALECTS as [Dialect, Dialect];
  const other = subscriber(broker, d, 'other');
  const peer = connected(broker, d.passing('a'));
  t.same(bare(peer.send(d.publish('$SYS/x', 'x', { qos: 2, id: 6 }))), ['PUBREC id6 0x87'], 'refused');
  t.same(bare(peer.send(d.publish('a', 'y', { qos: 2, id: 6 }))), ['PUBREC id6'], 'taken');
  t.same(other.received(), ['PUBLISH q2 id1 a y']);
  t.same(peer.send(pubrel(6)), ['PUBCOMP id6']);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-4.4.0-2]: what the client refused is not sent again', (t) => {
  const broker = makeBroker(MANY);
  const [, d] = DIALECTS as [Dialect, Dialect];
  const first = subscriber(broker, d);
  const publisher = connected(broker, d.passing('p'));
  publisher.send(concat(d.publish('a', '1', { qos: 1, id: 1 }), d.publish('a', '2', { qos: 2, id: 2 }), pubrel(2)));
  t.same(first.received(), ['PUBLISH q1 id1 a 1', 'PUBLISH q2 id2 a 2']);
  t.same(first.send(concat(puback(1, 0x80), pubrec(2, 0x97))), [], 'no PUBREL for a PUBREC that refuses');
  first.drop();
  t.same(back(broker, d).sent, []);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-4.6.0-1], [MQTT-4.6.0-5], 5.0 [MQTT-4.6.0-5], [MQTT-4.6.0-6]: ' +
  'every topic in its order, also when sent again', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker(MANY);
    const first = subscriber(broker, d);
    const publisher = connected(broker, d.passing('p'));
    const topics = ['a', 'b/c', 'a', 'd', 'b/c', 'a'];
    topics.forEach((topic, i) => publisher.send(d.publish(topic, `${i}`, { qos: 1 + i % 2, id: 1 + i })));
    const wanted = topics.map((topic, i) => `${topic} ${i}`);
    const order = (packets: readonly string[]): string[] =>
      packets.map((packet) => packet.replace(/^.* (\S+ \d)$/, '$1'));
    t.same(order(first.received()), wanted, d.name);
    first.drop();
    t.same(order(back(broker, d).sent), wanted, 'again');
  }
  t.end();
});

t.test('[MQTT-4.6.0-2], [MQTT-4.6.0-3], [MQTT-4.6.0-4]: answers in the order of what they answer', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker(MANY);
    const first = subscriber(broker, d);
    const publisher = connected(broker, d.passing('p'));
    const ids = [5, 3, 9, 1];
    for (const [qos, name] of [[1, 'PUBACK'], [2, 'PUBREC']] as const) {
      const answers = publisher.send(concat(...ids.map((id) => d.publish('a', 'x', { qos, id }))));
      t.same(answers, ids.map((id) => `${name} id${id}`), `${d.name}: ${name}`);
    }
    first.received();
    const received = [7, 5, 8, 6];
    t.same(first.send(concat(...received.map((id) => pubrec(id)))), received.map((id) => `PUBREL id${id}`), 'PUBREL');
  }
  t.end();
});

t.test('[MQTT-3.3.5-2]: in 3.1.1 a PUBLISH that may not be is acknowledged all the same, and goes nowhere', (t) => {
  const broker = makeBroker();
  const [d] = DIALECTS as [Dialect, Dialect];
  const other = connected(broker, d.passing('other'));
  other.send(d.subscribe(1, ['$SYS/#', 0]));
  const peer = connected(broker, d.passing('a'));
  t.same(peer.send(d.publish('$SYS/x', 'x', { qos: 1, id: 4 })), ['PUBACK id4']);
  t.same(peer.send(d.publish('$SYS/x', 'x', { qos: 2, id: 5 })), ['PUBREC id5']);
  t.same(other.received(), []);
  t.end();
});

t.test('5.0 [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-7], [MQTT-3.3.1-8]: ' +
  'what is retained, replaced and cleared', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const other = subscriber(broker, d, 'other');
    const peer = connected(broker, d.passing('a'));
    const retained = (): string[] => {
      const late = connected(broker, d.passing('late'));
      const answers = late.send(d.subscribe(1, ['a', 2])).slice(1);
      late.drop();
      return answers;
    };
    peer.send(d.publish('a', '1', { qos: 1, id: 1, retain: true }));
    t.same(retained(), ['PUBLISH q1 id1 retain a 1'], `${d.name}: kept, with its QoS`);
    peer.send(d.publish('a', '2', { retain: true }));
    t.same(retained(), ['PUBLISH q0 retain a 2'], 'replaced');
    peer.send(concat(d.publish('a', '3'), d.publish('a', '')));
    t.same(retained(), ['PUBLISH q0 retain a 2'], 'not touched without RETAIN');
    other.received();
    peer.send(d.publish('a', '', { retain: true }));
    t.same(other.received(), ['PUBLISH q0 a '], 'an empty one is passed on');
    t.same(retained(), [], 'and clears');
    checkInvariants(broker);
  }
  t.end();
});
