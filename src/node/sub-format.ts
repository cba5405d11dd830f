// The output format of `maisonnette sub -F`: the language of mosquitto_sub 2.0, byte for byte, its
// oddities with widths included. A format is read once, into a list of pieces; printing a message
// runs through the list. Payloads need not be UTF-8, so everything is bytes, written
// `latin1` where a string is handier: one character per byte.

import {
  CONTENT_TYPE, CORRELATION_DATA, MESSAGE_EXPIRY_INTERVAL, PAYLOAD_FORMAT_INDICATOR,
  RESPONSE_TOPIC, SUBSCRIPTION_IDENTIFIER, TOPIC_ALIAS, USER_PROPERTY,
} from '../wire/properties.js';
import { UsageError } from './arguments.js';
import type { ReceivedProperty } from './received-properties.js';
import { instantAt, timeField, type Instant } from './time-format.js';

/** A message as it is printed. `payload` is borrowed from the caller. */
export interface PrintedMessage {
  topic: string;
  payload: Uint8Array;
  qos: number;
  retain: boolean;
  /** 0 with QoS 0. */
  packetId: number;
  /** In the order they came; none before MQTT 5.0. */
  properties: readonly ReceivedProperty[];
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
    throw new UsageError(`--format has %${all}, which is no field of a message`);
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
  A: (field) => (message) => paddedNumber(textOf(message, TOPIC_ALIAS), field),
  C: (field) => (message) => paddedText(textOf(message, CONTENT_TYPE), field),
  D: () => (message) => textOf(message, CORRELATION_DATA),
  E: (field) => (message) => paddedNumber(textOf(message, MESSAGE_EXPIRY_INTERVAL), field),
  F: (field) => (message) => paddedNumber(textOf(message, PAYLOAD_FORMAT_INDICATOR), field),
  I: (field) => {
    const [date, time, zone] = ['F', 'T', 'z'].map((letter) => timeField(letter)!);
    return (_, now) => paddedText(`${date!(now)}T${time!(now)}${zone!(now)}`, field);
  },
  j: () => (message, now) => jsonLine(message, now, jsonString(payloadText(message))),
  J: () => jsonOfJson,
  l: (field) => ({ payload }) => paddedNumber(`${payload.length}`, field),
  m: (field) => ({ packetId }) => paddedNumber(`${packetId}`, field),
  P: () => ({ properties }) => properties.filter(({ key }) => key !== undefined)
    .map(({ key, value }) => `${key}:${value}`).join(' '),
  p: (field) => (message) => paddedPayload(payloadText(message), field),
  q: () => ({ qos }) => `${qos}`,
  // Where there is none, its width is not there either.
  R: (field) => (message) =>
    message.properties.some(({ identifier }) => identifier === RESPONSE_TOPIC) ?
      paddedText(textOf(message, RESPONSE_TOPIC), field) : '',
  S: (field) => (message) => paddedNumber(textOf(message, SUBSCRIPTION_IDENTIFIER), field),
  r: () => ({ retain }) => retain ? '1' : '0',
  t: (field) => ({ topic }) => paddedText(latin1(topic), field),
  U: () => (_, now) => `${now.seconds}.${now.nanoseconds}`,
  x: (field) => ({ payload }) => paddedHex(payload, field),
  X: (field) => ({ payload }) => paddedHex(payload, field).toUpperCase(),
};

function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/**
 * A property, or nothing; of several, which only subscription identifiers can be here, all with
 * blanks between (mosquitto_sub takes no such messages).
 */
function textOf({ properties }: PrintedMessage, wanted: number): string {
  return properties.filter(({ identifier }) => identifier === wanted)
    .map(({ value }) => `${value}`).join(' ');
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

function paddedNumber(value: string, field: Field): string {
  return padded(value, field, field.zeros ? '0' : ' ');
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
    `${message.properties.length > 0 ? `"properties":{${jsonProperties(message)}},` : ''}` +
    `"payload":${message.payload.length === 0 ? 'null' : payload}}`;
}

const PROPERTY_NAMES: ReadonlyMap<number, string> = new Map([
  [PAYLOAD_FORMAT_INDICATOR, 'payload-format-indicator'],
  [MESSAGE_EXPIRY_INTERVAL, 'message-expiry-interval'], [CONTENT_TYPE, 'content-type'],
  [RESPONSE_TOPIC, 'response-topic'], [CORRELATION_DATA, 'correlation-data'],
  [SUBSCRIPTION_IDENTIFIER, 'subscription-identifier'], [TOPIC_ALIAS, 'topic-alias'],
  [USER_PROPERTY, 'user-properties'],
]);

/** Each kind of property once, where its first one came: several identifiers are a list. */
function jsonProperties({ properties }: PrintedMessage): string {
  const kinds = [...new Set(properties.map(({ identifier }) => identifier))];
  return kinds.map((kind) => {
    const all = properties.filter(({ identifier }) => identifier === kind);
    const values = all.map(({ value }) =>
      typeof value === 'number' ? `${value}` : jsonString(value));
    const json = kind === USER_PROPERTY ?
      `{${all.map(({ key }, i) => `${jsonString(key!)}:${values[i]}`).join(',')}}` :
      values.length === 1 ? values[0] : `[${values.join(',')}]`;
    return `"${PROPERTY_NAMES.get(kind)}":${json}`;
  }).join(',');
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
