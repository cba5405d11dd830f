// The byte vectors of host-tests/vectors as data, and what decoding made of one, in a form that compares.
// Used by vectors.test.ts; runs on Node and on XS alike.
import * as codes from '../../src/wire/codes.js';
import { decode, nextFilter } from '../../src/wire/decode.js';
import { frame } from '../../src/wire/frame.js';
import { Packet } from '../../src/wire/packet.js';
import { ascii, fromHex, toHex } from '../support/packets.js';
import acknowledgements5 from '../vectors/acknowledgements-5.json' with { type: 'json' };
import acknowledgements from '../vectors/acknowledgements.json' with { type: 'json' };
import connack5 from '../vectors/connack-5.json' with { type: 'json' };
import connack from '../vectors/connack.json' with { type: 'json' };
import connect31 from '../vectors/connect-3.1.json' with { type: 'json' };
import connect5 from '../vectors/connect-5.json' with { type: 'json' };
import connect from '../vectors/connect.json' with { type: 'json' };
import disconnect5 from '../vectors/disconnect-5.json' with { type: 'json' };
import frames5 from '../vectors/frame-5.json' with { type: 'json' };
import frames from '../vectors/frame.json' with { type: 'json' };
import publish5 from '../vectors/publish-5.json' with { type: 'json' };
import publish from '../vectors/publish.json' with { type: 'json' };
import subscribe5 from '../vectors/subscribe-5.json' with { type: 'json' };
import subscribe from '../vectors/subscribe.json' with { type: 'json' };
import utf8 from '../vectors/utf8.json' with { type: 'json' };
import { placesProblem, propertiesOf, type PlainProperty } from './plain-properties.js';

type Value = number | boolean | string;

export interface Vector {
  title: string;
  /** A normative statement ("MQTT-3.3.1-2", "5.0 MQTT-3.3.1-2"), or a section of one of the specifications. */
  clause: string;
  /** All bytes; spaces mean nothing. */
  hex: string;
  /** A name of src/wire/codes.ts. */
  outcome: string;
  /** Fields of Packet. A range by its name without Start and End, as ASCII or as `0x` and hex. */
  fields?: Record<string, Value>;
  /** What `nextFilter` steps through: filter, written as a range is, requested QoS, and options if more than that. */
  filters?: [filter: string, qos: number, options?: number][];
  /** MQTT 5.0, in their order: name, then a number, or one or two ranges. */
  properties?: PlainProperty[];
  willProperties?: PlainProperty[];
  /** Protocol level of the connection, 4 if absent; CONNECT comes before there is one. */
  level?: number;
  packetBytesMax?: number;
  /** With that many bytes the fixed header alone is refused. */
  refusedAt?: number;
}

export interface Group {
  name: string;
  vectors: readonly Vector[];
}

export const GROUPS: readonly Group[] = [
  { name: 'frame', vectors: frames as unknown as Vector[] },
  { name: 'acknowledgements', vectors: acknowledgements },
  { name: 'CONNECT', vectors: connect as Vector[] },
  { name: 'CONNECT of MQTT 3.1', vectors: connect31 as Vector[] },
  { name: 'CONNACK', vectors: connack as Vector[] },
  { name: 'PUBLISH', vectors: publish as Vector[] },
  { name: 'SUBSCRIBE, SUBACK, UNSUBSCRIBE', vectors: subscribe as unknown as Vector[] },
  { name: 'UTF-8', vectors: utf8 as unknown as Vector[] },
  { name: 'frame of 5.0', vectors: frames5 as unknown as Vector[] },
  { name: 'CONNECT of 5.0', vectors: connect5 as unknown as Vector[] },
  { name: 'CONNACK of 5.0', vectors: connack5 as unknown as Vector[] },
  { name: 'PUBLISH of 5.0', vectors: publish5 as unknown as Vector[] },
  { name: 'acknowledgements of 5.0', vectors: acknowledgements5 as unknown as Vector[] },
  { name: 'SUBSCRIBE, UNSUBSCRIBE and their answers of 5.0', vectors: subscribe5 as unknown as Vector[] },
  { name: 'DISCONNECT, AUTH, PINGREQ, PINGRESP of 5.0', vectors: disconnect5 as unknown as Vector[] },
];

