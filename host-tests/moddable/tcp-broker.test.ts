// src/moddable/tcp-broker.ts over sockets that behave as those of the boards and of the simulator: what arrives, in
// which portions, and what goes out when.
import t from 'tap';
import { PUBLISH_RECEIVED } from '../../src/broker/counters.js';
import { TcpBroker } from '../../src/moddable/tcp-broker.js';
import { ascii, concat, connect, disconnect, pingreq, publish, subscribe } from '../support/packets.js';
import { makeBroker } from '../support/peer.js';
import { answer, both, clientsConnected, setUp, texts } from './broker-on-board.js';
import { FakeNet } from './fake-io.js';

both('QoS 0, 1 and 2 from one peer to another', (t, platform) => {
  const { net, join } = setUp(platform);
  const reader = join('reader', subscribe(1, ['maison/#', 2]));
  const writer = join('writer');
  writer.send(publish('maison/a', 'zero'), publish('maison/b', 'one', { qos: 1, id: 4 }),
    publish('maison/c', 'two', { qos: 2, id: 5 }));
  net.run(100);
  t.same(writer.packets(), ['PUBACK id4', 'PUBREC id5']);
  t.same(reader.packets(), ['PUBLISH q0 maison/a zero', 'PUBLISH q1 id1 maison/b one', 'PUBLISH q2 id2 maison/c two']);
  t.same(net.traces, []);
});

both('packets that come byte by byte', (t, platform) => {
  const { net } = setUp(platform);
  const peer = net.open();
  const bytes = concat(connect({ clientId: 'slow' }), subscribe(7, ['a', 1]), publish('a', 'b', { qos: 1, id: 9 }));
  for (const byte of bytes) {
    peer.send(Uint8Array.of(byte));
    net.run(3);
  }
  net.run(100);
  t.same(peer.packets().sort(), ['CONNACK new 0', 'PUBACK id9', 'PUBLISH q1 id1 a b', 'SUBACK id7 1']);
});

both('many packets at once, in order, read in bounded portions', (t, platform) => {
  const { net, join } = setUp(platform);
  const reader = join('reader', subscribe(1, ['a/b', 1]));
  const writer = join('writer');
  const wanted = texts(300);
  let got: string[] = [];
  writer.send(...wanted.map((text, i) => publish('a/b', text, { qos: 1, id: i + 1 })));
  for (let i = 0; i < 200; i++) {
    net.run(50);
    const packets = reader.packets().filter((text) => text.startsWith('PUBLISH'));
    got = [...got, ...packets];
    reader.send(...packets.map(answer));
  }
  t.same(got.map((text) => text.replace(/.*a\/b /, '')), wanted);
  t.equal(writer.packets().length, 300, 'and all acknowledged');
  t.ok(net.readMax <= 1536, `at most ${net.readMax} bytes in one callback`);
  t.same(net.traces, []);
});

both('a subscriber that reads nothing for a while gets everything afterwards', (t, platform) => {
  const { net, broker, join } = setUp(platform, { limits: { slowSubscriberMs: 60_000 } });
  const reader = join('reader', subscribe(1, ['a', 0], ['b', 1]));
  const writer = join('writer');
  reader.pause();
  const wanted = texts(16);
  writer.send(...wanted.map((text, i) => publish('b', text.padEnd(200, '.'), { qos: 1, id: i + 1 })));
  net.run(2000);
  reader.resume();
  let got: string[] = [];
  for (let i = 0; i < 40; i++) {
    net.run(50);
    const packets = reader.packets();
    got = [...got, ...packets];
    reader.send(...packets.map(answer));
  }
  t.same(got.map((text) => text.replace(/.* b |\.+$/g, '')), wanted);
  t.same(net.traces, [], 'never asked a socket for more than it takes');
  t.equal(clientsConnected(broker), 2);
});

