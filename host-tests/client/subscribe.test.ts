// Filters: asked for, answered, changed meanwhile, asked for again with every new session. Runs on Node and on XS.

import t from 'tap';
import { MALFORMED, PROTOCOL_ERROR, QUOTA_EXCEEDED, TOO_LARGE, TOPIC_FILTER_INVALID } from '../../src/wire/codes.js';
import { suback, unsuback } from '../support/packets.js';
import { ScriptedBroker } from './scripted-broker.js';

/** Identifier of the first filter, with four of them at most. */
const FIRST = 65_532;

t.test('3.8: one SUBSCRIBE for each filter, told when it is answered', (t) => {
  const broker = new ScriptedBroker();
  t.equal(broker.subscribe('maison/#', 1), 0);
  t.same(broker.accept(), [`SUBSCRIBE id${FIRST} maison/# 1`]);
  t.equal(broker.subscribe('+/a', 2), 0);
  t.same(broker.sent(), [`SUBSCRIBE id${FIRST + 1} +/a 2`]);
  broker.send(suback(FIRST + 1, 2));
  broker.send(suback(FIRST, 0));
  t.same(broker.notes.told(), ['connected new', 'subscribed +/a 2', 'subscribed maison/# 0']);
  t.end();
});

t.test('a filter that is refused is told, and not asked for again', (t) => {
  const broker = new ScriptedBroker();
  broker.subscribe('a');
  broker.accept();
  broker.send(suback(FIRST, 0x80));
  t.same(broker.notes.told(), ['connected new', 'subscribed a 128']);
  t.equal(broker.client.counters.refusedSubscriptions, 1);
  broker.lose();
  broker.pass(1000);
  t.same(broker.accept(), []);
  t.end();
});

t.test('a new session gets all filters, a session that was kept only what it has not answered', (t) => {
  const broker = new ScriptedBroker();
  for (const filter of ['a', 'b', 'c']) broker.subscribe(filter);
  broker.accept();
  broker.send(suback(FIRST, 0));
  broker.lose();
  broker.pass(1000);
  t.same(broker.accept(true), [`SUBSCRIBE id${FIRST + 1} b 0`, `SUBSCRIBE id${FIRST + 2} c 0`]);
  broker.send(suback(FIRST + 1, 0));
  broker.send(suback(FIRST + 2, 0));
  broker.lose();
  broker.pass(2000);
  t.same(broker.accept(false), ['a', 'b', 'c'].map((filter, i) => `SUBSCRIBE id${FIRST + i} ${filter} 0`));
  t.end();
});

t.test('after a CONNACK that was lost a session that is present may be another: all filters again', (t) => {
  const broker = new ScriptedBroker();
  broker.subscribe('a');
  broker.accept();
  broker.send(suback(FIRST, 0));
  broker.lose();
  broker.pass(1000);
  broker.open(); // this broker has forgotten everything, and says so, but that does not arrive
  broker.lose();
  broker.pass(2000);
  t.same(broker.accept(true), [`SUBSCRIBE id${FIRST} a 0`]);
  broker.send(suback(FIRST, 0));
  broker.lose();
  broker.pass(4000);
  t.same(broker.accept(true), [], 'and once');
  t.end();
});

t.test('3.10: unsubscribing, also from what a session kept from earlier', (t) => {
  const broker = new ScriptedBroker();
  broker.subscribe('a');
  broker.accept(true);
  broker.send(suback(FIRST, 0));
  broker.notes.told();
  broker.unsubscribe('a');
  t.equal(broker.unsubscribe('old'), 0);
  t.same(broker.sent(), [`UNSUBSCRIBE id${FIRST} a`, `UNSUBSCRIBE id${FIRST + 1} old`]);
  broker.send(unsuback(FIRST));
  broker.send(unsuback(FIRST + 1));
  t.same(broker.notes.told(), ['unsubscribed a', 'unsubscribed old']);
  t.equal(broker.client.memory.subscriptions.count, 0);
  broker.lose();
  broker.unsubscribe('b');
  broker.pass(1000);
  t.same(broker.accept(false), [], 'a new session has nothing to leave');
  t.same(broker.notes.told().slice(-2), ['unsubscribed b', 'connected new']);
  t.end();
});

