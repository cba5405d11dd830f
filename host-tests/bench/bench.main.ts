// The benchmark, `npm run bench`: our broker, Mosquitto and aedes by turns under the same load, our
// client and MQTT.js by turns at the same broker, and the tables for the README. This process is the
// load generator; each run has a broker process of its own, and one for the client if it is about
// clients. CPU time of the broker, or the client, per message is what counts, since wall time says
// more about the neighbours. Everything stays on 127.0.0.1 and is bounded in time; whatever ends
// this process ends its brokers and clients too.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  bareSocket, brokerNames, configuration, endAllBrokers, knownBrokers, startBroker, type Broker,
} from './brokers.js';
import { clientReport } from './client-report.js';
import {
  bareClient, clientKinds, clientScenarios, type ClientScenario,
} from './client-scenarios.js';
import { ConnectionGroup } from './load-connection.js';
import { Results, faultLines, report } from './report.js';
import { deliveryScenarios, type Scenario } from './scenarios.js';
import { tableScenarios } from './scenarios-tables.js';
import type { CodecFigures } from './codec.main.js';
import type { Figures } from './measure.js';

const RUN_MS_MAX = 30_000;

const allScenarios: readonly Scenario[] = [...deliveryScenarios, ...tableScenarios];
const scenarioNames =
  [...[...allScenarios, ...clientScenarios].map((scenario) => scenario.name), 'codec'];

const USAGE = `npm run bench -- [options]
  --rounds=N          how often each broker has its turn (5)
  --only=NAME,…       ${scenarioNames.join(', ')}
  --brokers=NAME,…    ${brokerNames.join(', ')}; clients are measured at the first one
  --mosquitto=LINE    one more line for its configuration, such as "set_tcp_nodelay true"
`;

interface Options {
  rounds: number;
  only: readonly string[];
  /** undefined: whatever is there. */
  brokers: readonly string[] | undefined;
  mosquitto: string;
}

function stopWithUsage(reason: string): never {
  process.stderr.write(`bench: ${reason}\n${USAGE}`);
  process.exit(2);
}

function chosen(value: string, known: readonly string[]): string[] {
  const names = value.split(',').filter((name) => name !== '');
  for (const name of names) if (!known.includes(name)) stopWithUsage(`"${name}" is not known`);
  return names;
}

function parseOptions(args: readonly string[]): Options {
  const options: Options = { rounds: 5, only: scenarioNames, brokers: undefined, mosquitto: '' };
  for (const arg of args) {
    const equals = arg.indexOf('=');
    const value = arg.slice(equals + 1);
    switch (equals < 0 ? arg : arg.slice(0, equals)) {
      case '--rounds':
        options.rounds = Number(value);
        if (!(Number.isInteger(options.rounds) && options.rounds >= 1 && options.rounds <= 100)) {
          stopWithUsage('--rounds must be 1 to 100');
        }
        break;
      case '--only': options.only = chosen(value, scenarioNames); break;
      case '--brokers': options.brokers = chosen(value, brokerNames); break;
      case '--mosquitto': options.mosquitto = value; break;
      default: stopWithUsage(`"${arg}" is not known`);
    }
  }
  return options;
}

function presentBrokers({ brokers: wanted, mosquitto }: Options): Broker[] {
  return knownBrokers(mosquitto).filter((broker) => {
    if (wanted !== undefined && !wanted.includes(broker.name)) return false;
    if (broker.version !== undefined) return true;
    process.stderr.write(`bench: no ${broker.title} here, left out\n`);
    return false;
  });
}

async function runOnce(run: Scenario['run'], broker: Broker): Promise<Figures> {
  const running = await startBroker(broker);
  const group = new ConnectionGroup(running.port);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new Error(`not done after ${RUN_MS_MAX / 1_000} seconds`);
      group.fail(error);
      reject(error);
    }, RUN_MS_MAX);
  });
  try {
    return await Promise.race([run({ broker: running, group }), tooLong]);
  } finally {
    clearTimeout(timer);
    group.close();
    await running.end();
  }
}

/** Says why instead when it fails. */
async function figuresOf(what: string, run: Scenario['run'], broker: Broker):
  Promise<Figures | undefined> {
  try {
    return await runOnce(run, broker);
  } catch (error) {
    process.stderr.write(`bench: ${what}: ${(error as Error).message}\n`);
    return undefined;
  }
}

async function runRounds(scenario: Scenario, brokers: readonly Broker[], rounds: number,
  results: Results): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const broker of brokers) {
      if (scenario.level5 && !broker.level5) continue;
      const what = `${scenario.name}, ${broker.title}`;
      results.add(scenario, broker.name, await figuresOf(what, scenario.run, broker));
    }
  }
}

async function runClientRounds(scenario: ClientScenario, broker: Broker, rounds: number,
  results: Results): Promise<void> {
  const kinds = scenario.name === 'client-idle' ? [...clientKinds, bareClient] : clientKinds;
  for (let round = 0; round < rounds; round++) {
    for (const kind of kinds) {
      const run: Scenario['run'] = (target) => scenario.run(target, kind);
      results.add(scenario, kind.name, await figuresOf(`${scenario.name}, ${kind.title}`, run, broker));
    }
  }
}

function runCodec(rounds: number): readonly CodecFigures[] {
  const program = fileURLToPath(new URL('./codec.main.js', import.meta.url));
  // A young generation that no measurement of heap bytes fills.
  const flags = ['--expose-gc', '--min-semi-space-size=32', '--max-semi-space-size=32'];
  const { status, stdout } = spawnSync(process.execPath, [...flags, program, String(rounds)],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], timeout: RUN_MS_MAX });
  if (status !== 0) throw new Error('the codec measurement failed');
  return JSON.parse(stdout);
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  const brokers = presentBrokers(options);
  const scenarios = allScenarios.filter((scenario) => options.only.includes(scenario.name));
  const results = new Results();
  const startMs = performance.now();
  for (const scenario of scenarios) {
    process.stderr.write(`bench: ${scenario.name}\n`);
    await runRounds(scenario, scenario.name === 'idle' ? [...brokers, bareSocket] : brokers,
      options.rounds, results);
  }
  const clients = clientScenarios.filter((scenario) => options.only.includes(scenario.name));
  const [atBroker] = brokers;
  if (clients.length > 0 && !atBroker) stopWithUsage('clients need a broker');
  for (const scenario of clients) {
    process.stderr.write(`bench: ${scenario.name}\n`);
    await runClientRounds(scenario, atBroker!, options.rounds, results);
  }
  const codecs = options.only.includes('codec') ? runCodec(options.rounds) : [];
  const shown = [...brokers, bareSocket];
  process.stdout.write(report({
    results, scenarios, brokers: shown, codecs, rounds: options.rounds,
    configuration: configuration(options.mosquitto),
  }));
  if (clients.length > 0) {
    process.stdout.write('\n' + clientReport(results, clients, atBroker!));
  }
  process.stderr.write(`bench: ${Math.round((performance.now() - startMs) / 1_000)} seconds\n`);
  const faults = [...faultLines(results, scenarios, shown),
    ...faultLines(results, clients, [...clientKinds, bareClient])];
  if (faults.length > 0) process.exitCode = 1;
}

process.on('exit', endAllBrokers);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(130));
}

await main();
