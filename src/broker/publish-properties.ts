// What becomes of the properties of a PUBLISH or will inside the broker, MQTT 5.0 section 3.3.2.3.
// They are kept and passed on as session/messages.ts tells: the expiry first, as a deadline, the
// others unaltered and in their order; an alias, a will delay stay behind. Called by
// handle-publish.ts, admit.ts and publish-locally.ts.

import { EXPIRES, WITH_PROPERTIES, type MessageStore } from '../session/messages.js';
import {
  CONNECT_WILL_QOS_SHIFT, LEVEL_5, NONE, OK, PAYLOAD_FORMAT_INVALID, PROTOCOL_ERROR, QUOTA_EXCEEDED,
  TOPIC_ALIAS_INVALID,
} from '../wire/codes.js';
import { encodeUint16, encodeUint32Property, encodeVarint, publishBytes } from '../wire/encode.js';
import {
  MESSAGE_EXPIRY_INTERVAL, nextProperty, PAYLOAD_FORMAT_INDICATOR, SUBSCRIPTION_IDENTIFIER,
  TOPIC_ALIAS, uint16At, uint32At, varintBytes, WILL_DELAY_INTERVAL,
} from '../wire/properties.js';
import { utf8SequenceBytes } from '../wire/utf8.js';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';

/** Bytes of the properties, identifiers included. */
const EXPIRY_BYTES = 5;
const ALIAS_BYTES = 3;
const DELAY_BYTES = 5;
const SECONDS_MAX = 0xffffffff;

/** The clock of deadlines: whole seconds, rounded up, so that nothing expires early. */
export function nowSeconds(broker: Broker): number {
  return Math.ceil(broker.nowMs / 1000);
}

function deadline(broker: Broker, expirySeconds: number): number {
  return Math.min(nowSeconds(broker) + expirySeconds, SECONDS_MAX);
}

/**
 * Judges the properties of the PUBLISH in hand, which has some, and puts the topic in the place of
 * its alias: OK; PAYLOAD_FORMAT_INVALID, which may be answered; or a refusal that ends the
 * connection. May be called again for the same packet: it alters no byte of it.
 */
export function checkProperties(broker: Broker, connection: Connection): number {
  const { bytes, packet } = broker;
  const { properties } = packet;
  if (properties[SUBSCRIPTION_IDENTIFIER] !== 0) return PROTOCOL_ERROR; // 5.0 [MQTT-3.3.4-6]
  if (properties[TOPIC_ALIAS] !== 0) {
    const outcome = takeAlias(broker, connection, uint16At(bytes, properties[TOPIC_ALIAS]));
    if (outcome !== OK) return outcome;
  }
  return checkFormat(bytes, properties, packet.payloadStart, packet.payloadEnd);
}

/** Whether a payload that says so is UTF-8. U+0000 is. */
function checkFormat(
  bytes: Uint8Array, properties: Int32Array, start: number, end: number,
): number {
  const format = properties[PAYLOAD_FORMAT_INDICATOR];
  if (format === 0 || bytes[format] === 0) return OK;
  for (let at = start; at < end;) {
    const count = bytes[at] === 0 ? 1 : utf8SequenceBytes(bytes, at, end);
    if (count === 0) return PAYLOAD_FORMAT_INVALID;
    at += count;
  }
  return OK;
}

function takeAlias(broker: Broker, connection: Connection, alias: number): number {
  const { limits, packet } = broker;
  const { aliases, levels } = broker.memory;
  const { topicStart, topicEnd } = packet;
  if (alias > aliases.aliasMax) return TOPIC_ALIAS_INVALID; // 5.0 [MQTT-3.3.2-9]
  if (topicStart !== topicEnd) {
    if (topicEnd - topicStart > aliases.topicBytesMax) return QUOTA_EXCEEDED;
    aliases.learn(connection.slot, alias, topicStart, topicEnd);
    return OK;
  }
  packet.topicStart = aliases.learned(connection.slot, alias);
  if (packet.topicStart === NONE) return PROTOCOL_ERROR;
  const topicBytes = uint16At(broker.bytes, packet.topicStart - 2);
  packet.topicEnd = packet.topicStart + topicBytes;
  levels.split(broker.bytes, packet.topicStart, packet.topicEnd);
  // With its topic it must still be a packet that we take.
  const contentBytes = packet.payloadEnd - packet.contentStart;
  return publishBytes(topicBytes, contentBytes, packet.qos) > limits.packetBytesMax ?
    QUOTA_EXCEEDED :
    OK;
}

/**
 * Brings the properties of the PUBLISH in hand, which has some, into the form in which they are
 * kept, where they stand: what goes makes those before it move towards the payload. Returns
 * WITH_PROPERTIES and EXPIRES as they apply. Afterwards `packet.properties` means nothing.
 */
export function settleProperties(broker: Broker): number {
  const { bytes, packet } = broker;
  const alias = packet.properties[TOPIC_ALIAS];
  let expiry = packet.properties[MESSAGE_EXPIRY_INTERVAL];
  let start = packet.propertiesStart;
  if (alias !== 0) {
    bytes.copyWithin(start + ALIAS_BYTES, start, alias - 1);
    start += ALIAS_BYTES;
    if (expiry !== 0 && expiry < alias) expiry += ALIAS_BYTES;
    const count = packet.payloadStart - start;
    packet.contentStart = start - varintBytes(count);
    encodeVarint(bytes, packet.contentStart, count);
    if (count === 0) return 0;
  }
  if (expiry === 0) return WITH_PROPERTIES;
  const at = deadline(broker, uint32At(bytes, expiry));
  bytes.copyWithin(start + EXPIRY_BYTES, start, expiry - 1);
  encodeUint32Property(bytes, start, MESSAGE_EXPIRY_INTERVAL, at);
  return WITH_PROPERTIES | EXPIRES;
}

