// One packet, as offsets into the bytes it was read from. Broker and client own one record each and
// reuse it for every packet; nothing in it outlives the handling of that packet.

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
   * Level of the connection, set by the caller: 0 before CONNECT, then 3 or 4. `decode` sets it
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

  /** PUBLISH */
  qos = 0;
  topicStart = 0;
  topicEnd = 0;
  payloadStart = 0;
  payloadEnd = 0;

  /** CONNECT */
  connectFlags = 0;
  keepAliveSeconds = 0;
  clientIdStart = 0;
  clientIdEnd = 0;
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
  returnCode = 0;

  /**
   * SUBSCRIBE, UNSUBSCRIBE: the list, and the entry that `nextFilter` stands on. SUBACK: one code
   * per byte.
   */
  listStart = 0;
  listEnd = 0;
  filterCount = 0;
  filterStart = 0;
  filterEnd = 0;
  filterQos = 0;

  constructor(levels: TopicLevels | null = null) {
    this.levels = levels;
  }

  /** PUBLISH: sent before. */
  get duplicate(): boolean {
    return (this.flags & 8) !== 0;
  }

  /** PUBLISH: to be kept, or kept. */
  get retain(): boolean {
    return (this.flags & 1) !== 0;
  }
}