t.test('who changes his mind before the answer gets what he wanted last', (t) => {
  const broker = new ScriptedBroker();
  broker.accept();
  broker.subscribe('a', 0);
  t.same(broker.sent(), [`SUBSCRIBE id${FIRST} a 0`]);
  broker.subscribe('a', 1);
  broker.unsubscribe('a');
  broker.subscribe('a', 2);
  t.same(broker.sent(), [], 'one packet of a filter at a time');
  t.same(broker.send(suback(FIRST, 0)), [`SUBSCRIBE id${FIRST} a 2`]);
  broker.unsubscribe('a');
  t.same(broker.send(suback(FIRST, 2)), [`UNSUBSCRIBE id${FIRST} a`]);
  broker.subscribe('a', 1);
  t.same(broker.send(unsuback(FIRST)), [`SUBSCRIBE id${FIRST} a 1`]);
  broker.unsubscribe('a');
  t.same(broker.send(suback(FIRST, 0x80)), [`UNSUBSCRIBE id${FIRST} a`]);
  broker.send(unsuback(FIRST));
  t.equal(broker.client.memory.subscriptions.count, 0);
  t.end();
});

t.test('what is no filter, or one too many, is not taken', (t) => {
  const broker = new ScriptedBroker();
  t.equal(broker.subscribe(''), TOPIC_FILTER_INVALID);
  t.equal(broker.subscribe('a#'), TOPIC_FILTER_INVALID);
  t.equal(broker.unsubscribe('a/#/b'), TOPIC_FILTER_INVALID);
  t.equal(broker.subscribe('a\0'), MALFORMED);
  t.equal(broker.subscribe('a', 3), PROTOCOL_ERROR);
  t.equal(broker.subscribe('a'.repeat(300)), TOO_LARGE);
  for (const filter of ['a', 'b', 'c', 'd']) t.equal(broker.subscribe(filter), 0);
  t.equal(broker.subscribe('e'), QUOTA_EXCEEDED);
  t.equal(broker.subscribe('d', 1), 0, 'one that is there');
  const long = new ScriptedBroker();
  t.equal(long.subscribe('a'.repeat(200)), 0);
  t.equal(long.subscribe('b'.repeat(200)), QUOTA_EXCEEDED, 'no room for its text');
  t.equal(long.client.memory.subscriptions.count, 1);
  t.end();
});

t.test('answers that nobody asked for', (t) => {
  const broker = new ScriptedBroker();
  broker.subscribe('a');
  broker.accept();
  broker.send(suback(7, 0));
  broker.send(unsuback(FIRST));
  broker.send(suback(FIRST + 3, 0));
  t.equal(broker.client.counters.unknownAcknowledgements, 3);
  broker.notes.told();
  broker.send(suback(FIRST, 0, 0));
  t.same(broker.notes.told(), [`ended ${PROTOCOL_ERROR}`], 'two codes for one filter [MQTT-3.8.4-5]');
  t.end();
});

t.test('filters wait for room in the outbox, and go before messages', (t) => {
  const broker = new ScriptedBroker();
  broker.accept();
  broker.link.capacity = 0;
  while (broker.publish('a', 'x'.repeat(50)) === 0) continue;
  broker.subscribe('f'.repeat(100));
  broker.publish('b', 'y', 1);
  broker.link.capacity = Infinity;
  broker.client.writable();
  const sent = broker.sent().slice(-2);
  t.same(sent, [`SUBSCRIBE id${FIRST} ${'f'.repeat(100)} 0`, 'PUBLISH q1 id1 b y']);
  t.end();
});
