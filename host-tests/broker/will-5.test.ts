// Wills of MQTT 5.0: their delay, what cancels it, and what DISCONNECT does with them. MQTT 5.0 sections 3.1.2.5,
// 3.1.3.2.2 and 3.14.4. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { connect, disconnect, subscribe, subscribe5, type ConnectFields, type Properties } from '../support/packets.js';
import { connected, makeBroker, pass, type Peer } from '../support/peer.js';
import { SESSIONS_PER_TICK } from '../../src/broker/age.js';
import type { Broker } from '../../src/broker/broker.js';
import * as count from '../../src/broker/counters.js';
import type { Limits } from '../../src/limits.js';
import { attempt, tableCounts, tablesInUse } from './steps.js';

const GONE = 'PUBLISH q0 will/a gone';

function withWill(sessionExpiry: number, properties: Properties = {}, fields: ConnectFields = {}): ConnectFields {
  return { clientId: 'a', level: 5, clean: false, properties: { sessionExpiry },
    will: { topic: 'will/a', payload: 'gone', properties }, ...fields };
}

/** A broker with a witness, in 3.1.1, of `will/#`, and a client with a will, its delay in seconds. */
function start(sessionExpiry: number, willDelay: number, limits: Partial<Limits> = {}): {
  broker: Broker; clock: { nowMs: number }; witness: Peer; client: Peer;
} {
  const broker = makeBroker(limits);
  const clock = { nowMs: 0 };
  broker.tick(0);
  const witness = connected(broker, { clientId: 'witness' });
  witness.send(subscribe(1, ['will/#', 0]));
  return { broker, clock, witness, client: connected(broker, withWill(sessionExpiry, { willDelay })) };
}

t.test('5.0 [MQTT-3.1.2-8] the will comes when its delay is over or the session ends, whatever is first', (t) => {
  const cases: [expiry: number, delay: number, afterMs: number][] = [
    [60, 0, 0], [0, 60, 0], [0, 0, 0], [60, 10, 10_000], [10, 60, 10_000], [10, 10, 10_000],
    [0xffffffff, 5, 5000], [0xfffffffe, 0xffffffff, 0xfffffffe * 1000],
  ];
  for (const [expiry, delay, afterMs] of cases) {
    const { broker, clock, witness, client } = start(expiry, delay);
    client.drop();
    if (afterMs > 0) {
      pass(broker, clock, 0);
      pass(broker, clock, afterMs - 1);
      t.same(witness.received(), [], `expiry ${expiry}, delay ${delay}: not before`);
      checkInvariants(broker);
      pass(broker, clock, 1);
    }
    t.same(witness.received(), [GONE], `expiry ${expiry}, delay ${delay}`);
    t.equal(tableCounts(broker)['kept'], 0, '5.0 [MQTT-3.1.2-10] and it is forgotten');
    checkInvariants(broker);
    pass(broker, clock, 0xffffffff * 1000);
    t.same(witness.received(), [], 'once');
  }
  t.end();
});

t.test('5.0 [MQTT-3.1.3-9] who is back in time has no will published, with a new will or without', (t) => {
  for (const fields of [withWill(60, { willDelay: 10 }), { clientId: 'a', level: 5, clean: false },
    { clientId: 'a', clean: false }]) {
    const { broker, clock, witness, client } = start(60, 10);
    client.drop();
    pass(broker, clock, 0);
    pass(broker, clock, 9999);
    const back = attempt(broker, connect(fields)).peer;
    t.equal(tableCounts(broker)['kept'], fields.will ? 1 : 0);
    pass(broker, clock, 100_000);
    t.same(witness.received(), []);
    checkInvariants(broker);
    back.send(disconnect());
    pass(broker, clock, 100_000);
    t.same(witness.received(), []);
  }
  t.end();
});

