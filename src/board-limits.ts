// Limits of a hub for each board, sized for the memory its XS machine is given (`creation` in the
// board's manifest). Imported by the programs of the boards; host-tests/xs/boards.test.ts holds
// each of them inside its machine, and `npm run budget` prints what is left.
//
// How the numbers were chosen. Connections: what the board's lwIP opens. An inbox holds one packet,
// an outbox one packet and an acknowledgement. Levels: two for each topic or filter and one for
// `maison`, or less, since rooms have several. A small queue keeps news, not history: KEEP_LATEST.

import { QueueFull, type Limits } from './limits.js';

/**
 * A machine of 32 KB for all: stack, slots, chunks. As many connections as clients, as on a classic
 * ESP32: when all are in use, one more is refused, and a client whose connection is lost and that
 * does not know it comes back when its keep-alive is over. A packet may carry 128 bytes on a topic
 * of 42; 16 retained messages of up to 128 bytes, on topics of up to 30, take five blocks each, and
 * eight blocks are for wills. 23 levels hold 16 topics of a house: `maison`, and in each of six
 * rooms three quantities. Nine readings wait at once. `$SYS` would take 9 KB and is off.
 */
export const ESP8266_LIMITS: Readonly<Limits> = Object.freeze({
  clientsMax: 4,
  connectionsMax: 4,
  sessionsMax: 6,
  clientIdBytesMax: 32,
  packetBytesMax: 176,
  windowBytes: 64,
  stagingBytes: 64,
  inboxBytes: 176,
  outboxBytes: 180,
  topicLevelsMax: 6,
  subscriptionsMax: 16,
  subscriptionNodesMax: 23,
  retainedMax: 16,
  retainedNodesMax: 23,
  retainedBytes: (16 * 5 + 8) * 32,
  messageBlockBytes: 32,
  queueBytes: 18 * 32,
  queuedMax: 16,
  sessionQueuedMax: 12,
  sessionQueuedBytesMax: 512,
  queueFull: QueueFull.KEEP_LATEST,
  inflightMax: 4,
  receiveMax: 4,
  topicAliasMax: 0,
  topicAliasBytes: 48,
  keepAliveSecondsMax: 0,
  sessionExpirySecondsMax: 0,
  connectTimeoutMs: 10_000,
  slowSubscriberMs: 2000,
  sysIntervalMs: 0,
});

/**
 * The fixed machine of a classic ESP32: 77 KB of chunks, 77 KB of slots. Its lwIP opens 8
 * connections, so the ninth is refused before we hear of it. 64 retained messages of up to 128
 * bytes, on topics of up to 30, take three blocks each; 16 blocks are for wills.
 */
export const ESP32_LIMITS: Readonly<Limits> = Object.freeze({
  clientsMax: 8,
  connectionsMax: 8,
  sessionsMax: 16,
  clientIdBytesMax: 64,
  packetBytesMax: 768,
  windowBytes: 512,
  stagingBytes: 256,
  inboxBytes: 768,
  outboxBytes: 772,
  topicLevelsMax: 10,
  subscriptionsMax: 64,
  subscriptionNodesMax: 127,
  retainedMax: 64,
  retainedNodesMax: 129,
  retainedBytes: (64 * 3 + 16) * 64,
  messageBlockBytes: 64,
  queueBytes: 96 * 64,
  queuedMax: 96,
  sessionQueuedMax: 48,
  sessionQueuedBytesMax: 3072,
  queueFull: QueueFull.KEEP_LATEST,
  inflightMax: 16,
  receiveMax: 16,
  topicAliasMax: 2,
  topicAliasBytes: 48,
  keepAliveSecondsMax: 0,
  sessionExpirySecondsMax: 0,
  connectTimeoutMs: 10_000,
  slowSubscriberMs: 5000,
  sysIntervalMs: 10_000,
});

/**
 * The machine of an ESP32-C3: 92 KB for stack, slots and chunks together, half of what a classic
 * ESP32 has; so packets are smaller. Its lwIP opens 16 connections: two are for who is about to be
 * refused, or takes over a connection that is lost and does not know it.
 */
export const ESP32C3_LIMITS: Readonly<Limits> = Object.freeze({
  ...ESP32_LIMITS,
  connectionsMax: 10,
  topicAliasMax: 0,
  packetBytesMax: 512,
  windowBytes: 256,
  inboxBytes: 512,
  outboxBytes: 516,
  queueBytes: 64 * 64,
  queuedMax: 64,
  sessionQueuedMax: 32,
  sessionQueuedBytesMax: 2048,
});

/**
 * A classic ESP32 whose lwIP was raised to 18 connections, with a machine of the same size in all
 * that has 2,432 slots and 116 KB of chunks.
 */
export const ESP32_RAISED_LIMITS: Readonly<Limits> = Object.freeze({
  ...ESP32_LIMITS,
  clientsMax: 16,
  connectionsMax: 18,
  sessionsMax: 24,
  subscriptionsMax: 128,
  subscriptionNodesMax: 191,
  retainedMax: 96,
  retainedNodesMax: 175,
  retainedBytes: (96 * 3 + 32) * 64,
  queueBytes: 128 * 64,
  queuedMax: 128,
});
