// CONNECT: what is accepted, what is answered with which return code, and what closes. MQTT 3.1.1
// sections 3.1, 3.2. Runs on Node and on XS.

import t from 'tap';
import {
  ascii, concat, connect, disconnect, fromHex, packet, pingreq, publish, subscribe,
} from '../support/packets.js';
import { checkInvariants } from '../support/invariants.js';
import { connected, makeBroker, pass, Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import type { Broker } from '../../src/broker/broker.js';
import { CONNECT_PASSWORD, CONNECT_USER_NAME } from '../../src/wire/codes.js';
import type { Packet } from '../../src/wire/packet.js';
import { attempt, tablesInUse } from './steps.js';

/** A CONNECT with any protocol name and level: clean session, no keep-alive, identifier `a`. */
function connectAs(name: string, level: number): Uint8Array {
  return packet(0x10, Uint8Array.of(0, name.length), ascii(name),
    Uint8Array.of(level, 2, 0, 0, 0, 1, 0x61));
}

t.test('[MQTT-3.1.0-1] any first packet but CONNECT closes the link without an answer', (t) => {
  const broker = makeBroker();
  const packets: [string, Uint8Array][] = [
    ['CONNACK', fromHex('20020000')], ['PUBLISH', publish('a', 'b')],
    ['PUBLISH of QoS 1', publish('a', 'b', { qos: 1 })],
    ['PUBACK', fromHex('40020001')], ['PUBREC', fromHex('50020001')],
    ['PUBREL', fromHex('62020001')],
    ['PUBCOMP', fromHex('70020001')], ['SUBSCRIBE', subscribe(1, ['a', 0])],
    ['SUBACK', fromHex('9003000100')],
    ['UNSUBSCRIBE', fromHex('a2050001000161')], ['PINGREQ', pingreq()],
    ['DISCONNECT', disconnect()],
  ];
  for (const [name, bytes] of packets) {
    const { answers, closed } = attempt(broker, concat(bytes, connect({ clientId: 'late' })));
    t.same(answers, [], name);
    t.ok(closed, `${name} closes`);
  }
  t.equal(broker.counters[count.ERRORS_PROTOCOL], packets.length);
  t.same(tablesInUse(broker), []);
  t.end();
});

t.test('[MQTT-3.1.0-2] a second CONNECT closes the connection', (t) => {
  const broker = makeBroker();
  const peer = connected(broker, { clientId: 'a' });
  t.same(peer.send(connect({ clientId: 'a' })), []);
  t.ok(peer.link.closed);
  t.equal(broker.counters[count.ERRORS_PROTOCOL], 1);
  t.same(tablesInUse(broker), []);
  t.end();
});

t.test('3.1: a link without CONNECT is closed after connectTimeoutMs, a connected one is not', (t) => {
  const broker = makeBroker({ connectTimeoutMs: 1000 });
  const clock = { nowMs: 50 };
  broker.tick(clock.nowMs);
  const client = connected(broker, { clientId: 'a' });
  const silent = new Peer(broker);
  const halfway = new Peer(broker);
  halfway.send(connect({ clientId: 'b' }).slice(0, 9));
  pass(broker, clock, 200); // when exactly in this time the links came is not known
  pass(broker, clock, 999);
  t.notOk(silent.link.closed || halfway.link.closed, 'not before');
  pass(broker, clock, 1);
  t.ok(silent.link.closed, 'nothing was sent');
  t.ok(halfway.link.closed, 'CONNECT was not finished');
  t.notOk(client.link.closed);
  t.equal(broker.counters[count.REFUSED_CONNECT_TIMEOUT], 2);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.1.2-2] a protocol level that is not supported is answered with 0x01 and closed', (t) => {
  const broker = makeBroker();
  const levels: [string, number][] = [
    ['MQTT', 0], ['MQTT', 2], ['MQTT', 3], ['MQIsdp', 4], ['MQIsdp', 5],
  ];
  for (const [name, level] of levels) {
    const { answers, closed } = attempt(broker, connectAs(name, level));
    t.same(answers, ['CONNACK new 1'], `${name} ${level}`);
    t.ok(closed, `${name} ${level} closes`);
  }
  t.equal(broker.counters[count.REFUSED_LEVEL], levels.length);
  t.same(tablesInUse(broker), []);
  t.end();
});

t.test('[MQTT-3.1.2-1] another protocol name closes without an answer', (t) => {
  const broker = makeBroker();
  for (const name of ['MQTS', 'mqtt', 'MQIsdP', 'MQT', 'MQTTT']) {
    const { answers, closed } = attempt(broker, connectAs(name, 4));
    t.same(answers, [], name);
    t.ok(closed, `${name} closes`);
  }
  t.end();
});

t.test('3.1.2.2: MQTT 4 and MQIsdp 3 are accepted, and with the high bit that a bridge sets', (t) => {
  const broker = makeBroker();
  for (const [name, level] of [['MQTT', 4], ['MQIsdp', 3], ['MQTT', 0x84],
    ['MQIsdp', 0x83]] as const) {
    const { answers, closed, peer } = attempt(broker, connectAs(name, level));
    t.same(answers, ['CONNACK new 0'], `${name} ${level}`);
    t.notOk(closed);
    peer.send(disconnect());
  }
  t.end();
});

