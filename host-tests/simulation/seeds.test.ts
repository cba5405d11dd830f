// A handful of scenarios whose seeds are fixed: the part of the simulation that also runs in XS.
// Deterministic.

import t from 'tap';
import { runModel, runSafety, type Coverage } from './families.js';

/** Chosen to meet all this. */
const MODEL_SEEDS = [213, 43, 230, 124, 42];
const MODEL_MEETS = ['SUBACK', 'CONNACK present', 'PUBLISH q2', 'PUBREL again', 'with expiry', 'with subscription',
  'with user', 'aliases', 'shared', 'hand-over', 'PUBACK 0x10', 'DISCONNECT 0x82', 'DISCONNECT 0x8e', 'sessions over',
  'wills delayed', 'wills cancelled', 'wills at session end', 'dropped/expired', 'too large', 'DISCONNECT 0x99',
  'answers that waited'];
const SAFETY_SEEDS = [1, 269, 56];
const SAFETY_MEETS = ['refused/subscriptions', 'dropped/retained-full', 'dropped/session-full', 'dropped/queue-full',
  'dropped/expired', 'clients/expired', 'DISCONNECT 0x93'];

t.test('scenarios of fixed seeds agree with the model', (t) => {
  const coverage: Coverage = {};
  for (const seed of MODEL_SEEDS) runModel(seed, 100, coverage);
  for (const what of MODEL_MEETS) t.ok(coverage[what], `meets: ${what}`);
  t.end();
});

t.test('scenarios of fixed seeds under small limits keep order and tables', (t) => {
  const coverage: Coverage = {};
  for (const seed of SAFETY_SEEDS) runSafety(seed, 100, coverage);
  for (const what of SAFETY_MEETS) t.ok(coverage[what], `meets: ${what}`);
  t.end();
});
