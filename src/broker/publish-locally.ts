// Messages that come from inside the broker: `$SYS`, what the application publishes, and wills,
// by wills.ts. They are laid out in the scratch as PUBLISH would carry them and take the same way
// from there; they wait for nobody.

import { NONE, OK, PROTOCOL_ERROR, TOO_LARGE } from '../wire/codes.js';
import { encodeField, encodeUint16, publishBytes } from '../wire/encode.js';
import { checkTopicName } from '../wire/topic.js';
import type { Broker } from './broker.js';
import { deliver, keep } from './route.js';

/** What two bytes of length can say [MQTT-1.5.3]. */
const TOPIC_BYTES_MAX = 0xffff;

/** As `Broker.publish`. */
export function publishLocally(
  broker: Broker, topic: Uint8Array, payload: Uint8Array, qos: number, retain: boolean,
): number {
  if (qos !== 0 && qos !== 1 && qos !== 2) return PROTOCOL_ERROR;
  if (topic.length > TOPIC_BYTES_MAX ||
      publishBytes(topic.length, payload.length, qos) > broker.limits.packetBytesMax) {
    return TOO_LARGE;
  }
  const outcome = checkTopicName(topic, 0, topic.length);
  if (outcome !== OK) return outcome;
  const topicEnd = encodeField(broker.bytes, broker.memory.scratchStart, topic);
  broker.bytes.set(payload, topicEnd);
  publishScratch(broker, topicEnd, topicEnd + payload.length, qos << 1 | (retain ? 1 : 0));
  return OK;
}

/**
 * Publishes what stands in the scratch: the topic from its third byte to `topicEnd`, the payload
 * from there to `end`. Writes the two length bytes before the topic.
 */
export function publishScratch(broker: Broker, topicEnd: number, end: number, flags: number): void {
  const { packet } = broker;
  const topicStart = packet.topicStart = broker.memory.scratchStart + 2;
  encodeUint16(broker.bytes, topicStart - 2, topicEnd - topicStart);
  packet.topicEnd = packet.contentStart = packet.payloadStart = topicEnd;
  packet.payloadEnd = end;
  publishInHand(broker, flags, NONE);
}

/** The message in hand, from `session` if that is not NONE, takes its way. */
export function publishInHand(broker: Broker, flags: number, session: number): void {
  const { packet } = broker;
  const { levels, subscriptions } = broker.memory;
  levels.split(broker.bytes, packet.topicStart, packet.topicEnd);
  subscriptions.publisher = session;
  const matches = subscriptions.match(levels);
  if ((flags & 1) !== 0) keep(broker, flags);
  if (matches !== 0) deliver(broker, matches, flags);
}
