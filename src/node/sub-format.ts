// The output format of `maisonnette sub -F`: the language of mosquitto_sub 2.0, byte for byte, but
// for its escapes that need MQTT 5.0. A format is read once, into a list of pieces; printing a
// message runs through the list. Payloads need not be UTF-8, so everything is bytes, written
// `latin1` where a string is handier: one character per byte.

import { UsageError } from './arguments.js';
import { instantAt, timeField, type Instant } from './time-format.js';

/** A message as it is printed. `payload` is borrowed from the caller. */
export interface PrintedMessage {
  topic: string;
  payload: Uint8Array;
  qos: number;
  retain: boolean;
  /** 0 with QoS 0. */
  packetId: number;
}

/**
 * Prints a message as bytes, a string of `latin1`. `now` is in nanoseconds since 1970; `complain`
 * is told, in one sentence without full stop, when the payload is not what the format needs.
 */
export type Format = (
  message: PrintedMessage, now: bigint, complain: (sentence: string) => void,
) => string;

type Piece = (
  message: PrintedMessage, now: Instant, complain: (sentence: string) => void,
) => string;

/** What stands between `%` and its letter. */
interface Field {
  left: boolean;
  zeros: boolean;
  /** 0: none. */
  width: number;
  /** -1: none. */
  most: number;
}

const BACKSLASHES: Readonly<Record<string, string>> = {
  '\\': '\\', 0: '\0', a: '\x07', e: '\x1b', n: '\n', r: '\r', t: '\t', v: '\v',
};

/** Reads a format. Throws UsageError for an escape that is unknown or not complete. */
export function parseFormat(text: string): Format {
  const pieces: Piece[] = [];
  const escape = /([%@\\])|[^%@\\]+/y;
  while (escape.lastIndex < text.length) {
    const [plain, kind] = escape.exec(text)!;
    if (kind === undefined) {
      const bytes = latin1(plain);
      pieces.push(() => bytes);
    } else if (kind === '%') escape.lastIndex = percent(text, escape.lastIndex, pieces);
    else {
      const letter = text[escape.lastIndex++];
      if (letter === undefined) throw new UsageError(`--format ends after ${kind}`);
      pieces.push(kind === '@' ? at(letter) : backslash(letter));
    }
  }
  return (message, now, complain) => {
    const instant = instantAt(now);
    let line = '';
    for (const piece of pieces) line += piece(message, instant, complain);
    return line;
  };
}

/** Reads what follows a `%` at `start`; returns where it ends. */
function percent(text: string, start: number, pieces: Piece[]): number {
  const form = /(-?)(0?)(\d*)(?:\.(\d*))?([^]?)/y;
  form.lastIndex = start;
  const [all, left, zeros, width, most, letter] = form.exec(text)!;
  if (letter === '') throw new UsageError(`--format ends within %${all}`);
  const field: Field = {
    left: left === '-',
    zeros: zeros === '0',
    width: fieldNumber(width!, 0),
    most: most === undefined ? -1 : fieldNumber(most, 0),
  };
  const make = PERCENTS[letter!];
  if (make === undefined) {
    throw new UsageError('ACDEFPRS'.includes(letter!) ?
      `--format has %${letter}, a property of MQTT 5.0, which is not there yet` :
      `--format has %${all}, which is no field of a message`);
  }
  pieces.push(make(field));
  return start + all.length;
}

const WIDTH_MAX = 10_000;

function fieldNumber(digits: string, none: number): number {
  const value = digits === '' ? none : Number(digits);
  if (value <= WIDTH_MAX) return value;
  throw new UsageError(`--format has a width of ${digits}: it must be 0 to ${WIDTH_MAX}`);
}

function at(letter: string): Piece {
  if (letter === '@') return () => '@';
  const field = timeField(letter);
  if (field === undefined) throw new UsageError(`--format has @${letter}, which is no time`);
  return (_, now) => latin1(field(now));
}

function backslash(letter: string): Piece {
  const byte = BACKSLASHES[letter];
  if (byte === undefined) throw new UsageError(`--format has \\${letter}, which is no character`);
  return () => byte;
}

