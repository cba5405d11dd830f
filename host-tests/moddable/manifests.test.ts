// The manifests of hub and sensor: that they name each module that the program takes, and preload it, so that on a
// board it stays in flash; and, with MODDABLE set, that the modules of every board's target compile and link.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import t from 'tap';
import { ESP32C3_LIMITS, ESP32_LIMITS, ESP32_RAISED_LIMITS, ESP8266_LIMITS } from '../../src/board-limits.js';
import { hubLimits, sensorLimits } from '../../src/moddable/settings.js';
import { BOARDS } from '../xs/boards.js';
import { linkForBoard, missing, root, warnings } from './mcconfig.js';

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
  /** The module from which all others of ours are taken. */
  entry: string;
  platforms: readonly string[];
}

const BOARD_PLATFORMS = ['esp32', 'esp32/nodemcu', 'esp32/esp32c3', 'esp32/esp32c3_cdc', 'esp', 'esp/nodemcu'];
const SIMULATORS = ['lin', 'mac', 'win'];

const PROGRAMS: readonly Program[] = [
  { folder: '.', entry: 'moddable/hub-main', platforms: [...BOARD_PLATFORMS, ...SIMULATORS] },
  { folder: 'boards/sensor', entry: 'moddable/sensor-main', platforms: [...BOARD_PLATFORMS, ...SIMULATORS] },
  { folder: 'boards/esp32-16-clients', entry: 'moddable/hub-main', platforms: ['esp32', 'esp32/nodemcu'] },
  // Programs of others, by the manifests that we give them.
  { folder: 'host-tests/moddable/programs/mqtt-client-419', entry: 'moddable/faces/mqtt-client-419',
    platforms: ['esp32', 'esp', ...SIMULATORS] },
  { folder: 'host-tests/moddable/programs/mqtt-server', entry: 'moddable/faces/mqtt-server',
    platforms: ['esp32', 'esp', ...SIMULATORS] },
];

for (const { folder, entry, platforms } of PROGRAMS) {
  for (const platform of platforms) {
    t.test(`${folder} for ${platform}: every module that is needed is named and preloaded, and no other`, (t) => {
      const { modules, preload, creation } = flatten(join(root, folder, 'manifest.json'), platform);
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
      visit(entry);
      if (entry.endsWith('-main')) t.equal(creation['main'], entry);
      if (creation['main'] === entry && !preload.has(entry)) needed.delete(entry); // all of it runs on the board
      const simulated = SIMULATORS.includes(platform) ? ['moddable/dht22/capture', 'sensor/simulated-dht22'] : [];
      t.same([...needed].filter((name) => !preload.has(name) && !simulated.includes(name)), [], 'preloaded');
      t.same([...preload].filter((name) => (modules.get(name) ?? source).startsWith(source) && !needed.has(name)), [],
        'preloaded, but not needed');
      t.end();
    });
  }
}

t.test('every board has its limits, and the memory that its budget counts on', (t) => {
  const targets = [
    { folder: '.', platform: 'esp', name: 'ESP8266', limits: ESP8266_LIMITS },
    { folder: '.', platform: 'esp/nodemcu', name: 'ESP8266', limits: ESP8266_LIMITS },
    { folder: '.', platform: 'esp32', name: 'ESP32', limits: ESP32_LIMITS },
    { folder: '.', platform: 'esp32/nodemcu', name: 'ESP32', limits: ESP32_LIMITS },
    { folder: '.', platform: 'esp32/esp32c3', name: 'ESP32-C3', limits: ESP32C3_LIMITS },
    { folder: '.', platform: 'esp32/esp32c3_cdc', name: 'ESP32-C3', limits: ESP32C3_LIMITS },
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
  for (const { folder, entry, platforms } of PROGRAMS) {
    for (const platform of platforms.filter((one) => !SIMULATORS.includes(one))) {
      // As the README builds it, with the debugger, on the board that most have; all others as they are released.
      const build = folder === '.' && platform === 'esp32' ? 'debug' : 'release';
      t.test(`${folder} compiles and links for ${platform}, ${build}`, { timeout: 240_000 }, async (t) => {
        const { log, failed, modules, defines } = await linkForBoard(folder, platform, build);
        t.notOk(failed, failed ? log.slice(-4000) : 'done');
        t.same(warnings(log), []);
        t.ok(modules.includes(entry));
        // The SDK's set-up joins the network by itself, before the program and not again: two would disturb each other.
        t.equal(modules.includes('setup/network'), !entry.endsWith('-main'), 'in programs of others only');
        t.match(defines, /^#define MODDEF_TASK_QUEUELENGTH \(40\)$/m, 'a wide fan-out does not lock an ESP32');
        if (platform.startsWith('esp32') && entry.endsWith('-main')) {
          t.match(defines, /^CONFIG_ESP_TASK_WDT_PANIC=y$/m, 'the watchdog is on');
          t.match(defines, /^CONFIG_ESP_TASK_WDT_EN=y$/m);
          const { connectionsMax } = hubLimits(flatten(join(root, folder, 'manifest.json'), platform).config);
          const [, opened = '16'] = /^CONFIG_LWIP_MAX_ACTIVE_TCP=(\d+)$/m.exec(defines) ?? [];
          t.ok(Number(opened) >= connectionsMax, `lwIP opens ${opened} connections, the broker ${connectionsMax}`);
        }
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
