// The other end of a client: a broker that answers what the test says, over the in-memory link, and an
// application that notes what it is told. Runs on Node and on XS.

import { Client } from '../../src/client/client.js';
import { EncodedProperties } from '../../src/client/encoded-properties.js';
import { clientLimits, type ClientLimits } from '../../src/client/limits.js';
import type { ClientObserver, ClientOptions } from '../../src/client/options.js';
import { MADE_ROOM } from '../../src/client/states.js';
import type { Packet } from '../../src/wire/packet.js';
import { ascii, connack, connack5, encodeProperties, type Properties } from '../support/packets.js';
import { MemoryLink } from '../support/peer.js';

/** What the application was told, in words, since it last looked. */
export class Notes implements ClientObserver {
  /** Whether it takes messages. */
  takes = true;
  #told: string[] = [];

  told(): string[] {
    const told = this.#told;
    this.#told = [];
    return told;
  }

  connected(sessionPresent: boolean): void {
    this.#told.push(`connected ${sessionPresent ? 'present' : 'new'}`);
  }

  refused(reasonCode: number): void {
    this.#told.push(`refused ${reasonCode}`);
  }

  ended(reason: number): void {
    this.#told.push(`ended ${reason}`);
  }

  closed(complete: boolean): void {
    this.#told.push(complete ? 'closed' : 'closed incomplete');
  }

  message(bytes: Uint8Array, packet: Packet): boolean {
    if (!this.takes) return false;
    const { topicStart, topicEnd, payloadStart, payloadEnd, qos, retain, duplicate } = packet;
    this.#told.push([`q${qos}`, ...(retain ? ['retain'] : []), ...(duplicate ? ['dup'] : []),
      textOf(bytes, topicStart, topicEnd), textOf(bytes, payloadStart, payloadEnd)].join(' '));
    return true;
  }

  subscribed(bytes: Uint8Array, start: number, end: number, reasonCode: number): void {
    this.#told.push(`subscribed ${textOf(bytes, start, end)} ${reasonCode}`);
  }

  /** Reason codes but SUCCESS are noted. */
  unsubscribed(bytes: Uint8Array, start: number, end: number, reasonCode: number): void {
    this.#told.push(`unsubscribed ${textOf(bytes, start, end)}${reasonCode === 0 ? '' : ` ${reasonCode}`}`);
  }

  delivered(handle: number, reasonCode: number): void {
    this.#told.push(`delivered ${handle}${reasonCode === 0 ? '' : ` ${reasonCode}`}`);
  }

  /** Reasons but that the queue was full. */
  dropped(handle: number, reason: number): void {
    this.#told.push(`dropped ${handle}${reason === MADE_ROOM ? '' : ` ${reason}`}`);
  }
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}

/** Properties as a client sends them in a packet of that type. */
export function encoded(kind: number, properties: Properties): EncodedProperties {
  const bytes = encodeProperties(properties);
  return new EncodedProperties(kind, bytes.slice(bytes[0]! > 0x7f ? 2 : 1));
}

/** Small limits: a test sees a table full after a few steps. */
export function smallClientLimits(given: Partial<ClientLimits> = {}): ClientLimits {
  return clientLimits({
    packetBytesMax: 256, inboxBytes: 512, outboxBytes: 512, acknowledgementBytes: 32, subscriptionsMax: 4,
    filterBytes: 256, queuedMax: 8, queueBytes: 1024, messageBlockBytes: 32, inflightMax: 4, receiveMax: 4, ...given,
  });
}

/** A client and the broker's end of its links; every method is one turn and ends with a flush. */
export class ScriptedBroker {
  readonly client: Client;
  readonly notes = new Notes();
  /** All links that were opened, the latest last. */
  readonly links: MemoryLink[] = [];
  wakes = 0;
  nowMs = 0;

  constructor(options: Partial<ClientOptions> = {}, limits: Partial<ClientLimits> = {}) {
    this.client = new Client(smallClientLimits(limits), {
      open: () => {
        this.links.push(new MemoryLink());
        this.link.protocolLevel = this.client.protocolLevel;
        return this.link;
      },
      random: () => 0xffff_ffff, wake: () => this.wakes++, protocolLevel: 4, clientId: ascii('salon'),
      cleanSession: false, keepAliveSeconds: 60, queueQos0: false, observer: this.notes, ...options,
    });
    this.client.tick(0);
  }

  get link(): MemoryLink {
    return this.links[this.links.length - 1]!;
  }

  /** The link that was asked for opens. */
  open(): string[] {
    this.client.opened();
    return this.sent();
  }

  /** Opens and accepts, if need be after `connect`; returns what the client sent upon it. */
  accept(sessionPresent = false, properties: Properties = {}): string[] {
    this.client.connect();
    this.open();
    const isLevel5 = this.client.protocolLevel === 5;
    return this.send(isLevel5 ? connack5(sessionPresent, 0, properties) : connack(sessionPresent));
  }

  /** Sends the bytes, in pieces of `pieceBytes`; returns what the client sent in this turn. */
  send(bytes: Uint8Array, pieceBytes = Infinity): string[] {
    for (let at = 0; at < bytes.length && !this.link.closed;) {
      const count = Math.min(pieceBytes, bytes.length - at, this.client.room);
      if (count === 0) throw new Error('the client does not read');
      this.client.bytes.set(bytes.slice(at, at + count), this.client.receiveStart);
      this.client.received(count);
      at += count;
    }
    return this.sent();
  }

  /** The client's packets since the last look, in words. */
  sent(): string[] {
    this.client.flush();
    return this.link.packets();
  }

  /** The link is lost. */
  lose(): void {
    if (this.link.closed) return;
    this.client.disconnected();
    this.link.close();
  }

  /** Lets time pass in ticks of `stepMs`, the first one at once; returns what the client sent. */
  pass(ms: number, stepMs = 250): string[] {
    this.client.tick(this.nowMs);
    for (let left = ms; left > 0; left -= stepMs) {
      this.client.tick(this.nowMs += Math.min(left, stepMs));
      this.client.flush();
    }
    return this.links.length > 0 ? this.link.packets() : [];
  }

  publish(topic: string, payload: string, qos = 0, retain = false): number {
    return this.client.publish(ascii(topic), ascii(payload), qos, retain);
  }

  subscribe(filter: string, qos = 0): number {
    return this.client.subscribe(ascii(filter), qos);
  }

  unsubscribe(filter: string): number {
    return this.client.unsubscribe(ascii(filter));
  }
}
