// MQTT packets for tests, built and read by plain code that shares nothing with src/wire. Runs on Node and on XS
// alike, so text is turned into bytes by hand; what is not ASCII goes in as bytes.

export type Text = string | Uint8Array;

export function ascii(text: Text): Uint8Array {
  if (typeof text !== 'string') return text;
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export function fromHex(hex: string): Uint8Array {
  const digits = hex.replace(/\s+/g, '');
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => (byte < 16 ? '0' : '') + byte.toString(16)).join('');
}

function field(text: Text): Uint8Array {
  const bytes = ascii(text);
  return concat(uint16(bytes.length), bytes);
}

function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

/** A packet with that first byte around `body`. */
export function packet(firstByte: number, ...body: Uint8Array[]): Uint8Array {
  const whole = concat(...body);
  const header = [firstByte];
  let length = whole.length;
  do {
    header.push(length > 0x7f ? length & 0x7f | 0x80 : length);
    length >>= 7;
  } while (length > 0);
  return concat(Uint8Array.from(header), whole);
}

/**
 * Properties of MQTT 5.0 under their names in PROPERTIES, in the order of the packet; a value that is a list of values
 * stands for the property several times: `{ expiry: 5, user: [['a', 'b'], ['a', 'c']] }`.
 */
export type Properties = Partial<Record<PropertyName, PropertyValue | PropertyValue[]>>;
type PropertyValue = number | Text | [name: Text, value: Text];
type PropertyName = typeof PROPERTIES[number][1];

/** Identifier, name, and form of every property: bytes of a number, V for a varint, T for a text, P for a pair. */
const PROPERTIES = [
  [0x01, 'format', '1'], [0x02, 'expiry', '4'], [0x03, 'contentType', 'T'], [0x08, 'responseTopic', 'T'],
  [0x09, 'correlation', 'T'], [0x0b, 'subscription', 'V'], [0x11, 'sessionExpiry', '4'], [0x12, 'assignedId', 'T'],
  [0x13, 'keepAlive', '2'], [0x15, 'method', 'T'], [0x16, 'data', 'T'], [0x17, 'problem', '1'],
  [0x18, 'willDelay', '4'], [0x19, 'requestResponse', '1'], [0x1a, 'responseInformation', 'T'],
  [0x1c, 'reference', 'T'], [0x1f, 'reason', 'T'], [0x21, 'receiveMaximum', '2'], [0x22, 'aliasMaximum', '2'],
  [0x23, 'alias', '2'], [0x24, 'maximumQos', '1'], [0x25, 'retainAvailable', '1'], [0x26, 'user', 'P'],
  [0x27, 'packetMaximum', '4'], [0x28, 'wildcards', '1'], [0x29, 'identifiers', '1'], [0x2a, 'shared', '1'],
] as const;

/** A variable byte integer. */
export function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  do {
    bytes.push(value > 0x7f ? value & 0x7f | 0x80 : value);
    value = Math.floor(value / 128);
  } while (value > 0);
  return Uint8Array.from(bytes);
}

/** The properties as a packet carries them, behind their length. */
export function encodeProperties(properties: Properties = {}): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [name, value] of Object.entries(properties)) {
    const [id, , form] = PROPERTIES.find((property) => property[1] === name)!;
    const many = Array.isArray(value) && (form !== 'P' || Array.isArray(value[0])) ? value : [value];
    for (const one of many as PropertyValue[]) parts.push(Uint8Array.of(id), propertyValue(form, one));
  }
  const body = concat(...parts);
  return concat(varint(body.length), body);
}

function propertyValue(form: string, value: PropertyValue): Uint8Array {
  if (form === 'P') return concat(...(value as [Text, Text]).map(field));
  if (form === 'T') return field(value as Text);
  if (form === 'V') return varint(value as number);
  const byteCount = Number(form);
  return Uint8Array.from({ length: byteCount },
    (_, i) => Math.floor((value as number) / 256 ** (byteCount - 1 - i)) & 0xff);
}

