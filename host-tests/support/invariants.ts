// Whether every table of a broker agrees with itself and with the others. Called by simulation and
// fuzz after each step, between two turns (after `flush`). Reads public fields only; what is
// private is derived from them, or shows as a lookup that fails. Walks every table: for small
// limits. Runs on Node and on XS.

import type { Broker } from '../../src/broker/broker.js';
import { FLOWING } from '../../src/broker/connection.js';
import { CLIENTS_CONNECTED } from '../../src/broker/counters.js';
import { GONE } from '../../src/broker/identifiers.js';
import {
  NEXT_OF_NODE, NEXT_OF_SESSION, NODE, OPTIONS, SESSION, SHARED,
} from '../../src/broker/subscriptions.js';
import {
  FIRST_CHILD, HASH_CHILD, NEXT_SIBLING, PARENT, PINS, PLUS_CHILD, ROOT, VALUE, type TopicTree,
} from '../../src/broker/topic-tree.js';
import type { BlockPool } from '../../src/session/blocks.js';
import { INFLIGHT, PUBLISHED, QUEUED, RELEASED, WINDOW } from '../../src/session/deliveries.js';
import { EXPIRES, WITH_PROPERTIES, type MessageStore } from '../../src/session/messages.js';
import { DELIVERY_CELLS, QUEUE_CELLS } from '../../src/table-bytes.js';
import { LEVEL_5, NONE } from '../../src/wire/codes.js';

/**
 * Identifiers up to here are looked for in every set of packet identifiers, so that one too many is
 * seen.
 */
const LOW_PACKET_IDS = 32;
const HASH = 0x23;
const PLUS = 0x2b;

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`invariant broken: ${what}`);
}

function equal(found: number, wanted: number, what: string): void {
  if (found !== wanted) throw new Error(`invariant broken: ${what} is ${found}, not ${wanted}`);
}

/**
 * Throws an Error that names the table, the row and the numbers, when an invariant does not hold.
 */
export function checkInvariants(broker: Broker): void {
  const { kept, queued, retained, subscriptions } = broker.memory;
  const heldByKept = new Set<number>();
  const heldByQueued = new Set<number>();
  checkConnections(broker);
  checkSessions(broker, heldByKept);
  const filterNodes = checkTree(broker, subscriptions.tree, 'filters');
  checkSubscriptions(broker, filterNodes);
  const topicNodes = checkTree(broker, retained.tree, 'retained');
  checkRetained(broker, topicNodes, heldByKept);
  checkReplays(broker, topicNodes);
  checkDeliveries(broker, heldByQueued);
  checkStore(kept, heldByKept, 'kept');
  checkStore(queued, heldByQueued, 'queued');
  checkPacketIds(broker);
}

/**
 * Rows of `sessions` in use: an identifier is never empty, since the broker names who gives none.
 */
function isInUse(broker: Broker, session: number): boolean {
  return session < broker.memory.sessions.used && broker.memory.sessions.clientIdBytes(session) !== 0;
}

function checkConnections(broker: Broker): void {
  const { connections, freeSlots, sessions } = broker.memory;
  const free = new Set<number>();
  let clients = 0;
  for (const connection of connections) {
    const { slot, link, session } = connection;
    const name = `connection ${slot}`;
    check(!connection.dirty || broker.dirty, `${name} is dirty after a flush`);
    if (link === null) {
      free.add(slot);
      equal(session, NONE, `session of free ${name}`);
      equal(connection.inbox.count, 0, `inbox of free ${name}`);
      equal(connection.inbox.capacity, broker.limits.inboxBytes, `capacity of the inbox of free ${name}`);
      equal(broker.authentication?.method[slot] ?? NONE, NONE, `method of authentication of free ${name}`);
      equal(connection.outbox.byteCount, 0, `outbox of free ${name}`);
      equal(connection.stalled, FLOWING, `stall of free ${name}`);
      check(!connection.paused && !connection.blocked, `free ${name} is paused or blocked`);
      continue;
    }
    check(connection.paused === (connection.stalled !== FLOWING), `${name}: paused without stalled, or the reverse`);
    if ('reading' in link) check(link.reading !== connection.paused, `${name}: link and paused disagree`);
    check(connection.inbox.count <= connection.inbox.capacity, `${name}: inbox beyond its capacity`);
    const isProving = session === NONE && connection.protocolLevel !== 0;
    check(isProving || connection.inbox.capacity === broker.limits.inboxBytes, `${name} holds a CONNECT`);
    if (session === NONE) continue;
    checkAliases(broker, slot);
    clients++;
    check(isInUse(broker, session), `${name} has session ${session}, which is free`);
    equal(sessions.slot[session]!, slot, `slot of session ${session}, which is that of ${name}`);
    checkNothingForgotten(broker, slot);
  }
  equal(broker.counters[CLIENTS_CONNECTED]!, clients, 'CLIENTS_CONNECTED');
  for (let i = 0; i < free.size; i++) {
    const slot = freeSlots[i]!;
    check(connections[slot]?.link === null, `free slot ${i} is ${slot}, which is open`);
    check(freeSlots.indexOf(slot) === i, `slot ${slot} is free twice`);
  }
}

