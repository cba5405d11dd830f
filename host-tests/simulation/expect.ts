// What a client of the reference model must receive, and the comparison with what it does receive.
// Two parts: a `Line` lives as long as a connection, a `SessionQueue` as long as a session. Packets
// come in the words of support/packets.ts. Deterministic; runs on Node and on XS.
//
// What may come in any order relative to each other (MQTT says nothing) are lists apart: answers,
// QoS 0, QoS 1 and 2, retained messages for new subscriptions. Within the first three the order is
// exact.

export interface Message {
  topic: string;
  payload: string;
  qos: number;
}

interface Seen extends Message {
  id: number;
  duplicate: boolean;
  retain: boolean;
}

const PUBLISH_WORDS = /^PUBLISH q(\d)(?: id(\d+))?( dup)?( retain)? (\S+) (.*)$/;

/** The parts of a PUBLISH in words, or null for another packet. */
export function parsePublish(words: string): Seen | null {
  const found = PUBLISH_WORDS.exec(words);
  if (found === null) return null;
  return { qos: Number(found[1]), id: Number(found[2] ?? 0), duplicate: found[3] !== undefined,
    retain: found[4] !== undefined, topic: found[5]!, payload: found[6]! };
}

const same = (one: Message, other: Message): boolean =>
  one.topic === other.topic && one.payload === other.payload && one.qos === other.qos;

/** Where a message of QoS 1 or 2 stands, as the peer has seen it. */
type Progress = 'pending' | 'sent' | 'released';

interface Delivery extends Message {
  retain: boolean;
  progress: Progress;
  id: number;
  /** It may have left the broker unseen, on a connection that was lost: then it comes with DUP. */
  maybeSent: boolean;
}

/** One retained message for one new subscription; `values` are those it had since. */
interface Replay {
  filter: string;
  topic: string;
  values: Message[];
  /** It was cleared, lost or unsubscribed meanwhile: it may come, and need not. */
  optional: boolean;
}

/** Answers and QoS 0 of one connection. */
export class Line {
  readonly answers: string[] = [];
  readonly #unacknowledged: { message: Message; optional: boolean }[] = [];
  /** QoS 0 messages that certainly were dropped, for want of room. */
  dropped = 0;

  publishOnce(message: Message, optional: boolean): void {
    this.#unacknowledged.push({ message, optional });
  }

  takeAnswer(words: string): void {
    if (this.answers[0] !== words) throw new Error(`received "${words}" and not "${this.answers[0] ?? 'nothing'}"`);
    this.answers.shift();
  }

  takePublish(seen: Seen): void {
    for (;;) {
      const next = this.#unacknowledged.shift();
      if (next !== undefined && same(next.message, seen)) return;
      if (next === undefined || !next.optional) {
        const wanted = next === undefined ? 'nothing' : tell(next.message);
        throw new Error(`received ${tell(seen)} at QoS 0 and not ${wanted}`);
      }
      this.dropped++;
    }
  }

  /** All that was expected must have come. */
  settle(): void {
    if (this.answers.length > 0) throw new Error(`still to come: ${this.answers.join(', ')}`);
    for (const { message, optional } of this.#unacknowledged) {
      if (!optional) throw new Error(`QoS 0 still to come: ${tell(message)}`);
      this.dropped++;
    }
    this.#unacknowledged.length = 0;
  }
}

export const tell = (message: Message): string => `${message.topic} ${message.payload} q${message.qos}`;

/** QoS 1 and 2, and retained messages, of one session. */
export class SessionQueue {
  readonly #deliveries: Delivery[] = [];
  /** The next delivery to come on this connection. */
  #cursor = 0;
  #replays: Replay[] = [];
  /** Filters whose retained messages may be on their way. */
  readonly #replaying = new Set<string>();
  /** What of a connection was lost unseen may come now, with DUP. */
  #lossy = false;

  get inflight(): number {
    return this.#deliveries.filter((delivery) => delivery.progress !== 'pending').length;
  }

  get length(): number {
    return this.#deliveries.length;
  }

  publish(message: Message): void {
    this.#deliveries.push({ ...message, retain: false, progress: 'pending', id: 0, maybeSent: false });
  }

  /** A new connection: everything in flight comes again first. */
  resume(): void {
    this.#cursor = 0;
  }

