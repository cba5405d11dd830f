// What a client of MQTT 5.0 publishes: properties, aliases, expiry, and what the broker has told that
// it takes. Runs on Node and on XS.

import t from 'tap';
import { EXPIRED } from '../../src/client/states.js';
import { QueueFull } from '../../src/limits.js';
import {
  OK, PROTOCOL_ERROR, PUBLISH, QOS_NOT_SUPPORTED, QUOTA_EXCEEDED, RETAIN_NOT_SUPPORTED, SUBSCRIBE, TOO_LARGE,
} from '../../src/wire/codes.js';
import {
  ascii, encodeProperties, puback, pubcomp, pubrec, type Properties,
} from '../support/packets.js';
import { checkClientInvariants } from './invariants.js';
import { encoded, ScriptedBroker } from './scripted-broker.js';

const LEVEL_5 = { protocolLevel: 5 } as const;

function publish(broker: ScriptedBroker, qos: number, properties: Properties, payload = 'x', topic = 'a'): number {
  return broker.client.publish(ascii(topic), ascii(payload), qos, false, encoded(PUBLISH, properties));
}

/** A client that has connected to a broker that told that. */
function connected(told: Properties = {}, ...given: ConstructorParameters<typeof ScriptedBroker>): ScriptedBroker {
  const broker = new ScriptedBroker({ ...LEVEL_5, ...given[0] }, given[1]);
  broker.accept(false, told);
  broker.notes.told();
  return broker;
}

const ALL = { format: 1, contentType: 'text/plain', responseTopic: 'r', correlation: '\0\x01', user: [['b', '2'], ['a', '1'],
  ['b', '3']] as [string, string][] };
const WORDS = '{format 1, contentType text/plain, responseTopic r, correlation \0\x01, user b=2, user a=1, user b=3}';

t.test('properties go out as they are, in their order, at every QoS, by way of the queue or not', (t) => {
  const broker = connected();
  t.equal(publish(broker, 0, ALL), OK);
  t.same(broker.sent(), [`PUBLISH q0 a x ${WORDS}`]);
  t.equal(publish(broker, 0, {}), OK);
  t.same(broker.sent(), ['PUBLISH q0 a x'], 'none');
  publish(broker, 1, ALL);
  publish(broker, 2, ALL, '');
  t.same(broker.sent(), [`PUBLISH q1 id1 a x ${WORDS}`, `PUBLISH q2 id2 a  ${WORDS}`]);
  broker.lose();
  publish(broker, 1, { contentType: 'y' }, 'later');
  broker.pass(1000);
  t.same(broker.accept(true), [`PUBLISH q1 id1 dup a x ${WORDS}`, `PUBLISH q2 id2 dup a  ${WORDS}`,
    'PUBLISH q1 id3 a later {contentType y}'], 'and again');
  const long = 'z'.repeat(150);
  const large = connected();
  publish(large, 0, { contentType: long });
  publish(large, 1, { contentType: long, expiry: 9 });
  t.same(large.sent(), [`PUBLISH q0 a x {contentType ${long}}`, `PUBLISH q1 id1 a x {expiry 9, contentType ${long}}`],
    'more than 127 bytes of them; the expiry comes first');
  t.end();
});

t.test('properties of another packet are not taken; before 5.0 there are none', (t) => {
  const filters = encoded(SUBSCRIBE, { subscription: 1 });
  t.equal(connected().client.publish(ascii('a'), ascii('x'), 0, false, filters), PROTOCOL_ERROR);
  const old = new ScriptedBroker({ queueQos0: true });
  publish(old, 1, ALL);
  old.accept();
  publish(old, 0, ALL);
  t.same(old.sent(), ['PUBLISH q0 a x']);
  t.end();
});

t.test('a packet of just packetBytesMax, with its properties, goes out; one byte more does not', (t) => {
  for (const qos of [0, 1]) {
    for (const contentType of ['', 'y'.repeat(120), 'y'.repeat(130)]) {
      const broker = connected();
      const most = 256 - 3 - 2 - 1 - (qos > 0 ? 2 : 0) - encodeProperties({ contentType }).length;
      t.equal(publish(broker, qos, { contentType }, 'x'.repeat(most + 1)), TOO_LARGE);
      t.ok(publish(broker, qos, { contentType }, 'x'.repeat(most)) >= 0);
      t.match(broker.sent(), [/^PUBLISH/], `${contentType.length}`);
    }
  }
  t.end();
});

