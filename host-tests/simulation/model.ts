// A reference model of an MQTT broker, for clients of 3.1.1 and of 5.0: maps and strings, slow and
// obvious, written from the specification. It handles the same packets as the real core, in the
// same order, and knows from them what each client must receive; nothing is ever full. Driven by
// world.ts. Deterministic; runs on Node and on XS.
//
// Where the specification leaves a choice the model has made the one of design.md: QoS 2 is passed
// on when PUBLISH comes, overlapping filters give one delivery at the highest QoS, nothing of QoS 0
// is kept for who is away, nobody publishes into `$SYS`, sessions and wills are late by a tick.

import { isMisformed, parsePublish, tellSeen } from './message.js';
import type { Message, Seen, View, Wanted } from './message.js';
import { Routing } from './routing.js';
import type { Member } from './shared.js';
import { Connection, hexOf, isShared, isWellShared, NEVER, Session } from './terms.js';
import type { ConnectRequest, Links, ModelLimits, Subscription, Will } from './terms.js';

export class Model {
  readonly #links: Links;
  readonly #limits: ModelLimits;
  readonly #connections = new Map<number, Connection>();
  readonly #routing: Routing;
  /** Sessions in the order in which a tick looks at them. */
  #order: Session[] = [];
  #anonymous = 0;
  /** QoS 0 messages that were dropped for certain. */
  dropped = 0;

  constructor(links: Links, limits: ModelLimits) {
    this.#links = links;
    this.#limits = limits;
    this.#routing = new Routing(links, limits);
  }

  /** Messages that the core may drop, and cannot retain. */
  get lostWithSession(): number {
    return this.#routing.lostWithSession;
  }

  get unretained(): number {
    return this.#routing.unretained;
  }

  isOpen(number: number): boolean {
    return this.#connections.has(number);
  }

  opened(number: number): void {
    this.#connections.set(number, new Connection(number, this.#routing.nowMs));
  }

