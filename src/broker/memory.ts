// What a broker allocates from its limits, all of it made here once: one buffer for all bytes, and
// one for the columns of all tables. One buffer for bytes, because `copyWithin` moves them inside
// it natively and without a view, on XS as on Node; one for columns, because views are small on XS.
//
//   bytes:  window | staging | inbox 0, 1, … | regions of outboxes | scratch | filter |
//           topic aliases | `$SYS` text | client identifiers | text of filters |
//           text of retained topics | retained messages | queued messages

import {
  byteBudget, cellMax, checkLimits, COUNTER_BYTES, filterNodes, LEVEL_BLOCK_BYTES, levelBlocks,
  PROPERTY_PLACES, queueBlocks, queueCellMax, retainedBlocks, retainedNodes, sessionCellMax,
  sysTopics, type Limits,
} from '../limits.js';
import { BlockPool } from '../session/blocks.js';
import { Columns, type IndexColumn } from '../session/columns.js';
import { Deliveries } from '../session/deliveries.js';
import { Inbox } from '../session/inbox.js';
import { MessageStore } from '../session/messages.js';
import { Outbox, OutboxRegions } from '../session/outbox.js';
import { PacketIdSets } from '../session/packet-ids.js';
import { TopicAliases } from '../session/topic-aliases.js';
import { TopicLevels } from '../wire/topic.js';
import { Connection } from './connection.js';
import { Replays } from './replays.js';
import { Retained } from './retained.js';
import { Sessions } from './sessions.js';
import { Subscriptions } from './subscriptions.js';
import { TopicTree } from './topic-tree.js';

export class BrokerMemory {
  readonly bytes: Uint8Array;
  /** Offsets in `bytes`. */
  readonly windowStart: number;
  readonly stagingStart: number;
  readonly scratchStart: number;
  readonly sysTextStart: number;

  readonly connections: readonly Connection[];
  /** Slots whose outbox waits for a flush, and free slots; a slot is at most once in either. */
  readonly dirtySlots: IndexColumn;
  readonly freeSlots: IndexColumn;

  /** Levels of the topic or filter in hand. */
  readonly levels: TopicLevels;
  /** Where the properties of the packet in hand are. */
  readonly properties: Int32Array;
  readonly sessions: Sessions;
  readonly subscriptions: Subscriptions;
  /** Retained messages and wills. */
  readonly kept: MessageStore;
  readonly retained: Retained;
  readonly replays: Replays;
  /** Messages that wait for subscribers. */
  readonly queued: MessageStore;
  /**
   * `via` of a row: the one subscription it comes from, if that is shared or new and the message
   * retained; NONE for what all subscriptions of the session bring; GONE of identifiers.ts.
   */
  readonly deliveries: Deliveries;
  readonly packetIds: PacketIdSets;
  readonly aliases: TopicAliases;
  readonly counters: Float64Array;

  constructor(limits: Limits) {
    checkLimits(limits);
    const { memory, memoryLines, shared } = byteBudget(limits);
    const { connectionsMax, sessionsMax, messageBlockBytes, packetBytesMax } = limits;
    const bytes = this.bytes = new Uint8Array(memory);
    let at = 0;
    const region = (byteCount: number): number => (at += byteCount) - byteCount;

    this.windowStart = region(memoryLines.window);
    this.stagingStart = region(memoryLines.staging);
    const inboxes = region(memoryLines.inboxes);
    const outboxes = region(memoryLines.outboxes);
    this.scratchStart = region(memoryLines.scratch);
    const filterStart = region(memoryLines.filter);
    this.aliases = new TopicAliases(
      bytes, region(memoryLines.topicAliases), limits.topicAliasMax, limits.topicAliasBytes);
    this.sysTextStart = region(memoryLines.sysText);
    const clientIds = region(memoryLines.clientIds);
    const filterText = region(memoryLines.filterText);
    const retainedText = region(memoryLines.retainedText);
    const keptBase = region(memoryLines.retainedMessages);
    const queuedBase = region(memoryLines.queuedMessages);

    const columns = new Columns(shared);
    this.counters = columns.float64(COUNTER_BYTES / 8);
    this.sessions = new Sessions(
      bytes, clientIds, sessionsMax, limits.clientIdBytesMax, connectionsMax,
      sessionCellMax(limits), columns);
    const regions = new OutboxRegions(bytes, outboxes, limits.outboxBytes, connectionsMax, columns);
    this.connections = Array.from({ length: connectionsMax }, (_, slot) => new Connection(slot,
      new Inbox(bytes, inboxes + slot * limits.inboxBytes, limits.inboxBytes),
      new Outbox(regions)));
    this.dirtySlots = columns.indices(connectionsMax, connectionsMax);
    this.freeSlots = columns.indices(connectionsMax, connectionsMax);
    for (let slot = 0; slot < connectionsMax; slot++) {
      this.freeSlots[slot] = connectionsMax - 1 - slot;
    }

    const levels = (): TopicLevels => new TopicLevels(
      limits.topicLevelsMax, columns.int32(limits.topicLevelsMax + 1));
    this.levels = levels();
    this.properties = columns.int32(PROPERTY_PLACES);
    const view = new DataView(bytes.buffer);
    const most = cellMax(limits);
    const tree = (base: number, nodesMax: number): TopicTree => new TopicTree(
      new BlockPool(bytes, base, LEVEL_BLOCK_BYTES, levelBlocks(nodesMax), columns),
      view, nodesMax, most, columns);
    this.subscriptions = new Subscriptions(
      tree(filterText, filterNodes(limits)), limits.subscriptionsMax, sessionsMax,
      limits.topicLevelsMax, most, columns);
    const store = (base: number, blocks: number, referencesMax: number): MessageStore =>
      new MessageStore(
        bytes, base, messageBlockBytes, blocks, packetBytesMax, referencesMax, columns);
    this.kept = store(keptBase, retainedBlocks(limits), 1);
    const topics = tree(retainedText, retainedNodes(limits));
    this.retained = new Retained(topics, this.kept, limits.retainedMax + sysTopics(limits));
    this.replays = new Replays(
      topics, this.subscriptions, bytes, filterStart, levels(), most, columns);
    this.queued = store(queuedBase, queueBlocks(limits), sessionsMax + 1);
    this.deliveries = new Deliveries(
      this.queued, sessionsMax, limits.queuedMax, limits.inflightMax, 0xffff,
      queueCellMax(limits), columns);
    this.packetIds = new PacketIdSets(sessionsMax, limits.receiveMax, columns);
  }
}
