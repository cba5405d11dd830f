// src/node/tcp-client.ts through real sockets, against servers that are missing, silent, hasty, mad or slow, and how it
// ends.

import t, { type Test } from 'tap';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { QueueFull } from '../../src/limits.js';
import { CLOSED, CONNECTED, CONNECTING, OPENING, WAITING } from '../../src/client/states.js';
import { MALFORMED, PROTOCOL_ERROR, QUOTA_EXCEEDED, SERVER_UNAVAILABLE } from '../../src/wire/codes.js';
import { concat, packet, publish, puback } from '../support/packets.js';
import { Child, within } from './children.js';
import { connack, type StubConnection, StubServer } from './stub-server.js';
import { WatchedClient, type WatchedOptions } from './watched-client.js';

const program = fileURLToPath(new URL('close.main.js', import.meta.url));

/** A port on which nobody listens: one that was free a moment ago. */
async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A client and its connection at a stub server that has accepted it. */
async function pair(
  t: Test, options: WatchedOptions = {},
): Promise<{ watched: WatchedClient; server: StubConnection }> {
  const stub = await StubServer.open(t);
  const watched = new WatchedClient(t, stub.port, options);
  watched.client.connect();
  const server = await stub.accepted();
  await watched.event(/^connected/);
  return { watched, server };
}

/** Accepts every CONNECT that comes. */
function hospitable(connection: StubConnection): void {
  connection.packet(/^CONNECT/).then(() => connection.send(connack()), () => {});
}

/** When events that match were told, in milliseconds. */
function times(watched: WatchedClient, pattern: RegExp): number[] {
  const found: number[] = [];
  watched.onEvent = (event) => {
    if (pattern.test(event)) found.push(performance.now());
  };
  return found;
}

const gaps = (found: readonly number[]): number[] => found.slice(1).map((ms, i) => ms - found[i]!);

t.test('nobody listens: told with the error, tried again ever more slowly, ended by close', async (t) => {
  const limits = { reconnectFirstMs: 300, reconnectMaxMs: 60_000 };
  const watched = new WatchedClient(t, await deadPort(), { limits });
  const lost = times(watched, /^disconnected/);
  watched.client.connect();
  t.strictSame(watched.events, [], 'nothing is told inside of connect');
  t.equal(watched.client.state, OPENING);
  t.equal(watched.client.publish('a', 'b'), SERVER_UNAVAILABLE);
  t.ok(watched.client.publish('a', 'b', { QoS: 1 }) > 0, 'kept');
  await watched.eventCount(/^disconnected/, 5);
  t.strictSame([...new Set(watched.events)], ['disconnected 1 ECONNREFUSED']);
  gaps(lost).forEach((ms, i) => t.ok(ms >= 0.5 * limits.reconnectFirstMs * 2 ** i, `wait ${i}: ${ms.toFixed(0)} ms`));
  t.equal(watched.client.state, WAITING);
  watched.client.close();
  await watched.event(/^closed incomplete$/);
  t.equal(watched.client.state, CLOSED);
  t.equal(watched.client.waitingCount, 1, 'what was kept stays');
});

t.test('a host that no one knows', async (t) => {
  const watched = new WatchedClient(t, 1883, { host: 'maisonnette.invalid' });
  watched.client.connect();
  t.match(await watched.event(/^disconnected/), /^disconnected 1 (ENOTFOUND|EAI_AGAIN)$/);
});

t.test('a server that accepts the connection and says nothing: CONNECT_TIMEOUT, and again', async (t) => {
  const stub = await StubServer.open(t);
  const watched = new WatchedClient(t, stub.port, { limits: { connectTimeoutMs: 500 } });
  const startMs = performance.now();
  watched.client.connect();
  await watched.event(/^disconnected 2$/);
  t.ok(performance.now() - startMs >= 490, 'not before its time');
  const first = await stub.connection(0);
  await first.until(() => first.closed, 'the end of the first connection');
  t.match(first.packets, [/^CONNECT/], 'nothing but CONNECT');
  t.equal(first.packets.length, 1);
  await stub.accepted(1);
  await watched.event(/^connected new$/);
});

