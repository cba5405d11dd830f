// The hub, a room's broker on a board: broker, network, announcement, what the board tells of
// itself under `$SYS`, and a DHT22 of its own if it has one. Made by hub-main.ts, which brings the
// SDK's classes, and by tests with fakes.
//
// Invariant: whatever the network does, the broker stays as it is, with its sessions and retained
// messages. It listens from the first time the network is up; connections that a lost network
// took with it end by their keep-alive.

import { Broker } from '../broker/broker.js';
import { encodeText } from '../client/text.js';
import type { MqttClient } from '../client/mqtt-client.js';
import type { Limits } from '../limits.js';
import { SensorNode, type NodeClientOptions } from '../room/sensor-node.js';
import { DHT22, type DHT22Sensor } from '../sensor/dht22.js';
import { TcpBroker, type BrokerIo } from './tcp-broker.js';
import { Ticker } from './ticker.js';

/** What the hub asks of its network; network/network.ts is one. */
export interface ProgramNetwork {
  start(): void;
  close(): void;
  /** Signal strength; undefined while there is none. */
  readonly signalDbm: number | undefined;
  /** How often it came up. */
  readonly joinCount: number;
}

/** What a network tells; each may come many times, by turns. */
export interface NetworkUser {
  /** `address` as numbers. */
  onUp(address: string): void;
  onDown(): void;
}

/** What a board knows of itself: -1, or 'unknown', for what it does not. */
export interface BoardFigures {
  readonly freeMemoryBytes: number;
  readonly slotBytes: number;
  readonly chunkBytes: number;
  readonly resetReason: string;
}

export interface HubOptions extends BrokerIo {
  /** With `stagingBytes`; room for the topics of the board is added where `$SYS` is retained. */
  limits: Limits;
  /** Default 1883. */
  port?: number;
  /** Random integer, 0 to 2³²-1. */
  random(): number;
  /** Name and version, for `$SYS/broker/version`. */
  version: string;
  network: (user: NetworkUser) => ProgramNetwork;
  /** Tells the network where the broker is, until `close`. */
  announce?: (address: string, port: number) => { close(): void };
  board: BoardFigures;
  /** A sensor on this board, and its room. */
  local?: { piece: string; sensor: DHT22Sensor };
}

const BOARD_TOPICS_MAX = 6;
const BOARD_NODES_MAX = 9;
const BOARD_MESSAGE_BYTES = 64;
/** Where the broker publishes no `$SYS`, what the board tells is told so often, not retained. */
const FIGURES_MS = 10_000;
/** A port that cannot be listened on is tried again after this. */
const LISTEN_AGAIN_MS = 10_000;

export class Hub {
  readonly broker: Broker;
  readonly network: ProgramNetwork;
  /** The sensor of this board; undefined if it has none, or its options cannot be. */
  readonly local: SensorNode | undefined;
  readonly #options: HubOptions;
  readonly #ticker: Ticker;
  readonly #figures: readonly Figure[];
  #nowMs = 0;
  #figuresAtMs = 0;
  #tcp: TcpBroker | undefined;
  /** Where the network is up, and '' while it is not. */
  #address = '';
  #listenAtMs = Infinity;
  #announcement: { close(): void } | undefined;

