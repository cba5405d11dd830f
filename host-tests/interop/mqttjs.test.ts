// The broker against MQTT.js 5, over TCP on loopback, in MQTT 3.1.1 and 3.1.

import t from 'tap';
import type { IClientOptions } from 'mqtt';
import { startBroker, within } from '../node/children.js';
import { Peer } from './mqttjs-peer.js';

const VERSIONS: readonly [name: string, options: IClientOptions][] = [
  ['MQTT 3.1.1', { protocolVersion: 4, protocolId: 'MQTT' }],
  ['MQTT 3.1', { protocolVersion: 3, protocolId: 'MQIsdp' }],
];

for (const [name, version] of VERSIONS) {
  const id = (role: string): IClientOptions => ({ ...version, clientId: `${role}-${version.protocolVersion}` });

  t.test(`${name}: QoS 0, 1 and 2 both ways, the lower of the two`, async (t) => {
    const { port } = await startBroker(t);
    for (const granted of [0, 1, 2] as const) {
      const reader = await Peer.connected(t, port, { ...version, clientId: `reader-${granted}` });
      t.equal(await reader.subscribe('maison/#', granted), granted);
      const writer = await Peer.connected(t, port, id('writer'));
      for (const qos of [0, 1, 2] as const) await writer.publish(`maison/${qos}`, `text ${qos}`, qos);
      const messages = await reader.received(3);
      t.strictSame(messages.map(({ topic, text, qos, retain, dup }) => ({ topic, text, qos, retain, dup })),
        [0, 1, 2].map((qos) => ({ topic: `maison/${qos}`, text: `text ${qos}`, qos: Math.min(qos, granted),
          retain: false, dup: false })));
      await writer.leave();
    }
  });

  t.test(`${name}: retained messages are set, replaced and cleared`, async (t) => {
    const { port } = await startBroker(t);
    const writer = await Peer.connected(t, port, id('writer'));
    const early = await Peer.connected(t, port, id('early'));
    await early.subscribe('salon/#', 2);
    await writer.publish('salon/a', 'old', 1, true);
    await writer.publish('salon/a', 'new', 2, true);
    await writer.publish('salon/b', 'kept', 0, true);
    const live = await early.received(3);
    t.ok(live.every(({ retain }) => !retain), 'RETAIN 0 to those already subscribed [MQTT-3.3.1-9]');

    const late = await Peer.connected(t, port, id('late'));
    await late.subscribe('salon/+', 1);
    const kept = (await late.received(2)).map(({ topic, text, qos, retain }) => `${topic} ${text} ${qos} ${retain}`);
    t.strictSame(kept.sort(), ['salon/a new 1 true', 'salon/b kept 0 true']);
    await writer.publish('salon/a', '', 1, true);
    const after = await Peer.connected(t, port, id('after'));
    await after.subscribe('salon/#', 0);
    t.strictSame((await after.settled()).map(({ topic }) => topic), ['salon/b']);
    t.equal((await early.received(4))[3]!.text, '', 'the clearing message itself is delivered');
  });

  t.test(`${name}: a will is published when the socket is destroyed, not after end()`, async (t) => {
    const { port } = await startBroker(t);
    const reader = await Peer.connected(t, port, id('reader'));
    await reader.subscribe('will/#', 2);
    const will = (topic: string): IClientOptions =>
      ({ will: { topic, payload: Buffer.from('gone'), qos: 2, retain: true } });
    const polite = await Peer.connected(t, port, { ...id('polite'), ...will('will/polite') });
    const abrupt = await Peer.connected(t, port, { ...id('abrupt'), ...will('will/abrupt') });
    await polite.leave();
    await abrupt.vanish();
    const [message] = await reader.received(1);
    t.match(message, { topic: 'will/abrupt', text: 'gone', qos: 2, retain: false });
    t.equal((await reader.settled()).length, 1, 'no other will');
    const late = await Peer.connected(t, port, id('late'));
    await late.subscribe('will/#', 1);
    t.match(await late.settled(), [{ topic: 'will/abrupt', retain: true }], 'the will was retained');
  });

  t.test(`${name}: a persistent session queues while its client is away`, async (t) => {
    const { port } = await startBroker(t);
    const kept = { ...id('kept'), clean: false };
    const first = await Peer.connected(t, port, kept);
    if (version.protocolVersion === 4) t.equal(first.sessionPresent, false);
    await first.subscribe('maison/+', 2);
    await first.vanish();
    const writer = await Peer.connected(t, port, id('writer'));
    for (let i = 0; i < 30; i++) await writer.publish('maison/salon', `${i}`, (i % 3) as 0 | 1 | 2);
    const again = await Peer.connected(t, port, kept);
    if (version.protocolVersion === 4) t.equal(again.sessionPresent, true, 'session present [MQTT-3.2.2-2]');
    await again.received(20);
    const messages = await again.settled();
    t.equal(messages.length, 20, 'QoS 0 does not wait');
    for (const qos of [1, 2]) { // MQTT.js hands out QoS 2 at PUBREL: the order among QoS is its own [MQTT-4.6.0-6]
      const numbers = messages.filter((message) => message.qos === qos).map(({ text }) => Number(text));
      t.strictSame(numbers, Array.from({ length: 10 }, (_, i) => 3 * i + qos), `QoS ${qos}, in order`);
    }
    await again.leave();
    const clean = await Peer.connected(t, port, { ...kept, clean: true });
    t.equal(clean.sessionPresent, false);
    await writer.publish('maison/salon', 'unheard', 1);
    t.strictSame(await clean.settled(), [], 'a clean session has no subscriptions left [MQTT-3.1.2-6]');
  });

  t.test(`${name}: 1,000 QoS 2 messages in a burst, exactly once and in order`, async (t) => {
    const { port } = await startBroker(t);
    const reader = await Peer.connected(t, port, id('reader'));
    await reader.subscribe('burst', 2);
    const writer = await Peer.connected(t, port, id('writer'));
    await Promise.all(Array.from({ length: 1000 }, (_, i) => writer.publish('burst', `${i}`, 2)));
    await reader.received(1000);
    const messages = await reader.settled();
    t.strictSame(messages.map(({ text }) => Number(text)), Array.from({ length: 1000 }, (_, i) => i));
    t.ok(messages.every(({ qos, dup }) => qos === 2 && !dup));
  });

  // In MQTT 3.1, and without clean session, MQTT.js itself refuses to send it.
  if (version.protocolVersion === 4) t.test(`${name}: an empty client identifier`, async (t) => {
    const { port } = await startBroker(t);
    const two = await Promise.all([0, 1].map(() => Peer.connected(t, port, { ...version, clientId: '' })));
    for (const peer of two) t.strictSame(await peer.settled(), [], 'each has a name of its own [MQTT-3.1.3-6]');
  });
}

