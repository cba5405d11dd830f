// A sensor node between a scripted sensor, or a simulated DHT22, and the broker core. Runs on Node and on XS.

import t from 'tap';
import type { Broker } from '../../src/broker/broker.js';
import { CLOSE_MS, Decimal, SensorNode, type SensorNodeOptions } from '../../src/room/sensor-node.js';
import { DHT22, FAILED, IDLE, READ } from '../../src/sensor/dht22.js';
import { WRONG_CHECKSUM } from '../../src/sensor/dht22-pulses.js';
import { SimulatedDHT22 } from '../../src/sensor/simulated-dht22.js';
import { subscribe } from '../support/packets.js';
import { connected, makeBroker, type Peer } from '../support/peer.js';
import { Random } from '../support/random.js';
import { measure, runsOnXs } from '../xs/measure.js';
import { MemoryWay } from './memory-client.js';

const SEED = 20261121;
const LIMITS = { packetBytesMax: 256, subscriptionsMax: 1, filterBytes: 256, queuedMax: 64,
  queueBytes: 8192, inflightMax: 8, receiveMax: 1, reconnectFirstMs: 1000, reconnectMaxMs: 1000 };

/** A sensor that says what the test wants: a reading in tenths, or a failure. */
class ScriptedSensor {
  next: [temperatureTenths: number, humidityTenths: number] | number = [214, 483];
  temperatureTenths = NaN;
  humidityTenths = NaN;
  failure = 0;
  requests = 0;
  closed = false;
  #wanted = false;

  request(): void {
    this.requests++;
    this.#wanted = true;
  }

  poll(): number {
    if (!this.#wanted || this.closed) return IDLE;
    this.#wanted = false;
    if (typeof this.next === 'number') {
      this.failure = this.next;
      return FAILED;
    }
    [this.temperatureTenths, this.humidityTenths] = this.next;
    return READ;
  }

  close(): void {
    this.closed = true;
  }
}

type GivenLimits = Partial<typeof LIMITS> & { queueFull?: 'drop-oldest' };

/** A house of one room: node, broker and somebody who listens to `maison/#`. */
class Scene {
  readonly sensor = new ScriptedSensor();
  readonly told: string[] = [];
  readonly way: MemoryWay;
  readonly node: SensorNode;
  broker: Broker;
  nowMs = 0;
  #listener: Peer;

  constructor(options: Partial<SensorNodeOptions> = {}, limits: GivenLimits = {}) {
    this.broker = makeBroker();
    this.#listener = listen(this.broker);
    this.way = new MemoryWay(this.broker);
    this.node = new SensorNode({
      piece: 'salon', sensor: this.sensor,
      client: (own) => this.way.client({ ...own, keepAlive: 0, limits: { ...LIMITS, ...limits } }),
      observer: {
        failed: (failure) => this.told.push(`failed ${failure}`),
        refused: (code) => this.told.push(`refused ${code}`),
        announced: (online) => this.told.push(online ? 'online' : 'offline'),
        closed: () => this.told.push('closed'),
      },
      ...options,
    });
  }

  /** Time goes on in steps of 250 ms, and everything that follows happens. Returns what the listener got. */
  pass(ms: number): string[] {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs;) {
      this.nowMs += 250;
      this.broker.tick(this.nowMs);
      // Twice, so that a connection is followed by what the node has to say to it.
      for (let round = 0; round < 2; round++) {
        this.node.tick(this.nowMs);
        this.node.client.core.tick(this.nowMs);
        this.way.turn();
      }
      this.broker.flush();
    }
    return this.heard();
  }

  heard(): string[] {
    return this.#listener.received().map((words) => words.replace(/^PUBLISH q0 (retain )?maison\/salon\//, '$1'));
  }

  /** The broker dies with everything it kept, and nothing is there any more. */
  killBroker(): void {
    this.way.cut();
    this.way.broker = undefined;
  }

  startBroker(): void {
    this.broker = this.way.broker = makeBroker();
    this.#listener = listen(this.broker);
  }
}

