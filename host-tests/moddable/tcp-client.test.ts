// src/moddable/tcp-client.ts over sockets that behave as those of the boards and of the simulator: how it finds its
// broker, comes back, and ends; against raw peers, and against our own broker on the same sockets.
import t, { type Test } from 'tap';
import { CLOSED, CONNECT_TIMEOUT, CONNECTED, LINK_LOST, WAITING } from '../../src/client/states.js';
import { TcpBroker } from '../../src/moddable/tcp-broker.js';
import { TcpClient, type Locate, type TcpClientOptions } from '../../src/moddable/tcp-client.js';
import { connack, connect, publish, subscribe } from '../support/packets.js';
import { makeBroker } from '../support/peer.js';
import { FakeNet, type NetOptions, type Platform, type RawPeer } from './fake-io.js';

/** A test on both platforms. */
function both(title: string, body: (t: Test, platform: Platform) => void): void {
  for (const platform of ['lwip', 'lin'] as const) {
    t.test(`${platform}: ${title}`, (t) => {
      body(t, platform);
      t.end();
    });
  }
}

/** Resolves as the book says, a while later, and counts. */
class FakeResolver {
  static book: Record<string, string> = {};
  static asked: string[] = [];
  static net: FakeNet;

  resolve(options: { host: string; onResolved(host: string, address: string): void; onError(): void }): void {
    FakeResolver.asked.push(options.host);
    const address = FakeResolver.book[options.host];
    FakeResolver.net.after(10, () => {
      FakeResolver.net.call(() =>
        address === undefined ? options.onError() : options.onResolved(options.host, address));
    });
  }
}

interface Setup {
  net: FakeNet;
  client: TcpClient;
  /** What the application was told, in words. */
  told: string[];
}

function setUp(platform: Platform, given: Partial<TcpClientOptions> = {}, netOptions: NetOptions = {}): Setup {
  const net = new FakeNet(platform, netOptions);
  FakeResolver.net = net;
  FakeResolver.asked = [];
  FakeResolver.book = { 'maison.local': '127.0.0.1' };
  const told: string[] = [];
  const { Timer, now, trace } = net.io;
  const client = new TcpClient({
    Timer, now, trace, id: 'salon', clean: false, host: '127.0.0.1', port: 1883, socket: { io: net.io.TCP },
    dns: { io: FakeResolver }, random: () => 0xffffffff, keepAlive: 10_000,
    limits: {
      packetBytesMax: 512, stagingBytes: 128, inboxBytes: 1024, outboxBytes: 1024, acknowledgementBytes: 64,
      subscriptionsMax: 4, filterBytes: 512, queuedMax: 64, queueBytes: 16384, receiveMax: 8,
    },
    onConnected: (sessionPresent) => told.push(`connected ${sessionPresent ? 'present' : 'new'}`),
    onRefused: (returnCode) => told.push(`refused ${returnCode}`),
    onDisconnected: (reason, error) => told.push(`disconnected ${reason} ${error?.message}`),
    onMessage: (topic, payload) => {
      told.push(`${topic} ${String.fromCharCode(...payload)}`);
    },
    onDelivered: (handle) => told.push(`delivered ${handle}`),
    onClosed: (complete) => told.push(`closed ${complete}`),
    ...given,
  });
  return { net, client, told };
}

function startBroker(net: FakeNet): TcpBroker {
  return new TcpBroker(makeBroker({ stagingBytes: 128 }), net.io);
}

both('our client and our broker, every QoS, both ways', (t, platform) => {
  const { net, client, told } = setUp(platform);
  startBroker(net);
  client.subscribe('maison/#', { QoS: 2 });
  client.connect();
  net.run(300);
  for (const QoS of [0, 1, 2]) client.publish(`maison/${QoS}`, 'hello', { QoS });
  net.run(2000);
  t.same(told.filter((text) => !text.startsWith('delivered')),
    ['connected new', 'maison/0 hello', 'maison/1 hello', 'maison/2 hello']);
  t.equal(told.length, 6, 'and two were acknowledged');
  t.same(net.traces, []);
});

both('a name is resolved for each attempt', (t, platform) => {
  const { net, client, told } = setUp(platform, { host: 'maison.local' });
  const peers: RawPeer[] = [];
  net.listenRaw(1883, (peer) => {
    peers.push(peer);
    peer.send(connack(false));
  });
  client.connect();
  net.run(500);
  t.equal(client.state, CONNECTED);
  peers[0]!.end.abort();
  net.run(3000);
  t.equal(client.state, CONNECTED);
  t.same(FakeResolver.asked, ['maison.local', 'maison.local']);
  delete FakeResolver.book['maison.local'];
  peers[1]!.end.abort();
  net.run(3000);
  t.equal(client.state, WAITING);
  t.equal(told.at(-1), `disconnected ${LINK_LOST} nobody knows the address of maison.local`);
  FakeResolver.book['maison.local'] = '127.0.0.1';
  net.run(30_000);
  t.equal(client.state, CONNECTED, 'and it comes back');
  t.same(net.traces, []);
});

