// PUBLISH from a client, and the acknowledgements of both directions. Called by the switch in
// broker.ts with a decoded packet and room for an answer in the outbox. MQTT 3.1.1 section 4.3.

import {
  NONE, OK, PROTOCOL_ERROR, PUBACK, PUBCOMP, PUBREC, PUBREL, RECEIVE_MAXIMUM_EXCEEDED,
} from '../wire/codes.js';
import { encodeAcknowledgement, SHORT_PACKET_BYTES } from '../wire/encode.js';
import { DOLLAR, isSysTopic } from '../wire/topic.js';
import { PUBLISHED, RELEASED } from '../session/deliveries.js';
import type { Broker } from './broker.js';
import { STALLED, type Connection } from './connection.js';
import { DROPPED_SYS, PUBLISH_RECEIVED, UNKNOWN_ACKNOWLEDGEMENTS } from './counters.js';
import { reserve, transmitWaiting } from './deliver.js';
import { deliver, keep, madeProgress, mustWait } from './route.js';

export function handlePublish(broker: Broker, connection: Connection): number {
  const packet = broker.packet;
  const memory = broker.memory;
  const qos = packet.qos;
  const topicStart = packet.topicStart;
  const topicEnd = packet.topicEnd;
  const payloadStart = packet.payloadStart;
  const payloadEnd = packet.payloadEnd;
  const session = connection.session;
  if (qos === 2) {
    if (memory.packetIds.has(session, packet.packetId)) { // again: taken already [MQTT-4.3.3-2]
      broker.counters[PUBLISH_RECEIVED]++;
      acknowledge(broker, connection, PUBREC);
      return OK;
    }
    if (memory.packetIds.counts[session] === memory.packetIds.perSetMax) {
      return RECEIVE_MAXIMUM_EXCEEDED;
    }
  }
  const routed = broker.bytes[topicStart] !== DOLLAR ||
    !isSysTopic(broker.bytes, topicStart, topicEnd);
  const matches = routed ? memory.subscriptions.match(memory.levels) : 0;
  if (qos !== 0 && matches !== 0 && mustWait(broker, connection, matches,
    topicEnd - topicStart + payloadEnd - payloadStart)) return STALLED;

  broker.counters[PUBLISH_RECEIVED]++;
  if (qos !== 0) {
    if (qos === 2) memory.packetIds.add(session, packet.packetId);
    acknowledge(broker, connection, qos === 1 ? PUBACK : PUBREC); // [MQTT-4.3.2-2], [MQTT-4.3.3-2]
  }
  if (!routed) {
    broker.counters[DROPPED_SYS]++;
    return OK;
  }
  if ((packet.flags & 1) !== 0) {
    keep(broker, topicStart, topicEnd, payloadStart, payloadEnd, qos << 1 | 1);
  }
  if (matches !== 0) deliver(broker, matches, topicStart, topicEnd, payloadStart, payloadEnd, qos);
  return OK;
}

/** Answers the packet being handled with its identifier. There is room: the switch saw to it. */
function acknowledge(broker: Broker, connection: Connection, type: number): void {
  const at = reserve(broker, connection, SHORT_PACKET_BYTES);
  broker.sent(connection, encodeAcknowledgement(broker.bytes, at, type, broker.packet.packetId));
}

/** The subscriber has the message: QoS 1 is done [MQTT-4.3.2-1]. */
export function handlePuback(broker: Broker, connection: Connection): number {
  const deliveries = broker.memory.deliveries;
  const row = deliveries.find(connection.session, broker.packet.packetId);
  if (row === NONE) return unknown(broker);
  if (deliveries.flags[row] >> 1 !== 1) return PROTOCOL_ERROR; // QoS 2 is acknowledged by PUBREC
  finish(broker, connection, row);
  return OK;
}

/** The subscriber has the message, QoS 2: release its identifier [MQTT-4.3.3-1]. */
export function handlePubrec(broker: Broker, connection: Connection): number {
  const deliveries = broker.memory.deliveries;
  const session = connection.session;
  const row = deliveries.find(session, broker.packet.packetId);
  if (row !== NONE) {
    if (deliveries.flags[row] >> 1 !== 2) return PROTOCOL_ERROR; // QoS 1 is acknowledged by PUBACK
    if (deliveries.state[row] === PUBLISHED) {
      deliveries.released(session, row);
      madeProgress(broker, session);
    }
  }
  if (row === NONE) unknown(broker); // and PUBREL all the same: a peer that lost count can finish
  acknowledge(broker, connection, PUBREL);
  return OK;
}

/**
 * The publisher releases the identifier: the next PUBLISH with it is a new message [MQTT-4.3.3-2].
 */
export function handlePubrel(broker: Broker, connection: Connection): number {
  broker.memory.packetIds.remove(connection.session, broker.packet.packetId);
  acknowledge(broker, connection, PUBCOMP);
  return OK;
}

/** QoS 2 is done. */
export function handlePubcomp(broker: Broker, connection: Connection): number {
  const deliveries = broker.memory.deliveries;
  const row = deliveries.find(connection.session, broker.packet.packetId);
  if (row === NONE) return unknown(broker);
  if (deliveries.state[row] !== RELEASED) return PROTOCOL_ERROR; // PUBCOMP before PUBREC
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