t.test('5.0 3.1.4: takeover publishes a will without delay; one with a delay only if the session ends', (t) => {
  const cases: [delay: number, clean: boolean, published: boolean][] = [
    [0, false, true], [0, true, true], [10, false, false], [10, true, true],
  ];
  for (const [delay, clean, published] of cases) {
    const { broker, clock, witness } = start(60, delay);
    attempt(broker, connect({ clientId: 'a', level: 5, clean }));
    t.same(witness.received(), published ? [GONE] : [], `delay ${delay}, clean ${clean}`);
    pass(broker, clock, 100_000);
    t.same(witness.received(), []);
    t.equal(tableCounts(broker)['kept'], 0);
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 3.1.2.5: a clean start while the will waits ends the session, and so publishes it', (t) => {
  const { broker, witness, client } = start(60, 10);
  client.drop();
  t.same(witness.received(), []);
  const { answers } = attempt(broker, connect({ clientId: 'a', level: 5 }));
  t.match(answers, [/^CONNACK new 0/]);
  t.same(witness.received(), [GONE]);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.14.4-3] DISCONNECT 0x00 drops the will; 0x04 and every error want it', (t) => {
  for (const code of [undefined, 0, 4, 0x80, 0x82, 0x99]) {
    const published = code !== undefined && code !== 0;
    const { broker, clock, witness, client } = start(60, 0);
    t.same(client.send(disconnect(code)), [], '5.0 [MQTT-3.14.4-1] and gets no answer');
    t.ok(client.link.closed);
    t.same(witness.received(), published ? [GONE] : [], `${code}`);
    pass(broker, clock, 1000);
    t.equal(tableCounts(broker)['kept'], 0);
    checkInvariants(broker);
  }
  const { broker, clock, witness, client } = start(60, 5);
  client.send(disconnect(4));
  pass(broker, clock, 0);
  t.same(witness.received(), [], 'with its delay');
  pass(broker, clock, 5000);
  t.same(witness.received(), [GONE]);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.14.2-1] a code that DISCONNECT cannot have is a protocol error, and the will comes', (t) => {
  const { witness, client } = start(0, 0);
  t.same(client.send(disconnect(5)), ['DISCONNECT 0x82 {reason a packet broke the protocol}']);
  t.same(witness.received(), [GONE]);
  t.end();
});

t.test('DISCONNECT that shortens the session brings a will that waits for it forward', (t) => {
  const { broker, clock, witness, client } = start(60, 60);
  client.send(disconnect(4, { sessionExpiry: 1 }));
  pass(broker, clock, 0);
  pass(broker, clock, 1000);
  t.same(witness.received(), [GONE]);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.1.2-7] wills that wait fill their store: who has another one is refused with 0x97', (t) => {
  const { broker, clock, witness, client } = start(60, 10, { sessionsMax: 40, retainedBytes: 1024 });
  client.drop();
  const will = { topic: 'will/big', payload: 'x'.repeat(200), properties: { willDelay: 10 } };
  const accepted: boolean[] = [];
  for (let i = 0; i < 6; i++) {
    const { answers, peer } = attempt(broker, connect(withWill(60, {}, { clientId: `b${i}`, will })));
    accepted.push((answers[0] ?? '').startsWith('CONNACK new 0'));
    t.match(answers, [accepted[i] ? /^CONNACK new 0/ : /^CONNACK new 151/]);
    peer.drop();
    checkInvariants(broker);
  }
  t.same([accepted.includes(true), accepted[5]], [true, false]);
  const old = attempt(broker, connect({ clientId: 'old', will }));
  t.same(old.answers, ['CONNACK new 3'], 'in 3.1.1 with 0x03');
  t.match(attempt(broker, connect(withWill(60, {}, { clientId: 'b0', will }))).answers, [/^CONNACK present 0/],
    'the old will makes room for that of the same session');
  pass(broker, clock, 0);
  pass(broker, clock, 10_000);
  t.equal(witness.received().length, accepted.filter(Boolean).length, 'that of a, and those of the others but b0');
  t.match(attempt(broker, connect(withWill(60, {}, { clientId: 'b9', will }))).answers, [/^CONNACK new 0/]);
  checkInvariants(broker);
  t.end();
});

