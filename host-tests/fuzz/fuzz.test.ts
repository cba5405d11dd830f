// The fuzz for a few seconds, from a seed of its own each time or that of the environment.

import t from 'tap';
import { fuzz } from './fuzz.js';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 0x1_0000_0000)) >>> 0;

t.test(`damaged packets disturb neither the core nor other clients (SEED=${seed})`, (t) => {
  const runs = fuzz(seed, 5000, () => performance.now());
  t.ok(runs > 0, `${runs} runs of a few hundred streams`);
  t.end();
});
