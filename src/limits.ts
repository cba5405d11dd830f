// How much of everything: the one place where sizes are chosen. A broker allocates all of it when
// it is constructed and nothing afterwards. Called by whoever constructs a broker.

import {
  cellBytes, deliveriesBytes, deliveryCellMax, indexBytes, packetIdsBytes, powerOfTwo, storeBytes,
  sum, tableBytes,
} from './table-bytes.js';

/**
 * What an offline session's queue, or that of a subscriber given up waiting for, does with one
 * message too many.
 */
export const QueueFull = Object.freeze({
  /** The new message is not taken. */
  REFUSE_NEW: 'refuse-new',
  /** The oldest message that is not in flight makes room. */
  DROP_OLDEST: 'drop-oldest',
  /** An older message of the same topic makes room, or else the oldest. */
  KEEP_LATEST: 'keep-latest',
} as const);
export type QueueFull = typeof QueueFull[keyof typeof QueueFull];

export interface Limits {
  /** Clients connected at once. */
  clientsMax: number;
  /**
   * Links open at once: clients, and those that have not sent CONNECT or are about to be refused.
   */
  connectionsMax: number;
  /** Sessions, connected or kept for clients that are away. */
  sessionsMax: number;
  /** Bytes of a client identifier, 23 to 65,535 [MQTT-3.1.3-5]. */
  clientIdBytesMax: number;

  /** Bytes of the largest packet taken, header included; of one sent, if 5.0 adds nothing to it. */
  packetBytesMax: number;
  /** Bytes the platform may put before the core at once; one window for all connections. */
  windowBytes: number;
  /** Bytes where the platform lays out what it hands to a socket; 0 where it needs no place. */
  stagingBytes: number;
  /** Bytes of each connection's inbox. */
  inboxBytes: number;
  /**
   * Bytes of each connection's outbox. A packet for MQTT 5.0 may be larger than the one that came:
   * by a byte, by subscription identifiers and an alias.
   */
  outboxBytes: number;

  /** Levels of a topic filter or retained topic. */
  topicLevelsMax: number;
  subscriptionsMax: number;
  /**
   * Distinct levels over all filters: `maison/salon/temperature` and `maison/salon/humidite` take
   * four.
   */
  subscriptionNodesMax: number;
  retainedMax: number;
  /** Distinct levels over all retained topics. */
  retainedNodesMax: number;
  /** Bytes for retained messages and wills, topics included, in blocks of `messageBlockBytes`. */
  retainedBytes: number;
  /** Bytes of a block of stored messages; a message takes a whole number of them. */
  messageBlockBytes: number;

  /** Bytes for messages that wait for subscribers, in blocks; one copy however many wait. */
  queueBytes: number;
  /** Waiting deliveries over all sessions. */
  queuedMax: number;
  /** Waiting deliveries of one session, in flight or not. */
  sessionQueuedMax: number;
  /** Bytes of topics and payloads that wait for one session. */
  sessionQueuedBytesMax: number;
  queueFull: QueueFull;

  /** Unacknowledged QoS 1 and 2 messages sent to one session, 1 to 65,535. */
  inflightMax: number;
  /** QoS 2 messages one session may have sent without PUBREL, 1 to 65,535. */
  receiveMax: number;
  /** Topics with an alias on one connection, in each direction, 0 to 65,535; MQTT 5.0. */
  topicAliasMax: number;
  /** Bytes of a topic that has an alias; of no meaning where `topicAliasMax` is 0. */
  topicAliasBytes: number;

  /** Longest keep-alive of a client of MQTT 5.0, which is told of it, to 65,535; 0 for any. */
  keepAliveSecondsMax: number;
  /** How long a session is kept for a client that is away; 0 for ever, if the client wants it. */
  sessionExpirySecondsMax: number;
  /** How long a link may stay without CONNECT, or take to prove itself after it. */
  connectTimeoutMs: number;
  /** How long publishers wait for a subscriber that is connected and full. */
  slowSubscriberMs: number;
  /** Interval of `$SYS/broker/…`; 0 publishes none. */
  sysIntervalMs: number;
}

/** Blocks that hold the text of levels in a topic tree; most levels of a house take one. */
export const LEVEL_BLOCK_BYTES = 16;
/** Topics under `$SYS/broker` that the broker itself retains, and their distinct levels. */
export const SYS_TOPICS_MAX = 40;
export const SYS_NODES_MAX = 57;
/** Levels of the deepest of them, `$SYS/broker/publish/messages/received`. */
const SYS_LEVELS = 5;
/** Bytes of such a topic, and of the topic with its value. */
export const SYS_TEXT_BYTES = 48;
export const SYS_MESSAGE_BYTES = 96;
/** Eight bytes for each of the counters. */
export const COUNTER_BYTES = 8 * 39;