t.test('a server that sends what it must not: told as what it was, the link closed, tried again', async (t) => {
  const cases: [name: string, bytes: Uint8Array, reason: RegExp][] = [
    ['no MQTT at all', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /^disconnected -\d+$/],
    ['zeros', new Uint8Array(100), new RegExp(`^disconnected (${MALFORMED}|${PROTOCOL_ERROR})$`)],
    ['PUBLISH before CONNACK', publish('a', 'b'), new RegExp(`^disconnected ${PROTOCOL_ERROR}$`)],
    ['CONNACK twice', concat(connack(), connack()), new RegExp(`^disconnected ${PROTOCOL_ERROR}$`)],
    ['a session for a clean one', connack(0, true), new RegExp(`^disconnected ${PROTOCOL_ERROR}$`)],
    ['CONNACK 6', connack(6), new RegExp(`^disconnected ${MALFORMED}$`)],
    ['CONNECT', concat(connack(), packet(0x10)), /^disconnected -\d+$/],
    ['a remaining length without end', concat(connack(), Uint8Array.of(0x30, 255, 255, 255, 255, 1)),
      new RegExp(`^disconnected ${MALFORMED}$`)],
  ];
  await Promise.all(cases.map(async ([name, bytes, reason]) => {
    const stub = await StubServer.open(t, (connection) => connection.send(bytes));
    const watched = new WatchedClient(t, stub.port);
    watched.client.connect();
    t.match(await watched.event(/^disconnected/), reason, name);
    t.equal(watched.messages.length, 0, name);
    const first = await stub.connection(0);
    await first.until(() => first.closed, `${name}: the end of the connection`);
    await stub.connection(1);
    await watched.close();
  }));
});

t.test('a server that accepts and closes at once, again and again: ever more slowly', async (t) => {
  const cases: [name: string, serve: (connection: StubConnection) => void][] = [
    ['before CONNACK', (connection) => connection.socket.end()],
    ['behind CONNACK', (connection) => connection.socket.end(connack())],
    ['by a reset', (connection) => connection.socket.resetAndDestroy()],
  ];
  await Promise.all(cases.map(async ([name, serve]) => {
    const stub = await StubServer.open(t, serve);
    const limits = { reconnectFirstMs: 300, reconnectMaxMs: 60_000 };
    const watched = new WatchedClient(t, stub.port, { limits });
    watched.client.connect();
    await stub.connection(4);
    gaps(stub.connections.map(({ atMs }) => atMs)).forEach((ms, i) =>
      t.ok(ms >= 0.5 * limits.reconnectFirstMs * 2 ** i, `${name}, wait ${i}: ${ms.toFixed(0)} ms`));
    await watched.close();
  }));
});

t.test('onMessage that answers false: reading stops, resume goes on, nothing is lost', async (t) => {
  // With as small an inbox as can be, beside the largest message.
  const { watched, server } = await pair(t,
    { keepAlive: 1000, limits: { pingTimeoutMs: 500, packetBytesMax: 16_000, inboxBytes: 16_000 + 65_536 } });
  let taken = 0;
  let open = false;
  watched.onMessage = () => {
    if (!open && taken === 10) return false;
    taken++;
    return true;
  };
  const padding = 'x'.repeat(10_000);
  const messages = Array.from({ length: 4000 }, (_, i) => publish('n', `${i} ${padding}`, { qos: 1, id: i + 1 }));
  let sent = 0;
  const fill = (): void => {
    while (sent < messages.length && !server.socket.writableNeedDrain) server.socket.write(messages[sent++]!);
  };
  server.socket.on('drain', fill);
  fill();
  await watched.until(() => taken === 10, 'ten messages');
  // Longer than the broker's answers may take: that nothing is read is no fault of the broker.
  for (const pings of [1, 2, 3]) {
    await server.until(() => server.packets.filter((text) => text === 'PINGREQ').length >= pings, `PINGREQ ${pings}`);
  }
  t.equal(taken, 10);
  t.ok(sent < 3000, `${sent} of 4,000 messages of 10 KB fit into the buffers of both sides`);
  t.equal(server.packets.filter((text) => text.startsWith('PUBACK')).length, 10, 'and no more are acknowledged');
  open = true;
  watched.client.resume();
  await watched.eventCount(/^message/, 4000);
  t.ok(watched.texts().every((text, i) => text.startsWith(`${i} `)), 'all of them, in order');
  await server.packet(/^PUBACK id4000$/);
  t.equal(watched.told(/^disconnected/).length, 0);
});

