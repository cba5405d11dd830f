// The broker against Eclipse Paho for Python, over TCP on loopback: runs paho_scenarios.py and reports what it says.

import t from 'tap';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { run, startBroker } from '../node/children.js';

declare const HOST_TESTS: string;

interface Outcome {
  name: string;
  problem: string | null;
  seconds: number;
}

/** Scenarios in paho_scenarios.py: five in each of three versions of the protocol, and five of MQTT 5.0 alone. */
const SCENARIOS = 3 * 5 + 5;
/** Debian's own Python has Debian's packages, whatever other Python comes first. */
const python = ['python3', '/usr/bin/python3'].find((command) =>
  spawnSync(command, ['-c', 'import paho.mqtt.client']).status === 0);
const skip = python !== undefined ? false :
  'not run: Paho Python interop: python3 cannot import paho.mqtt (Debian: python3-paho-mqtt)';
if (skip) process.stderr.write(`${skip}\n`);

t.test('Paho Python', { skip }, async (t) => {
  const { port } = await startBroker(t);
  const script = join(HOST_TESTS, 'interop', 'paho_scenarios.py');
  const exit = await run(t, python!, [script, String(port)], undefined, 60_000);
  t.equal(exit.code, 0, exit.stderr);
  const outcomes = exit.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Outcome);
  for (const { name, problem, seconds } of outcomes) t.equal(problem, null, `${name} (${seconds} s)`);
  t.equal(outcomes.length, SCENARIOS);
});