/** The clause as tests name it, then the title. */
export const titleOf = (vector: Vector): string =>
  `${vector.clause.replace(/^(5\.0 )?(.*)/, '$1[$2]')} ${vector.title}`;
export const bytesOf = (vector: Vector): Uint8Array => fromHex(vector.hex);
export const outcomeOf = (vector: Vector): number => (codes as unknown as Record<string, number>)[vector.outcome]!;
export const bytesMaxOf = (vector: Vector): number => vector.packetBytesMax ?? 0x10000005;

/** A record full of what an earlier packet might have left, at the level that the vector wants. */
export function usedPacket(vector: Vector): Packet {
  const packet = new Packet();
  const fields = packet as unknown as Record<string, unknown>;
  for (const name of Object.keys(packet)) {
    if (typeof fields[name] === 'number') fields[name] = 1e6;
    if (typeof fields[name] === 'boolean') fields[name] = true;
  }
  packet.properties.fill(1e6);
  packet.protocolLevel = levelBefore(vector);
  return packet;
}

export function levelBefore(vector: Vector): number {
  return vector.hex.startsWith('1') ? 0 : vector.level ?? 4;
}

/** Frames and decodes; OK means that the packet ends at `end`, too. */
export function run(bytes: Uint8Array, start: number, end: number, vector: Vector, packet: Packet): number {
  const framed = frame(bytes, start, end, bytesMaxOf(vector), packet);
  if (framed < 0) return framed;
  return decode(bytes, packet);
}

const RANGES: Record<number, readonly string[]> = {
  [codes.PUBLISH]: ['topic', 'payload'],
  [codes.CONNECT]: ['clientId', 'willTopic', 'willPayload', 'userName', 'password'],
  [codes.SUBSCRIBE]: ['list'],
  [codes.UNSUBSCRIBE]: ['list'],
  [codes.SUBACK]: ['list'],
  [codes.UNSUBACK]: ['list'],
};

const SCALARS: Record<number, readonly string[]> = {
  [codes.PUBLISH]: ['qos', 'retain', 'duplicate', 'hasProperties'],
  [codes.CONNECT]: ['protocolLevel', 'connectFlags', 'keepAliveSeconds'],
  [codes.CONNACK]: ['sessionPresent', 'reasonCode'],
  [codes.DISCONNECT]: ['reasonCode'],
  [codes.AUTH]: ['reasonCode'],
  [codes.SUBSCRIBE]: ['packetId', 'filterCount'],
  [codes.UNSUBSCRIBE]: ['packetId', 'filterCount'],
};
for (const type of [codes.SUBACK, codes.UNSUBACK]) SCALARS[type] = ['packetId'];
for (const type of [codes.PUBACK, codes.PUBREC, codes.PUBREL, codes.PUBCOMP]) {
  SCALARS[type] = ['packetId', 'reasonCode'];
}

export interface Meaning {
  fields: Record<string, Value>;
  filters: [filter: string, qos: number, options: number][];
  properties: PlainProperty[];
  willProperties: PlainProperty[];
  /** Ranges that leave the packet's body, by name, and whatever else cannot be. */
  astray: string[];
}

