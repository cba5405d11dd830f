// Rules on single bytes, exhaustively: connect flags, return codes, requested QoS, identifiers, lengths.
// Whole packets are in vectors.test.ts. Runs on Node and on XS alike.
import t from 'tap';
import { MALFORMED, OK, PROTOCOL_ERROR, UNSUPPORTED_LEVEL } from '../../src/wire/codes.js';
import { decode, nextFilter, rewindFilters } from '../../src/wire/decode.js';
import { frame } from '../../src/wire/frame.js';
import { Packet } from '../../src/wire/packet.js';
import * as packets from '../support/packets.js';

function outcomeOf(bytes: Uint8Array, packet: Packet): number {
  const end = frame(bytes, 0, bytes.length, 1024, packet);
  return end < 0 ? end : decode(bytes, packet);
}

function text(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.slice(start, end));
}

/** A CONNECT with exactly the fields that `flags` announce; at level 5 without properties. */
function connectWith(flags: number, name = 'MQTT', level = 4): Uint8Array {
  const field = (value: string): Uint8Array => packets.concat(Uint8Array.of(0, value.length), packets.ascii(value));
  const none = new Uint8Array((level & 0x7f) === 5 ? 1 : 0);
  const parts = [field(name), Uint8Array.of(level, flags, 0, 60), none, field('salon')];
  if ((flags & 0x04) !== 0) parts.push(none, field('etat'), field('parti'));
  if ((flags & 0x80) !== 0) parts.push(field('moi'));
  if ((flags & 0x40) !== 0) parts.push(field('secret'));
  return packets.packet(0x10, ...parts);
}

/** What decoding makes of the 256 bytes of connect flags, each with the fields it announces. */
function flagProblems(level: number): string[] {
  const problems: string[] = [];
  const packet = new Packet();
  for (let flags = 0; flags < 256; flags++) {
    const will = (flags & 4) !== 0;
    const qos = flags >> 3 & 3;
    const wrong = flags % 2 === 1 || qos === 3 || !will && (qos > 0 || (flags & 0x20) !== 0) ||
      level < 5 && (flags & 0xc0) === 0x40;
    packet.protocolLevel = 0;
    const bytes = connectWith(flags, 'MQTT', level);
    const outcome = outcomeOf(bytes, packet);
    if (outcome !== (wrong ? MALFORMED : OK)) problems.push(`${flags}: ${outcome}`);
    if (outcome !== OK) continue;
    const found = [
      text(bytes, packet.clientIdStart, packet.clientIdEnd),
      text(bytes, packet.willTopicStart, packet.willTopicEnd),
      text(bytes, packet.willPayloadStart, packet.willPayloadEnd),
      text(bytes, packet.userNameStart, packet.userNameEnd),
      text(bytes, packet.passwordStart, packet.passwordEnd),
    ];
    const wanted = ['salon', will ? 'etat' : '', will ? 'parti' : '', flags > 127 ? 'moi' : '',
      (flags & 0x40) !== 0 ? 'secret' : ''];
    if (found.join() !== wanted.join()) problems.push(`${flags}: ${found}, wanted ${wanted}`);
  }
  return problems;
}

t.test('[MQTT-3.1.2-3] [MQTT-3.1.2-11] [MQTT-3.1.2-14] [MQTT-3.1.2-22] every byte of connect flags', (t) => {
  t.same(flagProblems(4), [], '256 bytes, each with the fields it announces');
  t.end();
});

t.test('5.0 [MQTT-3.1.2-3], [MQTT-3.1.2-11], [MQTT-3.1.2-12], [MQTT-3.1.2-13]: every byte of connect flags', (t) => {
  t.same(flagProblems(5), [], '256 bytes; here a password needs no user name');
  t.end();
});

t.test('[MQTT-3.1.2-2] every protocol level', (t) => {
  for (const [name, own] of [['MQTT', [4, 5]], ['MQIsdp', [3]]] as const) {
    const problems: string[] = [];
    const packet = new Packet();
    for (let level = 0; level < 256; level++) {
      const outcome = outcomeOf(connectWith(2, name, level), packet);
      const plain = own.find((own) => level === own || level === own + 0x80);
      if (outcome !== (plain ? OK : UNSUPPORTED_LEVEL)) problems.push(`${level}: ${outcome}`);
      if (outcome === OK && packet.protocolLevel !== plain) problems.push(`${level}: read as ${packet.protocolLevel}`);
    }
    t.equal(problems.join('\n'), '', `256 levels of ${name}: ${own.join(' and ')} are taken, also for a bridge`);
  }
  t.end();
});

