// The broker against mosquitto_pub and mosquitto_sub of Debian (mosquitto-clients), over TCP on loopback.

import t, { type Test } from 'tap';
import { spawnSync } from 'node:child_process';
import { Broker } from '../../src/broker/broker.js';
import { hostLimits } from '../../src/limits.js';
import { TcpBroker } from '../../src/node/tcp.js';
import { REFUSED_NOT_AUTHORIZED, REFUSED_USER_OR_PASSWORD } from '../../src/wire/codes.js';
import { Child, run, startBroker, type Exit } from '../node/children.js';

const missing = ['mosquitto_pub', 'mosquitto_sub'].find((name) => spawnSync(name, ['--help']).error !== undefined);
const skip = missing === undefined ? false :
  `not run: Mosquitto interop: no ${missing} on this machine (Debian: mosquitto-clients)`;
if (skip) process.stderr.write(`${skip}\n`);

/** Retained at the beginning of each test: a subscriber has it when its subscription is in force. */
const READY = 'ready';

class House {
  readonly port: number;
  readonly #test: Test;

  private constructor(t: Test, port: number) {
    this.#test = t;
    this.port = port;
  }

  static async open(t: Test, ...options: string[]): Promise<House> {
    const house = new House(t, (await startBroker(t, ...options)).port);
    await house.publish('-t', READY, '-m', 'now', '-r', '-q', '1');
    return house;
  }

