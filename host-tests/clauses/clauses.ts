// The normative statements of MQTT 3.1.1 and 5.0, and where the tests name them.
//
// A test names a statement in a title or a comment: `[MQTT-3.3.1-2]` is one of 3.1.1, `5.0 [MQTT-3.3.1-2]` one of 5.0.
// After `5.0 ` every statement up to the end of that string or comment, or up to `3.1.1 `, is of 5.0.
// Byte vectors name theirs in `clause`: `MQTT-3.3.1-2`, `5.0 MQTT-3.3.1-2`.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export const VERSIONS = ['3.1.1', '5.0'] as const;
export type Version = typeof VERSIONS[number];

export interface Clause {
  id: string;
  binds: 'server' | 'client' | 'both';
  /** What it is about, in our words. */
  gist: string;
  /** Why no test can name it. */
  notApplicable?: string;
}

/** Files that name a statement, by `version id`. */
export type Namings = Map<string, Set<string>>;

/** Comments and string literals, each as one piece. */
const PIECES = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/g;
const WORDS = /\b(5\.0|3\.1\.1) |\[(MQTT-[\d.-]+)\]/g;

/** What a piece of source names, as `version id`. */
export function namedIn(source: string): string[] {
  const found: string[] = [];
  for (const [piece] of source.matchAll(PIECES)) {
    let version: string = '3.1.1';
    for (const [, switched, id] of piece.matchAll(WORDS)) {
      if (switched) version = switched;
      else found.push(`${version} ${id}`);
    }
  }
  return found;
}

function namedByVectors(json: string): string[] {
  const vectors = JSON.parse(json) as { clause?: string }[] | object;
  if (!Array.isArray(vectors)) return [];
  return vectors.flatMap(({ clause }) => {
    const match = /^(5\.0 )?(MQTT-\S+)$/.exec(clause ?? '');
    return match ? [`${match[1] ? '5.0' : '3.1.1'} ${match[2]}`] : [];
  });
}

/** What all tests under `folder` name. */
export function namings(folder: string): Namings {
  const found: Namings = new Map();
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => name.replaceAll('\\', '/'))
    .filter((name) => !/^(node_modules|\.build|\.cache|clauses\/clauses)\b/.test(name));
  for (const name of names) {
    const read = name.endsWith('.test.ts') ? namedIn : /^vectors\/.*\.json$/.test(name) ? namedByVectors : null;
    for (const clause of read?.(readFileSync(join(folder, name), 'utf8')) ?? []) {
      found.set(clause, (found.get(clause) ?? new Set()).add(name));
    }
  }
  return found;
}

export function clausesOf(folder: string, version: Version): Clause[] {
  return JSON.parse(readFileSync(join(folder, `clauses/clauses-${version}.json`), 'utf8')) as Clause[];
}

/** Order of the specification: by its numbers. */
export function compareIds(a: string, b: string): number {
  const [these, those] = [a, b].map((id) => (id.match(/\d+/g) ?? []).map(Number));
  for (let i = 0; i < these!.length; i++) {
    if (these![i] !== those![i]) return these![i]! - (those![i] ?? -1);
  }
  return these!.length - those!.length;
}