/** What a packet of level 5 carries where others have nothing. */
function propertiesOf(fields: { properties?: Properties | undefined }): Uint8Array[] {
  return fields.properties === undefined ? [] : [encodeProperties(fields.properties)];
}

export interface ConnectFields {
  clientId?: Text;
  clean?: boolean;
  keepAlive?: number;
  level?: number;
  will?: { topic: Text; payload: Text; qos?: number; retain?: boolean; properties?: Properties };
  userName?: Text;
  password?: Text;
  /** Level 5. */
  properties?: Properties;
}

export function connect(fields: ConnectFields = {}): Uint8Array {
  const { clientId = '', clean = true, keepAlive = 0, level = 4, will, userName, password, properties } = fields;
  let flags = clean ? 2 : 0;
  if (will) flags |= 4 | (will.qos ?? 0) << 3 | (will.retain ? 0x20 : 0);
  if (userName !== undefined) flags |= 0x80;
  if (password !== undefined) flags |= 0x40;
  const parts = [field(level === 3 ? 'MQIsdp' : 'MQTT'), Uint8Array.of(level, flags), uint16(keepAlive)];
  if (level >= 5) parts.push(encodeProperties(properties));
  parts.push(field(clientId));
  if (will && level >= 5) parts.push(encodeProperties(will.properties));
  if (will) parts.push(field(will.topic), field(will.payload));
  if (userName !== undefined) parts.push(field(userName));
  if (password !== undefined) parts.push(field(password));
  return packet(0x10, ...parts);
}

export interface PublishFields {
  qos?: number;
  id?: number;
  retain?: boolean;
  duplicate?: boolean;
  /** Level 5, where they must be given, if only as `{}`. */
  properties?: Properties;
}

export function publish(topic: Text, payload: Text, fields: PublishFields = {}): Uint8Array {
  const { qos = 0, id = 1, retain = false, duplicate = false } = fields;
  const first = 0x30 | qos << 1 | (retain ? 1 : 0) | (duplicate ? 8 : 0);
  return packet(first, field(topic), ...(qos > 0 ? [uint16(id)] : []), ...propertiesOf(fields), ascii(payload));
}

/** Level 5: `publish` with properties, or none. */
export function publish5(topic: Text, payload: Text, fields: PublishFields = {}): Uint8Array {
  return publish(topic, payload, { properties: {}, ...fields });
}

export function subscribe(id: number, ...filters: [filter: Text, qos: number][]): Uint8Array {
  return packet(0x82, uint16(id), ...filters.flatMap(([filter, qos]) => [field(filter), Uint8Array.of(qos)]));
}

/** Bits of the options of a subscription, level 5. */
export const NO_LOCAL = 4;
export const RETAIN_AS_PUBLISHED = 8;
export const RETAIN_IF_NEW = 0x10;
export const RETAIN_NEVER = 0x20;

/** Level 5; `subscription` among the properties is the identifier. */
export function subscribe5(
  id: number, properties: Properties, ...filters: [filter: Text, options: number][]): Uint8Array {
  return packet(0x82, uint16(id), encodeProperties(properties),
    ...filters.flatMap(([filter, options]) => [field(filter), Uint8Array.of(options)]));
}

export function unsubscribe5(id: number, properties: Properties, ...filters: Text[]): Uint8Array {
  return packet(0xa2, uint16(id), encodeProperties(properties), ...filters.map(field));
}

export function unsubscribe(id: number, ...filters: Text[]): Uint8Array {
  return packet(0xa2, uint16(id), ...filters.map(field));
}

/** Reason code and properties: what level 5 may write behind the identifier, or not. */
function reasonOf(code?: number, properties?: Properties): Uint8Array {
  return concat(...(code === undefined ? [] : [Uint8Array.of(code)]), ...propertiesOf({ properties }));
}

export const puback = (id: number, code?: number, properties?: Properties): Uint8Array =>
  packet(0x40, uint16(id), reasonOf(code, properties));
