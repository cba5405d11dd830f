// A sensor node: one DHT22 and one client, which together publish what a room is like. Made by the
// main program of a board and by the commands of the host; they call `tick` every 250 ms or so.
//
//     maison/<piece>/temperature   21.4       °C, one decimal     retained, QoS 1
//     maison/<piece>/humidite      48.3       percent             retained, QoS 1
//     maison/<piece>/etat          en-ligne   or hors-ligne       retained, QoS 1, also the will
//
// Invariant: `etat` says en-ligne only after a good reading was published and while the last one is
// not older than `staleMs`. A sensor that died behind a node that lives is hors-ligne, like a node
// that died: who shows the room, such as Home Assistant with `etat` as its availability topic,
// shows it as unavailable either way. The last retained readings stay; together with `etat` they
// say what was last known, and an empty message would make every naive subscriber fail. What is no
// good reading is never published: the observer is told why.
//
// While the broker is away readings wait in the client's queue and arrive in order; `etat` does
// not wait, it is told anew after every connection, since the will may have been published.
//
// A node keeps its client identifier: when it comes back after a power cut the broker takes it
// over, and so publishes the will before, not after, the new en-ligne.
//
// After construction nothing is allocated here, whatever is read.

import type { MqttClient, MqttClientOptions } from '../client/mqtt-client.js';
import { encodeText } from '../client/text.js';
import { FAILED, READ, type DHT22 } from '../sensor/dht22.js';
import {
  HOUSE_LEVEL, HUMIDITY_LEVEL, OFFLINE, ONLINE, STATE_LEVEL, TEMPERATURE_LEVEL,
} from './house.js';
import { pieceProblem } from './piece.js';

/** What a node asks of its client; the owner adds where the broker is. */
export type NodeClientOptions = Required<Pick<MqttClientOptions,
  'id' | 'will' | 'onConnected' | 'onDisconnected' | 'onDelivered' | 'onDropped' | 'onClosed'>>;

/** What a node itself asks of its client; who made it may know more of it. */
export type NodeClient = Pick<MqttClient, 'connect' | 'publishBytes' | 'close'>;

export interface SensorNodeOptions<Client extends NodeClient = MqttClient> {
  /** One level of a topic; see piece.ts. */
  piece: string;
  /** The sensor, and no one else's. Its clock need not be that of `tick`. */
  sensor: Pick<DHT22,
    'request' | 'poll' | 'humidityTenths' | 'temperatureTenths' | 'failure' | 'close'>;
  /** Makes the client, which must have these options. */
  client: (own: NodeClientOptions) => Client;
  /** Milliseconds between readings; default 10,000. A DHT22 gives one in 2,000 at best. */
  intervalMs?: number;
  /**
   * Publish a quantity only when it is at least so many tenths (of a degree, of a percent) from
   * what was published last; default 0: every reading.
   */
  changeTenths?: number;
  /** With `changeTenths`: publish unchanged readings after this time; default 6 intervals. */
  heartbeatMs?: number;
  /**
   * Without a good reading for so long the room is hors-ligne; default 3 intervals, but at least
   * 15,000, since a DHT22 that fails is asked again for some 9 seconds.
   */
  staleMs?: number;
  observer?: SensorNodeObserver;
}

/** Told what happens; must not call the node. All tenths are whole numbers. */
export interface SensorNodeObserver {
  /** A good reading; what is due of it was published or waits in the client's queue. */
  read?(temperatureTenths: number, humidityTenths: number): void;
  /** No reading; `failure` is one of dht22-pulses.ts. */
  failed?(failure: number): void;
  /** The client did not take a reading: a negative code of wire/codes.ts, such as a full queue. */
  refused?(code: number): void;
  /** `etat` was published. */
  announced?(online: boolean): void;
  connected?(sessionPresent: boolean): void;
  disconnected?(reason: number, error: Error | undefined): void;
  /** `close` is done. */
  closed?(): void;
}

export class SensorNode<Client extends NodeClient = MqttClient> {
  readonly piece: string;
  readonly client: Client;
  /** Good readings, and requests that failed. */
  readCount = 0;
  failedCount = 0;
  /** Messages that a full queue dropped for newer ones. */
  droppedCount = 0;

