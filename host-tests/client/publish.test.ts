// Messages in both directions: QoS 0, 1 and 2, the queue while there is no broker, what a full one does, and what goes
// again on a new connection. Runs on Node and on XS.

import t from 'tap';
import { QueueFull } from '../../src/limits.js';
import { WAITING } from '../../src/client/states.js';
import {
  MALFORMED, PROTOCOL_ERROR, QUOTA_EXCEEDED, RECEIVE_MAXIMUM_EXCEEDED, SERVER_UNAVAILABLE, TOO_LARGE,
  TOPIC_NAME_INVALID,
} from '../../src/wire/codes.js';
import { ascii, puback, pubcomp, publish, pubrec, pubrel } from '../support/packets.js';
import { ScriptedBroker } from './scripted-broker.js';

function accepted(...given: ConstructorParameters<typeof ScriptedBroker>): ScriptedBroker {
  const broker = new ScriptedBroker(...given);
  broker.accept();
  broker.notes.told();
  return broker;
}

t.test('4.3.1: QoS 0 goes out and is forgotten', (t) => {
  const broker = accepted();
  t.equal(broker.publish('maison/salon/temperature', '21.4', 0, true), 0);
  t.same(broker.sent(), ['PUBLISH q0 retain maison/salon/temperature 21.4']);
  t.same([broker.client.waitingCount, broker.notes.told().length], [0, 0]);
  t.end();
});

t.test('4.3.2: QoS 1 is kept until PUBACK', (t) => {
  const broker = accepted();
  t.equal(broker.publish('a', 'b', 1, true), 1);
  t.same(broker.sent(), ['PUBLISH q1 id1 retain a b']);
  t.equal(broker.client.waitingCount, 1);
  t.same(broker.send(puback(1)), []);
  t.same(broker.notes.told(), ['delivered 1']);
  t.equal(broker.client.waitingCount, 0);
  t.end();
});

t.test('4.3.3: QoS 2 by PUBREC, PUBREL, PUBCOMP', (t) => {
  const broker = accepted();
  t.equal(broker.publish('a', 'b', 2), 1);
  t.same(broker.sent(), ['PUBLISH q2 id1 a b']);
  t.same(broker.send(pubrec(1)), ['PUBREL id1']);
  t.same(broker.send(pubrec(1)), ['PUBREL id1'], 'again, as often as it comes');
  t.same(broker.notes.told(), []);
  broker.send(pubcomp(1));
  t.same(broker.notes.told(), ['delivered 1']);
  t.end();
});

t.test('acknowledgements of the wrong kind end the connection, unknown ones are counted', (t) => {
  for (const [qos, wrong] of [[1, pubrec(1)], [2, puback(1)], [2, pubcomp(1)], [1, pubcomp(1)]] as const) {
    const broker = accepted();
    broker.publish('a', 'b', qos);
    broker.sent();
    broker.send(wrong);
    t.same(broker.notes.told(), [`ended ${PROTOCOL_ERROR}`]);
    t.equal(broker.client.waitingCount, 1, 'the message stays');
  }
  const broker = accepted();
  t.same(broker.send(puback(7)), []);
  t.same(broker.send(pubrec(8)), ['PUBREL id8']);
  t.same(broker.send(pubcomp(8)), []);
  t.equal(broker.client.counters.unknownAcknowledgements, 3);
  t.end();
});

t.test('what is no message is not taken, and told why', (t) => {
  for (const broker of [accepted(), new ScriptedBroker()]) {
    t.equal(broker.publish('', 'x'), TOPIC_NAME_INVALID);
    t.equal(broker.publish('a/+', 'x', 1), TOPIC_NAME_INVALID);
    t.equal(broker.publish('a', 'x', 3), PROTOCOL_ERROR);
    t.equal(broker.client.publish(Uint8Array.of(0xff), ascii(''), 1, false), MALFORMED);
    t.equal(broker.publish('a', 'x'.repeat(252), 0), TOO_LARGE, '257 bytes');
    t.equal(broker.client.publish(new Uint8Array(70_000).fill(0x61), ascii(''), 1, false), TOO_LARGE);
    t.equal(broker.client.waitingCount, 0);
  }
  const broker = accepted();
  t.equal(broker.publish('a', 'x'.repeat(250), 0), 0, '256 bytes');
  t.equal(broker.sent().length, 1);
  t.end();
});

