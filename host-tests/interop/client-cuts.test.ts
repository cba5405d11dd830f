// TcpClient on links that are cut again and again, at any byte, to brokers that keep its sessions: QoS 2 is exactly
// once from end to end, QoS 1 at least once, both in order (MQTT 3.1.1 sections 4.3.2, 4.3.3 and 4.6; the same in 5.0,
// where topic aliases end with each connection).

import t, { type Test } from 'tap';
import { setTimeout as sleep } from 'node:timers/promises';
import { WatchedClient, type WatchedOptions } from '../node/watched-client.js';
import { CuttingProxy } from './cutting-proxy.js';
import { type BrokerProcess, Mosquitto, mosquittoSkip, OurBroker } from './mosquitto-broker.js';
import { count, firstOccurrences, LONG_MS, numbersOf, QUICK, seeded, Source } from './source.js';

const skip = mosquittoSkip();

t.jobs = 2;

/** Connections lost on either side; then the link holds, so that the test ends. */
const CUTS = 45;

interface Kind {
  name: string;
  skip: string | false;
  /**
   * Whether it keeps its side when a subscriber's link is cut. Mosquitto 2.0.11 does not: as was seen on the wire, it
   * may send new messages before those that wait, and PUBLISH again behind the PUBREL of the same message. What
   * publishers send it takes as it should.
   */
  keepsOrder: boolean;
  open: (t: Test) => Promise<BrokerProcess>;
}

const KINDS: readonly Kind[] = [
  // A window that nobody fills: with its own of 20, Mosquitto 2.0.11 may send a new message before those that wait for
  // room, also to a house whose link holds. Below our receiveMax of 1,024.
  { name: 'Mosquitto', skip, keepsOrder: false,
    open: (t) => Mosquitto.open(t, () => ['max_inflight_messages 1000']) },
  { name: 'our broker', skip: false, keepsOrder: true, open: (t) => OurBroker.open(t, '--max-queued', '20000') },
];

const VERSIONS: readonly [name: string, options: WatchedOptions][] = [
  ['MQTT 3.1.1', {}],
  ['MQTT 5.0', { protocolLevel: 5, properties: { sessionExpirySeconds: 600 } }],
];

for (const [kind, [version, options]] of KINDS.flatMap((kind) => VERSIONS.map((each) => [kind, each] as const))) {
  const { name, skip, keepsOrder, open } = kind;
  t.test(`${name}, ${version}: links cut at any byte`, { skip, buffered: true }, async (t) => {
    const random = seeded(t);
    const { port } = await open(t);
    const [before, behind] = await Promise.all([0, 1].map(() => CuttingProxy.open(t, port, random)));
    // The first one's link holds.
    const houses = await Promise.all([port, behind!.port, behind!.port, behind!.port].map(async (port, i) => {
      const house = new WatchedClient(t, port, { id: `house-${i}`, clean: false, limits: QUICK, ...options });
      house.client.subscribe('n/#', { QoS: 2 });
      house.client.connect();
      await house.event(/^subscribed/);
      return house;
    }));
    // Few bytes at times, so that handshakes are cut at every point; more at others, so that it goes on.
    for (const proxy of [before!, behind!]) {
      proxy.bytesUntilCut = () => proxy.cutCount >= CUTS ? Infinity :
        random.chance(40) ? random.between(1, 300) : random.between(300, 4000);
    }
    behind!.cutAll();
    const sources = [1, 1, 2, 2].map((qos, i) => new Source(t, before!.port, `source-${i}`, qos, options));
    for (const { watched } of sources) watched.client.connect();
    let last = 0;
    while (before!.cutCount < CUTS || behind!.cutCount < CUTS) {
      for (const source of sources) source.publish(1);
      last += 1;
      await sleep(random.between(0, 60));
    }
    await Promise.all(sources.map((source) => source.done()));
    await Promise.all(houses.map((house) => house.until(() => sources.every(({ topic }) =>
      house.messages.some((message) => message.topic === topic && message.text === String(last))),
    'the last message of each', LONG_MS)));
    const lost = houses.map((house) => house.told(/^disconnected/).length);
    t.comment(`${last} messages of each, the houses lost ${lost.join(', ')} connections`);
    for (const source of sources) {
      source.check(t);
      houses.forEach((house, i) => {
        const numbers = numbersOf(house.messages, source.topic);
        if (i > 0 && !keepsOrder) {
          t.strictSame(firstOccurrences(numbers).sort((a, b) => a - b), count(1, last), `${source.topic}: all`);
        } else if (source.qos === 2) {
          t.strictSame(numbers, count(1, last), `${source.topic}: exactly once, in order`);
        } else {
          t.strictSame(firstOccurrences(numbers), count(1, last), `${source.topic}: all, in order`);
        }
      });
    }
    t.equal(houses[0]!.told(/^connected/).length, 1);
    for (const house of houses) {
      t.equal(house.told(/^connected new/).length, 1, 'the session was kept all the time');
      t.equal(house.client.core.counters.errors, 0);
    }
  });
}
