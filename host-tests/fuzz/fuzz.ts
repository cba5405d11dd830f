// The engine of the fuzz: run after run, each from its own seed, codec, broker and client in turn,
// until time is up. A failure throws an Error with the seed, the step and the bytes; `--seed` with that number
// runs the same again first.

import { fuzzClient } from './fuzz-client.js';
import { fuzzCodec } from './fuzz-codec.js';
import { fuzzCore, type Coverage } from './fuzz-core.js';

/** Streams in one run of each kind: short, so that few steps have to be read after a failure. */
const STEPS = 200;

/** What a long fuzz must have met, by the counters of the cores, or it tests less than it seems to. */
export const MEETS = ['dropped/outbox-full', 'dropped/session-full', 'dropped/queue-full', 'dropped/retained-full',
  'dropped/sys', 'refused/full', 'refused/identifier', 'refused/level', 'refused/login', 'refused/connect-timeout',
  'refused/subscriptions', 'errors/malformed', 'errors/protocol', 'errors/topic', 'errors/too-large',
  'errors/receive-maximum', 'ended/keep-alive', 'ended/taken-over', 'ended/link-lost', 'publishers/waited',
  'acknowledgements/unknown', 'dropped/expired', 'dropped/too-large', 'clients/expired', 'client/errors',
  'client/refused', 'client/refusedSubscriptions',
  'client/skippedTooLarge', 'client/unknownAcknowledgements', 'client/droppedOld', 'client/ended 1', 'client/ended 2',
  'client/ended 3', 'client/ended 4', 'client/ended -129', 'client/ended -130', 'client/ended -144',
  'client/ended -147', 'client/ended -149'] as const;

/** Each kind of run for one seed. */
export function fuzzOnce(seed: number, coverage: Coverage): void {
  fuzzCodec(seed, STEPS);
  fuzzCore(seed, STEPS, false, coverage);
  fuzzCore(seed, STEPS, true, coverage);
  fuzzClient(seed, STEPS, coverage);
}

/**
 * Runs from `seed` on until `nowMs` says that `durationMs` are over, at least once; returns how
 * many.
 */
export function fuzz(seed: number, durationMs: number, nowMs: () => number, coverage: Coverage): number {
  const startMs = nowMs();
  let runs = 0;
  do fuzzOnce(seed + runs++ >>> 0, coverage); while (nowMs() - startMs < durationMs);
  return runs;
}

/** One line of what was met. */
export function tell(coverage: Coverage): string {
  return MEETS.map((name) => `${name} ${coverage[name] ?? 0}`).join(', ');
}
