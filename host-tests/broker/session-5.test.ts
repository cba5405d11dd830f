// Sessions of MQTT 5.0 and time: how long they outlive their connections, and what DISCONNECT says about that. MQTT 5.0
// sections 3.1.2.11.2, 3.14.2.2.2 and 4.1. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { connect, disconnect, publish5, subscribe, subscribe5, type ConnectFields } from '../support/packets.js';
import { connected, makeBroker, pass, Peer } from '../support/peer.js';
import { SESSIONS_PER_TICK } from '../../src/broker/age.js';
import type { Broker } from '../../src/broker/broker.js';
import * as count from '../../src/broker/counters.js';
import type { Limits } from '../../src/limits.js';
import { attempt, tableCounts, tablesInUse, takeAll } from './steps.js';

const NEVER = 0xffffffff;

function start(limits: Partial<Limits> = {}): { broker: Broker; clock: { nowMs: number } } {
  const broker = makeBroker(limits);
  const clock = { nowMs: 1000 };
  broker.tick(clock.nowMs);
  return { broker, clock };
}

/** CONNECT of level 5 without clean start; the expiry is left out if it is not given. */
function resume(clientId: string, sessionExpiry?: number, fields: ConnectFields = {}): ConnectFields {
  const properties = sessionExpiry === undefined ? {} : { sessionExpiry };
  return { clientId, level: 5, clean: false, properties, ...fields };
}

/** Whether a CONNECT finds a session; it leaves with a DISCONNECT that keeps the session for ever. */
function isThere(broker: Broker, clientId: string): boolean {
  const { answers, peer } = attempt(broker, connect(resume(clientId, NEVER)));
  peer.send(disconnect());
  return (answers[0] ?? '').startsWith('CONNACK present');
}

t.test('5.0 [MQTT-3.1.2-23] a session is kept for as long as CONNECT says; absent is 0, all ones is for ever', (t) => {
  const cases: [expiry: number | undefined, afterSeconds: number, there: boolean][] = [
    [undefined, 0, false], [0, 0, false], [1, 0.9, true], [10, 9.9, true], [10, 10, false], [NEVER - 1, 86400, true],
    [NEVER - 1, NEVER, false], [NEVER, 1e9, true],
  ];
  for (const [expiry, afterSeconds, there] of cases) {
    const { broker, clock } = start();
    connected(broker, resume('a', expiry)).drop();
    pass(broker, clock, 700); // when exactly in this time the client left is not known
    checkInvariants(broker);
    pass(broker, clock, afterSeconds * 1000);
    checkInvariants(broker);
    t.equal(tableCounts(broker)['sessions'], there ? 1 : 0, `${expiry} after ${afterSeconds} s`);
    t.equal(isThere(broker, 'a'), there, `${expiry} after ${afterSeconds} s`);
  }
  t.end();
});

t.test('5.0 [MQTT-4.1.0-2] what belonged to a session is gone when it ends', (t) => {
  const { broker, clock } = start();
  const away = connected(broker, resume('away', 5));
  away.send(subscribe5(1, {}, ['news/#', 2], ['a/b', 1]));
  away.send(publish5('x', 'unfinished', { qos: 2, id: 7 }));
  away.drop();
  const publisher = connected(broker, { clientId: 'p', level: 5 });
  for (let id = 1; id < 5; id++) publisher.send(publish5('news/1', 'x', { qos: 1, id }));
  pass(broker, clock, 1);
  pass(broker, clock, 4999);
  t.equal(tableCounts(broker)['deliveries'], 4, 'not before');
  pass(broker, clock, 1);
  publisher.send(disconnect());
  t.same(tablesInUse(broker), []);
  t.equal(broker.counters[count.CLIENTS_EXPIRED], 1);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-4.1.0-1] time counts from the end of the connection, and begins anew with each', (t) => {
  const { broker, clock } = start();
  for (let round = 0; round < 3; round++) {
    const peer = connected(broker, resume('a', 3));
    pass(broker, clock, 60_000);
    t.notOk(peer.link.closed, 'connected it does not expire');
    peer.drop();
    pass(broker, clock, 0);
    pass(broker, clock, 2999);
    checkInvariants(broker);
  }
  t.ok(isThere(broker, 'a'));
  t.end();
});

