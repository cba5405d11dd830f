// Time for one connection: who was silent for too long, or never sent CONNECT, is ended. Called by
// the broker's tick.

import { NONE } from '../wire/codes.js';
import type { Broker } from './broker.js';
import { SLOW_SUBSCRIBER, type Connection } from './connection.js';
import { transmitWaiting } from './deliver.js';
import { CONNECT_TIMEOUT, endConnection, KEEP_ALIVE_TIMEOUT } from './end.js';

export function age(broker: Broker, connection: Connection, elapsedMs: number): void {
  // Who waits for a slow subscriber is not silent: its bytes are there, unread.
  if (connection.heard || connection.stalled === SLOW_SUBSCRIBER) connection.silentMs = 0;
  else connection.silentMs += elapsedMs;
  connection.heard = false;
  if (connection.session === NONE) {
    if (connection.silentMs >= broker.limits.connectTimeoutMs) {
      endConnection(broker, connection, CONNECT_TIMEOUT);
    }
  } else if (connection.silenceMaxMs !== 0 && connection.silentMs >= connection.silenceMaxMs) {
    endConnection(broker, connection, KEEP_ALIVE_TIMEOUT); // [MQTT-3.1.2-24]
  } else if (connection.blocked) {
    transmitWaiting(broker, connection);
  }
}
