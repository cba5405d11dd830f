// A handful of scenarios of client and broker whose seeds are fixed: the part of model.test.ts and
// cuts.test.ts that also runs in XS. Deterministic.

import t from 'tap';
import { runCuts } from './cuts.js';
import { FAMILIES, runFamily, type Coverage } from './steps.js';

t.test('scenarios of fixed seeds lose nothing, double nothing and end as they should', (t) => {
  for (const name of Object.keys(FAMILIES)) {
    const coverage: Coverage = {};
    runFamily(name, 12, 80, coverage);
    t.ok(coverage['>CONNECT']! > 1 && coverage['>PUBLISH q2'], `${name}: something happens`);
  }
  t.end();
});

t.test('links cut at some of the bytes of every handshake', (t) => {
  t.ok(runCuts(59, [2]) > 50);
  t.ok(runCuts(59, [1], 5) > 30, 'in 5.0');
  t.end();
});
