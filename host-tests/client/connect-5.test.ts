// How a client of MQTT 5.0 connects, what it makes of CONNACK, how connections end, and what it falls
// back to. Runs on Node and on XS.

import t from 'tap';
import { WILL_PROPERTIES } from '../../src/client/encoded-properties.js';
import {
  BROKER_ENDED, CLOSED, CONNECT_REFUSED, CONNECTED, PING_TIMEOUT, WAITING,
} from '../../src/client/states.js';
import {
  CONNECT, DISCONNECT, DISCONNECT_WITH_WILL, MALFORMED, NOT_AUTHORIZED, OK, PROTOCOL_ERROR, PUBLISH,
  RECEIVE_MAXIMUM_EXCEEDED, SERVER_UNAVAILABLE, TOO_LARGE, TOPIC_NAME_INVALID,
} from '../../src/wire/codes.js';
import {
  ascii, auth, connack, connack5, disconnect, encodeProperties, fromHex, packet, pingresp, puback, publish5, suback5,
  type Properties,
} from '../support/packets.js';
import { checkClientInvariants } from './invariants.js';
import { encoded, ScriptedBroker } from './scripted-broker.js';

const LEVEL_5 = { protocolLevel: 5 } as const;
const OWN = '{receiveMaximum 4, packetMaximum 256, aliasMaximum 10';

t.test('CONNECT tells the limits, and what the application adds, 5.0 [MQTT-3.1.2-1]', (t) => {
  const broker = new ScriptedBroker(LEVEL_5);
  broker.client.connect();
  t.same(broker.open(), [`CONNECT kept salon ${OWN}}`]);
  const will = { topic: ascii('e'), payload: ascii('off'), qos: 1, retain: true,
    properties: encoded(WILL_PROPERTIES, { willDelay: 5, contentType: 'x' }) };
  const other = new ScriptedBroker({ ...LEVEL_5, will, password: ascii('pw'), cleanSession: true,
    properties: encoded(CONNECT, { sessionExpiry: 60, user: [['a', 'b']] }) }, { topicAliasMax: 0 });
  other.client.connect();
  let written: Uint8Array = new Uint8Array(0);
  other.link.write = (source, start, end) => {
    written = source.slice(start, end);
  };
  other.open();
  t.same(written, packet(0x10, ascii('\0\x04MQTT\x05\x6e\0\x3c'), encodeProperties({ receiveMaximum: 4,
    packetMaximum: 256, aliasMaximum: 0, sessionExpiry: 60, user: [['a', 'b']] }), ascii('\0\x05salon'),
    encodeProperties({ willDelay: 5, contentType: 'x' }), ascii('\0\x01e\0\x03off\0\x02pw')),
    'a password without a user name, 5.0 section 3.1.2.9');
  t.end();
});

t.test('options that no CONNECT of 5.0 can carry are refused by name', (t) => {
  const properties = encoded(CONNECT, { sessionExpiry: 1 });
  const method = encoded(CONNECT, { method: 'M' });
  const authenticate = (): Uint8Array => ascii('');
  const refused: [Partial<ConstructorParameters<typeof ScriptedBroker>[0]>, RegExp][] = [
    [{ protocolLevel: 4, properties }, /only MQTT 5.0 has any/],
    [{ ...LEVEL_5, properties: encoded(DISCONNECT, {}) }, /for another packet/],
    [{ ...LEVEL_5, properties: encoded(CONNECT, { receiveMaximum: 7 }) }, /there twice/],
    [{ ...LEVEL_5, properties: method }, /needs `authenticate`/],
    [{ ...LEVEL_5, properties: method, authenticate, fallback: true }, /nothing to fall back to/],
    [{ ...LEVEL_5, clientId: ascii(''), fallback: true }, /needs a client identifier/],
    [{ ...LEVEL_5, password: ascii('x'), fallback: true }, /needs a user name/],
  ];
  for (const [options, words] of refused) t.throws(() => new ScriptedBroker(options), { message: words }, String(words));
  const willing = { ...LEVEL_5, clientId: ascii(''), password: ascii('x'), properties: method, authenticate };
  t.equal(new ScriptedBroker(willing).client.state, CLOSED);
  for (const [kind, given, words] of [
    [CONNECT, { alias: 1 }, /not for this packet/], [PUBLISH, { alias: 1 }, /no topic alias/],
    [PUBLISH, { subscription: 1 }, /no subscription identifier/], [PUBLISH, { responseTopic: 'a/+' }, /no topic name/],
    [WILL_PROPERTIES, { responseTopic: '' }, /no topic name/], [CONNECT, { data: 'x' }, /need a method/],
    [CONNECT, { user: [['a', Uint8Array.of(0xff)]] }, /not UTF-8/],
  ] as [number, Properties, RegExp][]) {
    t.throws(() => encoded(kind, given), { message: words }, JSON.stringify(given));
  }
  t.end();
});

