// Topic aliases in both directions. MQTT 5.0 sections 3.3.2.3.4 and 3.1.2.11.5. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { connect, puback, publish, publish5, subscribe5 } from '../support/packets.js';
import { connected, makeBroker, type Peer } from '../support/peer.js';
import type { Broker } from '../../src/broker/broker.js';
import { attempt, takeAll, withoutId } from './steps.js';

function pair(limits: Parameters<typeof makeBroker>[0] = {}, aliasMaximum = 0):
{ broker: Broker; publisher: Peer; subscriber: Peer } {
  const broker = makeBroker(limits);
  const properties = aliasMaximum === 0 ? {} : { aliasMaximum };
  const subscriber = connected(broker, { clientId: 's', level: 5, properties });
  subscriber.send(subscribe5(1, {}, ['#', 1]));
  return { broker, subscriber, publisher: connected(broker, { clientId: 'p', level: 5 }) };
}

t.test('5.0 [MQTT-3.3.2-12] every alias that CONNACK allows stands for its topic, till it gets another', (t) => {
  const { broker, publisher, subscriber } = pair({ topicAliasMax: 3 });
  t.match(attempt(broker, connect({ level: 5 })).answers, [/aliasMaximum 3/]);
  for (const alias of [3, 1, 2]) publisher.send(publish5(`topic/${alias}`, 'x', { properties: { alias } }));
  subscriber.received();
  for (const alias of [1, 2, 3, 2]) {
    publisher.send(publish5('', 'y', { qos: 1, properties: { alias } }));
    t.same(takeAll(subscriber, subscriber.received()), [`q1 topic/${alias} y`]);
  }
  publisher.send(publish5('ein/anderes/und/laengeres', 'x', { properties: { alias: 2 } }));
  publisher.send(publish5('', 'z', { retain: true, properties: { user: ['a', 'b'], alias: 2 } }));
  t.same(takeAll(subscriber, subscriber.received()),
    ['q0 ein/anderes/und/laengeres x', 'q0 ein/anderes/und/laengeres z {user a=b}']);
  t.same(subscriber.send(subscribe5(2, {}, ['ein/#', 0])),
    ['SUBACK id2 0', 'PUBLISH q0 retain ein/anderes/und/laengeres z {user a=b}'], 'retained under its topic');
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.3.2-8] [MQTT-3.3.2-9] 0 and beyond the maximum: 0x94; one never given: 0x82', (t) => {
  for (const [topic, alias, max, reason] of [
    ['a', 0, 3, '0x94'], ['', 0, 3, '0x94'], ['a', 4, 3, '0x94'], ['', 4, 3, '0x94'], ['a', 1, 0, '0x94'],
    ['', 1, 3, '0x82'], ['', 65535, 10, '0x94'],
  ] as const) {
    const { broker, publisher, subscriber } = pair({ topicAliasMax: max });
    t.match(publisher.send(publish5(topic, 'x', { properties: { alias } })), [new RegExp(`^DISCONNECT ${reason}`)]);
    t.ok(publisher.link.closed);
    t.same(subscriber.received(), []);
    checkInvariants(broker);
  }
  t.end();
});

