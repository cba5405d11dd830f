// What a platform and an application give a client beside its limits: imported by client.ts and by
// who makes one.

import type { Link } from '../link.js';
import { LEVEL_3_1, LEVEL_3_1_1, OK } from '../wire/codes.js';
import type { Packet } from '../wire/packet.js';
import { checkTopicName } from '../wire/topic.js';
import { isUtf8 } from '../wire/utf8.js';

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

  /** 3 is MQTT 3.1, 4 is MQTT 3.1.1. */
  protocolLevel: number;
  /** UTF-8; empty with a clean session only: then the broker chooses one. */
  clientId: Uint8Array;
  cleanSession: boolean;
  /** 0, none, to 65,535. */
  keepAliveSeconds: number;
  will?: Will;
  userName?: Uint8Array;
  /** Only with a user name [MQTT-3.1.2-22]. */
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
}

/**
 * Told what happens. May call `publish`, `subscribe`, `unsubscribe`, `disconnect` and `connect`,
 * not the entry points of the platform.
 */
export interface ClientObserver {
  /** CONNACK 0. */
  connected(sessionPresent: boolean): void;
  /** CONNACK 1 to 5. `ended` follows, and another attempt, unless `disconnect` is called. */
  refused(returnCode: number): void;
  /** A connection or an attempt ended; `reason` is one of states.ts, or a negative outcome. */
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
  /** The broker has answered a SUBSCRIBE: the granted QoS, or SUBACK_FAILURE. */
  subscribed(bytes: Uint8Array, filterStart: number, filterEnd: number, returnCode: number): void;
  /** The broker has answered an UNSUBSCRIBE, or has forgotten the session with it. */
  unsubscribed(bytes: Uint8Array, filterStart: number, filterEnd: number): void;
  /** The broker has the message that `publish` returned `handle` for; QoS 0: the link has it. */
  delivered(handle: number): void;
  /** The message was dropped to make room for one being published. Must not call the client. */
  dropped(handle: number): void;
}

/** Throws RangeError, naming the option, for what no CONNECT can carry. */
export function checkConnectOptions(options: ClientOptions): void {
  const { protocolLevel, clientId, cleanSession, keepAliveSeconds, will } = options;
  const { userName, password } = options;
  if (protocolLevel !== LEVEL_3_1_1 && protocolLevel !== LEVEL_3_1) {
    throw new RangeError(`protocolLevel is ${protocolLevel}: it must be 4 (MQTT 3.1.1) or ` +
      '3 (MQTT 3.1)');
  }
  if (!Number.isInteger(keepAliveSeconds) || keepAliveSeconds < 0 || keepAliveSeconds > 0xffff) {
    throw new RangeError(`the keep-alive is ${keepAliveSeconds} seconds: it must be a whole ` +
      'number, 0 to 65535');
  }
  text('the client identifier', clientId);
  if (clientId.length === 0 && !cleanSession) {
    throw new RangeError('a session that is kept needs a client identifier'); // [MQTT-3.1.3-7]
  }
  if (userName !== undefined) text('the user name', userName);
  if (password !== undefined) fits('the password', password);
  if (password !== undefined && userName === undefined) {
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

function text(name: string, bytes: Uint8Array): void {
  fits(name, bytes);
  if (!isUtf8(bytes, 0, bytes.length)) throw new RangeError(`${name} is not UTF-8`);
}

function fits(name: string, bytes: Uint8Array): void {
  if (bytes.length > 0xffff) {
    throw new RangeError(`${name} has ${bytes.length} bytes: it must have at most 65535`);
  }
}
