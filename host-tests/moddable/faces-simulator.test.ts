// The faces of ECMA-419's MQTT client and of the SDK's `mqttserver`, as programs of Moddable's simulator that use them,
// over loopback: the SDK's own example of an MQTT client, untouched, with our class configured, against our broker on
// Node; and a server, against Mosquitto's tools and MQTT.js. Needs MODDABLE, Xvfb and Mosquitto's tools.
import t, { type Test } from 'tap';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { BROKER, Changes, Child, run, type Owner } from '../node/children.js';
import { buildForSimulator, warnings } from './mcconfig.js';
import { accepting, Display, Ends, missingForSimulator, Peer, WAIT_MS } from './simulator.js';

const BROKER_PORT = 18_854;
const SERVER_PORT = 18_855;
const TRACE_PORT = 18_856;

/** What a program tells by `trace`, as its loopback.js sends it here. */
class Traces {
  readonly texts: string[] = [];
  readonly #changes = new Changes();

  static async open(owner: Owner): Promise<Traces> {
    const traces = new Traces();
    const socket = createSocket('udp4', (datagram) => {
      traces.texts.push(datagram.toString());
      traces.#changes.signal();
    });
    owner.teardown(() => socket.close());
    socket.bind(TRACE_PORT, '127.0.0.1');
    await once(socket, 'listening');
    return traces;
  }

  count(text: string | RegExp): number {
    return this.texts.filter((one) => typeof text === 'string' ? one === text : text.test(one)).length;
  }

  until(text: string | RegExp, count = 1): Promise<void> {
    return this.#changes.until(() => this.count(text) >= count,
      () => `${count} of ${text}; told: ${JSON.stringify(this.texts.map((one) => one.slice(0, 60)))}`, WAIT_MS);
  }
}

async function testClient(t: Test, ends: Ends, display: Display, library: string): Promise<void> {
  const traces = await Traces.open(ends);
  const broker = new Child(ends, process.execPath, [BROKER, 'broker', '--verbose', '--port', String(BROKER_PORT)]);
  await broker.line(/MQTT broker on/);
  const watch = await Peer.connected(ends, { port: BROKER_PORT });
  await watch.subscribed('foo/bar/#', 2);
  const example = display.simulate(library);

  await t.test('its messages arrive, whole, in parts, and at every QoS that it asks for', async (t) => {
    await watch.until(() => watch.messages.length >= 2, 'two messages');
    const [small, large] = watch.messages;
    t.same(small, { topic: 'foo/bar/small', text: 'SMALL\n', qos: 2, retain: false });
    t.same([large!.topic, large!.qos, large!.text.length], ['foo/bar/xxl', 1, 3 + 16 * 1024]);
    t.match(large!.text, /^XXLA/);
    // It writes the next letter of the alphabet each time that it is told of room.
    t.equal(large!.text.slice(3), [...large!.text.slice(3)].sort().join(''));
  });

  await t.test('it is told of every packet: what it subscribed to, left, sent, asked', async (t) => {
    await traces.until('PUBACK - 1234\n');
    for (const packet of [
      /^SUBACK - \d+\n$/, /^UNSUBACK - \d+\n$/, /^PUBREC - \d+\n$/, /^PUBCOMP - \d+\n$/, 'Ping response\n',
    ]) {
      await traces.until(packet);
      t.equal(traces.count(packet), 1, String(packet));
    }
  });

  await t.test('it reads what its subscription brings, its own messages too, and not what it left', async (t) => {
    await traces.until('SMALL\n\n');
    await traces.until(/^XXLA{100}[^]{16000,}\n$/);
    await watch.publish('bar/foo', 'not for it any more', 1);
    for (const qos of [0, 1, 2] as const) await watch.publish(`foo/bar/${qos}`, `from outside ${qos}`, qos);
    for (const qos of [0, 1, 2]) await traces.until(`from outside ${qos}\n`);
    await traces.until(/^PUBREL - \d+\n$/, 2); // of its own message, and of the last one
    t.equal(traces.count(/not for it/), 0);
    t.equal(traces.count(/from outside/), 3);
    t.equal(traces.count(/ERROR/), 0);
  });

  await t.test('it is the client that it says it is, and leaves its will', async (t) => {
    t.match(broker.stderr + broker.lines.join('\n'), /ecma-419 mqtt test/);
    await example.kill();
    await watch.until(() => watch.messages.some(({ topic }) => topic === 'foo/bar/will'), 'its will');
    t.match(watch.messages.at(-1)!.text, /^born @ \w/);
  });
}

