// strftime(3) in the C locale, one letter at a time, in the time zone of this machine: `@X` of the
// formats in sub-format.ts. With `@N`, mosquitto_sub's own, the nanoseconds of the second.

/** A moment, in the forms that formats need. */
export interface Instant {
  /** Whole seconds since 1970. */
  seconds: bigint;
  /** The rest, in nine digits. */
  nanoseconds: string;
  local: Date;
}

export function instantAt(nanosecondsSince1970: bigint): Instant {
  const seconds = nanosecondsSince1970 / 1_000_000_000n;
  return {
    seconds,
    nanoseconds: `${nanosecondsSince1970 % 1_000_000_000n}`.padStart(9, '0'),
    local: new Date(Number(seconds) * 1000),
  };
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August',
  'September', 'October', 'November', 'December'];
const DAY_MS = 86_400_000;

type TimeField = (now: Instant) => string;

function padded(value: number, width: number, filler = '0'): string {
  return `${value}`.padStart(width, filler);
}

/** A field that depends on the calendar only. */
function local(field: (date: Date) => string): TimeField {
  return ({ local: date }) => field(date);
}

/** Fields one after the other, with text between them. */
function sequence(form: string): TimeField {
  return (now) => form.replace(/[a-zA-Z]/g, (letter) => FIELDS[letter]!(now));
}

/** 1 on the first of January. */
function dayOfYear(date: Date): number {
  const day = Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return (day - Date.UTC(date.getFullYear(), 0, 1)) / DAY_MS + 1;
}

/** Number of the week, where week 1 begins with the first `firstDay` of the year. */
function weekOfYear(date: Date, firstDay: number): number {
  return Math.floor((dayOfYear(date) + 6 - (date.getDay() + 7 - firstDay) % 7) / 7);
}

/** The Thursday of the week, which says which year and number the week has in ISO 8601. */
function isoThursday(date: Date): Date {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + 4 - (date.getDay() || 7));
}

function hours12(date: Date): number {
  return date.getHours() % 12 || 12;
}

function zoneOffset(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${padded(Math.floor(size / 60), 2)}${padded(size % 60, 2)}`;
}

function zoneName(date: Date): string {
  const parts = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' }).formatToParts(date);
  return parts.find(({ type }) => type === 'timeZoneName')!.value;
}

const FIELDS: Readonly<Record<string, TimeField>> = {
  a: local((date) => DAYS[date.getDay()]!.slice(0, 3)),
  A: local((date) => DAYS[date.getDay()]!),
  b: local((date) => MONTHS[date.getMonth()]!.slice(0, 3)),
  B: local((date) => MONTHS[date.getMonth()]!),
  c: sequence('a b e T Y'),
  C: local((date) => padded(Math.floor(date.getFullYear() / 100), 2)),
  d: local((date) => padded(date.getDate(), 2)),
  D: sequence('m/d/y'),
  e: local((date) => padded(date.getDate(), 2, ' ')),
  F: sequence('Y-m-d'),
  g: local((date) => padded(isoThursday(date).getFullYear() % 100, 2)),
  G: local((date) => `${isoThursday(date).getFullYear()}`),
  h: local((date) => MONTHS[date.getMonth()]!.slice(0, 3)),
  H: local((date) => padded(date.getHours(), 2)),
  I: local((date) => padded(hours12(date), 2)),
  j: local((date) => padded(dayOfYear(date), 3)),
  k: local((date) => padded(date.getHours(), 2, ' ')),
  l: local((date) => padded(hours12(date), 2, ' ')),
  m: local((date) => padded(date.getMonth() + 1, 2)),
  M: local((date) => padded(date.getMinutes(), 2)),
  n: () => '\n',
  N: ({ nanoseconds }) => nanoseconds,
  p: local((date) => date.getHours() < 12 ? 'AM' : 'PM'),
  P: local((date) => date.getHours() < 12 ? 'am' : 'pm'),
  r: sequence('I:M:S p'),
  R: sequence('H:M'),
  s: ({ seconds }) => `${seconds}`,
  S: local((date) => padded(date.getSeconds(), 2)),
  t: () => '\t',
  T: sequence('H:M:S'),
  u: local((date) => `${date.getDay() || 7}`),
  U: local((date) => padded(weekOfYear(date, 0), 2)),
  V: local((date) => padded(Math.ceil(dayOfYear(isoThursday(date)) / 7), 2)),
  w: local((date) => `${date.getDay()}`),
  W: local((date) => padded(weekOfYear(date, 1), 2)),
  x: sequence('m/d/y'),
  X: sequence('H:M:S'),
  y: local((date) => padded(date.getFullYear() % 100, 2)),
  Y: local((date) => `${date.getFullYear()}`),
  z: local(zoneOffset),
  Z: local(zoneName),
  '%': () => '%',
};

/** What prints the field of a letter, or undefined when it is none. */
export function timeField(letter: string): TimeField | undefined {
  return FIELDS[letter];
}
