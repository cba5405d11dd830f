// The client core and the broker core in one world without a network: links in memory that split,
// stall, lose and break, one clock, an application on the client and a listener at the broker that
// hears everything. Everything comes from a seed or from the test. Runs on Node and on XS.

import { Client } from '../../src/client/client.js';
import { clientLimits, type ClientLimits } from '../../src/client/limits.js';
import { restoreSession, savedBytes, saveSession } from '../../src/client/save.js';
import { CLOSED, CONNECTED, LINK_LOST, OPENING } from '../../src/client/states.js';
import type { Broker } from '../../src/broker/broker.js';
import type { Limits } from '../../src/limits.js';
import { CONNECT, LEVEL_3_1, NONE, RECEIVE_MAXIMUM_EXCEEDED } from '../../src/wire/codes.js';
import { checkInvariants } from '../support/invariants.js';
import { ascii, puback, pubcomp, pubrec, subscribe, subscribe5 } from '../support/packets.js';
import { connected, makeBroker, type Peer } from '../support/peer.js';
import { Random } from '../support/random.js';
import { Application } from './application.js';
import { checkClientInvariants } from './invariants.js';
import { encoded } from './scripted-broker.js';
import { parse, Watch, type SeenPublish } from './watch.js';
import { Wire } from './wire.js';

export interface Setting {
  protocolLevel: number;
  clean: boolean;
  keepAliveSeconds: number;
  queueQos0: boolean;
  limits: Partial<ClientLimits>;
  brokerLimits: Partial<Limits>;
}

export const CLIENT_LIMITS: Partial<ClientLimits> = {
  packetBytesMax: 256, inboxBytes: 300, outboxBytes: 400, acknowledgementBytes: 64, subscriptionsMax: 16,
  filterBytes: 16 * 32, queuedMax: 200, queueBytes: 200 * 64, messageBlockBytes: 32, inflightMax: 8, receiveMax: 16,
  connectTimeoutMs: 4000, pingTimeoutMs: 3000, reconnectFirstMs: 1000, reconnectMaxMs: 4000,
};

export const BROKER_LIMITS: Partial<Limits> = {
  connectionsMax: 16, clientsMax: 4, sessionsMax: 4, packetBytesMax: 1024, windowBytes: 512, inboxBytes: 1024,
  outboxBytes: 2048, sessionQueuedMax: 200, sessionQueuedBytesMax: 25_000, queuedMax: 400, queueBytes: 400 * 64,
  inflightMax: 8, receiveMax: 16, connectTimeoutMs: 8000,
};

export const SETTING: Setting = {
  protocolLevel: 4, clean: false, keepAliveSeconds: 0, queueQos0: false, limits: {}, brokerLimits: {},
};

/** How the next links of the client fare. */
export type Net = 'up' | 'refusing' | 'silent';

export class World {
  readonly random: Random;
  readonly setting: Setting;
  readonly application = new Application();
  readonly watch: Watch;
  readonly wires: Wire[] = [];
  /** Messages that the listener has heard. */
  readonly heard: SeenPublish[] = [];
  broker: Broker;
  client: Client;
  net: Net = 'up';
  nowMs = 0;
  /** Bytes of a piece, Infinity for all at once. */
  pieceBytes: () => number = () => Infinity;
  /** Called for each new wire, before a byte is sent. */
  prepare: (wire: Wire) => void = () => {};
  #listener: Peer;
  #endedMs = -1;
  #woken = false;

  constructor(seed: number, setting: Partial<Setting> = {}) {
    this.random = new Random(seed);
    this.setting = { ...SETTING, ...setting };
    this.broker = this.#makeBroker();
    this.#listener = this.#makeListener();
    this.client = this.#makeClient();
    this.watch = new Watch(this.client.limits.inflightMax,
      this.setting.protocolLevel === LEVEL_3_1 && !this.setting.clean, this.setting.protocolLevel);
    this.application.client = this.client;
    this.application.onEnded = (reason) => this.#ended(reason);
    this.client.tick(0);
  }