t.test('the expiry counts down while the message waits, 5.0 [MQTT-3.3.2-6]', (t) => {
  const broker = new ScriptedBroker(LEVEL_5);
  broker.pass(7300);
  publish(broker, 1, { expiry: 60, contentType: 'y' });
  publish(broker, 1, { expiry: 0xffffffff });
  broker.pass(20_000);
  t.same(broker.accept(), ['PUBLISH q1 id1 a x {expiry 40, contentType y}', 'PUBLISH q1 id2 a x {expiry 4294967267}'],
    'and never beyond what the clock can tell');
  publish(broker, 0, { expiry: 60 });
  t.same(broker.sent(), ['PUBLISH q0 a x {expiry 60}'], 'not for what does not wait');
  broker.lose();
  broker.pass(50_000);
  t.same(broker.accept(true), ['PUBLISH q1 id1 dup a x {expiry 0, contentType y}',
    'PUBLISH q1 id2 dup a x {expiry 4294967217}'], 'what is in flight goes on to its end');
  t.end();
});

t.test('what expired while it waited is dropped and told, 5.0 section 3.3.2.3.3', (t) => {
  const broker = new ScriptedBroker({ ...LEVEL_5, queueQos0: true });
  for (const [qos, expiry] of [[1, 5], [0, 6], [2, 100], [1, 7]] as const) publish(broker, qos, { expiry });
  publish(broker, 1, {});
  broker.pass(10_000);
  t.same(broker.accept(), ['PUBLISH q2 id1 a x {expiry 90}', 'PUBLISH q1 id2 a x']);
  t.same(broker.notes.told(), ['connected new', `dropped 1 ${EXPIRED}`, `dropped 2 ${EXPIRED}`, `dropped 4 ${EXPIRED}`]);
  t.same([broker.client.counters.droppedExpired, broker.client.waitingCount], [3, 2]);
  t.end();
});

t.test('what expired makes room before anything else, whatever the queue does when it is full', (t) => {
  for (const queueFull of Object.values(QueueFull)) {
    const broker = new ScriptedBroker(LEVEL_5, { queueFull, queuedMax: 3 });
    for (const expiry of [100, 5, 100]) publish(broker, 1, { expiry });
    if (queueFull === QueueFull.REFUSE_NEW) t.equal(publish(broker, 1, {}), QUOTA_EXCEEDED, 'not yet');
    broker.pass(10_000);
    t.equal(publish(broker, 1, {}), 2, queueFull);
    t.same(broker.notes.told(), [`dropped 2 ${EXPIRED}`]);
  }
  t.end();
});

t.test('aliases stand for repeated topics, as many as the broker takes, 5.0 [MQTT-3.2.2-17]', (t) => {
  const broker = connected({ aliasMaximum: 2 }, { queueQos0: true });
  for (const topic of ['abc', 'abc', 'house/a', 'house/b', 'house/a', 'house/c', 'house/b']) {
    broker.publish(topic, 'x');
  }
  t.same(broker.sent(), ['PUBLISH q0 abc x', 'PUBLISH q0 abc x', 'PUBLISH q0 house/a x {alias 1}',
    'PUBLISH q0 house/b x {alias 2}', 'PUBLISH q0  x {alias 1}', 'PUBLISH q0 house/c x', 'PUBLISH q0  x {alias 2}'],
    'first come, first served, but for topics that are no longer than an alias');
  publish(broker, 1, { contentType: 'y' }, 'x', 'house/b');
  broker.publish('house/c', 'x', 2);
  t.same(broker.sent(), ['PUBLISH q1 id1  x {contentType y, alias 2}', 'PUBLISH q2 id2 house/c x'], 'by way of the queue');
  broker.lose();
  broker.publish('house/b', 'kept');
  broker.pass(1000);
  t.same(broker.accept(true, { aliasMaximum: 9 }), ['PUBLISH q1 id1 dup house/b x {contentType y, alias 1}',
    'PUBLISH q2 id2 dup house/c x {alias 2}', 'PUBLISH q0  kept {alias 1}'],
    'they end with the connection, 5.0 [MQTT-3.3.2-7]');
  broker.lose();
  broker.pass(2000);
  t.same(broker.accept(true), ['PUBLISH q1 id1 dup house/b x {contentType y}', 'PUBLISH q2 id2 dup house/c x'],
    'the broker takes none, 5.0 [MQTT-3.2.2-18]');
  broker.publish('house/b', 'x');
  t.same(broker.sent(), ['PUBLISH q0 house/b x']);
  t.end();
});

