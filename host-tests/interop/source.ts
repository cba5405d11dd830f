// Numbered messages through a TcpClient, for tests in which brokers or links fail: each publisher knows what it has
// published and what it was told as delivered.

import type { Test } from 'tap';
import { type Received, WatchedClient, type WatchedOptions } from '../node/watched-client.js';
import { Random } from '../support/random.js';

export const LONG_MS = 20_000;

/** As quick as a client that looks at its clock four times a second can be. */
export const QUICK = { reconnectFirstMs: 5, reconnectMaxMs: 50 };

/** Chance for one test, which tells its seed. */
export function seeded(t: Test): Random {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x1_0000_0000));
  t.comment(`SEED=${seed}`);
  return new Random(seed);
}

/** Room for what a loaded machine publishes during a restart. */
const LIMITS = { ...QUICK, queuedMax: 16_384, queueBytes: 16 * 1024 * 1024 };

/** Publishes 1, 2, 3 … to a topic of its own, and sees to it that each is delivered, and told once. */
export class Source {
  readonly watched: WatchedClient;
  readonly topic: string;
  readonly qos: number;
  published = 0;
  /** What was told as delivered, in that order. */
  readonly delivered: number[] = [];
  readonly #waiting = new Map<number, number>();
  readonly #wrong: string[] = [];

  constructor(owner: Test, port: number, name: string, qos: number, options: WatchedOptions = {}) {
    this.topic = `n/${name}`;
    this.qos = qos;
    this.watched = new WatchedClient(owner, port, { id: name, clean: false, limits: LIMITS, ...options });
    this.watched.onEvent = (event) => {
      if (!event.startsWith('delivered ')) return;
      const handle = Number(event.slice('delivered '.length));
      const number = this.#waiting.get(handle);
      if (number === undefined) this.#wrong.push(`handle ${handle}, which waits for nothing`);
      else this.delivered.push(number);
      this.#waiting.delete(handle);
    };
  }

  publish(count: number, retain = false): void {
    for (let i = 0; i < count; i++) {
      const number = ++this.published;
      const handle = this.watched.client.publish(this.topic, `${number}`, { QoS: this.qos, retain });
      if (handle <= 0) this.#wrong.push(`${number} was not taken: ${handle}`);
      if (this.#waiting.has(handle)) this.#wrong.push(`${number} got handle ${handle}, which waits for another`);
      this.#waiting.set(handle, number);
    }
  }

  /** Waits until all is delivered. Fails at once when something was not taken: that never will be. */
  async done(): Promise<void> {
    await this.watched.until(() => this.#wrong.length > 0 || this.#waiting.size === 0,
      `${this.topic}: ${this.published} deliveries`, LONG_MS);
    if (this.#wrong.length > 0) throw new Error(`${this.topic}: ${this.#wrong.slice(0, 3).join('; ')}`);
  }

  /** Every number told once, and none forgotten. */
  check(t: Test): void {
    t.strictSame(this.#wrong, [], this.topic);
    t.strictSame([...this.delivered].sort((a, b) => a - b), count(1, this.published), `${this.topic}: each delivered`);
    t.equal(this.watched.client.waitingCount, 0);
    t.equal(this.watched.told(/^dropped/).length, 0);
    t.equal(this.watched.client.core.counters.errors, 0, 'the broker did nothing it must not');
  }
}

export function count(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

export function numbersOf(messages: readonly Received[], topic: string): number[] {
  return messages.filter((message) => message.topic === topic).map(({ text }) => Number(text));
}

/** The numbers without those that came before. */
export function firstOccurrences(numbers: readonly number[]): number[] {
  return [...new Set(numbers)];
}
