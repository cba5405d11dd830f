// The will of a session, a message stored with its CONNECT: published when the connection ends
// otherwise than it should, or later, or forgotten. Called by who ends connections and sessions.

import { EXPIRES } from '../session/messages.js';
import { NONE } from '../wire/codes.js';
import { isSysTopic } from '../wire/topic.js';
import type { Broker } from './broker.js';
import { DROPPED_SYS } from './counters.js';
import { publishInHand } from './publish-locally.js';
import { beginExpiry, layOut } from './publish-properties.js';

/** Publishes the will of `session`, if it has one left, and forgets it. */
export function publishWill(broker: Broker, session: number): void {
  const flags = takeInHand(broker, session);
  dropWill(broker, session); // it lies in the scratch; its room may be wanted
  if (flags !== NONE) return publishInHand(broker, flags, session);
}

/** Forgets the will of `session`, if it has one. */
export function dropWill(broker: Broker, session: number): void {
  const { kept, sessions } = broker.memory;
  const will = sessions.will(session);
  if (will === NONE) return;
  sessions.setWill(session, NONE);
  kept.release(will);
}

/**
 * The will is the message in hand. Returns its flags, or NONE when there is none, or nobody may
 * publish on its topic.
 */
function takeInHand(broker: Broker, session: number): number {
  const { bytes, packet } = broker;
  const { kept, sessions } = broker.memory;
  const will = sessions.will(session);
  if (will === NONE) return NONE;
  const flags = layOut(broker, kept, will);
  if (isSysTopic(bytes, packet.topicStart, packet.topicEnd)) {
    broker.counters[DROPPED_SYS]++;
    return NONE;
  }
  if ((flags & EXPIRES) !== 0) beginExpiry(broker);
  return flags;
}
