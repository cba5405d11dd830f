// Statements on subscriptions that 3.1.1 and 5.0 share, through the broker's core. Runs on Node and on XS.
import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { concat, connect, puback, pubcomp, pubrec, pubrel } from '../support/packets.js';
import { connected, makeBroker, Peer } from '../support/peer.js';
import { DIALECTS } from './dialects.js';

t.test('[MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.9.3-1], 5.0 [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.8.4-5], ' +
  '5.0 [MQTT-3.8.4-6], [MQTT-3.8.4-7], [MQTT-3.9.3-1]: SUBACK: the identifier, and a code for each filter', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker({ topicLevelsMax: 3 });
    const peer = connected(broker, d.passing('a'));
    t.same(peer.send(d.subscribe(258, ['a', 2])), ['SUBACK id258 2'], `${d.name}: one`);
    const [answer] = peer.send(d.subscribe(259, ['a', 0], ['b', 2], ['a/b/c/d', 1], ['c', 1]));
    t.equal(answer, `SUBACK id259 0,2,${d.level === 5 ? 0x97 : 0x80},1`, 'four, one too deep');
    t.same(peer.send(concat(d.publish('b', 'x', { qos: 2, id: 1 }), d.publish('c', 'x', { qos: 2, id: 2 }))),
      ['PUBREC id1', 'PUBLISH q2 id1 b x', 'PUBREC id2', 'PUBLISH q1 id2 c x'], 'the others hold');
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-3.8.4-3], [MQTT-3.8.4-8], [MQTT-3.3.4-2]: ' +
  'the same filter replaces; the lower QoS, the highest of several', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker({ inflightMax: 10 });
    const peer = connected(broker, d.passing('a'));
    const publisher = connected(broker, d.passing('p'));
    const qosOf = (qos: number): string => {
      publisher.send(concat(d.publish('a/b', 'x', { qos, id: 1 }), ...(qos === 2 ? [pubrel(1)] : [])));
      return peer.received().map((packet) => packet.slice(8, 10)).join();
    };
    for (const granted of [2, 0, 1]) {
      peer.send(d.subscribe(1, ['a/b', granted]));
      const lower = [0, 1, 2].map((qos) => `q${Math.min(qos, granted)}`);
      t.same([0, 1, 2].map(qosOf), lower, `${d.name}: granted ${granted}`);
    }
    peer.send(d.subscribe(2, ['a/#', 0], ['+/b', 2]));
    t.same([0, 1, 2].map(qosOf), ['q0', 'q1', 'q2'], 'and the highest of three that match, in one copy');
    checkInvariants(broker);
  }
  t.end();
});

t.test('[MQTT-3.10.4-6], 5.0 [MQTT-3.10.4-4], [MQTT-3.10.4-5], [MQTT-3.10.4-6], [MQTT-3.11.3-1]: ' +
  'one UNSUBACK, codes in order', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const peer = connected(broker, d.passing('a'));
    peer.send(d.subscribe(1, ['a', 0], ['b', 0], ['c', 0]));
    t.same(peer.send(d.unsubscribe(258, 'c', 'x', 'a')), [d.unsuback(258, 0, 0x11, 0)], d.name);
    t.same(peer.send(d.unsubscribe(259, 'c')), [d.unsuback(259, 0x11)], 'nothing left to leave');
    t.same(peer.send(concat(d.publish('a', ''), d.publish('b', ''), d.publish('c', ''))), ['PUBLISH q0 b '], 'b stays');
    checkInvariants(broker);
  }
  t.end();
});

t.test('[MQTT-3.10.4-2], [MQTT-3.10.4-3], 5.0 [MQTT-3.10.4-2], [MQTT-3.10.4-3]: ' +
  'after leaving nothing new, what was begun is ended', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const peer = connected(broker, d.lasting('a'));
    peer.send(d.subscribe(1, ['a', 2]));
    const publisher = connected(broker, d.passing('p'));
    publisher.send(concat(d.publish('a', '1', { qos: 2, id: 1 }), d.publish('a', '2', { qos: 1, id: 2 })));
    t.same(peer.received(), ['PUBLISH q2 id1 a 1', 'PUBLISH q1 id2 a 2'], `${d.name}: begun`);
    t.same(peer.send(d.unsubscribe(3, 'a')), [d.unsuback(3, 0)]);
    publisher.send(d.publish('a', '3', { qos: 1, id: 3 }));
    t.same(peer.received(), [], 'nothing new');
    t.same(peer.send(pubrec(1)), ['PUBREL id1'], 'QoS 2 goes on');
    peer.drop();
    const again = new Peer(broker);
    t.same(again.send(connect(d.lasting('a'))).slice(1), ['PUBREL id1', 'PUBLISH q1 id2 dup a 2'],
      'on the next connection too');
    t.same(again.send(concat(pubcomp(1), puback(2))), []);
    checkInvariants(broker);
  }
  t.end();
});

t.test('5.0 [MQTT-3.10.4-1], [MQTT-4.7.3-4]: filters and topics are compared byte by byte, as they came', (t) => {
  const alike = [Uint8Array.of(0xc3, 0xa9), Uint8Array.of(0x65, 0xcc, 0x81), 'e', 'E', 'e ', ' e', 'e/', '/e',
    Uint8Array.of(0xef, 0xbb, 0xbf, 0x65)];
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const peer = connected(broker, d.passing('a'));
    for (const filter of alike) {
      peer.send(d.subscribe(1, [filter, 0]));
      const heard = alike.map((topic) => peer.send(d.publish(topic, 'x')).length);
      t.same(heard, alike.map((topic) => topic === filter ? 1 : 0), `${d.name}: ${String(filter)}`);
      const left = alike.filter((other) => other !== filter).map((other) => peer.send(d.unsubscribe(2, other)).join());
      t.same(left, left.map(() => d.unsuback(2, 0x11)), 'no other leaves it');
      t.same(peer.send(d.unsubscribe(3, filter)), [d.unsuback(3, 0)]);
    }
  }
  t.end();
});

t.test('5.0 [MQTT-4.7.2-1]: a wildcard in the first level matches no topic that begins with $', (t) => {
  for (const d of DIALECTS) {
    const broker = makeBroker();
    const peer = connected(broker, d.passing('a'));
    peer.send(d.subscribe(1, ['#', 0], ['+/x', 0], ['+/#', 0]));
    t.same(peer.send(concat(d.publish('$own/x', 'x'), d.publish('$', 'x'))), [], d.name);
    peer.send(d.subscribe(2, ['$own/#', 0]));
    t.same(peer.send(d.publish('$own/x', 'x')), ['PUBLISH q0 $own/x x'], 'one that names it does');
  }
  t.end();
});
