// The client for applications in MQTT 5.0: properties by name, both ways, an identifier that the broker
// assigns, requests and answers. Two of them on our broker, in memory.

import t from 'tap';
import { clientLimits } from '../../src/client/limits.js';
import { MqttClient, type MessageInfo, type MqttClientOptions } from '../../src/client/mqtt-client.js';
import { publishProperties } from '../../src/client/properties.js';
import { Requests, respond } from '../../src/client/requests.js';
import { CONNECTED } from '../../src/client/states.js';
import { OK, PROTOCOL_ERROR } from '../../src/wire/codes.js';
import type { Broker } from '../../src/broker/broker.js';
import { ascii, auth, connack, connack5, type Properties } from '../support/packets.js';
import { makeBroker, MemoryLink } from '../support/peer.js';
import { End, Way } from './wire.js';

const LIMITS = clientLimits({ packetBytesMax: 512, inboxBytes: 1024, outboxBytes: 1024, acknowledgementBytes: 64,
  queueBytes: 4096, queuedMax: 16, subscriptionsMax: 8, messageBlockBytes: 64 });

/** A client on a broker in memory; `run` lets the bytes flow. */
class Joined extends MqttClient {
  readonly broker: Broker;
  #slot = -1;
  #end: End | undefined;

  constructor(broker: Broker, options: MqttClientOptions) {
    super({ protocolLevel: 5, limits: LIMITS, ...options }, {
      open: () => {
        const [toBroker, toClient] = [new Way(), new Way()];
        this.#end = new End(toBroker, toClient);
        this.#slot = broker.connected(new End(toClient, toBroker));
        return this.#end;
      },
      random: () => 0x5eed, wake: () => {},
    });
    this.broker = broker;
    this.core.tick(0);
    this.connect();
    this.core.opened();
    this.run();
    if (this.state !== CONNECTED) throw new Error('not connected');
  }

