// CONNECT and CONNACK of MQTT 5.0: what is announced, what is refused and with which code. MQTT 5.0
// sections 3.1 and 3.2. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import {
  auth, concat, connect, disconnect, encodeProperties, fromHex, packet, pingreq, publish5, subscribe5,
  type ConnectFields,
} from '../support/packets.js';
import { connected, makeBroker, pass, Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import { attempt, tablesInUse } from './steps.js';

/** A CONNECT of level 5. */
function connect5(fields: ConnectFields = {}): Uint8Array {
  return connect({ clientId: 'a', level: 5, ...fields });
}

t.test('5.0 3.2.2.3: CONNACK announces what the limits say, and nothing that is as usual', (t) => {
  const { answers } = attempt(makeBroker({ topicAliasMax: 3 }), connect5());
  t.same(answers, ['CONNACK new 0 {packetMaximum 1024, receiveMaximum 4, aliasMaximum 3}']);
  const usual = attempt(makeBroker({ topicAliasMax: 0, receiveMax: 65535, clientsMax: 1, sessionsMax: 1 }), connect5());
  t.same(usual.answers, ['CONNACK new 0 {packetMaximum 1024}']);
  t.end();
});

t.test('5.0 [MQTT-3.2.2-3] session present; 5.0 [MQTT-3.2.2-2] not with clean start', (t) => {
  const broker = makeBroker();
  const kept = { properties: { sessionExpiry: 60 } };
  for (const [clean, present] of [[false, 'new'], [false, 'present'], [true, 'new'], [false, 'present']] as const) {
    const { answers, peer } = attempt(broker, connect5({ clean, ...kept }));
    t.match(answers, [new RegExp(`^CONNACK ${present} 0`)], `clean ${clean}`);
    peer.send(disconnect());
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16] no identifier: one is assigned and told', (t) => {
  const broker = makeBroker({ topicAliasMax: 0 });
  const names = [true, false].map((clean) => {
    const { answers, peer } = attempt(broker, connect5({ clientId: '', clean, properties: { sessionExpiry: 9 } }));
    const name = /assignedId (auto-[0-9a-f]{16})\}$/.exec(answers[0] ?? '')?.[1] ?? answers.join();
    peer.drop();
    const again = attempt(broker, connect5({ clientId: name, clean: false }));
    t.match(again.answers, [/^CONNACK present 0/], 'it is that session');
    return name;
  });
  t.not(names[0], names[1]);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.2.2-22] server keep alive is told where it counts instead of the client\'s', (t) => {
  const told = (keepAlive: number, keepAliveSecondsMax: number): string =>
    attempt(makeBroker({ keepAliveSecondsMax, topicAliasMax: 0 }), connect5({ keepAlive })).answers.join();
  t.equal(told(0, 60), 'CONNACK new 0 {packetMaximum 1024, receiveMaximum 4, keepAlive 60}');
  t.equal(told(61, 60), 'CONNACK new 0 {packetMaximum 1024, receiveMaximum 4, keepAlive 60}');
  t.equal(told(60, 60), 'CONNACK new 0 {packetMaximum 1024, receiveMaximum 4}');
  t.equal(told(0, 0), 'CONNACK new 0 {packetMaximum 1024, receiveMaximum 4}');
  t.end();
});

t.test('5.0 [MQTT-3.1.2-22] the keep-alive that was told ends the connection, with 0x8D; 3.1.1 keeps its own', (t) => {
  const broker = makeBroker({ keepAliveSecondsMax: 2 });
  const clock = { nowMs: 0 };
  pass(broker, clock, 0);
  const five = connected(broker, { clientId: 'five', level: 5 });
  const old = connected(broker, { clientId: 'old', keepAlive: 0 });
  pass(broker, clock, 1);
  pass(broker, clock, 2999);
  t.same(five.received(), [], 'not before');
  pass(broker, clock, 1);
  t.same(five.received(), ['DISCONNECT 0x8d {reason nothing was heard for one and a half times the keep alive}']);
  t.ok(five.link.closed);
  pass(broker, clock, 60_000);
  t.notOk(old.link.closed);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.1.2-2] a level above 5 is answered with 0x84 in the form of 5.0', (t) => {
  const broker = makeBroker();
  for (const level of [6, 7, 0x7f]) {
    const { answers, closed } = attempt(broker, connect5({ level }));
    t.same(answers, ['CONNACK new 132 {reason this broker speaks MQTT 3.1, 3.1.1 and 5.0}'], `${level}`);
    t.ok(closed);
  }
  t.equal(broker.counters[count.REFUSED_LEVEL], 3);
  t.same(tablesInUse(broker), []);
  t.end();
});