t.test('what was published goes out before the end', (t) => {
  const broker = accepted();
  broker.publish('a', '1', 1);
  broker.publish('a', '2', 0);
  broker.client.disconnect();
  t.same(broker.link.packets(), ['PUBLISH q1 id1 a 1', 'PUBLISH q0 a 2', 'DISCONNECT']);
  t.end();
});

t.test('4.6: the window of unacknowledged messages, in order', (t) => {
  const broker = accepted({}, { inflightMax: 2 });
  const handles = ['1', '2', '3', '4'].map((payload) => broker.publish('a', payload, 1));
  t.same(broker.sent(), ['PUBLISH q1 id1 a 1', 'PUBLISH q1 id2 a 2']);
  t.same(broker.send(puback(1)), ['PUBLISH q1 id3 a 3']);
  t.same(broker.send(puback(2)), ['PUBLISH q1 id4 a 4']);
  broker.send(puback(3));
  broker.send(puback(4));
  t.same(broker.notes.told(), handles.map((handle) => `delivered ${handle}`));
  t.end();
});

t.test('without a broker QoS 1 and 2 wait, in order, and QoS 0 if it is wanted', (t) => {
  const plain = new ScriptedBroker();
  t.equal(plain.publish('a', '0', 0), SERVER_UNAVAILABLE);
  t.equal(plain.client.counters.droppedQos0, 1);
  plain.publish('a', '1', 1);
  plain.publish('a', '2', 2);
  t.same(plain.accept(), ['PUBLISH q1 id1 a 1', 'PUBLISH q2 id2 a 2']);

  const keeping = new ScriptedBroker({ queueQos0: true });
  const handles = [0, 1, 0, 2].map((qos, i) => keeping.publish('a', String(i), qos, i === 2));
  t.same(keeping.accept(),
    ['PUBLISH q0 a 0', 'PUBLISH q1 id1 a 1', 'PUBLISH q0 retain a 2', 'PUBLISH q2 id2 a 3']);
  t.same(keeping.notes.told(), ['connected new', `delivered ${handles[0]}`, `delivered ${handles[2]}`]);
  t.equal(keeping.client.waitingCount, 2);
  t.end();
});

t.test('QoS 0 to a link that does not keep up is dropped and told, or kept', (t) => {
  const broker = accepted();
  broker.link.capacity = 0;
  let taken = 0;
  while (broker.publish('a', 'x'.repeat(100)) === 0) taken++;
  t.equal(taken, 4, 'of 106 bytes in an outbox of 512, 32 of them for acknowledgements');
  t.equal(broker.publish('a', 'x'.repeat(100)), QUOTA_EXCEEDED);

  const keeping = accepted({ queueQos0: true });
  keeping.link.capacity = 0;
  const handles: number[] = [];
  for (let i = 0; i < 8; i++) handles.push(keeping.publish('a', `${i}`.padEnd(100, 'x')));
  t.same(handles, [0, 0, 0, 0, 1, 2, 3, 4]);
  keeping.link.capacity = Infinity;
  keeping.client.writable();
  t.same(keeping.sent().map((packet) => packet.slice(13, 14)), ['0', '1', '2', '3', '4', '5', '6', '7']);
  t.same(keeping.notes.told(), [1, 2, 3, 4].map((handle) => `delivered ${handle}`));
  t.end();
});

t.test('a full queue does what was chosen', (t) => {
  const topics = ['a', 'b', 'a', 'c'];
  const wanted = {
    [QueueFull.REFUSE_NEW]: [['a 0', 'b 1', 'a 2', 'c 3'], []],
    [QueueFull.DROP_OLDEST]: [['a 2', 'c 3', 'b 4', 'c 5'], ['dropped 1', 'dropped 2']],
    [QueueFull.KEEP_LATEST]: [['a 0', 'a 2', 'b 4', 'c 5'], ['dropped 2', 'dropped 4']],
  } as const;
  for (const queueFull of Object.values(QueueFull)) {
    const broker = new ScriptedBroker({}, { queuedMax: 4, queueFull });
    topics.forEach((topic, i) => t.equal(broker.publish(topic, String(i), 1), i + 1));
    const late = [broker.publish('b', '4', 1), broker.publish('c', '5', 1)];
    t.equal(late.every((handle) => handle === QUOTA_EXCEEDED), queueFull === QueueFull.REFUSE_NEW, queueFull);
    t.same(broker.notes.told(), wanted[queueFull][1]);
    const { droppedNew, droppedOld } = broker.client.counters;
    t.same([droppedNew, droppedOld], queueFull === QueueFull.REFUSE_NEW ? [2, 0] : [0, 2]);
    t.same(broker.accept().map((packet) => packet.replace(/.*id\d+ /, '')), wanted[queueFull][0]);
  }
  t.end();
});

