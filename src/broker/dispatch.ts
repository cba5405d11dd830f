// From packet types to their handlers, for all but the PUBLISH of a client, which goes straight to
// its handler. Called by broker.ts with a framed packet.

import {
  AUTH, CONNECT, DISCONNECT, LEVEL_5, NONE, OK, PINGRESP, PROTOCOL_ERROR, PUBACK, PUBCOMP,
  QUOTA_EXCEEDED, SUBSCRIBE, UNSUBSCRIBE, UNSUPPORTED_LEVEL,
} from '../wire/codes.js';
import { decode } from '../wire/decode.js';
import {
  EMPTY_PACKET_BYTES, encodeEmpty, REASON_PACKET_BYTES, SHORT_PACKET_BYTES,
} from '../wire/encode.js';
import { handleAuth } from './authenticate.js';
import type { Broker } from './broker.js';
import { STALLED, type Connection } from './connection.js';
import { MESSAGES_RECEIVED } from './counters.js';
import { reserve } from './deliver.js';
import { handleDisconnect } from './end.js';
import { handleConnect } from './handle-connect.js';
import { handlePuback, handlePubcomp, handlePubrec, handlePubrel } from './handle-publish.js';
import { handleSubscribe, handleUnsubscribe } from './handle-subscribe.js';

/**
 * Decodes and handles the packet: OK, the refusal that ends the connection, or STALLED when the
 * outbox has no room for an answer.
 */
export function dispatch(broker: Broker, connection: Connection): number {
  if (!isDue(broker.packet.type, connection)) return PROTOCOL_ERROR;
  const outcome = decode(broker.bytes, broker.packet);
  return outcome === OK || outcome === UNSUPPORTED_LEVEL ?
    handle(broker, connection, outcome) :
    outcome;
}

/**
 * CONNECT comes first [MQTT-3.1.0-1], and once [MQTT-3.1.0-2]. Between it and CONNACK there may be
 * authentication, 5.0 [MQTT-3.1.2-30].
 */
function isDue(type: number, { protocolLevel, session }: Connection): boolean {
  if ((type === CONNECT) !== (protocolLevel === 0)) return false;
  return session !== NONE || type === CONNECT || type === AUTH || type === DISCONNECT;
}

/** The packet is decoded; `outcome` is OK, or for CONNECT UNSUPPORTED_LEVEL. */
function handle(broker: Broker, connection: Connection, outcome: number): number {
  const type = broker.packet.type;
  // Nothing waits behind a CONNECT that is held: bytes of the two would meet in the inbox.
  if (!canAnswer(broker, connection)) return connection.session === NONE ? QUOTA_EXCEEDED : STALLED;
  // Who is still to prove itself must be done in time, however much it says.
  if (type === CONNECT || connection.session !== NONE) connection.heard = true;
  broker.counters[MESSAGES_RECEIVED]++;
  return HANDLERS[type](broker, connection, outcome);
}

type Handler = (broker: Broker, connection: Connection, outcome: number) => number;

/** By packet type. A table, since each name in a switch would take a slot of XS's stack. */
const HANDLERS: readonly Handler[] = Object.freeze([
  notForServer, handleConnect, notForServer, notForServer,
  handlePuback, handlePubrec, handlePubrel, handlePubcomp,
  handleSubscribe, notForServer, handleUnsubscribe, notForServer,
  answerPing, notForServer, handleDisconnect, handleAuth,
]);

/** CONNACK, SUBACK, UNSUBACK, PINGRESP: only a server sends them. PUBLISH does not come here. */
function notForServer(): number {
  return PROTOCOL_ERROR;
}

/**
 * Whether the outbox has room for the answer to the packet, so that its handler may count on it.
 */
export function canAnswer(broker: Broker, connection: Connection): boolean {
  const { filterCount, protocolLevel, type } = broker.packet;
  if (type === PUBACK || type === PUBCOMP || type === DISCONNECT) return true;
  let answerBytes = protocolLevel === LEVEL_5 ? REASON_PACKET_BYTES : SHORT_PACKET_BYTES;
  if (type === SUBSCRIBE || (type === UNSUBSCRIBE && protocolLevel === LEVEL_5)) {
    answerBytes = filterCount + 8;
  } else if (type === AUTH) {
    answerBytes = broker.limits.packetBytesMax;
  }
  return reserve(broker, connection, answerBytes) !== NONE;
}

/** [MQTT-3.12.4-1] */
function answerPing(broker: Broker, connection: Connection): number {
  const at = reserve(broker, connection, EMPTY_PACKET_BYTES);
  broker.sent(connection, encodeEmpty(broker.bytes, at, PINGRESP));
  return OK;
}
