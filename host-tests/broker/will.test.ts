// Wills: which ends of a connection publish them, and where they go. MQTT 3.1.1 sections 3.1.2.5 to
// 3.1.2.7. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { concat, connect, disconnect, pingreq, publish, subscribe } from '../support/packets.js';
import { connected, makeBroker, pass, Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import type { Broker } from '../../src/broker/broker.js';
import { attempt, tableCounts, takeAll } from './steps.js';

const WILL = { topic: 'will/a', payload: 'gone' };

/** A broker at work, with a witness of `will/#` and `$SYS/#`, and a client that has a will. */
function withWill(will: { topic: string; payload: string; qos?: number; retain?: boolean } = WILL,
  keepAlive = 0): {
  broker: Broker; clock: { nowMs: number }; witness: Peer; client: Peer;
} {
  const broker = makeBroker();
  const clock = { nowMs: 0 };
  broker.tick(0);
  const witness = connected(broker, { clientId: 'witness' });
  witness.send(subscribe(1, ['will/#', 2], ['$SYS/#', 2]));
  return { broker, clock, witness, client: connected(broker, { clientId: 'a', will, keepAlive }) };
}

t.test('[MQTT-3.1.2-8] every end without DISCONNECT publishes the will, once', (t) => {
  const endings: [string, (client: Peer, clock: { nowMs: number }) => void][] = [
    ['a lost link', (client) => client.drop()],
    ['keep-alive', (client, clock) => {
      for (let i = 0; i < 4; i++) pass(client.broker, clock, 1000);
    }],
    ['a malformed packet', (client) => client.send(Uint8Array.of(0xc1, 0))],
    ['an impossible topic', (client) => client.send(publish('#', 'x'))],
    ['a second CONNECT', (client) => client.send(connect({ clientId: 'b' }))],
    ['a packet that is too large', (client) => client.send(Uint8Array.of(0x30, 0xff, 0xff, 0xff,
      0x7f))],
    ['takeover', (client) => attempt(client.broker, connect({ clientId: 'a' }))],
  ];
  for (const [name, end] of endings) {
    const { broker, clock, witness, client } = withWill(WILL, 1);
    end(client, clock);
    t.same(witness.received(), ['PUBLISH q0 will/a gone'], name);
    pass(broker, clock, 60_000);
    t.same(witness.received(), [], `${name}, once`);
    t.equal(tableCounts(broker).kept, 0, 'and it is forgotten');
    checkInvariants(broker);
  }
  t.end();
});

t.test('[MQTT-3.1.2-10] [MQTT-3.14.4-3] DISCONNECT drops the will', (t) => {
  const { broker, witness, client } = withWill();
  client.send(disconnect());
  t.ok(client.link.closed);
  t.same(witness.received(), []);
  t.equal(tableCounts(broker).kept, 0);
  const again = connected(broker, { clientId: 'a' });
  again.drop();
  t.same(witness.received(), [], 'and it is not there for the next connection');
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.1.2-10] DISCONNECT drops the will though the client no longer reads its answers', (t) => {
  const { broker, witness, client } = withWill();
  client.link.drain();
  client.link.capacity = 0;
  client.send(concat(...Array.from({ length: 511 }, pingreq)));
  t.ok(client.link.reading, 'its outbox has room for one short answer');
  client.send(disconnect());
  client.drop();
  t.same(witness.received(), []);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.1.2-8] closing the broker publishes wills to whoever is still there, and into kept sessions', (t) => {
  const { broker, client } = withWill({ ...WILL, qos: 1 });
  const away = connected(broker, { clientId: 'away', clean: false });
  away.send(concat(subscribe(1, ['will/#', 1]), disconnect()));
  const late = connected(broker, { clientId: 'late' });
  late.send(subscribe(1, ['will/#', 0]));
  broker.close();
  t.ok(client.link.closed && late.link.closed);
  t.same(late.received(), ['PUBLISH q0 will/a gone']);
  t.equal(tableCounts(broker).deliveries, 1);
  t.equal(broker.counters[count.CLIENTS_CONNECTED], 0);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.1.2-14] wills of every QoS', (t) => {
  for (const qos of [0, 1, 2]) {
    const { broker, witness, client } = withWill({ ...WILL, qos });
    client.drop();
    t.same(takeAll(witness, witness.received()), [`q${qos} will/a gone`]);
    t.equal(tableCounts(broker).queued, 0);
    checkInvariants(broker);
  }
  t.end();
});

