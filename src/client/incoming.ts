// The packet that a callback is told of, for applications: one reused object whose getters read the
// bytes when they are asked. Made by mqtt-client.ts; valid during the callback only. What is text,
// bytes or a list is made anew by each read.

import { PUBLISH } from '../wire/codes.js';
import {
  ASSIGNED_CLIENT_IDENTIFIER, AUTHENTICATION_DATA, AUTHENTICATION_METHOD, CONTENT_TYPE,
  CORRELATION_DATA, MAXIMUM_PACKET_SIZE, MAXIMUM_QOS, MESSAGE_EXPIRY_INTERVAL, nextProperty,
  PAYLOAD_FORMAT_INDICATOR, REASON_STRING, RECEIVE_MAXIMUM, RESPONSE_INFORMATION, RESPONSE_TOPIC,
  RETAIN_AVAILABLE, SERVER_KEEP_ALIVE, SERVER_REFERENCE, SESSION_EXPIRY_INTERVAL,
  SHARED_SUBSCRIPTION_AVAILABLE, SUBSCRIPTION_IDENTIFIER, SUBSCRIPTION_IDENTIFIERS_AVAILABLE,
  TOPIC_ALIAS_MAXIMUM, uint16At, uint32At, USER_PROPERTY, varintAt,
  WILDCARD_SUBSCRIPTION_AVAILABLE,
} from '../wire/properties.js';
import type { Client } from './client.js';
import { decodeText } from './text.js';

/** What a message says beside topic and payload; before MQTT 5.0 no more than the first three. */
export interface MessageInfo {
  readonly QoS: number;
  readonly retain: boolean;
  /** The broker may have sent it before. */
  readonly duplicate: boolean;
  /** The payload is UTF-8. */
  readonly payloadIsText: boolean | undefined;
  /** Seconds that it is still of use. */
  readonly messageExpirySeconds: number | undefined;
  readonly contentType: string | undefined;
  readonly responseTopic: string | undefined;
  readonly correlationData: Uint8Array | undefined;
  /** Of the subscriptions of ours that it matches. */
  readonly subscriptionIdentifiers: readonly number[];
  /** Names and values, in their order. */
  readonly userProperties: readonly (readonly [name: string, value: string])[];
}

/** Whatever a packet of the broker has; what it has not is undefined. */
export class IncomingPacket implements MessageInfo {
  private readonly core: Client;

  constructor(core: Client) {
    this.core = core;
  }

  /** PUBLISH. */
  get QoS(): number {
    return this.core.packet.qos;
  }

  get retain(): boolean {
    return this.core.packet.retain;
  }

  get duplicate(): boolean {
    return this.core.packet.duplicate;
  }

  get payloadIsText(): boolean | undefined {
    return this.flag(PAYLOAD_FORMAT_INDICATOR);
  }

  get messageExpirySeconds(): number | undefined {
    return this.uint32(MESSAGE_EXPIRY_INTERVAL);
  }

  get contentType(): string | undefined {
    return this.text(CONTENT_TYPE);
  }

  get responseTopic(): string | undefined {
    return this.text(RESPONSE_TOPIC);
  }

  get correlationData(): Uint8Array | undefined {
    return this.data(CORRELATION_DATA);
  }

  get subscriptionIdentifiers(): number[] {
    const { bytes, packet } = this.core;
    const found: number[] = [];
    if (this.place(SUBSCRIPTION_IDENTIFIER) === 0) return found;
    const end = packet.propertiesEnd;
    for (let at = packet.propertiesStart; at < end; at = nextProperty(bytes, at)) {
      if (bytes[at] === SUBSCRIPTION_IDENTIFIER) found.push(varintAt(bytes, at + 1, end));
    }
    return found;
  }

