// A second connection with the same identifier, and what CONNACK says of sessions. MQTT 3.1.1
// sections 3.1.2.4, 3.1.4, 3.2.2.2. Runs on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { concat, connect, disconnect, publish, subscribe } from '../support/packets.js';
import { connected, makeBroker, type Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import { attempt, tablesInUse } from './steps.js';

const PERSISTENT = { clientId: 'a', clean: false };
const CLEAN = { clientId: 'a', clean: true };

t.test('[MQTT-3.2.2-1] to [MQTT-3.2.2-3] CONNACK says truthfully whether a session is present', (t) => {
  const steps: { connections: boolean[]; wanted: string[] }[] = [
    { connections: [true], wanted: ['new'] },
    { connections: [false], wanted: ['new'] },
    { connections: [true, true], wanted: ['new', 'new'] },
    { connections: [true, false], wanted: ['new', 'new'] },
    { connections: [false, true], wanted: ['new', 'new'] },
    { connections: [false, false], wanted: ['new', 'present'] },
    { connections: [false, true, false], wanted: ['new', 'new', 'new'] },
    { connections: [false, false, true, false, false],
      wanted: ['new', 'present', 'new', 'new', 'present'] },
  ];
  const endings: [string, (peer: Peer) => void][] = [
    ['DISCONNECT', (peer) => peer.send(disconnect())], ['a lost link', (peer) => peer.drop()],
    ['takeover', () => {}],
  ];
  for (const [name, end] of endings) {
    for (const { connections, wanted } of steps) {
      const broker = makeBroker();
      const found = connections.map((clean) => {
        const { answers, peer } = attempt(broker, connect({ clientId: 'a', clean }));
        end(peer);
        return answers.join();
      });
      t.same(found, wanted.map((word) => `CONNACK ${word} 0`),
        `${connections.map((clean) => clean ? 'clean' : 'persistent').join(', ')} by ${name}`);
    }
  }
  t.end();
});

t.test('[MQTT-3.1.4-2] the old connection is closed, the new one served', (t) => {
  const broker = makeBroker();
  const old = connected(broker, CLEAN);
  const other = connected(broker, { clientId: 'b' });
  const { answers, closed, peer } = attempt(broker, connect(CLEAN));
  t.same([answers, closed, old.link.closed, other.link.closed],
    [['CONNACK new 0'], false, true, false]);
  t.equal(broker.counters[count.ENDED_TAKEN_OVER], 1);
  t.equal(broker.counters[count.CLIENTS_CONNECTED], 2);
  t.same(old.received(), [], 'nothing more to the old one');
  t.same(peer.send(subscribe(1, ['x', 0])), ['SUBACK id1 0']);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.1.2-8] takeover fires the will of the old connection, not that of the new', (t) => {
  const broker = makeBroker();
  const witness = connected(broker, { clientId: 'witness' });
  witness.send(subscribe(1, ['will/#', 0]));
  connected(broker, { ...PERSISTENT, will: { topic: 'will/one', payload: 'first' } });
  const second = connected(broker,
    { ...PERSISTENT, will: { topic: 'will/two', payload: 'second' } });
  t.same(witness.received(), ['PUBLISH q0 will/one first']);
  second.drop();
  t.same(witness.received(), ['PUBLISH q0 will/two second']);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.1.2-4] takeover keeps a persistent session: subscriptions, and what waited', (t) => {
  const broker = makeBroker();
  const old = connected(broker, PERSISTENT);
  old.send(subscribe(1, ['news', 1]));
  const publisher = connected(broker, { clientId: 'publisher' });
  publisher.send(publish('news', 'one', { qos: 1 }));
  t.same(old.received(), ['PUBLISH q1 id1 news one']);
  const { answers, peer } = attempt(broker, connect(PERSISTENT));
  t.same(answers, ['CONNACK present 0', 'PUBLISH q1 id1 dup news one']);
  publisher.send(publish('news', 'two', { qos: 1 }));
  t.same(peer.received(), ['PUBLISH q1 id2 news two']);
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.1.2-6] a clean session takes over without anything of the old one', (t) => {
  for (const before of [PERSISTENT, CLEAN]) {
    const broker = makeBroker();
    const old = connected(broker, before);
    old.send(concat(subscribe(1, ['news', 1]), publish('own', 'x', { qos: 2, id: 5 })));
    const publisher = connected(broker, { clientId: 'publisher' });
    publisher.send(publish('news', 'one', { qos: 1 }));
    const { answers, peer } = attempt(broker, connect(CLEAN));
    t.same(answers, ['CONNACK new 0']);
    publisher.send(publish('news', 'two', { qos: 1 }));
    t.same(peer.received(), []);
    peer.send(disconnect());
    publisher.send(disconnect());
    t.same(tablesInUse(broker), []);
    checkInvariants(broker);
  }
  t.end();
});

t.test('[MQTT-3.1.2-6] a persistent session does not inherit from the clean one that it takes over', (t) => {
  const broker = makeBroker();
  connected(broker, CLEAN).send(subscribe(1, ['news', 1]));
  const { answers, peer } = attempt(broker, connect(PERSISTENT));
  t.same(answers, ['CONNACK new 0']);
  t.equal(broker.memory.subscriptions.count, 0);
  peer.drop();
  t.equal(broker.memory.sessions.count, 1, 'it outlives its link');
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.1.2-4] MQTT 3.1 and 3.1.1 share a session', (t) => {
  const broker = makeBroker();
  const old = connected(broker, { ...PERSISTENT, level: 3 });
  old.send(subscribe(1, ['news', 1]));
  old.send(disconnect());
  connected(broker, { clientId: 'publisher' }).send(publish('news', 'one', { qos: 1 }));
  const { answers } = attempt(broker, connect(PERSISTENT));
  t.same(answers, ['CONNACK present 0', 'PUBLISH q1 id1 news one']);
  t.end();
});
