// Subscribers that do not keep up, over real sockets: they slow nobody else down, and their publishers only for a time.

import t from 'tap';
import { pingreq, publish, puback, subscribe } from '../support/packets.js';
import { startBroker, type Owner } from './children.js';
import { RawClient } from './raw-client.js';
import { SysReader } from './sys.js';

async function subscriber(owner: Owner, port: number, filter: string, qos: number): Promise<RawClient> {
  const client = await RawClient.connected(owner, port);
  client.send(subscribe(1, [filter, qos]));
  await client.packet(/^SUBACK id1 [012]$/);
  return client;
}

/** Time for 1,000 QoS 1 messages from one client to another, each acknowledged. */
async function pairMs(owner: Owner, port: number, topic: string): Promise<number> {
  const reader = await subscriber(owner, port, topic, 0);
  const writer = await RawClient.connected(owner, port);
  const started = performance.now();
  for (let i = 1; i <= 1000; i++) {
    writer.send(publish(topic, `message ${i}`, { qos: 1, id: i }));
    if (i % 100 === 0) await writer.packet(new RegExp(`^PUBACK id${i}$`));
  }
  await reader.packetCount(/^PUBLISH/, 1000);
  return performance.now() - started;
}

t.test('a subscriber that never reads delays no other pair', async (t) => {
  const { port, child } = await startBroker(t, '--sys-interval', '1', '--slow-timeout', '1', '--max-queued', '50');
  const calm = await pairMs(t, port, 'calm');
  const deaf = await subscriber(t, port, 'flood/#', 1);
  deaf.socket.pause();
  const source = await RawClient.connected(t, port);
  for (let i = 0; i < 200; i++) source.send(publish('flood/0', 'x'.repeat(100_000))); // 20 MB, QoS 0
  for (let i = 1; i <= 100; i++) source.send(publish('flood/1', 'x'.repeat(10_000), { qos: 1, id: i }));
  const stormy = await pairMs(t, port, 'pair');
  t.comment(`1,000 messages: ${calm.toFixed(0)} ms alone, ${stormy.toFixed(0)} ms beside the flood`);
  t.ok(stormy < calm + 2000, 'no delay beyond what the machine needs for the flood');
  await source.packet(/^PUBACK id100$/);
  const sys = await SysReader.open(t, port);
  await sys.until('dropped/outbox-full', (value) => value > 0);
  await sys.until('dropped/session-full', (value) => value > 0);
  t.equal(child.stderr, '');
});

t.test('a subscriber that reads again gets what waited for it, in order', async (t) => {
  const { port } = await startBroker(t);
  const lazy = await subscriber(t, port, 'q', 1);
  lazy.socket.pause();
  const source = await RawClient.connected(t, port);
  const text = 'x'.repeat(50_000);
  for (let i = 1; i <= 90; i++) source.send(publish('q', `${i} ${text}`, { qos: 1, id: i }));
  await source.packet(/^PUBACK id90$/);
  lazy.socket.resume();
  await lazy.packetCount(/^PUBLISH/, 90);
  const numbers = lazy.packets.slice(2).map((packet) => Number(packet.split(' ')[4]));
  t.strictSame(numbers, Array.from({ length: 90 }, (_, i) => i + 1));
});

t.test('a subscriber that never acknowledges slows its publisher for --slow-timeout, once', async (t) => {
  const { port } = await startBroker(t, '--slow-timeout', '1', '--sys-interval', '1', '--max-queued', '20',
    '--max-inflight', '5');
  const reader = await subscriber(t, port, 'q', 1);
  const source = await RawClient.connected(t, port);
  const started = performance.now();
  for (let i = 1; i <= 40; i++) source.send(publish('q', `message ${i}`, { qos: 1, id: i }));
  await source.packet(/^PUBACK id20$/);
  t.ok(performance.now() - started < 900, 'what fits is acknowledged at once');
  await source.packet(/^PUBACK id21$/);
  const firstDrop = performance.now() - started;
  t.ok(firstDrop >= 900 && firstDrop < 2500, `the 21st waited ${firstDrop.toFixed(0)} ms`);
  await source.packet(/^PUBACK id40$/);
  t.ok(performance.now() - started < firstDrop + 900, 'and the others do not wait again');
  t.equal(reader.packets.filter((packet) => packet.startsWith('PUBLISH')).length, 5, 'the window is respected');

  const sys = await SysReader.open(t, port);
  t.equal(await sys.until('dropped/session-full', (value) => value === 20), 20);
  t.ok(sys.value('publish/messages/dropped') >= 20);
  t.ok(sys.value('publishers/waited') >= 1);
});

t.test('a publisher that waits goes on as soon as the subscriber acknowledges, and nothing is lost', async (t) => {
  const { port } = await startBroker(t, '--slow-timeout', '30', '--max-queued', '10', '--max-inflight', '5');
  const reader = await subscriber(t, port, 'q', 1);
  const source = await RawClient.connected(t, port);
  for (let i = 1; i <= 100; i++) source.send(publish('q', `message ${i}`, { qos: 1, id: i }));
  source.send(pingreq());
  await reader.packetCount(/^PUBLISH/, 5);
  t.notOk(source.packets.includes('PINGRESP'), 'the publisher waits');
  const texts: string[] = [];
  for (let at = 2; texts.length < 100;) {
    await reader.packetCount(/./, at + 1);
    for (; at < reader.packets.length; at++) {
      const [, id, text] = /^PUBLISH q1 id(\d+) q (.*)$/.exec(reader.packets[at]!)!;
      texts.push(text!);
      reader.send(puback(Number(id)));
    }
  }
  await source.packet(/^PINGRESP/);
  t.strictSame(texts, Array.from({ length: 100 }, (_, i) => `message ${i + 1}`));
});

t.test('a publisher that waits longer than its keep-alive is not taken for silent [MQTT-3.1.2-24]', async (t) => {
  const { port } = await startBroker(t, '--slow-timeout', '3', '--max-queued', '5');
  await subscriber(t, port, 'q', 1);
  const source = await RawClient.connected(t, port, { keepAlive: 1 });
  for (let i = 1; i <= 6; i++) source.send(publish('q', `message ${i}`, { qos: 1, id: i }));
  await source.packet(/^PUBACK id6$/);
  source.send(pingreq());
  await source.packet(/^PINGRESP/);
});

t.test('a publisher that leaves while it waits: slot and will are freed once', async (t) => {
  const { port } = await startBroker(t, '--slow-timeout', '2', '--max-queued', '5', '--sys-interval', '1');
  await subscriber(t, port, 'q', 1);
  const wills = await subscriber(t, port, 'will', 0);
  const source = await RawClient.connected(t, port, { will: { topic: 'will', payload: 'gone' } });
  for (let i = 1; i <= 6; i++) source.send(publish('q', `message ${i}`, { qos: 1, id: i }));
  await source.packet(/^PUBACK id5$/);
  source.socket.resetAndDestroy();
  await wills.packet(/will gone/);
  const sys = await SysReader.open(t, port);
  await sys.until('clients/connected', (value) => value === 3);
  t.equal(wills.packets.filter((packet) => packet.includes('will gone')).length, 1);
});
