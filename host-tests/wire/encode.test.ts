// What the encoder writes, byte for byte, against packets built by plain code, and what it leaves alone.
// Runs on Node and on XS alike.
import t from 'tap';
import {
  CONNECT_PASSWORD, CONNECT_USER_NAME, CONNECT_WILL, DISCONNECT, LEVEL_3_1,
  AUTH, LEVEL_3_1_1, LEVEL_5, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBREC, PUBREL, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE,
} from '../../src/wire/codes.js';
import {
  EMPTY_PACKET_BYTES, REASON_PACKET_BYTES, REMAINING_LENGTH_MAX, SHORT_PACKET_BYTES, connectBytes,
  encodeAcknowledgement, encodeConnack, encodeConnect, encodeEmpty, encodeField, encodeFiltersHeader, encodeHeader,
  encodeProperties, encodePublish, encodePublishBody, encodeReason, encodeUint16, packetBytes,
  propertiesBytes, publishBytes,
} from '../../src/wire/encode.js';
import * as packets from '../support/packets.js';

/** Where the source of a PUBLISH lies, and where the target begins. */
const SOURCE = 8;
const GUARD_BYTES = 16;

/**
 * The bytes that `write` puts into a range of `size` bytes, as hex, or what went wrong: another end returned,
 * a byte outside changed, or a byte inside not written. `source` lies at SOURCE, before the range.
 */
function written(size: number, write: (bytes: Uint8Array, at: number) => number, source?: Uint8Array): string {
  const sourceBytes = source ? source.length : 0;
  const at = SOURCE + sourceBytes + GUARD_BYTES;
  const found: string[] = [];
  for (const guard of [0xa5, 0x5a]) {
    const bytes = new Uint8Array(at + size + GUARD_BYTES).fill(guard);
    if (source) bytes.set(source, SOURCE);
    const end = write(bytes, at);
    if (end !== at + size) return `returns ${end - at}, announced ${size}`;
    for (let i = 0; i < bytes.length; i++) {
      const inSource = i >= SOURCE && i < SOURCE + sourceBytes;
      if (i >= at && i < end) continue;
      if (bytes[i] !== (inSource ? source![i - SOURCE] : guard)) return `byte ${i - at} of ${size} changed`;
    }
    found.push(packets.toHex(bytes.slice(at, end)));
  }
  return found[0] === found[1] ? found[0]! : `not all written: ${found[0]} and ${found[1]}`;
}

const BOUNDARIES: readonly [remaining: number, bytes: number][] = [
  [0, 1], [1, 1], [127, 1], [128, 2], [16383, 2], [16384, 3], [2097151, 3], [2097152, 4], [268435455, 4],
];

t.test('[3.1.1 table 2.4] the header has the remaining length in one to four bytes', (t) => {
  for (const [remaining, bytes] of BOUNDARIES) {
    t.equal(packetBytes(remaining), 1 + bytes + remaining, `packetBytes of ${remaining}`);
    let wanted = '30';
    for (let rest = remaining, i = 0; i < bytes; i++, rest = Math.floor(rest / 128)) {
      const digit = rest % 128 + (i < bytes - 1 ? 128 : 0);
      wanted += (digit < 16 ? '0' : '') + digit.toString(16);
    }
    t.equal(written(1 + bytes, (target, at) => encodeHeader(target, at, 0x30, remaining)), wanted,
      `header of ${remaining}`);
  }
  t.equal(REMAINING_LENGTH_MAX, 268435455, 'the largest');
  t.end();
});

t.test('[3.1.1 section 1.5.2] integers are written high byte first', (t) => {
  for (const [value, hex] of [[0, '0000'], [1, '0001'], [255, '00ff'], [256, '0100'], [65535, 'ffff']] as const) {
    t.equal(written(2, (bytes, at) => encodeUint16(bytes, at, value)), hex, hex);
  }
  t.end();
});

