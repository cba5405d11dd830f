// DISCONNECT that the broker sends in MQTT 5.0: which code for what, with which text, and when there is no room for it.
// MQTT 5.0 sections 3.14 and 4.13. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import {
  concat, connect, disconnect, fromHex, packet, pingreq, publish5, pubrec, subscribe5, type Properties,
} from '../support/packets.js';
import { connected, makeBroker, pass, Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import { SERVER_SHUTTING_DOWN } from '../../src/broker/end.js';
import type { Limits } from '../../src/limits.js';
import { tablesInUse } from './steps.js';

const MALFORMED = 'DISCONNECT 0x81 {reason a packet was malformed}';
const BROKEN = 'DISCONNECT 0x82 {reason a packet broke the protocol}';

t.test('5.0 [MQTT-4.13.1-1] what a peer does wrong is named before its link is closed', (t) => {
  const cases: [name: string, bytes: Uint8Array, last: string, limits?: Partial<Limits>][] = [
    ['flags that SUBSCRIBE cannot have', fromHex('80 05 0001 00 0000'), MALFORMED],
    ['PUBLISH of QoS 3', fromHex('36 05 000161 0001'), MALFORMED],
    ['a property length of more bytes than needed', fromHex('30 06 000161 8000 62'), MALFORMED],
    ['an unknown property', fromHex('30 06 000161 02 7f00'), MALFORMED],
    ['packet identifier 0', publish5('a', 'b', { qos: 1, id: 0 }), BROKEN],
    ['a second CONNECT', connect({ level: 5 }), BROKEN],
    ['what only a server sends', fromHex('d0 00'), BROKEN],
    ['SUBSCRIBE without a filter', fromHex('82 03 0001 00'), BROKEN],
    ['a subscription identifier in PUBLISH', publish5('a', 'b', { properties: { subscription: 1 } }), BROKEN],
    ['a wildcard in a topic', publish5('a/#', 'b'), 'DISCONNECT 0x90'],
    ['a wildcard in the midst of a level', subscribe5(1, {}, ['a+', 0]), 'DISCONNECT 0x8f'],
    ['a large packet', packet(0x30, new Uint8Array(2000)),
      'DISCONNECT 0x95 {reason a packet is larger than the maximum packet size}'],
    ['too many of QoS 2', concat(...[1, 2, 3].map((id) => publish5('a', 'b', { qos: 2, id }))),
      'DISCONNECT 0x93 {reason more unfinished messages than the receive maximum of CONNACK}', { receiveMax: 2 }],
    ['topic alias 0', publish5('a', 'b', { properties: { alias: 0 } }),
      'DISCONNECT 0x94 {reason a topic alias is 0 or above the maximum of CONNACK}'],
    ['a topic alias above the maximum', publish5('a', 'b', { properties: { alias: 11 } }),
      'DISCONNECT 0x94 {reason a topic alias is 0 or above the maximum of CONNACK}'],
    ['QoS 0 that says UTF-8 and is not', publish5('a', Uint8Array.of(0xff), { properties: { format: 1 } }),
      'DISCONNECT 0x99 {reason a payload or will is said to be UTF-8 and is not}'],
  ];
  for (const [name, bytes, last, limits] of cases) {
    for (const pieceBytes of [Infinity, 1]) {
      const broker = makeBroker(limits);
      const bystander = connected(broker, { clientId: 'bystander', level: 5 });
      const peer = connected(broker, { clientId: 'a', level: 5 });
      const answers = peer.send(bytes, pieceBytes);
      t.equal(answers.at(-1), last, name);
      t.ok(peer.link.closed, `${name}: 5.0 [MQTT-3.14.4-2]`);
      t.same(bystander.send(pingreq()), ['PINGRESP'], name);
      checkInvariants(broker);
    }
  }
  t.end();
});

t.test('5.0 [MQTT-3.14.0-1] who has no CONNACK gets no DISCONNECT, and 3.1.1 gets none at all', (t) => {
  const broker = makeBroker({ connectTimeoutMs: 100 });
  const clock = { nowMs: 0 };
  pass(broker, clock, 0);
  const silent = new Peer(broker);
  pass(broker, clock, 100);
  pass(broker, clock, 100);
  t.ok(silent.link.closed);
  t.same(silent.received(), []);
  const old = connected(broker, { clientId: 'old' });
  t.same(old.send(fromHex('d0 00')), []);
  t.ok(old.link.closed);
  t.end();
});

t.test('closing the broker tells every client of 5.0', (t) => {
  const broker = makeBroker();
  const five = connected(broker, { clientId: 'five', level: 5 });
  const old = connected(broker, { clientId: 'old' });
  broker.close();
  t.same(five.received(), [`DISCONNECT 0x${SERVER_SHUTTING_DOWN.toString(16)}`]);
  t.same(old.received(), []);
  t.same(tablesInUse(broker), []);
  t.end();
});

t.test('5.0 [MQTT-3.14.2-3] [MQTT-3.1.2-24] no text for who takes less or does not want it', (t) => {
  const told = (properties: Properties): string[] => {
    const broker = makeBroker({ topicAliasMax: 0, receiveMax: 4 });
    return connected(broker, { clientId: 'a', level: 5, properties }).send(fromHex('d0 00'));
  };
  const bytes = 3 + 1 + 3 + 'a packet broke the protocol'.length;
  t.same(told({ packetMaximum: bytes }), [BROKEN]);
  t.same(told({ packetMaximum: bytes - 1 }), ['DISCONNECT 0x82']);
  t.same(told({ problem: 0 }), ['DISCONNECT 0x82']);
  t.end();
});

t.test('a client that does not read is closed without a word where there is no room for one', (t) => {
  for (let room = 0; room < 45; room++) {
    const broker = makeBroker();
    const peer = connected(broker, { clientId: 'a', level: 5 });
    const sentBefore = broker.counters[count.BYTES_SENT]!;
    peer.link.drain();
    peer.link.capacity = room;
    peer.send(fromHex('d0 00'));
    t.ok(peer.link.closed);
    t.ok(broker.counters[count.BYTES_SENT]! - sentBefore <= room, `${room} bytes`);
    t.same(tablesInUse(broker), []);
  }
  const broker = makeBroker({ outboxBytes: 1024 });
  const peer = connected(broker, { clientId: 'a', level: 5 });
  peer.link.drain();
  peer.link.capacity = 0;
  peer.send(concat(...Array.from({ length: 509 }, pingreq)));
  t.ok(peer.link.reading);
  peer.send(fromHex('d0 00'));
  t.ok(peer.link.closed);
  t.same(tablesInUse(broker), []);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.14.4-1] nothing comes behind DISCONNECT, neither of ours nor of theirs', (t) => {
  const broker = makeBroker();
  const subscriber = connected(broker, { clientId: 's', level: 5 });
  subscriber.send(subscribe5(1, {}, ['a', 0]));
  const publisher = connected(broker, { clientId: 'p', level: 5 });
  publisher.send(concat(disconnect(), publish5('a', 'after')));
  t.same(subscriber.received(), []);
  t.same(subscriber.send(concat(fromHex('d0 00'), pingreq(), publish5('a', 'x'))), [BROKEN]);
  t.same(subscriber.received(), []);
  t.same(tablesInUse(broker), []);
  t.end();
});

