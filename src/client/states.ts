// What a client is doing, and why a connection of it ended. Imported by the client and by whoever
// shows its state; imports nothing.

/** Nothing is wanted: never started, or ended by the application. */
export const CLOSED = 0;
/** The last connection is lost or the last attempt failed; the next attempt is due later. */
export const WAITING = 1;
/** The platform opens a link. */
export const OPENING = 2;
/** CONNECT is sent, CONNACK awaited. */
export const CONNECTING = 3;
export const CONNECTED = 4;
/** DISCONNECT waits for the link to take it. */
export const CLOSING = 5;

/**
 * Why a connection or an attempt ended. A broker of MQTT 5.0 may say so by DISCONNECT: then it is
 * the reason code of that, 0x80 or more. What the broker sent that it must not is told as the
 * negative outcome of decoding it (codes.ts).
 */
export const LINK_LOST = 1;
/** The link did not open, or CONNACK did not come, in time. */
export const CONNECT_TIMEOUT = 2;
/** Nothing came after PINGREQ, in time. */
export const PING_TIMEOUT = 3;
/** CONNACK said no. */
export const CONNECT_REFUSED = 4;
/** The broker said DISCONNECT, and nothing was wrong. */
export const BROKER_ENDED = 5;

/** Why a kept message was dropped, when no reason code says it: its expiry interval is over. */
export const EXPIRED = 6;
/** The same: it was the oldest, or one of the same topic, when another one needed room. */
export const MADE_ROOM = 7;