/** Aliases given and taken are as many and as long as they may be; a new one comes behind the others. */
function checkAliases(broker: Broker, slot: number): void {
  const { aliases, connections } = broker.memory;
  const { protocolLevel, topicAliasMaximum } = connections[slot]!;
  const name = `connection ${slot}`;
  const most = protocolLevel < LEVEL_5 ? 0 : Math.min(topicAliasMaximum, aliases.aliasMax);
  check(topicAliasMaximum <= most, `${name}: gives ${topicAliasMaximum} aliases, more than ${most}`);
  if (protocolLevel < LEVEL_5) return; // then none is looked at, and those of before may still stand there
  const next = aliases.next(slot, 0, aliases.aliasMax);
  check(next === 0 || next <= most + 1, `${name}: ${next - 1} topics have an alias, more than ${most}`);
  for (let alias = 1; alias <= aliases.aliasMax; alias++) {
    const topic = aliases.learned(slot, alias);
    if (topic === NONE) continue;
    const byteCount = broker.bytes[topic - 2]! << 8 | broker.bytes[topic - 1]!;
    check(byteCount <= aliases.topicBytesMax, `${name}: topic of alias ${alias} has ${byteCount} bytes`);
  }
}

/** Who is not marked as blocked has nothing that could go out now. */
function checkNothingForgotten(broker: Broker, slot: number): void {
  const { connections, deliveries, replays } = broker.memory;
  const { blocked, searching, session } = connections[slot]!;
  if (blocked || searching) return;
  equal(deliveries.toTransmit(session), NONE, `row that connection ${slot} could transmit and is not blocked for`);
  equal(replays.firstRow[session]!, NONE, `replay that connection ${slot} could go on with and is not blocked for`);
}

function checkSessions(broker: Broker, heldByKept: Set<number>): void {
  const { connections, deliveries, sessions, subscriptions } = broker.memory;
  let count = 0;
  for (let session = 0; session < sessions.sessionsMax; session++) {
    const name = `session ${session}`;
    if (!isInUse(broker, session)) {
      equal(subscriptions.firstOfSession[session]!, NONE, `subscription of free ${name}`);
      equal(deliveries.head(session), NONE, `queue of free ${name}`);
      check(connections.every((connection) => connection.session !== session), `free ${name} has a connection`);
      continue;
    }
    count++;
    const start = sessions.clientIdStart(session);
    equal(sessions.find(start, start + sessions.clientIdBytes(session)), session, `${name} looked for`);
    const slot = sessions.slot[session]!;
    if (slot === NONE) {
      check(sessions.expirySeconds(session) !== 0, `${name} is offline and should have ended`);
      check(sessions.will(session) === NONE || sessions.isWillDelayed(session), `will of offline ${name}`);
      check(sessions.dueMs <= Math.min(sessions.endsAtMs(session), sessions.willAtMs(session)), `${name} is forgotten`);
      hold(heldByKept, sessions.will(session), `will of ${name}`);
      equal(sessions.fullSinceMs[session]!, -1, `full since, of offline ${name}`);
    } else {
      equal(connections[slot]!.session, session, `session of connection ${slot}, which is that of ${name}`);
      equal(sessions.endsAtMs(session), Infinity, `end of ${name}, whose client is there,`);
      hold(heldByKept, sessions.will(session), `will of ${name}`);
    }
  }
  equal(sessions.count, count, 'sessions.count');
}

