// The npm package mqtt-packet as the oracle, both ways, over random packets of every type: what it generates we
// decode to the same fields, what we encode it parses to the same fields, and both write the same bytes.
// Node only. SEED=… repeats a run.
import mqttPacket, { type Packet as MqttPacket, type QoS } from 'mqtt-packet';
import t from 'tap';
import * as codes from '../../src/wire/codes.js';
import { decode, nextFilter } from '../../src/wire/decode.js';
import * as encode from '../../src/wire/encode.js';
import { frame } from '../../src/wire/frame.js';
import { Packet } from '../../src/wire/packet.js';
import { RandomPackets, type Plain, type PlainConnect, type PlainPublish } from './random-packets.js';

const SEED = Number(process.env['SEED'] ?? Date.now() % 0x7fffffff);
const BATCHES = 300;
const BATCH_PACKETS = 20;
const PACKET_BYTES_MAX = 0x10000005;

const NONE = new Uint8Array(0);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Buffer => Buffer.from(text, 'hex');
const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');

const TYPES = {
  puback: codes.PUBACK, pubrec: codes.PUBREC, pubrel: codes.PUBREL, pubcomp: codes.PUBCOMP, unsuback: codes.UNSUBACK,
  pingreq: codes.PINGREQ, pingresp: codes.PINGRESP, disconnect: codes.DISCONNECT,
} as const;

function toMqttPacket(plain: Plain): MqttPacket {
  switch (plain.cmd) {
    case 'connect': {
      const { level, will, userName, password } = plain;
      return {
        cmd: 'connect', protocolId: level === 3 ? 'MQIsdp' : 'MQTT', protocolVersion: level === 3 ? 3 : 4,
        clean: plain.clean, keepalive: plain.keepAlive, clientId: plain.clientId,
        ...(will && { will: { ...will, payload: fromHex(will.payload), qos: will.qos as QoS } }),
        ...(userName !== null && { username: userName }),
        ...(password !== null && { password: fromHex(password) }),
      };
    }
    case 'connack':
      return { cmd: 'connack', sessionPresent: plain.present, returnCode: plain.code };
    case 'publish':
      return {
        cmd: 'publish', qos: plain.qos as QoS, dup: plain.duplicate, retain: plain.retain, topic: plain.topic,
        payload: fromHex(plain.payload), ...(plain.qos > 0 && { messageId: plain.id }),
      };
    case 'subscribe':
      return {
        cmd: 'subscribe', messageId: plain.id,
        subscriptions: plain.filters.map(([topic, qos]) => ({ topic, qos: qos as QoS })),
      };
    case 'suback':
      return { cmd: 'suback', messageId: plain.id, granted: plain.granted };
    case 'unsubscribe':
      return { cmd: 'unsubscribe', messageId: plain.id, unsubscriptions: plain.filters };
    case 'unsuback':
      return { cmd: 'unsuback', messageId: plain.id, granted: [] };
    case 'pingreq':
    case 'pingresp':
    case 'disconnect':
      return { cmd: plain.cmd };
    default:
      return { cmd: plain.cmd, messageId: plain.id };
  }
}

function fromMqttPacket(packet: MqttPacket): Plain {
  const id = packet.messageId ?? 0;
  switch (packet.cmd) {
    case 'connect': {
      const { will, username, password } = packet;
      return {
        cmd: 'connect', level: packet.protocolVersion!, clean: packet.clean!, keepAlive: packet.keepalive!,
        clientId: packet.clientId,
        will: will ? {
          topic: will.topic, payload: hex(will.payload as Buffer), qos: will.qos!, retain: will.retain!,
        } : null,
        userName: username ?? null, password: password ? hex(password) : null,
      };
    }
    case 'connack':
      return { cmd: 'connack', present: packet.sessionPresent, code: packet.returnCode! };
    case 'publish':
      return {
        cmd: 'publish', qos: packet.qos, duplicate: packet.dup, retain: packet.retain, topic: packet.topic, id,
        payload: hex(packet.payload as Buffer),
      };
    case 'subscribe':
      return { cmd: 'subscribe', id, filters: packet.subscriptions.map(({ topic, qos }) => [topic, qos]) };
    case 'suback':
      return { cmd: 'suback', id, granted: packet.granted as number[] };
    case 'unsubscribe':
      return { cmd: 'unsubscribe', id, filters: packet.unsubscriptions };
    case 'pingreq':
    case 'pingresp':
    case 'disconnect':
      return { cmd: packet.cmd };
    case 'auth':
      throw new Error('no such packet in MQTT 3.1.1');
    default:
      return { cmd: packet.cmd, id };
  }
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
    utf8(userName ?? ''), fromHex(password ?? '')] as const;
  const bytes = new Uint8Array(encode.connectBytes(level, flags, ...fields));
  encode.encodeConnect(bytes, 0, level, flags, plain.keepAlive, ...fields);
  return bytes;
}

