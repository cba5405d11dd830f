// Valid packets, made from chance, and what chance makes of them. Shared by the fuzzers of the
// codec and of the core.

import type { Random } from '../support/random.js';
import {
  concat, connect, disconnect, packet, pingreq, puback, pubcomp, publish, pubrec, pubrel, subscribe, unsubscribe,
} from '../support/packets.js';

/** Topics and filters of the hostile peer; `$own/…` belongs to the others. */
export const TOPICS = ['a', 'a/b', 'a/b/c', '/', 'b//c', '$x/a', '$SYS/broker/uptime', 'x'.repeat(40)];
export const FILTERS = [...TOPICS, '#', '+', 'a/#', '+/b', '+/+/#', '$SYS/#', '/+'];
const LONG_LENGTHS = [[0xff, 0xff, 0xff, 0x7f], [0xff, 0xff, 0xff, 0xff, 0x7f], [0x80, 0x00], [0x80, 0x80, 0x80, 0x01]];

/** A small number of identifiers, so that packets of different streams meet. */
export const identifier = (random: Random): number => random.chance(95) ? random.between(1, 6) : random.below(0x10000);

function someConnect(random: Random): Uint8Array {
  const will = random.chance(40) ? {
    topic: random.pick(TOPICS), payload: 'w'.repeat(random.below(20)), qos: random.below(3), retain: random.chance(30),
  } : null;
  return connect({
    clientId: random.pick(['', 'h', 'hostile', 'k', 'l']), clean: random.chance(60), keepAlive: random.below(3),
    ...(will === null ? {} : { will }),
    ...(random.chance(20) ? { userName: random.pick(['u', 'u', 'v']), password: 'p' } : {}),
    level: random.chance(90) ? 4 : random.pick([0, 3, 5, 0x84]),
  });
}

/** Topics and filters that are UTF-8 and yet none. */
const WRONG = ['', 'a/#', '+', 'a/+/b', '#'];
const WRONG_FILTERS = ['', 'a#', '#/a', 'a+/b', '+a'];

/** Well framed, with a topic or filter that is none. */
function wrongTopic(random: Random): Uint8Array {
  const id = identifier(random) | 1;
  switch (random.below(4)) {
    case 0: return subscribe(id, ['a', 0], [random.pick(WRONG_FILTERS), 1]);
    case 1: return unsubscribe(id, random.pick(WRONG_FILTERS));
    case 2: return connect({ clientId: 'h', will: { topic: random.pick(WRONG), payload: 'w' } });
    default: return publish(random.pick(WRONG), 'p', { qos: random.below(3), id });
  }
}

/** More messages of QoS 2 than a session may leave unreleased, and than a queue takes. */
function flood(random: Random): Uint8Array {
  let bytes = new Uint8Array(0);
  const topic = random.pick(TOPICS);
  const qos = random.between(1, 2);
  const count = random.between(3, 12);
  for (let id = 1; id <= count; id++) {
    const payload = 'f'.repeat(random.below(120));
    bytes = concat(bytes, publish(topic, payload, { qos, id, retain: random.chance(20) })).slice();
  }
  return bytes;
}

/** A packet that is right in itself, whether or not it comes at the right time. */
export function somePacket(random: Random): Uint8Array {
  const id = identifier(random);
  switch (random.below(14)) {
    case 0: return someConnect(random);
    case 1: return puback(id);
    case 2: return pubrec(id);
    case 3: return pubrel(id);
    case 4: return pubcomp(id);
    case 5: return subscribe(id, [random.pick(FILTERS), random.below(3)], [random.pick(FILTERS), random.below(3)]);
    case 6: return subscribe(id, [random.pick(FILTERS), random.below(3)]);
    case 7: return unsubscribe(id, random.pick(FILTERS), random.pick(FILTERS));
    case 8: return pingreq();
    case 9: return random.chance(20) ? disconnect() : pingreq();
    case 10: return packet(random.below(256), Uint8Array.from({ length: random.below(12) }, () => random.below(256)));
    default: return publish(random.pick(TOPICS), 'p'.repeat(random.below(random.chance(10) ? 400 : 30)),
      { qos: random.below(3), id, retain: random.chance(30), duplicate: false });
  }
}

/**
 * Several packets, the first a CONNECT more often than not, damaged in up to three places or in
 * none.
 */
export function someStream(random: Random): Uint8Array {
  let bytes = random.chance(60) ? someConnect(random) : somePacket(random);
  for (let count = random.below(6); count > 0; count--) bytes = concat(bytes, somePacket(random));
  if (random.chance(5)) bytes = concat(bytes, wrongTopic(random));
  if (random.chance(8)) bytes = concat(bytes, flood(random));
  for (let count = random.chance(40) ? 0 : random.below(4); count > 0; count--) bytes = damage(random, bytes);
  return bytes;
}

/** One fault: a bit, a byte, a cut, an insertion, another length, or a piece of another packet. */
export function damage(random: Random, bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return bytes;
  const at = random.below(bytes.length);
  const copy = bytes.slice();
  switch (random.below(7)) {
    case 0:
      copy[at] = copy[at]! ^ 1 << random.below(8);
      return copy;
    case 1:
      copy[at] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
      return copy;
    case 2:
      return copy.slice(0, at);
    case 3:
      return concat(copy.slice(0, at), Uint8Array.from({ length: 1 + random.below(4) }, () => random.below(256)),
        copy.slice(at));
    case 4: // the remaining length of the first packet
      if (random.chance(30)) return concat(copy.slice(0, 1), Uint8Array.from(random.pick(LONG_LENGTHS)), copy.slice(2));
      copy[1] = copy[1]! + random.between(-3, 3);
      return copy;
    case 5: { // the length of a field, if there is one
      copy[at] = random.pick([0, 0xff]);
      return copy;
    }
    default: {
      const other = somePacket(random);
      const from = random.below(other.length);
      return concat(copy.slice(0, at), other.slice(from), copy.slice(at + random.below(copy.length - at)));
    }
  }
}
