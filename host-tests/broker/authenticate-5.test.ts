// Enhanced authentication of MQTT 5.0: the steps before CONNACK, and again later, with methods made up here. MQTT 5.0
// sections 3.15 and 4.12. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import {
  auth, concat, connect, disconnect, fromHex, packet, pingreq, publish5, subscribe, subscribe5,
  type ConnectFields,
} from '../support/packets.js';
import { connected, makeBroker, pass, Peer } from '../support/peer.js';
import type { AuthenticationMethod, AuthenticationStep } from '../../src/broker/authenticate.js';
import type { Broker } from '../../src/broker/broker.js';
import * as count from '../../src/broker/counters.js';
import type { BrokerOptions } from '../../src/broker/options.js';
import type { Limits } from '../../src/limits.js';
import { attempt, tablesInUse } from './steps.js';

const CONTINUE = 0x18;
const AGAIN = 0x19;

function textOf(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}

/** Writes `text` as the answer of the step. */
function answer(step: AuthenticationStep, text: string): void {
  for (let i = 0; i < text.length; i++) step.bytes[step.answerStart + i] = text.charCodeAt(i);
  step.answerEnd = step.answerStart + text.length;
}

/** Counts down from the number that the client begins with; `no` is refused. Notes what it was given. */
class Countdown implements AuthenticationMethod {
  readonly name = 'countdown';
  readonly told: string[] = [];

  step(step: AuthenticationStep): number {
    const data = textOf(step.bytes, step.dataStart, step.dataEnd);
    this.told.push(`${step.slot}${step.isFirst ? ' first' : ''} ${data}`.trim());
    if (data === 'no') return 0x87;
    if (data === 'busy') return 0x89;
    if (data === 'strange') return 0x8d;
    const left = Number(data);
    if (left === 0) {
      answer(step, 'welcome');
      return 0;
    }
    answer(step, String(left - 1));
    return CONTINUE;
  }
}

function start(
  limits: Partial<Limits> = {}, options: Partial<BrokerOptions> = {}): { broker: Broker; method: Countdown } {
  const method = new Countdown();
  const other: AuthenticationMethod = { name: 'other', step: () => 0 };
  const broker = makeBroker({ topicAliasMax: 0, ...limits }, { authenticationMethods: [other, method], ...options });
  return { broker, method };
}

function begin(data: string, fields: ConnectFields = {}): Uint8Array {
  return connect({ clientId: 'a', level: 5, properties: { method: 'countdown', data }, ...fields });
}

const say = (data: string): Uint8Array => auth(CONTINUE, { method: 'countdown', data });
const WELCOME = 'CONNACK new 0 {packetMaximum 1024, receiveMaximum 4, method countdown, data welcome}';
const ask = (data: string): string => `AUTH 0x18 {method countdown, data ${data}}`;

t.test('5.0 [MQTT-4.12.0-2] [MQTT-4.12.0-5] steps until CONNACK, each with the method and data', (t) => {
  for (const pieceBytes of [Infinity, 7, 1]) {
    const { broker, method } = start();
    const peer = new Peer(broker);
    t.same(peer.send(begin('2'), pieceBytes), [ask('1')]);
    t.equal(broker.counters[count.CLIENTS_CONNECTED], 0);
    t.same(peer.send(say('1'), pieceBytes), [ask('0')]);
    t.same(peer.send(say('0'), pieceBytes), [WELCOME]);
    t.same(method.told, ['0 first 2', '0 1', '0 0']);
    t.same(peer.send(pingreq()), ['PINGRESP']);
    checkInvariants(broker);
    peer.send(disconnect());
    t.same(tablesInUse(broker), []);
  }
  t.end();
});

t.test('a method may accept at once, and say nothing', (t) => {
  const { broker } = start();
  t.same(attempt(broker, begin('0')).answers, [WELCOME]);
  t.same(attempt(broker, connect({ clientId: 'b', level: 5, properties: { method: 'other' } })).answers,
    ['CONNACK new 0 {packetMaximum 1024, receiveMaximum 4, method other}']);
  checkInvariants(broker);
  t.end();
});

