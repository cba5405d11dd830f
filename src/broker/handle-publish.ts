// PUBLISH from a client, and the acknowledgements of both directions. Called by broker.ts and
// dispatch.ts with a decoded packet and room for an answer in the outbox. MQTT 3.1.1 section 4.3.

import {
  LEVEL_5, NO_MATCHING_SUBSCRIBERS, NONE, NOT_AUTHORIZED, OK, PACKET_ID_NOT_FOUND,
  PAYLOAD_FORMAT_INVALID, PROTOCOL_ERROR, PUBACK, PUBCOMP, PUBREC, PUBREL, QUOTA_EXCEEDED,
  RECEIVE_MAXIMUM_EXCEEDED, SUCCESS, UNSPECIFIED_ERROR,
} from '../wire/codes.js';
import {
  encodeAcknowledgement, encodeReason, REASON_PACKET_BYTES, SHORT_PACKET_BYTES,
} from '../wire/encode.js';
import { DOLLAR, isSysTopic } from '../wire/topic.js';
import { PUBLISHED, RELEASED } from '../session/deliveries.js';
import type { Broker } from './broker.js';
import { STALLED, type Connection } from './connection.js';
import { DROPPED_SYS, PUBLISH_RECEIVED, UNKNOWN_ACKNOWLEDGEMENTS } from './counters.js';
import { reserve, transmitWaiting } from './deliver.js';
import { checkProperties, settleProperties } from './publish-properties.js';
import { madeProgress } from './queue.js';
import { deliver, isRefused, keep, mustWait } from './route.js';

export function handlePublish(broker: Broker, connection: Connection): number {
  const packet = broker.packet;
  const memory = broker.memory;
  const qos = packet.qos;
  const session = connection.session;
  // What a publisher of MQTT 5.0 is told in the acknowledgement; OK is the best of it.
  let outcome = OK;
  const hasProperties = packet.payloadStart - packet.contentStart > 1;
  if (hasProperties) {
    outcome = checkProperties(broker, connection);
    if (outcome !== OK && (qos === 0 || outcome !== PAYLOAD_FORMAT_INVALID)) return outcome;
  }
  if (qos === 2) {
    if (memory.packetIds.has(session, packet.packetId)) { // again: taken already [MQTT-4.3.3-2]
      broker.counters[PUBLISH_RECEIVED]++;
      acknowledge(broker, connection, PUBREC, SUCCESS);
      return OK;
    }
    if (memory.packetIds.counts[session] === memory.packetIds.perSetMax) {
      return RECEIVE_MAXIMUM_EXCEEDED;
    }
  }
  if (broker.bytes[packet.topicStart] === DOLLAR &&
      isSysTopic(broker.bytes, packet.topicStart, packet.topicEnd)) outcome = NOT_AUTHORIZED;
  let matches = 0;
  if (outcome === OK) {
    memory.subscriptions.publisher = session;
    matches = memory.subscriptions.match(memory.levels);
    if (qos !== 0 && matches !== 0 && mustWait(broker, connection)) return STALLED;
  }

  broker.counters[PUBLISH_RECEIVED]++;
  if (outcome === NOT_AUTHORIZED) broker.counters[DROPPED_SYS]++;
  // From here on the packet is taken, and its bytes may be altered.
  let flags = packet.flags & 7;
  if (hasProperties) flags |= settleProperties(broker);
  if (flags !== 0) { // it is more than QoS 0 with nothing else to it
    const isTold = qos !== 0 && packet.protocolLevel === LEVEL_5;
    if (isTold && outcome === OK && matches !== 0 && isRefused(broker)) outcome = QUOTA_EXCEEDED;
    if (outcome === OK && (flags & 1) !== 0 && !keep(broker, flags)) outcome = QUOTA_EXCEEDED;
    // Who is told so may send it again: nobody gets it. Of others, all that it can still reach do.
    if (isTold && outcome !== OK) matches = 0;
    if (qos !== 0) {
      if (qos === 2 && (outcome === OK || packet.protocolLevel !== LEVEL_5)) {
        memory.packetIds.add(session, packet.packetId);
      }
      acknowledge(broker, connection, qos === 1 ? PUBACK : PUBREC, // [MQTT-4.3.2-2], [MQTT-4.3.3-2]
        outcome === OK && matches === 0 ? NO_MATCHING_SUBSCRIBERS : -outcome);
    }
  }
  return matches === 0 ? OK : deliver(broker, matches, flags); // in XS in the place of this frame
}

