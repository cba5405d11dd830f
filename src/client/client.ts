// The client: one link to a broker, opened again whenever it is lost, and time. A platform
// constructs it with a way to open links and reports what happens to the link through `opened`,
// `received`, `writable`, `disconnected`; it calls `flush` at the end of a turn and `tick` several
// times a second to once a second. The application calls `connect`, `publish`, `subscribe`,
// `unsubscribe`, `disconnect`. What comes in goes by receive.ts, what goes out by outgoing.ts.
//
// Invariants: no method throws for anything a broker or a network does, none blocks, none allocates
// after construction; what was taken into the queue leaves it acknowledged, or dropped and told.

import type { Link } from '../link.js';
import {
  ACCEPTED, LEVEL_3_1_1, LEVEL_5, NONE, OK, PINGREQ, PROPERTY_COUNT, SUCCESS,
} from '../wire/codes.js';
import { EMPTY_PACKET_BYTES, encodeEmpty } from '../wire/encode.js';
import { Packet } from '../wire/packet.js';
import { acceptTerms, reauthenticate } from './authenticate.js';
import { BackOff } from './back-off.js';
import {
  connectPacketBytes, disconnectPacketBytes, encodeConnectOf, encodeDisconnectOf, mayFallBack,
  sayWhy,
} from './connect.js';
import { ClientCounters } from './counters.js';
import type { EncodedProperties } from './encoded-properties.js';
import { GIVE_UP, KeepAlive, PING } from './keep-alive.js';
import type { ClientLimits } from './limits.js';
import { ClientMemory } from './memory.js';
import { checkConnectOptions, type ClientOptions } from './options.js';
import { publish, resumeSession, startSession, transmitWaiting } from './outgoing.js';
import { APPLICATION, OWN_OUTBOX, Receiver } from './receive.js';
import { restoreSession, savedBytes, saveSession } from './save.js';
import {
  CLOSED, CLOSING, CONNECT_REFUSED, CONNECT_TIMEOUT, CONNECTED, CONNECTING, LINK_LOST, OPENING,
  PING_TIMEOUT, WAITING,
} from './states.js';
import { subscribe, unsubscribe } from './subscribe.js';
import { Terms } from './terms.js';

type Encoded = EncodedProperties | null;

export class Client {
  readonly limits: ClientLimits;
  readonly options: ClientOptions;
  readonly memory: ClientMemory;
  readonly bytes: Uint8Array;
  readonly counters = new ClientCounters();
  /** The packet being handled, or the last one that was. */
  readonly packet: Packet;
  /** What there is to MQTT 5.0; null when the options ask for an earlier version. */
  readonly terms: Terms | null;
  /** The version in use: that of the options, or 3.1.1 after falling back to it. */
  protocolLevel: number;
  private readonly receiver: Receiver;
  state = CLOSED;
  /** Something may wait to be transmitted, which `flush` does. */
  waiting = false;
  link: Link | null = null;
  /** Whether `flush` has something to do; for others to read. */
  dirty = false;
  private lastTickMs = NaN;
  /** Since the first tick of this state, or, in CLOSING, since the link took bytes. */
  private stateMs = 0;
  private stateIsNew = true;
  /** The wait before the next attempt. */
  private delayMs = 0;
  private readonly backOff: BackOff;
  private readonly keepAlive: KeepAlive;
  /** A CONNECT was not answered: the broker may have begun a session that we do not know of. */
  private sessionUnsure = false;
  /** DISCONNECT is in the outbox. */
  private saidGoodbye = false;

  /**
   * Throws RangeError for limits that contradict each other, as `checkClientLimits` does, and for
   * options that no CONNECT can carry.
   */
  constructor(limits: ClientLimits, options: ClientOptions) {
    this.limits = limits;
    checkConnectOptions(options);
    this.options = options;
    this.protocolLevel = options.protocolLevel;
    this.terms = options.protocolLevel === LEVEL_5 ? new Terms(limits, options) : null;
    this.packet = new Packet(null, new Int32Array(this.terms === null ? 0 : PROPERTY_COUNT));
    this.memory = new ClientMemory(limits);
    this.bytes = this.memory.bytes;
    this.receiver = new Receiver(this);
    this.backOff = new BackOff(limits, options.random);
    this.keepAlive = new KeepAlive(limits.pingTimeoutMs);
    const byteCount = connectPacketBytes(this);
    if (byteCount > limits.packetBytesMax) {
      throw new RangeError(`CONNECT takes ${byteCount} bytes with this identifier, will and ` +
        `login, more than packetBytesMax, which is ${limits.packetBytesMax}`);
    }
  }

  // The application.

  /** Opens a link, and again whenever it is lost, until `disconnect`. Idempotent. */
  connect(): void {
    if (this.state === CLOSING) this.closeLink(false);
    if (this.state !== CLOSED) return;
    this.protocolLevel = this.options.protocolLevel;
    if (this.terms !== null) this.terms.resumes = false;
    this.backOff.reset();
    this.open();
  }

