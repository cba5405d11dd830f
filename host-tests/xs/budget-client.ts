// What the client costs on XS, in XS only: bytecodes of a publish, and proof that its steady state
// allocates nothing, in 3.1.1 and in 5.0: publishing and receiving at every QoS, keep-alive, losing
// the broker and coming back. Figures are exact, so they are tests.
import tap from 'tap';
import { Client } from '../../src/client/client.js';
import { clientLimits } from '../../src/client/limits.js';
import type { ClientObserver } from '../../src/client/options.js';
import { CONNECTED, WAITING } from '../../src/client/states.js';
import { EncodedProperties } from '../../src/client/encoded-properties.js';
import { PUBLISH } from '../../src/wire/codes.js';
import { ascii, connack5, encodeProperties, publish, publish5, type Properties } from '../support/packets.js';
import { freeFor } from './measure.js';
import { SinkLink } from './sink-link.js';

const TOPIC = ascii('maison/salon/temperature');
const PAYLOAD = ascii('21.4 ');
const OPERATIONS = 3000;

class Silent implements ClientObserver {
  messages = 0;

  connected(): void {}

  refused(): void {}

  ended(): void {}

  closed(): void {}

  message(): boolean {
    this.messages++;
    return true;
  }

  subscribed(): void {}

  unsubscribed(): void {}

  delivered(): void {}

  dropped(): void {}
}

interface Bench {
  client: Client;
  link: SinkLink;
  observer: Silent;
  clock: { nowMs: number };
  /** Level 5. */
  connack: Uint8Array | undefined;
}

/** At level 5 the broker has said `told` in CONNACK. */
function makeClient(protocolLevel = 4, told: Properties = {}): Bench {
  const link = new SinkLink();
  const observer = new Silent();
  const limits = clientLimits({
    packetBytesMax: 256, inboxBytes: 512, outboxBytes: 512, acknowledgementBytes: 32,
    subscriptionsMax: 4, filterBytes: 256, queuedMax: 16, queueBytes: 2048, messageBlockBytes: 32,
    inflightMax: 8, receiveMax: 8, topicAliasMax: 4, topicAliasBytes: 64,
  });
  const client = new Client(limits, {
    open: () => link, random: () => 0, wake: () => {}, protocolLevel, clientId: ascii('salon'),
    cleanSession: false, keepAliveSeconds: 10, queueQos0: false, observer,
  });
  const connack = protocolLevel === 5 ? connack5(false, 0, told) : undefined;
  const bench = { client, link, observer, clock: { nowMs: 0 }, connack };
  client.tick(0);
  client.connect();
  accept(bench);
  return bench;
}

/** The link opens and the broker accepts, with its session. */
function accept({ client, connack }: Bench): void {
  client.opened();
  client.flush();
  if (connack === undefined) {
    answer(client, 0x20, 0x0100);
    return;
  }
  client.bytes.set(connack, client.receiveStart);
  client.received(connack.length);
  client.flush();
}

/** Four bytes from the broker, as if read from a socket. */
function answer(client: Client, firstByte: number, id: number): void {
  const at = client.receiveStart;
  const bytes = client.bytes;
  bytes[at] = firstByte;
  bytes[at + 1] = 2;
  bytes[at + 2] = id >> 8;
  bytes[at + 3] = id;
  client.received(4);
  client.flush();
}

/** Identifier of the PUBLISH on TOPIC that began the last write. */
function lastId({ client, link }: Bench): number {
  const at = link.lastStart + 4 + TOPIC.length;
  return client.bytes[at] << 8 | client.bytes[at + 1];
}

const free = freeFor(OPERATIONS);

tap.test('publishing, QoS 0, connected', (t) => {
  const { client } = makeClient();
  const cost = free(t, 'publish', () => {
    client.publish(TOPIC, PAYLOAD, 0, false);
    client.flush();
  });
  t.ok(cost.bytecodes <= 1500, `at most 1500 bytecodes, flush and loop included: ${cost.bytecodes}`);
  t.equal(client.counters.messagesSent, 5 * OPERATIONS + 0, 'all sent');
  t.end();
});

tap.test('publishing, QoS 1 and 2, with all acknowledgements', (t) => {
  const bench = makeClient();
  const { client } = bench;
  free(t, 'QoS 1', () => {
    client.publish(TOPIC, PAYLOAD, 1, true);
    client.flush();
    answer(client, 0x40, lastId(bench));
  });
  free(t, 'QoS 2', () => {
    client.publish(TOPIC, PAYLOAD, 2, false);
    client.flush();
    const id = lastId(bench);
    answer(client, 0x50, id);
    answer(client, 0x70, id);
  });
  t.equal(client.waitingCount, 0, 'all delivered');
  t.equal(client.state, CONNECTED);
  t.end();
});

tap.test('receiving at every QoS', (t) => {
  const { client, observer } = makeClient();
  for (const qos of [0, 1, 2]) {
    const packet = publish(TOPIC, PAYLOAD, { qos, id: 7 });
    free(t, `QoS ${qos}`, () => {
      client.bytes.set(packet, client.receiveStart);
      client.received(packet.length);
      if (qos === 2) answer(client, 0x62, 7);
      client.flush();
    });
  }
  t.equal(observer.messages, 3 * 5 * OPERATIONS, 'all told');
  t.end();
});

