// The face of the SDK's mqttserver over our broker, on fake io of both platforms.
import t from 'tap';
import { MqttServer, serverLimits, type MqttServerOptions } from '../../src/moddable/faces/mqtt-server.js';
import { PUBLISH_DROPPED } from '../../src/broker/counters.js';
import { REFUSED_NOT_AUTHORIZED } from '../../src/wire/codes.js';
import { connect, disconnect, publish, pubrel, subscribe } from '../support/packets.js';
import { FakeNet, type Platform, type RawPeer } from './fake-io.js';

const PLATFORMS: readonly Platform[] = ['lwip', 'lin'];

function text(body: ArrayBuffer): string {
  return String.fromCharCode(...new Uint8Array(body));
}

class Hub {
  readonly net: FakeNet;
  readonly server: MqttServer;
  #told: string[] = [];

  constructor(platform: Platform, options: Partial<MqttServerOptions> = {}) {
    this.net = new FakeNet(platform);
    this.server = new MqttServer({
      ...this.net.io,
      onMessage: (topic, body) => this.#told.push(`${topic} ${text(body)}`),
      ...options,
    });
  }

  /** A client that is connected. */
  client(clientId: string, fields: Parameters<typeof connect>[0] = {}): RawPeer {
    const peer = this.net.open();
    peer.send(connect({ clientId, ...fields }));
    this.net.run(100);
    return peer;
  }

  told(ms = 200): string[] {
    this.net.run(ms);
    const told = this.#told;
    this.#told = [];
    return told;
  }
}

