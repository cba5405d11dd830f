// The bytes that outlive a deep sleep: complete, refused when one bit of them is wrong, and taken up
// so that QoS 2 stays exactly once. Runs on Node and on XS.

import t from 'tap';
import { Client } from '../../src/client/client.js';
import { clientLimits } from '../../src/client/limits.js';
import { PUBLISHED, QUEUED, RELEASED } from '../../src/session/deliveries.js';
import {
  CLIENT_IDENTIFIER_NOT_VALID, NONE, OK, PROTOCOL_ERROR, QUOTA_EXCEEDED,
} from '../../src/wire/codes.js';
import { ascii } from '../support/packets.js';
import { checkClientInvariants } from './invariants.js';
import { judgeAlive, judgeIncoming, judgeOutgoing } from './judge.js';
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
  for (let row: number = deliveries.head[0]!; row !== NONE; row = deliveries.next[row]!) {
    states.push(deliveries.state[row]!);
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
  deliveries.packetId[deliveries.head[0]!] = 0xffff - 16; // as after 65,519 messages
  const bytes = saved(world.client);
  const limits = clientLimits({ ...world.client.limits, subscriptionsMax: 17 });
  const other = new Client(limits, world.client.options);
  t.equal(other.restore(bytes), QUOTA_EXCEEDED);
  t.equal(other.waitingCount, 0);
  t.end();
});
