// The hub, a room's broker on a board: broker, network, announcement, what the board tells of
// itself under `$SYS`, and a DHT22 of its own if it has one. Made by hub-main.ts, which brings the
// SDK's classes, and by tests with fakes.
//
// Invariant: whatever the network does, the broker stays as it is, with its sessions and retained
// messages. It listens from the first time the network is up; connections that a lost network
// took with it end by their keep-alive.

import { Broker } from '../broker/broker.js';
import { encodeText } from '../client/text.js';
import type { Limits } from '../limits.js';
import { SensorNode, type NodeClient, type NodeClientOptions } from '../room/sensor-node.js';
import { DHT22, type DHT22Sensor } from '../sensor/dht22.js';
import { TcpBroker, type BrokerIo } from './tcp-broker.js';
import { Ticker, type TickerUser } from './ticker.js';

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

/** Topics under `$SYS/broker`. */
const FIGURES: readonly string[] = Object.freeze([
  'heap/free', 'heap/slots', 'heap/chunks', 'network/signal', 'network/joins', 'reset',
]);
const BOARD_NODES_MAX = 9;
const BOARD_MESSAGE_BYTES = 64;
/** Where the broker publishes no `$SYS`, what the board tells is told so often, not retained. */
const FIGURES_MS = 10_000;
/** A port that cannot be listened on is tried again after this. */
const LISTEN_AGAIN_MS = 10_000;

export class Hub implements NetworkUser, TickerUser {
  readonly broker: Broker;
  readonly network: ProgramNetwork;
  /** The sensor of this board; undefined if it has none, or its options cannot be. */
  readonly local: SensorNode<NodeClient> | undefined;
  private readonly options: HubOptions;
  private readonly ticker: Ticker;
  /** What was told last of each figure. */
  private readonly told: string[] = [];
  private nowMs = 0;
  private figuresAtMs = 0;
  private tcp: TcpBroker | undefined;
  /** Where the network is up, and '' while it is not. */
  private address = '';
  private listenAtMs = Infinity;
  private announcement: { close(): void } | undefined;

  /** Throws RangeError for limits that contradict each other. Nothing runs until `start`. */
  constructor(options: HubOptions) {
    const { limits, random, version } = options;
    this.options = options;
    this.broker = new Broker(withBoardTopics(limits), { random, version });
    this.network = options.network(this);
    this.ticker = options.ticker ?? new Ticker(options);
    this.local = this.localNode();
  }

  start(): void {
    this.ticker.add(this);
    this.network.start();
  }

  /** The port listened on; undefined before the network was up. */
  get port(): number | undefined {
    return this.tcp?.port;
  }

  /** Ends everything; `finished` is called when the last socket is closed. For tests. */
  close(finished: () => void = () => {}): void {
    this.ticker.remove(this);
    this.local?.close();
    this.onDown();
    this.network.close();
    if (this.tcp === undefined) finished();
    else this.tcp.close(finished);
  }

  /** The network is there. Called by it, as `onDown`. */
  onUp(address: string): void {
    this.address = address;
    this.figuresAtMs = this.nowMs; // they have changed
    if (this.tcp === undefined) this.listen();
    if (this.tcp !== undefined) this.announce(this.tcp.port);
  }

  onDown(): void {
    this.address = '';
    const announcement = this.announcement;
    this.announcement = undefined;
    try {
      announcement?.close();
    } catch (error) {
      this.trace(`announcement: ${error}`);
    }
  }

  private listen(): void {
    this.listenAtMs = Infinity;
    try {
      const { port = 1883 } = this.options;
      this.tcp = new TcpBroker(this.broker, this.options, { port });
      this.trace(`listening on ${this.address}, port ${this.tcp.port}`);
    } catch (error) {
      this.trace(`${error}; trying again in ${LISTEN_AGAIN_MS / 1000} seconds`);
      this.listenAtMs = this.nowMs + LISTEN_AGAIN_MS;
    }
  }

  private announce(port: number): void {
    if (this.announcement !== undefined) return;
    try {
      this.announcement = this.options.announce?.(this.address, port);
    } catch (error) {
      this.trace(`announcement: ${error}`);
    }
  }

  /** One of the ticker. An exception that left it would restart the board. */
  turn(nowMs: number): void {
    this.nowMs = nowMs;
    if (nowMs >= this.listenAtMs && this.address !== '') this.onUp(this.address);
    try {
      if (nowMs >= this.figuresAtMs) {
        this.figuresAtMs = nowMs + (this.broker.limits.sysIntervalMs || FIGURES_MS);
        this.publishFigures();
      }
      this.local?.tick(nowMs);
    } catch (error) {
      this.trace(`sensor or figures: ${error}`);
    }
    this.tcp?.flushSoon();
  }

  /** As retained messages only what has changed: '' then removes what was told before. */
  private publishFigures(): void {
    const retain = this.broker.limits.sysIntervalMs > 0;
    for (let i = 0; i < FIGURES.length; i++) {
      const value = this.figure(i);
      if (retain ? value === (this.told[i] ?? '') : value === '') continue;
      if (retain) this.told[i] = value;
      this.broker.publish(
        encodeText(`$SYS/broker/${FIGURES[i]}`), encodeText(value), 0, retain);
    }
  }

  /** By its place in FIGURES; '' for what is not known. */
  private figure(index: number): string {
    const { board } = this.options;
    switch (index) {
      case 0: return textOf(board.freeMemoryBytes);
      case 1: return textOf(board.slotBytes);
      case 2: return textOf(board.chunkBytes);
      case 3: return textOf(this.network.signalDbm);
      case 4: return textOf(this.network.joinCount);
      default: return board.resetReason;
    }
  }

  private localNode(): SensorNode<NodeClient> | undefined {
    const { local } = this.options;
    if (local === undefined) return undefined;
    try {
      return new SensorNode({
        piece: local.piece,
        sensor: new DHT22({ sensor: local.sensor, now: () => this.nowMs }),
        client: (own) => new LocalClient(own, this.broker),
      });
    } catch (error) {
      this.trace(`no sensor on this board: ${error}`);
      return undefined;
    }
  }

  private trace(text: string): void {
    this.options.trace(`maisonnette: ${text}\n`);
  }
}

/** What a SensorNode asks of its client, straight into the broker: nothing waits or gets lost. */
class LocalClient implements NodeClient {
  private readonly own: NodeClientOptions;
  private readonly broker: Broker;

  constructor(own: NodeClientOptions, broker: Broker) {
    this.own = own;
    this.broker = broker;
  }

  connect(): void {
    this.own.onConnected(false);
  }

  publishBytes(topic: Uint8Array, payload: Uint8Array, qos: number, retain: boolean): number {
    return this.broker.publish(topic, payload, qos, retain);
  }

  close(): void {
    this.own.onClosed(true);
  }
}

function textOf(value: number | undefined): string {
  return value === undefined || value === -1 ? '' : String(value);
}

function withBoardTopics(limits: Limits): Limits {
  if (limits.sysIntervalMs === 0) return limits;
  const blocks = FIGURES.length * Math.ceil(BOARD_MESSAGE_BYTES / limits.messageBlockBytes);
  return {
    ...limits,
    retainedMax: limits.retainedMax + FIGURES.length,
    retainedNodesMax: limits.retainedNodesMax + BOARD_NODES_MAX,
    retainedBytes: limits.retainedBytes + blocks * limits.messageBlockBytes,
  };
}
