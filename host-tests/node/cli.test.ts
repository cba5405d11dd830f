// The command line as its users meet it: what it prints, how it refuses, how it ends, what --verbose tells.

import t, { type Test } from 'tap';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connect, disconnect, packet, publish, subscribe } from '../support/packets.js';
import { BROKER, Child, run, startBroker, type Exit, type Owner } from './children.js';
import { RawClient } from './raw-client.js';

declare const HOST_TESTS: string;

const ROOT = join(HOST_TESTS, '..');
const VERSION = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;

function maisonnette(owner: Owner, ...args: string[]): Promise<Exit> {
  return run(owner, process.execPath, [BROKER, ...args]);
}

/** Exit code 2, nothing on standard output, one sentence of one line on standard error. */
function refusal(t: Test, exit: Exit, words: RegExp, what: string): void {
  t.equal(exit.code, 2, `${what}: exit code`);
  t.equal(exit.stdout, '', `${what}: standard output`);
  t.match(exit.stderr, /^maisonnette: [^\n]*[^.\n]\.\n$/, `${what}: one sentence`);
  t.match(exit.stderr, words, `${what}: the words`);
  t.notMatch(exit.stderr, /^\s+at |Error:|node:/m, `${what}: no stack trace`);
}

t.test('--help and --version', async (t) => {
  for (const args of [[], ['--help'], ['-h']]) {
    const exit = await maisonnette(t, ...args);
    t.match(exit, { code: 0, stderr: '', stdout: /^Usage: maisonnette COMMAND/ }, args.join(' '));
  }
  const help = await maisonnette(t, '--help');
  for (const command of ['room', 'broker', 'sensor', 'averages', 'pub', 'sub']) {
    t.match(help.stdout, new RegExp(`^  ${command} +[a-z]`, 'm'), `${command} is listed`);
    const own = await maisonnette(t, command, '--help');
    t.match(own, { code: 0, stderr: '', stdout: new RegExp(`^Usage: maisonnette ${command} `) });
  }
  const version = await maisonnette(t, '--version');
  t.match(version, { code: 0, stderr: '', stdout: `${VERSION}\n` });
  for (const option of ['--help', '-h']) {
    const exit = await maisonnette(t, 'broker', option);
    t.match(exit, { code: 0, stderr: '', stdout: /^Usage: maisonnette broker \[options\]/ });
    for (const name of ['--host', '--port', '--verbose', '--max-clients', '--queue-full', '--slow-timeout']) {
      t.ok(exit.stdout.includes(`${name} `) || exit.stdout.includes(`${name}\n`), `help names ${name}`);
    }
    const long = exit.stdout.split('\n').filter((line) => line.length > 120);
    t.strictSame(long, [], 'help fits a terminal');
  }
});

t.test('npx maisonnette --version works in the repository', async (t) => {
  const child = new Child(t, 'npx', ['--offline', 'maisonnette', '--version'], undefined, ROOT);
  const exit = await child.end(20_000);
  t.equal(exit.code, 0);
  t.equal(exit.stdout, `${VERSION}\n`);
});

const REFUSALS: readonly [args: string[], words: RegExp][] = [
  [['nonsense'], /unknown command "nonsense": the commands are room, broker, sensor, averages, pub, sub, --help/],
  [['--nonsense'], /--nonsense/],
  [['broker', '--nonsense'], /--nonsense/],
  [['broker', 'stray'], /stray/],
  [['broker', '--port', 'abc'], /--port is "abc"/],
  [['broker', '--port', ''], /--port is ""/],
  [['broker', '--port'], /--port/],
  [['broker', '--port', '1.5'], /--port is "1.5"/],
  [['broker', '--port', '-1'], /--port/],
  [['broker', '--port=-1'], /--port is "-1"/],
  [['broker', '--port', '65536'], /--port is 65536.*65535/],
  [['broker', '--port', '0', '--max-clients', '10', '--max-sessions', '5'], /--max-sessions is 5.*--max-clients.*10/],
  [['broker', '--port', '0', '--max-packet', '10'], /--max-packet is 10.*64/],
  [['broker', '--port', '0', '--max-packet', '268435461'], /--max-packet is 268435461/],
  [['broker', '--port', '0', '--max-clients', '0'], /--max-clients is 0/],
  [['broker', '--port', '0', '--max-keepalive', '65536'], /--max-keepalive is 65536: it must be 0 to 65535/],
  [['broker', '--port', '0', '--max-topic-alias', '65536'], /--max-topic-alias is 65536: it must be 0 to 65535/],
  [['broker', '--port', '0', '--session-expiry', '-1'], /--session-expiry/],
  [['broker', '--port', '0', '--max-clients', '1000000000'], /--max-clients/],
  [['broker', '--port', '0', '--max-inflight', '70000'], /--max-inflight is 70000.*65535/],
  [['broker', '--port', '0', '--max-client-id', '10'], /--max-client-id is 10.*23/],
  [['broker', '--port', '0', '--max-retained-bytes', '10'], /--max-retained-bytes is 10.*--max-packet/],
  [['broker', '--port', '0', '--max-all-queued', '99999999999'], /--max-all-queued/],
  [['broker', '--port', '0', '--max-levels', '99999999999'], /--max-levels/],
  [['broker', '--port', '0', '--connect-timeout', '0'], /--connect-timeout is 0/],
  [['broker', '--port', '0', '--queue-full', 'nonsense'], /--queue-full is "nonsense".*refuse-new.*keep-latest/],
  [['broker', '--port', '0', '--host', '203.0.113.7'], /--host 203\.0\.113\.7 is no address of this machine/],
  [['broker', '--port', '0', '--host', ''], /--host/],
  [['broker', '--port', '0', '--verbose=3'], /--verbose/],
];

