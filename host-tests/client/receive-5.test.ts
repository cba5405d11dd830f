// What comes to a client of MQTT 5.0: properties, which it can read without a copy, and aliases.
// Runs on Node and on XS.

import t from 'tap';
import { IncomingPacket } from '../../src/client/incoming.js';
import { WAITING } from '../../src/client/states.js';
import { PROTOCOL_ERROR, QUOTA_EXCEEDED, TOPIC_ALIAS_INVALID } from '../../src/wire/codes.js';
import { connack5, disconnect, publish, publish5, pubrel, suback5, type Properties } from '../support/packets.js';
import { ScriptedBroker } from './scripted-broker.js';

function connected(...given: ConstructorParameters<typeof ScriptedBroker>): ScriptedBroker {
  const broker = new ScriptedBroker({ protocolLevel: 5, ...given[0] }, given[1]);
  broker.accept();
  broker.notes.told();
  return broker;
}

/** What `look` sees while the application is told of the message. */
function seen<Value>(broker: ScriptedBroker, bytes: Uint8Array, look: (info: IncomingPacket) => Value): Value | undefined {
  const info = new IncomingPacket(broker.client);
  let value: Value | undefined;
  broker.notes.message = () => {
    value = look(info);
    return true;
  };
  broker.send(bytes);
  return value;
}

t.test('every property of a message can be read while it is told', (t) => {
  const properties: Properties = { format: 1, expiry: 0xfffffffe, contentType: 'text/plain', responseTopic: 'r/t',
    correlation: '\0\x01\xff', subscription: [7, 268_435_455, 7], user: [['b', '2'], ['a', '1'], ['b', '']] };
  const values = seen(connected(), publish5('a', 'x', { qos: 1, id: 4, retain: true, properties }), (info) => [info.QoS,
    info.retain, info.duplicate, info.payloadIsText, info.messageExpirySeconds, info.contentType, info.responseTopic,
    [...info.correlationData!], info.subscriptionIdentifiers, info.userProperties]);
  t.same(values, [1, true, false, true, 0xfffffffe, 'text/plain', 'r/t', [0, 1, 255], [7, 268_435_455, 7],
    [['b', '2'], ['a', '1'], ['b', '']]]);
  t.end();
});

t.test('what a message has not is undefined, whatever the one before had', (t) => {
  const look = (info: IncomingPacket): unknown[] => [info.payloadIsText, info.messageExpirySeconds, info.contentType,
    info.responseTopic, info.correlationData, info.subscriptionIdentifiers, info.userProperties, info.reasonString];
  const nothing = [undefined, undefined, undefined, undefined, undefined, [], [], undefined];
  const broker = connected();
  seen(broker, publish5('a', 'x', { properties: { format: 1, expiry: 1, contentType: 'c', responseTopic: 'r', correlation: 'd',
    subscription: 1, user: [['a', 'b']] } }), () => 0);
  t.same(seen(broker, publish5('a', 'x'), look), nothing);
  t.same(seen(broker, publish5('a', 'x', { properties: { expiry: 0 } }), (info) => info.messageExpirySeconds), 0);
  const old = new ScriptedBroker();
  old.accept();
  t.same(seen(old, publish('a', 'x', { qos: 1 }), look), nothing);
  t.end();
});

t.test('CONNACK, SUBACK and DISCONNECT can be read while they are told', (t) => {
  const broker = new ScriptedBroker({ protocolLevel: 5, clientId: new Uint8Array(0) });
  const info = new IncomingPacket(broker.client);
  const read: unknown[] = [];
  broker.notes.connected = () => read.push(info.assignedClientId, info.sessionExpirySeconds, info.serverKeepAliveSeconds,
    info.receiveMaximum, info.topicAliasMaximum, info.maximumPacketSize, info.maximumQoS, info.retainAvailable,
    info.wildcardSubscriptionAvailable, info.subscriptionIdentifiersAvailable, info.sharedSubscriptionAvailable,
    info.responseInformation, info.serverReference, info.authenticationMethod, info.authenticationData, info.userProperties);
  broker.client.connect();
  broker.open();
  broker.send(connack5(false, 0, { assignedId: 'auto', sessionExpiry: 7, keepAlive: 9, receiveMaximum: 3, aliasMaximum: 2,
    packetMaximum: 100, maximumQos: 1, retainAvailable: 0, wildcards: 1, identifiers: 0, shared: 1, responseInformation: 'i',
    reference: 's', user: [['u', 'v']] }));
  t.same(read.splice(0), ['auto', 7, 9, 3, 2, 100, 1, false, true, false, true, 'i', 's', undefined, undefined, [['u', 'v']]]);
  broker.notes.subscribed = () => read.push(info.reasonString);
  broker.subscribe('a');
  broker.sent();
  broker.send(suback5(0xfffc, { reason: 'because' }, 0));
  broker.notes.ended = () => read.push(info.reasonCode, info.reasonString, info.serverReference);
  broker.send(disconnect(0x9d, { reason: 'moved', reference: 'there' }));
  t.same(read, ['because', 0x9d, 'moved', 'there']);
  t.end();
});

