// The measured figures as Markdown, to be pasted into the README: each figure is the median of the
// rounds, each ratio the median of the rounds' ratios.

import { cpus, totalmem } from 'node:os';
import { median } from './median.js';
import { processFiguresKnown } from './process-figures.js';
import type { Broker } from './brokers.js';
import type { CodecFigures } from './codec.main.js';
import type { Figures } from './measure.js';
import type { Row, Scenario } from './scenarios.js';

interface Named {
  readonly name: string;
}

interface Titled extends Named {
  readonly title: string;
}

/** What each round gave, by scenario and broker or client; undefined where that run failed. */
export class Results {
  readonly #runs = new Map<string, (Figures | undefined)[]>();

  add(scenario: Named, broker: string, figures: Figures | undefined): void {
    const key = `${scenario.name} ${broker}`;
    this.#runs.set(key, [...this.rounds(scenario, broker), figures]);
  }

  rounds(scenario: Named, broker: string): readonly (Figures | undefined)[] {
    return this.#runs.get(`${scenario.name} ${broker}`) ?? [];
  }

  middle(scenario: Named, broker: string, pick: (figures: Figures) => number | undefined):
    number | undefined {
    return median(this.rounds(scenario, broker).map((figures) => figures && pick(figures)));
  }

  /** Median over the rounds of `combine(ours, theirs)`. */
  compared(scenario: Named, key: string, theirs: string,
    combine: (ours: number, theirs: number) => number): number | undefined {
    const others = this.rounds(scenario, theirs);
    return median(this.rounds(scenario, 'ours').map((figures, round) => {
      const our = figures?.values[key];
      const their = others[round]?.values[key];
      return our === undefined || their === undefined ? undefined : combine(our, their);
    }));
  }
}

export function quotient(ours: number, theirs: number): number {
  return ours / theirs;
}

export function number(value: number | undefined, unit = ''): string {
  if (value === undefined) return '–';
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  const fraction = { maximumFractionDigits: digits, minimumFractionDigits: digits };
  return value.toLocaleString('en-US', fraction) + unit;
}

export function whole(value: number | undefined): string {
  return value === undefined ? '–' : Math.round(value).toLocaleString('en-US');
}

