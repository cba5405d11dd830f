// Keep-alive seen from the client. Runs on Node and on XS.

import t from 'tap';
import { CONNECTED, PING_TIMEOUT } from '../../src/client/states.js';
import { pingresp, publish, puback } from '../support/packets.js';
import { ScriptedBroker } from './scripted-broker.js';

function accepted(keepAliveSeconds: number): ScriptedBroker {
  const broker = new ScriptedBroker({ keepAliveSeconds }, { pingTimeoutMs: 5000 });
  broker.accept();
  broker.notes.told();
  return broker;
}

t.test('3.1.2.10: PINGREQ before the broker misses us [MQTT-3.1.2-23]', (t) => {
  for (const [seconds, quietMs] of [[60, 59_000], [10, 9000], [2, 1000], [1, 500]] as const) {
    const broker = accepted(seconds);
    t.same(broker.pass(quietMs - 250), [], `${seconds} s`);
    t.same(broker.pass(250), ['PINGREQ']);
    broker.send(pingresp());
    t.same(broker.pass(quietMs - 250), []);
    t.same(broker.pass(250), ['PINGREQ'], 'and again');
  }
  t.end();
});

t.test('0 is none', (t) => {
  const broker = accepted(0);
  t.same(broker.pass(10_000_000, 100_000), []);
  t.equal(broker.client.state, CONNECTED);
  t.end();
});

t.test('what is sent and answered makes PINGREQ needless', (t) => {
  const broker = accepted(10);
  for (let id = 1; id < 20; id++) {
    broker.publish('a', 'b', 1);
    t.same(broker.sent().length, 1);
    broker.send(puback(id));
    t.same(broker.pass(5000), []);
  }
  t.end();
});

t.test('what is only sent, or only received, does not', (t) => {
  const sending = accepted(10);
  sending.pass(5000);
  sending.publish('a', 'b');
  t.same(sending.sent(), ['PUBLISH q0 a b']);
  t.same(sending.pass(4000), ['PINGREQ'], 'nothing was heard for 9 s');
  const receiving = accepted(10);
  receiving.pass(5000);
  receiving.send(publish('a', 'b'));
  t.same(receiving.pass(4000), ['PINGREQ'], 'nothing was said for 9 s');
  t.end();
});

t.test('silence after PINGREQ is the end; any packet is a sign of life', (t) => {
  const broker = accepted(10);
  broker.pass(9000);
  t.same(broker.pass(4750), []);
  broker.send(publish('a', 'b'));
  broker.notes.told();
  t.same(broker.pass(4250), ['PINGREQ'], 'since nothing was said; the first is answered');
  broker.pass(4750);
  t.equal(broker.client.state, CONNECTED);
  broker.pass(250);
  t.same(broker.notes.told(), [`ended ${PING_TIMEOUT}`]);
  t.ok(broker.link.closed);
  t.end();
});

t.test('a link that takes nothing does not hide the silence', (t) => {
  const broker = accepted(10);
  broker.link.capacity = 0;
  while (broker.publish('a', 'x'.repeat(40)) === 0) continue;
  broker.pass(9000 + 5000);
  t.same(broker.notes.told(), [`ended ${PING_TIMEOUT}`]);
  t.end();
});

t.test('who does not read, because the application takes no message, does not miss the broker', (t) => {
  const broker = accepted(10);
  broker.notes.takes = false;
  broker.send(publish('a', 'b', { qos: 1 }));
  const pings = broker.pass(60_000);
  t.same(pings, Array.from({ length: 6 }, () => 'PINGREQ'), 'and is not missed');
  broker.notes.takes = true;
  broker.client.resume();
  t.equal(broker.client.state, CONNECTED);
  t.same(broker.notes.told(), ['q1 a b']);
  t.end();
});

t.test('a large message that comes slowly is a sign of life', (t) => {
  const broker = accepted(2);
  const packet = publish('a', 'x'.repeat(240));
  for (const byte of packet) {
    broker.send(Uint8Array.of(byte));
    broker.pass(500);
  }
  t.same(broker.notes.told().length, 1);
  t.equal(broker.client.state, CONNECTED);
  t.end();
});

t.test('time that goes back, or does not pass, is no time', (t) => {
  const broker = accepted(10);
  broker.client.tick(100);
  broker.client.tick(50);
  t.same(broker.sent(), []);
  t.equal(broker.client.state, CONNECTED);
  t.end();
});
