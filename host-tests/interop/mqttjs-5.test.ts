// The broker against MQTT.js 5 in MQTT 5.0, over TCP on loopback: messages, their properties and how they are
// subscribed to. Sessions and connections are in mqttjs-5-sessions.test.ts.

import t from 'tap';
import type { IClientOptions } from 'mqtt';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBroker } from '../node/children.js';
import { Peer, type Message, type Properties } from './mqttjs-peer.js';

const V5: IClientOptions = { protocolVersion: 5 };
const QOS = [0, 1, 2] as const;

/** Every property that a broker hands on. */
const ALL: Properties = {
  payloadFormatIndicator: true,
  contentType: 'text/plain; charset=utf-8',
  responseTopic: 'réponses/salon',
  correlationData: Buffer.from([0, 255, 1, 254, 0]),
  userProperties: { unit: '°C', place: ['salon', 'maison', ''], '': 'no name' },
};

/** The properties without those that are the delivery's own. */
function handedOn(message: Message): Properties {
  const { subscriptionIdentifier, topicAlias, ...others } = message.properties ?? {};
  return { ...others, ...others.userProperties && { userProperties: { ...others.userProperties } } };
}

function marks(messages: readonly Message[]): string[] {
  return messages.map(({ topic, text, qos, retain }) => `q${qos}${retain ? ' retain' : ''} ${topic} ${text}`);
}

t.test('every QoS to every QoS, with all properties unaltered, live and retained', async (t) => {
  const { port } = await startBroker(t);
  const writer = await Peer.connected(t, port, V5);
  for (const granted of QOS) {
    const reader = await Peer.connected(t, port, { ...V5, clientId: `reader-${granted}` });
    t.equal(await reader.subscribe('maison/#', granted), granted);
    for (const qos of QOS) await writer.publish(`maison/${qos}`, `été ${qos}`, qos, false, ALL);
    for (const qos of QOS) await writer.publish(`maison/bare/${qos}`, '', qos);
    await reader.received(6);
    const messages = await reader.settled();
    t.strictSame(marks(messages), [...QOS.map((qos) => `q${Math.min(qos, granted)} maison/${qos} été ${qos}`),
      ...QOS.map((qos) => `q${Math.min(qos, granted)} maison/bare/${qos} `)]);
    for (const message of messages.slice(0, 3)) t.strictSame(handedOn(message), ALL, message.topic);
    for (const message of messages.slice(3)) t.strictSame(handedOn(message), {}, message.topic);
    await reader.leave();
  }
  for (const qos of QOS) await writer.publish(`kept/${qos}`, `été ${qos}`, qos, true, ALL);
  const late = await Peer.connected(t, port, V5);
  await late.subscribe('kept/#', 2);
  const kept = (await late.received(3)).slice().sort((a, b) => a.qos - b.qos);
  t.strictSame(marks(kept), QOS.map((qos) => `q${qos} retain kept/${qos} été ${qos}`));
  for (const message of kept) t.strictSame(handedOn(message), ALL, `retained, QoS ${message.qos}`);
});

t.test('clients of 3.1, 3.1.1 and 5.0 together', async (t) => {
  const { port } = await startBroker(t);
  const versions: IClientOptions[] = [{ protocolVersion: 3, protocolId: 'MQIsdp' }, { protocolVersion: 4 }, V5];
  const peers = await Promise.all(versions.map((version) =>
    Peer.connected(t, port, { ...version, clientId: `peer-${version.protocolVersion}` })));
  for (const peer of peers) await peer.subscribe('maison/#', 2);
  const wanted: string[] = [];
  for (const [index, peer] of peers.entries()) {
    for (const qos of QOS) {
      const topic = `maison/${versions[index]!.protocolVersion}`;
      await peer.publish(topic, `été ${qos}`, qos, false, versions[index] === V5 ? ALL : undefined);
      wanted.push(`q${qos} ${topic} été ${qos}`);
    }
  }
  for (const peer of peers) {
    await peer.received(9);
    const messages = await peer.settled();
    // MQTT.js tells of QoS 2 only when that is released: by then others may have come.
    t.strictSame(marks(messages).sort(), wanted.slice().sort());
    for (const message of messages) {
      t.strictSame(handedOn(message), peer === peers[2] && message.topic === 'maison/5' ? ALL : {});
    }
  }
});