  /** The connection has ended; `lossy`: what the broker had sent was perhaps not seen. */
  lost(lossy: boolean): void {
    if (!lossy) return;
    this.#lossy = true;
    for (const delivery of this.#deliveries) delivery.maybeSent = true;
    for (const replay of this.#replays) replay.optional = true;
  }

  subscribed(filter: string, replays: readonly Message[]): void {
    this.unsubscribed(filter);
    for (const message of replays) {
      this.#replays.push({ filter, topic: message.topic, values: [message], optional: false });
    }
    this.#replaying.add(filter);
  }

  /** What is on its way for the filter may still come. */
  unsubscribed(filter: string): void {
    for (const replay of this.#replays) if (replay.filter === filter) replay.optional = true;
    this.#replaying.delete(filter);
  }

  /**
   * The retained message of a topic was set, or cleared by null; `matching` are filters that match
   * it, with QoS.
   */
  retainedChanged(topic: string, message: Message | null, matching: readonly [filter: string, qos: number][]): void {
    for (const [filter, qos] of matching) {
      if (!this.#replaying.has(filter)) continue;
      const value = message === null ? null : { ...message, qos: Math.min(qos, message.qos) };
      let known = false;
      for (const replay of this.#replays) {
        if (replay.filter !== filter || replay.topic !== topic) continue;
        known = true;
        if (value === null) replay.optional = true;
        else replay.values.push(value);
      }
      if (!known && value !== null) this.#replays.push({ filter, topic, values: [value], optional: true });
    }
  }

  /** QoS 1 or 2, or RETAIN at any QoS, has come. */
  takePublish(seen: Seen): void {
    if (seen.qos === 0) {
      this.#takeReplay(seen);
      return;
    }
    const next = this.#deliveries[this.#cursor];
    if (next !== undefined && this.#isNext(next, seen)) {
      next.progress = 'sent';
      next.id = seen.id;
      this.#cursor++;
      return;
    }
    if (!seen.retain || (next !== undefined && next.progress !== 'pending') || (seen.duplicate && !this.#lossy)) {
      throw new Error(`received ${tell(seen)} id${seen.id}${seen.duplicate ? ' dup' : ''} and not ${describe(next)}`);
    }
    this.#checkFresh(seen);
    this.#takeReplay(seen);
    this.#deliveries.splice(this.#cursor++, 0, { topic: seen.topic, payload: seen.payload, qos: seen.qos, retain: true,
      progress: 'sent', id: seen.id, maybeSent: false });
  }

  #isNext(next: Delivery, seen: Seen): boolean {
    if (!same(next, seen) || next.retain !== seen.retain) return false;
    if (next.progress === 'sent') return seen.duplicate && seen.id === next.id;
    if (next.progress === 'released' || (seen.duplicate && !next.maybeSent)) return false;
    this.#checkFresh(seen);
    return true;
  }

  #checkFresh(seen: Seen): void {
    if (seen.id !== 0 && this.#find(seen.id) === undefined) return;
    throw new Error(`identifier ${seen.id} of ${tell(seen)} is in use`);
  }

  #find(id: number): Delivery | undefined {
    return this.#deliveries.find((delivery) => delivery.progress !== 'pending' && delivery.id === id);
  }

  #takeReplay(seen: Seen): void {
    const matching = this.#replays.filter((replay) => replay.values.some((value) => same(value, seen)));
    const due = matching.find(({ optional }) => !optional);
    const stray = matching.find(({ optional }) => optional);
    const taken = due ?? stray;
    if (taken === undefined) throw new Error(`received retained ${tell(seen)}, which no new subscription waits for`);
    if (due === undefined || stray === undefined || same(due.values.at(-1)!, seen)) {
      this.#replays.splice(this.#replays.indexOf(taken), 1);
      return;
    }
    // An older message: for the filter that was left meanwhile, or for the one that waits. Nobody can tell.
    due.optional = true;
    this.#replays.splice(this.#replays.indexOf(stray), 1);
  }

  /** Whether this PUBREL is one that comes again; otherwise it answers a PUBREC. */
  takeRelease(id: number): boolean {
    const next = this.#deliveries[this.#cursor];
    if (next === undefined || next.progress !== 'released' || next.id !== id) return false;
    this.#cursor++;
    return true;
  }

  /** The peer has sent PUBACK or PUBCOMP. */
  finish(id: number, progress: 'sent' | 'released'): void {
    const at = this.#deliveries.findIndex((delivery) => delivery.id === id && delivery.progress === progress);
    if (at < 0) return;
    this.#deliveries.splice(at, 1);
    if (at < this.#cursor) this.#cursor--;
  }

  /** The peer has sent PUBREC. */
  release(id: number): void {
    const delivery = this.#find(id);
    if (delivery !== undefined) delivery.progress = 'released';
  }

  /**
   * Whoever is connected and reads must have everything that the window of `inflightMax` messages
   * lets through.
   */
  settle(inflightMax: number): void {
    const inflight = this.inflight;
    if (inflight > inflightMax) throw new Error(`${inflight} messages in flight, more than ${inflightMax}`);
    const next = this.#deliveries[this.#cursor];
    if (next !== undefined && (next.progress !== 'pending' || inflight < inflightMax)) {
      throw new Error(`still to come: ${describe(next)}`);
    }
    if (inflight >= inflightMax) return;
    const missing = this.#replays.find((replay) => !replay.optional);
    if (missing !== undefined) throw new Error(`retained message still to come: ${tell(missing.values.at(-1)!)}`);
    this.#replays = [];
    this.#replaying.clear();
    this.#lossy = false;
  }
}

function describe(delivery: Delivery | undefined): string {
  return delivery === undefined ? 'nothing' : `${delivery.progress} ${tell(delivery)} id${delivery.id}`;
}