/** By letter, what makes the piece of a field. */
const PERCENTS: Readonly<Record<string, (field: Field) => Piece>> = {
  '%': () => () => '%',
  I: (field) => {
    const [date, time, zone] = ['F', 'T', 'z'].map((letter) => timeField(letter)!);
    return (_, now) => paddedText(`${date!(now)}T${time!(now)}${zone!(now)}`, field);
  },
  j: () => (message, now) => jsonLine(message, now, jsonString(payloadText(message))),
  J: () => jsonOfJson,
  l: (field) => ({ payload }) => paddedNumber(payload.length, field),
  m: (field) => ({ packetId }) => paddedNumber(packetId, field),
  p: (field) => (message) => paddedPayload(payloadText(message), field),
  q: () => ({ qos }) => `${qos}`,
  r: () => ({ retain }) => retain ? '1' : '0',
  t: (field) => ({ topic }) => paddedText(latin1(topic), field),
  U: () => (_, now) => `${now.seconds}.${now.nanoseconds}`,
  x: (field) => ({ payload }) => paddedHex(payload, field),
  X: (field) => ({ payload }) => paddedHex(payload, field).toUpperCase(),
};

function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function payloadText({ payload }: PrintedMessage): string {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('latin1');
}

function padded(text: string, { left, width }: Field, filler: string): string {
  return left ? text.padEnd(width) : text.padStart(width, filler);
}

function paddedText(text: string, field: Field): string {
  return padded(field.most < 0 ? text : text.slice(0, field.most), field, ' ');
}

function paddedNumber(value: number, field: Field): string {
  return padded(`${value}`, field, field.zeros ? '0' : ' ');
}

/** As in mosquitto_sub, the width of a payload is its largest length, too, */
function paddedPayload(payload: string, field: Field): string {
  const { width, zeros } = field;
  return padded(width > 0 ? payload.slice(0, width) : payload, field, zeros ? '0' : ' ');
}

/** and in hexadecimal at most half as many bytes are printed as there were and as are wide. */
function paddedHex(payload: Uint8Array, field: Field): string {
  const { width, zeros } = field;
  const byteCount = width > 0 ? Math.min(payload.length, width) >> 1 : payload.length;
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, byteCount);
  return padded(bytes.toString('hex'), field, zeros ? '0' : ' ');
}

// JSON as mosquitto_sub prints it, which has it from cJSON; pieces of it are `latin1` like all.

function jsonLine(message: PrintedMessage, now: Instant, payload: string): string {
  const [date, time, zone] = ['F', 'T', 'z'].map((letter) => timeField(letter)!(now));
  const micros = now.nanoseconds.slice(0, 6);
  const topic = jsonString(latin1(message.topic));
  return `{"tst":"${date}T${time}.${micros}Z${zone}","topic":${topic},` +
    `"qos":${message.qos},"retain":${message.retain ? 1 : 0},` +
    `"payloadlen":${message.payload.length},` +
    `${message.qos > 0 ? `"mid":${message.packetId},` : ''}` +
    `"payload":${message.payload.length === 0 ? 'null' : payload}}`;
}

/** Bytes that are not UTF-8 stay as they are. */
function jsonString(bytes: string): string {
  // Above 0x7f nothing is escaped, so bytes may stand for characters.
  return JSON.stringify(bytes);
}

function jsonOfJson(
  message: PrintedMessage, now: Instant, complain: (sentence: string) => void,
): string {
  if (message.payload.length === 0) return jsonLine(message, now, '');
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(message.payload);
    JSON.parse(text);
    return jsonLine(message, now, latin1(compactJson(text)));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    complain(`the payload on ${message.topic} is not valid JSON`);
    return '';
  }
}

/** Valid JSON without white space. Members keep their order, also those that come twice. */
function compactJson(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|\s+/g, (token) => {
    if (token.startsWith('"')) return JSON.stringify(JSON.parse(token));
    return /\s/.test(token) ? '' : jsonNumber(Number(token));
  });
}

/** In 15 digits if they mean the same number, else in 17, as C's `%g` writes them. */
function jsonNumber(value: number): string {
  if (!Number.isFinite(value)) return 'null';
  const short = Number(value.toPrecision(15)) === value;
  const digits = short ? 15 : 17;
  const [mantissa, exponentText] = value.toExponential(digits - 1).split('e');
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= digits) {
    const sign = exponent < 0 ? '-' : '+';
    return `${trimmed(mantissa!)}e${sign}${`${Math.abs(exponent)}`.padStart(2, '0')}`;
  }
  return trimmed(value.toFixed(Math.max(0, digits - 1 - exponent)));
}

function trimmed(decimal: string): string {
  return decimal.includes('.') ? decimal.replace(/\.?0+$/, '') : decimal;
}