  /** mosquitto_pub, to its end, however it ends. */
  pub(args: readonly string[], input?: string): Promise<Exit> {
    return run(this.#test, 'mosquitto_pub', ['-h', '127.0.0.1', '-p', String(this.port), ...args], input, 20_000);
  }

  /** mosquitto_pub that must succeed. */
  async publish(...args: string[]): Promise<void> {
    this.#test.match(await this.pub(args), { code: 0, stderr: '' }, `mosquitto_pub ${args.join(' ')}`);
  }

  /** mosquitto_sub, subscribed when this resolves; its first line of output is that of READY. */
  async sub(...args: string[]): Promise<Child> {
    const child = this.start('mosquitto_sub', '-t', READY, ...args);
    await child.line(/now$/);
    return child;
  }

  start(command: string, ...args: string[]): Child {
    return new Child(this.#test, command, ['-h', '127.0.0.1', '-p', String(this.port), ...args]);
  }
}

const VERSIONS = ['mqttv311', 'mqttv31'];

for (const version of VERSIONS) {
  const v = ['-V', version];

  t.test(`${version}: every QoS to every QoS`, { skip }, async (t) => {
    const house = await House.open(t);
    for (const granted of ['0', '1', '2']) {
      const sub = await house.sub(...v, '-q', granted, '-t', 'maison/#', '-F', '%q %r %t %p', '-C', '4');
      for (const qos of ['0', '1', '2']) {
        await house.publish(...v, '-q', qos, '-t', `maison/${qos}`, '-m', `text ${qos}`);
      }
      const { code, stdout } = await sub.end();
      t.equal(code, 0);
      t.strictSame(stdout.trimEnd().split('\n').slice(1), ['0', '1', '2'].map((qos) =>
        `${Math.min(Number(qos), Number(granted))} 0 maison/${qos} text ${qos}`), `granted ${granted}`);
    }
  });

  t.test(`${version}: a will after kill -9, none after an orderly end`, { skip }, async (t) => {
    const house = await House.open(t);
    const reader = await house.sub('-t', 'will/#', '-q', '2', '-F', '%q %r %t %p');
    const will = (name: string): string[] =>
      [...v, '--will-topic', `will/${name}`, '--will-payload', 'gone', '--will-qos', '1', '--will-retain'];
    const polite = await house.sub(...will('polite'));
    const abrupt = await house.sub(...will('abrupt'));
    polite.process.kill('SIGINT');
    await polite.end();
    abrupt.process.kill('SIGKILL');
    await reader.line(/will/);
    await house.publish('-t', 'will/end', '-m', 'end');
    await reader.line(/end$/);
    t.strictSame(reader.lines.slice(1), ['1 0 will/abrupt gone', '0 0 will/end end']);
    const late = await house.sub('-t', 'will/#', '-F', '%r %t %p', '-C', '2');
    t.match((await late.end()).stdout, '1 will/abrupt gone\n', 'the will was retained');
  });

  t.test(`${version}: a persistent session (-c -i) gets what it missed`, { skip }, async (t) => {
    const house = await House.open(t);
    const kept = [...v, '-c', '-i', 'kept', '-q', '2', '-t', 'maison/#'];
    await (await house.sub(...kept, '-C', '1')).end();
    await house.publish(...v, '-t', 'maison/a', '-m', 'zero', '-q', '0');
    await house.publish(...v, '-t', 'maison/a', '-m', 'one', '-q', '1');
    await house.publish(...v, '-t', 'maison/b', '-m', 'two', '-q', '2');
    const again = house.start('mosquitto_sub', ...kept, '-v', '-C', '2');
    const { code, stdout } = await again.end();
    t.equal(code, 0);
    t.strictSame(stdout.trimEnd().split('\n').sort(), ['maison/a one', 'maison/b two']);
    const clean = house.start('mosquitto_sub', ...v, '-i', 'kept', '-t', READY, '-C', '1');
    t.match(await clean.end(), { code: 0, stdout: 'now\n' }, 'a clean session has forgotten them');
  });

  t.test(`${version}: 5,000 lines (-l) with QoS 1, all of them, in order`, { skip }, async (t) => {
    const house = await House.open(t);
    const sub = await house.sub(...v, '-q', '1', '-t', 'lines', '-C', '5001');
    const lines = Array.from({ length: 5000 }, (_, i) => `line ${i}`);
    t.match(await house.pub([...v, '-q', '1', '-t', 'lines', '-l'], `${lines.join('\n')}\n`), { code: 0, stderr: '' });
    const { code, stdout } = await sub.end(20_000);
    t.equal(code, 0);
    t.ok(stdout === `now\n${lines.join('\n')}\n`, 'every line, once, in order');
  });
}

t.test('retained messages: set, replaced, cleared with -r -n', { skip }, async (t) => {
  const house = await House.open(t);
  const kept = async (): Promise<string[]> => {
    const sub = await house.sub('-t', 'salon/#', '-v');
    await house.publish('-t', 'salon/end', '-m', 'end');
    await sub.line(/end$/);
    await sub.kill();
    return sub.lines.slice(1, -1).sort();
  };
  await house.publish('-t', 'salon/a', '-m', 'old', '-r');
  await house.publish('-t', 'salon/a', '-m', 'new', '-r', '-q', '2');
  await house.publish('-t', 'salon/b', '-m', 'kept', '-r', '-q', '1');
  await house.publish('-t', 'salon/c', '-m', 'passing');
  t.strictSame(await kept(), ['salon/a new', 'salon/b kept']);
  await house.publish('-t', 'salon/a', '-r', '-n');
  t.strictSame(await kept(), ['salon/b kept']);
  const remover = house.start('mosquitto_sub', '-t', 'salon/#', '--remove-retained', '--retained-only', '-W', '1');
  t.match(await remover.end(), { stdout: 'kept\n' }); // with -C, 2.0.11 waits on after PUBACK
  t.strictSame(await kept(), []);
});

t.test('output formats of mosquitto_sub', { skip }, async (t) => {
  const house = await House.open(t);
  await house.publish('-t', 'maison/salon', '-m', 'été', '-r', '-q', '1');
  const formats: [args: string[], output: string][] = [
    [[], 'été\n'],
    [['-v'], 'maison/salon été\n'],
    [['-N'], 'été'],
    [['-F', '%t %l %q %r'], 'maison/salon 5 1 1\n'],
    [['-F', '%x'], 'c3a974c3a9\n'],
    [['-F', '%X|%p|%%'], 'C3A974C3A9|été|%\n'],
  ];
  for (const [args, output] of formats) {
    const sub = house.start('mosquitto_sub', '-q', '1', '-t', 'maison/salon', '-C', '1', ...args);
    t.match(await sub.end(), { code: 0, stdout: output, stderr: '' }, args.join(' '));
  }
  const json = await house.start('mosquitto_sub', '-q', '1', '-t', 'maison/salon', '-C', '1', '-F', '%j').end();
  t.match(JSON.parse(json.stdout), { topic: 'maison/salon', qos: 1, retain: 1, payload: 'été' });
});

t.test('unsubscribe (-U), wildcards and $SYS', { skip }, async (t) => {
  const house = await House.open(t);
  const sub = await house.sub('-t', 'maison/+/a', '-t', 'jardin/#', '-t', 'cave', '-U', 'cave', '-v');
  for (const topic of ['maison/a', 'maison/x/a', 'maison/x/b', 'jardin', 'jardin/x/y']) {
    await house.publish('-t', topic, '-m', 'x', '-q', '1');
  }
  await sub.line(/jardin\/x\/y/);
  t.strictSame(sub.lines.slice(1), ['maison/x/a x', 'jardin x', 'jardin/x/y x']);
  const version = await house.start('mosquitto_sub', '-t', '$SYS/broker/version', '-C', '1').end();
  t.match(version.stdout, /^maisonnette \d/);
});

t.test('a file of 200 KiB, byte for byte', { skip }, async (t) => {
  const house = await House.open(t);
  let text = '';
  for (let i = 0; text.length < 200 * 1024; i++) text += `${i} `;
  const sub = await house.sub('-q', '2', '-t', 'file', '-C', '2');
  t.match(await house.pub(['-q', '2', '-t', 'file', '-s'], text), { code: 0, stderr: '' });
  t.ok((await sub.end()).stdout === `now\n${text}\n`);
});

t.test('exit codes: a login that is refused, and a broker that is full', { skip }, async (t) => {
  const broker = new Broker(hostLimits({ clientsMax: 2 }), {
    random: () => Math.floor(Math.random() * 0x1_0000_0000),
    version: 'test',
    authenticate: (bytes, packet) => {
      if ((packet.connectFlags & 0xc0) !== 0xc0) return REFUSED_NOT_AUTHORIZED;
      const text = (start: number, end: number): string => new TextDecoder().decode(bytes.subarray(start, end));
      return text(packet.userNameStart, packet.userNameEnd) === 'anne' &&
        text(packet.passwordStart, packet.passwordEnd) === 'sésame' ? 0 : REFUSED_USER_OR_PASSWORD;
    },
  });
  const server = new TcpBroker(broker);
  const { port } = await server.listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  const pub = (...args: string[]): Promise<Exit> =>
    run(t, 'mosquitto_pub', ['-h', '127.0.0.1', '-p', String(port), '-t', 'kept', '-m', 'here', '-r', '-q', '1',
      ...args]);
  t.match(await pub('-u', 'anne', '-P', 'sésame'), { code: 0, stderr: '' });
  t.match(await pub('-u', 'anne', '-P', 'wrong'), { code: 4, stderr: /bad user ?name or password/i });
  t.match(await pub('-u', 'eve', '-P', 'sésame'), { code: 4 });
  t.match(await pub(), { code: 5, stderr: /not authori[sz]ed/i });
  for (let i = 0; i < 2; i++) {
    const sub = new Child(t, 'mosquitto_sub', ['-h', '127.0.0.1', '-p', String(port), '-u', 'anne', '-P', 'sésame',
      '-t', 'kept']);
    await sub.line(/here/);
  }
  t.match(await pub('-u', 'anne', '-P', 'sésame'), { code: 3, stderr: /unavailable/i });
});

t.test('an identifier that is taken over: the newer client wins', { skip }, async (t) => {
  const house = await House.open(t);
  const old = await house.sub('-i', 'twin', '-t', 'a');
  const next = await house.sub('-i', 'twin', '-t', 'a', '-C', '2');
  await house.publish('-t', 'a', '-m', 'b', '-q', '1');
  t.match(await next.end(), { code: 0, stdout: 'now\nb\n' });
  await old.kill();
});