t.test('close while a message is left unread: it stays unacknowledged', async (t) => {
  const { watched, server } = await pair(t);
  const offered = new Promise<void>((resolve) => {
    watched.onMessage = () => {
      resolve();
      return false;
    };
  });
  server.send(publish('n', 'first', { qos: 1 }), publish('n', 'second', { qos: 1, id: 2 }));
  await within(offered, 'the message');
  await watched.close();
  await server.until(() => server.ended, 'FIN');
  t.strictSame(server.packets.slice(1), ['DISCONNECT']);
  t.strictSame(watched.events, ['connected new', 'closed']);
});

t.test('many small messages at once to a client with a small outbox: all are acknowledged', async (t) => {
  const { watched, server } = await pair(t,
    { limits: { packetBytesMax: 512, outboxBytes: 1024, acknowledgementBytes: 64 } });
  server.send(concat(...Array.from({ length: 5000 }, (_, i) => publish('n', `${i}`, { qos: 1, id: i + 1 }))));
  await server.packet(/^PUBACK id5000$/);
  t.strictSame(watched.texts(), Array.from({ length: 5000 }, (_, i) => `${i}`));
});

t.test('what is told, in its order', async (t) => {
  const { watched, server } = await pair(t);
  watched.client.subscribe('a', { QoS: 1 });
  await server.packet(/^SUBSCRIBE/);
  const id = Number(/id(\d+)/.exec(server.packets.at(-1)!)![1]);
  server.send(packet(0x90, Uint8Array.of(id >> 8, id & 255, 1)));
  await watched.event(/^subscribed/);
  const handle = watched.client.publish('a', 'b', { QoS: 1 });
  t.equal(watched.events.length, 2, 'nothing is told inside of publish');
  await server.packet(/^PUBLISH q1 id1 a b$/);
  server.send(publish('a', 'b', { qos: 1, id: 7 }), puback(1));
  await watched.event(/^delivered/);
  watched.client.unsubscribe('a');
  await server.packet(/^UNSUBSCRIBE/);
  server.send(packet(0xb0, Uint8Array.of(id >> 8, id & 255)));
  await watched.event(/^unsubscribed/);
  await watched.close();
  t.strictSame(watched.events, ['connected new', 'subscribed a 1', 'message q1 a b', `delivered ${handle}`,
    'unsubscribed a', 'closed']);
});

t.test('close while connected: DISCONNECT behind what was published, and then the end [MQTT-3.14.4-1]', async (t) => {
  const { watched, server } = await pair(t);
  for (let i = 0; i < 100; i++) watched.client.publish('n', `${i}`);
  watched.client.close();
  watched.client.close();
  t.notOk(watched.events.includes('closed') && !server.closed, 'not told before it is done');
  await watched.event(/^closed$/);
  await server.until(() => server.ended, 'FIN');
  t.equal(server.packets.at(-1), 'DISCONNECT');
  t.strictSame(server.packets.filter((text) => text.startsWith('PUBLISH')),
    Array.from({ length: 100 }, (_, i) => `PUBLISH q0 n ${i}`));
  watched.client.close();
  t.strictSame(watched.told(/^closed/), ['closed'], 'told once');
  t.equal(watched.told(/^disconnected/).length, 0);
});

