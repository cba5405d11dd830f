// Plain packets by our encoder, and what our decoder makes of packets, as plain ones. Used by oracle.test.ts.
import * as codes from '../../src/wire/codes.js';
import { decode, nextFilter } from '../../src/wire/decode.js';
import * as encode from '../../src/wire/encode.js';
import { frame } from '../../src/wire/frame.js';
import { Packet } from '../../src/wire/packet.js';
import { PROPERTIES, propertiesOf, type PlainProperty } from './plain-properties.js';
import type { Plain, PlainConnect, PlainPublish } from './random-packets.js';

const PACKET_BYTES_MAX = 0x10000005;
const NONE = new Uint8Array(0);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Buffer => Buffer.from(text.replace('0x', ''), 'hex');
const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');

const TYPES = {
  puback: codes.PUBACK, pubrec: codes.PUBREC, pubrel: codes.PUBREL, pubcomp: codes.PUBCOMP, suback: codes.SUBACK,
  unsuback: codes.UNSUBACK, pingreq: codes.PINGREQ, pingresp: codes.PINGRESP, disconnect: codes.DISCONNECT,
  auth: codes.AUTH,
} as const;

const ROWS = new Map(PROPERTIES.map((row) => [row.name, row]));

/** Properties one behind the other, without their length. */
function encodeAll(properties: readonly PlainProperty[]): Uint8Array {
  const bytes = new Uint8Array(4096);
  let at = 0;
  for (const [name, first, second] of properties) {
    const { identifier, format } = ROWS.get(name)!;
    switch (format) {
      case 'flag':
        at = encode.encodeByteProperty(bytes, at, identifier, first as number);
        break;
      case 'uint16':
        at = encode.encodeUint16Property(bytes, at, identifier, first as number);
        break;
      case 'uint32':
        at = encode.encodeUint32Property(bytes, at, identifier, first as number);
        break;
      case 'varint':
        at = encode.encodeVarintProperty(bytes, at, identifier, first as number);
        break;
      case 'binary':
        at = encode.encodeFieldProperty(bytes, at, identifier, fromHex(first as string));
        break;
      default:
        at = encode.encodeFieldProperty(bytes, at, identifier, utf8(first as string));
        if (format === 'pair') at = encode.encodeField(bytes, at, utf8(second as string));
    }
  }
  return bytes.slice(0, at);
}

/** The properties behind their length; nothing at all before MQTT 5.0. */
function region(properties: readonly PlainProperty[], level: number): Uint8Array {
  if (level !== codes.LEVEL_5) return NONE;
  const all = encodeAll(properties);
  const bytes = new Uint8Array(encode.propertiesBytes(all.length));
  encode.encodeProperties(bytes, 0, all);
  return bytes;
}

function encodeConnect(plain: PlainConnect): Uint8Array {
  const { level, will, userName, password } = plain;
  let flags = plain.clean ? codes.CONNECT_CLEAN_SESSION : 0;
  if (will) {
    flags |= codes.CONNECT_WILL | will.qos << codes.CONNECT_WILL_QOS_SHIFT;
    if (will.retain) flags |= codes.CONNECT_WILL_RETAIN;
  }
  if (userName !== null) flags |= codes.CONNECT_USER_NAME;
  if (password !== null) flags |= codes.CONNECT_PASSWORD;
  const fields = [utf8(plain.clientId), will ? utf8(will.topic) : NONE, will ? fromHex(will.payload) : NONE,
    utf8(userName ?? ''), fromHex(password ?? ''), encodeAll(plain.properties),
    encodeAll(will?.properties ?? [])] as const;
  const bytes = new Uint8Array(encode.connectBytes(level, flags, ...fields));
  encode.encodeConnect(bytes, 0, level, flags, plain.keepAlive, ...fields);
  return bytes;
}

function encodePublish(plain: PlainPublish, level: number): Uint8Array {
  const topic = utf8(plain.topic);
  const content = Buffer.concat([region(plain.properties, level), fromHex(plain.payload)]);
  const source = topic.length + content.length;
  const bytes = new Uint8Array(source + encode.publishBytes(topic.length, content.length, plain.qos));
  bytes.set(topic);
  bytes.set(content, topic.length);
  const flags = (plain.duplicate ? 8 : 0) | plain.qos << 1 | (plain.retain ? 1 : 0);
  encode.encodePublish(bytes, source, flags, plain.id, 0, topic.length, topic.length, source);
  return bytes.slice(source);
}