export const pubrec = (id: number, code?: number, properties?: Properties): Uint8Array =>
  packet(0x50, uint16(id), reasonOf(code, properties));
export const pubrel = (id: number, code?: number, properties?: Properties): Uint8Array =>
  packet(0x62, uint16(id), reasonOf(code, properties));
export const pubcomp = (id: number, code?: number, properties?: Properties): Uint8Array =>
  packet(0x70, uint16(id), reasonOf(code, properties));
export const unsuback = (id: number): Uint8Array => packet(0xb0, uint16(id));
export const connack = (sessionPresent: boolean, returnCode = 0): Uint8Array =>
  packet(0x20, Uint8Array.of(sessionPresent ? 1 : 0, returnCode));
export const suback = (id: number, ...codes: number[]): Uint8Array =>
  packet(0x90, uint16(id), Uint8Array.from(codes));
export const pingresp = (): Uint8Array => packet(0xd0);
export const pingreq = (): Uint8Array => packet(0xc0);
export const disconnect = (code?: number, properties?: Properties): Uint8Array =>
  packet(0xe0, reasonOf(code, properties));
export const auth = (code: number, properties: Properties): Uint8Array => packet(0xf0, reasonOf(code, properties));
/** Level 5. */
export const connack5 = (sessionPresent: boolean, code = 0, properties: Properties = {}): Uint8Array =>
  packet(0x20, Uint8Array.of(sessionPresent ? 1 : 0, code), encodeProperties(properties));
export const suback5 = (id: number, properties: Properties, ...codes: number[]): Uint8Array =>
  packet(0x90, uint16(id), encodeProperties(properties), Uint8Array.from(codes));
export const unsuback5 = (id: number, properties: Properties, ...codes: number[]): Uint8Array =>
  packet(0xb0, uint16(id), encodeProperties(properties), Uint8Array.from(codes));

function textOf(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}

const NAMES = ['', 'CONNECT', 'CONNACK', 'PUBLISH', 'PUBACK', 'PUBREC', 'PUBREL', 'PUBCOMP', 'SUBSCRIBE', 'SUBACK',
  'UNSUBSCRIBE', 'UNSUBACK', 'PINGREQ', 'PINGRESP', 'DISCONNECT', 'AUTH'];

/**
 * One packet in words: `PUBLISH q1 id7 retain maison/salon/temperature 21.4`, `SUBACK id2 1,128`,
 * `SUBSCRIBE id3 maison/# 1`, `CONNECT clean salon`. In level 5 properties follow in braces, if there are any, and a
 * reason code other than 0 in hexadecimal: `PUBLISH q0 a b {expiry 5, user a=b}`, `PUBACK id7 0x10`,
 * `DISCONNECT 0x8d`, `UNSUBACK id3 0,17`.
 */
