// Messages that come from inside the broker: wills, `$SYS`, and what the application publishes.
// They are laid out in the scratch as PUBLISH would carry them and take the same way from there;
// they wait for nobody.

import { OK, PROTOCOL_ERROR, TOO_LARGE } from '../wire/codes.js';
import { encodeField, encodeUint16, publishBytes } from '../wire/encode.js';
import { checkTopicName, isSysTopic } from '../wire/topic.js';
import type { Broker } from './broker.js';
import { DROPPED_SYS } from './counters.js';
import { deliver, keep } from './route.js';

/** Publishes a stored will; the caller still holds it afterwards. */
export function publishStored(broker: Broker, will: number): void {
  const { bytes, memory } = broker;
  const topicStart = memory.scratchStart + 2;
  const topicEnd = topicStart + memory.kept.topicBytes(will);
  const byteCount = 2 + memory.kept.byteCount(will);
  const end = memory.kept.blocks.read(will, 0, memory.scratchStart, byteCount);
  if (isSysTopic(bytes, topicStart, topicEnd)) broker.counters[DROPPED_SYS]++;
  else publishScratch(broker, topicEnd, end, memory.kept.flags(will));
}

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
 * Writes the two length bytes before a topic that ends at `topicEnd` of the scratch, where its
 * payload begins.
 */
export function publishScratch(broker: Broker, topicEnd: number, end: number, flags: number): void {
  const topicStart = broker.memory.scratchStart + 2;
  encodeUint16(broker.bytes, broker.memory.scratchStart, topicEnd - topicStart);
  broker.memory.levels.split(broker.bytes, topicStart, topicEnd);
  const matches = broker.memory.subscriptions.match(broker.memory.levels);
  if ((flags & 1) !== 0) keep(broker, topicStart, topicEnd, topicEnd, end, flags);
  if (matches !== 0) deliver(broker, matches, topicStart, topicEnd, topicEnd, end, flags >> 1);
}