const KIB = 1024;
/** What MQTT 5.0 may add to a message on its way out: subscription identifiers and an alias. */
const PROPERTIES_ADDED = KIB;
const MIB = 1024 * 1024;

/**
 * Limits for a host with an operating system. Whatever is not given follows from what is; memory
 * that is never used is only reserved. Throws RangeError as `checkLimits` does.
 */
export function hostLimits(given: Partial<Limits> = {}): Limits {
  const clientsMax = given.clientsMax ?? 1024;
  const packetBytesMax = given.packetBytesMax ?? 256 * KIB;
  const windowBytes = given.windowBytes ?? 64 * KIB;
  const subscriptionsMax = given.subscriptionsMax ?? 16_384;
  const retainedMax = given.retainedMax ?? 16_384;
  const sessionsMax = given.sessionsMax ?? Math.min(4 * clientsMax, BYTES_MAX);
  const limits: Limits = {
    clientsMax,
    connectionsMax: Math.min(clientsMax + 16, BYTES_MAX),
    sessionsMax,
    clientIdBytesMax: 256,
    packetBytesMax,
    windowBytes,
    stagingBytes: 0,
    inboxBytes: packetBytesMax + windowBytes,
    outboxBytes: Math.max(packetBytesMax + PROPERTIES_ADDED, 64 * KIB),
    topicLevelsMax: 64,
    subscriptionsMax,
    subscriptionNodesMax: Math.min(4 * subscriptionsMax, BYTES_MAX),
    retainedMax,
    retainedNodesMax: Math.min(4 * retainedMax, BYTES_MAX),
    retainedBytes: Math.max(128 * MIB, 2 * packetBytesMax),
    messageBlockBytes: 256,
    queueBytes: Math.max(128 * MIB, 2 * packetBytesMax),
    queuedMax: Math.min(Math.max(262_144, 4 * sessionsMax), BYTES_MAX),
    sessionQueuedMax: 1000,
    sessionQueuedBytesMax: Math.max(16 * MIB, packetBytesMax),
    queueFull: QueueFull.REFUSE_NEW,
    inflightMax: 100,
    receiveMax: 4096,
    topicAliasMax: 10,
    topicAliasBytes: 1024,
    keepAliveSecondsMax: 0,
    sessionExpirySecondsMax: 0,
    connectTimeoutMs: 10_000,
    slowSubscriberMs: 5000,
    sysIntervalMs: 10_000,
    ...given,
  };
  checkLimits(limits);
  return limits;
}

/** Throws RangeError, naming the numbers, when limits are out of range or contradict each other. */
export function checkLimits(limits: Limits): void {
  checkValues(limits, ['sysIntervalMs', 'slowSubscriberMs', 'stagingBytes', 'topicAliasMax',
    'keepAliveSecondsMax', 'sessionExpirySecondsMax']);
  between(limits, 'inflightMax', 1, 0xffff);
  between(limits, 'receiveMax', 1, 0xffff);
  between(limits, 'topicAliasMax', 0, 0xffff);
  between(limits, 'topicAliasBytes', 1, 0xffff);
  between(limits, 'keepAliveSecondsMax', 0, 0xffff);
  between(limits, 'clientIdBytesMax', 23, 0xffff);
  between(limits, 'packetBytesMax', 64, 0x0fffffff + 5);
  if (limits.sysIntervalMs !== 0) between(limits, 'topicLevelsMax', SYS_LEVELS, BYTES_MAX);
  notBelow(limits, 'connectionsMax', 'clientsMax');
  notBelow(limits, 'sessionsMax', 'clientsMax');
  notBelow(limits, 'inboxBytes', 'packetBytesMax');
  notBelow(limits, 'outboxBytes', 'packetBytesMax');
  holdsOne(limits, 'queueBytes', queueBlocks(limits));
  holdsOne(limits, 'retainedBytes', retainedBlocks(limits));
  notBelow(limits, 'sessionQueuedBytesMax', 'packetBytesMax');
  const budget = byteBudget(limits);
  if (budget.memory > BYTES_MAX) {
    const [name, bytes] = largest(budget.memoryLines);
    const lower = LOWERED_BY[name]!.replaceAll(/\w+/g, (limit) =>
      `${limit} (${limits[limit as keyof Limits]})`).replaceAll(') ', ') or ');
    throw new RangeError(`these limits need ${budget.memory} bytes of buffers, more than the ` +
      `${BYTES_MAX} that can be addressed, ${bytes} of them for ${name}: lower ${lower}`);
  }
  if (budget.columns > BYTES_MAX) {
    const [name, bytes] = largest(budget.columnLines);
    throw new RangeError(`these limits need ${budget.columns} bytes of tables, more than ` +
      `${BYTES_MAX}, ${bytes} of them for ${name}`);
  }
}