t.test('[MQTT-3.1.2-16] [MQTT-3.1.2-17] a will is retained if it asks for it, and not otherwise', (t) => {
  for (const retain of [false, true]) {
    const { broker, witness, client } = withWill({ ...WILL, qos: 1, retain });
    client.drop();
    t.same(witness.received(), ['PUBLISH q1 id1 will/a gone']);
    t.equal(broker.memory.retained.count, retain ? 1 : 0);
    const late = connected(broker, { clientId: 'late' });
    t.same(late.send(subscribe(1, ['will/a', 0])),
      ['SUBACK id1 0', ...(retain ? ['PUBLISH q0 retain will/a gone'] : [])]);
    checkInvariants(broker);
  }
  t.end();
});

t.test('[MQTT-3.3.1-10] a retained will without payload clears the retained message', (t) => {
  const { broker, witness, client } = withWill({ topic: 'will/a', payload: '', retain: true });
  client.send(publish('will/a', 'online', { retain: true }));
  t.equal(broker.memory.retained.count, 1);
  client.drop();
  t.same(witness.received(), ['PUBLISH q0 will/a online', 'PUBLISH q0 will/a ']);
  t.equal(broker.memory.retained.count, 0);
  t.end();
});

t.test('4.7.2: a will into $SYS is dropped and counted', (t) => {
  const { broker, witness, client } = withWill({ topic: '$SYS/broker/uptime', payload: 'x', qos: 1,
    retain: true });
  client.drop();
  t.same(witness.received(), []);
  t.equal(broker.memory.retained.count, 0);
  t.equal(broker.counters[count.DROPPED_SYS], 1);
  t.equal(tableCounts(broker).kept, 0);
  checkInvariants(broker);
  t.end();
});

t.test('3.1.2.5: a client of a persistent session gets its own will when it comes back; of a clean one not', (t) => {
  for (const clean of [false, true]) {
    const broker = makeBroker();
    const client = connected(broker, { clientId: 'a', clean, will: { ...WILL, qos: 1 } });
    client.send(subscribe(1, ['will/#', 1]));
    client.drop();
    const { answers } = attempt(broker, connect({ clientId: 'a', clean }));
    t.same(answers, clean ? ['CONNACK new 0'] : ['CONNACK present 0',
      'PUBLISH q1 id1 will/a gone']);
    checkInvariants(broker);
  }
  t.end();
});

t.test('3.1.2.5: a taken-over persistent session gets the will of its old connection on the new one', (t) => {
  const broker = makeBroker();
  const fields = { clientId: 'a', clean: false };
  connected(broker, { ...fields, will: { ...WILL, qos: 2 } }).send(subscribe(1, ['will/#', 2]));
  t.same(attempt(broker, connect(fields)).answers,
    ['CONNACK present 0', 'PUBLISH q2 id1 will/a gone']);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.1.3-10] a will topic must be a topic name', (t) => {
  const broker = makeBroker();
  for (const topic of ['a/+', '#', '', Uint8Array.of(0xc3, 0x28)]) {
    const { answers, closed } = attempt(broker,
      connect({ clientId: 'a', will: { topic, payload: 'x' } }));
    t.same([answers, closed], [[], true]);
  }
  checkInvariants(broker);
  t.end();
});

t.test('3.1.2.5: a link that is lost before CONNECT is complete has no will', (t) => {
  const { broker, witness } = withWill();
  const peer = new Peer(broker);
  peer.send(connect({ clientId: 'c', will: WILL }).slice(0, -1));
  peer.drop();
  t.same(witness.received(), []);
  checkInvariants(broker);
  t.end();
});
