// How much of everything a client has, and how long it waits: the one place where its sizes are
// chosen. It allocates all of it when it is constructed and nothing afterwards.

import { between, BYTES_MAX, checkValues, QueueFull } from '../limits.js';
import {
  cellBytes, deliveriesBytes, deliveryCellMax, indexBytes, packetIdsBytes, storeBytes, sum,
  tableBytes,
} from '../table-bytes.js';
import { SHORT_PACKET_BYTES } from '../wire/encode.js';

export interface ClientLimits {
  /** Bytes of the largest packet taken or sent, header included. */
  packetBytesMax: number;
  /** Bytes where the platform lays out what it hands to a socket; 0 where it needs no place. */
  stagingBytes: number;
  /** Bytes of the inbox: a packet, and what the platform brings on top at once. */
  inboxBytes: number;
  /** Bytes of the outbox: a packet, and room for acknowledgements. */
  outboxBytes: number;
  /**
   * Of these, what only acknowledgements may use, 4 bytes each, 5 with a reason: with room for all
   * that are due at once, client and broker never wait for each other to read.
   */
  acknowledgementBytes: number;

  subscriptionsMax: number;
  /** Bytes for the filters, in blocks of `FILTER_BLOCK_BYTES`. */
  filterBytes: number;

  /** Messages that wait, for a broker or for its acknowledgement. */
  queuedMax: number;
  /** Bytes for them, topics included, in blocks of `messageBlockBytes`. */
  queueBytes: number;
  messageBlockBytes: number;
  /** What happens to one message too many. */
  queueFull: QueueFull;

  /**
   * Unacknowledged QoS 1 and 2 messages sent, 1 to 65,535 less `subscriptionsMax`. MQTT 3.1.1 does
   * not tell what a broker bears; Mosquitto, as it comes, cuts who has more than 20 of QoS 2.
   */
  inflightMax: number;
  /**
   * QoS 2 messages the broker may have sent without PUBREL, 1 to 65,535; in MQTT 5.0 it is told.
   */
  receiveMax: number;

  /** Topics that numbers may stand for in MQTT 5.0, in each direction; 0 is none. */
  topicAliasMax: number;
  /** Bytes of such a topic. */
  topicAliasBytes: number;

  /** How long a link may take to open and the broker to accept. */
  connectTimeoutMs: number;
  /** How long the broker may take to give a sign of life after PINGREQ. */
  pingTimeoutMs: number;
  /** The wait before a new attempt, the first time; it doubles with each, */
  reconnectFirstMs: number;
  /** up to this. The wait is a random one between half of that and all of it. */
  reconnectMaxMs: number;
}

/** Blocks that hold the text of filters. */
export const FILTER_BLOCK_BYTES = 32;

const KIB = 1024;

/**
 * Limits for a host with an operating system. Whatever is not given follows from what is. Throws
 * RangeError as `checkClientLimits` does.
 */
export function clientLimits(given: Partial<ClientLimits> = {}): ClientLimits {
  const packetBytesMax = given.packetBytesMax ?? 256 * KIB;
  const limits: ClientLimits = {
    packetBytesMax,
    stagingBytes: 0,
    inboxBytes: packetBytesMax + 64 * KIB,
    outboxBytes: Math.max(packetBytesMax, 64 * KIB) + (given.acknowledgementBytes ?? KIB),
    acknowledgementBytes: KIB,
    subscriptionsMax: 256,
    filterBytes: 8 * KIB,
    queuedMax: 1000,
    queueBytes: Math.max(KIB * KIB, 2 * packetBytesMax),
    messageBlockBytes: 256,
    queueFull: QueueFull.REFUSE_NEW,
    inflightMax: 20,
    receiveMax: 1024,
    topicAliasMax: 10,
    topicAliasBytes: 256,
    connectTimeoutMs: 10_000,
    pingTimeoutMs: 10_000,
    reconnectFirstMs: 1000,
    reconnectMaxMs: 60_000,
    ...given,
  };
  checkClientLimits(limits);
  return limits;
}

