// Random lives of clients of 3.1.1 and 5.0 against a plain model of sessions and wills: who comes, leaves, is taken
// over, with which expiry and delay; which session is there, which will comes and when. MQTT 5.0 sections 3.1.2.4,
// 3.1.2.5, 3.1.2.11.2 and 3.14. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { connect, disconnect, subscribe, type ConnectFields } from '../support/packets.js';
import { connected, makeBroker, pass, type Peer } from '../support/peer.js';
import { Random } from '../support/random.js';
import type { Broker } from '../../src/broker/broker.js';
import { attempt, tablesInUse } from './steps.js';

const NEVER = 0xffffffff;
const NAMES = ['a', 'b', 'c', 'd', 'e'];

/** What the model knows of a session. */
interface Session {
  peer: Peer | null;
  level: number;
  expiry: number;
  will: { delay: number; payload: string } | null;
  /** Time of the first tick after it was left. */
  leftMs: number | null;
}

class World {
  readonly random: Random;
  readonly broker: Broker = makeBroker({ sessionsMax: 12 });
  readonly clock = { nowMs: 0 };
  readonly witness: Peer;
  readonly sessions = new Map<string, Session>();
  /** Wills that the model has published in this step. */
  wills: string[] = [];
  willCount = 0;
  /** How often each thing happened. */
  readonly seen: Record<string, number> = {};

  constructor(seed: number) {
    this.random = new Random(seed);
    this.broker.tick(0);
    this.witness = connected(this.broker, { clientId: 'witness' });
    this.witness.send(subscribe(1, ['will', 0]));
  }

  saw(what: string): void {
    this.seen[what] = (this.seen[what] ?? 0) + 1;
  }

  publish(session: Session, why: string): void {
    if (session.will !== null) {
      this.wills.push(`PUBLISH q0 will ${session.will.payload}`);
      this.saw(why);
    }
    session.will = null;
  }

  end(name: string, session: Session): void {
    this.publish(session, 'will at the end of its session');
    this.sessions.delete(name);
  }

  /** The connection of `name` is over; with its will, unless that is dropped. */
  leave(name: string, session: Session, withWill: boolean): void {
    session.peer = null;
    session.leftMs = null;
    if (!withWill) session.will = null;
    else if (session.will?.delay === 0) this.publish(session, 'will at once');
    if (session.expiry === 0) this.end(name, session);
  }

  come(name: string): string {
    const { random } = this;
    const level = random.pick([4, 5, 5, 5]);
    const clean = random.chance(30);
    const expiry = random.pick([0, 1, 2, 5, NEVER]);
    const delay = random.pick([0, 0, 1, 3, 9]);
    const payload = String(++this.willCount);
    const properties = { willDelay: level === 5 ? delay : 0 };
    const will = random.chance(70) ? { topic: 'will', payload, properties } : null;
    const fields: ConnectFields = { clientId: name, level, clean, ...(will ? { will } : {}),
      ...(level === 5 ? { properties: { sessionExpiry: expiry } } : {}) };

    const old = this.sessions.get(name);
    if (old?.peer) this.leave(name, old, true);
    const left = this.sessions.get(name);
    if (left && clean) this.end(name, left);
    if (left && !clean && left.will !== null) this.saw('will cancelled');
    const present = left !== undefined && !clean;
    if (old?.peer === null && present) this.saw('resumed');
    const { peer, answers } = attempt(this.broker, connect(fields));
    this.sessions.set(name, { peer, level, expiry: level === 5 ? expiry : clean ? 0 : NEVER,
      will: will && { delay: level === 5 ? delay : 0, payload }, leftMs: null });
    return (answers[0] ?? '').startsWith(`CONNACK ${present ? 'present' : 'new'} 0`) ? '' :
      `${name} level ${level} clean ${clean}: ${answers.join('; ')}, wanted ${present ? 'present' : 'new'}`;
  }

