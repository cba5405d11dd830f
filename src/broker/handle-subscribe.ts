// SUBSCRIBE and UNSUBSCRIBE. Called by the switch in broker.ts with a decoded packet, every filter
// of it checked, and room for the answer in the outbox. MQTT 3.1.1 sections 3.8 to 3.11.

import { NONE, OK, SUBACK_FAILURE, UNSUBACK } from '../wire/codes.js';
import { nextFilter } from '../wire/decode.js';
import { encodeAcknowledgement, encodeSubackHeader, SHORT_PACKET_BYTES } from '../wire/encode.js';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';
import { REFUSED_SUBSCRIPTIONS } from './counters.js';
import { reserve, transmitWaiting } from './deliver.js';

export function handleSubscribe(broker: Broker, connection: Connection): number {
  const { bytes, packet } = broker;
  const { levels, replays, subscriptions } = broker.memory;
  // One SUBACK for the whole packet, a code per filter in their order [MQTT-3.8.4-4],
  // [MQTT-3.8.4-5].
  let at = encodeSubackHeader(bytes, reserve(broker, connection, packet.filterCount + 7),
    packet.packetId, packet.filterCount);
  while (nextFilter(bytes, packet)) {
    levels.split(bytes, packet.filterStart, packet.filterEnd);
    const row = subscriptions.add(connection.session, levels, packet.filterQos);
    if (row === NONE) {
      broker.counters[REFUSED_SUBSCRIPTIONS]++;
      bytes[at++] = SUBACK_FAILURE;
    } else {
      replays.add(row);
      bytes[at++] = packet.filterQos;
    }
  }
  broker.sent(connection, at);
  transmitWaiting(broker, connection); // retained messages [MQTT-3.3.1-6]
  return OK;
}

export function handleUnsubscribe(broker: Broker, connection: Connection): number {
  const { bytes, packet } = broker;
  const { levels, replays, subscriptions } = broker.memory;
  while (nextFilter(bytes, packet)) {
    levels.split(bytes, packet.filterStart, packet.filterEnd);
    const row = subscriptions.find(connection.session, levels);
    if (row === NONE) continue; // acknowledged all the same [MQTT-3.10.4-5]
    replays.drop(row);
    subscriptions.remove(row);
  }
  const at = reserve(broker, connection, SHORT_PACKET_BYTES);
  broker.sent(connection, encodeAcknowledgement(bytes, at, UNSUBACK, packet.packetId));
  return OK;
}
