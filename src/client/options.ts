// What a platform and an application give a client beside its limits: imported by client.ts and by
// who makes one.

import type { Link } from '../link.js';
import { CONNECT, LEVEL_3_1, LEVEL_3_1_1, LEVEL_5, OK } from '../wire/codes.js';
import type { Packet } from '../wire/packet.js';
import { checkTopicName } from '../wire/topic.js';
import { isUtf8 } from '../wire/utf8.js';
import { WILL_PROPERTIES, type EncodedProperties } from './encoded-properties.js';

export interface ClientOptions {
  /**
   * Begins to open a link to the broker and returns it at once. Until the platform has called
   * `opened`, its `writableBytes` is 0. Must not call the client; a link that cannot be opened is
   * reported later, by `disconnected`.
   */
  open: () => Link;
  /** Random integer, 0 to 2³²-1: spreads the attempts of clients that lost the same broker. */
  random: () => number;
  /**
   * There is something to flush: the platform calls `flush` at the end of the turn, once however
   * often it was told. Must not call the client.
   */
  wake: () => void;

  /** 3 is MQTT 3.1, 4 is MQTT 3.1.1, 5 is MQTT 5.0. */
  protocolLevel: number;
  /**
   * Level 5: whether a broker that refuses that level is asked for MQTT 3.1.1 at once, until
   * `connect` is called anew. One that only cuts the link is not: a link is lost for many reasons.
   */
  fallback?: boolean;
  /**
   * UTF-8; empty, and the broker chooses one, only with a clean session, or at level 5. It may be
   * replaced by the one that it has assigned.
   */
  clientId: Uint8Array;
  /**
   * At level 5 clean start, for the first connection after `connect`: those that follow resume the
   * session, as long as it lasts there.
   */
  cleanSession: boolean;
  /** Level 5: what CONNECT says but for what follows from the limits. */
  properties?: EncodedProperties;
  /**
   * Level 5, for the authentication method of `properties`: the broker's data are `start` to `end`
   * of `bytes`, with CONTINUE_AUTHENTICATION, or SUCCESS when they are its last. Returns what to
   * answer, to be left unchanged until it is sent; or null: then the connection ends.
   */
  authenticate?(bytes: Uint8Array, start: number, end: number, reasonCode: number):
    Uint8Array | null;
  /** 0, none, to 65,535. */
  keepAliveSeconds: number;
  will?: Will;
  userName?: Uint8Array;
  /** Only with a user name [MQTT-3.1.2-22], or at level 5. */
  password?: Uint8Array;
  /** Whether QoS 0 messages are kept, too, while they cannot be sent. */
  queueQos0: boolean;
  observer: ClientObserver;
}

export interface Will {
  topic: Uint8Array;
  payload: Uint8Array;
  qos: number;
  retain: boolean;
  /** Level 5. */
  properties?: EncodedProperties;
}

/**
 * Told what happens. May call `publish`, `subscribe`, `unsubscribe`, `disconnect` and `connect`,
 * not the entry points of the platform.
 *
 * The packet that has told it stays in `client.packet` while one of these is called, so that its
 * properties can be read: CONNACK for `connected` and `refused`, DISCONNECT for `ended`, PUBLISH
 * for `message`, SUBACK and UNSUBACK, PUBACK, PUBREC and PUBCOMP for the others.
 */