t.test('5.0 3.14.2.2: reason string, user properties and server reference of a client are taken', (t) => {
  const broker = makeBroker();
  for (const [properties, answers] of [
    [{ reason: 'bye', user: ['a', 'b'] }, []], [{ sessionExpiry: 0 }, []], [{ reason: ['a', 'b'] as never }, [BROKEN]],
    [{ method: 'x' }, [MALFORMED]],
  ] as [Properties, string[]][]) {
    const peer = connected(broker, { clientId: 'a', level: 5 });
    t.same(peer.send(disconnect(0, properties)), answers);
    t.ok(peer.link.closed);
  }
  t.same(tablesInUse(broker), []);
  t.end();
});

t.test('an acknowledgement that cannot be ends the connection with 0x82', (t) => {
  const broker = makeBroker();
  const peer = connected(broker, { clientId: 'a', level: 5 });
  peer.send(subscribe5(1, {}, ['a', 1]));
  const sent = peer.send(publish5('a', 'x', { qos: 1, id: 9 }));
  const id = Number(/PUBLISH q1 id(\d+)/.exec(sent.join())?.[1]);
  t.same(peer.send(pubrec(id)), [BROKEN]);
  t.same(tablesInUse(broker), []);
  checkInvariants(broker);
  t.end();
});
