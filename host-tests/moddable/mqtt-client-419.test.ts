// The face of an ECMA-419 MQTT client over ours, on fake io of both platforms: against a broker that the test plays,
// and against our own.
import t from 'tap';
import { ControlWatch } from '../../src/moddable/faces/control-watch.js';
import { MqttClient419 } from '../../src/moddable/faces/mqtt-client-419.js';
import type { MqttClient419Options } from '../../src/moddable/faces/mqtt-client-419-options.js';
import { MqttServer } from '../../src/moddable/faces/mqtt-server.js';
import {
  ascii, connack, concat, pingresp, puback, pubcomp, publish, pubrec, pubrel, suback, unsuback,
} from '../support/packets.js';
import { FakeNet, type NetOptions, type Platform, type RawPeer } from './fake-io.js';

const PLATFORMS: readonly Platform[] = ['lwip', 'lin'];

function buffer(text: string): ArrayBuffer {
  return ascii(text).slice().buffer as ArrayBuffer;
}

function text(bytes: ArrayBuffer | undefined): string {
  return bytes === undefined ? 'undefined' : String.fromCharCode(...new Uint8Array(bytes));
}

/** A program, what it was told, and the network it is on. */
class Program {
  readonly net: FakeNet;
  readonly peers: RawPeer[] = [];
  readonly client: MqttClient419;
  #told: string[] = [];
  /** Whether it reads what comes when it is told. */
  reads = true;

