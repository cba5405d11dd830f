// What a client counts, for whoever shows how it does. All since it was constructed.

export class ClientCounters {
  /** PUBLISH packets sent, repeated ones included, and messages handed to the application. */
  messagesSent = 0;
  messagesReceived = 0;
  /** QoS 0 messages not taken because nothing kept them. */
  droppedQos0 = 0;
  /** Kept messages that made room for others, and new ones that a full queue refused. */
  droppedOld = 0;
  droppedNew = 0;
  /** Those that expired while they waited, and those that the broker did not take. */
  droppedExpired = 0;
  droppedRefused = 0;
  /** Messages from the broker larger than `packetBytesMax`: skipped and acknowledged. */
  skippedTooLarge = 0;
  /** Connections and attempts that ended without being asked to. */
  connectionsLost = 0;
  /** CONNACK with another return code than 0. */
  refused = 0;
  /** SUBACK with a failure. */
  refusedSubscriptions = 0;
  /** Connections ended for what the broker sent. */
  errors = 0;
  /** Acknowledgements for which nothing was in flight. */
  unknownAcknowledgements = 0;
}
