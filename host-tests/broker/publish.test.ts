// PUBLISH in and out at every QoS, and the `$` topics. MQTT 3.1.1 sections 3.3 and 4.3. Runs on
// Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { ascii, concat, fromHex, packet, publish, pubrel, subscribe } from '../support/packets.js';
import { connected, makeBroker } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import { MALFORMED, OK, TOO_LARGE, TOPIC_NAME_INVALID } from '../../src/wire/codes.js';
import { tablesInUse, takeAll, withoutId } from './steps.js';

t.test('[MQTT-3.8.4-6] a message is delivered at the lower of the QoS published and granted', (t) => {
  const broker = makeBroker();
  const publisher = connected(broker, { clientId: 'publisher' });
  const subscribers = [0, 1, 2].map((granted) => {
    const peer = connected(broker, { clientId: `granted-${granted}` });
    peer.send(subscribe(1, ['a/b', granted]));
    return peer;
  });
  for (let published = 0; published <= 2; published++) {
    const answers = publisher.send(publish('a/b', 'x', { qos: published, id: 5 }));
    t.same(answers, [[], ['PUBACK id5'], ['PUBREC id5']][published], `answer to QoS ${published}`);
    if (published === 2) t.same(publisher.send(pubrel(5)), ['PUBCOMP id5']);
    subscribers.forEach((peer, granted) => {
      t.same(takeAll(peer, peer.received()), [`q${Math.min(published, granted)} a/b x`],
        `${published} to ${granted}`);
    });
  }
  t.equal(broker.memory.queued.count, 0, 'what was acknowledged is forgotten');
  t.equal(broker.memory.deliveries.freeRows, broker.limits.queuedMax);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-4.3.2-2] [MQTT-4.3.3-2] acknowledgements bear the identifier of the PUBLISH, in their order', (t) => {
  const broker = makeBroker();
  const peer = connected(broker, { clientId: 'a' });
  const answers = peer.send(concat(publish('x', '1', { qos: 1, id: 65535 }),
    publish('x', '2', { qos: 2, id: 1 }),
    publish('x', '3'), publish('x', '4', { qos: 1, id: 258 }), pubrel(1),
    publish('x', '5', { qos: 2, id: 0x8000 })));
  t.same(answers, ['PUBACK id65535', 'PUBREC id1', 'PUBACK id258', 'PUBCOMP id1',
    'PUBREC id32768']);
  t.end();
});

t.test('[MQTT-4.6.0-6] messages of one QoS arrive in the order in which they were published', (t) => {
  for (let qos = 0; qos <= 2; qos++) {
    const broker = makeBroker();
    const subscriber = connected(broker, { clientId: 'subscriber' });
    subscriber.send(subscribe(1, ['a/#', 2]));
    const publishers = [connected(broker, { clientId: 'one' }),
      connected(broker, { clientId: 'two' })];
    const wanted: string[] = [];
    for (let i = 0; i < 12; i++) {
      publishers[i % 2]!.send(publish(`a/${i % 3}`, `${i}`, { qos, id: i + 1 }));
      if (qos === 2) publishers[i % 2]!.send(pubrel(i + 1));
      wanted.push(`q${qos} a/${i % 3} ${i}`);
    }
    t.same(takeAll(subscriber, subscriber.received()), wanted, `QoS ${qos}`);
  }
  t.end();
});

t.test('3.3: a publisher that subscribes gets its own messages', (t) => {
  const broker = makeBroker();
  const peer = connected(broker, { clientId: 'a' });
  peer.send(subscribe(1, ['a', 2]));
  t.same(peer.send(publish('a', 'x')), ['PUBLISH q0 a x']);
  t.same(peer.send(publish('a', 'y', { qos: 1, id: 9 })), ['PUBACK id9', 'PUBLISH q1 id1 a y']);
  t.same(peer.send(publish('a', 'z', { qos: 2, id: 9 })), ['PUBREC id9', 'PUBLISH q2 id2 a z']);
  t.end();
});

