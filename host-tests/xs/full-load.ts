// A hub and a sensor at full load, by packets through sink links: every client connected with a
// will, every session taken, every subscription and retained message at full size, queues full.
// Throws where the load is not what it claims to be. Used by measure-board.ts, in XS.

import { Broker } from '../../src/broker/broker.js';
import { DROPPED_RETAINED_FULL } from '../../src/broker/counters.js';
import type { ClientLimits } from '../../src/client/limits.js';
import { MqttClient } from '../../src/client/mqtt-client.js';
import type { Limits } from '../../src/limits.js';
import type { Link } from '../../src/link.js';
import { SensorNode } from '../../src/room/sensor-node.js';
import { DHT22 } from '../../src/sensor/dht22.js';
import { frameOf, pulsesOf } from '../sensor/pulse-trains.js';
import * as packets from '../support/packets.js';

/** Takes everything and keeps nothing. */
export class SinkLink implements Link {
  readonly writableBytes = 65_536;

  write(): void {}

  setReading(): void {}

  close(): void {}
}

const MEASURES = ['temperature', 'humidite', 'etat', 'pression'];

function topicOf(index: number): string {
  return `maison/piece-${index >> 2}/${MEASURES[index & 3]}`;
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not at full load: ${what}`);
}

export class Hub {
  readonly broker: Broker;
  readonly #links: readonly Link[];

  /** `links` are the sockets', so they are made before and by another. */
  constructor(limits: Limits, links: readonly Link[]) {
    this.broker = new Broker(limits, { random, version: 'maisonnette' });
    this.#links = links;
  }

  fill(retainedPayloadBytes: number): void {
    const { limits } = this.broker;
    for (let session = limits.sessionsMax - 1; session >= 0; session--) this.#takeSession(session);
    this.#retain('r'.repeat(retainedPayloadBytes));
    this.#fillQueues();
    this.#check();
  }

  /** A client with its share of subscriptions; the first ones stay connected. */
  #takeSession(session: number): void {
    const { limits } = this.broker;
    const slot = this.broker.connected(this.#links[session % limits.clientsMax]!);
    const clientId = `client-${session}`.padEnd(limits.clientIdBytesMax, '-');
    const will = { topic: `maison/piece-${session}/etat`, payload: 'hors-ligne', retain: true };
    this.#send(slot, packets.connect({ clientId, clean: false, will }));
    for (let i = session; i < limits.subscriptionsMax; i += limits.sessionsMax) {
      this.#send(slot, packets.subscribe(1, [topicOf(i), 1]));
    }
    if (session >= limits.clientsMax) this.#send(slot, packets.disconnect());
  }

  #send(slot: number, bytes: Uint8Array): void {
    const { broker } = this;
    for (let at = 0; at < bytes.length;) {
      const count = Math.min(broker.room(slot), bytes.length - at);
      check(count > 0, `no room for a packet of ${bytes.length} bytes`);
      broker.bytes.set(bytes.subarray(at, at + count), broker.windowStart);
      broker.received(slot, count);
      at += count;
    }
    broker.flush();
  }

  #retain(payload: string): void {
    const { retainedMax } = this.broker.limits;
    const { broker } = this;
    for (let i = 0; i < retainedMax; i++) {
      this.#send(0, packets.publish(topicOf(i), payload, { retain: true }));
    }
    check(broker.counters[DROPPED_RETAINED_FULL] === 0, 'a retained message was refused');
  }

  /** Nobody acknowledges, so all of it stays. */
  #fillQueues(): void {
    const { limits } = this.broker;
    for (let i = 0; i < 2 * limits.queuedMax; i++) {
      const topic = packets.ascii(topicOf(i % limits.subscriptionsMax));
      this.broker.publish(topic, packets.ascii('21.4'), 1, false);
    }
    this.broker.flush();
  }

  #check(): void {
    const { limits, memory } = this.broker;
    let clients = 0;
    for (const { session } of memory.connections) if (session >= 0) clients++;
    check(clients === limits.clientsMax, `${clients} clients`);
    check(memory.sessions.count === limits.sessionsMax, `${memory.sessions.count} sessions`);
    check(memory.subscriptions.count === limits.subscriptionsMax,
      `${memory.subscriptions.count} subscriptions`);
    check(memory.retained.count >= limits.retainedMax, `${memory.retained.count} retained`);
    check(memory.deliveries.freeRows === 0 || memory.queued.blocks.freeCount < 2,
      `${memory.deliveries.freeRows} rows and ${memory.queued.blocks.freeCount} blocks are free`);
  }
}

export class Sensor {
  readonly node: SensorNode;
  #nowMs = 0;

  constructor(limits: ClientLimits, link: Link) {
    const widths = pulsesOf(frameOf(652, 351));
    const capture = {
      capture(into: Uint8Array): number {
        into.set(widths);
        return widths.length;
      },
      close(): void {},
    };
    const sensor = new DHT22({ sensor: { io: capture }, now: () => this.#nowMs });
    this.node = new SensorNode({
      piece: 'salon', sensor,
      client: (own) => new MqttClient({ ...own, clean: false, limits },
        { open: () => link, random, wake: () => {} }),
    });
  }

  /** Readings without a broker, until the queue has dropped some for newer ones. */
  fill(): void {
    for (let i = 0; this.node.droppedCount === 0; i++) {
      this.node.tick(this.#nowMs += 250);
      check(i < 100_000, `${this.node.client.waitingCount} messages wait`);
    }
  }
}

function random(): number {
  return 7;
}
