// The table and the lines that show a house: pure text, for every size of a terminal.

import t from 'tap';
import { fit, plainLine, sparkline, tableLines, widthOfText, type TableOptions } from '../../src/node/table.js';
import { House } from '../../src/room/house.js';
import { Random } from '../support/random.js';

const SEED = 20261121;
const OPTIONS: TableOptions = {
  columns: 80, rows: 24, colour: false, title: 'Maisonnette', above: ['MQTT broker on 127.0.0.1:1883'],
  below: ["mosquitto_sub -t 'maison/#' -v", 'Ctrl-C ends'], humidity: true, counts: false,
};

function say(house: House, topic: string, text: string, nowMs: number, retained = false): void {
  house.take(topic, new TextEncoder().encode(text), retained, nowMs);
}

/** Every status once, at 60 s. */
function mixedHouse(): House {
  const house = new House({ staleMs: 30_000 });
  house.expect('salon');
  house.expect('sejour', 'Séjour');
  for (let i = 0; i <= 30; i++) {
    say(house, 'maison/salon/temperature', (20 + i / 10).toFixed(1), 2000 * i);
    say(house, 'maison/salon/humidite', '48.3', 2000 * i);
  }
  say(house, 'maison/cuisine/temperature', '-3.2', 10_000);
  say(house, 'maison/grenier/temperature', '11', 60_000, true);
  say(house, 'maison/cave/temperature', '12', 60_000);
  say(house, 'maison/cave/etat', 'hors-ligne', 60_000);
  say(house, 'maison/serre/temperature', '30.5', 60_000);
  say(house, 'maison/serre/temperature', 'nan', 60_000);
  return house;
}

function lineOf(lines: readonly string[], word: string): string {
  return lines.find((line) => line.trimStart().startsWith(word)) ?? `no line ${word}`;
}

t.test('each room has its line: figures, age and status', async (t) => {
  const lines = tableLines(mixedHouse(), OPTIONS, 61_000);
  t.match(lineOf(lines, 'room'), /^ room +now +mean +humidity +trend +age +status *$/);
  t.match(lineOf(lines, 'salon'), /^ salon +23\.0 °C +21\.5 °C +48\.3 % +[▁-█]+ +1 s +● live *$/);
  t.match(lineOf(lines, 'Séjour'), /^ Séjour +– +– +– +○ waiting *$/);
  t.match(lineOf(lines, 'cuisine'), /^ cuisine +-3\.2 °C .* 51 s +○ stale *$/);
  t.match(lineOf(lines, 'grenier'), /^ grenier +11\.0 °C .* \? +○ retained *$/);
  t.match(lineOf(lines, 'cave'), /^ cave +12\.0 °C .* 1 s +○ offline *$/);
  t.match(lineOf(lines, 'serre'), /^ serre +30\.5 °C .* 1 s +○ unreadable *$/);
  t.match(lineOf(lines, 'house'), /^ house +26\.0 °C +48\.3 % +2 of 6 rooms *$/, 'the mean of 21.5 and 30.5');
  t.ok(lines.some((line) => line.includes('127.0.0.1:1883')) && lines.some((line) => line.includes('Ctrl-C')));
});

t.test('the mean in the table is that of the house', async (t) => {
  const house = mixedHouse();
  t.match(lineOf(tableLines(house, OPTIONS, 61_000), 'house'), `${house.temperatureMean(61_000).toFixed(1)} °C`);
  t.match(lineOf(tableLines(new House(), OPTIONS, 0), 'house'), /– +– +no room is/, 'of no room there is none');
});

t.test('readings can be counted, and humidity left out', async (t) => {
  const lines = tableLines(mixedHouse(), { ...OPTIONS, columns: 100, humidity: false, counts: true }, 61_000);
  t.match(lineOf(lines, 'room'), /now +mean +readings +trend/);
  t.match(lineOf(lines, 'salon'), /21\.5 °C +31 +[▁-█]/);
});

