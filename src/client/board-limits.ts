// Limits of a sensor's client for each board, sized for the memory its XS machine is given
// (`creation` in the board's manifest). Imported by the programs of the boards;
// host-tests/xs/boards.test.ts holds each of them inside its machine.
//
// A sensor sends small messages and hears little, so its queue takes what memory there is: a
// reading is two messages of two blocks each, and one every ten seconds makes 720 an hour.

import { QueueFull } from '../limits.js';
import type { ClientLimits } from './limits.js';

/** A machine of 32 KB. 48 messages wait for the network: four minutes of readings. */
export const ESP8266_CLIENT_LIMITS: Readonly<ClientLimits> = Object.freeze({
  packetBytesMax: 192,
  stagingBytes: 64,
  inboxBytes: 256,
  outboxBytes: 256,
  acknowledgementBytes: 32,
  subscriptionsMax: 2,
  filterBytes: 192,
  queuedMax: 48,
  queueBytes: 48 * 64,
  messageBlockBytes: 32,
  queueFull: QueueFull.DROP_OLDEST,
  inflightMax: 4,
  receiveMax: 4,
  topicAliasMax: 0,
  topicAliasBytes: 64,
  connectTimeoutMs: 10_000,
  pingTimeoutMs: 10_000,
  reconnectFirstMs: 1000,
  reconnectMaxMs: 60_000,
});

/** The machines of all ESP32. 400 messages wait: half an hour of readings. */
export const ESP32_CLIENT_LIMITS: Readonly<ClientLimits> = Object.freeze({
  ...ESP8266_CLIENT_LIMITS,
  packetBytesMax: 512,
  stagingBytes: 256,
  inboxBytes: 1024,
  outboxBytes: 1024,
  subscriptionsMax: 8,
  filterBytes: 512,
  queuedMax: 400,
  queueBytes: 400 * 64,
  inflightMax: 16,
  receiveMax: 16,
  topicAliasMax: 4,
});