t.test('a second client with the same identifier takes the session over', async (t) => {
  const { port } = await startBroker(t);
  const old = await Peer.connected(t, port, { clientId: 'twin', clean: false });
  await old.subscribe('a', 1);
  const closed = old.event('close');
  const next = await Peer.connected(t, port, { clientId: 'twin', clean: false });
  await closed;
  t.equal(next.sessionPresent, true);
  await next.publish('a', 'b', 1);
  t.match(await next.received(1), [{ topic: 'a', text: 'b' }]);
  t.equal(old.messages.length, 0);
});

t.test('wildcards, overlapping subscriptions and unsubscribe', async (t) => {
  const { port } = await startBroker(t);
  const writer = await Peer.connected(t, port);
  const matches: [filter: string, topics: string[]][] = [
    ['maison/+/temperature', ['maison/salon/temperature', 'maison//temperature']],
    ['maison/#', ['maison', 'maison/', 'maison/salon/temperature', 'maison//temperature', 'maison/salon']],
    ['+', ['maison', 'Maison']],
    ['+/+', ['maison/', 'maison/salon', '/salon']],
    ['/+', ['/salon']],
    ['#', ['maison', 'maison/', 'maison/salon/temperature', 'maison//temperature', 'maison/salon', '/salon', 'Maison']],
    ['maison/salon', ['maison/salon']],
  ];
  const topics = matches[5]![1];
  for (const [filter, wanted] of matches) {
    const reader = await Peer.connected(t, port);
    await reader.subscribe(filter, 1);
    for (const topic of topics) await writer.publish(topic, 'x', 1);
    await within(reader.client.unsubscribeAsync(filter), 'UNSUBACK');
    for (const topic of topics) await writer.publish(topic, 'y', 1);
    const got = (await reader.settled()).map(({ topic, text }) => topic + text);
    t.strictSame(got.sort(), wanted.map((topic) => `${topic}x`).sort(), filter);
    await reader.leave();
  }
  const both = await Peer.connected(t, port);
  await both.subscribe('a/#', 0);
  await both.subscribe('a/+', 2);
  await writer.publish('a/b', 'once', 2);
  t.match((await both.settled()).at(-1), { qos: 2 }, 'the highest QoS of overlapping filters [MQTT-3.3.5-1]');
});

