// One slot for a link: what the broker knows of it while it is open. Instances are made once and
// reused. Session state that outlives the link is in `Sessions`.

import type { Link } from '../link.js';
import type { Inbox } from '../session/inbox.js';
import type { Outbox } from '../session/outbox.js';
import { NONE } from '../wire/codes.js';

/**
 * What a handler answers when the packet must stay in the inbox; OK and refusals are those of
 * wire/codes.
 */
export const STALLED = 1;

/** Why bytes of a connection wait. */
export const FLOWING = 0;
/** Its own outbox is full: the peer does not read its answers. Until the link is writable. */
export const OWN_OUTBOX = 1;
/** A subscriber of what it publishes is full. Until there is room, or the wait is over. */
export const SLOW_SUBSCRIBER = 2;

export class Connection {
  readonly slot: number;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  /** null while the slot is free. */
  link: Link | null = null;
  /** NONE until CONNECT was accepted. */
  session = NONE;
  /** 0 until CONNECT. */
  protocolLevel = 0;
  /** Bytes of the largest packet it takes, and its outbox; MQTT 5.0, else what the outbox takes. */
  packetBytesMax = Infinity;
  /** It wants reason strings; MQTT 5.0. */
  problemInformation = true;
  /** How many topics it takes an alias for, and we have room for; MQTT 5.0, else 0. */
  topicAliasMaximum = 0;
  /** Longest silence allowed: one and a half times the keep-alive [MQTT-3.1.2-24], or 0 for any. */
  silenceMaxMs = 0;
  /** Since the last control packet, counted by ticks: late by up to one tick, never early. */
  silentMs = 0;
  /** Whether a control packet has come since the last tick. */
  heard = false;
  /** FLOWING, OWN_OUTBOX or SLOW_SUBSCRIBER. */
  stalled = FLOWING;
  /** The link was told to stop reading. */
  paused = false;
  /** It is in the broker's list of outboxes to flush. */
  dirty = false;
  /** It has more to send than its outbox had room for, or may have, since it has just begun. */
  blocked = false;
  /** Its search for retained messages goes on with the next flush. */
  searching = false;

  constructor(slot: number, inbox: Inbox, outbox: Outbox) {
    this.slot = slot;
    this.inbox = inbox;
    this.outbox = outbox;
  }

  /** Back to the state of a free slot. */
  reset(): void {
    this.link = null;
    this.session = NONE;
    this.protocolLevel = 0;
    this.packetBytesMax = Infinity;
    this.problemInformation = true;
    this.topicAliasMaximum = 0;
    this.silenceMaxMs = 0;
    this.silentMs = 0;
    this.heard = false;
    this.stalled = FLOWING;
    this.paused = false;
    this.blocked = false;
    this.inbox.clear();
    this.outbox.clear();
  }
}
