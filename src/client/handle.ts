// What a broker sends after CONNACK. Called by the switch in receive.ts with a decoded packet and,
// where one may be due, room for an answer in the outbox. MQTT 3.1.1 and 5.0, section 4.3.

import { PUBLISHED, RELEASED } from '../session/deliveries.js';
import {
  INCOMPLETE, LEVEL_5, NONE, OK, PACKET_ID_NOT_FOUND, PROTOCOL_ERROR, PUBACK, PUBCOMP, PUBREC,
  PUBREL, QUOTA_EXCEEDED, RECEIVE_MAXIMUM_EXCEEDED, SUBACK_FAILURE, SUBSCRIBE, SUCCESS, TOO_LARGE,
  TOPIC_ALIAS_INVALID, UNSUBSCRIBE,
} from '../wire/codes.js';
import {
  encodeAcknowledgement, encodeReason, REASON_PACKET_BYTES, SHORT_PACKET_BYTES,
} from '../wire/encode.js';
import { TOPIC_ALIAS, uint16At } from '../wire/properties.js';
import type { Client } from './client.js';
import { CONNECTED } from './states.js';

/** Reason codes from here on are failures. */
const REFUSED = 0x80;

/** The application does not take the message now. No outcome of decoding has this number. */
export const UNREAD = -2;

export function handlePublish(client: Client): number {
  const { packet, memory } = client;
  const { qos, packetId } = packet;
  if (packet.protocolLevel === LEVEL_5 && packet.hasProperties &&
      packet.properties[TOPIC_ALIAS] !== 0) {
    const outcome = resolveAlias(client, uint16At(client.bytes, packet.properties[TOPIC_ALIAS]));
    if (outcome !== OK) return outcome;
  }
  if (qos === 2) {
    if (memory.packetIds.has(0, packetId)) { // again: the application has it [MQTT-4.3.3-2]
      acknowledge(client, PUBREC, packetId);
      return OK;
    }
    if (memory.packetIds.counts[0] === memory.packetIds.perSetMax) return RECEIVE_MAXIMUM_EXCEEDED;
  }
  const link = client.link;
  if (!client.options.observer.message(client.bytes, packet)) return UNREAD;
  client.counters.messagesReceived++;
  if (qos === 0) return OK;
  if (qos === 2) memory.packetIds.add(0, packetId);
  // The application may have ended this connection: nothing follows DISCONNECT [MQTT-3.14.4-2].
  if (client.link === link && client.state === CONNECTED) {
    acknowledge(client, qos === 1 ? PUBACK : PUBREC, packetId);
  }
  return OK;
}

/**
 * The topic gets its alias, or the alias stands for its topic, 5.0 section 3.3.2.3.4. OK,
 * TOPIC_ALIAS_INVALID, or QUOTA_EXCEEDED for a topic longer than we keep: then the client asks for
 * no aliases any more.
 */
function resolveAlias(client: Client, alias: number): number {
  const { packet, memory: { aliases } } = client;
  if (alias > client.terms!.incomingAliasMax) return TOPIC_ALIAS_INVALID; // 5.0 [MQTT-3.3.2-8]
  const { topicStart, topicEnd } = packet;
  if (topicStart < topicEnd) {
    if (topicEnd - topicStart <= aliases.topicBytesMax) {
      aliases.learn(0, alias, topicStart, topicEnd);
      return OK;
    }
    client.terms!.giveUpAliases();
    return QUOTA_EXCEEDED;
  }
  const start = aliases.learned(0, alias);
  if (start === NONE) return PROTOCOL_ERROR;
  packet.topicStart = start;
  packet.topicEnd = start + uint16At(client.bytes, start - 2);
  return OK;
}

/**
 * The start of a PUBLISH too large to be taken, framed, of which `at` to `end` have come. OK when
 * it is acknowledged and can be skipped; INCOMPLETE; or a refusal.
 */
export function skipPublish(client: Client, at: number, end: number): number {
  const { bytes, packet, memory } = client;
  const start = packet.bodyStart;
  const qos = packet.flags >> 1 & 3;
  if (qos !== 0) {
    if (start + 2 > end) return INCOMPLETE;
    const idStart = start + 2 + (bytes[start] << 8 | bytes[start + 1]);
    // The inbox has room for the front of a packet that we take, and for what comes on top at once.
    if (idStart + 2 - at > client.limits.packetBytesMax) return TOO_LARGE;
    if (idStart + 2 > end) return INCOMPLETE;
    const packetId = bytes[idStart] << 8 | bytes[idStart + 1];
    if (packetId === 0 || idStart + 2 > packet.end) return PROTOCOL_ERROR;
    if (qos === 2 && !memory.packetIds.has(0, packetId) && !memory.packetIds.add(0, packetId)) {
      return RECEIVE_MAXIMUM_EXCEEDED;
    }
    acknowledge(client, qos === 1 ? PUBACK : PUBREC, packetId);
  }
  client.counters.skippedTooLarge++;
  return OK;
}

/** There is room: the switch saw to it, and what the application sends leaves some. */
function acknowledge(client: Client, type: number, packetId: number): void {
  const at = client.memory.outbox.reserve(SHORT_PACKET_BYTES);
  client.sent(encodeAcknowledgement(client.bytes, at, type, packetId));
}