t.test('5.0 [MQTT-3.1.4-1] [MQTT-3.2.2-7] a CONNECT that is refused gets CONNACK with the code, and is closed', (t) => {
  const cases: [name: string, bytes: Uint8Array, code: string][] = [
    ['a reserved flag', connect5().map((byte, at) => at === 9 ? 3 : byte), '129'],
    ['will QoS 3', connect5({ will: { topic: 'a', payload: '', qos: 3 } }), '129'],
    ['receive maximum 0', connect5({ properties: { receiveMaximum: 0 } }), '130'],
    ['packet maximum 0', connect5({ properties: { packetMaximum: 0 } }), '130'],
    ['session expiry twice', connect5({ properties: { sessionExpiry: [1, 2] as never } }), '130'],
    ['a property of CONNACK', connect5({ properties: { assignedId: 'b' } }), '129'],
    ['authentication data without a method', connect5({ properties: { data: 'b' } }), '130'],
    ['a method nobody knows', connect5({ properties: { method: 'SCRAM' } }), '140'],
    ['an identifier that is too long', connect5({ clientId: 'x'.repeat(33) }), '133'],
    ['a wildcard in the topic of the will', connect5({ will: { topic: '#', payload: '' } }), '144'],
    ['a remaining length of two bytes for less than 128', concat(fromHex('10 8e 00'), connect5().slice(2)), '129'],
    ['bytes behind the end', packet(0x10, connect5().slice(2), Uint8Array.of(0)), '129'],
    ['too large', packet(0x10, connect5().slice(2), new Uint8Array(1024)), '149'],
  ];
  for (const [name, bytes, code] of cases) {
    for (const pieceBytes of [Infinity, 1]) {
      const broker = makeBroker();
      const peer = new Peer(broker);
      const answers = peer.send(bytes, pieceBytes);
      t.match(answers, [new RegExp(`^CONNACK new ${code}( |$)`)], `${name}, ${pieceBytes}`);
      t.ok(peer.link.closed, `${name} closes`);
      t.same(tablesInUse(broker), [], name);
    }
  }
  t.end();
});

t.test('5.0 [MQTT-3.1.4-2] logins and full tables have their codes', (t) => {
  const refused = (login: number): string[] =>
    attempt(makeBroker({}, { authenticate: () => login }), connect5()).answers;
  t.same([4, 5].flatMap(refused), ['CONNACK new 134', 'CONNACK new 135']);
  t.same([1, 6, -1, NaN, 0x87].flatMap(refused), Array.from({ length: 5 }, () => 'CONNACK new 135'),
    'what is no answer to a login is no login');
  const told: number[] = [];
  const broker = makeBroker({ clientsMax: 1 }, { observer: {
    clientConnected: () => {}, clientRefused: (_, code) => told.push(code), connectionEnded: () => {},
  } });
  connected(broker, { clientId: 'b', level: 5 });
  t.same(attempt(broker, connect5()).answers, ['CONNACK new 151 {reason a limit of the broker is reached}']);
  t.same(attempt(broker, connect()).answers, ['CONNACK new 3']);
  t.same(told, [0x97, 3], 'the observer hears what the client hears');
  t.equal(broker.counters[count.REFUSED_FULL], 2);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.1.2-29] [MQTT-3.2.2-19] no reason string for who does not want it or takes less', (t) => {
  const refused = (properties: ConnectFields['properties']): string[] =>
    attempt(makeBroker(), connect5({ clientId: 'x'.repeat(33), ...(properties ? { properties } : {}) })).answers;
  const whole = 'CONNACK new 133 {reason the client identifier is too long}';
  const wholeBytes = 5 + 3 + 'the client identifier is too long'.length;
  t.same(refused({}), [whole]);
  t.same(refused({ problem: 1 }), [whole]);
  t.same(refused({ problem: 0 }), ['CONNACK new 133']);
  t.same(refused({ packetMaximum: wholeBytes }), [whole]);
  t.same(refused({ packetMaximum: wholeBytes - 1 }), ['CONNACK new 133']);
  t.same(refused({ packetMaximum: 5 }), ['CONNACK new 133']);
  t.same(refused({ packetMaximum: 4 }), [], '5.0 [MQTT-3.1.2-24]');
  t.end();
});

t.test('5.0 [MQTT-3.1.2-24] who does not take the CONNACK that it needs is not accepted', (t) => {
  const broker = makeBroker({ topicAliasMax: 0 });
  const needed = 5 + 5 + 3;
  t.same(attempt(broker, connect5({ properties: { packetMaximum: needed - 1 } })).answers, ['CONNACK new 149']);
  t.same(tablesInUse(broker), []);
  t.match(attempt(broker, connect5({ properties: { packetMaximum: needed } })).answers, [/^CONNACK new 0/]);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.1.0-1] [MQTT-3.1.0-2] CONNECT comes first and once; what else comes first gets no answer', (t) => {
  const broker = makeBroker();
  for (const [name, bytes] of [['AUTH', auth(0x18, { method: 'x' })], ['PINGREQ', pingreq()],
    ['PUBLISH', publish5('a', 'b')], ['DISCONNECT', disconnect()]] as const) {
    const { answers, closed } = attempt(broker, bytes);
    t.same(answers, [], name);
    t.ok(closed, name);
  }
  const peer = connected(broker, { clientId: 'a', level: 5 });
  t.same(peer.send(connect5()), ['DISCONNECT 0x82 {reason a packet broke the protocol}']);
  t.ok(peer.link.closed);
  t.same(tablesInUse(broker), []);
  t.end();
});

