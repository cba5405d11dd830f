// TcpClient in MQTT 5.0 against real brokers, over TCP on loopback: Mosquitto (Debian) and ours.

import t, { type Test } from 'tap';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectProperties, PublishProperties } from '../../src/client/properties.js';
import { Requests, respond } from '../../src/client/requests.js';
import { EXPIRED, LINK_LOST } from '../../src/client/states.js';
import { TOO_LARGE } from '../../src/wire/codes.js';
import { StubServer } from '../node/stub-server.js';
import { WatchedClient, type Received, type WatchedOptions } from '../node/watched-client.js';
import { packet } from '../support/packets.js';
import { Random } from '../support/random.js';
import { CuttingProxy } from './cutting-proxy.js';
import { type BrokerProcess, Mosquitto, mosquittoSkip, OurBroker } from './mosquitto-broker.js';

t.jobs = 3;

const V5: WatchedOptions = { protocolLevel: 5 };
const QOS = [0, 1, 2];
/** Does not come back while a test lasts. */
const PATIENT = { reconnectFirstMs: 60_000, reconnectMaxMs: 60_000 };

interface Kind {
  name: string;
  skip: string | false;
  /** Whether it tells whom it disconnects why. */
  saysWhy: boolean;
  /** Whether it keeps to the receive maximum of its clients. */
  keepsToMaximum: boolean;
  /** `receiveMax`, `packetBytesMax`: what it is to take, if not what it takes by itself. */
  open: (owner: Test, given?: { receiveMax?: number; packetBytesMax?: number }) => Promise<BrokerProcess>;
}

const KINDS: readonly Kind[] = [
  {
    name: 'Mosquitto', skip: mosquittoSkip(), saysWhy: false, keepsToMaximum: false,
    open: (owner, { receiveMax, packetBytesMax } = {}) => Mosquitto.open(owner, () => [
      ...receiveMax ? [`max_inflight_messages ${receiveMax}`] : [],
      ...packetBytesMax ? [`max_packet_size ${packetBytesMax}`] : []]),
  }, {
    name: 'our broker', skip: false, saysWhy: true, keepsToMaximum: true,
    open: (owner, { receiveMax, packetBytesMax } = {}) => OurBroker.open(owner,
      ...receiveMax ? ['--max-receive', `${receiveMax}`] : [],
      ...packetBytesMax ? ['--max-packet', `${packetBytesMax}`] : []),
  },
];

const PROPERTIES: PublishProperties = {
  payloadIsText: true,
  contentType: 'text/plain; charset=utf-8',
  responseTopic: 'réponses/1',
  correlationData: Uint8Array.of(0, 255, 1),
  userProperties: [['b', '1'], ['a', 'é'], ['b', ''], ['', '2'], ['a', '0'], ['b', '1']],
};

/** What `info` says beside QoS, RETAIN and DUP; it is valid during the call only. */
function propertiesOf({ info }: Received) {
  const { payloadIsText, contentType, responseTopic, correlationData, userProperties, messageExpirySeconds } = info;
  return { payloadIsText, contentType, responseTopic, correlationData: correlationData && [...correlationData],
    userProperties, messageExpirySeconds, identifiers: [...info.subscriptionIdentifiers].sort((a, b) => a - b) };
}

type Properties = ReturnType<typeof propertiesOf>;

function wanted(given: PublishProperties): Properties {
  const { payloadIsText, contentType, responseTopic, userProperties = [] } = given;
  const correlationData = given.correlationData as Uint8Array | undefined;
  return { payloadIsText, contentType, responseTopic, messageExpirySeconds: given.messageExpirySeconds,
    correlationData: correlationData && [...correlationData], identifiers: [],
    userProperties: userProperties.map(([name, value]) => [name, value]) };
}

/** A reader and the properties of each message, in their order. */
function noted(owner: Test, port: number, options: WatchedOptions = {}): [WatchedClient, Properties[]] {
  const watched = new WatchedClient(owner, port, { ...V5, ...options });
  const properties: Properties[] = [];
  watched.onMessage = (message) => {
    properties.push(propertiesOf(message));
    return true;
  };
  return [watched, properties];
}

