// PacketIdSets against a Set for each set, under seeded random use: small tables, so that probing runs into
// neighbours and wraps around. Runs on Node and on XS alike; the seed is fixed, so both see the same.
import t from 'tap';
import { Columns } from '../../src/session/columns.js';
import { PacketIdSets } from '../../src/session/packet-ids.js';
import { packetIdsBytes } from '../../src/table-bytes.js';
import { Random } from '../support/random.js';

const SEED = 20260707;

/** Ways to choose identifiers: near one another, or all with the same home, or from the whole range. */
const CHOICES: readonly { name: string; choose: (random: Random) => number }[] = [
  { name: 'identifiers 1 to 40', choose: (random) => 1 + random.below(40) },
  { name: 'identifiers that share their home', choose: (random) => 16 + 32 * random.below(20) },
  { name: 'identifiers whose home is the last cell', choose: (random) => 31 + 32 * random.below(20) },
  { name: 'identifiers around the wrap at 65,535', choose: (random) => 1 + (65520 + random.below(40)) % 65535 },
  { name: 'any identifier', choose: (random) => 1 + random.below(65535) },
];

function makeSets(setCount: number, perSetMax: number): PacketIdSets {
  return new PacketIdSets(setCount, perSetMax, new Columns(packetIdsBytes(setCount, perSetMax)));
}

class Comparison {
  readonly sets: PacketIdSets;
  readonly models: Set<number>[];
  readonly random: Random;
  readonly choose: (random: Random) => number;
  readonly seen = { added: 0, full: 0, removed: 0, missing: 0, cleared: 0 };

  constructor(setCount: number, perSetMax: number, random: Random, choose: (random: Random) => number) {
    this.sets = makeSets(setCount, perSetMax);
    this.models = Array.from({ length: setCount }, () => new Set<number>());
    this.random = random;
    this.choose = choose;
  }

  /** One random operation on one set; '' or what differed. Sets fill and drain in turns. */
  step(step: number): string {
    const { sets, models, random, seen } = this;
    const set = random.below(models.length);
    const model = models[set]!;
    if (random.below(200) === 0) {
      sets.clear(set);
      model.clear();
      seen.cleared++;
      return sets.counts[set] === 0 ? '' : `count of ${set} after clear`;
    }
    const adds = random.below(100) < (step % 300 < 150 ? 85 : 15);
    const known = !adds && model.size > 0 && random.below(2) === 0;
    const id = known ? [...model][random.below(model.size)]! : this.choose(random);
    if (sets.has(set, id) !== model.has(id)) return `has(${set}, ${id}) before`;
    if (adds) {
      if (model.has(id)) return '';
      const room = model.size < sets.perSetMax;
      if (sets.add(set, id) !== room) return `add(${set}, ${id}) with ${model.size} of ${sets.perSetMax}`;
      if (room) model.add(id);
      seen[room ? 'added' : 'full']++;
    } else {
      const there = model.delete(id);
      if (sets.remove(set, id) !== there) return `remove(${set}, ${id})`;
      seen[there ? 'removed' : 'missing']++;
    }
    return sets.counts[set] === model.size ? '' : `count of ${set}: ${sets.counts[set]}, wanted ${model.size}`;
  }

  /** Every set holds what its model holds, and nothing else of `candidates`. */
  audit(candidates: readonly number[]): string {
    for (let set = 0; set < this.models.length; set++) {
      for (const id of [...candidates, ...this.models[set]!]) {
        if (this.sets.has(set, id) !== this.models[set]!.has(id)) return `has(${set}, ${id}) in the audit`;
      }
    }
    return '';
  }
}