/**
 * Lays a stored message out in the scratch as the one in hand, as a PUBLISH carries it but for the
 * deadline. Returns its flags.
 */
export function layOut(broker: Broker, store: MessageStore, message: number): number {
  const { packet } = broker;
  const start = broker.memory.scratchStart;
  packet.topicStart = start + 2;
  packet.topicEnd = packet.contentStart = packet.topicStart + store.topicBytes(message);
  packet.payloadEnd = store.blocks.read(message, 0, start, store.byteCount(message) + 2);
  packet.payloadStart = packet.payloadEnd - store.payloadBytes(message);
  return store.flags(message);
}

/** Bytes of the properties of the message in hand, without their length. */
export function storedBytes({ bytes, packet }: Broker): number {
  const { contentStart, payloadStart } = packet;
  let at = contentStart;
  if (at === payloadStart) return 0;
  while (bytes[at++] >= 0x80);
  return payloadStart - at;
}

/** The message in hand, a will, is published now: its expiry, an interval till now, begins. */
export function beginExpiry(broker: Broker): void {
  const { bytes, packet } = broker;
  const at = packet.payloadStart - storedBytes(broker);
  const seconds = uint32At(bytes, at + 1);
  encodeUint32Property(bytes, at, MESSAGE_EXPIRY_INTERVAL, deadline(broker, seconds));
}

/** OK, or PAYLOAD_FORMAT_INVALID for the will of the CONNECT in hand. */
export function checkWill(broker: Broker): number {
  const { bytes, packet } = broker;
  return packet.protocolLevel !== LEVEL_5 ? OK :
    checkFormat(bytes, packet.properties, packet.willPayloadStart, packet.willPayloadEnd);
}

/** Bytes that the will of the CONNECT in hand takes in the store. */
export function willBytes(broker: Broker): number {
  const { packet } = broker;
  const properties = willPropertiesBytes(broker);
  return packet.willTopicEnd - packet.willTopicStart + 2 +
    packet.willPayloadEnd - packet.willPayloadStart +
    (properties === 0 ? 0 : properties + varintBytes(properties));
}

/** Of the properties that are kept; without their length. */
function willPropertiesBytes(broker: Broker): number {
  const { packet } = broker;
  if (packet.protocolLevel !== LEVEL_5) return 0;
  return packet.willPropertiesEnd - packet.willPropertiesStart -
    (packet.properties[WILL_DELAY_INTERVAL] === 0 ? 0 : DELAY_BYTES);
}

/**
 * Stores the will of the CONNECT in hand with `retained` messages, its expiry as an interval;
 * returns it, or NONE without room. Properties go by way of the scratch.
 */
export function storeWill(broker: Broker): number {
  const { bytes, packet } = broker;
  const { kept, scratchStart } = broker.memory;
  const { willTopicStart, willTopicEnd, willPayloadStart, willPayloadEnd } = packet;
  const flags = willFlags(packet.connectFlags);
  const count = willPropertiesBytes(broker);
  if (count === 0) {
    return kept.store(willTopicStart, willTopicEnd, willPayloadStart, willPayloadEnd, flags);
  }
  const topicStart = scratchStart + 2;
  const topicEnd = topicStart + willTopicEnd - willTopicStart;
  encodeUint16(bytes, scratchStart, topicEnd - topicStart);
  bytes.copyWithin(topicStart, willTopicStart, willTopicEnd);
  const end = copyWillProperties(broker, encodeVarint(bytes, topicEnd, count));
  bytes.copyWithin(end, willPayloadStart, willPayloadEnd);
  return kept.store(
    topicStart, topicEnd, topicEnd, end + willPayloadEnd - willPayloadStart,
    flags | WITH_PROPERTIES |
      (packet.properties[MESSAGE_EXPIRY_INTERVAL] === 0 ? 0 : EXPIRES));
}

/** Writes those that are kept at `at`, the expiry first; returns their end. */
function copyWillProperties(broker: Broker, at: number): number {
  const { bytes, packet } = broker;
  const expiry = packet.properties[MESSAGE_EXPIRY_INTERVAL];
  if (expiry !== 0) {
    bytes.copyWithin(at, expiry - 1, expiry - 1 + EXPIRY_BYTES);
    at += EXPIRY_BYTES;
  }
  let end = 0;
  for (let from = packet.willPropertiesStart; from < packet.willPropertiesEnd; from = end) {
    end = nextProperty(bytes, from);
    const identifier = bytes[from];
    if (identifier === MESSAGE_EXPIRY_INTERVAL || identifier === WILL_DELAY_INTERVAL) continue;
    bytes.copyWithin(at, from, end);
    at += end - from;
  }
  return at;
}

/**
 * Bits of the will in CONNECT's flags, as the flags of a PUBLISH: QoS in bits 1 and 2, RETAIN in
 * bit 0.
 */
function willFlags(connectFlags: number): number {
  return (connectFlags >> CONNECT_WILL_QOS_SHIFT & 3) << 1 | connectFlags >> 5 & 1;
}