/** Throws RangeError, naming the numbers, when limits are out of range or contradict each other. */
export function checkClientLimits(limits: ClientLimits): void {
  checkValues(limits, ['stagingBytes', 'topicAliasMax']);
  between(limits, 'packetBytesMax', 64, 0x0fffffff + 5);
  between(limits, 'subscriptionsMax', 1, 0x7fff);
  between(limits, 'inflightMax', 1, 0xffff - limits.subscriptionsMax);
  between(limits, 'receiveMax', 1, 0xffff);
  between(limits, 'topicAliasMax', 0, 0xffff);
  between(limits, 'topicAliasBytes', 1, 0xffff);
  between(limits, 'inboxBytes', limits.packetBytesMax, BYTES_MAX);
  between(limits, 'acknowledgementBytes', SHORT_PACKET_BYTES, BYTES_MAX);
  between(limits, 'outboxBytes', limits.packetBytesMax + limits.acknowledgementBytes, BYTES_MAX);
  between(limits, 'filterBytes', FILTER_BLOCK_BYTES, BYTES_MAX);
  between(limits, 'reconnectMaxMs', limits.reconnectFirstMs, BYTES_MAX);
  if (queueBlocks(limits) * limits.messageBlockBytes < limits.packetBytesMax) {
    throw new RangeError(`queueBytes is ${limits.queueBytes}: in blocks of ` +
      `${limits.messageBlockBytes} that holds less than packetBytesMax, ` +
      `which is ${limits.packetBytesMax}`);
  }
  const { memory } = clientByteBudget(limits);
  if (memory > BYTES_MAX) {
    throw new RangeError(`these limits need ${memory} bytes of buffers, more than the ` +
      `${BYTES_MAX} that can be addressed: lower packetBytesMax (${limits.packetBytesMax}) ` +
      `or queueBytes (${limits.queueBytes})`);
  }
}

export function queueBlocks(limits: ClientLimits): number {
  return Math.floor(limits.queueBytes / limits.messageBlockBytes);
}

/** The largest number in a record of the queue. */
export function queueCellMax(limits: ClientLimits): number {
  return deliveryCellMax(
    limits.queuedMax, queueBlocks(limits), limits.queueBytes, limits.inflightMax);
}

export function filterBlocks(limits: ClientLimits): number {
  return Math.floor(limits.filterBytes / FILTER_BLOCK_BYTES);
}

/**
 * Bytes of typed arrays that a client with these limits allocates, by what they are for: `memory`
 * is the one buffer of all bytes, `columns` that of the tables, `total` their sum. Objects of the
 * engine come on top; `npm run budget` tells how many.
 */
export function clientByteBudget(limits: ClientLimits) {
  const blocks = queueBlocks(limits);
  const filters = filterBlocks(limits);
  const memoryLines = {
    inbox: limits.inboxBytes,
    staging: limits.stagingBytes,
    outbox: limits.outboxBytes,
    /** A message or filter laid out flat on its way into the store. */
    scratch: limits.packetBytesMax,
    topicAliases: 2 * limits.topicAliasMax * (2 + limits.topicAliasBytes),
    filters: filters * FILTER_BLOCK_BYTES,
    queuedMessages: blocks * limits.messageBlockBytes,
  };
  const columnLines = {
    outbox: 4,
    subscriptions: tableBytes(filters, indexBytes(filters)) + tableBytes(limits.subscriptionsMax,
      indexBytes(filters), cellBytes(limits.packetBytesMax), 1, 1, 1),
    messages: storeBytes(blocks, limits.packetBytesMax, 2),
    deliveries: deliveriesBytes(limits.queuedMax, 1, queueCellMax(limits)),
    packetIds: packetIdsBytes(1, limits.receiveMax),
  };
  const memory = sum(memoryLines);
  const columns = sum(columnLines);
  return { memoryLines, memory, columnLines, columns, total: memory + columns };
}
