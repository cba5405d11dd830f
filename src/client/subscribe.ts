// SUBSCRIBE and UNSUBSCRIBE as the application asks for them, and as they go out. Called by
// client.ts and outgoing.ts.

import {
  LEVEL_5, NO_LOCAL, NONE, OK, PROTOCOL_ERROR, QUOTA_EXCEEDED, SUBSCRIBE, TOO_LARGE,
  TOPIC_FILTER_INVALID, UNSUBSCRIBE,
} from '../wire/codes.js';
import {
  encodeField, encodeHeader, encodeUint16, encodeVarint, packetBytes,
  propertiesBytes,
} from '../wire/encode.js';
import { SUBSCRIPTION_IDENTIFIER } from '../wire/properties.js';
import { checkTopicFilter, isShared, isWellShared } from '../wire/topic.js';
import type { Client } from './client.js';
import type { EncodedProperties } from './encoded-properties.js';
import { CONNECTED } from './states.js';
import { LEAVING, WITH_PROPERTIES } from './subscriptions.js';

/**
 * Asks for messages that match `filter`, again with every new session. `options` is the QoS, 0 to
 * 2, at level 5 the options of MQTT 5.0 section 3.8.3.1, of which an earlier version is told the
 * QoS. Returns OK, TOPIC_FILTER_INVALID, MALFORMED, TOO_LARGE, PROTOCOL_ERROR (other options),
 * QUOTA_EXCEEDED, or what the broker has told that it takes not: WILDCARDS_NOT_SUPPORTED,
 * SHARED_NOT_SUPPORTED, IDENTIFIERS_NOT_SUPPORTED.
 */
export function subscribe(
  client: Client, filter: Uint8Array, options: number, properties: EncodedProperties | null,
): number {
  const bits = client.terms === null ? 0x03 : 0x3f;
  if ((options & bits) !== options || (options & 0x03) === 0x03 || (options & 0x30) === 0x30 ||
      properties !== null && properties.kind !== SUBSCRIBE) {
    return PROTOCOL_ERROR; // 5.0 [MQTT-3.8.3-5]
  }
  return want(client, filter, options, properties);
}

/** As `Client.unsubscribe`. */
export function unsubscribe(
  client: Client, filter: Uint8Array, properties: EncodedProperties | null,
): number {
  if (properties !== null && properties.kind !== UNSUBSCRIBE) return PROTOCOL_ERROR;
  return want(client, filter, LEAVING, properties);
}

function want(
  client: Client, filter: Uint8Array, wanted: number, properties: EncodedProperties | null,
): number {
  const { bytes, limits, terms, memory } = client;
  const { scratchStart, subscriptions } = memory;
  const filterBytes = filter.length;
  const kept = terms === null || properties === null ? 0 : properties.bytes.length;
  if (filterBytes > 0xffff ||
      packetBytes(filterBytes + 5 + (terms === null ? 0 : propertiesBytes(kept))) >
        limits.packetBytesMax) {
    return TOO_LARGE;
  }
  const outcome = checkTopicFilter(filter, 0, filterBytes);
  if (outcome !== OK) return outcome;
  if (terms !== null && isShared(filter, 0, filterBytes)) {
    if (!isWellShared(filter, 0, filterBytes)) return TOPIC_FILTER_INVALID;
    // 5.0 [MQTT-3.8.3-4]
    if (wanted < LEAVING && (wanted & NO_LOCAL) !== 0) return PROTOCOL_ERROR;
  }
  const filterEnd = scratchStart + filterBytes;
  bytes.set(filter, scratchStart);
  let end = filterEnd;
  if (kept > 0) {
    wanted |= WITH_PROPERTIES;
    end = encodeField(bytes, filterEnd, properties!.bytes);
  }
  if (wanted < LEAVING && client.state === CONNECTED && client.protocolLevel === LEVEL_5) {
    const refusal = terms!.checkSubscribe(bytes, scratchStart, filterEnd,
      properties !== null && properties.beginWith(SUBSCRIPTION_IDENTIFIER));
    if (refusal !== OK) return refusal;
  }
  if (subscriptions.want(scratchStart, filterEnd, end, wanted) === NONE) return QUOTA_EXCEEDED;
  client.transmitSoon();
  return OK;
}

/**
 * One SUBSCRIBE or UNSUBSCRIBE for each filter that changed; false without room, or when the
 * application has ended the connection meanwhile.
 */
export function transmitSubscriptions(client: Client): boolean {
  const { subscriptions } = client.memory;
  let row = subscriptions.toTransmit(0);
  for (; row !== NONE && client.state === CONNECTED; row = subscriptions.toTransmit(row + 1)) {
    if (!transmitFilter(client, row)) return false;
  }
  return client.state === CONNECTED;
}

function transmitFilter(client: Client, row: number): boolean {
  const { bytes, memory } = client;
  const { subscriptions } = memory;
  const level5 = client.protocolLevel === LEVEL_5;
  const leaving = subscriptions.isLeaving(row);
  const filterBytes = subscriptions.filterBytes[row];
  const kept = level5 ? subscriptions.propertiesBytes(row) : 0;
  const remaining = filterBytes + (leaving ? 4 : 5) + (level5 ? propertiesBytes(kept) : 0);
  if (level5 && isRefused(client, row, packetBytes(remaining))) return true;
  const start = client.reserve(packetBytes(remaining));
  if (start === NONE) return false;
  const type = leaving ? UNSUBSCRIBE : SUBSCRIBE;
  let at = encodeHeader(bytes, start, type << 4 | 2, remaining);
  at = encodeUint16(bytes, at, subscriptions.firstPacketId + row);
  if (level5) at = subscriptions.readProperties(row, encodeVarint(bytes, at, kept));
  at = subscriptions.read(row, encodeUint16(bytes, at, filterBytes));
  if (!leaving) bytes[at++] = subscriptions.wanted[row] & (level5 ? 0x3f : 3);
  subscriptions.transmitted(row, type);
  client.sent(at);
  return true;
}

/** Whether the broker would not take it, which is told instead. */
function isRefused(client: Client, row: number, byteCount: number): boolean {
  const { bytes, memory } = client;
  const { subscriptions, scratchStart } = memory;
  const leaving = subscriptions.isLeaving(row);
  let refusal = byteCount > client.terms!.packetBytesMax ? TOO_LARGE : OK;
  const end = subscriptions.read(row, scratchStart);
  if (!leaving && refusal === OK) {
    const identified = subscriptions.firstProperty(row) === SUBSCRIPTION_IDENTIFIER;
    refusal = client.terms!.checkSubscribe(bytes, scratchStart, end, identified);
  }
  if (refusal === OK) return false;
  subscriptions.remove(row);
  const observer = client.options.observer;
  if (leaving) {
    observer.unsubscribed(bytes, scratchStart, end, -refusal);
  } else {
    client.counters.refusedSubscriptions++;
    observer.subscribed(bytes, scratchStart, end, -refusal);
  }
  return true;
}