  #makeBroker(): Broker {
    const broker = makeBroker({ ...BROKER_LIMITS, ...this.setting.brokerLimits }, { random: () => this.random.next() });
    broker.tick(this.nowMs);
    return broker;
  }

  #makeListener(): Peer {
    const isLevel5 = this.setting.protocolLevel === 5; // so that it hears properties
    const listener = connected(this.broker, { clientId: 'listener', ...(isLevel5 ? { level: 5, properties: {} } : {}) });
    listener.send(isLevel5 ? subscribe5(1, {}, ['#', 2]) : subscribe(1, ['#', 2]));
    return listener;
  }

  #makeClient(): Client {
    const { protocolLevel, clean, keepAliveSeconds, queueQos0, limits } = this.setting;
    return new Client(clientLimits({ ...CLIENT_LIMITS, ...limits }), {
      open: () => this.#open().client,
      random: () => this.random.next(),
      wake: () => {
        this.#woken = true;
      },
      protocolLevel, clientId: ascii('client'), cleanSession: clean, keepAliveSeconds, queueQos0,
      will: { topic: ascii('will'), payload: ascii('gone'), qos: 1, retain: false },
      // The session lasts as it does in 3.1.1.
      ...(protocolLevel === 5 && !clean ? { properties: encoded(CONNECT, { sessionExpiry: 0xffff_ffff }) } : {}),
      observer: this.application,
    });
  }

  #open(): Wire {
    if (this.#endedMs >= 0) {
      const waitedMs = this.nowMs - this.#endedMs;
      const { reconnectFirstMs, reconnectMaxMs } = this.client.limits;
      if (waitedMs < 0.5 * reconnectFirstMs || waitedMs > reconnectMaxMs + 2000) {
        throw new Error(`another attempt after ${waitedMs} ms`);
      }
    }
    this.#endedMs = -1;
    const wire = new Wire((bytes) => this.watch.written(bytes));
    this.watch.opened();
    this.wires.push(wire);
    return wire;
  }

  #ended(reason: number): void {
    this.#endedMs = this.nowMs;
    const wire = this.wires[this.wires.length - 1];
    const { receiveMax } = this.client.limits;
    if (reason === RECEIVE_MAXIMUM_EXCEEDED && receiveMax < this.broker.limits.inflightMax) return;
    if (reason !== LINK_LOST && !wire?.disturbed) throw new Error(`ended for ${reason} on a good link`);
  }

  /** The connection of the client, or null. */
  get wire(): Wire | null {
    const last = this.wires[this.wires.length - 1];
    return last === undefined || last.client.closed ? null : last;
  }

  /** The application starts or goes on after its end. */
  connect(): void {
    if (this.client.state === CLOSED) this.#endedMs = -1;
    this.client.connect();
  }

  /** Links that wait to open are opened, or refused, or go on waiting. */
  #openLinks(): void {
    const wire = this.wire;
    if (this.client.state !== OPENING || wire === null) return;
    // Bytes of an earlier one that are still on their way may take the session over from this one.
    const isOvertaken = this.wires.some((other) => other !== wire && !other.broker.closed && other.toBroker.count > 0);
    if (this.net !== 'up' || isOvertaken) wire.disturbed = true;
    if (this.net === 'silent') return;
    if (this.net === 'refusing') {
      this.client.disconnected();
      wire.client.close();
      return;
    }
    wire.slot = this.broker.connected(wire.broker);
    if (wire.slot === NONE) throw new Error('no slot left at the broker');
    wire.toBroker.capacity = Infinity;
    this.prepare(wire);
    this.client.opened();
  }

  /** One turn of everything: pieces in both directions, then both flush. False if nothing moved. */
  turn(): boolean {
    this.#openLinks();
    let moved = false;
    for (const wire of [...this.wires]) {
      if (this.#toBroker(wire)) moved = true;
      if (this.#toClient(wire)) moved = true;
    }
    if (this.#woken) {
      this.#woken = false;
      this.client.flush();
      moved = true;
    }
    if (this.client.dirty && !this.#woken) throw new Error('dirty, and nobody was woken');
    if (this.broker.dirty) moved = true;
    this.broker.flush();
    this.#listen(this.#listener.received());
    return moved;
  }

  #toBroker(wire: Wire): boolean {
    const { toBroker: way, broker: end, slot } = wire;
    if (slot < 0) return false;
    let moved = false;
    if (!end.closed && way.reading && way.count > 0) {
      const bytes = way.take(Math.min(this.pieceBytes(), way.count, this.broker.room(slot)));
      if (bytes.length === 0) throw new Error('the broker reads, and has no room');
      this.broker.bytes.set(bytes, this.broker.windowStart);
      this.broker.received(slot, bytes.length);
      moved = true;
    }
    if (!end.closed && way.ended && way.count === 0 && !way.isCut) {
      this.broker.disconnected(slot);
      end.close();
      moved = true;
    }
    return this.#becomesWritable(wire, false) || moved;
  }

  #toClient(wire: Wire): boolean {
    const { toClient: way, client: end } = wire;
    if (end.closed || wire.slot < 0) return false;
    let moved = false;
    if (way.reading && way.count > 0) {
      const bytes = way.take(Math.min(this.pieceBytes(), way.count, this.client.room));
      if (bytes.length === 0) throw new Error('the client reads, and has no room');
      this.watch.given(bytes);
      this.client.bytes.set(bytes, this.client.receiveStart);
      this.client.received(bytes.length);
      moved = true;
    }
    if (!end.closed && way.ended && way.count === 0 && !way.isCut && way.reading) {
      if (!wire.disturbed) throw new Error('the broker has ended a good connection');
      this.client.disconnected();
      end.close();
      moved = true;
    }
    return this.#becomesWritable(wire, true) || moved;
  }

  #becomesWritable(wire: Wire, ofClient: boolean): boolean {
    const { out, closed } = ofClient ? wire.client : wire.broker;
    if (closed || !out.wasFull || out.room === 0) return false;
    out.wasFull = false;
    if (ofClient) this.client.writable();
    else this.broker.writable(wire.slot);
    return true;
  }

  /** Takes what has come for the listener, in order, and acknowledges it at once. */
  #listen(packets: string[]): void {
    for (let i = 0; i < packets.length; i++) {
      const words = packets[i]!;
      const id = Number(/ id(\d+)/.exec(words)?.[1] ?? 0);
      if (words.startsWith('PUBLISH')) {
        const publish = parse(words);
        this.heard.push(publish);
        if (publish.qos === 1) packets.push(...this.#listener.send(puback(id)));
        if (publish.qos === 2) packets.push(...this.#listener.send(pubrec(id)));
      } else if (words.startsWith('PUBREL')) {
        packets.push(...this.#listener.send(pubcomp(id)));
      }
    }
  }

  /** Turns until nothing moves any more. */
  run(): void {
    for (let turns = 0; this.turn(); turns++) {
      if (turns > 20_000) throw new Error('it never comes to rest');
    }
    this.check();
  }

  check(): void {
    checkClientInvariants(this.client);
    checkInvariants(this.broker);
    for (let i = this.wires.length - 2; i >= 0; i--) {
      const wire = this.wires[i]!;
      if (wire.client.closed && (wire.broker.closed || wire.slot < 0)) this.wires.splice(i, 1);
    }
  }

  /** Time passes, in one tick of both. */
  pass(ms: number): void {
    this.nowMs += ms;
    this.client.tick(this.nowMs);
    this.broker.tick(this.nowMs);
    this.run();
  }

  /** A cut is noticed, or a link breaks, on both sides. */
  break(wire: Wire): void {
    wire.disturbed = true;
    if (!wire.client.closed) {
      this.client.disconnected();
      wire.client.close();
    }
    if (wire.slot >= 0 && !wire.broker.closed) {
      this.broker.disconnected(wire.slot);
      wire.broker.close();
    }
  }

  /** Another broker, which knows nothing, in the place of this one. */
  replaceBroker(): void {
    for (const wire of this.wires) this.break(wire);
    this.broker.flush();
    this.#listen(this.#listener.received());
    this.broker = this.#makeBroker();
    this.#listener = this.#makeListener();
  }

  /** The client is thrown away; another one is made from its bytes. Returns them. */
  saveAndRestore(): Uint8Array {
    const bytes = new Uint8Array(savedBytes(this.client));
    const saved = saveSession(this.client, bytes);
    if (saved !== bytes.length) throw new Error(`saved ${saved} of ${bytes.length} bytes`);
    const wire = this.wire;
    if (wire !== null) {
      wire.disturbed = true;
      wire.client.close();
    }
    this.client = this.#makeClient();
    this.client.tick(this.nowMs);
    this.#woken = false;
    this.#endedMs = -1;
    const outcome = restoreSession(this.client, bytes);
    if (outcome !== 0) throw new Error(`restore gives ${outcome}`);
    this.application.restored(this.client);
    return bytes;
  }

  /** The application of the broker publishes. */
  inject(topic: string, payload: string, qos: number): void {
    const outcome = this.broker.publish(ascii(topic), ascii(payload), qos, false);
    if (outcome !== 0) throw new Error(`the broker's publish gives ${outcome}`);
  }

  /** All is well with the network from now on; waits until everything is delivered. */
  heal(): void {
    const { application } = this;
    this.net = 'up';
    this.prepare = () => {};
    application.takes = () => true;
    for (const wire of this.wires) {
      if (wire.isFaulty) this.break(wire);
      wire.toBroker.capacity = wire.slot < 0 ? 0 : Infinity;
      wire.toClient.capacity = Infinity;
    }
    for (let rounds = 0; rounds < 400; rounds++) {
      this.connect();
      if (application.unread) application.resume();
      this.run();
      if (this.client.state === CONNECTED && this.client.waitingCount === 0 && this.#sessionIsIdle()) return;
      this.pass(500);
    }
    throw new Error(`after 200 s: state ${this.client.state}, ${this.client.waitingCount} messages wait`);
  }

  /** The broker has delivered all to the client. */
  #sessionIsIdle(): boolean {
    const { connections, deliveries } = this.broker.memory;
    const slot = this.wire?.slot ?? -1;
    const session = slot < 0 ? NONE : connections[slot]!.session;
    return session !== NONE && deliveries.count(session) === 0 && this.client.memory.subscriptions.pendingCount === 0;
  }
}
