// The properties of MQTT 5.0 by name, as applications give them, to the bytes that the core sends.
// Called by mqtt-client.ts, and by applications that send the same properties often. Allocates.

import { CONNECT, DISCONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE } from '../wire/codes.js';
import {
  encodeByteProperty, encodeField, encodeFieldProperty, encodeUint32Property, encodeVarintProperty,
} from '../wire/encode.js';
import {
  AUTHENTICATION_DATA, AUTHENTICATION_METHOD, CONTENT_TYPE, CORRELATION_DATA,
  MESSAGE_EXPIRY_INTERVAL, PAYLOAD_FORMAT_INDICATOR, REASON_STRING, REQUEST_PROBLEM_INFORMATION,
  REQUEST_RESPONSE_INFORMATION, RESPONSE_TOPIC, SESSION_EXPIRY_INTERVAL, SUBSCRIPTION_IDENTIFIER,
  USER_PROPERTY, VARINT_MAX, WILL_DELAY_INTERVAL,
} from '../wire/properties.js';
import { EncodedProperties, WILL_PROPERTIES } from './encoded-properties.js';
import { encodeText } from './text.js';

export interface UserProperties {
  /** Names and values, in this order; a name may come often. */
  userProperties?: readonly (readonly [name: string, value: string])[];
}

export interface PublishProperties extends UserProperties {
  /** How long the message is of use, 0 to 2³²-1; it counts down wherever the message waits. */
  messageExpirySeconds?: number;
  /** The payload is UTF-8. */
  payloadIsText?: boolean;
  contentType?: string;
  /** Where an answer is expected. */
  responseTopic?: string;
  /** What the answer is to bring back. */
  correlationData?: string | Uint8Array;
}

export interface WillProperties extends PublishProperties {
  /** How long the broker waits with the will, 0 to 2³²-1. */
  willDelaySeconds?: number;
}

export interface ConnectProperties extends UserProperties {
  /** How long the session is kept after the connection; 0 is not at all, 2³²-1 is for ever. */
  sessionExpirySeconds?: number;
  requestResponseInformation?: boolean;
  requestProblemInformation?: boolean;
  /** The method of enhanced authentication, and what its first step says. */
  authenticationMethod?: string;
  authenticationData?: string | Uint8Array;
}

export interface SubscribeProperties extends UserProperties {
  /** 1 to 268,435,455: comes back with each message of this subscription. */
  identifier?: number;
}

export interface DisconnectProperties extends UserProperties {
  /** Instead of that of CONNECT, unless that was 0. */
  sessionExpirySeconds?: number;
  reasonString?: string;
}

/** Throws RangeError, as the others here, for what MQTT cannot say. */
export function publishProperties(given: PublishProperties): EncodedProperties {
  return encode(PUBLISH, given);
}

export function willProperties(given: WillProperties): EncodedProperties {
  return encode(WILL_PROPERTIES, given);
}

export function connectProperties(given: ConnectProperties): EncodedProperties {
  return encode(CONNECT, given);
}

export function subscribeProperties(given: SubscribeProperties): EncodedProperties {
  return encode(SUBSCRIBE, given);
}

export function unsubscribeProperties(given: UserProperties): EncodedProperties {
  return encode(UNSUBSCRIBE, given);
}

export function disconnectProperties(given: DisconnectProperties): EncodedProperties {
  return encode(DISCONNECT, given);
}

type Given = PublishProperties & WillProperties & ConnectProperties & SubscribeProperties &
  DisconnectProperties;

const NUMBERS = Object.freeze([
  Object.freeze(['messageExpirySeconds', MESSAGE_EXPIRY_INTERVAL] as const),
  Object.freeze(['willDelaySeconds', WILL_DELAY_INTERVAL] as const),
  Object.freeze(['sessionExpirySeconds', SESSION_EXPIRY_INTERVAL] as const),
]);
const FLAGS = Object.freeze([
  Object.freeze(['payloadIsText', PAYLOAD_FORMAT_INDICATOR] as const),
  Object.freeze(['requestResponseInformation', REQUEST_RESPONSE_INFORMATION] as const),
  Object.freeze(['requestProblemInformation', REQUEST_PROBLEM_INFORMATION] as const),
]);
const FIELDS = Object.freeze([
  Object.freeze(['contentType', CONTENT_TYPE] as const),
  Object.freeze(['responseTopic', RESPONSE_TOPIC] as const),
  Object.freeze(['correlationData', CORRELATION_DATA] as const),
  Object.freeze(['authenticationMethod', AUTHENTICATION_METHOD] as const),
  Object.freeze(['authenticationData', AUTHENTICATION_DATA] as const),
  Object.freeze(['reasonString', REASON_STRING] as const),
]);

function encode(kind: number, given: Given): EncodedProperties {
  const parts: Uint8Array[] = [];
  for (const [name, identifier] of NUMBERS) {
    const value = given[name];
    if (value === undefined) continue;
    between(name, value, 0, 0xffff_ffff);
    parts.push(filled(5, (part) => encodeUint32Property(part, 0, identifier, value)));
  }
  for (const [name, identifier] of FLAGS) {
    const value = given[name];
    if (value === undefined) continue;
    parts.push(filled(2, (part) => encodeByteProperty(part, 0, identifier, value ? 1 : 0)));
  }
  for (const [name, identifier] of FIELDS) {
    const value = given[name];
    if (value === undefined) continue;
    const field = fieldOf(name, value);
    parts.push(filled(3 + field.length,
      (part) => encodeFieldProperty(part, 0, identifier, field)));
  }
  const identifier = given.identifier;
  if (identifier !== undefined) {
    between('identifier', identifier, 1, VARINT_MAX);
    parts.push(filled(5, (part) =>
      encodeVarintProperty(part, 0, SUBSCRIPTION_IDENTIFIER, identifier)));
  }
  for (const [name, value] of given.userProperties ?? []) {
    const first = fieldOf('the name of a user property', name);
    const second = fieldOf(`the user property ${name}`, value);
    parts.push(filled(5 + first.length + second.length, (part) =>
      encodeField(part, encodeFieldProperty(part, 0, USER_PROPERTY, first), second)));
  }
  return new EncodedProperties(kind, joined(parts));
}

/** What `write`, which returns its end, writes into `byteCount` bytes at most. */
function filled(byteCount: number, write: (part: Uint8Array) => number): Uint8Array {
  const part = new Uint8Array(byteCount);
  return part.subarray(0, write(part));
}

function fieldOf(name: string, value: string | Uint8Array): Uint8Array {
  const field = typeof value === 'string' ? encodeText(value) : value;
  if (field.length > 0xffff) {
    throw new RangeError(`${name} has ${field.length} bytes: it must have at most 65535`);
  }
  return field;
}

function between(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(`${name} is ${value}: it must be a whole number, ${least} to ${most}`);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  let byteCount = 0;
  for (const part of parts) byteCount += part.length;
  const bytes = new Uint8Array(byteCount);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
