// Where two mechanisms meet: a will and a replay, a search and everybody else, a takeover and a full
// store. Each of these was a fault once, or nearly.

import t from 'tap';
import * as count from '../../src/broker/counters.js';
import { OK, PROTOCOL_ERROR, TOO_LARGE } from '../../src/wire/codes.js';
import { checkInvariants } from '../support/invariants.js';
import { ascii, concat, connect, pingreq, puback, publish, subscribe } from '../support/packets.js';
import { connected, makeBroker, pass, Peer } from '../support/peer.js';

t.test('a will is delivered whole although a replay of QoS 1 goes on in between', (t) => {
  const broker = makeBroker({ queuedMax: 4, sessionQueuedMax: 4, inflightMax: 4 });
  const publisher = connected(broker, { clientId: 'publisher' });
  publisher.send(publish('kept/one', 'RETAINED-PAYLOAD', { qos: 1, retain: true }));
  // An absent session uses up the rows that all share, so that the replay has to wait.
  const absent = connected(broker, { clientId: 'absent', clean: false });
  absent.send(subscribe(1, ['fill', 1]));
  absent.drop();
  for (let id = 2; id <= 5; id++) publisher.send(publish('fill', 'x', { qos: 1, id }));
  const second = connected(broker, { clientId: 'second' });
  second.send(subscribe(1, ['will', 0]));
  const first = connected(broker, { clientId: 'first' });
  first.send(subscribe(1, ['will', 1], ['kept/#', 1]));
  const mortal = connected(broker, { clientId: 'mortal', will: { topic: 'will', payload: 'I died', qos: 1 } });
  connected(broker, { clientId: 'absent' }); // clean: the rows are free again
  first.received();
  second.received();
  mortal.drop();
  t.same(second.received(), ['PUBLISH q0 will I died']);
  t.same(first.received(), ['PUBLISH q1 id1 will I died', 'PUBLISH q1 id2 retain kept/one RETAINED-PAYLOAD']);
  checkInvariants(broker);
  t.end();
});

t.test('filters that match nothing among many retained topics make nobody wait', (t) => {
  const broker = makeBroker({ retainedMax: 400, retainedNodesMax: 900, retainedBytes: 400 * 64 });
  const publisher = connected(broker, { clientId: 'publisher' });
  for (let i = 0; i < 400; i++) publisher.send(publish(`t${i}/x`, 'v', { retain: true }));
  const searcher = connected(broker, { clientId: 'searcher' });
  const filters = Array.from({ length: 20 }, (_, i): [string, number] => [`+/${i}`, 0]);
  const answers = searcher.send(subscribe(1, ...filters, ['t399/x', 0]));
  t.equal(answers.length, 1, 'SUBACK at once, and no more in this turn');
  t.equal(broker.memory.replays.activeCount, 1);
  t.ok(broker.dirty, 'the search wants another turn');
  const reader = connected(broker, { clientId: 'reader' });
  t.same(reader.send(concat(subscribe(1, ['a', 0]), publish('a', 'b'))), ['SUBACK id1 0', 'PUBLISH q0 a b']);
  let turns = 0;
  while (broker.dirty && turns < 100) {
    checkInvariants(broker);
    broker.flush();
    turns++;
  }
  t.ok(turns > 5 && turns < 40, `${turns} turns for 20 filters and 400 topics`);
  t.same(searcher.received(), ['PUBLISH q0 retain t399/x v'], 'and then what is there arrives');
  t.equal(broker.memory.replays.activeCount, 0);
  checkInvariants(broker);
  t.end();
});

t.test('a search under way survives everything it stands on', (t) => {
  const broker = makeBroker({ retainedMax: 600, retainedNodesMax: 1300, retainedBytes: 600 * 64 });
  const publisher = connected(broker, { clientId: 'publisher' });
  for (let i = 0; i < 600; i++) publisher.send(publish(`t${i}/x`, 'v', { retain: true }));
  const searcher = connected(broker, { clientId: 'searcher' });
  searcher.send(subscribe(1, ['+/a', 0], ['+/b', 0], ['+/c', 0], ['+/d', 0], ['t599/#', 0]));
  t.ok(broker.dirty);
  for (let i = 0; i < 599; i++) {
    publisher.send(publish(`t${i}/x`, '', { retain: true }));
    checkInvariants(broker);
  }
  t.same(searcher.received(), ['PUBLISH q0 retain t599/x v']);
  t.equal(broker.memory.retained.tree.nodeCount, 3, 'nothing stays behind');
  const leaver = connected(broker, { clientId: 'leaver' });
  for (let i = 0; i < 500; i++) publisher.send(publish(`u${i}/x`, 'v', { retain: true }));
  leaver.send(subscribe(1, ['+/a', 0], ['+/b', 0], ['+/c', 0], ['+/d', 0]));
  t.ok(broker.dirty);
  leaver.drop();
  t.notOk(broker.dirty, 'a client that leaves takes its search with it');
  checkInvariants(broker);
  t.end();
});