t.test('close behind more than the sockets take at once: all of it is sent, DISCONNECT last', async (t) => {
  const { watched, server } = await pair(t);
  server.socket.pause();
  const text = 'x'.repeat(100_000);
  let sent = 0;
  while (watched.client.publish('n', text) === 0) {
    sent++;
    await new Promise(setImmediate);
  }
  watched.client.close();
  t.equal(watched.client.publish('n', text), SERVER_UNAVAILABLE, 'closing, it takes nothing more');
  server.socket.resume();
  await server.packet(/^DISCONNECT$/);
  await watched.event(/^closed$/);
  t.equal(server.packets.filter((each) => each.startsWith('PUBLISH')).length, sent);
});

t.test('close, and a server that never reads again: told as incomplete after pingTimeoutMs', async (t) => {
  const { watched, server } = await pair(t, { limits: { pingTimeoutMs: 500 } });
  server.socket.pause();
  const text = 'x'.repeat(100_000);
  while (watched.client.publish('n', text) === 0) await new Promise(setImmediate);
  const startMs = performance.now();
  watched.client.close();
  t.equal(await watched.event(/^closed/), 'closed incomplete');
  t.ok(performance.now() - startMs >= 490, 'not before its time');
  t.equal(watched.told(/^closed/).length, 1);
});

t.test('close while the link opens, while CONNACK is awaited, and between attempts', async (t) => {
  const silent = await StubServer.open(t);
  const opening = new WatchedClient(t, silent.port);
  opening.client.connect();
  t.equal(opening.client.state, OPENING);
  opening.client.close();
  await opening.event(/^closed incomplete$/);

  const connecting = new WatchedClient(t, silent.port);
  connecting.client.connect();
  const connection = await silent.connection(silent.connections.length);
  await connection.packet(/^CONNECT/);
  t.equal(connecting.client.state, CONNECTING);
  connecting.client.close();
  await connecting.event(/^closed incomplete$/);
  await connection.until(() => connection.closed, 'the end of the connection');

  const patient = { reconnectFirstMs: 60_000, reconnectMaxMs: 60_000 };
  const waiting = new WatchedClient(t, await deadPort(), { limits: patient });
  waiting.client.connect();
  await waiting.event(/^disconnected/);
  waiting.client.close();
  await waiting.event(/^closed incomplete$/);
  for (const watched of [opening, connecting, waiting]) {
    t.equal(watched.client.state, CLOSED);
    t.strictSame(watched.told(/^closed/), ['closed incomplete'], 'no DISCONNECT was due');
  }
});

t.test('a process lives while its client tries, and ends by itself when it is closed', async (t) => {
  const stub = await StubServer.open(t, hospitable);
  const dead = await deadPort();
  const start = (use: string, port: number): Child => new Child(t, process.execPath, [program, use, String(port)]);
  for (const [use, port, output] of [
    ['construct', stub.port, ''],
    ['close at once', stub.port, 'closed incomplete\n'],
    ['close when connected', stub.port, 'closed\n'],
    ['give up', dead, 'disconnected\nclosed incomplete\n'],
  ] as const) {
    const startMs = performance.now();
    t.match(await start(use, port).end(), { code: 0, signal: null, stdout: output, stderr: '' }, use);
    t.ok(performance.now() - startMs < 1900, `${use}: at once, not by a time-out`);
  }
  const stubborn = start('never give up', dead);
  await within((async () => {
    while (stubborn.lines.length < 3) await new Promise((resolve) => stubborn.process.stdout!.once('data', resolve));
  })(), 'three attempts');
  t.equal(stubborn.process.exitCode, null);
  await stubborn.kill();
});

t.test('a broker that answers PINGREQ no more: PING_TIMEOUT, and a new connection', async (t) => {
  const stub = await StubServer.open(t, hospitable);
  const watched = await WatchedClient.open(t, stub.port, { keepAlive: 1000, limits: { pingTimeoutMs: 500 } });
  const first = stub.connections[0]!;
  await first.packet(/^PINGREQ$/);
  first.send(packet(0xd0));
  await first.until(() => first.packets.filter((text) => text === 'PINGREQ').length === 2, 'PINGREQ again');
  t.strictSame(watched.events, ['connected new']);
  await watched.event(/^disconnected/);
  await watched.eventCount(/^connected/, 2);
  t.strictSame(watched.events, ['connected new', 'disconnected 3', 'connected new']);
});

