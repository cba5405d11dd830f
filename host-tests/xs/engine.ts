// Brings Moddable's XS engine to this computer: fetches its C sources once, compiles them together with
// host.c, and runs bundled scripts in it. Called by suites.ts; everything it makes is in .cache/xs.
//
// The sources are those that the npm package @agoric/xsnap carries; nothing else of the package is used and
// none of its scripts run. A binary is named by a hash of all that went into it, so it is never stale, and
// it gets that name only when it is complete, so two processes may build at once.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';

declare const HOST_TESTS: string;

export interface Outcome {
  /** The exit status; null if a signal ended the process or it could not be started. */
  status: number | null;
  stdout: string;
  stderr: string;
}

const PACKAGE = '@agoric/xsnap@0.15.0';
const TARBALL = 'agoric-xsnap-0.15.0.tgz';
const INTEGRITY =
  'sha512-ZBm4DZxbtfacxMHVVdJjZi0Y8zOxN77vpu1WwI5RWfPkaRh0aHkz/dVdTGKXalDNzWfz183lljKxlxl3/h0n+A==';
const COMPILER = 'cc';

// mxFrequency counts bytecodes, mxInstrument collections; mxNoConsole keeps XS's own reports out of our TAP.
// Without mxDebug the parser emits no line codes, as in a release build for a device.
const FLAGS = ['-O1', '-fno-common', '-DINCLUDE_XSPLATFORM', '-DXSPLATFORM="platform.h"',
  '-DmxFrequency=1', '-DmxInstrument=1', '-DmxNoConsole=1', '-DmxBoundsCheck=1',
  '-DmxParse=1', '-DmxRun=1', '-DmxSloppy=1', '-DmxMinusZero=1'];
const LIBRARIES = ['-lm', '-lpthread'];

const ownSources = join(HOST_TESTS, 'xs');
const cache = join(HOST_TESTS, '.cache', 'xs');

class Missing extends Error {}

/**
 * The path of `xs-host`, compiled if need be. `missing` says in one sentence what this computer lacks;
 * sources that do not compile, or a tarball that is not the pinned one, are errors and reject.
 */
export async function xsEngine(bits: 32 | 64): Promise<{ path: string } | { missing: string }> {
  try {
    return { path: await cachedEngine(bits) };
  } catch (error) {
    if (error instanceof Missing) return { missing: error.message };
    throw error;
  }
}