t.test('[MQTT-3.1.2-1] every change of one byte in the protocol name', (t) => {
  for (const name of ['MQTT', 'MQIsdp']) {
    const problems: string[] = [];
    const good = connectWith(2, name, name === 'MQTT' ? 4 : 3);
    for (let at = 4; at < 4 + name.length; at++) {
      for (let value = 0; value < 256; value++) {
        const bytes = good.slice();
        bytes[at] = value;
        const outcome = outcomeOf(bytes, new Packet());
        if (outcome !== (value === good[at] ? OK : PROTOCOL_ERROR)) problems.push(`${at}, ${value}: ${outcome}`);
      }
    }
    t.equal(problems.join('\n'), '', name);
  }
  t.end();
});

t.test('[MQTT-3.2.2-4] every body of CONNACK', (t) => {
  const problems: string[] = [];
  const packet = new Packet();
  packet.protocolLevel = 4;
  const bytes = Uint8Array.of(0x20, 2, 0, 0);
  for (let flags = 0; flags < 256; flags++) {
    for (let code = 0; code < 256; code++) {
      bytes[2] = flags;
      bytes[3] = code;
      const wanted = flags > 1 ? MALFORMED : flags === 1 && code > 0 ? PROTOCOL_ERROR : code > 5 ? MALFORMED : OK;
      const outcome = outcomeOf(bytes, packet);
      if (outcome !== wanted && problems.length < 5) problems.push(`${flags} ${code}: ${outcome}`);
      if (outcome === OK && (packet.sessionPresent !== (flags === 1) || packet.reasonCode !== code)) {
        problems.push(`${flags} ${code}: fields`);
      }
    }
  }
  t.equal(problems.join('\n'), '', '65,536 bodies');
  t.end();
});

t.test('[MQTT-3.8.3-4] [MQTT-3.9.3-2] every byte of requested QoS and of return code', (t) => {
  const problems: string[] = [];
  const packet = new Packet();
  packet.protocolLevel = 4;
  for (let value = 0; value < 256; value++) {
    const subscribed = outcomeOf(packets.subscribe(1, ['a', 1], ['b', value]), packet);
    if (subscribed !== (value <= 2 ? OK : MALFORMED)) problems.push(`SUBSCRIBE ${value}: ${subscribed}`);
    const granted = outcomeOf(packets.packet(0x90, Uint8Array.of(0, 1, 2, value)), packet);
    if (granted !== (value <= 2 || value === 0x80 ? OK : MALFORMED)) problems.push(`SUBACK ${value}: ${granted}`);
  }
  t.equal(problems.join('\n'), '', '256 each');
  t.end();
});

t.test('5.0 [MQTT-3.8.3-5]: every byte of subscription options', (t) => {
  const problems: string[] = [];
  const packet = new Packet();
  packet.protocolLevel = 5;
  for (let value = 0; value < 256; value++) {
    const bytes = packets.packet(0x82, Uint8Array.of(0, 1, 0, 0, 1, 0x61, value));
    const outcome = outcomeOf(bytes, packet);
    const wanted = value > 0x3f ? MALFORMED : value % 4 === 3 || value >= 0x30 ? PROTOCOL_ERROR : OK;
    if (outcome !== wanted) problems.push(`${value}: ${outcome}`);
    if (outcome !== OK) continue;
    nextFilter(bytes, packet);
    if (packet.filterOptions !== value || packet.filterQos !== value % 4) problems.push(`${value} misread`);
  }
  t.same(problems, [], '256 bytes');
  t.end();
});

/** MQTT 5.0: the reason codes of each type, from the table of its section; in front of the code, what else is there. */
const REASONS: readonly [first: number, before: number[], codes: number[]][] = [
  [0x20, [0], [0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a,
    0x9b, 0x9c, 0x9d, 0x9f]],
  [0x40, [0, 1], [0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]],
  [0x50, [0, 1], [0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]],
  [0x62, [0, 1], [0, 0x92]],
  [0x70, [0, 1], [0, 0x92]],
  [0xf0, [], [0, 0x18, 0x19]],
];

t.test('5.0 [MQTT-3.2.2-8], [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1], [MQTT-3.15.2-1]: ' +
  'every byte', (t) => {
  const packet = new Packet();
  packet.protocolLevel = 5;
  for (const [first, before, codes] of REASONS) {
    const problems: string[] = [];
    for (let code = 0; code < 256; code++) {
      for (const properties of first === 0x20 ? [[0]] : [[], [0]]) {
        const outcome = outcomeOf(packets.packet(first, Uint8Array.of(...before, code, ...properties)), packet);
        if (outcome !== (codes.includes(code) ? OK : PROTOCOL_ERROR)) problems.push(`${code}: ${outcome}`);
        if (outcome === OK && packet.reasonCode !== code) problems.push(`${code} read as ${packet.reasonCode}`);
      }
    }
    t.same(problems, [], `256 reason codes of type ${first >> 4}`);
  }
  t.end();
});