t.test('our own limits of aliases: their number, the bytes of a topic, none at all', (t) => {
  for (const [limits, wanted] of [
    [{ topicAliasMax: 1 }, ['house/long {alias 1}', ' {alias 1}', 'house/b', 'house/b']],
    [{ topicAliasBytes: 9 }, ['house/long', 'house/long', 'house/b {alias 1}', ' {alias 1}']],
    [{ topicAliasMax: 0 }, ['house/long', 'house/long', 'house/b', 'house/b']],
  ] as const) {
    const broker = connected({ aliasMaximum: 5 }, {}, limits);
    for (const topic of ['house/long', 'house/long', 'house/b', 'house/b']) broker.publish(topic, '');
    t.same(broker.sent(), wanted.map((words) => `PUBLISH q0 ${words.replace(/ \{|$/, (found) => found === '' ? ' ' : ` ${found}`)}`));
  }
  t.end();
});

t.test('an alias makes no packet too large', (t) => {
  for (const qos of [0, 1]) {
    for (let payloadBytes = 60; payloadBytes < 90; payloadBytes++) {
      const broker = connected({ aliasMaximum: 5, packetMaximum: 100 });
      const payload = 'x'.repeat(payloadBytes);
      const sizes: number[] = [];
      broker.link.write = (source, start, end) => {
        for (let at = start; at < end; at += 2 + source[at + 1]!) sizes.push(2 + source[at + 1]!);
      };
      const taken = [1, 2].map(() => publish(broker, qos, { user: ['', ''] }, payload, 'house/a'));
      broker.sent();
      t.equal(sizes.length, taken.filter((outcome) => outcome >= 0).length);
      t.ok(sizes.every((size) => size <= 100), `${sizes.join(', ')} bytes`);
    }
  }
  t.end();
});

t.test('what the broker does not take is refused at once: size, QoS, RETAIN', (t) => {
  const broker = connected({ packetMaximum: 20, maximumQos: 1, retainAvailable: 0 });
  t.equal(broker.publish('a', 'x'.repeat(15)), TOO_LARGE, '5.0 [MQTT-3.2.2-15]');
  t.equal(broker.publish('a', 'x', 2), QOS_NOT_SUPPORTED, '5.0 [MQTT-3.2.2-11]');
  t.equal(broker.publish('a', 'x', 0, true), RETAIN_NOT_SUPPORTED, '5.0 [MQTT-3.2.2-14]');
  t.equal(broker.publish('a', 'x'.repeat(14)), OK);
  t.ok(broker.publish('a', 'x'.repeat(12), 1) > 0);
  t.equal(publish(broker, 0, { contentType: '' }, 'x'.repeat(12)), TOO_LARGE, 'with its properties');
  t.same(broker.sent(), [`PUBLISH q0 a ${'x'.repeat(14)}`, `PUBLISH q1 id1 a ${'x'.repeat(12)}`]);
  t.same(broker.notes.told(), []);
  t.end();
});

t.test('what waited and is not taken is dropped and told, 5.0 [MQTT-3.2.2-11], 5.0 [MQTT-3.2.2-14], 5.0 [MQTT-3.2.2-15]', (t) => {
  const broker = new ScriptedBroker(LEVEL_5);
  broker.publish('a', 'x'.repeat(30), 1);
  broker.publish('a', 'two', 2);
  broker.publish('a', 'kept', 1, true);
  broker.publish('a', 'good', 1);
  const sent = broker.accept(false, { packetMaximum: 20, maximumQos: 1, retainAvailable: 0 });
  t.same(sent, ['PUBLISH q1 id1 a good']);
  t.same(broker.notes.told(), ['connected new', `dropped 1 ${TOO_LARGE}`, `dropped 2 ${QOS_NOT_SUPPORTED}`,
    `dropped 3 ${RETAIN_NOT_SUPPORTED}`]);
  t.equal(broker.client.counters.droppedRefused, 3);
  broker.lose();
  broker.pass(1000);
  t.same(broker.accept(true, { maximumQos: 0 }), [], 'even what is in flight');
  t.same(broker.notes.told().slice(-1), [`dropped 4 ${QOS_NOT_SUPPORTED}`]);
  t.equal(broker.client.waitingCount, 0);
  t.end();
});