for (const platform of PLATFORMS) {
  t.test(`${platform}: each message of a client is told once, at every QoS, and goes to the others`, (t) => {
    const hub = new Hub(platform);
    const listener = hub.client('listener').send(subscribe(1, ['#', 2]));
    const speaker = hub.client('speaker');
    hub.net.run(100);
    t.same(listener.packets(), ['CONNACK new 0', 'SUBACK id1 2']);
    speaker.send(publish('a', 'zero'), publish('a/b', 'one', { qos: 1, id: 1 }), publish('c', 'two', { qos: 2, id: 2 }),
      publish('c', '', { retain: true }));
    t.same(hub.told(), ['a zero', 'a/b one', 'c two', 'c ']);
    speaker.send(publish('c', 'two', { qos: 2, id: 2, duplicate: true }), pubrel(2));
    t.same(hub.told(), []);
    t.same(speaker.packets(), ['CONNACK new 0', 'PUBACK id1', 'PUBREC id2', 'PUBREC id2', 'PUBCOMP id2']);
    t.same(listener.packets(),
      ['PUBLISH q0 a zero', 'PUBLISH q1 id1 a/b one', 'PUBLISH q2 id2 c two', 'PUBLISH q0 c ']);
    t.end();
  });

  t.test(`${platform}: what the application publishes goes to the clients and not back to it`, (t) => {
    const hub = new Hub(platform, {
      onMessage(this: MqttServer, topic, body) {
        told.push(topic);
        this.publish('answer', body);
        this.publish(topic, text(body).toUpperCase());
      },
    });
    const told: string[] = [];
    const client = hub.client('client').send(subscribe(1, ['#', 1]), publish('ask', 'me'));
    hub.net.run(200);
    t.same(client.packets(),
      ['CONNACK new 0', 'SUBACK id1 1', 'PUBLISH q0 ask me', 'PUBLISH q0 answer me', 'PUBLISH q0 ask ME']);
    hub.server.publish('later', new Uint8Array([0x21, 0x22, 0x23]).subarray(1, 2));
    hub.server.publish('later', '');
    hub.net.run(60);
    t.same(client.packets(), ['PUBLISH q0 later "', 'PUBLISH q0 later ']);
    client.send(publish('ask', 'again'));
    hub.net.run(200);
    t.same(told, ['ask', 'ask'], 'and it is told of what clients publish after that');
    t.end();
  });

  t.test(`${platform}: many messages at once are all told, in their order`, (t) => {
    const hub = new Hub(platform);
    const speaker = hub.client('speaker');
    const expected: string[] = [];
    for (let i = 0; i < 400; i++) {
      expected.push(`t message ${i}`);
      speaker.send(publish('t', `message ${i}`, { qos: 1, id: i % 100 + 1 }));
    }
    t.same(hub.told(2000), expected);
    t.equal(speaker.packets().length, 401);
    speaker.send(publish('t', 'x'.repeat(1000)), publish('t', 'y'.repeat(1000)));
    t.same(hub.told(1000), [`t ${'x'.repeat(1000)}`, `t ${'y'.repeat(1000)}`]);
    t.end();
  });

  t.test(`${platform}: what several clients send in one moment is told, as far as an outbox holds it`, (t) => {
    const hub = new Hub(platform, { limits: { outboxBytes: 2 * 1088 } });
    const speakers = ['1', '2', '3', '4', '5', '6', '7', '8'].map((id) => hub.client(id));
    for (const speaker of speakers) speaker.send(publish('a', 'small'));
    t.equal(hub.told().length, 8);
    const before = hub.server.broker.counters[PUBLISH_DROPPED]!;
    for (const speaker of speakers) speaker.send(publish('a', 'x'.repeat(1000)));
    const told = hub.told().length;
    const dropped = hub.server.broker.counters[PUBLISH_DROPPED]! - before;
    t.equal(told + dropped, 8);
    t.ok(told >= 3 && told < 8, `${told} told`);
    for (const speaker of speakers) speaker.send(publish('a', 'y'.repeat(1000), { qos: 1 }));
    t.equal(hub.told(2000).length, 8, 'with QoS 1 all of them');
    t.end();
  });

  t.test(`${platform}: wills are told, what begins with $ is not`, (t) => {
    const hub = new Hub(platform, { limits: { sysIntervalMs: 1000 } });
    hub.client('one', { will: { topic: 'gone', payload: 'one', qos: 1 } }).end.abort();
    t.same(hub.told(5000), ['gone one']);
    hub.client('two', { will: { topic: 'gone', payload: 'two' } }).send(publish('$mine', 'x'), disconnect());
    t.same(hub.told(5000), []);
    t.end();
  });

  t.test(`${platform}: the application takes no place from the clients, and needs no password`, (t) => {
    const asked: number[] = [];
    const hub = new Hub(platform, {
      limits: { clientsMax: 2 },
      authenticate: () => asked.length < 2 ? asked.push(0) * 0 : REFUSED_NOT_AUTHORIZED,
    });
    t.same(asked, []);
    const clients = ['one', 'two'].map((id) => hub.client(id));
    t.same(clients.map((peer) => peer.packets()), [['CONNACK new 0'], ['CONNACK new 0']]);
    clients[0]!.send(disconnect());
    hub.net.run(1000);
    t.same(hub.client('three').packets(), ['CONNACK new 5']);
    t.end();
  });

  t.test(`${platform}: target, and a class of one's own`, (t) => {
    const told: unknown[] = [];
    const target = { name: 'target' };
    const hub = new Hub(platform, {
      target, onMessage(this: unknown, topic) {
        told.push(this, topic);
      },
    });
    hub.client('client').send(publish('a', ''));
    hub.net.run(200);
    t.same(told, [target, 'a']);
    const net = new FakeNet(platform);
    class Own extends MqttServer {
      override onMessage = (topic: string): void => void told.push('own', topic);
    }
    const own = new Own({ ...net.io, port: 4000 });
    t.equal(own.port, 4000);
    net.open(4000).send(connect({ clientId: 'client' }), publish('b', ''));
    net.run(400);
    t.same(told.slice(2), ['own', 'b']);
    t.end();
  });

  t.test(`${platform}: what onMessage throws is traced, and the next message is told`, (t) => {
    const told: string[] = [];
    const hub = new Hub(platform, {
      onMessage(topic) {
        told.push(topic);
        if (topic === 'bad') throw new Error('thrown here');
      },
    });
    const client = hub.client('client')
      .send(publish('bad', '', { qos: 1, id: 1 }), publish('good', '', { qos: 1, id: 2 }));
    hub.net.run(400);
    t.same(told, ['bad', 'good']);
    t.match(hub.net.traces, ['thrown here']);
    t.same(client.packets(), ['CONNACK new 0', 'PUBACK id1', 'PUBACK id2']);
    t.end();
  });

  t.test(`${platform}: close ends everybody, and tells nothing more`, (t) => {
    const hub = new Hub(platform);
    const client = hub.client('client', { will: { topic: 'gone', payload: 'x' } });
    client.send(publish('a', 'x'));
    hub.server.close();
    hub.server.close();
    t.same(hub.told(1000), []);
    t.not(client.ended, '');
    t.throws(() => hub.server.publish('a', 'x'), { message: 'closed' });
    t.equal(hub.net.sockets.size, 0);
    t.equal((hub.net.io.Timer as { count?: number }).count, 0);
    t.end();
  });

  t.test(`${platform}: closing from onMessage is the last that is told`, (t) => {
    const told: string[] = [];
    const hub = new Hub(platform, {
      onMessage(this: MqttServer, topic) {
        told.push(topic);
        this.close();
      },
    });
    hub.client('client').send(publish('a', ''), publish('b', '', { qos: 1 }));
    hub.net.run(1000);
    t.same(told, ['a']);
    t.equal(hub.net.sockets.size, 0);
    t.same(hub.net.traces, []);
    t.end();
  });
}

t.test('what cannot be published throws', (t) => {
  const { server } = new Hub('lwip');
  t.throws(() => server.publish('a/#', 'x'), /"a\/#" is not published/);
  t.throws(() => server.publish('', 'x'), Error);
  t.throws(() => server.publish('a', 'x'.repeat(2000)), Error);
  t.end();
});

t.test('limits are those of the clients, and what contradicts itself is told', (t) => {
  const limits = serverLimits({ clientsMax: 3, subscriptionsMax: 5, retainedMax: 7 });
  t.match(limits, { clientsMax: 4, connectionsMax: 4, sessionsMax: 4, subscriptionsMax: 6, retainedMax: 7 });
  t.throws(() => serverLimits({ packetBytesMax: 4096, outboxBytes: 1024 }), /outboxBytes is 1024/);
  t.throws(() => new Hub('lwip', { limits: { packetBytesMax: 10 } }), RangeError);
  t.end();
});

t.test('links that say nothing take the place of each other, never that of the application', (t) => {
  const hub = new Hub('lwip', { limits: { clientsMax: 2 } });
  const silent = [1, 2, 3, 4, 5].map(() => hub.net.open());
  hub.net.run(100);
  t.equal(silent.filter((peer) => peer.ended === '').length, 2);
  silent.at(-1)!.send(connect({ clientId: 'late' }), publish('a', 'x'));
  t.same(hub.told(), ['a x']);
  t.end();
});
