// The figures of the clients as Markdown, to be pasted into the README as those of the brokers are:
// medians of the rounds, and the medians of the rounds' ratios.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientLimits } from '../../src/client/limits.js';
import {
  BURST_COUNT, bareClient, clientKinds, type ClientKind, type ClientScenario,
} from './client-scenarios.js';
import { faultLines, number, quotient, table, whole, type Results } from './report.js';
import type { Broker } from './brokers.js';
import type { Figures } from './measure.js';
import type { Row } from './scenarios.js';

declare const HOST_TESTS: string;

const THEIRS = 'mqttjs';
const RATIO = 'ours / MQTT.js';

function titles(kinds: readonly ClientKind[], unit = ''): string[] {
  return kinds.map((kind) => kind.title + unit);
}

function valueOf(row: Row): (figures: Figures) => number | undefined {
  return (figures) => figures.values[row.key];
}

function megabytes({ residentBytes }: Figures): number | undefined {
  return residentBytes === undefined ? undefined : residentBytes / 1e6;
}

/** The scenarios that send messages have rows in micros only. */
function isLoad(scenario: ClientScenario): boolean {
  return scenario.rows.every((row) => row.unit === 'micros');
}

function loadTable(results: Results, scenarios: readonly ClientScenario[]): string {
  const rows = scenarios.filter(isLoad).flatMap((scenario) => {
    const middles = (pick: (figures: Figures) => number | undefined): (number | undefined)[] =>
      clientKinds.map((kind) => results.middle(scenario, kind.name, pick));
    return scenario.rows.map((row) => [
      row.title, ...middles(valueOf(row)).map((micros) => number(micros)),
      number(results.compared(scenario, row.key, THEIRS, quotient), ' ×'),
      ...middles((figures) => figures.perSecond).map(whole),
      ...middles(megabytes).map((value) => number(value)),
    ]);
  });
  if (rows.length === 0) return '';
  return table(['client, CPU µs per message', ...titles(clientKinds), RATIO,
    ...titles(clientKinds, ' messages/s'), ...titles(clientKinds, ' peak MB')], rows);
}

function idleTable(results: Results, scenarios: readonly ClientScenario[]): string {
  const kinds = [...clientKinds, bareClient];
  const rows = scenarios.filter((scenario) => !isLoad(scenario))
    .flatMap((scenario) => scenario.rows.map((row) => [
      `${row.title}, ${row.unit === 'bytes' ? 'bytes' : 'µs'}`,
      ...kinds.map((kind) => whole(results.middle(scenario, kind.name, valueOf(row)))),
      number(results.compared(scenario, row.key, THEIRS, quotient), ' ×'),
    ]));
  return rows.length === 0 ? '' : table(['', ...titles(kinds), RATIO], rows);
}

/** `broker` is the one at which the clients were measured. */
export function clientReport(results: Results, scenarios: readonly ClientScenario[],
  broker: Broker): string {
  const file = join(HOST_TESTS, 'node_modules', 'mqtt', 'package.json');
  const { version } = JSON.parse(readFileSync(file, 'utf8'));
  const faults = faultLines(results, scenarios, [...clientKinds, bareClient]);
  return [
    `Clients, each in a process of its own, at ${broker.title} ${broker.version}: ours and MQTT.js ` +
    `${version}, with default options, by turns; bursts of ${whole(BURST_COUNT)} messages. In flight at QoS 1 and 2: ` +
    `${clientLimits().inflightMax} of ours, its window; the whole burst of MQTT.js, which has none.`,
    loadTable(results, scenarios),
    idleTable(results, scenarios),
    faults.length === 0 ? 'Nothing was lost, delivered twice or out of order.'
      : `Loss, duplicates, order:\n\n${faults.join('\n')}`,
  ].filter((part) => part !== '').join('\n\n') + '\n';
}
