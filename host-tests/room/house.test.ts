// House: what it makes of messages, whoever sent them. Runs on Node and on XS.

import t from 'tap';
import { Random } from '../support/random.js';
import { House, parseDecimal } from '../../src/room/house.js';

const SEED = 20261121;

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(''), (character) => character.charCodeAt(0));
}

/** One message, live unless told to be retained. */
function say(house: House, topic: string, text: string, nowMs: number, retained = false): void {
  house.take(topic, bytes(text), retained, nowMs);
}

function near(found: number, wanted: number): boolean {
  return Math.abs(found - wanted) < 1e-9;
}

t.test('plain decimals are read, with white space and with a decimal comma, too', (t) => {
  const readable: [string, number][] = [['21.4', 21.4], ['-0.2', -0.2], ['100.0', 100], ['0', 0], ['+7', 7],
    [' 21.40 ', 21.4], ['21.4\n', 21.4], ['\t21.4\r\n', 21.4], ['21,4', 21.4], ['-17,0', -17], ['007.50', 7.5]];
  for (const [text, value] of readable) t.equal(parseDecimal(bytes(text)), value, JSON.stringify(text));
  t.end();
});

t.test('everything else is unreadable, not zero', (t) => {
  const unreadable = ['', ' ', 'nan', 'NaN', 'unavailable', '21.4 C', '21.4\xc2\xb0C',
    '{"temperature":21.4}', '2.14e1', '0x15', '.5', '5.', '1.2.3', '1,2,3', '1 2', '--1', 'Infinity',
    '\u000021', '21.4\u0000', '1'.repeat(33)];
  for (const text of unreadable) t.ok(Number.isNaN(parseDecimal(bytes(text))), JSON.stringify(text));
  t.end();
});

t.test('a room appears with its first message, and only topics of rooms count', (t) => {
  const house = new House();
  for (const topic of ['maison/salon', 'maison//temperature', 'maison/salon/temperature/x', 'Maison/salon/temperature',
    'maison/salon/pression', '/maison/salon/temperature', 'temperature', '']) {
    t.equal(house.take(topic, bytes('1'), false, 0), undefined, topic);
  }
  t.equal(house.rooms.length, 0);
  t.equal(house.take('maison/salon/temperature', bytes('21.4'), false, 0)?.piece, 'salon');
  t.equal(house.take('maison/salon/humidite', bytes('48.3'), false, 0), house.rooms[0]);
  t.same([house.rooms[0]!.temperature.latest, house.rooms[0]!.humidity.latest], [21.4, 48.3]);
  t.end();
});

t.test('rooms that are expected come first, in their order; the others by name', (t) => {
  const house = new House();
  house.expect('salon');
  house.expect('sejour', 'Séjour');
  for (const piece of ['grenier', 'cave', 'salon', 'entree']) say(house, `maison/${piece}/temperature`, '20', 0);
  t.same(house.rooms.map(({ piece }) => piece), ['salon', 'sejour', 'cave', 'entree', 'grenier']);
  t.same(house.rooms.map(({ label }) => label), ['salon', 'Séjour', 'cave', 'entree', 'grenier']);
  t.end();
});

t.test('a reading that arrives live is fresh until the bound, then stale', (t) => {
  const house = new House({ staleMs: 30_000 });
  const room = house.expect('salon');
  t.equal(room.status(0), 'waiting');
  say(house, 'maison/salon/temperature', '21.4', 1000);
  t.equal(room.status(1000), 'fresh');
  t.equal(room.status(31_000), 'fresh');
  t.equal(room.status(31_001), 'stale');
  t.equal(room.temperature.latest, 21.4, 'and still shown');
  say(house, 'maison/salon/temperature', '21.4', 40_000);
  t.equal(room.status(40_000), 'fresh', 'the same value again counts');
  t.end();
});