both('who floods does not keep others waiting', (t, platform) => {
  const { net, broker, join } = setUp(platform);
  const flood = join('flood');
  const other = join('other');
  flood.send(...texts(2000).map((text) => publish('a', text)));
  net.run(platform === 'lin' ? 25 : 3);
  other.send(pingreq());
  net.run(platform === 'lin' ? 60 : 6);
  t.same(other.packets(), ['PINGRESP']);
  const soFar = broker.counters[PUBLISH_RECEIVED]!;
  t.ok(soFar < 2000, `${soFar} of 2,000 by then`);
  net.run(5000);
  t.equal(broker.counters[PUBLISH_RECEIVED], 2000);
});

t.test('lwip: a wide fan-out goes out by turns, and nobody misses anything for that', (t) => {
  const { net, broker, join } = setUp('lwip', {
    limits: { clientsMax: 20, connectionsMax: 20, sessionsMax: 20, sysIntervalMs: 0 }, net: { queueLength: 20 },
  });
  const readers = Array.from({ length: 18 }, (_, i) => join(`reader ${i}`, subscribe(1, ['a', 0])));
  const writer = join('writer');
  // More than an outbox holds: whoever could not be written to in this turn must not miss any for that.
  writer.send(...texts(120).map((text) => publish('a', text)));
  net.run(2000);
  for (const reader of readers) t.equal(reader.packets().filter((text) => text.startsWith('PUBLISH')).length, 120);
  t.ok(net.postedMax <= 8, `${net.postedMax} messages posted in one turn`);
  t.equal(clientsConnected(broker), 19);
  t.same(net.traces, []);
  t.end();
});

for (const sendBytes of [2920, 5744, 8192]) {
  t.test(`lwip, ${sendBytes} B to send: many small messages to a peer whose acknowledgements take long`, (t) => {
    const { net, broker, join } = setUp('lwip', { net: { latencyMs: 100, sendBytes } });
    const reader = join('reader');
    reader.send(subscribe(1, ['a', 0]));
    net.run(1000);
    reader.packets();
    const wanted = texts(200);
    for (const text of wanted) {
      broker.publish(ascii('a'), ascii(text), 0, false);
      broker.flush();
      net.run(5);
    }
    net.run(2000);
    t.same(reader.packets(), wanted.map((text) => `PUBLISH q0 a ${text}`));
    t.equal(clientsConnected(broker), 1, 'lwIP has not run out of pieces');
    t.end();
  });
}

both('keep-alive, across the wrap of the clock', (t, platform) => {
  const { net, broker } = setUp(platform, { net: { startMs: 0x7fffffff - 3000 } });
  const silent = net.open().send(connect({ clientId: 'silent', keepAlive: 4 }));
  const alive = net.open().send(connect({ clientId: 'alive', keepAlive: 4 }));
  for (let second = 0; second < 5; second++) {
    alive.send(pingreq());
    net.run(1000);
  }
  t.equal(silent.ended, '');
  alive.send(pingreq());
  net.run(2500);
  t.not(silent.ended, '');
  t.equal(alive.ended, '');
  t.equal(clientsConnected(broker), 1);
});

both('a board that was held up does not blame its peers', (t, platform) => {
  const { net, broker, join } = setUp(platform);
  const peer = net.open().send(connect({ clientId: 'patient', keepAlive: 2 }));
  net.run(1000);
  net.holdUp(60_000);
  net.run(1000);
  t.equal(peer.ended, '');
  t.equal(clientsConnected(broker), 1);
  join('another');
});

both('a port that is in use', (t, platform) => {
  const { net } = setUp(platform);
  t.throws(() => new TcpBroker(makeBroker({ stagingBytes: 256 }), net.io),
    { message: /^cannot listen on port 1883 \(Error: bind socket failed\): is it in use already/ });
  t.equal(net.willCrash, platform === 'lin', 'what cannot be helped');
  new TcpBroker(makeBroker({ stagingBytes: 256 }), net.io, { port: 1884 });
  t.ok(net.listeners.has(1884));
});

