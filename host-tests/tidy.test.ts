// The shape of the source, held: who may import whom, how long things may be, and no allocation in the functions that
// run for every packet. Reads the files of src as text and, compiled, as a syntax tree.
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parse } from 'acorn';
import { transformSync } from 'esbuild';
import t from 'tap';

declare const HOST_TESTS: string;

const root = dirname(HOST_TESTS);
const source = join(root, 'src');

const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.replaceAll('\\', '/'))
  .sort();

/** What each folder may import, beside itself. `.` stands for limits.ts and link.ts, which import nothing. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  '.': [],
  wire: [],
  session: ['wire', '.'],
  broker: ['wire', 'session', '.'],
  client: ['wire', 'session', '.'],
  sensor: [],
  room: ['wire', 'session', 'client', 'sensor', '.'],
  node: ['wire', 'session', 'broker', 'client', 'sensor', 'room', '.'],
  moddable: ['wire', 'session', 'broker', 'client', 'sensor', 'room', '.'],
};

/** Modules of Moddable's SDK that `moddable`, and nobody else, may import. */
const SDK = /^(embedded:.+|timer|time|net|wifi|mdns|preference|mc\/config)$/;

function folderOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : '.';
}

t.test('dependencies point one way', (t) => {
  for (const file of files) {
    const folder = folderOf(file);
    const text = readFileSync(join(source, file), 'utf8');
    for (const [, specifier] of text.matchAll(/^(?:import|export)\b[^;]*?from '([^']+)';/gm)) {
      if (!specifier!.startsWith('.')) {
        t.ok(folder === 'node' && specifier!.startsWith('node:') || folder === 'moddable' && SDK.test(specifier!),
          `${file} may import ${specifier}`);
        continue;
      }
      t.ok(specifier!.endsWith('.js') || specifier === '../../package.json', `${file}: ${specifier} ends in .js`);
      if (specifier === '../../package.json') continue;
      const target = folderOf(relative(source, join(source, dirname(file), specifier!)).replaceAll('\\', '/'));
      t.ok(target === folder || MAY_IMPORT[folder]?.includes(target), `${file} may import from ${target}`);
    }
  }
  t.end();
});

/** Files that `file` takes values from, types aside. */
function valueImports(file: string): string[] {
  const text = readFileSync(join(source, file), 'utf8');
  return [...text.matchAll(/^import (?!type\b)([^;]*?) from '(\.[^']+)\.js';/gm)]
    .filter(([, names]) => !/^\{(\s*type \w+,?)+\s*\}$/.test(names!))
    .map(([, , specifier]) => relative(source, join(source, dirname(file), `${specifier}.ts`)).replaceAll('\\', '/'));
}

t.test('no file needs itself by way of others', (t) => {
  const done = new Set<string>();
  const visit = (file: string, path: string[]): void => {
    if (path.includes(file)) t.fail([...path.slice(path.indexOf(file)), file].join(' → '));
    if (done.has(file) || path.includes(file)) return;
    done.add(file);
    for (const next of valueImports(file)) visit(next, [...path, file]);
  };
  for (const file of files) visit(file, []);
  t.equal(done.size, files.length);
  t.end();
});

t.test('files and lines stay short, and nothing is left undone', (t) => {
  for (const file of files) {
    const text = readFileSync(join(source, file), 'utf8');
    const lines = text.split('\n');
    t.ok(lines.length <= 401, `${file} has at most 400 lines`);
    t.same(lines.filter((line) => line.length > 100), [], `${file} has no line of more than 100 columns`);
    t.match(lines[0] === '#!/usr/bin/env node' ? lines[1] : lines[0], /^\/\/ /, `${file} opens with its job`);
    t.notMatch(text, /\b(TODO|FIXME|XXX|HACK)\b/, `${file} leaves nothing undone`);
  }
  t.end();
});

interface SyntaxNode {
  type: string;
  start: number;
  end: number;
  [key: string]: unknown;
}

function children(node: SyntaxNode): SyntaxNode[] {
  return Object.values(node).flat()
    .filter((value): value is SyntaxNode => typeof (value as SyntaxNode | null)?.type === 'string');
}

function syntaxOf(file: string): { text: string; tree: SyntaxNode } {
  const text = transformSync(readFileSync(join(source, file), 'utf8'), { loader: 'ts', target: 'es2022' }).code;
  return { text, tree: parse(text, { ecmaVersion: 2022, sourceType: 'module', allowHashBang: true }) as unknown as SyntaxNode };
}

/** Every function and method of a tree but constructors, which may allocate. */
function functions(node: SyntaxNode, inside: SyntaxNode[] = []): SyntaxNode[] {
  if (node.type === 'MethodDefinition' && node['kind'] === 'constructor') return inside;
  if (/Function/.test(node.type)) inside.push(node);
  for (const child of children(node)) functions(child, inside);
  return inside;
}

t.test('functions stay within 70 lines', (t) => {
  for (const file of files) {
    const { text, tree } = syntaxOf(file);
    const long = functions(tree).map((node) => text.slice(node.start, node.end))
      .filter((code) => code.split('\n').length > 70).map((code) => code.split('\n')[0]);
    t.same(long, [], file);
  }
  t.end();
});

/** Files whose functions run for packets; what they may not contain outside constructors. */
const HOT = /^(wire|session|broker|client)\//;
/** Allocates at construction only, or is the list of names. */
const COLD = new Set(['broker/ascii.ts', 'broker/memory.ts', 'session/columns.ts', 'broker/counters.ts', 'client/limits.ts',
  'client/memory.ts', 'client/mqtt-client.ts', 'client/options.ts', 'client/text.ts', 'client/properties.ts',
  'client/incoming.ts', 'client/requests.ts']);
const COLD_FUNCTIONS = /^function specialBytes/;
const ALLOCATES = new Set(['NewExpression', 'ArrowFunctionExpression', 'ObjectExpression', 'ArrayExpression',
  'SpreadElement', 'RestElement', 'ForOfStatement', 'ForInStatement', 'ThrowStatement', 'TryStatement',
  'TemplateLiteral', 'ArrayPattern', 'YieldExpression', 'AwaitExpression', 'RegExpLiteral']);
const ALLOCATING_METHODS = new Set(['subarray', 'slice', 'map', 'filter', 'forEach', 'bind', 'push', 'concat']);

function allocations(node: SyntaxNode): SyntaxNode[] {
  const found = ALLOCATES.has(node.type) ? [node] : [];
  if (node.type === 'CallExpression') {
    const property = (node['callee'] as SyntaxNode)['property'] as SyntaxNode | undefined;
    if (property?.type === 'Identifier' && ALLOCATING_METHODS.has(property['name'] as string)) found.push(node);
  }
  return [...found, ...children(node).flatMap(allocations)];
}

t.test('what runs for packets contains nothing that allocates', (t) => {
  for (const file of files.filter((name) => HOT.test(name) && !COLD.has(name))) {
    const { text, tree } = syntaxOf(file);
    const found = functions(tree)
      .filter((node) => !COLD_FUNCTIONS.test(text.slice(node.start, node.end)))
      .flatMap((node) => children(node).flatMap(allocations))
      .map((node) => text.slice(node.start, node.end).split('\n')[0]);
    t.same(found, [], file);
  }
  t.end();
});

t.test('the check for allocations can see one', (t) => {
  const tree = parse('function f(a) { for (const b of a) g([b], () => b, a.subarray(1)); }',
    { ecmaVersion: 2022 }) as unknown as SyntaxNode;
  t.equal(functions(tree).flatMap((node) => children(node).flatMap(allocations)).length, 4);
  t.end();
});
