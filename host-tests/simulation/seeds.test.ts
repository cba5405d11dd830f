// A handful of scenarios whose seeds are fixed: the part of the simulation that also runs in XS.
// Deterministic.

import t from 'tap';
import { runModel, runSafety, type Coverage } from './families.js';

t.test('scenarios of fixed seeds agree with the model', (t) => {
  const coverage: Coverage = {};
  for (const seed of [12, 19, 27]) runModel(seed, 100, coverage);
  runModel(874008313, 150, coverage); // a filter that was left while its retained message was on its way
  t.ok(coverage['SUBACK'] && coverage['CONNACK present'] && coverage['PUBLISH q2'], 'and something happens in them');
  t.end();
});

t.test('scenarios of fixed seeds under small limits keep order and tables', (t) => {
  const coverage: Coverage = {};
  for (const seed of [10, 17, 30]) runSafety(seed, 100, coverage);
  t.ok(coverage['refused/subscriptions'] && coverage['dropped/retained-full'], 'and some of them are reached');
  t.end();
});
