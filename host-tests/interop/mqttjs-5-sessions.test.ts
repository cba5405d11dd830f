// The broker against MQTT.js 5 in MQTT 5.0, over TCP on loopback: connections, what is said at their beginning and end,
// sessions, wills and shared subscriptions.

import t from 'tap';
import type { IClientOptions } from 'mqtt';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBroker } from '../node/children.js';
import { Peer } from './mqttjs-peer.js';

const V5: IClientOptions = { protocolVersion: 5 };

/** Kept for so many seconds. */
function session(clientId: string, sessionExpiryInterval: number): IClientOptions {
  return { ...V5, clientId, clean: false, properties: { sessionExpiryInterval } };
}

t.test('CONNACK: what the broker takes, and an identifier for who has none', async (t) => {
  const { port } = await startBroker(t, '--max-receive', '17', '--max-packet', '5000', '--max-topic-alias', '4',
    '--max-keepalive', '50', '--session-expiry', '100');
  const peer = await Peer.connected(t, port, { ...session('a', 1000), keepalive: 60 });
  t.strictSame((await peer.packet('connack')).properties, { maximumPacketSize: 5000, receiveMaximum: 17,
    topicAliasMaximum: 4, sessionExpiryInterval: 100, serverKeepAlive: 50 });
  const modest = await Peer.connected(t, port, { ...session('b', 10), keepalive: 30 });
  t.strictSame((await modest.packet('connack')).properties,
    { maximumPacketSize: 5000, receiveMaximum: 17, topicAliasMaximum: 4 }, 'nothing that it knows itself');
  const names = await Promise.all([1, 2].map(async () => {
    const nameless = await Peer.connected(t, port, { ...V5, clientId: '' });
    t.strictSame(await nameless.settled(), []);
    return (await nameless.packet('connack')).properties?.['assignedClientIdentifier'] as string;
  }));
  t.ok(names[0] !== names[1] && names.every((name) => name.length > 0), `${names}`);
  const again = await Peer.connected(t, port, { ...V5, clientId: names[0]! });
  t.equal((await again.packet('connack')).properties?.['assignedClientIdentifier'], undefined);
});

t.test('a session is kept as long as was wanted, and counted from the end of its connection', async (t) => {
  const { port } = await startBroker(t);
  const writer = await Peer.connected(t, port, V5);
  for (const end of ['vanish', 'leave'] as const) {
    const first = await Peer.connected(t, port, session('long', 60));
    t.equal(first.sessionPresent, false);
    await first.subscribe('maison/#', 2);
    await first[end]();
    for (let i = 0; i < 30; i++) await writer.publish('maison/salon', `${i}`, (i % 3) as 0 | 1 | 2);
    const again = await Peer.connected(t, port, session('long', 60));
    t.equal(again.sessionPresent, true);
    await again.received(20);
    const messages = await again.settled();
    for (const qos of [1, 2]) {
      t.strictSame(messages.filter((message) => message.qos === qos).map(({ text }) => Number(text)),
        Array.from({ length: 10 }, (_, i) => 3 * i + qos), `QoS ${qos}, in order`);
    }
    t.equal(messages.length, 20);
    await again.leave();
    const clean = await Peer.connected(t, port, { ...session('long', 60), clean: true });
    t.equal(clean.sessionPresent, false, 'clean start ends the session that was kept');
    await writer.publish('maison/salon', 'unheard', 1);
    t.strictSame(await clean.settled(), []);
    await clean.disconnect(0, 0);
  }
  const short = await Peer.connected(t, port, session('short', 1));
  await short.subscribe('maison/#', 1);
  await sleep(2500);
  await short.publish('maison/x', 'still', 1);
  await short.received(1);
  await short.vanish();
  const soon = await Peer.connected(t, port, session('short', 1));
  t.equal(soon.sessionPresent, true, 'at once');
  await soon.vanish();
  await sleep(3000);
  t.equal((await Peer.connected(t, port, session('short', 1))).sessionPresent, false, 'not after its time');
  const none = await Peer.connected(t, port, { ...V5, clientId: 'none', clean: false });
  await none.vanish();
  t.equal((await Peer.connected(t, port, session('none', 60))).sessionPresent, false, 'none was wanted');
});

t.test('DISCONNECT changes how long a session is kept', async (t) => {
  const { port } = await startBroker(t);
  await (await Peer.connected(t, port, session('longer', 1))).disconnect(0, 60);
  await (await Peer.connected(t, port, session('gone', 60))).disconnect(0, 0);
  await sleep(3000);
  t.equal((await Peer.connected(t, port, session('longer', 1))).sessionPresent, true);
  t.equal((await Peer.connected(t, port, session('gone', 60))).sessionPresent, false);
});

