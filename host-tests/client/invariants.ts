// Whether every table of a client agrees with itself and with the others. Called by simulation and
// fuzz after each step, between two turns (after `flush`). Runs on Node and on XS.

import type { Client } from '../../src/client/client.js';
import { CLOSING, CONNECTED, CONNECTING, OPENING } from '../../src/client/states.js';
import { WITH_PROPERTIES } from '../../src/client/subscriptions.js';
import type { BlockPool } from '../../src/session/blocks.js';
import { INFLIGHT, PUBLISHED, QUEUED, RELEASED, TAIL } from '../../src/session/deliveries.js';
import { NONE, SUBSCRIBE, UNSUBSCRIBE } from '../../src/wire/codes.js';

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`invariant of the client broken: ${what}`);
}

function equal(found: number, wanted: number, what: string): void {
  if (found !== wanted) throw new Error(`invariant of the client broken: ${what} is ${found}, not ${wanted}`);
}

/**
 * Throws an Error that names the table, the row and the numbers, when an invariant does not hold.
 */
export function checkClientInvariants(client: Client): void {
  const { inbox, outbox } = client.memory;
  const linked = client.state === OPENING || client.state === CONNECTING || client.state === CONNECTED ||
    client.state === CLOSING;
  check(linked === (client.link !== null), `state ${client.state} with ${client.link === null ? 'no' : 'a'} link`);
  check(inbox.count >= 0 && inbox.count <= inbox.capacity, `inbox holds ${inbox.count}`);
  check(outbox.byteCount >= 0 && outbox.byteCount <= client.limits.outboxBytes, `outbox holds ${outbox.byteCount}`);
  check(client.room >= 0 && client.room <= inbox.capacity - inbox.count, `room is ${client.room}`);
  if (client.link === null) {
    equal(inbox.count, 0, 'inbox without a link');
    equal(outbox.byteCount, 0, 'outbox without a link');
    check(!client.waiting, 'waiting without a link');
    check(client.room === inbox.capacity, 'stalled without a link');
  }
  checkQueue(client);
  checkSubscriptions(client);
  checkPacketIds(client);
  if (client.state !== CONNECTED || client.waiting) return;
  equal(client.memory.deliveries.toTransmit(0), NONE, 'row that could be transmitted, and nothing waits for a flush');
  equal(client.memory.subscriptions.toTransmit(0), NONE, 'filter that could be told, and nothing waits for a flush');
}

function checkQueue(client: Client): void {
  const { deliveries, queued } = client.memory;
  const seen = new Set<number>();
  const messages = new Set<number>();
  const ids = new Set<number>();
  /** Rows with an identifier, and those of them that were transmitted on this connection. */
  let numbered = 0;
  let inflight = 0;
  let byteCount = 0;
  let cursorSeen = deliveries.cursor(0) === NONE;
  for (let row: number = deliveries.head(0); row !== NONE; row = deliveries.next(row)) {
    check(!seen.has(row), `row ${row} is in the queue twice`);
    seen.add(row);
    if (deliveries.next(row) === NONE) equal(deliveries.queues[TAIL]!, row, 'tail');
    if (deliveries.cursor(0) === row) cursorSeen = true;
    const state = deliveries.state(row);
    const message = deliveries.message(row);
    check(state === QUEUED || state === PUBLISHED || state === RELEASED, `state of row ${row} is ${state}`);
    if (state === QUEUED) {
      check(cursorSeen && deliveries.cursor(0) !== NONE, `cursor is past row ${row}, which is queued`);
    } else {
      equal(numbered++, seen.size - 1, `rows in flight before row ${row}, which is in flight`);
      if (!cursorSeen || deliveries.cursor(0) === NONE) inflight++;
      const id = deliveries.packetId(row);
      check(id !== 0 && id <= deliveries.packetIdMax && !ids.has(id), `identifier of row ${row} is ${id}`);
      ids.add(id);
      check(deliveries.flags(row) >> 1 !== 0, `row ${row} of QoS 0 is in flight`);
    }
    if (state === RELEASED) {
      equal(message, NONE, `message of released row ${row}`);
      equal(deliveries.flags(row) >> 1, 2, `QoS of released row ${row}`);
      continue;
    }
    check(message !== NONE && !messages.has(message), `message of row ${row} is ${message}`);
    messages.add(message);
    equal(queued.holders(message), 1, `holders of message ${message}`);
    byteCount += queued.byteCount(message);
  }
  check(cursorSeen, `cursor is ${deliveries.cursor(0)}, which is not in the queue`);
  equal(deliveries.count(0), seen.size, 'count of the queue');
  equal(deliveries.queues[INFLIGHT]!, inflight, 'inflight');
  equal(deliveries.bytes(0), byteCount, 'bytes of the queue');
  equal(deliveries.freeRows, client.limits.queuedMax - seen.size, 'freeRows');
  check(inflight <= client.limits.inflightMax, `${inflight} in flight`);
  check(numbered <= client.limits.inflightMax, `${numbered} have identifiers`);
  equal(queued.count, messages.size, 'messages in the store');
  checkBlocks(queued.blocks, [...messages], (message) => queued.blocksOf(message), 'messages');
}