t.test('[MQTT-2.3.1-1] every packet identifier in every type that carries one', (t) => {
  const templates = [packets.publish('a', 'x', { qos: 1 }), packets.publish('a', 'x', { qos: 2 }), packets.puback(1),
    packets.pubrec(1), packets.pubrel(1), packets.pubcomp(1), packets.subscribe(1, ['a', 0]),
    packets.unsubscribe(1, 'a'), packets.packet(0x90, Uint8Array.of(0, 1, 0)),
    packets.packet(0xb0, Uint8Array.of(0, 1))];
  const packet = new Packet();
  packet.protocolLevel = 4;
  for (const bytes of templates) {
    const type = bytes[0]! >> 4;
    const at = type === 3 ? 5 : 2;
    const problems: string[] = [];
    for (let id = 0; id < 65536; id += id < 300 || id > 65300 ? 1 : 97) {
      bytes[at] = id >> 8;
      bytes[at + 1] = id;
      const outcome = outcomeOf(bytes, packet);
      if (outcome !== (id === 0 ? PROTOCOL_ERROR : OK)) problems.push(`${id}: ${outcome}`);
      else if (packet.packetId !== id) problems.push(`${id} read as ${packet.packetId}`);
    }
    t.equal(problems.slice(0, 5).join('\n'), '', `type ${type}`);
  }
  t.end();
});

t.test('[MQTT-2.3.1-5] a PUBLISH at QoS 0 has no packet identifier: 0, whatever came before', (t) => {
  const packet = new Packet();
  packet.protocolLevel = 4;
  t.equal(outcomeOf(packets.puback(7), packet), OK, 'PUBACK 7');
  t.equal(outcomeOf(packets.publish('a', 'x'), packet), OK, 'PUBLISH at QoS 0');
  t.equal(packet.packetId, 0, 'packetId, as packet.ts has it');
  t.end();
});

t.test('5.0 [MQTT-4.7.3-3]: topics and filters of up to 65,535 bytes', (t) => {
  const packet = new Packet();
  packet.protocolLevel = 5;
  for (const size of [1, 127, 128, 16384, 65535]) {
    const topic = packets.concat(Uint8Array.of(size >> 8, size & 0xff), new Uint8Array(size).fill(0x61));
    const parts: readonly [first: number, body: Uint8Array[]][] = [
      [0x30, [topic, Uint8Array.of(0)]], [0x82, [Uint8Array.of(0, 1, 0), topic, Uint8Array.of(1)]],
      [0xa2, [Uint8Array.of(0, 1, 0), topic]],
    ];
    for (const [first, body] of parts) {
      const bytes = packets.packet(first, ...body);
      frame(bytes, 0, bytes.length, 70_000, packet);
      t.equal(decode(bytes, packet), OK, `type ${first >> 4}, ${size} bytes`);
      if (first !== 0x30) nextFilter(bytes, packet);
      t.equal(first === 0x30 ? packet.topicEnd - packet.topicStart : packet.filterEnd - packet.filterStart, size);
    }
  }
  t.end();
});

t.test('every length of a body, zeros and ones: only packets of the right length are taken', (t) => {
  const right: Record<number, number> =
    { 0x20: 2, 0x40: 2, 0x50: 2, 0x62: 2, 0x70: 2, 0xb0: 2, 0xc0: 0, 0xd0: 0, 0xe0: 0 };
  const packet = new Packet();
  packet.protocolLevel = 4;
  const problems: string[] = [];
  for (const first of Object.keys(right).map(Number)) {
    for (let length = 0; length <= 300; length++) {
      const body = new Uint8Array(length);
      if (length >= 2 && first !== 0x20) body[1] = 1;
      const outcome = outcomeOf(packets.packet(first, body), packet);
      const wanted = length === right[first] ? OK : MALFORMED;
      if (outcome !== wanted) problems.push(`${first}, ${length} bytes: ${outcome}`);
    }
  }
  t.equal(problems.join('\n'), '', 'nine types, 0 to 300 bytes');
  t.end();
});

t.test('[MQTT-3.8.4-4] the filters of a packet can be stepped through again', (t) => {
  const packet = new Packet();
  packet.protocolLevel = 4;
  const filters: [string, number][] = [['a', 0], ['maison/+/temperature', 1], ['#', 2], ['/', 0]];
  const names = filters.map(([filter]) => filter);
  for (const bytes of [packets.subscribe(9, ...filters), packets.unsubscribe(9, ...names)]) {
    t.equal(outcomeOf(bytes, packet), OK, `type ${packet.type}`);
    t.equal(packet.filterCount, filters.length, 'their count');
    for (const round of [1, 2]) {
      const found: string[] = [];
      while (nextFilter(bytes, packet)) {
        found.push(`${text(bytes, packet.filterStart, packet.filterEnd)} ${packet.filterQos}`);
      }
      const wanted = filters.map(([filter, qos]) => `${filter} ${packet.type === 8 ? qos : 0}`);
      t.same(found, wanted, `round ${round}`);
      t.notOk(nextFilter(bytes, packet), 'and no more');
      rewindFilters(packet);
    }
  }
  t.end();
});
