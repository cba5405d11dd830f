// The queue of a client without a broker, against a list that says what must be in it: what is
// taken, what is dropped for what, and the order in which all of it comes out. Runs on Node and XS.

import t from 'tap';
import { QueueFull } from '../../src/limits.js';
import { QUOTA_EXCEEDED, SERVER_UNAVAILABLE } from '../../src/wire/codes.js';
import { Random } from '../support/random.js';
import { judgeAlive } from './judge.js';
import { World } from './world.js';

interface Entry {
  number: number;
  topic: string;
  blocks: number;
}

/** What a queue holds, in the plainest way. */
class PlainQueue {
  readonly entries: Entry[] = [];
  readonly dropped: number[] = [];
  /** Of the entries, how many are in flight and cannot be dropped. */
  locked = 0;
  readonly #policy: QueueFull;
  readonly #rowsMax: number;
  readonly #blocksMax: number;

  constructor(policy: QueueFull, rowsMax: number, blocksMax: number) {
    this.#policy = policy;
    this.#rowsMax = rowsMax;
    this.#blocksMax = blocksMax;
  }

  #fits(entries: readonly Entry[], blocks: number): boolean {
    return entries.length < this.#rowsMax &&
      entries.reduce((sum, entry) => sum + entry.blocks, 0) + blocks <= this.#blocksMax;
  }

  add(entry: Entry): boolean {
    while (!this.#fits(this.entries, entry.blocks)) {
      if (this.#policy === QueueFull.REFUSE_NEW) return false;
      if (!this.#fits(this.entries.slice(0, this.locked), entry.blocks)) return false;
      const free = this.entries.slice(this.locked);
      const same = free.find(({ topic }) => this.#policy === QueueFull.KEEP_LATEST && topic === entry.topic);
      const victim = same ?? free[0]!;
      this.dropped.push(victim.number);
      this.entries.splice(this.entries.indexOf(victim), 1);
    }
    this.entries.push(entry);
    return true;
  }
}

/** One queue, filled at random without a broker or with one that answers nothing, then delivered. */
function runQueue(seed: number): string {
  const random = new Random(seed);
  const queueFull = random.pick(Object.values(QueueFull));
  const queuedMax = random.between(1, 8);
  const messageBlockBytes = random.pick([8, 16, 32, 100]);
  const queueBytes = random.between(300, 600);
  const queueQos0 = random.chance(50);
  const inflightMax = random.between(1, 4);
  const world = new World(seed, { queueQos0, limits: {
    queueFull, queuedMax, messageBlockBytes, queueBytes, inflightMax, packetBytesMax: 256,
  } });
  const { application } = world;
  const model = new PlainQueue(queueFull, queuedMax, Math.floor(queueBytes / messageBlockBytes));
  const silent = random.chance(40);
  if (silent) { // PUBLISH goes out, no answer comes
    world.connect();
    world.run();
    world.wire!.toClient.lostFrom = world.wire!.toClient.sentBytes;
    world.wire!.disturbed = true;
  }
  for (let count = random.between(1, 30); count > 0; count--) {
    const qos = silent ? random.between(1, 2) : random.below(3);
    const topic = `out/${random.below(4)}`;
    const outcome = application.publish(topic, qos, 'x'.repeat(random.below(random.chance(20) ? 220 : 40)));
    const { number, payload } = application.sent[application.sent.length - 1]!;
    const blocks = Math.ceil((2 + topic.length + payload.length) / messageBlockBytes);
    const taken = (qos > 0 || queueQos0) && model.add({ number, topic, blocks });
    if (silent) model.locked = Math.min(inflightMax, model.entries.length);
    const wanted = taken ? 1 : qos > 0 || queueQos0 ? QUOTA_EXCEEDED : SERVER_UNAVAILABLE;
    if (Math.sign(outcome) !== Math.sign(wanted) || outcome < 0 && outcome !== wanted) {
      return `message ${number}: ${outcome} in the place of ${wanted}`;
    }
    world.run();
    const dropped = application.sent.filter(({ fate }) => fate === 'dropped').map(({ number }) => number);
    const wantedDropped = [...model.dropped].sort((one, other) => one - other);
    if (dropped.join() !== wantedDropped.join()) return `dropped are ${dropped.join()}, not ${wantedDropped.join()}`;
    const { counters, waitingCount } = world.client;
    if (counters.droppedOld !== dropped.length) return `droppedOld is ${counters.droppedOld}`;
    if (waitingCount !== model.entries.length) return `${waitingCount} wait, not ${model.entries.length}`;
  }
  world.heal();
  const heard = new Set(world.heard.filter(({ topic }) => topic !== 'will').map(({ payload }) => payload));
  const numbers = [...heard].map((payload) => Number(payload.split('.')[0]));
  const wanted = model.entries.map(({ number }) => number);
  if (numbers.join() !== wanted.join()) return `came ${numbers.join()}, not ${wanted.join()}`;
  if (application.kept.size > 0) return `${application.kept.size} are not answered for`;
  judgeAlive(world);
  return '';
}

t.test('a queue takes, drops and sends what a plain list says, whatever it does when it is full', (t) => {
  for (let seed = 1; seed <= 60; seed++) {
    const fault = runQueue(seed);
    if (fault !== '') t.fail(`seed ${seed}: ${fault}`);
  }
  t.pass('60 queues');
  t.end();
});
