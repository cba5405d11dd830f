// The client for applications: strings, and callbacks in the words of ECMA-419 and MQTT, over the
// core, which knows bytes. A platform extends it with what opens links and lets time pass.
//
// Properties of MQTT 5.0 are given by name, or encoded before (properties.ts), which allocates less
// when the same ones are sent often. In an earlier version they are left out.

import type { Link } from '../link.js';
import {
  DISCONNECT_WITH_WILL, LEVEL_3_1_1, NO_LOCAL, OK, PROTOCOL_ERROR, RETAIN_AS_PUBLISHED,
  RETAIN_HANDLING_SHIFT, SUCCESS,
} from '../wire/codes.js';
import { uint16At } from '../wire/properties.js';
import { Client } from './client.js';
import { connectPacketBytes } from './connect.js';
import { EncodedProperties } from './encoded-properties.js';
import { IncomingPacket, type MessageInfo } from './incoming.js';
import { clientLimits, type ClientLimits } from './limits.js';
import type { ClientObserver, ClientOptions, Will } from './options.js';
import {
  connectProperties, disconnectProperties, publishProperties, subscribeProperties,
  unsubscribeProperties, willProperties, type ConnectProperties, type DisconnectProperties,
  type PublishProperties, type SubscribeProperties, type UserProperties, type WillProperties,
} from './properties.js';
import { HEADER_BYTES } from './save.js';
import { decodeText, encodeText } from './text.js';

export type { MessageInfo } from './incoming.js';

export interface WillOptions {
  topic: string;
  message: string | Uint8Array;
  /** 0 (default), 1 or 2. */
  QoS?: number;
  retain?: boolean;
  properties?: WillProperties;
}

export interface PublishOptions {
  /** 0 (default), 1 or 2. */
  QoS?: number;
  retain?: boolean;
  properties?: PublishProperties | EncodedProperties;
}

/** All but the QoS is MQTT 5.0, section 3.8.3.1. */
export interface SubscribeOptions extends SubscribeProperties {
  /** 0 (default), 1 or 2. */
  QoS?: number;
  /** Whether messages of this client are left out; default false. */
  noLocal?: boolean;
  /** Whether RETAIN comes as it was published; default false: it tells old messages from new. */
  retainAsPublished?: boolean;
  /** Retained messages come with each SUBSCRIBE (0, default), with a new one (1), never (2). */
  retainHandling?: number;
}

export interface CloseOptions {
  /** Whether the broker publishes the will all the same; default false. */
  withWill?: boolean;
  properties?: DisconnectProperties;
}

export interface MqttClientOptions {
  /**
   * Client identifier; default empty: the broker chooses one, which before MQTT 5.0 needs a clean
   * session. The one that it has chosen is kept for the connections that follow.
   */
  id?: string;
  user?: string;
  password?: string | Uint8Array;
  /**
   * Clean session; default true. In MQTT 5.0 clean start, for the first connection: those that
   * follow by themselves resume the session, as long as it lasts. That is as long as
   * `properties.sessionExpirySeconds` says, and not at all without it.
   */
  clean?: boolean;
  /** Milliseconds, whole seconds of them; 0 is none; default 60,000. */
  keepAlive?: number;
  will?: WillOptions;
  /** 4 (default) is MQTT 3.1.1, 5 is MQTT 5.0, 3 is MQTT 3.1. */
  protocolLevel?: number;
  /** Level 5: whether it goes on in MQTT 3.1.1 with a broker that knows no other; default false. */
  fallback?: boolean;
  /**
   * Level 5. Receive maximum, maximum packet size and topic alias maximum are not among them: those
   * follow from the limits.
   */
  properties?: ConnectProperties;
  /**
   * Level 5, with an authentication method: what the broker's data are to be answered with. The
   * reason code is CONTINUE_AUTHENTICATION, or SUCCESS for its last data, of which the answer is
   * not sent. Null ends the connection.
   */
  authenticate?(data: Uint8Array, reasonCode: number): string | Uint8Array | null;
  /** Whether QoS 0 messages are kept, too, while they cannot be sent; default false. */
  queueQoS0?: boolean;
  /** What is not given is as `clientLimits` says. */
  limits?: Partial<ClientLimits>;