t.test('5.0 CONNECT cut at each byte: nothing is answered, and nothing kept', (t) => {
  const broker = makeBroker();
  const whole = connect5({ keepAlive: 9, userName: 'u', password: 'p',
    properties: { sessionExpiry: 7, user: [['a', 'b'], ['a', 'c']], receiveMaximum: 9, problem: 1 },
    will: { topic: 'w', payload: 'gone', qos: 1, properties: { willDelay: 4, format: 1 } } });
  for (let length = 1; length < whole.length; length++) {
    const peer = new Peer(broker);
    t.same(peer.send(whole.slice(0, length)), [], `${length} bytes`);
    t.notOk(peer.link.closed);
    peer.drop();
    t.same(tablesInUse(broker), []);
  }
  const peer = new Peer(broker);
  t.match(peer.send(whole, 1), [/^CONNACK new 0/]);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 CONNECT whose body ends at each byte: 0x81 from where the level is known', (t) => {
  const whole = connect5({ properties: { sessionExpiry: 7, user: ['a', 'b'] }, userName: 'u',
    will: { topic: 'w', payload: 'gone', properties: { willDelay: 4 } } });
  const body = whole.slice(2);
  for (let length = 0; length < body.length; length++) {
    const broker = makeBroker();
    const { answers, closed } = attempt(broker, packet(0x10, body.slice(0, length)));
    t.same(answers, length < 7 ? [] : ['CONNACK new 129 {reason a packet was malformed}'], `${length} bytes`);
    t.ok(closed);
    t.same(tablesInUse(broker), []);
  }
  t.end();
});

t.test('5.0 3.1.2.11.3: receive maximum of the client bounds what is in flight to it', (t) => {
  const broker = makeBroker();
  const subscriber = connected(broker, { clientId: 's', level: 5, properties: { receiveMaximum: 2 } });
  subscriber.send(subscribe5(1, {}, ['a', 1]));
  const publisher = connected(broker, { clientId: 'p', level: 5 });
  for (let id = 1; id <= 4; id++) publisher.send(publish5('a', `${id}`, { qos: 1, id }));
  t.equal(subscriber.received().length, 2, '5.0 [MQTT-3.3.4-9]');
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.1.2-25] a message larger than the client takes counts as sent, and is counted', (t) => {
  const broker = makeBroker();
  const small = connected(broker, { clientId: 's', level: 5, properties: { packetMaximum: 60, receiveMaximum: 1 } });
  small.send(subscribe5(1, {}, ['a', 1]));
  const publisher = connected(broker, { clientId: 'p', level: 5 });
  publisher.send(publish5('a', 'x'.repeat(60), { qos: 0 }));
  publisher.send(publish5('a', 'x'.repeat(60), { qos: 1, id: 1 }));
  publisher.send(publish5('a', 'fits', { qos: 1, id: 2 }));
  t.match(small.received(), [/^PUBLISH q1 id\d+ a fits$/]);
  t.equal(broker.counters[count.DROPPED_TOO_LARGE], 2);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.1.2-26] [MQTT-3.1.2-27] aliases go up to what the client says, and no further', (t) => {
  for (const aliasMaximum of [0, 1, 2, undefined]) {
    const broker = makeBroker({ topicAliasMax: 5 });
    const properties = aliasMaximum === undefined ? {} : { aliasMaximum };
    const subscriber = connected(broker, { clientId: 's', level: 5, properties });
    subscriber.send(subscribe5(1, {}, ['#', 0]));
    const publisher = connected(broker, { clientId: 'p', level: 5 });
    const aliases = new Set<string>();
    for (const topic of ['a', 'b', 'c', 'a', 'b', 'c']) {
      publisher.send(publish5(topic, 'x'));
      for (const packet of subscriber.received()) aliases.add(/alias (\d+)/.exec(packet)?.[1] ?? 'none');
    }
    const own = Array.from({ length: aliasMaximum ?? 0 }, (_, i) => String(i + 1));
    t.same([...aliases].sort(), [...own, 'none'], `${aliasMaximum}`);
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-3.1.2-28] response information is not returned, wanted or not', (t) => {
  for (const requestResponse of [0, 1]) {
    const { answers } = attempt(makeBroker({ topicAliasMax: 0 }), connect5({ properties: { requestResponse } }));
    t.same(answers, ['CONNACK new 0 {packetMaximum 1024, receiveMaximum 4}']);
  }
  t.end();
});

t.test('properties in CONNECT of 3.1.1 are no properties', (t) => {
  const broker = makeBroker();
  const plain = connect();
  const { answers, closed } = attempt(broker,
    packet(0x10, plain.slice(2, 12), encodeProperties({}), plain.slice(12)));
  t.same(answers, []);
  t.ok(closed);
  t.end();
});
