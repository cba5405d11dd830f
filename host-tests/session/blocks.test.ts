// BlockPool: chains of blocks, alone and against a simple model under seeded random use. Runs on
// Node and on XS.

import t from 'tap';
import { Random } from '../support/random.js';
import { BlockPool } from '../../src/session/blocks.js';
import { Columns } from '../../src/session/columns.js';
import { NONE } from '../../src/wire/codes.js';

const SEED = 20260711;
const BASE = 300;

/** A pool behind 300 bytes of other use, with 10 bytes of other use after it. */
function makePool(blockBytes: number, blockCount: number): BlockPool {
  return new BlockPool(new Uint8Array(BASE + blockBytes * blockCount + 10), BASE, blockBytes,
    blockCount, new Columns(4 * blockCount));
}

function chainOf(pool: BlockPool, first: number): number[] {
  const blocks: number[] = [];
  for (let block = first; block !== NONE; block = pool.next[block]!) blocks.push(block);
  return blocks;
}

t.test('a record takes whole blocks, at least one', (t) => {
  const pool = makePool(8, 10);
  t.same([0, 1, 7, 8, 9, 16, 17, 80, 81].map((bytes) => pool.blocksFor(bytes)),
    [1, 1, 1, 1, 2, 2, 3, 10, 11]);
  const empty = pool.allocate(0);
  t.same(chainOf(pool, empty).length, 1);
  t.same(chainOf(pool, pool.allocate(17)).length, 3);
  t.equal(pool.freeCount, 6);
  t.end();
});

t.test('an allocation that does not fit changes nothing; what is released can be used again', (t) => {
  const pool = makePool(8, 4);
  const first = pool.allocate(16);
  t.equal(pool.allocate(17), NONE);
  t.equal(pool.freeCount, 2);
  const second = pool.allocate(16);
  t.not(second, NONE);
  t.equal(pool.freeCount, 0);
  t.equal(pool.allocate(0), NONE);
  pool.release(first);
  t.equal(pool.freeCount, 2);
  t.not(pool.allocate(9), NONE);
  t.equal(pool.freeCount, 0);
  t.end();
});

t.test('bytes are written and read across blocks, from any byte on, and stay within the pool', (t) => {
  for (const blockBytes of [1, 3, 8, 64]) {
    const pool = makePool(blockBytes, Math.ceil(60 / blockBytes) + 2);
    const { memory } = pool;
    const other = pool.allocate(1);
    const chain = pool.allocate(60);
    for (let i = 0; i < 60; i++) memory[i] = 100 + i;
    memory.fill(7, BASE + pool.blockBytes * pool.blockCount);
    pool.write(chain, 0, 60);
    t.equal(pool.firstByte(chain), 100);
    t.ok(pool.equals(chain, 0, 60) && pool.equals(chain, 0, 31) && pool.equals(chain, 0, 0));
    t.notOk(pool.equals(chain, 1, 59));
    memory[59] = 0;
    t.notOk(pool.equals(chain, 0, 60), 'the last byte counts');
    let wrong = 0;
    for (let skip = 0; skip <= 60; skip++) {
      for (const count of [0, 1, 60 - skip]) {
        if (skip + count > 60) continue;
        memory.fill(0, 100, 200);
        if (pool.read(chain, skip, 120, count) !== 120 + count) wrong++;
        for (let i = 100; i < 200; i++) {
          if (memory[i] !== (i >= 120 && i < 120 + count ? 100 + skip + i - 120 : 0)) wrong++;
        }
      }
    }
    t.equal(wrong, 0, `blocks of ${blockBytes}`);
    t.equal(memory[BASE + pool.blockBytes * pool.blockCount], 7,
      'nothing behind the pool is touched');
    pool.release(other);
  }
  t.end();
});

t.test(`random use agrees with a model; seed ${SEED}`, (t) => {
  const random = new Random(SEED);
  const pool = makePool(16, 40);
  const records = new Map<number, { bytes: number; fill: number }>();
  let problem = '';
  let refused = 0;
  for (let step = 0; step < 1500 && problem === ''; step++) {
    if (random.chance(step % 200 < 100 ? 65 : 35)) {
      const bytes = random.below(100);
      const fits = pool.blocksFor(bytes) <= pool.freeCount;
      const first = pool.allocate(bytes);
      if ((first !== NONE) !== fits) problem = `step ${step}: ${bytes} bytes, ${pool.freeCount} blocks free`;
      if (first === NONE) {
        refused++;
        continue;
      }
      const fill = random.below(256);
      pool.memory.fill(fill, 0, bytes);
      pool.write(first, 0, bytes);
      records.set(first, { bytes, fill });
    } else if (records.size > 0) {
      const first = random.pick([...records.keys()]);
      const { bytes, fill } = records.get(first)!;
      pool.memory.fill(fill, 0, bytes);
      if (!pool.equals(first, 0, bytes)) problem = `step ${step}: record ${first} has changed`;
      pool.release(first);
      records.delete(first);
    }
    let used = 0;
    const seen = new Set<number>();
    for (const [first, { bytes }] of records) {
      for (const block of chainOf(pool, first)) seen.add(block);
      used += pool.blocksFor(bytes);
    }
    if (seen.size !== used || pool.freeCount !== 40 - used) problem ||= `step ${step}: ${seen.size} of ${used} blocks`;
  }
  t.equal(problem, '');
  t.ok(refused > 20, `${refused} times it was full`);
  t.end();
});
