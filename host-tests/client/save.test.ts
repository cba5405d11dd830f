// The bytes that outlive a deep sleep: complete, refused when one bit of them is wrong, and taken up
// so that QoS 2 stays exactly once. Runs on Node and on XS.

import t from 'tap';
import { Client } from '../../src/client/client.js';
import { clientLimits } from '../../src/client/limits.js';
import { PACKET_ID, PUBLISHED, QUEUED, RELEASED } from '../../src/session/deliveries.js';
import {
  CLIENT_IDENTIFIER_NOT_VALID, MALFORMED, NONE, OK, PROTOCOL_ERROR, PUBLISH, QUOTA_EXCEEDED,
} from '../../src/wire/codes.js';
import { ascii, publish5, pubrec } from '../support/packets.js';
import { checkClientInvariants } from './invariants.js';
import { judgeAlive, judgeIncoming, judgeOutgoing } from './judge.js';
import { encoded, ScriptedBroker } from './scripted-broker.js';
import { World } from './world.js';

/**
 * A client with something of everything: QoS 2 released, QoS 1 and 2 in flight, all QoS waiting, and
 * one QoS 2 message taken whose PUBREL is lost.
 */
function busyWorld(): World {
  const world = new World(1, { queueQos0: true, limits: { inflightMax: 3 } });
  const { application } = world;
  application.subscribe('in/#', 2);
  world.connect();
  world.run();
  const way = world.wire!.toClient;
  way.lostFrom = way.sentBytes + 12 + 4; // PUBLISH, PUBREC; then neither PUBREL nor PUBCOMP
  world.inject('in/x', '1.', 2);
  application.publish('out/a', 2, 'released');
  world.run();
  for (const qos of [1, 2, 0, 1, 2, 0]) application.publish('out/a', qos, 'y'.repeat(10 * qos));
  world.run();
  return world;
}

function statesOf({ memory: { deliveries } }: Client): number[] {
  const states: number[] = [];
  for (let row: number = deliveries.head(0); row !== NONE; row = deliveries.next(row)) {
    states.push(deliveries.state(row));
  }
  return states;
}

function saved(client: Client): Uint8Array {
  const bytes = new Uint8Array(client.savedBytes);
  if (client.save(bytes) !== bytes.length) throw new Error('savedBytes and save differ');
  return bytes;
}

t.test('what is saved is restored, and goes on where it was', (t) => {
  const world = busyWorld();
  t.same(statesOf(world.client), [RELEASED, PUBLISHED, PUBLISHED, QUEUED, QUEUED, QUEUED, QUEUED]);
  t.equal(world.client.memory.packetIds.counts[0], 1);
  const before = saved(world.client);
  world.saveAndRestore();
  t.same(statesOf(world.client), [RELEASED, PUBLISHED, PUBLISHED, QUEUED, QUEUED, QUEUED, QUEUED]);
  t.same(saved(world.client), before, 'to the byte');
  world.application.subscribe('in/#', 2);
  world.heal();
  judgeOutgoing(world, true);
  judgeIncoming(world, [{ payload: '1.', qos: 2, firm: true }]);
  judgeAlive(world);
  t.end();
});

t.test('nothing is saved as well: the identifiers go on', (t) => {
  const world = new World(1);
  world.connect();
  world.application.publish('out/a', 1, '');
  world.run();
  world.saveAndRestore();
  world.connect();
  world.application.publish('out/a', 1, '');
  world.run();
  t.ok(world.watch.log.includes('> PUBLISH q1 id2 out/a 2.1.'));
  t.end();
});

t.test('one wrong bit, or one byte less, and nothing is restored', (t) => {
  const world = busyWorld();
  const bytes = saved(world.client);
  const other = new Client(world.client.limits, world.client.options);
  const empty = saved(other);
  let taken = 0;
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      bytes[at] = bytes[at]! ^ 1 << bit;
      if (other.restore(bytes) >= 0) taken++;
      bytes[at] = bytes[at]! ^ 1 << bit;
    }
    if (other.restore(bytes.slice(0, at)) >= 0) taken++;
  }
  t.equal(taken, 0);
  t.same(saved(other), empty, 'nothing has changed');
  checkClientInvariants(other);
  t.equal(other.restore(bytes), OK, 'and the whole is');
  t.equal(other.restore(bytes), PROTOCOL_ERROR, 'once');
  checkClientInvariants(other);
  const longer = new Uint8Array(bytes.length + 7).fill(0xee);
  longer.set(bytes);
  const third = new Client(world.client.limits, world.client.options);
  t.equal(third.restore(longer), OK, 'what lies behind is not looked at');
  t.end();
});

t.test('a target that is too short stays as it is', (t) => {
  const { client } = busyWorld();
  const target = new Uint8Array(client.savedBytes - 1);
  t.equal(client.save(target), QUOTA_EXCEEDED);
  t.ok(target.every((byte) => byte === 0));
  t.end();
});