function listen(broker: Broker): Peer {
  const peer = connected(broker, { clientId: 'listener' });
  peer.send(subscribe(1, ['maison/#', 0]));
  return peer;
}

/** What a new subscriber finds. */
function retained(broker: Broker): string[] {
  const peer = connected(broker, { clientId: 'late' });
  const got = peer.send(subscribe(1, ['maison/#', 0])).filter((words) => words.startsWith('PUBLISH'));
  peer.drop();
  return got.map((words) => words.replace('PUBLISH q0 retain maison/salon/', '')).sort();
}

t.test('a reading is published as plain decimals, retained, then etat', (t) => {
  const scene = new Scene();
  t.same(scene.pass(250), ['temperature 21.4', 'humidite 48.3', 'etat en-ligne']);
  t.same(retained(scene.broker), ['etat en-ligne', 'humidite 48.3', 'temperature 21.4']);
  t.equal(scene.node.client.waitingCount, 0, 'with QoS 1, and acknowledged');
  t.end();
});

t.test('readings come every interval, in step with the start', (t) => {
  const scene = new Scene({ intervalMs: 5000 });
  scene.pass(250);
  t.same(scene.pass(4750), []);
  t.same(scene.pass(250), ['temperature 21.4', 'humidite 48.3'], 'unchanged ones, too');
  scene.nowMs += 12_000;
  t.same(scene.pass(250), ['temperature 21.4', 'humidite 48.3'], 'after a pause once');
  t.same(scene.pass(2500), [], 'not before the next step');
  t.same(scene.pass(250), ['temperature 21.4', 'humidite 48.3']);
  t.equal(scene.node.readCount, 4);
  t.end();
});

t.test('decimals of every length, and no negative zero', (t) => {
  const decimal = new Decimal();
  const texts: [number, string][] = [[0, '0.0'], [-2, '-0.2'], [9, '0.9'], [10, '1.0'], [214, '21.4'], [-400, '-40.0'],
    [800, '80.0'], [1000, '100.0'], [-9999, '-999.9'], [99999, '9999.9'], [-101, '-10.1'], [-0, '0.0']];
  for (const [tenths, text] of texts) {
    t.equal(String.fromCharCode(...decimal.of(tenths)), text);
  }
  let wrong = 0;
  for (let tenths = -400; tenths <= 1000; tenths++) {
    if (Number(String.fromCharCode(...decimal.of(tenths))) !== tenths / 10) wrong++;
  }
  t.equal(wrong, 0);
  t.equal(decimal.of(214), decimal.of(-56), 'views are made once for each length');
  t.end();
});

t.test('a failed read is told and counted, never published', (t) => {
  const scene = new Scene({ intervalMs: 5000 });
  scene.sensor.next = WRONG_CHECKSUM;
  t.same(scene.pass(250), []);
  t.same(scene.told, [`failed ${WRONG_CHECKSUM}`]);
  t.same([scene.node.failedCount, scene.node.readCount], [1, 0]);
  scene.sensor.next = [-2, 1000];
  t.same(scene.pass(5000), ['temperature -0.2', 'humidite 100.0', 'etat en-ligne']);
  t.end();
});

t.test('a sensor that reads nothing makes its room hors-ligne, though the node lives, until the next reading', (t) => {
  const scene = new Scene({ intervalMs: 5000, staleMs: 15_000 });
  scene.pass(250);
  scene.sensor.next = WRONG_CHECKSUM;
  t.same(scene.pass(15_000), []);
  t.same(scene.pass(250), ['etat hors-ligne']);
  t.same(retained(scene.broker), ['etat hors-ligne', 'humidite 48.3', 'temperature 21.4'], 'the last reading stays');
  t.same(scene.pass(15_000), [], 'said once');
  scene.sensor.next = [215, 480];
  t.same(scene.pass(5000), ['temperature 21.5', 'humidite 48.0', 'etat en-ligne']);
  t.end();
});

