// Everything a client ever allocates, made here once from its limits: one buffer for all bytes, and
// one for the columns of all tables.
//
//   bytes:  inbox | staging | outbox | scratch | topic aliases | filters | queued messages

import { Columns } from '../session/columns.js';
import { Deliveries } from '../session/deliveries.js';
import { Inbox } from '../session/inbox.js';
import { MessageStore } from '../session/messages.js';
import { Outbox, OutboxRegions } from '../session/outbox.js';
import { PacketIdSets } from '../session/packet-ids.js';
import { TopicAliases } from '../session/topic-aliases.js';
import {
  checkClientLimits, clientByteBudget, filterBlocks, queueBlocks, queueCellMax,
  type ClientLimits,
} from './limits.js';
import { Subscriptions } from './subscriptions.js';

export class ClientMemory {
  readonly bytes: Uint8Array;
  /** Offsets in `bytes`. */
  readonly stagingStart: number;
  readonly scratchStart: number;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly subscriptions: Subscriptions;
  readonly queued: MessageStore;
  /** For one connection, number 0. */
  readonly aliases: TopicAliases;
  /** One queue, number 0. */
  readonly deliveries: Deliveries;
  /** QoS 2 messages taken and not released by the broker; one set, number 0. */
  readonly packetIds: PacketIdSets;

  constructor(limits: ClientLimits) {
    checkClientLimits(limits);
    const { memory, memoryLines, columns: columnBytes } = clientByteBudget(limits);
    const bytes = this.bytes = new Uint8Array(memory);
    let at = 0;
    const region = (byteCount: number): number => (at += byteCount) - byteCount;

    const columns = new Columns(columnBytes);
    this.inbox = new Inbox(bytes, region(memoryLines.inbox), limits.inboxBytes);
    this.stagingStart = region(memoryLines.staging);
    const outboxStart = region(memoryLines.outbox);
    this.outbox = new Outbox(
      new OutboxRegions(bytes, outboxStart, limits.outboxBytes, 1, columns));
    this.scratchStart = region(memoryLines.scratch);
    this.aliases = new TopicAliases(
      bytes, region(memoryLines.topicAliases), limits.topicAliasMax, limits.topicAliasBytes);
    const filterStart = region(memoryLines.filters);
    const queuedBase = region(memoryLines.queuedMessages);

    const packetIdMax = 0xffff - limits.subscriptionsMax;
    this.subscriptions = new Subscriptions(
      bytes, filterStart, filterBlocks(limits), limits.subscriptionsMax, packetIdMax + 1,
      limits.packetBytesMax, columns);
    this.queued = new MessageStore(
      bytes, queuedBase, limits.messageBlockBytes, queueBlocks(limits), limits.packetBytesMax, 2,
      columns);
    this.packetIds = new PacketIdSets(1, limits.receiveMax, columns);
    this.deliveries = new Deliveries(
      this.queued, 1, limits.queuedMax, limits.inflightMax, packetIdMax, queueCellMax(limits),
      columns);
  }
}
