// Hub and sensor as their manifests build them, in Moddable's simulator on Linux: real XS, real sockets of the SDK,
// over loopback, against Mosquitto's tools, MQTT.js and peers that break rules. Needs MODDABLE, Xvfb and Mosquitto's tools.
import t, { type Test } from 'tap';
import type { IClientOptions } from 'mqtt';
import { setTimeout as sleep } from 'node:timers/promises';
import { hubLimits } from '../../src/moddable/settings.js';
import { run, type Child } from '../node/children.js';
import { RawClient } from '../node/raw-client.js';
import { connect, packet, publish, subscribe } from '../support/packets.js';
import { buildForSimulator, warnings } from './mcconfig.js';
import { accepting, Display, Ends, missingForSimulator, Peer, WAIT_MS } from './simulator.js';

const PORT = 18_853;
/** A packet is at most so large. */
const { packetBytesMax } = hubLimits({ board: 'simulator' });
const LARGE = 'x'.repeat(packetBytesMax - 24);
/** After a reset an lwIP of a board, and the simulator, see it within this. */
const SETTLE_MS = 500;

/** Ends what runs through all tests. */
const ends = new Ends();
const peer = (options: IClientOptions = {}): Promise<Peer> => Peer.connected(ends, { port: PORT, ...options });

function testHub(whole: Test, hub: Child, sensor: () => Child): void {
  const test = (title: string, body: (t: Test) => Promise<void>): void => {
    void whole.test(title, { timeout: 90_000 }, async (t) => {
      await body(t);
      t.equal(hub.process.exitCode, null, 'the hub is alive');
    });
  };

  test('every QoS to every QoS, between MQTT.js clients', async (t) => {
    const reader = await peer();
    for (const qos of [0, 1, 2] as const) await reader.subscribed(`q/${qos}/#`, qos);
    const writer = await peer();
    const wanted: string[] = [];
    for (const granted of [0, 1, 2]) {
      for (const qos of [0, 1, 2] as const) {
        await writer.publish(`q/${granted}/${qos}`, `${granted}${qos}`, qos);
        wanted.push(`q/${granted}/${qos} ${granted}${qos} ${Math.min(granted, qos)}`);
      }
    }
    await reader.until(() => reader.messages.length >= 9, 'nine messages');
    t.same(reader.messages.map(({ topic, text, qos }) => `${topic} ${text} ${qos}`), wanted);
    await Promise.all([reader.end(), writer.end()]);
  });

  test('mosquitto_pub and mosquitto_sub, retained', async (t) => {
    const port = ['-h', '127.0.0.1', '-p', String(PORT)];
    for (const qos of ['0', '1', '2']) {
      const told = await run(t, 'mosquitto_pub', [...port, '-q', qos, '-r', '-t', `kept/${qos}`, '-m', `m${qos}`], '', WAIT_MS);
      t.equal(told.code, 0, told.stderr);
    }
    const heard = await run(t, 'mosquitto_sub', [...port, '-q', '2', '-t', 'kept/#', '-v', '-C', '3', '-W', '15'], '', WAIT_MS);
    t.same(heard.stdout.trim().split('\n').sort(), ['kept/0 m0', 'kept/1 m1', 'kept/2 m2']);
    await run(t, 'mosquitto_pub', [...port, '-r', '-t', 'kept/1', '-n'], '', WAIT_MS);
    const left = await run(t, 'mosquitto_sub', [...port, '-t', 'kept/#', '-v', '-C', '2', '-W', '15'], '', WAIT_MS);
    t.same(left.stdout.trim().split('\n').sort(), ['kept/0 m0', 'kept/2 m2']);
  });

  test('a will, when its client is lost with bytes unread; what it had sent comes first', async (t) => {
    const reader = await (await peer()).subscribed('wills/#', 1);
    const lost = await RawClient.open(t, PORT);
    lost.send(connect({ clientId: 'lost', will: { topic: 'wills/lost', payload: 'gone', qos: 1 } }));
    await lost.packet(/^CONNACK/, WAIT_MS);
    lost.socket.end(Buffer.concat(Array.from({ length: 20 }, (_, i) => publish('wills/last', `${i}`, { qos: 1, id: i + 1 }))));
    await reader.until(() => reader.messages.some(({ text }) => text === 'gone'), 'the will');
    t.same(reader.messages.map(({ text }) => text), [...Array.from({ length: 20 }, (_, i) => `${i}`), 'gone']);
    await reader.end();
  });

  test('an identifier that is taken over', async () => {
    const first = await peer({ clientId: 'twice' });
    const second = await peer({ clientId: 'twice' });
    await first.until(() => first.closed, 'the first to be closed');
    await second.subscribed('takeover', 1);
    await second.publish('takeover', 'mine', 1);
    await second.until(() => second.messages.length === 1, 'its message');
    await second.end();
  });

  test('packets too large, and peers that speak something else, end their own connection', async (t) => {
    const reader = await (await peer()).subscribed('large', 0);
    const largest = await RawClient.connected(t, PORT, { clientId: 'largest' });
    largest.send(publish('large', LARGE));
    await reader.until(() => reader.messages.length === 1, 'a message of almost the largest size');
    t.equal(reader.messages[0]!.text, LARGE);
    largest.send(publish('large', 'x'.repeat(packetBytesMax)));
    await largest.end(WAIT_MS);
    for (const bytes of [packet(0x30, new Uint8Array(4)), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(64, 0xff)]) {
      const stranger = await RawClient.open(t, PORT);
      stranger.send(bytes);
      await stranger.end(WAIT_MS);
    }
    await reader.publish('large', 'still there', 0);
    await reader.until(() => reader.messages.length === 2, 'a message afterwards');
    await reader.end();
  });

  test('a subscriber that stops reading and is reset: nobody else notices', async (t) => {
    const deaf = await RawClient.connected(t, PORT, { clientId: 'deaf' });
    deaf.send(subscribe(1, ['flood/#', 0]));
    await deaf.packet(/^SUBACK/, WAIT_MS);
    deaf.socket.pause();
    const writer = await (await peer()).subscribed('flood/end', 1);
    for (let i = 0; i < 200; i++) writer.client.publish(`flood/${i % 8}`, LARGE);
    await writer.publish('flood/end', 'here', 1);
    deaf.socket.resetAndDestroy();
    await writer.until(() => writer.messages.length === 1, 'the last message');
    await writer.publish('flood/end', 'and here', 1);
    await writer.until(() => writer.messages.length === 2, 'another one');
    await writer.end();
  });

  test('50 clients come and go, each hears itself; their places are free again', async (t) => {
    const watch = await (await peer()).subscribed('$SYS/broker/clients/connected', 0);
    for (let i = 0; i < 50; i++) {
      const client = await RawClient.open(t, PORT);
      client.send(connect({ clientId: `passing-${i}` }), subscribe(1, [`passing/${i}`, 1]), publish(`passing/${i}`, 'hello'));
      await client.packet(/^PUBLISH .*hello/, WAIT_MS);
      if (i % 2 === 0) client.send(packet(0xe0));
      client.socket.destroy();
    }
    await sleep(SETTLE_MS);
    const all = await Promise.all(Array.from({ length: 5 }, (_, i) => peer({ clientId: `at-once-${i}` })));
    t.equal(all.length, 5, 'five more at once, beside the watching one');
    await watch.until(() => watch.messages.at(-1)?.text === '6', 'six clients in $SYS');
    await Promise.all(all.map((peer) => peer.end()));
    await watch.until(() => watch.messages.at(-1)?.text === '1', 'one client in $SYS');
    await watch.end();
  });

  test('$SYS tells of the board', async (t) => {
    const heard = await run(t, 'mosquitto_sub', ['-h', '127.0.0.1', '-p', String(PORT), '-t', '$SYS/broker/heap/#',
      '-t', '$SYS/broker/network/joins', '-t', '$SYS/broker/reset', '-v', '-C', '4', '-W', '15'], '', WAIT_MS);
    const lines = heard.stdout.trim().split('\n').sort();
    t.equal(lines.length, 4);
    t.match(lines.join('\n'), /heap\/chunks [1-9]\d{3,}\n.*heap\/slots [1-9]\d{3,}\n.*network\/joins 1\n.*reset unknown$/);
  });

  test('the hub and a sensor beside it publish their rooms', async (t) => {
    const child = sensor();
    const reader = await (await peer()).subscribed('maison/#', 1);
    const latest = (topic: string): string => reader.messages.filter((one) => one.topic === topic).at(-1)?.text ?? '';
    for (const piece of ['salon', 'chambre']) {
      await reader.until(() => latest(`maison/${piece}/etat`) === 'en-ligne' &&
        latest(`maison/${piece}/temperature`) !== '' && latest(`maison/${piece}/humidite`) !== '', piece);
      t.match(latest(`maison/${piece}/temperature`), /^\d\d\.\d$/);
      t.match(latest(`maison/${piece}/humidite`), /^\d\d\.\d$/);
    }
    await child.kill();
    await reader.until(() => latest('maison/chambre/etat') === 'hors-ligne', 'the will of the sensor');
    await reader.end();
  });
}

const why = await missingForSimulator();
if (why !== '') {
  process.stderr.write(`not run: hub and sensor in the simulator: ${why}\n`);
  t.pass(`hub and sensor did not run in the simulator: ${why}`);
} else {
  t.setTimeout(600_000); // the first time; later only what has changed is built again
  t.test('as built by their manifests', { timeout: 600_000 }, async (t) => {
    t.teardown(() => ends.all());
    const settings = [`port=${PORT}`];
    const hub = await buildForSimulator('.', 'simulator', [...settings, 'piece=salon']);
    const sensor = await buildForSimulator('boards/sensor', 'simulator',
      [...settings, 'host=127.0.0.1', 'piece=chambre', 'interval=5']);
    t.notOk(hub.failed, hub.failed ? hub.log.slice(-4000) : 'the hub is built');
    t.notOk(sensor.failed, sensor.failed ? sensor.log.slice(-4000) : 'the sensor is built');
    t.same([...warnings(hub.log), ...warnings(sensor.log)], []);
    if (!hub.failed && !sensor.failed) {
      const display = await Display.open(ends);
      const running = display.simulate(hub.library);
      await accepting(PORT);
      let other: Child | undefined;
      testHub(t, running, () => other ??= display.simulate(sensor.library));
    }
  });
}
