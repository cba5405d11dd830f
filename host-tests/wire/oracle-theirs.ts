// Plain packets as those of the npm package mqtt-packet, and back. Used by oracle.test.ts.
import mqttPacket, { type Packet as MqttPacket, type QoS } from 'mqtt-packet';
import { PROPERTIES, type PlainProperty } from './plain-properties.js';
import type { Plain } from './random-packets.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Buffer => Buffer.from(text.replace('0x', ''), 'hex');

/** `SESSION_EXPIRY_INTERVAL` as `sessionExpiryInterval`. */
function theirName(name: string): string {
  if (name === 'MAXIMUM_QOS') return 'maximumQoS';
  if (name === 'USER_PROPERTY') return 'userProperties';
  return name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

const ROWS = new Map(PROPERTIES.map((row) => [theirName(row.name), row]));

type Theirs = Record<string, unknown>;

/** One value, or an array from the second on: how mqtt-packet tells properties that are there often. */
function add(to: Theirs, name: string, value: unknown): void {
  const before = to[name];
  to[name] = before === undefined ? value : Array.isArray(before) ? [...before as unknown[], value] : [before, value];
}

function toProperties(properties: readonly PlainProperty[]): { properties?: Theirs } {
  if (properties.length === 0) return {};
  const theirs: Theirs = {};
  for (const [name, first, second] of properties) {
    const key = theirName(name);
    const { format } = ROWS.get(key)!;
    if (format === 'pair') add((theirs[key] ??= {}) as Theirs, first as string, second);
    else if (format === 'binary') theirs[key] = fromHex(first as string);
    else add(theirs, key, format === 'flag' && name !== 'MAXIMUM_QOS' ? first === 1 : first);
  }
  return { properties: theirs };
}

function fromProperties(theirs: object | undefined): PlainProperty[] {
  return Object.entries(theirs ?? {}).flatMap(([key, value]) => {
    const { name, format } = ROWS.get(key)!;
    if (format === 'pair') {
      return Object.entries(value as Theirs).flatMap(([key, values]) =>
        [values].flat().map((value): PlainProperty => [name, key, value as string]));
    }
    if (format === 'binary') return [[name, `0x${hex(value as Buffer)}`] as PlainProperty];
    return [value].flat().map((value): PlainProperty => [name, format === 'flag' ? Number(value) : value as string]);
  });
}

export function toMqttPacket(plain: Plain): MqttPacket {
  switch (plain.cmd) {
    case 'connect': {
      const { level, will, userName, password } = plain;
      return {
        cmd: 'connect', protocolId: level === 3 ? 'MQIsdp' : 'MQTT', protocolVersion: level as 3 | 4 | 5,
        clean: plain.clean, keepalive: plain.keepAlive, clientId: plain.clientId, ...toProperties(plain.properties),
        ...(will && {
          will: {
            topic: will.topic, payload: fromHex(will.payload), qos: will.qos as QoS, retain: will.retain,
            ...toProperties(will.properties),
          },
        }),
        ...(userName !== null && { username: userName }),
        ...(password !== null && { password: fromHex(password) }),
      };
    }
    case 'connack':
      return {
        cmd: 'connack', sessionPresent: plain.present, returnCode: plain.code, reasonCode: plain.code,
        ...toProperties(plain.properties),
      };
    case 'publish':
      return {
        cmd: 'publish', qos: plain.qos as QoS, dup: plain.duplicate, retain: plain.retain, topic: plain.topic,
        payload: fromHex(plain.payload), ...(plain.qos > 0 && { messageId: plain.id }),
        ...toProperties(plain.properties),
      };
    case 'subscribe':
      return {
        cmd: 'subscribe', messageId: plain.id, ...toProperties(plain.properties),
        subscriptions: plain.filters.map(([topic, options]) => ({
          topic, qos: (options & 3) as QoS, nl: (options & 4) !== 0, rap: (options & 8) !== 0, rh: options >> 4,
        })),
      };
    case 'suback':
    case 'unsuback':
      return { cmd: plain.cmd, messageId: plain.id, granted: plain.granted, ...toProperties(plain.properties) };
    case 'unsubscribe':
      return {
        cmd: 'unsubscribe', messageId: plain.id, unsubscriptions: plain.filters, ...toProperties(plain.properties),
      };
    case 'pingreq':
    case 'pingresp':
      return { cmd: plain.cmd };
    case 'disconnect':
    case 'auth':
      return { cmd: plain.cmd, reasonCode: plain.code, ...toProperties(plain.properties) };
    default:
      return { cmd: plain.cmd, messageId: plain.id, reasonCode: plain.code, ...toProperties(plain.properties) };
  }
}

export function fromMqttPacket(packet: MqttPacket): Plain {
  const id = packet.messageId ?? 0;
  const properties = fromProperties((packet as { properties?: object }).properties);
  switch (packet.cmd) {
    case 'connect': {
      const { will, username, password } = packet;
      return {
        cmd: 'connect', level: packet.protocolVersion!, clean: packet.clean!, keepAlive: packet.keepalive!,
        clientId: packet.clientId, properties,
        will: will ? {
          topic: will.topic, payload: hex(will.payload as Buffer), qos: will.qos!, retain: will.retain!,
          properties: fromProperties(will.properties),
        } : null,
        userName: username ?? null, password: password ? hex(password) : null,
      };
    }
    case 'connack':
      return {
        cmd: 'connack', present: packet.sessionPresent, code: packet.returnCode ?? packet.reasonCode!, properties,
      };
    case 'publish':
      return {
        cmd: 'publish', qos: packet.qos, duplicate: packet.dup, retain: packet.retain, topic: packet.topic, id,
        payload: hex(packet.payload as Buffer), properties,
      };
    case 'subscribe':
      return {
        cmd: 'subscribe', id, properties,
        filters: packet.subscriptions.map(({ topic, qos, nl, rap, rh }) =>
          [topic, qos | (nl ? 4 : 0) | (rap ? 8 : 0) | (rh ?? 0) << 4]),
      };
    case 'suback':
    case 'unsuback':
      return { cmd: packet.cmd, id, granted: packet.granted as number[] ?? [], properties };
    case 'unsubscribe':
      return { cmd: 'unsubscribe', id, filters: packet.unsubscriptions, properties };
    case 'pingreq':
    case 'pingresp':
      return { cmd: packet.cmd };
    case 'disconnect':
    case 'auth':
      return { cmd: packet.cmd, code: packet.reasonCode ?? 0, properties };
    default:
      return { cmd: packet.cmd, id, code: packet.reasonCode ?? 0, properties };
  }
}

export function generate(plain: Plain, level: number): Uint8Array {
  return mqttPacket.generate(toMqttPacket(plain), { protocolVersion: level });
}

/** One at a time: behind a DISCONNECT without a body, mqtt-packet takes the next packet for its reason in MQTT 5.0. */
export function parse(bytes: Uint8Array, level: number): Plain {
  const parser = mqttPacket.parser({ protocolVersion: level });
  const all: Plain[] = [];
  parser.on('packet', (packet) => all.push(fromMqttPacket(packet)));
  parser.on('error', (error: Error) => { throw error; });
  const left = parser.parse(Buffer.from(bytes), { protocolVersion: level });
  if (left !== 0 || all.length !== 1) throw new Error(`mqtt-packet finds ${all.length} and leaves ${left} bytes`);
  return all[0]!;
}
