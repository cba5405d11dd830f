// How a client connects, comes back, waits and ends; options and limits that no client can have. Runs on Node and on XS.

import t from 'tap';
import { ESP32_CLIENT_LIMITS, ESP8266_CLIENT_LIMITS } from '../../src/client/board-limits.js';
import { clientByteBudget, clientLimits } from '../../src/client/limits.js';
import { CLOSED, CLOSING, CONNECT_REFUSED, CONNECT_TIMEOUT, CONNECTED, CONNECTING, LINK_LOST, OPENING,
  WAITING } from '../../src/client/states.js';
import { MALFORMED, PROTOCOL_ERROR, TOO_LARGE } from '../../src/wire/codes.js';
import { ascii, connack, pingresp, publish } from '../support/packets.js';
import { Random } from '../support/random.js';
import { ScriptedBroker, smallClientLimits } from './scripted-broker.js';

t.test('3.1: CONNECT is the first packet, CONNACK makes the connection', (t) => {
  const broker = new ScriptedBroker();
  const { client, notes } = broker;
  t.equal(client.state, CLOSED);
  client.connect();
  client.connect();
  t.same([client.state, broker.links.length], [OPENING, 1], 'idempotent');
  t.same(broker.sent(), [], 'nothing before the link is open');
  t.same(broker.open(), ['CONNECT kept salon']);
  t.equal(client.state, CONNECTING);
  t.same(broker.send(connack(false)), []);
  t.equal(client.state, CONNECTED);
  t.same(notes.told(), ['connected new']);
  t.end();
});

t.test('the bytes of CONNECT: will, login, keep-alive', (t) => {
  const will = { topic: ascii('e'), payload: ascii('off'), qos: 1, retain: true };
  const broker = new ScriptedBroker({ will, userName: ascii('marie'), password: ascii('pw'), cleanSession: true,
    keepAliveSeconds: 258 });
  broker.client.connect();
  let written = '';
  broker.link.write = (source, start, end) => {
    written = Array.from(source.slice(start, end), (byte) => String.fromCharCode(byte)).join('');
  };
  broker.open();
  t.equal(written, '\x10\x24\x00\x04MQTT\x04\xee\x01\x02\x00\x05salon\x00\x01e\x00\x03off\x00\x05marie\x00\x02pw');
  t.end();
});

t.test('3.2.2.3: a refusal is told with its code, and tried again', (t) => {
  for (const returnCode of [1, 2, 3, 4, 5]) {
    const broker = new ScriptedBroker();
    broker.client.connect();
    broker.open();
    broker.send(connack(false, returnCode));
    t.same(broker.notes.told(), [`refused ${returnCode}`, `ended ${CONNECT_REFUSED}`]);
    t.equal(broker.client.state, WAITING);
    t.ok(broker.link.closed);
    broker.pass(1000);
    t.equal(broker.links.length, 2, 'another attempt');
  }
  t.end();
});

t.test('whoever closes when refused is not tried again', (t) => {
  const broker = new ScriptedBroker();
  broker.notes.refused = () => broker.client.disconnect();
  broker.client.connect();
  broker.open();
  broker.send(connack(false, 5));
  t.same(broker.notes.told(), ['closed incomplete']);
  broker.pass(120_000);
  t.same([broker.links.length, broker.client.state], [1, CLOSED]);
  t.end();
});

t.test('what a broker must not send ends the connection', (t) => {
  const first: [string, Uint8Array, number][] = [
    ['a message before CONNACK [MQTT-3.2.0-1]', publish('a', 'b'), PROTOCOL_ERROR],
    ['PINGRESP before CONNACK', pingresp(), PROTOCOL_ERROR],
    ['a packet that is malformed', Uint8Array.of(0x20, 0x80, 0x80, 0x80, 0x80), MALFORMED],
    ['CONNACK of another length', Uint8Array.of(0x20, 3, 0, 0, 0), MALFORMED],
    ['session present with a refusal [MQTT-3.2.2-4]', connack(true, 5), PROTOCOL_ERROR],
    ['a huge packet before CONNACK', Uint8Array.of(0x30, 0xff, 0xff, 0x7f), TOO_LARGE],
  ];
  for (const [what, bytes, reason] of first) {
    const broker = new ScriptedBroker();
    broker.client.connect();
    broker.open();
    broker.send(bytes);
    t.same(broker.notes.told(), [`ended ${reason}`], what);
    t.same([broker.client.state, broker.link.closed, broker.client.counters.errors], [WAITING, true, 1], what);
  }
  const clean = new ScriptedBroker({ cleanSession: true });
  clean.accept(true);
  t.same(clean.notes.told(), [`ended ${PROTOCOL_ERROR}`], 'session present for a clean session [MQTT-3.2.2-1]');
  const twice = new ScriptedBroker();
  twice.accept();
  twice.notes.told();
  twice.send(connack(false));
  t.same(twice.notes.told(), [`ended ${PROTOCOL_ERROR}`], 'CONNACK twice');
  for (const packet of ['1000', '8000', 'c000', 'e000']) {
    const broker = new ScriptedBroker();
    broker.accept();
    broker.send(Uint8Array.from(packet.match(/../g)!, (digits) => parseInt(digits, 16)));
    t.equal(broker.client.state, WAITING, `${packet}: only a client sends it`);
  }
  t.end();
});

