// Deliveries: queues of QoS 1 and 2 over shared rows, alone and against a simple model under seeded
// random use. Runs on Node and on XS.

import t from 'tap';
import { ascii } from '../support/packets.js';
import { Random } from '../support/random.js';
import { Deliveries, INFLIGHT, PUBLISHED, QUEUED, RELEASED, TAIL, WINDOW } from '../../src/session/deliveries.js';
import { Columns } from '../../src/session/columns.js';
import { EXPIRES, MessageStore, WITH_PROPERTIES } from '../../src/session/messages.js';
import { deliveryCellMax, QUEUE_CELLS } from '../../src/table-bytes.js';
import { NONE } from '../../src/wire/codes.js';

const SEED = 20260714;
const QOS_1 = 2;
const QOS_2 = 4;

function makeDeliveries(queues: number, rows: number, inflightMax: number): Deliveries {
  const blocks = 64;
  const columns = new Columns(10_000);
  const store = new MessageStore(
    new Uint8Array(100 + 16 * blocks), 100, 16, blocks, 1000, queues + 1, columns);
  return new Deliveries(
    store, queues, rows, inflightMax, 0xffff, deliveryCellMax(rows, blocks, 10_000), columns);
}

/** Stores a message on the topic of one letter and appends it; the handle. */
function append(deliveries: Deliveries, queue: number, topic: string, payloadBytes = 0,
  flags = QOS_1): number {
  const { memory } = deliveries.store.blocks;
  memory.set([0, 1, topic.charCodeAt(0)]);
  const message = deliveries.store.store(2, 3, 3, 3 + payloadBytes, flags);
  deliveries.append(queue, message, flags);
  deliveries.store.release(message);
  return message;
}

/** Transmits all that may go; the identifiers. */
function transmitAll(deliveries: Deliveries, queue: number): number[] {
  const ids: number[] = [];
  for (let row = deliveries.toTransmit(queue); row !== NONE; row = deliveries.toTransmit(queue)) {
    ids.push(deliveries.transmit(queue, row));
  }
  return ids;
}

function statesOf(deliveries: Deliveries, queue: number): number[] {
  const states: number[] = [];
  for (let row: number = deliveries.head(queue); row !== NONE; row = deliveries.next(row)) {
    states.push(deliveries.state(row));
  }
  return states;
}

t.test('4.4: rows go out in order under new identifiers, as far as the window allows', (t) => {
  const deliveries = makeDeliveries(2, 10, 3);
  for (const topic of ['a', 'b', 'c', 'd', 'e']) append(deliveries, 0, topic, 10);
  append(deliveries, 1, 'x');
  t.same([deliveries.count(0), deliveries.bytes(0), deliveries.freeRows], [5, 55, 4]);
  t.same(transmitAll(deliveries, 0), [1, 2, 3]);
  t.same(transmitAll(deliveries, 1), [1], 'each queue has its own identifiers');
  t.equal(deliveries.queues[INFLIGHT], 3);
  t.same(statesOf(deliveries, 0), [PUBLISHED, PUBLISHED, PUBLISHED, QUEUED, QUEUED]);
  deliveries.remove(0, deliveries.find(0, 2));
  t.same(transmitAll(deliveries, 0), [4]);
  t.equal(deliveries.find(0, 2), NONE);
  t.equal(deliveries.find(0, 5), NONE, 'not yet sent');
  t.same([deliveries.count(0), deliveries.bytes(0), deliveries.freeRows], [4, 44, 5]);
  t.end();
});

