// Faults that review, simulation and fuzz have found in the client, each as its smallest case.
// Deterministic: also runs in XS.

import t from 'tap';
import { CONNECTED, PING_TIMEOUT } from '../../src/client/states.js';
import { RECEIVE_MAXIMUM_EXCEEDED } from '../../src/wire/codes.js';
import { concat, connack, puback, publish, pubrec, pubrel, suback, unsuback } from '../support/packets.js';
import { Application } from './application.js';
import { checkClientInvariants } from './invariants.js';
import { ScriptedBroker } from './scripted-broker.js';

/** A client whose application does `act` in the callbacks that it names. */
function withApplication(options: { queueQos0?: boolean } = {}): { broker: ScriptedBroker; application: Application } {
  const application = new Application();
  const broker = new ScriptedBroker({ ...options, observer: application });
  application.client = broker.client;
  return { broker, application };
}

t.test('who publishes while a new session begins publishes once', (t) => {
  const { broker, application } = withApplication();
  broker.accept();
  application.publish('a', 2, '');
  broker.sent();
  broker.send(pubrec(1));
  broker.lose();
  application.meanwhile = (callback) => {
    if (callback === 'delivered') application.publish('b', 2, '');
  };
  broker.pass(1500);
  broker.open();
  t.same(broker.send(connack(false)), ['PUBLISH q2 id2 b 2.2.']);
  checkClientInvariants(broker.client);
  t.end();
});

t.test('who unsubscribes while a new session begins leaves no answer that nobody waits for', (t) => {
  const { broker, application } = withApplication();
  for (const filter of ['a', 'b']) application.unsubscribe(filter);
  application.meanwhile = (callback) => {
    application.meanwhile = () => {};
    if (callback === 'unsubscribed') application.unsubscribe('b');
  };
  const sent = broker.accept();
  checkClientInvariants(broker.client);
  for (const id of [65_532, 65_533]) broker.send(unsuback(id));
  checkClientInvariants(broker.client);
  t.equal(broker.client.memory.subscriptions.count, 0, sent.join());
  t.end();
});

t.test('the filter that is told is the filter, whatever is published from what else is told', (t) => {
  const { broker, application } = withApplication({ queueQos0: true });
  application.subscribe('filter', 1);
  application.publish('a', 0, 'kept');
  application.meanwhile = (callback) => {
    if (callback === 'delivered') application.publish('other/topic', 1, '');
  };
  broker.accept();
  broker.send(suback(65_532, 1));
  t.ok(application.told.includes('subscribed filter 1'), application.told.join());
  t.end();
});

t.test('more answers than the outbox holds do not stop the reading of a link that takes them', (t) => {
  const broker = new ScriptedBroker();
  broker.accept();
  let packets = new Uint8Array(0);
  for (let id = 1; id <= 300; id++) packets = concat(packets, pubrel(id)).slice();
  const { client, link } = broker;
  for (let at = 0; at < packets.length;) { // in one turn, without a flush
    const count = Math.min(client.room, packets.length - at);
    t.not(count, 0, 'the client reads');
    if (count === 0) break;
    client.bytes.set(packets.slice(at, at + count), client.receiveStart);
    client.received(count);
    at += count;
  }
  t.equal(broker.sent().length, 300);
  t.ok(link.reading);
  t.end();
});

t.test('nothing follows DISCONNECT, though a packet waits for room for its answer [MQTT-3.14.4-2]', (t) => {
  const broker = new ScriptedBroker({}, { outboxBytes: 288 });
  broker.accept();
  broker.link.capacity = 0;
  let packets = new Uint8Array(0);
  for (let id = 1; id <= 80; id++) packets = concat(packets, pubrel(id)).slice();
  broker.send(packets);
  t.notOk(broker.link.reading, 'it waits');
  broker.client.disconnect();
  for (let i = 0; i < 200 && !broker.link.closed; i++) {
    broker.link.drain();
    broker.link.capacity = 7;
    broker.client.writable();
  }
  const sent = broker.sent();
  t.equal(sent[sent.length - 1], 'DISCONNECT');
  t.equal(sent.filter((words) => words === 'DISCONNECT').length, 1);
  t.same(broker.notes.told(), ['connected new', 'closed']);
  t.end();
});

