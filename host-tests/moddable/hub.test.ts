// src/moddable/hub.ts: the hub's program on a fake board, over sockets that behave as those of the boards.
import t, { type Test } from 'tap';
import { ESP32_LIMITS, ESP8266_LIMITS } from '../../src/board-limits.js';
import { Hub, type HubOptions } from '../../src/moddable/hub.js';
import type { Limits } from '../../src/limits.js';
import { connect, publish, subscribe } from '../support/packets.js';
import { dht22, FakeBoard, FakeNetwork } from './fake-board.js';
import { FakeNet, type NetOptions, type RawPeer } from './fake-io.js';

interface Setup {
  net: FakeNet;
  hub: Hub;
  network: FakeNetwork;
  board: FakeBoard;
  announced: string[];
  join(clientId: string, ...more: Uint8Array[]): RawPeer;
}

function setUp(given: Partial<HubOptions> & { limits?: Limits } = {}, netOptions: NetOptions = {}): Setup {
  const net = new FakeNet('lwip', netOptions);
  const board = new FakeBoard();
  const announced: string[] = [];
  let network: FakeNetwork | undefined;
  const hub = new Hub({
    ...net.io, limits: ESP32_LIMITS, random: () => 7, version: 'maisonnette 0', board,
    network: (user) => network = new FakeNetwork(user),
    announce: (address, port) => {
      announced.push(`${address}:${port}`);
      return { close: () => void announced.push('closed') };
    },
    ...given,
  });
  const join = (clientId: string, ...more: Uint8Array[]): RawPeer => {
    const peer = net.open();
    peer.send(connect({ clientId }), ...more);
    net.run(200);
    peer.packets();
    return peer;
  };
  hub.start();
  return { net, hub, network: network!, board, announced, join };
}

function published(peer: RawPeer): string[] {
  return peer.packets().filter((text) => text.startsWith('PUBLISH')).map((text) => text.replace(/^PUBLISH /, ''));
}

/** The PUBLISH packets whose topic begins so, as `topic payload`. */
function told(peer: RawPeer, prefix: string): string[] {
  return published(peer).map((text) => text.replace(/^.*?(?=\$SYS|maison)/, '')).filter((text) => text.startsWith(prefix));
}

t.test('it listens when the network is up, and announces where', (t) => {
  const { net, hub, network, announced } = setUp();
  t.ok(network.started);
  net.run(5000);
  t.equal(hub.port, undefined);
  t.equal(net.listeners.size, 0);
  network.up();
  t.equal(hub.port, 1883);
  t.same(announced, ['192.168.1.7:1883']);
  t.match(net.traces.join(''), /listening on 192\.168\.1\.7, port 1883/);
  t.end();
});

t.test('a network that goes away leaves the broker as it is: clients, sessions and retained messages', (t) => {
  const { net, network, announced, join } = setUp();
  network.up();
  const reader = join('reader', subscribe(1, ['maison/#', 1]));
  join('writer', publish('maison/salon/temperature', '21.4', { retain: true }));
  t.same(told(reader, 'maison'), ['maison/salon/temperature 21.4']);
  network.down();
  net.run(60_000);
  t.same(announced, ['192.168.1.7:1883', 'closed']);
  network.up('192.168.1.9');
  t.same(announced.slice(2), ['192.168.1.9:1883']);
  join('writer2', publish('maison/salon/temperature', '21.5', { retain: true }));
  t.same(told(reader, 'maison'), ['maison/salon/temperature 21.5'], 'the old connection still works');
  t.same(told(join('late', subscribe(1, ['maison/#', 0])), 'maison'), []);
  t.end();
});

t.test('a port that cannot be had is tried again, and the reason traced', (t) => {
  const { net, hub, network, announced } = setUp();
  const other = new net.io.Listener({ port: 1883, onReadable() {} });
  network.up();
  t.equal(hub.port, undefined);
  t.same(announced, []);
  t.match(net.traces.join(''), /cannot listen on port 1883.*trying again in 10 seconds/);
  other.close();
  net.run(10_500);
  t.equal(hub.port, 1883);
  t.same(announced, ['192.168.1.7:1883']);
  t.end();
});