function checkBlocks(blocks: BlockPool, firsts: number[], wanted: (first: number) => number, name: string): void {
  const seen = new Set<number>();
  for (const first of firsts) {
    let length = 0;
    for (let block = first; block !== NONE; block = blocks.next[block]!) {
      check(block >= 0 && block < blocks.blockCount, `${name}: block ${block} does not exist`);
      check(!seen.has(block), `${name}: block ${block} is in two chains, or a chain goes round`);
      seen.add(block);
      length++;
    }
    equal(length, wanted(first), `${name}: blocks of ${first}`);
  }
  equal(blocks.freeCount, blocks.blockCount - seen.size, `${name}: free blocks`);
}

function checkSubscriptions(client: Client): void {
  const { scratchStart, subscriptions } = client.memory;
  const chains: number[] = [];
  const bytesOf = new Map<number, number>();
  let pending = 0;
  for (let row = 0; row < subscriptions.rowsMax; row++) {
    const wanted = subscriptions.wanted[row]!;
    const outstanding = subscriptions.outstanding[row]!;
    if (wanted === 0xff) {
      equal(subscriptions.pending[row]!, 0, `pending of free subscription ${row}`);
      equal(outstanding, 0, `outstanding of free subscription ${row}`);
      continue;
    }
    pending += subscriptions.pending[row]!;
    const first = subscriptions.filter[row]!;
    chains.push(first);
    const properties = subscriptions.propertiesBytes(row);
    check(properties > 0 === ((wanted & WITH_PROPERTIES) !== 0), `properties of subscription ${row}`);
    bytesOf.set(first, subscriptions.filterBytes[row]! + (properties > 0 ? 2 + properties : 0));
    check(outstanding === 0 || outstanding === SUBSCRIBE || outstanding === UNSUBSCRIBE,
      `outstanding of subscription ${row} is ${outstanding}`);
    check(outstanding === 0 || client.state === CONNECTED || client.state === CLOSING,
      `subscription ${row} awaits an answer in state ${client.state}`);
    check(!subscriptions.isLeaving(row) || subscriptions.pending[row] !== 0 || outstanding === UNSUBSCRIBE,
      `subscription ${row} is left, and nobody is told`);
    const end = subscriptions.read(row, scratchStart);
    equal(subscriptions.find(scratchStart, end), row, `subscription ${row} looked for`);
  }
  equal(subscriptions.count, chains.length, 'subscriptions.count');
  equal(subscriptions.pendingCount, pending, 'subscriptions.pendingCount');
  checkBlocks(subscriptions.text, chains, (first) => subscriptions.text.blocksFor(bytesOf.get(first)!), 'filters');
}

function checkPacketIds(client: Client): void {
  const { packetIds } = client.memory;
  const ids = new Set<number>();
  for (let cell = 0; cell < packetIds.cellCount; cell++) {
    const id = packetIds.inCell(0, cell);
    if (id === 0) continue;
    check(!ids.has(id) && packetIds.has(0, id), `packet identifier ${id} of cell ${cell}`);
    ids.add(id);
  }
  equal(packetIds.counts[0]!, ids.size, 'count of packet identifiers');
  check(ids.size <= packetIds.perSetMax, `${ids.size} packet identifiers`);
}