t.test('wills: with properties, after their delay, not for who came back; DISCONNECT 0x04 wants them', async (t) => {
  const { port } = await startBroker(t);
  const reader = await Peer.connected(t, port, V5);
  await reader.subscribe('will/#', 2);
  const properties = { contentType: 'text/plain', responseTopic: 'réponse', correlationData: Buffer.from([0, 1]),
    payloadFormatIndicator: true, messageExpiryInterval: 500, userProperties: { a: ['1', '2'], b: 'é' } };
  const connected = (name: string, willDelayInterval: number, expiry = 60): Promise<Peer> =>
    Peer.connected(t, port, { ...session(name, expiry), will: { topic: `will/${name}`, payload: Buffer.from('gone'),
      qos: 2, retain: true, properties: { ...properties, willDelayInterval } } });
  const [now, later, back, polite, wanted, ended] = [await connected('now', 0), await connected('later', 2),
    await connected('back', 2), await connected('polite', 0), await connected('wanted', 0),
    await connected('ended', 60, 1)];
  const startMs = performance.now();
  await Promise.all([now!.vanish(), later!.vanish(), back!.vanish(), ended!.vanish(), polite!.leave(),
    wanted!.disconnect(4)]);
  const returned = await connected('back', 2);
  t.equal(returned.sessionPresent, true);
  await reader.received(2);
  t.strictSame(reader.messages.map(({ topic }) => topic).sort(), ['will/now', 'will/wanted'], 'no delay');
  t.ok(performance.now() - startMs < 1800, 'at once');
  await reader.received(4);
  t.ok(performance.now() - startMs > 900, 'after the delay, or the end of the session');
  t.strictSame((await reader.settled()).map(({ topic }) => topic).sort(),
    ['will/ended', 'will/later', 'will/now', 'will/wanted']);
  for (const message of await reader.settled()) {
    const { messageExpiryInterval, ...others } = message.properties!;
    t.strictSame({ ...others, messageExpiryInterval, userProperties: { ...others.userProperties } }, properties,
      `${message.topic}; its time begins when it is published`);
    t.match(message, { qos: 2, retain: false, text: 'gone' });
  }
  const late = await Peer.connected(t, port, V5);
  await late.subscribe('will/later', 1);
  t.match(await late.settled(), [{ topic: 'will/later', retain: true, properties: { contentType: 'text/plain' } }]);
});

t.test('taken over: 0x8E, and the session goes on', async (t) => {
  const { port } = await startBroker(t);
  const old = await Peer.connected(t, port, session('twin', 60));
  await old.subscribe('maison/#', 1);
  const next = await Peer.connected(t, port, session('twin', 60));
  t.match(await old.packet('disconnect'), { reasonCode: 0x8e, properties: { reasonString: /client identifier/ } });
  t.equal(next.sessionPresent, true);
  await next.publish('maison/a', 'x', 1);
  await next.received(1);
  const old311 = await Peer.connected(t, port, { clientId: 'twin', clean: false });
  t.match(await next.packet('disconnect'), { reasonCode: 0x8e });
  t.equal(old311.sessionPresent, true, 'by a client of 3.1.1');
  await old311.publish('maison/a', 'y', 1);
  await old311.received(1);
  const closed = old311.event('close');
  await Peer.connected(t, port, session('twin', 60));
  await closed;
  t.equal(old311.packets.some(({ cmd }) => cmd === 'disconnect'), false, 'which is told nothing');
});

t.test('server shutting down: 0x8B', async (t) => {
  const { port, child } = await startBroker(t);
  const peer = await Peer.connected(t, port, V5);
  const old = await Peer.connected(t, port);
  const closed = old.event('close');
  child.process.kill('SIGTERM');
  t.match(await peer.packet('disconnect'), { reasonCode: 0x8b });
  await closed;
  t.equal(old.packets.some(({ cmd }) => cmd === 'disconnect'), false, 'MQTT 3.1.1 has none');
});

t.test('errors: told by DISCONNECT, with a reason string for who wants to know', async (t) => {
  const { port } = await startBroker(t, '--max-packet', '2000', '--max-receive', '2');
  const cases: [reasonCode: number, act: (peer: Peer) => void][] = [
    [0x95, ({ client }) => client.publish('a', 'x'.repeat(2000), { qos: 0 })],
    [0x93, ({ client }) => {
      client.handleMessage = () => {};
      for (let i = 0; i < 3; i++) client.publish('a', 'x', { qos: 2 });
    }],
    // What MQTT.js itself would not send: an alias above the maximum, one that stands for nothing, …
    [0x94, ({ client }) => client.stream.write(Buffer.from([0x30, 8, 0, 1, 0x61, 3, 0x23, 0, 11, 0x78]))],
    [0x82, ({ client }) => client.stream.write(Buffer.from([0x30, 7, 0, 0, 3, 0x23, 0, 5, 0x78]))],
    [0x82, ({ client }) => client.stream.write(Buffer.from(
      [0x82, 0x10, 0, 1, 0, 0, 10, ...Buffer.from('$share/g/a'), 0x04]))], // shared and no local 5.0 [MQTT-3.8.3-4]
    [0x81, ({ client }) => client.stream.write(Buffer.from([0x83, 0]))],
  ];
  for (const [reasonCode, act] of cases) {
    for (const wanted of [true, false, undefined]) {
      const peer = await Peer.connected(t, port,
        { ...V5, properties: wanted === undefined ? {} : { requestProblemInformation: wanted } });
      const closed = peer.event('close');
      act(peer);
      const packet = await peer.packet('disconnect');
      t.equal(packet.reasonCode, reasonCode);
      const text = packet.properties?.['reasonString'];
      if (wanted === false) t.equal(text, undefined, '5.0 [MQTT-3.1.2-29]');
      else t.match(text, /^[a-z ,]/i, `${text}`);
      await closed;
    }
  }
});

