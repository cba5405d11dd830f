// The controls of the instrument, in XS only: operations that must show a cost, and operations that must
// show none. If the first failed, "the core allocates nothing" would be the claim of a blind instrument.
// Run by suites.ts in both widths; the slot counts are the same, the chunk bytes are not.
import t from 'tap';
import { measure, type Cost } from './measure.js';

const ITERATIONS = 500;

const pair = [1, 2];
const bytes = new Uint8Array(64);
const topic = 'maison/salon/temperature';
const suffix = '/x';
let sink: unknown = undefined;

class Counter {
  #count = 0;

  up(): number {
    this.#count = this.#count + 1 | 0;
    return this.#count;
  }
}
const counter = new Counter();

function cost(title: string, fn: (n: number) => void): Cost {
  const measured = measure(fn, ITERATIONS);
  const { bytecodes, slots, chunkBytes, collections } = measured;
  t.comment(`${title}: ${bytecodes} bytecodes, ${slots / ITERATIONS} slots, ` +
    `${chunkBytes / ITERATIONS} chunk bytes`);
  t.equal(collections, 0, `${title}: no collection spoils the measurement`);
  return measured;
}

function slotsPerIteration(title: string, expected: number, fn: (n: number) => void): void {
  t.equal(cost(title, fn).slots, expected * ITERATIONS, `${title}: ${expected} slots`);
}

function free(title: string, fn: (n: number) => void): void {
  const { slots, chunkBytes } = cost(title, fn);
  t.equal(slots, 0, `${title}: not one slot`);
  t.equal(chunkBytes, 0, `${title}: not one chunk byte`);
}

// What must be seen.

slotsPerIteration('for…of over an array', 8, (n) => {
  for (let i = 0; i < n; i++) for (const item of pair) sink = item;
});

slotsPerIteration('charCodeAt, which boxes the string', 2, (n) => {
  for (let i = 0; i < n; i++) sink = topic.charCodeAt(3);
});

slotsPerIteration('subarray', 4, (n) => {
  for (let i = 0; i < n; i++) sink = bytes.subarray(1, 2);
});

slotsPerIteration('object literal', 2, (n) => {
  for (let i = 0; i < n; i++) sink = { packetType: 3 };
});

{
  const title = 'string concatenation';
  const { slots, chunkBytes } = cost(title, (n) => {
    for (let i = 0; i < n; i++) sink = topic + suffix;
  });
  t.equal(slots, 0, `${title}: no slot`);
  // 26 bytes, a terminating zero, the chunk's header, rounded up to whole words.
  t.equal(chunkBytes, (xs.slotBytes === 16 ? 36 : 48) * ITERATIONS, `${title}: its text in chunk bytes`);
}

// What must cost nothing.

free('empty loop', (n) => {
  for (let i = 0; i < n; i++);
});

free('get and set of a byte', (n) => {
  for (let i = 0; i < n; i++) bytes[i & 63] = bytes[i + 1 & 63]! + 1;
});

free('copyWithin', (n) => {
  for (let i = 0; i < n; i++) bytes.copyWithin(0, 8, 40);
});

free('private field', (n) => {
  for (let i = 0; i < n; i++) counter.up();
});

// What measuring itself must not do.

t.test('reading the instrument allocates nothing and does not collect', (t) => {
  const { slots, chunkBytes, collections } = measure((n) => {
    for (let i = 0; i < n; i++) {
      xs.bytecodes();
      xs.slots();
      xs.chunkBytes();
      xs.collections();
    }
  }, ITERATIONS);
  t.same([slots, chunkBytes, collections], [0, 0, 0]);
  t.end();
});

t.test('bytecodes are exact: one more statement adds the same number, in every run', (t) => {
  const one = measure((n) => { for (let i = 0; i < n; i++) sink = i; }, ITERATIONS).bytecodes;
  const two = measure((n) => { for (let i = 0; i < n; i++) { sink = i; sink = i; } }, ITERATIONS).bytecodes;
  const three = measure((n) => {
    for (let i = 0; i < n; i++) { sink = i; sink = i; sink = i; }
  }, ITERATIONS).bytecodes;
  t.ok(Number.isInteger(one), 'a whole number per iteration');
  t.ok(two > one);
  t.equal(three - two, two - one);
  t.end();
});

t.test('bytecodes are only bytecodes: what a built-in function does inside is not among them', (t) => {
  const few = measure((n) => { for (let i = 0; i < n; i++) bytes.fill(0, 0, 1); }, ITERATIONS);
  const many = measure((n) => { for (let i = 0; i < n; i++) bytes.fill(0, 0, 64); }, ITERATIONS);
  t.equal(many.bytecodes, few.bytecodes);
  t.end();
});

t.test('a collection is counted and takes the garbage away', (t) => {
  const collections = xs.collections();
  xs.collect();
  const slots = xs.slots();
  sink = { a: { b: 1 } };
  t.ok(xs.slots() > slots);
  sink = undefined;
  xs.collect();
  t.equal(xs.slots(), slots);
  t.equal(xs.collections(), collections + 2);
  t.end();
});

export { sink };