t.test('without colour there is no escape sequence; with it the text is the same', async (t) => {
  const plain = tableLines(mixedHouse(), OPTIONS, 61_000);
  const coloured = tableLines(mixedHouse(), { ...OPTIONS, colour: true }, 61_000);
  t.notMatch(plain.join('\n'), /\u001b/);
  t.match(coloured.join('\n'), /\u001b\[32m● live/);
  t.same(coloured.map((line) => line.replace(/\u001b\[\d+m/g, '')), plain);
  for (const line of coloured) {
    t.equal(line.split('\u001b[0m').length * 2 - 1, line.split('\u001b[').length, 'all that is opened is closed');
  }
});

t.test('no line is wider than the terminal, and there are not more than it has', async (t) => {
  const house = mixedHouse();
  say(house, 'maison/寝室 très très longue/temperature', '20', 60_000);
  for (let columns = 14; columns <= 200; columns++) {
    for (const rows of [1, 2, 5, 9, 14, 24, 60]) {
      const lines = tableLines(house, { ...OPTIONS, columns, rows }, 61_000);
      const wide = lines.filter((line) => widthOfText(line) > columns);
      if (wide.length > 0 || lines.length > rows) t.fail(`${columns} x ${rows}: ${lines.length} lines; ${wide[0]}`);
    }
  }
  t.pass('every size');
});

t.test('a narrow terminal keeps what matters: first trend and status go, the mean of the house never', async (t) => {
  const house = mixedHouse();
  const wanted: [number, RegExp][] = [[80, /trend +age +status/], [64, /humidity +age +status *$/],
    [52, /humidity +age *$/], [40, /mean +age *$/], [24, /now *$/]];
  for (const [columns, titles] of wanted) {
    const lines = tableLines(house, { ...OPTIONS, columns }, 61_000);
    t.match(lineOf(lines, 'room'), titles, `${columns} columns`);
    t.match(lineOf(lines, 'house'), /26\.0 °C/, `${columns} columns`);
  }
});

t.test('a low terminal gives up what is around the table, then rooms, and says how many', async (t) => {
  const house = mixedHouse();
  t.notMatch(tableLines(house, { ...OPTIONS, rows: 14 }, 61_000).join('\n'), /Ctrl-C/);
  const lines = tableLines(house, { ...OPTIONS, rows: 7 }, 61_000);
  t.match(lines.join('\n'), /salon.*\n.*Séjour.*\n.*cave.*\n … 3 more\n.*\n house/);
});

t.test('names from the network cannot move the cursor', async (t) => {
  const house = new House();
  house.expect('x', '\u001b[2Jx\u202ey\n');
  say(house, 'maison/x/temperature', '20', 0);
  const text = tableLines(house, OPTIONS, 0).join('\n');
  t.match(text, / \?\[2Jx\?y\? +20\.0/);
  t.notMatch(plainLine(house.rooms[0]!, house, 0), /[\u001b\u202e\n]/);
});

t.test('the width of text in cells', async (t) => {
  const widths: [string, number][] = [['salon', 5], ['Séjour', 6], ['Se\u0301jour', 6], ['寝室', 4],
    ['🏠', 2], ['', 0], ['●', 1], ['한', 2], ['é▁█', 3]];
  for (const [text, width] of widths) t.equal(widthOfText(text), width, text);
  t.equal(fit('salon', 5), 'salon');
  t.equal(fit('salon', 4), 'sal…');
  t.equal(fit('寝室寝室', 6), '寝室…');
  t.equal(fit('e\u0301e\u0301e\u0301', 2), 'e\u0301…');
});

t.test('the trend: newest at the right, lowest to highest, noise stays calm', async (t) => {
  const house = new House();
  const series = house.expect('salon').temperature;
  t.equal(sparkline(series, 5), '     ');
  for (const [i, value] of [10, 20, 15, 30].entries()) say(house, 'maison/salon/temperature', `${value}`, i);
  t.equal(sparkline(series, 6), '  ▁▅▃█');
  t.equal(sparkline(series, 2), '▁█');
  const calm = new House();
  for (const value of ['20.0', '20.1', '19.9']) say(calm, 'maison/salon/temperature', value, 0);
  t.match(sparkline(calm.rooms[0]!.temperature, 3), /^[▄▅]{3}$/, 'a tenth is not the whole height');
});

t.test(`the trend has one bar for each reading, whatever they are; seed ${SEED}`, async (t) => {
  const random = new Random(SEED);
  const house = new House({ historyMax: 50 });
  for (let i = 0; i < 300; i++) {
    say(house, 'maison/salon/temperature', `${random.between(-40, 80)}`, i);
    const width = random.between(1, 60);
    const bars = sparkline(house.rooms[0]!.temperature, width);
    const right = /^ *[▁▂▃▄▅▆▇█]+$/.test(bars) && bars.length === width &&
      bars.trim().length === Math.min(i + 1, 50, width);
    if (!right) t.fail(bars);
  }
  t.pass();
});

t.test('ages in the unit that fits', async (t) => {
  const house = new House({ staleMs: 1e12 });
  say(house, 'maison/salon/temperature', '20', 0);
  const ages: [number, string][] = [[0, '0 s'], [999, '0 s'], [99_999, '99 s'], [100_000, '1 min'],
    [5_999_000, '99 min'], [6_000_000, '1 h'], [359_999_000, '99 h'], [360_000_000, '4 d']];
  for (const [nowMs, age] of ages) t.match(lineOf(tableLines(house, OPTIONS, nowMs), 'salon'), ` ${age}  ●`);
});

t.test('lines for logs', async (t) => {
  const house = mixedHouse();
  const lines = house.rooms.map((room) => plainLine(room, house, 61_000));
  t.same(lines, [
    'salon         23.0 °C  48.3 %  mean 21.5 °C  house 26.0 °C',
    'Séjour        waiting',
    'cave          12.0 °C  offline',
    'cuisine       -3.2 °C  stale',
    'grenier       11.0 °C  age unknown',
    'serre         30.5 °C  the last message is unreadable  mean 30.5 °C  house 26.0 °C',
  ]);
  say(house, 'maison/zero/temperature', '-0.04', 61_000);
  t.match(plainLine(house.rooms.at(-1)!, house, 61_000), /zero +0\.0 °C/, 'no negative zero');
});

t.test('more rooms than are kept: the table says so, also when it has to be short', async (t) => {
  const house = new House({ roomsMax: 20 });
  for (let i = 0; i < 21; i++) {
    t.notOk(tableLines(house, OPTIONS, 0).some((line) => line.includes('more rooms')), `${i} rooms`);
    say(house, `maison/room${i}/temperature`, '20', 0);
  }
  for (const rows of [40, 24, 10, 5]) {
    const lines = tableLines(house, { ...OPTIONS, rows }, 0);
    t.ok(lines.length <= rows, `${rows} rows`);
    t.match(lineOf(lines, 'there are more rooms'), /^ there are more rooms: only 20 are shown and counted$/, `${rows} rows`);
    t.match(lineOf(lines, 'house'), /^ house /);
  }
});
