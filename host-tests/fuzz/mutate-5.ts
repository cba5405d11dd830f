// Valid packets of MQTT 5.0 with all that they may carry, made from chance, and streams of them,
// damaged or not. Used by the fuzzer of the core beside mutate.ts.

import type { Random } from '../support/random.js';
import {
  auth, concat, connect, disconnect, encodeProperties, pingreq, puback, pubcomp, publish, pubrec, pubrel, subscribe5,
  unsubscribe5, type Properties,
} from '../support/packets.js';
import { damage, FILTERS, identifier, TOPICS } from './mutate.js';

const SHARED = ['$share/g/a', '$share/g/#', '$share/h/a/+', '$share/h/#', '$share/g', '$share//a', '$share/+/a'];
/** Method and user name that the broker of the fuzz knows are "m" and any but "v". */
const METHODS = ['m', 'm', 'n'];

const text = (random: Random): string => 'y'.repeat(random.below(random.chance(10) ? 90 : 8));

/** Some of the properties given, in their order or another. */
function some(random: Random, properties: Properties, percent: number): Properties {
  const chosen: Properties = {};
  const names = (Object.keys(properties) as (keyof Properties)[]).filter(() => random.chance(percent));
  while (names.length > 0) {
    const [name] = names.splice(random.below(names.length), 1);
    chosen[name!] = properties[name!]!;
  }
  return chosen;
}

function ofMessage(random: Random): Properties {
  return some(random, { user: [['k', text(random)], [text(random), 'v']], format: random.below(2),
    expiry: random.pick([0, 1, 2, 5, 100, 0xffffffff]), contentType: text(random),
    responseTopic: random.pick(['r', 'r/s', '+']), correlation: text(random) }, 25);
}

/** Those of an acknowledgement, none or with a reason. */
const reason = (random: Random): Properties => some(random, { reason: text(random), user: ['a', text(random)] }, 20);

export function someConnect5(random: Random): Uint8Array {
  const properties = some(random, { sessionExpiry: random.pick([0, 1, 2, 60, 0xffffffff]),
    receiveMaximum: random.between(1, 4), packetMaximum: random.pick([1, 5, 12, 30, 64, 200, 100_000]),
    aliasMaximum: random.below(5), problem: random.below(2), requestResponse: random.below(2), user: ['a', 'b'] }, 40);
  if (random.chance(10)) {
    properties.method = random.pick(METHODS);
    if (random.chance(70)) properties.data = text(random);
  }
  const delay = random.chance(60) ? { willDelay: random.pick([0, 1, 3, 100]) } : {};
  const will = random.chance(40) ? { topic: random.pick(TOPICS), payload: text(random), qos: random.below(3),
    retain: random.chance(30), properties: { ...delay, ...ofMessage(random) } } : null;
  return connect({ level: 5, clientId: random.pick(['', 'h', 'hostile', 'k', 'l', 'm']), clean: random.chance(50),
    keepAlive: random.below(3), properties, ...(will === null ? {} : { will }),
    ...(random.chance(15) ? { userName: random.pick(['u', 'u', 'v']) } : {}),
    ...(random.chance(15) ? { password: 'p' } : {}) });
}

function someSubscribe(random: Random): Uint8Array {
  const filters = Array.from({ length: random.between(1, 3) }, (): [string, number] => {
    const isShared = random.chance(30);
    const options = random.below(3) | (random.chance(isShared ? 2 : 20) ? 4 : 0) | (random.chance(40) ? 8 : 0);
    return [random.pick(isShared ? SHARED : FILTERS), options | random.below(3) << 4];
  });
  const subscription = random.pick([1, 2, 127, 128, 20_000, 268_435_455]);
  return subscribe5(identifier(random), random.chance(50) ? { subscription } : {}, ...filters);
}

function somePublish(random: Random): Uint8Array {
  const properties = ofMessage(random);
  let topic = random.pick(TOPICS);
  if (random.chance(40)) {
    properties.alias = random.between(1, 4);
    if (random.chance(50)) topic = '';
  }
  return publish(topic, 'p'.repeat(random.below(random.chance(10) ? 400 : 30)),
    { qos: random.below(3), id: identifier(random), retain: random.chance(30), properties });
}

/** A packet that is right in itself, whether or not it comes at the right time. */
function somePacket5(random: Random): Uint8Array {
  const id = identifier(random);
  const code = random.chance(50) ? 0 : random.pick([0x10, 0x80, 0x97]);
  const unknown = random.chance(80) ? 0 : 0x92;
  switch (random.below(16)) {
    case 0: return random.chance(20) ? someConnect5(random) : pingreq();
    case 1: return puback(id, code, reason(random));
    case 2: return pubrec(id, code, reason(random));
    case 3: return pubrel(id, unknown, reason(random));
    case 4: return pubcomp(id, unknown, reason(random));
    case 5:
    case 6:
    case 7: return someSubscribe(random);
    case 8: return unsubscribe5(id, some(random, { user: ['a', 'b'] }, 20), random.pick(FILTERS), random.pick(SHARED));
    case 9: return random.chance(30) ?
      disconnect(random.pick([0, 4, 0x80]), some(random, { sessionExpiry: random.pick([0, 1, 60]) }, 50)) : pingreq();
    case 10: return random.chance(20) ?
      auth(random.pick([0x18, 0x19]), { method: random.pick(METHODS), data: text(random) }) : pingreq();
    default: return somePublish(random);
  }
}

/** More properties than a packet has room for, or than are allowed. */
function overloaded(random: Random): Uint8Array {
  const user = Array.from({ length: random.between(2, 30) }, (): [string, string] => [text(random), text(random)]);
  const properties = random.pick<Properties>([{ user }, { user, expiry: [1, 2] }, { user, willDelay: 1 }, { alias: 0 },
    { alias: 200 }, { subscription: 1 }, { sessionExpiry: 1 }]);
  return random.chance(50) ? publish('a', 'x', { qos: 1, properties }) :
    subscribe5(1, random.chance(50) ? properties : { subscription: 0 }, ['a', random.below(256)]);
}

/**
 * Several packets, the first a CONNECT where one is due, more often than not, damaged in up to two places or in
 * none.
 */
export function someStream5(random: Random, isDue: boolean): Uint8Array {
  let bytes = random.chance(isDue ? 90 : 3) ? someConnect5(random) : somePacket5(random);
  for (let count = random.below(8); count > 0; count--) bytes = concat(bytes, somePacket5(random));
  if (random.chance(5)) bytes = concat(bytes, overloaded(random));
  if (random.chance(2)) bytes = concat(bytes, encodeProperties(ofMessage(random)));
  for (let count = random.chance(70) ? 0 : random.below(3); count > 0; count--) bytes = damage(random, bytes);
  return bytes;
}
