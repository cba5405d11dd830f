// `maisonnette pub` by its effects and exit codes: against our broker, and against Mosquitto's broker and tools.

import t from 'tap';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lines } from '../../src/node/lines.js';
import { BROKER, Child, run, startBroker, type Exit, type Owner } from './children.js';
import { startMosquitto, withoutMosquitto } from './mosquitto.js';

t.setTimeout(120_000);
const skip = withoutMosquitto('maisonnette pub against Mosquitto');

function pub(owner: Owner, port: number, args: readonly string[], input?: string): Promise<Exit> {
  return run(owner, process.execPath, [BROKER, 'pub', '-h', '127.0.0.1', '-p', String(port), ...args], input, 20_000);
}

function start(owner: Owner, port: number, ...args: string[]): Child {
  return new Child(owner, process.execPath, [BROKER, 'pub', '-h', '127.0.0.1', '-p', String(port), ...args]);
}

/** mosquitto_sub, subscribed when this resolves: its first line is that of the retained `ready`. */
async function mosquittoSub(owner: Owner, port: number, ...args: string[]): Promise<Child> {
  const at = ['-h', '127.0.0.1', '-p', String(port)];
  await run(owner, 'mosquitto_pub', [...at, '-t', 'ready', '-m', 'now', '-r', '-q', '1']);
  const child = new Child(owner, 'mosquitto_sub', [...at, '-q', '2', '-t', 'ready', ...args]);
  await child.line(/now|6e6f77/);
  return child;
}

t.test('lines: of every length, cut anywhere, the last one with and without its end', async (t) => {
  const text = 'one\n\ntwo été\r\n\n\nthree';
  for (const whole of [text, `${text}\n`, '', '\n', 'x']) {
    const wanted = whole.replace(/\n$/, '').split('\n');
    const bytes = Buffer.from(whole);
    for (let size = 1; size <= bytes.length + 1; size++) {
      const got: string[] = [];
      async function* chunks(): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
      }
      for await (const line of lines(chunks(), 100)) got.push(Buffer.from(line).toString());
      t.strictSame(got, whole === '' ? [] : wanted, `${JSON.stringify(whole)} by ${size}`);
    }
  }
  async function* long(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(`short\n${'x'.repeat(60)}`);
    yield Buffer.from('x'.repeat(41));
  }
  await t.rejects((async () => {
    for await (const line of lines(long(), 100)) t.equal(Buffer.from(line).toString(), 'short');
  })(), /line 2 .* more than 100 bytes/);
});