t.test('aliases of the broker: given, used, given anew, 5.0 [MQTT-3.3.2-10]', (t) => {
  const broker = connected({}, { topicAliasMax: 3 });
  const send = (topic: string, alias: number, qos = 0): void => {
    broker.send(publish5(topic, 'x', { qos, id: 5, properties: { alias } }));
  };
  send('house/a', 3);
  send('house/b', 1);
  send('', 3);
  send('', 1, 1);
  send('c', 3);
  send('', 3);
  broker.send(publish5('house/a', 'y'));
  t.same(broker.notes.told(), ['q0 house/a x', 'q0 house/b x', 'q0 house/a x', 'q1 house/b x', 'q0 c x', 'q0 c x',
    'q0 house/a y']);
  broker.notes.takes = false;
  broker.send(publish5('house/d', 'x', { properties: { alias: 1 } }));
  broker.notes.takes = true;
  broker.client.resume();
  send('', 1);
  t.same(broker.notes.told(), ['q0 house/d x', 'q0 house/d x'], 'also by a message that had to wait');
  broker.send(publish5('twice', 'x', { qos: 2, id: 9 }));
  broker.send(publish5('other', 'x', { qos: 2, id: 9, duplicate: true, properties: { alias: 2 } }));
  broker.send(pubrel(9));
  send('', 2);
  t.same(broker.notes.told(), ['q2 twice x', 'q0 other x'], 'or by one that is there already');
  t.end();
});

t.test('aliases that mean nothing end the connection, 5.0 [MQTT-3.3.2-8], 5.0 [MQTT-3.3.2-9]', (t) => {
  for (const [what, topic, alias, limits, refusal] of [
    ['0', 'a', 0, {}, TOPIC_ALIAS_INVALID], ['above the maximum', 'a', 4, {}, TOPIC_ALIAS_INVALID],
    ['none are allowed', 'a', 1, { topicAliasMax: 0 }, TOPIC_ALIAS_INVALID],
    ['not given', '', 2, {}, PROTOCOL_ERROR],
  ] as const) {
    const broker = connected({}, { topicAliasMax: 3, ...limits });
    t.same(broker.send(publish5(topic, 'x', { properties: { alias } })), [`DISCONNECT 0x${(-refusal).toString(16)}`], what);
    t.same(broker.notes.told(), [`ended ${refusal}`]);
  }
  const broker = connected({}, { topicAliasMax: 3 });
  broker.send(publish5('a', 'x', { properties: { alias: 2 } }));
  broker.lose();
  broker.pass(1000);
  broker.accept(true);
  t.same(broker.send(publish5('', 'x', { properties: { alias: 2 } })), ['DISCONNECT 0x82'],
    'they end with the connection, 5.0 [MQTT-3.3.2-7]');
  t.end();
});

t.test('a topic too long to be kept for its alias: the client asks for none from then on', (t) => {
  const broker = connected({}, { topicAliasMax: 3, topicAliasBytes: 7 });
  broker.send(publish5('seven/b', 'x', { properties: { alias: 1 } }));
  t.same(broker.send(publish5('eight/bb', 'x', { properties: { alias: 1 } })), ['DISCONNECT 0x97']);
  t.same(broker.notes.told(), ['q0 seven/b x', `ended ${QUOTA_EXCEEDED}`]);
  t.equal(broker.client.state, WAITING);
  broker.pass(1000);
  t.same(broker.open(), ['CONNECT kept salon {receiveMaximum 4, packetMaximum 256, aliasMaximum 0}']);
  broker.send(connack5(true));
  t.same(broker.send(publish5('eight/bb', 'x', { properties: { alias: 1 } })), ['DISCONNECT 0x94'], 'and takes none');
  t.end();
});

t.test('PUBACK and PUBREC come in the order of the messages, 5.0 [MQTT-4.6.0-2], 5.0 [MQTT-4.6.0-3], and for those that ' +
  'nobody wants, too, 5.0 [MQTT-4.5.0-2]', (t) => {
  const broker = connected();
  const answers = [[1, 1], [2, 2], [1, 3], [2, 4]].flatMap(([qos, id]) =>
    broker.send(publish5('unasked', 'x', { qos: qos!, id: id! })));
  t.same(answers, ['PUBACK id1', 'PUBREC id2', 'PUBACK id3', 'PUBREC id4']);
  t.same(broker.send(pubrel(2)), ['PUBCOMP id2']);
  t.same(broker.send(pubrel(2)), ['PUBCOMP id2 0x92'], 'nothing is kept under it');
  const old = new ScriptedBroker();
  old.accept();
  t.same(old.send(pubrel(2)), ['PUBCOMP id2'], '3.1.1 has no word for that');
  t.end();
});

t.test('in pieces of every size', (t) => {
  const bytes = publish5('house/a', 'payload', { qos: 1, properties: { alias: 1, contentType: 'c'.repeat(130), user: [['a', 'b']] } });
  for (let pieceBytes = 1; pieceBytes < bytes.length; pieceBytes++) {
    const broker = connected();
    broker.send(bytes, pieceBytes);
    t.same(broker.notes.told(), ['q1 house/a payload'], `${pieceBytes}`);
  }
  t.end();
});
