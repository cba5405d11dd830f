// The engine of the fuzz: run after run, each from its own seed, codec and core in turn, until time is up. A failure
// throws an Error with the seed, the step and the bytes; `--seed` with that number runs the same again first.

import { fuzzCodec } from './fuzz-codec.js';
import { fuzzCore } from './fuzz-core.js';

/** Streams in one run of each kind: short, so that few steps have to be read after a failure. */
const STEPS = 200;

/** Both kinds of run for one seed. */
export function fuzzOnce(seed: number): void {
  fuzzCodec(seed, STEPS);
  fuzzCore(seed, STEPS);
}

/** Runs from `seed` on until `nowMs` says that `durationMs` are over, at least once; returns how many. */
export function fuzz(seed: number, durationMs: number, nowMs: () => number): number {
  const startMs = nowMs();
  let runs = 0;
  do fuzzOnce(seed + runs++ >>> 0); while (nowMs() - startMs < durationMs);
  return runs;
}
