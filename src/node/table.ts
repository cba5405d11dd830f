// A house as lines of text: a table that fits a terminal, and single lines for everything else.
// Pure: called by the room and averages commands with the size of the terminal; screen.ts shows
// the lines.

import type { House, Room, Series, Status } from '../room/house.js';

export interface TableOptions {
  /**
   * Size of the terminal in cells. No line is wider than that, or than 14, and there are no more
   * lines.
   */
  columns: number;
  rows: number;
  /** Whether colours may be used. */
  colour: boolean;
  /** The first line. */
  title: string;
  /** What else is to be said above the table, and below it. */
  above: readonly string[];
  below: readonly string[];
  /** Whether to show humidity, and how many readings a mean is made of. */
  humidity: boolean;
  counts: boolean;
}

/** The house at `nowMs`, as lines for a terminal. */
export function tableLines(house: House, options: TableOptions, nowMs: number): string[] {
  const paint = options.colour ? sgr : plain;
  const width = Math.max(options.columns - 2, 12);
  const columns = chooseColumns(house, options, width);
  const titles = ` ${columns.map((column) => paint(align(column, column.title), 'dim')).join(GAP)}`;
  const rooms = house.rooms.map((room) => roomLine(room, house, columns, paint, nowMs));
  const sum = [
    ` ${paint('─'.repeat(widthOf(columns)), 'dim')}`,
    houseLine(house, columns, paint, nowMs),
  ];
  if (house.ignoredCount > 0) sum.push(` ${paint(fit(leftOutSentence(house), width), 'yellow')}`);
  const wrapped = (lines: readonly string[], style: Style): string[] =>
    lines.flatMap((line) => wrap(line, width)).map((line) => ` ${paint(line, style)}`);
  const head = ['', ...wrapped([options.title], 'bold'), ...wrapped(options.above, 'dim'), ''];
  const foot = ['', ...wrapped(options.below, 'dim')];
  return shorten(head, [titles, ...rooms, ...sum], sum.length, foot, options.rows);
}

/** Of a house with more rooms than it keeps. */
export function leftOutSentence(house: House): string {
  return `there are more rooms: only ${house.rooms.length} are shown and counted`;
}

/** What a room says, as one line of a log: `salon  21.4 °C  48.3 %  mean 21.2 °C`. */
export function plainLine(room: Room, house: House, nowMs: number): string {
  const { temperature, humidity } = room;
  const parts = [pad(printable(room.label), 12)];
  if (!Number.isNaN(temperature.latest)) parts.push(degrees(temperature.latest));
  if (!Number.isNaN(humidity.latest)) parts.push(percent(humidity.latest));
  if (room.leading.unreadable) parts.push('the last message is unreadable');
  const status = room.status(nowMs);
  if (status !== 'fresh') return [...parts, status].join('  ');
  if (temperature.count > 0) parts.push(`mean ${degrees(temperature.mean(nowMs, house.windowMs))}`);
  const mean = house.temperatureMean(nowMs);
  if (!Number.isNaN(mean)) parts.push(`house ${degrees(mean)}`);
  return parts.join('  ');
}

type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan' | 'none';
type Paint = (text: string, style: Style) => string;

const CODES: Readonly<Record<Style, string>> =
  { bold: '1', dim: '2', green: '32', yellow: '33', red: '31', cyan: '36', none: '' };

function sgr(text: string, style: Style): string {
  return style === 'none' ? text : `\u001b[${CODES[style]}m${text}\u001b[0m`;
}

function plain(text: string): string {
  return text;
}

interface Column {
  title: string;
  width: number;
  right: boolean;
  /** Of columns that do not fit, the one with the highest number goes first. */
  dispensable: number;
  room(room: Room, house: House, nowMs: number, width: number): string;
  house(house: House, nowMs: number, width: number): string;
  style(room: Room, nowMs: number): Style;
}

const GAP = '  ';
const TREND_WIDTH_LEAST = 12;
const TREND_WIDTH_MOST = 48;