t.test('message expiry: what waits too long does not come, the rest with the time that is left', async (t) => {
  const { port } = await startBroker(t);
  const session = { ...V5, clientId: 'kept', clean: false, properties: { sessionExpiryInterval: 60 } };
  const reader = await Peer.connected(t, port, session);
  await reader.subscribe('maison/#', 2);
  await reader.disconnect(0);
  const writer = await Peer.connected(t, port, V5);
  const expiring = (messageExpiryInterval: number): Properties =>
    ({ ...ALL, messageExpiryInterval });
  for (const qos of [1, 2] as const) {
    await writer.publish('maison/short', `${qos}`, qos, false, expiring(1));
    await writer.publish('maison/long', `${qos}`, qos, false, expiring(4_000_000_000));
    await writer.publish('maison/ever', `${qos}`, qos, false, ALL);
  }
  await writer.publish('kept/short', 'old', 1, true, expiring(1));
  await writer.publish('kept/long', 'new', 1, true, expiring(100));
  await sleep(2100);
  const again = await Peer.connected(t, port, session);
  await again.subscribe('kept/#', 1);
  await again.received(5);
  const messages = await again.settled();
  t.strictSame(marks(messages).sort(), ['q1 maison/ever 1', 'q1 maison/long 1', 'q1 retain kept/long new',
    'q2 maison/ever 2', 'q2 maison/long 2']);
  for (const message of messages) {
    const { messageExpiryInterval, ...others } = handedOn(message);
    t.strictSame(others, ALL, message.topic);
    if (message.topic.endsWith('ever')) t.equal(messageExpiryInterval, undefined);
    else {
      const gone = (message.topic === 'kept/long' ? 100 : 4_000_000_000) - messageExpiryInterval!;
      t.ok(gone >= 1 && gone <= 10, `${message.topic}: ${gone} s less 5.0 [MQTT-3.3.2-6]`);
    }
  }
});

for (const mode of ['autoAssignTopicAlias', 'autoUseTopicAlias'] as const) {
  t.test(`topic aliases of the publisher, ${mode}`, async (t) => {
    const { port } = await startBroker(t);
    const reader = await Peer.connected(t, port, V5);
    await reader.subscribe('maison/#', 2);
    const writer = await Peer.connected(t, port, { ...V5, [mode]: true });
    t.equal((await writer.packet('connack')).properties?.['topicAliasMaximum'], 10);
    let empty = 0;
    writer.client.on('packetsend', (packet) => {
      if (packet.cmd === 'publish' && packet.topic === '') empty++;
    });
    const wanted: string[] = [];
    for (let i = 0; i < 45; i++) { // more topics than aliases: MQTT.js gives those used longest ago to others
      const alias = mode === 'autoUseTopicAlias' && i < 10 ? { topicAlias: i + 1 } : undefined;
      const [topic, text, qos] = [`maison/${i % (i < 20 ? 10 : 15)}`, `${i}`, (i % 2) as 0 | 1];
      await writer.publish(topic, text, qos, false, alias);
      wanted.push(`q${qos} ${topic} ${text}`);
    }
    await reader.received(45);
    t.strictSame(marks(await reader.settled()), wanted);
    t.ok(empty >= 10, `${empty} packets with an alias only`);
    for (const message of await reader.settled()) t.equal(message.properties?.topicAlias, undefined);
    await writer.leave();
  });
}

t.test('topic aliases to the subscriber: as many as it takes, and none it does not', async (t) => {
  const { port } = await startBroker(t);
  const aliasing = await Peer.connected(t, port, { ...V5, properties: { topicAliasMaximum: 3 } });
  const plain = await Peer.connected(t, port, V5);
  const old = await Peer.connected(t, port);
  for (const peer of [aliasing, plain, old]) await peer.subscribe('maison/#', 1);
  const writer = await Peer.connected(t, port, V5);
  const wanted: string[] = [];
  for (let i = 0; i < 40; i++) {
    const qos = (i % 2) as 0 | 1;
    await writer.publish(`maison/${i % 5}`, `${i}`, qos, false, i % 3 === 0 ? ALL : undefined);
    wanted.push(`q${qos} maison/${i % 5} ${i}`);
  }
  for (const peer of [aliasing, plain, old]) {
    await peer.received(40);
    t.strictSame(marks(peer.messages), wanted);
  }
  for (const message of aliasing.messages) {
    t.strictSame(handedOn(message), Number(message.text) % 3 === 0 ? ALL : {});
  }
  const publishes = aliasing.packets.filter((packet) => packet.cmd === 'publish');
  t.equal(publishes.filter((packet) => packet.topic === '').length, 3 * 7, 'each of three topics named once');
  for (const { properties } of publishes) {
    const alias = properties?.['topicAlias'] as number | undefined;
    t.ok(alias === undefined || (alias >= 1 && alias <= 3), `alias ${alias} 5.0 [MQTT-3.1.2-26]`);
  }
  for (const packet of plain.packets) t.equal(packet.properties?.['topicAlias'], undefined, '5.0 [MQTT-3.1.2-27]');
});

