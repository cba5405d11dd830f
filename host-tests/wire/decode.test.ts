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

/** A CONNECT with exactly the fields that `flags` announce. */
function connectWith(flags: number, name = 'MQTT', level = 4): Uint8Array {
  const field = (value: string): Uint8Array => packets.concat(Uint8Array.of(0, value.length), packets.ascii(value));
  const parts = [field(name), Uint8Array.of(level, flags, 0, 60), field('salon')];
  if ((flags & 0x04) !== 0) parts.push(field('etat'), field('parti'));
  if ((flags & 0x80) !== 0) parts.push(field('moi'));
  if ((flags & 0x40) !== 0) parts.push(field('secret'));
  return packets.packet(0x10, ...parts);
}

t.test('[MQTT-3.1.2-3] [MQTT-3.1.2-11] [MQTT-3.1.2-14] [MQTT-3.1.2-22] every byte of connect flags', (t) => {
  const problems: string[] = [];
  const packet = new Packet();
  for (let flags = 0; flags < 256; flags++) {
    const will = (flags & 4) !== 0;
    const qos = flags >> 3 & 3;
    const wrong = flags % 2 === 1 || qos === 3 || !will && (qos > 0 || (flags & 0x20) !== 0) ||
      (flags & 0xc0) === 0x40;
    packet.protocolLevel = 0;
    const bytes = connectWith(flags);
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
  t.equal(problems.join('\n'), '', '256 bytes, each with the fields it announces');
  t.end();
});

t.test('[MQTT-3.1.2-2] every protocol level', (t) => {
  for (const [name, own] of [['MQTT', 4], ['MQIsdp', 3]] as const) {
    const problems: string[] = [];
    const packet = new Packet();
    for (let level = 0; level < 256; level++) {
      const outcome = outcomeOf(connectWith(2, name, level), packet);
      const wanted = level === own || level === own + 0x80 ? OK : UNSUPPORTED_LEVEL;
      if (outcome !== wanted) problems.push(`${level}: ${outcome}`);
      if (outcome === OK && packet.protocolLevel !== own) problems.push(`${level}: read as ${packet.protocolLevel}`);
    }
    t.equal(problems.join('\n'), '', `256 levels of ${name}, of which two are taken: its own, plain and for a bridge`);
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
  const bytes = Uint8Array.of(0x20, 2, 0, 0);
  for (let flags = 0; flags < 256; flags++) {
    for (let code = 0; code < 256; code++) {
      bytes[2] = flags;
      bytes[3] = code;
      const wanted = flags > 1 || code > 5 ? MALFORMED : flags === 1 && code > 0 ? PROTOCOL_ERROR : OK;
      const outcome = outcomeOf(bytes, packet);
      if (outcome !== wanted && problems.length < 5) problems.push(`${flags} ${code}: ${outcome}`);
      if (outcome === OK && (packet.sessionPresent !== (flags === 1) || packet.returnCode !== code)) {
        problems.push(`${flags} ${code}: fields`);
      }
    }
  }
  t.equal(problems.join('\n'), '', '65,536 bodies');
  t.end();
});

t.test('[MQTT-3-8.3-4] [MQTT-3.9.3-2] every byte of requested QoS and of return code', (t) => {
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