t.test('dropSameTopic compares whole topics, over any blocks, and nothing of the payload', (t) => {
  const text = 'abcdefghijklmnopqrstuvwxyz0123456789'.repeat(2);
  for (const blockBytes of [1, 2, 3, 16, 64]) {
    const memory = new Uint8Array(300 + 400);
    const columns = new Columns(10_000);
    const store = new MessageStore(
      memory, 300, blockBytes, Math.floor(400 / blockBytes), 400, 2, columns);
    const deliveries = new Deliveries(store, 1, 2, 1, 0xffff, deliveryCellMax(2, 400), columns);
    let wrong = '';
    for (const length of [1, 2, 13, 14, 15, 16, 29, 30, 31, 62, 63, 70]) {
      const topic = text.slice(0, length);
      for (const other of [topic, `!${topic.slice(1)}`, `${topic.slice(0, -1)}!`, `${topic}!`]) {
        memory.set([0, topic.length, ...ascii(topic), ...ascii('payload')]);
        const end = 2 + topic.length;
        const message = store.store(2, end, end, end + 7, QOS_1);
        deliveries.append(0, message, QOS_1);
        store.release(message);
        memory.set([0, other.length, ...ascii(other), ...ascii('other')]);
        const dropped = deliveries.dropSameTopic(0, 0, 2 + other.length) !== NONE;
        if (dropped !== (other === topic)) wrong += `${topic} and ${other}\n`;
        deliveries.clear(0);
      }
    }
    t.equal(wrong, '', `blocks of ${blockBytes}`);
  }
  t.end();
});

t.test('QoS 0 leaves the queue when it goes out, also from behind rows in flight', (t) => {
  const deliveries = makeDeliveries(1, 4, 2);
  append(deliveries, 0, 'a', 1);
  append(deliveries, 0, 'b', 1, 0);
  append(deliveries, 0, 'c', 1);
  t.same(deliveries.transmit(0, deliveries.toTransmit(0)), 1);
  const row = deliveries.toTransmit(0);
  t.equal(deliveries.flags(row), 0);
  deliveries.sentOnce(0, row);
  t.same(transmitAll(deliveries, 0), [2]);
  t.same(statesOf(deliveries, 0), [PUBLISHED, PUBLISHED]);
  t.same([deliveries.count(0), deliveries.queues[INFLIGHT], deliveries.bytes(0)], [2, 2, 4]);
  t.end();
});

t.test('a session that was forgotten starts again in order, under new identifiers', (t) => {
  const deliveries = makeDeliveries(1, 5, 2);
  for (const topic of ['a', 'b', 'c']) append(deliveries, 0, topic);
  t.same(transmitAll(deliveries, 0), [1, 2]);
  deliveries.restart(0);
  t.same(statesOf(deliveries, 0), [QUEUED, QUEUED, QUEUED]);
  t.equal(deliveries.queues[INFLIGHT], 0);
  t.same(transmitAll(deliveries, 0), [3, 4]);
  t.end();
});

t.test('identifiers stay within their part and go round in it', (t) => {
  const columns = new Columns(1000);
  const store = new MessageStore(new Uint8Array(1000), 100, 16, 16, 200, 2, columns);
  const deliveries = new Deliveries(store, 1, 4, 2, 3, deliveryCellMax(4, 16), columns);
  const ids: number[] = [];
  for (let i = 0; i < 7; i++) {
    append(deliveries, 0, 'a');
    ids.push(deliveries.transmit(0, deliveries.toTransmit(0)));
    deliveries.remove(0, deliveries.find(0, ids.at(-1)!));
  }
  t.same(ids, [1, 2, 3, 1, 2, 3, 1]);
  t.end();
});

t.test('4.3.3: PUBREC lets the message go, its identifier stays until PUBCOMP', (t) => {
  const deliveries = makeDeliveries(1, 4, 2);
  append(deliveries, 0, 'a', 20, QOS_2);
  t.same(transmitAll(deliveries, 0), [1]);
  const row = deliveries.find(0, 1);
  t.equal(deliveries.flags(row), QOS_2);
  deliveries.released(0, row);
  t.same([deliveries.store.count, deliveries.bytes(0), deliveries.count(0),
    deliveries.queues[INFLIGHT]], [0, 0, 1, 1]);
  t.same(statesOf(deliveries, 0), [RELEASED]);
  t.equal(deliveries.find(0, 1), row);
  deliveries.remove(0, row);
  t.same([deliveries.count(0), deliveries.queues[INFLIGHT], deliveries.freeRows], [0, 0, 4]);
  t.end();
});