/** Notes a holder of a message that has one holder only. */
function hold(held: Set<number>, message: number, name: string): void {
  if (message === NONE) return;
  check(!held.has(message), `message ${message}, ${name}, is held twice`);
  held.add(message);
}

/** Walks the tree from ROOT: nodes and their paths, written into the scratch of the broker. */
function checkTree(broker: Broker, tree: TopicTree, name: string): Map<number, number> {
  const { scratchStart, levels } = broker.memory;
  const lengths = new Map<number, number>([[ROOT, -1]]);
  const order = [ROOT];
  let blocks = 0;
  for (let i = 0; i < order.length; i++) {
    const parent = order[i]!;
    let plus = NONE;
    let hash = NONE;
    let node: number = tree.cells[parent + FIRST_CHILD]!;
    for (; node !== NONE; node = tree.cells[node + NEXT_SIBLING]!) {
      check(!lengths.has(node), `${name}: node ${node} is reached twice`);
      equal(tree.cells[node + PARENT]!, parent, `${name}: parent of node ${node}`);
      const end = tree.writePath(node, scratchStart);
      const textBytes = end - scratchStart - lengths.get(parent)! - 1;
      lengths.set(node, end - scratchStart);
      order.push(node);
      blocks += tree.text.blocksFor(textBytes);
      levels.split(broker.bytes, scratchStart, end);
      equal(tree.find(levels), node, `${name}: node ${node} looked for`);
      if (textBytes === 1 && broker.bytes[end - 1] === PLUS) plus = node;
      if (textBytes === 1 && broker.bytes[end - 1] === HASH) hash = node;
      check(tree.cells[node + VALUE] !== NONE || tree.cells[node + FIRST_CHILD] !== NONE ||
        tree.cells[node + PINS]! > 0, `${name}: node ${node} is for nothing`);
    }
    equal(tree.cells[parent + PLUS_CHILD]!, plus, `${name}: child + of node ${parent}`);
    equal(tree.cells[parent + HASH_CHILD]!, hash, `${name}: child # of node ${parent}`);
  }
  equal(tree.nodeCount, order.length, `${name}: nodeCount`);
  equal(tree.text.blockCount - tree.text.freeCount, blocks, `${name}: blocks in use for text`);
  return lengths;
}

function checkSubscriptions(broker: Broker, nodes: Map<number, number>): void {
  const { levels, scratchStart, subscriptions, sessions } = broker.memory;
  const tree = subscriptions.tree;
  const ofSessions = new Set<number>();
  for (let session = 0; session < sessions.sessionsMax; session++) {
    let row: number = subscriptions.firstOfSession[session]!;
    let plain = false;
    let hasIdentifiers = false;
    for (; row !== NONE; row = subscriptions.cells[row + NEXT_OF_SESSION]!) {
      check(!ofSessions.has(row), `subscription ${row} is in two lists of sessions`);
      ofSessions.add(row);
      equal(subscriptions.cells[row + SESSION]!, session, `session of subscription ${row}`);
      const options = subscriptions.cells[row + OPTIONS]!;
      check((options & 6) !== 6 && options < 2 * SHARED, `options of subscription ${row} are ${options}`);
      const identified = subscriptions.identifier(row) !== 0;
      check(!identified || !plain, `subscription ${row} has an identifier and stands behind one that has none`);
      plain ||= !identified;
      hasIdentifiers ||= identified;
      const end = tree.writePath(subscriptions.cells[row + NODE]!, scratchStart);
      levels.split(broker.bytes, scratchStart, end);
      const shared = String.fromCharCode(...broker.bytes.slice(scratchStart, end)).startsWith('$share/');
      check(shared === ((options & SHARED) !== 0), `subscription ${row} is shared, or the reverse`);
      equal(subscriptions.find(session, levels), row, `subscription ${row} looked for`);
    }
    check(subscriptions.hasIdentifiers(session) === hasIdentifiers, `identifiers of session ${session} are overlooked`);
  }
  let ofNodes = 0;
  for (const node of nodes.keys()) {
    for (let row: number = tree.cells[node + VALUE]!; row !== NONE; row = subscriptions.cells[row + NEXT_OF_NODE]!) {
      equal(subscriptions.cells[row + NODE]!, node, `node of subscription ${row}`);
      check(ofSessions.has(row), `subscription ${row} is in the list of node ${node} and of no session`);
      check(++ofNodes <= subscriptions.rowsMax, `the list of node ${node} goes round`);
    }
  }
  equal(ofNodes, ofSessions.size, 'subscriptions in lists of nodes');
  equal(subscriptions.count, ofSessions.size, 'subscriptions.count');
}