function largest(lines: Record<string, number>): [name: string, bytes: number] {
  return Object.entries(lines).reduce((one, other) => other[1] > one[1] ? other : one);
}

/** The limits that make each part of the memory smaller. Text, because it is preloaded frozen. */
const LOWERED_BY: Readonly<Record<string, string>> = Object.freeze({
  window: 'windowBytes',
  staging: 'stagingBytes',
  inboxes: 'packetBytesMax clientsMax',
  outboxes: 'packetBytesMax clientsMax',
  scratch: 'packetBytesMax',
  filter: 'packetBytesMax',
  topicAliases: 'topicAliasMax topicAliasBytes',
  sysText: 'sysIntervalMs',
  clientIds: 'sessionsMax clientIdBytesMax',
  filterText: 'subscriptionNodesMax subscriptionsMax',
  retainedText: 'retainedNodesMax retainedMax',
  retainedMessages: 'retainedBytes',
  queuedMessages: 'queueBytes',
});

/** Offsets are 32-bit integers. */
export const BYTES_MAX = 0x7fffffff;

/**
 * Throws RangeError for a limit that is no whole number from 1, or 0 for those that `mayBeZero`, to
 * BYTES_MAX, and for a `queueFull` that is none.
 */
export function checkValues(
  limits: { queueFull: QueueFull }, mayBeZero: readonly string[] = [],
): void {
  for (const [name, value] of Object.entries<unknown>(limits)) {
    if (name === 'queueFull') continue;
    const least = mayBeZero.includes(name) ? 0 : 1;
    if (!isWholeNumber(value, least)) {
      throw new RangeError(`${name} is ${value}: it must be a whole number, ` +
        `${least} to ${BYTES_MAX}`);
    }
  }
  if (!Object.values<string>(QueueFull).includes(limits.queueFull)) {
    throw new RangeError(`queueFull is "${limits.queueFull}": it must be ` +
      `one of ${Object.values(QueueFull).join(', ')}`);
  }
}

function isWholeNumber(value: unknown, least: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least &&
    (value as number) <= BYTES_MAX;
}

/** Throws RangeError when the limit is not `least` to `most`. */
export function between<Name extends string>(
  limits: { readonly [name in Name]: unknown }, name: Name, least: number, most: number,
): void {
  const value = limits[name] as number;
  if (value < least || value > most) {
    throw new RangeError(`${name} is ${value}: it must be ${least} to ${most}`);
  }
}

function notBelow(limits: Limits, name: keyof Limits, floor: keyof Limits): void {
  if ((limits[name] as number) < (limits[floor] as number)) {
    throw new RangeError(`${name} is ${limits[name]}, less than ${floor}, ` +
      `which is ${limits[floor]}`);
  }
}

/** A store must take the largest message, in whole blocks. */
function holdsOne(limits: Limits, name: 'queueBytes' | 'retainedBytes', blocks: number): void {
  if (blocks * limits.messageBlockBytes >= limits.packetBytesMax) return;
  throw new RangeError(`${name} is ${limits[name]}: in blocks of ${limits.messageBlockBytes} ` +
    `that holds less than packetBytesMax, which is ${limits.packetBytesMax}`);
}

/**
 * Blocks for the text of a tree's levels: one and a half for each, since a few levels are longer
 * than a block.
 */
export function levelBlocks(nodesMax: number): number {
  return nodesMax + (nodesMax >> 1);
}

/** Rows of the tree and of the store that hold the broker's own retained topics. */
export function sysTopics(limits: Limits): number {
  return limits.sysIntervalMs === 0 ? 0 : SYS_TOPICS_MAX;
}

export function retainedNodes(limits: Limits): number {
  return 1 + limits.retainedNodesMax + (limits.sysIntervalMs === 0 ? 0 : SYS_NODES_MAX);
}

export function retainedBlocks(limits: Limits): number {
  const blocksOfSys = sysTopics(limits) * Math.ceil(SYS_MESSAGE_BYTES / limits.messageBlockBytes);
  return Math.floor(limits.retainedBytes / limits.messageBlockBytes) + blocksOfSys;
}

export function queueBlocks(limits: Limits): number {
  return Math.floor(limits.queueBytes / limits.messageBlockBytes);
}

/** Cells of a record in a tree of topics, in the table of subscriptions and in that of sessions. */
export const NODE_CELLS = 12;
export const SUBSCRIPTION_CELLS = 11;
export const SESSION_CELLS = 3;
/** Places of the properties of the packet in hand: PROPERTY_COUNT of wire/codes. */
export const PROPERTY_PLACES = 43;
/** Times of a session. */
export const SESSION_TIMES = 4;