  /** True if something has moved. */
  run(): boolean {
    let moved = false;
    for (const end = this.#end!;;) {
      this.core.flush();
      const bytes = end.out.take(end.out.count);
      this.broker.bytes.set(bytes, this.broker.windowStart);
      if (bytes.length > 0) this.broker.received(this.#slot, bytes.length);
      this.broker.flush();
      const answer = end.closed ? new Uint8Array(0) : end.in.take(Math.min(end.in.count, this.core.room));
      this.core.bytes.set(answer, this.core.receiveStart);
      if (answer.length > 0) this.core.received(answer.length);
      if (bytes.length + answer.length === 0) return moved;
      moved = true;
    }
  }
}

function runAll(...clients: Joined[]): void {
  while (clients.map((client) => client.run()).includes(true));
}

/** All that `info` tells, as an object. */
function tell(info: MessageInfo): object {
  const { QoS, retain, duplicate, payloadIsText, messageExpirySeconds, contentType, responseTopic, correlationData,
    subscriptionIdentifiers, userProperties } = info;
  return { QoS, retain, duplicate, payloadIsText, messageExpirySeconds, contentType, responseTopic,
    correlationData: correlationData && [...correlationData], subscriptionIdentifiers, userProperties };
}

t.test('properties by name go from one application to another', (t) => {
  const broker = makeBroker();
  const told: object[] = [];
  const subscriber = new Joined(broker, { id: 'one', onMessage: (topic, payload, info) => {
    told.push({ topic, bytes: payload.length, ...tell(info) });
  } });
  const publisher = new Joined(broker, { id: 'two' });
  subscriber.subscribe('house/+', { QoS: 1, identifier: 5, retainAsPublished: true, userProperties: [['a', 'b']] });
  subscriber.subscribe('house/#', { identifier: 268_435_455 });
  runAll(subscriber, publisher);
  const properties = { messageExpirySeconds: 60, payloadIsText: true, contentType: 'text/plain', responseTopic: 'réponse',
    correlationData: Uint8Array.of(0, 255), userProperties: [['b', '2'], ['a', ''], ['b', '1']] as [string, string][] };
  publisher.publish('house/salon', '21.4', { QoS: 1, retain: true, properties });
  publisher.publish('house/salon', '21.5', { QoS: 1, properties: publishProperties({}) });
  runAll(subscriber, publisher);
  const [first, second] = told as { subscriptionIdentifiers: number[] }[];
  first!.subscriptionIdentifiers.sort();
  t.match(first, { topic: 'house/salon', bytes: 4, QoS: 1, ...properties, correlationData: [0, 255],
    subscriptionIdentifiers: [268_435_455, 5] });
  t.match(second, { payloadIsText: undefined, messageExpirySeconds: undefined, contentType: undefined, userProperties: [] });
  t.equal(told.length, 2);
  t.end();
});

t.test('no local, and an option that is out of range', (t) => {
  let got = 0;
  const client = new Joined(makeBroker(), { onMessage: () => void got++ });
  t.equal(client.subscribe('a', { noLocal: true, retainHandling: 2 }), OK);
  client.run();
  client.publish('a', 'x');
  client.run();
  t.equal(got, 0);
  for (const options of [{ QoS: 3 }, { QoS: 4 }, { QoS: -1 }, { retainHandling: 3 }, { retainHandling: -1 }]) {
    t.equal(client.subscribe('a', options), PROTOCOL_ERROR, JSON.stringify(options));
  }
  t.throws(() => client.subscribe('a', { identifier: 0 }), { message: 'identifier is 0: it must be a whole number, 1 to 268435455' });
  t.throws(() => client.publish('a', '', { properties: { messageExpirySeconds: 2 ** 32 } }), { message: /messageExpirySeconds is 4294967296/ });
  t.throws(() => client.publish('a', '', { properties: { contentType: 'x'.repeat(65_536) } }), { message: /contentType has 65536 bytes/ });
  t.throws(() => client.publish('a', '', { properties: { responseTopic: '#' } }), RangeError);
  t.throws(() => client.publish('a', '', { properties: { contentType: '\ud800' } }), { message: /not UTF-8/ });
  t.end();
});

t.test('a will with properties, published after `close({ withWill: true })`', (t) => {
  const broker = makeBroker();
  const told: object[] = [];
  const listener = new Joined(broker, { id: 'one', onMessage: (_topic, _payload, info) => void told.push(tell(info)) });
  listener.subscribe('gone', { QoS: 2 });
  listener.run();
  const client = new Joined(broker, { id: 'two', will: { topic: 'gone', message: 'x', QoS: 1,
    properties: { contentType: 'last', willDelaySeconds: 0, userProperties: [['n', 'v']] } } });
  client.close({ withWill: true, properties: { reasonString: 'night' } });
  client.run();
  runAll(listener);
  t.match(told, [{ QoS: 1, contentType: 'last', userProperties: [['n', 'v']] }]);
  t.end();
});

t.test('a request is answered, by whom it reaches; or not, and that is told', async (t) => {
  const broker = makeBroker();
  const timers: (() => void)[] = [];
  let called = 0;
  const heard: string[] = [];
  const asker: Joined = new Joined(broker, { id: 'one', onMessage: (topic, payload, info) => {
    if (!requests.take(topic, payload, info)) heard.push(topic);
  } });
  const requests = new Requests(asker, 'answers/one', (_ms, callback) => {
    timers.push(callback);
    return () => void called++;
  });
  asker.subscribe('other');
  const answerer: Joined = new Joined(broker, { id: 'two', onMessage: (topic, payload, info) => {
    if (topic === 'twice') t.ok(respond(answerer, info, Uint8Array.of(2 * payload[0]!)) > 0);
    if (topic === 'plain') t.equal(respond(answerer, info, 'x'), PROTOCOL_ERROR, 'it expects no answer');
  } });
  for (const filter of ['twice', 'plain', 'silent']) answerer.subscribe(filter, { QoS: 1 });
  runAll(asker, answerer);
  const answers = [1, 2, 3].map((value) => requests.request('twice', Uint8Array.of(value), { QoS: 1 }));
  asker.publish('plain', '');
  asker.publish('other', '');
  answerer.publish('answers/one', 'unasked');
  answerer.publish('answers/one', '', { properties: { correlationData: Uint8Array.of(255, 0, 7) } });
  runAll(asker, answerer);
  t.same(await Promise.all(answers), [Uint8Array.of(2), Uint8Array.of(4), Uint8Array.of(6)], 'each its own');
  t.equal(called, 3, 'its timer called off');
  t.same(heard, ['other'], 'answers that nobody waits for bother nobody');
  const silent = requests.request('silent', 'x', { timeoutMs: 700 });
  timers.pop()!();
  await t.rejects(silent, { message: 'no answer on silent within 700 ms' });
  await t.rejects(requests.request('a/+', 'x'), { message: 'the request was not taken (144)' });
  const left = requests.request('silent', 'x');
  requests.close();
  await t.rejects(left, { message: 'no more requests' });
  t.throws(() => new Requests(asker, 'answers/+'), RangeError);
  t.throws(() => new Requests(asker, '$share/x'), { message: 'cannot subscribe to $share/x (143)' });
  t.end();
});

/** A client on a broker that the test plays. */
class Alone extends MqttClient {
  link = new MemoryLink();

