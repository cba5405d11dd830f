// The manifests of hub and sensor: that they name each module that the program takes, and preload it, so that on a
// board it stays in flash; and, with MODDABLE set, that the modules of every board's target compile and link.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import t from 'tap';
import { ESP32C3_LIMITS, ESP32_LIMITS, ESP32_RAISED_LIMITS, ESP8266_LIMITS } from '../../src/board-limits.js';
import { hubLimits, sensorLimits } from '../../src/moddable/settings.js';
import { BOARDS } from '../xs/boards.js';
import { generateForBoard, linkForBoard, missing, root, warnings } from './mcconfig.js';

interface Manifest {
  include?: string | string[];
  modules?: Record<string, string | string[]>;
  preload?: string | string[];
  config?: Record<string, unknown>;
  creation?: Record<string, unknown>;
  platforms?: Record<string, Manifest>;
}

const source = join(root, 'src');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const list = (value: string | string[] | undefined): string[] => value === undefined ? [] : [value].flat();

interface Flat {
  /** Module to file, without `.ts`. */
  modules: Map<string, string>;
  preload: Set<string>;
  config: Record<string, unknown>;
  creation: Record<string, unknown>;
}

/** A manifest and what it includes, for one platform; of the SDK's own nothing. */
function flatten(path: string, platform: string, into: Flat = emptyFlat()): Flat {
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as Manifest;
  const { platforms } = manifest;
  const own = platforms?.[platform] ?? platforms?.[platform.split('/')[0]!] ?? {};
  for (const part of [manifest, own]) {
    for (const include of list(part.include)) {
      if (!include.startsWith('$')) flatten(join(dirname(path), include), platform, into);
    }
  }
  for (const part of [manifest, own]) {
    for (const [name, files] of Object.entries(part.modules ?? {})) {
      if (name !== '*' && name !== '~') addModules(into.modules, name, dirname(path), list(files));
    }
    for (const name of list(part.preload)) into.preload.add(name);
    Object.assign(into.config, part.config);
    Object.assign(into.creation, part.creation);
  }
  return into;
}

const emptyFlat = (): Flat => ({ modules: new Map(), preload: new Set(), config: {}, creation: {} });

function addModules(modules: Map<string, string>, name: string, folder: string, files: string[]): void {
  for (const file of files) {
    if (!file.endsWith('*')) {
      modules.set(name, join(folder, file));
      continue;
    }
    const directory = join(folder, dirname(file));
    for (const entry of readdirSync(directory)) {
      if (!entry.endsWith('.ts')) continue;
      modules.set(name.replace('*', entry.slice(0, -3)), join(directory, entry.slice(0, -3)));
    }
  }
}

/** Modules that `file` takes values from. */
function imports(file: string): string[] {
  const text = readFileSync(`${file}.ts`, 'utf8');
  return [...text.matchAll(/^(?:import|export) (?!type\b)([^;]*?) from '(\.[^']+)\.js';/gm)]
    .filter(([, names]) => !/^\{(\s*type \w+,?)+\s*\}$/.test(names!))
    .map(([, , specifier]) => join(dirname(file), specifier!));
}

const moduleOf = (file: string): string => relative(source, file).replaceAll('\\', '/');

interface Program {
  folder: string;
  main: string;
  platforms: readonly string[];
}

const PROGRAMS: readonly Program[] = [
  { folder: '.', main: 'moddable/hub-main', platforms: ['esp32', 'esp32/nodemcu', 'esp32/esp32c3', 'esp', 'lin'] },
  { folder: 'boards/sensor', main: 'moddable/sensor-main',
    platforms: ['esp32', 'esp32/nodemcu', 'esp32/esp32c3', 'esp', 'lin'] },
  { folder: 'boards/esp32-16-clients', main: 'moddable/hub-main', platforms: ['esp32', 'esp32/nodemcu'] },
];

