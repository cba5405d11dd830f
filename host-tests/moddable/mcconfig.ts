// Moddable's tools, for the tests of manifests and programs: builds our programs with the SDK that MODDABLE points to.
// What is built stays in `.cache`, so that only what has changed is built again.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';

declare const HOST_TESTS: string;

export const root = dirname(HOST_TESTS);
export const cache = join(HOST_TESTS, '.cache', 'moddable');

/** What the name of the SDK's platform for this computer is; undefined where there is none. */
const hosts: Partial<Record<NodeJS.Platform, string>> = { linux: 'lin', darwin: 'mac' };

const sdk = process.env['MODDABLE'];

/** Why programs cannot be built here; '' if they can. */
export function missing(): string {
  if (sdk === undefined) return 'MODDABLE is not set';
  return existsSync(tool('mcconfig')) ? '' : 'the tools of the SDK in MODDABLE are not built';
}

export function tool(name: string): string {
  return join(sdk ?? '', 'build', 'bin', hosts[process.platform] ?? '', 'release', name);
}

/** An environment in which mcconfig finds its tools, and stand-ins for the chip makers' packages, which nobody uses. */
function environment(): NodeJS.ProcessEnv {
  const nothing = join(cache, 'no-chip-sdk');
  if (!existsSync(join(nothing, 'export.sh'))) {
    mkdirSync(nothing, { recursive: true });
    const git = (...args: string[]): void => {
      spawnSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], { cwd: nothing });
    };
    git('init', '--quiet');
    git('commit', '--quiet', '--allow-empty', '--message=none');
    git('tag', 'v6.0');
    writeFileSync(join(nothing, 'export.sh'), '');
  }
  for (const name of ['esp8266-2.3.0', 'ESP8266_RTOS_SDK', 'toolchain/Linux', 'toolchain/Darwin']) {
    mkdirSync(join(nothing, name), { recursive: true });
  }
  return {
    ...process.env,
    PATH: [dirname(tool('mcconfig')), join(HOST_TESTS, 'node_modules', '.bin'), process.env['PATH']].join(delimiter),
    IDF_PATH: nothing, ESP_BASE: nothing,
    MAKEFLAGS: '-j2',
  };
}

export interface Built {
  /** What mcconfig and its tools said. */
  log: string;
  failed: boolean;
}

function run(command: string, args: readonly string[], cwd: string): Promise<Built> {
  return new Promise((resolve) => {
    // tap puts options of its own before every Node, which the compiler that mcconfig starts cannot live with.
    const child = spawn('env', ['-u', 'NODE_OPTIONS', command, ...args],
      { cwd, env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
    let log = '';
    child.stdout.on('data', (data: Buffer) => log += data);
    child.stderr.on('data', (data: Buffer) => log += data);
    child.on('error', (error) => resolve({ log: `${error}`, failed: true }));
    child.on('close', (status) => resolve({ log, failed: status !== 0 }));
  });
}

/** What mcconfig calls a program: its folder. */
const nameOf = (folder: string): string => basename(join(root, folder));

/** Builds the program of `folder` for the simulator, with settings such as `port=18853`; its library, or the log. */
export async function buildForSimulator(
  folder: string, name: string, settings: readonly string[],
): Promise<Built & { library: string }> {
  const out = join(cache, name);
  mkdirSync(out, { recursive: true });
  const built = await run(tool('mcconfig'),
    ['-m', '-p', 'lin', '-t', 'build', '-o', out, ...settings], join(root, folder));
  const library = join(out, 'bin', 'lin', 'mc', 'release', nameOf(folder), 'mc.so');
  return { ...built, failed: built.failed || !existsSync(library), library };
}

export interface Linked extends Built {
  /** The modules that went into it, by their names. */
  modules: string[];
  /** What the C of the SDK is compiled with: its defines and, for ESP32, the configuration of ESP-IDF. */
  defines: string;
}

/**
 * Generates the makefile of the program of `folder` for a board, and makes all of it that needs no compiler for the
 * chip: each module compiled, all linked, preloaded and frozen as they would be in flash.
 */
export async function linkForBoard(
  folder: string, platform: string, build: 'debug' | 'release',
): Promise<Linked> {
  const out = join(cache, 'boards');
  mkdirSync(out, { recursive: true });
  const made = join(out, 'tmp', ...platform.split('/'), build, nameOf(folder));
  const linked = join(made, 'mc.xs.c');
  const generated = await run(tool('mcconfig'),
    [...build === 'debug' ? ['-d'] : [], '-m', '-p', platform, '-t', 'nothing', '-o', out], join(root, folder));
  // There is no target of that name, and so make ends. All else is an error of the manifests.
  if (!/No rule to make target .?nothing/.test(generated.log)) {
    return { ...generated, failed: true, modules: [], defines: '' };
  }
  const chip = platform.startsWith('esp32/esp32c3') ? 'esp32c3' : 'esp32';
  const header = join(made, `xsProj-${chip}`, 'build', 'config', 'sdkconfig.h');
  mkdirSync(dirname(header), { recursive: true });
  writeFileSync(header, '');
  const built = await run('make', ['-o', header, '-f', join(made, 'makefile'), linked], join(root, folder));
  const text = (name: string): string => existsSync(join(made, name)) ? readFileSync(join(made, name), 'utf8') : '';
  return {
    log: generated.log + built.log, failed: built.failed || !existsSync(linked),
    modules: [...text('makefile').matchAll(/^\s*\$\(MODULES_DIR\)\/(\S+)\.xsb\b/gm)].map(([, name]) => name!),
    defines: text('mc.defines.h') + text(join(`xsProj-${chip}`, 'sdkconfig.mc')),
  };
}

/** Warnings of the linker and the compiler about modules of ours, which would take memory on a board. */
export function warnings(log: string): string[] {
  const ours = /^### warning: (limits|table-bytes|board-limits|(wire|session|broker|client|room|sensor|moddable)\/)/;
  const source = /[/\\]src[/\\].*warning:/;
  return log.split('\n').filter((line) => ours.test(line) || (source.test(line) && line.includes(root)));
}