t.test('[MQTT-4.3.3-2] identifiers are held from add to remove, whatever collides', (t) => {
  for (const perSetMax of [1, 2, 3, 8, 13, 16]) {
    for (const { name, choose } of CHOICES) {
      const random = new Random(SEED + perSetMax);
      const comparison = new Comparison(3, perSetMax, random, choose);
      const candidates = Array.from({ length: 64 }, () => choose(random));
      let problem = '';
      for (let step = 0; step < 1500 && problem === ''; step++) {
        problem = comparison.step(step);
        if (problem === '' && step % 50 === 0) problem = comparison.audit(candidates);
        if (problem !== '') problem = `seed ${SEED}, step ${step}: ${problem}`;
      }
      t.equal(problem, '', `${perSetMax} in each of three sets, ${name}`);
      const { added, full, removed, missing, cleared } = comparison.seen;
      t.ok(added > 50 && full > 0 && removed > 50 && missing > 0 && cleared > 0, 'by every kind of step');
    }
  }
  t.end();
});

t.test('a full set takes nothing and keeps what it has', (t) => {
  for (const perSetMax of [1, 5, 8, 20]) {
    const sets = makeSets(3, perSetMax);
    for (let i = 0; i < perSetMax; i++) t.ok(sets.add(1, 65535 - 16 * i), `${i + 1} of ${perSetMax}`);
    t.notOk(sets.add(1, 1), 'one more');
    t.notOk(sets.has(1, 1), 'is not there');
    t.equal(sets.counts[1], perSetMax, 'and does not count');
    t.ok(sets.remove(1, 65535), 'one is removed');
    t.ok(sets.add(1, 1), 'and leaves its room');
    t.same([sets.counts[0], sets.counts[2]], [0, 0], 'the neighbours stay empty');
    t.notOk(sets.has(0, 1) || sets.has(2, 1), 'and hold nothing');
    t.ok(sets.add(0, 7) && sets.add(2, 7), 'and take identifiers of their own');
    sets.clear(1);
    t.equal(sets.counts[1], 0, 'cleared');
    t.notOk(sets.has(1, 1), 'cleared of all');
    t.ok(sets.has(0, 7) && sets.has(2, 7), 'and the neighbours are not');
  }
  t.end();
});

t.test('removing from every place of a chain that wraps keeps the rest reachable', (t) => {
  // Eight cells: homes 6, 6, 7, 6 fill the cells 6, 7, 0, 1 in this order of adding.
  const chain = [6, 14, 7, 22];
  const problems: string[] = [];
  for (let order = 0; order < 24; order++) {
    const rest = [...chain];
    const picked: number[] = [];
    for (let left = 4, code = order; left > 0; code = Math.floor(code / left), left--) {
      picked.push(...rest.splice(code % left, 1));
    }
    for (const id of picked) {
      const sets = makeSets(1, 4);
      for (const other of picked) sets.add(0, other);
      if (!sets.remove(0, id) || sets.remove(0, id)) problems.push(`${picked}: remove ${id}`);
      for (const other of picked) {
        if (sets.has(0, other) !== (other !== id)) problems.push(`${picked} without ${id}: ${other}`);
      }
    }
  }
  t.equal(problems.join('\n'), '', '24 orders, four removals each');
  t.end();
});

t.test('a set for every identifier there is', (t) => {
  const sets = makeSets(1, 65535);
  let added = 0;
  for (let id = 65535; id > 0; id--) added += sets.add(0, id) ? 1 : 0;
  let there = 0;
  for (let id = 1; id <= 65535; id++) there += sets.has(0, id) ? 1 : 0;
  t.same([added, there, sets.counts[0]], [65535, 65535, 65535], 'all in');
  let removed = 0;
  for (let id = 1; id <= 65535; id += 8191) removed += sets.remove(0, id) ? 1 : 0;
  let left = 0;
  for (let id = 1; id <= 65535; id++) left += sets.has(0, id) ? 1 : 0;
  t.same([removed, left, sets.counts[0]], [9, 65526, 65526], 'nine out');
  t.end();
});

t.test('a set of no identifiers takes none', (t) => {
  const sets = makeSets(2, 0);
  t.notOk(sets.add(1, 1), 'refused');
  t.notOk(sets.has(1, 1), 'not there');
  t.notOk(sets.remove(1, 1), 'nothing to remove');
  t.end();
});
