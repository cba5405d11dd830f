// `maisonnette sub` by its output and exit codes: byte for byte what mosquitto_sub prints, and what it does when the
// broker, its reader or its user leave.

import t from 'tap';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { matches } from '../../src/node/sub-command.js';
import { parseFormat } from '../../src/node/sub-format.js';
import { instantAt, timeField } from '../../src/node/time-format.js';
import { UsageError } from '../../src/node/arguments.js';
import { BROKER, Child, run, startBroker, type Exit, type Owner } from './children.js';
import { startMosquitto, withoutMosquitto } from './mosquitto.js';

t.setTimeout(120_000);
const skip = withoutMosquitto('maisonnette sub against Mosquitto');

function sub(owner: Owner, port: number, ...args: string[]): Child {
  return new Child(owner, process.execPath, [BROKER, 'sub', '-h', '127.0.0.1', '-p', String(port), ...args]);
}

/** Our sub, subscribed when this resolves: its first line is that of the retained `ready`. */
async function ready(owner: Owner, port: number, ...args: string[]): Promise<Child> {
  await publish(owner, port, '-t', 'ready', '-m', 'now', '-r', '-q', '1');
  const child = sub(owner, port, '-t', 'ready', ...args);
  await child.line(/now/);
  return child;
}

async function publish(owner: Owner, port: number, ...args: string[]): Promise<void> {
  const exit = await run(owner, process.execPath, [BROKER, 'pub', '-h', '127.0.0.1', '-p', String(port), ...args]);
  if (exit.code !== 0) throw new Error(`pub ${args.join(' ')}: ${exit.stderr}`);
}

/** What a command prints, as bytes. */
async function bytesOf(owner: Owner, command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  owner.teardown(() => child.kill('SIGKILL'));
  let bytes = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => bytes += text);
  await once(child, 'close');
  return bytes;
}

