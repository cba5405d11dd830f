// The properties of a PUBLISH for `maisonnette sub` to print: all of them, in the order they came.

import { PUBLISH } from '../wire/codes.js';
import type { Packet } from '../wire/packet.js';
import {
  MESSAGE_EXPIRY_INTERVAL, nextProperty, PAYLOAD_FORMAT_INDICATOR, SUBSCRIPTION_IDENTIFIER,
  TOPIC_ALIAS, uint16At, uint32At, USER_PROPERTY, varintAt,
} from '../wire/properties.js';

export interface ReceivedProperty {
  readonly identifier: number;
  /** A number, or bytes as `latin1`; of a user property its value. */
  readonly value: number | string;
  /** Of a user property. */
  readonly key?: string;
}

const NONE: readonly ReceivedProperty[] = [];

/** Those of the PUBLISH in `packet`, whose bytes are `bytes`. */
export function receivedProperties(
  bytes: Uint8Array, packet: Packet,
): readonly ReceivedProperty[] {
  if (packet.type !== PUBLISH || !packet.hasProperties) return NONE;
  const properties: ReceivedProperty[] = [];
  const { propertiesStart, propertiesEnd } = packet;
  for (let at = propertiesStart; at < propertiesEnd; at = nextProperty(bytes, at)) {
    properties.push(propertyAt(bytes, at));
  }
  return properties;
}

function propertyAt(bytes: Uint8Array, start: number): ReceivedProperty {
  const identifier = bytes[start]!;
  const at = start + 1;
  switch (identifier) {
    case PAYLOAD_FORMAT_INDICATOR:
      return { identifier, value: bytes[at]! };
    case MESSAGE_EXPIRY_INTERVAL:
      return { identifier, value: uint32At(bytes, at) };
    case TOPIC_ALIAS:
      return { identifier, value: uint16At(bytes, at) };
    case SUBSCRIPTION_IDENTIFIER:
      return { identifier, value: varintAt(bytes, at, bytes.length) };
    case USER_PROPERTY:
      return {
        identifier, key: field(bytes, at), value: field(bytes, at + 2 + uint16At(bytes, at)),
      };
    default: // content type, response topic, correlation data
      return { identifier, value: field(bytes, at) };
  }
}

function field(bytes: Uint8Array, at: number): string {
  const start = at + 2;
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, uint16At(bytes, at))
    .toString('latin1');
}
