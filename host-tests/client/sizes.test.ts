// Packets of just the size that fits, and one byte more: in both directions, at every QoS, with
// inbox and outbox as small as they may be, in pieces. Runs on Node and on XS.

import t from 'tap';
import { TOO_LARGE } from '../../src/wire/codes.js';
import { publish } from '../support/packets.js';
import { judgeAlive } from './judge.js';
import { World } from './world.js';

const LIMITS = {
  packetBytesMax: 256, inboxBytes: 256, outboxBytes: 260, acknowledgementBytes: 4, queueBytes: 512, queuedMax: 8,
  messageBlockBytes: 32,
};

t.test('packetBytesMax is the largest that comes in; a larger one is skipped, and the next one comes', (t) => {
  for (const pieceBytes of [1, 7, Infinity]) {
    const world = new World(1, { limits: LIMITS });
    const { application, client } = world;
    world.pieceBytes = () => pieceBytes;
    application.subscribe('in/#', 2);
    world.connect();
    world.run();
    for (const qos of [0, 1, 2]) {
      const wanted: string[] = [];
      const { skippedTooLarge } = client.counters;
      application.got.length = 0;
      for (let payloadBytes = 240; payloadBytes < 260; payloadBytes++) {
        const large = 'x'.repeat(payloadBytes);
        for (const payload of [large, `after ${payloadBytes}`]) {
          world.inject('in/x', payload, qos);
          if (publish('in/x', payload, { qos }).length <= 256) wanted.push(payload);
          world.run();
        }
      }
      t.same(application.got.map(({ payload }) => payload), wanted, `QoS ${qos}, pieces of ${pieceBytes}`);
      t.equal(client.counters.skippedTooLarge - skippedTooLarge, 40 - wanted.length);
    }
    judgeAlive(world);
    t.same(application.told, ['connected new', 'subscribed in/# 2']);
  }
  t.end();
});

t.test('packetBytesMax is the largest that goes out, by way of the queue or not', (t) => {
  for (const qos of [0, 1, 2]) {
    const world = new World(1, { limits: LIMITS, queueQos0: true });
    const { application } = world;
    for (let fillBytes = 240; fillBytes < 256; fillBytes++) {
      if (fillBytes === 248) { // connected from here on
        world.connect();
        world.run();
      }
      const outcome = application.publish('out/a', qos, 'x'.repeat(fillBytes));
      const { payload } = application.sent[application.sent.length - 1]!;
      const fits = publish('out/a', payload, { qos }).length <= 256;
      t.equal(outcome === TOO_LARGE, !fits, `${fillBytes}: ${outcome}`);
      world.run();
      if (fillBytes >= 248) t.equal(world.heard.some((seen) => seen.payload === payload), fits);
    }
    world.heal();
    judgeAlive(world);
  }
  t.end();
});
