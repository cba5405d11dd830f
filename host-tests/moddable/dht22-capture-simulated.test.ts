// The simulator's side of the DHT22 on a pin, and the manifests that choose between the sides.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import t from 'tap';
import { Dht22Capture } from '../../src/moddable/dht22/simulated-capture.js';
import { DHT22, PENDING, READ } from '../../src/sensor/dht22.js';
import { Random } from '../support/random.js';

declare const HOST_TESTS: string;

const source = join(dirname(HOST_TESTS), 'src');
const folder = join(source, 'moddable', 'dht22');

t.test('made as on a board, it gives readings of a room, and each one is another room', (t) => {
  let nowMs = 1_760_000_000_000;
  t.intercept(Date, 'now', { value: () => nowMs });
  const random = new Random(20261121);
  t.intercept(Math, 'random', { value: () => random.next() / 0x1_0000_0000 });
  const readings = Array.from({ length: 4 }, () => {
    nowMs += 17;
    const sensor = new DHT22({ sensor: { io: Dht22Capture, pin: 4 }, now: Date.now });
    sensor.request();
    let answer = PENDING;
    for (let polls = 0; answer === PENDING && polls < 100; polls++) {
      nowMs += 250;
      answer = sensor.poll();
    }
    t.equal(answer, READ);
    t.ok(sensor.temperatureTenths > 100 && sensor.temperatureTenths < 300, `${sensor.temperatureTenths}`);
    t.ok(sensor.humidityTenths > 200 && sensor.humidityTenths < 800, `${sensor.humidityTenths}`);
    sensor.close();
    return sensor.temperatureTenths * 1000 + sensor.humidityTenths;
  });
  t.equal(new Set(readings).size, readings.length);
  t.end();
});

t.test('the same chance at another time is another room, as the simulator needs', (t) => {
  t.intercept(Math, 'random', { value: () => 0.5 });
  const captures = [1_760_000_000_000, 1_760_000_000_001, 1_760_000_777_777].map((startMs) => {
    let nowMs = startMs;
    const { restore } = t.intercept(Date, 'now', { value: () => nowMs });
    const capture = new Dht22Capture({ pin: 4 });
    const widths = new Uint8Array(84);
    nowMs += 2000;
    capture.capture(widths);
    restore();
    return widths.join();
  });
  t.equal(new Set(captures).size, captures.length);
  t.end();
});

t.test('capture after close throws, as on a board; close is idempotent', (t) => {
  const capture = new Dht22Capture({ pin: 4 });
  capture.close();
  capture.close();
  t.throws(() => capture.capture(new Uint8Array(84)));
  t.end();
});

interface Manifest {
  modules?: Record<string, string | string[]>;
  platforms?: Record<string, Manifest & { include?: string; error?: string }>;
}

const manifest = (name: string): Manifest => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Manifest;

t.test('the manifest has a capture for each platform, from files that exist, or says that there is none', (t) => {
  const { modules: shared, platforms } = manifest('manifest.json');
  t.same(Object.keys(platforms!), ['esp', 'esp32', 'lin', 'mac', 'win', '...']);
  for (const [name, platform] of Object.entries(platforms!)) {
    if (platform.error !== undefined) {
      t.equal(name, '...');
      continue;
    }
    const own = platform.include === undefined ? platform : manifest(platform.include);
    const modules = { ...shared, ...own.modules };
    t.ok('moddable/dht22/capture' in modules, name);
    for (const [specifier, files] of Object.entries(modules)) {
      for (const file of [files].flat().filter((path) => !path.startsWith('$'))) {
        const path = join(folder, file);
        t.ok(existsSync(`${path}.${specifier === '*' ? 'c' : 'ts'}`), `${name}: ${file}`);
        // Relative imports are found on a board only if a specifier is the place of its file in src.
        if (specifier !== '*') t.equal(dirname(specifier), relative(source, dirname(path)).replaceAll('\\', '/'));
      }
    }
  }
  t.end();
});