t.test('clean start is for the first connection: those that follow resume, 5.0 section 3.1.2.4', (t) => {
  const broker = new ScriptedBroker({ ...LEVEL_5, cleanSession: true });
  broker.client.connect();
  t.same(broker.open(), [`CONNECT clean salon ${OWN}}`]);
  broker.lose();
  broker.pass(1000);
  t.same(broker.open(), [`CONNECT clean salon ${OWN}}`], 'as long as there was none');
  broker.send(connack5(false));
  broker.lose();
  broker.pass(2000);
  t.same(broker.open(), [`CONNECT kept salon ${OWN}}`]);
  broker.send(connack5(true));
  t.equal(broker.client.state, CONNECTED);
  broker.client.disconnect();
  broker.client.connect();
  t.same(broker.open(), [`CONNECT clean salon ${OWN}}`], 'until the application connects anew');
  broker.notes.told();
  broker.send(connack5(true));
  t.same(broker.notes.told(), [`ended ${PROTOCOL_ERROR}`],
    'a session where none can be, 5.0 [MQTT-3.2.2-2], 5.0 [MQTT-3.2.2-4]');
  t.end();
});

t.test('no session present: what was in flight begins anew as what it was, 5.0 [MQTT-3.2.2-5]', (t) => {
  const broker = new ScriptedBroker(LEVEL_5);
  broker.accept(true);
  t.same((broker.publish('a', 'b', 1), broker.sent()), ['PUBLISH q1 id1 a b']);
  broker.lose();
  broker.pass(1000);
  t.same(broker.accept(true), ['PUBLISH q1 id1 dup a b'], 'present');
  broker.lose();
  broker.pass(2000);
  t.same(broker.accept(false), ['PUBLISH q1 id2 a b'], 'new: a message of its own, with another identifier');
  t.end();
});

t.test('the keep-alive of CONNACK is obeyed, 5.0 [MQTT-3.2.2-21], 5.0 [MQTT-3.1.2-21], 5.0 [MQTT-3.1.2-20]', (t) => {
  const broker = new ScriptedBroker({ ...LEVEL_5, keepAliveSeconds: 60 });
  broker.accept(false, { keepAlive: 10 });
  t.same(broker.pass(8500), []);
  t.same(broker.pass(1000), ['PINGREQ']);
  broker.send(pingresp());
  broker.lose();
  broker.notes.told();
  broker.pass(1000);
  broker.accept(false, {});
  t.same(broker.pass(58_500), [], 'its own again');
  t.same(broker.pass(1000), ['PINGREQ']);
  broker.pass(10_000);
  t.same(broker.notes.told().slice(-1), [`ended ${PING_TIMEOUT}`]);
  const silent = new ScriptedBroker({ ...LEVEL_5, keepAliveSeconds: 60 });
  silent.accept(false, { keepAlive: 0 });
  t.same(silent.pass(600_000, 1000), [], 'none, if the broker says so');
  t.end();
});

t.test('a refusal is told with its reason code, and its properties can be read', (t) => {
  for (const reasonCode of [0x80, 0x87, 0x97, 0x9f]) {
    const broker = new ScriptedBroker(LEVEL_5);
    broker.client.connect();
    broker.open();
    let places = 0;
    broker.notes.refused = () => {
      places = broker.client.packet.properties[0x1f]!;
    };
    broker.send(connack5(false, reasonCode, { reason: 'no' }));
    t.equal(broker.client.bytes[places + 2], 0x6e, 'the reason string');
    t.same(broker.notes.told(), [`ended ${CONNECT_REFUSED}`]);
    t.equal(broker.client.counters.refused, 1);
  }
  t.end();
});

