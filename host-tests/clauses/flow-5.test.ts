// Statements of 5.0 on the flow of messages, through the broker's core: the send quota, a subscription that is replaced
// while messages wait, and exchanges whose message has expired. Runs on Node and on XS.
import t from 'tap';
import type { Broker } from '../../src/broker/broker.js';
import { checkInvariants } from '../support/invariants.js';
import {
  concat, connect, pingreq, puback, pubcomp, publish5, pubrec, pubrel, subscribe5,
} from '../support/packets.js';
import { connected, makeBroker, pass, Peer } from '../support/peer.js';

const LIMITS = { inflightMax: 10, receiveMax: 10 };

/** Everything at QoS 2, two unfinished messages at a time. */
function narrow(broker: Broker): Peer {
  const peer = connected(broker, {
    level: 5, clientId: 'narrow', clean: false, properties: { sessionExpiry: 600, receiveMaximum: 2 },
  });
  peer.send(subscribe5(1, {}, ['#', 2]));
  return peer;
}

/** Payloads of the PUBLISH packets, with the others as they are. */
function short(packets: readonly string[]): string[] {
  return packets.map((packet) => packet.replace(/^PUBLISH .* (\S+)$/, '$1'));
}

t.test('5.0 [MQTT-4.9.0-1], [MQTT-4.9.0-2], [MQTT-3.3.4-9]: ' +
  'no more unfinished messages than the client takes, at any time', (t) => {
  const broker = makeBroker(LIMITS);
  const peer = narrow(broker);
  const publisher = connected(broker, { level: 5, clientId: 'p' });
  for (const id of [1, 2, 3, 4, 5]) publisher.send(publish5('a', `m${id}`, { qos: id < 3 ? id : 1, id }));
  publisher.send(pubrel(2));
  t.same(short(peer.received()), ['m1', 'm2'], 'two');
  t.same(short(peer.send(pubrec(2))), ['PUBREL id2'], 'PUBREC makes no room');
  t.same(short(peer.send(puback(1))), ['m3'], 'PUBACK makes room for one');
  t.same(short(peer.send(pubcomp(2))), ['m4'], 'and so does PUBCOMP');
  t.same(peer.send(concat(pubcomp(2), puback(77))), [], 'what is acknowledged twice, or never was sent, makes none');
  peer.drop();
  const again = new Peer(broker);
  const sent = again.send(connect({
    level: 5, clientId: 'narrow', clean: false, properties: { sessionExpiry: 600, receiveMaximum: 1 },
  }));
  t.same(short(sent.slice(1)), ['m3'], 'on another connection its new maximum counts, for what comes again as well');
  t.same(short(again.send(puback(3))), ['m4']);
  t.same(short(again.send(puback(4))), ['m5']);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-4.9.0-2]: a PUBREC that refuses gives its place back', (t) => {
  const broker = makeBroker(LIMITS);
  const peer = narrow(broker);
  const publisher = connected(broker, { level: 5, clientId: 'p' });
  for (const id of [1, 2, 3]) publisher.send(concat(publish5('a', `m${id}`, { qos: 2, id }), pubrel(id)));
  t.same(short(peer.received()), ['m1', 'm2']);
  t.same(short(peer.send(pubrec(1, 0x80))), ['m3']);
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-4.9.0-3], [MQTT-3.3.4-10]: all other packets go on while the quota is used up', (t) => {
  const broker = makeBroker(LIMITS);
  const peer = narrow(broker);
  const publisher = connected(broker, { level: 5, clientId: 'p' });
  for (const id of [1, 2, 3]) publisher.send(publish5('a', `m${id}`, { qos: 1, id }));
  t.same(short(peer.received()), ['m1', 'm2'], 'used up');
  t.same(peer.send(pingreq()), ['PINGRESP']);
  t.same(peer.send(subscribe5(5, {}, ['b', 1])), ['SUBACK id5 1']);
  t.same(peer.send(publish5('$own/x', 'x', { qos: 1, id: 6 })), ['PUBACK id6 0x10'], 'its own PUBLISH');
  t.same(peer.send(publish5('$own/x', 'x', { qos: 2, id: 7 })), ['PUBREC id7 0x10']);
  t.same(peer.send(pubrel(7)), ['PUBCOMP id7']);
  t.same(short(peer.send(puback(1))), ['m3'], 'and then the next');
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-3.8.4-4]: ' +
  'a filter that is replaced brings its retained messages again, and no message is lost', (t) => {
  const broker = makeBroker(LIMITS);
  const peer = narrow(broker);
  const publisher = connected(broker, { level: 5, clientId: 'p' });
  publisher.send(publish5('kept', 'k', { retain: true }));
  t.same(short(peer.received()), ['k']);
  for (const id of [1, 2, 3, 4]) publisher.send(publish5('a', `m${id}`, { qos: 1, id }));
  t.same(short(peer.received()), ['m1', 'm2']);
  const answers = short(peer.send(subscribe5(9, {}, ['#', 2])));
  t.same(answers, ['SUBACK id9 2', 'k'], 'the retained one, at QoS 0');
  publisher.send(publish5('a', 'm5', { qos: 1, id: 5 }));
  const heard: string[] = [];
  for (const id of [1, 2, 3, 4, 5]) heard.push(...short(peer.send(puback(id))));
  t.same(heard, ['m3', 'm4', 'm5'], 'and all that waited, in their order');
  checkInvariants(broker);
  t.end();
});

t.test('5.0 [MQTT-4.3.3-13], [MQTT-4.3.3-7]: an exchange of QoS 2 goes on though its message has expired', (t) => {
  const broker = makeBroker(LIMITS);
  const clock = { nowMs: 1000 };
  broker.tick(clock.nowMs);
  const peer = narrow(broker);
  const publisher = connected(broker, { level: 5, clientId: 'p' });
  const message = publish5('a', 'short-lived', { qos: 2, id: 8, properties: { expiry: 2 } });
  t.same(publisher.send(message), ['PUBREC id8']);
  t.equal(peer.received().length, 1, 'delivered');
  pass(broker, clock, 1);
  for (let second = 0; second < 20; second++) pass(broker, clock, 1000);
  t.same(publisher.send(message), ['PUBREC id8'], 'repeated');
  t.same(peer.received(), [], 'and not delivered again');
  t.same(publisher.send(pubrel(8)), ['PUBCOMP id8']);
  t.same(peer.send(pubrec(1)), ['PUBREL id1'], 'towards the subscriber as well');
  t.same(peer.send(pubcomp(1)), []);
  checkInvariants(broker);
  t.end();
});
