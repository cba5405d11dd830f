// Where a message goes in the reference model of model.ts: to the sessions whose subscriptions match
// it, to one member of each group that shares it, to who subscribes later if it is retained.
// Deterministic; runs on Node and on XS.

import { isTooLarge, join, mayBeMissing, type Message, type Wanted } from './message.js';
import { SharedMessages, type Group } from './shared.js';
import { innerFilter, isShared, matches } from './terms.js';
import type { Connection, Links, ModelLimits, Session, Subscription } from './terms.js';

export class Routing {
  readonly sessions = new Map<string, Session>();
  readonly shared = new SharedMessages<Session>();
  readonly #links: Links;
  readonly #limits: ModelLimits;
  readonly #retained = new Map<string, Message & { atMs: number }>();
  nowMs = 0;
  /** Messages of shared subscriptions that may not have found an heir. */
  lostWithSession = 0;
  /** Messages with more levels than can be retained. */
  unretained = 0;

  constructor(links: Links, limits: ModelLimits) {
    this.#links = links;
    this.#limits = limits;
  }

  /** Those of `session` that match, and want what `publisher` publishes. */
  #matching(session: Session, topic: string, publisher: Session | null): Subscription[] {
    return [...session.subscriptions.values()].filter(({ filter, noLocal }) =>
      !isShared(filter) && matches(filter, topic) && !(noLocal && session === publisher)); // 5.0 [MQTT-3.8.3-3]
  }

  isWanted({ topic }: Message, publisher: Session): boolean {
    return [...this.sessions.values()].some((session) => this.#matching(session, topic, publisher).length > 0 ||
      [...session.subscriptions.keys()].some((filter) => isShared(filter) && matches(innerFilter(filter), topic)));
  }

  route(message: Message, retain: boolean, publisher: Session | null): void {
    if (message.topic === '$SYS' || message.topic.startsWith('$SYS/')) return;
    if (retain) this.#retain(message);
    const groups = new Set<string>();
    for (const session of this.sessions.values()) {
      for (const filter of session.subscriptions.keys()) {
        if (isShared(filter) && matches(innerFilter(filter), message.topic)) groups.add(filter);
      }
      const matching = this.#matching(session, message.topic, publisher);
      if (matching.length === 0) continue;
      const granted = Math.max(...matching.map(({ qos }) => qos)); // [MQTT-3.3.5-1]
      const flags = matching.filter(({ qos }) => qos === granted)
        .map(({ asPublished }) => retain && asPublished === true);
      const wanted: Wanted = { ...message, qos: Math.min(granted, message.qos), atMs: this.nowMs, via: null,
        retain: flags.every((flag) => flag === flags[0]) ? flags[0]! : null,
        identifiers: [this.#identifiersOf(session, message.topic, null)] };
      if (publisher === session) this.#allowWithoutLocal(wanted, matching);
      if (wanted.qos > 0) session.queue.publish(wanted);
      else if (session.connection !== null) this.#publishOnce(session.connection, wanted);
    }
    this.#share([...groups], message, retain);
  }

  /** Whether an identifier of a subscription without local messages goes along is left open. */
  #allowWithoutLocal(wanted: Wanted, matching: Subscription[]): void {
    wanted.identifiers.push(join(matching.flatMap(({ identifier }) => identifier ? [identifier] : [])));
  }

  #publishOnce(connection: Connection, wanted: Wanted): void {
    const view = connection.view(this.nowMs);
    if (isTooLarge(wanted, view)) this.#links.met('too large');
    else connection.line.publishOnce(wanted, this.#links.congested(connection.number) || mayBeMissing(wanted, view));
  }

  /** Identifiers that go with a message now, 5.0 [MQTT-3.3.4-3], [MQTT-3.3.4-4]. */
  #identifiersOf(session: Session, topic: string, via: string | null): string {
    const from = via === null ? this.#matching(session, topic, null) : [session.subscriptions.get(via)];
    return join(from.flatMap((subscription) => subscription?.identifier ? [subscription.identifier] : []));
  }

  #members(filter: string): Session[] {
    return [...this.sessions.values()].filter(({ subscriptions }) => subscriptions.has(filter));
  }

  #wantedVia(session: Session, filter: string, message: Message, atMs: number, retain: boolean | null): Wanted {
    return { ...message, qos: Math.min(session.subscriptions.get(filter)!.qos, message.qos), atMs, via: [filter],
      retain, identifiers: [this.#identifiersOf(session, message.topic, filter)], published: message };
  }

  /** One member gets it: one that is connected, else one that is not and takes more than QoS 0. */
  #groupOf(filter: string, message: Message, retain: boolean): Group<Session> {
    const members = new Map<Session, Wanted>();
    let optional = false;
    for (const session of this.#members(filter)) {
      const flag = retain && session.subscriptions.get(filter)!.asPublished === true;
      const wanted = this.#wantedVia(session, filter, message, this.nowMs, flag);
      if (session.connection === null && wanted.qos === 0) continue;
      members.set(session, wanted);
      if (wanted.qos === 0 && this.#links.congested(session.connection!.number)) optional = true;
    }
    return { filter, members, optional };
  }

  #share(filters: readonly string[], message: Message, retain: boolean): void {
    const groups = filters.map((filter) => this.#groupOf(filter, message, retain))
      .filter(({ members }) => members.size > 0);
    if (groups.length === 0) return;
    this.shared.publish(message, groups);
    for (const session of this.sessions.values()) {
      if (session.connection !== null) this.shared.connected(session, session.connection.view(this.nowMs));
    }
  }

  isRetainable({ topic }: Message): boolean {
    return topic.split('/').length <= this.#limits.topicLevelsMax;
  }

  /**
   * [MQTT-3.3.1-5], [MQTT-3.3.1-10]. A topic of more levels than the broker takes is not retained.
   */
  #retain(message: Message): void {
    if (!this.isRetainable(message)) {
      this.unretained += message.payload === '' ? 0 : 1;
      return;
    }
    const cleared = message.payload === '';
    const kept = { ...message, atMs: this.nowMs };
    if (cleared) this.#retained.delete(message.topic);
    else this.#retained.set(message.topic, kept);
    for (const session of this.sessions.values()) {
      const matching = [...session.subscriptions.values()].filter(({ filter }) => matches(filter, message.topic));
      session.queue.retainedChanged(message.topic, cleared,
        matching.map(({ filter }) => [filter, this.#replayOf(session, filter, kept)]));
    }
  }

  /** What the session gets of a retained message for one of its subscriptions. */
  #replayOf(session: Session, filter: string, message: Message & { atMs: number }): Wanted {
    const qos = Math.min(session.subscriptions.get(filter)!.qos, message.qos);
    return { ...message, qos, retain: true, via: [filter], // [MQTT-3.3.1-8]
      identifiers: [this.#identifiersOf(session, message.topic, filter)] };
  }

  subscribe(session: Session, subscription: Subscription): void {
    const { filter, qos, handling } = subscription;
    const isNew = !session.subscriptions.has(filter);
    session.subscriptions.set(filter, subscription); // [MQTT-3.8.4-3]
    this.#identifiersChanged(session);
    if (isShared(filter)) {
      this.shared.joined(filter, session, (message, atMs) => this.#wantedVia(session, filter, message, atMs, null));
      return;
    }
    if (handling === 2 || (handling === 1 && !isNew)) { // 5.0 [MQTT-3.3.1-10], [MQTT-3.3.1-11]
      session.queue.regranted(filter, (wanted) => Math.min(qos, this.#retained.get(wanted.topic)?.qos ?? qos));
      return;
    }
    const kept = [...this.#retained.values()].filter((message) => matches(filter, message.topic));
    session.queue.subscribed(filter, kept.map((message) => this.#replayOf(session, filter, message)));
  }

  /** What was not seen yet may come with the identifiers of before, or those of now. */
  #identifiersChanged(session: Session): void {
    const allow = (wanted: Wanted): void => {
      for (const via of wanted.via ?? [null]) {
        const now = this.#identifiersOf(session, wanted.topic, via);
        if (!wanted.identifiers.includes(now)) wanted.identifiers.push(now);
      }
    };
    session.queue.forEach(allow);
    session.connection?.line.forEach(allow);
    this.shared.forEach(session, allow);
  }

  unsubscribe(session: Session, filter: string): boolean {
    const isThere = session.subscriptions.delete(filter);
    if (isThere) session.queue.unsubscribed(filter);
    this.#identifiersChanged(session);
    return isThere;
  }

  /** The session has ended: what it has from shared subscriptions may go to another member. */
  handOver(session: Session): void {
    this.lostWithSession += this.shared.ended(session,
      (filter) => !session.subscriptions.has(filter) ? [] :
        this.#members(filter).map(({ subscriptions }) => subscriptions.get(filter)!.qos));
    for (const wanted of session.queue.unfinished()) {
      const message = wanted.published!;
      for (const filter of session.subscriptions.keys()) { // of two groups nobody can tell which it was
        if (!isShared(filter) || !matches(innerFilter(filter), message.topic)) continue;
        const members = new Map(this.#members(filter).map((heir) =>
          [heir, this.#wantedVia(heir, filter, message, wanted.atMs, wanted.retain)]));
        this.shared.publish(message, [{ filter, members, optional: true }]);
        this.#links.met('hand-over');
        this.lostWithSession++;
      }
    }
  }
}