  #session(number: number): Session {
    return this.#connections.get(number)!.session!;
  }

  #view(connection: Connection): View {
    return connection.view(this.#routing.nowMs);
  }

  #answer(number: number, words: string): void {
    this.#connections.get(number)!.line.answers.push(words);
  }

  /** Answers with a reason code in MQTT 5.0, and without in 3.1.1. */
  #reason(number: number, words: string, code: number): void {
    this.#answer(number, words + (this.#connections.get(number)!.level === 5 ? hexOf(code) : ''));
  }

  connect(number: number, request: ConnectRequest): void {
    const connection = this.#connections.get(number)!;
    const isLevel5 = request.level === 5;
    connection.level = request.level;
    if (request.clientId === '' && !request.clean && !isLevel5) { // [MQTT-3.1.3-8]
      this.#answer(number, 'CONNACK new 2');
      this.end(number, false, false);
      return;
    }
    const clientId = request.clientId === '' ? `anonymous ${++this.#anonymous}` : request.clientId;
    const other = this.#routing.sessions.get(clientId)?.connection;
    if (other) this.end(other.number, true, this.#links.congested(other.number), 0x8e); // [MQTT-3.1.4-2]
    let session = this.#routing.sessions.get(clientId);
    if (session !== undefined && request.clean) { // [MQTT-3.1.2-6]
      this.#endSession(session);
      session = undefined;
    }
    if (session?.will) this.#links.met('wills cancelled');
    this.#answer(number, `CONNACK ${session === undefined ? 'new' : 'present'} 0` +
      (isLevel5 ? this.#announced(request) : ''));
    session ??= new Session(clientId);
    session.will = null; // 5.0 [MQTT-3.1.3-9]
    session.leftMs = -1;
    session.expirySeconds = this.#expiryOf(request.expirySeconds);
    this.#routing.sessions.set(clientId, session);
    session.connection = connection;
    session.queue.resume();
    connection.session = session;
    connection.will = request.will;
    connection.window = Math.min(request.receiveMaximum, this.#limits.inflightMax);
    connection.packetBytesMax = Math.min(request.packetBytesMax, this.#limits.outboxBytes);
    connection.takesAliases = Math.min(request.aliasMaximum, this.#limits.topicAliasMax) > 0;
    connection.problems = request.problems;
    this.#routing.shared.connected(session, this.#view(connection));
  }

  #expiryOf(seconds: number): number {
    const most = this.#limits.sessionExpirySecondsMax;
    return most > 0 ? Math.min(most, seconds) : seconds;
  }

  /** What CONNACK says of the limits, in words. */
  #announced(request: ConnectRequest): string {
    const { packetBytesMax, receiveMax, topicAliasMax, keepAliveSecondsMax } = this.#limits;
    const words = [`packetMaximum ${packetBytesMax}`, `receiveMaximum ${receiveMax}`];
    if (topicAliasMax > 0) words.push(`aliasMaximum ${topicAliasMax}`);
    const expirySeconds = this.#expiryOf(request.expirySeconds);
    if (expirySeconds !== request.expirySeconds) words.push(`sessionExpiry ${expirySeconds}`);
    const keepAlive = request.keepAliveSeconds;
    if (keepAliveSecondsMax > 0 && (keepAlive === 0 || keepAlive > keepAliveSecondsMax)) {
      words.push(`keepAlive ${keepAliveSecondsMax}`);
    }
    if (request.clientId === '') words.push('assignedId');
    return ` {${words.join(', ')}}`;
  }

  /**
   * The connection ends; `lossy`: of what the broker sent, the last part was perhaps not seen. A
   * client of MQTT 5.0 that is sent away is told why: `code`.
   */
  end(number: number, withWill: boolean, lossy: boolean, code = 0): void {
    const connection = this.#connections.get(number)!;
    const { line, session } = connection;
    const farewell = `DISCONNECT${hexOf(code)}`;
    const isTold = code !== 0 && connection.level === 5 && session !== null;
    if (isTold) line.answers.push(farewell);
    this.#links.ending(number);
    if (isTold && !lossy && line.answers.length > 0) throw new Error(`still to come: ${line.answers.join(', ')}`);
    this.#connections.delete(number);
    this.dropped += line.dropped;
    if (session === null) return;
    session.connection = null;
    session.queue.lost(lossy, this.#view(connection));
    if (lossy) this.#routing.shared.lost(session);
    if (withWill && connection.will !== null) {
      if (connection.will.delaySeconds === 0) this.#publishWill(connection.will, session);
      else session.will = connection.will;
    }
    if (session.expirySeconds === 0) this.#endSession(session);
  }

  #publishWill(will: Will, session: Session): void {
    this.#links.met('wills');
    this.#routing.route(will, will.retain, session);
  }

  #endSession(session: Session): void {
    const { will } = session;
    session.will = null;
    if (will !== null) {
      this.#links.met('wills at session end');
      this.#publishWill(will, session); // 5.0 [MQTT-3.1.2-8]
    }
    this.#routing.sessions.delete(session.clientId);
    this.#routing.handOver(session);
  }

  /** DISCONNECT: in 3.1.1 the will is forgotten [MQTT-3.14.4-3]. */
  disconnect(number: number, withWill = false, expirySeconds: number | null = null): void {
    if (expirySeconds !== null) this.#session(number).expirySeconds = this.#expiryOf(expirySeconds);
    this.end(number, withWill, this.#links.congested(number));
  }

  /** The clock: what is due is done by `tick`, after all connections that end at this time. */
  clock(nowMs: number): void {
    this.#routing.nowMs = nowMs;
    const ranks = new Map([...this.#routing.sessions.keys()].map((clientId) => [clientId, this.#links.rank(clientId)]));
    const rankOf = ({ clientId }: Session): number => ranks.get(clientId)!;
    this.#order = [...this.#routing.sessions.values()].sort((one, other) => rankOf(one) - rankOf(other));
  }

  tick(): void {
    for (const session of this.#order) {
      if (session.connection !== null || this.#routing.sessions.get(session.clientId) !== session) continue;
      if (session.leftMs < 0) session.leftMs = this.#routing.nowMs;
      const { expirySeconds, leftMs, will } = session;
      if (expirySeconds !== NEVER && this.#routing.nowMs >= leftMs + expirySeconds * 1000) {
        this.#links.met('sessions over');
        this.#endSession(session);
      } else if (will !== null && this.#routing.nowMs >= leftMs + will.delaySeconds * 1000) {
        this.#links.met('wills delayed');
        session.will = null;
        this.#publishWill(will, session);
      }
    }
  }

  publish(number: number, message: Message, id: number, retain: boolean): void {
    const { level } = this.#connections.get(number)!;
    const session = this.#session(number);
    const first = message.qos === 1 ? `PUBACK id${id}` : `PUBREC id${id}`;
    if (message.qos === 2 && session.received.has(id)) { // [MQTT-4.3.3-2]
      this.#answer(number, first);
      return;
    }
    const refusal = this.#refusalOf(message, retain);
    if (refusal === 0x97 && level === 5 && message.qos > 0) this.#routing.unretained++;
    if (message.qos === 2 && (refusal === 0 || level < 5)) session.received.add(id);
    if (message.qos > 0) {
      const isWanted = refusal !== 0 || this.#routing.isWanted(message, session);
      if (!isWanted && level === 5) this.#links.met('nobody wants it');
      this.#reason(number, first, refusal !== 0 ? refusal : isWanted ? 0 : 0x10);
    }
    if (refusal === 0 || (refusal === 0x97 && (level < 5 || message.qos === 0))) {
      this.#routing.route(message, retain, session);
    }
  }

  /** A message that cannot be retained is delivered all the same, if its publisher cannot be told. */
  #refusalOf(message: Message, retain: boolean): number {
    if (message.topic === '$SYS' || message.topic.startsWith('$SYS/')) return 0x87;
    if (isMisformed(message)) return 0x99;
    return retain && message.payload !== '' && !this.#routing.isRetainable(message) ? 0x97 : 0;
  }

  /** The application publishes. */
  publishLocally(message: Message, retain: boolean): void {
    this.#routing.route(message, retain, null);
  }

  subscribe(number: number, id: number, subscriptions: readonly Subscription[]): void {
    const session = this.#session(number);
    const isLevel5 = this.#connections.get(number)!.level === 5;
    const codes: number[] = [];
    for (const subscription of subscriptions) {
      const { filter, qos } = subscription;
      const refusal = isShared(filter) && !isWellShared(filter) ? 0x8f :
        filter.split('/').length > this.#limits.topicLevelsMax ? 0x97 : 0;
      codes.push(refusal === 0 ? qos : isLevel5 ? refusal : 0x80);
      if (refusal === 0) this.#routing.subscribe(session, subscription);
    }
    this.#answer(number, `SUBACK id${id} ${codes.join(',')}`); // [MQTT-3.8.4-5]
  }

  unsubscribe(number: number, id: number, filters: readonly string[]): void {
    const session = this.#session(number);
    const codes: number[] = [];
    for (const filter of filters) {
      codes.push(this.#routing.unsubscribe(session, filter) ? 0 : 0x11);
    }
    const isLevel5 = this.#connections.get(number)!.level === 5;
    this.#answer(number, `UNSUBACK id${id}${isLevel5 ? ` ${codes.join(',')}` : ''}`); // [MQTT-3.10.4-5]
  }

  ping(number: number): void {
    this.#answer(number, 'PINGRESP');
  }

  puback(number: number, id: number): void {
    this.#session(number).queue.finish(id, 'sent');
  }

  /** `code` 0x80 and above: the client does not want the message, 5.0 [MQTT-4.3.3-4]. */
  pubrec(number: number, id: number, code = 0): void {
    const { queue } = this.#session(number);
    if (code >= 0x80) queue.finish(id, 'sent');
    else this.#reason(number, `PUBREL id${id}`, queue.release(id) ? 0 : 0x92);
  }

  pubrel(number: number, id: number): void {
    this.#reason(number, `PUBCOMP id${id}`, this.#session(number).received.delete(id) ? 0 : 0x92);
  }

  pubcomp(number: number, id: number): void {
    this.#session(number).queue.finish(id, 'released');
  }

  /** A client has received a packet; throws when it should not have, or not now. */
  observe(number: number, words: string): void {
    const connection = this.#connections.get(number);
    if (connection === undefined) throw new Error(`received "${words}" on a connection that has ended`);
    const { line, session } = connection;
    const seen = parsePublish(words);
    if (session === null || line.answers[0]?.startsWith('CONNACK')) {
      // CONNACK comes first [MQTT-3.2.0-1]
      line.takeAnswer(words.replace(/assignedId auto-[0-9a-f]{16}/, 'assignedId'));
      return;
    }
    const view = this.#view(connection);
    if (seen !== null) {
      this.#takePublish(connection, session, seen, view);
    } else if (words.startsWith('PUBREL ') && session.queue.takeRelease(Number(words.slice(9)), view)) {
      this.#links.met('PUBREL again');
    } else {
      line.takeAnswer(connection.problems ? words.replace(/ \{reason [^{}]*\}$/, '') : words); // 5.0 [MQTT-3.1.2-29]
    }
  }

  #takePublish({ line }: Connection, session: Session, seen: Seen, view: View): void {
    const takeShared = (): Wanted | null => {
      const wanted = this.#routing.shared.take(session, seen, view);
      if (wanted !== null) this.#links.met('shared');
      return wanted;
    };
    if (seen.qos > 0) {
      session.queue.takePublish(seen, view, takeShared);
      return;
    }
    const taken = line.takePublish(seen, view);
    if (taken === 'optional') session.queue.takenForReplay(seen, view); // or it was that, and this was dropped
    if (taken === null && !session.queue.takeRetained(seen, view) && takeShared() === null) {
      throw new Error(`received ${tellSeen(seen)} and not ${line.next}`);
    }
  }

  /** The client is connected and has read everything: nothing may be missing. */
  settle(number: number): void {
    const connection = this.#connections.get(number)!;
    const { line, session, window } = connection;
    line.settle();
    if (session !== null) session.queue.settle(window, this.#view(connection));
    connection.sinceMs = this.#routing.nowMs;
    connection.settled = session !== null && session.queue.inflight < window;
  }

  /** The turn is over, and every connection that could be settled is. */
  settleAll(): void {
    const memberOf = ({ connection }: Session): Member => connection === null ? { view: null, done: false } :
      { view: this.#view(connection), done: connection.settled };
    this.#routing.shared.settle(this.#routing.nowMs, memberOf);
    for (const connection of this.#connections.values()) connection.settled = false;
  }
}