t.test('[MQTT-3.3.1-3] DUP of an incoming PUBLISH is not passed on', (t) => {
  const broker = makeBroker();
  const subscriber = connected(broker, { clientId: 'subscriber' });
  subscriber.send(subscribe(1, ['a', 2]));
  const publisher = connected(broker, { clientId: 'publisher' });
  publisher.send(publish('a', 'x', { qos: 1, id: 3, duplicate: true }));
  publisher.send(publish('a', 'y', { qos: 2, id: 3, duplicate: true }));
  t.same(subscriber.received(), ['PUBLISH q1 id1 a x', 'PUBLISH q2 id2 a y']);
  t.end();
});

t.test('3.3.3: payloads of every length around the steps of the remaining length arrive as they are', (t) => {
  const broker = makeBroker({
    clientsMax: 1, connectionsMax: 1, sessionsMax: 1, packetBytesMax: 20_000, windowBytes: 20_000,
    inboxBytes: 20_000,
    outboxBytes: 20_000, retainedBytes: 20_032, queueBytes: 40_000, sessionQueuedBytesMax: 40_000,
  });
  const peer = connected(broker, { clientId: 'a' });
  peer.send(subscribe(1, ['a', 2]));
  for (const length of [0, 1, 122, 123, 124, 125, 126, 16379, 16380]) {
    const payload = '0123456789abcdef'.repeat(1024).slice(0, length);
    for (let qos = 0; qos <= 2; qos++) {
      const packets = peer.send(publish('a', payload, { qos, id: 1 }));
      const wanted = `q${qos} a ${payload}`;
      t.ok(packets.some((text) => withoutId(text) === wanted), `${length} bytes, QoS ${qos}`);
      takeAll(peer, packets);
      if (qos === 2) peer.send(pubrel(1));
    }
  }
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.3.2-2] a PUBLISH that is malformed or has an impossible topic closes only its own connection', (t) => {
  const broker = makeBroker();
  const witness = connected(broker, { clientId: 'witness' });
  witness.send(subscribe(1, ['#', 0]));
  const cases: [string, Uint8Array, number][] = [
    ['wildcard +', publish('a/+', 'x'), count.ERRORS_TOPIC],
    ['wildcard #', publish('#', 'x'), count.ERRORS_TOPIC],
    ['empty topic', publish('', 'x'), count.ERRORS_TOPIC],
    ['U+0000', publish('a\u0000b', 'x'), count.ERRORS_MALFORMED],
    ['not UTF-8', publish(Uint8Array.of(0xc3), 'x'), count.ERRORS_MALFORMED],
    ['QoS 3', packet(0x36, fromHex('0001610001')), count.ERRORS_MALFORMED],
    ['DUP with QoS 0', packet(0x38, fromHex('000161')), count.ERRORS_MALFORMED],
    ['identifier 0', publish('a', 'x', { qos: 1, id: 0 }), count.ERRORS_PROTOCOL],
    ['no identifier', packet(0x32, fromHex('000161')), count.ERRORS_MALFORMED],
    ['topic past the end', packet(0x30, fromHex('000561')), count.ERRORS_MALFORMED],
  ];
  for (const [name, bytes, counter] of cases) {
    const before = broker.counters[counter]!;
    const peer = connected(broker, { clientId: 'offender' });
    t.same(peer.send(concat(bytes, publish('after', 'x'))), [], name);
    t.ok(peer.link.closed, `${name} closes`);
    t.equal(broker.counters[counter], before + 1, `${name} is counted`);
  }
  t.same(witness.received(), []);
  t.notOk(witness.link.closed);
  checkInvariants(broker);
  t.end();
});

