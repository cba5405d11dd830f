// A sensor's program on a board: a room's DHT22, a client that finds its broker, and between
// readings, if it is to live on a battery, deep sleep. Made by sensor-main.ts, which brings the
// SDK's classes, and by tests with fakes.
//
// Readings do not wait for the network, they wait in the client's queue: while the network or the
// broker is away, and, saved, over deep sleep. With each wake-up the board begins anew, takes up
// what was saved, reads once, and sleeps again when the broker has everything, or after AWAKE_MS.
//
// A node that sleeps says DISCONNECT, so there is no will, and leaves `etat` at en-ligne: by the
// age of its readings one tells whether it still lives. When its sensor fails it says hors-ligne.

import type { ClientLimits } from '../client/limits.js';
import { OK } from '../wire/codes.js';
import { QueueFull } from '../limits.js';
import {
  SensorNode, type NodeClientOptions, type SensorNodeObserver,
} from '../room/sensor-node.js';
import { DHT22, type DHT22Sensor } from '../sensor/dht22.js';
import type { NetworkUser, ProgramNetwork } from './hub.js';
import { TcpClient, type Locate, type TcpClientOptions } from './tcp-client.js';
import { Ticker, type TickerUser, type TimedIo } from './ticker.js';

/** Memory that outlives deep sleep; what is in it after power came up, nobody knows. */
export interface SleepMemory {
  /** A multiple of 4. */
  readonly byteCount: number;
  /** Fills `target`, a multiple of 4 bytes, with the first of them. */
  read(target: Uint8Array): void;
  write(source: Uint8Array): void;
}

export interface SleepOptions {
  /** Milliseconds from one reading to the next. */
  everyMs: number;
  memory: SleepMemory;
  /** Switches off for `ms`; the program begins anew. */
  enter(ms: number): void;
}

export interface SensorOptions extends TimedIo {
  /** One level of a topic; see room/piece.ts. */
  piece: string;
  sensor: DHT22Sensor;
  /** Milliseconds between readings, 2,000 at least; default 10,000. Not with `sleep`. */
  intervalMs?: number;
  /** Finds the broker, once the network is up. */
  locate: Locate;
  socket: TcpClientOptions['socket'];
  user?: string;
  password?: string;
  /** With `stagingBytes`. */
  limits: ClientLimits;
  random(): number;
  network: (user: NetworkUser) => ProgramNetwork;
  sleep?: SleepOptions;
}

/** A battery node that has not told everything by then sleeps all the same. */
export const AWAKE_MS = 20_000;
/** It sleeps at least so long, however long it was awake. */
const SLEEP_MS_MIN = 1000;

export class Sensor implements NetworkUser, SensorNodeObserver, TickerUser {
  readonly node: SensorNode;
  readonly network: ProgramNetwork;
  private readonly options: SensorOptions;
  private readonly ticker: Ticker;
  private nowMs = 0;
  private isUp = false;
  /** The client's attempt that waits for the network. */
  private waiting: (() => void) | undefined;
  private isConnected = false;
  private hasFailed = false;
  private isAnnounced = false;
  private ending = false;
  private reason = '';

  /**
   * Throws RangeError for options that no client or node can have, and what the constructor of the
   * capture throws. Nothing runs until `start`.
   */
  constructor(options: SensorOptions) {
    const { piece, sleep, intervalMs = 10_000 } = options;
    this.options = options;
    this.ticker = options.ticker ?? new Ticker(options);
    this.node = new SensorNode({
      piece,
      sensor: new DHT22({ sensor: options.sensor, now: () => this.nowMs }),
      client: (own) => new TcpClient(this.clientOptions(own)),
      intervalMs: sleep === undefined ? intervalMs : Math.max(sleep.everyMs, AWAKE_MS),
      observer: this,
    });
    this.network = options.network(this);
    if (sleep !== undefined) this.takeUp(sleep.memory);
  }

  start(): void {
    this.ticker.add(this);
    this.network.start();
  }

  /** Ends with hors-ligne, as SensorNode does. For tests. */
  close(): void {
    this.ending = true;
    this.node.close();
  }

  /** Upon our own options, so that what they have in common is there once. */
  private clientOptions(own: NodeClientOptions): TcpClientOptions {
    const { piece, sleep, limits } = this.options;
    const options: TcpClientOptions = Object.assign(Object.create(this.options), own);
    options.ticker = this.ticker;
    options.clean = sleep === undefined;
    options.onRefused = (returnCode) => {
      this.trace(`the broker refuses this client: ${returnCode}`);
    };
    if (sleep !== undefined) options.limits = sleepLimits(limits, sleep.memory.byteCount, piece);
    options.locate = (found, failed) => {
      this.waiting = () => this.options.locate(found, failed);
      if (this.isUp) this.goOn();
    };
    return options;
  }

