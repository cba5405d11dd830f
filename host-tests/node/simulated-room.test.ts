// SimulatedRoom: that its queue holds what its users are told, and who it is for the broker.

import t from 'tap';
import { QUEUED_MAX, SimulatedRoom } from '../../src/node/simulated-room.js';
import { encodeText } from '../../src/client/text.js';

for (const piece of ['salon', 'é'.repeat(64), '室'.repeat(64)]) {
  t.test(`as many messages wait as is promised: ${piece.slice(0, 5)}, ${piece.length} characters`, async (t) => {
    const room = new SimulatedRoom({
      piece, connection: { host: '127.0.0.1', port: 1 }, intervalMs: 2000, dayMs: 60_000, observer: {},
    });
    const { client } = room.node;
    const topic = encodeText(`maison/${piece}/temperature`);
    for (let i = 0; i < QUEUED_MAX; i++) client.publishBytes(topic, encodeText('-17.3'), 1, true);
    t.same([client.waitingCount, room.node.droppedCount], [QUEUED_MAX, 0]);
    client.publishBytes(topic, encodeText('-17.3'), 1, true);
    t.same([client.waitingCount, room.node.droppedCount], [QUEUED_MAX, 1], 'one more, and the oldest goes');
    await room.close();
  });
}
