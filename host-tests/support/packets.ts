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

export interface ConnectFields {
  clientId?: Text;
  clean?: boolean;
  keepAlive?: number;
  level?: number;
  will?: { topic: Text; payload: Text; qos?: number; retain?: boolean };
  userName?: Text;
  password?: Text;
}

export function connect(fields: ConnectFields = {}): Uint8Array {
  const { clientId = '', clean = true, keepAlive = 0, level = 4, will, userName, password } = fields;
  let flags = clean ? 2 : 0;
  if (will) flags |= 4 | (will.qos ?? 0) << 3 | (will.retain ? 0x20 : 0);
  if (userName !== undefined) flags |= 0x80;
  if (password !== undefined) flags |= 0x40;
  const parts = [field(level === 3 ? 'MQIsdp' : 'MQTT'), Uint8Array.of(level, flags), uint16(keepAlive),
    field(clientId)];
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
}

export function publish(topic: Text, payload: Text, fields: PublishFields = {}): Uint8Array {
  const { qos = 0, id = 1, retain = false, duplicate = false } = fields;
  const first = 0x30 | qos << 1 | (retain ? 1 : 0) | (duplicate ? 8 : 0);
  return packet(first, field(topic), ...(qos > 0 ? [uint16(id)] : []), ascii(payload));
}

export function subscribe(id: number, ...filters: [filter: Text, qos: number][]): Uint8Array {
  return packet(0x82, uint16(id), ...filters.flatMap(([filter, qos]) => [field(filter), Uint8Array.of(qos)]));
}

export function unsubscribe(id: number, ...filters: Text[]): Uint8Array {
  return packet(0xa2, uint16(id), ...filters.map(field));
}

export const puback = (id: number): Uint8Array => packet(0x40, uint16(id));
export const pubrec = (id: number): Uint8Array => packet(0x50, uint16(id));
export const pubrel = (id: number): Uint8Array => packet(0x62, uint16(id));
export const pubcomp = (id: number): Uint8Array => packet(0x70, uint16(id));
export const unsuback = (id: number): Uint8Array => packet(0xb0, uint16(id));
export const connack = (sessionPresent: boolean, returnCode = 0): Uint8Array =>
  packet(0x20, Uint8Array.of(sessionPresent ? 1 : 0, returnCode));
export const suback = (id: number, ...codes: number[]): Uint8Array =>
  packet(0x90, uint16(id), Uint8Array.from(codes));
export const pingresp = (): Uint8Array => packet(0xd0);
export const pingreq = (): Uint8Array => packet(0xc0);
export const disconnect = (): Uint8Array => packet(0xe0);

function textOf(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}

const NAMES = ['', 'CONNECT', 'CONNACK', 'PUBLISH', 'PUBACK', 'PUBREC', 'PUBREL', 'PUBCOMP', 'SUBSCRIBE', 'SUBACK',
  'UNSUBSCRIBE', 'UNSUBACK', 'PINGREQ', 'PINGRESP', 'DISCONNECT'];

/**
 * One packet in words: `PUBLISH q1 id7 retain maison/salon/temperature 21.4`, `SUBACK id2 1,128`,
 * `SUBSCRIBE id3 maison/# 1`, `CONNECT clean salon`.
 */
function describe(bytes: Uint8Array, start: number, body: number, end: number): string {
  const type = bytes[start]! >> 4;
  const name = NAMES[type]!;
  const idAt = (at: number): number => bytes[at]! << 8 | bytes[at + 1]!;
  if (type === 2) return `${name} ${bytes[body]! & 1 ? 'present' : 'new'} ${bytes[body + 1]}`;
  if (type === 3) {
    const qos = bytes[start]! >> 1 & 3;
    const topicEnd = body + 2 + idAt(body);
    const payload = topicEnd + (qos > 0 ? 2 : 0);
    return [name, `q${qos}`, ...(qos > 0 ? [`id${idAt(topicEnd)}`] : []), ...(bytes[start]! & 8 ? ['dup'] : []),
      ...(bytes[start]! & 1 ? ['retain'] : []), textOf(bytes, body + 2, topicEnd), textOf(bytes, payload, end)].join(' ');
  }
  if (type === 1) {
    const flagsAt = body + 3 + idAt(body);
    const clientId = textOf(bytes, flagsAt + 5, flagsAt + 5 + idAt(flagsAt + 3));
    return [name, bytes[flagsAt]! & 2 ? 'clean' : 'kept', clientId].join(' ');
  }
  if (type === 8 || type === 10) {
    const words = [name, `id${idAt(body)}`];
    for (let at = body + 2; at < end;) {
      const filterEnd = at + 2 + idAt(at);
      words.push(textOf(bytes, at + 2, filterEnd));
      if (type === 8) words.push(String(bytes[filterEnd]));
      at = filterEnd + (type === 8 ? 1 : 0);
    }
    return words.join(' ');
  }
  if (type === 9) return `${name} id${idAt(body)} ${Array.from(bytes.slice(body + 2, end)).join(',')}`;
  return end - body >= 2 ? `${name} id${idAt(body)}` : name;
}

/** The packets at the front of `bytes`, in words, and how many bytes they take. */
export function read(bytes: Uint8Array): { packets: string[]; used: number } {
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
    packets.push(describe(bytes, at, body, body + length));
    at = body + length;
  }
  return { packets, used: at };
}