function encodePublish(plain: PlainPublish): Uint8Array {
  const topic = utf8(plain.topic);
  const payload = fromHex(plain.payload);
  const source = topic.length + payload.length;
  const bytes = new Uint8Array(source + encode.publishBytes(topic.length, payload.length, plain.qos));
  bytes.set(topic);
  bytes.set(payload, topic.length);
  const flags = (plain.duplicate ? 8 : 0) | plain.qos << 1 | (plain.retain ? 1 : 0);
  encode.encodePublish(bytes, source, flags, plain.id, 0, topic.length, topic.length, source);
  return bytes.slice(source);
}

function encodeFilters(type: number, id: number, filters: readonly (readonly [string, number])[]): Uint8Array {
  const optionBytes = type === codes.SUBSCRIBE ? 1 : 0;
  const listBytes = filters.reduce((total, [filter]) => total + 2 + utf8(filter).length + optionBytes, 0);
  const bytes = new Uint8Array(encode.packetBytes(listBytes + 2));
  let at = encode.encodeFiltersHeader(bytes, 0, type, id, listBytes);
  for (const [filter, qos] of filters) {
    at = encode.encodeField(bytes, at, utf8(filter));
    if (optionBytes > 0) bytes[at++] = qos;
  }
  return bytes;
}

function encodeOurs(plain: Plain): Uint8Array {
  switch (plain.cmd) {
    case 'connect':
      return encodeConnect(plain);
    case 'publish':
      return encodePublish(plain);
    case 'subscribe':
      return encodeFilters(codes.SUBSCRIBE, plain.id, plain.filters);
    case 'unsubscribe':
      return encodeFilters(codes.UNSUBSCRIBE, plain.id, plain.filters.map((filter) => [filter, 0] as const));
    case 'suback': {
      const bytes = new Uint8Array(encode.packetBytes(plain.granted.length + 2));
      bytes.set(plain.granted, encode.encodeSubackHeader(bytes, 0, plain.id, plain.granted.length));
      return bytes;
    }
    case 'connack': {
      const bytes = new Uint8Array(encode.SHORT_PACKET_BYTES);
      encode.encodeConnack(bytes, 0, plain.present, plain.code);
      return bytes;
    }
    case 'pingreq':
    case 'pingresp':
    case 'disconnect': {
      const bytes = new Uint8Array(encode.EMPTY_PACKET_BYTES);
      encode.encodeEmpty(bytes, 0, TYPES[plain.cmd]);
      return bytes;
    }
    default: {
      const bytes = new Uint8Array(encode.SHORT_PACKET_BYTES);
      encode.encodeAcknowledgement(bytes, 0, TYPES[plain.cmd], plain.id);
      return bytes;
    }
  }
}

