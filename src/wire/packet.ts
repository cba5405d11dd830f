// One packet, as offsets into the bytes it was read from. Broker and client own one record each and
// reuse it for every packet; nothing in it outlives the handling of that packet.

import { PROPERTY_COUNT } from './codes.js';
import type { TopicLevels } from './topic.js';

/**
 * Filled by `frame` (first group) and by `decode` (the groups of the packet's type; the others keep
 * values of earlier packets and mean nothing). Byte ranges are half-open offsets into the bytes
 * given to `decode`. A range of an absent field is empty.
 */
export class Packet {
  /** Levels of a PUBLISH's topic; null unless somebody wants them. */
  readonly levels: TopicLevels | null;
  /**
   * Level of the connection, set by the caller: 0 before CONNECT, then 3, 4 or 5. `decode` sets it
   * from CONNECT.
   */
  protocolLevel = 0;

  type = 0;
  /** Low four bits of the first byte. */
  flags = 0;
  start = 0;
  bodyStart = 0;
  end = 0;

  /**
   * PUBLISH and every acknowledgement, SUBSCRIBE, UNSUBSCRIBE and their answers: 1 to 65,535; 0
   * where absent.
   */
  packetId = 0;
  /**
   * CONNACK, DISCONNECT, AUTH and the acknowledgements of a PUBLISH: MQTT 5.0 section 2.4, in
   * CONNACK of 3.1.1 its return code. SUCCESS where it is left out.
   */
  reasonCode = 0;
  /**
   * MQTT 5.0, by identifier: offset of the value, or 0 where there is none (properties.ts). CONNECT
   * has those of its will in there, too: but for user properties, none may stand in both. Old for a
   * PUBLISH that `hasProperties` is false for, and in 3.1.1.
   */
  readonly properties: Int32Array;
  /** All of them, without their length. */
  propertiesStart = 0;
  propertiesEnd = 0;

  /** PUBLISH. Before the payload its properties, with their length: none in 3.1.1. */
  qos = 0;
  topicStart = 0;
  topicEnd = 0;
  contentStart = 0;
  payloadStart = 0;
  payloadEnd = 0;

  /** CONNECT */
  connectFlags = 0;
  keepAliveSeconds = 0;
  clientIdStart = 0;
  clientIdEnd = 0;
  willPropertiesStart = 0;
  willPropertiesEnd = 0;
  willTopicStart = 0;
  willTopicEnd = 0;
  willPayloadStart = 0;
  willPayloadEnd = 0;
  userNameStart = 0;
  userNameEnd = 0;
  passwordStart = 0;
  passwordEnd = 0;

  /** CONNACK */
  sessionPresent = false;

  /**
   * SUBSCRIBE, UNSUBSCRIBE: the list, and the entry that `nextFilter` stands on. SUBACK, UNSUBACK:
   * one code per byte.
   */
  listStart = 0;
  listEnd = 0;
  filterCount = 0;
  filterStart = 0;
  filterEnd = 0;
  filterQos = 0;
  /** SUBSCRIBE: the whole byte of options; in 3.1.1 the QoS alone. */
  filterOptions = 0;

  constructor(
    levels: TopicLevels | null = null,
    properties: Int32Array = new Int32Array(PROPERTY_COUNT),
  ) {
    this.levels = levels;
    this.properties = properties;
  }

  /** PUBLISH: sent before. */
  get duplicate(): boolean {
    return (this.flags & 8) !== 0;
  }

  /** PUBLISH: `properties` has some. */
  get hasProperties(): boolean {
    return this.payloadStart - this.contentStart > 1;
  }

  /** PUBLISH: to be kept, or kept. */
  get retain(): boolean {
    return (this.flags & 1) !== 0;
  }
}