t.test('a retained will that waits may take the room of the next one: refused, and nothing is left', (t) => {
  const broker = makeBroker({ retainedBytes: 1024, packetBytesMax: 1024 });
  const will = { topic: 'will/a', payload: 'x'.repeat(400), retain: true, properties: { willDelay: 10 } };
  connected(broker, withWill(60, {}, { will })).drop();
  const other = { ...will, topic: 'will/b', payload: 'x'.repeat(650) };
  const { answers } = attempt(broker, connect(withWill(60, {}, { clean: true, will: other })));
  t.match(answers, [/^CONNACK new 151/]);
  t.equal(tableCounts(broker)['sessions'], 0);
  t.equal(tableCounts(broker)['retained'], 1);
  checkInvariants(broker);
  t.end();
});

t.test('wills that are due together come over several ticks; who comes back too late does not cancel its own', (t) => {
  const clients = SESSIONS_PER_TICK + 20;
  const { broker, clock, witness, client } = start(600, 10, { sessionsMax: 200, retainedBytes: 65536 });
  client.drop();
  for (let i = 0; i < clients; i++) {
    connected(broker, withWill(600, { willDelay: 10 }, { clientId: `c${i}` })).drop();
  }
  pass(broker, clock, 0);
  pass(broker, clock, 10_000);
  t.equal(witness.received().length, SESSIONS_PER_TICK);
  attempt(broker, connect({ clientId: `c${clients - 1}`, level: 5, clean: false }));
  t.same(witness.received(), [GONE], 'its will was due');
  pass(broker, clock, 0);
  t.equal(witness.received().length, clients - SESSIONS_PER_TICK);
  t.equal(tableCounts(broker)['kept'], 0);
  checkInvariants(broker);
  t.end();
});

t.test('closing the broker publishes the wills that wait', (t) => {
  const { broker, witness, client } = start(60, 10);
  client.drop();
  broker.close();
  t.same(witness.received(), [GONE]);
  t.equal(tableCounts(broker)['kept'], 0);
  t.end();
});

t.test('5.0 3.1.3.2.3: a will that says UTF-8 and is not is refused with 0x99', (t) => {
  const broker = makeBroker();
  const will = { topic: 'w', payload: Uint8Array.of(0xff), properties: { format: 1 } };
  t.same(attempt(broker, connect(withWill(0, {}, { will }))).answers,
    ['CONNACK new 153 {reason a payload or will is said to be UTF-8 and is not}']);
  t.same(tablesInUse(broker), []);
  t.equal(broker.counters[count.CLIENTS_CONNECTED], 0);
  const bytes = { ...will, properties: { format: 0 } };
  t.match(attempt(broker, connect(withWill(0, {}, { will: bytes }))).answers, [/^CONNACK new 0/]);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.1.3-10] properties of a will go with it, in their order, its delay stays behind', (t) => {
  const { broker, clock } = start(0, 0);
  const witness = connected(broker, { clientId: 'five', level: 5 });
  witness.send(subscribe5(1, {}, ['will/p', 0]));
  const properties: Properties = { willDelay: 3, contentType: 'text', user: [['b', '1'], ['a', '2'], ['b', '3']],
    expiry: 60 };
  connected(broker, withWill(60, {}, { clientId: 'p', will: { topic: 'will/p', payload: 'x', properties } })).drop();
  pass(broker, clock, 0);
  pass(broker, clock, 3000);
  t.same(witness.received(), ['PUBLISH q0 will/p x {expiry 60, contentType text, user b=1, user a=2, user b=3}']);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.1.3-10] properties of a will as long as their length takes one byte more, with an expiry', (t) => {
  // Kept are the expiry, 5 bytes, and a user property with 5 bytes around its text.
  for (const byteCount of [127, 128, 16_383, 16_384]) {
    const size = { packetBytesMax: 20_000, inboxBytes: 20_000, outboxBytes: 21_000, retainedBytes: 40_000,
      queueBytes: 40_000, sessionQueuedBytesMax: 20_000 };
    const broker = makeBroker(size);
    const witness = connected(broker, { clientId: 'witness', level: 5 });
    witness.send(subscribe5(1, {}, ['will/#', 0]));
    const text = 'x'.repeat(byteCount - 10);
    connected(broker, withWill(0, { expiry: 100, user: ['', text] })).drop();
    t.same(witness.received(), [`PUBLISH q0 will/a gone {expiry 100, user =${text}}`], `${byteCount} bytes`);
    checkInvariants(broker);
  }
  t.end();
});
