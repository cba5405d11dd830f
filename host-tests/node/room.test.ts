// `maisonnette room` and `maisonnette sensor` as their users meet them: what other tools see, what they print when
// nobody looks at a terminal, how they refuse and how they end.

import t, { type Test } from 'tap';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { LINK_LOST } from '../../src/client/states.js';
import { sensorLog } from '../../src/node/sensor-command.js';
import { BROKER, Child, run, startBroker, type Exit, type Owner } from './children.js';

// They wait most of the time, for sensors that take theirs.
t.jobs = 4;

function start(owner: Owner, ...args: string[]): Child {
  return new Child(owner, process.execPath, [BROKER, ...args]);
}

function maisonnette(owner: Owner, ...args: string[]): Promise<Exit> {
  return run(owner, process.execPath, [BROKER, ...args]);
}

/** `maisonnette sub` of everything in the house. */
function listen(owner: Owner, port: number): Child {
  return start(owner, 'sub', '-p', String(port), '-t', 'maison/#', '-v');
}

function refusal(t: Test, exit: Exit, code: number, words: RegExp, what: string): void {
  t.equal(exit.code, code, `${what}: exit code`);
  t.equal(exit.stdout, '', `${what}: standard output`);
  t.match(exit.stderr, /^maisonnette: [^\n]*[^.\n][.?]\n$/, `${what}: one sentence`);
  t.match(exit.stderr, words, `${what}: the words`);
}

async function portOf(room: Child): Promise<number> {
  return Number(/:(\d+)$/.exec(await room.line(/MQTT broker on/))![1]);
}

/** A way to a broker that can be closed, and opened to another one. */
class Way {
  #target: number | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => this.#carry(socket));

  constructor(owner: Owner) {
    owner.teardown(() => {
      this.close();
      this.#server.close();
    });
  }