/** What a packet decoded as OK says, its ranges as hex. Leaves the record after its last filter. */
export function meaningOf(bytes: Uint8Array, packet: Packet): Meaning {
  const record = packet as unknown as Record<string, Value>;
  const meaning: Meaning = {
    fields: { type: packet.type, flags: packet.flags }, filters: [], properties: [], willProperties: [], astray: [],
  };
  const place = (name: string): number => record[name] as number;
  const range = (name: string, from = place(`${name}Start`), to = place(`${name}End`)): string => {
    if (from >= packet.bodyStart && from <= to && to <= packet.end) return `0x${toHex(bytes.slice(from, to))}`;
    meaning.astray.push(`${name} ${from}..${to} outside ${packet.bodyStart}..${packet.end}`);
    return 'astray';
  };
  for (const name of SCALARS[packet.type] ?? []) meaning.fields[name] = record[name]!;
  if (packet.type === codes.PUBLISH) {
    if (packet.qos > 0) meaning.fields['packetId'] = packet.packetId;
    meaning.fields['content'] = range('content', packet.contentStart, packet.payloadEnd);
  }
  for (const name of RANGES[packet.type] ?? []) meaning.fields[name] = range(name);
  if (hasPropertiesOf(packet)) readProperties(bytes, packet, meaning, range);
  if (packet.type === codes.SUBSCRIBE || packet.type === codes.UNSUBSCRIBE) {
    while (meaning.filters.length <= bytes.length && nextFilter(bytes, packet)) {
      meaning.filters.push([range('filter'), packet.filterQos, packet.filterOptions]);
    }
  }
  return meaning;
}

/** Whether the record tells of properties: not before 5.0, nor for a PUBLISH without any, nor in a PINGREQ. */
function hasPropertiesOf(packet: Packet): boolean {
  return packet.protocolLevel === codes.LEVEL_5 && packet.type !== codes.PINGREQ && packet.type !== codes.PINGRESP &&
    (packet.type !== codes.PUBLISH || packet.hasProperties);
}

function readProperties(
  bytes: Uint8Array, packet: Packet, meaning: Meaning, range: (name: string) => string,
): void {
  const ranges: [start: number, end: number][] = [[packet.propertiesStart, packet.propertiesEnd]];
  if (range('properties') === 'astray') return;
  if (packet.type === codes.CONNECT) {
    if (range('willProperties') === 'astray') return;
    ranges.push([packet.willPropertiesStart, packet.willPropertiesEnd]);
    meaning.willProperties = propertiesOf(bytes, packet.willPropertiesStart, packet.willPropertiesEnd);
  }
  meaning.properties = propertiesOf(bytes, packet.propertiesStart, packet.propertiesEnd);
  const problem = placesProblem(bytes, packet.properties, ranges);
  if (problem !== '') meaning.astray.push(problem);
}

/** Where `meaning` is not what the vector says. */
export function differences(vector: Vector, meaning: Meaning): string[] {
  const found = [...meaning.astray];
  const wanted = vector.fields ?? {};
  for (const name of Object.keys(wanted)) {
    const value = wanted[name]!;
    const plain = plainOf(value);
    if (meaning.fields[name] !== plain) found.push(`${name}: ${meaning.fields[name]}, wanted ${plain}`);
  }
  if (vector.filters) {
    const list = vector.filters.map(([filter, qos, options = qos]) => `${hexOf(filter)} ${qos} ${options}`).join(', ');
    const steps = meaning.filters.map((step) => step.join(' ')).join(', ');
    if (steps !== list) found.push(`filters: ${steps}, wanted ${list}`);
  }
  for (const name of ['properties', 'willProperties'] as const) {
    const list = vector[name]?.map(([property, ...values]) => [property, ...values.map(plainOf)].join(' ')).join(', ');
    const steps = meaning[name].map((property) => property.join(' ')).join(', ');
    if (list !== undefined && steps !== list) found.push(`${name}: ${steps}, wanted ${list}`);
  }
  return found;
}

function plainOf(value: Value): Value {
  return typeof value === 'string' ? hexOf(value) : value;
}

function hexOf(text: string): string {
  return text.startsWith('0x') ? text : `0x${toHex(ascii(text))}`;
}

/** The name of an outcome, for a message. */
export function nameOf(outcome: number): string {
  const names = codes as unknown as Record<string, number>;
  return Object.keys(names).find((name) => names[name] === outcome && (outcome < -1 || name === 'OK' ||
    name === 'INCOMPLETE')) ?? String(outcome);
}