t.test('a sensor that never answers is hors-ligne after the stale time, and nothing before', (t) => {
  const scene = new Scene({ intervalMs: 5000 });
  scene.sensor.next = WRONG_CHECKSUM;
  t.same(scene.pass(15_250), []);
  t.same(scene.pass(250), ['etat hors-ligne']);
  t.end();
});

t.test('the stale time follows from the interval, but leaves a DHT22 time to retry', (t) => {
  for (const [intervalMs, staleMs] of [[2000, 15_000], [10_000, 30_000]] as const) {
    const scene = new Scene({ intervalMs });
    scene.pass(250);
    scene.sensor.next = WRONG_CHECKSUM;
    t.same(scene.pass(staleMs), [], `${intervalMs}`);
    t.same(scene.pass(250), ['etat hors-ligne'], `${intervalMs}`);
  }
  t.end();
});

t.test('when the node is lost its will says hors-ligne', (t) => {
  const scene = new Scene();
  scene.pass(250);
  scene.way.cut();
  t.same(scene.heard(), ['etat hors-ligne']);
  t.same(scene.pass(2000), ['etat en-ligne'], 'and it says en-ligne again when it is back');
  t.same(retained(scene.broker), ['etat en-ligne', 'humidite 48.3', 'temperature 21.4']);
  t.end();
});

t.test('what is read while the broker is away arrives in order when it is back, etat last', (t) => {
  const scene = new Scene({ intervalMs: 2000 });
  scene.pass(250);
  scene.killBroker();
  const wanted: string[] = [];
  for (let tenths = 201; tenths <= 206; tenths++) {
    scene.sensor.next = [tenths, 500 - tenths];
    wanted.push(`temperature ${(tenths / 10).toFixed(1)}`, `humidite ${((500 - tenths) / 10).toFixed(1)}`);
    scene.pass(2000);
  }
  t.equal(scene.node.client.waitingCount, 12);
  scene.startBroker();
  t.same(scene.pass(1500), [...wanted, 'etat en-ligne']);
  t.equal(scene.node.client.waitingCount, 0);
  t.same(scene.told, ['online', 'online'], 'etat does not wait in the queue');
  t.end();
});

t.test('a sensor that dies while the broker is away is hors-ligne when it is back', (t) => {
  const scene = new Scene({ intervalMs: 2000 });
  scene.pass(250);
  scene.killBroker();
  scene.sensor.next = WRONG_CHECKSUM;
  scene.pass(20_000);
  scene.startBroker();
  t.same(scene.pass(1500), ['etat hors-ligne']);
  t.end();
});

t.test('a full queue refuses readings, which is told, and the node goes on', (t) => {
  const scene = new Scene({ intervalMs: 2000 }, { queuedMax: 4 });
  scene.pass(250);
  scene.killBroker();
  for (let i = 0; i < 4; i++) {
    scene.sensor.next = [200 + i, 500];
    scene.pass(2000);
  }
  t.equal(scene.told.filter((words) => words.startsWith('refused -')).length, 4);
  scene.startBroker();
  t.same(scene.pass(1500), ['temperature 20.0', 'humidite 50.0', 'temperature 20.1', 'humidite 50.0', 'etat en-ligne']);
  t.end();
});

t.test('a queue that drops the oldest keeps the newest readings, and the node counts the others', (t) => {
  const scene = new Scene({ intervalMs: 2000 }, { queuedMax: 4, queueFull: 'drop-oldest' });
  scene.pass(250);
  scene.killBroker();
  for (let i = 0; i < 4; i++) {
    scene.sensor.next = [200 + i, 500];
    scene.pass(2000);
  }
  t.equal(scene.node.droppedCount, 4);
  t.notOk(scene.told.some((words) => words.startsWith('refused')));
  scene.startBroker();
  const heard = scene.pass(1500);
  t.same(heard.slice(0, 4), ['temperature 20.2', 'humidite 50.0', 'temperature 20.3', 'humidite 50.0']);
  t.equal(heard[4], 'etat en-ligne');
  t.end();
});

