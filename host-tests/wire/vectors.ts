// The byte vectors of host-tests/vectors as data, and what decoding made of one, in a form that compares.
// Used by vectors.test.ts; runs on Node and on XS alike.
import * as codes from '../../src/wire/codes.js';
import { decode, nextFilter } from '../../src/wire/decode.js';
import { frame } from '../../src/wire/frame.js';
import { Packet } from '../../src/wire/packet.js';
import { ascii, fromHex, toHex } from '../support/packets.js';
import acknowledgements from '../vectors/acknowledgements.json' with { type: 'json' };
import connack from '../vectors/connack.json' with { type: 'json' };
import connect31 from '../vectors/connect-3.1.json' with { type: 'json' };
import connect from '../vectors/connect.json' with { type: 'json' };
import frames from '../vectors/frame.json' with { type: 'json' };
import publish from '../vectors/publish.json' with { type: 'json' };
import subscribe from '../vectors/subscribe.json' with { type: 'json' };
import utf8 from '../vectors/utf8.json' with { type: 'json' };

type Value = number | boolean | string;

export interface Vector {
  title: string;
  /** A normative statement ("MQTT-3.3.1-2"), or a section of one of the two specifications. */
  clause: string;
  /** All bytes; spaces mean nothing. */
  hex: string;
  /** A name of src/wire/codes.ts. */
  outcome: string;
  /** Fields of Packet. A range by its name without Start and End, as ASCII or as `0x` and hex. */
  fields?: Record<string, Value>;
  /** What `nextFilter` steps through: filter, written as a range is, and requested QoS. */
  filters?: [filter: string, qos: number][];
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
];

export const titleOf = (vector: Vector): string => `[${vector.clause}] ${vector.title}`;
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
};

const SCALARS: Record<number, readonly string[]> = {
  [codes.PUBLISH]: ['qos', 'retain', 'duplicate'],
  [codes.CONNECT]: ['protocolLevel', 'connectFlags', 'keepAliveSeconds'],
  [codes.CONNACK]: ['sessionPresent', 'returnCode'],
  [codes.SUBSCRIBE]: ['packetId', 'filterCount'],
  [codes.UNSUBSCRIBE]: ['packetId', 'filterCount'],
};
for (const type of [codes.PUBACK, codes.PUBREC, codes.PUBREL, codes.PUBCOMP, codes.SUBACK, codes.UNSUBACK]) {
  SCALARS[type] = ['packetId'];
}

export interface Meaning {
  fields: Record<string, Value>;
  filters: [filter: string, qos: number][];
  /** Ranges that leave the packet's body, by name. */
  astray: string[];
}

/** What a packet decoded as OK says, its ranges as hex. Leaves the record after its last filter. */
export function meaningOf(bytes: Uint8Array, packet: Packet): Meaning {
  const record = packet as unknown as Record<string, Value>;
  const meaning: Meaning = { fields: { type: packet.type, flags: packet.flags }, filters: [], astray: [] };
  const range = (name: string): string => {
    const from = record[`${name}Start`] as number;
    const to = record[`${name}End`] as number;
    if (from >= packet.bodyStart && from <= to && to <= packet.end) return `0x${toHex(bytes.slice(from, to))}`;
    meaning.astray.push(`${name} ${from}..${to} outside ${packet.bodyStart}..${packet.end}`);
    return 'astray';
  };
  for (const name of SCALARS[packet.type] ?? []) meaning.fields[name] = record[name]!;
  if (packet.type === codes.PUBLISH && packet.qos > 0) meaning.fields['packetId'] = packet.packetId;
  for (const name of RANGES[packet.type] ?? []) meaning.fields[name] = range(name);
  if (packet.type === codes.SUBSCRIBE || packet.type === codes.UNSUBSCRIBE) {
    while (meaning.filters.length <= bytes.length && nextFilter(bytes, packet)) {
      meaning.filters.push([range('filter'), packet.filterQos]);
    }
  }
  return meaning;
}

/** Where `meaning` is not what the vector says. */
export function differences(vector: Vector, meaning: Meaning): string[] {
  const found = [...meaning.astray];
  const wanted = vector.fields ?? {};
  for (const name of Object.keys(wanted)) {
    const value = wanted[name]!;
    const plain = typeof value === 'string' ? hexOf(value) : value;
    if (meaning.fields[name] !== plain) found.push(`${name}: ${meaning.fields[name]}, wanted ${plain}`);
  }
  if (vector.filters) {
    const list = vector.filters.map(([filter, qos]) => `${hexOf(filter)} ${qos}`).join(', ');
    const steps = meaning.filters.map(([filter, qos]) => `${filter} ${qos}`).join(', ');
    if (steps !== list) found.push(`filters: ${steps}, wanted ${list}`);
  }
  return found;
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