export function filterNodes(limits: Limits): number {
  return 1 + limits.subscriptionNodesMax;
}

/**
 * The largest number in records of the first two: where one begins, a handle, a length, half of a
 * subscription identifier.
 */
export function cellMax(limits: Limits): number {
  return Math.max(
    0x3fff,
    NODE_CELLS * filterNodes(limits), NODE_CELLS * retainedNodes(limits),
    SUBSCRIPTION_CELLS * limits.subscriptionsMax, limits.sessionsMax, limits.packetBytesMax,
    retainedBlocks(limits));
}

/** The largest number in a record of the queues. */
export function queueCellMax(limits: Limits): number {
  return deliveryCellMax(limits.queuedMax, queueBlocks(limits),
    limits.sessionQueuedBytesMax, limits.inflightMax, cellMax(limits));
}

/** The largest number in a record of the table of sessions. */
export function sessionCellMax(limits: Limits): number {
  return Math.max(limits.clientIdBytesMax, retainedBlocks(limits), limits.sessionsMax);
}

/**
 * Bytes of typed arrays that a broker with these limits allocates, by what they are for. `memory`
 * is the one buffer that holds all bytes of packets, messages and topics; `columns` are the tables,
 * `shared` of them in one buffer; `total` is the sum of `memory` and `columns`. Objects of the
 * engine come on top (`npm run budget`), and where methods of enhanced authentication are
 * registered, three bytes for each connection.
 */
export function byteBudget(limits: Limits) {
  const { connectionsMax, sessionsMax, subscriptionsMax, topicLevelsMax, queuedMax } = limits;
  const topicNodes = retainedNodes(limits);
  const memoryLines = {
    window: limits.windowBytes,
    staging: limits.stagingBytes,
    inboxes: connectionsMax * limits.inboxBytes,
    outboxes: connectionsMax * limits.outboxBytes,
    /**
     * One message laid out flat: a will, a retained message on its way to a queue, a topic of
     * `$SYS`.
     */
    scratch: limits.packetBytesMax,
    /** The filter of a replay. */
    filter: limits.packetBytesMax,
    topicAliases: 2 * connectionsMax * limits.topicAliasMax * (2 + limits.topicAliasBytes),
    sysText: sysTopics(limits) * SYS_TEXT_BYTES,
    clientIds: sessionsMax * limits.clientIdBytesMax,
    filterText: levelBlocks(filterNodes(limits)) * LEVEL_BLOCK_BYTES,
    retainedText: levelBlocks(topicNodes) * LEVEL_BLOCK_BYTES,
    retainedMessages: retainedBlocks(limits) * limits.messageBlockBytes,
    queuedMessages: queueBlocks(limits) * limits.messageBlockBytes,
  };
  const cell = indexBytes(cellMax(limits));
  const slot = indexBytes(connectionsMax);
  const session = indexBytes(sessionsMax);
  const sharedLines = {
    counters: COUNTER_BYTES,
    connections: tableBytes(connectionsMax, 4, slot, slot),
    sessions: tableBytes(sessionsMax, SESSION_TIMES * 8, slot) +
      tableBytes(powerOfTwo(sessionsMax), session) +
      tableBytes(SESSION_CELLS * sessionsMax, indexBytes(sessionCellMax(limits))),
    levels: 2 * tableBytes(topicLevelsMax + 1, 4),
    properties: tableBytes(PROPERTY_PLACES, 4),
    filters: treeBytes(filterNodes(limits), cell),
    subscriptions: tableBytes(SUBSCRIPTION_CELLS * subscriptionsMax, cell) +
      tableBytes(sessionsMax, cell, 4, cellBytes(sessionsMax)) +
      tableBytes(topicLevelsMax + 2, 8),
    retained: treeBytes(topicNodes, cell),
    replays: tableBytes(3 * sessionsMax, cell),
    messages: storeBytes(retainedBlocks(limits), limits.packetBytesMax, 1) +
      storeBytes(queueBlocks(limits), limits.packetBytesMax, sessionsMax + 1),
    deliveries: deliveriesBytes(queuedMax, sessionsMax, queueCellMax(limits)),
    packetIds: packetIdsBytes(sessionsMax, limits.receiveMax),
  };
  const columnLines = {
    ...sharedLines,
    sysTopics: 9 * sysTopics(limits),
  };
  const memory = sum(memoryLines);
  const shared = sum(sharedLines);
  const columns = sum(columnLines);
  return { memoryLines, memory, columnLines, shared, columns, total: memory + columns };
}

function treeBytes(nodesMax: number, cell: number): number {
  const blocks = levelBlocks(nodesMax);
  return tableBytes(NODE_CELLS * nodesMax, cell) + tableBytes(powerOfTwo(nodesMax), cell) +
    tableBytes(blocks, indexBytes(blocks));
}
