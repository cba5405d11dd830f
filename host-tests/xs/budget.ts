// What the core costs on XS, in XS only: bytecodes of codec and broker, and proof that nothing is allocated for a
// message, whatever its QoS, nor for subscribing, connecting or retaining. Figures are exact, so they are tests.
import tap from 'tap';
import { Broker } from '../../src/broker/broker.js';
import { decode } from '../../src/wire/decode.js';
import { encodePublish } from '../../src/wire/encode.js';
import { frame } from '../../src/wire/frame.js';
import { TopicLevels } from '../../src/wire/topic.js';
import { Packet } from '../../src/wire/packet.js';
import type { Connection } from '../../src/broker/connection.js';
import { NONE, OK } from '../../src/wire/codes.js';
import * as packets from '../support/packets.js';
import { smallLimits } from '../support/peer.js';
import { freeFor, measure, type Cost } from './measure.js';
import { SinkLink } from './sink-link.js';

const TOPIC = 'maison/salon/temperature';
const PAYLOAD = '21.4 ';
/** 5,000 operations against 10,000 of them. */
const OPERATIONS = 5000;

class Client {
  readonly broker: Broker;
  readonly link = new SinkLink();
  slot: number;

  constructor(broker: Broker, clientId: string, level = 4, properties: packets.Properties = {}) {
    this.broker = broker;
    this.slot = broker.connected(this.link);
    this.send(packets.connect({ clientId, level, properties }));
    if (this.connection.session === NONE) throw new Error('not accepted');
  }

  get connection(): Connection {
    return this.broker.memory.connections[this.slot]!;
  }

  send(bytes: Uint8Array): void {
    this.broker.bytes.set(bytes, this.broker.windowStart);
    this.broker.received(this.slot, bytes.length);
    this.broker.flush();
  }

  /** Identifier of the PUBLISH of QoS 1 or 2, with a topic shorter than 100 bytes, that was written last. */
  lastId(): number {
    const bytes = this.broker.bytes;
    const at = this.link.lastStart + 4 + bytes[this.link.lastStart + 3];
    return bytes[at] << 8 | bytes[at + 1];
  }

  /** Answers the last PUBLISH or acknowledgement with one of `type`, without allocating. */
  answer(firstByte: number, id: number): void {
    const bytes = this.broker.bytes;
    const at = this.broker.windowStart;
    bytes[at] = firstByte;
    bytes[at + 1] = 2;
    bytes[at + 2] = id >> 8;
    bytes[at + 3] = id;
    this.broker.received(this.slot, 4);
    this.broker.flush();
  }
}

function makeBroker(): Broker {
  const limits = smallLimits({ sysIntervalMs: 1000 });
  return new Broker(limits, { random: () => 7, version: 'test' });
}

interface Crowd {
  broker: Broker;
  publisher: Client;
  subscriber: Client;
}

/** A broker with 64 subscriptions of others and one subscriber of `TOPIC`, both of that level. */
function crowded(qos: number, level = 4, properties: packets.Properties = {}, identifier = 0): Crowd {
  const broker = makeBroker();
  const publisher = new Client(broker, 'publisher', level);
  const subscriber = new Client(broker, 'subscriber', level, properties);
  for (let i = 0; i < 63; i++) {
    const filter: [string, number] = [`maison/piece-${i}/temperature`, 0];
    publisher.send(level === 5 ? packets.subscribe5(1, {}, filter) : packets.subscribe(1, filter));
  }
  subscriber.send(level === 5 ?
    packets.subscribe5(1, identifier === 0 ? {} : { subscription: identifier }, [TOPIC, qos]) :
    packets.subscribe(1, [TOPIC, qos]));
  if (broker.memory.subscriptions.count !== 64) throw new Error('64 subscriptions wanted');
  return { broker, publisher, subscriber };
}

const free = freeFor(OPERATIONS);
/** What differs from that in its properties alone is looked at less often. */
const FEWER_OPERATIONS = 1000;
const freeInLevel5 = freeFor(FEWER_OPERATIONS);
type Test = Parameters<typeof free>[0];

const emptyLoop = measure((n) => {
  for (let i = 0; i < n; i++) empty();
}, 100).bytecodes;

function empty(): void {}

/** Bytecodes without the loop and the call around them. */
function net(cost: Cost): number {
  return cost.bytecodes - emptyLoop;
}