for (const [args, words] of REFUSALS) {
  t.test(`refused: ${args.join(' ')}`, async (t) => {
    const child = new Child(t, process.execPath, [BROKER, ...args]);
    const started = child.line(/MQTT broker on/).then(() => true);
    const exit = await Promise.race([child.end(), started]).catch(() => child.end());
    if (exit === true) t.fail(`it was taken: ${child.lines[0]}`);
    else refusal(t, exit as Exit, words, args.join(' '));
    started.catch(() => {});
  });
}

t.test('refused: every limit, absurdly large', async (t) => {
  const help = await maisonnette(t, 'broker', '--help');
  const names = help.stdout.match(/--max-[a-z-]+/g)!;
  t.ok(names.length >= 16);
  for (const name of names) {
    const child = new Child(t, process.execPath, [BROKER, 'broker', '--port', '0', name, '999999999999999']);
    const started = child.line(/MQTT broker on/).then(() => undefined, () => undefined);
    const exit = await Promise.race([child.end(), started]);
    await child.kill();
    if (exit !== undefined) refusal(t, exit, /--max-/, name); // a mere bound may be taken: it reserves nothing
  }
});

t.test('refused: a port in use', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  t.teardown(() => holder.close());
  const { port } = holder.address() as { port: number };
  refusal(t, await maisonnette(t, 'broker', '--port', String(port)), new RegExp(`127.0.0.1:${port} is in use`), 'port');
});