t.test('receive maximum of the subscriber: no more than so many without acknowledgement', async (t) => {
  const { port } = await startBroker(t);
  const reader = await Peer.connected(t, port, { ...V5, properties: { receiveMaximum: 3 } });
  let unfinished = 0;
  let mostUnfinished = 0;
  reader.client.on('packetreceive', (packet) => {
    if (packet.cmd === 'publish' && packet.qos > 0) mostUnfinished = Math.max(mostUnfinished, ++unfinished);
  });
  reader.answerBy((packet, send) => {
    setTimeout(() => {
      if (packet.cmd !== 'pubrec') unfinished--;
      send();
    }, 5);
  });
  await reader.subscribe('maison/#', 2);
  const writer = await Peer.connected(t, port, V5);
  await Promise.all(Array.from({ length: 60 }, (_, i) => writer.publish('maison/a', `${i}`, (i % 3) as 0 | 1 | 2)));
  await reader.received(60);
  const messages = await reader.settled();
  for (const qos of QOS) {
    t.strictSame(messages.filter((message) => message.qos === qos).map(({ text }) => Number(text)),
      Array.from({ length: 20 }, (_, i) => 3 * i + qos), `QoS ${qos}, in order`);
  }
  t.equal(mostUnfinished, 3, 'at once 5.0 [MQTT-3.3.4-9]');
});

t.test('maximum packet size of the subscriber: larger messages do not come, and the others do', async (t) => {
  const { port } = await startBroker(t);
  const reader = await Peer.connected(t, port, { ...V5, properties: { maximumPacketSize: 120, topicAliasMaximum: 5 } });
  const whole = await Peer.connected(t, port, V5);
  for (const peer of [reader, whole]) {
    await peer.subscribe('maison/#', 2, { properties: { subscriptionIdentifier: 7 } });
  }
  const writer = await Peer.connected(t, port, V5);
  const wanted: string[] = [];
  for (let i = 0; i < 60; i++) {
    const large = i % 4 === 1;
    const text = `${i} ${'x'.repeat(large ? 120 : 20)}`;
    await writer.publish(`maison/${i % 3}`, text, (i % 3) as 0 | 1 | 2, false, i % 4 === 3 ? ALL : undefined);
    if (i % 4 === 0 || i % 4 === 2) wanted.push(text);
  }
  await whole.received(60);
  t.equal((await whole.settled()).length, 60);
  await reader.received(30);
  t.strictSame((await reader.settled()).map(({ text }) => text).sort(), wanted.sort());
  for (const packet of reader.packets) {
    const length = (packet as { length?: number }).length ?? 0;
    t.ok(length + 2 <= 120, `${packet.cmd} of ${length} 5.0 [MQTT-3.1.2-24]`);
  }
});

t.test('subscription identifiers: those of every subscription that a message matches', async (t) => {
  const { port } = await startBroker(t);
  const reader = await Peer.connected(t, port, V5);
  const identified = (subscriptionIdentifier: number) => ({ properties: { subscriptionIdentifier } });
  await reader.subscribe('maison/#', 0, identified(1));
  await reader.subscribe('maison/+/temperature', 1, identified(268_435_455));
  await reader.subscribe('maison/salon/temperature', 2, identified(300));
  await reader.subscribe('jardin/#', 2);
  const writer = await Peer.connected(t, port, V5);
  const publish = async (topic: string): Promise<unknown> => {
    const count = reader.messages.length + 1;
    await writer.publish(topic, '21', 2);
    const message = (await reader.received(count))[count - 1]!;
    t.equal(message.topic, topic);
    const identifiers = message.properties?.subscriptionIdentifier;
    return [message.qos, ...Array.isArray(identifiers) ? identifiers.slice().sort((a, b) => a - b) :
      identifiers === undefined ? [] : [identifiers]];
  };
  t.strictSame(await publish('maison/salon/temperature'), [2, 1, 300, 268_435_455]);
  t.strictSame(await publish('maison/cuisine/temperature'), [1, 1, 268_435_455]);
  t.strictSame(await publish('maison/x'), [0, 1]);
  t.strictSame(await publish('jardin/x'), [2]);
  await reader.subscribe('maison/#', 0, identified(9));
  await reader.subscribe('maison/+/temperature', 1);
  await reader.unsubscribe('maison/salon/temperature');
  t.strictSame(await publish('maison/salon/temperature'), [1, 9], 'replaced, taken away, gone');
  t.equal((await reader.settled()).length, 5, 'each once');
});

