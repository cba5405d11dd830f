// The properties of MQTT 5.0 read by plain code that shares nothing with src/wire but the identifiers' names: the
// vectors and the oracle compare with it. Runs on Node and on XS.
import { fromHex, toHex } from '../support/packets.js';
import table from '../vectors/properties-5.json' with { type: 'json' };

/** Its name, then a number, or one or two ranges: as ASCII, or as `0x` and hex. */
export type PlainProperty = [name: string, ...values: (number | string)[]];

export type Format = 'flag' | 'uint16' | 'uint32' | 'varint' | 'text' | 'binary' | 'pair';

export interface PropertyRow {
  name: string;
  identifier: number;
  format: Format;
  /** Names of `PACKETS` it may stand in. */
  in: string[];
  /** Values it may have, in hex; the first is what the others stand beside. */
  values: string[];
  /** Values that it may not have, and what decoding answers. */
  wrong: [hex: string, outcome: string, why: string][];
  /** A property that must be there as well, in hex. */
  with?: string;
}

export interface PacketRow {
  name: string;
  firstByte: string;
  /** What stands before the length of the properties, and after the last of them. */
  before: string;
  after: string;
  /** A property that it cannot be without. */
  with?: string;
}

export const PROPERTIES = table.properties as unknown as readonly PropertyRow[];
export const PACKETS = table.packets as readonly PacketRow[];

const BY_IDENTIFIER = new Map(PROPERTIES.map((row) => [row.identifier, row]));
const BYTES: Partial<Record<Format, number>> = { flag: 1, uint16: 2, uint32: 4 };

interface Step {
  row: PropertyRow;
  valueAt: number;
  values: (number | string)[];
}

/** All properties between two offsets; throws where there is none. */
function steps(bytes: Uint8Array, start: number, end: number): Step[] {
  const found: Step[] = [];
  for (let at = start; at < end;) {
    const row = BY_IDENTIFIER.get(bytes[at]!);
    if (!row) throw new Error(`no property ${bytes[at]} at ${at}`);
    const valueAt = ++at;
    const values: (number | string)[] = [];
    if (row.format === 'varint') {
      let scale = 1;
      let value = 0;
      do {
        value += (bytes[at]! & 0x7f) * scale;
        scale *= 128;
      } while (bytes[at++]! > 0x7f);
      values.push(value);
    } else if (BYTES[row.format]) {
      values.push(parseInt(toHex(bytes.slice(at, at + BYTES[row.format]!)), 16));
      at += BYTES[row.format]!;
    } else {
      for (let count = row.format === 'pair' ? 2 : 1; count > 0; count--) {
        const fieldEnd = at + 2 + bytes[at]! * 256 + bytes[at + 1]!;
        values.push(`0x${toHex(bytes.slice(at + 2, fieldEnd))}`);
        at = fieldEnd;
      }
    }
    if (at > end) throw new Error(`${row.name} ends at ${at}, beyond ${end}`);
    found.push({ row, valueAt, values });
  }
  return found;
}

export function propertiesOf(bytes: Uint8Array, start: number, end: number): PlainProperty[] {
  return steps(bytes, start, end).map(({ row, values }) => [row.name, ...values]);
}

/** Why `places` does not hold the offset of the first value of each property in `ranges`, and 0 for the others. */
export function placesProblem(
  bytes: Uint8Array, places: Int32Array, ranges: readonly (readonly [start: number, end: number])[],
): string {
  const wanted = new Array<number>(places.length).fill(0);
  for (const [start, end] of ranges) {
    for (const { row, valueAt } of steps(bytes, start, end)) {
      if (wanted[row.identifier] === 0) wanted[row.identifier] = valueAt;
    }
  }
  const wrong = wanted.findIndex((place, identifier) => places[identifier] !== place);
  return wrong < 0 ? '' : `property ${wrong} at ${places[wrong]}, wanted ${wanted[wrong]}`;
}

export interface PropertyCase {
  title: string;
  /** Name of a row of PACKETS. */
  packet: string;
  bytes: Uint8Array;
  /** A name of src/wire/codes.ts. */
  outcome: string;
  /** The row it is about, none when its identifier is nobody's. */
  property: PropertyRow | null;
}

function varint(value: number): string {
  const digits: number[] = [];
  do {
    digits.push(value % 128 + (value > 127 ? 128 : 0));
    value = Math.floor(value / 128);
  } while (value > 0);
  return toHex(Uint8Array.from(digits));
}

const sizeOf = (hex: string): number => fromHex(hex).length;

/** The packet with those properties, whose length is told as `said`. */
export function packetWith(row: PacketRow, properties: string, said = varint(sizeOf(properties))): Uint8Array {
  const body = `${row.before}${said}${properties}${row.after}`;
  return fromHex(`${row.firstByte}${varint(sizeOf(body))}${body}`);
}

/**
 * Every property in every packet: each of its values, twice, where it must not stand, with each value it must not have,
 * and cut short at every byte; and every identifier that is nobody's.
 */
export function propertyCases(): PropertyCase[] {
  const cases: PropertyCase[] = [];
  for (const packet of PACKETS) {
    for (const property of PROPERTIES) addCases(cases, packet, property);
    for (let identifier = 0; identifier < 256; identifier++) {
      if (BY_IDENTIFIER.has(identifier)) continue;
      const hex = toHex(Uint8Array.of(identifier, 0, 0));
      cases.push({
        title: `${packet.name} with property ${identifier}, which is none, is MALFORMED`, packet: packet.name,
        bytes: packetWith(packet, hex), outcome: 'MALFORMED', property: null,
      });
    }
  }
  return cases;
}

function addCases(cases: PropertyCase[], packet: PacketRow, property: PropertyRow): void {
  const { name, values, wrong } = property;
  const id = toHex(Uint8Array.of(property.identifier));
  const beside = [packet.with, property.with].filter((hex) => hex !== undefined && !hex.startsWith(id));
  const company = beside[0] ?? '';
  const add = (title: string, properties: string, outcome: string, said?: string): void => {
    cases.push({
      title: `${packet.name} with ${name} ${title} is ${outcome}`, packet: packet.name,
      bytes: packetWith(packet, properties, said), outcome, property,
    });
  };
  if (!property.in.includes(packet.name)) {
    add(`${values[0]}, which does not belong there,`, `${company}${id}${values[0]}`, 'MALFORMED');
    return;
  }
  for (const value of values) add(value, `${company}${id}${value}`, 'OK');
  const repeats = name === 'USER_PROPERTY' || name === 'SUBSCRIPTION_IDENTIFIER' && packet.name === 'PUBLISH';
  add('twice', `${company}${id}${values[0]}${id}${values[0]}`, repeats ? 'OK' : 'PROTOCOL_ERROR');
  for (const [value, outcome, why] of wrong) add(`${value}, ${why},`, `${company}${id}${value}`, outcome);
  const last = values.at(-1)!;
  for (let size = sizeOf(last) - 1; size >= 0; size--) {
    const cut = toHex(fromHex(last).slice(0, size));
    if (property.format === 'varint' && (cut === '' || parseInt(cut.slice(-2), 16) < 0x80)) continue;
    // What stands behind the properties would complete the value: it must not be read.
    add(`cut to ${size} of ${sizeOf(last)} bytes`, `${company}${id}${cut}`, 'MALFORMED');
  }
  const whole = `${company}${id}${last}`;
  add('and a length that is one byte short', whole, 'MALFORMED', varint(sizeOf(whole) - 1));
}