  /** Every packet. */
  get userProperties(): [name: string, value: string][] {
    const { bytes, packet } = this.core;
    const found: [string, string][] = [];
    if (this.place(USER_PROPERTY) === 0) return found;
    const end = packet.propertiesEnd;
    for (let at = packet.propertiesStart; at < end; at = nextProperty(bytes, at)) {
      if (bytes[at] !== USER_PROPERTY) continue;
      const valueAt = at + 3 + uint16At(bytes, at + 1);
      found.push([this.textAt(at + 1), this.textAt(valueAt)]);
    }
    return found;
  }

  /** CONNACK, DISCONNECT and the acknowledgements. */
  get reasonCode(): number {
    return this.core.packet.reasonCode;
  }

  get reasonString(): string | undefined {
    return this.text(REASON_STRING);
  }

  /** CONNACK and DISCONNECT: another broker to go to. */
  get serverReference(): string | undefined {
    return this.text(SERVER_REFERENCE);
  }

  /** CONNACK: in place of what CONNECT asked for. */
  get sessionExpirySeconds(): number | undefined {
    return this.uint32(SESSION_EXPIRY_INTERVAL);
  }

  get assignedClientId(): string | undefined {
    return this.text(ASSIGNED_CLIENT_IDENTIFIER);
  }

  get serverKeepAliveSeconds(): number | undefined {
    return this.uint16(SERVER_KEEP_ALIVE);
  }

  get responseInformation(): string | undefined {
    return this.text(RESPONSE_INFORMATION);
  }

  get authenticationMethod(): string | undefined {
    return this.text(AUTHENTICATION_METHOD);
  }

  get authenticationData(): Uint8Array | undefined {
    return this.data(AUTHENTICATION_DATA);
  }

  get receiveMaximum(): number | undefined {
    return this.uint16(RECEIVE_MAXIMUM);
  }

  get topicAliasMaximum(): number | undefined {
    return this.uint16(TOPIC_ALIAS_MAXIMUM);
  }

  /** Bytes. */
  get maximumPacketSize(): number | undefined {
    return this.uint32(MAXIMUM_PACKET_SIZE);
  }

  get maximumQoS(): number | undefined {
    const at = this.place(MAXIMUM_QOS);
    return at === 0 ? undefined : this.core.bytes[at];
  }

  get retainAvailable(): boolean | undefined {
    return this.flag(RETAIN_AVAILABLE);
  }

  get wildcardSubscriptionAvailable(): boolean | undefined {
    return this.flag(WILDCARD_SUBSCRIPTION_AVAILABLE);
  }

  get subscriptionIdentifiersAvailable(): boolean | undefined {
    return this.flag(SUBSCRIPTION_IDENTIFIERS_AVAILABLE);
  }

  get sharedSubscriptionAvailable(): boolean | undefined {
    return this.flag(SHARED_SUBSCRIPTION_AVAILABLE);
  }

  /** Offset of the value, or 0; CONNACK of 3.1.1 leaves none of an earlier connection. */
  private place(identifier: number): number {
    const { packet } = this.core;
    const hasSome = packet.type === PUBLISH ?
      packet.hasProperties :
      packet.propertiesStart < packet.propertiesEnd;
    return hasSome ? packet.properties[identifier] : 0;
  }

  private flag(identifier: number): boolean | undefined {
    const at = this.place(identifier);
    return at === 0 ? undefined : this.core.bytes[at] !== 0;
  }

  private uint16(identifier: number): number | undefined {
    const at = this.place(identifier);
    return at === 0 ? undefined : uint16At(this.core.bytes, at);
  }

  private uint32(identifier: number): number | undefined {
    const at = this.place(identifier);
    return at === 0 ? undefined : uint32At(this.core.bytes, at);
  }

  private text(identifier: number): string | undefined {
    const at = this.place(identifier);
    return at === 0 ? undefined : this.textAt(at);
  }

  private textAt(at: number): string {
    const bytes = this.core.bytes;
    return decodeText(bytes, at + 2, at + 2 + uint16At(bytes, at));
  }

  private data(identifier: number): Uint8Array | undefined {
    const at = this.place(identifier);
    const bytes = this.core.bytes;
    return at === 0 ? undefined : bytes.slice(at + 2, at + 2 + uint16At(bytes, at));
  }
}