t.test('5.0 3.1.2.11.2: the limit shortens the expiry, CONNACK says so, and 3.1.1 is bound by it', (t) => {
  const { broker, clock } = start({ sessionExpirySecondsMax: 100, topicAliasMax: 0 });
  const told = (expiry: number): string => {
    const { answers, peer } = attempt(broker, connect(resume('a', expiry, { clean: true })));
    peer.send(disconnect(0, { sessionExpiry: 0 }));
    return answers.join();
  };
  t.equal(told(99), 'CONNACK new 0 {packetMaximum 1024, receiveMaximum 4}');
  t.equal(told(100), 'CONNACK new 0 {packetMaximum 1024, receiveMaximum 4}');
  t.equal(told(101), 'CONNACK new 0 {packetMaximum 1024, receiveMaximum 4, sessionExpiry 100}');
  t.equal(told(NEVER), 'CONNACK new 0 {packetMaximum 1024, receiveMaximum 4, sessionExpiry 100}');
  connected(broker, { clientId: 'old', clean: false }).drop();
  connected(broker, resume('a', NEVER)).drop();
  connected(broker, resume('b', 7)).send(disconnect(0, { sessionExpiry: 1000 }));
  pass(broker, clock, 0);
  pass(broker, clock, 99_999);
  t.equal(tableCounts(broker)['sessions'], 3);
  pass(broker, clock, 1);
  t.same(tablesInUse(broker), []);
  checkInvariants(broker);
  t.end();
});

t.test('without a limit a session of 3.1.1 stays as it did, and each version may resume that of the other', (t) => {
  const { broker, clock } = start();
  const old = connected(broker, { clientId: 'a', clean: false });
  old.send(subscribe(1, ['news', 1]));
  old.drop();
  pass(broker, clock, 1e12);
  const five = attempt(broker, connect(resume('a', 60)));
  t.match(five.answers, [/^CONNACK present 0/]);
  const publisher = connected(broker, { clientId: 'p', level: 5 });
  publisher.send(publish5('news', '1', { qos: 1 }));
  t.same(takeAll(five.peer, five.peer.received()), ['q1 news 1']);
  five.peer.drop();
  publisher.send(publish5('news', '2', { qos: 1 }));
  const again = attempt(broker, connect({ clientId: 'a', clean: false }));
  t.equal(again.answers[0], 'CONNACK present 0');
  t.same(takeAll(again.peer, again.answers), ['q1 news 2']);
  again.peer.drop();
  pass(broker, clock, 1e9);
  t.ok(isThere(broker, 'a'), 'resumed in 3.1.1 it is kept for ever again');
  checkInvariants(broker);
  t.end();
});

t.test('5.0 3.14.2.2.2: DISCONNECT changes the expiry, but not from 0', (t) => {
  const { broker, clock } = start();
  connected(broker, resume('ends', 60)).send(disconnect(0, { sessionExpiry: 0 }));
  t.same(tablesInUse(broker), [], 'at once');
  connected(broker, resume('longer', 1)).send(disconnect(0, { sessionExpiry: 60 }));
  pass(broker, clock, 0);
  pass(broker, clock, 59_999);
  t.ok(isThere(broker, 'longer'));
  const zero = connected(broker, resume('zero', 0, { will: { topic: 'will', payload: 'gone' } }));
  const witness = connected(broker, { clientId: 'w' });
  witness.send(subscribe(1, ['will', 0]));
  t.same(zero.send(disconnect(0, { sessionExpiry: 1 })), ['DISCONNECT 0x82 {reason a packet broke the protocol}']);
  t.same(witness.received(), ['PUBLISH q0 will gone'], 'that was no DISCONNECT');
  t.equal(broker.counters[count.ERRORS_PROTOCOL], 1);
  const harmless = connected(broker, resume('zero', 0));
  t.same(harmless.send(disconnect(0, { sessionExpiry: 0 })), []);
  t.notOk(isThere(broker, 'zero'));
  checkInvariants(broker);
  t.end();
});

