// The one entry of the test rig: `npm test`, `npm run fuzz`, `npm run bench`.
// Brings what only the tests need (host-tests/package-lock.json, installed once per content of that file),
// bundles the TypeScript of the tests with esbuild and runs it. Plain JavaScript, because nothing is
// compiled yet when it starts.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
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
  writeFileSync(stamp, lock);
}

function entryPoints() {
  const entries = [];
  for (const name of readdirSync(here, { recursive: true })) {
    if (/^(node_modules|\.build|\.cache)/.test(name)) continue;
    if (/\.(test|main)\.ts$/.test(name)) entries.push(join(here, name));
  }
  return entries.sort();
}

/** Bundles every `*.test.ts` and `*.main.ts`; packages stay imports, everything else is inlined. */
async function bundle() {
  const { build } = await import('esbuild');
  mkdirSync(built, { recursive: true });
  const entries = entryPoints();
  await build({
    entryPoints: entries, outdir: built, outbase: here, bundle: true, packages: 'external',
    platform: 'node', target: 'node20', format: 'esm', sourcemap: 'inline', logLevel: 'warning',
    define: { HOST_TESTS: JSON.stringify(here) },
  });
  return entries.map((entry) => join(built, relative(here, entry).replace(/\.ts$/, '.js')));
}

const [mode, ...args] = process.argv.slice(2);
installPackages();
const builtBroker = run('npm', ['run', '--silent', 'build']);
if (builtBroker !== 0) process.exit(builtBroker);
const files = await bundle();

if (mode === 'test') {
  const types = run('node', [join(here, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', root]);
  if (types !== 0) process.exit(types);
  const wanted = files.filter((file) => file.endsWith('.test.js') &&
    (args.length === 0 || args.some((arg) => file.includes(arg))));
  const tap = join(here, 'node_modules', '.bin', 'tap');
  process.exit(run(tap, ['run', '--disable-coverage', '--allow-empty-coverage', '--jobs=2', '--timeout=300',
    ...wanted], { cwd: here }));
} else {
  const program = files.find((file) => file.endsWith(`${mode}.main.js`));
  if (!program) {
    process.stderr.write(`host-tests: unknown mode "${mode}"; known: test, fuzz, bench\n`);
    process.exit(2);
  }
  process.exit(run('node', ['--expose-gc', program, ...args]));
}