function wanted(value: number | undefined, sign: '≤' | '≥', limit: number): string {
  const asked = `wanted ${sign} ${limit.toLocaleString('en-US')}`;
  if (value === undefined) return asked;
  return (sign === '≤' ? value <= limit : value >= limit) ? `${asked} ✓` : `${asked} ✗`;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map((_, index) => index === 0 ? '---' : '---:'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const NAMES = ['ours', 'mosquitto', 'aedes'] as const;
const TITLES = ['Maisonnette', 'Mosquitto', 'aedes'] as const;

function rowCells(results: Results, scenario: Scenario, row: Row): string[] {
  const unit = row.unit === 'times' ? ' ×' : '';
  const values = NAMES.map((name) =>
    number(results.middle(scenario, name, (figures) => figures.values[row.key]), unit));
  if (row.unit === 'times') {
    const own = results.middle(scenario, 'ours', (figures) => figures.values[row.key]);
    const limit = row.wantedMax === undefined ? '' : wanted(own, '≤', row.wantedMax);
    return [row.title, ...values, '', limit, ''];
  }
  const toMosquitto = results.compared(scenario, row.key, 'mosquitto', quotient);
  return [
    row.title, ...values, number(toMosquitto, ' ×'),
    row.wantedMax === undefined ? '' : wanted(toMosquitto, '≤', row.wantedMax),
    number(results.compared(scenario, row.key, 'aedes', quotient), ' ×'),
  ];
}

function cpuTable(results: Results, scenarios: readonly Scenario[]): string {
  const rows = scenarios.flatMap((scenario) => scenario.rows
    .filter((row) => row.unit !== 'bytes').map((row) => rowCells(results, scenario, row)));
  if (rows.length === 0) return '';
  return table(['CPU µs per message', ...TITLES, 'ours / Mosquitto', '', 'ours / aedes'], rows);
}

function rateTable(results: Results, scenarios: readonly Scenario[]): string {
  const rows = scenarios.filter((scenario) => scenario.rows.some((row) => row.unit !== 'bytes'))
    .map((scenario) => {
      const megabytes = (bytes: number | undefined) => bytes && bytes / 1e6;
      const generators = NAMES.map((name) =>
        results.middle(scenario, name, (figures) => figures.generatorMicros));
      return [
        scenario.name,
        ...NAMES.map((name) => whole(results.middle(scenario, name, (each) => each.perSecond))),
        ...NAMES.map((name) =>
          number(megabytes(results.middle(scenario, name, (each) => each.residentBytes)))),
        generators.map((micros) => number(micros)).join(' / '),
      ];
    });
  if (rows.length === 0) return '';
  const head = ['', ...TITLES.map((title) => `${title} messages/s`),
    ...TITLES.map((title) => `${title} MB`), 'generator\'s own CPU µs'];
  return 'Messages per second, resident memory at the end (megabytes) and what the generator ' +
    `spent per message, against each broker.\n\n${table(head, rows)}`;
}

function memoryTable(results: Results, scenarios: readonly Scenario[], brokers: readonly Broker[]):
  string {
  const tables = scenarios.flatMap((scenario) => scenario.rows.filter((row) => row.unit === 'bytes')
    .map((row) => table([`${row.title}, bytes`, 'resident', 'beyond a bare Node socket', ''],
      brokers.map((broker) => {
        const value = results.middle(scenario, broker.name, (figures) => figures.values[row.key]);
        const bare = results.middle(scenario, 'bare', (figures) => figures.values[row.key]);
        const onNode = broker.name === 'ours' || broker.name === 'aedes';
        const comparable = onNode && value !== undefined && bare !== undefined;
        const beyond = comparable ? value - bare : undefined;
        const limit = broker.name === 'ours' && row.wantedMax !== undefined
          ? wanted(beyond, '≤', row.wantedMax) : '';
        return [broker.title, whole(value), whole(beyond), limit];
      }))));
  return tables.join('\n\n');
}

function codecTable(codecs: readonly CodecFigures[]): string {
  const theirs = codecs.find((codec) => codec.name === 'mqtt-packet');
  if (!theirs) return '';
  const rows = codecs.map((codec) => {
    const faster = (pick: (each: CodecFigures) => number) => {
      const times = pick(theirs) / pick(codec);
      return codec === theirs ? '' : `${number(times, ' ×')} faster, ${wanted(times, '≥', 10)}`;
    };
    return [
      codec.name, whole(codec.generateNanos), whole(codec.generateBytes),
      faster((each) => each.generateNanos),
      whole(codec.parseNanos), whole(codec.parseBytes), faster((each) => each.parseNanos),
    ];
  });
  return table(['one PUBLISH', 'encode ns', 'heap bytes', '', 'decode ns', 'heap bytes', ''], rows);
}

/**
 * Lines about loss, duplicates and order; empty when every message arrived once and in its turn.
 */
export function faultLines(results: Results, scenarios: readonly Named[],
  brokers: readonly Titled[]): string[] {
  return scenarios.flatMap((scenario) => brokers.flatMap((broker) => {
    const sum = { lost: 0, duplicates: 0, outOfOrder: 0 };
    let failed = 0;
    for (const figures of results.rounds(scenario, broker.name)) {
      sum.lost += figures?.faults.lost ?? 0;
      sum.duplicates += figures?.faults.duplicates ?? 0;
      sum.outOfOrder += figures?.faults.outOfOrder ?? 0;
      if (!figures) failed++;
    }
    if (failed + sum.lost + sum.duplicates + sum.outOfOrder === 0) return [];
    return [`- ${broker.title}, ${scenario.name}: ${sum.lost} lost, ${sum.duplicates} twice, ` +
      `${sum.outOfOrder} out of order; failed runs: ${failed}`];
  }));
}

export interface ReportInput {
  readonly results: Results;
  readonly scenarios: readonly Scenario[];
  readonly brokers: readonly Broker[];
  readonly codecs: readonly CodecFigures[];
  readonly rounds: number;
  /** How the brokers were configured, where not as shipped. */
  readonly configuration: string;
}

export function report(input: ReportInput): string {
  const { results, scenarios, brokers, codecs, rounds } = input;
  const processors = cpus();
  const versions = brokers.filter((broker) => broker.name !== 'bare')
    .map((broker) => `${broker.title} ${broker.version}`).join(', ');
  const faults = faultLines(results, scenarios, brokers);
  const checked = faults.length === 0
    ? 'Nothing was lost, delivered twice or out of order.'
    : `Loss, duplicates, order:\n\n${faults.join('\n')}`;
  const without = processFiguresKnown ? ''
    : 'This system has no /proc: CPU time and memory of the brokers are not measured.';
  return [
    `Measured ${new Date().toISOString().slice(0, 10)} on ${processors[0]?.model.trim()}, ` +
    `${processors.length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ` +
    `${process.arch}, Node ${process.version}: ${versions}. Medians of ${rounds} rounds, ` +
    `brokers by turns, 64-byte payloads. ${input.configuration}`,
    without,
    cpuTable(results, scenarios),
    rateTable(results, scenarios),
    memoryTable(results, scenarios, brokers),
    codecTable(codecs),
    scenarios.length > 0 ? checked : '',
  ].filter((part) => part !== '').join('\n\n') + '\n';
}
