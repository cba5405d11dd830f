// A peer of the core without a network: an in-memory link whose room, loss and reading the test decides, and a client
// end that sends bytes and reads packets in words. Runs on Node and on XS.

import { Broker } from '../../src/broker/broker.js';
import type { BrokerOptions } from '../../src/broker/options.js';
import { hostLimits, type Limits } from '../../src/limits.js';
import type { Link } from '../../src/link.js';
import { NONE } from '../../src/wire/codes.js';
import { concat, connect, read, type ConnectFields } from './packets.js';

export class MemoryLink implements Link {
  /** What the link takes before the test drains it. */
  capacity = Infinity;
  reading = true;
  closed = false;
  /** How `packets` reads what is written: that of the peer's CONNECT; 0 before. */
  protocolLevel = 0;
  /** Number of writes: a turn should cost each link one. */
  writes = 0;
  #taken: Uint8Array = new Uint8Array(0);
  /** Bytes counted against `capacity`. */
  #waiting = 0;

  get writableBytes(): number {
    return this.closed ? 0 : this.capacity - this.#waiting;
  }

  write(source: Uint8Array, start: number, end: number): void {
    if (this.closed) throw new Error('write on a closed link');
    if (end - start > this.writableBytes) throw new Error('write of more than writableBytes');
    this.writes++;
    this.#waiting += end - start;
    this.#taken = concat(this.#taken, source.slice(start, end));
  }

  setReading(wanted: boolean): void {
    this.reading = wanted;
  }

  close(): void {
    this.closed = true;
  }

  /** The peer has read everything: the link is writable again. */
  drain(): void {
    this.#waiting = 0;
  }

  /** Whole packets written since the last call, in words. */
  packets(): string[] {
    const { packets, used } = read(this.#taken, this.protocolLevel);
    this.#taken = this.#taken.slice(used);
    return packets;
  }
}

/** Small limits: a test sees a table full after a few steps, and XS makes them quickly. */
export function smallLimits(given: Partial<Limits> = {}): Limits {
  return hostLimits({
    clientsMax: 8, connectionsMax: 10, sessionsMax: 12, clientIdBytesMax: 32, packetBytesMax: 1024, windowBytes: 512,
    inboxBytes: 1024, outboxBytes: 1024, topicLevelsMax: 8, subscriptionsMax: 64, subscriptionNodesMax: 192,
    retainedMax: 32, retainedNodesMax: 64, retainedBytes: 8192, messageBlockBytes: 64, queueBytes: 8192, queuedMax: 64,
    sessionQueuedMax: 16, sessionQueuedBytesMax: 4096, inflightMax: 4, receiveMax: 4, sysIntervalMs: 0, ...given,
  });
}

export function makeBroker(limits: Partial<Limits> = {}, options: Partial<BrokerOptions> = {}): Broker {
  let seed = 1;
  const random = (): number => seed = Math.imul(seed, 1664525) + 1013904223 >>> 0;
  return new Broker(smallLimits(limits), { random, version: 'test', ...options });
}

/** One peer of `broker`. Every method is one turn: what the platform would report, then a flush. */
export class Peer {
  readonly broker: Broker;
  readonly link = new MemoryLink();
  readonly slot: number;
  /** Bytes the core has not room for yet; offered again by `resume`. */
  #unread: Uint8Array = new Uint8Array(0);

  constructor(broker: Broker) {
    this.broker = broker;
    this.slot = broker.connected(this.link);
    if (this.slot === NONE) this.link.close();
  }

  /** Sends the bytes, in pieces of `pieceBytes`, and returns what the broker answered in this turn. */
  send(bytes: Uint8Array, pieceBytes = Infinity): string[] {
    if (this.link.protocolLevel === 0 && bytes[0] === 0x10) this.link.protocolLevel = levelOf(bytes);
    this.#unread = concat(this.#unread, bytes);
    this.#offer(pieceBytes);
    this.broker.flush();
    return this.link.packets();
  }

  #offer(pieceBytes: number): void {
    while (this.#unread.length > 0 && this.link.reading && !this.link.closed) {
      const count = Math.min(pieceBytes, this.#unread.length, this.broker.room(this.slot));
      if (count === 0) throw new Error('no room, and reading');
      this.broker.bytes.set(this.#unread.subarray(0, count), this.broker.windowStart);
      this.#unread = this.#unread.slice(count);
      this.broker.received(this.slot, count);
    }
  }

  /** Reads everything that was written, as a peer that catches up, and offers again what was left unread. */
  resume(pieceBytes = Infinity): string[] {
    this.link.drain();
    if (!this.link.closed) this.broker.writable(this.slot);
    this.#offer(pieceBytes);
    this.broker.flush();
    return this.link.packets();
  }

  /** What the broker sent in turns of others. */
  received(): string[] {
    return this.link.packets();
  }

  /** The link is lost. */
  drop(): void {
    if (!this.link.closed) this.broker.disconnected(this.slot);
    this.link.close();
    this.broker.flush();
  }
}

/** The protocol level of a CONNECT; 4 when that is not to be found in it. */
function levelOf(bytes: Uint8Array): number {
  let at = 1;
  while (bytes[at]! > 0x7f) at++;
  return (bytes[at + 3 + bytes[at + 2]!] ?? 4) & 0x7f; // a bridge sets the highest bit
}

/** A peer that has connected; `t` is not needed: a refusal throws. */
export function connected(broker: Broker, fields: ConnectFields = {}): Peer {
  const peer = new Peer(broker);
  const answers = peer.send(connect(fields));
  if (!/^CONNACK (new|present) 0( |$)/.test(answers[0] ?? '')) throw new Error(`not accepted: ${answers.join('; ')}`);
  return peer;
}

/** Lets `ms` pass in one tick. */
export function pass(broker: Broker, clock: { nowMs: number }, ms: number): void {
  clock.nowMs += ms;
  broker.tick(clock.nowMs);
  broker.flush();
}