for (const { folder, main, platforms } of PROGRAMS) {
  for (const platform of platforms) {
    t.test(`${folder} for ${platform}: every module that is needed is named and preloaded, and no other`, (t) => {
      const { modules, preload, creation } = flatten(join(root, folder, 'manifest.json'), platform);
      t.equal(creation['main'], main);
      const needed = new Set<string>();
      const visit = (name: string): void => {
        if (needed.has(name)) return;
        needed.add(name);
        const file = modules.get(name);
        t.ok(file !== undefined && existsSync(`${file}.ts`), `${name} is named`);
        if (file === undefined) return;
        // Relative imports are resolved by the names of modules, not of files: a simulated one has another's name.
        for (const imported of imports(file)) visit(moduleOf(imported));
      };
      visit(main);
      needed.delete(main); // runs on the board
      const simulated = platform === 'lin' ? ['moddable/dht22/capture', 'sensor/simulated-dht22'] : [];
      t.same([...needed].filter((name) => !preload.has(name) && !simulated.includes(name)), [], 'preloaded');
      t.same([...preload].filter((name) => !needed.has(name)), [], 'preloaded, but not needed');
      t.end();
    });
  }
}

t.test('every board has its limits, and the memory that its budget counts on', (t) => {
  const targets = [
    { folder: '.', platform: 'esp', name: 'ESP8266', limits: ESP8266_LIMITS },
    { folder: '.', platform: 'esp32', name: 'ESP32', limits: ESP32_LIMITS },
    { folder: '.', platform: 'esp32/nodemcu', name: 'ESP32', limits: ESP32_LIMITS },
    { folder: '.', platform: 'esp32/esp32c3', name: 'ESP32-C3', limits: ESP32C3_LIMITS },
    { folder: 'boards/esp32-16-clients', platform: 'esp32', name: 'ESP32, 16 clients', limits: ESP32_RAISED_LIMITS },
  ];
  for (const { folder, platform, name, limits } of targets) {
    const { config, creation } = flatten(join(root, folder, 'manifest.json'), platform);
    const board = BOARDS.find((one) => one.name === name)!;
    t.equal(hubLimits(config), limits, name);
    t.equal(sensorLimits(config), board.sensor, name);
    t.equal(board.hub, limits, name);
    t.equal(config['version'], version);
    const { chunk, heap } = creation as { chunk: { initial: number }; heap: { initial: number } };
    t.same('staticBytes' in board.creation ?
      { staticBytes: creation['static'], stackSlots: creation['stack'] } :
      { chunkBytes: chunk.initial, heapSlots: heap.initial, stackSlots: creation['stack'] }, board.creation, name);
  }
  t.end();
});

const why = missing();
if (why !== '') {
  process.stderr.write(`not run: the modules of every board, linked: ${why}\n`);
  t.pass(`the modules of no board were linked: ${why}`);
} else {
  t.setTimeout(600_000); // the first time; later only what has changed is compiled again
  for (const { folder, platforms } of PROGRAMS) {
    for (const platform of platforms.filter((one) => one !== 'lin')) {
      // A nodemcu is an ESP32 with another `creation`, and so is the one with 16 clients: the same modules.
      const linked = folder !== 'boards/esp32-16-clients' && platform !== 'esp32/nodemcu';
      t.test(`${folder} ${linked ? 'compiles and links' : 'is understood'} for ${platform}`, { timeout: 240_000 },
        async (t) => {
          const { log, failed } = await (linked ? linkForBoard : generateForBoard)(folder, platform);
          t.notOk(failed, failed ? log.slice(-4000) : 'done');
          t.same(warnings(log), []);
        });
    }
  }
}

t.test('the check for warnings can see one', (t) => {
  const frozen = '### warning: broker/age: age() count: no const';
  const native = `${root}/src/moddable/board/board.js:21: warning: cannot optimize native!`;
  t.same(warnings(`# xsl modules\n### warning: wifi: timer: no const\n${frozen}\n${native}\n`), [frozen, native]);
  t.end();
});
