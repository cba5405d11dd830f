// What the broker answers to packets of MQTT 5.0 that are wrong in themselves: all vectors and every fault of every
// property, whole and byte by byte; and that nobody else notices. Runs on Node and on XS alike.
import t from 'tap';
import type { Broker } from '../../src/broker/broker.js';
import * as codes from '../../src/wire/codes.js';
import { checkInvariants } from '../support/invariants.js';
import { fromHex, publish, subscribe, toHex } from '../support/packets.js';
import { connected, makeBroker, Peer } from '../support/peer.js';
import { propertyCases } from '../wire/plain-properties.js';
import { bytesOf, GROUPS, titleOf } from '../wire/vectors.js';

interface Case {
  title: string;
  bytes: Uint8Array;
  /** A name of src/wire/codes.ts. */
  outcome: string;
}

const { CONNECT, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, AUTH } = codes;

const VECTORS: readonly Case[] = GROUPS.flatMap(({ vectors }) => vectors)
  .filter(({ level, clause, packetBytesMax, outcome }) => level !== 4 && clause.startsWith('5.0 ') &&
    packetBytesMax === undefined && outcome !== 'INCOMPLETE')
  .map((vector) => ({ title: titleOf(vector), bytes: bytesOf(vector), outcome: vector.outcome }));

/** Of the identifiers that are no property's, some. */
const PROPERTY_CASES: readonly Case[] = propertyCases()
  .filter(({ property }, index) => property !== null || index % 20 === 0);

const typeOf = ({ bytes }: Case): number => bytes[0]! >> 4;
const isWrong = ({ outcome }: Case): boolean => outcome !== 'OK';
const codeOf = (outcome: string): number => -(codes as unknown as Record<string, number>)[outcome]!;
const hexOf = (code: number): string => `0x${toHex(Uint8Array.of(code))}`;

/** Another client, who hears everything that is published. */
function bystander(broker: Broker): Peer {
  const peer = connected(broker, { clientId: 'bystander' });
  peer.send(subscribe(1, ['#', 1]));
  return peer;
}

/** What is left of a connection: its answers without reason strings, and whether it is open. */
function answersTo(peer: Peer, bytes: Uint8Array, pieceBytes: number): string {
  const answers = peer.send(bytes, pieceBytes).map((answer) => answer.replace(/ \{reason [^}]*\}$/, ''));
  return [...answers, peer.link.closed ? 'closed' : 'open'].join(', ');
}

/** Why the others were disturbed, or ''. */
function disturbance(broker: Broker, other: Peer): string {
  const heard = other.received();
  if (heard.length > 0) return `others received ${heard.join()}`;
  const echo = other.send(publish('still/here', 'yes')).join();
  checkInvariants(broker);
  return echo === 'PUBLISH q0 still/here yes' ? '' : `others received ${echo}`;
}

/** Sends each packet on a connection of its own, whole and byte by byte. */
function problems(cases: readonly Case[], wanted: (item: Case) => string): string[] {
  const found: string[] = [];
  const broker = makeBroker();
  const other = bystander(broker);
  for (const item of cases) {
    for (const pieceBytes of [Infinity, 1]) {
      const peer = typeOf(item) === CONNECT ? new Peer(broker) : connected(broker, { level: 5, clientId: 'wrong' });
      const answers = answersTo(peer, item.bytes, pieceBytes);
      if (answers !== wanted(item)) found.push(`${item.title}: ${answers}, wanted ${wanted(item)}`);
      peer.drop();
    }
  }
  const disturbed = disturbance(broker, other);
  return disturbed === '' ? found : [...found, disturbed];
}

const wrongConnects = [...VECTORS, ...PROPERTY_CASES].filter((item) => isWrong(item) && typeOf(item) === CONNECT);

t.test('5.0 [MQTT-3.1.4-1], [MQTT-3.2.2-7], [MQTT-3.14.0-1]: ' +
  'a CONNECT that is wrong gets CONNACK with the code', (t) => {
  const known = wrongConnects.filter(({ bytes }) => bytes[0] === 0x10 && toHex(bytes).includes('00044d51545405'));
  t.ok(known.length > 90, `${known.length} packets`);
  t.same(problems(known, ({ outcome }) => `CONNACK new ${codeOf(outcome)}, closed`), []);
  t.end();
});

t.test('5.0 [MQTT-3.1.2-2]: a CONNECT of a later version gets CONNACK 0x84', (t) => {
  const later = wrongConnects.filter(({ outcome }) => outcome === 'UNSUPPORTED_LEVEL');
  t.equal(later.length, 1);
  t.same(problems(later, () => 'CONNACK new 132, closed'), []);
  t.end();
});