t.test('the greeting says how to try it and how to open it to the network', async (t) => {
  const { port, child } = await startBroker(t);
  await child.line(/^stop: +Ctrl-C/);
  const text = child.lines.join('\n');
  t.match(text, new RegExp(`^maisonnette ${VERSION.replaceAll('.', '\\.')}: MQTT broker on 127\\.0\\.0\\.1:${port}\n`));
  t.match(text, new RegExp(`mosquitto_sub -p ${port} -t 'maison/#' -v`));
  t.match(text, new RegExp(`mosquitto_pub -p ${port} -t maison/salon/temperature -m 21\\.4`));
  t.match(text, /only this machine can connect; to open it, add --host 0\.0\.0\.0/);
  const ipv6 = new Child(t, process.execPath, [BROKER, 'broker', '--port', '0', '--host', 'localhost']);
  await ipv6.line(/only this machine can connect/);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${signal} ends it with code 0 and closes connections cleanly`, async (t) => {
    const { port, child } = await startBroker(t, '--verbose');
    const clients = [
      await RawClient.connected(t, port, { clientId: 'one', will: { topic: 'will', payload: 'gone' } }),
      await RawClient.connected(t, port, { clientId: 'two' }),
      await RawClient.open(t, port), // has not sent CONNECT
    ];
    const started = performance.now();
    child.process.kill(signal);
    for (const client of clients) {
      await client.end();
      t.equal(client.errorCode, '', 'no reset');
    }
    const exit = await child.end();
    t.match(exit, { code: 0, signal: null, stderr: '' });
    t.ok(performance.now() - started < 1500, 'at once');
    t.match(exit.stdout, /Client one disconnected: the broker is shutting down\./);
    t.match(exit.stdout, /Client two disconnected: the broker is shutting down\./);
  });
}

for (const sends of [false, true]) {
  t.test(`it ends though a client does not close${sends ? ', and goes on sending' : ''}`, async (t) => {
    const { port, child } = await startBroker(t);
    const client = await RawClient.open(t, port, true);
    client.send(connect({ clientId: 'stubborn' }));
    await client.packet(/^CONNACK/);
    const flood = setInterval(() => sends && client.socket.write(publish('a', 'b')), 50);
    t.teardown(() => clearInterval(flood));
    child.process.kill('SIGTERM');
    await client.end();
    t.match(await child.end(5000), { code: 0, stderr: '' });
  });
}

t.test('--verbose: connect, disconnect, lost, refused, protocol errors', async (t) => {
  const { port, child } = await startBroker(t, '--verbose');
  const polite = await RawClient.connected(t, port, { clientId: 'polite', keepAlive: 60 });
  await child.line(/^\d+: New client connected from 127\.0\.0\.1:\d+ as polite \(p4, c1, k60\)\.$/);
  polite.send(disconnect());
  await child.line(/^\d+: Client polite disconnected\.$/);

  const old = await RawClient.connected(t, port, { clientId: 'old', level: 3, clean: false });
  await child.line(/New client connected from \S+ as old \(p3, c0, k0\)/);
  old.socket.resetAndDestroy();
  await child.line(/Client old closed its connection/);

  const five = await RawClient.open(t, port);
  five.send(connect({ level: 6 }));
  await child.line(/Client from 127\.0\.0\.1:\d+ refused: unsupported protocol version/);
  const willing = await RawClient.open(t, port);
  willing.send(connect({ clientId: 'willing', level: 5, will: { topic: 'w', payload: '' } }));
  await child.line(/New client connected from \S+ as willing \(p5, c1, k0\)/);
  willing.send(disconnect(4));
  await child.line(/Client willing disconnected, with its will\.$/);
  const nameless = await RawClient.open(t, port);
  nameless.send(connect({ clientId: '', clean: false }));
  await child.line(/Client from \S+ refused: identifier rejected/);

  const wrong: [name: string, bytes: Uint8Array, words: RegExp][] = [
    ['twice', connect({ clientId: 'twice' }), /Client twice disconnected due to protocol error/],
    ['flags', Uint8Array.of(0xc1, 0), /Client flags disconnected due to malformed packet/],
    ['large', Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f), /Client large disconnected due to oversize packet/],
    ['name', publish('a/#', ''), /Client name disconnected due to invalid topic name/],
    ['filter', subscribe(1, ['a#', 0]), /Client filter disconnected due to invalid topic filter/],
  ];
  for (const [clientId, bytes, words] of wrong) {
    const client = await RawClient.connected(t, port, { clientId });
    client.send(bytes);
    await child.line(words);
    await client.end();
  }
  const early = await RawClient.open(t, port);
  early.send(packet(0xc0));
  await child.line(/Client <unknown> from 127\.0\.0\.1:\d+ disconnected due to protocol error/);
  const odd = child.lines.slice(5).filter((line) => !/^\d{10}: .*[^.]\.$/.test(line));
  t.strictSame(odd, [], 'every line has a time and one full stop');
  t.equal(child.stderr, '');
});

t.test('--verbose: keep-alive time-out, takeover, CONNECT that does not come', async (t) => {
  const { port, child } = await startBroker(t, '--verbose', '--connect-timeout', '1');
  const sleeper = await RawClient.connected(t, port, { clientId: 'sleeper', keepAlive: 1 });
  const silent = await RawClient.open(t, port);
  const first = await RawClient.connected(t, port, { clientId: 'twin' });
  await RawClient.connected(t, port, { clientId: 'twin' });
  await child.line(/Client twin already connected, closing old connection\./);
  await first.end();
  await child.line(/Client <unknown> from \S+ disconnected: no CONNECT in time\./);
  await silent.end();
  await child.line(/Client sleeper has exceeded timeout, disconnecting\./);
  await sleeper.end();
});

t.test('--verbose: a client identifier cannot forge lines', async (t) => {
  const { port, child } = await startBroker(t, '--verbose');
  const client = await RawClient.connected(t, port, { clientId: 'evil\n1: Client admin disconnected.\u001b[2J' });
  const line = await child.line(/New client connected from \S+ as evil/);
  t.match(line, /as evil\?1: Client admin disconnected\.\?\[2J \(p4/);
  client.send(disconnect());
  await child.line(/Client evil\?1.* disconnected\.$/);
});

t.test('without --verbose nothing is said about clients', async (t) => {
  const { port, child } = await startBroker(t);
  const client = await RawClient.connected(t, port);
  client.send(disconnect());
  await client.end();
  child.process.kill('SIGTERM');
  const exit = await child.end();
  t.equal(exit.stdout.trimEnd().split('\n').length, 5);
  t.equal(exit.stderr, '');
});

t.test('the reader of its output leaves: the broker does not break off with a stack trace', async (t) => {
  const { port, child } = await startBroker(t, '--verbose');
  child.process.stdout!.destroy();
  for (let i = 0; i < 3; i++) {
    const client = await RawClient.open(t, port);
    client.send(connect({ level: 6 }));
    await client.end().catch(() => {});
  }
  if (child.process.exitCode === null) child.process.kill('SIGTERM');
  const exit = await child.end();
  t.equal(exit.stderr, '');
  t.equal(exit.code, 0);
});