const LABEL: Column = {
  title: 'room', width: 0, right: false, dispensable: 0,
  room: ({ label }) => printable(label),
  house: () => 'house',
  style: () => 'none',
};
const TEMPERATURE: Column = {
  title: 'now', width: 8, right: true, dispensable: 0,
  room: ({ temperature }) => degrees(temperature.latest),
  house: () => '',
  style: (room, nowMs) => styleOf(room, room.temperature, nowMs, 'bold'),
};
const MEAN: Column = {
  title: 'mean', width: 8, right: true, dispensable: 1,
  room: ({ temperature }, { windowMs }, nowMs) => degrees(temperature.mean(nowMs, windowMs)),
  house: (house, nowMs) => degrees(house.temperatureMean(nowMs)),
  style: (room, nowMs) => styleOf(room, room.temperature, nowMs, 'none'),
};
const COUNT: Column = {
  title: 'readings', width: 8, right: true, dispensable: 4,
  room: ({ temperature }, { windowMs }, nowMs) => `${temperature.countSince(nowMs, windowMs)}`,
  house: () => '',
  style: () => 'dim',
};
const HUMIDITY: Column = {
  title: 'humidity', width: 8, right: true, dispensable: 3,
  room: ({ humidity }) => percent(humidity.latest),
  house: (house, nowMs) => percent(house.humidityMean(nowMs)),
  style: (room, nowMs) => styleOf(room, room.humidity, nowMs, 'none'),
};
const TREND: Column = {
  title: 'trend', width: 0, right: false, dispensable: 6,
  room: ({ temperature }, _house, _nowMs, width) => sparkline(temperature, width),
  house: (house, nowMs, width) => fit(meaning(house, nowMs), width),
  style: (room, nowMs) => styleOf(room, room.temperature, nowMs, 'cyan'),
};
const AGE: Column = {
  title: 'age', width: 6, right: true, dispensable: 2,
  room: ({ leading }, _house, nowMs) => ageOf(leading, nowMs),
  house: () => '',
  style: () => 'dim',
};
const STATUS: Column = {
  title: 'status', width: 12, right: false, dispensable: 5,
  room: (room, _house, nowMs) => statusText(room, nowMs),
  house: () => '',
  style: (room, nowMs) => room.leading.unreadable ? 'yellow' : STATUS_STYLES[room.status(nowMs)],
};

const STATUS_STYLES: Readonly<Record<Status, Style>> =
  { waiting: 'dim', fresh: 'green', stale: 'yellow', 'age unknown': 'yellow', offline: 'red' };

/** The columns that fit `width`, each with its own. */
function chooseColumns(house: House, options: TableOptions, width: number): Column[] {
  const labels = house.rooms.map(({ label }) => widthOfText(printable(label)));
  // With 80 columns there is room for names of 12 cells beside everything else.
  const labelWidthMost = Math.max(5, Math.min(Math.floor(width / 6.5), 15));
  const label = { ...LABEL, width: Math.min(Math.max(...labels, 5), labelWidthMost) };
  const trend = { ...TREND, width: TREND_WIDTH_LEAST };
  let columns = [label, TEMPERATURE, MEAN, ...(options.counts ? [COUNT] : []),
    ...(options.humidity ? [HUMIDITY] : []), trend, AGE, STATUS];
  while (widthOf(columns) > width && columns.length > 2) {
    const most = Math.max(...columns.map(({ dispensable }) => dispensable));
    columns = columns.filter(({ dispensable }) => dispensable < most);
  }
  const free = width - widthOf(columns);
  if (free < 0) label.width = Math.max(label.width + free, 2);
  else if (columns.includes(trend)) trend.width += Math.min(free, TREND_WIDTH_MOST - trend.width);
  // Without a column for means the house shows its own in the one that is left.
  return columns.includes(MEAN) ? columns :
    columns.map((column) => column === TEMPERATURE ? { ...column, house: MEAN.house } : column);
}

function widthOf(columns: readonly Column[]): number {
  return columns.reduce((sum, { width }) => sum + width, GAP.length * (columns.length - 1));
}

function roomLine(
  room: Room, house: House, columns: readonly Column[], paint: Paint, nowMs: number,
): string {
  return ` ${columns.map((column) => paint(
    align(column, column.room(room, house, nowMs, column.width)), column.style(room, nowMs),
  )).join(GAP)}`;
}

function houseLine(
  house: House, columns: readonly Column[], paint: Paint, nowMs: number,
): string {
  return ` ${columns.map((column) => {
    const style = column.title === 'trend' ? 'dim' : 'bold';
    return paint(align(column, column.house(house, nowMs, column.width)), style);
  }).join(GAP)}`;
}

function meaning(house: House, nowMs: number): string {
  const fresh = house.freshCount(nowMs);
  const all = house.rooms.length;
  return fresh === 0 ? 'no room is live' : `${fresh} of ${all} rooms`;
}

/** What is not fresh stands back. */
function styleOf(room: Room, series: Series, nowMs: number, fresh: Style): Style {
  return room.statusOf(series, nowMs) === 'fresh' ? fresh : 'dim';
}