t.test('[MQTT-4.4.0-1] resume: what is in flight goes again under its identifiers, then what is queued', (t) => {
  const deliveries = makeDeliveries(1, 10, 3);
  for (const topic of ['a', 'b', 'c', 'd']) append(deliveries, 0, topic, 0, QOS_2);
  transmitAll(deliveries, 0);
  deliveries.released(0, deliveries.find(0, 2));
  t.same(transmitAll(deliveries, 0), []);
  deliveries.resume(0);
  t.same(transmitAll(deliveries, 0), [1, 2, 3]);
  deliveries.resume(0);
  deliveries.remove(0, deliveries.find(0, 1));
  t.same(transmitAll(deliveries, 0), [2, 3, 4], 'what was acknowledged meanwhile does not');
  t.same(transmitAll(deliveries, 0), []);
  t.end();
});

t.test('[MQTT-2.3.1-4] identifiers go round from 65,535 to 1 and wait for one that is in use', (t) => {
  const deliveries = makeDeliveries(1, 4, 4);
  append(deliveries, 0, 'a');
  t.same(transmitAll(deliveries, 0), [1]);
  for (let id = 2; id <= 65535; id++) {
    append(deliveries, 0, 'b');
    if (deliveries.transmit(0, deliveries.toTransmit(0)) !== id) t.fail(`identifier ${id}`);
    deliveries.remove(0, deliveries.find(0, id));
  }
  append(deliveries, 0, 'c');
  t.equal(deliveries.toTransmit(0), NONE);
  deliveries.remove(0, deliveries.find(0, 1));
  t.same(transmitAll(deliveries, 0), [1]);
  t.end();
});

t.test('dropOldest and dropSameTopic take rows that are not in flight only', (t) => {
  const deliveries = makeDeliveries(1, 10, 1);
  for (const topic of ['a', 'b', 'a', 'c', 'a']) append(deliveries, 0, topic, 5);
  t.same(transmitAll(deliveries, 0), [1]);
  append(deliveries, 0, 'a');
  const { memory } = deliveries.store.blocks;
  memory.set([0, 1, 0x61]);
  t.not(deliveries.dropSameTopic(0, 0, 3), NONE, 'the second a');
  t.same([deliveries.count(0), deliveries.bytes(0)], [5, 25]);
  t.not(deliveries.dropOldest(0), NONE, 'b');
  append(deliveries, 0, 'z');
  memory.set([0, 1, 0x7a]);
  deliveries.dropOldest(0);
  t.equal(deliveries.count(0), 4, 'c');
  t.not(deliveries.dropSameTopic(0, 0, 3), NONE, 'itself, the only one');
  while (deliveries.dropOldest(0) !== NONE) continue;
  t.same(statesOf(deliveries, 0), [PUBLISHED]);
  t.same([deliveries.head(0) === deliveries.queues[TAIL], deliveries.cursor(0)], [true, NONE]);
  append(deliveries, 0, 'n');
  deliveries.remove(0, deliveries.find(0, 1));
  t.same(transmitAll(deliveries, 0), [2], 'the queue goes on');
  t.end();
});

t.test('clear empties one queue and starts its identifiers afresh', (t) => {
  const deliveries = makeDeliveries(2, 10, 4);
  const shared = append(deliveries, 0, 'a', 0, QOS_2);
  deliveries.append(1, shared, QOS_2);
  append(deliveries, 0, 'b', 0, QOS_2);
  transmitAll(deliveries, 0);
  deliveries.released(0, deliveries.find(0, 2));
  append(deliveries, 0, 'c');
  deliveries.clear(0);
  t.same([deliveries.count(0), deliveries.queues[INFLIGHT], deliveries.bytes(0), deliveries.freeRows],
    [0, 0, 0, 9]);
  t.equal(deliveries.store.count, 1, 'the other queue still holds its message');
  append(deliveries, 0, 'd');
  t.same(transmitAll(deliveries, 0), [1]);
  t.same(transmitAll(deliveries, 1), [1]);
  t.end();
});