async function cachedEngine(bits: 32 | 64): Promise<string> {
  const compiler = await run(COMPILER, ['--version']);
  if (compiler.status !== 0) throw new Missing(`no C compiler "${COMPILER}" (Debian: gcc, libc6-dev)`);
  const target = await run(COMPILER, ['-dumpmachine']);
  const hash = createHash('sha256');
  const parts = [INTEGRITY, ...FLAGS, ...LIBRARIES, compiler.stdout, target.stdout];
  for (const part of parts) hash.update(`${part}\n`);
  for (const name of ['host.c', 'platform.h']) hash.update(await readFile(join(ownSources, name)));
  const path = join(cache, `xs-host-${bits}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(path)) return path;

  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'building-'));
  try {
    const width = await widthFlags(bits, folder);
    await unpackSources(folder);
    await rename(await compileAndLink(folder, width), path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return path;
}

/** The flags that make the compiler's programs `bits` wide, proved by a program that compiles and runs. */
async function widthFlags(bits: 32 | 64, folder: string): Promise<string[]> {
  const source = join(folder, 'probe.c');
  const program = join(folder, 'probe');
  await writeFile(source, '#include <stdio.h>\n#include <math.h>\n' +
    `_Static_assert(sizeof(void*) * 8 == ${bits}, "width");\nint main(void) { return 0; }\n`);
  for (const flags of [[], [`-m${bits}`]]) {
    const compiled = await run(COMPILER, [...flags, source, '-o', program, ...LIBRARIES]);
    if (compiled.status === 0 && (await run(program, [])).status === 0) return flags;
  }
  throw new Missing(bits === 32 ? 'no 32-bit C library (Debian on x86-64: gcc-multilib)'
    : `"${COMPILER}" makes no programs of ${bits} bits`);
}

async function unpackSources(folder: string): Promise<void> {
  const tarball = join(cache, TARBALL);
  if (!existsSync(tarball)) {
    const packed = await run('npm', ['pack', PACKAGE, '--ignore-scripts', '--loglevel=error',
      `--pack-destination=${folder}`]);
    if (packed.status !== 0) {
      const why = packed.stderr.split('\n').find((line) => line.startsWith('npm error')) ?? 'npm failed';
      throw new Missing(`npm could not fetch the sources of XS, ${PACKAGE} (${why})`);
    }
    await rename(join(folder, TARBALL), tarball);
  }
  const integrity = `sha512-${createHash('sha512').update(await readFile(tarball)).digest('base64')}`;
  if (integrity !== INTEGRITY) {
    await rm(tarball, { force: true });
    throw new Error(`${PACKAGE} is not the pinned package: ${integrity} instead of ${INTEGRITY}`);
  }
  await expectSuccess('tar', ['-xzf', tarball, '-C', folder, 'package/moddable/xs']);
}

/** Compiles as many files at a time as there are processors, the longest first. */
async function compileAndLink(folder: string, width: string[]): Promise<string> {
  const engine = join(folder, 'package', 'moddable', 'xs');
  const includes = ['includes', 'platforms', 'sources'].map((name) => `-isystem${join(engine, name)}`);
  const sources: { path: string; bytes: number; warnings: string[] }[] = [
    { path: join(ownSources, 'host.c'), bytes: 0, warnings: ['-Wall', '-Wextra', '-Werror'] },
  ];
  for (const name of await readdir(join(engine, 'sources'))) {
    const path = join(engine, 'sources', name);
    if (!name.endsWith('.c') || name === 'xsDefaults.c') continue; // the latter is part of host.c
    sources.push({ path, bytes: (await stat(path)).size, warnings: ['-w'] });
  }
  sources.sort((a, b) => a.bytes - b.bytes);
  const objects: string[] = [];
  const compileRemaining = async (): Promise<void> => {
    for (let source = sources.pop(); source; source = sources.pop()) {
      const object = join(folder, `${basename(source.path, '.c')}.o`);
      await expectSuccess(COMPILER, [...width, ...FLAGS, ...source.warnings, `-I${ownSources}`, ...includes,
        '-c', source.path, '-o', object]);
      objects.push(object);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, compileRemaining));
  const program = join(folder, 'xs-host');
  await expectSuccess(COMPILER, [...width, ...objects.sort(), ...LIBRARIES, '-o', program]);
  return program;
}

/** What of bare-sdk.ts stands for which module of the SDK. */
const SDK: Readonly<Record<string, string>> = {
  'embedded:io/socket/listener': 'Listener', 'embedded:io/socket/tcp': 'TCP', 'embedded:io/socket/udp': 'UDP',
  'mc/config': 'config', net: 'Net', preference: 'Preference', time: 'Time', timer: 'Timer', wifi: 'WiFi',
};

const bareSdk: Plugin = {
  name: 'bare-sdk',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[a-z]/ }, ({ path }) => Object.hasOwn(SDK, path) ? { path, namespace: 'sdk' } : undefined);
    onLoad({ filter: /./, namespace: 'sdk' }, ({ path }) =>
      ({ contents: `export { ${SDK[path]} as default } from './bare-sdk.ts';`, resolveDir: ownSources, loader: 'ts' }));
  },
};

/**
 * Bundles a TypeScript file into one script for xs-host, with tap.ts for `tap` and bare-sdk.ts for the SDK's modules,
 * and resolves to its path.
 */
export async function bundleForXs(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry], bundle: true, write: false, format: 'iife', target: 'es2022', platform: 'neutral',
    alias: { tap: join(ownSources, 'tap.ts') }, plugins: [bareSdk], logLevel: 'warning',
  });
  await mkdir(cache, { recursive: true });
  const name = relative(HOST_TESTS, entry).replace(/[\\/]/g, '-').replace(/\.ts$/, '.js');
  const path = join(cache, name);
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, outputFiles[0]!.contents);
  await rename(unfinished, path);
  return path;
}

/** Runs a bundled script in XS to its end. */
export function runOnXs(enginePath: string, script: string, args: readonly string[] = []): Promise<Outcome> {
  return run(enginePath, [script, ...args]);
}

function run(command: string, args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    let stdout = '';
    let stderr = '';
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
    child.on('error', (error) => resolve({ status: null, stdout, stderr: error.message }));
    child.on('close', (status) => resolve({ status, stdout, stderr }));
  });
}

async function expectSuccess(command: string, args: readonly string[]): Promise<void> {
  const { status, stderr } = await run(command, args);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${stderr}`);
}