  /** Throws RangeError for limits that contradict each other. Nothing runs until `start`. */
  constructor(options: HubOptions) {
    const { limits, random, version, board } = options;
    this.#options = options;
    this.broker = new Broker(withBoardTopics(limits), { random, version });
    this.network = options.network({
      onUp: (address) => this.#up(address),
      onDown: () => this.#down(),
    });
    this.#figures = [
      new Figure('heap/free', () => told(board.freeMemoryBytes)),
      new Figure('heap/slots', () => told(board.slotBytes)),
      new Figure('heap/chunks', () => told(board.chunkBytes)),
      new Figure('network/signal', () => told(this.network.signalDbm)),
      new Figure('network/joins', () => told(this.network.joinCount)),
      new Figure('reset', () => board.resetReason),
    ];
    this.#ticker = new Ticker(options, (nowMs) => this.#turn(nowMs));
    this.local = this.#localNode();
  }

  start(): void {
    this.#ticker.start();
    this.network.start();
  }

  /** The port listened on; undefined before the network was up. */
  get port(): number | undefined {
    return this.#tcp?.port;
  }

  /** Ends everything; `finished` is called when the last socket is closed. For tests. */
  close(finished: () => void = () => {}): void {
    this.#ticker.stop();
    this.local?.close();
    this.#down();
    this.network.close();
    if (this.#tcp === undefined) finished();
    else this.#tcp.close(finished);
  }

  #up(address: string): void {
    this.#address = address;
    this.#figuresAtMs = this.#nowMs; // they have changed
    if (this.#tcp === undefined) this.#listen();
    if (this.#tcp !== undefined) this.#announce(this.#tcp.port);
  }

  #down(): void {
    this.#address = '';
    const announcement = this.#announcement;
    this.#announcement = undefined;
    this.#guarded('announcement', () => announcement?.close());
  }

  #listen(): void {
    this.#listenAtMs = Infinity;
    try {
      const { port = 1883 } = this.#options;
      this.#tcp = new TcpBroker(this.broker, this.#options, { port });
      this.#trace(`listening on ${this.#address}, port ${this.#tcp.port}`);
    } catch (error) {
      this.#trace(`${error}; trying again in ${LISTEN_AGAIN_MS / 1000} seconds`);
      this.#listenAtMs = this.#nowMs + LISTEN_AGAIN_MS;
    }
  }

  #announce(port: number): void {
    const { announce } = this.#options;
    if (announce === undefined || this.#announcement !== undefined) return;
    this.#guarded('announcement', () => {
      this.#announcement = announce(this.#address, port);
    });
  }

  #turn(nowMs: number): void {
    this.#nowMs = nowMs;
    if (nowMs >= this.#listenAtMs && this.#address !== '') this.#up(this.#address);
    this.#guarded('sensor', () => this.local?.tick(nowMs));
    if (nowMs >= this.#figuresAtMs) {
      this.#figuresAtMs = nowMs + (this.broker.limits.sysIntervalMs || FIGURES_MS);
      this.#guarded('figures', () => this.#publishFigures());
    }
    this.#tcp?.flushSoon();
  }

  #publishFigures(): void {
    const retain = this.broker.limits.sysIntervalMs > 0;
    for (const figure of this.#figures) {
      const payload = figure.payload(retain);
      if (payload !== undefined) this.broker.publish(figure.topic, payload, 0, retain);
    }
  }

  #localNode(): SensorNode | undefined {
    const { local } = this.#options;
    if (local === undefined) return undefined;
    try {
      return new SensorNode({
        piece: local.piece,
        sensor: new DHT22({ sensor: local.sensor, now: () => this.#nowMs }),
        client: (own) => new LocalClient(own, this.broker) as unknown as MqttClient,
      });
    } catch (error) {
      this.#trace(`no sensor on this board: ${error}`);
      return undefined;
    }
  }

  /** An exception that left a callback would restart the board. */
  #guarded(what: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#trace(`${what}: ${error}`);
    }
  }

  #trace(text: string): void {
    this.#options.trace(`maisonnette: ${text}\n`);
  }
}

/** What a SensorNode asks of its client, straight into the broker: nothing waits or gets lost. */
class LocalClient {
  readonly #own: NodeClientOptions;
  readonly #broker: Broker;

  constructor(own: NodeClientOptions, broker: Broker) {
    this.#own = own;
    this.#broker = broker;
  }

  connect(): void {
    this.#own.onConnected(false);
  }

  publishBytes(topic: Uint8Array, payload: Uint8Array, qos: number, retain: boolean): number {
    return this.#broker.publish(topic, payload, qos, retain);
  }

  close(): void {
    this.#own.onClosed(true);
  }
}

/** A topic under `$SYS/broker`, and what was told there last. */
class Figure {
  readonly topic: Uint8Array;
  readonly #value: () => string;
  #last = '';

  constructor(name: string, value: () => string) {
    this.topic = encodeText(`$SYS/broker/${name}`);
    this.#value = value;
  }

  /** What there is to tell; undefined for nothing, or, when it is retained, nothing new. */
  payload(retained: boolean): Uint8Array | undefined {
    const value = this.#value();
    if (retained && value === this.#last) return undefined;
    this.#last = value;
    return value === '' && !retained ? undefined : encodeText(value);
  }
}

/** '' for what is not known. As a retained message that removes what was told before. */
function told(value: number | undefined): string {
  return value === undefined || value === -1 ? '' : String(value);
}

function withBoardTopics(limits: Limits): Limits {
  if (limits.sysIntervalMs === 0) return limits;
  const blocks = BOARD_TOPICS_MAX * Math.ceil(BOARD_MESSAGE_BYTES / limits.messageBlockBytes);
  return {
    ...limits,
    retainedMax: limits.retainedMax + BOARD_TOPICS_MAX,
    retainedNodesMax: limits.retainedNodesMax + BOARD_NODES_MAX,
    retainedBytes: limits.retainedBytes + blocks * limits.messageBlockBytes,
  };
}
