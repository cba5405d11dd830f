// The client for applications: strings, and callbacks in the words of ECMA-419 and MQTT, over the
// core, which knows bytes. A platform extends it with what opens links and lets time pass.

import type { Link } from '../link.js';
import type { Packet } from '../wire/packet.js';
import { LEVEL_3_1_1 } from '../wire/codes.js';
import { Client } from './client.js';
import { clientLimits, type ClientLimits } from './limits.js';
import type { ClientObserver, ClientOptions, Will } from './options.js';
import { decodeText, encodeText } from './text.js';

export interface WillOptions {
  topic: string;
  message: string | Uint8Array;
  /** 0 (default), 1 or 2. */
  QoS?: number;
  retain?: boolean;
}

export interface MessageInfo {
  QoS: number;
  retain: boolean;
  /** The broker may have sent it before. */
  duplicate: boolean;
}

export interface MqttClientOptions {
  /** Client identifier; default empty: the broker chooses one, which needs a clean session. */
  id?: string;
  user?: string;
  password?: string | Uint8Array;
  /** Clean session; default true. */
  clean?: boolean;
  /** Milliseconds, whole seconds of them; 0 is none; default 60,000. */
  keepAlive?: number;
  will?: WillOptions;
  /** 4 (default) is MQTT 3.1.1, 3 is MQTT 3.1. */
  protocolLevel?: number;
  /** Whether QoS 0 messages are kept, too, while they cannot be sent; default false. */
  queueQoS0?: boolean;
  /** What is not given is as `clientLimits` says. */
  limits?: Partial<ClientLimits>;

  onConnected?(sessionPresent: boolean): void;
  /** CONNACK 1 to 5. It goes on trying, unless `close` is called. */
  onRefused?(returnCode: number): void;
  /**
   * A connection is lost, or an attempt failed; it tries again. `reason` is one of states.ts, or
   * what the broker did wrong (codes.ts); `error` the system's own word for it, if it had one.
   */
  onDisconnected?(reason: number, error: Error | undefined): void;
  /**
   * A message has come. `payload` is valid during the call only: copy what is to stay. False leaves
   * the message unacknowledged and stops reading until `resume`.
   */
  onMessage?(topic: string, payload: Uint8Array, info: MessageInfo): void | false;
  /** The broker has answered: the granted QoS, or 0x80. */
  onSubscribed?(filter: string, returnCode: number): void;
  onUnsubscribed?(filter: string): void;
  /** The broker has the message: QoS 1 by PUBACK, QoS 2 by PUBCOMP. */
  onDelivered?(handle: number): void;
  /** The message was dropped for a newer one: the queue is full. Must not call the client. */
  onDropped?(handle: number): void;
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
      observer: this.#observer(options),
    };
    if (user !== undefined) core.userName = encodeText(user);
    if (password !== undefined) core.password = bytesOf(password);
    if (will !== undefined) core.will = willOf(will);
    this.core = new Client(clientLimits(options.limits), core);
  }

  #observer(options: MqttClientOptions): ClientObserver {
    return {
      connected: (sessionPresent) => options.onConnected?.(sessionPresent),
      refused: (returnCode) => options.onRefused?.(returnCode),
      ended: (reason) => {
        const error = this.linkError;
        this.linkError = undefined;
        options.onDisconnected?.(reason, error);
      },
      closed: (complete) => options.onClosed?.(complete),
      message: (bytes, packet) => isTaken(options, bytes, packet),
      subscribed: (bytes, start, end, returnCode) =>
        options.onSubscribed?.(decodeText(bytes, start, end), returnCode),
      unsubscribed: (bytes, start, end) => options.onUnsubscribed?.(decodeText(bytes, start, end)),
      delivered: (handle) => options.onDelivered?.(handle),
      dropped: (handle) => options.onDropped?.(handle),
    };
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
    { QoS = 0, retain = false }: { QoS?: number; retain?: boolean } = {},
  ): number {
    return this.core.publish(encodeText(topic), bytesOf(message), QoS, retain);
  }

  /** The same for bytes: allocates nothing. */
  publishBytes(topic: Uint8Array, payload: Uint8Array, qos: number, retain: boolean): number {
    return this.core.publish(topic, payload, qos, retain);
  }

  /** As `Client.subscribe`, with QoS 0 by default. */
  subscribe(filter: string, { QoS = 0 }: { QoS?: number } = {}): number {
    return this.core.subscribe(encodeText(filter), QoS);
  }

  /** As `Client.unsubscribe`. */
  unsubscribe(filter: string): number {
    return this.core.unsubscribe(encodeText(filter));
  }

  /** As `Client.savedBytes`, `save` and `restore`. */
  get savedBytes(): number {
    return this.core.savedBytes;
  }

  save(target: Uint8Array): number {
    return this.core.save(target);
  }

  restore(source: Uint8Array): number {
    return this.core.restore(source);
  }

  /** Takes up reading after `onMessage` returned false. */
  resume(): void {
    this.core.resume();
  }

  /**
   * Ends with DISCONNECT; `onClosed` tells when it is done. What was not acknowledged stays kept.
   * Idempotent.
   */
  close(): void {
    this.core.disconnect();
  }
}

function bytesOf(message: string | Uint8Array): Uint8Array {
  return typeof message === 'string' ? encodeText(message) : message;
}

function willOf({ topic, message, QoS = 0, retain = false }: WillOptions): Will {
  return { topic: encodeText(topic), payload: bytesOf(message), qos: QoS, retain };
}

function isTaken(options: MqttClientOptions, bytes: Uint8Array, packet: Packet): boolean {
  if (options.onMessage === undefined) return true;
  const { topicStart, topicEnd, payloadStart, payloadEnd, qos, retain, duplicate } = packet;
  const topic = decodeText(bytes, topicStart, topicEnd);
  const payload = bytes.subarray(payloadStart, payloadEnd);
  return options.onMessage(topic, payload, { QoS: qos, retain, duplicate }) !== false;
}
