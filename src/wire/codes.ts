// The numbers of the wire: packet types, return codes, and what framing and decoding answer.
// Imported by everyone, imports nothing. Hot codes are plain constants: XS and esbuild inline their
// reads.

/** Control packet types, MQTT 3.1.1 table 2.1; AUTH is of MQTT 5.0. */
export const CONNECT = 1;
export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const SUBACK = 9;
export const UNSUBSCRIBE = 10;
export const UNSUBACK = 11;
export const PINGREQ = 12;
export const PINGRESP = 13;
export const DISCONNECT = 14;
export const AUTH = 15;

/** Protocol levels as CONNECT carries them: MQTT 3.1 (`MQIsdp`), 3.1.1 and 5.0 (both `MQTT`). */
export const LEVEL_3_1 = 3;
export const LEVEL_3_1_1 = 4;
export const LEVEL_5 = 5;

/** Bits of CONNECT's flags byte, MQTT 3.1.1 section 3.1.2.3. */
export const CONNECT_RESERVED = 0x01;
export const CONNECT_CLEAN_SESSION = 0x02;
export const CONNECT_WILL = 0x04;
export const CONNECT_WILL_QOS_SHIFT = 3;
export const CONNECT_WILL_RETAIN = 0x20;
export const CONNECT_PASSWORD = 0x40;
export const CONNECT_USER_NAME = 0x80;

/** Bits of the options of a filter in SUBSCRIBE, MQTT 5.0 section 3.8.3.1; QoS in bits 0 and 1. */
export const NO_LOCAL = 0x04;
export const RETAIN_AS_PUBLISHED = 0x08;
export const RETAIN_HANDLING_SHIFT = 4;

/** CONNACK return codes, MQTT 3.1.1 table 3.1. */
export const ACCEPTED = 0;
export const REFUSED_PROTOCOL_LEVEL = 1;
export const REFUSED_IDENTIFIER = 2;
export const REFUSED_UNAVAILABLE = 3;
export const REFUSED_USER_OR_PASSWORD = 4;
export const REFUSED_NOT_AUTHORIZED = 5;

/** SUBACK return code of a filter that was not taken, MQTT 3.1.1 section 3.9.3. */
export const SUBACK_FAILURE = 0x80;

/** Reason codes of MQTT 5.0 that are no refusal, section 2.4. */
export const SUCCESS = 0;
export const DISCONNECT_WITH_WILL = 0x04;
export const NO_MATCHING_SUBSCRIBERS = 0x10;
export const NO_SUBSCRIPTION_EXISTED = 0x11;
export const CONTINUE_AUTHENTICATION = 0x18;
export const RE_AUTHENTICATE = 0x19;

/**
 * What framing and decoding answer when there is no packet. Refusals are the negated reason codes
 * of MQTT 5.0, section 2.4: one vocabulary for both versions, and for the log.
 */
export const OK = 0;
export const INCOMPLETE = -1;
export const UNSPECIFIED_ERROR = -0x80;
export const MALFORMED = -0x81;
export const PROTOCOL_ERROR = -0x82;
export const UNSUPPORTED_LEVEL = -0x84;
export const CLIENT_IDENTIFIER_NOT_VALID = -0x85;
export const BAD_USER_NAME_OR_PASSWORD = -0x86;
export const NOT_AUTHORIZED = -0x87;
/** No connection, and nothing that keeps the message until there is one. */
export const SERVER_UNAVAILABLE = -0x88;
export const BAD_AUTHENTICATION_METHOD = -0x8c;
export const TOPIC_FILTER_INVALID = -0x8f;
export const TOPIC_NAME_INVALID = -0x90;
export const PACKET_ID_NOT_FOUND = -0x92;
/** More unfinished QoS 2 messages than the receiver takes. */
export const RECEIVE_MAXIMUM_EXCEEDED = -0x93;
export const TOPIC_ALIAS_INVALID = -0x94;
export const TOO_LARGE = -0x95;
/** A table, queue or store of our own is full. */
export const QUOTA_EXCEEDED = -0x97;
export const PAYLOAD_FORMAT_INVALID = -0x99;
export const RETAIN_NOT_SUPPORTED = -0x9a;
export const QOS_NOT_SUPPORTED = -0x9b;
export const SHARED_NOT_SUPPORTED = -0x9e;
export const IDENTIFIERS_NOT_SUPPORTED = -0xa1;
export const WILDCARDS_NOT_SUPPORTED = -0xa2;

/** "No such index" in every table and list of the core. */
export const NONE = -1;

/** MQTT 5.0: identifiers of properties are below this (properties.ts). */
export const PROPERTY_COUNT = 0x2b;