/** What our decoder made of a packet. */
function decoded(bytes: Uint8Array, packet: Packet): Plain {
  const text = (start: number, end: number): string => Buffer.from(bytes.slice(start, end)).toString('utf8');
  const raw = (start: number, end: number): string => hex(bytes.slice(start, end));
  const id = packet.packetId;
  switch (packet.type) {
    case codes.CONNECT: {
      const flags = packet.connectFlags;
      const will = {
        topic: text(packet.willTopicStart, packet.willTopicEnd),
        payload: raw(packet.willPayloadStart, packet.willPayloadEnd),
        qos: flags >> codes.CONNECT_WILL_QOS_SHIFT & 3, retain: (flags & codes.CONNECT_WILL_RETAIN) !== 0,
      };
      return {
        cmd: 'connect', level: packet.protocolLevel, clean: (flags & codes.CONNECT_CLEAN_SESSION) !== 0,
        keepAlive: packet.keepAliveSeconds, clientId: text(packet.clientIdStart, packet.clientIdEnd),
        will: (flags & codes.CONNECT_WILL) !== 0 ? will : null,
        userName: (flags & codes.CONNECT_USER_NAME) !== 0 ? text(packet.userNameStart, packet.userNameEnd) : null,
        password: (flags & codes.CONNECT_PASSWORD) !== 0 ? raw(packet.passwordStart, packet.passwordEnd) : null,
      };
    }
    case codes.CONNACK:
      return { cmd: 'connack', present: packet.sessionPresent, code: packet.returnCode };
    case codes.PUBLISH:
      return {
        cmd: 'publish', qos: packet.qos, duplicate: packet.duplicate, retain: packet.retain,
        topic: text(packet.topicStart, packet.topicEnd), id: packet.qos > 0 ? id : 0,
        payload: raw(packet.payloadStart, packet.payloadEnd),
      };
    case codes.SUBSCRIBE:
    case codes.UNSUBSCRIBE: {
      const filters: [string, number][] = [];
      while (nextFilter(bytes, packet)) filters.push([text(packet.filterStart, packet.filterEnd), packet.filterQos]);
      if (filters.length !== packet.filterCount) throw new Error(`${packet.filterCount} filters announced`);
      if (packet.type === codes.SUBSCRIBE) return { cmd: 'subscribe', id, filters };
      return { cmd: 'unsubscribe', id, filters: filters.map(([filter]) => filter) };
    }
    case codes.SUBACK:
      return { cmd: 'suback', id, granted: [...bytes.slice(packet.listStart, packet.listEnd)] };
    default: {
      const names = Object.keys(TYPES) as (keyof typeof TYPES)[];
      const cmd = names.find((name) => TYPES[name] === packet.type)!;
      return cmd === 'pingreq' || cmd === 'pingresp' || cmd === 'disconnect' ? { cmd } : { cmd, id };
    }
  }
}

/** Takes every packet out of `bytes` with one record, as a broker does. */
function decodeAll(bytes: Uint8Array): Plain[] {
  const packet = new Packet();
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

function parseAll(bytes: Uint8Array): Plain[] {
  const parser = mqttPacket.parser();
  const all: Plain[] = [];
  parser.on('packet', (packet) => all.push(fromMqttPacket(packet)));
  parser.on('error', (error: Error) => { throw error; });
  const left = parser.parse(Buffer.from(bytes), { protocolVersion: 4 });
  if (left !== 0) throw new Error(`mqtt-packet leaves ${left} bytes`);
  return all;
}

t.test(`${BATCHES * BATCH_PACKETS} random packets agree with mqtt-packet, SEED=${SEED}`, (t) => {
  const random = new RandomPackets(SEED);
  const seen = new Set<string>();
  const problems: string[] = [];
  for (let batch = 0; batch < BATCHES && problems.length === 0; batch++) {
    const plains = Array.from({ length: BATCH_PACKETS }, () => random.next());
    for (const { cmd } of plains) seen.add(cmd);
    const wanted = plains.map((plain) => JSON.stringify(plain));
    const theirs = plains.map((plain) => mqttPacket.generate(toMqttPacket(plain)));
    const ours = plains.map(encodeOurs);
    const both = [
      ['we decode what mqtt-packet generates', decodeAll(Buffer.concat(theirs))],
      ['mqtt-packet parses what we encode', parseAll(Buffer.concat(ours))],
    ] as const;
    for (let i = 0; i < BATCH_PACKETS; i++) {
      for (const [title, plain] of both) {
        const found = sorted(plain[i]);
        if (found !== sorted(plains[i])) problems.push(`batch ${batch}: ${title}: ${found}, wanted ${wanted[i]}`);
      }
      if (hex(theirs[i]!) !== hex(ours[i]!)) problems.push(`batch ${batch}: bytes of ${wanted[i]}: ${hex(ours[i]!)}`);
    }
  }
  t.equal(problems.join('\n'), '', `SEED=${SEED}`);
  t.equal(seen.size, 14, 'every type has come up');
  t.end();
});

/** As JSON with its keys in one order. */
function sorted(plain: Plain | undefined): string {
  return JSON.stringify(plain, (_, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
  });
}