/** A packet of that first byte around `parts`. */
function packetOf(firstByte: number, ...parts: Uint8Array[]): Uint8Array {
  const body = Buffer.concat(parts);
  const bytes = new Uint8Array(encode.packetBytes(body.length));
  bytes.set(body, encode.encodeHeader(bytes, 0, firstByte, body.length));
  return bytes;
}

function encodeFilters(
  type: number, id: number, filters: readonly (readonly [string, number])[], properties: Uint8Array,
): Uint8Array {
  const optionBytes = type === codes.SUBSCRIBE ? 1 : 0;
  const listBytes = properties.length +
    filters.reduce((total, [filter]) => total + 2 + utf8(filter).length + optionBytes, 0);
  const bytes = new Uint8Array(encode.packetBytes(listBytes + 2));
  let at = encode.encodeFiltersHeader(bytes, 0, type, id, listBytes);
  bytes.set(properties, at);
  at += properties.length;
  for (const [filter, options] of filters) {
    at = encode.encodeField(bytes, at, utf8(filter));
    if (optionBytes > 0) bytes[at++] = options;
  }
  return bytes;
}

const uint16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value);

export function encodeOurs(plain: Plain, level: number): Uint8Array {
  const is5 = level === codes.LEVEL_5;
  switch (plain.cmd) {
    case 'connect':
      return encodeConnect(plain);
    case 'publish':
      return encodePublish(plain, level);
    case 'subscribe':
      return encodeFilters(codes.SUBSCRIBE, plain.id, plain.filters, region(plain.properties, level));
    case 'unsubscribe':
      return encodeFilters(codes.UNSUBSCRIBE, plain.id, plain.filters.map((filter) => [filter, 0] as const),
        region(plain.properties, level));
    case 'connack': {
      if (is5) {
        return packetOf(codes.CONNACK << 4, Uint8Array.of(plain.present ? 1 : 0, plain.code),
          region(plain.properties, level));
      }
      const bytes = new Uint8Array(encode.SHORT_PACKET_BYTES);
      encode.encodeConnack(bytes, 0, plain.present, plain.code);
      return bytes;
    }
    case 'suback': {
      if (is5) break;
      const bytes = new Uint8Array(encode.packetBytes(plain.granted.length + 2));
      const at = encode.encodeHeader(bytes, 0, 0x90, plain.granted.length + 2);
      bytes.set(plain.granted, encode.encodeUint16(bytes, at, plain.id));
      return bytes;
    }
    case 'pingreq':
    case 'pingresp': {
      const bytes = new Uint8Array(encode.EMPTY_PACKET_BYTES);
      encode.encodeEmpty(bytes, 0, TYPES[plain.cmd]);
      return bytes;
    }
  }
  return encodeAnswer(plain, level);
}

/** Of a packet identifier, if it has one, codes and properties: as short as our encoder writes it. */
function encodeAnswer(plain: Exclude<Plain, { cmd: 'pingreq' | 'pingresp' | 'connect' | 'publish' | 'subscribe' |
  'unsubscribe' | 'connack'; }>, level: number): Uint8Array {
  const type = TYPES[plain.cmd];
  const first = type << 4 | (type === codes.PUBREL ? 2 : 0);
  if ('granted' in plain) {
    if (level === codes.LEVEL_5) {
      return packetOf(first, uint16(plain.id), region(plain.properties, level), Uint8Array.from(plain.granted));
    }
  } else if (plain.properties.length > 0) {
    return packetOf(first, 'id' in plain ? uint16(plain.id) : NONE, Uint8Array.of(plain.code),
      region(plain.properties, level));
  } else if (plain.code !== 0 || plain.cmd === 'auth') {
    const bytes = new Uint8Array(encode.REASON_PACKET_BYTES);
    return bytes.slice(0, encode.encodeReason(bytes, 0, type, 'id' in plain ? plain.id : 0, plain.code));
  }
  const bytes = new Uint8Array(encode.SHORT_PACKET_BYTES);
  if ('id' in plain) return bytes.slice(0, encode.encodeAcknowledgement(bytes, 0, type, plain.id));
  return bytes.slice(0, encode.encodeEmpty(bytes, 0, type));
}

