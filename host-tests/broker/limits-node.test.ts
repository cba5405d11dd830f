// byteBudget against what a broker really allocates: every typed array, private ones too, counted
// by standing in for their constructors. Node only: there the globals can be replaced.

import t from 'tap';
import { smallLimits } from '../support/peer.js';
import * as boards from '../../src/board-limits.js';
import { Broker } from '../../src/broker/broker.js';
import { byteBudget, hostLimits, type Limits } from '../../src/limits.js';

const NAMES = ['Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array',
  'Int32Array', 'Uint32Array',
  'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array', 'ArrayBuffer'] as const;

type Constructor = new (...args: unknown[]) => { byteLength: number };

/**
 * Bytes of each typed array and buffer that `run` constructs; views on a buffer are not counted,
 * but must come to its end: a buffer that is larger than its columns would hide in the sum.
 */
function allocations(run: () => void): number[] {
  const globals = globalThis as unknown as Record<string, Constructor>;
  const before = NAMES.map((name) => globals[name]!);
  const sizes: number[] = [];
  const ends = new Map<ArrayBufferLike, number>();
  NAMES.forEach((name, i) => {
    globals[name] = new Proxy(before[i]!, {
      construct(target, args) {
        const made = new target(...args);
        if (args[0] instanceof before[before.length - 1]!) {
          const { buffer, byteOffset, byteLength } = made as unknown as Uint8Array;
          ends.set(buffer, Math.max(ends.get(buffer) ?? 0, Math.ceil((byteOffset + byteLength) / 4) * 4));
        } else {
          sizes.push(made.byteLength);
        }
        return made;
      },
    });
  });
  try {
    run();
  } finally {
    NAMES.forEach((name, i) => {
      globals[name] = before[i]!;
    });
  }
  for (const [buffer, end] of ends) {
    if (buffer.byteLength !== end) throw new Error(`${end} of ${buffer.byteLength} bytes are columns`);
  }
  return sizes;
}

function construct(limits: Limits): number[] {
  return allocations(() => new Broker(limits, { random: () => 1, version: 'test' }));
}

const CASES: Record<string, Partial<Limits>> = {
  'small': {},
  'with $SYS': { sysIntervalMs: 1000 },
  'other blocks': { messageBlockBytes: 100, queueBytes: 5000, retainedBytes: 3333 },
  'odd numbers': {
    clientsMax: 3, connectionsMax: 5, sessionsMax: 7, topicLevelsMax: 5, subscriptionsMax: 31,
    subscriptionNodesMax: 33,
    retainedMax: 9, retainedNodesMax: 17, queuedMax: 13, receiveMax: 3, inflightMax: 9,
  },
  'one of each': { clientsMax: 1, connectionsMax: 1, sessionsMax: 1, subscriptionsMax: 1,
    receiveMax: 1, queuedMax: 1 },
  'wide indices of queues': { queuedMax: 40_000, messageBlockBytes: 16, queueBytes: 16 * 32_768 },
  'narrow by one': { queuedMax: 32_767, messageBlockBytes: 16, queueBytes: 16 * 32_767 },
  'wide indices of trees': { subscriptionsMax: 32_768, subscriptionNodesMax: 32_767,
    retainedNodesMax: 32_766 },
  'wide blocks of narrow trees': { subscriptionNodesMax: 22_000, retainedNodesMax: 22_000 },
  'wide indices of sessions': { sessionsMax: 32_768, receiveMax: 2, clientIdBytesMax: 23 },
  'more sessions than 16 bits count': { sessionsMax: 65_535, receiveMax: 1, clientIdBytesMax: 23 },
  'many connections': {
    clientsMax: 32_768, connectionsMax: 32_768, sessionsMax: 32_768, clientIdBytesMax: 23,
    packetBytesMax: 64,
    inboxBytes: 64, outboxBytes: 64, windowBytes: 64, receiveMax: 1,
  },
};

t.test('byteBudget says exactly how many bytes of typed arrays a broker allocates', (t) => {
  for (const [name, given] of Object.entries(CASES)) {
    const limits = smallLimits(given);
    const sizes = construct(limits);
    const budget = byteBudget(limits);
    t.equal(sizes.reduce((sum, bytes) => sum + bytes, 0), budget.total, name);
    t.ok(sizes.includes(budget.memory), `${name}: the one buffer of bytes`);
  }
  t.end();
});

t.test('byteBudget is exact for the defaults of a host and for the boards', (t) => {
  for (const [name, limits] of Object.entries({ host: hostLimits(), ...boards })) {
    t.equal(construct(limits).reduce((sum, bytes) => sum + bytes, 0), byteBudget(limits).total, name);
  }
  t.end();
});

t.test('byteBudget has a line for each use, and their sums', (t) => {
  const budget = byteBudget(smallLimits({ sysIntervalMs: 1000, stagingBytes: 64 }));
  const { memory, columns, columnLines, total, memoryLines } = budget;
  const sum = (lines: Record<string,
    number>): number => Object.values(lines).reduce((all, bytes) => all + bytes, 0);
  t.equal(sum(memoryLines), memory);
  t.equal(sum(columnLines), columns);
  t.equal(memory + columns, total);
  t.ok([...Object.values(memoryLines), ...Object.values(columnLines)].every((bytes) => bytes > 0));
  t.end();
});
