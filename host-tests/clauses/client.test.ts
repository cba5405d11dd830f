// Statements on clients that 3.1.1 and 5.0 share, through the client's core. Runs on Node and on XS.
import t from 'tap';
import { ScriptedBroker } from '../client/scripted-broker.js';
import type { ClientOptions } from '../../src/client/options.js';
import {
  ascii, concat, connack, connack5, pingresp, puback, pubcomp, pubrec, pubrel, suback, suback5,
} from '../support/packets.js';
import { DIALECTS, type Dialect } from './dialects.js';

/** A client of that version on a link that is open. */
function opened(d: Dialect, options: Partial<ClientOptions> = {}): ScriptedBroker {
  const broker = new ScriptedBroker({ protocolLevel: d.level, ...options });
  broker.client.connect();
  broker.open();
  return broker;
}

/** CONNACK. */
const accepted = (d: Dialect, sessionPresent = false): Uint8Array =>
  d.level === 5 ? connack5(sessionPresent) : connack(sessionPresent);

t.test('[MQTT-2.3.1-3]: an identifier stays with its packet until it is acknowledged, sent again or not', (t) => {
  for (const d of DIALECTS) {
    const broker = opened(d);
    broker.send(accepted(d));
    broker.publish('a', 'one', 1);
    broker.publish('b', 'two', 2);
    t.same(broker.sent(), ['PUBLISH q1 id1 a one', 'PUBLISH q2 id2 b two'], d.name);
    broker.lose();
    broker.pass(1000);
    broker.client.connect();
    broker.open();
    t.same(broker.send(accepted(d, true)), ['PUBLISH q1 id1 dup a one', 'PUBLISH q2 id2 dup b two'], 'again');
    broker.publish('c', 'three', 1);
    t.same(broker.sent(), ['PUBLISH q1 id3 c three'], 'another gets another');
    t.same(broker.send(concat(puback(1), pubrec(2))), ['PUBREL id2']);
    broker.notes.told();
    broker.send(concat(pubcomp(2), puback(3)));
    t.equal(broker.notes.told().length, 2, 'each acknowledged for what it was');
  }
  t.end();
});

t.test('[MQTT-3.1.3-7]: without an identifier a client of 3.1.1 must ask for a clean session', (t) => {
  t.throws(() => new ScriptedBroker({ clientId: ascii(''), cleanSession: false }),
    { message: 'a session that is kept needs a client identifier' });
  const broker = new ScriptedBroker({ clientId: ascii(''), cleanSession: true });
  broker.client.connect();
  t.same(broker.open(), ['CONNECT clean ']);
  t.end();
});

t.test('[MQTT-4.5.0-2]: what comes is acknowledged by its QoS, wanted or not', (t) => {
  for (const d of DIALECTS) {
    const broker = opened(d);
    broker.send(accepted(d));
    t.same(broker.send(d.publish('never/asked/for', 'x')), [], `${d.name}: QoS 0`);
    t.same(broker.send(d.publish('never/asked/for', 'x', { qos: 1, id: 7 })), ['PUBACK id7'], 'QoS 1');
    t.same(broker.send(d.publish('never/asked/for', 'x', { qos: 2, id: 8 })), ['PUBREC id8'], 'QoS 2');
    t.same(broker.send(pubrel(8)), ['PUBCOMP id8']);
  }
  t.end();
});

t.test('[MQTT-7.1.2-1]: of its transport the client needs bytes in their order, in any pieces', (t) => {
  for (const d of DIALECTS) {
    const conversation = concat(accepted(d), d.level === 5 ? suback5(1, {}, 1) : suback(1, 1), d.publish('a', 'x'),
      d.publish('a/b', 'y'.repeat(150), { qos: 1, id: 9 }), d.publish('b', 'z', { qos: 2, id: 10 }),
      pubrel(10), pingresp());
    const talk = (pieceBytes: number): string[] => {
      const broker = opened(d);
      broker.subscribe('a', 1);
      const sent = broker.send(conversation, pieceBytes);
      return [...sent, ...broker.notes.told()];
    };
    const whole = talk(Infinity);
    t.ok(whole.length >= 8, `${whole.length} packets and events`);
    for (const pieceBytes of [1, 2, 3, 7, 50]) t.same(talk(pieceBytes), whole, `${d.name}: pieces of ${pieceBytes}`);
  }
  t.end();
});