  private readonly sensor: SensorNodeOptions['sensor'];
  private readonly observer: SensorNodeObserver;
  private readonly intervalMs: number;
  private readonly staleMs: number;
  private readonly temperature: Quantity;
  private readonly humidity: Quantity;
  private readonly decimal = new Decimal();
  private readonly stateTopic: Uint8Array;
  private readonly online = encodeText(ONLINE);
  private readonly offline = encodeText(OFFLINE);

  private nowMs = 0;
  private started = false;
  private nextAtMs = 0;
  private readAtMs = 0;
  /** What `etat` should say, and what it was made to say since the last connection. */
  private state = UNDECIDED;
  private announced = UNDECIDED;
  private connected = false;
  private closing = false;
  private closeAtMs = 0;
  /** The last hors-ligne, for whose acknowledgement `close` waits. */
  private goodbye = 0;

  /** Throws RangeError when the piece or a time cannot be, and what `client` throws. */
  constructor(options: SensorNodeOptions<Client>) {
    const { piece, intervalMs = 10_000, changeTenths = 0 } = options;
    const problem = pieceProblem(piece);
    if (problem !== '') throw new RangeError(`piece is ${JSON.stringify(piece)}: ${problem}`);
    const { heartbeatMs = 6 * intervalMs, staleMs = Math.max(3 * intervalMs, 15_000) } = options;
    between('intervalMs', intervalMs, 2000);
    between('changeTenths', changeTenths, 0);
    between('heartbeatMs', heartbeatMs, intervalMs);
    between('staleMs', staleMs, intervalMs);
    const topic = `${HOUSE_LEVEL}/${piece}/`;
    const stateTopic = topic + STATE_LEVEL;
    this.piece = piece;
    this.sensor = options.sensor;
    this.observer = options.observer ?? {};
    this.intervalMs = intervalMs;
    this.staleMs = staleMs;
    this.temperature = new Quantity(topic + TEMPERATURE_LEVEL, changeTenths, heartbeatMs);
    this.humidity = new Quantity(topic + HUMIDITY_LEVEL, changeTenths, heartbeatMs);
    this.stateTopic = encodeText(stateTopic);
    this.client = options.client({
      id: `${HOUSE_LEVEL}-${piece}`,
      will: { topic: stateTopic, message: OFFLINE, QoS: 1, retain: true },
      onConnected: (sessionPresent) => {
        this.connected = true;
        // This broker may be another one, or have lost what it retained.
        this.temperature.forget();
        this.humidity.forget();
        this.observer.connected?.(sessionPresent);
        // `etat` follows with the next tick, when what waited has begun to leave a full queue.
      },
      onDisconnected: (reason, error) => {
        this.connected = false;
        this.announced = UNDECIDED;
        this.observer.disconnected?.(reason, error);
        if (this.closing) this.client.close();
      },
      onDelivered: (handle) => {
        if (this.closing && handle === this.goodbye) this.client.close();
      },
      onDropped: () => {
        this.droppedCount++;
      },
      onClosed: () => {
        this.connected = false;
        this.observer.closed?.();
      },
    });
  }

  /** Lets the time be `nowMs`, of a clock that does not go back. The first one starts the node. */
  tick(nowMs: number): void {
    this.nowMs = nowMs;
    if (!this.started && !this.closing) this.start();
    if (this.closing) {
      if (nowMs >= this.closeAtMs) this.client.close();
    } else {
      this.read();
      if (nowMs - this.readAtMs > this.staleMs) this.state = IS_OFFLINE;
    }
    this.announce();
  }

  /**
   * Ends the node: publishes hors-ligne, waits for its acknowledgement, but not longer than
   * CLOSE_MS, and then disconnects, so that there is no will. Readings that wait for a broker that
   * is away are lost. Goes on by `tick`; `closed` tells when it is done. Idempotent.
   */
  close(): void {
    if (this.closing) return;
    this.closing = true;
    this.closeAtMs = this.nowMs + CLOSE_MS;
    this.sensor.close();
    this.state = IS_OFFLINE;
    this.announced = UNDECIDED;
    this.goodbye = 0;
    if (!this.started) this.observer.closed?.();
    else if (this.connected) this.announce();
    else this.client.close();
  }

  private start(): void {
    this.started = true;
    this.readAtMs = this.nowMs;
    this.nextAtMs = this.nowMs;
    this.client.connect();
  }

