// What holds between a client and its broker in MQTT 5.0, and in no earlier version: what CONNECT
// asks for, what CONNACK allows, topic aliases, and the clock of messages that expire. A client
// that is to speak 5.0 has one. Called by client.ts, outgoing.ts, handle.ts.

import {
  CONNECT, DISCONNECT, IDENTIFIERS_NOT_SUPPORTED, OK, PROTOCOL_ERROR, QOS_NOT_SUPPORTED,
  RETAIN_NOT_SUPPORTED, SHARED_NOT_SUPPORTED, SUCCESS, TOO_LARGE, WILDCARDS_NOT_SUPPORTED,
} from '../wire/codes.js';
import {
  encodeUint16Property, encodeUint32Property, packetBytes, propertiesBytes, REASON_PACKET_BYTES,
} from '../wire/encode.js';
import type { Packet } from '../wire/packet.js';
import {
  AUTHENTICATION_METHOD, MAXIMUM_PACKET_SIZE, MAXIMUM_QOS, nextProperty, RECEIVE_MAXIMUM,
  RETAIN_AVAILABLE, SERVER_KEEP_ALIVE, SHARED_SUBSCRIPTION_AVAILABLE,
  SUBSCRIPTION_IDENTIFIERS_AVAILABLE, TOPIC_ALIAS_MAXIMUM, uint16At, uint32At,
  WILDCARD_SUBSCRIPTION_AVAILABLE,
} from '../wire/properties.js';
import { HASH, isShared, PLUS } from '../wire/topic.js';
import { EncodedProperties } from './encoded-properties.js';
import type { ClientLimits } from './limits.js';
import type { ClientOptions } from './options.js';

/** Receive maximum and maximum packet size come first, then the topic alias maximum. */
const ALIAS_MAXIMUM_AT = 3 + 5;
const OWN_BYTES = ALIAS_MAXIMUM_AT + 3;

export class Terms {
  /** Properties of CONNECT. */
  readonly connectProperties: Uint8Array;
  /** Of the enhanced authentication that CONNECT asks for; empty if it does not. */
  readonly method: Uint8Array;
  /** The application has begun it anew. */
  authenticating = false;
  private readonly ownPacketBytesMax: number;
  /** Aliases that the broker may give, as CONNECT says. */
  incomingAliasMax: number;
  /** The broker has accepted since the application connected: the session is to go on. */
  resumes = false;
  /** Since the first tick; what expires is measured by it. */
  clockMs = 0;
  /** What DISCONNECT is to say. */
  goodbyeReason = SUCCESS;
  goodbyeProperties: EncodedProperties | null = null;

  /**
   * What the broker has told, MQTT 5.0 section 3.2.2.3. Bytes of a packet, if ours may be as large,
   */
  packetBytesMax = 0;
  /** QoS 1 and 2 messages at once, */
  receiveMax = 0;
  /** the keep-alive that is to be kept, */
  keepAliveSeconds = 0;
  qosMax = 2;
  /** the aliases that it takes, as far as we have any, */
  aliasMax = 0;
  /** and of the rest the properties that say no. */
  private retain = true;
  private wildcards = true;
  private shared = true;
  private identifiers = true;

  /** Throws RangeError when `options.properties` say what follows from the limits. */
  constructor({ topicAliasMax, receiveMax, packetBytesMax }: ClientLimits, options: ClientOptions) {
    this.incomingAliasMax = topicAliasMax;
    this.ownPacketBytesMax = packetBytesMax;
    const given = options.properties?.bytes ?? new Uint8Array(0);
    const own = new Uint8Array(OWN_BYTES + given.length);
    let at = encodeUint16Property(own, 0, RECEIVE_MAXIMUM, receiveMax);
    at = encodeUint32Property(own, at, MAXIMUM_PACKET_SIZE, packetBytesMax);
    at = encodeUint16Property(own, at, TOPIC_ALIAS_MAXIMUM, topicAliasMax);
    own.set(given, at);
    this.connectProperties = new EncodedProperties(CONNECT, own).bytes;
    let method = 0;
    for (; at < own.length; at = nextProperty(own, at)) {
      if (own[at] === AUTHENTICATION_METHOD) method = at + 1;
    }
    this.method = method === 0 ? new Uint8Array(0) :
      own.slice(method + 2, method + 2 + uint16At(own, method));
    if (method === 0) return;
    if (options.authenticate === undefined) {
      throw new RangeError('an authentication method needs `authenticate`');
    }
    if (options.fallback === true) {
      throw new RangeError('an authentication method leaves nothing to fall back to');
    }
  }