t.test('what CONNECT asked for is done when its client has proved itself, and not before', (t) => {
  const { broker } = start({ keepAliveSecondsMax: 60 });
  const witness = connected(broker, { clientId: 'w' });
  witness.send(subscribe(1, ['will', 0]));
  const old = connected(broker, { clientId: 'a', level: 5, properties: { sessionExpiry: 60 } });
  old.send(subscribe5(1, {}, ['x', 1]));
  const fields: ConnectFields = { clean: false, keepAlive: 61, will: { topic: 'will', payload: 'gone' },
    properties: { method: 'countdown', data: '1', sessionExpiry: 9, packetMaximum: 500 } };
  const peer = new Peer(broker);
  t.same(peer.send(begin('1', fields)), [ask('0')]);
  t.notOk(old.link.closed, 'the old connection stays');
  t.same(peer.send(say('0')),
    ['CONNACK present 0 {packetMaximum 1024, receiveMaximum 4, keepAlive 60, method countdown, data welcome}']);
  t.ok(old.link.closed);
  peer.drop();
  t.same(witness.received(), ['PUBLISH q0 will gone']);
  checkInvariants(broker);
  t.end();
});

t.test('an identifier is assigned at the end', (t) => {
  const { broker } = start();
  const peer = new Peer(broker);
  peer.send(begin('1', { clientId: '' }));
  t.match(peer.send(say('0')), [/^CONNACK new 0 \{.*assignedId auto-[0-9a-f]{16}, method countdown, data welcome\}$/]);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-4.12.0-1] a method that is not registered is refused with 0x8C', (t) => {
  for (const options of [{}, { authenticationMethods: [] }, { authenticationMethods: [new Countdown()] }]) {
    for (const method of ['', 'count', 'countdowns', 'Countdown']) {
      const broker = makeBroker({}, options);
      const { answers, closed } = attempt(broker, connect({ level: 5, properties: { method } }));
      t.same(answers, ['CONNACK new 140 {reason the authentication method is not known here}']);
      t.ok(closed);
      t.same(tablesInUse(broker), []);
      t.equal(broker.counters[count.REFUSED_LOGIN], 1);
    }
  }
  t.end();
});

t.test('5.0 [MQTT-4.12.0-4] a method refuses at any step; a code that CONNACK cannot have becomes 0x87', (t) => {
  for (const [data, code] of [['no', 135], ['busy', 137], ['strange', 135]]) {
    for (const late of [false, true]) {
      const { broker } = start();
      const peer = new Peer(broker);
      if (late) peer.send(begin('5'));
      t.same(peer.send(late ? say(`${data}`) : begin(`${data}`)), [`CONNACK new ${code}`], `${data}, ${late}`);
      t.ok(peer.link.closed);
      t.same(tablesInUse(broker), []);
      checkInvariants(broker);
    }
  }
  t.end();
});

t.test('5.0 [MQTT-3.1.2-30] before CONNACK only AUTH and DISCONNECT are taken', (t) => {
  const cases: [name: string, bytes: Uint8Array, answers: RegExp[]][] = [
    ['PUBLISH', publish5('a', 'b'), [/^CONNACK new 130/]], ['SUBSCRIBE', subscribe(1, ['a', 0]), [/^CONNACK new 130/]],
    ['PINGREQ', pingreq(), [/^CONNACK new 130/]], ['CONNECT', begin('1'), [/^CONNACK new 130/]],
    ['re-authentication', auth(AGAIN, { method: 'countdown' }), [/^CONNACK new 130/]],
    ['another method', auth(CONTINUE, { method: 'other' }), [/^CONNACK new 130/]],
    ['no method', auth(CONTINUE, { data: '0' }), [/^CONNACK new 130/]],
    ['AUTH of nothing', packet(0xf0), [/^CONNACK new 130/]],
    ['a malformed packet', fromHex('f1 00'), [/^CONNACK new 129/]],
    ['DISCONNECT', disconnect(), []],
  ];
  for (const [name, bytes, answers] of cases) {
    const { broker } = start();
    const peer = new Peer(broker);
    peer.send(begin('2'));
    t.match(peer.send(bytes), answers, name);
    t.ok(peer.link.closed, name);
    t.same(tablesInUse(broker), []);
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-4.12.0-6] [MQTT-4.12.0-7] AUTH from who named no method is a protocol error', (t) => {
  for (const method of ['countdown', 'unknown']) {
    const { broker } = start();
    const peer = connected(broker, { clientId: 'a', level: 5 });
    t.match(peer.send(auth(AGAIN, { method })), [/^DISCONNECT 0x82/]);
    t.ok(peer.link.closed);
  }
  const { broker } = start();
  attempt(broker, begin('0')).peer.drop();
  const next = connected(broker, { clientId: 'b', level: 5 });
  t.match(next.send(auth(AGAIN, { method: 'countdown' })), [/^DISCONNECT 0x82/],
    'nor does that of the connection before count');
  const old = connected(broker, { clientId: 'a' });
  t.same(old.send(auth(AGAIN, { method: 'countdown' })), [], 'in 3.1.1 there is no AUTH');
  t.ok(old.link.closed);
  t.equal(broker.counters[count.ERRORS_MALFORMED], 1);
  t.end();
});