t.test('sessions that end together end over several ticks, and who comes back meanwhile finds none', (t) => {
  const sessionsMax = 2 * SESSIONS_PER_TICK + 10;
  const { broker, clock } = start({ sessionsMax, queuedMax: sessionsMax, subscriptionsMax: sessionsMax,
    subscriptionNodesMax: sessionsMax });
  for (let i = 0; i < sessionsMax; i++) {
    const peer = connected(broker, resume(`c${i}`, 1 + i % 2));
    peer.send(subscribe5(1, {}, [`t${i}`, 1]));
    peer.drop();
  }
  pass(broker, clock, 0);
  t.equal(tableCounts(broker)['sessions'], sessionsMax);
  pass(broker, clock, 2000);
  t.equal(tableCounts(broker)['sessions'], sessionsMax - SESSIONS_PER_TICK);
  const last = `c${sessionsMax - 1}`;
  const { answers, peer } = attempt(broker, connect(resume(last)));
  t.match(answers, [/^CONNACK new 0/], 'its session was still there, and over');
  peer.drop();
  checkInvariants(broker);
  pass(broker, clock, 0);
  pass(broker, clock, 0);
  t.same(tablesInUse(broker), []);
  t.equal(broker.counters[count.CLIENTS_EXPIRED], sessionsMax - 1);
  checkInvariants(broker);
  t.end();
});

t.test('a clock that jumps back ends nothing early, one that jumps ahead ends all that is due', (t) => {
  const { broker, clock } = start();
  connected(broker, resume('a', 10)).drop();
  pass(broker, clock, 0);
  pass(broker, clock, 6000);
  pass(broker, clock, -1e6);
  pass(broker, clock, 3999);
  t.equal(tableCounts(broker)['sessions'], 1, '9,999 ms have passed');
  broker.tick(NaN);
  t.equal(tableCounts(broker)['sessions'], 1);
  broker.tick(clock.nowMs);
  broker.tick(clock.nowMs + 1e15);
  t.same(tablesInUse(broker), []);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.1.4-3] takeover: the old connection gets 0x8E, its session goes on, with the new expiry', (t) => {
  const { broker, clock } = start();
  const first = connected(broker, resume('a', 60));
  first.send(subscribe5(1, {}, ['news', 1]));
  const second = attempt(broker, connect(resume('a', 5)));
  t.same(first.received(), ['DISCONNECT 0x8e {reason another connection uses the client identifier}']);
  t.ok(first.link.closed);
  t.match(second.answers, [/^CONNACK present 0/]);
  second.peer.drop();
  pass(broker, clock, 0);
  pass(broker, clock, 5000);
  t.same(tablesInUse(broker), []);
  const old = connected(broker, { clientId: 'b' });
  attempt(broker, connect(resume('b', 5)));
  t.same(old.received(), [], 'in 3.1.1 there is nothing to say');
  t.ok(old.link.closed);
  const plain = connected(broker, resume('c'));
  attempt(broker, connect(resume('c', 60)));
  t.ok(plain.link.closed);
  t.notOk(isThere(broker, 'never'), 'an expiry of 0 ended the session with the connection');
  checkInvariants(broker);
  t.end();
});

t.test('a full table of sessions refuses with 0x97 until one of them ends', (t) => {
  const { broker, clock } = start({ clientsMax: 2, sessionsMax: 3 });
  for (const name of ['a', 'b', 'c']) connected(broker, resume(name, 5)).drop();
  const full = attempt(broker, connect(resume('d', 5)));
  t.match(full.answers, [/^CONNACK new 151/]);
  t.ok(full.closed);
  pass(broker, clock, 0);
  pass(broker, clock, 5000);
  t.match(attempt(broker, connect(resume('d', 5))).answers, [/^CONNACK new 0/]);
  checkInvariants(broker);
  t.end();
});

t.test('a peer that vanishes in the same tick as its session is due harms nothing', (t) => {
  const { broker, clock } = start({ connectTimeoutMs: 1000 });
  const peer = connected(broker, resume('a', 0, { keepAlive: 1, will: { topic: 'w', payload: '' } }));
  const silent = new Peer(broker);
  pass(broker, clock, 0);
  pass(broker, clock, 1500);
  t.ok(peer.link.closed && silent.link.closed);
  t.same(tablesInUse(broker), []);
  checkInvariants(broker);
  t.end();
});
