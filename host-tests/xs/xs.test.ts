// Runs suites inside the XS engine, in the width of a microcontroller and in that of this computer.
// Each suite is a process whose TAP becomes a subtest, so that its assertions count like any other.
import { join } from 'node:path';
import t from 'tap';
import { bundleForXs, xsEngine } from './engine.js';

declare const HOST_TESTS: string;

/** Deterministic suites, relative to this folder: what needs nothing of Node. */
const SUITES = [
  'controls.ts', 'budget.ts', 'budget-client.ts', 'budget-sensor.ts', 'budget-moddable.ts', '../wire/decode.test.ts', '../wire/encode.test.ts',
  '../wire/frame.test.ts', '../wire/packet-ids.test.ts', '../wire/topic.test.ts',
  '../wire/vectors.test.ts', '../session/blocks.test.ts', '../session/boxes.test.ts',
  '../session/columns.test.ts', '../session/deliveries.test.ts', '../session/messages.test.ts', '../broker/acknowledge.test.ts',
  '../broker/connect.test.ts', '../broker/connect-full.test.ts', '../broker/crossings.test.ts', '../broker/keep-alive.test.ts',
  '../broker/limits.test.ts', '../broker/pieces.test.ts', '../broker/publish.test.ts',
  '../broker/retained.test.ts', '../broker/retained-cursor.test.ts', '../broker/session.test.ts',
  '../broker/slow.test.ts', '../broker/slow-shared.test.ts', '../broker/subscribe.test.ts',
  '../broker/sys-topics.test.ts', '../broker/takeover.test.ts', '../broker/will.test.ts',
  '../client/connect.test.ts', '../client/judges.test.ts', '../client/keep-alive.test.ts',
  '../client/publish.test.ts', '../client/queue.test.ts', '../client/regressions.test.ts',
  '../client/save.test.ts', '../client/seeds.test.ts', '../client/sizes.test.ts',
  '../client/subscribe.test.ts', '../moddable/staging.test.ts', '../moddable/tcp-broker-ends.test.ts',
  '../moddable/tcp-client.test.ts', '../room/house.test.ts', '../room/piece.test.ts',
  '../room/sensor-node.test.ts', '../sensor/dht22-pulses.test.ts', '../sensor/dht22.test.ts',
  '../sensor/dht22-failures.test.ts', '../sensor/simulated-dht22.test.ts',
  '../simulation/invariants.test.ts', '../simulation/regressions.test.ts',
  '../simulation/seeds.test.ts',
];

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