t.test('5.0 [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2] [MQTT-4.9.0-3] no more than the peer takes at once', (t) => {
  const deliveries = makeDeliveries(2, 10, 4);
  for (const topic of ['a', 'b', 'c', 'd', 'e']) append(deliveries, 0, topic, 0, QOS_2);
  deliveries.resume(0, 3);
  t.same(transmitAll(deliveries, 0), [1, 2, 3]);
  deliveries.released(0, deliveries.find(0, 2));
  deliveries.resume(0, 2);
  t.same([deliveries.queues[WINDOW], deliveries.queues[INFLIGHT]], [2, 0]);
  t.same(transmitAll(deliveries, 0), [1, 2], 'what was in flight counts again');
  deliveries.remove(0, deliveries.find(0, 3));
  t.equal(deliveries.queues[INFLIGHT], 2, 'an acknowledgement of what did not go out yet frees nothing');
  t.same(transmitAll(deliveries, 0), []);
  deliveries.remove(0, deliveries.find(0, 2));
  t.same(transmitAll(deliveries, 0), [4]);
  deliveries.released(0, deliveries.find(0, 1));
  deliveries.released(0, deliveries.find(0, 4));
  deliveries.resume(0, 1);
  t.same(transmitAll(deliveries, 0), [1, 4], '5.0 [MQTT-4.9.0-3]: PUBREL does not wait');
  deliveries.remove(0, deliveries.find(0, 1));
  t.same(transmitAll(deliveries, 0), [], '5.0 [MQTT-4.9.0-2]: PUBLISH does');
  deliveries.resume(0, 65535);
  t.equal(deliveries.queues[WINDOW], 4, 'our own limit holds');
  t.same(transmitAll(deliveries, 0), [4, 5]);
  deliveries.resume(0);
  t.equal(deliveries.queues[WINDOW], 4);
  t.end();
});

t.test('dropExpired drops what has expired and is not in flight', (t) => {
  const deliveries = makeDeliveries(1, 10, 1);
  const { memory } = deliveries.store.blocks;
  const expiring = (deadline: number): void => {
    memory.set([0, 1, 0x78, 5, 2, 0, 0, 0, deadline, 0x21]);
    const message = deliveries.store.store(2, 3, 3, 10, QOS_1 | WITH_PROPERTIES | EXPIRES);
    deliveries.append(0, message, QOS_1);
    deliveries.store.release(message);
  };
  expiring(5);
  t.same(transmitAll(deliveries, 0), [1]);
  expiring(5);
  append(deliveries, 0, 'a');
  expiring(6);
  expiring(7);
  t.equal(deliveries.dropExpired(0, 5), 0, 'in its last second it lives');
  t.equal(deliveries.dropExpired(0, 7), 2, 'and is dropped later, but not what is in flight');
  t.same(statesOf(deliveries, 0), [PUBLISHED, QUEUED, QUEUED]);
  t.same([deliveries.count(0), deliveries.store.count, deliveries.store.expiringCount], [3, 3, 2]);
  deliveries.clear(0);
  t.same([deliveries.store.count, deliveries.store.expiringCount], [0, 0]);
  t.end();
});

interface Row {
  message: number;
  id: number;
  state: number;
}

/** A queue as a list, and how far this connection has transmitted it. */
class Model {
  rows: Row[] = [];
  sent = 0;
  lastId = 0;
  window = 4;

  /** Those sent on this connection that are not acknowledged. */
  get inflight(): number {
    return this.rows.slice(0, this.sent).filter(({ state }) => state !== QUEUED).length;
  }
}

