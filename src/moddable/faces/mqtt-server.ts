// The server of the SDK's `mqttserver` over our broker, for programs written for that one: `port`,
// `onMessage(topic, body)`, `publish(topic, body)`, `close()`. Called by such programs.
//
// What is as there: `onMessage` is told each message that a client publishes, and `publish` sends
// to all clients that subscribed to the topic, with QoS 0 and without telling `onMessage`.
//
// What is other: this is a broker. Messages of clients go to the clients that subscribed to them
// without the program's help: one that published again what it was told, as it had to there, drops
// that, or each message comes twice. Messages of QoS 1 and 2 wait for `onMessage`, those of QoS 0
// are dropped while more come in one turn than an outbox holds. Wills are told too, topics that
// begin with `$` are not. The application counts as a client in `$SYS`. What `onMessage` throws is
// traced, and the next message is told.

import { Broker } from '../../broker/broker.js';
import type { BrokerObserver, BrokerOptions } from '../../broker/options.js';
import { encodeText } from '../../client/text.js';
import { hostLimits, type Limits } from '../../limits.js';
import { ACCEPTED, OK } from '../../wire/codes.js';
import { TcpBroker, type BrokerIo } from '../tcp-broker.js';
import { LocalSubscriber } from './local-subscriber.js';
import { textOrBytes, type ByteBuffer } from './mqtt-client-419-options.js';
import { NextTurn } from './next-turn.js';

export interface MqttServerOptions extends BrokerIo {
  /** Default 1883; 0 is any free one. */
  port?: number;
  /** `this` is `target`, or the server. */
  onMessage?(topic: string, body: ArrayBuffer): void;
  target?: unknown;

  // Not of the SDK.

  /** For the clients on the network; the application's own place is added. As `serverLimits`. */
  limits?: Partial<Limits>;
  authenticate?: BrokerOptions['authenticate'];
  observer?: BrokerObserver;
}

/**
 * Limits of a server for eight clients and messages of 1 KiB, about 60 KB: what is not given
 * follows from what is, or is as for a small house. Throws RangeError as `checkLimits` does.
 */
export function serverLimits(given: Partial<Limits> = {}): Limits {
  const {
    clientsMax = 8, packetBytesMax = 1024 + 64, subscriptionsMax = 64, retainedMax = 32,
  } = given;
  const { sessionsMax = clientsMax, subscriptionNodesMax = 2 * subscriptionsMax } = given;
  return hostLimits({
    windowBytes: 1024,
    stagingBytes: 512,
    inboxBytes: packetBytesMax,
    outboxBytes: packetBytesMax,
    clientIdBytesMax: 64,
    topicLevelsMax: 8,
    retainedMax,
    retainedNodesMax: 2 * retainedMax,
    retainedBytes: 8 * packetBytesMax,
    messageBlockBytes: 64,
    queueBytes: 8 * packetBytesMax,
    queuedMax: 128,
    sessionQueuedMax: 32,
    sessionQueuedBytesMax: 4 * packetBytesMax,
    inflightMax: 16,
    receiveMax: 16,
    sysIntervalMs: 0,
    packetBytesMax,
    ...given,
    clientsMax: clientsMax + 1,
    connectionsMax: (given.connectionsMax ?? clientsMax) + 1,
    sessionsMax: sessionsMax + 1,
    subscriptionsMax: subscriptionsMax + 1,
    subscriptionNodesMax: subscriptionNodesMax + 1,
  });
}

export class MqttServer {
  readonly broker: Broker;
  readonly #options: MqttServerOptions;
  readonly #tcp: TcpBroker;
  readonly #local: LocalSubscriber;
  #closed = false;

  /** For classes that extend this one, instead of the option. */
  declare onMessage?: (topic: string, body: ArrayBuffer) => void;

  /**
   * Listens from now on. Throws RangeError, in one sentence, for limits that contradict each other,
   * and Error when the port cannot be used.
   */
  constructor(options: MqttServerOptions) {
    this.#options = options;
    const core: BrokerOptions = {
      random: () => Math.floor(Math.random() * 0x1_0000_0000),
      version: 'Maisonnette',
      // The application needs no password of its own, and connects before anybody can.
      authenticate: (bytes, packet) =>
        this.#local === undefined ? ACCEPTED : options.authenticate?.(bytes, packet) ?? ACCEPTED,
    };
    if (options.observer !== undefined) core.observer = options.observer;
    this.broker = new Broker(serverLimits(options.limits), core);
    const next = new NextTurn(options, () => this.#turn());
    this.#local = new LocalSubscriber(this.broker, () => next.soon());
    this.#tcp = new TcpBroker(this.broker, options, { port: options.port ?? 1883 });
  }

  /** The one in use. */
  get port(): number {
    return this.#tcp.port;
  }

  /**
   * To all clients that subscribed to it, but not to `onMessage`. Throws Error for what is no topic
   * name, and for more than `limits.packetBytesMax`.
   */
  publish(topic: string, body: string | ByteBuffer): void {
    if (this.#closed) throw new Error('closed');
    const payload = textOrBytes(body);
    const outcome = this.#local.publish(
      encodeText(topic), typeof payload === 'string' ? encodeText(payload) : payload);
    if (outcome !== OK) throw new Error(`"${topic}" is not published: ${outcome}`);
    this.#tcp.flushSoon();
  }

  /** Publishes the wills, ends every connection. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#tcp.close();
  }

  #turn(): void {
    this.#local.drain((topic, body) => this.#told(topic, body));
    this.#tcp.flushSoon(); // what was acknowledged, or published meanwhile
  }

  #told(topic: string, body: ArrayBuffer): void {
    const { onMessage = this.onMessage, target = this } = this.#options;
    try {
      onMessage?.call(target as never, topic, body);
    } catch (error) {
      this.#options.trace(`maisonnette: onMessage: ${error}\n`);
    }
  }
}