t.test('no local', async (t) => {
  const { port } = await startBroker(t);
  const [a, b] = [await Peer.connected(t, port, V5), await Peer.connected(t, port, V5)];
  for (const peer of [a, b]) await peer.subscribe('maison/#', 1, { nl: true });
  await a.subscribe('maison/both', 1);
  await a.publish('maison/x', 'a', 1);
  await b.publish('maison/x', 'b', 1);
  await a.publish('maison/both', 'a', 1);
  await b.received(2);
  await a.received(2);
  t.strictSame(marks(await a.settled()), ['q1 maison/x b', 'q1 maison/both a']);
  t.strictSame(marks(await b.settled()), ['q1 maison/x a', 'q1 maison/both a']);
});

t.test('retain as published', async (t) => {
  const { port } = await startBroker(t);
  const [as, not] = [await Peer.connected(t, port, V5), await Peer.connected(t, port, V5)];
  await as.subscribe('maison/#', 1, { rap: true });
  await not.subscribe('maison/#', 1);
  const writer = await Peer.connected(t, port, V5);
  for (const qos of QOS) {
    await writer.publish('maison/a', 'kept', qos, true);
    await writer.publish('maison/a', 'passing', qos);
  }
  await as.received(6);
  t.strictSame((await as.settled()).map(({ text, retain }) => [text, retain]),
    QOS.flatMap(() => [['kept', true], ['passing', false]]));
  t.ok((await not.settled()).every(({ retain }) => !retain));
  t.equal((await not.settled()).length, 6);
});

t.test('retain handling: always, for a new subscription, never', async (t) => {
  const { port } = await startBroker(t);
  const writer = await Peer.connected(t, port, V5);
  await writer.publish('maison/a', 'kept', 1, true);
  const kept = async (peer: Peer): Promise<number> => (await peer.settled()).length;
  const peer = await Peer.connected(t, port, V5);
  const told: number[] = [];
  for (const rh of [2, 1, 0, 1, 0, 2]) {
    t.equal(await peer.subscribe('maison/#', 1, { rh }), 1);
    told.push(await kept(peer));
  }
  t.strictSame(told, [0, 0, 1, 1, 2, 2], 'the subscription is not new the second time');
  t.equal(await peer.unsubscribe('maison/#'), 0);
  await peer.subscribe('maison/#', 1, { rh: 1 });
  t.equal(await kept(peer), 3, 'new again');
  await writer.publish('maison/a', 'live', 1);
  await peer.received(5); // with `settled`
});

t.test('request and response', async (t) => {
  const { port } = await startBroker(t);
  const service = await Peer.connected(t, port, V5);
  await service.subscribe('calcul/double', 1);
  service.client.on('message', (topic, payload, { properties }) => {
    if (topic !== 'calcul/double') return;
    const { responseTopic, correlationData } = properties!;
    service.client.publish(responseTopic!, `${2 * Number(payload)}`,
      { qos: 1, properties: { correlationData: correlationData! } });
  });
  const askers = await Promise.all([1, 2, 3].map(async (index) => {
    const asker = await Peer.connected(t, port, V5);
    await asker.subscribe(`réponses/${index}`, 1);
    for (let i = 0; i < 5; i++) {
      await asker.publish('calcul/double', `${10 * index + i}`, 1, false,
        { responseTopic: `réponses/${index}`, correlationData: Buffer.from([index, i]) });
    }
    return asker;
  }));
  for (const [index, asker] of askers.entries()) {
    const answers = await asker.received(5);
    t.strictSame(answers.map(({ text, properties }) => [text, ...properties!.correlationData!]),
      Array.from({ length: 5 }, (_, i) => [`${2 * (10 * (index + 1) + i)}`, index + 1, i]));
  }
});

t.test('reason codes of PUBLISH and UNSUBSCRIBE', async (t) => {
  const { port } = await startBroker(t);
  const peer = await Peer.connected(t, port, V5);
  await peer.subscribe('heard/#', 0);
  for (const qos of [1, 2] as const) {
    t.equal(await peer.answered('heard/x', 'x', qos), 0);
    t.equal(await peer.answered('unheard/x', 'x', qos), 0x10, 'no matching subscribers');
    t.equal(await peer.answered('unheard/x', 'x', qos, true), 0x10, 'retained');
    t.equal(await peer.answered('$SYS/broker/version', 'x', qos), 0x87, 'not authorized');
    t.equal(await peer.answered('heard/x', Buffer.from([0xff]), qos, false, { payloadFormatIndicator: true }), 0x99,
      'payload format invalid');
  }
  t.equal(await peer.unsubscribe('heard/#'), 0);
  t.equal(await peer.unsubscribe('heard/#'), 0x11, 'no subscription existed');
  const from = peer.packets.length;
  await peer.publish('heard/x', Buffer.from([0xff]), 0, false, { payloadFormatIndicator: true });
  t.match(await peer.packet('disconnect', from), { reasonCode: 0x99 }, 'QoS 0 has no acknowledgement');
});