t.test('a topic too long for an alias, or for a packet with its content, is refused with 0x97', (t) => {
  const limits = { topicAliasMax: 2, topicAliasBytes: 500 };
  const long = pair(limits);
  t.match(long.publisher.send(publish5('a'.repeat(501), 'x', { properties: { alias: 1 } })), [/^DISCONNECT 0x97/]);
  const { broker, publisher, subscriber } = pair(limits);
  publisher.send(publish5('a'.repeat(500), 'x', { properties: { alias: 1 } }));
  t.equal(subscriber.received().length, 1);
  publisher.send(publish5('', 'x'.repeat(500), { properties: { alias: 1 } }));
  t.equal(subscriber.received().length, 1);
  t.match(publisher.send(publish5('', 'x'.repeat(600), { properties: { alias: 1 } })), [/^DISCONNECT 0x97/]);
  t.same(subscriber.received(), []);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.3.2-7] a new connection knows no alias, on either side', (t) => {
  const { broker, publisher, subscriber } = pair({}, 5);
  publisher.send(publish5('a', '1', { properties: { alias: 1 } }));
  publisher.send(publish5('a', '2'));
  t.same(subscriber.received(), ['PUBLISH q0 a 1 {alias 1}', 'PUBLISH q0  2 {alias 1}']);
  publisher.drop();
  subscriber.drop();
  const again = connected(broker, { clientId: 's', level: 5, properties: { aliasMaximum: 5 } });
  again.send(subscribe5(1, {}, ['#', 1]));
  const other = connected(broker, { clientId: 'p', level: 5 });
  other.send(publish5('b', '3'));
  t.same(again.received(), ['PUBLISH q0 b 3 {alias 1}']);
  t.match(other.send(publish5('', '4', { properties: { alias: 1 } })), [/^DISCONNECT 0x82/]);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.3.2-11] repeated topics go out under an alias, as many as the client takes, first come', (t) => {
  for (const qos of [0, 1]) {
    for (const level of [4, 5]) {
      const { broker, subscriber } = pair({ topicAliasMax: 3 }, 2);
      const publisher = connected(broker, { clientId: 'q', level });
      const send = (topic: string, payload: string): string[] => {
        publisher.send(level === 5 ? publish5(topic, payload, { qos }) : publish(topic, payload, { qos }));
        const packets = subscriber.received();
        for (const packet of packets) subscriber.send(puback(Number(/id(\d+)/.exec(packet)?.[1] ?? 1)));
        return packets.map(withoutId);
      };
      t.same(send('a/1', 'x'), [`q${qos} a/1 x {alias 1}`]);
      t.same(send('a/2', 'x'), [`q${qos} a/2 x {alias 2}`]);
      t.same(send('a/3', 'x'), [`q${qos} a/3 x`]);
      t.same(send('a/2', 'y'), [`q${qos}  y {alias 2}`]);
      t.same(send('a/1', 'y'), [`q${qos}  y {alias 1}`]);
      t.same(send('a/3', 'y'), [`q${qos} a/3 y`]);
      checkInvariants(broker);
    }
  }
  t.end();
});

t.test('our own limit holds, too: topics beyond it and topics too long go out in full', (t) => {
  const { broker, publisher, subscriber } = pair({ topicAliasMax: 1, topicAliasBytes: 4 }, 9);
  const send = (topic: string): string[] => {
    publisher.send(publish5(topic, 'x'));
    return subscriber.received();
  };
  t.same(send('12345'), ['PUBLISH q0 12345 x']);
  t.same(send('1234'), ['PUBLISH q0 1234 x {alias 1}']);
  t.same(send('123'), ['PUBLISH q0 123 x']);
  t.same(send('1234'), ['PUBLISH q0  x {alias 1}']);
  checkInvariants(broker);
  t.end();
});

t.test('an alias that would make the packet too large for the client is left away, and given later', (t) => {
  const broker = makeBroker();
  const subscriber = connected(broker, { clientId: 's', level: 5, properties: { aliasMaximum: 3, packetMaximum: 40 } });
  subscriber.send(subscribe5(1, {}, ['#', 0]));
  const publisher = connected(broker, { clientId: 'p', level: 5 });
  const payload = 'x'.repeat(40 - 2 - 5 - 1);
  for (const words of [`abc ${payload}`, 'abc y {alias 1}', ` ${payload} {alias 1}`]) {
    publisher.send(publish5('abc', words.includes('y') ? 'y' : payload));
    t.same(subscriber.received(), [`PUBLISH q0 ${words}`]);
  }
  t.end();
});

t.test('a message without room in the outbox leaves no alias behind', (t) => {
  const { broker, publisher, subscriber } = pair({ outboxBytes: 1024 }, 3);
  subscriber.link.capacity = 0;
  for (const payload of ['x'.repeat(900), 'y'.repeat(900)]) publisher.send(publish5(payload.slice(0, 3), payload));
  subscriber.link.capacity = Infinity;
  const got = subscriber.resume();
  t.equal(got.length, 1);
  t.match(got[0], /\{alias 1\}$/);
  publisher.send(publish5('yyy', 'z'));
  t.same(subscriber.received(), ['PUBLISH q0 yyy z {alias 2}'], 'it has not had that topic yet');
  checkInvariants(broker);
  t.end();
});