t.test('the same bytes as mosquitto_sub', { skip }, async (t) => {
  const { port } = await startMosquitto(t);
  const at = ['-h', '127.0.0.1', '-p', String(port)];
  const messages: [topic: string, payload: Buffer, qos: string][] = [
    ['f/été', Buffer.from('été "q" \\ x'), '1'],
    ['f/json', Buffer.from('{ "b": 27.0, "2":1e30, "1": [1, 2.50, "\\u00e9\\/\\n"], "b": null, "c": 0.1 }'), '2'],
    ['f/bytes', Buffer.from([1, 0xff, 0xfe, 0x7f, 0x7a, 0x22, 0x0a]), '0'],
    ['f/nought', Buffer.from([0, 1, 2]), '1'],
    ['f/number', Buffer.from('123456789012345.75'), '1'],
    ['f/tiny', Buffer.from('-1.5e-7'), '1'],
    ['f/long', Buffer.alloc(3000, 'long '), '2'],
  ];
  for (const [topic, payload, qos] of messages) {
    const child = spawn('mosquitto_pub', [...at, '-t', topic, '-q', qos, '-s', '-r'],
      { stdio: ['pipe', 'ignore', 'ignore'] });
    child.stdin.end(payload);
    await once(child, 'close');
  }
  const formats: string[][] = [
    [], ['-v'], ['-N'], ['-v', '-N'],
    ['-F', '%t|%10t|%-10t|%.2t|%10.3t|%.t|%0t'], ['-F', '%q %r %l %05l %-5l|%5l|%-05l|%m %10q%010r'],
    ['-F', '%p|%5p|%-5p|%05p|%20p|%-20p|%.3p'], ['-F', '%x|%X|%5x|%10X|%040x|%-40x|'],
    ['-F', '\\\\ \\a\\e\\n\\r\\t\\v\\0@@%%', '-N'], ['-F', 'été ünïcode %t'],
    ['-F', '@a @A @b @B @C @d @D @e @F @g @G @h @j @m @u @U @V @w @W @x @y @Y @z @Z @% @n @t'], ['-F', '%J'],
  ];
  for (const format of formats) {
    await Promise.all(messages.map(async ([topic]) => {
      const args = [...at, '-t', topic, '-q', '2', '-C', '1', ...format];
      const [theirs, ours] = await Promise.all([
        bytesOf(t, 'mosquitto_sub', args), bytesOf(t, process.execPath, [BROKER, 'sub', ...args])]);
      const timeless = (text: string): string =>
        text.replace(/"tst":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z[+-]\d{4}"/, '');
      t.equal(timeless(ours), timeless(theirs), `${format.join(' ')} of ${topic}`);
    }));
  }
  for (const topic of ['f/été', 'f/bytes', 'f/tiny']) { // %j: cJSON ends strings at a zero byte, we do not
    const args = [...at, '-t', topic, '-q', '2', '-C', '1', '-F', '%j'];
    const strip = (text: string): string => text.replace(/"tst":"[^"]*",/, '');
    t.equal(strip(await bytesOf(t, process.execPath, [BROKER, 'sub', ...args])),
      strip(await bytesOf(t, 'mosquitto_sub', args)), `%j of ${topic}`);
  }
  const empty = sub(t, port, '-t', 'e', '-t', 'f/tiny', '-q', '1', '-v', '-C', '3');
  await empty.line(/tiny/);
  await publish(t, port, '-t', 'e', '-n');
  await publish(t, port, '-t', 'e', '-m', 'x');
  t.equal((await empty.end()).stdout, 'f/tiny -1.5e-7\ne (null)\ne x\n');
});

t.test('formats, on their own', (t) => {
  const message = { topic: 'a/b', payload: Buffer.from('x\0y'), qos: 1, retain: true, packetId: 7, properties: [] };
  const print = (format: string, of: Partial<typeof message> = {}): string =>
    parseFormat(format)({ ...message, ...of }, 1_470_818_943_786_368_637n, () => t.fail('no complaint'));
  t.equal(print('%U @N @s'), '1470818943.786368637 786368637 1470818943');
  t.match(print('%I'), /^2016-08-1[01]T\d\d:\d\d:03[+-]\d{4}$/);
  t.equal(JSON.parse(print('%j')).payload, 'x\0y');
  t.match(JSON.parse(print('%j')), { topic: 'a/b', qos: 1, retain: 1, payloadlen: 3, mid: 7 });
  t.equal(JSON.parse(print('%j', { payload: Buffer.alloc(0) })).payload, null);
  t.notMatch(print('%j', { qos: 0 }), /mid/);
  const complaints: string[] = [];
  const broken = parseFormat('<%J>')(message, 0n, (sentence) => complaints.push(sentence));
  t.equal(broken, '<>');
  t.match(complaints, ['the payload on a/b is not valid JSON']);
  const wrong: [format: string, words: RegExp][] = [
    ['%', /ends within %/], ['%-0', /ends within %-0/], ['%5.', /ends within/], ['%k', /%k, which is no field/],
    ['x%0-5l', /%0-/], ['%99999t', /--format has a width of 99999: it must be 0 to 10000/],
    ['@', /ends after @/], ['@Q', /@Q, which is no time/], ['\\', /ends after \\/],
    ['\\x', /\\x, which is no character/],
  ];
  for (const [format, words] of wrong) {
    try {
      parseFormat(format);
      t.fail(`taken: ${format}`);
    } catch (error) {
      t.ok(error instanceof UsageError, `${error}`);
      t.match((error as Error).message, words);
    }
  }
  t.end();
});

t.test('times, at the turns of years, weeks and days', (t) => {
  // Dates whose ISO weeks belong to another year, and both ends of the clock; in local time.
  const cases: [date: Date, letters: string, wanted: string][] = [
    [new Date(2021, 0, 3, 0, 5), 'G g V u U W j a', '2020 20 53 7 01 00 003 Sun'],
    [new Date(2024, 11, 30, 12, 0), 'G V u U W j p I', '2025 01 1 52 53 365 PM 12'],
    [new Date(2026, 0, 1, 0, 0, 9), 'G V U W e k l I P r', '2026 01 00 00  1  0 12 12 am 12:00:09 AM'],
    [new Date(2028, 1, 29, 13, 4, 5), 'c D T R', 'Tue Feb 29 13:04:05 2028 02/29/28 13:04:05 13:04'],
  ];
  for (const [date, letters, wanted] of cases) {
    const now = instantAt(BigInt(date.getTime()) * 1_000_000n);
    t.equal(letters.split(' ').map((letter) => timeField(letter)!(now)).join(' '), wanted, `${date}`);
  }
  t.end();
});

t.test('filters leave out what matches [MQTT-4.7.2-1]', (t) => {
  const cases: [filter: string, topic: string, wanted: boolean][] = [
    ['a', 'a', true], ['a', 'b', false], ['a/b', 'a', false], ['a', 'a/b', false],
    ['a/+', 'a/b', true], ['a/+', 'a', false],
    ['a/+', 'a/', true], ['+', '/a', false], ['+/+', '/a', true], ['a/#', 'a', true], ['a/#', 'a/b/c', true],
    ['#', 'a/b', true], ['#', '$SYS/a', false], ['+/a', '$SYS/a', false],
    ['$SYS/#', '$SYS/a', true], ['a/#', 'ab', false],
  ];
  for (const [filter, topic, wanted] of cases) t.equal(matches(filter, topic), wanted, `${filter} and ${topic}`);
  t.end();
});

for (const broker of ['ours', 'mosquitto'] as const) {
  const start = (t: Owner): Promise<{ port: number; child: Child }> =>
    broker === 'ours' ? startBroker(t) : startMosquitto(t);
  const options = { skip: broker === 'ours' ? false : skip };

  t.test(`${broker}: filters, -T, -U, -C, -R`, options, async (t) => {
    const { port } = await start(t);
    await publish(t, port, '-t', 'h/old', '-m', 'old', '-r', '-q', '1');
    const all = await ready(t, port, '-t', 'h/#', '-t', 'other', '-U', 'other', '-T', 'h/+/no', '-v', '-C', '4');
    const fresh = sub(t, port, '-t', 'h/#', '-R', '-C', '2', '-W', '10');
    await sleep(500);
    for (const topic of ['h/1', 'h/2/no', 'other', 'h/3']) await publish(t, port, '-t', topic, '-m', topic, '-q', '2');
    t.strictSame((await all.end()).stdout.split('\n').sort(), ['', 'h/1 h/1', 'h/3 h/3', 'h/old old', 'ready now']);
    t.match(await fresh.end(), { code: 0, stdout: 'h/1\nh/2/no\n' });
  });

  t.test(`${broker}: --retained-only, --remove-retained`, options, async (t) => {
    const { port } = await start(t);
    for (const name of ['a', 'b', 'c']) await publish(t, port, '-t', `r/${name}`, '-m', name, '-r', '-q', '1');
    const only = sub(t, port, '-t', 'r/#', '--retained-only', '-v', '-W', '8');
    await only.line(/r\/c/);
    await publish(t, port, '-t', 'r/x', '-m', 'x');
    const exit = await only.end();
    t.equal(exit.code, 0);
    t.strictSame(exit.stdout.trimEnd().split('\n').sort(), ['r/a a', 'r/b b', 'r/c c']);
    const remover = sub(t, port, '-t', 'r/#', '--remove-retained', '-T', 'r/b', '-C', '2', '-v');
    const removed = await remover.end();
    t.equal(removed.code, 0);
    t.strictSame(removed.stdout.trimEnd().split('\n').sort(), ['r/a a', 'r/c c']);
    t.match(await sub(t, port, '-t', 'r/#', '-v', '-W', '1').end(), { code: 27, stdout: 'r/b b\n' });
  });

  t.test(`${broker}: -W ends with 27, -E after SUBACK, -c keeps the session`, options, async (t) => {
    const { port } = await start(t);
    const started = performance.now();
    t.match(await sub(t, port, '-t', 'a', '-W', '1').end(), { code: 27, stdout: '',
      stderr: /^maisonnette: .*1 s\.\n$/ });
    const ms = performance.now() - started;
    t.ok(ms >= 1000 && ms < 3000, `${ms} ms`);
    const kept = ['-c', '-i', 'kept', '-q', '1', '-t', 'a'];
    t.match(await sub(t, port, ...kept, '-E').end(), { code: 0, stdout: '', stderr: '' });
    for (const text of ['one', 'two', 'three']) await publish(t, port, '-t', 'a', '-m', text, '-q', '1');
    for (const text of ['one', 'two', 'three']) { // what -C leaves stays in the session, and nothing comes twice
      t.match(await sub(t, port, ...kept, '-C', '1').end(), { code: 0, stdout: `${text}\n` });
    }
    t.match(await sub(t, port, ...kept, '-U', 'a', '-E').end(), { code: 0 });
    await publish(t, port, '-t', 'a', '-m', 'four', '-q', '1');
    t.match(await sub(t, port, '-c', '-i', 'kept', '-t', 'b', '-W', '1').end(), { code: 27, stdout: '' });
  });

  t.test(`${broker}: a will after kill -9, none after SIGINT or SIGTERM, which end with 0`, options, async (t) => {
    const { port } = await start(t);
    const reader = await ready(t, port, '-t', 'w/#', '-F', '%q %r %t %p', '-q', '2');
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
      const child = await ready(t, port, '--will-topic', `w/${signal}`, '--will-payload', 'gone', '--will-qos', '1');
      child.process.kill(signal);
      const exit = await child.end();
      if (signal !== 'SIGKILL') t.match(exit, { code: 0, stderr: '' }, signal);
    }
    await reader.line(/SIGKILL/);
    await publish(t, port, '-t', 'w/end', '-m', 'end');
    await reader.line(/end$/);
    t.strictSame(reader.lines.filter((line) => / w\//.test(line)), ['1 0 w/SIGKILL gone', '0 0 w/end end']);
  });
}

t.test('the broker killed while it runs: it reconnects and subscribes again', { skip }, async (t) => {
  const first = await startMosquitto(t);
  const child = await ready(t, first.port, '-t', 'a', '-q', '1');
  await first.child.kill();
  await sleep(300);
  const second = await startMosquitto(t, {}, first.port);
  for (let i = 0; i < 40 && child.lines.length < 2; i++) {
    await publish(t, second.port, '-t', 'a', '-m', 'again', '-q', '1');
    await sleep(200);
  }
  t.equal(child.lines[1], 'again');
  child.process.kill('SIGINT');
  t.match(await child.end(), { code: 0, stderr: '' });
});

t.test('its reader leaves (| head -1): a quiet end', async (t) => {
  const { port } = await startBroker(t);
  const child = await ready(t, port, '-t', 'a');
  child.process.stdout!.destroy();
  for (let i = 0; i < 50 && child.process.exitCode === null; i++) {
    await publish(t, port, '-t', 'a', '-m', 'x');
    await sleep(50);
  }
  t.match(await child.end(), { code: 0, signal: null, stderr: '' });
});

t.test('its reader does not read: neither does it, and nothing is lost', async (t) => {
  const { port } = await startBroker(t, '--verbose', '--slow-timeout', '30');
  const child = await ready(t, port, '-t', 'a', '-q', '1', '-C', '3001');
  child.process.stdout!.pause();
  const line = 'x'.repeat(9_990);
  const text = Array.from({ length: 3000 }, (_, i) => `${i} ${line}\n`).join('');
  const pub = new Child(t, process.execPath,
    [BROKER, 'pub', '-h', '127.0.0.1', '-p', String(port), '-t', 'a', '-q', '1', '-l'], text);
  await sleep(1500);
  t.equal(pub.process.exitCode, null, '30 MB do not fit between: the publisher waits');
  t.equal(child.process.exitCode, null);
  child.process.stdout!.resume();
  t.match(await pub.end(20_000), { code: 0, stderr: '' });
  const exit = await child.end(20_000);
  t.equal(exit.code, 0);
  t.ok(exit.stdout === `now\n${text}`, 'every line, once, in order');
});

t.test('many filters, and long ones', async (t) => {
  const { port } = await startBroker(t);
  const long = `long/${'x'.repeat(9000)}`;
  const filters = Array.from({ length: 300 }, (_, i) => `many/of/them/and/none/is/short/${i}`);
  const child = await ready(t, port, ...[...filters, long].flatMap((filter) => ['-t', filter]), '-v', '-q', '1');
  for (const topic of [long, filters[0]!, filters[299]!]) await publish(t, port, '-t', topic, '-m', 'here', '-q', '1');
  await child.line(/short\/299 here$/);
  t.strictSame(child.lines.slice(1), [long, filters[0], filters[299]].map((topic) => `${topic} here`));
  t.match(await sub(t, 1, '-t', 'x'.repeat(80), '--max-packet', '64').end(),
    { code: 2, stderr: /^maisonnette: --topic "x+" is too long for --max-packet\.\n$/ });
});

t.test('messages larger than --max-packet are skipped, which is told once', async (t) => {
  const { port } = await startBroker(t);
  const child = await ready(t, port, '-t', 'a', '--max-packet', '100', '-q', '1');
  const quiet = await ready(t, port, '-t', 'a', '--max-packet', '100', '--quiet', '-C', '2');
  for (const text of ['x'.repeat(200), 'y'.repeat(200)]) await publish(t, port, '-t', 'a', '-m', text, '-q', '1');
  for (let i = 0; i < 50 && child.stderr === ''; i++) await sleep(100);
  await publish(t, port, '-t', 'a', '-m', 'short', '-q', '1');
  await child.line(/^short$/);
  await sleep(300);
  child.process.kill('SIGINT');
  t.match(await child.end(), { code: 0, stdout: 'now\nshort\n' });
  t.equal(child.stderr, 'maisonnette: a message larger than --max-packet was skipped; further ones are not told.\n');
  t.match(await quiet.end(), { code: 0, stdout: 'now\nshort\n', stderr: '' });
});

const REFUSALS: readonly [args: string[], words: RegExp][] = [
  [[], /--topic is missing/],
  [['-t', 'a#'], /--topic is "a#"/],
  [['-t', 'a', '-T', '#/a'], /--filter-out is "#\/a"/],
  [['-t', 'a', '-U', ''], /--unsubscribe is ""/],
  [['-t', 'a', '-q', '3'], /--qos is 3: it must be 0 to 2/],
  [['-t', 'a', '-C', '0'], /--count is 0/],
  [['-t', 'a', '-W', 'x'], /--timeout is "x"/],
  [['-t', 'a', '-R', '--retained-only'], /--no-retained and --retained-only/],
  [['-t', 'a', '-F', '%k'], /%k/],
  [['-t', 'a', '-c'], /--disable-clean-session needs --id/],
  [['-t', 'a', '--max-packet', '1'], /--max-packet is 1: it must be 64/],
  [['-t', 'a'], /127\.0\.0\.1:1 cannot be reached: nothing listens there/],
];

for (const [args, words] of REFUSALS) {
  t.test(`refused: sub ${args.join(' ')}`, async (t) => {
    const exit: Exit = await sub(t, 1, ...args).end();
    t.match(exit, { code: 2, stdout: '', stderr: /^maisonnette: [^\n]*[^.\n]\.\n$/ });
    t.match(exit.stderr, words);
  });
}

t.test('all subscriptions refused: 2; some of them: a line about each', async (t) => {
  const { port } = await startBroker(t, '--max-subscriptions', '1');
  const one = sub(t, port, '-t', 'a', '-t', 'b', '-v');
  await sleep(700);
  await publish(t, port, '-t', 'a', '-m', 'x', '-q', '1');
  await one.line(/a x/);
  t.equal(one.stderr, 'maisonnette: the broker refuses the subscription to b.\n');
  const none = await sub(t, port, '-t', 'c', '-t', 'd').end();
  t.match(none, { code: 2, stdout: '', stderr: /maisonnette: all subscriptions were refused\.\n$/ });
  t.match(await sub(t, port, '-t', 'c', '--quiet').end(), { code: 2, stderr: '' });
});

t.test('the help is complete and fits a terminal', async (t) => {
  const { code, stdout } = await run(t, process.execPath, [BROKER, 'sub', '--help']);
  t.equal(code, 0);
  for (const option of ['-t,', '-T,', '-U,', '-q,', '-v,', '-F,', '-N,', '-C,', '-R,', '-W,', '-E,', '-c,', '-h, --host',
    '--retained-only', '--remove-retained', '--will-topic', '--quiet', '--max-packet', '27 after --timeout']) {
    t.ok(stdout.includes(option), option);
  }
  t.strictSame(stdout.split('\n').filter((line) => line.length > 100), []);
});
