// A room without a board: a sensor node whose DHT22 is simulated, from the pulses on, and whose
// client is a socket of its own. Made by the room and sensor commands.

import { randomInt } from 'node:crypto';
import { QueueFull } from '../limits.js';
import type { NodeClientOptions, SensorNodeObserver } from '../room/sensor-node.js';
import { SensorNode } from '../room/sensor-node.js';
import { DHT22 } from '../sensor/dht22.js';
import { SimulatedDHT22 } from '../sensor/simulated-dht22.js';
import { TcpClient, type TcpClientOptions } from './tcp-client.js';
import { Ticker } from './ticker.js';

export interface SimulatedRoomOptions {
  piece: string;
  /** Where the broker is, and who the client is there. */
  connection: TcpClientOptions;
  intervalMs: number;
  /** As in SensorNodeOptions. */
  changeTenths?: number;
  heartbeatMs?: number;
  /** How long a simulated day takes. */
  dayMs: number;
  observer: SensorNodeObserver;
}

/**
 * Messages that wait for a broker that is away: two for each reading, so that is nearly 14 hours of
 * readings every 10 seconds.
 */
export const QUEUED_MAX = 10_000;

/** A real day; also the longest interval and heartbeat. */
export const DAY_SECONDS = 86_400;

export class SimulatedRoom {
  readonly node: SensorNode;
  readonly #ticker: Ticker;
  readonly #closed: Promise<void>;

  /** Throws RangeError for options that no client or node can have. Nothing runs until `start`. */
  constructor(options: SimulatedRoomOptions) {
    const { piece, connection, intervalMs, changeTenths, heartbeatMs, dayMs, observer } = options;
    let clockMs = 0;
    const now = (): number => clockMs;
    const random = (): number => randomInt(0x1_0000_0000);
    const io = new SimulatedDHT22({ random, now, timeLapse: DAY_SECONDS * 1000 / dayMs });
    let closed = (): void => {};
    this.#closed = new Promise((resolve) => {
      closed = resolve;
    });
    this.node = new SensorNode({
      piece,
      sensor: new DHT22({ sensor: { io }, now }),
      client: (own) => new TcpClient(clientOptions(piece, connection, own)),
      intervalMs,
      ...(changeTenths === undefined ? {} : { changeTenths }),
      ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
      observer: {
        ...observer,
        closed: () => {
          this.#ticker.stop();
          observer.closed?.();
          closed();
        },
      },
    });
    this.#ticker = new Ticker((nowMs) => {
      clockMs = nowMs;
      this.node.tick(nowMs);
    });
  }

  start(): void {
    this.#ticker.start();
  }

  /** Resolves when the room is hors-ligne and its socket closed. Idempotent. */
  close(): Promise<void> {
    this.node.close();
    return this.#closed;
  }
}

/** A client identifier that the user chose stands; the rest is the node's. */
function clientOptions(
  piece: string, connection: TcpClientOptions, own: NodeClientOptions,
): TcpClientOptions {
  // Each message in one block: two bytes of length, `maison/<piece>/temperature`, a decimal.
  const messageBlockBytes = Buffer.byteLength(piece) + 32;
  return {
    ...connection,
    ...own,
    ...(connection.id === undefined ? {} : { id: connection.id }),
    limits: {
      packetBytesMax: 1024, subscriptionsMax: 1, queuedMax: QUEUED_MAX,
      queueBytes: QUEUED_MAX * messageBlockBytes, messageBlockBytes,
      queueFull: QueueFull.DROP_OLDEST,
    },
  };
}