async function testServer(t: Test, ends: Ends, display: Display, library: string): Promise<void> {
  const server = display.simulate(library);
  await accepting(SERVER_PORT);
  const port = ['-h', '127.0.0.1', '-p', String(SERVER_PORT)];
  const reader = await Peer.connected(ends, { port: SERVER_PORT });
  await reader.subscribed('#', 2);
  const texts = (topic: string): string[] =>
    reader.messages.filter((one) => one.topic === topic).map(({ text }) => text);

  await t.test('onMessage is told, of every QoS; publish reaches who subscribed', async (t) => {
    for (const qos of ['0', '1', '2']) {
      const told = await run(t, 'mosquitto_pub', [...port, '-q', qos, '-t', 'ask', '-m', `who ${qos}`], '', WAIT_MS);
      t.equal(told.code, 0, told.stderr);
      await reader.until(() => texts('answer').includes(`to who ${qos}`), `the answer to QoS ${qos}`);
    }
    t.same(texts('answer'), ['to who 0', 'to who 1', 'to who 2']);
    t.same(texts('ask'), ['who 0', 'who 1', 'who 2'], 'and clients hear each other without its help');
    await reader.publish('bytes', '\u0000\u00ff…', 1);
    await reader.until(() => texts('bytes back').length === 1, 'the same bytes');
    t.same(texts('bytes back'), ['\u0000\u00ff…']);
  });

  await t.test('200 messages of QoS 1 in a row, to it and to mosquitto_sub', async (t) => {
    const lines = Array.from({ length: 200 }, (_, i) => String(i));
    await reader.publish('many', 'subscribed', 1, true);
    const heard = new Child(t, 'mosquitto_sub', [...port, '-q', '1', '-t', 'many', '-C', '201', '-W', '60']);
    await heard.line(/^subscribed$/, WAIT_MS);
    await reader.publish('count', '', 1);
    await reader.until(() => texts('counted').length === 1, 'the count before');
    const input = `${lines.join('\n')}\n`;
    const told = await run(t, 'mosquitto_pub', [...port, '-q', '1', '-t', 'many', '-l'], input, 60_000);
    t.equal(told.code, 0, told.stderr);
    t.same((await heard.end(WAIT_MS)).stdout.trim().split('\n'), ['subscribed', ...lines]);
    await reader.until(() => texts('many').length === 201, '200 messages, and the one before');
    await reader.publish('count', '', 1);
    await reader.until(() => texts('counted').length === 2, 'the count after');
    const [first, second] = texts('counted').map(Number);
    t.equal(second! - first!, 201, 'the second question included');
  });

  await t.test('what onMessage throws is no end; retained messages and wills are kept for clients', async (t) => {
    await reader.publish('fail', '', 1);
    await reader.publish('ask', 'again', 1);
    await reader.until(() => texts('answer').at(-1) === 'to again', 'an answer afterwards');
    await reader.publish('kept', 'here', 1, true);
    const kept = await run(t, 'mosquitto_sub',
      [...port, '-t', 'kept', '-C', '1', '-W', '15', '-F', '%p %r'], '', WAIT_MS);
    t.equal(kept.stdout.trim(), 'here 1');
    const lost = await Peer.connected(ends,
      { port: SERVER_PORT, will: { topic: 'ask', payload: Buffer.from('a will'), qos: 1 } });
    lost.client.stream.destroy();
    await reader.until(() => texts('answer').at(-1) === 'to a will', 'the answer to a will');
    t.equal(server.process.exitCode, null, 'it is alive');
  });

  await t.test('close ends every connection, from within onMessage too', async (t) => {
    await reader.publish('close', '', 0);
    await reader.until(() => reader.closed, 'the end of the connection');
    t.ok(reader.closed);
    const refused = await run(t, 'mosquitto_pub', [...port, '-t', 'a', '-m', 'b'], '', WAIT_MS);
    t.not(refused.code, 0, 'nobody listens any more');
    t.equal(server.process.exitCode, null, 'the program goes on');
  });
}

const why = await missingForSimulator();
if (why !== '') {
  process.stderr.write(`not run: the faces for programs of the SDK in the simulator: ${why}\n`);
  t.pass(`the faces for programs of the SDK did not run in the simulator: ${why}`);
} else {
  t.setTimeout(600_000); // the first time; later only what has changed is built again
  const ends = new Ends();
  const programs = [
    { title: "the SDK's example of an MQTT client, with our class", name: 'mqtt-client-419', test: testClient,
      settings: [`port=${BROKER_PORT}`, `tracePort=${TRACE_PORT}`] },
    { title: "a program for the SDK's mqttserver, with our class", name: 'mqtt-server', test: testServer,
      settings: [`port=${SERVER_PORT}`] },
  ];
  try {
    const display = await Display.open(ends);
    for (const { title, name, test, settings } of programs) {
      await t.test(title, { timeout: 400_000 }, async (t) => {
        const built = await buildForSimulator(`host-tests/moddable/programs/${name}`, name, settings);
        t.notOk(built.failed, built.failed ? built.log.slice(-4000) : 'it is built');
        t.same(warnings(built.log), []);
        if (!built.failed) await test(t, ends, display, built.library);
      });
    }
  } finally {
    await ends.all();
  }
}
