// Client and broker core together, for some seconds of scenarios from a seed of its own each time or
// that of the environment. A failure says family, seed and step; SEED=N runs the same scenario first.

import t from 'tap';
import { FAMILIES, runFamily, type Coverage } from './steps.js';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 0x1_0000_0000)) >>> 0;
const STEPS = 150;
const FAMILY_MS = 2500;

/** What every few seconds of scenarios must have met, or they test less than they seem to. */
const MEETS = ['<CONNACK', '>SUBSCRIBE', '>UNSUBSCRIBE', '<UNSUBACK', '>PUBLISH q0', '>PUBLISH q1', '>PUBLISH q2',
  '>PUBLISH q1 dup', '>PUBLISH q2 dup', '<PUBLISH q1 dup', '<PUBLISH q2 dup', '>PUBREL', '>PUBCOMP', '>PINGREQ',
  '>DISCONNECT', 'connected new', 'connected present', 'subscribed 128', 'closed true', 'closed false', 'ended 1',
  'ended 2', 'ended 3', 'ended -147', 'restore', 'broker', 'partition', 'stall', 'resume', 'droppedOld', 'droppedNew',
  'droppedQos0', 'skippedTooLarge', 'from inside message', 'from inside delivered', 'from inside unsubscribed',
  'from inside ended', 'from inside closed', 'from inside connected', '>alias', '<alias', 'expired', 'droppedExpired'];

const all: Coverage = {};
let scenarios = 0;

for (const name of Object.keys(FAMILIES)) {
  t.test(`client and broker, ${name} (SEED=${seed})`, (t) => {
    const startMs = performance.now();
    let count = 0;
    do runFamily(name, seed + count++ >>> 0, STEPS, all); while (performance.now() - startMs < FAMILY_MS);
    t.comment(`${count} scenarios of ${STEPS} steps`);
    t.ok(count > 0);
    scenarios += count;
    t.end();
  });
}

t.test('the scenarios have met what can happen', (t) => {
  t.comment(Object.entries(all).map(([what, count]) => `${what}: ${count}`).join(', '));
  if (scenarios > 300) for (const what of MEETS) t.ok(all[what], `meets: ${what}`);
  t.pass(`${scenarios} scenarios`);
  t.end();
});

t.test('a seed repeats its scenario exactly', (t) => {
  for (const name of Object.keys(FAMILIES)) {
    const first: Coverage = {};
    const second: Coverage = {};
    runFamily(name, seed, STEPS, first);
    runFamily(name, seed, STEPS, second);
    t.same(second, first, name);
  }
  t.end();
});
