// Reads what a client writes, and what it is given, with a reader of its own, and judges it by the
// rules that hold on the wire: CONNECT first, nothing after DISCONNECT, DUP on repetition and on
// nothing else, no identifier in use twice, repetitions in their order. Used by world.ts. Runs on
// Node and on XS.

import { concat, read } from '../support/packets.js';

/** A PUBLISH with QoS 1 or 2 that holds its identifier. */
interface InUse {
  /** Flags without DUP, topic and payload. */
  message: string;
  qos: number;
  /** When it was first sent, among all. */
  order: number;
  /** The connection it was sent on last. */
  connection: number;
  released: boolean;
  /** The client was given PUBACK or PUBCOMP, though it may not have read it. */
  answered: boolean;
}

class PacketReader {
  readonly #level: number;
  #bytes: Uint8Array = new Uint8Array(0);
  /** Topics by their aliases, level 5. */
  readonly #aliases = new Map<string, string>();

  /** Told of each topic that an alias stood for. */
  readonly #shortened: () => void;

  constructor(level: number, shortened: () => void) {
    this.#level = level;
    this.#shortened = shortened;
  }

  take(bytes: Uint8Array): string[] {
    this.#bytes = concat(this.#bytes, bytes);
    const { packets, used } = read(this.#bytes, this.#level);
    this.#bytes = this.#bytes.slice(used);
    return packets.map((words) => this.#plain(words));
  }

  /** A PUBLISH with its topic, whatever stands for it, and without properties. */
  #plain(words: string): string {
    if (this.#level < 5 || !words.startsWith('PUBLISH')) return words;
    const { start, topic, payload, properties } = parts(words);
    const alias = /\balias (\d+)/.exec(properties)?.[1];
    const whole = topic !== '' ? topic : this.#aliases.get(alias ?? '');
    if (topic === '') this.#shortened();
    if (whole === undefined) throw new Error(`${words}: an alias for nothing [MQTT-3.3.2-7]`);
    if (alias !== undefined) this.#aliases.set(alias, whole);
    return `${start} ${whole} ${payload}`;
  }

  /** The identifier of a PUBLISH that has not come as a whole: one that is too large, and skipped. */
  get startedId(): number {
    const bytes = this.#bytes;
    let at = 1;
    while (at < bytes.length && bytes[at]! > 0x7f) at++;
    const idAt = at + 3 + (bytes[at + 1]! << 8 | bytes[at + 2]!);
    return bytes[0]! >> 4 === 3 && idAt + 2 <= bytes.length ? bytes[idAt]! << 8 | bytes[idAt + 1]! : 0;
  }
}

const idOf = (words: string): number => Number(/ id(\d+)/.exec(words)?.[1] ?? 0);

export class Watch {
  /** What went over the wire, in words; the last of it helps to understand a failure. */
  readonly log: string[] = [];
  readonly seen: Record<string, number> = {};
  #connection = 0;
  #order = 0;
  #written: PacketReader;
  #given: PacketReader;
  /** Packets of this connection, and the order of the last PUBLISH. */
  #count = 0;
  #finished = false;
  #lastOrder = 0;
  #resumed = false;
  readonly #inUse = new Map<number, InUse>();
  /** Messages with QoS 1 or 2 that were written in this session of the broker. */
  readonly #sent = new Set<string>();
  /** SUBSCRIBE and UNSUBSCRIBE that are not answered. */
  readonly #asked = new Set<number>();
  /** Identifiers of messages given to the client on this connection. */
  readonly #received = new Set<number>();
  readonly inflightMax: number;
  /** MQTT 3.1 does not tell whether a session is there: the one asked for is taken to be. */
  readonly #alwaysResumed: boolean;

  readonly #level: number;

  constructor(inflightMax: number, alwaysResumed: boolean, level = 4) {
    this.inflightMax = inflightMax;
    this.#level = level;
    this.#written = this.#reader('>');
    this.#given = this.#reader('<');
    this.#alwaysResumed = alwaysResumed;
  }

  #reader(direction: string): PacketReader {
    return new PacketReader(this.#level, () => this.#see(`${direction}alias`));
  }

  #see(name: string): void {
    this.seen[name] = (this.seen[name] ?? 0) + 1;
  }

  /** The client has opened a link. */
  opened(): void {
    this.#connection++;
    this.#written = this.#reader('>');
    this.#given = this.#reader('<');
    this.#count = 0;
    this.#finished = false;
    this.#lastOrder = 0;
    this.#resumed = false;
    this.#asked.clear();
    this.#received.clear();
    this.log.push(`-- connection ${this.#connection}`);
  }

  /** The client has written bytes to its link. */
  written(bytes: Uint8Array): void {
    for (const words of this.#written.take(bytes)) {
      this.#note('>', words);
      this.#judge(words);
    }
  }

  #note(direction: string, words: string): void {
    this.log.push(`${direction} ${words.length > 80 ? `${words.slice(0, 80)}…` : words}`);
    const kind = /^(PUBLISH q\d)(?: id\d+)?( dup)?/.exec(words);
    this.#see(direction + (kind === null ? words.split(' ')[0]! : kind[1]! + (kind[2] ?? '')));
  }

