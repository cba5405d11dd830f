// A handful of scenarios whose seeds are fixed: the part of the simulation that also runs in XS. Deterministic.

import t from 'tap';
import { runModel, runSafety, type Coverage } from './families.js';

t.test('scenarios of fixed seeds agree with the model', (t) => {
  const coverage: Coverage = {};
  for (const seed of [1, 2, 3]) runModel(seed, 60, coverage);
  t.ok(coverage['SUBACK'] && coverage['CONNACK present'] && coverage['links lost'], 'and something happens in them');
  t.end();
});

t.test('scenarios of fixed seeds under small limits keep order and tables', (t) => {
  const coverage: Coverage = {};
  for (const seed of [1, 2, 3]) runSafety(seed, 60, coverage);
  t.ok(coverage['refused/subscriptions'] && coverage['dropped/retained-full'], 'and some of them are reached');
  t.end();
});
