// `$SYS/broker/…`: the broker's counters as retained messages, at an interval, those that changed.
// Called by the broker's tick. The texts of the topics are laid out once in the memory; numbers are
// written as decimal digits.

import { SYS_TEXT_BYTES, sysTopics } from '../limits.js';
import { writeAscii } from './ascii.js';
import type { Broker } from './broker.js';
import {
  CLIENTS_CONNECTED, CLIENTS_DISCONNECTED, COUNTER_COUNT, RETAINED, SESSIONS, STORED, SUBSCRIPTIONS,
  SYS_NAMES, UPTIME_SECONDS,
} from './counters.js';
import { publishScratch } from './publish-locally.js';

const PREFIX = '$SYS/broker/';
/** Behind the number of seconds, as Mosquitto writes it. */
const UNIT = ' seconds';
const UNIT_BYTES = 8;
/** So that the topic with it fits the smallest packet. */
const VERSION_BYTES_MAX = 32;
const RETAIN = 1;

export class SysTopics {
  private readonly broker: Broker;
  private readonly lengths: Uint8Array;
  private readonly published: Float64Array;
  private uptimeMs = 0;
  private sinceMs = 0;

  /**
   * Publishes all of them once, so that their rows are theirs from the beginning. Throws RangeError
   * for a version of more than VERSION_BYTES_MAX characters.
   */
  constructor(broker: Broker) {
    const topics = sysTopics(broker.limits);
    this.broker = broker;
    this.lengths = new Uint8Array(topics);
    this.published = new Float64Array(topics);
    if (broker.options.version.length > VERSION_BYTES_MAX) {
      throw new RangeError(`version has ${broker.options.version.length} characters, ` +
        `more than ${VERSION_BYTES_MAX}`);
    }
    for (let topic = 0; topic < COUNTER_COUNT; topic++) {
      const at = broker.memory.sysTextStart + topic * SYS_TEXT_BYTES;
      const end = writeAscii(broker.bytes, at, PREFIX + SYS_NAMES[topic]);
      if (topic === UPTIME_SECONDS) writeAscii(broker.bytes, end, UNIT);
      this.lengths[topic] = end - at;
      this.published[topic] = NaN;
    }
    const topicEnd = writeAscii(broker.bytes, broker.memory.scratchStart + 2, `${PREFIX}version`);
    publishScratch(
      broker, topicEnd, writeAscii(broker.bytes, topicEnd, broker.options.version), RETAIN);
    this.publishChanged();
  }

  tick(elapsedMs: number): void {
    const intervalMs = this.broker.limits.sysIntervalMs;
    this.uptimeMs += elapsedMs;
    this.sinceMs += elapsedMs;
    if (this.sinceMs < intervalMs) return;
    this.sinceMs = 0;
    this.publishChanged();
  }

  private publishChanged(): void {
    const broker = this.broker;
    const counters = broker.counters;
    counters[UPTIME_SECONDS] = Math.floor(this.uptimeMs / 1000);
    measureTables(broker);
    for (let topic = 0; topic < COUNTER_COUNT; topic++) {
      if (this.published[topic] === counters[topic]) continue;
      this.published[topic] = counters[topic];
      const start = broker.memory.sysTextStart + topic * SYS_TEXT_BYTES;
      const topicStart = broker.memory.scratchStart + 2;
      const topicEnd = topicStart + this.lengths[topic];
      broker.bytes.copyWithin(topicStart, start, start + this.lengths[topic]);
      let end = writeDecimal(broker.bytes, topicEnd, counters[topic]);
      if (topic === UPTIME_SECONDS) {
        const unit = start + this.lengths[topic];
        broker.bytes.copyWithin(end, unit, unit + UNIT_BYTES);
        end += UNIT_BYTES;
      }
      publishScratch(broker, topicEnd, end, RETAIN);
    }
  }
}

/** Counters that are sizes of tables. */
function measureTables(broker: Broker): void {
  const { counters, memory } = broker;
  counters[SESSIONS] = memory.sessions.count;
  counters[CLIENTS_DISCONNECTED] = memory.sessions.count - counters[CLIENTS_CONNECTED];
  counters[SUBSCRIPTIONS] = memory.subscriptions.count;
  counters[RETAINED] = memory.retained.count;
  counters[STORED] = memory.kept.count + memory.queued.count;
}

/** Writes a whole number, 0 to 2⁵³, in decimal digits at `at`; returns their end. */
function writeDecimal(bytes: Uint8Array, at: number, value: number): number {
  let end = at + 1;
  for (let rest = value; rest >= 10; rest /= 10) end++;
  for (let i = end - 1, rest = value; i >= at; i--) {
    const next = Math.floor(rest / 10);
    bytes[i] = 0x30 + (rest - next * 10);
    rest = next;
  }
  return end;
}