t.test('on change: what is within the step is published by the heartbeat only, each quantity for itself', (t) => {
  const scene = new Scene({ intervalMs: 2000, changeTenths: 3, heartbeatMs: 10_000 });
  scene.sensor.next = WRONG_CHECKSUM;
  scene.pass(250);
  scene.sensor.next = [200, 500];
  t.same(scene.pass(2000), ['temperature 20.0', 'humidite 50.0', 'etat en-ligne']);
  scene.sensor.next = [202, 497];
  t.same(scene.pass(2000), ['humidite 49.7']);
  scene.sensor.next = [203, 498];
  t.same(scene.pass(2000), ['temperature 20.3'], 'counted from what was published, so that slow change is seen');
  scene.sensor.next = [201, 499];
  t.same(scene.pass(6000), [], 'also downwards');
  t.same(scene.pass(2000), ['humidite 49.9'], 'ten seconds after its last one');
  t.same(scene.pass(2000), ['temperature 20.1']);
  t.equal(scene.node.readCount, 8);
  t.end();
});

t.test('on change: a broker that has forgotten everything hears the next reading, changed or not', (t) => {
  const scene = new Scene({ intervalMs: 2000, changeTenths: 3, heartbeatMs: 100_000 });
  scene.pass(4250);
  scene.killBroker();
  scene.pass(4000);
  t.equal(scene.node.client.waitingCount, 0, 'nothing was due meanwhile');
  scene.startBroker();
  t.same(scene.pass(4000), ['etat en-ligne', 'temperature 21.4', 'humidite 48.3']);
  t.end();
});

t.test('close says hors-ligne, waits for the acknowledgement, and disconnects without a will', (t) => {
  const scene = new Scene();
  scene.pass(250);
  scene.way.silent = true;
  scene.node.close();
  scene.node.close();
  scene.pass(1000);
  t.same(scene.told, ['online', 'offline'], 'not closed before the broker has it');
  scene.way.silent = false;
  t.same(scene.pass(250), ['etat hors-ligne'], 'once: there is no will');
  t.same(scene.told, ['online', 'offline', 'closed']);
  t.ok(scene.sensor.closed);
  t.same(scene.pass(20_000), []);
  t.equal(scene.sensor.requests, 1, 'nothing is read any more');
  t.end();
});

t.test('close into a full queue: hors-ligne follows when there is room, and only its acknowledgement counts', (t) => {
  const scene = new Scene({ intervalMs: 2000 }, { queuedMax: 2 });
  scene.pass(250);
  scene.way.silent = true;
  scene.pass(2000);
  t.equal(scene.node.client.waitingCount, 2, 'full');
  scene.node.close();
  scene.pass(500);
  t.same(scene.told, ['online']);
  scene.way.silent = false;
  t.same(scene.pass(500), ['temperature 21.4', 'humidite 48.3', 'etat hors-ligne']);
  t.same(scene.told, ['online', 'offline', 'closed']);
  t.same(retained(scene.broker), ['etat hors-ligne', 'humidite 48.3', 'temperature 21.4']);
  t.end();
});

t.test('close does not wait for ever, nor for a broker that is away', (t) => {
  const stuck = new Scene();
  stuck.pass(250);
  stuck.way.silent = true;
  stuck.node.close();
  stuck.pass(CLOSE_MS - 250);
  t.notOk(stuck.told.includes('closed'));
  stuck.pass(500);
  t.ok(stuck.told.includes('closed'));
  const alone = new Scene();
  alone.killBroker();
  alone.pass(250);
  alone.node.close();
  t.ok(alone.told.includes('closed'));
  const lost = new Scene();
  lost.pass(250);
  lost.way.silent = true;
  lost.node.close();
  lost.killBroker();
  t.ok(lost.told.includes('closed'), 'the link is lost while it says goodbye');
  const unstarted = new Scene();
  unstarted.node.close();
  t.same(unstarted.told, ['closed']);
  t.same(unstarted.pass(1000), []);
  t.end();
});