t.test('close inside of a callback: nothing is told behind it but closed', async (t) => {
  const cases: [event: RegExp, complete: boolean, serve: (connection: StubConnection) => void][] = [
    [/^refused 5$/, false, (connection) => connection.send(connack(5))],
    [/^connected/, true, (connection) => connection.send(connack())],
    [/^disconnected/, false, (connection) => connection.socket.end()],
    [/^message/, true, (connection) => connection.send(connack(), publish('a', '1', { qos: 1 }), publish('a', '2'))],
  ];
  for (const [pattern, complete, serve] of cases) {
    const stub = await StubServer.open(t, serve);
    const watched = new WatchedClient(t, stub.port);
    watched.onEvent = (event) => {
      if (pattern.test(event)) watched.client.close();
    };
    watched.client.connect();
    await watched.event(/^closed/);
    t.match(watched.events.slice(-2), [pattern, complete ? 'closed' : 'closed incomplete']);
    const connection = stub.connections[0]!;
    await connection.until(() => connection.closed, 'the end of the connection');
    t.equal(stub.connections.length, 1);
  }
});

t.test('connected again after close, also when something was published just before', async (t) => {
  const stub = await StubServer.open(t, hospitable);
  const watched = new WatchedClient(t, stub.port);
  for (let round = 0; round < 3; round++) {
    watched.client.connect();
    watched.client.connect();
    await watched.eventCount(/^connected/, round + 1);
    t.equal(watched.client.publish('a', `${round}`), 0);
    await watched.close();
    const connection = await stub.connection(round);
    await connection.packet(/^DISCONNECT/);
    t.ok(connection.packets.includes(`PUBLISH q0 a ${round}`));
  }
  t.equal(stub.connections.length, 3, 'connect twice opens one connection');
});

t.test('a server that stops reading: memory is bounded, and every refusal is told by publish', async (t) => {
  const { watched, server } = await pair(t, { limits: { queuedMax: 500, queueFull: QueueFull.REFUSE_NEW } });
  server.socket.pause();
  const { client } = watched;
  const text = new Uint8Array(10_000);
  let sent = 0;
  let refused = 0;
  for (let i = 0; i < 20_000; i++) { // 200 MB
    const outcome = client.publishBytes(Uint8Array.of(0x61), text, 0, false);
    if (outcome === 0) sent++;
    else if (outcome === QUOTA_EXCEEDED) refused++;
    else t.fail(`publish: ${outcome}`);
    if (i % 20 === 0) await new Promise(setImmediate);
  }
  t.equal(sent + refused, 20_000);
  t.ok(sent < 3000 && refused > 0, `${sent} are on their way: what the sockets' buffers take`);
  t.equal(client.core.counters.droppedQos0, refused);
  const handles: number[] = [];
  for (let i = 0; i < 600; i++) handles.push(client.publish('q1', `${i}`, { QoS: 1 }));
  t.equal(handles.filter((handle) => handle > 0).length, 500, 'QoS 1: as many as the queue holds');
  t.ok(handles.slice(500).every((handle) => handle === QUOTA_EXCEEDED), 'the others are refused');
  t.equal(client.waitingCount, 500);

  let acknowledged = 0;
  server.socket.on('data', () => {
    const waiting = server.packets.filter((each) => each.startsWith('PUBLISH q1'));
    for (; acknowledged < waiting.length; acknowledged++) {
      server.send(puback(Number(/id(\d+)/.exec(waiting[acknowledged]!)![1])));
    }
  });
  server.socket.resume();
  await watched.eventCount(/^delivered/, 500, 15_000);
  t.equal(server.packets.filter((each) => each.startsWith('PUBLISH q0')).length, sent, 'what was taken has arrived');
  t.strictSame(server.packets.filter((each) => each.startsWith('PUBLISH q1')).map((each) => each.split(' ')[4]),
    Array.from({ length: 500 }, (_, i) => `${i}`));
  t.equal(client.state, CONNECTED);
});