  constructor(options: MqttClientOptions) {
    super({ protocolLevel: 5, limits: LIMITS, ...options }, {
      open: () => {
        this.link = new MemoryLink();
        this.link.protocolLevel = this.protocolLevel;
        return this.link;
      },
      random: () => 1, wake: () => {},
    });
    this.core.tick(0);
  }

  begin(): string[] {
    this.connect();
    this.core.opened();
    this.core.flush();
    return this.link.packets();
  }

  give(bytes: Uint8Array): string[] {
    this.core.bytes.set(bytes, this.core.receiveStart);
    this.core.received(bytes.length);
    this.core.flush();
    return this.link.packets();
  }
}

const assigned = (properties: Properties = {}): Uint8Array => connack5(false, 0, { assignedId: 'given', ...properties });

t.test('the identifier that the broker assigns is kept, also by what is saved', (t) => {
  const client = new Alone({ clean: false, properties: { sessionExpirySeconds: 60 } });
  t.match(client.begin(), [/^CONNECT kept  \{.*sessionExpiry 60/]);
  client.give(assigned());
  t.equal(client.incoming.assignedClientId, 'given');
  client.publish('a', 'x', { QoS: 1 });
  client.close();
  t.match(client.begin(), [/^CONNECT kept given \{/]);
  const bytes = new Uint8Array(client.savedBytes);
  client.save(bytes);
  const woken = new Alone({ clean: false });
  t.equal(woken.restore(bytes.slice(0, 30)), -0x81);
  t.match(woken.begin(), [/^CONNECT kept  \{/], 'nothing has changed');
  woken.close();
  t.equal(woken.restore(bytes), OK);
  t.match(woken.begin(), [/^CONNECT kept given \{/]);
  const long = new Alone({});
  long.begin();
  long.give(assigned({ assignedId: 'x'.repeat(500) }));
  long.close();
  t.match(long.begin(), [/^CONNECT clean  \{/], 'unless CONNECT has no room for it');
  t.end();
});

t.test('authentication by a hook with text; the level in use; properties need 5.0', (t) => {
  const client = new Alone({ properties: { authenticationMethod: 'M', authenticationData: 'first' },
    authenticate: (data, reasonCode) => reasonCode === 0 ? null : `${String.fromCharCode(...data)}!` });
  t.match(client.begin(), [/method M, data first\}$/]);
  t.same(client.give(auth(0x18, { method: 'M', data: 'who' })), ['AUTH 0x18 {method M, data who!}']);
  client.give(connack5(false, 0, { method: 'M', data: 'bad' }));
  t.not(client.state, CONNECTED, 'the last data are not what they should be');
  const old = new Alone({ id: 'x', fallback: true });
  old.begin();
  t.equal(old.protocolLevel, 5);
  old.give(connack(false, 1));
  t.equal(old.protocolLevel, 4);
  t.throws(() => new Alone({ protocolLevel: 4, properties: {} }), { message: /only MQTT 5.0/ });
  t.throws(() => new Alone({ protocolLevel: 4, will: { topic: 'a', message: '', properties: {} } }), { message: /only MQTT 5.0/ });
  const plain = new Alone({ protocolLevel: 4, id: 'x' });
  plain.begin();
  plain.give(connack(false));
  plain.publish(`${String.fromCharCode(...ascii('a'))}`, 'x', { properties: { contentType: 'y' } });
  plain.core.flush();
  t.same(plain.link.packets(), ['PUBLISH q0 a x'], 'they are left out');
  t.end();
});