t.test('the bytes of another client, or more than fits, are refused', (t) => {
  const { client } = busyWorld();
  const bytes = saved(client);
  for (const clientId of ['', 'clienu', 'clien', 'client2']) {
    const other = new Client(client.limits, { ...client.options, clientId: ascii(clientId), cleanSession: true });
    t.equal(other.restore(bytes), CLIENT_IDENTIFIER_NOT_VALID, `"${clientId}"`);
  }
  for (const limits of [{ queuedMax: 6 }, { inflightMax: 2 }, { queueBytes: 256, packetBytesMax: 100 },
    { subscriptionsMax: 0x7fff, filterBytes: 0x8000 }] as const) {
    const other = new Client(clientLimits({ ...client.limits, ...limits }), client.options);
    const wanted = 'subscriptionsMax' in limits || 'queueBytes' in limits ? OK : QUOTA_EXCEEDED;
    t.equal(other.restore(bytes), wanted, JSON.stringify(limits));
    checkClientInvariants(other);
  }
  t.end();
});

t.test('identifiers in flight that now belong to subscriptions are refused [MQTT-2.3.1-2]', (t) => {
  const world = busyWorld();
  const { deliveries } = world.client.memory;
  deliveries.rows[deliveries.head(0) + PACKET_ID] = 0xffff - 16; // as after 65,519 messages
  const bytes = saved(world.client);
  const limits = clientLimits({ ...world.client.limits, subscriptionsMax: 17 });
  const other = new Client(limits, world.client.options);
  t.equal(other.restore(bytes), QUOTA_EXCEEDED);
  t.equal(other.waitingCount, 0);
  t.end();
});

/** Another client of the same options, after a sleep, with what was saved. */
function woken(broker: ScriptedBroker, protocolLevel = 5): ScriptedBroker {
  const bytes = saved(broker.client);
  const other = new ScriptedBroker({ protocolLevel }, {});
  if (other.client.restore(bytes) !== OK) throw new Error('not restored');
  checkClientInvariants(other.client);
  return other;
}

t.test('properties are saved as well, and the expiry counts on from what was left of it', (t) => {
  const broker = new ScriptedBroker({ protocolLevel: 5 });
  broker.accept();
  const publish = (qos: number, properties: Parameters<typeof encoded>[1]): void => {
    broker.client.publish(ascii('a'), ascii('x'), qos, false, encoded(PUBLISH, properties));
  };
  publish(2, { contentType: 'released' });
  publish(2, { expiry: 100, contentType: 'in flight' });
  broker.sent();
  broker.send(pubrec(1));
  broker.send(publish5('in', 'x', { qos: 2, id: 77 }));
  broker.lose();
  broker.pass(30_000);
  publish(1, { user: [['n', 'v'.repeat(130)]], expiry: 50 });
  publish(1, { expiry: 5 });
  publish(1, {});
  broker.pass(10_000);
  const first = woken(broker);
  t.same(saved(first.client), saved(broker.client), 'to the byte');
  t.same(first.accept(true), ['PUBREL id1', 'PUBLISH q2 id2 dup a x {expiry 60, contentType in flight}',
    `PUBLISH q1 id3 a x {expiry 40, user n=${'v'.repeat(130)}}`, 'PUBLISH q1 id4 a x {expiry 0}']);
  const second = woken(broker);
  second.pass(6000);
  t.same(second.accept(true).map((words) => /expiry \d+/.exec(words)?.[0]),
    [undefined, 'expiry 54', 'expiry 34', undefined], 'one has expired: it was about to');
  t.same(woken(broker, 4).accept(true), ['PUBREL id1', 'PUBLISH q2 id2 dup a x', 'PUBLISH q1 id3 a x',
    'PUBLISH q1 id4 a x'], 'a client of 3.1.1 leaves them out');
  t.same(first.send(publish5('in', 'x', { qos: 2, id: 77, duplicate: true })), ['PUBREC id77']);
  t.notOk(first.notes.told().includes('q2 dup in x'), 'taken before');
  t.end();
});

t.test('what version 1 saved, without properties, is taken up', (t) => {
  const broker = new ScriptedBroker();
  broker.publish('a', 'x', 1);
  const bytes = saved(broker.client);
  t.equal(bytes[2], 2);
  const old = bytes.slice();
  old[2] = 1;
  crc(old);
  const other = new ScriptedBroker();
  t.equal(other.client.restore(old), OK);
  t.same(other.accept(), ['PUBLISH q1 id1 a x']);
  old[2] = 3;
  crc(old);
  t.equal(new ScriptedBroker().client.restore(old), MALFORMED, 'what a later one saved is not');
  t.end();
});

/** Sets the checksum at the end. */
function crc(bytes: Uint8Array): void {
  let sum = 0xffff_ffff;
  for (let at = 0; at < bytes.length - 4; at++) {
    sum ^= bytes[at]!;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? sum >>> 1 ^ 0xedb8_8320 : sum >>> 1;
  }
  for (let i = 0; i < 4; i++) bytes[bytes.length - 4 + i] = ~sum >>> 24 - 8 * i;
}
