// A reference model of an MQTT 3.1.1 broker: maps and strings, slow and obvious, written from the
// specification. It handles the same packets as the real core, in the same order, and knows from
// them what each client must receive; nothing is ever full. Driven by world.ts. Deterministic; runs
// on Node and on XS.
//
// Where the specification leaves a choice the model has made the one of design.md: QoS 2 is passed
// on when PUBLISH comes, overlapping filters give one delivery at the highest QoS, nothing of QoS 0
// is kept for who is away, nobody publishes into `$SYS`.

import { Line, parsePublish, SessionQueue, type Message } from './expect.js';

export interface Will extends Message {
  retain: boolean;
}

export interface ConnectRequest {
  clientId: string;
  clean: boolean;
  will: Will | null;
}

/** Whether a topic filter matches a topic name, MQTT 3.1.1 section 4.7. */
export function matches(filter: string, topic: string): boolean {
  const wanted = filter.split('/');
  const levels = topic.split('/');
  if (topic.startsWith('$') && (wanted[0] === '+' || wanted[0] === '#')) return false; // [MQTT-4.7.2-1]
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '#') return true; // the parent level too [MQTT-4.7.1-2]
    if (i === levels.length || (wanted[i] !== '+' && wanted[i] !== levels[i])) return false;
  }
  return wanted.length === levels.length;
}

class Session {
  readonly clean: boolean;
  readonly subscriptions = new Map<string, number>();
  /** Identifiers of QoS 2 messages whose PUBREL is awaited. */
  readonly received = new Set<number>();
  readonly queue = new SessionQueue();
  connection: Connection | null = null;

  constructor(clean: boolean) {
    this.clean = clean;
  }
}

/** One connection of a client, known by the number that the caller gave it. */
class Connection {
  readonly number: number;
  readonly line = new Line();
  clientId: string | null = null;
  will: Will | null = null;

  constructor(number: number) {
    this.number = number;
  }
}

/** What the model must know of connections and cannot: asked from the caller by number. */
export interface Links {
  /**
   * The connection is about to end: whatever still comes from it must be given to `observe` now.
   */
  ending(number: number): void;
  /** Something happened that a test should meet now and then. */
  met(what: string): void;
  /**
   * Whether the client does not read all: QoS 0 may be dropped for want of room, bytes may be lost.
   */
  congested(number: number): boolean;
}

export class Model {
  readonly #links: Links;
  readonly #inflightMax: number;
  readonly #levelsMax: number;
  readonly #connections = new Map<number, Connection>();
  readonly #sessions = new Map<string, Session>();
  readonly #retained = new Map<string, Message>();
  #anonymous = 0;
  /** QoS 0 messages that were dropped for certain. */
  dropped = 0;

  constructor(links: Links, inflightMax: number, levelsMax: number) {
    this.#links = links;
    this.#inflightMax = inflightMax;
    this.#levelsMax = levelsMax;
  }

  isOpen(number: number): boolean {
    return this.#connections.has(number);
  }

  opened(number: number): void {
    this.#connections.set(number, new Connection(number));
  }