t.test('[3.1.1 section 1.5.3] a field has its length before it', (t) => {
  for (const size of [0, 1, 127, 255, 256, 300]) {
    const field = new Uint8Array(size).fill(0x61);
    const wanted = packets.toHex(packets.concat(Uint8Array.of(size >> 8, size & 0xff), field));
    t.equal(written(2 + size, (bytes, at) => encodeField(bytes, at, field)), wanted, `${size} bytes`);
  }
  t.end();
});

function publishProblem(topic: Uint8Array, payload: Uint8Array, flags: number, id: number): string {
  const qos = flags >> 1 & 3;
  const source = packets.concat(topic, payload);
  const middle = SOURCE + topic.length;
  const found = written(publishBytes(topic.length, payload.length, qos), (bytes, at) =>
    encodePublish(bytes, at, flags, id, SOURCE, middle, middle, middle + payload.length), source);
  const wanted = packets.toHex(packets.publish(topic, payload,
    { qos, id, retain: (flags & 1) !== 0, duplicate: (flags & 8) !== 0 }));
  if (found === wanted) return '';
  const sizes = `${topic.length} + ${payload.length} bytes, flags ${flags}`;
  return `${sizes}: ${found.slice(0, 80)}, wanted ${wanted.slice(0, 80)}`;
}

t.test('[3.1.1 section 3.3] PUBLISH with every combination of flags', (t) => {
  const topic = packets.ascii('maison/salon/temperature');
  for (const flags of [0, 1, 2, 3, 4, 5, 10, 11, 12, 13]) {
    for (const id of [1, 255, 256, 65535]) {
      t.equal(publishProblem(topic, packets.ascii('21.4'), flags, id), '', `flags ${flags}, identifier ${id}`);
    }
  }
  t.equal(publishProblem(packets.ascii('a'), new Uint8Array(0), 0, 0), '', 'an empty payload at QoS 0');
  t.equal(publishProblem(packets.ascii('a'), new Uint8Array(0), 4, 1), '', 'an empty payload at QoS 2');
  t.end();
});

t.test('[3.1.1 section 2.2.3] PUBLISH around the boundaries of the remaining length', (t) => {
  const topic = packets.ascii('a/b');
  const problems: string[] = [];
  for (const remaining of [127, 128, 16383, 16384]) {
    for (const flags of [0, 2]) {
      const payload = new Uint8Array(remaining - (flags === 0 ? 5 : 7)).fill(0x7e);
      problems.push(publishProblem(topic, payload, flags, 7));
    }
  }
  problems.push(publishProblem(new Uint8Array(65535).fill(0x61), packets.ascii('x'), 2, 7));
  t.equal(problems.filter((problem) => problem !== '').join('\n'), '', 'nine packets');
  t.equal(publishBytes(3, 2097146, 0), 2097155, 'the last size with three length bytes');
  t.equal(publishBytes(3, 2097147, 0), 2097157, 'the first size with four');
  t.equal(publishBytes(3, 2097144, 1), 2097155, 'the last size with three length bytes, with an identifier');
  t.equal(publishBytes(3, 2097145, 2), 2097157, 'the first size with four, with an identifier');
  t.end();
});

t.test('[3.1.1 section 3.3] PUBLISH from a body that stands as it is to be sent', (t) => {
  for (const payloadBytes of [0, 4, 124, 125, 16380, 16381]) {
    const payload = new Uint8Array(payloadBytes).fill(0x7e);
    const body = packets.concat(Uint8Array.of(0, 1, 0x61), payload);
    for (const retain of [false, true]) {
      const found = written(publishBytes(1, payloadBytes, 0), (bytes, at) =>
        encodePublishBody(bytes, at, retain ? 1 : 0, SOURCE, SOURCE + body.length), body);
      t.ok(found === packets.toHex(packets.publish('a', payload, { retain })),
        `${payloadBytes} bytes of payload${retain ? ', retained' : ''}`);
    }
  }
  t.end();
});

