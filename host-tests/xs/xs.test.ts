// Runs suites inside the XS engine, in the width of a microcontroller and in that of this computer.
// Each suite is a process whose TAP becomes a subtest, so that its assertions count like any other.
import { join } from 'node:path';
import t from 'tap';
import { bundleForXs, xsEngine } from './engine.js';

declare const HOST_TESTS: string;

/** Deterministic suites, relative to this folder. */
const SUITES = ['controls.ts', 'budget.ts', '../wire/decode.test.ts', '../wire/encode.test.ts',
  '../wire/frame.test.ts', '../wire/packet-ids.test.ts', '../wire/topic.test.ts', '../wire/vectors.test.ts'];

for (const bits of [32, 64] as const) {
  const engine = await xsEngine(bits);
  if ('missing' in engine) {
    process.stderr.write(`not run: XS in ${bits} bits: ${engine.missing}\n`);
    t.pass(`XS in ${bits} bits`, { skip: engine.missing });
    continue;
  }
  for (const suite of SUITES) {
    const script = await bundleForXs(join(HOST_TESTS, 'xs', suite));
    await t.spawn(engine.path, [script], `${suite} in XS, ${bits} bits`);
  }
}
