// The three ways in which the generator sends: bursts, one message in flight per publisher, and
// bursts that nobody receives. Each bounds what is in flight, so that no broker has a reason to
// drop, and each is driven by arrivals: a read that makes room sends what fits. A packet buffer is
// used again only after the broker has read it, which its arrival elsewhere proves.

import { SequenceCheck, type Faults } from './load-check.js';
import { numberBatch, publishBatch, type Batch, type Level } from './load-packets.js';
import type { Connection } from './load-connection.js';

export interface Load {
  start(): void;
  /** No message is sent after this; what is in flight still arrives. */
  stop(): void;
  /** Everything sent has arrived and every handshake is completed. */
  settled(): boolean;
  /** What a figure per message divides by: deliveries, or publishes where nobody receives. */
  count(): number;
  /** Grows with any arrival; standing still for a second means that messages are lost. */
  progress(): number;
  faults(): Faults;
}

function noFaults(): Faults {
  return { lost: 0, duplicates: 0, outOfOrder: 0 };
}

export interface BurstShape {
  readonly qos: number;
  /** 4 if it is not given. */
  readonly level?: Level;
  /** Batches in flight at most, and messages in each: one write per batch. */
  readonly batchCount: number;
  readonly batchMessageCount: number;
  readonly topic: string;
}

/** One publisher, one or many subscribers that all get everything. */
export class Bursts implements Load {
  readonly #publisher: Connection;
  readonly #subscribers: readonly Connection[];
  readonly #checks: readonly SequenceCheck[];
  readonly #batches: readonly Batch[];
  readonly #shape: BurstShape;
  #running = false;
  #sentBatches = 0;

