// The real core beside the reference model, with clients of 3.1.1 and 5.0, and under small limits,
// for some seconds of scenarios from a seed of its own each time or that of the environment. A
// failure says the seed and the step; SEED=N runs the same scenario first.

import t from 'tap';
import { runModel, runSafety, type Coverage } from './families.js';
import { matches } from './terms.js';
import { detects, TAMPERINGS } from './tamper.js';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 0x1_0000_0000)) >>> 0;
const STEPS = 150;
const MODEL_MS = 7000;
const SAFETY_MS = 4000;
const SEEDS_TO_TAMPER = 50;

/** Runs one scenario after the other until the time is over, at least one; returns how many. */
function scenarios(durationMs: number, scenario: (seed: number) => void): number {
  const startMs = performance.now();
  let count = 0;
  do scenario(seed + count++ >>> 0); while (performance.now() - startMs < durationMs);
  return count;
}

const tell = (coverage: Coverage): string =>
  Object.entries(coverage).filter(([, count]) => count > 0).map(([what, count]) => `${what}: ${count}`).join(', ');

/** What every few seconds of scenarios must have met, or they test less than they seem to. */
const MODEL_MEETS = ['CONNACK present', 'SUBACK', 'UNSUBACK', 'PINGRESP', 'PUBACK', 'PUBREC', 'PUBCOMP', 'PUBREL',
  'PUBREL again', 'PUBLISH q0', 'PUBLISH q1', 'PUBLISH q2', 'PUBLISH q1 dup', 'PUBLISH q2 dup', 'PUBLISH q0 retain',
  'PUBLISH q1 retain', 'PUBLISH q2 retain', 'PUBLISH q1 dup retain', 'links lost', 'stalls', 'keep-alive over',
  'connect timeout', 'protocol broken', 'dropped/outbox-full', 'dropped/sys', 'refused/identifier',
  'refused/subscriptions', 'ended/taken-over', 'wills', 'acknowledgements/unknown',
  'nobody wants it', 'shared', 'sessions over', 'wills delayed', 'wills cancelled', 'wills at session end',
  'dropped/expired', 'dropped/too-large', 'PUBACK 0x10', 'PUBACK 0x87', 'PUBACK 0x97', 'PUBACK 0x99',
  'PUBREC 0x10', 'PUBREC 0x97', 'PUBREL 0x92', 'PUBCOMP 0x92', 'DISCONNECT 0x81', 'DISCONNECT 0x82', 'DISCONNECT 0x8d',
  'DISCONNECT 0x8e', 'DISCONNECT 0x94', 'with expiry', 'with subscription', 'with user',
  'with reason', 'with sessionExpiry', 'with keepAlive', 'with assignedId', 'aliases'];
const SAFETY_MEETS = ['dropped/outbox-full', 'dropped/session-full', 'dropped/queue-full', 'dropped/retained-full',
  'refused/full', 'refused/subscriptions', 'refused/connect-timeout', 'errors/malformed', 'errors/protocol',
  'errors/topic', 'errors/receive-maximum', 'ended/keep-alive', 'ended/taken-over', 'publishers/waited',
  'dropped/expired', 'dropped/too-large', 'clients/expired', 'DISCONNECT 0x93'];

t.test(`the core gives each client what the model says it must have (SEED=${seed})`, (t) => {
  const coverage: Coverage = {};
  const count = scenarios(MODEL_MS, (seed) => runModel(seed, STEPS, coverage));
  t.comment(`${count} scenarios of ${STEPS} steps; ${tell(coverage)}`);
  if (count > 300) for (const what of MODEL_MEETS) t.ok(coverage[what], `meets: ${what}`);
  t.end();
});

t.test(`under small limits order, QoS 2 and all tables stay in order (SEED=${seed})`, (t) => {
  const coverage: Coverage = {};
  const count = scenarios(SAFETY_MS, (seed) => runSafety(seed, STEPS, coverage));
  t.comment(`${count} scenarios of ${STEPS} steps; ${tell(coverage)}`);
  if (count > 300) for (const what of SAFETY_MEETS) t.ok(coverage[what], `meets: ${what}`);
  t.end();
});

t.test('a seed repeats its scenario exactly', (t) => {
  for (const scenario of [runModel, runSafety]) {
    const first: Coverage = {};
    const second: Coverage = {};
    scenario(seed, STEPS, first);
    scenario(seed, STEPS, second);
    t.same(second, first);
  }
  t.end();
});

t.test('the model notices a packet that is lost, doubled, moved, or has other properties or another code', (t) => {
  for (const how of TAMPERINGS) {
    let count = 0;
    for (let i = 0; i < SEEDS_TO_TAMPER; i++) {
      const found = detects(1000 + i, 150, how, 3 * i % 20);
      if (found === null) continue;
      count++;
      if (!found.failed) t.fail(`${how} "${found.to}" is noticed, seed ${1000 + i}`);
    }
    t.ok(count >= 3, `${how}: noticed ${count} times`);
  }
  t.end();
});

t.test('the model matches topics as section 4.7 of MQTT 3.1.1 says', (t) => {
  for (const [filter, topic] of [['sport/tennis/player1/#', 'sport/tennis/player1'], ['sport/#', 'sport'],
    ['sport/+', 'sport/'], ['+/+', '/finance'], ['/+', '/finance'], ['$SYS/#', '$SYS/a'], ['#', 'a/b']] as const) {
    t.ok(matches(filter, topic), `${filter} matches ${topic}`);
  }
  for (const [filter, topic] of [['sport/+', 'sport'], ['+', '/finance'], ['#', '$SYS/a'], ['+/a', '$SYS/a'],
    ['sport/tennis/+', 'sport/tennis/player1/ranking'], ['a', 'A'], ['a', '/a']] as const) {
    t.notOk(matches(filter, topic), `${filter} does not match ${topic}`);
  }
  t.end();
});
