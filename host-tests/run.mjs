// The one entry of the test rig: `npm test`, `npm run fuzz`, `npm run bench`, `npm run budget`.
// Brings what only the tests need (host-tests/package-lock.json, installed once per content of that file),
// bundles the TypeScript of the tests with esbuild and runs it. Plain JavaScript, because nothing is
// compiled yet when it starts.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const built = join(here, '.build');

function run(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) throw error;
  return signal ? 1 : status;
}

function installPackages() {
  const lock = createHash('sha256').update(readFileSync(join(here, 'package-lock.json'))).digest('hex');
  const stamp = join(here, 'node_modules', '.installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  process.stderr.write('host-tests: installing the test packages (once)\n');
  const status = run('npm', ['ci', '--prefix', here, '--no-audit', '--no-fund', '--loglevel=error']);
  if (status !== 0) process.exit(status);
  // tap builds its test class for the plugins that .taprc leaves in.
  const built = run(join(here, 'node_modules', '.bin', 'tap'), ['build'], { cwd: here });
  if (built !== 0) process.exit(built);
  writeFileSync(stamp, lock);
}

/** The programs, and of the tests those whose path contains one of `words`; all of them if there are none. */
function entryPoints(words) {
  const names = readdirSync(here, { recursive: true }).filter((name) => !/^(node_modules|\.build|\.cache)/.test(name));
  const tests = names.filter((name) => name.endsWith('.test.ts') &&
    (words.length === 0 || words.some((word) => `/${name}`.includes(word))));
  return [...names.filter((name) => name.endsWith('.main.ts')), ...tests].sort().map((name) => join(here, name));
}

/** Bundles programs and tests; packages stay imports, everything else is inlined. Resolves to the files made. */
async function bundle(words) {
  const { build } = await import('esbuild');
  mkdirSync(built, { recursive: true });
  const entries = entryPoints(words);
  await build({
    entryPoints: entries, outdir: built, outbase: here, bundle: true, packages: 'external',
    platform: 'node', target: 'node20', format: 'esm', sourcemap: 'inline', logLevel: 'warning',
    define: { HOST_TESTS: JSON.stringify(here) },
  });
  return entries.map((entry) => join(built, relative(here, entry).replace(/\.ts$/, '.js')));
}

/**
 * Runs the test files under tap and tells, of its long report, a line for each file, what failed in full, what was
 * not run, and at the end `N passed, N failed`. Resolves to the exit code.
 */
function runTests(wanted) {
  const tap = spawn(join(here, 'node_modules', '.bin', 'tap'), ['run', '--disable-coverage', '--allow-empty-coverage',
    '--jobs=2', '--timeout=240', '--reporter=tap', ...wanted], { cwd: here, stdio: ['ignore', 'pipe', 'inherit'] });
  const counts = { pass: 0, fail: 0, skip: 0 };
  let report = [];
  createInterface({ input: tap.stdout }).on('line', (line) => {
    const summary = /^# \{ (total: .*) \}$/.exec(line);
    if (summary) for (const [, name, value] of summary[1].matchAll(/(\w+): (\d+)/g)) counts[name] = Number(value);
    report.push(line);
    if (!/^(not )?ok \d+ - /.test(line)) return;
    console.log(line);
    if (line.startsWith('not ')) console.log(failures(report).join('\n'));
    report = [];
  });
  return new Promise((resolve) => tap.on('close', (code) => {
    const failed = counts.fail + (code !== 0 && counts.fail === 0 ? 1 : 0);
    console.log(`${counts.pass} passed, ${failed} failed${counts.skip > 0 ? `, ${counts.skip} skipped` : ''}`);
    resolve(failed > 0 ? 1 : code);
  }));
}

/** The assertions of a report that failed, each with its details and the titles above it. */
function failures(report) {
  const told = [];
  let depth = -1;
  for (const line of report) {
    const indent = line.search(/\S/);
    if (/^\s*not ok /.test(line)) depth = indent;
    else if (depth >= 0 && (indent < depth || /^\s*(ok |# Subtest)/.test(line))) depth = -1;
    if (depth >= 0) told.push(line);
  }
  return told;
}

const [mode, ...args] = process.argv.slice(2);
installPackages();
const builtBroker = run('npm', ['run', '--silent', 'build']);
if (builtBroker !== 0) process.exit(builtBroker);
const files = await bundle(mode === 'test' ? args : ['no test']);

if (mode === 'test') {
  const types = run('node', [join(here, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', root]);
  if (types !== 0) process.exit(types);
  process.exit(await runTests(files.filter((file) => file.endsWith('.test.js'))));
} else {
  const program = files.find((file) => file.endsWith(`${mode}.main.js`));
  if (!program) {
    process.stderr.write(`host-tests: unknown mode "${mode}"; known: test, fuzz, bench, budget\n`);
    process.exit(2);
  }
  process.exit(run('node', ['--expose-gc', program, ...args]));
}
