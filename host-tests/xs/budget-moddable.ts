// What the binding to a board costs on XS, in XS only: proof that a packet that comes through a socket and goes out
// through others takes no slot and no chunk, nor does a turn of the timer; and what it adds to the bytecodes of the
// core. The sockets are as bare as they can be, so that the figures are those of the binding.
import tap from 'tap';
import { Broker } from '../../src/broker/broker.js';
import type { TcpSocket, TcpSocketOptions, TimerModule } from '../../src/moddable/io.js';
import { TcpBroker } from '../../src/moddable/tcp-broker.js';
import { TcpClient } from '../../src/moddable/tcp-client.js';
import { CONNECTED } from '../../src/client/states.js';
import * as packets from '../support/packets.js';
import { smallLimits } from '../support/peer.js';
import { freeFor } from './measure.js';

const TOPIC = 'maison/salon/temperature';
const PAYLOAD = '21.4 ';
const OPERATIONS = 2000;

let nowMs = 0;

/** A timer that fires when it is told to. */
class BareTimer implements TimerModule {
  fire: () => void = () => {};

  repeat(callback: () => void): unknown {
    this.fire = callback;
    return 1;
  }

  schedule(): void {}

  clear(): void {}
}

/** A socket that gives what it was told to, again and again, and takes everything. */
class BareSocket implements TcpSocket {
  static last: BareSocket;
  readonly target: unknown;
  readonly options: TcpSocketOptions;
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  written = 0;
  /** Of what was written last. */
  lastByte = 0;

  constructor(options: TcpSocketOptions) {
    this.options = options;
    this.target = options.target;
    BareSocket.last = this;
  }

  read(view: Uint8Array): number {
    const count = view.length;
    for (let i = 0; i < count; i++) view[i] = this.bytes[this.at++]!;
    return count;
  }

  write(view: Uint8Array): number {
    this.written += view.length;
    this.lastByte = view[view.length - 1]!;
    return 5744;
  }

  close(): void {}

  /** Bytes come; then all that was written is acknowledged. */
  receive(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.at = 0;
    this.options.onReadable.call(this, bytes.length);
  }

  acknowledge(): void {
    this.options.onWritable.call(this, 5744);
  }
}

class BareListener {
  static onReadable: (count: number) => void;
  readonly port = 1883;
  readonly #accepted = { target: undefined, read: () => 0, write: () => 0, close: () => {} };

  constructor(options: { onReadable(count: number): void }) {
    BareListener.onReadable = options.onReadable;
  }

  read(): TcpSocket {
    return this.#accepted;
  }

  close(): void {}
}

const io = {
  TCP: BareSocket, Listener: BareListener, Timer: new BareTimer(), now: () => nowMs,
  trace: (text: string) => {
    throw new Error(text);
  },
};

function join(clientId: string, ...more: Uint8Array[]): BareSocket {
  BareListener.onReadable(1);
  const socket = BareSocket.last;
  socket.acknowledge();
  socket.receive(packets.concat(packets.connect({ clientId }), ...more));
  socket.acknowledge();
  return socket;
}

const free = freeFor(OPERATIONS);

tap.test('a PUBLISH through the sockets of a broker', (t) => {
  const broker = new Broker(smallLimits({ stagingBytes: 256 }), { random: () => 7, version: 'test' });
  const timer = io.Timer = new BareTimer();
  new TcpBroker(broker, io);
  const writer = join('writer');
  const reader = join('reader', packets.subscribe(1, [TOPIC, 0]));
  const publish = packets.publish(TOPIC, PAYLOAD);
  reader.written = 0;
  const cost = free(t, 'one subscriber, QoS 0', () => {
    writer.receive(publish);
    reader.acknowledge();
  });
  t.equal(reader.written, 5 * OPERATIONS * publish.length, 'all of them went out');
  t.ok(cost.bytecodes <= 6000, `${cost.bytecodes} bytecodes, at most 6,000`);

  const acknowledged = packets.publish(TOPIC, PAYLOAD, { qos: 1, id: 3 });
  free(t, 'QoS 1', () => {
    writer.receive(acknowledged);
    writer.acknowledge();
    reader.acknowledge();
  });
  const turn = free(t, 'a turn of the timer', () => {
    nowMs += 250;
    timer.fire();
  });
  t.ok(turn.bytecodes <= 4000, `${turn.bytecodes} bytecodes, at most 4,000`);
  t.equal(broker.memory.connections.filter((connection) => connection.link !== null).length, 2);
  t.end();
});

tap.test('a PUBLISH of a client, and one to it', (t) => {
  const timer = io.Timer = new BareTimer();
  let received = 0;
  const client = new TcpClient({
    ...io, host: '127.0.0.1', socket: { io: BareSocket }, random: () => 1,
    limits: {
      packetBytesMax: 256, stagingBytes: 128, inboxBytes: 512, outboxBytes: 512, acknowledgementBytes: 32,
      subscriptionsMax: 4, filterBytes: 256, queuedMax: 16, queueBytes: 2048, messageBlockBytes: 32, inflightMax: 8,
      receiveMax: 8,
    },
  });
  client.core.options.observer.message = () => {
    received++;
    return true;
  };
  client.connect();
  const socket = BareSocket.last;
  socket.acknowledge();
  socket.receive(packets.connack(false));
  if (client.state !== CONNECTED) throw new Error('not connected');
  const topic = packets.ascii(TOPIC);
  const payload = packets.ascii(PAYLOAD);
  free(t, 'publish, QoS 0', () => {
    client.publishBytes(topic, payload, 0, false);
    timer.fire();
    socket.acknowledge();
  });
  const publish = packets.publish(TOPIC, PAYLOAD, { qos: 1, id: 3 });
  free(t, 'receive, QoS 1', () => {
    socket.receive(publish);
    socket.acknowledge();
  });
  t.equal(received, 5 * OPERATIONS);
  t.equal(client.state, CONNECTED);
  t.end();
});