function checkRetained(broker: Broker, nodes: Map<number, number>, heldByKept: Set<number>): void {
  const { retained } = broker.memory;
  let count = 0;
  for (const [node, length] of nodes) {
    const message = retained.tree.cells[node + VALUE]!;
    if (message === NONE) continue;
    count++;
    hold(heldByKept, message, `retained at node ${node}`);
    equal(retained.store.topicBytes(message), length, `topic length of the message at node ${node}`);
  }
  equal(retained.count, count, 'retained.count');
  check(count <= retained.messagesMax, `retained.count is ${count}, more than ${retained.messagesMax}`);
}

function checkReplays(broker: Broker, nodes: Map<number, number>): void {
  const { replays, retained, sessions, subscriptions } = broker.memory;
  let active = 0;
  const pins = new Map<number, number>();
  for (let session = 0; session < sessions.sessionsMax; session++) {
    const cursor = replays.cursor(session);
    const row = replays.firstRow[session]!;
    check((cursor === NONE) === (row === NONE), `replay of session ${session}: row ${row}, cursor ${cursor}`);
    if (row === NONE) continue;
    active++;
    equal(subscriptions.cells[row + SESSION]!, session, `session of replayed subscription ${row}`);
    check(nodes.has(cursor), `replay of session ${session} stands on free node ${cursor}`);
    if (cursor !== 0) pins.set(cursor, (pins.get(cursor) ?? 0) + 1);
  }
  equal(replays.activeCount, active, 'replays.activeCount');
  for (const node of nodes.keys()) {
    equal(retained.tree.cells[node + PINS]!, pins.get(node) ?? 0, `pins of node ${node}`);
  }
}

function checkDeliveries(broker: Broker, held: Set<number>): void {
  const { deliveries, sessions } = broker.memory;
  const seen = new Set<number>();
  for (let queue = 0; queue < sessions.sessionsMax; queue++) checkQueue(broker, queue, seen, held);
  equal(deliveries.freeRows, deliveries.rows.length / DELIVERY_CELLS - seen.size, 'deliveries.freeRows');
}