export interface ClientObserver {
  /** CONNACK 0. */
  connected(sessionPresent: boolean): void;
  /**
   * CONNACK 1 to 5, or, in MQTT 5.0, 0x80 or more. `ended` follows, and another attempt, unless
   * `disconnect` is called.
   */
  refused(reasonCode: number): void;
  /**
   * A connection or an attempt ended; `reason` is one of states.ts, the reason code, 0x80 or more,
   * that the broker gave, or a negative outcome.
   */
  ended(reason: number): void;
  /**
   * `disconnect` is done; `complete` if the link took all that was in the outbox, and DISCONNECT.
   */
  closed(complete: boolean): void;
  /**
   * A message has come: ranges of `bytes` given by `packet`, valid during the call. False leaves it
   * where it is, unacknowledged, and the link unread, until `resume` is called.
   */
  message(bytes: Uint8Array, packet: Packet): boolean;
  /**
   * The broker has answered a SUBSCRIBE: the granted QoS, or 0x80 or more; in MQTT 5.0 also without
   * asking, when CONNACK has told that it takes no such filter.
   */
  subscribed(bytes: Uint8Array, filterStart: number, filterEnd: number, reasonCode: number): void;
  /**
   * The broker has answered an UNSUBSCRIBE, or has forgotten the session with it. In MQTT 5.0 the
   * reason code is its answer; else SUCCESS.
   */
  unsubscribed(bytes: Uint8Array, filterStart: number, filterEnd: number, reasonCode: number): void;
  /**
   * The broker has the message that `publish` returned `handle` for; QoS 0: the link has it. The
   * reason code is SUCCESS or NO_MATCHING_SUBSCRIBERS.
   */
  delivered(handle: number, reasonCode: number): void;
  /**
   * The message is gone. MADE_ROOM: it made room for one being published. EXPIRED: it waited
   * too long. Another refusal: that of the broker, which does not take it, as it has told of this
   * message or in CONNACK. Must not call the client for the first two.
   */
  dropped(handle: number, reason: number): void;
}

/** Throws RangeError, naming the option, for what no CONNECT can carry. */
export function checkConnectOptions(options: ClientOptions): void {
  const { protocolLevel, clientId, cleanSession, keepAliveSeconds, will } = options;
  const { userName, password } = options;
  if (protocolLevel !== LEVEL_3_1_1 && protocolLevel !== LEVEL_5 && protocolLevel !== LEVEL_3_1) {
    throw new RangeError(`protocolLevel is ${protocolLevel}: it must be 5 (MQTT 5.0), ` +
      '4 (MQTT 3.1.1) or 3 (MQTT 3.1)');
  }
  kindOf('properties', options.properties, CONNECT, protocolLevel);
  kindOf('properties of the will', will?.properties, WILL_PROPERTIES, protocolLevel);
  /** CONNECT must be one of 3.1.1, too. */
  const isOld = protocolLevel !== LEVEL_5 || options.fallback === true;
  if (!Number.isInteger(keepAliveSeconds) || keepAliveSeconds < 0 || keepAliveSeconds > 0xffff) {
    throw new RangeError(`the keep-alive is ${keepAliveSeconds} seconds: it must be a whole ` +
      'number, 0 to 65535');
  }
  text('the client identifier', clientId);
  if (clientId.length === 0 && !cleanSession && isOld) {
    throw new RangeError('a session that is kept needs a client identifier'); // [MQTT-3.1.3-7]
  }
  if (userName !== undefined) text('the user name', userName);
  if (password !== undefined) fits('the password', password);
  if (password !== undefined && userName === undefined && isOld) {
    throw new RangeError('a password needs a user name'); // [MQTT-3.1.2-22]
  }
  if (will === undefined) return;
  fits('the topic of the will', will.topic);
  fits('the message of the will', will.payload);
  if (checkTopicName(will.topic, 0, will.topic.length) !== OK) {
    throw new RangeError('the topic of the will is no topic name: UTF-8, not empty, ' +
      'without + and #');
  }
  if (will.qos !== 0 && will.qos !== 1 && will.qos !== 2) {
    throw new RangeError(`the QoS of the will is ${will.qos}: it must be 0, 1 or 2`);
  }
}

function kindOf(
  name: string, given: EncodedProperties | undefined, kind: number, protocolLevel: number,
): void {
  if (given === undefined) return;
  if (protocolLevel !== LEVEL_5) throw new RangeError(`${name}: only MQTT 5.0 has any`);
  if (given.kind !== kind) throw new RangeError(`${name}: those given are for another packet`);
}

function text(name: string, bytes: Uint8Array): void {
  fits(name, bytes);
  if (!isUtf8(bytes, 0, bytes.length)) throw new RangeError(`${name} is not UTF-8`);
}

function fits(name: string, bytes: Uint8Array): void {
  if (bytes.length > 0xffff) {
    throw new RangeError(`${name} has ${bytes.length} bytes: it must have at most 65535`);
  }
}