  #session(number: number): Session {
    return this.#sessions.get(this.#connections.get(number)!.clientId!)!;
  }

  #answer(number: number, words: string): void {
    this.#connections.get(number)!.line.answers.push(words);
  }

  connect(number: number, request: ConnectRequest): void {
    const connection = this.#connections.get(number)!;
    if (request.clientId === '' && !request.clean) { // [MQTT-3.1.3-8]
      this.#answer(number, 'CONNACK new 2');
      this.end(number, false, false);
      return;
    }
    const clientId = request.clientId === '' ? `anonymous ${++this.#anonymous}` : request.clientId;
    const other = this.#sessions.get(clientId)?.connection;
    if (other) this.end(other.number, true, this.#links.congested(other.number)); // [MQTT-3.1.4-2]
    let session = this.#sessions.get(clientId);
    if (request.clean) session = undefined; // [MQTT-3.1.2-6]
    this.#answer(number, `CONNACK ${session === undefined ? 'new' : 'present'} 0`);
    session ??= new Session(request.clean);
    this.#sessions.set(clientId, session);
    session.connection = connection;
    session.queue.resume();
    connection.clientId = clientId;
    connection.will = request.will;
  }

  /** The connection ends; `lossy`: of what the broker sent, the last part was perhaps not seen. */
  end(number: number, withWill: boolean, lossy: boolean): void {
    const connection = this.#connections.get(number)!;
    this.#links.ending(number);
    this.#connections.delete(number);
    this.dropped += connection.line.dropped;
    if (connection.clientId === null) return;
    const session = this.#sessions.get(connection.clientId)!;
    session.connection = null;
    session.queue.lost(lossy);
    if (session.clean) this.#sessions.delete(connection.clientId);
    if (!withWill || connection.will === null) return;
    this.#links.met('wills');
    this.#route(connection.will, connection.will.retain);
  }

  /** DISCONNECT: the will is forgotten [MQTT-3.14.4-3]. */
  disconnect(number: number): void {
    this.end(number, false, this.#links.congested(number));
  }

  publish(number: number, message: Message, id: number, retain: boolean): void {
    if (message.qos === 1) this.#answer(number, `PUBACK id${id}`);
    if (message.qos === 2) {
      this.#answer(number, `PUBREC id${id}`);
      const { received } = this.#session(number);
      if (received.has(id)) return; // [MQTT-4.3.3-2]
      received.add(id);
    }
    this.#route(message, retain);
  }

  /** The application publishes. */
  publishLocally(message: Message, retain: boolean): void {
    this.#route(message, retain);
  }

  #route(message: Message, retain: boolean): void {
    if (message.topic === '$SYS' || message.topic.startsWith('$SYS/')) return;
    if (retain) this.#retain(message);
    for (const session of this.#sessions.values()) {
      let granted = -1;
      for (const [filter, qos] of session.subscriptions) {
        if (matches(filter, message.topic)) granted = Math.max(granted, qos); // [MQTT-3.3.5-1]
      }
      if (granted < 0) continue;
      const delivery = { ...message, qos: Math.min(granted, message.qos) };
      if (delivery.qos > 0) {
        session.queue.publish(delivery);
      } else if (session.connection !== null) {
        session.connection.line.publishOnce(delivery, this.#links.congested(session.connection.number));
      }
    }
  }

  /**
   * [MQTT-3.3.1-5], [MQTT-3.3.1-10]. A topic of more levels than the broker takes is not retained.
   */
  #retain(message: Message): void {
    if (message.topic.split('/').length > this.#levelsMax) return;
    const cleared = message.payload === '';
    if (cleared) this.#retained.delete(message.topic);
    else this.#retained.set(message.topic, message);
    for (const session of this.#sessions.values()) {
      const matching = [...session.subscriptions].filter(([filter]) => matches(filter, message.topic));
      session.queue.retainedChanged(message.topic, cleared ? null : message, matching);
    }
  }

  subscribe(number: number, id: number, filters: readonly [filter: string, qos: number][]): void {
    const session = this.#session(number);
    const codes: number[] = [];
    for (const [filter, qos] of filters) {
      if (filter.split('/').length > this.#levelsMax) {
        codes.push(0x80);
        continue;
      }
      codes.push(qos);
      session.subscriptions.set(filter, qos); // [MQTT-3.8.4-3]
      const replays: Message[] = [];
      for (const message of this.#retained.values()) {
        if (matches(filter, message.topic)) replays.push({ ...message, qos: Math.min(qos, message.qos) });
      }
      session.queue.subscribed(filter, replays);
    }
    this.#answer(number, `SUBACK id${id} ${codes.join(',')}`); // [MQTT-3.8.4-5]
  }

  unsubscribe(number: number, id: number, filters: readonly string[]): void {
    const session = this.#session(number);
    for (const filter of filters) {
      if (session.subscriptions.delete(filter)) session.queue.unsubscribed(filter);
    }
    this.#answer(number, `UNSUBACK id${id}`); // [MQTT-3.10.4-5]
  }

  ping(number: number): void {
    this.#answer(number, 'PINGRESP');
  }

  puback(number: number, id: number): void {
    this.#session(number).queue.finish(id, 'sent');
  }

  pubrec(number: number, id: number): void {
    this.#session(number).queue.release(id);
    this.#answer(number, `PUBREL id${id}`);
  }

  pubrel(number: number, id: number): void {
    this.#session(number).received.delete(id);
    this.#answer(number, `PUBCOMP id${id}`);
  }

  pubcomp(number: number, id: number): void {
    this.#session(number).queue.finish(id, 'released');
  }

  /** A client has received a packet; throws when it should not have, or not now. */
  observe(number: number, words: string): void {
    const connection = this.#connections.get(number);
    if (connection === undefined) throw new Error(`received "${words}" on a connection that has ended`);
    const { line } = connection;
    const seen = parsePublish(words);
    if (connection.clientId === null || line.answers[0]?.startsWith('CONNACK')) {
      line.takeAnswer(words); // CONNACK comes first [MQTT-3.2.0-1]
    } else if (seen !== null) {
      if (seen.qos === 0 && !seen.retain) line.takePublish(seen);
      else this.#session(number).queue.takePublish(seen);
    } else if (words.startsWith('PUBREL ') && this.#session(number).queue.takeRelease(Number(words.slice(9)))) {
      this.#links.met('PUBREL again');
    } else {
      line.takeAnswer(words);
    }
  }

  /** The client is connected and has read everything: nothing may be missing. */
  settle(number: number): void {
    const connection = this.#connections.get(number)!;
    connection.line.settle();
    if (connection.clientId !== null) this.#session(number).queue.settle(this.#inflightMax);
  }
}