t.test('the receive maximum of the broker is the window, 5.0 [MQTT-3.3.4-7], 5.0 [MQTT-4.9.0-1], 5.0 [MQTT-4.9.0-2]', (t) => {
  const broker = connected({ receiveMaximum: 2 });
  for (const payload of ['1', '2', '3', '4']) broker.publish('a', payload, 2);
  t.same(broker.sent(), ['PUBLISH q2 id1 a 1', 'PUBLISH q2 id2 a 2']);
  broker.publish('a', 'zero');
  broker.subscribe('s');
  t.same(broker.sent(), ['PUBLISH q0 a zero', 'SUBSCRIBE id65532 s 0'],
    'nothing else waits for it, 5.0 [MQTT-3.3.4-8], 5.0 [MQTT-4.9.0-3]');
  t.same(broker.send(pubrec(1)), ['PUBREL id1'], 'PUBREC frees no place');
  t.same(broker.send(pubcomp(1)), ['PUBLISH q2 id3 a 3']);
  t.same(broker.send(pubrec(2, 0x80)), ['PUBLISH q2 id4 a 4'], 'PUBREC with a failure does, 5.0 [MQTT-4.9.0-1]');
  t.same(broker.notes.told(), ['delivered 1', `dropped 2 ${-0x80}`]);
  const more = connected({ receiveMaximum: 65_535 });
  for (let i = 0; i < 6; i++) more.publish('a', '', 1);
  t.equal(more.sent().length, 4, 'our own is the lower one');
  t.end();
});

t.test('QoS 1 and 2 end with the reason code of the broker; a failure is told as a drop', (t) => {
  const broker = connected();
  for (const qos of [1, 2, 1, 2]) broker.publish('a', '', qos);
  broker.sent();
  t.same(broker.send(puback(1, 0x10)), []);
  t.same(broker.send(puback(3, 0x87)), []);
  t.same(broker.send(pubrec(2, 0x10)), ['PUBREL id2']);
  t.same(broker.send(pubrec(4, 0x99)), [], 'no PUBREL after a failure, 5.0 [MQTT-4.3.3-4]');
  t.same(broker.send(pubcomp(2)), []);
  t.same(broker.notes.told(), ['delivered 1 16', `dropped 3 ${-0x87}`, `dropped 4 ${-0x99}`, 'delivered 2']);
  t.same([broker.client.waitingCount, broker.client.counters.droppedRefused], [0, 2]);
  t.same(broker.send(pubrec(9)), ['PUBREL id9 0x92'], 'nothing is in flight there');
  t.same(broker.send(pubrec(9, 0x80)), [], 'a failure needs no answer');
  t.same(broker.send(pubcomp(9, 0x92)), []);
  t.end();
});

t.test('in flight goes again in its order, 5.0 [MQTT-4.6.0-1], 5.0 [MQTT-4.4.0-1], and PUBREL in that of PUBREC, ' +
  '5.0 [MQTT-4.6.0-4]', (t) => {
  const broker = connected();
  for (const payload of ['1', '2', '3', '4']) broker.publish('a', payload, 2);
  broker.sent();
  t.same(broker.send(pubrec(2)), ['PUBREL id2']);
  t.same(broker.send(pubrec(1)), ['PUBREL id1']);
  broker.lose();
  broker.pass(1000);
  t.same(broker.accept(true), ['PUBREL id1', 'PUBREL id2', 'PUBLISH q2 id3 dup a 3', 'PUBLISH q2 id4 dup a 4']);
  t.end();
});

t.test('PUBREC for what was not sent again yet: PUBREL goes out, whatever the window, 5.0 [MQTT-4.9.0-3]', (t) => {
  const broker = connected();
  for (const payload of ['1', '2']) broker.publish('a', payload, 2);
  broker.sent();
  broker.lose();
  broker.pass(1000);
  t.same(broker.accept(true, { receiveMaximum: 1 }), ['PUBLISH q2 id1 dup a 1']);
  t.same(broker.send(pubrec(2)), ['PUBREL id2', 'PUBREL id2'], 'at once, and in its place in the order');
  checkClientInvariants(broker.client);
  t.same(broker.send(pubcomp(2)), []);
  t.same(broker.send(pubrec(1)), ['PUBREL id1']);
  t.same(broker.send(pubcomp(1)), []);
  t.equal(broker.client.waitingCount, 0);
  t.end();
});