t.test('acknowledgements', (t) => {
  const build = [[PUBACK, packets.puback], [PUBREC, packets.pubrec], [PUBREL, packets.pubrel],
    [PUBCOMP, packets.pubcomp], [UNSUBACK, (id: number) => packets.packet(0xb0, Uint8Array.of(id >> 8, id))]] as const;
  for (const [type, wanted] of build) {
    for (const id of [1, 255, 256, 65535]) {
      t.equal(written(SHORT_PACKET_BYTES, (bytes, at) => encodeAcknowledgement(bytes, at, type, id)),
        packets.toHex(wanted(id)), `${type === PUBREL ? '[MQTT-3.6.1-1] ' : ''}type ${type}, identifier ${id}`);
    }
  }
  t.end();
});

t.test('PINGREQ, PINGRESP and DISCONNECT', (t) => {
  for (const [type, hex] of [[PINGREQ, 'c000'], [PINGRESP, 'd000'], [DISCONNECT, 'e000']] as const) {
    t.equal(written(EMPTY_PACKET_BYTES, (bytes, at) => encodeEmpty(bytes, at, type)), hex, hex);
  }
  t.end();
});

t.test('[3.1.1 section 3.2] CONNACK', (t) => {
  for (let code = 0; code <= 5; code++) {
    t.equal(written(SHORT_PACKET_BYTES, (bytes, at) => encodeConnack(bytes, at, false, code)), `2002000${code}`,
      `return code ${code}`);
  }
  t.equal(written(SHORT_PACKET_BYTES, (bytes, at) => encodeConnack(bytes, at, true, 0)), '20020100',
    '[MQTT-3.2.2-2] session present');
  t.end();
});

t.test('[3.1.1 section 3.9] SUBACK', (t) => {
  for (const count of [1, 2, 125, 126, 300]) {
    const codes = new Uint8Array(count).map((_, index) => [0, 1, 2, 0x80][index % 4]!);
    const found = written(packetBytes(count + 2), (bytes, at) => {
      at = encodeUint16(bytes, encodeHeader(bytes, at, 0x90, count + 2), 513);
      bytes.set(codes, at);
      return at + count;
    });
    t.equal(found, packets.toHex(packets.packet(0x90, Uint8Array.of(2, 1), codes)), `${count} return codes`);
  }
  t.end();
});

t.test('[3.1.1 sections 3.8, 3.10] SUBSCRIBE and UNSUBSCRIBE', (t) => {
  for (const count of [1, 2, 20]) {
    const filters = Array.from({ length: count }, (_, index) => packets.ascii(`maison/piece-${index}/#`));
    const filterBytes = filters.reduce((total, filter) => total + filter.length + 2, 0);
    const subscribe = written(packetBytes(2 + filterBytes + count), (bytes, at) => {
      at = encodeFiltersHeader(bytes, at, SUBSCRIBE, 258, filterBytes + count);
      filters.forEach((filter, index) => {
        at = encodeField(bytes, at, filter);
        bytes[at++] = index % 3;
      });
      return at;
    });
    t.equal(subscribe, packets.toHex(packets.subscribe(258,
      ...filters.map((filter, index): [Uint8Array, number] => [filter, index % 3]))), `SUBSCRIBE to ${count}`);
    const unsubscribe = written(packetBytes(2 + filterBytes), (bytes, at) => {
      at = encodeFiltersHeader(bytes, at, UNSUBSCRIBE, 65535, filterBytes);
      for (const filter of filters) at = encodeField(bytes, at, filter);
      return at;
    });
    t.equal(unsubscribe, packets.toHex(packets.unsubscribe(65535, ...filters)), `UNSUBSCRIBE from ${count}`);
  }
  t.end();
});

t.test('5.0 section 3.4: a reason code and nothing more', (t) => {
  for (const [type, id, code, hex] of [[PUBACK, 7, 0x10, '4003000710'], [PUBREC, 65535, 0x97, '5003ffff97'],
    [PUBREL, 256, 0x92, '6203010092'], [PUBCOMP, 1, 0x92, '7003000192'], [DISCONNECT, 0, 0x8e, 'e0018e'],
    [AUTH, 0, 0x18, 'f00118']] as const) {
    t.ok(hex.length / 2 <= REASON_PACKET_BYTES, 'within its size');
    t.equal(written(hex.length / 2, (bytes, at) => encodeReason(bytes, at, type, id, code)), hex, hex);
  }
  t.end();
});