  #judge(words: string): void {
    const name = words.split(' ')[0]!;
    if (this.#finished) throw new Error(`${words} after DISCONNECT [MQTT-3.14.4-2]`);
    if ((this.#count++ === 0) !== (name === 'CONNECT')) throw new Error(`${words} as packet ${this.#count}`);
    const id = idOf(words);
    switch (name) {
      case 'PUBLISH':
        this.#judgePublish(words, id);
        break;
      case 'PUBREL':
        this.#judgePubrel(id);
        break;
      case 'SUBSCRIBE':
      case 'UNSUBSCRIBE':
        if (id === 0 || this.#asked.has(id) || this.#inUse.get(id)?.answered === false) {
          throw new Error(`${words}: identifier in use [MQTT-2.3.1-2]`);
        }
        this.#asked.add(id);
        break;
      case 'PUBACK':
      case 'PUBREC':
      case 'PUBCOMP':
        if (!this.#received.has(id) && this.#given.startedId !== id) throw new Error(`${words} for nothing given`);
        break;
      case 'DISCONNECT':
        this.#finished = true;
        break;
      case 'CONNECT':
      case 'PINGREQ':
        break;
      default:
        throw new Error(`${words} from a client`);
    }
  }

  #judgePublish(words: string, id: number): void {
    const { qos, dup, message } = parse(words);
    if (qos === 0) {
      if (dup) throw new Error(`${words}: DUP with QoS 0 [MQTT-3.3.1-2]`);
      return;
    }
    const before = this.#inUse.get(id);
    if (this.#asked.has(id)) throw new Error(`${words}: identifier of a SUBSCRIBE [MQTT-2.3.1-2]`);
    if (dup) {
      if (!this.#resumed) throw new Error(`${words}: again, and no resumption`);
      if (this.#sent.has(message)) this.#judgeRepeated(words, before, message);
      else this.#use(id, qos, message); // what the link before did not take any more
    } else {
      if (before?.answered === false) throw new Error(`${words}: also ${before.message} [MQTT-2.3.1-2]`);
      for (const [other, { message: text, answered }] of this.#inUse) {
        if (text === message && !answered) throw new Error(`${words}: sent as id${other}, without DUP [MQTT-3.3.1-1]`);
      }
      this.#use(id, qos, message);
    }
    const { order } = this.#inUse.get(id)!;
    if (order < this.#lastOrder) throw new Error(`${words}: behind a later one [MQTT-4.6.0-1]`);
    this.#lastOrder = order;
    const inflight = [...this.#inUse.values()].filter(({ answered }) => !answered).length;
    if (inflight > this.inflightMax) throw new Error(`${inflight} in flight, more than ${this.inflightMax}`);
  }

  #judgeRepeated(words: string, before: InUse | undefined, message: string): void {
    if (before?.message !== message) throw new Error(`${words}: sent before, as another [MQTT-4.4.0-1]`);
    if (before.connection === this.#connection) throw new Error(`${words}: twice on one connection`);
    if (before.released) throw new Error(`${words}: after PUBREL [MQTT-4.3.3-1]`);
    before.connection = this.#connection;
  }

  #use(id: number, qos: number, message: string): void {
    this.#sent.add(message);
    this.#inUse.set(id, {
      message, qos, order: ++this.#order, connection: this.#connection, released: false, answered: false,
    });
  }

  #judgePubrel(id: number): void {
    const before = this.#inUse.get(id);
    if (before === undefined) return; // an answer to a PUBREC that nothing was in flight for
    if (before.qos !== 2) throw new Error(`PUBREL id${id}, which is of QoS ${before.qos}`);
    before.released = true;
  }

  /** The client is given bytes. */
  given(bytes: Uint8Array): void {
    for (const words of this.#given.take(bytes)) {
      this.#note('<', words);
      const id = idOf(words);
      const name = words.split(' ')[0]!;
      const inUse = this.#inUse.get(id);
      if (name === 'CONNACK') {
        this.#resumed = this.#alwaysResumed || words.startsWith('CONNACK present');
        if (!this.#resumed && /^CONNACK new 0( |$)/.test(words)) {
          this.#inUse.clear();
          this.#sent.clear();
        }
      } else if (name === 'PUBLISH' || name === 'PUBREL') {
        this.#received.add(id);
      } else if (name === 'SUBACK' || name === 'UNSUBACK') {
        this.#asked.delete(id);
      } else if ((name === 'PUBACK' || name === 'PUBCOMP') && inUse !== undefined) {
        inUse.answered = true;
      }
    }
  }
}

export interface SeenPublish {
  qos: number;
  dup: boolean;
  topic: string;
  payload: string;
  /** Level 5, in braces; empty if there are none. */
  properties: string;
  /** All but DUP, identifier and properties. */
  message: string;
}

/** A PUBLISH in words; topics of these tests have no space, and their payloads no braces. */
function parts(words: string): { start: string; topic: string; payload: string; properties: string } {
  const found = /^(PUBLISH q\d(?: id\d+)?(?: dup)?(?: retain)?) (\S*) ([^{]*?)(?: (\{[^]*\}))?$/.exec(words);
  if (found === null) throw new Error(`not a PUBLISH: ${words}`);
  return { start: found[1]!, topic: found[2]!, payload: found[3]!, properties: found[4] ?? '' };
}

export function parse(words: string): SeenPublish {
  const { start, topic, payload, properties } = parts(words);
  const [, qos, dup, retain = ''] = /^PUBLISH q(\d)(?: id\d+)?( dup)?( retain)?$/.exec(start)!;
  return { qos: Number(qos), dup: dup !== undefined, topic, payload, properties,
    message: `${qos}${retain} ${topic} ${payload}` };
}