const SYS = ['heap/chunks 9000', 'heap/free 41000', 'heap/slots 8000', 'network/joins 1', 'network/signal -61',
  'reset power on'];

t.test('what the board knows is retained under $SYS/broker, and told anew when it changes', (t) => {
  const { net, network, board } = setUp();
  network.up();
  net.run(10_500);
  const reader = net.open();
  reader.send(connect({ clientId: 'reader' }), subscribe(1, ['$SYS/broker/heap/+', 0], ['$SYS/broker/network/+', 0],
    ['$SYS/broker/reset', 0]));
  net.run(500);
  t.same(told(reader, '$SYS').sort(), SYS.map((text) => `$SYS/broker/${text}`));
  board.freeMemoryBytes = 40_000;
  network.signalDbm = undefined;
  net.run(10_000);
  t.same(told(reader, '$SYS').map((text) => text.trim()).sort(),
    ['$SYS/broker/heap/free 40000', '$SYS/broker/network/signal'], 'what is not known any more is cleared');
  t.end();
});

t.test('they do not take the room of retained messages', (t) => {
  const { net, network, join } = setUp();
  network.up();
  net.run(10_500);
  const writer = join('writer');
  for (let i = 0; i < ESP32_LIMITS.retainedMax; i++) {
    writer.send(publish(`maison/piece${i}/temperature`, '21.4', { retain: true }));
    net.run(20);
  }
  const reader = net.open();
  reader.send(connect({ clientId: 'reader' }), subscribe(1, ['maison/#', 0]));
  net.run(2000);
  t.equal(told(reader, 'maison').length, ESP32_LIMITS.retainedMax);
  t.end();
});

t.test('a broker without $SYS tells the figures without keeping them', (t) => {
  const { net, hub, network, board, join } = setUp({ limits: ESP8266_LIMITS });
  network.up();
  board.slotBytes = -1;
  const reader = join('reader', subscribe(1, ['$SYS/#', 0]));
  net.run(10_500);
  t.same([...new Set(told(reader, '$SYS'))].sort(),
    SYS.filter((text) => !text.startsWith('heap/slots')).map((text) => `$SYS/broker/${text}`));
  t.equal(hub.broker.memory.retained.count, 0);
  t.end();
});

function readings(t: Test, given: Partial<HubOptions>, net: NetOptions = {}): string[] {
  const setup = setUp(given, net);
  setup.network.up();
  const reader = setup.join('reader', subscribe(1, ['maison/#', 0]));
  setup.net.run(8000);
  t.ok(setup.hub.port);
  return told(reader, 'maison').sort();
}

t.test('a DHT22 of its own publishes as a room does, without a connection', (t) => {
  const net = new FakeNet('lwip');
  const board = new FakeBoard();
  let network: FakeNetwork | undefined;
  const hub = new Hub({
    ...net.io, limits: ESP8266_LIMITS, random: () => 7, version: 'maisonnette 0', board,
    network: (user) => network = new FakeNetwork(user),
    local: { piece: 'salon', sensor: { io: dht22(214) } },
  });
  hub.start();
  net.run(8000); // before there is a network
  network!.up();
  const late = net.open();
  late.send(connect({ clientId: 'late' }), subscribe(1, ['maison/#', 1]));
  net.run(500);
  t.same(told(late, 'maison').sort(),
    ['maison/salon/etat en-ligne', 'maison/salon/humidite 48.3', 'maison/salon/temperature 21.4']);
  t.equal(hub.local?.readCount, 1);
  let finished = false;
  hub.close(() => finished = true);
  net.run(1000);
  t.ok(finished);
  t.ok(network!.closed);
  t.same(told(late, 'maison'), ['maison/salon/etat hors-ligne']);
  t.equal(net.listeners.size, 0);
  t.end();
});

t.test('a room that cannot be, or a sensor that throws, costs the sensor and not the broker', (t) => {
  const capture = { capture(): number { throw new Error('the pin is gone'); }, close() {} };
  t.same(readings(t, { local: { piece: 'a/b', sensor: { io: capture } } }), []);
  t.same(readings(t, { local: { piece: 'salon', sensor: { io: capture } } }), []);
  t.end();
});
