// The fuzz for a few seconds, from a seed of its own each time or that of the environment.

import t from 'tap';
import type { Coverage } from './fuzz-core.js';
import { fuzz, MEETS, tell } from './fuzz.js';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 0x1_0000_0000)) >>> 0;

t.test(`damaged packets disturb neither the cores nor other clients (SEED=${seed})`, (t) => {
  const coverage: Coverage = {};
  const runs = fuzz(seed, 5000, () => performance.now(), coverage);
  t.comment(`${runs} runs of a few hundred streams; met ${tell(coverage)}`);
  t.ok(runs > 0);
  if (runs > 200) for (const name of MEETS) t.ok(coverage[name], `meets: ${name}`);
  t.end();
});