t.test('a message for which too little can be dropped drops nothing', (t) => {
  const broker = accepted({}, { queuedMax: 4, queueFull: QueueFull.DROP_OLDEST, inflightMax: 3, queueBytes: 256 });
  for (let i = 0; i < 3; i++) broker.publish('a', 'x'.repeat(60), 1);
  broker.sent();
  broker.publish('a', 'y', 1);
  broker.notes.told();
  t.equal(broker.publish('a', 'z'.repeat(120), 1), QUOTA_EXCEEDED, 'three are in flight');
  t.same(broker.notes.told(), []);
  t.equal(broker.client.waitingCount, 4);
  t.end();
});

t.test('4.4: a session that the broker still has goes on where it was', (t) => {
  const broker = accepted();
  for (const [payload, qos] of [['1', 1], ['2', 2], ['3', 2], ['4', 1], ['5', 1]] as const) broker.publish('a', payload, qos);
  broker.sent();
  broker.send(pubrec(2));
  broker.lose();
  broker.publish('a', '6', 1);
  t.same(broker.pass(1000), []);
  t.same(broker.accept(true), ['PUBLISH q1 id1 dup a 1', 'PUBREL id2', 'PUBLISH q2 id3 dup a 3', 'PUBLISH q1 id4 dup a 4']);
  t.same(broker.send(puback(1)), ['PUBLISH q1 id5 a 5']);
  t.same(broker.send(pubcomp(2)), ['PUBLISH q1 id6 a 6']);
  t.end();
});

t.test('a session that the broker has forgotten begins anew, in order; what it had taken is done', (t) => {
  const broker = accepted();
  for (const [payload, qos] of [['1', 1], ['2', 2], ['3', 2], ['4', 1], ['5', 1]] as const) broker.publish('a', payload, qos);
  broker.sent();
  broker.send(pubrec(2));
  broker.lose();
  broker.notes.told();
  broker.pass(1000);
  t.same(broker.accept(false), ['PUBLISH q1 id5 a 1', 'PUBLISH q2 id6 a 3', 'PUBLISH q1 id7 a 4', 'PUBLISH q1 id8 a 5']);
  t.same(broker.notes.told(), ['delivered 2', 'connected new']);
  t.end();
});

t.test('messages come at every QoS, exactly once at QoS 2, and are acknowledged, asked for or not [MQTT-4.5.0-2]', (t) => {
  const broker = accepted();
  t.same(broker.send(publish('a', '0', { retain: true })), []);
  t.same(broker.send(publish('a', '1', { qos: 1, id: 9 })), ['PUBACK id9']);
  t.same(broker.send(publish('a', '1', { qos: 1, id: 9, duplicate: true })), ['PUBACK id9']);
  t.same(broker.send(publish('a', '2', { qos: 2, id: 9 })), ['PUBREC id9']);
  t.same(broker.send(publish('a', '2', { qos: 2, id: 9, duplicate: true })), ['PUBREC id9']);
  t.same(broker.notes.told(), ['q0 retain a 0', 'q1 a 1', 'q1 dup a 1', 'q2 a 2']);
  broker.lose();
  broker.pass(1000);
  broker.accept(true);
  broker.notes.told();
  t.same(broker.send(publish('a', '2', { qos: 2, id: 9, duplicate: true })), ['PUBREC id9']);
  t.same(broker.send(pubrel(9)), ['PUBCOMP id9']);
  t.same(broker.send(pubrel(9)), ['PUBCOMP id9']);
  t.same(broker.notes.told(), [], 'taken before the connection was lost');
  t.same(broker.send(publish('a', '3', { qos: 2, id: 9 })), ['PUBREC id9']);
  t.same(broker.notes.told(), ['q2 a 3']);
  broker.lose();
  broker.pass(2000);
  broker.accept(false);
  broker.notes.told();
  broker.send(publish('a', '4', { qos: 2, id: 9 }));
  t.same(broker.notes.told(), ['q2 a 4'], 'a new session has nothing of the old one');
  for (const id of [1, 2, 3]) broker.send(publish('a', 'x', { qos: 2, id }));
  broker.notes.told();
  broker.send(publish('a', 'x', { qos: 2, id: 4 }));
  t.same(broker.notes.told(), [`ended ${RECEIVE_MAXIMUM_EXCEEDED}`], 'more than receiveMax without PUBREL');
  t.end();
});

