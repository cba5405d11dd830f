// Messages that nobody asks for any more and that have expired, MQTT 5.0 section 3.3.2.3.3: found a
// few at a time. Called by the broker's tick. Those that are asked for are looked at then.

import { NONE } from '../wire/codes.js';
import type { Broker } from './broker.js';
import { DROPPED_EXPIRED } from './counters.js';
import { layOut, nowSeconds } from './publish-properties.js';
import { dropExpired } from './queue.js';
import { VALUE } from './topic-tree.js';

/** A round over all blocks, and one over all sessions, takes that many seconds. */
const ROUND_SECONDS = 64;

/** Looks at those of the stored messages and queues whose turn it is. Uses the scratch. */
export function sweepExpired(broker: Broker): void {
  const { kept, queued, sessions } = broker.memory;
  const turn = nowSeconds(broker) % ROUND_SECONDS;
  if (kept.expiringCount !== 0) sweepKept(broker, turn);
  if (queued.expiringCount === 0) return;
  const count = Math.ceil(sessions.used / ROUND_SECONDS);
  const end = Math.min((turn + 1) * count, sessions.used);
  for (let session = turn * count; session < end; session++) dropExpired(broker, session);
}

function sweepKept(broker: Broker, turn: number): void {
  const { kept, levels, retained } = broker.memory;
  const count = Math.ceil(kept.blocks.blockCount / ROUND_SECONDS);
  const end = Math.min((turn + 1) * count, kept.blocks.blockCount);
  for (let message = turn * count; message < end; message++) {
    if (kept.holders(message) === 0 || !kept.expired(message, nowSeconds(broker))) continue;
    layOut(broker, kept, message);
    levels.split(broker.bytes, broker.packet.topicStart, broker.packet.topicEnd);
    const node = retained.find(levels);
    if (node === NONE || retained.tree.cells[node + VALUE] !== message) continue; // it is a will
    retained.clear(node);
    broker.counters[DROPPED_EXPIRED]++;
  }
}