  onConnected?(sessionPresent: boolean): void;
  /** CONNACK 1 to 5, in MQTT 5.0 0x80 or more. It goes on trying, unless `close` is called. */
  onRefused?(reasonCode: number): void;
  /**
   * A connection is lost, or an attempt failed; it tries again. `reason` is one of states.ts, 0x80
   * or more when it is the broker's own word for it (MQTT 5.0), or what the broker did wrong
   * (codes.ts); `error` the system's, if it had one.
   */
  onDisconnected?(reason: number, error: Error | undefined): void;
  /**
   * A message has come. `payload` and `info` are valid during the call only: copy what is to stay.
   * False leaves the message unacknowledged and stops reading until `resume`.
   */
  onMessage?(topic: string, payload: Uint8Array, info: MessageInfo): void | false;
  /** The broker has answered: the granted QoS, or 0x80 or more. */
  onSubscribed?(filter: string, reasonCode: number): void;
  onUnsubscribed?(filter: string, reasonCode: number): void;
  /**
   * The broker has the message: QoS 1 by PUBACK, QoS 2 by PUBCOMP. `reasonCode` is 0, or 0x10 when
   * it has told that nobody has subscribed.
   */
  onDelivered?(handle: number, reasonCode: number): void;
  /**
   * The message is gone: as `ClientObserver.dropped`.
   */
  onDropped?(handle: number, reason: number): void;
  /** `close` is done; `complete` if all that was on its way has left, and DISCONNECT behind it. */
  onClosed?(complete: boolean): void;
}

/** What the platform adds. */
export interface Platform {
  open: () => Link;
  random: () => number;
  wake: () => void;
}

export class MqttClient {
  readonly core: Client;
  /** The packet that a callback is told of, in MQTT 5.0 with its properties; valid during it. */
  readonly incoming: IncomingPacket;
  /** What the system said of the link that is lost; set by the platform before it says so. */
  linkError: Error | undefined;

  /** Throws RangeError, in one sentence, for options and limits that no client can have. */
  constructor(options: MqttClientOptions, platform: Platform) {
    const { user, password, will, keepAlive = 60_000 } = options;
    const core: ClientOptions = {
      ...platform,
      protocolLevel: options.protocolLevel ?? LEVEL_3_1_1,
      clientId: encodeText(options.id ?? ''),
      cleanSession: options.clean ?? true,
      keepAliveSeconds: keepAlive / 1000,
      queueQos0: options.queueQoS0 ?? false,
      observer: this.observer(options),
    };
    if (user !== undefined) core.userName = encodeText(user);
    if (password !== undefined) core.password = bytesOf(password);
    if (will !== undefined) core.will = willOf(will);
    if (options.fallback !== undefined) core.fallback = options.fallback;
    if (options.properties !== undefined) core.properties = connectProperties(options.properties);
    if (options.authenticate !== undefined) {
      core.authenticate = (bytes, start, end, reasonCode) => {
        const answer = options.authenticate!(bytes.slice(start, end), reasonCode);
        return answer === null ? null : bytesOf(answer);
      };
    }
    this.core = new Client(clientLimits(options.limits), core);
    this.incoming = new IncomingPacket(this.core);
  }

  private observer(options: MqttClientOptions): ClientObserver {
    return {
      connected: (sessionPresent) => {
        this.keepClientId();
        options.onConnected?.(sessionPresent);
      },
      refused: (reasonCode) => options.onRefused?.(reasonCode),
      ended: (reason) => {
        const error = this.linkError;
        this.linkError = undefined;
        options.onDisconnected?.(reason, error);
      },
      closed: (complete) => options.onClosed?.(complete),
      message: (bytes, { topicStart, topicEnd, payloadStart, payloadEnd }) => {
        if (options.onMessage === undefined) return true;
        const topic = decodeText(bytes, topicStart, topicEnd);
        const payload = bytes.subarray(payloadStart, payloadEnd);
        return options.onMessage(topic, payload, this.incoming) !== false;
      },
      subscribed: (bytes, start, end, reasonCode) =>
        options.onSubscribed?.(decodeText(bytes, start, end), reasonCode),
      unsubscribed: (bytes, start, end, reasonCode) =>
        options.onUnsubscribed?.(decodeText(bytes, start, end), reasonCode),
      delivered: (handle, reasonCode) => options.onDelivered?.(handle, reasonCode),
      dropped: (handle, reason) => options.onDropped?.(handle, reason),
    };
  }