function open(owner: Test, port: number, options: WatchedOptions = {}): Promise<WatchedClient> {
  return WatchedClient.open(owner, port, { ...V5, ...options });
}

/** A session kept for so many seconds. */
function session(id: string, sessionExpirySeconds: number, more: ConnectProperties = {}): WatchedOptions {
  return { id, clean: false, properties: { sessionExpirySeconds, ...more } };
}

/** What came, without what `settle` sends. */
function messages(watched: WatchedClient): string[] {
  return watched.told(/^message (?!q. settled )/).map((event) => event.slice('message '.length));
}

/** Behind all that was published before by `publisher`. */
async function settle(publisher: WatchedClient, ...readers: WatchedClient[]): Promise<void> {
  const from = readers.map(({ events }) => events.length);
  for (const reader of readers) await reader.subscribe('settled', 1);
  await publisher.publish('settled', 'now', 1);
  await Promise.all(readers.map((reader, i) => reader.event(/^message q1 settled now$/, from[i])));
}

for (const { name, skip, saysWhy, keepsToMaximum, open: start } of KINDS) {
  const options = { skip, buffered: true };

  t.test(`${name}: every QoS to every QoS with all properties, live, retained and as a will`, options, async (t) => {
    const { port } = await start(t);
    const proxy = await CuttingProxy.open(t, port, new Random(1));
    const publisher = await open(t, proxy.port, { limits: PATIENT,
      will: { topic: 'maison/will', message: 'été', QoS: 2, retain: false, properties: PROPERTIES } });
    const readers = QOS.map(() => noted(t, port));
    for (const [granted, [reader]] of readers.entries()) {
      reader.client.connect();
      t.equal(await reader.subscribe('maison/#', granted), `subscribed maison/# ${granted}`);
    }
    for (const QoS of QOS) {
      publisher.client.publish(`maison/${QoS}`, 'été', { QoS, properties: PROPERTIES });
      publisher.client.publish(`maison/${QoS}`, 'bare', { QoS });
      await publisher.until(() => publisher.client.waitingCount === 0, 'all delivered');
      await publisher.publish('maison/between', '', 1);
    }
    proxy.cutAll();
    for (const [granted, [reader, properties]] of readers.entries()) {
      await reader.event(/maison\/will/);
      const q = (QoS: number): string => `q${Math.min(QoS, granted)}`;
      t.strictSame(messages(reader), [...QOS.flatMap((QoS) => [`${q(QoS)} maison/${QoS} été`,
        `${q(QoS)} maison/${QoS} bare`, `${q(1)} maison/between `]), `${q(2)} maison/will été`]);
      const full = properties.filter((_, i) => i === 9 || i % 3 === 0);
      for (const found of full) t.strictSame(found, wanted(PROPERTIES));
      for (const found of properties.filter((each) => !full.includes(each))) t.strictSame(found, wanted({}));
    }
    const [writer] = readers[0]!;
    for (const QoS of QOS) writer.client.publish(`kept/${QoS}`, 'été', { QoS, retain: true, properties: PROPERTIES });
    await writer.publish('settled', 'x', 2);
    const [late, properties] = noted(t, port);
    late.client.connect();
    await late.subscribe('kept/#', 2);
    await late.eventCount(/^message/, 3);
    t.strictSame(messages(late).sort(), QOS.map((QoS) => `q${QoS} retain kept/${QoS} été`));
    for (const found of properties) t.strictSame(found, wanted(PROPERTIES));
  });

  t.test(`${name}: what expires, in the broker and in the client's own queue`, options, async (t) => {
    const { port } = await start(t);
    const [kept, properties] = noted(t, port, session('kept', 60));
    kept.client.connect();
    await kept.subscribe('maison/#', 1);
    await kept.close();
    const publisher = new WatchedClient(t, port, V5);
    // Time begins with the first attempt to connect.
    const nowhere = await StubServer.open(t);
    const waiting = new WatchedClient(t, nowhere.port, V5);
    waiting.client.connect();
    const handles = [1, 100].map((messageExpirySeconds) => waiting.client.publish('maison/a', 'here',
      { QoS: 1, properties: { messageExpirySeconds } }));
    publisher.client.connect();
    for (const [text, messageExpirySeconds] of [['short', 1], ['long', 4_000_000_000]] as const) {
      publisher.client.publish('maison/a', text, { QoS: 1, properties: { ...PROPERTIES, messageExpirySeconds } });
    }
    await publisher.eventCount(/^delivered/, 2);
    await sleep(2600);
    const stub = await nowhere.connection(0);
    stub.send(packet(0x20, Uint8Array.of(0, 0, 0)));
    await stub.packet(/^PUBLISH/);
    t.equal(stub.packets.filter((text) => text.startsWith('PUBLISH')).length, 1, `${stub.packets}`);
    t.equal(waiting.reasons.get(handles[0]!), EXPIRED, 'dropped, and told');
    t.strictSame(waiting.told(/^dropped/), [`dropped ${handles[0]}`]);
    kept.client.connect();
    await kept.event(/maison\/a long/);
    await settle(publisher, kept);
    t.strictSame(messages(kept), ['q1 maison/a long']);
    const { messageExpirySeconds, ...others } = properties[0]!;
    t.ok(messageExpirySeconds! >= 3_999_999_990 && messageExpirySeconds! <= 3_999_999_998, `${messageExpirySeconds}`);
    t.match(wanted(PROPERTIES), { ...others });
  });

  t.test(`${name}: topic aliases, both ways and over connections`, options, async (t) => {
    const { port } = await start(t);
    const proxy = await CuttingProxy.open(t, port, new Random(1));
    const [few, none] = await Promise.all([
      open(t, proxy.port, { ...session('few', 60), limits: { topicAliasMax: 3 } }),
      open(t, port, { limits: { topicAliasMax: 0 } })]);
    for (const reader of [few!, none!]) await reader.subscribe('maison/#', 1);
    const publisher = await open(t, proxy.port, session('publisher', 60));
    const told: string[] = [];
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 60; i++) {
        const topic = `maison/${'long'.repeat(10)}/${i % 15}`;
        publisher.client.publish(topic, `${round} ${i}`, { QoS: 1, ...i % 4 === 0 && { properties: PROPERTIES } });
        told.push(`q1 ${topic} ${round} ${i}`);
      }
      await publisher.until(() => publisher.client.waitingCount === 0, 'all delivered');
      for (const reader of [few!, none!]) await reader.event(new RegExp(` ${round} 59$`));
      const from = [publisher, few!].map(({ events }) => events.length);
      proxy.cutAll(); // the aliases end with the connection
      for (const [i, watched] of [publisher, few!].entries()) await watched.event(/^connected present/, from[i]);
    }
    for (const watched of [publisher, few!, none!]) t.equal(watched.client.core.counters.errors, 0);
    for (const reader of [few!, none!]) {
      // Again on the next connection, if its acknowledgement was cut.
      t.strictSame([...new Set(messages(reader).map((line) => line.replace('q1 dup ', 'q1 ')))], told);
    }
  });

  t.test(`${name}: receive maximum, that of the broker and ours`, options, async (t) => {
    const { port } = await start(t, { receiveMax: 3 });
    // Mosquitto 2.0.11 does not keep to it: as was seen on the wire, it sends four messages of QoS 2 when told two.
    const reader = await open(t, port, keepsToMaximum ? { limits: { receiveMax: 2 } } : {});
    await reader.subscribe('maison/#', 2);
    const publisher = await open(t, port, { limits: { inflightMax: 100 } });
    const numbers = Array.from({ length: 200 }, (_, i) => `${i}`);
    for (const number of numbers) t.ok(publisher.client.publish('maison/a', number, { QoS: 2 }) > 0);
    await reader.eventCount(/^message/, 200);
    await publisher.until(() => publisher.client.waitingCount === 0, 'all delivered');
    t.strictSame(reader.texts(), numbers);
    t.strictSame([publisher, reader].flatMap((watched) => watched.told(/^disconnected/)), []);
  });

  t.test(`${name}: maximum packet size, that of the broker and ours`, options, async (t) => {
    const { port } = await start(t, { packetBytesMax: 2000 });
    const reader = await open(t, port, { limits: { packetBytesMax: 500 } });
    const whole = await open(t, port);
    for (const each of [reader, whole]) await each.subscribe('maison/#', 2);
    const publisher = new WatchedClient(t, port, V5);
    const early = publisher.client.publish('maison/a', 'x'.repeat(2000), { QoS: 1 }); // what it takes, nobody knows yet
    publisher.client.connect();
    await publisher.event(/^dropped/);
    t.equal(publisher.reasons.get(early), TOO_LARGE, `${[...publisher.reasons]}`);
    t.equal(publisher.client.publish('maison/a', 'x'.repeat(2000), { QoS: 1 }), TOO_LARGE);
    const told: string[] = [];
    for (let i = 0; i < 60; i++) {
      const text = `${i} ${'x'.repeat(i % 3 === 0 ? 800 : 10)}`;
      await publisher.publish('maison/a', text, 1 + i % 2);
      if (i % 3 !== 0) told.push(text);
    }
    await settle(publisher, reader, whole);
    t.strictSame(reader.texts('maison/a'), told);
    t.equal(whole.texts('maison/a').length, 60);
    t.equal(reader.client.core.counters.skippedTooLarge, 0, 'they were not even sent [MQTT-3.1.2-24]');
    for (const watched of [publisher, reader, whole]) t.strictSame(watched.told(/^disconnected/), []);
  });

  t.test(`${name}: a session is kept for its time, and resumed by itself after clean start`, options, async (t) => {
    const { port } = await start(t);
    const proxy = await CuttingProxy.open(t, port, new Random(1));
    const publisher = await open(t, port);
    const clean = await open(t, proxy.port, { id: 'clean', properties: { sessionExpirySeconds: 60 } });
    await clean.subscribe('maison/+', 2);
    proxy.away = true;
    proxy.cutAll();
    await clean.event(/^disconnected/);
    for (let i = 0; i < 30; i++) await publisher.publish('maison/a', `${i}`, 1 + i % 2);
    proxy.away = false;
    await clean.eventCount(/^message/, 30);
    t.strictSame(clean.told(/^connected/), ['connected new', 'connected present']);
    t.strictSame(clean.texts(), Array.from({ length: 30 }, (_, i) => `${i}`));

    const brief = await open(t, port, session('brief', 1));
    await brief.close();
    await sleep(300);
    brief.client.connect();
    await brief.eventCount(/^connected/, 2);
    await brief.close();
    await sleep(4000); // Mosquitto looks now and then
    brief.client.connect();
    await brief.eventCount(/^connected/, 3);
    t.strictSame(brief.told(/^connected/), ['connected new', 'connected present', 'connected new']);
    brief.client.close({ properties: { sessionExpirySeconds: 60 } });
    await brief.eventCount(/^closed/, 3);
    await sleep(3000);
    brief.client.connect();
    await brief.event(/^connected present/, brief.events.length - 1);
  });

  t.test(`${name}: wills after their delay, unless the client is back; with DISCONNECT`, options, async (t) => {
    const { port } = await start(t);
    const proxy = await CuttingProxy.open(t, port, new Random(1));
    const [reader, properties] = noted(t, port);
    reader.client.connect();
    await reader.subscribe('will/#', 2);
    const client = (id: string, willDelaySeconds: number, reconnectFirstMs = 60_000): Promise<WatchedClient> =>
      open(t, proxy.port, { ...session(id, 60), limits: { reconnectFirstMs, reconnectMaxMs: 60_000 }, will:
        { topic: `will/${id}`, message: id, QoS: 1, properties: { ...PROPERTIES, willDelaySeconds } } });
    const [later, back, polite, wanted] = await Promise.all([client('later', 1), client('back', 2, 20),
      client('polite', 0), client('wanted', 0)]);
    await polite!.close();
    wanted!.client.close({ withWill: true });
    await reader.event(/will\/wanted/);
    const sinceMs = performance.now();
    proxy.cutAll();
    await Promise.all([later, back].map((each) => each!.event(/^disconnected/)));
    await back!.event(/^connected present/);
    await reader.event(/will\/later/);
    t.ok(performance.now() - sinceMs > 900, 'not before');
    await sleep(3000);
    await settle(reader, reader);
    t.strictSame(messages(reader), ['q1 will/wanted wanted', 'q1 will/later later']);
    for (const found of properties.slice(0, 2)) t.match(found, { contentType: PROPERTIES.contentType });
  });

  t.test(`${name}: DISCONNECT of the broker: taken over, shutting down`, options, async (t) => {
    const broker = await start(t);
    const old = await open(t, broker.port, { id: 'twin', limits: PATIENT });
    const next = await open(t, broker.port, { id: 'twin' });
    await old.event(/^disconnected/);
    await broker.stop('SIGTERM');
    await next.event(/^disconnected/);
    const told = [old, next].map((each) => each.told(/^disconnected/)[0]);
    // Mosquitto 2.0.11 says nothing, it closes the link.
    t.strictSame(told, [0x8e, 0x8b].map((reason) => `disconnected ${saysWhy ? reason : LINK_LOST}`));
    await broker.start();
    await next.eventCount(/^connected/, 2);
  });

  t.test(`${name}: options and identifiers of subscriptions, and reason codes`, options, async (t) => {
    const { port } = await start(t);
    const publisher = await open(t, port);
    await publisher.publish('maison/kept', 'kept', 1, true);
    const [reader, properties] = noted(t, port);
    reader.client.connect();
    const subscribe = async (filter: string, given: object): Promise<void> => {
      const from = reader.events.length;
      reader.client.subscribe(filter, { QoS: 1, ...given });
      await reader.event(/^subscribed/, from);
    };
    await subscribe('maison/#', { identifier: 3, noLocal: true, retainAsPublished: true, retainHandling: 2 });
    await settle(publisher, reader);
    t.strictSame(messages(reader), [], 'retain handling 2');
    await subscribe('maison/#', { identifier: 300, noLocal: true, retainAsPublished: true, retainHandling: 1 });
    await settle(publisher, reader);
    t.strictSame(messages(reader), [], 'retain handling 1, not new');
    await reader.publish('maison/own', 'own', 1);
    await publisher.publish('maison/a', 'a', 1, true);
    await settle(publisher, reader);
    t.strictSame(messages(reader), ['q1 retain maison/a a'], 'no local, retain as published');
    t.strictSame(properties.filter(({ identifiers }) => identifiers.length > 0).map(({ identifiers }) => identifiers),
      [[300]]);
    const from = publisher.events.length;
    const handle = publisher.client.publish('nobody/hears', 'x', { QoS: 1 });
    await publisher.event(/^delivered/, from);
    t.equal(publisher.reasons.get(handle), 0x10, 'no matching subscribers');
    const shared = await Promise.all([0, 1].map(() => open(t, port)));
    const filter = '$share/g/maison/+';
    for (const member of shared) t.equal(await member.subscribe(filter, 1), `subscribed ${filter} 1`);
    for (let i = 0; i < 20; i++) await publisher.publish('maison/shared', `${i}`, 1);
    await settle(publisher, ...shared);
    const both = shared.flatMap((member) => member.texts('maison/shared').map(Number)).sort((a, b) => a - b);
    t.strictSame(both, Array.from({ length: 20 }, (_, i) => i), 'each message to one member');
  });

  t.test(`${name}: an assigned identifier is kept; request and response`, options, async (t) => {
    const { port } = await start(t);
    const proxy = await CuttingProxy.open(t, port, new Random(1));
    const service = await open(t, port);
    service.onMessage = ({ topic, text, info }) => {
      if (topic === 'double') respond(service.client, info, `${2 * Number(text)}`);
      return true;
    };
    await service.subscribe('double', 1);
    const asker = await open(t, proxy.port, { properties: { sessionExpirySeconds: 60 } });
    const requests = new Requests(asker.client, 'answers/1');
    asker.onMessage = ({ topic, text, info }) => {
      requests.take(topic, Buffer.from(text), info);
      return true;
    };
    const ask = async (): Promise<void> => {
      const answers = await Promise.all([1, 2, 3].map((n) => requests.request('double', `${n}`, { QoS: 1 })));
      t.strictSame(answers.map((answer) => Buffer.from(answer).toString()), ['2', '4', '6']);
    };
    await ask();
    proxy.cutAll();
    await asker.event(/^connected present/);
    await ask();
  });
}