t.test('5.0 [MQTT-3.1.2-1]: where no version can be made out, the connection is closed without an answer', (t) => {
  const unknown = wrongConnects.filter(({ bytes, outcome }) => outcome !== 'UNSUPPORTED_LEVEL' &&
    !(bytes[0] === 0x10 && toHex(bytes).includes('00044d51545405')));
  t.ok(unknown.length > 1, `${unknown.length} packets`);
  t.same(problems(unknown, () => 'closed'), []);
  t.end();
});

/** Types that a client sends on a connection. */
const SENT = [PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE, codes.PINGREQ, DISCONNECT, AUTH];

for (const [name, all] of [['vector', VECTORS], ['fault of a property', PROPERTY_CASES]] as const) {
  t.test(`5.0 [MQTT-4.13.1-1], [MQTT-4.13.2-1], [MQTT-3.14.4-2]: ` +
    `every ${name} ends with DISCONNECT and its code`, (t) => {
    for (const type of SENT) {
      const wrong = all.filter((item) => isWrong(item) && typeOf(item) === type);
      const message = `${wrong.length} packets of type ${type}`;
      t.same(problems(wrong, ({ outcome }) => `DISCONNECT ${hexOf(codeOf(outcome))}, closed`), [], message);
    }
    t.end();
  });
}

t.test('5.0 section 4.13: a packet that only servers send ends the connection, right or wrong in itself', (t) => {
  const types = [codes.CONNACK, codes.SUBACK, codes.UNSUBACK, codes.PINGRESP];
  const broker = makeBroker();
  const other = bystander(broker);
  const found: string[] = [];
  for (const item of [...VECTORS, ...PROPERTY_CASES].filter((item) => types.includes(typeOf(item)))) {
    const peer = connected(broker, { level: 5, clientId: 'wrong' });
    const answers = answersTo(peer, item.bytes, Infinity);
    if (!/^DISCONNECT 0x8[12], closed$/.test(answers)) found.push(`${item.title}: ${answers}`);
  }
  t.same(found, []);
  t.equal(disturbance(broker, other), '');
  t.end();
});

t.test('cut short at every byte, a packet of 5.0 is waited for, and the loss of its link disturbs nobody', (t) => {
  const broker = makeBroker();
  const other = bystander(broker);
  const found: string[] = [];
  for (const { bytes, title } of VECTORS.filter((item) => item.outcome === 'OK' && SENT.includes(typeOf(item)))) {
    const peer = connected(broker, { level: 5, clientId: 'cut' });
    for (let at = 0; at < bytes.length - 1; at++) {
      const answers = answersTo(peer, bytes.slice(at, at + 1), Infinity);
      if (answers !== 'open') found.push(`${title}, ${at + 1} bytes: ${answers}`);
    }
    peer.drop();
  }
  t.same(found, []);
  t.equal(disturbance(broker, other), '');
  t.end();
});

/** Whether the broker may refuse a packet that is right in itself, and why. */
function mayBeRefused({ title, bytes }: Case): boolean {
  return /AUTHENTICATION/.test(title) || // no method is registered
    /SUBSCRIPTION_IDENTIFIER/.test(title) && bytes[0]! >> 4 === PUBLISH || // servers send those
    /TOPIC_ALIAS (0100|ffff)/.test(title) || // beyond the limit
    /MAXIMUM_PACKET_SIZE 000000/.test(title); // too small for an answer
}

t.test('each property with each of its values is taken where it belongs', (t) => {
  const broker = makeBroker();
  const other = bystander(broker);
  const found: string[] = [];
  const types = [PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE];
  for (const item of PROPERTY_CASES.filter((item) => !isWrong(item) && !mayBeRefused(item))) {
    const isConnect = typeOf(item) === CONNECT;
    if (!isConnect && !types.includes(typeOf(item))) continue;
    const peer = isConnect ? new Peer(broker) : connected(broker, { level: 5, clientId: 'right' });
    const answers = answersTo(peer, item.bytes, Infinity);
    if (isConnect ? !/^CONNACK new 0( |,|$)/.test(answers) : peer.link.closed) found.push(`${item.title}: ${answers}`);
    if (!peer.link.closed) peer.send(fromHex('e000'));
    other.received();
  }
  t.same(found, []);
  t.equal(disturbance(broker, other), '');
  t.end();
});
