// Limits: what follows from what, and which contradictions are refused with which words. Runs on
// Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import {
  concat, connect, publish, pubcomp, pubrec, pubrel, subscribe,
} from '../support/packets.js';
import { makeBroker, Peer, smallLimits } from '../support/peer.js';
import { Broker } from '../../src/broker/broker.js';
import { byteBudget, checkLimits, hostLimits, type Limits } from '../../src/limits.js';

/** The message with which `limits` are refused; '' if they are not. */
function refusal(given: Partial<Record<keyof Limits, unknown>>): string {
  const limits = { ...smallLimits(), ...given } as Limits;
  try {
    checkLimits(limits);
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
  return '';
}

t.test('every limit is a whole number of at least 1, and the error names it and its value', (t) => {
  const limits = smallLimits();
  for (const name of Object.keys(limits) as (keyof Limits)[]) {
    if (name === 'queueFull') continue;
    for (const value of [-1, 0.5, NaN, Infinity, undefined, null, [8]]) {
      const message = refusal({ [name]: value });
      if (!message.includes(name) || !message.includes(String(value))) t.fail(`${name} ${String(value)}: "${message}"`);
    }
    const mayBeZero = ['sysIntervalMs', 'slowSubscriberMs', 'stagingBytes', 'topicAliasMax', 'keepAliveSecondsMax',
      'sessionExpirySecondsMax'].includes(name);
    t.equal(refusal({ [name]: 0 }).includes(`${name} is 0`), !mayBeZero, `${name} 0`);
  }
  t.end();
});

t.test('limits that contradict each other are refused, naming both and their numbers', (t) => {
  const cases: [Partial<Limits>, string][] = [
    [{ clientsMax: 11 }, 'connectionsMax is 10, less than clientsMax, which is 11'],
    [{ connectionsMax: 20, clientsMax: 13 },
      'sessionsMax is 12, less than clientsMax, which is 13'],
    [{ inboxBytes: 1023 }, 'inboxBytes is 1023, less than packetBytesMax, which is 1024'],
    [{ outboxBytes: 1000 }, 'outboxBytes is 1000, less than packetBytesMax, which is 1024'],
    [{ sessionQueuedBytesMax: 100 },
      'sessionQueuedBytesMax is 100, less than packetBytesMax, which is 1024'],
    [{ queueBytes: 1087, messageBlockBytes: 100 },
      'queueBytes is 1087: in blocks of 100 that holds less than packetBytesMax, which is 1024'],
    [{ retainedBytes: 64 }, 'retainedBytes is 64: in blocks of 64 that holds less than packetBytesMax, which is 1024'],
    [{ inflightMax: 65536 }, 'inflightMax is 65536: it must be 1 to 65535'],
    [{ receiveMax: 65536 }, 'receiveMax is 65536: it must be 1 to 65535'],
    [{ topicAliasMax: 65536 }, 'topicAliasMax is 65536: it must be 0 to 65535'],
    [{ topicAliasBytes: 65536 }, 'topicAliasBytes is 65536: it must be 1 to 65535'],
    [{ keepAliveSecondsMax: 65536 }, 'keepAliveSecondsMax is 65536: it must be 0 to 65535'],
    [{ clientIdBytesMax: 22 }, 'clientIdBytesMax is 22: it must be 23 to 65535'],
    [{ clientIdBytesMax: 65536 }, 'clientIdBytesMax is 65536: it must be 23 to 65535'],
    [{ packetBytesMax: 63 }, 'packetBytesMax is 63: it must be 64 to 268435460'],
    [{ packetBytesMax: 268435461 }, 'packetBytesMax is 268435461: it must be 64 to 268435460'],
  ];
  for (const [given, message] of cases) t.equal(refusal(given), message);
  t.equal(refusal({ queueFull: 'drop' }),
    'queueFull is "drop": it must be one of refuse-new, drop-oldest, keep-latest');
  const tooMuch = refusal({ queueBytes: 2e9, retainedBytes: 2e9 });
  t.ok(/^these limits need 400\d{7} bytes of buffers, more than the 2147483647/.test(tooMuch),
    tooMuch);
  const tooManyRows = refusal({ sessionsMax: 40_000, receiveMax: 65_535 });
  t.ok(/^these limits need 104\d{8} bytes of tables, more than 2147483647, 10\d{9} of them for packetIds$/
    .test(tooManyRows), tooManyRows);
  t.end();
});

t.test('limits at the edge of a contradiction are taken', (t) => {
  for (const given of [
    { clientsMax: 10 }, { connectionsMax: 8 }, { sessionsMax: 8 }, { sessionQueuedBytesMax: 1024 },
    { queueBytes: 1024 }, { retainedBytes: 1024 }, { clientIdBytesMax: 23 }, { inflightMax: 65535 },
    { slowSubscriberMs: 0 }, { windowBytes: 1 }, { messageBlockBytes: 1 },
  ]) {
    t.equal(refusal(given), '', JSON.stringify(given));
  }
  t.end();
});

t.test('hostLimits and the broker check what they are given', (t) => {
  t.throws(() => hostLimits({ clientsMax: 0 }), { message: /clientsMax is 0/ });
  t.throws(() => hostLimits({ outboxBytes: 10 }),
    { message: /outboxBytes is 10, less than packetBytesMax/ });
  const limits = { ...smallLimits(), connectionsMax: 1 };
  t.throws(() => new Broker(limits, { random: () => 0, version: '' }),
    { message: /connectionsMax is 1/ });
  t.end();
});

t.test('hostLimits: what is not given follows from what is', (t) => {
  const limits = hostLimits({ clientsMax: 10, packetBytesMax: 1000, windowBytes: 100,
    retainedMax: 7, subscriptionsMax: 9 });
  t.same([limits.connectionsMax, limits.sessionsMax, limits.inboxBytes, limits.outboxBytes],
    [26, 40, 1100, 65536]);
  t.same([limits.retainedNodesMax, limits.subscriptionNodesMax], [28, 36]);
  for (const packetBytesMax of [64, 1000, 1 << 20, 16 << 20]) {
    checkLimits(hostLimits({ packetBytesMax, clientsMax: 4, connectionsMax: 4 }));
  }
  t.pass('any size of packet alone makes no contradiction');
  t.end();
});

t.test('byteBudget.memory is the one buffer of bytes, exactly', (t) => {
  for (const given of [{}, { sysIntervalMs: 1000 }, { messageBlockBytes: 100 },
    { connectionsMax: 9, sessionsMax: 9 }]) {
    const broker = makeBroker(given);
    const budget = byteBudget(broker.limits);
    t.equal(broker.bytes.byteLength, budget.memory);
    t.equal(broker.bytes.buffer.byteLength, budget.memory);
    t.equal(budget.total, budget.memory + budget.columns);
  }
  t.end();
});

t.test('a broker with the least of everything works', (t) => {
  const broker = makeBroker({
    clientsMax: 1, connectionsMax: 1, sessionsMax: 1, clientIdBytesMax: 23, packetBytesMax: 64,
    windowBytes: 1,
    inboxBytes: 64, outboxBytes: 64, topicLevelsMax: 1, subscriptionsMax: 1,
    subscriptionNodesMax: 1, retainedMax: 1,
    retainedNodesMax: 1, retainedBytes: 64, messageBlockBytes: 1, queueBytes: 64, queuedMax: 1,
    sessionQueuedMax: 1,
    sessionQueuedBytesMax: 64, inflightMax: 1, receiveMax: 1,
  });
  const peer = new Peer(broker);
  const answers = peer.send(concat(connect({ clientId: 'a' }), subscribe(1, ['a', 2]),
    publish('a', 'x', { qos: 2, retain: true }), pubrec(1), pubcomp(1), pubrel(1),
    publish('a', 'y', { qos: 1 })));
  t.same(answers, ['CONNACK new 0', 'SUBACK id1 2', 'PUBREC id1', 'PUBLISH q2 id1 a x',
    'PUBREL id1', 'PUBCOMP id1',
    'PUBACK id1', 'PUBLISH q1 id2 a y']);
  checkInvariants(broker);
  t.end();
});