for (const broker of ['mosquitto', 'ours'] as const) {
  t.test(`to mosquitto_sub by ${broker}: every source, every QoS, retained and not`, { skip }, async (t) => {
    const { port } = await (broker === 'ours' ? startBroker(t) : startMosquitto(t));
    const folder = mkdtempSync(join(tmpdir(), 'maisonnette-test-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'file');
    const large = Buffer.alloc(200_000, 'large ').toString();
    writeFileSync(file, large);
    const sub = await mosquittoSub(t, port, '-t', 'p/#', '-F', '%q %r %t %l %x', '-C', '19');
    const cases: [args: string[], payload: string, input?: string][] = [
      [['-m', 'été'], 'été'],
      [['-m', '-1.5', '-r'], '-1.5'],
      [['-m', ''], ''],
      [['-n'], ''],
      [['-f', file], large],
      [['-s'], 'all of\nit\n', 'all of\nit\n'],
    ];
    const wanted: string[] = [];
    for (const qos of ['0', '1', '2']) {
      for (const [args, payload, input] of cases) {
        t.match(await pub(t, port, ['-t', 'p/a', '-q', qos, ...args], input), { code: 0, stdout: '', stderr: '' },
          `${args.join(' ')} -q ${qos}`);
        const bytes = Buffer.from(payload);
        wanted.push(`${qos} 0 p/a ${bytes.length} ${bytes.toString('hex')}`);
      }
    }
    t.strictSame((await sub.end()).stdout.trimEnd().split('\n').slice(1), wanted);
    const late = await mosquittoSub(t, port, '-t', 'p/#', '-F', '%r %t %p', '-C', '2');
    t.match((await late.end()).stdout, /^1 p\/a -1.5$/m, 'the last retained one');
    t.match(await pub(t, port, ['-t', 'p/a', '-n', '-r', '-q', '1']), { code: 0 });
    const none = await mosquittoSub(t, port, '-t', 'p/#', '-F', '%r %t %p', '-W', '1');
    t.strictSame((await none.end()).stdout.trimEnd().split('\n').length, 1, '-r -n removes it');
  });

  t.test(`10,000 lines (-l) by ${broker}: all, in order, once`, { skip }, async (t) => {
    const { port } = await (broker === 'ours' ? startBroker(t) : startMosquitto(t));
    for (const qos of ['0', '1', '2']) {
      const sub = await mosquittoSub(t, port, '-t', 'lines', '-C', '10001');
      const text = Array.from({ length: 10_000 }, (_, i) => `line ${i}\n`).join('');
      t.match(await pub(t, port, ['-t', 'lines', '-q', qos, '-l'], text), { code: 0, stderr: '' });
      t.ok((await sub.end(20_000)).stdout === `now\n${text}`, `QoS ${qos}`);
    }
  });
}

t.test('--repeat and --repeat-delay', { skip }, async (t) => {
  const { port } = await startMosquitto(t);
  const sub = await mosquittoSub(t, port, '-t', 'again', '-C', '6');
  t.match(await pub(t, port, ['-t', 'again', '-m', 'x', '--repeat', '2']), { code: 0 });
  const started = performance.now();
  t.match(await pub(t, port, ['-t', 'again', '-m', 'y', '-q', '1', '--repeat', '3', '--repeat-delay', '0.3']),
    { code: 0 });
  t.ok(performance.now() - started >= 600, 'it waits between two');
  t.equal((await sub.end()).stdout, 'now\nx\nx\ny\ny\ny\n');
});

t.test('logins, by name and by URL; a login that is refused ends with 2', { skip }, async (t) => {
  const { port } = await startMosquitto(t, { anne: 'sésame' });
  const message = ['-m', 'x', '-q', '1'];
  t.match(await pub(t, port, ['-t', 'a', ...message, '-u', 'anne', '-P', 'sésame']), { code: 0, stderr: '' });
  const byUrl = await run(t, process.execPath,
    [BROKER, 'pub', '--url', `mqtt://anne:s%C3%A9same@127.0.0.1:${port}/a/b`, ...message]);
  t.match(byUrl, { code: 0, stderr: '' });
  for (const login of [[], ['-u', 'anne', '-P', 'wrong'], ['-u', 'eve', '-P', 'sésame']]) {
    t.match(await pub(t, port, ['-t', 'a', ...message, ...login]),
      { code: 2, stdout: '', stderr: /^maisonnette: 127\.0\.0\.1:\d+ refuses the connection: [^\n]+\.\n$/ });
  }
  t.match(await pub(t, port, ['-t', 'a', ...message, '--quiet']), { code: 2, stdout: '', stderr: '' });
});

const REFUSALS: readonly [args: string[], words: RegExp][] = [
  [['-m', 'x'], /--topic is missing/],
  [['-t', 'a'], /--message, --file, --stdin-line/],
  [['-t', 'a', '-m', 'x', '-n'], /--message and --null-message/],
  [['-t', 'a/#', '-m', 'x'], /--topic is "a\/#"/],
  [['-t', '', '-m', 'x'], /--topic is ""/],
  [['-t', 'a', '-m', 'x', '-q', '3'], /--qos is 3: it must be 0 to 2/],
  [['-t', 'a', '-f', '/nonexistent/file'], /--file \/nonexistent\/file cannot be read/],
  [['-t', 'a', '-m', 'x', '--repeat', '0'], /--repeat is 0/],
  [['-t', 'a', '-l', '--repeat', '2'], /--repeat does not go with --stdin-line/],
  [['-t', 'a', '-m', 'x', '-V', '6'], /--mqtt-version is "6"/],
  [['-t', 'a', '-m', 'x', '-V', '311', '-D', 'publish', 'content-type', 'x'], /--property is of MQTT 5.0/],
  [['-t', 'a', '-m', 'x', '-D', 'publish', 'response-topic', '+'], /--property publish response-topic is "\+"/],
  [['-t', 'a', '-m', 'x'.repeat(80), '-D', 'connect', 'maximum-packet-size', '64'], /maximum-packet-size is 64: .*largest/],
  [['-t', 'a', '-m', 'x', '--nonsense'], /--nonsense/],
  [['-t', 'a', '-m', 'x', '-i', 'i'.repeat(65_536)], /65,?535|65,?536/],
  [['-t', 'a', '-m', 'x'], /127\.0\.0\.1:1 cannot be reached: nothing listens there/],
  [['-t', 'a', '-l'], /cannot be reached/],
];

for (const [args, words] of REFUSALS) {
  t.test(`refused: pub ${args.join(' ').slice(0, 80)}`, async (t) => {
    const exit = await pub(t, 1, args, '');
    t.match(exit, { code: 2, stdout: '', stderr: /^maisonnette: [^\n]*[^.\n]\.\n$/ });
    t.match(exit.stderr, words);
  });
}

t.test('the help is complete and fits a terminal; -h is --host', async (t) => {
  const { code, stdout } = await run(t, process.execPath, [BROKER, 'pub', '--help']);
  t.equal(code, 0);
  for (const option of ['-t,', '-m,', '-f,', '-l,', '-n,', '-s,', '-r,', '-q,', '-h, --host', '-p,', '-u,', '-P,', '-i,',
    '-I,', '-k,', '-c,', '-V,', '--url', '--repeat ', '--repeat-delay', '--will-retain', '--quiet', 'Exit codes',
    '-D,', '-x,', 'message-expiry-interval', 'will-delay-interval']) {
    t.ok(stdout.includes(option), option);
  }
  t.strictSame(stdout.split('\n').filter((line) => line.length > 100), []);
});

/** A server that accepts and says nothing more than `answer` to the first bytes. */
async function mute(owner: Owner, answer: Uint8Array): Promise<{ port: number; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(answer);
      if (answer.length > 2) socket.pause(); // accepts, and then reads nothing more
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  owner.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as { port: number }).port, sockets };
}

