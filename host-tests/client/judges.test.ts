// The watchmen watched: what goes wrong on purpose must be noticed by the judges of client and
// broker, by the watch on the wire and by the invariants. Deterministic; also runs in XS.

import t from 'tap';
import type { Client } from '../../src/client/client.js';
import { CONNECTED } from '../../src/client/states.js';
import { BYTES, CURSOR, INFLIGHT, PACKET_ID, PUBLISHED, STATE, TAIL } from '../../src/session/deliveries.js';
import { NONE, SUBSCRIBE } from '../../src/wire/codes.js';
import {
  concat, connack, connect, disconnect, puback, publish, pubrel, subscribe,
} from '../support/packets.js';
import { checkClientInvariants } from './invariants.js';
import { judgeIncoming, judgeOutgoing, judgeSubscriptions, type Injected } from './judge.js';
import { Watch } from './watch.js';
import { World } from './world.js';

const INJECTED: Injected[] = [1, 2, 3].map((number) => ({ payload: `${number}.`, qos: 2, firm: true }));

/** Three messages of each QoS out, and three of QoS 2 in. */
function doneWorld(): World {
  const world = new World(1);
  world.application.subscribe('in/#', 2);
  world.connect();
  world.run();
  for (let i = 0; i < 9; i++) world.application.publish('out/a', i % 3, '');
  for (const { payload, qos } of INJECTED) world.inject('in/x', payload, qos);
  world.run();
  return world;
}

function judge(world: World): void {
  judgeOutgoing(world, true);
  judgeIncoming(world, INJECTED);
  judgeSubscriptions(world, ['in/#']);
}

/** Where the first message with that QoS from the client is among those heard. */
const first = ({ heard }: World, qos: number): number =>
  heard.findIndex((seen) => seen.qos === qos && seen.topic === 'out/a');

const FAULTS: Readonly<Record<string, (world: World) => void>> = {
  'a message of QoS 1 lost': (world) => world.heard.splice(first(world, 1), 1),
  'a message of QoS 2 lost': (world) => world.heard.splice(first(world, 2), 1),
  'a message of QoS 2 twice': (world) => world.heard.push(world.heard[first(world, 2)]!),
  'a message of QoS 0 twice': (world) => world.heard.push(world.heard[first(world, 0)]!),
  'two messages of one QoS in the wrong order': (world) =>
    world.heard.push(...world.heard.splice(first(world, 1), 1)),
  'a message nobody published': (world) => world.heard.push({ ...world.heard[first(world, 0)]!, payload: '77.0.' }),
  'a message refused, and sent': ({ application }) => application.sent[1]!.fate = 'refused',
  'a message nobody was told of': ({ application }) => application.kept.set(1, application.sent[1]!),
  'a message for the client lost': ({ application }) => application.got.pop(),
  'a message for the client twice': ({ application }) => application.got.push(application.got[0]!),
  'messages for the client in the wrong order': ({ application }) => application.got.reverse(),
  'a filter with another QoS': ({ application }) => application.wanted.set('in/#', 1),
  'a filter not wanted any more': ({ application }) => application.wanted.delete('in/#'),
};

t.test('what is lost, doubled, changed or out of its order is noticed', (t) => {
  judge(doneWorld());
  for (const [what, fault] of Object.entries(FAULTS)) {
    const world = doneWorld();
    fault(world);
    t.throws(() => judge(world), what);
  }
  t.end();
});

/** A wire with a message of QoS 1 and one of QoS 2 in flight; `resumed` after that. */
function busyWatch(resumed: boolean): Watch {
  const watch = new Watch(3, false);
  watch.opened();
  watch.written(connect());
  watch.given(connack(false));
  watch.written(concat(publish('a', '1', { qos: 1, id: 1 }), publish('a', '2', { qos: 2, id: 2 })));
  watch.written(subscribe(9, ['f', 0]));
  if (!resumed) return watch;
  watch.opened();
  watch.written(connect());
  watch.given(connack(true));
  return watch;
}

const again = (number: number, fields = {}): Uint8Array =>
  publish('a', String(number), { qos: number, id: number, duplicate: true, ...fields });