tap.test('the codec keeps its budget of bytecodes for a PUBLISH, QoS 0, 5 B on maison/salon/temperature', (t) => {
  const bytes = new Uint8Array(256);
  const packet = new Packet(new TopicLevels(8));
  packet.protocolLevel = 4;
  const publish = packets.publish(TOPIC, PAYLOAD);
  bytes.set(publish);
  const size = publish.length;

  const decoding = net(free(t, 'frame and decode', () => {
    frame(bytes, 0, size, 256, packet);
    decode(bytes, packet);
  }));
  t.equal(decode(bytes, packet), OK, 'decodes');
  const most = 400 + 18 * TOPIC.length;
  t.ok(decoding <= most, `${decoding} bytecodes, at most 400 and 18 for each byte of the topic: ${most}`);

  const encoding = net(free(t, 'encode', () => {
    encodePublish(bytes, 128, 0, 0, packet.topicStart, packet.topicEnd, packet.payloadStart, packet.payloadEnd);
  }));
  t.ok(encoding <= 400, `${encoding} bytecodes to encode, at most 400`);
  t.end();
});

tap.test('a routed PUBLISH, bytes in to bytes out, one subscriber among 64 subscriptions', (t) => {
  const { broker, publisher, subscriber } = crowded(0);
  const publish = packets.publish(TOPIC, PAYLOAD);
  publisher.send(publish);
  const before = subscriber.link.written;
  const routed = net(free(t, 'route QoS 0', () => {
    broker.bytes.set(publish, broker.windowStart);
    broker.received(publisher.slot, publish.length);
    broker.flush();
  }));
  t.equal(subscriber.link.written - before, 5 * OPERATIONS * publish.length, 'all of them arrive');
  t.ok(routed <= 3000, `${routed} bytecodes, at most 3,000`);
  t.end();
});

tap.test('routing allocates nothing at QoS 1 and 2', (t) => {
  for (const qos of [1, 2]) {
    const { broker, publisher, subscriber } = crowded(qos);
    const publish = packets.publish(TOPIC, PAYLOAD, { qos, id: 9 });
    free(t, `route QoS ${qos}, with all acknowledgements`, () => {
      broker.bytes.set(publish, broker.windowStart);
      broker.received(publisher.slot, publish.length);
      broker.flush();
      const id = subscriber.lastId();
      if (qos === 1) {
        subscriber.answer(0x40, id);
      } else {
        subscriber.answer(0x50, id);
        subscriber.answer(0x70, id);
        publisher.answer(0x62, 9);
      }
    });
    t.equal(broker.memory.deliveries.count(1), 0, 'nothing waits');
    t.equal(broker.memory.queued.count, 0, 'nothing is stored');
  }
  t.end();
});

/** Publishes `bytes`, again and again, with the acknowledgements of QoS 0 or 1; how many bytecodes each takes. */
function routing(t: Test, title: string, crowd: Crowd, bytes: Uint8Array, qos: number): number {
  const { broker, publisher, subscriber } = crowd;
  publisher.send(bytes);
  if (qos === 1) subscriber.answer(0x40, subscriber.lastId());
  return net(freeInLevel5(t, title, () => {
    broker.bytes.set(bytes, broker.windowStart);
    broker.received(publisher.slot, bytes.length);
    broker.flush();
    if (qos === 1) subscriber.answer(0x40, subscriber.lastId());
  }));
}

tap.test('MQTT 5.0 costs at most 1.3 times the bytecodes of 3.1.1, and allocates nothing', (t) => {
  for (const qos of [0, 1]) {
    const old = routing(t, `3.1.1, QoS ${qos}`, crowded(qos), packets.publish(TOPIC, PAYLOAD, { qos, id: 9 }), qos);
    const young = routing(t, `5.0, QoS ${qos}`, crowded(qos, 5), packets.publish5(TOPIC, PAYLOAD, { qos, id: 9 }), qos);
    t.ok(young <= 1.3 * old, `QoS ${qos}: ${young} bytecodes, at most 1.3 times ${old}`);
  }
  t.end();
});

