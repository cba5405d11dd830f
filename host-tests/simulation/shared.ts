// Messages for shared subscriptions, MQTT 5.0 section 4.8.2, that not all groups have received yet.
// The model leaves open which member of a group gets one and when, not that exactly one does. Used
// by routing.ts, to which a holder is a session. Deterministic; runs on Node and on XS.

import { expiresAtMs, isSame, mayBeMissing, tell, type Message, type Seen, type View, type Wanted } from './message.js';

/** One group that is to get the message. */
interface Entry<Holder> {
  filter: string;
  /** Who may have it in its queue, or be given it, and what that client then gets. */
  candidates: Map<Holder, Wanted[]>;
  /** Candidates that were connected since it was published: it may have left the broker unseen. */
  seenBy: Set<Holder>;
  /** It may be lost or dropped: the broker does not owe it. */
  optional: boolean;
}

/** One message, however often it was published; a claim is a delivery that was seen, for one of the entries in it. */
interface Shared<Holder> {
  message: Message;
  entries: Entry<Holder>[];
  claims: Entry<Holder>[][];
}

/** What is known of a member now: `view` is null while it is away; `done`: it has all that it can get. */
export interface Member {
  view: View | null;
  done: boolean;
}

export interface Group<Holder> {
  filter: string;
  members: ReadonlyMap<Holder, Wanted>;
  optional: boolean;
}

/** Whether each claim can have an entry of its own, so that those left over are none of `due`. */
function canAssign<E>(claims: readonly E[][], due: readonly E[], used: ReadonlySet<E> = new Set()): boolean {
  const [first, ...others] = claims;
  if (first === undefined) return due.every((entry) => used.has(entry));
  return first.some((entry) => !used.has(entry) && canAssign(others, due, new Set(used).add(entry)));
}

export class SharedMessages<Holder> {
  #messages: Shared<Holder>[] = [];

  publish(message: Message, groups: readonly Group<Holder>[]): void {
    const entries = groups.map(({ filter, members, optional }): Entry<Holder> => ({ filter, seenBy: new Set(), optional,
      candidates: new Map([...members].map(([holder, wanted]) => [holder, [wanted]])) }));
    const same = this.#messages.find((other) =>
      other.message.topic === message.topic && other.message.payload === message.payload);
    if (same === undefined) this.#messages.push({ message, entries, claims: [] });
    else same.entries.push(...entries);
  }

  get #entries(): Entry<Holder>[] {
    return this.#messages.flatMap(({ entries }) => entries);
  }

  /** The holder is a member now, or with other options, and may be given what other ones leave. */
  joined(filter: string, holder: Holder, wantedOf: (message: Message, atMs: number) => Wanted): void {
    for (const { message, entries } of this.#messages) {
      for (const entry of entries.filter((one) => one.filter === filter)) {
        const known = entry.candidates.get(holder) ?? [];
        const atMs = [...entry.candidates.values()][0]?.[0]?.atMs;
        if (atMs === undefined) continue;
        const wanted = wantedOf(message, atMs);
        if (wanted.qos > 0) entry.candidates.set(holder, [...known, wanted]); // nothing of QoS 0 is handed over
      }
    }
  }

  connected(holder: Holder, view: View): void {
    for (const { candidates, seenBy } of this.#entries) if (candidates.has(holder)) seenBy.add(holder);
    this.#review(holder, view);
  }

  /** What may be too large or too old for the holder may be dropped, if the holder was given it. */
  #review(holder: Holder, view: View): void {
    for (const entry of this.#entries) {
      if (entry.candidates.get(holder)?.some((wanted) => mayBeMissing(wanted, view))) entry.optional = true;
    }
  }

  /** The connection of the holder has ended, and what was sent last was perhaps not seen. */
  lost(holder: Holder): void {
    for (const entry of this.#entries) {
      if (entry.candidates.get(holder)?.some(({ qos }) => qos === 0)) entry.optional = true;
    }
  }

  /**
   * The session of the holder has ended. What it had goes to a member that is left, with the RETAIN
   * that it had: not QoS 2 that may have been sent, 5.0 [MQTT-4.8.2-5], nor to a member that takes
   * QoS 0 only, which gets nothing late. Returns how many messages it may have had.
   */
  ended(holder: Holder, qosOfHeirs: (filter: string) => number[]): number {
    let count = 0;
    for (const entry of this.#entries) {
      const own = entry.candidates.get(holder);
      if (own === undefined) continue;
      entry.candidates.delete(holder);
      count++;
      const seen = entry.seenBy.has(holder);
      const heirs = qosOfHeirs(entry.filter);
      if (own.some(({ qos }) => qos === 0 || (qos === 2 && seen)) || heirs.length === 0 || heirs.includes(0)) {
        entry.optional = true;
      }
      for (const wanted of [...entry.candidates.values()].flat()) wanted.retain = null;
    }
    return count;
  }

  take(holder: Holder, seen: Seen, view: View): Wanted | null {
    for (const { entries, claims } of this.#messages) {
      const found = entries.filter((entry) => this.#find(entry, holder, seen, view) !== undefined);
      if (found.length === 0 || !canAssign([...claims, found], [])) continue;
      claims.push(found);
      return this.#find(found[0]!, holder, seen, view)!;
    }
    return null;
  }

  #find({ candidates }: Entry<Holder>, holder: Holder, seen: Seen, view: View): Wanted | undefined {
    return candidates.get(holder)?.find((one) => isSame(one, seen, view, seen.duplicate));
  }

  forEach(holder: Holder, act: (wanted: Wanted) => void): void {
    for (const { candidates } of this.#entries) candidates.get(holder)?.forEach(act);
  }

  /** A turn is over: what a group has not, though none of its members can still get it, is missing. */
  settle(nowMs: number, memberOf: (holder: Holder) => Member): void {
    this.#messages = this.#messages.filter(({ message, entries, claims }) => {
      for (const entry of entries) {
        for (const [holder, wanted] of entry.candidates) {
          const { view } = memberOf(holder);
          if (view !== null && wanted.some((one) => mayBeMissing(one, view))) entry.optional = true;
          if (wanted.some((one) => expiresAtMs(one) <= nowMs)) entry.optional = true;
        }
      }
      const isDone = ({ candidates }: Entry<Holder>): boolean =>
        [...candidates.keys()].every((holder) => memberOf(holder).done);
      const due = entries.filter((entry) => !entry.optional && isDone(entry));
      if (!canAssign(claims, due)) {
        const [wanted] = due.flatMap(({ candidates }) => [...candidates.values()].flat());
        const what = wanted === undefined ? message.payload : tell(wanted);
        throw new Error(`a group has not, of ${due.map(({ filter }) => filter).join(', ')}: ${what}`);
      }
      return !entries.every(isDone);
    });
  }
}