  /** As `publish` of outgoing.ts. */
  publish(
    topic: Uint8Array, payload: Uint8Array, qos: number, retain: boolean,
    properties: Encoded = null,
  ): number {
    return publish(this, topic, payload, qos, retain, properties);
  }

  /** As `subscribe` of subscribe.ts. */
  subscribe(filter: Uint8Array, options: number, properties: Encoded = null): number {
    return subscribe(this, filter, options, properties);
  }

  /** The reverse, also for a filter that a session kept from earlier. Returns as `subscribe`. */
  unsubscribe(filter: Uint8Array, properties: Encoded = null): number {
    return unsubscribe(this, filter, properties);
  }

  /** As `reauthenticate` of authenticate.ts. */
  reauthenticate(data: Uint8Array): number {
    return reauthenticate(this, data);
  }

  /** Messages that wait for the broker or its acknowledgement. */
  get waitingCount(): number {
    return this.memory.deliveries.count(0);
  }

  /** Takes up reading after `observer.message` answered false. */
  resume(): void {
    this.receiver.resume(APPLICATION);
  }

  /**
   * Ends the connection with DISCONNECT, after what is in the outbox, and opens no other. What was
   * not acknowledged stays kept. `observer.closed` tells when it is done, which may be at once;
   * nothing is told when there was nothing to end. DISCONNECT of MQTT 5.0 has that reason code,
   * SUCCESS or DISCONNECT_WITH_WILL, and the properties, if the broker takes as much.
   */
  disconnect(reasonCode = SUCCESS, properties: Encoded = null): void {
    if (this.state === CLOSED || this.state === CLOSING) return;
    this.terms?.sayGoodbye(reasonCode, properties);
    if (this.state !== CONNECTED) {
      this.closeLink(false);
      return;
    }
    if (this.waiting) transmitWaiting(this);
    if (this.state !== CONNECTED) return; // it was called again from what that told
    this.enter(CLOSING);
    this.flushLink();
  }

  /** What must outlive a power-off, as bytes: as the functions of save.ts. */
  get savedBytes(): number {
    return savedBytes(this);
  }

  save(target: Uint8Array): number {
    return saveSession(this, target);
  }

  restore(source: Uint8Array): number {
    return restoreSession(this, source);
  }

  // The platform.

  /** Where the next bytes that come from the broker belong in `bytes`, */
  get receiveStart(): number {
    return this.memory.inbox.base + this.memory.inbox.count;
  }

  /** and how many of them there is room for. 0 while reading is stopped. */
  get room(): number {
    return this.receiver.room;
  }

  /** The link is open. */
  opened(): void {
    if (this.state !== OPENING) return;
    this.enter(CONNECTING);
    const at = this.memory.outbox.reserve(connectPacketBytes(this));
    this.sent(encodeConnectOf(this, at)); // [MQTT-3.1.0-1]
  }

  /** The platform has put `byteCount` bytes at `receiveStart`: at most `room`. */
  received(byteCount: number): void {
    if (this.state !== CONNECTED && this.state !== CONNECTING) return;
    this.receiver.received(byteCount);
  }

  /** The link takes bytes again. */
  writable(): void {
    this.flushLink();
    this.receiver.resume(OWN_OUTBOX);
  }

  /** The link is lost, or could not be opened. The platform closes it. */
  disconnected(): void {
    if (this.link === null) return;
    if (this.state === CLOSING) this.closeLink(false);
    else this.lose(LINK_LOST);
  }

  /** Hands what was encoded in this turn to the link, in one write. */
  flush(): void {
    this.dirty = false;
    this.flushLink();
  }

  /**
   * Time passes: `nowMs` counts milliseconds from anywhere, and never back. Then call `flush`. A
   * platform that was asleep itself counts little of that time: its peer could not be heard.
   */
  tick(nowMs: number): void {
    const elapsedMs = nowMs >= this.lastTickMs ? nowMs - this.lastTickMs : 0;
    this.lastTickMs = nowMs;
    if (this.terms !== null) this.terms.clockMs += elapsedMs;
    if (this.stateIsNew) this.stateIsNew = false; // since when, nobody knows
    else this.stateMs += elapsedMs;
    switch (this.state) {
      case WAITING:
        if (this.stateMs >= this.delayMs) this.open();
        break;
      case OPENING:
      case CONNECTING:
        if (this.stateMs >= this.limits.connectTimeoutMs) this.lose(CONNECT_TIMEOUT);
        break;
      case CONNECTED:
        this.age(elapsedMs);
        break;
      case CLOSING:
        if (this.stateMs >= this.limits.pingTimeoutMs) this.closeLink(false);
        break;
    }
  }

  // Inside: for the other files of the client, and for this one.

  /**
   * Where `byteCount` bytes fit into the outbox and leave room for acknowledgements, after a flush
   * if need be, or NONE.
   */
  reserve(byteCount: number): number {
    return this.reserveAnswer(byteCount + this.limits.acknowledgementBytes);
  }

