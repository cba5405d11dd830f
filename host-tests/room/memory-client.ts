// An MqttClient and a Broker joined in memory: what one writes the other reads, in turns that the test takes. The way
// between can be cut, and silenced. Runs on Node and on XS.

import type { Broker } from '../../src/broker/broker.js';
import { MqttClient, type MqttClientOptions } from '../../src/client/mqtt-client.js';
import type { Link } from '../../src/link.js';
import { concat } from '../support/packets.js';
import { Random } from '../support/random.js';

/** One end: keeps what its owner writes until the other takes it. */
class End implements Link {
  open = false;
  closed = false;
  bytes: Uint8Array = new Uint8Array(0);

  get writableBytes(): number {
    return this.open && !this.closed ? 1 << 20 : 0;
  }

  write(source: Uint8Array, start: number, end: number): void {
    this.bytes = concat(this.bytes, source.slice(start, end));
  }

  setReading(): void {}

  close(): void {
    this.closed = true;
  }

  take(): Uint8Array {
    const { bytes } = this;
    this.bytes = new Uint8Array(0);
    return bytes;
  }
}

/** The way from one client to one broker; the client is made by `client`. */
export class MemoryWay {
  /** Undefined: nothing listens there. */
  broker: Broker | undefined;
  /** While set, what is written stays where it is, both ways. */
  silent = false;
  #client: MqttClient | undefined;
  #own = new End();
  #theirs = new End();
  #slot = -1;
  #opening = false;

  constructor(broker: Broker | undefined) {
    this.broker = broker;
  }

  client(options: MqttClientOptions): MqttClient {
    const random = new Random(7);
    this.#client = new MqttClient(options, {
      open: () => {
        this.#opening = true;
        this.#own = new End();
        return this.#own;
      },
      random: () => random.next(),
      wake: () => {},
    });
    return this.#client;
  }

  /** The link is lost, for both. */
  cut(): void {
    if (this.#slot >= 0 && !this.#theirs.closed) this.broker?.disconnected(this.#slot);
    this.#slot = -1;
    if (!this.#own.closed) this.#client!.core.disconnected();
    this.#own.close();
    this.broker?.flush();
  }

  /** Carries bytes until nothing moves any more. */
  turn(): void {
    const { core } = this.#client!;
    for (let moved = true; moved;) {
      moved = this.#opening;
      if (this.#opening) this.#open();
      core.flush();
      this.broker?.flush();
      if (this.silent || this.#slot < 0) continue;
      moved = this.#upwards() || moved;
      moved = this.#downwards() || moved;
      if (this.#own.closed) {
        this.#upwards(); // what was written last
        if (!this.#theirs.closed) this.broker!.disconnected(this.#slot);
        this.#slot = -1;
        this.broker!.flush();
      } else if (this.#theirs.closed) {
        this.#slot = -1;
        core.disconnected();
        this.#own.close();
      }
    }
  }

  #open(): void {
    this.#opening = false;
    const { core } = this.#client!;
    if (this.broker === undefined) {
      core.disconnected();
      this.#own.close();
      return;
    }
    this.#theirs = new End();
    this.#own.open = this.#theirs.open = true;
    this.#slot = this.broker.connected(this.#theirs);
    core.opened();
  }

  #upwards(): boolean {
    const bytes = this.#own.take();
    const broker = this.broker!;
    for (let at = 0; at < bytes.length && !this.#theirs.closed;) {
      const count = Math.min(bytes.length - at, broker.room(this.#slot));
      broker.bytes.set(bytes.subarray(at, at + count), broker.windowStart);
      broker.received(this.#slot, count);
      at += count;
    }
    return bytes.length > 0;
  }

  #downwards(): boolean {
    const { core } = this.#client!;
    const bytes = this.#theirs.take();
    for (let at = 0; at < bytes.length && !this.#own.closed;) {
      const count = Math.min(bytes.length - at, core.room);
      core.bytes.set(bytes.subarray(at, at + count), core.receiveStart);
      core.received(count);
      at += count;
    }
    return bytes.length > 0;
  }
}
