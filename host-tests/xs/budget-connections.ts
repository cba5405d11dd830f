// What connections of MQTT 5.0 cost on XS, in XS only: proof that nothing is allocated for one that comes, is refused,
// authenticates itself, goes, and whose session and will end later.
import tap from 'tap';
import { Broker } from '../../src/broker/broker.js';
import type { BrokerOptions } from '../../src/broker/options.js';
import { CLIENTS_EXPIRED } from '../../src/broker/counters.js';
import * as packets from '../support/packets.js';
import { smallLimits } from '../support/peer.js';
import { freeFor } from './measure.js';
import { SinkLink } from './sink-link.js';

const OPERATIONS = 1000;
const free = freeFor(OPERATIONS);

/** A broker and a link that takes everything; what was written, in bytes. */
class World {
  readonly broker: Broker;
  readonly link = new SinkLink();
  nowMs = 0;

  constructor(options: Partial<BrokerOptions> = {}) {
    this.broker = new Broker(smallLimits({ keepAliveSecondsMax: 60, sessionExpirySecondsMax: 30 }),
      { random: () => 7, version: 'test', ...options });
    this.broker.tick(0);
  }

  send(slot: number, bytes: Uint8Array): void {
    this.broker.bytes.set(bytes, this.broker.windowStart);
    this.broker.received(slot, bytes.length);
    this.broker.flush();
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.broker.tick(this.nowMs);
    this.broker.flush();
  }
}

const will = { topic: 'maison/sonde', payload: 'gone', properties: { willDelay: 5, contentType: 'text/plain' } };
const properties: packets.Properties = {
  sessionExpiry: 10, receiveMaximum: 3, aliasMaximum: 2, user: ['piece', 'salon'],
};

tap.test('a client of 5.0 comes and goes', (t) => {
  const world = new World();
  const connect = packets.connect({ clientId: '', level: 5, keepAlive: 90, properties, will });
  const disconnect = packets.disconnect(0, { sessionExpiry: 0, reason: 'bye' });
  free(t, 'connect with everything, disconnect', () => {
    const slot = world.broker.connected(world.link);
    world.send(slot, connect);
    world.send(slot, disconnect);
  });
  t.equal(world.broker.memory.sessions.count, 0, 'all of them have left');
  t.ok(world.link.written > 5 * OPERATIONS * 40, 'and were answered');
  t.end();
});

tap.test('what is refused is told why', (t) => {
  const world = new World();
  const tooLong = packets.connect({ clientId: 'x'.repeat(33), level: 5 });
  free(t, 'a CONNECT that is refused', () => world.send(world.broker.connected(world.link), tooLong));
  const connect = packets.connect({ clientId: 'a', level: 5 });
  const wrong = packets.pingresp();
  free(t, 'a packet that breaks the protocol', () => {
    const slot = world.broker.connected(world.link);
    world.send(slot, connect);
    world.send(slot, wrong);
  });
  t.equal(world.broker.memory.sessions.count, 0, 'nothing is left');
  t.end();
});

tap.test('a client is taken over, its session ends later, and its will comes in between', (t) => {
  const world = new World();
  const connect = packets.connect({ clientId: 'a', level: 5, clean: false, properties, will });
  free(t, 'come, be taken over, be lost, expire', () => {
    world.send(world.broker.connected(world.link), connect);
    const slot = world.broker.connected(world.link);
    world.send(slot, connect);
    world.broker.disconnected(slot);
    world.pass(0);
    world.pass(5000);
    world.pass(5000);
  });
  t.equal(world.broker.counters[CLIENTS_EXPIRED], 5 * OPERATIONS, 'every one of them expired');
  t.equal(world.broker.memory.kept.count, 0, 'no will is left');
  t.end();
});

tap.test('enhanced authentication, and again', (t) => {
  const method = {
    name: 'steps',
    step(step: { isFirst: boolean; bytes: Uint8Array; answerStart: number; answerEnd: number }): number {
      step.bytes[step.answerStart] = 0x41;
      step.answerEnd = step.answerStart + 1;
      return step.isFirst ? 0x18 : 0;
    },
  };
  const world = new World({ authenticationMethods: [method] });
  const named: packets.Properties = { method: 'steps', data: 'x' };
  const connect = packets.connect({ clientId: 'a', level: 5, properties: named });
  const go = packets.auth(0x18, named);
  const again = packets.auth(0x19, named);
  const leave = packets.disconnect();
  free(t, 'two steps, two more, leave', () => {
    const slot = world.broker.connected(world.link);
    world.send(slot, connect);
    world.send(slot, go);
    world.send(slot, again);
    world.send(slot, go);
    world.send(slot, leave);
  });
  t.equal(world.broker.memory.sessions.count, 0, 'nothing is left');
  t.end();
});