t.test('what a node cannot be is said when it is made', (t) => {
  const wrong: [Partial<SensorNodeOptions>, RegExp][] = [
    [{ piece: '' }, /piece/], [{ piece: 'a/b' }, /piece is "a\/b"/], [{ piece: '+' }, /piece/],
    [{ piece: '$x' }, /piece/], [{ intervalMs: 1999 }, /intervalMs is 1999.*2000/], [{ intervalMs: NaN }, /intervalMs/],
    [{ changeTenths: -1 }, /changeTenths/], [{ changeTenths: 0.5 }, /changeTenths/],
    [{ intervalMs: 5000, heartbeatMs: 4999 }, /heartbeatMs is 4999/],
    [{ intervalMs: 5000, staleMs: 10 }, /staleMs is 10/],
  ];
  for (const [options, words] of wrong) t.throws(() => new Scene(options), words);
  t.end();
});

t.test('its client has an identifier of its own, and topics may be UTF-8', (t) => {
  let id = '';
  const way = new MemoryWay(undefined);
  new SensorNode({ piece: 'séjour', sensor: new ScriptedSensor(), client: (own) => {
    id = own.id;
    t.same(own.will, { topic: 'maison/séjour/etat', message: 'hors-ligne', QoS: 1, retain: true });
    return way.client({ ...own, limits: LIMITS });
  } });
  t.equal(id, 'maison-séjour');
  t.end();
});

t.test(`from pulses to the broker: a simulated DHT22 with every fault; seed ${SEED}`, (t) => {
  const random = new Random(SEED);
  const clock = { nowMs: 0 };
  const now = (): number => clock.nowMs;
  const io = new SimulatedDHT22({ random: () => random.next(), now, temperature: () => 20, humidity: () => 50,
    missingShare: 0.1, shortShare: 0.1, corruptShare: 0.2 });
  const scene = new Scene({ sensor: new DHT22({ sensor: { io }, now }), intervalMs: 10_000 });
  const heard: string[] = [];
  for (let i = 0; i < 2400; i++) {
    clock.nowMs = scene.nowMs + 250;
    heard.push(...scene.pass(250));
  }
  const values = heard.filter((words) => !words.startsWith('etat'));
  const wrong = values.filter((words) => !/^(temperature (19\.9|20\.[01])|humidite (49\.9|50\.[01]))$/.test(words));
  t.same(wrong, [], 'only what the room is like');
  t.equal(values.length, 2 * scene.node.readCount);
  t.ok(scene.node.readCount > 50 && scene.node.readCount <= 60, `${scene.node.readCount} readings in ten minutes`);
  t.equal(scene.node.readCount + scene.node.failedCount >= 59, true);
  t.end();
});

/** Ever another reading, of every length, made without allocating. */
class TirelessSensor {
  temperatureTenths = -400;
  humidityTenths = 0;
  failure = 0;

  request(): void {
    this.temperatureTenths = this.temperatureTenths >= 800 ? -400 : this.temperatureTenths + 7;
    this.humidityTenths = this.humidityTenths >= 1000 ? 0 : this.humidityTenths + 9;
  }

  poll(): number {
    return READ;
  }

  close(): void {}
}

if (runsOnXs) {
  t.test('not one slot and not one byte is taken for a reading, into a queue that is full', (t) => {
    const way = new MemoryWay(undefined);
    const node = new SensorNode({ piece: 'salon', sensor: new TirelessSensor(), intervalMs: 2000,
      client: (own) => way.client({ ...own, limits: { ...LIMITS, queueFull: 'drop-oldest' } }) });
    let nowMs = 0;
    const cost = measure((n) => {
      for (let i = 0; i < n; i++) node.tick(nowMs += 2000);
    }, 2000);
    t.comment(`a reading, two messages: ${cost.bytecodes} bytecodes`);
    t.same([cost.slots, cost.chunkBytes, cost.collections], [0, 0, 0]);
    t.ok(node.droppedCount > 1000, `${node.droppedCount} dropped`);
    t.end();
  });
}
