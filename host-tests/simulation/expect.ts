// What a client of the reference model must receive, and the comparison with what it does receive.
// Two parts: a `Line` lives as long as a connection, a `SessionQueue` as long as a session; what
// comes through shared subscriptions is in shared.ts. Deterministic; runs on Node and on XS.
//
// What may come in any order relative to each other (MQTT says nothing) are lists apart: answers,
// QoS 0, QoS 1 and 2, retained messages for new subscriptions. Within the first three the order is
// exact.

import { isSame, mayBeMissing, mayBeTooLarge, tell, tellSeen, type Seen, type View, type Wanted } from './message.js';

/** Where a message of QoS 1 or 2 stands, as the peer has seen it. */
type Progress = 'pending' | 'sent' | 'released';

interface Delivery extends Wanted {
  progress: Progress;
  id: number;
  /** It may have left the broker unseen, on a connection that was lost: then it comes with DUP. */
  maybeSent: boolean;
  /** On an earlier connection it was too large, perhaps. */
  maybeDropped: boolean;
}

/** One retained message for one new subscription; `values` are those it had since. */
interface Replay {
  /** Of that subscription: one of these, when another replay has come and nobody can tell which. */
  filters: string[];
  topic: string;
  values: Wanted[];
  /** It was cleared, lost or unsubscribed meanwhile: it may come, and need not. */
  optional: boolean;
}

/** Gives the expectation of a shared subscription that this fulfils, or null. */
export type TakeShared = (seen: Seen) => Wanted | null;

/** Answers and QoS 0 of one connection. */
export class Line {
  readonly answers: string[] = [];
  readonly #unacknowledged: { wanted: Wanted; optional: boolean }[] = [];
  /** QoS 0 messages that certainly were dropped, for want of room or because they were too large. */
  dropped = 0;

  publishOnce(wanted: Wanted, optional: boolean): void {
    this.#unacknowledged.push({ wanted, optional });
  }

  takeAnswer(words: string): void {
    if (this.answers[0] !== words) throw new Error(`received "${words}" and not "${this.answers[0] ?? 'nothing'}"`);
    this.answers.shift();
  }

  /** Whether that is what comes next, for certain or not; optional ones before it were dropped. */
  takePublish(seen: Seen, view: View): 'due' | 'optional' | null {
    const at = this.#unacknowledged.findIndex(({ wanted, optional }) => isSame(wanted, seen, view) || !optional);
    const next = this.#unacknowledged[at];
    if (next === undefined || !isSame(next.wanted, seen, view)) return null;
    this.#unacknowledged.splice(0, at + 1);
    this.dropped += at;
    return next.optional ? 'optional' : 'due';
  }

  get next(): string {
    const next = this.#unacknowledged[0];
    return next === undefined ? 'nothing' : tell(next.wanted);
  }

  forEach(act: (wanted: Wanted) => void): void {
    for (const { wanted } of this.#unacknowledged) act(wanted);
  }

  /** All that was expected must have come. */
  settle(): void {
    if (this.answers.length > 0) throw new Error(`still to come: ${this.answers.join(', ')}`);
    for (const { wanted, optional } of this.#unacknowledged) {
      if (!optional) throw new Error(`QoS 0 still to come: ${tell(wanted)}`);
      this.dropped++;
    }
    this.#unacknowledged.length = 0;
  }
}

/** QoS 1 and 2, and retained messages, of one session. */
export class SessionQueue {
  #deliveries: Delivery[] = [];
  /** The next delivery to come on this connection; those before are unacknowledged on it. */
  #cursor = 0;
  #replays: Replay[] = [];
  /** Filters whose retained messages may be on their way. */
  readonly #replaying = new Set<string>();
  /** What of a connection was lost unseen may come now, with DUP. */
  #lossy = false;

  /** Messages that the client has and has not acknowledged to the end, on this connection. */
  get inflight(): number {
    return this.#cursor;
  }

  publish(wanted: Wanted): void {
    this.#deliveries.push({ ...wanted, progress: 'pending', id: 0, maybeSent: false, maybeDropped: false });
  }

  /** A new connection: everything in flight comes again first. */
  resume(): void {
    this.#cursor = 0;
  }