/** What our decoder made of a packet. */
function decoded(bytes: Uint8Array, packet: Packet): Plain {
  const text = (start: number, end: number): string => Buffer.from(bytes.slice(start, end)).toString('utf8');
  const raw = (start: number, end: number): string => hex(bytes.slice(start, end));
  const plainProperties = (start: number, end: number): PlainProperty[] =>
    packet.protocolLevel !== codes.LEVEL_5 ? [] : propertiesOf(bytes, start, end).map(([name, ...values]) =>
      [name, ...values.map((value) => ROWS.get(name)!.format === 'binary' || typeof value === 'number' ?
        value : fromHex(value).toString('utf8'))]);
  const id = packet.packetId;
  const properties = packet.type === codes.PUBLISH && !packet.hasProperties ? [] :
    plainProperties(packet.propertiesStart, packet.propertiesEnd);
  switch (packet.type) {
    case codes.CONNECT: {
      const flags = packet.connectFlags;
      const will = {
        topic: text(packet.willTopicStart, packet.willTopicEnd),
        payload: raw(packet.willPayloadStart, packet.willPayloadEnd),
        qos: flags >> codes.CONNECT_WILL_QOS_SHIFT & 3, retain: (flags & codes.CONNECT_WILL_RETAIN) !== 0,
        properties: plainProperties(packet.willPropertiesStart, packet.willPropertiesEnd),
      };
      return {
        cmd: 'connect', level: packet.protocolLevel, clean: (flags & codes.CONNECT_CLEAN_SESSION) !== 0,
        keepAlive: packet.keepAliveSeconds, clientId: text(packet.clientIdStart, packet.clientIdEnd), properties,
        will: (flags & codes.CONNECT_WILL) !== 0 ? will : null,
        userName: (flags & codes.CONNECT_USER_NAME) !== 0 ? text(packet.userNameStart, packet.userNameEnd) : null,
        password: (flags & codes.CONNECT_PASSWORD) !== 0 ? raw(packet.passwordStart, packet.passwordEnd) : null,
      };
    }
    case codes.CONNACK:
      return { cmd: 'connack', present: packet.sessionPresent, code: packet.reasonCode, properties };
    case codes.PUBLISH:
      return {
        cmd: 'publish', qos: packet.qos, duplicate: packet.duplicate, retain: packet.retain, properties,
        topic: text(packet.topicStart, packet.topicEnd), id: packet.qos > 0 ? id : 0,
        payload: raw(packet.payloadStart, packet.payloadEnd),
      };
    case codes.SUBSCRIBE:
    case codes.UNSUBSCRIBE: {
      const filters: [string, number][] = [];
      while (nextFilter(bytes, packet)) {
        filters.push([text(packet.filterStart, packet.filterEnd), packet.filterOptions]);
      }
      if (filters.length !== packet.filterCount) throw new Error(`${packet.filterCount} filters announced`);
      if (packet.type === codes.SUBSCRIBE) return { cmd: 'subscribe', id, filters, properties };
      return { cmd: 'unsubscribe', id, filters: filters.map(([filter]) => filter), properties };
    }
    case codes.SUBACK:
    case codes.UNSUBACK: {
      const granted = [...bytes.slice(packet.listStart, packet.listEnd)];
      return { cmd: packet.type === codes.SUBACK ? 'suback' : 'unsuback', id, granted, properties };
    }
  }
  const names = Object.keys(TYPES) as (keyof typeof TYPES)[];
  const cmd = names.find((name) => TYPES[name] === packet.type)!;
  if (cmd === 'pingreq' || cmd === 'pingresp') return { cmd };
  if (cmd === 'disconnect' || cmd === 'auth') return { cmd, code: packet.reasonCode, properties };
  return { cmd, id, code: packet.reasonCode, properties } as Plain;
}

/** Takes every packet out of `bytes` with one record, as a broker does. */
export function decodeAll(bytes: Uint8Array, level: number): Plain[] {
  const packet = new Packet();
  packet.protocolLevel = level;
  const all: Plain[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = frame(bytes, at, bytes.length, PACKET_BYTES_MAX, packet);
    if (end < 0) throw new Error(`frame answers ${end} at ${at}`);
    const outcome = decode(bytes, packet);
    if (outcome !== codes.OK) throw new Error(`decode answers ${outcome} for ${hex(bytes.slice(at, end))}`);
    all.push(decoded(bytes, packet));
    at = end;
  }
  return all;
}