  constructor(platform: Platform, options: Partial<MqttClient419Options> = {}, netOptions: NetOptions = {}) {
    this.net = new FakeNet(platform, netOptions);
    this.net.listenRaw(1883, (peer) => this.peers.push(peer));
    this.client = new MqttClient419({ ...this.#options(), ...options });
  }

  #options(): MqttClient419Options {
    const program = this;
    return {
      Timer: this.net.io.Timer,
      now: () => this.net.io.now(),
      trace: (line) => this.net.io.trace(line),
      host: '127.0.0.1',
      id: 'program',
      socket: { io: this.net.io.TCP },
      dns: {
        io: class {
          resolve(): void {}
        },
      },
      limits: { packetBytesMax: 1024 },
      onControl({ operation, id, payload }) {
        const name = Object.entries(MqttClient419).find(([, code]) => code === operation)![0];
        program.tell([name, ...(id === undefined ? [] : [id]), ...(payload ?? [])].join(' '));
      },
      onReadable(count, { topic, QoS, byteLength, duplicate }) {
        const body = program.reads ? text(this.read(count)) : `${byteLength} bytes`;
        program.tell(`${topic} q${QoS}${duplicate ? ' dup' : ''}: ${body}`);
      },
      onError(error) {
        program.tell(`error: ${error.message}`);
      },
      onClose() {
        program.tell('close');
      },
    };
  }

  tell(line: string): void {
    this.#told.push(line);
  }

  /** What was told since the last time, after `ms`. */
  told(ms = 200): string[] {
    this.net.run(ms);
    const told = this.#told;
    this.#told = [];
    return told;
  }

  get peer(): RawPeer {
    return this.peers.at(-1)!;
  }

  /** The broker accepts. */
  accept(sessionPresent = false): this {
    this.net.run(200);
    this.peer.packets();
    this.peer.send(connack(sessionPresent));
    this.told();
    return this;
  }
}

for (const platform of PLATFORMS) {
  t.test(`${platform}: all operations go out in the order they were written, and their answers are told`, (t) => {
    const program = new Program(platform, { keepAlive: 60_000 });
    t.same(program.told(), []);
    t.same(program.peer.packets(), ['CONNECT clean program']);
    program.peer.send(connack(false));
    t.same(program.told(), ['CONNACK']);
    const { client } = program;
    client.write(null, {
      operation: MqttClient419.SUBSCRIBE, items: [{ topic: 'foo/bar/+', QoS: 2 }, { topic: 'bar/foo' }],
    });
    client.write(null, { operation: MqttClient419.UNSUBSCRIBE, id: 77, items: [{ topic: 'frogs' }] });
    t.equal(client.write(buffer('SM'), { topic: 'foo/bar/small', byteLength: 6, QoS: 2, id: 900 }), 4);
    client.write(buffer('ALL\n'));
    client.write(null, { operation: MqttClient419.PINGREQ });
    client.write(buffer('one'), { topic: 'foo', QoS: 1, id: 1234, retain: true });
    client.write(buffer('none'), { topic: 'foo' });
    program.net.run(200);
    t.same(program.peer.packets(), [
      'SUBSCRIBE id65534 foo/bar/+ 2 bar/foo 0', 'UNSUBSCRIBE id77 frogs', 'PUBLISH q2 id1 foo/bar/small SMALL\n',
      'PINGREQ', 'PUBLISH q1 id2 retain foo one', 'PUBLISH q0 foo none',
    ]);
    program.peer.send(suback(65534, 2, 128), unsuback(77), pubrec(1), pingresp(), puback(2));
    t.same(program.told(), ['SUBACK 65534 2 128', 'UNSUBACK 77', 'PUBREC 900', 'PINGRESP', 'PUBACK 1234']);
    t.same(program.peer.packets(), ['PUBREL id1']);
    program.peer.send(pubcomp(1));
    t.same(program.told(), ['PUBCOMP 900']);
    program.peer.send(publish('in', 'two', { qos: 2, id: 5 }), pubrel(5));
    t.same(program.told().sort(), ['PUBREL 5', 'in q2: two']);
    t.same(program.peer.packets(), ['PUBREC id5', 'PUBCOMP id5']);
    t.end();
  });

  t.test(`${platform}: a message of 16 KiB in parts, as large as the client asks for`, (t) => {
    let remain = 0;
    let largest = 0;
    const program = new Program(platform, {
      limits: {},
      onControl({ operation, id }) {
        if (operation === MqttClient419.PUBACK) program.tell(`PUBACK ${id}`);
        if (operation !== MqttClient419.CONNACK) return;
        remain = 16 * 1024;
        this.write(buffer('XXL'), { topic: 'foo/bar/xxl', byteLength: 3 + remain, QoS: 1, id: 1234 });
      },
      onWritable(count) {
        const part = Math.min(count, remain);
        if (part === 0) return;
        largest = Math.max(largest, count);
        remain -= part;
        this.write(buffer('A'.repeat(part)));
      },
    });
    program.net.run(200);
    program.peer.send(connack(false));
    program.net.run(2000);
    const sent = program.peer.packets();
    t.equal(sent.length, 2);
    t.ok(sent[1] === `PUBLISH q1 id1 foo/bar/xxl XXL${'A'.repeat(16 * 1024)}`);
    t.equal(largest, 4096);
    program.peer.send(puback(1));
    t.same(program.told(), ['PUBACK 1234']);
    program.peer.send(publish('foo/bar/xxl', 'B'.repeat(16 * 1024 + 3), { qos: 1 }));
    t.ok(program.told(3000)[0] === `foo/bar/xxl q1: ${'B'.repeat(16 * 1024 + 3)}`);
    t.end();
  });

  t.test(`${platform}: what is unread is not acknowledged, and nothing behind it is told`, (t) => {
    const program = new Program(platform).accept();
    program.reads = false;
    program.peer.send(pingresp(), publish('a', 'hello', { qos: 1, id: 7 }), publish('b', 'next', { qos: 2, id: 8 }));
    t.same(program.told(), ['PINGRESP', 'a q1: 5 bytes']);
    t.same(program.peer.packets(), []);
    t.equal(text(program.client.read(2)), 'he');
    const view = new Uint8Array(8).fill(0x2e);
    t.equal(program.client.read(view.subarray(1, 3)), 2);
    t.equal(text(view.buffer), '.ll.....');
    t.same(program.told(), []);
    t.same(program.peer.packets(), []);
    t.equal(program.client.read(view), 1, 'as much as there is');
    t.equal(program.client.read(view), undefined);
    t.equal(program.client.read(1), undefined);
    t.equal(program.client.read(), undefined);
    t.same(program.told(), ['b q2: 4 bytes']);
    t.same(program.peer.packets(), ['PUBACK id7']);
    t.equal(text(program.client.read()), 'next');
    t.same(program.told(), []);
    t.same(program.peer.packets(), ['PUBREC id8']);
    program.peer.send(publish('c', 'last'));
    t.same(program.told(), ['c q0: 4 bytes']);
    program.client.close();
    t.equal(program.client.read(), undefined);
    t.end();
  });

  t.test(`${platform}: the end is told when all is read, and what was read does not come again`, (t) => {
    const program = new Program(platform, { clean: false, reconnect: true }).accept();
    program.reads = false;
    program.peer.send(publish('a', 'hello', { qos: 2, id: 7 }), publish('a', 'again', { qos: 2, id: 9 }));
    t.same(program.told(), ['a q2: 5 bytes']);
    program.peer.end.abort();
    t.same(program.told(3000), []);
    t.equal(text(program.client.read(5)), 'hello');
    t.same(program.told(), ['a q2: 5 bytes']);
    t.equal(text(program.client.read(5)), 'again');
    t.same(program.told(3000), ['error: connection lost']);
    t.equal(program.client.read(5), undefined);
    program.accept(true);
    program.peer.send(
      publish('a', 'hello', { qos: 2, id: 7, duplicate: true }), publish('a', 'again', { qos: 2, id: 9, duplicate: true }));
    t.same(program.told(), []);
    t.same(program.peer.packets(), ['PUBREC id7', 'PUBREC id9']);
    t.end();
  });

  t.test(`${platform}: an empty message is told and acknowledged without being read`, (t) => {
    const program = new Program(platform).accept();
    program.peer.send(publish('a', '', { qos: 1, id: 7 }), publish('b', 'x'));
    t.same(program.told(), ['a q1: ', 'b q0: x']);
    program.reads = false;
    program.peer.send(publish('a', '', { qos: 1, id: 8 }), publish('b', '', { qos: 1, id: 9 }));
    t.same(program.told(), ['a q1: 0 bytes', 'b q1: 0 bytes']);
    t.same(program.peer.packets(), ['PUBACK id7', 'PUBACK id8', 'PUBACK id9']);
    t.end();
  });

  t.test(`${platform}: what came before the end is told before the end; and then there is silence`, (t) => {
    const program = new Program(platform, {
      onError({ message }) {
        program.tell(`error: ${message}`);
        t.throws(() => this.write(buffer('x'), { topic: 'a' }), { message: 'closed' });
      },
    }).accept();
    program.peer.sendAndClose(pingresp(), publish('a', 'one'), publish('a', 'two'));
    t.same(program.told(60_000), ['PINGRESP', 'a q0: one', 'a q0: two', 'error: connection lost']);
    t.equal(program.peers.length, 1, 'no other connection');
    t.throws(() => program.client.write(buffer('x'), { topic: 'a' }), { message: 'closed' });
    t.equal(program.client.read(), undefined);
    program.client.close();
    t.equal(program.net.sockets.size, 0);
    t.equal((program.net.io.Timer as { count?: number }).count, 0);
    t.end();
  });

  t.test(`${platform}: a refusal is an error, and the end`, (t) => {
    const program = new Program(platform);
    program.net.run(200);
    program.peer.send(connack(false, 5));
    t.same(program.told(60_000), ['error: connection rejected']);
    t.equal(program.peers.length, 1);
    t.end();
  });

  t.test(`${platform}: a broker that does not answer is an error after 30 seconds`, (t) => {
    const program = new Program(platform);
    t.same(program.told(29_000), []);
    t.same(program.told(2000), ['error: time out']);
    t.end();
  });

  t.test(`${platform}: nobody there is an error`, (t) => {
    const program = new Program(platform, { port: 4444 });
    t.match(program.told(31_000), [/^error: /]);
    t.throws(() => program.client.write(null, { operation: MqttClient419.PINGREQ }), { message: 'closed' });
    t.end();
  });

  t.test(`${platform}: with reconnect, what was written stays, and keeps the identifier that the program gave`, (t) => {
    const program = new Program(platform, { reconnect: true }).accept();
    program.client.write(buffer('one'), { topic: 'a', QoS: 1, id: 4321 });
    program.told();
    t.same(program.peer.packets(), ['PUBLISH q1 id1 a one']);
    program.peer.end.abort();
    t.same(program.told(100), ['error: connection lost']);
    program.client.write(buffer('two'), { topic: 'a', QoS: 1, id: 4322 });
    t.throws(() => program.client.write(null, { operation: MqttClient419.PINGREQ }), { message: 'not connected' });
    program.net.run(3000);
    t.equal(program.peers.length, 2);
    t.same(program.peer.packets(), ['CONNECT clean program']);
    program.peer.send(connack(false));
    t.same(program.told(), ['CONNACK']);
    t.same(program.peer.packets(), ['PUBLISH q1 id2 a one', 'PUBLISH q1 id3 a two']);
    program.peer.send(puback(2), puback(3));
    t.same(program.told(), ['PUBACK 4321', 'PUBACK 4322']);
    t.end();
  });

  t.test(`${platform}: misuse throws, and harms nothing`, (t) => {
    const program = new Program(platform);
    const { client } = program;
    const throws = (message: string, run: () => unknown): void => void t.throws(run, { message });
    throws('not connected', () => client.write(buffer('x'), { topic: 'a' }));
    program.accept();
    throws('invalid', () => client.write(buffer('x')));
    throws('invalid', () => client.write(buffer('x'), { topic: 'a/#' }));
    throws('invalid', () => client.write(buffer('x'), {}));
    throws('invalid', () => client.write(buffer('x'), { topic: 'a', QoS: 3 }));
    throws('invalid', () => client.write(buffer('xy'), { topic: 'a', byteLength: 1 }));
    throws('invalid', () => client.write(null, { topic: 'a' }));
    throws('invalid', () => client.write(null, { operation: MqttClient419.SUBSCRIBE }));
    throws('invalid', () => client.write(null, { operation: MqttClient419.SUBSCRIBE, items: [{ topic: 'a/#/b' }] }));
    throws('invalid', () => client.write(null, { operation: MqttClient419.SUBSCRIBE, items: [{ topic: 'a', QoS: 3 }] }));
    throws('unknown', () => client.write(null, { operation: MqttClient419.PUBACK, id: 1 }));
    t.end();
  });

  t.test(`${platform}: one who writes all that there is room for loses nothing, and nothing overtakes`, (t) => {
    let count = 0;
    const rooms: number[] = [];
    const program = new Program(platform, {
      onWritable(room) {
        rooms.push(room);
        while (room > 40 && count < 300) {
          const qos = count % 3;
          if (count % 7 === 0) this.write(null, { operation: MqttClient419.PINGREQ });
          room = this.write(buffer(`${count++} `.padEnd(count % 5 === 0 ? Math.min(room, 900) - 20 : 10, '.')),
            { topic: 'topic', QoS: qos });
        }
      },
    }, { sendBytes: 2920, latencyMs: 10 });
    program.net.run(200);
    program.peer.send(connack(false));
    program.net.run(20);
    program.peer.pause(500);
    program.net.run(1000);
    program.peer.resume();
    const numbers: number[] = [];
    for (let i = 0; i < 3000 && numbers.length < 300; i++) {
      program.net.run(10);
      for (const line of program.peer.packets()) {
        const [, qos, id, number] = /^PUBLISH q(\d)(?: id(\d+))? topic (\d+) /.exec(line) ?? [];
        if (number !== undefined) numbers.push(Number(number));
        if (qos === '1') program.peer.send(puback(Number(id)));
        if (qos === '2') program.peer.send(pubrec(Number(id)), pubcomp(Number(id)));
      }
    }
    t.same(numbers, Array.from({ length: 300 }, (_, i) => i));
    t.ok(Math.min(...rooms) > 0);
    t.same(program.net.traces, []);
    t.end();
  });

  t.test(`${platform}: while the network takes nothing there is no room, and packets wait like messages`, (t) => {
    const rooms: number[] = [];
    const program = new Program(platform, {
      limits: { packetBytesMax: 1024, queueBytes: 200_000, queuedMax: 400, inflightMax: 400 },
      onWritable: (room) => void rooms.push(room),
    }).accept();
    const { client, peer } = program;
    peer.pause();
    let count = 0;
    while (count < 300 && client.write(buffer(`${count} `.padEnd(900, '.')), { topic: 'a', QoS: 1 }) > 0) {
      count++;
      program.net.run(20);
    }
    t.ok(count > 1 && count < 300, `${count} messages`);
    t.throws(() => client.write(null, { operation: MqttClient419.PINGREQ }), { message: 'overflow' });
    t.throws(() => client.write(null, { operation: MqttClient419.DISCONNECT }), { message: 'overflow' });
    program.told(500);
    rooms.length = 0;
    t.same(program.told(500), []);
    t.same(rooms, []);
    peer.resume();
    program.told(5000);
    t.equal(rooms.length, 1, 'without any acknowledgement');
    client.write(null, { operation: MqttClient419.PINGREQ });
    program.told(1000);
    const sent = peer.packets();
    t.equal(sent.length, count + 2);
    t.equal(sent.at(-1), 'PINGREQ');
    t.end();
  });

  t.test(`${platform}: a message that is written while the queue is full goes out when there is room`, (t) => {
    const rooms: number[] = [];
    const program = new Program(platform, { onWritable: (room) => void rooms.push(room) }).accept();
    const { client, peer } = program;
    client.write(buffer('A'), { topic: 'a', QoS: 1, byteLength: 900, id: 5 });
    client.write(buffer('A'.repeat(899)));
    client.write(buffer('B'), { topic: 'b', QoS: 1, byteLength: 900, id: 6 });
    client.write(buffer('B'.repeat(899)));
    client.write(buffer('C'), { topic: 'c', QoS: 1, byteLength: 900, id: 7 });
    t.equal(client.write(buffer('C'.repeat(899))), 0);
    t.throws(() => client.write(buffer('x')), { message: 'overflow' });
    program.told();
    rooms.length = 0;
    t.equal(peer.packets().length, 2);
    peer.send(puback(1));
    t.same(program.told(), ['PUBACK 5']);
    t.ok(peer.packets()[0] === `PUBLISH q1 id3 c ${'C'.repeat(900)}`);
    t.same(rooms, []);
    peer.send(puback(2), puback(3));
    t.same(program.told(), ['PUBACK 6', 'PUBACK 7']);
    t.equal(rooms.length, 1);
    t.end();
  });

  t.test(`${platform}: what a callback throws is traced and ends the connection, and the board goes on`, (t) => {
    for (const name of ['onControl', 'onReadable', 'onWritable'] as const) {
      const program = new Program(platform, {
        [name]: () => {
          throw new Error(`thrown by ${name}`);
        },
      });
      program.net.run(200);
      program.peer.send(connack(false), publish('a', 'x'));
      t.match(program.told(1000).at(-1), /^error: connection lost/, name);
      t.match(program.net.traces, [`thrown by ${name}`]);
      t.equal(program.net.sockets.size, 0);
    }
    t.end();
  });

  t.test(`${platform}: writing to a connection that is lost is no fault of who writes`, (t) => {
    const program = new Program(platform).accept();
    const { client } = program;
    program.peer.end.abort();
    let error = false;
    for (let i = 0; i < 100 && !error; i++) {
      client.write(buffer('x'), { topic: 'a', QoS: i % 2 });
      if (i % 3 === 0) client.write(null, { operation: MqttClient419.PINGREQ });
      error = program.told(1).length > 0;
    }
    t.ok(error);
    t.end();
  });

  t.test(`${platform}: what is written between the loss and its being told is not the first of the next`, (t) => {
    const outcomes = new Set<unknown>();
    for (let delayMs = 0; delayMs < 60; delayMs++) {
      const program = new Program(platform, { reconnect: true }).accept();
      program.peer.end.abort();
      program.net.run(delayMs);
      try {
        outcomes.add(program.client.write(null, { operation: MqttClient419.PINGREQ }));
      } catch (error) {
        outcomes.add((error as Error).message);
      }
      program.net.run(2000);
      if (program.peers.length !== 2) t.fail(`${program.peers.length} connections`);
      const packets = program.peer.packets();
      if (packets[0] !== 'CONNECT clean program') t.fail(`${packets} after ${delayMs} ms`);
    }
    t.ok(outcomes.has(0), 'it was written when the connection was lost already');
    t.ok(outcomes.has('not connected'), 'and when that was told');
    t.end();
  });

  t.test(`${platform}: close is silence; DISCONNECT is a goodbye, told when it is done`, (t) => {
    const net = new FakeNet(platform, { sendBytes: 300 });
    const told: string[] = [];
    const server = new MqttServer({
      ...net.io, onMessage: (topic, body) => told.push(`${topic} ${text(body).trimEnd()}`), limits: { packetBytesMax: 1024 },
    });
    const client = (id: string): MqttClient419 => new MqttClient419({
      ...net.io, host: '127.0.0.1', id, limits: { packetBytesMax: 1024 }, socket: { io: net.io.TCP },
      dns: { io: class {
        resolve(): void {}
      } },
      will: { topic: 'will', message: id, QoS: 1, retain: 0 },
      onClose: () => told.push(`${id} closed`),
      onError: (error) => told.push(`${id} ${error.message}`),
    });
    const first = client('first');
    const second = client('second');
    const third = client('third');
    net.run(500);
    first.write(buffer('from first'), { topic: 'a', QoS: 1 });
    first.close();
    first.close();
    second.write(buffer('from second'), { topic: 'a', QoS: 1 });
    t.equal(second.write(null, { operation: MqttClient419.DISCONNECT }), 0);
    t.throws(() => second.write(buffer('x'), { topic: 'a' }), { message: 'closed' });
    third.write(buffer('from third'.padEnd(900)), { topic: 'a', QoS: 1 });
    third.write(null, { operation: MqttClient419.DISCONNECT });
    third.close();
    net.run(2000);
    t.same(told.sort(), ['a from first', 'a from second', 'a from third', 'second closed', 'will first']);
    server.close();
    net.run(2000);
    t.equal(net.sockets.size, 0);
    t.equal((net.io.Timer as { count?: number }).count, 0);
    t.same(net.traces, []);
    t.end();
  });
}

t.test('an option that no client can have is refused in a sentence', (t) => {
  t.throws(() => new Program('lwip', { host: '' }), { message: 'host required' });
  t.throws(() => new Program('lwip', { format: 'number' }), RangeError);
  t.throws(() => new Program('lwip', { clean: false, id: '' }), RangeError);
  t.throws(() => new Program('lwip', { will: { topic: 'a/#', message: '' } }), RangeError);
  t.equal(new Program('lwip').client.format, 'buffer');
  t.equal(new Program('lwip', { target: 'mine' }).client.target, 'mine');
  t.end();
});

t.test('control packets are seen however the bytes are cut', (t) => {
  const bytes = concat(connack(true, 5), publish('a', 'x'.repeat(300), { qos: 2 }), suback(0x1234, 0, 1, 128), pingresp(),
    publish('a', ''), puback(7), pubrel(8), unsuback(9), publish('b', 'y'), pubcomp(10));
  const expected = ['2 1 5 ', '9 18 52 0,1,128', '13 0 0 ', '4 0 7 ', '6 0 8 ', '11 0 9 ', '7 0 10 '];
  for (let size = 1; size <= bytes.length; size++) {
    const seen: string[] = [];
    const watch = new ControlWatch((type, first, second, payload) =>
      seen.push(`${type} ${first} ${second} ${payload ?? ''}`));
    for (let at = 0; at < bytes.length; at += size) watch.see(bytes.subarray(at, at + size));
    if (seen.join() !== expected.join()) t.same(seen, expected, `in pieces of ${size}`);
  }
  t.pass();
  t.end();
});