t.test('a PINGREQ that found no room is not waited for', (t) => {
  const broker = new ScriptedBroker({ keepAliveSeconds: 10 }, { pingTimeoutMs: 3000, acknowledgementBytes: 4 });
  broker.accept();
  broker.link.capacity = 0;
  for (const payloadBytes of [...Array<number>(11).fill(40), 8]) broker.publish('a', 'x'.repeat(payloadBytes));
  broker.send(pubrel(1)); // its answer takes the last 4 of 512 bytes
  broker.pass(9500);
  broker.link.drain();
  broker.link.capacity = Infinity;
  broker.client.writable();
  t.equal(broker.sent().length, 13);
  t.same(broker.pass(2750), ['PINGREQ'], 'now it goes out');
  t.equal(broker.client.state, CONNECTED, 'and has its own time');
  broker.pass(250);
  t.same(broker.notes.told(), ['connected new', `ended ${PING_TIMEOUT}`]);
  t.end();
});

t.test('more QoS 2 messages than receiveMax end the connection, and each time there are fewer', (t) => {
  const broker = new ScriptedBroker({}, { receiveMax: 1 });
  broker.accept();
  const two = concat(publish('a', '1', { qos: 2, id: 1 }), publish('a', '2', { qos: 2, id: 2 }));
  t.same(broker.send(two), ['PUBREC id1'], 'the broker has the answer to the first');
  t.same(broker.notes.told(), ['connected new', 'q2 a 1', `ended ${RECEIVE_MAXIMUM_EXCEEDED}`]);
  broker.pass(1500);
  broker.open();
  broker.send(connack(true));
  t.same(broker.send(concat(pubrel(1), publish('a', '2', { qos: 2, id: 2, duplicate: true }))),
    ['PUBCOMP id1', 'PUBREC id2']);
  t.same(broker.notes.told(), ['connected present', 'q2 dup a 2']);
  t.end();
});

t.test('MQTT 3.1: a broker that kept the session, and cannot say so, gets nothing twice', (t) => {
  const broker = new ScriptedBroker({ protocolLevel: 3 });
  broker.subscribe('f', 1);
  broker.accept();
  for (let i = 0; i < 3; i++) broker.publish('a', String(i), 2);
  broker.sent();
  broker.send(pubrec(1));
  broker.lose();
  broker.pass(1500);
  broker.open();
  t.same(broker.send(connack(false)),
    ['SUBSCRIBE id65532 f 1', 'PUBREL id1', 'PUBLISH q2 id2 dup a 1', 'PUBLISH q2 id3 dup a 2']);
  t.end();
});

t.test('a wait is not shorter for the time before it began', (t) => {
  const broker = new ScriptedBroker({ random: () => 0 }, { reconnectFirstMs: 1000 });
  broker.accept();
  broker.client.tick(1000);
  broker.lose(); // just before a tick
  broker.client.tick(2000);
  t.equal(broker.links.length, 1, 'nobody knows whether 500 ms are over');
  broker.client.tick(2499);
  t.equal(broker.links.length, 1);
  broker.client.tick(2500);
  t.equal(broker.links.length, 2);
  t.end();
});

t.test('QoS 1 goes on when the window has room again', (t) => {
  const broker = new ScriptedBroker({}, { inflightMax: 1 });
  broker.accept();
  for (let i = 1; i <= 3; i++) broker.publish('a', String(i), 1);
  t.same(broker.sent(), ['PUBLISH q1 id1 a 1']);
  t.same(broker.send(puback(1)), ['PUBLISH q1 id2 a 2']);
  t.same(broker.send(puback(2)), ['PUBLISH q1 id3 a 3']);
  t.end();
});

t.test('who closes from inside a message still has room for what comes, or says that it reads no more', (t) => {
  const { broker, application } = withApplication();
  broker.accept();
  const { client, link } = broker;
  link.capacity = 0; // DISCONNECT waits
  application.publish('a', 0, '');
  application.meanwhile = (callback) => {
    if (callback === 'message') client.disconnect();
  };
  let packets = new Uint8Array(0);
  for (let i = 0; packets.length < client.room; i++) packets = concat(packets, publish('a', String(i))).slice();
  const count = client.room;
  client.bytes.set(packets.slice(0, count), client.receiveStart);
  client.received(count);
  t.equal(application.got.length, 1);
  t.ok(client.room > 0 || !link.reading, 'else the platform offers the same bytes for ever');
  t.end();
});