t.test('a retained reading has no known age and is not fresh', (t) => {
  const house = new House();
  say(house, 'maison/salon/temperature', '21.4', 5, true);
  const [room] = house.rooms;
  t.equal(room!.status(5), 'age unknown');
  t.equal(room!.temperature.arrivedMs, undefined);
  t.equal(room!.temperature.count, 0, 'it is no part of the history');
  t.ok(Number.isNaN(house.temperatureMean(5)), 'nor of the mean of the house');
  t.equal(room!.temperature.mean(5, house.windowMs), 21.4, 'the room has no better mean');
  say(house, 'maison/salon/temperature', '22', 6);
  t.equal(room!.status(6), 'fresh');
  t.equal(room!.temperature.mean(6, house.windowMs), 22, 'now it has');
  t.end();
});

t.test('after a reconnection the retained message we know keeps its age; another one has none', (t) => {
  const house = new House({ staleMs: 1000 });
  say(house, 'maison/salon/temperature', '21.4', 0);
  say(house, 'maison/salon/temperature', '21.4', 900, true);
  const [room] = house.rooms;
  t.equal(room!.status(900), 'fresh');
  t.equal(room!.status(1001), 'stale', 'counted from when it came');
  say(house, 'maison/salon/temperature', '21.5', 1002, true);
  t.equal(room!.status(1002), 'age unknown');
  t.end();
});

t.test('hors-ligne makes all of a room offline at once, en-ligne does not make old readings fresh', (t) => {
  const house = new House({ staleMs: 1000 });
  say(house, 'maison/salon/temperature', '21.4', 0);
  say(house, 'maison/salon/humidite', '50', 0);
  const [room] = house.rooms;
  say(house, 'maison/salon/etat', 'hors-ligne', 1);
  t.equal(room!.status(1), 'offline');
  t.ok(Number.isNaN(house.temperatureMean(1)) && Number.isNaN(house.humidityMean(1)));
  say(house, 'maison/salon/etat', 'en-ligne', 2000, true);
  t.equal(room!.status(2000), 'stale');
  say(house, 'maison/salon/etat', 'nonsense', 2000);
  t.equal(room!.online, true, 'other words change nothing');
  t.end();
});

t.test('what is unreadable or impossible leaves the reading and its age, and is told', (t) => {
  const house = new House({ staleMs: 1000 });
  say(house, 'maison/salon/temperature', '21.4', 0);
  const [room] = house.rooms;
  const { temperature, humidity } = room!;
  for (const text of ['{"temperature":30}', '-127.0', '408']) {
    say(house, 'maison/salon/temperature', text, 999);
    t.ok(temperature.unreadable, text);
  }
  t.same([temperature.latest, temperature.unreadableCount, temperature.count], [21.4, 3, 1]);
  t.equal(room!.status(1001), 'stale');
  say(house, 'maison/salon/humidite', '100.1', 999);
  t.ok(humidity.unreadable && Number.isNaN(humidity.latest));
  say(house, 'maison/salon/humidite', '100.0', 999);
  t.same([humidity.unreadable, humidity.latest], [false, 100]);
  say(house, 'maison/salon/temperature', '21.5', 1002);
  t.same([temperature.unreadable, temperature.unreadableCount], [false, 3]);
  t.end();
});

t.test('an empty payload, by which retained messages are removed, tells nothing', (t) => {
  const house = new House();
  t.equal(house.take('maison/salon/temperature', bytes(''), false, 0), undefined);
  t.equal(house.rooms.length, 0);
  say(house, 'maison/salon/temperature', '21.4', 0);
  t.equal(house.take('maison/salon/temperature', bytes(''), false, 0), house.rooms[0]);
  t.same([house.rooms[0]!.temperature.latest, house.rooms[0]!.temperature.unreadable], [21.4, false]);
  t.end();
});