t.test('what answers is no broker: 2', async (t) => {
  const { port } = await mute(t, Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));
  t.match(await pub(t, port, ['-t', 'a', '-m', 'x']), { code: 2, stderr: /^maisonnette: .*not MQTT.*\.\n$/ });
});

t.test('never acknowledged, then Ctrl-C: 1, and a sentence', async (t) => {
  const { port } = await mute(t, Uint8Array.of(0x20, 2, 0, 0));
  const child = start(t, port, '-t', 'a', '-m', 'x', '-q', '1');
  await sleep(700);
  t.equal(child.process.exitCode, null, 'it waits for PUBACK');
  child.process.kill('SIGINT');
  t.match(await child.end(), { code: 1, stdout: '',
    stderr: /^maisonnette: not everything [^\n]*1 of them waiting\)\.\n$/ });
});

t.test('a network that takes nothing: input waits, memory does not grow', async (t) => {
  const { port } = await mute(t, Uint8Array.of(0x20, 2, 0, 0));
  for (const qos of ['0', '1']) {
    const args = [BROKER, 'pub', '-h', '127.0.0.1', '-p', String(port), '-t', 'a', '-l', '-q', qos];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'pipe'] });
    t.teardown(() => child.kill('SIGKILL'));
    let takenBytes = 0;
    const lines = Buffer.from(`${'x'.repeat(999)}\n`.repeat(64));
    const feed = (): void => {
      child.stdin.write(lines, (error) => {
        if (error) return; // it has ended
        takenBytes += lines.length;
        feed();
      });
    };
    child.stdin.on('error', () => {});
    feed();
    let before = 0;
    await sleep(1000);
    for (let i = 0; i < 15 && takenBytes !== before; i++) {
      before = takenBytes;
      await sleep(1000);
    }
    t.equal(takenBytes, before, `QoS ${qos}: no more is taken`);
    t.ok(takenBytes > 64 * 1024, `QoS ${qos}: it has begun`);
    t.ok(takenBytes < 32 * 1024 * 1024, `QoS ${qos}: ${takenBytes} bytes were taken`);
    t.equal(child.exitCode, null, 'it waits');
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
});

t.test('a message that the broker never takes: it says so, and gives up', async (t) => {
  const { port } = await startBroker(t, '--max-packet', '1024');
  const large = 'x'.repeat(5000);
  const exit = await pub(t, port, ['-t', 'a', '-q', '1', '-s'], large);
  t.match(exit, { code: 1, stdout: '' });
  t.match(exit.stderr, /^(maisonnette: [^\n]*(closed the connection|was reset)\.\n){3}maisonnette: not everything was /);
  t.match(exit.stderr, /\(1 published, 1 of them waiting\): the connection was lost 3 times, and nothing was taken/);
  t.match(await pub(t, port, ['-t', 'a', '-q', '1', '-s', '--quiet'], large), { code: 1, stderr: '' });
});

t.test('connections that are lost with nothing to hand over are no reason to give up', async (t) => {
  const first = await startBroker(t, '--verbose');
  const args = [BROKER, 'pub', '-h', '127.0.0.1', '-p', String(first.port), '-t', 'a', '-q', '1', '-l'];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => stderr += text);
  const ended = once(child, 'exit');
  let { child: broker } = first;
  for (let lost = 0; lost < 3; lost++) {
    await broker.line(/New client connected/, 60_000);
    await sleep(500); // it knows that it is, too
    await broker.kill();
    ({ child: broker } = await startBroker(t, '--port', String(first.port), '--verbose'));
  }
  await broker.line(/New client connected/, 60_000);
  t.ok((stderr.match(/closed the connection|reset|cannot be reached/g) ?? []).length >= 3, `each is told: ${stderr}`);
  child.stdin.end('at last\n');
  t.equal((await ended)[0], 0);
});

t.test('what never ends is not read for ever', async (t) => {
  const zeros = ['-c', `exec "$0" "$@" < /dev/zero`, process.execPath, BROKER, 'pub', '-t', 'a', '-p', '1', '-s'];
  for (const exit of [await pub(t, 1, ['-t', 'a', '-f', '/dev/zero']), await run(t, 'sh', zeros, undefined, 20_000)]) {
    t.match(exit, { code: 2, stdout: '',
      stderr: /^maisonnette: the message has more than 268435460 bytes: a packet of MQTT has at most [^\n]*\.\n$/ });
  }
});
