// Properties of MQTT 5.0 that go out, as the wire has them: encoded once, checked here, sent as
// often as wanted without allocating. Made by properties.ts from objects, or by an application that
// has the bytes; taken by the core.

import { CONNECT, OK, PUBLISH } from '../wire/codes.js';
import { encodeProperties } from '../wire/encode.js';
import { Packet } from '../wire/packet.js';
import {
  AUTHENTICATION_DATA, AUTHENTICATION_METHOD, checkResponseTopic, MESSAGE_EXPIRY_INTERVAL,
  nextProperty, readProperties, readWillProperties, SUBSCRIPTION_IDENTIFIER, TOPIC_ALIAS,
  varintBytes,
} from '../wire/properties.js';

/** `kind` of the properties of a will; those of a packet have its type. */
export const WILL_PROPERTIES = 0;

export class EncodedProperties {
  /** The type of the packet they are for, or WILL_PROPERTIES. */
  readonly kind: number;
  /**
   * Without their length; a message expiry interval or subscription identifier comes first. Nobody
   * may change them.
   */
  readonly bytes: Uint8Array;

  /**
   * Copies `bytes`, properties without their length. Throws RangeError when a client cannot send
   * them in that packet: what the specification forbids, aliases (the client gives them), and
   * subscription identifiers in a PUBLISH 5.0 [MQTT-3.3.4-6].
   */
  constructor(kind: number, bytes: Uint8Array) {
    const start = varintBytes(bytes.length);
    const whole = new Uint8Array(start + bytes.length);
    const packet = new Packet();
    packet.type = kind === WILL_PROPERTIES ? CONNECT : kind;
    packet.end = encodeProperties(whole, 0, bytes);
    const outcome = kind === WILL_PROPERTIES ?
      readWillProperties(whole, packet, 0) :
      readProperties(whole, packet, 0);
    if (outcome < 0) {
      throw new RangeError('the properties are not UTF-8, out of range, there twice, or not for ' +
        `this packet (${-outcome})`);
    }
    const places = packet.properties;
    if (kind === PUBLISH && (places[TOPIC_ALIAS] !== 0 || places[SUBSCRIPTION_IDENTIFIER] !== 0)) {
      throw new RangeError('a publisher gives no topic alias and no subscription identifier');
    }
    if (checkResponseTopic(whole, packet) !== OK) {
      throw new RangeError('the response topic is no topic name: UTF-8, not empty, without ' +
        '+ and #'); // 5.0 [MQTT-3.3.2-14]
    }
    if (places[AUTHENTICATION_DATA] !== 0 && places[AUTHENTICATION_METHOD] === 0) {
      throw new RangeError('authentication data need a method');
    }
    const at = (places[MESSAGE_EXPIRY_INTERVAL] || places[SUBSCRIPTION_IDENTIFIER]) - 1;
    if (at > start) {
      const first = whole.slice(at, nextProperty(whole, at));
      whole.copyWithin(start + first.length, start, at);
      whole.set(first, start);
    }
    this.kind = kind;
    this.bytes = whole.subarray(start);
  }

  /** Whether that one is the first of them. */
  beginWith(identifier: number): boolean {
    return this.bytes.length > 0 && this.bytes[0] === identifier;
  }
}