/**
 * Answers the packet being handled with its identifier, and in MQTT 5.0 with a reason code. There
 * is room: the switch saw to it.
 */
function acknowledge(
  broker: Broker, connection: Connection, type: number, reasonCode: number,
): void {
  const packetId = broker.packet.packetId;
  if (reasonCode === SUCCESS || connection.protocolLevel !== LEVEL_5) {
    const at = reserve(broker, connection, SHORT_PACKET_BYTES);
    broker.sent(connection, encodeAcknowledgement(broker.bytes, at, type, packetId));
    return;
  }
  const at = reserve(broker, connection, REASON_PACKET_BYTES);
  broker.sent(connection, encodeReason(broker.bytes, at, type, packetId, reasonCode));
}

/** The subscriber has the message: QoS 1 is done [MQTT-4.3.2-1]. */
export function handlePuback(broker: Broker, connection: Connection): number {
  const deliveries = broker.memory.deliveries;
  const row = deliveries.find(connection.session, broker.packet.packetId);
  if (row === NONE) return unknown(broker);
  if (deliveries.flags(row) >> 1 !== 1) return PROTOCOL_ERROR; // QoS 2 is acknowledged by PUBREC
  finish(broker, connection, row);
  return OK;
}

/**
 * The subscriber has the message, QoS 2: release its identifier [MQTT-4.3.3-1]. Or it does not want
 * it, and that is all, 5.0 [MQTT-4.3.3-4].
 */
export function handlePubrec(broker: Broker, connection: Connection): number {
  const deliveries = broker.memory.deliveries;
  const session = connection.session;
  const row = deliveries.find(session, broker.packet.packetId);
  if (row === NONE) unknown(broker);
  else if (deliveries.flags(row) >> 1 !== 2) return PROTOCOL_ERROR; // QoS 1: PUBACK
  const isPublished = row !== NONE && deliveries.state(row) === PUBLISHED;
  if (broker.packet.reasonCode >= -UNSPECIFIED_ERROR) { // no PUBREL, 5.0 section 4.3.3
    if (isPublished) finish(broker, connection, row);
    return OK;
  }
  if (isPublished) {
    deliveries.released(session, row);
    madeProgress(broker, session);
  }
  // Also for an unknown one: a peer that lost count can finish.
  acknowledge(broker, connection, PUBREL, row === NONE ? -PACKET_ID_NOT_FOUND : SUCCESS);
  return OK;
}

/**
 * The publisher releases the identifier: the next PUBLISH with it is a new message [MQTT-4.3.3-2].
 */
export function handlePubrel(broker: Broker, connection: Connection): number {
  const wasThere = broker.memory.packetIds.remove(connection.session, broker.packet.packetId);
  acknowledge(broker, connection, PUBCOMP, wasThere ? SUCCESS : -PACKET_ID_NOT_FOUND);
  return OK;
}

/** QoS 2 is done. */
export function handlePubcomp(broker: Broker, connection: Connection): number {
  const deliveries = broker.memory.deliveries;
  const row = deliveries.find(connection.session, broker.packet.packetId);
  if (row === NONE) return unknown(broker);
  if (deliveries.state(row) !== RELEASED) return PROTOCOL_ERROR; // PUBCOMP before PUBREC
  finish(broker, connection, row);
  return OK;
}

/**
 * Nothing is in flight under that identifier. Counted, and no reason to part: it may have been
 * acknowledged twice.
 */
function unknown(broker: Broker): number {
  broker.counters[UNKNOWN_ACKNOWLEDGEMENTS]++;
  return OK;
}

function finish(broker: Broker, connection: Connection, row: number): void {
  broker.memory.deliveries.remove(connection.session, row);
  madeProgress(broker, connection.session);
  transmitWaiting(broker, connection);
}