t.test('5.0 [MQTT-2.2.2-1]: properties behind their length, 0 for none', (t) => {
  for (const size of [0, 1, 127, 128, 300]) {
    const properties = new Uint8Array(size).fill(0x26);
    const length = size < 128 ? Uint8Array.of(size) : Uint8Array.of(size & 0x7f | 0x80, size >> 7);
    t.equal(written(propertiesBytes(size), (bytes, at) => encodeProperties(bytes, at, properties)),
      packets.toHex(packets.concat(length, properties)), `${size} bytes`);
  }
  t.end();
});

interface ConnectCase {
  flags: number;
  level: number;
  clientId: Uint8Array;
  keepAlive: number;
}

/** A CONNECT, built by plain code: `properties` and `willProperties` at level 5, each behind its one byte of length. */
function plainConnect({ flags, level, clientId, keepAlive }: ConnectCase, fields: readonly Uint8Array[]): Uint8Array {
  const [topic, payload, user, password, properties, willProperties] = fields as
    [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const field = (bytes: Uint8Array): Uint8Array =>
    packets.concat(Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes);
  const list = (bytes: Uint8Array): Uint8Array =>
    level === LEVEL_5 ? packets.concat(Uint8Array.of(bytes.length), bytes) : new Uint8Array(0);
  const parts = [field(packets.ascii(level === LEVEL_3_1 ? 'MQIsdp' : 'MQTT')),
    Uint8Array.of(level, flags, keepAlive >> 8, keepAlive & 0xff), list(properties), field(clientId)];
  if ((flags & CONNECT_WILL) !== 0) parts.push(list(willProperties), field(topic), field(payload));
  if ((flags & CONNECT_USER_NAME) !== 0) parts.push(field(user));
  if ((flags & CONNECT_PASSWORD) !== 0) parts.push(field(password));
  return packets.packet(0x10, ...parts);
}

/** Fields that the flags or the level do not announce are given all the same: they must not be written. */
function connectProblem(given: ConnectCase): string {
  const { flags, level, clientId, keepAlive } = given;
  const fields = ['etat', 'parti', 'moi', 'secret', 'ppp', 'wwwwww'].map(packets.ascii) as
    [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const found = written(connectBytes(level, flags, clientId, ...fields), (bytes, at) =>
    encodeConnect(bytes, at, level, flags, keepAlive, clientId, ...fields));
  const wanted = packets.toHex(plainConnect(given, fields));
  return found === wanted ? '' : `flags ${flags}, level ${level}: ${found}, wanted ${wanted}`;
}

t.test('[MQTT-3.1.3-1], 5.0 [MQTT-3.1.3-1]: CONNECT with every combination of flags', (t) => {
  for (const level of [LEVEL_5, LEVEL_3_1_1, LEVEL_3_1]) {
    const problems: string[] = [];
    for (let flags = 0; flags < 256; flags += 2) {
      const willBits = flags & 0x38;
      if ((flags & CONNECT_WILL) === 0 && willBits !== 0 || (willBits & 0x18) === 0x18) continue;
      problems.push(connectProblem({ flags, level, clientId: packets.ascii('salon'), keepAlive: 60 }));
    }
    t.equal(problems.filter((problem) => problem !== '').join('\n'), '', `${problems.length} at level ${level}`);
  }
  const none = new Uint8Array(0);
  for (const size of [0, 1, 115, 116, 300]) {
    const clientId = new Uint8Array(size).fill(0x7a);
    for (const level of [LEVEL_5, LEVEL_3_1_1]) {
      t.equal(connectProblem({ flags: 2, level, clientId, keepAlive: 65535 }), '',
        `client identifier of ${size} bytes at level ${level}`);
    }
  }
  t.equal(connectBytes(4, 0xc6, none, none, none, none, none, none, none), 14 + 8, 'empty fields have their lengths');
  t.equal(connectBytes(5, 0xc6, none, none, none, none, none, none, none), 14 + 10, 'and so have empty properties');
  t.end();
});
