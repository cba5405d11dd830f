// What holds under any limits, however much is dropped and refused: nothing is delivered that was
// not published; in each topic and QoS what a publisher sent comes in its order; QoS 2 comes once.
// A judge for world.ts that knows of the core only what its clients see. Deterministic; runs on
// Node and on XS.

import type { Wire } from './client.js';
import { parsePublish, wordsOf, type Message, type Seen } from './message.js';
import { mayBeShared } from './terms.js';
import type { Judge } from './world.js';

/** What one client has seen; it outlives connections and sessions. */
class Memory {
  /** Messages by identifier: of QoS 1 the last, of QoS 2 those that PUBREL has not released. */
  readonly byId = new Map<number, string>();
  /** The last number of each stream: publisher, topic and both QoS. */
  readonly last = new Map<string, number>();
  readonly once = new Set<string>();
}

export class Safety implements Judge {
  readonly model = null;
  readonly #memories = new Map<string, Memory>();
  /** Their properties, each way a message was published. */
  readonly #published = new Map<string, Set<string>>();
  readonly #resent = new Set<string>();

  /** A client sends this, for the first time or again. */
  published({ topic, payload, properties }: Message, again: boolean): void {
    const key = `${topic} ${payload}`;
    const known = this.#published.get(key) ?? new Set();
    this.#published.set(key, known.add(wordsOf(properties)));
    if (again) this.#resent.add(key);
  }

  opened(): void {}
  ended(): void {}
  settle(): void {}
  settleAll(): void {}

  observe(wire: Wire, words: string): void {
    if (wire.client.clientId === '') return;
    let memory = this.#memories.get(wire.client.clientId);
    if (memory === undefined) this.#memories.set(wire.client.clientId, memory = new Memory());
    if (words.startsWith('CONNACK new 0')) memory.byId.clear();
    if (words.startsWith('PUBREL ')) memory.byId.delete(Number(words.slice(9)));
    const seen = parsePublish(words);
    if (seen === null) return;
    const key = `${seen.topic} ${seen.payload}`;
    const content = `q${seen.qos} ${key}`;
    const properties = wire.wishes.level === 5 ? seen.properties : undefined;
    const known = this.#published.get(key);
    if (known === undefined || (properties !== undefined && !known.has(properties))) {
      throw new Error(`received "${words}", which nobody published`);
    }
    const before = memory.byId.get(seen.id);
    if (seen.qos > 0) {
      memory.byId.set(seen.id, content);
      if (seen.duplicate && before === content) return;
      if (before?.startsWith('q2')) throw new Error(`received "${words}" while "${before}" has that identifier`);
    }
    // What members share comes to one or the other, and again when a session ends.
    if (!seen.retain && !mayBeShared(seen.topic)) this.#checkOrder(memory, seen, key);
  }

  #checkOrder(memory: Memory, seen: Seen, key: string): void {
    const [publisher, number, publishedQos] = seen.payload.split('.');
    if (publishedQos === undefined || publisher === 'will') return;
    if (seen.qos > Number(publishedQos)) throw new Error(`received ${key} at QoS ${seen.qos}`);
    if (publishedQos === '2' && seen.qos === 2) {
      if (memory.once.has(key)) throw new Error(`received ${key} of QoS 2 twice`);
      memory.once.add(key);
    }
    const stream = `${publisher} ${seen.topic} ${publishedQos} ${seen.qos}`;
    const last = memory.last.get(stream) ?? 0;
    if (Number(number) > last) memory.last.set(stream, Number(number));
    else if (publishedQos !== '1' || !this.#resent.has(key)) throw new Error(`received ${key} after number ${last}`);
  }
}
