// Steps that the suites of this folder share. Runs on Node and on XS.

import type { Broker } from '../../src/broker/broker.js';
import { CLIENTS_CONNECTED } from '../../src/broker/counters.js';
import { DELIVERY_CELLS } from '../../src/table-bytes.js';
import { puback, pubcomp, pubrec } from '../support/packets.js';
import { Peer } from '../support/peer.js';

/** A new peer that sends `bytes` first of all, and what came back. */
export function attempt(broker: Broker,
  bytes: Uint8Array): { peer: Peer; answers: string[]; closed: boolean } {
  const peer = new Peer(broker);
  const answers = peer.send(bytes);
  return { peer, answers, closed: peer.link.closed };
}

/** What every table holds: all zero in a broker that everybody has left. */
export function tableCounts(broker: Broker): Record<string, number> {
  const { connections, deliveries, kept, packetIds, queued, replays, retained, sessions,
    subscriptions } = broker.memory;
  let identifiers = 0;
  for (const count of packetIds.counts) identifiers += count;
  return {
    clients: broker.counters[CLIENTS_CONNECTED]!,
    links: connections.filter((connection) => connection.link !== null).length,
    sessions: sessions.count,
    subscriptions: subscriptions.count,
    filterNodes: subscriptions.tree.nodeCount - 1,
    filterText: subscriptions.tree.text.blockCount - subscriptions.tree.text.freeCount,
    retained: retained.count,
    retainedNodes: retained.tree.nodeCount - 1,
    replays: replays.activeCount,
    kept: kept.count,
    keptBlocks: kept.blocks.blockCount - kept.blocks.freeCount,
    queued: queued.count,
    queuedBlocks: queued.blocks.blockCount - queued.blocks.freeCount,
    deliveries: deliveries.rows.length / DELIVERY_CELLS - deliveries.freeRows,
    identifiers,
  };
}

/** Names of the tables that hold something. */
export function tablesInUse(broker: Broker): string[] {
  const counts = tableCounts(broker);
  return Object.keys(counts).filter((name) => counts[name] !== 0);
}

/** The identifier of a packet in words; 0 if it has none. */
export function idOf(packet: string | undefined): number {
  return Number(/ id(\d+)/.exec(packet ?? '')?.[1] ?? 0);
}

/**
 * `PUBLISH q1 id7 dup a b` without its identifier, as `q1 dup a b`: what a subscriber gets,
 * wherever its ids stand.
 */
export function withoutId(packet: string): string {
  return packet.replace(/^PUBLISH /, '').replace(/ id\d+/, '');
}

/**
 * Takes the PUBLISH packets among `packets` and what follows, acknowledging each in full; what they
 * said, in order.
 */
export function takeAll(peer: Peer, packets: string[]): string[] {
  const taken: string[] = [];
  const waiting = [...packets];
  while (waiting.length > 0) {
    const packet = waiting.shift()!;
    const id = idOf(packet);
    if (packet.startsWith('PUBLISH')) taken.push(withoutId(packet));
    if (packet.startsWith('PUBLISH q1')) waiting.push(...peer.send(puback(id)));
    if (packet.startsWith('PUBLISH q2')) waiting.push(...peer.send(pubrec(id)));
    if (packet.startsWith('PUBREL')) waiting.push(...peer.send(pubcomp(id)));
  }
  return taken;
}