t.test('the broker refuses 5.0: with `fallback` the client goes on in 3.1.1 at once', (t) => {
  for (const refusal of [connack5(false, 0x84), connack(false, 1)]) {
    const broker = new ScriptedBroker({ ...LEVEL_5, fallback: true });
    broker.client.connect();
    broker.open();
    broker.publish('a', 'kept', 1);
    broker.client.subscribe(ascii('b'), 0x2d, encoded(8, { subscription: 7 }));
    broker.send(refusal);
    t.same(broker.notes.told(), [], 'nobody is bothered');
    t.same([broker.links.length, broker.client.protocolLevel], [2, 4]);
    t.same(broker.open(), ['CONNECT kept salon']);
    t.same(broker.send(connack(false)), ['SUBSCRIBE id65532 b 1', 'PUBLISH q1 id1 a kept'], 'QoS alone, no properties');
    t.same(broker.notes.told(), ['connected new']);
    broker.client.publish(ascii('a'), ascii('x'), 0, false, encoded(PUBLISH, { expiry: 9 }));
    t.same(broker.sent(), ['PUBLISH q0 a x']);
    t.equal(broker.client.subscribe(ascii('c'), 0), OK);
    broker.lose();
    broker.pass(1000);
    t.same(broker.open(), ['CONNECT kept salon'], 'and stays there');
    broker.client.disconnect();
    broker.client.connect();
    t.match(broker.open(), [/^CONNECT kept salon \{/], 'until the application connects anew');
  }
  for (const [refusal, code] of [[connack5(false, 0x84), 0x84], [connack(false, 1), 1], [connack(false, 5), 5]] as const) {
    const broker = new ScriptedBroker({ ...LEVEL_5, fallback: code === 5 });
    broker.client.connect();
    broker.open();
    broker.send(refusal);
    t.same(broker.notes.told(), [`refused ${code}`, `ended ${CONNECT_REFUSED}`], 'not wanted, or another reason');
  }
  const cut = new ScriptedBroker({ ...LEVEL_5, fallback: true });
  cut.client.connect();
  cut.open();
  cut.lose();
  cut.pass(1000);
  t.match(cut.open(), [/^CONNECT kept salon \{/], 'a link that is cut is no answer');
  t.end();
});

t.test('what a broker of 5.0 must not send ends the connection, with its reason code, 5.0 [MQTT-4.13.1-1]', (t) => {
  const cases: [string, Uint8Array, number][] = [
    ['malformed', fromHex('d001 00'), MALFORMED],
    ['what only a client sends', fromHex('c000'), PROTOCOL_ERROR],
    ['a filter from a broker', fromHex('8207 0001 00 0001 2b 00'), PROTOCOL_ERROR],
    ['CONNACK twice', connack5(false), PROTOCOL_ERROR],
    ['AUTH without a method', auth(0x18, { method: 'M' }), PROTOCOL_ERROR],
    ['a topic with a wildcard', publish5('a/+', 'x'), TOPIC_NAME_INVALID],
    ['larger than the maximum that CONNECT told, 5.0 [MQTT-3.1.2-24]', publish5('a', 'x'.repeat(300)), TOO_LARGE],
    ['two answers to one filter', suback5(0xfffc, {}, 0, 0), PROTOCOL_ERROR],
  ];
  for (const [what, bytes, refusal] of cases) {
    const broker = new ScriptedBroker(LEVEL_5);
    broker.accept();
    broker.subscribe('a');
    broker.sent();
    broker.notes.told();
    t.same(broker.send(bytes), [`DISCONNECT 0x${(-refusal).toString(16)}`], what);
    t.same(broker.notes.told(), [`ended ${refusal}`], what);
    t.same([broker.client.state, broker.link.closed, broker.client.counters.errors], [WAITING, true, 1], what);
  }
  const full = new ScriptedBroker(LEVEL_5, { receiveMax: 1 });
  full.accept();
  full.send(publish5('a', 'x', { qos: 2, id: 1 }));
  t.same(full.send(publish5('a', 'y', { qos: 2, id: 2 })), ['DISCONNECT 0x93'], 'more than the receive maximum');
  t.same(full.notes.told().slice(-1), [`ended ${RECEIVE_MAXIMUM_EXCEEDED}`]);
  const early = new ScriptedBroker(LEVEL_5);
  early.client.connect();
  early.open();
  t.same(early.send(disconnect(0x81)), [], 'before CONNACK it is not answered, 5.0 [MQTT-3.14.0-1]');
  t.same(early.notes.told(), [`ended ${PROTOCOL_ERROR}`]);
  const small = new ScriptedBroker(LEVEL_5);
  small.accept(false, { packetMaximum: 4 });
  t.same(small.notes.told(), [`ended ${PROTOCOL_ERROR}`], 'a maximum packet size that no answer keeps to');
  t.end();
});

t.test('the reason of the broker\'s DISCONNECT is told, and its properties can be read', (t) => {
  for (const [reasonCode, reason] of [[0x8b, 0x8b], [0x8e, 0x8e], [0x9c, 0x9c], [0, BROKER_ENDED]] as const) {
    const broker = new ScriptedBroker(LEVEL_5);
    broker.accept();
    broker.notes.told();
    let reference = 0;
    const { ended } = broker.notes;
    broker.notes.ended = (what) => {
      reference = broker.client.packet.properties[0x1c]!;
      ended.call(broker.notes, what);
    };
    t.same(broker.send(disconnect(reasonCode, { reference: 'there' })), [], 'no answer, 5.0 [MQTT-3.14.4-1]');
    t.same(broker.notes.told(), [`ended ${reason}`]);
    t.equal(broker.client.bytes[reference + 2], 0x74);
    t.equal(broker.client.state, WAITING);
  }
  const broker = new ScriptedBroker(LEVEL_5);
  broker.accept();
  broker.notes.ended = () => broker.client.disconnect();
  broker.send(disconnect(0x8e));
  t.equal(broker.client.state, CLOSED, 'whom another has replaced may give up');
  t.end();
});

t.test('3.14: disconnect with a reason code, and with properties if the broker takes as much, 5.0 [MQTT-3.14.2-3], ' +
  '5.0 [MQTT-3.14.2-4]', (t) => {
  const given = encoded(DISCONNECT, { sessionExpiry: 9, reason: 'night' });
  for (const [told, reasonCode, properties, wanted] of [
    [{}, 0, null, 'DISCONNECT'], [{}, DISCONNECT_WITH_WILL, null, 'DISCONNECT 0x04'],
    [{}, 0, given, 'DISCONNECT {sessionExpiry 9, reason night}'],
    [{}, DISCONNECT_WITH_WILL, given, 'DISCONNECT 0x04 {sessionExpiry 9, reason night}'],
    [{ packetMaximum: 17 }, 0, given, 'DISCONNECT {sessionExpiry 9, reason night}'],
    [{ packetMaximum: 16 }, 4, given, 'DISCONNECT 0x04'],
  ] as const) {
    const broker = new ScriptedBroker(LEVEL_5);
    broker.accept(false, told);
    broker.publish('a', 'b');
    broker.client.disconnect(reasonCode, properties);
    t.same(broker.link.packets(), ['PUBLISH q0 a b', wanted], `${wanted}, 5.0 [MQTT-3.14.4-1]`);
  }
  const old = new ScriptedBroker();
  old.accept();
  old.client.disconnect(DISCONNECT_WITH_WILL, given);
  t.same(old.link.packets(), ['DISCONNECT'], '3.1.1 says no reason');
  t.end();
});

t.test('enhanced authentication: AUTH is answered by the hook, 5.0 [MQTT-4.12.0-3], 5.0 [MQTT-4.12.0-5]', (t) => {
  const asked: string[] = [];
  let answer: Uint8Array | null = ascii('answer');
  const options = { ...LEVEL_5, properties: encoded(CONNECT, { method: 'M', data: 'first' }),
    authenticate: (bytes: Uint8Array, start: number, end: number, reasonCode: number) => {
      asked.push(`${reasonCode} ${Array.from(bytes.slice(start, end), (byte) => String.fromCharCode(byte)).join('')}`);
      return answer;
    } };
  const broker = new ScriptedBroker(options);
  broker.client.connect();
  t.same(broker.open(), [`CONNECT kept salon ${OWN}, method M, data first}`]);
  t.same(broker.send(auth(0x18, { method: 'M', data: 'who?' })), ['AUTH 0x18 {method M, data answer}']);
  t.same(broker.send(connack5(false, 0, { method: 'M', data: 'done' })), []);
  t.same(asked, ['24 who?', '0 done']);
  t.equal(broker.client.state, CONNECTED);

  t.same([broker.client.reauthenticate(ascii('again')), broker.client.reauthenticate(ascii('again'))], [OK, PROTOCOL_ERROR]);
  t.same(broker.sent(), ['AUTH 0x19 {method M, data again}'], '5.0 [MQTT-4.12.1-1]');
  t.same(broker.send(auth(0x18, { method: 'M' })), ['AUTH 0x18 {method M, data answer}']);
  broker.send(auth(0, { method: 'M' }));
  t.same(asked.slice(2), ['24 ', '0 ']);
  t.equal(broker.client.reauthenticate(ascii('once more')), OK, 'done, so it may begin anew');
  broker.sent();
  answer = null;
  t.same(broker.send(auth(0x18, { method: 'M', data: 'bad' })), ['DISCONNECT 0x80'], 'the application gives up');
  t.same(broker.notes.told().slice(-1), [`ended ${NOT_AUTHORIZED}`]);
  t.equal(broker.client.reauthenticate(ascii('x')), SERVER_UNAVAILABLE);

  for (const [what, ...packets] of [
    ['another method', auth(0x18, { method: 'N' })], ['no method', auth(0x18, {})],
    ['AUTH that accepts before CONNACK', auth(0, { method: 'M' })],
    ['AUTH of a client', auth(0x19, { method: 'M' })],
    ['CONNACK without the method', connack5(false)],
    ['AUTH that nobody asked for', connack5(false, 0, { method: 'M' }), auth(0x18, { method: 'M' })],
  ] as [string, ...Uint8Array[]][]) {
    const other = new ScriptedBroker(options);
    other.client.connect();
    other.open();
    for (const bytes of packets) other.send(bytes);
    t.same(other.notes.told().slice(-1), [`ended ${PROTOCOL_ERROR}`], what);
  }
  for (const connected of [false, true]) {
    const ending: ScriptedBroker = new ScriptedBroker({ ...options, authenticate: () => {
      ending.client.disconnect();
      return ascii('x');
    } });
    ending.client.connect();
    ending.open();
    if (connected) {
      ending.send(connack5(false, 0, { method: 'M' }));
      ending.client.reauthenticate(ascii('x'));
      ending.sent();
    }
    ending.client.bytes.set(auth(0x18, { method: 'M' }), ending.client.receiveStart);
    ending.client.received(auth(0x18, { method: 'M' }).length);
    checkClientInvariants(ending.client);
    t.same(ending.sent(), connected ? ['DISCONNECT'] : [], 'nothing after the hook has ended it');
    t.equal(ending.client.state, CLOSED);
  }
  const plain = new ScriptedBroker(LEVEL_5);
  plain.accept(false, { method: 'M' });
  t.same(plain.notes.told(), [`ended ${PROTOCOL_ERROR}`], 'CONNACK with a method for none');
  t.equal(plain.client.reauthenticate(ascii('x')), PROTOCOL_ERROR);
  t.end();
});

t.test('an acknowledgement with a reason code, and properties, is one as well', (t) => {
  const broker = new ScriptedBroker(LEVEL_5);
  broker.accept();
  broker.notes.told();
  broker.publish('a', 'b', 1);
  broker.sent();
  broker.send(puback(1, 0x10, { reason: 'nobody' }));
  t.same(broker.notes.told(), ['delivered 1 16']);
  t.end();
});

t.test('5.0 [MQTT-3.2.2-15] an AUTH larger than the broker takes is not sent', (t) => {
  const broker = new ScriptedBroker({ ...LEVEL_5, properties: encoded(CONNECT, { method: 'M' }),
    authenticate: () => ascii('x'.repeat(40)) });
  broker.client.connect();
  broker.open();
  broker.send(connack5(false, 0, { method: 'M', packetMaximum: 20 }));
  t.equal(broker.client.reauthenticate(ascii('x'.repeat(40))), TOO_LARGE);
  t.equal(broker.client.reauthenticate(ascii('x')), OK);
  t.same(broker.sent(), ['AUTH 0x19 {method M, data x}']);
  broker.send(auth(0x18, { method: 'M' }));
  t.same(broker.notes.told().slice(-1), [`ended ${TOO_LARGE}`], 'the answer neither');
  t.end();
});