tap.test('time and keep-alive', (t) => {
  const { client, clock } = makeClient();
  free(t, 'four ticks of 3 s, a ping among them', () => {
    for (let i = 0; i < 4; i++) {
      client.tick(clock.nowMs += 3000);
      client.flush();
    }
    const at = client.receiveStart;
    client.bytes[at] = 0xd0;
    client.bytes[at + 1] = 0;
    client.received(2);
  });
  t.equal(client.state, CONNECTED, 'kept alive');
  t.end();
});

tap.test('losing the broker, keeping messages, coming back', (t) => {
  const bench = makeClient();
  const { client, clock } = bench;
  client.subscribe(ascii('maison/#'), 1);
  client.flush();
  const suback = Uint8Array.of(0x90, 3, 0xff, 0xfc, 1);
  client.bytes.set(suback, client.receiveStart);
  client.received(suback.length);
  free(t, 'lose, keep two, connect, send them', () => {
    client.disconnected();
    client.publish(TOPIC, PAYLOAD, 1, true);
    client.publish(TOPIC, PAYLOAD, 1, true);
    client.tick(clock.nowMs);
    client.tick(clock.nowMs += 61_000);
    accept(bench);
    const id = lastId(bench);
    answer(client, 0x40, id);
    answer(client, 0x40, id === 0xffff - 4 ? 1 : id + 1);
  });
  t.equal(client.waitingCount, 0, 'all delivered');
  client.disconnected();
  t.equal(client.state, WAITING);
  t.end();
});

const PROPERTIES = new EncodedProperties(PUBLISH, encodeProperties(
  { expiry: 60, contentType: 'text/plain', user: [['room', 'salon']] }).slice(1));
const ALIASES = { aliasMaximum: 4, receiveMaximum: 8, packetMaximum: 200 };

/** Bytecodes of a publish and its acknowledgement. */
function publishCost(
  t: Parameters<typeof free>[0], bench: Bench, name: string, qos: number, properties: EncodedProperties | null,
): number {
  const { client } = bench;
  return free(t, name, () => {
    client.publish(TOPIC, PAYLOAD, qos, false, properties);
    client.flush();
    if (qos === 1) answer(client, 0x40, client.memory.deliveries.lastPacketId(0));
  }).bytecodes;
}

tap.test('5.0: publishing costs at most 1.3 times as much, 1.4 with aliases', (t) => {
  for (const qos of [0, 1]) {
    const before = publishCost(t, makeClient(), `3.1.1, QoS ${qos}`, qos, null);
    for (const [what, told] of [['no aliases', {}], ['aliases', ALIASES]] as const) {
      const bench = makeClient(5, told);
      const cost = publishCost(t, bench, `5.0, ${what}, QoS ${qos}`, qos, null);
      // To find the alias of a topic, it is compared.
      const most = (told === ALIASES ? 1.4 : 1.3) * before;
      t.ok(cost <= most, `QoS ${qos}, ${what}: ${cost} bytecodes, ${before} in 3.1.1`);
      t.equal(bench.client.waitingCount, 0, 'all delivered');
      publishCost(t, bench, `5.0, ${what}, QoS ${qos}, with properties`, qos, PROPERTIES);
    }
  }
  t.end();
});

tap.test('5.0: receiving costs at most 1.3 times as much, and properties cost no memory', (t) => {
  for (const qos of [0, 1, 2]) {
    const costs: number[] = [];
    for (const level of [4, 5]) {
      const { client, observer } = makeClient(level);
      const packet = (level === 5 ? publish5 : publish)(TOPIC, PAYLOAD, { qos, id: 7 });
      costs.push(receiveCost(t, client, `level ${level}, QoS ${qos}`, packet, qos));
      t.equal(observer.messages, 5 * OPERATIONS, 'all told');
    }
    t.ok(costs[1]! <= 1.3 * costs[0]!, `QoS ${qos}: ${costs[1]} bytecodes, ${costs[0]} in 3.1.1`);
  }
  const { client } = makeClient(5);
  const learn = publish5(TOPIC, PAYLOAD, { properties: { alias: 2, contentType: 'text/plain' } });
  receiveCost(t, client, 'an alias that is given', learn, 0);
  receiveCost(t, client, 'an alias alone', publish5('', PAYLOAD, { properties: { alias: 2 } }), 0);
  t.equal(client.state, CONNECTED);
  t.end();
});

function receiveCost(
  t: Parameters<typeof free>[0], client: Client, name: string, packet: Uint8Array, qos: number,
): number {
  return free(t, name, () => {
    client.bytes.set(packet, client.receiveStart);
    client.received(packet.length);
    if (qos === 2) answer(client, 0x62, 7);
    client.flush();
  }).bytecodes;
}

tap.test('5.0: what expires while there is no broker, and coming back', (t) => {
  const bench = makeClient(5, ALIASES);
  const { client, clock } = bench;
  free(t, 'lose, keep two, of which one expires, connect, send one', () => {
    client.disconnected();
    client.publish(TOPIC, PAYLOAD, 1, true, PROPERTIES);
    client.tick(clock.nowMs);
    client.tick(clock.nowMs += 61_000);
    client.publish(TOPIC, PAYLOAD, 1, true, PROPERTIES);
    accept(bench);
    answer(client, 0x40, client.memory.deliveries.lastPacketId(0));
  });
  t.equal(client.waitingCount, 0, 'nothing waits');
  t.equal(client.counters.droppedExpired, 5 * OPERATIONS, 'one expired each time');
  t.end();
});