both('an address is not resolved', (t, platform) => {
  const { net, client } = setUp(platform);
  net.listenRaw(1883, (peer) => peer.send(connack(false)));
  client.connect();
  net.run(500);
  t.equal(client.state, CONNECTED);
  t.same(FakeResolver.asked, []);
});

both('locate: finds, fails, comes too late, says it twice, throws', (t, platform) => {
  const attempts: Parameters<Locate>[] = [];
  const { net, client, told } = setUp(platform, {
    locate: (...callbacks) => {
      attempts.push(callbacks);
      if (attempts.length === 2) throw new Error('no network');
    },
  });
  let connections = 0;
  net.listenRaw(1884, (peer) => {
    connections++;
    peer.send(connack(false));
  });
  client.connect();
  net.run(12_000); // nothing is found in time
  t.equal(told[0], `disconnected ${CONNECT_TIMEOUT} undefined`);
  attempts[0]![0]('maison', '127.0.0.1', 1884);
  attempts[0]![1](new Error('too late'));
  net.run(500);
  t.equal(connections, 0, 'what comes too late is not used');
  net.run(1000);
  t.equal(told[1], `disconnected ${LINK_LOST} no network`);
  net.run(4000);
  attempts[2]![1](new Error('no service'));
  net.run(300);
  t.equal(told[2], `disconnected ${LINK_LOST} no service`);
  net.run(8000);
  attempts[3]![0]('maison', '127.0.0.1', 1884);
  attempts[3]![0]('maison', '127.0.0.1', 1884);
  net.run(500);
  t.equal(client.state, CONNECTED);
  t.equal(connections, 1);
  t.equal(net.sockets.size, 1);
  t.same(net.traces, []);
});

both('an address that is none, a port nobody listens on, a host that does not answer', (t, platform) => {
  for (const [host, wanted] of [
    ['300.1', `disconnected ${LINK_LOST} invalid address`], ['127.0.0.1', `disconnected ${LINK_LOST} undefined`],
    ['10.9.9.9', `disconnected ${CONNECT_TIMEOUT} undefined`],
  ] as const) {
    const { net, client, told } = setUp(platform, { host });
    client.connect();
    net.run(60_000);
    t.equal(told[0], wanted);
    t.ok(told.length > 3, 'tries on');
    t.equal(new Set(told).size, 1);
    t.ok(net.sockets.size <= 1, 'and leaves no socket behind');
    client.close();
    net.run(1000);
    t.equal(net.sockets.size, 0);
    t.same(net.traces, []);
  }
});

both('the broker goes, and comes back: what was published meanwhile arrives, in order', (t, platform) => {
  const { net, client } = setUp(platform);
  const first = startBroker(net);
  client.connect();
  net.run(500);
  first.close();
  net.run(1000);
  t.equal(client.state, WAITING);
  for (let i = 0; i < 10; i++) client.publish('a', `number ${i}`, { QoS: 1 });
  startBroker(net);
  const reader = net.open().send(connect({ clientId: 'reader' }), subscribe(1, ['a', 0]));
  net.run(10_000);
  t.same(reader.packets().slice(2), Array.from({ length: 10 }, (_, i) => `PUBLISH q0 a number ${i}`));
  t.equal(client.waitingCount, 0);
});

both('an application that throws loses its connection, not its board', (t, platform) => {
  let faults = 0;
  const { net, client } = setUp(platform, {
    onMessage: () => {
      if (faults++ === 0) throw new Error('a fault of the application');
    },
  });
  net.listenRaw(1883, (peer) => peer.send(connack(true), publish('a', 'b')));
  client.connect();
  net.run(300);
  t.equal(net.traces.length, 1);
  t.ok(/a fault of the application/.test(net.traces[0]!));
  t.equal(client.state, WAITING);
  net.run(3000);
  t.equal(client.state, CONNECTED);
  t.equal(faults, 2);
  t.equal(net.sockets.size, 1);
});

