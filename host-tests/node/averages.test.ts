// `maisonnette averages` as its users meet it: the means it prints, of sensors that are not ours, and how it refuses.

import t, { type Test } from 'tap';
import { setTimeout as sleep } from 'node:timers/promises';
import { publish } from '../support/packets.js';
import { BROKER, Child, run, startBroker, type Exit, type Owner } from './children.js';
import { RawClient } from './raw-client.js';
import { connack, StubServer } from './stub-server.js';

function averages(owner: Owner, port: number, ...args: string[]): Child {
  return new Child(owner, process.execPath, [BROKER, 'averages', '--url', `mqtt://127.0.0.1:${port}`, ...args]);
}

/** `averages`, subscribed when this resolves: it has told of a retained message. */
async function listening(t: Test): Promise<{ sensor: RawClient; child: Child }> {
  const { port } = await startBroker(t);
  const sensor = await RawClient.connected(t, port, {});
  sensor.send(publish('maison/ready/temperature', '1', { retain: true }));
  const child = averages(t, port);
  await child.line(/^ready /);
  return { sensor, child };
}

function refused(t: Test, exit: Exit, words: RegExp): void {
  t.match(exit, { code: 2, stdout: '', stderr: words });
  t.match(exit.stderr, /^maisonnette: [^\n]*\n$/, 'one sentence');
}

t.test('means of rooms and of the house, of any sensor', { timeout: 60_000 }, async (t) => {
  const { port } = await startBroker(t);
  const sensor = await RawClient.connected(t, port, {});
  const say = (topic: string, text: string, retain = false): void =>
    sensor.send(publish(`maison/${topic}`, text, { retain }));
  say('grenier/temperature', '5.0', true);
  const child = averages(t, port);
  await child.line(/^grenier +5\.0 °C +age unknown$/);
  say('salon/temperature', '20');
  await child.line(/^salon +20\.0 °C +mean 20\.0 °C +house 20\.0 °C$/);
  say('salon/temperature', '22.0\n');
  await child.line(/^salon +22\.0 °C +mean 21\.0 °C +house 21\.0 °C$/);
  say('cuisine/temperature', '18,0');
  await child.line(/^cuisine +18\.0 °C +mean 18\.0 °C +house 19\.5 °C$/);
  say('cuisine/temperature', '{"temperature":99}');
  await child.line(/^cuisine +18\.0 °C +the last message is unreadable +mean 18\.0 °C +house 19\.5 °C$/);
  say('cuisine/humidite', '99');
  say('cuisine/etat', 'hors-ligne');
  await child.line(/^cuisine +18\.0 °C .*offline$/);
  say('salon/temperature', '24');
  await child.line(/^salon +24\.0 °C +mean 22\.0 °C +house 22\.0 °C$/);
  child.process.kill('SIGINT');
  t.match(await child.end(), { code: 0, stderr: '' });
  t.notMatch(child.lines.join('\n'), /99\.0/);
});

t.test('it says when the broker is lost, and goes on when it is back', { timeout: 60_000 }, async (t) => {
  const first = await startBroker(t);
  const child = averages(t, first.port);
  await child.line(/connected to/);
  await first.child.kill();
  await child.line(/closed the connection|was reset/);
  await startBroker(t, '--port', String(first.port));
  const sensor = await RawClient.connected(t, first.port, {});
  const sending = setInterval(() => sensor.send(publish('maison/salon/temperature', '21')), 200);
  t.teardown(() => clearInterval(sending));
  await child.line(/^salon +21\.0 °C +mean 21\.0 °C/, 15_000);
  child.process.kill('SIGTERM');
  t.match(await child.end(), { code: 0, stderr: '' });
});

t.test('its reader leaves (| head -2): a quiet end', { timeout: 60_000 }, async (t) => {
  const { sensor, child } = await listening(t);
  child.process.stdout!.destroy();
  const sending = setInterval(() => sensor.send(publish('maison/salon/temperature', '21')), 50);
  t.teardown(() => clearInterval(sending));
  t.match(await child.end(), { code: 0, signal: null, stderr: '' });
});

t.test('its reader does not read: lines are left out, and do not fill the memory', { timeout: 60_000 }, async (t) => {
  const { sensor, child } = await listening(t);
  child.process.stdout!.pause();
  const count = 20_000;
  for (let i = 0; i < count; i += 1000) {
    sensor.send(...Array.from({ length: 1000 }, () => publish('maison/salon/temperature', '21')));
    await sleep(5);
  }
  await sleep(1000);
  child.process.stdout!.resume();
  sensor.send(publish('maison/salon/etat', 'hors-ligne'));
  await sleep(1000);
  sensor.send(publish('maison/salon/etat', 'hors-ligne'));
  await child.line(/offline$/);
  const lines = child.lines.filter((line) => line.startsWith('salon')).length;
  t.ok(lines > 100 && lines < count / 2, `${lines} lines of ${count}`);
});

t.test('more rooms than are kept: told once', { timeout: 60_000 }, async (t) => {
  const { sensor, child } = await listening(t);
  const topics = Array.from({ length: 260 }, (_, i) => `maison/room${i}/temperature`);
  for (const topic of [...topics, ...topics, 'maison/room0/temperature']) sensor.send(publish(topic, '20'));
  await child.lineCount(/^room0 /, 3);
  t.strictSame(child.lines.filter((line) => line.includes('more rooms')),
    ['there are more rooms: only 256 are shown and counted']);
});

t.test('a login that is refused later is told as such', { timeout: 60_000 }, async (t) => {
  let refuses = false;
  const stub = await StubServer.open(t, (connection) => {
    void connection.packet(/^CONNECT/).then(() => connection.send(connack(refuses ? 5 : 0)));
  });
  const child = averages(t, stub.port);
  await child.line(/connected to/);
  refuses = true;
  stub.connections[0]!.socket.destroy();
  await child.line(/refuses the connection: not authorised/);
  await stub.connection(2);
  await sleep(300);
  t.match(child.lines.at(-1), /refuses the connection: not authorised/);
  t.equal(child.lines.filter((line) => /closed the connection|was reset/.test(line)).length, 1);
});

t.test('--help, and what is wrong', async (t) => {
  const help = await run(t, process.execPath, [BROKER, 'averages', '--help']);
  t.match(help, { code: 0, stderr: '', stdout: /maison\/\+\/temperature/ });
  for (const name of ['--url', '--window', '--stale', '--plain', '--username']) t.ok(help.stdout.includes(name), name);
  const { port, child } = await startBroker(t);
  await child.kill();
  const wrong: [args: string[], words: RegExp][] = [
    [['--url', `mqtt://127.0.0.1:${port}`], /cannot be reached/],
    [['--url', 'nonsense'], /--url/],
    [['--url', 'mqtt://localhost/maison/salon/temperature'], /--url has a topic/],
    [['--stale', '0'], /--stale is 0/],
    [['--window', '86401'], /--window is 86401: it must be 1 to 86400/],
    [['--window', 'x'], /--window is "x"/],
    [['stray'], /stray/],
  ];
  for (const [args, words] of wrong) refused(t, await run(t, process.execPath, [BROKER, 'averages', ...args]), words);
});
