// Everything a broker ever allocates, made here once from its limits: one buffer for all bytes, and
// the tables over it. One buffer, because `copyWithin` moves bytes inside it natively and without a
// view, on XS as on Node.
//
//   bytes:  window | staging | inbox 0, 1, … | regions of outboxes | scratch | filter |
//           `$SYS` text | client identifiers | text of filters | text of retained topics |
//           retained messages | queued messages

import {
  byteBudget, checkLimits, COUNTER_BYTES, levelBlocks, queueBlocks, retainedBlocks, retainedNodes,
  sysTopics, type Limits,
} from '../limits.js';
import { indexColumn, type IndexColumn } from '../session/columns.js';
import { Deliveries } from '../session/deliveries.js';
import { Inbox } from '../session/inbox.js';
import { MessageStore } from '../session/messages.js';
import { Outbox, OutboxRegions } from '../session/outbox.js';
import { PacketIdSets } from '../session/packet-ids.js';
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
  readonly sessions: Sessions;
  readonly subscriptions: Subscriptions;
  /** Retained messages and wills. */
  readonly kept: MessageStore;
  readonly retained: Retained;
  readonly replays: Replays;
  /** Messages that wait for subscribers. */
  readonly queued: MessageStore;
  readonly deliveries: Deliveries;
  readonly packetIds: PacketIdSets;
  readonly counters: Float64Array;

  constructor(limits: Limits) {
    checkLimits(limits);
    const { memory, memoryLines } = byteBudget(limits);
    const {
      connectionsMax, sessionsMax, subscriptionsMax, topicLevelsMax, messageBlockBytes,
    } = limits;
    const bytes = this.bytes = new Uint8Array(memory);
    let at = 0;
    const region = (byteCount: number): number => (at += byteCount) - byteCount;

    this.windowStart = region(memoryLines.window);
    this.stagingStart = region(memoryLines.staging);
    const inboxes = region(memoryLines.inboxes);
    const outboxes = region(memoryLines.outboxes);
    this.scratchStart = region(memoryLines.scratch);
    const filterStart = region(memoryLines.filter);
    this.sysTextStart = region(memoryLines.sysText);
    const clientIds = region(memoryLines.clientIds);
    const filterText = region(memoryLines.filterText);
    const retainedText = region(memoryLines.retainedText);
    const keptBase = region(memoryLines.retainedMessages);
    const queuedBase = region(memoryLines.queuedMessages);

    const regions = new OutboxRegions(bytes, outboxes, limits.outboxBytes, connectionsMax);
    this.connections = Array.from({ length: connectionsMax }, (_, slot) => new Connection(slot,
      new Inbox(bytes, inboxes + slot * limits.inboxBytes, limits.inboxBytes),
      new Outbox(regions)));
    this.dirtySlots = indexColumn(connectionsMax, connectionsMax);
    this.freeSlots = indexColumn(connectionsMax, connectionsMax);
    for (let slot = 0; slot < connectionsMax; slot++) {
      this.freeSlots[slot] = connectionsMax - 1 - slot;
    }

    this.levels = new TopicLevels(topicLevelsMax);
    this.sessions = new Sessions(
      bytes, clientIds, sessionsMax, limits.clientIdBytesMax, connectionsMax);
    const filterNodes = 1 + limits.subscriptionNodesMax;
    const filters = new TopicTree(bytes, filterText, levelBlocks(filterNodes), filterNodes, 0);
    this.subscriptions = new Subscriptions(filters, subscriptionsMax, sessionsMax, topicLevelsMax);
    this.kept = new MessageStore(bytes, keptBase, messageBlockBytes, retainedBlocks(limits), 1);
    const nodes = retainedNodes(limits);
    const topics = new TopicTree(bytes, retainedText, levelBlocks(nodes), nodes, sessionsMax);
    this.retained = new Retained(topics, this.kept, limits.retainedMax + sysTopics(limits));
    this.replays = new Replays(
      topics, this.subscriptions, bytes, filterStart, sessionsMax, topicLevelsMax);
    this.queued = new MessageStore(
      bytes, queuedBase, messageBlockBytes, queueBlocks(limits), sessionsMax + 1);
    this.deliveries = new Deliveries(
      this.queued, sessionsMax, limits.queuedMax, limits.inflightMax);
    this.packetIds = new PacketIdSets(sessionsMax, limits.receiveMax);
    this.counters = new Float64Array(COUNTER_BYTES / 8);
  }
}