function describe(bytes: Uint8Array, start: number, body: number, end: number, level: number): string {
  const type = bytes[start]! >> 4;
  const name = NAMES[type]!;
  const idAt = (at: number): number => bytes[at]! << 8 | bytes[at + 1]!;
  /** The properties at `at` in words, and where they end. */
  const propertiesAt = (at: number): [words: string[], end: number] => level < 5 ? [[], at] : readProperties(bytes, at);
  if (type === 2) {
    return [name, bytes[body]! & 1 ? 'present' : 'new', bytes[body + 1],
      ...(end > body + 2 ? propertiesAt(body + 2)[0] : [])].join(' ');
  }
  if (type === 3) {
    const qos = bytes[start]! >> 1 & 3;
    const topicEnd = body + 2 + idAt(body);
    const [properties, payload] = propertiesAt(topicEnd + (qos > 0 ? 2 : 0));
    return [name, `q${qos}`, ...(qos > 0 ? [`id${idAt(topicEnd)}`] : []), ...(bytes[start]! & 8 ? ['dup'] : []),
      ...(bytes[start]! & 1 ? ['retain'] : []), textOf(bytes, body + 2, topicEnd), textOf(bytes, payload, end),
      ...properties].join(' ');
  }
  if (type === 1) {
    const flagsAt = body + 3 + idAt(body);
    const [properties, idStart] = bytes[flagsAt - 1]! < 5 ? [[], flagsAt + 3] : readProperties(bytes, flagsAt + 3);
    const clientId = textOf(bytes, idStart + 2, idStart + 2 + idAt(idStart));
    return [name, bytes[flagsAt]! & 2 ? 'clean' : 'kept', clientId, ...properties].join(' ');
  }
  if (type === 8 || type === 10) {
    const [properties, first] = propertiesAt(body + 2);
    const words = [name, `id${idAt(body)}`];
    for (let at = first; at < end;) {
      const filterEnd = at + 2 + idAt(at);
      words.push(textOf(bytes, at + 2, filterEnd));
      if (type === 8) words.push(String(bytes[filterEnd]));
      at = filterEnd + (type === 8 ? 1 : 0);
    }
    return [...words, ...properties].join(' ');
  }
  if (type === 9 || (type === 11 && level >= 5)) {
    const [properties, first] = propertiesAt(body + 2);
    return [name, `id${idAt(body)}`, Array.from(bytes.slice(first, end)).join(','), ...properties].join(' ');
  }
  const hasId = type >= 4 && type <= 11;
  const reasonAt = body + (hasId ? 2 : 0);
  const words = hasId ? [name, `id${idAt(body)}`] : [name];
  if (reasonAt < end && bytes[reasonAt] !== 0) words.push(`0x${toHex(bytes.slice(reasonAt, reasonAt + 1))}`);
  if (reasonAt + 1 < end) words.push(...propertiesAt(reasonAt + 1)[0]);
  return words.join(' ');
}

/** Properties whose length stands at `at`: `{expiry 5, user a=b}`, or nothing; and where they end. */
function readProperties(bytes: Uint8Array, at: number): [words: string[], end: number] {
  const [length, start] = readVarint(bytes, at);
  const end = start + length;
  const words: string[] = [];
  const uint16At = (from: number): number => bytes[from]! << 8 | bytes[from + 1]!;
  for (let next = start; next < end;) {
    const [, name, form] = PROPERTIES.find((property) => property[0] === bytes[next])!;
    next++;
    let value = '';
    if (form === 'V') {
      const [number, after] = readVarint(bytes, next);
      value = String(number);
      next = after;
    } else if (form === 'T' || form === 'P') {
      const texts: string[] = [];
      for (let i = form === 'P' ? 2 : 1; i > 0; i--) {
        const textEnd = next + 2 + uint16At(next);
        texts.push(textOf(bytes, next + 2, textEnd));
        next = textEnd;
      }
      value = texts.join('=');
    } else {
      let number = 0;
      for (let i = Number(form); i > 0; i--) number = number * 256 + bytes[next++]!;
      value = String(number);
    }
    words.push(`${name} ${value}`);
  }
  return [words.length > 0 ? [`{${words.join(', ')}}`] : [], end];
}

function readVarint(bytes: Uint8Array, at: number): [value: number, end: number] {
  let value = 0;
  let shift = 0;
  while (bytes[at]! > 0x7f) {
    value |= (bytes[at++]! & 0x7f) << shift;
    shift += 7;
  }
  return [value | bytes[at]! << shift, at + 1];
}

/** The packets of that protocol level at the front of `bytes`, in words, and how many bytes they take. */
export function read(bytes: Uint8Array, level = 4): { packets: string[]; used: number } {
  const packets: string[] = [];
  let at = 0;
  while (at + 1 < bytes.length) {
    let body = at + 1;
    let length = 0;
    let shift = 0;
    while (body < bytes.length && bytes[body]! > 0x7f) {
      length |= (bytes[body++]! & 0x7f) << shift;
      shift += 7;
    }
    if (body >= bytes.length) break;
    length |= bytes[body++]! << shift;
    if (body + length > bytes.length) break;
    packets.push(describe(bytes, at, body, body + length, level));
    at = body + length;
  }
  return { packets, used: at };
}