t.test('4.7.2: $SYS takes no publications of clients: acknowledged, counted, not routed, not retained', (t) => {
  const broker = makeBroker();
  const subscriber = connected(broker, { clientId: 'subscriber' });
  subscriber.send(subscribe(1, ['$SYS/#', 2], ['#', 2]));
  const publisher = connected(broker, { clientId: 'publisher' });
  t.same(publisher.send(publish('$SYS', 'x')), []);
  t.same(publisher.send(publish('$SYS/a', 'x', { qos: 1, id: 1, retain: true })), ['PUBACK id1']);
  t.same(publisher.send(publish('$SYS/broker/uptime', 'x', { qos: 2, id: 2 })), ['PUBREC id2']);
  t.same(publisher.send(pubrel(2)), ['PUBCOMP id2']);
  t.equal(broker.counters[count.DROPPED_SYS], 3);
  t.same(subscriber.received(), []);
  t.equal(broker.memory.retained.count, 0);
  t.end();
});

t.test('4.7.2: other topics that start with $ are routed and retained as any', (t) => {
  const broker = makeBroker();
  const subscriber = connected(broker, { clientId: 'subscriber' });
  subscriber.send(subscribe(1, ['$SYSTEM/#', 1], ['$share', 1], ['$/x', 1], ['$sys/x', 1]));
  const publisher = connected(broker, { clientId: 'publisher' });
  const topics = ['$SYSTEM/a', '$share', '$/x', '$sys/x'];
  for (const topic of topics) publisher.send(publish(topic, 'x', { retain: true }));
  t.same(subscriber.received(), topics.map((topic) => `PUBLISH q0 ${topic} x`));
  t.equal(broker.memory.retained.count, 4);
  t.equal(broker.counters[count.DROPPED_SYS], 0);
  t.end();
});

t.test('Broker.publish: the application publishes at every QoS, retains, and is told what it cannot', (t) => {
  const broker = makeBroker({ packetBytesMax: 1024 });
  const peer = connected(broker, { clientId: 'a' });
  peer.send(subscribe(1, ['a/#', 2], ['$SYS/#', 2]));
  for (let qos = 0; qos <= 2; qos++) {
    t.equal(broker.publish(ascii('a/b'), ascii('x'), qos, qos === 1), OK);
  }
  t.equal(broker.publish(ascii('a/c'), ascii(''), 0, false), OK);
  t.equal(broker.publish(ascii('$SYS/own'), ascii('y'), 0, false), OK, 'into $SYS too');
  broker.flush();
  t.same(peer.received(), ['PUBLISH q0 a/b x', 'PUBLISH q1 id1 a/b x', 'PUBLISH q2 id2 a/b x',
    'PUBLISH q0 a/c ',
    'PUBLISH q0 $SYS/own y']);
  t.equal(broker.memory.retained.count, 1);
  t.equal(broker.publish(ascii('a/+'), ascii('x'), 0, false), TOPIC_NAME_INVALID);
  t.equal(broker.publish(ascii(''), ascii('x'), 0, false), TOPIC_NAME_INVALID);
  t.equal(broker.publish(Uint8Array.of(0x61, 0xff), ascii('x'), 0, false), MALFORMED);
  t.equal(broker.publish(ascii('a/b'), new Uint8Array(1016), 0, false), OK, '1,024 bytes in all');
  t.equal(broker.publish(ascii('a/b'), new Uint8Array(1017), 0, false), TOO_LARGE);
  t.equal(broker.publish(ascii('a/b'), new Uint8Array(1015), 1, false), TOO_LARGE,
    'with an identifier');
  broker.flush();
  t.equal(peer.received().length, 1);
  checkInvariants(broker);
  t.end();
});

t.test('4.3: nothing is stored for a message that nobody wants', (t) => {
  const broker = makeBroker();
  const peer = connected(broker, { clientId: 'a' });
  peer.send(concat(publish('x', '1', { qos: 1, id: 1 }), publish('x', '2', { qos: 2, id: 2 }),
    pubrel(2)));
  t.same(tablesInUse(broker), ['clients', 'links', 'sessions']);
  t.end();
});
