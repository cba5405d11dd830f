// The properties of MQTT 5.0: every one in every packet, its values, its faults, and the readers and writers of each
// format. The table is vectors/properties-5.json. Runs on Node and on XS alike.
import t from 'tap';
import * as codes from '../../src/wire/codes.js';
import * as encode from '../../src/wire/encode.js';
import { Packet } from '../../src/wire/packet.js';
import * as properties from '../../src/wire/properties.js';
import { ascii, concat, fromHex, toHex } from '../support/packets.js';
import {
  PACKETS, packetWith, PROPERTIES, propertiesOf, propertyCases, type PropertyCase, type PropertyRow,
} from './plain-properties.js';
import { meaningOf, nameOf, run, type Vector } from './vectors.js';

const MARGIN = 5;

/** What framing and decoding say of the packet, and what of its properties was misread. */
function outcomeOf(bytes: Uint8Array, filler: number): string {
  const around = new Uint8Array(bytes.length + 2 * MARGIN).fill(filler);
  around.set(bytes, MARGIN);
  const packet = new Packet();
  packet.properties.fill(1e6);
  packet.protocolLevel = bytes[0] === 0x10 ? 0 : codes.LEVEL_5;
  const vector = { title: '', clause: '', hex: '', outcome: '' } satisfies Vector;
  const outcome = run(around, MARGIN, MARGIN + bytes.length, vector, packet);
  if (outcome !== codes.OK) return nameOf(outcome);
  return ['OK', ...meaningOf(around, packet).astray].join(' ');
}

function problems(cases: readonly PropertyCase[]): string[] {
  const found: string[] = [];
  for (const { title, bytes, outcome } of cases) {
    for (const filler of [0, 0xff]) {
      const answer = outcomeOf(bytes, filler);
      if (answer !== outcome) found.push(`${title}: ${answer} (${toHex(bytes)} among ${filler})`);
    }
  }
  return found;
}

const cases = propertyCases();

for (const { name } of PACKETS) {
  t.test(`5.0 section 2.2.2.2: every property in ${name}: its values, twice, misplaced, out of range, cut`, (t) => {
    const own = cases.filter(({ packet }) => packet === name);
    t.same(problems(own), [], `${own.length} packets`);
    t.end();
  });
}

t.test('5.0 [MQTT-2.2.2-1], [MQTT-1.5.5-1]: ' +
  'the length of the properties is there, minimal, and inside the packet', (t) => {
  for (const row of PACKETS) {
    const company = row.with ?? '';
    const size = fromHex(company).length;
    const said = (length: number): string => toHex(Uint8Array.of(length));
    t.equal(outcomeOf(packetWith(row, company), 0xff), 'OK', `${row.name}, right`);
    for (const longer of [`${said(size | 0x80)}00`, `${said(size | 0x80)}8000`, `${said(size | 0x80)}808000`,
      `${said(size | 0x80)}80808000`]) {
      t.equal(outcomeOf(packetWith(row, company, longer), 0xff), 'MALFORMED', `${row.name}, ${longer}`);
    }
    const beyond = fromHex(`${company}${row.after}`).length + 1;
    t.equal(outcomeOf(packetWith(row, company, said(beyond)), 0x26), 'MALFORMED', `${row.name}, one beyond its end`);
    t.equal(outcomeOf(packetWith(row, company, 'ffffff7f'), 0x26), 'MALFORMED', `${row.name}, far beyond its end`);
  }
  t.end();
});

/** All properties a packet may have, in one order; `SUBSCRIPTION_IDENTIFIER` of a PUBLISH and user properties twice. */
function allOf(packet: string, order: number): { row: PropertyRow; value: string }[] {
  const own = PROPERTIES.filter((row) => row.in.includes(packet)).flatMap((row) => {
    const repeats = row.name === 'USER_PROPERTY' || row.name === 'SUBSCRIPTION_IDENTIFIER' && packet === 'PUBLISH';
    return (repeats ? row.values : row.values.slice(-1)).map((value) => ({ row, value }));
  });
  return own.map((_, index) => own[(index * order + order) % own.length]!).slice(0, own.length);
}

t.test('each packet with all of its properties at once, in several orders, is walked in that order', (t) => {
  for (const row of PACKETS) {
    for (const order of [1, 2, 3, 5, 7]) {
      const unique = [...new Set(allOf(row.name, order))];
      const hex = unique.map(({ row, value }) => toHex(Uint8Array.of(row.identifier)) + value).join('');
      const bytes = packetWith(row, hex);
      if (unique.some(({ row }) => row.name === 'AUTHENTICATION_DATA') &&
          !unique.some(({ row }) => row.name === 'AUTHENTICATION_METHOD')) continue;
      t.equal(outcomeOf(bytes, 0), 'OK', `${row.name}, ${unique.length} properties`);
      const region = concat(fromHex(hex), Uint8Array.of(0xff));
      const walked: string[] = [];
      for (let at = 0; at < region.length - 1;) {
        const next = properties.nextProperty(region, at);
        walked.push(toHex(region.slice(at, next)));
        at = next > at ? next : region.length;
      }
      t.equal(walked.join(' '), unique.map(({ row, value }) => toHex(Uint8Array.of(row.identifier)) + value).join(' '));
    }
  }
  t.end();
});