  /** The same for an answer, or PINGREQ, which may use that room. */
  reserveAnswer(byteCount: number): number {
    const outbox = this.memory.outbox;
    const at = outbox.reserve(byteCount);
    if (at !== NONE || this.link === null) return at;
    this.write(this.link);
    return outbox.reserve(byteCount);
  }

  /** A packet was written into the outbox, up to `end`: it goes out with the next flush. */
  sent(end: number): void {
    this.memory.outbox.commit(end);
    if (!this.dirty) this.wakeUp();
  }

  /** Something was kept that may be transmitted: it goes out with the next flush. */
  transmitSoon(): void {
    if (this.state !== CONNECTED) return;
    this.waiting = true;
    if (!this.dirty) this.wakeUp();
  }

  private wakeUp(): void {
    this.dirty = true;
    this.options.wake();
  }

  private write(link: Link): void {
    if (this.memory.outbox.flush(link) === 0) return;
    this.keepAlive.sent();
    if (this.state === CLOSING) this.stateMs = 0;
  }

  private flushLink(): void {
    if (this.waiting && this.state === CONNECTED) transmitWaiting(this);
    const link = this.link;
    if (link === null) return;
    const outbox = this.memory.outbox;
    this.write(link);
    if (this.state !== CLOSING || outbox.byteCount > 0) return;
    if (!this.saidGoodbye) {
      this.saidGoodbye = true;
      const at = outbox.reserve(disconnectPacketBytes(this));
      outbox.commit(encodeDisconnectOf(this, at)); // the last packet [MQTT-3.14.4-2]
      this.write(link);
    }
    if (outbox.byteCount === 0) this.closeLink(true);
  }

  private enter(state: number): void {
    this.state = state;
    this.stateMs = 0;
    this.stateIsNew = true;
  }

  private open(): void {
    this.enter(OPENING);
    this.link = this.options.open();
  }

  /** Forgets the link and what belonged to it alone. */
  private leaveLink(): void {
    const link = this.link;
    this.link = null;
    if (this.state === CONNECTING) this.sessionUnsure = true;
    this.receiver.reset();
    this.memory.outbox.clear();
    this.memory.subscriptions.interrupted();
    this.saidGoodbye = false;
    this.waiting = false;
    this.dirty = false;
    if (link !== null) link.close();
  }

  private closeLink(complete: boolean): void {
    this.leaveLink();
    this.enter(CLOSED);
    this.options.observer.closed(complete);
  }

  /** Bytes have come from the broker. */
  heard(): void {
    this.keepAlive.heard();
  }

  /** CONNACK has come: the broker accepts, or not. OK, or a refusal of ours. */
  answered(reasonCode: number, sessionPresent: boolean): number {
    const observer = this.options.observer;
    if (reasonCode !== ACCEPTED) {
      this.counters.refused++;
      if (mayFallBack(this, reasonCode)) {
        this.leaveLink();
        this.protocolLevel = LEVEL_3_1_1;
        this.open();
        return OK;
      }
      observer.refused(reasonCode);
      if (this.state === CONNECTING) this.lose(CONNECT_REFUSED);
      return OK;
    }
    // Still CONNECTING: what the application says meanwhile is kept. It may also end it all.
    const outcome = acceptTerms(this);
    if (outcome !== OK || this.state !== CONNECTING) return outcome;
    const terms = this.protocolLevel === LEVEL_5 ? this.terms : null;
    const receiveMaximum = terms === null ? this.limits.inflightMax : terms.receiveMax;
    if (sessionPresent) resumeSession(this, this.sessionUnsure, receiveMaximum);
    else startSession(this, receiveMaximum);
    if (this.state !== CONNECTING) return OK;
    this.sessionUnsure = false;
    this.enter(CONNECTED);
    this.keepAlive.reset(terms === null ? this.options.keepAliveSeconds : terms.keepAliveSeconds);
    this.transmitSoon();
    observer.connected(sessionPresent);
    return OK;
  }

  /** The connection or the attempt has ended: waits before the next. */
  lose(reason: number): void {
    // What came before the error is acknowledged, so that it does not come again and again.
    if (reason < 0 && this.link !== null) {
      if (this.state === CONNECTED && this.protocolLevel === LEVEL_5) sayWhy(this, reason);
      this.write(this.link);
    }
    this.delayMs = this.backOff.next(this.state === CONNECTED ? this.stateMs : 0);
    this.leaveLink();
    this.enter(WAITING);
    this.counters.connectionsLost++;
    this.options.observer.ended(reason);
  }

  private age(elapsedMs: number): void {
    const due = this.keepAlive.age(elapsedMs, this.receiver.isReading);
    if (due === GIVE_UP) this.lose(PING_TIMEOUT);
    if (due !== PING) return;
    const at = this.reserveAnswer(EMPTY_PACKET_BYTES);
    if (at === NONE) return;
    this.sent(encodeEmpty(this.bytes, at, PINGREQ));
    this.keepAlive.asked();
  }
}
