// Inbox and Outbox: the bytes of one connection that wait, on either side. Runs on Node and on XS.

import t from 'tap';
import { Random } from '../support/random.js';
import { toHex } from '../support/packets.js';
import { MemoryLink } from '../support/peer.js';
import { Columns } from '../../src/session/columns.js';
import { Inbox } from '../../src/session/inbox.js';
import { Outbox, OutboxRegions } from '../../src/session/outbox.js';
import { NONE } from '../../src/wire/codes.js';

const SEED = 20260713;

/** A link that remembers what it was given, and takes `room` bytes. */
class TakingLink extends MemoryLink {
  room = Infinity;
  bytes: number[] = [];

  override get writableBytes(): number {
    return this.room;
  }

  override write(source: Uint8Array, start: number, end: number): void {
    if (end <= start || end - start > this.room) throw new Error(`write of ${end - start} bytes`);
    this.writes++;
    this.room -= end - start;
    for (let i = start; i < end; i++) this.bytes.push(source[i]!);
  }
}

/** Writes `count` bytes that count up from `value`; false when there is no room. */
function put(memory: Uint8Array, outbox: Outbox, count: number, value: number): boolean {
  const at = outbox.reserve(count);
  if (at === NONE) return false;
  for (let i = 0; i < count; i++) memory[at + i] = value + i;
  outbox.commit(at + count);
  return true;
}

t.test('Outbox: what is written goes out in order, in one write if the link takes it', (t) => {
  const memory = new Uint8Array(100);
  const outbox = new Outbox(new OutboxRegions(memory, 10, 20, 2, new Columns(8)));
  const link = new TakingLink();
  t.ok(put(memory, outbox, 5, 1) && put(memory, outbox, 7, 6));
  t.equal(outbox.byteCount, 12);
  t.equal(outbox.flush(link), 12);
  t.same(link.bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  t.equal(link.writes, 1);
  t.equal(outbox.byteCount, 0);
  t.equal(outbox.flush(link), 0, 'nothing is written when nothing waits');
  t.equal(link.writes, 1);
  t.end();
});

t.test('Outbox: the front that was sent makes room again, and what waits is moved', (t) => {
  const memory = new Uint8Array(100);
  const outbox = new Outbox(new OutboxRegions(memory, 10, 20, 1, new Columns(4)));
  const link = new TakingLink();
  t.ok(put(memory, outbox, 20, 1), 'all of it');
  t.equal(outbox.reserve(1), NONE);
  t.equal(outbox.reserve(0) !== NONE, true);
  link.room = 0;
  t.equal(outbox.flush(link), 0, 'a link that takes nothing');
  t.equal(link.writes, 0);
  link.room = 6;
  t.equal(outbox.flush(link), 6);
  t.equal(outbox.byteCount, 14);
  t.notOk(put(memory, outbox, 7, 0), 'six are free');
  t.ok(put(memory, outbox, 6, 21));
  link.room = Infinity;
  t.equal(outbox.flush(link), 20);
  t.same(link.bytes, Array.from({ length: 26 }, (_, i) => i + 1));
  t.ok(memory.slice(0, 10).every((byte) => byte === 0) && memory.slice(30).every((byte) => byte === 0),
    'only its region was written');
  t.end();
});

t.test('Outbox: a region is taken when something is written, and given back when all is sent or forgotten', (t) => {
  const memory = new Uint8Array(100);
  const regions = new OutboxRegions(memory, 10, 20, 2, new Columns(8));
  const [one, other] = [new Outbox(regions), new Outbox(regions)];
  const link = new TakingLink();
  t.equal(regions.freeCount, 2);
  put(memory, one, 3, 1);
  put(memory, other, 3, 50);
  t.equal(regions.freeCount, 0);
  link.room = 2;
  one.flush(link);
  t.equal(regions.freeCount, 0, 'not while something waits');
  link.room = 9;
  one.flush(link);
  t.equal(regions.freeCount, 1);
  other.clear();
  t.same([other.byteCount, regions.freeCount], [0, 2]);
  other.clear();
  t.equal(regions.freeCount, 2, 'once');
  t.same([...regions.free].sort((a, b) => a - b), [10, 30], 'each is there once');
  t.equal(other.flush(link), 0);
  t.same(link.bytes, [1, 2, 3]);
  t.end();
});

t.test(`Outbox: random use agrees with a queue of bytes; seed ${SEED}`, (t) => {
  const random = new Random(SEED);
  const memory = new Uint8Array(200);
  const regions = new OutboxRegions(memory, 5, 48, 3, new Columns(12));
  const boxes = Array.from({ length: 3 }, () => ({
    outbox: new Outbox(regions), link: new TakingLink(), waiting: [] as number[],
    wanted: [] as number[],
  }));
  let problem = '';
  let value = 0;
  for (let step = 0; step < 2500 && problem === ''; step++) {
    const { outbox, link, waiting, wanted } = random.pick(boxes);
    if (random.chance(60)) {
      const count = random.between(1, 20);
      value = value + 20 & 127;
      const fits = waiting.length + count <= 48;
      if (put(memory, outbox, count, value) !== fits) problem = `step ${step}: ${count} behind ${waiting.length}`;
      if (fits) for (let i = 0; i < count; i++) waiting.push(value + i);
    } else if (random.chance(95)) {
      link.room = random.below(60);
      const count = Math.min(link.room, waiting.length);
      wanted.push(...waiting.splice(0, count));
      if (outbox.flush(link) !== count) problem = `step ${step}: flushed other than ${count}`;
    } else {
      outbox.clear();
      waiting.length = 0;
    }
    if (outbox.byteCount !== waiting.length) problem ||= `step ${step}: ${outbox.byteCount} wait`;
  }
  for (const { link, wanted } of boxes) t.same(link.bytes, wanted);
  t.equal(problem, '');
  t.end();
});

t.test('Inbox: appends, asks for no more than the packet at its front needs, and keeps what is behind', (t) => {
  const memory = Uint8Array.from({ length: 100 }, (_, i) => i);
  const inbox = new Inbox(memory, 60, 20);
  t.same([inbox.count, inbox.capacity], [0, 20]);
  inbox.append(1, 4);
  t.equal(inbox.wanted(50), 2, 'a header has five bytes at most');
  t.equal(inbox.wanted(1), 1);
  inbox.packetBytes = 12;
  t.equal(inbox.wanted(50), 9);
  inbox.append(10, 19);
  t.equal(inbox.count, 12);
  t.equal(inbox.wanted(50), 0);
  t.equal(toHex(memory.slice(60, 72)), '0102030a0b0c0d0e0f101112');
  inbox.append(30, 38);
  t.equal(inbox.count, inbox.capacity);
  inbox.keepFrom(72);
  t.equal(inbox.count, 8);
  t.equal(toHex(memory.slice(60, 68)), '1e1f202122232425');
  inbox.keepFrom(60);
  t.equal(inbox.count, 8, 'from its front: all');
  inbox.keepFrom(68);
  t.equal(inbox.count, 0, 'from its end: nothing');
  inbox.append(1, 9);
  inbox.clear();
  t.same([inbox.count, inbox.packetBytes], [0, 0]);
  t.same([memory[59], memory[80]], [59, 80], 'nothing around it was written');
  t.end();
});
