// src/moddable/tcp-broker.ts: how connections end, what is refused, and that nothing a peer, a socket or an application
// does restarts the board or leaves a socket behind.
import t from 'tap';
import { PUBLISH_RECEIVED } from '../../src/broker/counters.js';
import { ascii, connect, disconnect, pingreq, publish, subscribe } from '../support/packets.js';
import { answer, both, clientsConnected, setUp, texts } from './broker-on-board.js';

both('what a peer sent before it closed counts, and its DISCONNECT too', (t, platform) => {
  const { net, broker, join } = setUp(platform);
  const reader = join('reader', subscribe(1, ['#', 0]));
  const writer = net.open();
  writer.sendAndClose(connect({ clientId: 'hasty', will: { topic: 'will', payload: 'dead' } }),
    ...texts(400).map((text) => publish('a', text)), disconnect());
  net.run(3000);
  t.same(reader.packets(), texts(400).map((text) => `PUBLISH q0 a ${text}`), 'all of it, and no will');
  t.equal(clientsConnected(broker), 1);
  t.equal(net.sockets.size, 1, 'the socket is closed');
  t.same(net.traces, []);
});

t.test('lwip: what was left unread is delivered after the peer has gone, then its will', (t) => {
  const { net, broker, join } = setUp('lwip', { limits: { slowSubscriberMs: 3000 } });
  const reader = join('reader', subscribe(1, ['#', 1]));
  reader.pause();
  // 40 messages for a queue of 16 and a window of 4: the writer is made to wait, and does not. Its will is of QoS 0,
  // since the queue is still full when it comes.
  const writer = net.open();
  writer.sendAndClose(connect({ clientId: 'hasty', will: { topic: 'will', payload: 'dead' } }),
    ...texts(40).map((text, i) => publish('a', text, { qos: 1, id: i + 1 })));
  net.run(1000);
  t.equal(clientsConnected(broker), 2, 'it still has something to say');
  let got: string[] = [];
  reader.resume();
  for (let i = 0; i < 60; i++) {
    net.run(100);
    const packets = reader.packets();
    got = [...got, ...packets];
    reader.send(...packets.map(answer));
  }
  t.same(got.filter((text) => !text.endsWith('dead')).map((text) => text.replace(/.* a /, '')), texts(40));
  t.ok(got.includes('PUBLISH q0 will dead'));
  t.equal(clientsConnected(broker), 1);
  t.same(net.traces, []);
  t.end();
});

t.test('lwip: what was left unread because its answers were not read is delivered after the peer has gone', (t) => {
  const { net, broker, join } = setUp('lwip', { net: { sendBytes: 1460 } });
  const reader = join('reader', subscribe(1, ['will', 0]));
  const writer = net.open();
  writer.pause();
  writer.send(connect({ clientId: 'deaf', will: { topic: 'will', payload: 'dead' } }),
    ...texts(700).map((_, i) => publish('a', 'x', { qos: 1, id: i + 1 })));
  net.run(1000);
  t.ok(broker.counters[PUBLISH_RECEIVED]! < 700, 'no room for so many answers');
  writer.end.close();
  net.run(1000);
  t.equal(broker.counters[PUBLISH_RECEIVED], 700);
  t.same(reader.packets(), ['PUBLISH q0 will dead']);
  t.equal(net.sockets.size, 1);
  t.same(net.traces, []);
  t.end();
});

t.test('lwip: what a peer sent counts, though an answer to it finds the peer gone', (t) => {
  const { net, broker } = setUp('lwip');
  net.open().sendAndClose(connect({ clientId: 'hasty' }),
    ...texts(400).map((_, i) => publish('a', 'x', { qos: 1, id: i + 1 })));
  net.run(1000);
  t.equal(broker.counters[PUBLISH_RECEIVED], 400);
  t.equal(net.sockets.size, 0);
  t.same(net.traces, []);
  t.end();
});

both('a peer that is lost: its will, its slot and its socket, once', (t, platform) => {
  const { net, broker, join } = setUp(platform);
  const reader = join('reader', subscribe(1, ['#', 0]));
  for (let round = 0; round < 20; round++) {
    const peer = net.open().send(connect({ clientId: 'lost', will: { topic: 'will', payload: 'dead' } }));
    net.run(60);
    if (round % 2 === 0) peer.end.abort();
    else peer.end.close();
    net.run(60);
    t.same(reader.packets(), ['PUBLISH q0 will dead']);
  }
  t.equal(clientsConnected(broker), 1);
  t.equal(net.sockets.size, 1);
  t.same(net.traces, []);
});

t.test('lin: a write that fails is the only sign that a peer has gone', (t) => {
  const { net, broker, join } = setUp('lin');
  const reader = join('reader', subscribe(1, ['will', 0]));
  const peer = net.open();
  peer.send(connect({ clientId: 'gone', will: { topic: 'will', payload: 'dead' } }), subscribe(2, ['a', 0]));
  net.run(100);
  peer.end.peer.dead = true;
  broker.publish(ascii('a'), ascii('for nobody'), 0, false);
  broker.flush();
  net.run(500);
  t.same(reader.packets(), ['PUBLISH q0 will dead']);
  t.equal(clientsConnected(broker), 1);
  t.equal(net.sockets.size, 1);
  t.end();
});

