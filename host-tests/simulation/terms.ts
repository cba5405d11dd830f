// The words in which the model of model.ts thinks: what clients ask for, filters, sessions and
// connections. Deterministic; runs on Node and on XS.

import { Line, SessionQueue } from './expect.js';
import type { Message, View } from './message.js';

export interface Will extends Message {
  retain: boolean;
  /** MQTT 5.0, else 0. */
  delaySeconds: number;
}

export interface ConnectRequest {
  clientId: string;
  clean: boolean;
  level: number;
  will: Will | null;
  /** As the client wants it; 0 or NEVER in 3.1.1. */
  expirySeconds: number;
  keepAliveSeconds: number;
  /** What the client takes: MQTT 5.0, else without bounds. */
  receiveMaximum: number;
  packetBytesMax: number;
  aliasMaximum: number;
  /** It wants reason strings. */
  problems: boolean;
}

/** A session that never ends by itself. */
export const NEVER = 0xffffffff;

/** What the broker of the simulation is made with. */
export interface ModelLimits {
  inflightMax: number;
  topicLevelsMax: number;
  packetBytesMax: number;
  outboxBytes: number;
  receiveMax: number;
  topicAliasMax: number;
  sessionExpirySecondsMax: number;
  keepAliveSecondsMax: number;
}

export interface Subscription {
  filter: string;
  qos: number;
  /** The rest is MQTT 5.0. */
  noLocal?: boolean;
  asPublished?: boolean;
  handling?: number;
  identifier?: number;
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

export const isShared = (filter: string): boolean => filter.startsWith('$share/');
/** `$share/group/filter`, the group without wildcards, 5.0 [MQTT-4.8.2-1], [MQTT-4.8.2-2]. */
export const isWellShared = (filter: string): boolean => /^\$share\/[^/+#]+\/./.test(filter);
/** Topics that shared subscriptions of the simulation match. */
export const mayBeShared = (topic: string): boolean => topic.startsWith('s/');
/** Without group. */
export const innerFilter = (filter: string): string => filter.split('/').slice(2).join('/');
export const hexOf = (code: number): string => code === 0 ? '' : ` 0x${(code < 16 ? '0' : '') + code.toString(16)}`;

/** What the model must know of the core and cannot: asked from the caller. */
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
  /** Of sessions that are due at the same time, the one with the lower number comes first. */
  rank(clientId: string): number;
}

export class Session {
  readonly clientId: string;
  readonly subscriptions = new Map<string, Subscription>();
  /** Identifiers of QoS 2 messages whose PUBREL is awaited. */
  readonly received = new Set<number>();
  readonly queue = new SessionQueue();
  connection: Connection | null = null;
  expirySeconds = 0;
  /** A will that waits, and the first tick since its client left, or -1. */
  will: Will | null = null;
  leftMs = -1;

  constructor(clientId: string) {
    this.clientId = clientId;
  }
}

/** One connection of a client, known by the number that the caller gave it. */
export class Connection {
  readonly number: number;
  readonly line = new Line();
  session: Session | null = null;
  will: Will | null = null;
  /** When all that had been sent was seen. */
  sinceMs: number;
  /** It was all seen in this turn. */
  settled = false;
  level = 4;
  window = 0;
  packetBytesMax = 0;
  takesAliases = false;
  problems = true;

  constructor(number: number, nowMs: number) {
    this.number = number;
    this.sinceMs = nowMs;
  }

  view(nowMs: number): View {
    const { level, sinceMs, packetBytesMax, takesAliases } = this;
    return { level, nowMs, sinceMs, packetBytesMax, takesAliases };
  }
}
