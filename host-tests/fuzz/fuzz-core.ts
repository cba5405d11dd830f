// A hostile peer beside two that behave: what it sends, damaged and in pieces, must neither throw nor disturb them,
// nor leave a table in disorder. Deterministic; runs on Node and on XS.

import { Random } from '../simulation/random.js';
import { checkInvariants } from '../support/invariants.js';
import { ascii, puback, pubcomp, publish, pubrec, pubrel, subscribe, toHex } from '../support/packets.js';
import { connected, makeBroker, pass, Peer } from '../support/peer.js';
import { someStream } from './mutate.js';

/**
 * The well-behaved pair use one topic for each QoS, below a `$`: a hostile subscriber of `#` that reads nothing would
 * slow them down, and rightly.
 */
const OWN = ['$own/0', '$own/1', '$own/2'];

class Pair {
  readonly #publisher: Peer;
  readonly #subscriber: Peer;
  readonly #sent = [0, 0, 0];
  readonly #seen = [0, 0, 0];
  #id = 0;

  constructor(publisher: Peer, subscriber: Peer) {
    this.#publisher = publisher;
    this.#subscriber = subscriber;
    subscriber.send(subscribe(1, [OWN[0]!, 0], [OWN[1]!, 1], [OWN[2]!, 2]));
  }

  /** One numbered message, through to the last acknowledgement on both sides. */
  exchange(qos: number): void {
    this.#id = this.#id % 0xffff + 1;
    const number = ++this.#sent[qos]!;
    const answers = this.#publisher.send(publish(OWN[qos]!, ascii(String(number)), { qos, id: this.#id }));
    const wanted = ['', `PUBACK id${this.#id}`, `PUBREC id${this.#id}`][qos]!;
    if (answers.join() !== wanted) throw new Error(`publisher got "${answers.join('; ')}" and not "${wanted}"`);
    if (qos === 2) this.#publisher.send(pubrel(this.#id));
    this.#take(this.#subscriber.received());
    if (this.#seen[qos] !== number) throw new Error(`subscriber has ${this.#seen[qos]} of ${number} at QoS ${qos}`);
  }

  #take(packets: string[]): void {
    for (const words of packets) {
      const [name, ...rest] = words.split(' ');
      if (name === 'PUBREL') {
        this.#take(this.#subscriber.send(pubcomp(Number(rest[0]!.slice(2)))));
        continue;
      }
      if (name === 'SUBACK') continue;
      const found = /^PUBLISH q(\d)(?: id(\d+))? \$own\/(\d) (\d+)$/.exec(words);
      if (found === null || found[1] !== found[3]) throw new Error(`subscriber got "${words}"`);
      const qos = Number(found[1]);
      const next = ++this.#seen[qos]!;
      if (Number(found[4]) !== next) throw new Error(`subscriber got "${words}" in the place of number ${next}`);
      if (qos > 0) this.#take(this.#subscriber.send((qos === 1 ? puback : pubrec)(Number(found[2]))));
    }
  }
}

/** Runs `steps` streams of one hostile peer after another; throws an Error that says how to repeat it. */
export function fuzzCore(seed: number, steps: number): void {
  const random = new Random(seed);
  const clock = { nowMs: 0 };
  const broker = makeBroker({ sysIntervalMs: random.chance(50) ? 1000 : 0, packetBytesMax: 512,
    inboxBytes: 600, outboxBytes: 600, queuedMax: 192, queueBytes: 192 * 512 });
  pass(broker, clock, 0);
  const publisher = connected(broker, { clientId: 'publisher' });
  const pair = new Pair(publisher, connected(broker, { clientId: 'subscriber' }));
  let hostile: Peer[] = [];
  let bytes = new Uint8Array(0);
  for (let step = 0; step < steps; step++) {
    try {
      bytes = someStream(random).slice();
      hostile = hostile.filter((peer) => !peer.link.closed);
      const peer = hostile.length < 4 && random.chance(50) || hostile.length === 0 ?
        newcomer(broker, random, hostile) : random.pick(hostile);
      if (!peer.link.closed) peer.send(bytes, random.chance(30) ? 1 : random.between(1, 40));
      checkInvariants(broker);
      pair.exchange(step % 3);
      disturb(broker, random, hostile, clock);
      checkInvariants(broker);
    } catch (error) {
      throw new Error(`fuzz of the core, seed ${seed}, step ${step}, bytes ${toHex(bytes)}: ` +
        (error instanceof Error ? error.stack ?? error.message : String(error)));
    }
  }
}

function newcomer(broker: Peer['broker'], random: Random, hostile: Peer[]): Peer {
  const peer = new Peer(broker);
  if (random.chance(30)) peer.link.capacity = random.below(200);
  hostile.push(peer);
  return peer;
}

/** What else happens to hostile peers: links drain, break, and time passes. */
function disturb(broker: Peer['broker'], random: Random, hostile: Peer[], clock: { nowMs: number }): void {
  const peer = hostile.length > 0 ? random.pick(hostile) : null;
  if (peer !== null && !peer.link.closed) {
    if (random.chance(20)) peer.resume();
    else if (random.chance(10)) peer.drop();
  }
  if (random.chance(20)) pass(broker, clock, random.between(1, 900));
}