  /** The connection has ended; `lossy`: what the broker had sent was perhaps not seen. */
  lost(lossy: boolean, view: View): void {
    for (const delivery of this.#deliveries) delivery.maybeDropped ||= this.#maySkip(delivery, view);
    for (const replay of this.#replays) replay.optional ||= replay.values.some((value) => mayBeMissing(value, view));
    if (!lossy) return;
    this.#lossy = true;
    for (const delivery of this.#deliveries) delivery.maybeSent = true;
    for (const replay of this.#replays) replay.optional = true;
  }

  /** Retained messages for a subscription, which is new or new again. */
  subscribed(filter: string, replays: readonly Wanted[]): void {
    this.unsubscribed(filter);
    for (const wanted of replays) {
      this.#replays.push({ filters: [filter], topic: wanted.topic, values: [wanted], optional: false });
    }
    this.#replaying.add(filter);
  }

  /** What is on its way for the filter goes on with another QoS. */
  regranted(filter: string, qosOf: (wanted: Wanted) => number): void {
    for (const replay of this.#replays) {
      if (!replay.filters.includes(filter)) continue;
      for (const value of [...replay.values]) replay.values.push({ ...value, qos: qosOf(value) });
    }
  }

  /** What is on its way for the filter may still come. */
  unsubscribed(filter: string): void {
    for (const replay of this.#replays) if (replay.filters.includes(filter)) replay.optional = true;
    this.#replaying.delete(filter);
  }

  /**
   * The retained message of a topic was set, or cleared by null; `matching` are filters that match
   * it, with what they would get.
   */
  retainedChanged(topic: string, cleared: boolean, matching: readonly [filter: string, wanted: Wanted][]): void {
    for (const [filter, wanted] of matching) {
      if (!this.#replaying.has(filter)) continue;
      let known = false;
      for (const replay of this.#replays) {
        if (!replay.filters.includes(filter) || replay.topic !== topic) continue;
        known ||= replay.filters.length === 1;
        if (cleared) replay.optional = true;
        else replay.values.push(wanted);
      }
      if (!known && !cleared) this.#replays.push({ filters: [filter], topic, values: [wanted], optional: true });
    }
  }

  forEach(act: (wanted: Wanted) => void): void {
    for (const delivery of this.#deliveries) act(delivery);
    for (const { values } of this.#replays) for (const value of values) act(value);
  }

  /** What of QoS 1 has not been acknowledged, and came through a shared subscription. */
  unfinished(): Wanted[] {
    return this.#deliveries.filter(({ published, qos, progress }) =>
      published !== undefined && qos === 1 && progress === 'sent');
  }

  /** A retained message may come in the place of what came just now, which was the same. */
  takenForReplay(seen: Seen, view: View): void {
    for (const replay of this.#replays) {
      if (replay.values.some((value) => isSame(value, seen, view))) replay.optional = true;
    }
  }

  /** QoS 1 or 2 has come, in the order of the queue, as retained message or through a shared subscription. */
  takePublish(seen: Seen, view: View, takeShared: TakeShared): void {
    for (let at = this.#cursor; at < this.#deliveries.length; at++) {
      const next = this.#deliveries[at]!;
      if (this.#isNext(next, seen, view)) {
        next.progress = 'sent';
        next.id = seen.id;
        this.#deliveries.splice(this.#cursor, at - this.#cursor); // those were not to come
        this.#cursor++;
        return;
      }
      if (!this.#maySkip(next, view)) break;
    }
    const next = this.#deliveries[this.#cursor];
    if ((next !== undefined && next.progress !== 'pending' && !this.#maySkip(next, view)) ||
        (seen.duplicate && !this.#lossy)) this.#refuse(seen);
    const taken = this.#takeReplay(seen, view) ?? takeShared(seen);
    if (taken === null) this.#refuse(seen);
    this.#checkFresh(seen);
    const retain = view.level < 5 ? null : seen.retain;
    this.#deliveries.splice(this.#cursor++, 0, { ...taken, retain, progress: 'sent', id: seen.id,
      maybeSent: false, maybeDropped: false });
  }

  #refuse(seen: Seen): never {
    throw new Error(`received ${tellSeen(seen)} and not ${describe(this.#deliveries[this.#cursor])}`);
  }

  #isNext(next: Delivery, seen: Seen, view: View): boolean {
    if (!isSame(next, seen, view, next.progress !== 'pending' || next.maybeSent)) return false;
    if (next.progress === 'sent') return seen.duplicate && seen.id === next.id;
    if (next.progress === 'released' || (seen.duplicate && !next.maybeSent)) return false;
    this.#checkFresh(seen);
    return true;
  }

  /** Whether it need not come: it is too large, or has expired before it went out. */
  #maySkip(next: Delivery, view: View): boolean {
    if (next.progress === 'released' || !(next.maybeDropped || mayBeMissing(next, view))) return false;
    return next.progress === 'pending' || next.maybeDropped || mayBeTooLarge(next, view);
  }

  #checkFresh(seen: Seen): void {
    if (seen.id !== 0 && this.#find(seen.id) === undefined) return;
    throw new Error(`identifier ${seen.id} of ${tellSeen(seen)} is in use`);
  }

  #find(id: number): Delivery | undefined {
    return this.#deliveries.find((delivery) => delivery.progress !== 'pending' && delivery.id === id);
  }

  /** RETAIN at QoS 0 has come. */
  takeRetained(seen: Seen, view: View): boolean {
    return this.#takeReplay(seen, view) !== null;
  }

  #takeReplay(seen: Seen, view: View): Wanted | null {
    const find = ({ values }: Replay): Wanted | undefined => 
      values.find((value) => isSame(value, seen, view, seen.duplicate));
    const matching = this.#replays.filter((replay) => find(replay) !== undefined);
    const due = matching.find(({ optional, values }) =>
      !optional && !values.some((value) => mayBeMissing(value, view))) ?? matching.find(({ optional }) => !optional);
    const stray = matching.find(({ optional }) => optional);
    const taken = due ?? stray;
    if (taken === undefined) return null;
    const found = unite(matching.map((replay) => find(replay)!));
    confuse(matching);
    if (due === undefined || stray === undefined || isSame(due.values.at(-1)!, seen, view)) {
      this.#replays.splice(this.#replays.indexOf(taken), 1);
      return found;
    }
    // An older message: for the filter that was left meanwhile, or for the one that waits. Nobody can tell.
    due.optional = true;
    this.#replays.splice(this.#replays.indexOf(stray), 1);
    return found;
  }

  /** Whether this PUBREL is one that comes again; otherwise it answers a PUBREC. */
  takeRelease(id: number, view: View): boolean {
    for (let at = this.#cursor; at < this.#deliveries.length; at++) {
      const next = this.#deliveries[at]!;
      if (next.progress === 'released' && next.id === id) {
        this.#deliveries.splice(this.#cursor, at - this.#cursor);
        this.#cursor++;
        return true;
      }
      if (!this.#maySkip(next, view)) break;
    }
    return false;
  }

  /** The peer has sent PUBACK or PUBCOMP, or PUBREC with an error. */
  finish(id: number, progress: 'sent' | 'released'): void {
    const at = this.#deliveries.findIndex((delivery) => delivery.id === id && delivery.progress === progress);
    if (at < 0) return;
    this.#deliveries.splice(at, 1);
    if (at < this.#cursor) this.#cursor--;
  }

  /** The peer has sent PUBREC; whether there is a message with that identifier. */
  release(id: number): boolean {
    const delivery = this.#find(id);
    if (delivery !== undefined) delivery.progress = 'released';
    return delivery !== undefined;
  }

  /**
   * Whoever is connected and reads must have everything that the window of `inflightMax` messages
   * lets through.
   */
  settle(inflightMax: number, view: View): void {
    // PUBREL does not wait, 5.0 [MQTT-4.9.0-3]; but what it finishes may keep messages waiting.
    const inflight = this.#deliveries.filter(({ progress }, at) => at < this.#cursor && progress === 'sent').length;
    if (inflight > inflightMax) throw new Error(`${inflight} messages in flight, more than ${inflightMax}`);
    while (this.#cursor < this.#deliveries.length) {
      const next = this.#deliveries[this.#cursor]!;
      if (this.#cursor >= inflightMax && next.progress !== 'released') break;
      if (!this.#maySkip(next, view)) throw new Error(`still to come: ${describe(next)}`);
      this.#deliveries.splice(this.#cursor, 1);
    }
    if (this.#cursor >= inflightMax) return;
    const missing = this.#replays.find(({ optional, values }) =>
      !optional && !values.some((value) => mayBeMissing(value, view)));
    if (missing !== undefined) throw new Error(`retained message still to come: ${tell(missing.values.at(-1)!)}`);
    this.#replays = [];
    this.#replaying.clear();
    this.#lossy = false;
  }
}

/** One of these has come, all alike to the client: it goes on with the identifiers of any of them. */
function unite(candidates: readonly Wanted[]): Wanted {
  return { ...candidates[0]!, via: [...new Set(candidates.flatMap(({ via }) => via ?? []))],
    identifiers: [...new Set(candidates.flatMap(({ identifiers }) => identifiers))] };
}

/** One of these replays has come; of those that are left nobody can tell whose they are. */
function confuse(replays: readonly Replay[]): void {
  const filters = [...new Set(replays.flatMap((replay) => replay.filters))];
  const values = replays.flatMap((replay) => replay.values);
  for (const replay of filters.length > 1 ? replays : []) {
    const own = replay.values;
    replay.filters = filters;
    replay.values = [...values.filter((value) => !own.includes(value)), ...own];
  }
}

function describe(delivery: Delivery | undefined): string {
  return delivery === undefined ? 'nothing' : `${delivery.progress} ${tell(delivery)} id${delivery.id}`;
}