/** As `acknowledge`, in MQTT 5.0 with the reason code of that refusal. */
function acknowledgeUnknown(client: Client, type: number, packetId: number): void {
  if (client.protocolLevel !== LEVEL_5) {
    acknowledge(client, type, packetId);
    return;
  }
  const at = client.memory.outbox.reserve(REASON_PACKET_BYTES);
  client.sent(encodeReason(client.bytes, at, type, packetId, -PACKET_ID_NOT_FOUND));
}

/** The broker has the message: QoS 1 is done. */
export function handlePuback(client: Client): number {
  const deliveries = client.memory.deliveries;
  const row = deliveries.find(0, client.packet.packetId);
  if (row === NONE) return unknown(client);
  if (deliveries.flags(row) >> 1 !== 1) return PROTOCOL_ERROR; // QoS 2 is acknowledged by PUBREC
  return finish(client, row);
}

/** The broker has the message, QoS 2: release its identifier [MQTT-4.3.3-1]. */
export function handlePubrec(client: Client): number {
  const deliveries = client.memory.deliveries;
  const packetId = client.packet.packetId;
  const row = deliveries.find(0, packetId);
  if (row === NONE) { // PUBREL all the same: a peer that lost count can finish
    if (client.packet.reasonCode < REFUSED) acknowledgeUnknown(client, PUBREL, packetId);
    return unknown(client);
  }
  if (deliveries.flags(row) >> 1 !== 2) return PROTOCOL_ERROR;
  if (deliveries.state(row) === PUBLISHED) {
    if (client.packet.reasonCode >= REFUSED) return finish(client, row); // and no PUBREL
    deliveries.released(0, row);
    // Not sent again yet on this connection: PUBREL does not wait for the window as PUBLISH did.
    if (deliveries.cursor(0) === row) client.transmitSoon();
  }
  acknowledge(client, PUBREL, packetId);
  return OK;
}

/** The broker releases the identifier: the next PUBLISH with it is a new message. */
export function handlePubrel(client: Client): number {
  const packetId = client.packet.packetId;
  if (client.memory.packetIds.remove(0, packetId)) acknowledge(client, PUBCOMP, packetId);
  else acknowledgeUnknown(client, PUBCOMP, packetId);
  return OK;
}

/** QoS 2 is done. */
export function handlePubcomp(client: Client): number {
  const deliveries = client.memory.deliveries;
  const row = deliveries.find(0, client.packet.packetId);
  if (row === NONE) return unknown(client);
  if (deliveries.state(row) !== RELEASED) return PROTOCOL_ERROR; // PUBCOMP before PUBREC
  return finish(client, row);
}

/** Nothing is in flight there any more: the broker has the message, or does not take it. */
function finish(client: Client, row: number): number {
  const reasonCode = client.packet.reasonCode;
  const isReleased = client.memory.deliveries.state(row) === RELEASED;
  client.memory.deliveries.remove(0, row);
  if (isReleased) {
    client.options.observer.delivered(client.memory.deliveries.handle(row), SUCCESS);
  } else if (reasonCode < REFUSED) {
    client.options.observer.delivered(client.memory.deliveries.handle(row), reasonCode);
  } else {
    client.counters.droppedRefused++;
    client.options.observer.dropped(client.memory.deliveries.handle(row), -reasonCode);
  }
  client.transmitSoon(); // the window has room
  return OK;
}

/** Nothing is in flight under that identifier: counted, and no reason to part. */
function unknown(client: Client): number {
  client.counters.unknownAcknowledgements++;
  return OK;
}

export function handleSuback(client: Client): number {
  const { bytes, packet, memory } = client;
  const { subscriptions, scratchStart } = memory;
  const row = subscriptions.awaiting(packet.packetId, SUBSCRIBE);
  if (row === NONE) return unknown(client);
  if (packet.listEnd - packet.listStart !== 1) return PROTOCOL_ERROR; // [MQTT-3.8.4-5]
  const reasonCode = bytes[packet.listStart];
  if (reasonCode >= SUBACK_FAILURE) client.counters.refusedSubscriptions++;
  const end = subscriptions.read(row, scratchStart);
  subscriptions.answered(row, reasonCode < SUBACK_FAILURE);
  client.transmitSoon(); // what the application has changed meanwhile
  client.options.observer.subscribed(bytes, scratchStart, end, reasonCode);
  return OK;
}

export function handleUnsuback(client: Client): number {
  const { bytes, packet, memory } = client;
  const { subscriptions, scratchStart } = memory;
  const row = subscriptions.awaiting(packet.packetId, UNSUBSCRIBE);
  if (row === NONE) return unknown(client);
  const codes = packet.listEnd - packet.listStart; // none before MQTT 5.0
  if (codes > 1) return PROTOCOL_ERROR; // 5.0 [MQTT-3.11.3-1]
  const reasonCode = codes === 0 ? SUCCESS : bytes[packet.listStart];
  const end = subscriptions.read(row, scratchStart);
  subscriptions.answered(row, false);
  client.transmitSoon();
  client.options.observer.unsubscribed(bytes, scratchStart, end, reasonCode);
  return OK;
}