/** What is wrong with `queue`; '' if nothing is. */
function problemOf(deliveries: Deliveries, queue: number, { rows, sent, inflight }: Model): string {
  let at = 0;
  for (let row: number = deliveries.head(queue); row !== NONE; row = deliveries.next(row)) {
    const wanted = rows[at];
    if (wanted === undefined) return 'too many rows';
    if (deliveries.state(row) !== wanted.state || deliveries.packetId(row) !== wanted.id) return `row ${at}`;
    if (wanted.state !== RELEASED && deliveries.message(row) !== wanted.message) return `message of row ${at}`;
    if ((deliveries.cursor(queue) === row) !== (at === sent)) return `cursor at row ${at}`;
    at++;
  }
  if (at !== rows.length || deliveries.count(queue) !== at) return `${at} rows, not ${rows.length}`;
  return deliveries.queues[queue * QUEUE_CELLS + INFLIGHT] === inflight ? '' : `${deliveries.queues[queue * QUEUE_CELLS + INFLIGHT]} in flight`;
}

/** One random step on one queue and its model; the name of the step. */
function step(random: Random, deliveries: Deliveries, queue: number, model: Model): string {
  const { rows } = model;
  const flying = rows.filter(({ state }) => state !== QUEUED);
  switch (random.weighted({ append: 40, transmit: 40, remove: 25, release: 15, resume: 3, drop: 8,
    clear: 1 })) {
    case 'append':
      if (deliveries.freeRows > 0) {
        rows.push({ message: append(deliveries, queue, random.pick(['a', 'b'])), id: 0,
          state: QUEUED });
      }
      return 'append';
    case 'transmit': {
      const row = deliveries.toTransmit(queue);
      const next = rows[model.sent];
      const may = next !== undefined && (next.state === RELEASED || model.inflight < model.window);
      if ((row !== NONE) !== may) return `transmit: ${row}`;
      if (next === undefined || !may) return 'transmit';
      if (next.state === QUEUED) {
        next.state = PUBLISHED;
        next.id = ++model.lastId;
      }
      model.sent++;
      return deliveries.transmit(queue, row) === next.id ? 'transmit' : 'transmit: identifier';
    }
    case 'remove': {
      if (flying.length === 0) return 'remove';
      const gone = random.pick(flying);
      deliveries.remove(queue, deliveries.find(queue, gone.id));
      if (rows.indexOf(gone) < model.sent) model.sent--;
      rows.splice(rows.indexOf(gone), 1);
      return 'remove';
    }
    case 'release': {
      const published = flying.filter(({ state }) => state === PUBLISHED);
      if (published.length === 0) return 'release';
      const row = random.pick(published);
      deliveries.released(queue, deliveries.find(queue, row.id));
      row.state = RELEASED;
      return 'release';
    }
    case 'resume':
      model.window = random.below(4) + 1;
      if (model.window === 4) deliveries.resume(queue, random.pick([4, 5, 65535]));
      else deliveries.resume(queue, model.window);
      model.sent = 0;
      return 'resume';
    case 'drop': {
      const first = rows.findIndex(({ state }) => state === QUEUED);
      if (deliveries.dropOldest(queue) !== NONE !== first >= 0) return 'drop: answer';
      if (first >= 0) rows.splice(first, 1);
      return 'drop';
    }
    default:
      deliveries.clear(queue);
      model.rows = [];
      model.sent = model.lastId = 0;
      return 'clear';
  }
}

t.test(`random use agrees with lists; seed ${SEED}`, (t) => {
  const random = new Random(SEED);
  const deliveries = makeDeliveries(3, 30, 4);
  const models = [new Model(), new Model(), new Model()];
  let problem = '';
  for (let i = 0; i < 2500 && problem === ''; i++) {
    const queue = random.below(3);
    const name = step(random, deliveries, queue, models[queue]!);
    problem = name.includes(':') ? name : problemOf(deliveries, queue, models[queue]!);
    const rows = models.reduce((total, model) => total + model.rows.length, 0);
    if (deliveries.freeRows !== 30 - rows) problem ||= `${deliveries.freeRows} rows are free`;
    const held = models.reduce((total, model) =>
      total + model.rows.filter(({ state }) => state !== RELEASED).length, 0);
    if (deliveries.store.count !== held) problem ||= `${deliveries.store.count} messages, not ${held}`;
    if (problem !== '') problem = `step ${i}, ${name} on queue ${queue}: ${problem}`;
  }
  t.equal(problem, '');
  t.end();
});