t.test('identifiers have the numbers of 5.0 table 2-4', (t) => {
  const numbers = properties as unknown as Record<string, number>;
  for (const { name, identifier } of PROPERTIES) t.equal(numbers[name], identifier, name);
  t.equal(PROPERTIES.length, 27, 'all of them');
  t.end();
});

const VARINTS: readonly [value: number, hex: string][] = [
  [0, '00'], [1, '01'], [127, '7f'], [128, '8001'], [300, 'ac02'], [16383, 'ff7f'], [16384, '808001'],
  [2097151, 'ffff7f'], [2097152, '80808001'], [268435455, 'ffffff7f'],
];

t.test('5.0 [MQTT-1.5.5-1]: variable byte integers are written in as few bytes as they need, and read back', (t) => {
  for (const [value, hex] of VARINTS) {
    const bytes = new Uint8Array(6).fill(0xff);
    t.equal(properties.varintBytes(value), hex.length / 2, `size of ${value}`);
    t.equal(encode.encodeVarint(bytes, 1, value), 1 + hex.length / 2, `end of ${value}`);
    t.equal(toHex(bytes.slice(1, 1 + hex.length / 2)), hex, `bytes of ${value}`);
    t.equal(properties.varintAt(bytes, 1, 6), value, `${value} again`);
    for (let end = 1; end < 1 + hex.length / 2; end++) {
      t.equal(properties.varintAt(bytes, 1, end), codes.MALFORMED, `${value}, cut at ${end - 1}`);
    }
  }
  for (const hex of ['8000', '808000', '80808000', 'ff00', 'ffffffff7f', '8080808001', 'ffffffff']) {
    t.equal(properties.varintAt(fromHex(hex), 0, hex.length / 2), codes.MALFORMED, hex);
  }
  t.end();
});

t.test('numbers of two and four bytes, at their borders', (t) => {
  for (const value of [0, 1, 255, 256, 32768, 65535]) {
    const bytes = new Uint8Array(4).fill(0xa5);
    encode.encodeUint16(bytes, 1, value);
    t.equal(properties.uint16At(bytes, 1), value, `${value}`);
    t.equal(bytes[0]! + bytes[3]!, 2 * 0xa5, 'and nothing around it');
  }
  for (const value of [0, 1, 65535, 65536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff]) {
    const bytes = new Uint8Array(6).fill(0xa5);
    encode.encodeUint32(bytes, 1, value);
    t.equal(properties.uint32At(bytes, 1), value, `${value}`);
    t.equal(bytes[0]! + bytes[5]!, 2 * 0xa5, 'and nothing around it');
  }
  t.end();
});

t.test('what the writers of single properties write reads back, and is as long as they say', (t) => {
  const bytes = new Uint8Array(64).fill(0xff);
  let at = encode.encodeByteProperty(bytes, 0, properties.PAYLOAD_FORMAT_INDICATOR, 1);
  at = encode.encodeUint16Property(bytes, at, properties.TOPIC_ALIAS, 0x1234);
  at = encode.encodeUint32Property(bytes, at, properties.MESSAGE_EXPIRY_INTERVAL, 0xfedcba98);
  at = encode.encodeVarintProperty(bytes, at, properties.SUBSCRIPTION_IDENTIFIER, 268435455);
  at = encode.encodeFieldProperty(bytes, at, properties.CONTENT_TYPE, ascii('text'));
  t.equal(toHex(bytes.slice(0, at)), '010123123402fedcba980bffffff7f03000474657874');
  t.same(propertiesOf(bytes, 0, at), [['PAYLOAD_FORMAT_INDICATOR', 1], ['TOPIC_ALIAS', 0x1234],
    ['MESSAGE_EXPIRY_INTERVAL', 0xfedcba98], ['SUBSCRIPTION_IDENTIFIER', 268435455], ['CONTENT_TYPE', '0x74657874']]);
  t.equal(bytes[at], 0xff);
  t.end();
});

t.test('a packet that says no reason and no properties forgets those of the packet before', (t) => {
  const packet = new Packet();
  packet.protocolLevel = codes.LEVEL_5;
  const vector = { title: '', clause: '', hex: '', outcome: '' } satisfies Vector;
  for (const [long, short] of [['400800078004 1f000177', '40020007'], ['e0068004 1f000177', 'e000'],
    ['e0068004 1f000177', 'e00100'], ['50080007 8004 1f000177', '50020007'], ['20070000 04 1f000177', '20020001']]) {
    packet.protocolLevel = codes.LEVEL_5;
    const before = fromHex(long!);
    t.equal(run(before, 0, before.length, vector, packet), codes.OK, long!);
    t.not(packet.properties[properties.REASON_STRING], 0, 'a reason string');
    const bytes = fromHex(short!);
    t.equal(run(bytes, 0, bytes.length, vector, packet), codes.OK, short!);
    t.equal(packet.properties[properties.REASON_STRING], 0, 'none');
    t.equal(packet.propertiesStart, packet.propertiesEnd, 'no properties');
    if (short !== '20020001') t.equal(packet.reasonCode, codes.SUCCESS, 'success');
  }
  t.end();
});