t.test('5.0 [MQTT-4.12.1-1] re-authentication, with messages going on meanwhile', (t) => {
  const { broker, method } = start();
  const { peer } = attempt(broker, begin('0'));
  t.same(peer.send(auth(AGAIN, { method: 'countdown', data: '2' })), [ask('1')]);
  t.same(peer.send(concat(pingreq(), say('1'), pingreq())), ['PINGRESP', ask('0'), 'PINGRESP']);
  t.same(peer.send(say('0')), ['AUTH {method countdown, data welcome}']);
  t.same(method.told, ['0 first 0', '0 first 2', '0 1', '0 0']);
  t.match(peer.send(say('0')), [/^DISCONNECT 0x82/], 'it is over');
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-4.12.1-2] re-authentication that fails, comes twice or changes the method ends it all', (t) => {
  const again = auth(AGAIN, { method: 'countdown', data: '3' });
  const cases: [name: string, bytes: Uint8Array, answers: RegExp[]][] = [
    ['refused', auth(AGAIN, { method: 'countdown', data: 'no' }), [/^DISCONNECT 0x87$/]],
    ['refused later', concat(again, say('busy')), [/^AUTH/, /^DISCONNECT 0x89$/]],
    ['twice', concat(again, again), [/^AUTH/, /^DISCONNECT 0x82/]],
    ['another method', auth(AGAIN, { method: 'other' }), [/^DISCONNECT 0x82/]],
    ['unasked', say('0'), [/^DISCONNECT 0x82/]],
    ['success', auth(0, { method: 'countdown' }), [/^DISCONNECT 0x82/]],
  ];
  for (const [name, bytes, answers] of cases) {
    const { broker } = start();
    const { peer } = attempt(broker, begin('0'));
    t.match(peer.send(bytes), answers, name);
    t.ok(peer.link.closed, name);
    t.same(tablesInUse(broker), []);
    checkInvariants(broker);
  }
  t.end();
});

t.test('the steps together are bound by the time for CONNECT, however much is said', (t) => {
  const { broker } = start({ connectTimeoutMs: 5000 });
  const clock = { nowMs: 0 };
  pass(broker, clock, 0);
  const peer = new Peer(broker);
  peer.send(begin('900'));
  for (let second = 0; second < 5; second++) {
    pass(broker, clock, 1000);
    t.notOk(peer.link.closed, `after ${second} s`);
    peer.send(say('900'));
  }
  pass(broker, clock, 1000);
  t.ok(peer.link.closed);
  t.equal(broker.counters[count.REFUSED_CONNECT_TIMEOUT], 1);
  t.same(tablesInUse(broker), []);
  checkInvariants(broker);
  t.end();
});

t.test('a flood of AUTH whose answers are not read: a client waits, who is still to prove itself is cut', (t) => {
  const { broker } = start();
  const again = auth(AGAIN, { method: 'countdown', data: '900' });
  const flood = (peer: Peer, first: Uint8Array): number => {
    peer.link.capacity = 200;
    let answers = peer.send(first).length;
    for (let i = 0; i < 200 && !peer.link.closed; i++) answers += peer.send(say('900')).length;
    t.ok(answers < 20, `${answers} answers`);
    checkInvariants(broker);
    return answers;
  };
  const client = new Peer(broker);
  const answers = flood(client, concat(begin('0'), again));
  t.notOk(client.link.reading || client.link.closed);
  client.link.capacity = Infinity;
  t.equal(answers + client.resume().length, 202, 'and goes on when they are');
  client.drop();
  const stranger = new Peer(broker);
  flood(stranger, begin('900'));
  t.ok(stranger.link.closed, 'nothing waits behind a CONNECT that is held');
  t.same(tablesInUse(broker), []);
  t.end();
});

t.test('while CONNECT is held, a packet has the rest of the inbox', (t) => {
  const { broker } = start({ packetBytesMax: 256, inboxBytes: 256, outboxBytes: 256 });
  const big = begin('9', { userName: 'x'.repeat(100) });
  const room = 256 - big.length;
  const sized = (byteCount: number): Uint8Array => say('0'.repeat(byteCount - say('').length));
  for (const pieceBytes of [Infinity, 1]) {
    const peer = new Peer(broker);
    t.same(peer.send(big, pieceBytes), [ask('8')]);
    t.match(peer.send(sized(room), pieceBytes), [/^CONNACK new 0 /], `${room} bytes`);
    peer.send(disconnect());
  }
  const peer = new Peer(broker);
  peer.send(big);
  t.match(peer.send(sized(room + 1).slice(0, 100)), [/^CONNACK new 149/]);
  t.ok(peer.link.closed);
  t.same(tablesInUse(broker), []);
  const next = new Peer(broker);
  t.equal(broker.room(next.slot), 256, 'nothing is held for the next one');
  checkInvariants(broker);
  t.end();
});