tap.test('properties, aliases, identifiers and shared subscriptions allocate nothing', (t) => {
  const properties: packets.Properties = {
    user: [['unite', 'C'], ['piece', 'salon']], contentType: 'text/plain', expiry: 60, format: 1,
  };
  for (const qos of [0, 1]) {
    const fields = { qos, id: 9, properties };
    routing(t, `QoS ${qos} with properties`, crowded(qos, 5), packets.publish5(TOPIC, PAYLOAD, fields), qos);
    const crowd = crowded(qos, 5, { aliasMaximum: 4 }, 7);
    crowd.publisher.send(packets.publish5(TOPIC, PAYLOAD, { properties: { alias: 2 } }));
    routing(t, `QoS ${qos} with aliases and an identifier`, crowd,
      packets.publish5('', PAYLOAD, { qos, id: 9, properties: { alias: 2 } }), qos);
    t.equal(crowd.broker.memory.queued.count, 0, 'nothing is stored');
  }
  const { broker, publisher, subscriber } = crowded(1, 5);
  for (const i of [1, 2]) publisher.send(packets.unsubscribe5(2, {}, `maison/piece-${i}/temperature`));
  const share = packets.subscribe5(3, { subscription: 3 }, ['$share/g/maison/#', 1]);
  const leave = packets.unsubscribe5(3, {}, '$share/g/maison/#');
  subscriber.send(share);
  publisher.send(share);
  const shared = packets.publish5('maison/cuisine/temperature', PAYLOAD);
  const before = subscriber.link.written;
  freeInLevel5(t, 'a message to one of a group', () => publisher.send(shared));
  // Every other one, with an identifier that takes two bytes.
  t.equal(subscriber.link.written - before, 5 * FEWER_OPERATIONS * (shared.length + 2) / 2, 'each has its turn');
  subscriber.send(leave);
  freeInLevel5(t, 'join a group and leave it', () => {
    subscriber.send(share);
    subscriber.send(leave);
  });
  const retained = packets.publish5('maison/cave/temperature', PAYLOAD, { retain: true, properties });
  const ask = packets.subscribe5(3, {}, ['maison/cave/temperature', 0]);
  let nowMs = 0;
  broker.tick(nowMs);
  const { count } = broker.memory.retained;
  freeInLevel5(t, 'a retained message that expires', () => {
    publisher.send(retained);
    broker.tick(nowMs += 62_000);
    subscriber.send(ask);
  });
  t.equal(broker.memory.retained.count, count, 'none is left');
  t.end();
});

tap.test('retained messages, subscriptions and sessions allocate nothing', (t) => {
  const { broker, publisher, subscriber } = crowded(0);
  const set = packets.publish('maison/cuisine/temperature', PAYLOAD, { retain: true });
  free(t, 'replace a retained message', () => publisher.send(set));
  const clear = packets.publish('maison/cuisine/temperature', '', { retain: true });
  free(t, 'set and clear a retained message', () => {
    publisher.send(set);
    publisher.send(clear);
  });
  publisher.send(set);
  const subscribe = packets.subscribe(3, ['maison/+/temperature', 0], ['maison/#', 0]);
  const unsubscribe = packets.unsubscribe(4, 'maison/+/temperature', 'maison/#');
  subscriber.send(packets.unsubscribe(4, TOPIC));
  publisher.send(packets.unsubscribe(4, 'maison/piece-1/temperature'));
  free(t, 'subscribe, get the retained messages, unsubscribe', () => {
    subscriber.send(subscribe);
    subscriber.send(unsubscribe);
  });

  const link = new SinkLink();
  const connect = packets.connect({ clientId: 'passager', will: { topic: 'maison/etat', payload: 'hors-ligne' } });
  const disconnect = packets.disconnect();
  free(t, 'connect, disconnect', () => {
    const slot = broker.connected(link);
    broker.bytes.set(connect, broker.windowStart);
    broker.received(slot, connect.length);
    broker.flush();
    broker.bytes.set(disconnect, broker.windowStart);
    broker.received(slot, disconnect.length);
    broker.flush();
  });
  free(t, 'connect, lose the link, publish the will', () => {
    const slot = broker.connected(link);
    broker.bytes.set(connect, broker.windowStart);
    broker.received(slot, connect.length);
    broker.disconnected(slot);
    broker.flush();
  });
  t.equal(broker.memory.sessions.count, 2, 'the two clients are left');
  t.end();
});

tap.test('time allocates nothing', (t) => {
  const { broker } = crowded(0);
  let nowMs = 0;
  broker.tick(nowMs);
  free(t, 'a tick with all of $SYS', () => {
    broker.tick(nowMs += 1000);
    broker.flush();
  });
  t.end();
});

tap.test('hostile bytes allocate nothing', (t) => {
  const { broker } = crowded(0);
  const link = new SinkLink();
  const garbage = Uint8Array.of(0x13, 0xff, 0xff, 0xff, 0xff, 0xff);
  free(t, 'a malformed packet ends the connection', () => {
    const slot = broker.connected(link);
    broker.bytes.set(garbage, broker.windowStart);
    broker.received(slot, garbage.length);
    broker.flush();
  });
  t.end();
});