both('an exception ends the link it came up with, and no other', (t, platform) => {
  const { net, broker, join } = setUp(platform, {
    options: {
      authenticate: (_bytes, packet) => {
        if (packet.clientIdEnd - packet.clientIdStart === 3) throw new Error('a fault of the application');
        return 0;
      },
    },
  });
  const reader = join('reader', subscribe(1, ['a', 0]));
  for (let round = 0; round < 25; round++) {
    const peer = net.open().send(connect({ clientId: 'bad' }));
    net.run(100);
    t.not(peer.ended, '', 'closed');
  }
  t.equal(net.traces.length, 25);
  t.ok(/a fault of the application/.test(net.traces[0]!));
  t.equal(clientsConnected(broker), 1);
  t.equal(net.sockets.size, 1);
  join('writer').send(publish('a', 'still here'));
  net.run(100);
  t.same(reader.packets(), ['PUBLISH q0 a still here']);
});

both('the last packet arrives before the socket closes, though closing resets', (t, platform) => {
  for (const closeResets of [true, false]) {
    const { net } = setUp(platform, { net: { closeResets, latencyMs: 30 } });
    const peer = net.open().send(connect({ clientId: '', clean: false }));
    net.run(120);
    t.same(peer.packets(), ['CONNACK new 2']);
    t.equal(peer.ended, '', 'not closed at once');
    peer.send(...texts(50).map((text) => publish('a', text))); // read into nothing
    net.run(600);
    t.equal(peer.ended, closeResets ? 'reset' : 'closed', 'but soon');
    t.equal(net.sockets.size, 0);
    t.same(net.traces, []);
  }
});

both('more sockets are closing than there is room for', (t, platform) => {
  const { net, join } = setUp(platform, { limits: { clientsMax: 2, connectionsMax: 2 }, net: { latencyMs: 20 } });
  const stays = join('stays');
  for (let i = 0; i < 20; i++) {
    net.open().send(connect({ clientId: '', clean: false }));
    net.run(50);
    t.ok(net.sockets.size <= 4);
  }
  stays.send(pingreq());
  net.run(100);
  t.same(stays.packets(), ['PINGRESP']);
  join('fits');
  t.same(net.traces, []);
});

both('a socket with nothing on its way closes at once', (t, platform) => {
  const { net, join } = setUp(platform);
  const peer = join('polite');
  peer.send(disconnect());
  net.run(40);
  t.equal(peer.ended, 'closed');
  t.equal(net.sockets.size, 0);
});

both('a socket says something after it was closed', (t, platform) => {
  const { net, join, broker } = setUp(platform);
  const peer = join('first');
  const [socket] = net.sockets;
  peer.send(disconnect());
  net.run(100);
  const second = join('second', subscribe(1, ['a', 0])); // has the same link
  const options = socket!.options!;
  options.onReadable.call(socket!, 10);
  options.onWritable.call(socket!, 10);
  options.onError.call(socket!);
  net.run(500);
  second.send(publish('a', 'unharmed'));
  net.run(100);
  t.same(second.packets().slice(-1), ['PUBLISH q0 a unharmed']);
  t.equal(clientsConnected(broker), 1);
  t.same(net.traces, []);
});

t.test('lwip: peers that have gone before they could be accepted', (t) => {
  const { net, broker, join } = setUp('lwip');
  for (let i = 0; i < 30; i++) {
    const peer = net.open();
    peer.end.peer.dead = true;
    net.run(20);
  }
  t.equal(net.traces.length, 30);
  t.ok(/invalid from/.test(net.traces[0]!));
  t.equal(clientsConnected(broker), 0);
  t.equal(net.sockets.size, 0);
  join('later');
  t.end();
});

both('more connections than slots', (t, platform) => {
  const { net, broker, join } = setUp(platform, { limits: { clientsMax: 4, connectionsMax: 4 } });
  const peers = ['a', 'b', 'c', 'd'].map((clientId) => join(clientId));
  const refused = Array.from({ length: 10 }, () => net.open().send(connect({ clientId: 'more' })));
  net.run(200);
  for (const peer of refused) t.not(peer.ended, '', 'refused');
  t.equal(net.sockets.size, 4);
  for (const peer of peers) peer.send(pingreq());
  net.run(100);
  for (const peer of peers) t.same(peer.packets(), ['PINGRESP']);
  peers[2]!.send(disconnect());
  net.run(100);
  join('fits now');
  t.equal(clientsConnected(broker), 4);
  t.equal(net.vainAccepts, 0, 'the listener is never asked in vain');
  t.same(net.traces, []);
});

both('a silent connection gives way, also when all sockets are closing', (t, platform) => {
  const { net, broker } = setUp(platform, { limits: { clientsMax: 2, connectionsMax: 2 } });
  for (let i = 0; i < 20; i++) {
    net.open();
    net.run(platform === 'lin' ? 20 : 2);
  }
  const peer = net.open().send(connect({ clientId: 'speaks' }));
  net.run(300);
  t.same(peer.packets(), ['CONNACK new 0']);
  t.ok(clientsConnected(broker) <= 2);
  t.ok(net.sockets.size <= 2);
  t.same(net.traces, []);
});
