// The live table as a person sees it, in a pseudo-terminal: what it shows, how it follows the size, and that the
// terminal is given back on every end.

import t, { type Test } from 'tap';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startBroker } from './children.js';
import { RawClient } from './raw-client.js';
import { Terminal } from './terminal.js';

t.jobs = 3;

const ROW = /^ salon +-?\d+\.\d °C +-?\d+\.\d °C +\d+\.\d % .*● live/m;

function givenBack(t: Test, terminal: Terminal, what: string): void {
  const { cursorVisible, wrapping, otherScreen } = terminal;
  t.same({ cursorVisible, wrapping, otherScreen }, { cursorVisible: true, wrapping: true, otherScreen: false },
    `${what}: the terminal is given back`);
  t.same(terminal.problems, [], `${what}: nothing that a terminal would not understand, no line too wide`);
}

t.test('maisonnette room shows a living house, follows the size, and ends orderly', { timeout: 60_000 }, async (t) => {
  const terminal = new Terminal(t, [80, 24], ['room', '--port', '0', '--pieces', 'salon,Séjour']);
  await terminal.shows(/MQTT broker on 127\.0\.0\.1:\d+/);
  t.same([terminal.cursorVisible, terminal.otherScreen], [false, true]);
  const port = /:(\d+)$/.exec(await terminal.shows(/mosquitto_sub -p \d+ -t 'maison\/#' -v/)
    .then(() => terminal.shows(/127\.0\.0\.1:\d+/)))![1]!;
  t.match(await terminal.shows(/mosquitto_sub -p \d+/), `mosquitto_sub -p ${port}`, 'the command shown finds it');
  await terminal.shows(ROW);
  await terminal.shows(/^ Séjour +\d+\.\d °C/m);
  await terminal.shows(/^ house .*2 of 2 rooms/m);
  await terminal.shows(/^ salon .*[▁-█]{3}/m);
  t.match(terminal.output, /\u001b\[32m● live/, 'in colour');
  t.ok(terminal.lines.length <= 24);

  terminal.resize(50, 9);
  await terminal.until(() => terminal.lines.length <= 9, 'a table for nine lines');
  await terminal.shows(/^ salon +\d+\.\d °C/m);
  t.notMatch(terminal.lines.join('\n'), /trend|Ctrl-C/);
  terminal.resize(120, 40);
  await terminal.shows(/trend {20}.*status(.|\n)*Ctrl-C/);

  terminal.type('\u0003');
  t.equal(await terminal.end(), 0);
  givenBack(t, terminal, 'Ctrl-C');
  t.match(terminal.lines.join('\n'), /hors-ligne/, 'what it did at the end is said on the screen that stays');
});

t.test('SIGTERM ends it the same way', { timeout: 60_000 }, async (t) => {
  const terminal = new Terminal(t, [80, 24], ['room', '--port', '0', '--pieces', 'salon']);
  await terminal.shows(/^ salon /m);
  terminal.signal('SIGTERM');
  t.equal(await terminal.end(), 0);
  givenBack(t, terminal, 'SIGTERM');
});

t.test('Ctrl-Z gives the terminal back, and going on takes it again', { timeout: 60_000 }, async (t) => {
  const terminal = new Terminal(t, [80, 24], ['room', '--port', '0', '--pieces', 'salon']);
  await terminal.shows(/^ salon /m);
  terminal.type('\u001a');
  await terminal.until(() => !terminal.otherScreen, 'the terminal back');
  t.ok(terminal.cursorVisible);
  // Again and again: one that comes before it has stopped is lost.
  const going = setInterval(() => terminal.signal('SIGCONT'), 200);
  t.teardown(() => clearInterval(going));
  await terminal.until(() => terminal.enteredCount >= 2, 'the table again');
  clearInterval(going);
  await terminal.shows(/^ salon /m);
  terminal.type('\u0003');
  t.equal(await terminal.end(), 0);
  givenBack(t, terminal, 'Ctrl-C after Ctrl-Z');
});

t.test('hanging up and Ctrl-\\ end it, and the terminal is given back', { timeout: 60_000 }, async (t) => {
  for (const [signal, code] of [['SIGHUP', 129], ['SIGQUIT', 131]] as const) {
    const terminal = new Terminal(t, [80, 24], ['room', '--port', '0', '--pieces', 'salon']);
    await terminal.shows(/^ salon /m);
    terminal.signal(signal);
    t.equal(await terminal.end(), code, signal);
    givenBack(t, terminal, signal);
  }
});

t.test('an exit gives the terminal back, and an error does, and stays to be read', { timeout: 60_000 }, async (t) => {
  const program = fileURLToPath(new URL('screen.main.js', import.meta.url));
  for (const [how, code] of [['exit', 3], ['throw', 1]] as const) {
    const terminal = new Terminal(t, [80, 24], [how], {}, program);
    await terminal.shows(/^taken/);
    t.equal(terminal.otherScreen, true);
    t.equal(await terminal.end(), code, how);
    givenBack(t, terminal, how);
    t.equal(/Error: what went wrong/.test(terminal.lines.join('\n')), how === 'throw');
  }
});

t.test('a terminal that does not read (Ctrl-S) holds up nobody but itself', { timeout: 60_000 }, async (t) => {
  const terminal = new Terminal(t, [80, 24], ['room', '--port', '0', '--pieces', 'salon']);
  await terminal.shows(/^ salon +-?\d/m);
  const port = Number(/\d+$/.exec(await terminal.shows(/mosquitto_sub -p \d+/))![0]);
  terminal.type('\u0013');
  await sleep(3000);
  const before = terminal.output.length;
  for (let i = 0; i < 3; i++) {
    (await RawClient.connected(t, port, {})).socket.destroy();
    await sleep(500);
  }
  t.equal(terminal.output.length, before, 'it was stopped indeed');
  terminal.type('\u0011');
  await terminal.until(() => terminal.output.length > before, 'the table goes on');
  terminal.type('\u0013');
  await sleep(1500);
  terminal.type('\u0003');
  t.equal(await terminal.end(), 0, 'Ctrl-C ends it also then');
  givenBack(t, terminal, 'Ctrl-C after Ctrl-S');
  t.match(terminal.lines.join('\n'), /hors-ligne/, 'what it did at the end is said on the screen that stays');
});

t.test('a terminal that does not know its size is taken for one of 80 × 24', { timeout: 60_000 }, async (t) => {
  const terminal = new Terminal(t, [0, 0], ['room', '--port', '0', '--pieces', 'salon']);
  await terminal.shows(ROW);
  await terminal.shows(/Ctrl-C ends/);
  terminal.type('\u0003');
  t.equal(await terminal.end(), 0);
});

t.test('NO_COLOR is respected, and a dumb terminal gets lines', { timeout: 60_000 }, async (t) => {
  const grey = new Terminal(t, [80, 24], ['room', '--port', '0', '--pieces', 'salon'], { NO_COLOR: '1' });
  await grey.shows(/^ salon /m);
  t.notMatch(grey.output, /\u001b\[\d+m/);
  for (const [args, env] of [[[], { TERM: 'dumb' }], [['--plain'], {}]] as const) {
    const plain = new Terminal(t, [80, 24], ['room', '--port', '0', '--pieces', 'salon', ...args], { ...env });
    await plain.shows(/^salon +\d+\.\d °C +\d+\.\d % /m);
    t.notMatch(plain.output, /\u001b/);
    plain.type('\u0003');
    t.equal(await plain.end(), 0);
  }
});

t.test('a port in use is told on the screen that was there', { timeout: 60_000 }, async (t) => {
  const { port } = await startBroker(t);
  const terminal = new Terminal(t, [80, 24], ['room', '--port', String(port)]);
  t.equal(await terminal.end(), 2);
  t.equal(terminal.enteredCount, 0);
  t.match(terminal.lines.join('\n'), new RegExp(`^maisonnette: 127\\.0\\.0\\.1:${port} is in use[^\n]*\\.$`, 'm'));
});

t.test('maisonnette averages has a table, too, which says when the broker is lost', { timeout: 60_000 }, async (t) => {
  const { port, child } = await startBroker(t);
  const terminal = new Terminal(t, [80, 24], ['averages', '--url', `mqtt://127.0.0.1:${port}`]);
  await terminal.shows(/connected to 127\.0\.0\.1/);
  await terminal.shows(/^ house +– +0 *|no room is live/m);
  await child.kill();
  await terminal.shows(/nothing\s+listens\s+there|closed\s+the\s+connection/);
  terminal.type('\u0003');
  t.equal(await terminal.end(), 0);
  givenBack(t, terminal, 'averages');
});