both('close: wills, then all sockets, then time', (t, platform) => {
  const { net, tcp, join } = setUp(platform);
  const reader = join('reader', subscribe(1, ['#', 0]));
  net.open().send(connect({ clientId: 'willed', will: { topic: 'will', payload: 'dead' } }));
  net.run(100);
  reader.packets();
  const finished: string[] = [];
  tcp.close(() => finished.push('first'));
  tcp.close(() => finished.push('second'));
  t.same(finished, []);
  net.run(1000);
  t.same(finished, ['first']);
  t.same(reader.packets(), ['PUBLISH q0 will dead']);
  t.equal(reader.ended, 'closed');
  t.equal(net.sockets.size, 0);
  t.throws(() => net.open(), 'nobody listens');
  t.equal((net.io.Timer as unknown as { count: number }).count, 0, 'no timer is left');
});

both('what an application publishes goes out soon', (t, platform) => {
  const { net, broker, tcp, join } = setUp(platform);
  const reader = join('reader', subscribe(1, ['a', 0]));
  reader.packets();
  net.run(250 - net.nowMs % 250 + 100); // between two ticks
  broker.publish(ascii('a'), ascii('now'), 0, false);
  tcp.flushSoon();
  net.run(5);
  t.same(reader.packets(), ['PUBLISH q0 a now']);
});

both('a search for retained messages goes on by itself', (t, platform) => {
  const { net, join } = setUp(platform, { limits: { retainedBytes: 32768 } });
  const writer = join('writer');
  writer.send(...texts(30).map((text, i) => publish(`r/${i}`, text.padEnd(200, '.'), { retain: true })));
  net.run(1000);
  const reader = net.open().send(connect({ clientId: 'reader' }), subscribe(1, ['r/#', 0]));
  net.run(200); // less than from tick to tick
  t.equal(reader.packets().filter((text) => text.startsWith('PUBLISH')).length, 30);
});

both('fifty connections, one after the other and all at once', (t, platform) => {
  const { net, broker } = setUp(platform, {
    limits: { clientsMax: 60, connectionsMax: 60, sessionsMax: 60 }, net: { queueLength: 60 },
  });
  for (let i = 0; i < 50; i++) {
    const peer = net.open().send(connect({ clientId: `client ${i}` }), pingreq(), disconnect());
    net.run(50);
    t.same(peer.packets(), ['CONNACK new 0', 'PINGRESP']);
  }
  const peers = Array.from({ length: 50 }, (_, i) => net.open().send(connect({ clientId: `client ${i}` })));
  net.run(300);
  for (const peer of peers) t.same(peer.packets(), ['CONNACK new 0']);
  for (const peer of peers) peer.end.abort();
  net.run(300);
  t.equal(clientsConnected(broker), 0);
  t.equal(net.sockets.size, 0);
  t.equal(net.vainAccepts, 0);
  t.same(net.traces, []);
});

t.test('a broker without staging has no place on a board', (t) => {
  const net = new FakeNet('lwip');
  t.throws(() => new TcpBroker(makeBroker(), net.io), { message: /stagingBytes is 0/ });
  t.end();
});

t.test('the fakes do what they are there for', (t) => {
  const net = new FakeNet('lwip');
  const { TCP, Listener } = net.io;
  new Listener({ port: 7, onReadable: () => {} });
  const options = { address: '127.0.0.1', port: 7, onReadable() {}, onError() {} };
  let room = 0;
  const socket = new TCP({ ...options, onWritable: (count) => room = count });
  t.throws(() => socket.write(new Uint8Array(1)), { message: 'not ready' });
  net.run(10);
  t.equal(room, 5744);
  t.throws(() => socket.write(new Uint8Array(5745)), { message: 'would block' });
  new TCP({ ...options, onWritable: () => { throw new Error('mine'); } });
  t.throws(() => net.run(10), { message: /the board restarts: Error: mine/ });
  const lin = new FakeNet('lin');
  const timer = lin.io.Timer.repeat(() => lin.io.Timer.schedule(timer, 0, 250), 250);
  t.throws(() => lin.run(1000), { message: /without end/ });
  t.end();
});