t.test('an attempt has a time-out, before and after the link is open', (t) => {
  const broker = new ScriptedBroker({}, { connectTimeoutMs: 3000 });
  broker.client.connect();
  broker.pass(2750);
  t.equal(broker.client.state, OPENING);
  broker.pass(250);
  t.same(broker.notes.told(), [`ended ${CONNECT_TIMEOUT}`]);
  t.ok(broker.link.closed, 'the link is given up');
  broker.pass(1000);
  t.same(broker.open(), ['CONNECT kept salon']);
  broker.pass(2750);
  t.equal(broker.client.state, CONNECTING);
  broker.pass(250);
  t.same(broker.notes.told(), [`ended ${CONNECT_TIMEOUT}`]);
  t.end();
});

/** Milliseconds from a loss to the next attempt. */
function waitAfterLoss(broker: ScriptedBroker): number {
  const links = broker.links.length;
  let waitedMs = 0;
  while (broker.links.length === links) {
    broker.pass(10, 10);
    waitedMs += 10;
  }
  return waitedMs;
}

t.test('attempts come at growing distances, up to the longest', (t) => {
  const broker = new ScriptedBroker();
  broker.client.connect();
  const waits: number[] = [];
  for (let i = 0; i < 9; i++) {
    broker.lose();
    waits.push(waitAfterLoss(broker));
  }
  t.same(waits, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  broker.accept();
  broker.lose();
  t.equal(waitAfterLoss(broker), 60_000, 'accepted and cut at once is a failure');
  broker.accept();
  broker.pass(60_000, 1000);
  broker.send(pingresp());
  broker.pass(1000);
  broker.lose();
  t.equal(waitAfterLoss(broker), 1000, 'a connection that held begins anew');
  t.end();
});

t.test('the wait is a random one between half of it and all of it', (t) => {
  const random = new Random(20261121);
  let least = Infinity;
  let most = 0;
  for (let i = 0; i < 200; i++) {
    const broker = new ScriptedBroker({ random: () => random.next() }, { reconnectFirstMs: 2000 });
    broker.client.connect();
    broker.lose();
    const waitedMs = waitAfterLoss(broker);
    least = Math.min(least, waitedMs);
    most = Math.max(most, waitedMs);
  }
  t.ok(least >= 1000 && least < 1200, `least ${least}`);
  t.ok(most > 1800 && most <= 2010, `most ${most}`);
  t.end();
});

t.test('3.14: disconnect says so after what is on its way, and is the end', (t) => {
  const broker = new ScriptedBroker();
  broker.accept();
  broker.notes.told();
  broker.publish('a', 'b');
  broker.client.disconnect();
  t.same(broker.link.packets(), ['PUBLISH q0 a b', 'DISCONNECT']);
  t.same([broker.client.state, broker.link.closed], [CLOSED, true]);
  broker.client.disconnect();
  t.same(broker.notes.told(), ['closed']);
  t.equal(broker.publish('a', 'c', 1), 1, 'kept');
  t.same(broker.pass(120_000), []);
  t.equal(broker.links.length, 1, 'no attempt');
  t.same(broker.accept(), ['PUBLISH q1 id1 a c'], 'until it is asked for');
  t.end();
});

t.test('a link that takes nothing gets its time, and no more', (t) => {
  const broker = new ScriptedBroker({}, { pingTimeoutMs: 5000 });
  broker.accept();
  broker.link.capacity = 3;
  broker.link.drain();
  broker.publish('a', 'b');
  broker.client.disconnect();
  t.equal(broker.client.state, CLOSING);
  broker.pass(4000);
  broker.link.drain();
  broker.client.writable();
  broker.pass(4000);
  t.equal(broker.client.state, CLOSING, 'bytes went out: the time begins anew');
  broker.pass(1000);
  t.same([broker.client.state, broker.link.closed], [CLOSED, true]);
  t.same(broker.notes.told().slice(-1), ['closed incomplete']);
  const patient = new ScriptedBroker();
  patient.accept();
  patient.link.capacity = 4;
  patient.link.drain();
  patient.publish('a', 'b');
  patient.client.disconnect();
  for (let i = 0; i < 3; i++) {
    patient.link.drain();
    patient.client.writable();
  }
  t.same(patient.link.packets(), ['PUBLISH q0 a b', 'DISCONNECT']);
  t.same(patient.notes.told().slice(-1), ['closed']);
  t.end();
});

t.test('a link that is lost while closing is the end as well; connect while closing starts anew', (t) => {
  const broker = new ScriptedBroker();
  broker.accept();
  broker.link.capacity = 0;
  broker.client.disconnect();
  broker.lose();
  t.same([broker.client.state, ...broker.notes.told().slice(-1)], [CLOSED, 'closed incomplete']);
  broker.accept();
  broker.link.capacity = 0;
  broker.client.disconnect();
  broker.client.connect();
  t.same([broker.client.state, broker.links.length], [OPENING, 3]);
  t.end();
});

t.test('losing the link is told once, whatever the platform reports afterwards', (t) => {
  const broker = new ScriptedBroker();
  broker.accept();
  broker.notes.told();
  broker.client.disconnected();
  broker.client.disconnected();
  broker.client.writable();
  broker.client.received(0);
  broker.client.opened();
  t.same(broker.notes.told(), [`ended ${LINK_LOST}`]);
  t.equal(broker.client.counters.connectionsLost, 1);
  t.end();
});

t.test('one wake for each turn in which something is to be sent', (t) => {
  const broker = new ScriptedBroker();
  broker.accept();
  const before = broker.wakes;
  broker.publish('a', '1');
  broker.publish('a', '2');
  t.equal(broker.wakes, before + 1);
  const writes = broker.link.writes;
  t.same(broker.sent(), ['PUBLISH q0 a 1', 'PUBLISH q0 a 2']);
  t.equal(broker.link.writes, writes + 1, 'and one write');
  broker.publish('a', '3');
  t.equal(broker.wakes, before + 2);
  t.end();
});

t.test('options that no CONNECT can carry are refused by name; an empty identifier needs a clean session [MQTT-3.1.3-7]', (t) => {
  const long = new Uint8Array(0x1_0000).fill(0x61);
  const will = { topic: ascii('e'), payload: ascii('x'), qos: 0, retain: false };
  const refused: [Parameters<typeof smallClientLimits>[0] & object, ConstructorParameters<typeof ScriptedBroker>[0] & object, RegExp][] = [
    [{}, { protocolLevel: 6 }, /protocolLevel is 6: it must be 5 .*, 4 .* or 3/],
    [{}, { keepAliveSeconds: 65_536 }, /keep-alive is 65536 seconds: .*0 to 65535/],
    [{}, { keepAliveSeconds: 1.5 }, /keep-alive is 1.5 seconds/],
    [{}, { clientId: long }, /client identifier has 65536 bytes/],
    [{}, { clientId: Uint8Array.of(0xff) }, /client identifier is not UTF-8/],
    [{}, { clientId: ascii(''), cleanSession: false }, /needs a client identifier/],
    [{}, { password: ascii('x') }, /a password needs a user name/],
    [{}, { will: { ...will, topic: ascii('a/+') } }, /topic of the will/],
    [{}, { will: { ...will, topic: ascii('') } }, /topic of the will/],
    [{}, { will: { ...will, qos: 3 } }, /QoS of the will is 3/],
    [{}, { userName: new Uint8Array(300).fill(0x61) }, /CONNECT takes 32\d bytes .* packetBytesMax, which is 256/],
    [{ queuedMax: 0 }, {}, /queuedMax is 0/],
    [{ inboxBytes: 100 }, {}, /inboxBytes is 100: it must be 256/],
    [{ outboxBytes: 256 }, {}, /outboxBytes is 256: it must be 288/],
    [{ inflightMax: 65_532 }, {}, /inflightMax is 65532: it must be 1 to 65531/],
    [{ queueBytes: 255 }, {}, /queueBytes is 255: in blocks of 32 .*less than packetBytesMax/],
    [{ reconnectMaxMs: 10 }, {}, /reconnectMaxMs is 10: it must be 1000/],
    [{ queueFull: 'nonsense' as 'refuse-new' }, {}, /queueFull is "nonsense"/],
  ];
  for (const [limits, options, words] of refused) {
    t.throws(() => new ScriptedBroker(options, limits), { message: words }, String(words));
  }
  t.end();
});

t.test('the byte budget is what is allocated', (t) => {
  for (const limits of [smallClientLimits(), clientLimits(), clientLimits({ queuedMax: 40_000, queueBytes: 1 << 23 }),
    ESP8266_CLIENT_LIMITS, ESP32_CLIENT_LIMITS]) {
    const budget = clientByteBudget(limits);
    const { memory } = new ScriptedBroker({}, limits).client;
    t.equal(memory.bytes.length, budget.memory);
    const { queues } = memory.deliveries;
    t.equal(queues.buffer.byteLength, budget.columns, 'the one buffer of columns');
    t.equal(queues.byteOffset + queues.byteLength, budget.columns, 'and its last column');
  }
  t.end();
});