t.test('what a client must not send is noticed', (t) => {
  const fine = busyWatch(true);
  fine.written(concat(again(1), again(2), publish('a', '3', { qos: 1, id: 3 }), disconnect()));
  const wrong: [what: string, resumed: boolean, bytes: Uint8Array][] = [
    ['an identifier in use', false, publish('b', '', { qos: 1, id: 1 })],
    ['the identifier of a SUBSCRIBE', false, publish('b', '', { qos: 1, id: 9 })],
    ['a SUBSCRIBE with an identifier in use', false, subscribe(2, ['f', 0])],
    ['DUP without a reconnection', false, again(1)],
    ['a repetition without DUP', true, again(1, { duplicate: false })],
    ['a repetition with another identifier', true, again(1, { id: 7 })],
    ['repetitions in the wrong order', true, concat(again(2), again(1))],
    ['a repetition twice', true, concat(again(1), again(1))],
    ['PUBLISH after PUBREL', true, concat(pubrel(2), again(2))],
    ['PUBREL for QoS 1', true, pubrel(1)],
    ['more than the window', false, concat(publish('a', '3', { qos: 1, id: 3 }), publish('a', '4', { qos: 1, id: 4 }))],
    ['an acknowledgement of nothing', false, puback(5)],
    ['a packet after DISCONNECT', false, concat(disconnect(), publish('b', ''))],
    ['CONNECT twice', false, connect()],
  ];
  for (const [what, resumed, bytes] of wrong) t.throws(() => busyWatch(resumed).written(bytes), what);
  const late = new Watch(3, false);
  late.opened();
  t.throws(() => late.written(publish('a', '')), 'no CONNECT');
  t.end();
});

/** Messages in flight and waiting, two filters of which one is not answered, an identifier taken. */
function busyClient(): Client {
  const world = new World(1, { limits: { inflightMax: 2 } });
  world.application.subscribe('in/#', 2);
  world.connect();
  world.run();
  world.wire!.toClient.lostFrom = world.wire!.toClient.sentBytes + 12;
  world.inject('in/x', '1.', 2);
  for (let i = 0; i < 4; i++) world.application.publish('out/a', 1 + i % 2, 'x'.repeat(50));
  world.application.subscribe('s/0', 1);
  world.run();
  if (world.client.state !== CONNECTED || world.client.waiting) throw new Error('not as it should be');
  return world.client;
}

const CORRUPTIONS: Readonly<Record<string, (client: Client) => void>> = {
  'a link too few': (client) => client.link = null,
  'a row in flight that is not counted': ({ memory }) => memory.deliveries.queues[INFLIGHT]!--,
  'an identifier twice': ({ memory: { deliveries } }) =>
    deliveries.rows[deliveries.next(deliveries.head(0)) + PACKET_ID] = deliveries.packetId(deliveries.head(0)),
  'an identifier that is kept for filters': ({ memory: { deliveries } }) =>
    deliveries.rows[deliveries.head(0) + PACKET_ID] = deliveries.packetIdMax + 1,
  'a row in flight behind one that waits': ({ memory: { deliveries } }) => {
    deliveries.rows[deliveries.queues[TAIL]! + STATE] = PUBLISHED;
  },
  'a cursor that skips what waits': ({ memory }) => memory.deliveries.queues[CURSOR] = NONE,
  'bytes of the queue': ({ memory }) => memory.deliveries.queues[BYTES]!++,
  'rows lost': ({ memory }) => memory.deliveries.freeRows--,
  'a tail that is another': ({ memory: { deliveries } }) => deliveries.queues[TAIL] = deliveries.head(0),
  'a reference too few': ({ memory: { deliveries, queued } }) =>
    queued.release(deliveries.message(deliveries.head(0))),
  'a chain of blocks that goes round': ({ memory: { deliveries, queued } }) => {
    const first = deliveries.message(deliveries.head(0));
    queued.blocks.next[first] = first;
  },
  'a filter counted too much': ({ memory }) => memory.subscriptions.count++,
  'a filter that waits and is not counted': ({ memory }) => memory.subscriptions.pending[0] = 1,
  'a filter forgotten': ({ memory }) => {
    memory.subscriptions.pending[0] = 1;
    memory.subscriptions.pendingCount++;
  },
  'a filter left that nobody is told of': ({ memory }) => memory.subscriptions.wanted[0] = 0xff,
  'a free filter that awaits an answer': ({ memory }) => memory.subscriptions.outstanding[5] = SUBSCRIBE,
  'a filter twice': ({ memory: { subscriptions } }) => subscriptions.filter[1] = subscriptions.filter[0]!,
  'packet identifiers lost': ({ memory }) => memory.packetIds.counts[0]!++,
};

t.test('tables in order are let pass, those in disorder are noticed', (t) => {
  checkClientInvariants(busyClient());
  for (const [what, corrupt] of Object.entries(CORRUPTIONS)) {
    const client = busyClient();
    corrupt(client);
    t.throws(() => checkClientInvariants(client), /invariant of the client broken/, what);
  }
  t.end();
});
