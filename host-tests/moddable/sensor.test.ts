// src/moddable/sensor.ts: a sensor's program on a fake board, against our own broker on the same fake sockets.
import t from 'tap';
import { ESP32_CLIENT_LIMITS, ESP8266_CLIENT_LIMITS } from '../../src/client/board-limits.js';
import { clientLimits } from '../../src/client/limits.js';
import { AWAKE_MS, Sensor, sleepLimits, type SensorOptions } from '../../src/moddable/sensor.js';
import {
  abortHook, hubLimits, localName, sensorLimits, text, wholeNumber,
} from '../../src/moddable/settings.js';
import { TcpBroker } from '../../src/moddable/tcp-broker.js';
import { connect, subscribe } from '../support/packets.js';
import { makeBroker } from '../support/peer.js';
import { dht22, FakeMemory, FakeNetwork } from './fake-board.js';
import { FakeNet, type RawPeer } from './fake-io.js';

interface Setup {
  net: FakeNet;
  sensor: Sensor;
  network: FakeNetwork;
}

function begin(net: FakeNet, given: Partial<SensorOptions> = {}): Setup {
  let network: FakeNetwork | undefined;
  const { Timer, now, trace, TCP } = net.io;
  const sensor = new Sensor({
    Timer, now, trace, piece: 'salon', sensor: { io: dht22(214) }, random: () => 0xffff_ffff,
    limits: ESP8266_CLIENT_LIMITS, socket: { io: TCP },
    locate: (found) => found('127.0.0.1', '127.0.0.1', 1883),
    network: (user) => network = new FakeNetwork(user),
    ...given,
  });
  sensor.start();
  return { net, sensor, network: network! };
}

function startBroker(net: FakeNet): TcpBroker {
  return new TcpBroker(makeBroker({ stagingBytes: 128 }), net.io);
}

function listen(net: FakeNet): RawPeer {
  const reader = net.open();
  reader.send(connect({ clientId: 'reader', keepAlive: 0 }), subscribe(1, ['maison/#', 0]));
  net.run(100);
  reader.packets();
  return reader;
}

/** Topics and payloads that came. */
function told(reader: RawPeer): string[] {
  return reader.packets().filter((packet) => packet.startsWith('PUBLISH'))
    .map((packet) => packet.replace(/^PUBLISH \S+ (id\d+ )?/, '').replace(/^.*?maison/, 'maison'));
}

const temperature = 'maison/salon/temperature 21.4';
const humidity = 'maison/salon/humidite 48.3';
const online = 'maison/salon/etat en-ligne';
const offline = 'maison/salon/etat hors-ligne';

t.test('readings wait for the network, and are sent as soon as it is there', (t) => {
  const net = new FakeNet('lwip');
  startBroker(net);
  const reader = listen(net);
  const { sensor, network } = begin(net);
  net.run(7000);
  t.equal(sensor.node.readCount, 1);
  t.equal(sensor.node.client.waitingCount, 2);
  t.same(told(reader), []);
  network.up();
  net.run(1000);
  t.same(told(reader).sort(), [online, humidity, temperature]);
  t.equal(sensor.node.client.waitingCount, 0);
  sensor.close();
  net.run(2000);
  t.same(told(reader), [offline]);
  t.ok(network.closed);
  t.end();
});

t.test('a network that comes late, and a broker that is away: readings wait in order and nothing is lost', (t) => {
  const net = new FakeNet('lwip');
  const { sensor, network } = begin(net);
  net.run(45_000);
  network.up();
  net.run(60_000);
  const broker = startBroker(net);
  const reader = listen(net);
  net.run(62_000);
  const got = told(reader);
  t.ok(sensor.node.readCount >= 15, `${sensor.node.readCount}`);
  t.equal(got.filter((message) => message === temperature).length, sensor.node.readCount);
  t.equal(got.filter((message) => message === humidity).length, sensor.node.readCount);
  t.equal(got.filter((message) => message === online).length, 1);
  t.match(net.traces.join(''), /no broker/);
  network.down();
  broker.close();
  t.end();
});

t.test('where the broker is not found, every attempt asks again', (t) => {
  const net = new FakeNet('lwip');
  let asked = 0;
  const { network } = begin(net, {
    locate: (_found, failed) => {
      asked++;
      if (asked === 2) throw new Error('no memory for the question');
      failed(new Error('nobody announces a broker'));
    },
  });
  network.up();
  net.run(30_000);
  t.ok(asked >= 3, `${asked}`);
  const traces = net.traces.join('');
  t.equal(traces.match(/nobody announces a broker/g)?.length, 2, 'each reason once');
  t.equal(traces.match(/no memory for the question/g)?.length, 1);
  t.end();
});

interface Battery {
  memory: FakeMemory;
  slept: number[];
  /** Boots once, with the network after so long, and lets it work until it sleeps. */
  wake(networkAfterMs: number, given?: Partial<SensorOptions>): Setup;
}

function battery(net: FakeNet, byteCount = 384): Battery {
  const memory = new FakeMemory(byteCount);
  const slept: number[] = [];
  return {
    memory, slept,
    wake(networkAfterMs, given = {}) {
      const sleeps = slept.length;
      const setup = begin(net, { sleep: { everyMs: 60_000, memory, enter: (ms) => slept.push(ms) }, ...given });
      net.run(networkAfterMs);
      setup.network.up();
      for (let ms = 0; ms < 60_000 && slept.length === sleeps; ms += 100) net.run(100);
      return setup;
    },
  };
}

