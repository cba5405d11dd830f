// What the broker counts, and the names under which `$SYS/broker/…` shows it: Mosquitto's where it
// has one. Indices into one Float64Array, so that counting allocates nothing and does not overflow.

export const MESSAGES_RECEIVED = 0;
export const MESSAGES_SENT = 1;
export const BYTES_RECEIVED = 2;
export const BYTES_SENT = 3;
export const PUBLISH_RECEIVED = 4;
export const PUBLISH_SENT = 5;
/** Deliveries that did not happen: the sum of the next three. */
export const PUBLISH_DROPPED = 6;
/** QoS 0 to a subscriber whose outbox and link were full. */
export const DROPPED_OUTBOX_FULL = 7;
/**
 * QoS 1 or 2 to a session whose queue was full: the new message, or an older one that made room.
 */
export const DROPPED_SESSION_FULL = 8;
/** QoS 1 or 2 when the rows or blocks that all sessions share were used up. */
export const DROPPED_QUEUE_FULL = 9;
/** A message that asked to be retained when no more could be. */
export const DROPPED_RETAINED_FULL = 10;
/** A PUBLISH or will into `$SYS`, where no client publishes. */
export const DROPPED_SYS = 11;
export const CLIENTS_CONNECTED = 12;
export const CLIENTS_MAXIMUM = 13;
export const SESSIONS = 14;
export const SUBSCRIPTIONS = 15;
export const RETAINED = 16;
export const STORED = 17;
export const UPTIME_SECONDS = 18;
/** Connections that ended before or without CONNACK 0. */
export const REFUSED_FULL = 19;
export const REFUSED_IDENTIFIER_COUNT = 20;
export const REFUSED_LEVEL = 21;
export const REFUSED_LOGIN = 22;
export const REFUSED_CONNECT_TIMEOUT = 23;
/** SUBACK 0x80. */
export const REFUSED_SUBSCRIPTIONS = 24;
/** Connections ended for what the peer sent. */
export const ERRORS_MALFORMED = 25;
export const ERRORS_PROTOCOL = 26;
export const ERRORS_TOPIC = 27;
export const ERRORS_TOO_LARGE = 28;
export const ERRORS_RECEIVE_MAXIMUM = 29;
/** Connections ended otherwise. */
export const ENDED_KEEP_ALIVE = 30;
export const ENDED_TAKEN_OVER = 31;
export const ENDED_LINK_LOST = 32;
export const CLIENTS_DISCONNECTED = 33;
/** Times the reading of a publisher was stopped for a slow subscriber. */
export const PUBLISHERS_WAITED = 34;
/** Acknowledgements for which nothing was in flight. */
export const UNKNOWN_ACKNOWLEDGEMENTS = 35;
/** QoS 1 or 2 that waited, and retained messages, until their expiry; MQTT 5.0. */
export const DROPPED_EXPIRED = 36;
/** Deliveries larger than the packets their subscriber takes; MQTT 5.0. */
export const DROPPED_TOO_LARGE = 37;
/** Sessions that ended while their client was away. */
export const CLIENTS_EXPIRED = 38;
export const COUNTER_COUNT = 39;

/** Topic below `$SYS/broker/` of each counter; `$SYS/broker/version` is written apart. */
export const SYS_NAMES: readonly string[] = Object.freeze([
  'messages/received', 'messages/sent', 'bytes/received', 'bytes/sent',
  'publish/messages/received', 'publish/messages/sent', 'publish/messages/dropped',
  'dropped/outbox-full', 'dropped/session-full', 'dropped/queue-full', 'dropped/retained-full',
  'dropped/sys',
  'clients/connected', 'clients/maximum', 'clients/total', 'subscriptions/count',
  'retained messages/count', 'store/messages/count', 'uptime',
  'refused/full', 'refused/identifier', 'refused/level', 'refused/login', 'refused/connect-timeout',
  'refused/subscriptions',
  'errors/malformed', 'errors/protocol', 'errors/topic', 'errors/too-large',
  'errors/receive-maximum',
  'ended/keep-alive', 'ended/taken-over', 'ended/link-lost', 'clients/disconnected',
  'publishers/waited', 'acknowledgements/unknown',
  'dropped/expired', 'dropped/too-large', 'clients/expired',
]);