  /** The network is there. Called by it, as `onDown`. */
  onUp(): void {
    this.isUp = true;
    this.goOn();
  }

  onDown(): void {
    this.isUp = false;
  }

  /** An attempt that began without a network goes on as soon as there is one. */
  private goOn(): void {
    const waiting = this.waiting;
    this.waiting = undefined;
    try {
      waiting?.();
    } catch (error) {
      this.trace(String(error));
    }
  }

  /** One of the ticker. An exception that left it would restart the board. */
  turn(nowMs: number): void {
    this.nowMs = nowMs;
    try {
      this.node.tick(nowMs);
    } catch (error) {
      this.trace(String(error));
    }
    if (this.options.sleep !== undefined && !this.ending) this.endIfDone();
  }

  /** In the end `closed` is called. */
  private endIfDone(): void {
    const { node } = this;
    const done = this.isAnnounced && node.client.waitingCount === 0;
    if (this.hasFailed && this.isConnected) {
      this.ending = true;
      node.close();
    } else if (done || this.nowMs >= AWAKE_MS) {
      this.ending = true;
      node.client.close();
    }
  }

  /** Called by the node, as those that follow. */
  connected(): void {
    this.isConnected = true;
    this.trace(`connected; ${this.node.client.waitingCount} messages wait`);
  }

  /** Tells each reason once, however often an attempt fails with it. */
  disconnected(_reason: number, error: Error | undefined): void {
    const reason = error?.message ?? 'no answer';
    if (this.isConnected || reason !== this.reason) this.trace(`no broker: ${reason}`);
    this.reason = reason;
    this.isConnected = false;
    this.isAnnounced = false;
  }

  announced(): void {
    this.isAnnounced = true;
  }

  failed(): void {
    this.hasFailed = true;
  }

  closed(): void {
    this.ticker.remove(this);
    const { sleep } = this.options;
    try {
      this.network.close();
      if (sleep !== undefined) this.save(sleep.memory);
    } catch (error) {
      this.trace(String(error));
    }
    sleep?.enter(Math.max(sleep.everyMs - this.nowMs, SLEEP_MS_MIN));
  }

  private save(memory: SleepMemory): void {
    const bytes = new Uint8Array(memory.byteCount);
    const outcome = this.node.client.save(bytes);
    if (outcome < 0) this.trace(`${this.node.client.savedBytes} bytes are too many to be kept`);
    memory.write(bytes);
  }

  private takeUp(memory: SleepMemory): void {
    const bytes = new Uint8Array(memory.byteCount);
    memory.read(bytes);
    // After power came up there is nothing, or something that nobody wrote.
    const outcome = this.node.client.restore(bytes);
    if (outcome !== OK) this.trace('begins anew, nothing was kept');
  }

  private trace(text: string): void {
    this.options.trace(`maisonnette: ${text}\n`);
  }
}

/** Bytes that `Client.save` needs beside client identifier and messages, */
const SAVED_BYTES = 22;
/** and for each message beside topic and payload. */
const SAVED_MESSAGE_BYTES = 10;
const CLIENT_ID = 'maison-';
const LONGEST_TOPIC = 'maison//temperature';
const LONGEST_PAYLOAD = '-999.9';

/**
 * `limits`, with a queue that always fits into `byteCount` saved bytes and keeps the newest
 * readings. Throws RangeError when that is less than one reading.
 */
export function sleepLimits(limits: ClientLimits, byteCount: number, piece: string): ClientLimits {
  const pieceBytes = 3 * piece.length; // at most, in UTF-8
  const messageBytes = SAVED_MESSAGE_BYTES + LONGEST_TOPIC.length + pieceBytes +
    LONGEST_PAYLOAD.length;
  const count = Math.floor(
    (byteCount - SAVED_BYTES - CLIENT_ID.length - pieceBytes) / messageBytes);
  if (count < 2) {
    throw new RangeError(`${byteCount} bytes do not keep a reading of "${piece}" over deep sleep`);
  }
  const queuedMax = Math.min(count, limits.queuedMax);
  return { ...limits, queuedMax, queueFull: QueueFull.DROP_OLDEST };
}
