// Runs suites inside the XS engine, in the width of a microcontroller or in that of this computer.
// Each suite is a process whose TAP becomes a subtest, so that its assertions count like any other.
// Called by xs-32.test.ts and xs-64.test.ts, which run at the same time.
import { join } from 'node:path';
import t from 'tap';
import { bundleForXs, xsEngine } from './engine.js';

declare const HOST_TESTS: string;

/** Deterministic suites, relative to this folder: what needs nothing of Node. */
export const SUITES: readonly string[] = [
  'controls.ts', 'budget.ts', 'budget-connections.ts', 'budget-client.ts', 'budget-sensor.ts', 'budget-moddable.ts',
  '../wire/decode.test.ts', '../wire/encode.test.ts', '../wire/frame.test.ts', '../wire/packet-ids.test.ts',
  '../wire/topic.test.ts', '../wire/properties.test.ts', '../wire/vectors.test.ts', '../session/blocks.test.ts',
  '../session/boxes.test.ts', '../session/columns.test.ts', '../session/deliveries.test.ts',
  '../session/messages.test.ts', '../broker/acknowledge.test.ts', '../broker/authenticate-5.test.ts',
  '../broker/connect-5.test.ts', '../broker/disconnect-5.test.ts', '../broker/lifetimes-5.test.ts',
  '../broker/session-5.test.ts', '../broker/will-5.test.ts', '../broker/expiry-5.test.ts',
  '../broker/publish-5.test.ts', '../broker/shared-5.test.ts', '../broker/subscribe-5.test.ts',
  '../broker/topic-aliases-5.test.ts', '../broker/connect.test.ts', '../broker/connect-full.test.ts',
  '../broker/crossings.test.ts', '../broker/keep-alive.test.ts', '../broker/limits.test.ts',
  '../broker/pieces.test.ts', '../broker/publish.test.ts', '../broker/retained.test.ts',
  '../broker/retained-cursor.test.ts', '../broker/session.test.ts', '../broker/slow.test.ts',
  '../broker/slow-shared.test.ts', '../broker/subscribe.test.ts', '../broker/sys-topics.test.ts',
  '../broker/takeover.test.ts', '../broker/will.test.ts', '../client/connect.test.ts', '../client/judges.test.ts',
  '../client/keep-alive.test.ts', '../client/publish.test.ts', '../client/queue.test.ts',
  '../client/regressions.test.ts', '../client/save.test.ts', '../client/seeds.test.ts', '../client/sizes.test.ts',
  '../client/subscribe.test.ts', '../client/connect-5.test.ts', '../client/publish-5.test.ts',
  '../client/receive-5.test.ts', '../client/subscribe-5.test.ts', '../moddable/staging.test.ts',
  '../moddable/tcp-broker-ends.test.ts', '../moddable/tcp-client.test.ts', '../room/house.test.ts',
  '../room/piece.test.ts', '../room/sensor-node.test.ts', '../sensor/dht22-pulses.test.ts', '../sensor/dht22.test.ts',
  '../sensor/dht22-failures.test.ts', '../sensor/simulated-dht22.test.ts', '../simulation/invariants.test.ts',
  '../simulation/regressions.test.ts', '../simulation/seeds.test.ts', '../broker/malformed-5.test.ts',
  '../clauses/client.test.ts', '../clauses/client-malformed.test.ts', '../clauses/connections.test.ts',
  '../clauses/flow-5.test.ts', '../clauses/messages.test.ts', '../clauses/subscriptions.test.ts',
];

/** What can differ with the width: figures, and code that counts in bits. */
export const SUITES_64: readonly string[] = SUITES.filter((suite) =>
  /^budget|^controls|\/wire\/|\/session\/|seeds/.test(suite));

export async function runSuites(bits: 32 | 64, suites: readonly string[]): Promise<void> {
  const engine = await xsEngine(bits);
  if ('missing' in engine) {
    process.stderr.write(`not run: XS in ${bits} bits: ${engine.missing}\n`);
    t.pass(`XS in ${bits} bits`, { skip: engine.missing });
    return;
  }
  for (const suite of suites) {
    const script = await bundleForXs(join(HOST_TESTS, 'xs', suite));
    await t.spawn(engine.path, [script], `${suite} in XS, ${bits} bits`);
  }
}
