// An application on a client, and its book: what it has published, asked for and been told of, each
// checked at once against what may be told. Used by world.ts. Runs on Node and on XS.

import type { Client } from '../../src/client/client.js';
import type { ClientObserver } from '../../src/client/options.js';
import { EXPIRED } from '../../src/client/states.js';
import { NONE, PUBLISH } from '../../src/wire/codes.js';
import type { Packet } from '../../src/wire/packet.js';
import { ascii } from '../support/packets.js';
import { encoded } from './scripted-broker.js';

/** What became of a message: out (QoS 0, on its way), kept, delivered, dropped or refused. */
export type Fate = 'out' | 'kept' | 'delivered' | 'dropped' | 'refused';

export interface Sent {
  number: number;
  topic: string;
  payload: string;
  qos: number;
  fate: Fate;
  /** Level 5: seconds that it may wait. */
  expirySeconds?: number | undefined;
}

export interface Got {
  topic: string;
  payload: string;
  qos: number;
  duplicate: boolean;
}

export function text(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let string = '';
  for (let i = start; i < end; i++) string += String.fromCharCode(bytes[i]!);
  return string;
}

export class Application implements ClientObserver {
  client!: Client;
  readonly sent: Sent[] = [];
  /** By handle, what is kept. */
  readonly kept = new Map<number, Sent>();
  /** The filters asked for, with the QoS last asked for. */
  readonly wanted = new Map<string, number>();
  readonly got: Got[] = [];
  /** What else was told, by name, and the reasons of ends. */
  readonly told: string[] = [];
  unread = false;
  /** Asked for each message: whether to take it. */
  takes: () => boolean = () => true;
  /** Called at the end of every callback but `dropped`. */
  meanwhile: (callback: string) => void = () => {};
  /** Told of the end of a connection or attempt. */
  onEnded: (reason: number) => void = () => {};

  /** With `expirySeconds`, which may be none, the message has properties: its number among them. */
  publish(topic: string, qos: number, fill: string, retain = false, expirySeconds?: number): number {
    const number = this.sent.length + 1;
    const sent: Sent = { number, topic, payload: `${number}.${qos}.${fill}`, qos, fate: 'refused', expirySeconds };
    this.sent.push(sent);
    const properties = expirySeconds === undefined ? null :
      encoded(PUBLISH, { ...(expirySeconds < Infinity ? { expiry: expirySeconds } : {}), user: [['number', String(number)]] });
    const handle = this.client.publish(ascii(topic), ascii(sent.payload), qos, retain, properties);
    if (handle === 0 && qos !== 0) throw new Error(`publish with QoS ${qos} gives no handle`);
    if (handle === 0) sent.fate = 'out';
    if (handle <= 0) return handle;
    if (this.kept.has(handle)) throw new Error(`handle ${handle} is that of message ${this.kept.get(handle)!.number}`);
    sent.fate = 'kept';
    this.kept.set(handle, sent);
    return handle;
  }

  subscribe(filter: string, qos: number): number {
    const outcome = this.client.subscribe(ascii(filter), qos);
    if (outcome === 0) this.wanted.set(filter, qos);
    return outcome;
  }

  unsubscribe(filter: string): number {
    const outcome = this.client.unsubscribe(ascii(filter));
    if (outcome === 0) this.wanted.delete(filter);
    return outcome;
  }

  resume(): void {
    this.unread = false;
    this.client.resume();
  }

  #tell(what: string, callback: string): void {
    this.told.push(what);
    this.meanwhile(callback);
  }

  connected(sessionPresent: boolean): void {
    this.#tell(`connected ${sessionPresent ? 'present' : 'new'}`, 'connected');
  }

  refused(returnCode: number): void {
    this.#tell(`refused ${returnCode}`, 'refused');
  }

  ended(reason: number): void {
    this.unread = false;
    this.onEnded(reason);
    this.#tell(`ended ${reason}`, 'ended');
  }

  closed(complete: boolean): void {
    this.unread = false;
    this.#tell(`closed ${complete}`, 'closed');
  }

  message(bytes: Uint8Array, packet: Packet): boolean {
    if (this.unread) throw new Error('a message while the application does not read');
    if (!this.takes()) {
      this.unread = true;
      return false;
    }
    const { topicStart, topicEnd, payloadStart, payloadEnd, qos, duplicate } = packet;
    const topic = text(bytes, topicStart, topicEnd);
    const payload = text(bytes, payloadStart, payloadEnd);
    this.got.push({ topic, payload, qos, duplicate });
    this.meanwhile('message');
    return true;
  }

  subscribed(bytes: Uint8Array, start: number, end: number, returnCode: number): void {
    const filter = text(bytes, start, end);
    if (returnCode >= 0x80) this.wanted.delete(filter);
    this.#tell(`subscribed ${filter} ${returnCode}`, 'subscribed');
  }

  unsubscribed(bytes: Uint8Array, start: number, end: number): void {
    this.#tell(`unsubscribed ${text(bytes, start, end)}`, 'unsubscribed');
  }

  #answered(handle: number, fate: Fate): void {
    const sent = this.kept.get(handle);
    if (sent === undefined) throw new Error(`${fate} ${handle}, which is not kept`);
    this.kept.delete(handle);
    sent.fate = fate;
  }

  delivered(handle: number): void {
    this.#answered(handle, 'delivered');
    this.meanwhile('delivered');
  }

  dropped(handle: number, reason: number): void {
    if (reason === EXPIRED) {
      if (!(this.kept.get(handle)!.expirySeconds! < Infinity)) throw new Error(`message ${handle} cannot expire`);
      this.told.push('expired');
    }
    this.#answered(handle, 'dropped');
  }

  /** The client was restored from bytes: handles are given anew, in the order of the queue. */
  restored(client: Client): void {
    this.client = client;
    this.unread = false;
    const kept = [...this.kept.values()].sort((one, other) => one.number - other.number);
    this.kept.clear();
    const { deliveries } = client.memory;
    let row: number = deliveries.head(0);
    for (const sent of kept) {
      if (row === NONE) throw new Error(`message ${sent.number} was not restored`);
      this.kept.set(deliveries.handle(row), sent);
      row = deliveries.next(row);
    }
    if (row !== NONE) throw new Error('more messages restored than were kept');
  }
}