  /** Asks for no aliases any more, from the next connection on. */
  giveUpAliases(): void {
    this.incomingAliasMax = 0;
    encodeUint16Property(this.connectProperties, ALIAS_MAXIMUM_AT, TOPIC_ALIAS_MAXIMUM, 0);
  }

  /** What DISCONNECT is to say; without its properties when it would be too large with them. */
  sayGoodbye(reasonCode: number, properties: EncodedProperties | null): void {
    this.goodbyeReason = reasonCode;
    this.goodbyeProperties = properties === null || properties.kind !== DISCONNECT ||
      packetBytes(1 + propertiesBytes(properties.bytes.length)) > this.packetBytesMax ?
      null :
      properties;
  }

  /** Notes what a CONNACK says that accepts. OK, or PROTOCOL_ERROR. */
  accepted(
    bytes: Uint8Array, { properties: places }: Packet, topicAliasMax: number,
    keepAliveSeconds: number,
  ): number {
    let at = places[MAXIMUM_PACKET_SIZE];
    this.packetBytesMax = at === 0 ? this.ownPacketBytesMax :
      Math.min(uint32At(bytes, at), this.ownPacketBytesMax);
    if (this.packetBytesMax < REASON_PACKET_BYTES) return PROTOCOL_ERROR; // no way to answer
    at = places[RECEIVE_MAXIMUM];
    this.receiveMax = at === 0 ? 0xffff : uint16At(bytes, at);
    at = places[SERVER_KEEP_ALIVE];
    // 5.0 [MQTT-3.2.2-21]
    this.keepAliveSeconds = at === 0 ? keepAliveSeconds : uint16At(bytes, at);
    at = places[TOPIC_ALIAS_MAXIMUM];
    this.aliasMax = at === 0 ? 0 : Math.min(uint16At(bytes, at), topicAliasMax);
    at = places[MAXIMUM_QOS];
    this.qosMax = at === 0 ? 2 : bytes[at];
    this.retain = isAvailable(bytes, places[RETAIN_AVAILABLE]);
    this.wildcards = isAvailable(bytes, places[WILDCARD_SUBSCRIPTION_AVAILABLE]);
    this.shared = isAvailable(bytes, places[SHARED_SUBSCRIPTION_AVAILABLE]);
    this.identifiers = isAvailable(bytes, places[SUBSCRIPTION_IDENTIFIERS_AVAILABLE]);
    this.resumes = true;
    return OK;
  }

  /**
   * Why the broker of this connection takes no PUBLISH of that size with those header flags, or OK
   * 5.0 [MQTT-3.2.2-11], [MQTT-3.2.2-14], [MQTT-3.2.2-15].
   */
  checkPublish(byteCount: number, flags: number): number {
    if (byteCount > this.packetBytesMax) return TOO_LARGE;
    if ((flags >> 1 & 3) > this.qosMax) return QOS_NOT_SUPPORTED;
    return (flags & 1) !== 0 && !this.retain ? RETAIN_NOT_SUPPORTED : OK;
  }

  /** The same for a filter, with or without an identifier. */
  checkSubscribe(bytes: Uint8Array, start: number, end: number, identified: boolean): number {
    if (identified && !this.identifiers) return IDENTIFIERS_NOT_SUPPORTED;
    if (!this.shared && isShared(bytes, start, end)) return SHARED_NOT_SUPPORTED;
    return this.wildcards || !hasWildcard(bytes, start, end) ? OK : WILDCARDS_NOT_SUPPORTED;
  }

  /** The clock in whole seconds, rounded up. */
  get nowSeconds(): number {
    return Math.ceil(this.clockMs / 1000);
  }
}

function isAvailable(bytes: Uint8Array, place: number): boolean {
  return place === 0 || bytes[place] !== 0;
}

function hasWildcard(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if (bytes[at] === PLUS || bytes[at] === HASH) return true;
  }
  return false;
}