t.test('a CONNECT beside which no AUTH has room is refused, unless its method needs none', (t) => {
  const limits = { packetBytesMax: 256, inboxBytes: 256, outboxBytes: 256 };
  const least = auth(CONTINUE, { method: 'countdown' }).length;
  for (const left of [0, 1, least - 1, least]) {
    const { broker } = start(limits);
    const sized = (data: string): Uint8Array => {
      const other = begin(data, { userName: '' }).length + 2; // behind 127 bytes the length takes two
      return begin(data, { userName: 'x'.repeat(256 - left - other + 1) });
    };
    const peer = new Peer(broker);
    t.equal(sized('2').length, 256 - left);
    t.match(peer.send(sized('2')), [left < least ? /^CONNACK new 149/ : /^AUTH 0x18/], `${left} bytes left`);
    if (left === least) t.equal(broker.room(peer.slot), least);
    peer.drop();
    t.same(attempt(broker, sized('0')).answers, [WELCOME.replace('1024', '256')]);
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-3.1.2-24] answers keep to the maximum packet size of the client', (t) => {
  const room: number[] = [];
  const method: AuthenticationMethod = { name: 'm', step: (step) => {
    room.push(step.answerMax - step.answerStart);
    answer(step, 'x'.repeat(step.answerMax - step.answerStart));
    return step.isFirst ? CONTINUE : 0;
  } };
  for (const packetMaximum of [3, 9, 40, 60, 70, 200, 1024, 5000]) {
    const broker = makeBroker({}, { authenticationMethods: [method] });
    const peer = new Peer(broker);
    const properties = { method: 'm', packetMaximum, problem: 0 };
    const answers = peer.send(connect({ clientId: '', level: 5, properties }));
    const sent = broker.counters[count.BYTES_SENT]!;
    if (answers.join().startsWith('AUTH')) answers.push(...peer.send(auth(CONTINUE, { method: 'm' })));
    const then = broker.counters[count.BYTES_SENT]! - sent;
    t.ok(sent <= packetMaximum && then <= packetMaximum, `${sent} and ${then} bytes, ${packetMaximum} taken`);
    const accepted = answers.some((packet) => packet.startsWith('CONNACK new 0'));
    t.equal(accepted, packetMaximum >= 60, `${packetMaximum}: ${answers.join('; ')}`);
    checkInvariants(broker);
  }
  t.equal(Math.max(...room), 1024 - 65, 'and to ours');
  t.end();
});

t.test('a method that says that it wrote more than it may is not believed', (t) => {
  const method: AuthenticationMethod = { name: 'm', step: (step) => {
    step.answerEnd = step.answerMax + 1;
    return step.isFirst ? CONTINUE : 0;
  } };
  const broker = makeBroker({}, { authenticationMethods: [method] });
  t.match(attempt(broker, connect({ level: 5, properties: { method: 'm' } })).answers, [/^CONNACK new 149/]);
  t.same(tablesInUse(broker), []);
  t.end();
});

t.test('a connection that gives way or is lost in the midst of its steps leaves nothing', (t) => {
  const { broker } = start({ clientsMax: 2, connectionsMax: 2 });
  const peers = [new Peer(broker), new Peer(broker)];
  for (const peer of peers) peer.send(begin('5'));
  const next = new Peer(broker);
  t.same(peers.map((peer) => peer.link.closed), [true, false], 'the first of them made room');
  t.same(next.send(begin('0', { clientId: 'n' })), [WELCOME]);
  peers[1]!.drop();
  next.drop();
  t.same(tablesInUse(broker), []);
  checkInvariants(broker);
  t.end();
});

t.test('the time to prove oneself is not counted as silence afterwards', (t) => {
  const { broker } = start({ connectTimeoutMs: 10_000 });
  const clock = { nowMs: 0 };
  const peer = new Peer(broker);
  peer.send(begin('1', { keepAlive: 2 }));
  pass(broker, clock, 4000);
  t.same(peer.send(say('0')), ['CONNACK new 0 {packetMaximum 1024, receiveMaximum 4, method countdown, data welcome}']);
  pass(broker, clock, 2500);
  t.same(peer.received(), [], 'one and a half times the keep-alive has not passed');
  pass(broker, clock, 3100);
  t.same(peer.received(), ['DISCONNECT 0x8d {reason nothing was heard for one and a half times the keep alive}']);
  checkInvariants(broker);
  t.end();
});