both('close: DISCONNECT arrives, the socket closes after it, then it is told', (t, platform) => {
  const { net, client, told } = setUp(platform, {}, { closeResets: true, latencyMs: 20 });
  let peer!: RawPeer;
  net.listenRaw(1883, (accepted) => (peer = accepted).send(connack(false)));
  client.connect();
  net.run(500);
  client.publish('a', 'last');
  client.close();
  t.equal(client.state, CLOSED);
  t.same(told, ['connected new'], 'not before');
  net.run(1000);
  t.same(peer.packets(), ['CONNECT kept salon', 'PUBLISH q0 a last', 'DISCONNECT']);
  t.not(peer.ended, '');
  t.same(told, ['connected new', 'closed true']);
  t.equal(net.sockets.size, 0);
  t.equal((net.io.Timer as unknown as { count: number }).count, 0, 'no timer is left');
  client.connect();
  net.run(500);
  t.equal(client.state, CONNECTED, 'and it may begin again');
  t.same(net.traces, []);
});

both('closed and opened in one breath', (t, platform) => {
  const { net, client, told } = setUp(platform);
  const peers: RawPeer[] = [];
  net.listenRaw(1883, (peer) => {
    peers.push(peer);
    peer.send(connack(false));
  });
  client.connect();
  net.run(500);
  client.close();
  client.connect();
  net.run(1000);
  t.equal(client.state, CONNECTED);
  t.same(peers[0]!.packets(), ['CONNECT kept salon', 'DISCONNECT']);
  t.not(peers[0]!.ended, '');
  t.same(told, ['connected new', 'closed true', 'connected new']);
  t.equal(net.sockets.size, 1);
});

both('closed while it looks for its broker', (t, platform) => {
  const { net, client, told } = setUp(platform, { host: 'maison.local' });
  let connections = 0;
  net.listenRaw(1883, () => connections++);
  client.connect();
  client.close();
  net.run(1000);
  t.same(told, ['closed false']);
  t.equal(connections, 0);
  t.equal(net.sockets.size, 0);
});

t.test('lwip: an application that was not ready gets what came before the broker went', (t) => {
  const taken: string[] = [];
  let ready = false;
  const { net, client, told } = setUp('lwip', {
    onMessage: (topic, payload) => {
      if (!ready) return false;
      taken.push(`${topic} ${String.fromCharCode(...payload)}`);
      return undefined;
    },
  });
  let first = true;
  net.listenRaw(1883, (peer) => {
    if (!first) return;
    first = false;
    peer.sendAndClose(connack(true),
      ...Array.from({ length: 60 }, (_, i) => publish('a', `number ${i}`.padEnd(50, '.'))));
  });
  client.connect();
  net.run(2000);
  t.same(told, ['connected present']);
  ready = true;
  client.resume();
  net.run(100);
  t.equal(taken.length, 60);
  t.equal(told[1], `disconnected ${LINK_LOST} undefined`);
  t.same(net.traces, []);
  t.end();
});

both('what an application publishes goes out soon, a thousand messages too', (t, platform) => {
  const { net, client } = setUp(platform);
  let peer!: RawPeer;
  net.listenRaw(1883, (accepted) => (peer = accepted).send(connack(false)));
  client.connect();
  net.run(600);
  peer.packets();
  client.publish('a', 'now');
  net.run(5);
  t.same(peer.packets(), ['PUBLISH q0 a now']);
  let sent = 0;
  for (let round = 0; round < 100; round++) {
    for (let i = 0; i < 10; i++) if (client.publish('a', `number ${sent}`) === 0) sent++;
    net.run(20);
  }
  net.run(500);
  t.equal(sent, 1000);
  t.equal(peer.packets().length, 1000);
  t.same(net.traces, []);
});

both('what did not fit goes out when the broker reads again', (t, platform) => {
  const { net, client } = setUp(platform);
  let peer!: RawPeer;
  net.listenRaw(1883, (accepted) => (peer = accepted).send(connack(false)));
  client.connect();
  net.run(600);
  peer.packets();
  peer.pause();
  let sent = 0;
  for (let i = 0; i < 500; i++) {
    while (client.publish('a', `number ${sent}`.padEnd(200, '.')) === 0) sent++;
    net.run(10);
  }
  t.ok(sent >= 10 && sent < 500, `${sent} found room somewhere`);
  peer.resume();
  net.run(1500);
  t.same(peer.packets().map((text) => text.replace(/\.+$/, '')),
    Array.from({ length: sent }, (_, i) => `PUBLISH q0 a number ${i}`));
  t.same(net.traces, []);
});

t.test('options that tell too little', (t) => {
  const net = new FakeNet('lwip');
  const { Timer, now, trace } = net.io;
  const options = { Timer, now, trace, socket: { io: net.io.TCP }, random: () => 1 };
  t.throws(() => new TcpClient(options), { message: /host or locate is missing/ });
  t.throws(() => new TcpClient({ ...options, host: 'maison.local' }), { message: /dns is missing/ });
  t.throws(() => new TcpClient({ ...options, host: '127.0.0.1' }), { message: /stagingBytes is 0/ });
  t.end();
});