  private read(): void {
    if (this.nowMs >= this.nextAtMs) {
      this.sensor.request();
      // In step with the start, and without catching up on what was missed.
      const missed = Math.floor((this.nowMs - this.nextAtMs) / this.intervalMs);
      this.nextAtMs += (missed + 1) * this.intervalMs;
    }
    const outcome = this.sensor.poll();
    if (outcome === READ) {
      this.publish();
    } else if (outcome === FAILED) {
      this.failedCount++;
      this.observer.failed?.(this.sensor.failure);
    }
  }

  private publish(): void {
    const { temperatureTenths, humidityTenths } = this.sensor;
    this.readCount++;
    this.readAtMs = this.nowMs;
    this.offer(this.temperature, temperatureTenths);
    this.offer(this.humidity, humidityTenths);
    this.state = IS_ONLINE;
    this.observer.read?.(temperatureTenths, humidityTenths);
  }

  private offer(quantity: Quantity, tenths: number): void {
    if (!quantity.isDue(tenths, this.nowMs)) return;
    const outcome = this.client.publishBytes(quantity.topic, this.decimal.of(tenths), 1, true);
    if (outcome >= 0) {
      quantity.published(tenths, this.nowMs);
    } else {
      this.observer.refused?.(outcome);
    }
  }

  /** Makes `etat` say what it should. What the client does not take is tried again next time. */
  private announce(): void {
    if (!this.connected || this.state === this.announced) return;
    const online = this.state === IS_ONLINE;
    const payload = online ? this.online : this.offline;
    const outcome = this.client.publishBytes(this.stateTopic, payload, 1, true);
    if (outcome < 0) return;
    this.announced = this.state;
    this.goodbye = outcome;
    this.observer.announced?.(online);
  }
}

/** How long `close` waits for a broker that does not acknowledge. */
export const CLOSE_MS = 3000;

/** Before the first reading, and before the first is overdue, there is nothing to say. */
const UNDECIDED = 0;
const IS_ONLINE = 1;
const IS_OFFLINE = 2;

/** What is published on one topic, and when it is due. */
class Quantity {
  readonly topic: Uint8Array;
  private readonly changeTenths: number;
  private readonly heartbeatMs: number;
  private tenths = 0;
  private publishedAtMs = NEVER;

  constructor(topic: string, changeTenths: number, heartbeatMs: number) {
    this.topic = encodeText(topic);
    this.changeTenths = changeTenths;
    this.heartbeatMs = heartbeatMs;
  }

  isDue(tenths: number, nowMs: number): boolean {
    return Math.abs(tenths - this.tenths) >= this.changeTenths ||
      nowMs - this.publishedAtMs >= this.heartbeatMs;
  }

  published(tenths: number, nowMs: number): void {
    this.tenths = tenths;
    this.publishedAtMs = nowMs;
  }

  /** The next reading is due. */
  forget(): void {
    this.publishedAtMs = NEVER;
  }
}

/** Long before any time. */
const NEVER = -Infinity;

/** Writes tenths as plain decimals, `-0.2`, without making anything. */
export class Decimal {
  private readonly bytes = new Uint8Array(DECIMAL_BYTES_MAX);
  /** By where a decimal begins: the rest of `bytes`. */
  private readonly views: readonly Uint8Array[] = Array.from(
    { length: DECIMAL_BYTES_MAX - DECIMAL_BYTES_MIN + 1 }, (_, at) => this.bytes.subarray(at));

  /** The decimal of a whole number of tenths, -9,999 to 99,999; valid until the next call. */
  of(tenths: number): Uint8Array {
    const bytes = this.bytes;
    let rest = tenths < 0 ? -tenths : tenths;
    let at = DECIMAL_BYTES_MAX;
    bytes[--at] = ZERO + rest % 10;
    bytes[--at] = POINT;
    do {
      rest = (rest - rest % 10) / 10;
      bytes[--at] = ZERO + rest % 10;
    } while (rest >= 10);
    if (tenths < 0) bytes[--at] = MINUS;
    return this.views[at]!;
  }
}

/** `0.0`; `-999.9`, `9999.9`. */
const DECIMAL_BYTES_MIN = 3;
const DECIMAL_BYTES_MAX = 6;
const ZERO = 0x30;
const POINT = 0x2e;
const MINUS = 0x2d;

function between(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new RangeError(`${name} is ${value}: it must be a whole number, ${least} at least`);
}