  /** The identifier that the broker has chosen is ours from now on, if CONNECT has room for it. */
  private keepClientId(): void {
    const { options, limits } = this.core;
    if (options.clientId.length > 0) return;
    options.clientId = encodeText(this.incoming.assignedClientId ?? '');
    if (connectPacketBytes(this.core) > limits.packetBytesMax) options.clientId = encodeText('');
  }

  /** The version in use: that of the options, or 4 after falling back. */
  get protocolLevel(): number {
    return this.core.protocolLevel;
  }

  /** One of states.ts. */
  get state(): number {
    return this.core.state;
  }

  /** Messages that wait for the broker or its acknowledgement. */
  get waitingCount(): number {
    return this.core.waitingCount;
  }

  /** Begins; from then on the client reconnects by itself. Idempotent. */
  connect(): void {
    this.core.connect();
  }

  /** As `Client.publish`, with QoS 0 and not retained by default. */
  publish(
    topic: string, message: string | Uint8Array,
    { QoS = 0, retain = false, properties }: PublishOptions = {},
  ): number {
    const encoded = properties === undefined || properties instanceof EncodedProperties ?
      properties ?? null :
      publishProperties(properties);
    return this.core.publish(encodeText(topic), bytesOf(message), QoS, retain, encoded);
  }

  /** The same for bytes: allocates nothing. */
  publishBytes(
    topic: Uint8Array, payload: Uint8Array, qos: number, retain: boolean,
    properties: EncodedProperties | null = null,
  ): number {
    return this.core.publish(topic, payload, qos, retain, properties);
  }

  /** As `subscribe` of subscribe.ts, with QoS 0 by default. */
  subscribe(filter: string, given: SubscribeOptions = {}): number {
    const { QoS = 0, noLocal, retainAsPublished, retainHandling = 0 } = given;
    const { identifier, userProperties } = given;
    const options = QoS | (noLocal ? NO_LOCAL : 0) | (retainAsPublished ? RETAIN_AS_PUBLISHED : 0) |
      retainHandling << RETAIN_HANDLING_SHIFT;
    if (QoS > 2 || retainHandling > 2) return PROTOCOL_ERROR;
    const isPlain = identifier === undefined && userProperties === undefined;
    return this.core.subscribe(
      encodeText(filter), options, isPlain ? null : subscribeProperties(given));
  }

  /** As `Client.unsubscribe`. */
  unsubscribe(filter: string, given?: UserProperties): number {
    return this.core.unsubscribe(
      encodeText(filter), given === undefined ? null : unsubscribeProperties(given));
  }

  /** As `Client.reauthenticate`. */
  reauthenticate(data: string | Uint8Array): number {
    return this.core.reauthenticate(bytesOf(data));
  }

  /** As `Client.savedBytes`, `save` and `restore`. */
  get savedBytes(): number {
    return this.core.savedBytes;
  }

  save(target: Uint8Array): number {
    return this.core.save(target);
  }

  /** A client without an identifier takes the one over that the broker had assigned. */
  restore(source: Uint8Array): number {
    const { options } = this.core;
    const given = options.clientId;
    if (given.length === 0 && source.length > HEADER_BYTES + 2) {
      const start = HEADER_BYTES + 2;
      options.clientId = source.slice(start, start + uint16At(source, HEADER_BYTES));
    }
    const outcome = this.core.restore(source);
    if (outcome !== OK) options.clientId = given;
    return outcome;
  }

  /** Takes up reading after `onMessage` returned false. */
  resume(): void {
    this.core.resume();
  }

  /**
   * Ends with DISCONNECT; `onClosed` tells when it is done. What was not acknowledged stays kept.
   * Idempotent. Throws RangeError for properties that DISCONNECT cannot carry.
   */
  close({ withWill = false, properties }: CloseOptions = {}): void {
    this.core.disconnect(withWill ? DISCONNECT_WITH_WILL : SUCCESS,
      properties === undefined ? null : disconnectProperties(properties));
  }
}

function bytesOf(message: string | Uint8Array): Uint8Array {
  return typeof message === 'string' ? encodeText(message) : message;
}

function willOf({ topic, message, QoS = 0, retain = false, properties }: WillOptions): Will {
  const will: Will = { topic: encodeText(topic), payload: bytesOf(message), qos: QoS, retain };
  if (properties !== undefined) will.properties = willProperties(properties);
  return will;
}
