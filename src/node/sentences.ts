// What the commands say when a broker refuses, ends or is not there: the reason codes of MQTT in
// words, all in this place, and the errors of the system. Called by the commands with a client.

import { CONNECT_TIMEOUT, EXPIRED, PING_TIMEOUT } from '../client/states.js';
import {
  NOT_AUTHORIZED, REFUSED_IDENTIFIER, REFUSED_NOT_AUTHORIZED, REFUSED_PROTOCOL_LEVEL,
  REFUSED_UNAVAILABLE, REFUSED_USER_OR_PASSWORD,
} from '../wire/codes.js';

/** The reason codes of MQTT 5.0 from 0x80 on, section 2.4. */
const REASONS: readonly (readonly [reasonCode: number, words: string])[] = [
  [0x80, 'the broker gives no reason'],
  [0x81, 'the broker could not read what this client sent'],
  [0x82, 'this client broke the protocol'],
  [0x83, 'something in the broker does not allow it'],
  [0x84, 'the broker does not speak this --mqtt-version'],
  [0x85, 'the client identifier (--id) is not allowed'],
  [0x86, 'wrong --username or --password'],
  [0x87, 'not authorised'],
  [0x88, 'the broker takes no more clients at the moment'],
  [0x89, 'the broker is busy: try again later'],
  [0x8a, 'this client is banned'],
  [0x8b, 'the broker is shutting down'],
  [0x8c, 'the broker does not have this authentication method'],
  [0x8d, 'the broker heard nothing for one and a half times --keepalive'],
  [0x8e, 'another client with the same --id has connected'],
  [0x8f, 'the broker does not take this topic filter'],
  [0x90, 'the broker does not take this topic'],
  [0x91, 'the packet identifier is in use'],
  [0x92, 'the packet identifier is unknown'],
  [0x93, 'more messages at once than the broker receives'],
  [0x94, 'a topic alias that the broker does not know'],
  [0x95, 'the packet is larger than the broker takes'],
  [0x96, 'messages come too fast'],
  [0x97, 'a limit of the broker is reached'],
  [0x98, 'its administrator has done so'],
  [0x99, 'the payload is not what its payload-format-indicator says'],
  [0x9a, 'the broker does not retain messages'],
  [0x9b, 'the broker does not take this QoS'],
  [0x9c, 'another broker is to be used for the moment'],
  [0x9d, 'the broker has moved'],
  [0x9e, 'the broker has no shared subscriptions'],
  [0x9f, 'connections come too fast'],
  [0xa0, 'the longest time of a connection is over'],
  [0xa1, 'the broker has no subscription identifiers'],
  [0xa2, 'the broker takes no wildcards in topic filters'],
];

const REASON_WORDS: ReadonlyMap<number, string> = new Map(REASONS);

/** The session now belongs to another client with the same identifier. */
export const SESSION_TAKEN_OVER = 0x8e;

/** Reason codes from here on are refusals; this one itself, and all SUBACK had, gives no reason. */
const REFUSED = 0x80;

/** Whether a broker's answer is no: SUBACK, UNSUBACK, PUBACK, DISCONNECT. */
export function isRefusal(reasonCode: number): boolean {
  return reasonCode >= REFUSED;
}

/** A reason code, 0x80 or more, in words, and in brackets as the specification writes it. */
export function reasonWords(reasonCode: number): string {
  const code = `0x${reasonCode.toString(16).toUpperCase().padStart(2, '0')}`;
  const words = REASON_WORDS.get(reasonCode);
  return words === undefined ? `reason code ${code}` : `${words} (${code})`;
}

/** What follows a sentence that says no: nothing when the broker has given no reason. */
export function becauseOf(reasonCode: number): string {
  return reasonCode === REFUSED ? '' : `: ${reasonWords(reasonCode)}`;
}

/** Why a message was dropped: `reason` is onDropped's. */
export function dropWords(reason: number): string {
  return reason === EXPIRED ? 'its message-expiry-interval was over' : reasonWords(-reason);
}

/** `host:port`, as people write it. */
export function placeOf({ host, port }: { host: string; port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** CONNACK return codes of MQTT 3.1 and 3.1.1. */
const REFUSALS: ReadonlyMap<number, string> = new Map([
  [REFUSED_PROTOCOL_LEVEL, 'it does not speak this --mqtt-version'],
  [REFUSED_IDENTIFIER, 'the client identifier (--id) is not allowed'],
  [REFUSED_UNAVAILABLE, 'it takes no more clients at the moment'],
  [REFUSED_USER_OR_PASSWORD, 'wrong --username or --password'],
  [REFUSED_NOT_AUTHORIZED, 'not authorised: it wants another --username and --password'],
]);

/** Why the broker said no; `code` is CONNACK's return code or, from 0x80 on, reason code. */
export function refusalSentence(place: string, code: number, told?: string): string {
  const words = isRefusal(code) ? reasonWords(code) : REFUSALS.get(code) ?? `return code ${code}`;
  return `${place} refuses the connection: ${words}${toldWords(told)}`;
}

/** The broker's own reason string, if it has sent one; without control characters. */
function toldWords(told: string | undefined): string {
  return told === undefined ? '' : `; it says "${told.replace(/\p{Cc}/gu, ' ')}"`;
}

const SYSTEM_ERRORS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nothing listens there (is the broker running?)'],
  ['ECONNRESET', 'the connection was reset'],
  ['EPIPE', 'the connection was reset'],
  ['ENOTFOUND', 'no machine has this name'],
  ['EAI_AGAIN', 'names cannot be looked up at the moment'],
  ['ETIMEDOUT', 'it does not answer'],
  ['EHOSTUNREACH', 'there is no way to this address'],
  ['ENETUNREACH', 'there is no way to this network'],
  ['EADDRNOTAVAIL', 'this is no address one can connect to'],
  ['EACCES', 'the system does not allow it'],
]);

/**
 * Why a connection, or an attempt, ended: `reason` and `error` are onDisconnected's, `told` reads
 * the reason string of a DISCONNECT that has come. One sentence without full stop.
 */
export function lossSentence(
  place: string, reason: number, error: Error | undefined, told?: () => string | undefined,
): string {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (reason === CONNECT_TIMEOUT) return `${place} cannot be reached: no answer in time`;
  if (reason === PING_TIMEOUT) return `${place} no longer answers`;
  if (isRefusal(reason)) {
    return `${place} ended the connection: ${reasonWords(reason)}${toldWords(told?.())}`;
  }
  if (reason === NOT_AUTHORIZED) {
    return `${place} asks for further steps of authentication, which this command does not know`;
  }
  if (reason < 0) {
    return `what ${place} sends is not MQTT as this client knows it ` +
      `(0x${(-reason).toString(16)}): it may be no MQTT broker`;
  }
  if (error === undefined) return `${place} closed the connection`;
  return `${place} cannot be reached: ` +
    `${(code === undefined ? undefined : SYSTEM_ERRORS.get(code)) ?? error.message}`;
}