  go(name: string, session: Session): string {
    const { random } = this;
    const peer = session.peer!;
    if (random.chance(40)) {
      peer.drop();
      this.leave(name, session, true);
      return '';
    }
    if (session.level !== 5) {
      peer.send(disconnect());
      this.leave(name, session, false);
      return '';
    }
    const code = random.pick([0, 0, 4, 0x80]);
    const expiry = random.pick([undefined, 0, 3, NEVER]);
    const answers = peer.send(disconnect(code, expiry === undefined ? {} : { sessionExpiry: expiry }));
    if (session.expiry === 0 && expiry !== undefined && expiry !== 0) {
      this.saw('expiry from 0');
      this.leave(name, session, true);
      return (answers[0] ?? '').startsWith('DISCONNECT 0x82') ? '' : `expiry from 0: ${answers.join('; ')}`;
    }
    if (expiry !== undefined) session.expiry = expiry;
    this.leave(name, session, code !== 0);
    return answers.join('; ');
  }

  tick(): void {
    pass(this.broker, this.clock, this.random.pick([0, 1, 999, 1000, 1001, 2500, 9000]));
    for (const [name, session] of [...this.sessions]) {
      if (session.peer !== null) continue;
      session.leftMs ??= this.clock.nowMs;
      const goneMs = this.clock.nowMs - session.leftMs;
      if (session.expiry !== NEVER && goneMs >= session.expiry * 1000) {
        this.saw('expired');
        this.end(name, session);
      } else if (session.will !== null && goneMs >= session.will.delay * 1000) {
        this.publish(session, 'will after its delay');
      }
    }
  }

  /** One thing happens; what differs from the model, or ''. */
  step(): string {
    this.wills = [];
    const name = this.random.pick(NAMES);
    const session = this.sessions.get(name);
    const what = this.random.weighted({ come: 4, go: 4, tick: 5 });
    let trouble = '';
    if (what === 'tick') this.tick();
    else if (what === 'go' && session?.peer) trouble = this.go(name, session);
    else trouble = this.come(name);
    checkInvariants(this.broker);
    const received = this.witness.received().sort().join('; ');
    const wanted = this.wills.sort().join('; ');
    if (received !== wanted) trouble += ` wills: ${received}, wanted ${wanted}`;
    if (this.broker.memory.sessions.count !== this.sessions.size + 1) {
      trouble += ` ${this.broker.memory.sessions.count - 1} sessions, wanted ${this.sessions.size}`;
    }
    return trouble;
  }
}

t.test('5.0 [MQTT-4.1.0-2] [MQTT-3.1.2-8] [MQTT-3.1.3-9] sessions and wills live as long as the model says', (t) => {
  const seen: Record<string, number> = {};
  for (let seed = 1; seed <= 40; seed++) {
    const world = new World(seed);
    for (let step = 1; step <= 150; step++) {
      const trouble = world.step();
      if (trouble === '') continue;
      t.fail(`seed ${seed}, step ${step}: ${trouble}`);
      break;
    }
    for (const [what, count] of Object.entries(world.seen)) seen[what] = (seen[what] ?? 0) + count;
  }
  for (const what of ['will at once', 'will after its delay', 'will at the end of its session', 'will cancelled',
    'resumed', 'expired', 'expiry from 0']) t.ok((seen[what] ?? 0) > 10, `${what}: ${seen[what]}`);
  t.end();
});

t.test('a broker whose sessions have all ended holds nothing', (t) => {
  const broker = makeBroker();
  const clock = { nowMs: 0 };
  for (let i = 0; i < 500; i++) {
    connected(broker, { clientId: `c${i % 7}`, level: 5, properties: { sessionExpiry: 1 + i % 3 },
      will: { topic: 'w', payload: 'x', properties: { willDelay: i % 4 } } }).drop();
    pass(broker, clock, 100);
  }
  pass(broker, clock, 4000);
  t.same(tablesInUse(broker), []);
  checkInvariants(broker);
  t.end();
});