  async listen(target: number): Promise<number> {
    this.#target = target;
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  open(target: number): void {
    this.#target = target;
  }

  close(): void {
    this.#target = undefined;
    for (const socket of this.#sockets) socket.destroy();
  }

  #carry(near: Socket): void {
    if (this.#target === undefined) {
      near.destroy();
      return;
    }
    const far = connect(this.#target, '127.0.0.1');
    for (const [socket, other] of [[near, far], [far, near]] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => {}); // 'close' follows
      socket.on('close', () => other.destroy());
      socket.pipe(other);
    }
  }
}

/** A port that was free a moment ago. */
async function freePort(t: Test): Promise<number> {
  const { port, child } = await startBroker(t);
  await child.kill();
  return port;
}

t.test('--help tells the options', async (t) => {
  for (const [command, names] of [['room', ['--pieces', '--port', '--interval', '--day', '--plain']],
    ['sensor', ['--piece', '--url', '--on-change', '--heartbeat', '--id']]] as const) {
    const exit = await maisonnette(t, command, '--help');
    t.match(exit, { code: 0, stderr: '' });
    for (const name of names) t.ok(exit.stdout.includes(name), `${command} ${name}`);
    t.same(exit.stdout.split('\n').filter((line) => line.length > 100), [], 'it fits a terminal');
  }
});

t.test('what is wrong is said in one sentence', { timeout: 120_000 }, async (t) => {
  const { port } = await startBroker(t);
  const wrong: [args: string[], words: RegExp][] = [
    [['room', '--pieces', ''], /--pieces.*empty/],
    [['room', '--pieces', 'salon,a/b'], /"a\/b".*try a-b/],
    [['room', '--pieces', 'salon,#'], /--pieces/],
    [['room', '--pieces', '$SYS'], /try sys/],
    [['room', '--pieces', 'Séjour,sejour'], /Séjour and sejour.*maison\/sejour/],
    [['room', '--pieces', Array.from({ length: 101 }, (_, i) => `p${i}`).join(',')], /101 rooms: 100/],
    [['room', '--interval', '1'], /--interval is 1.*2/],
    [['room', '--day', '1'], /--day is 1/],
    [['room', '--port', '70000'], /--port is 70000/],
    [['room', '--host', ''], /--host/],
    [['room', '--host', '203.0.113.7', '--port', '0'], /203\.0\.113\.7/],
    [['room', '--port', String(port)], /in use/],
    [['room', '--nonsense'], /--nonsense/],
    [['sensor', '--piece', 'a+b'], /--piece.*"a\+b"/],
    [['sensor', '--interval', 'often'], /--interval is "often"/],
    [['sensor', '--heartbeat', '60'], /--heartbeat needs --on-change/],
    [['sensor', '--on-change', '0'], /--on-change is "0"/],
    [['sensor', '--on-change', '0.15'], /--on-change is "0.15"/],
    [['sensor', '--on-change', '0.2', '--heartbeat', '1'], /--heartbeat is 1.*10/],
    [['sensor', '--url', 'http://localhost'], /--url/],
    [['sensor', '--url', 'mqtt://localhost/maison/x'], /--url has a topic.*--piece/],
    [['sensor', '--url', `mqtt://127.0.0.1:${await freePort(t)}`], /cannot be reached/],
  ];
  for (const [args, words] of wrong) refusal(t, await maisonnette(t, ...args), 2, words, args.join(' ').slice(0, 80));
});

t.test('a living house: every MQTT tool sees it, and it ends with hors-ligne', { timeout: 60_000 }, async (t) => {
  const room = start(t, 'room', '--port', '0', '--pieces', 'salon,Salle à manger', '--day', '60');
  const port = await portOf(room);
  const startedMs = performance.now();
  const listener = listen(t, port);
  await listener.line(/^maison\/salon\/temperature -?\d+\.\d$/, 12_000);
  t.ok(performance.now() - startedMs < 9000, 'the first figures come soon');
  await listener.line(/^maison\/salon\/humidite \d+\.\d$/);
  await listener.line(/^maison\/salon\/etat en-ligne$/);
  await listener.line(/^maison\/salle-a-manger\/etat en-ligne$/, 20_000);
  await room.line(/^salon +-?\d+\.\d °C +\d+\.\d % +mean -?\d+\.\d °C +house -?\d+\.\d °C$/);
  await room.line(/^Salle à manger +-?\d+\.\d °C/);
  const late = listen(t, port);
  await late.line(/^maison\/salon\/temperature/);
  await late.line(/^maison\/salle-a-manger\/etat en-ligne/);
  await sleep(5000);
  const wrong = listener.lines.filter((line) =>
    !/^maison\/(salon|salle-a-manger)\/(temperature -?\d+\.\d|humidite \d+\.\d|etat en-ligne)$/.test(line));
  t.same(wrong, []);
  room.process.kill('SIGINT');
  const exit = await room.end();
  t.match(exit, { code: 0, stderr: '' });
  t.notMatch(exit.stdout, /\u001b/, 'lines without control sequences');
  for (const piece of ['salon', 'salle-a-manger']) {
    const goodbyes = listener.lines.filter((line) => line === `maison/${piece}/etat hors-ligne`);
    t.equal(goodbyes.length, 1, `${piece} says goodbye once`);
  }
});

t.test('what standard output does not take ends nothing', { timeout: 60_000 }, async (t) => {
  const room = start(t, 'room', '--port', '0', '--pieces', 'salon');
  const port = await portOf(room);
  room.process.stdout!.destroy();
  const listener = listen(t, port);
  await listener.line(/^maison\/salon\/etat en-ligne$/, 20_000);
  await listener.lineCount(/temperature/, 3, 30_000);
  room.process.kill('SIGTERM');
  t.match(await room.end(), { code: 0, stderr: '' });
});

t.test('a sensor keeps what it reads while its broker is away, in order', { timeout: 90_000 }, async (t) => {
  const first = await startBroker(t);
  const way = new Way(t);
  const port = await way.listen(first.port);
  const sensor = start(t, 'sensor', '--piece', 'salon', '--interval', '2', '--day', '60',
    '--url', `mqtt://127.0.0.1:${port}`);
  await sensor.line(/^connected to 127\.0\.0\.1:\d+, publishing maison\/salon\/temperature/);
  await sensor.line(/^salon is en-ligne$/, 20_000);
  way.close();
  await sensor.line(/readings wait until it is back/);
  await sensor.lineCount(/\(\d+ messages wait\)$/, 3, 30_000);
  // Another broker, which has nothing yet, and is listened to before the sensor finds it.
  const second = await startBroker(t);
  const listener = listen(t, second.port);
  const marker = start(t, 'pub', '-p', String(second.port), '-t', 'maison/test/pret', '-m', 'x',
    '--repeat', '50', '--repeat-delay', '0.1');
  await listener.line(/^maison\/test\/pret x$/);
  await marker.kill();
  way.open(second.port);
  await sensor.line(/is back: \d+ messages on their way$/, 30_000);
  await listener.line(/^maison\/salon\/etat en-ligne$/);
  sensor.process.kill('SIGINT');
  const exit = await sensor.end();
  t.match(exit, { code: 0, stderr: '' });
  await listener.line(/^maison\/salon\/etat hors-ligne$/);
  const read = exit.stdout.split('\n').flatMap((line) => {
    const found = /^salon +(-?\d+\.\d) °C +(\d+\.\d) %/.exec(line);
    return found ? [`maison/salon/temperature ${found[1]}`, `maison/salon/humidite ${found[2]}`] : [];
  });
  const away = exit.stdout.split('\n').filter((line) => line.endsWith('messages wait)')).length;
  const heard = listener.lines.filter((line) => /\/(temperature|humidite) /.test(line));
  t.ok(away >= 3 && heard.length >= 2 * away, `${heard.length} heard, ${away} readings waited`);
  t.same(heard, read.slice(-heard.length), 'all that was read while it was away, in order');
});

t.test('a sensor says when its queue is full, and what that has cost', async (t) => {
  const lines: string[] = [];
  const queue = { waitingCount: 0, droppedCount: 0 };
  const log = sensorLog('salon', 'here:1', (line) => lines.push(line), () => queue, () => undefined);
  const read = (waitingCount: number, droppedCount: number): void => {
    Object.assign(queue, { waitingCount, droppedCount });
    log.read(214, 483);
  };
  log.connected();
  read(0, 0);
  for (let round = 0; round < 2; round++) {
    log.disconnected(LINK_LOST, undefined);
    const { droppedCount } = queue;
    read(9998, droppedCount);
    for (let i = 0; i < 3; i++) read(10_000, droppedCount + 2 * i);
    log.connected();
  }
  const away = ['here:1 closed the connection: readings wait until it is back',
    'salon  21.4 °C  48.3 %  (9998 messages wait)', 'salon  21.4 °C  48.3 %  (10000 messages wait)',
    'the queue is full: from now on the oldest readings are dropped for new ones',
    'salon  21.4 °C  48.3 %  (10000 messages wait)', 'salon  21.4 °C  48.3 %  (10000 messages wait)',
    'here:1 is back: 10000 messages on their way, 4 older ones were dropped'];
  t.strictSame(lines, ['connected to here:1, publishing maison/salon/temperature and humidite',
    'salon  21.4 °C  48.3 %', ...away, ...away]);
});

t.test('a sensor keeps its identifier, also with MQTT 3.1', async (t) => {
  for (const [args, id] of [[['-V', 'mqttv31'], 'maison-cave'], [[], 'maison-cave'], [['-i', 'x'], 'x']] as const) {
    const { port, child } = await startBroker(t, '--verbose');
    const sensor = start(t, 'sensor', '--piece', 'cave', '-p', String(port), ...args);
    t.match(await child.line(/New client connected/), new RegExp(` as ${id} `), args.join(' '));
    await sensor.kill();
  }
});

t.test('a sensor that is killed is hors-ligne by its will', { timeout: 60_000 }, async (t) => {
  const { port } = await startBroker(t);
  const listener = listen(t, port);
  const sensor = start(t, 'sensor', '--piece', 'Séjour', '--interval', '2', '--url', `mqtt://127.0.0.1:${port}`);
  await listener.line(/^maison\/sejour\/etat en-ligne$/, 20_000);
  await sensor.kill();
  await listener.line(/^maison\/sejour\/etat hors-ligne$/);
});

t.test('on change: a sensor in a house where nothing changes fast publishes little', { timeout: 60_000 }, async (t) => {
  const { port } = await startBroker(t);
  const listener = listen(t, port);
  const sensor = start(t, 'sensor', '--interval', '2', '--on-change', '5', '--heartbeat', '3600',
    '--url', `mqtt://127.0.0.1:${port}`);
  await sensor.line(/^salon is en-ligne$/, 20_000);
  await sensor.lineCount(/°C/, 4, 30_000);
  t.equal(listener.lines.filter((line) => line.includes('temperature')).length, 1);
  sensor.process.kill('SIGTERM');
  t.equal((await sensor.end()).code, 0);
});