t.test('$SYS: by name, not by #, and nobody publishes into it', async (t) => {
  const { port } = await startBroker(t, '--sys-interval', '1');
  const everything = await Peer.connected(t, port);
  await everything.subscribe('#', 1);
  await everything.subscribe('+/broker/version', 1);
  const reader = await Peer.connected(t, port);
  await reader.subscribe('$SYS/broker/version', 0);
  t.match(await reader.received(1),
    [{ topic: '$SYS/broker/version', text: /^maisonnette \d+\.\d+\.\d+/, retain: true }]);
  await reader.subscribe('$SYS/broker/clients/+', 0);
  await reader.received(5);
  await reader.publish('$SYS/broker/version', 'forged', 1, true);
  await reader.subscribe('$SYS/broker/uptime', 0);
  const before = reader.messages.length;
  await reader.received(before + 2);
  t.notOk(reader.messages.some(({ text }) => text === 'forged'));
  t.strictSame(await everything.settled(), [], 'a leading wildcard passes over $SYS [MQTT-4.7.2-1]');
});

t.test('a payload of 100 KiB, byte for byte, live and retained', async (t) => {
  const { port } = await startBroker(t);
  const payload = Buffer.alloc(100 * 1024, 0);
  for (let i = 0; i < payload.length; i++) payload[i] = i * 7 + (i >> 8);
  const reader = await Peer.connected(t, port);
  await reader.subscribe('large', 2);
  const writer = await Peer.connected(t, port);
  await writer.publish('large', payload, 2, true);
  t.ok((await reader.received(1))[0]!.payload.equals(payload));
  const late = await Peer.connected(t, port);
  await late.subscribe('large', 1);
  t.ok((await late.received(1))[0]!.payload.equals(payload));
});

t.test('topics and client identifiers in UTF-8', async (t) => {
  const { port } = await startBroker(t);
  const topics = ['été/température', '部屋/温度', 'дом/кухня', 'emoji/🏠/🌡️', 'space in/ it ', '\u{10ffff}/x',
    'ﬁ/\ufeffbom'];
  const reader = await Peer.connected(t, port, { clientId: 'lecteur-été-🏠' });
  for (const topic of topics) await reader.subscribe(topic, 1);
  const writer = await Peer.connected(t, port);
  for (const topic of topics) await writer.publish(topic, topic, 1, true);
  const messages = await reader.received(topics.length);
  t.strictSame(messages.map(({ topic }) => topic), topics);
  t.strictSame(messages.map(({ text }) => text), topics);
});

t.test('keep-alive: pings are answered, and who cannot ping is let go with its will', async (t) => {
  const { port, child } = await startBroker(t, '--verbose');
  const reader = await Peer.connected(t, port);
  await reader.subscribe('will', 0);
  const alive = await Peer.connected(t, port, { keepalive: 1 });
  const frozen = await Peer.connected(t, port, {
    clientId: 'frozen', keepalive: 1, will: { topic: 'will', payload: Buffer.from('frozen'), qos: 0, retain: false },
  });
  frozen.client.sendPing = frozen.client.onKeepaliveTimeout = () => {}; // as a device that hangs
  let pings = 0;
  alive.client.on('packetreceive', ({ cmd }) => {
    if (cmd === 'pingresp') pings++;
  });
  t.match(await reader.received(1), [{ text: 'frozen' }]);
  await child.line(/Client frozen has exceeded timeout, disconnecting/);
  await alive.publish('still', 'here', 1);
  t.ok(pings >= 1 && alive.client.connected, `${pings} pings answered`);
});
