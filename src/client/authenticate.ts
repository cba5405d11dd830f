// What a broker of MQTT 5.0 says when it accepts, and enhanced authentication, section 4.12: AUTH
// from it and to it, as the method of CONNECT and the application's hook want. Called by receive.ts
// and client.ts.

import {
  AUTH, CONTINUE_AUTHENTICATION, LEVEL_5, NONE, NOT_AUTHORIZED, OK, PROTOCOL_ERROR,
  QUOTA_EXCEEDED, RE_AUTHENTICATE, SERVER_UNAVAILABLE, SUCCESS, TOO_LARGE,
} from '../wire/codes.js';
import {
  encodeFieldProperty, encodeHeader, encodeVarint, packetBytes, propertiesBytes,
} from '../wire/encode.js';
import { AUTHENTICATION_DATA, AUTHENTICATION_METHOD, uint16At } from '../wire/properties.js';
import type { Client } from './client.js';
import { CLOSING, CONNECTED } from './states.js';

/**
 * Begins authentication anew, with the method of CONNECT and those data; it goes on with
 * `options.authenticate`. Returns OK, PROTOCOL_ERROR (no method, or it goes on already),
 * SERVER_UNAVAILABLE, TOO_LARGE, or QUOTA_EXCEEDED while the link takes too little.
 */
export function reauthenticate(client: Client, data: Uint8Array): number {
  const { terms, state } = client;
  if (terms === null || terms.method.length === 0) return PROTOCOL_ERROR;
  if (state !== CONNECTED || client.protocolLevel !== LEVEL_5) return SERVER_UNAVAILABLE;
  if (terms.authenticating) return PROTOCOL_ERROR;
  const outcome = sendAuth(client, RE_AUTHENTICATE, data); // 5.0 [MQTT-4.12.1-1]
  if (outcome === OK) terms.authenticating = true;
  return outcome;
}

/** AUTH has come: OK, or the refusal that ends the connection. */
export function handleAuth(client: Client): number {
  const { terms, packet } = client;
  const reasonCode = packet.reasonCode;
  const isConnected = client.state === CONNECTED;
  if (terms === null || terms.method.length === 0 || isConnected && !terms.authenticating ||
      reasonCode === RE_AUTHENTICATE || reasonCode === SUCCESS && !isConnected) {
    return PROTOCOL_ERROR;
  }
  const link = client.link;
  if (!isOurMethod(client)) return PROTOCOL_ERROR; // 5.0 [MQTT-4.12.0-5]
  const answer = ask(client, reasonCode);
  // The application may have ended it meanwhile.
  if (client.link !== link || client.state === CLOSING) return OK;
  if (answer === null) return NOT_AUTHORIZED;
  if (reasonCode === CONTINUE_AUTHENTICATION) {
    return sendAuth(client, CONTINUE_AUTHENTICATION, answer); // 5.0 [MQTT-4.12.0-3]
  }
  terms.authenticating = false;
  return OK;
}

/**
 * CONNACK accepts: notes what it says, and has its data checked. OK, or a refusal of ours; the
 * application may have ended the connection meanwhile.
 */
export function acceptTerms(client: Client): number {
  const { bytes, limits, memory, options, packet, terms } = client;
  if (terms === null || client.protocolLevel !== LEVEL_5) return OK;
  const outcome = terms.accepted(bytes, packet, limits.topicAliasMax, options.keepAliveSeconds);
  if (outcome !== OK) return outcome;
  memory.aliases.clear(0);
  terms.authenticating = false;
  if (terms.method.length === 0) {
    return packet.properties[AUTHENTICATION_METHOD] === 0 ? OK : PROTOCOL_ERROR;
  }
  if (!isOurMethod(client)) return PROTOCOL_ERROR; // 5.0 [MQTT-4.12.0-5]
  return packet.properties[AUTHENTICATION_DATA] === 0 || ask(client, SUCCESS) !== null ?
    OK :
    NOT_AUTHORIZED;
}

/** Whether the packet names the method of CONNECT. */
function isOurMethod({ bytes, packet, terms }: Client): boolean {
  const at = packet.properties[AUTHENTICATION_METHOD];
  const method = terms!.method;
  if (at === 0 || uint16At(bytes, at) !== method.length) return false;
  for (let i = 0; i < method.length; i++) {
    if (bytes[at + 2 + i] !== method[i]) return false;
  }
  return true;
}

function ask({ bytes, packet, options }: Client, reasonCode: number): Uint8Array | null {
  const at = packet.properties[AUTHENTICATION_DATA];
  const start = at === 0 ? 0 : at + 2;
  const end = at === 0 ? 0 : start + uint16At(bytes, at);
  return options.authenticate!(bytes, start, end, reasonCode);
}

function sendAuth(client: Client, reasonCode: number, data: Uint8Array): number {
  const method = client.terms!.method;
  const given = 3 + method.length + 3 + data.length;
  const remaining = 1 + propertiesBytes(given);
  const byteCount = packetBytes(remaining);
  const most = client.state === CONNECTED ? client.terms!.packetBytesMax :
    client.limits.packetBytesMax;
  if (data.length > 0xffff || byteCount > most) return TOO_LARGE; // 5.0 [MQTT-3.2.2-15]
  const at = client.reserveAnswer(byteCount);
  if (at === NONE) return QUOTA_EXCEEDED;
  const { bytes } = client;
  let next = encodeHeader(bytes, at, AUTH << 4, remaining);
  bytes[next++] = reasonCode;
  next = encodeVarint(bytes, next, given);
  next = encodeFieldProperty(bytes, next, AUTHENTICATION_METHOD, method);
  client.sent(encodeFieldProperty(bytes, next, AUTHENTICATION_DATA, data));
  return OK;
}
