// Keep-alive: who is silent for one and a half times its interval is taken for lost. MQTT 3.1.1
// section 3.1.2.10. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { pingreq, puback, publish, subscribe } from '../support/packets.js';
import { connected, makeBroker, pass, type Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import type { Broker } from '../../src/broker/broker.js';

const TICK_MS = 250;

/** A broker whose clock has started, and a client with that keep-alive in seconds. */
function withClient(keepAlive: number): { broker: Broker; clock: { nowMs: number }; client: Peer } {
  const broker = makeBroker();
  const clock = { nowMs: 12_345 };
  broker.tick(clock.nowMs);
  return { broker, clock, client: connected(broker, { clientId: 'a', keepAlive }) };
}

/** Ticks for `ms`, or until the link of `client` closes; how long it took. */
function wait(broker: Broker, clock: { nowMs: number }, client: Peer, ms: number): number {
  const start = clock.nowMs;
  while (clock.nowMs - start < ms && !client.link.closed) pass(broker, clock, TICK_MS);
  return clock.nowMs - start;
}

t.test('[MQTT-3.1.2-24] a silent client is closed after 1.5 times its keep-alive, at most one tick late', (t) => {
  for (const keepAlive of [1, 2, 5, 60]) {
    for (const sentMs of [1, TICK_MS - 1]) {
      const { broker, clock, client } = withClient(keepAlive);
      wait(broker, clock, client, 2 * TICK_MS);
      client.send(pingreq()); // `sentMs` after a tick
      const silentMs = wait(broker, clock, client, keepAlive * 3000) - sentMs;
      const name = `keep-alive ${keepAlive} s, a packet ${sentMs} ms after a tick: closed after ${silentMs} ms`;
      t.ok(client.link.closed && silentMs >= keepAlive * 1500, name);
      t.ok(silentMs <= keepAlive * 1500 + TICK_MS, 'that is at most one tick late');
      t.equal(broker.counters[count.ENDED_KEEP_ALIVE], 1);
      checkInvariants(broker);
    }
  }
  t.end();
});

t.test('[MQTT-3.1.2-24] never early: a packet just before a tick is not taken for older than it is', (t) => {
  const { broker, clock, client } = withClient(2);
  for (let round = 0; round < 5; round++) {
    t.same(client.send(pingreq()), ['PINGRESP']);
    pass(broker, clock, 1);
    pass(broker, clock, 2998);
  }
  t.notOk(client.link.closed);
  t.end();
});

t.test('3.1.2.10: the longest keep-alive, 65,535 s', (t) => {
  const { broker, clock, client } = withClient(65535);
  pass(broker, clock, 1);
  pass(broker, clock, 65535 * 1500 - 1);
  t.notOk(client.link.closed);
  wait(broker, clock, client, 2 * TICK_MS);
  t.ok(client.link.closed);
  t.end();
});

t.test('3.1.2.10: keep-alive 0 never closes', (t) => {
  const { broker, clock, client } = withClient(0);
  for (let i = 0; i < 50; i++) pass(broker, clock, 24 * 3600 * 1000);
  t.notOk(client.link.closed);
  t.same(client.send(pingreq()), ['PINGRESP']);
  t.end();
});

t.test('[MQTT-3.12.4-1] PINGREQ is answered with PINGRESP, and keeps alive', (t) => {
  const { broker, clock, client } = withClient(2);
  for (let i = 0; i < 10; i++) {
    wait(broker, clock, client, 2000);
    t.same(client.send(pingreq()), ['PINGRESP']);
  }
  t.notOk(client.link.closed);
  t.end();
});

t.test('[MQTT-3.1.2-24] every control packet counts', (t) => {
  const { broker, clock, client } = withClient(1);
  const packets = [publish('x', 'y'), publish('x', 'y', { qos: 1 }), subscribe(1, ['a', 1]),
    puback(9), pingreq()];
  for (const packet of [...packets, ...packets]) {
    wait(broker, clock, client, 1000);
    client.send(packet);
  }
  t.notOk(client.link.closed);
  t.end();
});

t.test('[MQTT-3.1.2-24] bytes that make no packet do not count, nor does what is sent to the client', (t) => {
  const { broker, clock, client } = withClient(2);
  client.send(subscribe(1, ['a', 0]));
  const publisher = connected(broker, { clientId: 'publisher' });
  const bytes = publish('x', 'y'.repeat(100));
  let elapsed = 0;
  for (let at = 0; !client.link.closed && at < bytes.length - 1; at++) {
    client.send(bytes.slice(at, at + 1));
    publisher.send(publish('a', 'z'));
    elapsed += wait(broker, clock, client, TICK_MS);
  }
  t.ok(client.link.closed);
  t.ok(elapsed >= 3000 && elapsed <= 3000 + 2 * TICK_MS, `after ${elapsed} ms`);
  t.notOk(publisher.link.closed);
  t.end();
});

t.test('3.1.2.10: each client has its own interval, and each connection a new start', (t) => {
  const { broker, clock, client } = withClient(1);
  const slower = connected(broker, { clientId: 'b', keepAlive: 10 });
  wait(broker, clock, client, 5000);
  t.same([client.link.closed, slower.link.closed], [true, false]);
  const again = connected(broker, { clientId: 'a', keepAlive: 1 });
  t.equal(again.slot, client.slot, 'in the same slot');
  pass(broker, clock, TICK_MS);
  pass(broker, clock, 1500 - TICK_MS);
  t.notOk(again.link.closed);
  wait(broker, clock, slower, 60_000);
  t.ok(slower.link.closed);
  t.equal(broker.counters[count.ENDED_KEEP_ALIVE], 3);
  t.end();
});

t.test('a clock that steps back, or a first tick from anywhere, closes nobody', (t) => {
  const broker = makeBroker();
  const client = connected(broker, { clientId: 'a', keepAlive: 1 });
  broker.tick(9_000_000_000_000);
  broker.flush();
  t.notOk(client.link.closed);
  broker.tick(5);
  broker.tick(600);
  broker.flush();
  t.notOk(client.link.closed);
  broker.tick(600 + 3000);
  t.ok(client.link.closed);
  t.end();
});