t.test('an application that does not take a message stops the reading, and loses nothing', (t) => {
  const broker = accepted();
  broker.notes.takes = false;
  t.same(broker.send(publish('a', '1', { qos: 1, id: 5 })), []);
  t.same([broker.link.reading, broker.client.room], [false, 0]);
  broker.client.resume();
  t.notOk(broker.link.reading, 'not yet');
  broker.notes.takes = true;
  broker.client.resume();
  t.ok(broker.link.reading);
  t.same(broker.sent(), ['PUBACK id5']);
  t.same(broker.notes.told(), ['q1 a 1']);
  broker.client.resume();
  t.same(broker.notes.told(), [], 'idempotent');
  t.end();
});

t.test('no room for an answer stops the reading until there is', (t) => {
  const broker = accepted({}, { acknowledgementBytes: 4 });
  broker.link.capacity = 0;
  while (broker.publish('a', 'x'.repeat(10)) === 0) continue;
  let answered = 0;
  while (broker.link.reading) broker.send(publish('a', '1', { qos: 1, id: ++answered }));
  t.ok(answered > 1 && answered < 8, `${answered} came`);
  t.equal(broker.notes.told().length, answered - 1);
  broker.link.capacity = Infinity;
  broker.client.writable();
  t.ok(broker.link.reading);
  t.same(broker.notes.told(), ['q1 a 1']);
  t.same(broker.sent().slice(-1), [`PUBACK id${answered}`]);
  t.end();
});

t.test('a message larger than any we take is skipped and acknowledged', (t) => {
  for (const pieceBytes of [1, 7, 100, 512]) {
    for (const qos of [0, 1, 2]) {
      const broker = accepted();
      const answers = broker.send(publish('big', 'x'.repeat(1000), { qos, id: 5 }), pieceBytes);
      t.same(answers, qos === 0 ? [] : [qos === 1 ? 'PUBACK id5' : 'PUBREC id5'], `QoS ${qos} by ${pieceBytes}`);
      if (qos === 2) t.same(broker.send(pubrel(5)), ['PUBCOMP id5']);
      broker.send(publish('small', 'y'), pieceBytes);
      t.same(broker.notes.told(), ['q0 small y']);
      t.equal(broker.client.counters.skippedTooLarge, 1);
    }
  }
  for (const topicBytes of [252, 300, 600]) {
    const broker = accepted();
    broker.send(publish('t'.repeat(topicBytes), 'x'.repeat(300), { qos: 1 }).slice(0, 512));
    t.same(broker.notes.told(), [`ended ${TOO_LARGE}`], 'its identifier is further than a packet reaches');
    t.ok(broker.client.memory.inbox.count <= 256);
  }
  t.end();
});

t.test('packets come in any pieces [MQTT-7.1.2-1]', (t) => {
  for (let pieceBytes = 1; pieceBytes < 30; pieceBytes++) {
    const broker = accepted();
    const bytes = [publish('maison/a', '1', { qos: 1, id: 1 }), publish('b', ''), publish('c', '3', { qos: 2, id: 2 })];
    for (const packet of bytes) broker.send(packet, pieceBytes);
    t.same(broker.notes.told(), ['q1 maison/a 1', 'q0 b ', 'q2 c 3']);
  }
  t.end();
});

t.test('an application may publish, and end the connection, from what it is told', (t) => {
  const broker = accepted();
  broker.notes.message = () => {
    broker.publish('echo', 'x', 1);
    return true;
  };
  t.same(broker.send(publish('a', '1', { qos: 1, id: 5 })), ['PUBACK id5', 'PUBLISH q1 id1 echo x']);
  broker.notes.message = () => {
    broker.client.disconnect();
    return true;
  };
  broker.client.bytes.set(publish('a', '1', { qos: 1, id: 6 }), broker.client.receiveStart);
  broker.client.received(publish('a', '1', { qos: 1, id: 6 }).length);
  t.same(broker.link.packets(), ['DISCONNECT'], 'and nothing after it [MQTT-3.14.4-2]');
  broker.accept(true);
  broker.notes.message = () => {
    broker.client.disconnect();
    broker.client.connect();
    return false;
  };
  broker.send(publish('a', '1', { qos: 1, id: 6 }));
  t.ok(broker.link.reading, 'the new link is read');
  t.not(broker.client.state, WAITING);
  t.end();
});