t.test('[MQTT-3.1.3-6] an empty identifier with a clean session is accepted under a name of its own', (t) => {
  const broker = makeBroker();
  const one = attempt(broker, connect({ clientId: '' }));
  const other = attempt(broker, connect({ clientId: '' }));
  t.same([one.answers, other.answers], [['CONNACK new 0'], ['CONNACK new 0']]);
  t.notOk(one.closed || other.closed, 'neither takes the other over');
  const { sessions } = broker.memory;
  t.same([sessions.clientIdBytes(0), sessions.clientIdBytes(1)], [21, 21]);
  const start = sessions.clientIdStart(0);
  t.equal(String.fromCharCode(...broker.bytes.slice(start, start + 5)), 'auto-');
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.1.3-6] an assigned identifier that is in use is not assigned again', (t) => {
  const numbers = [1, 2, 1, 2, 1, 2, 3, 4];
  const broker = makeBroker({}, { random: () => numbers.shift()! });
  attempt(broker, connect({ clientId: '' }));
  const other = attempt(broker, connect({ clientId: '' }));
  t.same(other.answers, ['CONNACK new 0']);
  t.equal(numbers.length, 0);
  t.equal(broker.memory.sessions.count, 2);
  t.end();
});

t.test('[MQTT-3.1.3-8] an identifier that is empty without clean session, in MQTT 3.1, or too long: 0x02', (t) => {
  const broker = makeBroker({ clientIdBytesMax: 32 });
  const cases: [string, Uint8Array][] = [
    ['empty, persistent', connect({ clientId: '', clean: false })],
    ['empty, 3.1', connect({ clientId: '', level: 3 })],
    ['empty, 3.1, persistent', connect({ clientId: '', level: 3, clean: false })],
    ['33 bytes of 32', connect({ clientId: 'x'.repeat(33) })],
  ];
  for (const [name, bytes] of cases) {
    const { answers, closed } = attempt(broker, bytes);
    t.same(answers, ['CONNACK new 2'], name);
    t.ok(closed, `[MQTT-3.2.2-5] ${name} closes`);
  }
  t.equal(broker.counters[count.REFUSED_IDENTIFIER_COUNT], cases.length);
  t.same(attempt(broker, connect({ clientId: 'x'.repeat(32) })).answers, ['CONNACK new 0'],
    '32 bytes');
  t.end();
});

t.test('[MQTT-3.2.2-5] nothing that follows a refused CONNECT is handled', (t) => {
  const broker = makeBroker();
  const witness = connected(broker, { clientId: 'witness' });
  witness.send(subscribe(1, ['#', 0]));
  const { answers, closed } = attempt(broker,
    concat(connect({ clean: false }), publish('a', 'b'), pingreq()));
  t.same(answers, ['CONNACK new 2']);
  t.ok(closed);
  t.same(witness.received(), []);
  t.end();
});

interface Login {
  id: string;
  user: string | null;
  password: string | null;
}

/** A broker whose logins are decided by `decide`. */
function guarded(decide: (login: Login) => number): Broker {
  const text = (bytes: Uint8Array, start: number, end: number): string =>
    String.fromCharCode(...bytes.slice(start, end));
  return makeBroker({}, {
    authenticate: (bytes: Uint8Array, packet: Packet) => decide({
      id: text(bytes, packet.clientIdStart, packet.clientIdEnd),
      user: packet.connectFlags & CONNECT_USER_NAME ? text(bytes, packet.userNameStart,
        packet.userNameEnd) : null,
      password: packet.connectFlags & CONNECT_PASSWORD ? text(bytes, packet.passwordStart,
        packet.passwordEnd) : null,
    }),
  });
}

t.test('3.1.3.4: authenticate sees identifier, user name and password, and which of them are there', (t) => {
  const seen: Login[] = [];
  const broker = guarded((login) => seen.push(login) * 0);
  const will = { topic: 'w', payload: 'gone' };
  connected(broker, { clientId: 'a' });
  connected(broker, { clientId: 'b', userName: 'marie' });
  connected(broker, { clientId: 'c', userName: 'marie', password: 'sel' });
  connected(broker, { clientId: 'd', userName: '', password: '', will });
  connected(broker, { clientId: 'e', userName: 'jean', password: Uint8Array.of(0, 255), will });
  t.same(seen, [
    { id: 'a', user: null, password: null },
    { id: 'b', user: 'marie', password: null },
    { id: 'c', user: 'marie', password: 'sel' },
    { id: 'd', user: '', password: '' },
    { id: 'e', user: 'jean', password: '\u0000\u00ff' },
  ]);
  t.end();
});

t.test('3.2.2.3: a login that authenticate refuses is answered with its code, and nothing is left of it', (t) => {
  const broker = guarded(({ user }) => user === 'marie' ? 0 : user === null ? 5 : 4);
  const wrong = attempt(broker, connect({ clientId: 'a', userName: 'eve',
    will: { topic: 'w', payload: 'x' } }));
  t.same([wrong.answers, wrong.closed], [['CONNACK new 4'], true]);
  const nobody = attempt(broker, connect({ clientId: 'a' }));
  t.same([nobody.answers, nobody.closed], [['CONNACK new 5'], true]);
  t.equal(broker.counters[count.REFUSED_LOGIN], 2);
  t.same(tablesInUse(broker), []);
  t.same(attempt(broker, connect({ clientId: 'a', userName: 'marie' })).answers, ['CONNACK new 0']);
  t.end();
});

t.test('3.1.4: who is refused takes nobody over', (t) => {
  const broker = guarded(({ user }) => user === 'marie' ? 0 : 5);
  const owner = connected(broker, { clientId: 'a', userName: 'marie' });
  t.same(attempt(broker, connect({ clientId: 'a', userName: 'eve' })).answers, ['CONNACK new 5']);
  t.notOk(owner.link.closed);
  t.same(owner.send(pingreq()), ['PINGRESP']);
  t.end();
});