t.test('deep sleep: wakes, reads once, tells the broker, and sleeps the rest of the minute', (t) => {
  const net = new FakeNet('lwip');
  startBroker(net);
  const reader = listen(net);
  const node = battery(net);
  for (let times = 0; times < 3; times++) {
    const { sensor, network } = node.wake(1500);
    t.same(told(reader).sort(), [online, humidity, temperature]);
    t.equal(sensor.node.readCount, 1);
    t.ok(network.closed);
    t.ok(node.slept.at(-1)! > 50_000 && node.slept.at(-1)! < 58_000, `sleeps ${node.slept.at(-1)} ms`);
    net.run(node.slept.at(-1)!);
    t.same(told(reader), [], 'asleep: no will, and no hors-ligne');
  }
  t.match(net.traces.join(''), /begins anew, nothing was kept/, 'the first time');
  t.equal(net.traces.join('').match(/begins anew/g)?.length, 1);
  t.end();
});

t.test('deep sleep: readings that found no network, or no broker, are told after later wake-ups, in order', (t) => {
  const net = new FakeNet('lwip');
  const node = battery(net);
  const degrees = [20, 20.5, 21];
  node.wake(2 * AWAKE_MS, { sensor: { io: dht22(10 * degrees[0]!) } });
  node.wake(1000, { sensor: { io: dht22(10 * degrees[1]!) } }); // and no broker
  t.equal(node.slept.length, 2);
  t.ok(node.memory.writeCount === 2);
  startBroker(net);
  const reader = listen(net);
  const { sensor } = node.wake(1000, { sensor: { io: dht22(10 * degrees[2]!) } });
  t.same(told(reader).filter((message) => message.includes('temperature')),
    degrees.map((value) => `maison/salon/temperature ${value.toFixed(1)}`));
  t.equal(sensor.node.client.waitingCount, 0);
  t.end();
});

t.test('deep sleep: more readings than memory keeps, and the newest are told', (t) => {
  const net = new FakeNet('lwip');
  const node = battery(net);
  for (let i = 0; i < 12; i++) node.wake(2 * AWAKE_MS, { sensor: { io: dht22(200 + i) } });
  startBroker(net);
  const reader = listen(net);
  node.wake(1000, { sensor: { io: dht22(220) } });
  const temperatures = told(reader).filter((message) => message.includes('temperature')).map((message) => message.slice(-4));
  t.ok(temperatures.length >= 3, temperatures.join());
  t.same(temperatures, ['20.8', '20.9', '21.0', '21.1', '22.0'].slice(-temperatures.length));
  t.notMatch(net.traces.join(''), /too many/);
  t.end();
});

t.test('deep sleep: a sensor that fails says hors-ligne, and a dead memory begins anew', (t) => {
  const net = new FakeNet('lwip');
  startBroker(net);
  const reader = listen(net);
  const node = battery(net);
  const { sensor } = node.wake(1000, { sensor: { io: dht22(undefined) } });
  t.equal(sensor.node.failedCount, 1);
  t.equal(node.slept.length, 1);
  t.same(told(reader), [offline]);
  node.memory.bytes.fill(0xff);
  node.wake(1000);
  t.same(told(reader).sort(), [online, humidity, temperature]);
  t.end();
});

t.test('the queue of a node that sleeps always fits its memory', (t) => {
  for (const [limits, byteCount] of [[ESP8266_CLIENT_LIMITS, 384], [ESP32_CLIENT_LIMITS, 4096]] as const) {
    for (const piece of ['s', 'salon', 'x'.repeat(20)]) {
      const { queuedMax } = clientLimits(sleepLimits(limits, byteCount, piece));
      t.ok(queuedMax >= 2 && queuedMax <= limits.queuedMax, `${piece}: ${queuedMax}`);
    }
  }
  t.throws(() => sleepLimits(ESP8266_CLIENT_LIMITS, 128, 'x'.repeat(64)), RangeError);
  t.end();
});

t.test('settings come as strings, and what they cannot be is told in a sentence', (t) => {
  t.equal(wholeNumber({ port: '77' }, 'port', 1883, 1, 65_535), 77);
  t.equal(wholeNumber({}, 'port', 1883, 1, 65_535), 1883);
  t.equal(wholeNumber({ port: '' }, 'port', 1883, 1, 65_535), 1883);
  for (const port of ['0', '65536', '1e9', 'x', '1.5']) {
    t.throws(() => wholeNumber({ port }, 'port', 1883, 1, 65_535),
      new RangeError(`port is "${port}": it must be a whole number, 1 to 65535`));
  }
  t.equal(text({ piece: 'salon' }, 'piece'), 'salon');
  t.equal(text({ piece: '' }, 'piece'), undefined);
  t.equal(localName('maison.local'), 'maison');
  t.equal(localName('Maison.LOCAL.'), 'Maison');
  t.equal(localName('broker.example'), undefined);
  t.throws(() => hubLimits({ board: 'esp' }), /board is "esp": it must be one of esp8266, esp32/);
  for (const board of ['esp8266', 'esp32', 'esp32c3', 'esp32-16-clients', 'simulator']) {
    t.ok(hubLimits({ board }).stagingBytes > 0 && sensorLimits({ board }).stagingBytes > 0, board);
  }
  t.end();
});

t.test('an exception nobody caught does not restart the board; what XS cannot go on from does', (t) => {
  const traces: string[] = [];
  const hook = abortHook((text) => traces.push(text));
  t.equal(hook('unhandled exception', new Error('no route')), false);
  t.equal(hook('unhandled rejection', undefined), false);
  t.equal(hook('memory full', undefined), true);
  t.match(traces, [/no route/, /rejection/, /memory full.*restarting/]);
  t.end();
});
