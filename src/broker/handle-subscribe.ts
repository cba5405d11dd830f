// SUBSCRIBE and UNSUBSCRIBE. Called by dispatch.ts with a decoded packet, every filter
// of it checked, and room for the answer in the outbox. MQTT 3.1.1 sections 3.8 to 3.11; 5.0
// section 4.8.

import { VIA } from '../session/deliveries.js';
import {
  LEVEL_5, NO_LOCAL, NO_SUBSCRIPTION_EXISTED, NONE, OK, PROTOCOL_ERROR, QUOTA_EXCEEDED,
  RETAIN_AS_PUBLISHED as AS_PUBLISHED, RETAIN_HANDLING_SHIFT, SUBACK, SUBACK_FAILURE, SUCCESS,
  TOO_LARGE, TOPIC_FILTER_INVALID, UNSUBACK,
} from '../wire/codes.js';
import { nextFilter, rewindFilters } from '../wire/decode.js';
import {
  encodeAcknowledgement, encodeHeader, encodeUint16, packetBytes, SHORT_PACKET_BYTES,
} from '../wire/encode.js';
import { SUBSCRIPTION_IDENTIFIER, varintAt } from '../wire/properties.js';
import { isShared, isWellShared } from '../wire/topic.js';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';
import { REFUSED_SUBSCRIPTIONS } from './counters.js';
import { reserve, transmitWaiting } from './deliver.js';
import { GONE } from './identifiers.js';
import { NOT_LOCAL, RETAIN_AS_PUBLISHED, SHARED } from './subscriptions.js';

/** Header, packet identifier, length of no properties, at most; for each filter a code more. */
const ANSWER_BYTES = 8;
/** Retain handling: the retained messages also when the subscription is there already; if not. */
const ALWAYS = 0;
const IF_NEW = 1;

export function handleSubscribe(broker: Broker, connection: Connection): number {
  const { bytes, packet } = broker;
  if (!takesAnswer(broker, connection)) return TOO_LARGE;
  while (nextFilter(bytes, packet)) {
    if ((packet.filterOptions & NO_LOCAL) !== 0 &&
        isShared(bytes, packet.filterStart, packet.filterEnd)) {
      return PROTOCOL_ERROR; // 5.0 [MQTT-3.8.3-4]
    }
  }
  rewindFilters(packet);
  // One SUBACK for the whole packet, a code per filter in their order [MQTT-3.8.4-4],
  // [MQTT-3.8.4-5].
  let at = beginAnswer(broker, connection, SUBACK);
  while (nextFilter(bytes, packet)) {
    const outcome = subscribe(broker, connection.session);
    if (outcome < 0) broker.counters[REFUSED_SUBSCRIPTIONS]++;
    bytes[at++] = outcome >= 0 ? outcome :
      packet.protocolLevel === LEVEL_5 ? -outcome : SUBACK_FAILURE;
  }
  broker.sent(connection, at);
  transmitWaiting(broker, connection); // retained messages [MQTT-3.3.1-6]
  return OK;
}

/** Whether the answer, which cannot be split, is one that the client takes, 5.0 [MQTT-3.1.2-24]. */
function takesAnswer(broker: Broker, connection: Connection): boolean {
  return packetBytes(broker.packet.filterCount + 3) <= connection.packetBytesMax;
}

/** Writes the answer up to its codes, into the outbox; returns where they go. */
function beginAnswer(broker: Broker, connection: Connection, type: number): number {
  const { bytes, packet } = broker;
  const isLevel5 = packet.protocolLevel === LEVEL_5;
  let at = reserve(broker, connection, packet.filterCount + ANSWER_BYTES);
  at = encodeHeader(bytes, at, type << 4, packet.filterCount + (isLevel5 ? 3 : 2));
  at = encodeUint16(bytes, at, packet.packetId);
  if (isLevel5) bytes[at++] = 0; // no properties
  return at;
}

/** The filter in hand: the QoS that is granted, or the refusal. */
function subscribe(broker: Broker, session: number): number {
  const { bytes, packet } = broker;
  const { levels, replays, subscriptions } = broker.memory;
  const { filterStart, filterEnd } = packet;
  const shares = isShared(bytes, filterStart, filterEnd);
  // 5.0 [MQTT-4.8.2-1], [MQTT-4.8.2-2]
  if (shares && !isWellShared(bytes, filterStart, filterEnd)) return TOPIC_FILTER_INVALID;
  levels.split(bytes, filterStart, filterEnd);
  const options = packet.filterQos << 1 | (shares ? SHARED : 0) |
    ((packet.filterOptions & NO_LOCAL) === 0 ? 0 : NOT_LOCAL) |
    ((packet.filterOptions & AS_PUBLISHED) === 0 ? 0 : RETAIN_AS_PUBLISHED);
  const count = subscriptions.count;
  const row = subscriptions.add(session, levels, options, identifierInHand(broker));
  if (row === NONE) return QUOTA_EXCEEDED;
  const isNew = subscriptions.count !== count;
  const handling = packet.filterOptions >> RETAIN_HANDLING_SHIFT;
  // 5.0 [MQTT-3.3.1-9] to [MQTT-3.3.1-11]; none for shared ones
  if (!shares && (handling === ALWAYS || (handling === IF_NEW && isNew))) replays.add(row);
  return packet.filterQos;
}

/** That of the SUBSCRIBE in hand, or 0. */
function identifierInHand(broker: Broker): number {
  const { bytes, packet } = broker;
  if (packet.protocolLevel !== LEVEL_5) return 0;
  const at = packet.properties[SUBSCRIPTION_IDENTIFIER];
  return at === 0 ? 0 : varintAt(bytes, at, packet.end);
}

export function handleUnsubscribe(broker: Broker, connection: Connection): number {
  const { bytes, packet } = broker;
  if (!takesAnswer(broker, connection)) return TOO_LARGE;
  if (packet.protocolLevel !== LEVEL_5) {
    while (nextFilter(bytes, packet)) unsubscribe(broker, connection.session);
    const at = reserve(broker, connection, SHORT_PACKET_BYTES);
    broker.sent(connection, encodeAcknowledgement(bytes, at, UNSUBACK, packet.packetId));
    return OK;
  }
  let at = beginAnswer(broker, connection, UNSUBACK);
  while (nextFilter(bytes, packet)) bytes[at++] = unsubscribe(broker, connection.session);
  broker.sent(connection, at);
  return OK;
}

/** The filter in hand: SUCCESS or NO_SUBSCRIPTION_EXISTED. */
function unsubscribe(broker: Broker, session: number): number {
  const { bytes, packet } = broker;
  const { levels, replays, subscriptions } = broker.memory;
  levels.split(bytes, packet.filterStart, packet.filterEnd);
  const row = subscriptions.find(session, levels);
  if (row === NONE) return NO_SUBSCRIPTION_EXISTED; // acknowledged all the same [MQTT-3.10.4-5]
  replays.drop(row);
  forget(broker, session, row);
  subscriptions.remove(row);
  return SUCCESS;
}

/** What waits for `session` through subscription `row` only comes through none from now on. */
function forget(broker: Broker, session: number, row: number): void {
  const { deliveries } = broker.memory;
  let delivery: number = deliveries.head(session);
  for (; delivery !== NONE; delivery = deliveries.next(delivery)) {
    if (deliveries.via(delivery) === row) deliveries.rows[delivery + VIA] = GONE;
  }
}