t.test('enhanced authentication that the broker does not know: 0x8C', async (t) => {
  const { port } = await startBroker(t);
  const peer = new Peer(t, port, { ...V5,
    properties: { authenticationMethod: 'SCRAM-SHA-256', authenticationData: Buffer.from('n,,n=anne,r=x') } });
  t.match(await peer.event('error'), { code: 0x8c });
  t.equal((await peer.packet('connack')).reasonCode, 0x8c);
});

t.test('shared subscriptions: one of the members, by turns; all that subscribe themselves', async (t) => {
  const { port } = await startBroker(t);
  const writer = await Peer.connected(t, port, V5);
  const members = await Promise.all([0, 1, 2].map(() => Peer.connected(t, port, V5)));
  const others = await Promise.all([0, 1].map(() => Peer.connected(t, port, V5)));
  const old = await Peer.connected(t, port);
  for (const member of members) t.equal(await member.subscribe('$share/group/maison/+', 1), 1);
  for (const other of others) await other.subscribe('$share/other/maison/#', 2);
  await old.subscribe('maison/#', 0);
  await members[0]!.subscribe('maison/5', 0);
  for (let i = 0; i < 60; i++) await writer.publish(`maison/${i % 6}`, `${i}`, 1);
  await old.received(60);
  const numbers = Array.from({ length: 60 }, (_, i) => i);
  const texts = async (peers: readonly Peer[], qos: number): Promise<number[]> => {
    const all = await Promise.all(peers.map((peer) => peer.settled()));
    return all.flat().filter((message) => message.qos === qos).map(({ text }) => Number(text)).sort((a, b) => a - b);
  };
  t.strictSame(await texts(members, 1), numbers, 'one of the three');
  t.strictSame(await texts(others, 1), numbers, 'another group has them all, too');
  t.strictSame(await texts([old], 0), numbers);
  t.strictSame(await texts(members, 0), numbers.filter((i) => i % 6 === 5), 'its own subscription, besides');
  for (const member of members) {
    const count = member.messages.filter(({ qos }) => qos === 1).length;
    t.equal(count, 20, 'by turns');
  }
  t.equal(await members[0]!.unsubscribe('$share/group/maison/+'), 0);
  t.equal(await members[0]!.unsubscribe('$share/group/maison/+'), 0x11);
  for (let i = 60; i < 80; i++) await writer.publish('maison/0', `${i}`, 1);
  t.strictSame((await texts(members.slice(1), 1)).slice(-20), Array.from({ length: 20 }, (_, i) => 60 + i));
  t.equal((await texts([members[0]!], 1)).length, 20, 'no more for who left the group');
});

t.test('shared subscriptions: what a member leaves unacknowledged goes to others', async (t) => {
  const { port } = await startBroker(t);
  const writer = await Peer.connected(t, port, V5);
  const silent = await Peer.connected(t, port, V5);
  silent.answerBy(() => {});
  const member = await Peer.connected(t, port, V5);
  for (const peer of [silent, member]) await peer.subscribe('$share/group/maison/#', 1);
  for (let i = 0; i < 40; i++) await writer.publish('maison/a', `${i}`, 1);
  const seen = (await silent.received(20)).map(({ text }) => text);
  t.equal((await member.received(20)).length, 20);
  await silent.vanish(); // and its session ends with it
  await member.received(40);
  const texts = (await member.settled()).map(({ text }) => text);
  t.strictSame(texts.slice().sort((a, b) => Number(a) - Number(b)), Array.from({ length: 40 }, (_, i) => `${i}`));
  t.strictSame(texts.slice(20), seen, 'in their order');
});

t.test('shared subscriptions: a member that is away keeps what no other can take', async (t) => {
  const { port } = await startBroker(t);
  const writer = await Peer.connected(t, port, V5);
  const [a, b] = [await Peer.connected(t, port, session('a', 60)), await Peer.connected(t, port, session('b', 60))];
  for (const peer of [a, b]) await peer!.subscribe('$share/group/maison/#', 2);
  await a!.vanish();
  for (let i = 0; i < 10; i++) await writer.publish('maison/a', `${i}`, 2);
  t.equal((await b!.received(10)).length, 10, 'all to the one that is here');
  await b!.vanish();
  for (let i = 10; i < 20; i++) await writer.publish('maison/a', `${i}`, 2);
  const again = [await Peer.connected(t, port, session('a', 60)), await Peer.connected(t, port, session('b', 60))];
  await Promise.all(again.map((peer) => peer.received(5)));
  const kept = (await Promise.all(again.map((peer) => peer.settled()))).flat().map(({ text }) => Number(text));
  t.strictSame(kept.sort((x, y) => x - y), Array.from({ length: 10 }, (_, i) => 10 + i), 'each once');
});