t.test('a subscriber that acknowledges now and then slows its publishers for slowSubscriberMs, not for ever', (t) => {
  const broker = makeBroker({ sessionQueuedMax: 4, inflightMax: 4, slowSubscriberMs: 5000 });
  const clock = { nowMs: 0 };
  pass(broker, clock, 0);
  const subscriber = connected(broker, { clientId: 'slow' });
  subscriber.send(subscribe(1, ['#', 1]));
  const publisher = connected(broker, { clientId: 'publisher' });
  let acknowledged = 0;
  const take = (packets: string[]): void => {
    acknowledged += packets.filter((packet) => packet.startsWith('PUBACK')).length;
  };
  let sent = 0;
  for (let second = 0; second < 60; second++) {
    for (let i = 0; i < 20 && publisher.link.reading; i++) take(publisher.send(publish('a', 'x', { qos: 1, id: ++sent })));
    if (second % 4 === 3) subscriber.send(puback(1 + (second - 3) / 4));
    pass(broker, clock, 1000);
    take(publisher.received());
  }
  t.ok(acknowledged > 1000, `${acknowledged} of 1,200 acknowledged in a minute`);
  t.ok(broker.counters[count.PUBLISHERS_WAITED] <= 3, 'its publisher stopped at the beginning only');
  checkInvariants(broker);
  t.end();
});

t.test('a CONNECT that is refused for its will takes nothing from the client that is connected', (t) => {
  const broker = makeBroker({ retainedBytes: 1024 });
  const publisher = connected(broker, { clientId: 'publisher' });
  const old = connected(broker, { clientId: 'x', will: { topic: 'w', payload: 'a' } });
  for (let i = 0; i < 15; i++) publisher.send(publish(`r${i}`, 'v', { retain: true }));
  const larger = { topic: 'w', payload: 'b'.repeat(100) };
  t.same(new Peer(broker).send(connect({ clientId: 'x', will: larger })), ['CONNACK new 3']);
  t.notOk(old.link.closed, 'the connection that was there goes on');
  const next = connected(broker, { clientId: 'x', will: { topic: 'w', payload: 'c' } });
  t.ok(old.link.closed, 'a will of the same size takes the place of the old one');
  t.notOk(next.link.closed);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.1.2-8] a broker that closes publishes all wills before it closes the first link', (t) => {
  const broker = makeBroker();
  const reader = connected(broker, { clientId: 'reader' });
  reader.send(subscribe(1, ['etat/#', 0]));
  connected(broker, { clientId: 'a', will: { topic: 'etat/a', payload: 'hors-ligne' } });
  connected(broker, { clientId: 'b', will: { topic: 'etat/b', payload: 'hors-ligne', qos: 1 } });
  broker.close();
  t.same(reader.received(), ['PUBLISH q0 etat/a hors-ligne', 'PUBLISH q0 etat/b hors-ligne']);
  t.ok(reader.link.closed);
  t.equal(broker.memory.kept.count, 0);
  t.end();
});

t.test('Broker.publish refuses what no PUBLISH could carry', (t) => {
  const room = 200_000;
  const broker = makeBroker({
    packetBytesMax: room, inboxBytes: room, outboxBytes: room, retainedBytes: 2 * room, queueBytes: 2 * room,
    sessionQueuedBytesMax: room,
  });
  const reader = connected(broker, { clientId: 'reader' });
  reader.send(subscribe(1, ['#', 0]));
  t.equal(broker.publish(new Uint8Array(65_536).fill(0x61), ascii('p'), 0, false), TOO_LARGE);
  t.equal(broker.publish(ascii('a'), ascii('p'), 3, false), PROTOCOL_ERROR);
  t.equal(broker.publish(new Uint8Array(65_535).fill(0x61), ascii('p'), 0, false), OK);
  broker.flush();
  t.same(reader.received().map((packet) => packet.length), ['PUBLISH q0  p'.length + 65_535]);
  t.end();
});

t.test('[MQTT-3.1.0-1] anything but CONNECT is refused from its first byte', (t) => {
  const broker = makeBroker();
  const peer = new Peer(broker);
  peer.send(Uint8Array.of(0x30, 0x7f, 0x00));
  t.ok(peer.link.closed);
  t.equal(broker.counters[count.ERRORS_PROTOCOL], 1);
  t.end();
});

t.test('a version that would not fit its topic is refused when the broker is made', (t) => {
  t.throws(() => makeBroker({ sysIntervalMs: 1000 }, { version: 'v'.repeat(33) }),
    { message: /^version has 33 characters, more than 32$/ });
  t.end();
});

t.test('$SYS has as many rows as it has topics, and clients all of theirs', (t) => {
  const { limits, memory } = makeBroker({ sysIntervalMs: 1000 });
  t.equal(memory.retained.messagesMax - limits.retainedMax, memory.retained.count);
  t.equal(memory.counters.length, count.COUNTER_COUNT);
  t.end();
});

t.test('[MQTT-3.1.2-24] whose packets we leave unread is not silent while it reads ours', (t) => {
  const broker = makeBroker();
  const clock = { nowMs: 0 };
  pass(broker, clock, 0);
  const slow = connected(broker, { clientId: 'slow', keepAlive: 10 });
  slow.send(subscribe(1, ['#', 0]));
  const publisher = connected(broker, { clientId: 'publisher' });
  slow.link.drain();
  slow.link.capacity = 16;
  for (let i = 0; i < 10; i++) publisher.send(publish('a', 'x'.repeat(100)));
  for (let i = 0; i < 40; i++) publisher.send(publish('a', '')); // to the last bytes
  slow.send(concat(pingreq(), pingreq(), pingreq()));
  t.notOk(slow.link.reading, 'its outbox is full: there is no room for PINGRESP');
  for (let second = 0; second < 40; second++) {
    slow.resume();
    for (let i = 0; i < 40; i++) publisher.send(publish('a', ''));
    if (!slow.link.closed) slow.send(pingreq());
    pass(broker, clock, 1000);
  }
  t.notOk(slow.link.closed, 'sixteen bytes a second are a sign of life');
  for (let second = 0; second < 16; second++) pass(broker, clock, 1000);
  t.ok(slow.link.closed, 'nothing at all is none');
  checkInvariants(broker);
  t.end();
});