function statusText(room: Room, nowMs: number): string {
  if (room.leading.unreadable) return '○ unreadable';
  const status = room.status(nowMs);
  if (status === 'fresh') return '● live';
  return status === 'age unknown' ? '○ retained' : `○ ${status}`;
}

/**
 * Leaves out what `rows` have no room for: first what is around the table, then rooms, which in
 * `body` stand between one line and `sumCount`.
 */
function shorten(
  head: readonly string[], body: readonly string[], sumCount: number, foot: readonly string[],
  rows: number,
): string[] {
  if (head.length + body.length + foot.length <= rows) return [...head, ...body, ...foot];
  if (head.length + body.length <= rows) return [...head, ...body];
  if (body.length <= rows) return [...body];
  const rooms = body.slice(1, -sumCount);
  const shown = Math.max(rows - 2 - sumCount, 0);
  const more = ` … ${rooms.length - shown} more`;
  return [body[0]!, ...rooms.slice(0, shown), more, ...body.slice(-sumCount)].slice(0, rows);
}

const BARS = '▁▂▃▄▅▆▇█';
/** Less than this many degrees do not fill the height: noise should look calm. */
const SPAN_LEAST = 2;

/** The last readings, the newest at the right end, from the lowest to the highest shown. */
export function sparkline(series: Series, width: number): string {
  const shown = Math.min(series.count, width);
  let least = Infinity;
  let most = -Infinity;
  for (let back = 0; back < shown; back++) {
    least = Math.min(least, series.reading(back));
    most = Math.max(most, series.reading(back));
  }
  const span = Math.max(most - least, SPAN_LEAST);
  const bottom = (least + most - span) / 2;
  let bars = '';
  for (let back = shown - 1; back >= 0; back--) {
    const share = (series.reading(back) - bottom) / span;
    bars += BARS[Math.min(Math.floor(share * BARS.length), BARS.length - 1)]!;
  }
  return bars.padStart(width);
}

function degrees(value: number): string {
  return Number.isNaN(value) ? '–' : `${tenths(value)} °C`;
}

function percent(value: number): string {
  return Number.isNaN(value) ? '–' : `${tenths(value)} %`;
}

/** One decimal, and no negative zero. */
function tenths(value: number): string {
  const text = value.toFixed(1);
  return text === '-0.0' ? '0.0' : text;
}

function ageOf(series: Series, nowMs: number): string {
  if (Number.isNaN(series.latest)) return '';
  if (series.arrivedMs === undefined) return '?';
  const seconds = Math.max(0, Math.floor((nowMs - series.arrivedMs) / 1000));
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 6000) return `${Math.floor(seconds / 60)} min`;
  const hours = Math.floor(seconds / 3600);
  return hours < 100 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

/** Names come from the network: what could move the cursor or turn the text around is replaced. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '?');
}

const GRAPHEMES = new Intl.Segmenter();
const WIDE = new RegExp('^(?:\\p{Emoji_Presentation}|\\p{Emoji}\\ufe0f|' +
  '[\\u1100-\\u115f\\u2e80-\\u303e' +
  '\\u3041-\\ua4cf\\uac00-\\ud7a3\\uf900-\\ufaff\\ufe30-\\ufe6f\\uff00-\\uff60\\uffe0-\\uffe6' +
  '\\u{1f300}-\\u{1faff}\\u{20000}-\\u{3fffd}])', 'u');

/** Cells that the text takes in a terminal. */
export function widthOfText(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of GRAPHEMES.segment(text)) width += widthOfGrapheme(segment);
  return width;
}

function widthOfGrapheme(grapheme: string): number {
  if (/^\p{Mark}+$/u.test(grapheme)) return 0;
  return WIDE.test(grapheme) ? 2 : 1;
}

/** The text, cut to `width` cells if need be. */
export function fit(text: string, width: number): string {
  if (widthOfText(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const { segment } of GRAPHEMES.segment(text)) {
    const next = used + widthOfGrapheme(segment);
    if (next > width - 1) break;
    kept += segment;
    used = next;
  }
  return `${kept}…`;
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(width - widthOfText(text), 0));
}

function align({ width, right }: Column, text: string): string {
  const fitting = fit(text, width);
  const space = ' '.repeat(width - widthOfText(fitting));
  return right ? space + fitting : fitting + space;
}

/** The text in lines of at most `width` cells, broken at spaces where possible. */
function wrap(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1]!;
    const longer = line === '' ? word : `${line} ${word}`;
    if (widthOfText(longer) <= width || line === '') lines[lines.length - 1] = fit(longer, width);
    else lines.push(fit(word, width));
  }
  return lines;
}
