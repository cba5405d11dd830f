// The packets that begin and end a connection: CONNECT, from the options, which do not change, and
// DISCONNECT. Called by client.ts.

import {
  CONNECT_CLEAN_SESSION, CONNECT_PASSWORD, CONNECT_USER_NAME, CONNECT_WILL,
  CONNECT_WILL_QOS_SHIFT, CONNECT_WILL_RETAIN, DISCONNECT, LEVEL_5, NONE,
  NOT_AUTHORIZED, REFUSED_PROTOCOL_LEVEL, SUCCESS, UNSPECIFIED_ERROR, UNSUPPORTED_LEVEL,
} from '../wire/codes.js';
import {
  connectBytes, encodeConnect, encodeEmpty, encodeHeader, encodeProperties, encodeReason,
  packetBytes, propertiesBytes, REASON_PACKET_BYTES,
} from '../wire/encode.js';
import type { Client } from './client.js';
import type { ClientOptions } from './options.js';

const ABSENT = /* @__PURE__ */ new Uint8Array(0);

function flagsOf({ will, userName, password }: ClientOptions, cleanStart: boolean): number {
  return (cleanStart ? CONNECT_CLEAN_SESSION : 0) |
    (will === undefined ? 0 : CONNECT_WILL | will.qos << CONNECT_WILL_QOS_SHIFT |
      (will.retain ? CONNECT_WILL_RETAIN : 0)) |
    (userName === undefined ? 0 : CONNECT_USER_NAME) |
    (password === undefined ? 0 : CONNECT_PASSWORD);
}

/** Size of the CONNECT. */
export function connectPacketBytes(client: Client): number {
  const { clientId, will, userName, password } = client.options;
  return connectBytes(client.protocolLevel, flagsOf(client.options, false), clientId,
    will?.topic ?? ABSENT, will?.payload ?? ABSENT, userName ?? ABSENT, password ?? ABSENT,
    client.terms?.connectProperties ?? ABSENT, will?.properties?.bytes ?? ABSENT);
}

/** Writes the CONNECT at `at`; returns its end. */
export function encodeConnectOf(client: Client, at: number): number {
  const { keepAliveSeconds, clientId, will, userName, password } = client.options;
  return encodeConnect(client.bytes, at, client.protocolLevel,
    flagsOf(client.options, isCleanStart(client)), keepAliveSeconds, clientId,
    will?.topic ?? ABSENT, will?.payload ?? ABSENT, userName ?? ABSENT, password ?? ABSENT,
    client.terms?.connectProperties ?? ABSENT, will?.properties?.bytes ?? ABSENT);
}

/** Whether CONNECT asks for a new session. */
export function isCleanStart({ options, protocolLevel, terms }: Client): boolean {
  return options.cleanSession && !(protocolLevel === LEVEL_5 && terms!.resumes);
}

/** Whether such an answer to CONNECT is a reason to try MQTT 3.1.1, and that is wanted. */
export function mayFallBack({ options, protocolLevel }: Client, reasonCode: number): boolean {
  return protocolLevel === LEVEL_5 && options.fallback === true &&
    (reasonCode === -UNSUPPORTED_LEVEL || reasonCode === REFUSED_PROTOCOL_LEVEL);
}

/** Size of the DISCONNECT that the application asked for. */
export function disconnectPacketBytes(client: Client): number {
  return packetBytes(disconnectRemaining(client));
}

function disconnectRemaining({ protocolLevel, terms }: Client): number {
  if (terms === null || protocolLevel !== LEVEL_5) return 0;
  const byteCount = terms.goodbyeProperties?.bytes.length ?? 0;
  return byteCount > 0 ? 1 + propertiesBytes(byteCount) :
    terms.goodbyeReason === SUCCESS ? 0 : 1;
}

/** Writes it at `at`; returns its end. */
export function encodeDisconnectOf(client: Client, at: number): number {
  const { bytes, terms } = client;
  const remaining = disconnectRemaining(client);
  if (remaining === 0) return encodeEmpty(bytes, at, DISCONNECT);
  at = encodeHeader(bytes, at, DISCONNECT << 4, remaining);
  bytes[at] = terms!.goodbyeReason;
  const properties = terms!.goodbyeProperties;
  return remaining === 1 ? at + 1 : encodeProperties(bytes, at + 1, properties!.bytes);
}

/** Writes a DISCONNECT with the reason code of a refusal, if there is room, 5.0 section 4.13. */
export function sayWhy(client: Client, refusal: number): void {
  const outbox = client.memory.outbox;
  const at = outbox.reserve(REASON_PACKET_BYTES);
  if (at === NONE) return;
  // What the application does not accept has no code that a client may say.
  const reasonCode = -(refusal === NOT_AUTHORIZED ? UNSPECIFIED_ERROR : refusal);
  outbox.commit(encodeReason(client.bytes, at, DISCONNECT, 0, reasonCode));
}