t.test('the mean of a room reaches back one window', (t) => {
  const house = new House({ windowMs: 1000, staleMs: 10_000 });
  for (const [nowMs, text] of [[0, '10'], [500, '20'], [1500, '30']] as const) {
    say(house, 'maison/a/temperature', text, nowMs);
  }
  const { temperature } = house.rooms[0]!;
  t.equal(temperature.mean(1500, house.windowMs), 25, '500 is just within');
  t.equal(temperature.mean(1501, house.windowMs), 30);
  t.equal(temperature.countSince(1501, house.windowMs), 1);
  t.equal(temperature.mean(9999, house.windowMs), 30, 'nothing in the window: the latest');
  t.end();
});

t.test('the mean of the house is that of its fresh rooms, each with the same weight', (t) => {
  const house = new House({ staleMs: 1000 });
  t.ok(Number.isNaN(house.temperatureMean(0)));
  for (const text of ['10', '20', '30']) say(house, 'maison/often/temperature', text, 0);
  say(house, 'maison/seldom/temperature', '40', 500);
  say(house, 'maison/retained/temperature', '-40', 0, true);
  say(house, 'maison/damp/humidite', '60', 0);
  t.equal(house.temperatureMean(500), 30);
  t.equal(house.freshCount(500), 2);
  t.equal(house.humidityMean(500), 60);
  t.equal(house.temperatureMean(1001), 40, 'the first is stale');
  t.ok(Number.isNaN(house.temperatureMean(1501)));
  const damp = house.rooms.find(({ piece }) => piece === 'damp')!;
  t.equal(damp.status(500), 'fresh', 'a room may have a hygrometer alone');
  t.end();
});

t.test('rooms are bounded, whatever topics come', (t) => {
  const house = new House({ roomsMax: 3, historyMax: 4 });
  for (let i = 0; i < 10; i++) say(house, `maison/${i}/temperature`, '20', 0);
  t.same([house.rooms.length, house.ignoredCount], [3, 7]);
  for (let i = 0; i < 10; i++) say(house, 'maison/0/temperature', `${i}`, i);
  const { temperature } = house.rooms[0]!;
  t.equal(temperature.count, 4);
  t.same([0, 1, 2, 3].map((back) => temperature.reading(back)), [9, 8, 7, 6]);
  t.equal(temperature.mean(9, 1000), 7.5);
  t.end();
});

t.test('names that no room can have are none, however long', (t) => {
  const house = new House({ roomsMax: 3 });
  for (const piece of ['', 'x'.repeat(65), 'x'.repeat(65_000), '$SYS', 'a\nb', '\u001b[2J', '\u009b']) {
    t.equal(house.take(`maison/${piece}/temperature`, bytes('20'), false, 0), undefined, JSON.stringify(piece.slice(0, 9)));
  }
  t.same([house.rooms.length, house.ignoredCount], [0, 0]);
  say(house, `maison/${'x'.repeat(64)}/temperature`, '20', 0);
  t.equal(house.rooms.length, 1);
  t.end();
});

t.test(`means agree with a list of all readings; seed ${SEED}`, (t) => {
  const random = new Random(SEED);
  const house = new House({ historyMax: 16, windowMs: 100 });
  const all: { nowMs: number; value: number }[] = [];
  let nowMs = 0;
  let wrong = 0;
  for (let step = 0; step < 500; step++) {
    nowMs += random.below(20);
    const value = random.between(-400, 800) / 10;
    say(house, 'maison/salon/temperature', value.toFixed(1), nowMs);
    all.push({ nowMs, value });
    const wanted = all.slice(-16).filter((reading) => nowMs - reading.nowMs <= 100);
    const mean = wanted.reduce((sum, reading) => sum + reading.value, 0) / wanted.length;
    if (!near(house.rooms[0]!.temperature.mean(nowMs, 100), mean)) wrong++;
    if (!near(house.temperatureMean(nowMs), mean)) wrong++;
  }
  t.equal(wrong, 0);
  t.end();
});