function checkQueue(broker: Broker, queue: number, seen: Set<number>, held: Set<number>): void {
  const { deliveries, queued, sessions } = broker.memory;
  const ids = new Set<number>();
  const name = `queue ${queue}`;
  let rows = 0;
  let sent = 0;
  let inflight = 0;
  let published = 0;
  let byteCount = 0;
  let cursorSeen = deliveries.cursor(queue) === NONE;
  for (let row: number = deliveries.head(queue); row !== NONE; row = deliveries.next(row)) {
    check(!seen.has(row), `${name}: row ${row} is in two queues, or twice in this`);
    seen.add(row);
    rows++;
    if (deliveries.cursor(queue) === row) cursorSeen = true;
    const state = deliveries.state(row);
    const message = deliveries.message(row);
    check(state === QUEUED || state === PUBLISHED || state === RELEASED, `${name}: state of row ${row} is ${state}`);
    if (state !== QUEUED) {
      equal(sent++, rows - 1, `${name}: rows in flight before row ${row}, which is in flight`);
      if (!cursorSeen || deliveries.cursor(queue) === NONE) {
        inflight++;
        if (state === PUBLISHED) published++;
      }
      check(deliveries.packetId(row) !== 0 && !ids.has(deliveries.packetId(row)), `${name}: identifier of row ${row}`);
      ids.add(deliveries.packetId(row));
    } else {
      check(cursorSeen && deliveries.cursor(queue) !== NONE, `${name}: cursor is past row ${row}, which is queued`);
    }
    if (state === RELEASED) {
      equal(message, NONE, `${name}: message of released row ${row}`);
      continue;
    }
    check(message !== NONE, `${name}: row ${row} has no message`);
    checkVia(broker, queue, row);
    held.add(message);
    byteCount += queued.byteCount(message);
  }
  check(cursorSeen, `${name}: cursor is ${deliveries.cursor(queue)}, which is not in it`);
  equal(deliveries.count(queue), rows, `${name}: count`);
  const counted = deliveries.queues[queue * QUEUE_CELLS + INFLIGHT]!;
  if (sessions.slot[queue] !== NONE) equal(counted, inflight, `${name}: inflight`);
  equal(deliveries.bytes(queue), byteCount, `${name}: bytes`);
  check(inflight <= deliveries.inflightMax, `${name}: ${inflight} in flight, more than ${deliveries.inflightMax}`);
  const window = deliveries.queues[queue * QUEUE_CELLS + WINDOW]!;
  check(window >= 1 && window <= deliveries.inflightMax, `${name}: window of ${window}`);
  check(published <= window, `${name}: ${published} unacknowledged, more than ${window}`);
  check(rows <= broker.limits.sessionQueuedMax, `${name}: ${rows} rows, more than ${broker.limits.sessionQueuedMax}`);
}

/** The one subscription that a delivery comes from, if there is one, is of the same session. */
function checkVia(broker: Broker, queue: number, row: number): void {
  const { deliveries, subscriptions } = broker.memory;
  const from = deliveries.via(row);
  if (from === NONE || from === GONE) return;
  let own: number = subscriptions.firstOfSession[queue]!;
  while (own !== NONE && own !== from) own = subscriptions.cells[own + NEXT_OF_SESSION]!;
  check(own === from, `queue ${queue}: row ${row} comes from subscription ${from}, which is not of its session`);
}

/**
 * References that are too many keep a message without holder, too few free one that is held: both
 * show here.
 */
function checkStore(store: MessageStore, held: Set<number>, name: string): void {
  equal(store.count, held.size, `${name}.count, the messages that have a holder,`);
  const seen = new Set<number>();
  let expiring = 0;
  for (const message of held) {
    const flags = store.flags(message) & (EXPIRES | WITH_PROPERTIES);
    check(flags !== EXPIRES, `${name}: message ${message} has no deadline`);
    if ((flags & EXPIRES) !== 0) expiring++;
    const length = checkChain(store.blocks, message, seen, name);
    const byteCount = 2 + store.byteCount(message);
    equal(length, store.blocks.blocksFor(byteCount), `${name}: blocks of message ${message}`);
  }
  equal(store.expiringCount, expiring, `${name}.expiringCount`);
  equal(store.blocks.freeCount, store.blocks.blockCount - seen.size, `${name}: free blocks`);
}

function checkChain(blocks: BlockPool, first: number, seen: Set<number>, name: string): number {
  let length = 0;
  for (let block = first; block !== NONE; block = blocks.next[block]!) {
    check(block >= 0 && block < blocks.blockCount, `${name}: block ${block} does not exist`);
    check(!seen.has(block), `${name}: block ${block} is in two chains, or a chain goes round`);
    seen.add(block);
    length++;
  }
  return length;
}

function checkPacketIds(broker: Broker): void {
  const { packetIds, sessions } = broker.memory;
  for (let set = 0; set < sessions.sessionsMax; set++) {
    const wanted = packetIds.counts[set]!;
    check(wanted <= packetIds.perSetMax, `packet identifiers of session ${set}: ${wanted}`);
    if (!isInUse(broker, set)) equal(wanted, 0, `packet identifiers of free session ${set}`);
    let found = 0;
    for (let id = 1; id <= LOW_PACKET_IDS || (found < wanted && id <= 0xffff); id++) {
      if (packetIds.has(set, id)) found++;
    }
    equal(found, wanted, `packet identifiers of session ${set} that are found`);
  }
}