  constructor(publisher: Connection, subscribers: readonly Connection[], shape: BurstShape) {
    this.#publisher = publisher;
    this.#subscribers = subscribers;
    this.#shape = shape;
    // A packet identifier is free again once its batch is: each batch of the ring has its own.
    this.#batches = Array.from({ length: shape.batchCount }, (_, index) => publishBatch({
      qos: shape.qos, level: shape.level ?? 4, messageCount: shape.batchMessageCount, topic: () => shape.topic,
      firstPacketId: 1 + index * shape.batchMessageCount,
    }));
    this.#checks = subscribers.map(() => new SequenceCheck(1));
    subscribers.forEach((subscriber, index) => {
      subscriber.check = this.#checks[index] ?? null;
      subscriber.onRead = () => this.#send();
    });
    publisher.onRead = () => this.#send();
  }

  get #sent(): number {
    return this.#sentBatches * this.#shape.batchMessageCount;
  }

  /** Messages that have left the window: with many subscribers, their mean. */
  #done(): number {
    const delivered = this.#subscribers.length === 1 ? this.#checks[0]!.arrivedCount
      : Math.floor(this.count() / this.#subscribers.length);
    return this.#shape.qos === 0 ? delivered : Math.min(delivered, this.#publisher.completedCount);
  }

  #send(): void {
    if (!this.#running) return;
    const { batchCount, batchMessageCount } = this.#shape;
    while (this.#sent - this.#done() <= (batchCount - 1) * batchMessageCount) {
      const batch = this.#batches[this.#sentBatches % batchCount]!;
      numberBatch(batch, this.#sent);
      this.#sentBatches++;
      this.#publisher.write(batch.bytes);
    }
  }

  start(): void {
    this.#running = true;
    this.#send();
  }

  stop(): void {
    this.#running = false;
  }

  settled(): boolean {
    const sent = this.#sent;
    return this.count() >= sent * this.#subscribers.length &&
      (this.#shape.qos === 0 || this.#publisher.completedCount >= sent) &&
      (this.#shape.qos < 2 || this.#subscribers[0]!.releasedCount >= sent);
  }

  count(): number {
    let sum = 0;
    const checks = this.#checks;
    for (let index = 0; index < checks.length; index++) sum += checks[index]!.arrivedCount;
    return sum;
  }

  progress(): number {
    return this.count() + this.#publisher.completedCount + this.#subscribers[0]!.releasedCount;
  }

  faults(): Faults {
    const faults = noFaults();
    for (const check of this.#checks) check.addTo(faults, () => this.#sent);
    return faults;
  }
}

/**
 * Many publishers, each with one message in flight: its arrival lets the same publisher send the
 * next.
 */
export class OneInFlight implements Load {
  readonly #publishers: readonly Connection[];
  readonly #checks: readonly SequenceCheck[];
  readonly #packets: readonly Batch[];
  readonly #sent: Uint32Array;
  #running = false;

  /**
   * @param topic of publisher `index`; `subscribers` together receive all topics, each of them
   * once.
   */
  constructor(publishers: readonly Connection[], subscribers: readonly Connection[],
    topic: (index: number) => string) {
    this.#publishers = publishers;
    this.#sent = new Uint32Array(publishers.length);
    this.#packets = publishers.map((_, index) => publishBatch({
      qos: 0, messageCount: 1, topic: () => topic(index), source: () => index,
    }));
    // Loss is counted where a message should arrive, so one check serves all subscribers together.
    this.#checks = [new SequenceCheck(publishers.length)];
    for (const subscriber of subscribers) {
      subscriber.check = this.#checks[0]!;
      subscriber.onMessage = (source) => { if (this.#running) this.#send(source); };
    }
  }

  #send(source: number): void {
    const packet = this.#packets[source]!;
    numberBatch(packet, this.#sent[source]!);
    this.#sent[source]!++;
    this.#publishers[source]!.write(packet.bytes);
  }

  start(): void {
    this.#running = true;
    for (let source = 0; source < this.#publishers.length; source++) this.#send(source);
  }

  stop(): void {
    this.#running = false;
  }

  settled(): boolean {
    return this.count() >= this.#sent.reduce((sum, sent) => sum + sent, 0);
  }

  count(): number {
    return this.#checks[0]!.arrivedCount;
  }

  progress(): number {
    return this.count();
  }

  faults(): Faults {
    const faults = noFaults();
    for (const check of this.#checks) check.addTo(faults, (source) => this.#sent[source]!);
    return faults;
  }
}

/**
 * Publishes that match nobody, or are only retained: a marker after each batch tells that it is
 * handled.
 */
export class MarkedBatches implements Load {
  readonly #publisher: Connection;
  readonly #watcher: Connection;
  readonly #buffers: readonly Buffer[];
  readonly #batchMessageCount: number;
  readonly #batchesInFlight: number;
  #leftBatches = 0;
  #sentBatches = 0;

  /**
   * @param watcher subscribes to the marker's topic; @param buffers each a batch and its marker.
   */
  constructor(publisher: Connection, watcher: Connection, buffers: readonly Buffer[],
    batchMessageCount: number, batchesInFlight: number) {
    this.#publisher = publisher;
    this.#watcher = watcher;
    this.#buffers = buffers;
    this.#batchMessageCount = batchMessageCount;
    this.#batchesInFlight = batchesInFlight;
    watcher.markerCount = 0;
    watcher.onRead = () => this.#send();
  }

  #send(): void {
    while (this.#leftBatches > 0 &&
      this.#sentBatches - this.#watcher.markerCount < this.#batchesInFlight) {
      this.#leftBatches--;
      this.#publisher.write(this.#buffers[this.#sentBatches++ % this.#buffers.length]!);
    }
  }

  /** @param batchCount ends by itself after that many. */
  start(batchCount = Number.MAX_SAFE_INTEGER): void {
    this.#leftBatches = batchCount;
    this.#send();
  }

  stop(): void {
    this.#leftBatches = 0;
  }

  settled(): boolean {
    return this.#leftBatches === 0 && this.#watcher.markerCount >= this.#sentBatches;
  }

  count(): number {
    return this.#sentBatches * this.#batchMessageCount;
  }

  progress(): number {
    return this.#watcher.markerCount;
  }

  faults(): Faults {
    return { ...noFaults(), lost: Math.max(0, this.#sentBatches - this.#watcher.markerCount) };
  }
}
