// CONNECT and new links when something is full: who is refused, who gives way, and what stays. Runs
// on Node and on XS.

import t from 'tap';
import { checkInvariants } from '../support/invariants.js';
import { connect, disconnect, fromHex, pingreq, publish, subscribe } from '../support/packets.js';
import { connected, makeBroker, pass, Peer } from '../support/peer.js';
import * as count from '../../src/broker/counters.js';
import { NONE } from '../../src/wire/codes.js';
import { attempt, tablesInUse } from './steps.js';

t.test('3.2.2.3: with clientsMax clients connected the next is answered with 0x03 and closed', (t) => {
  const broker = makeBroker({ clientsMax: 2, connectionsMax: 4 });
  const first = connected(broker, { clientId: 'a' });
  connected(broker, { clientId: 'b' });
  const { answers, closed } = attempt(broker, connect({ clientId: 'c' }));
  t.same([answers, closed], [['CONNACK new 3'], true]);
  t.equal(broker.counters[count.REFUSED_FULL], 1);
  t.equal(broker.memory.sessions.count, 2);
  first.send(disconnect());
  t.same(attempt(broker, connect({ clientId: 'c' })).answers, ['CONNACK new 0'],
    'and accepted when one has left');
  checkInvariants(broker);
  t.end();
});

t.test('[MQTT-3.1.4-2] a client takes its own connection over though clientsMax is reached', (t) => {
  const broker = makeBroker({ clientsMax: 2, connectionsMax: 4 });
  const old = connected(broker, { clientId: 'a' });
  connected(broker, { clientId: 'b' });
  t.same(attempt(broker, connect({ clientId: 'a' })).answers, ['CONNACK new 0']);
  t.ok(old.link.closed);
  t.equal(broker.counters[count.CLIENTS_CONNECTED], 2);
  t.equal(broker.counters[count.CLIENTS_MAXIMUM], 2);
  checkInvariants(broker);
  t.end();
});

t.test('3.2.2.3: with sessionsMax sessions kept a new client is answered with 0x03, a known one is served', (t) => {
  const broker = makeBroker({ clientsMax: 2, sessionsMax: 3 });
  for (const clientId of ['a', 'b', 'c']) {
    connected(broker, { clientId, clean: false }).send(disconnect());
  }
  const { answers, closed } = attempt(broker, connect({ clientId: 'd' }));
  t.same([answers, closed], [['CONNACK new 3'], true]);
  t.equal(broker.counters[count.REFUSED_FULL], 1);
  const known = attempt(broker, connect({ clientId: 'b', clean: false }));
  t.same(known.answers, ['CONNACK present 0']);
  const fresh = attempt(broker, connect({ clientId: 'c' }));
  t.same(fresh.answers, ['CONNACK new 0'], 'a clean session in the place of the kept one');
  fresh.peer.send(disconnect());
  t.same(attempt(broker, connect({ clientId: 'd' })).answers, ['CONNACK new 0'],
    'and its row is free afterwards');
  checkInvariants(broker);
  t.end();
});

t.test('4.2: with every slot taken the link that has been silent longest gives way to a new one', (t) => {
  const broker = makeBroker({ clientsMax: 2, connectionsMax: 4, connectTimeoutMs: 9000 });
  const clock = { nowMs: 0 };
  broker.tick(0);
  const client = connected(broker, { clientId: 'a' });
  const oldest = new Peer(broker);
  pass(broker, clock, 100);
  const older = new Peer(broker);
  pass(broker, clock, 100);
  const newest = new Peer(broker);
  const next = new Peer(broker);
  t.not(next.slot, NONE);
  t.same([client, oldest, older, newest, next].map((peer) => peer.link.closed),
    [false, true, false, false, false]);
  t.equal(broker.counters[count.REFUSED_CONNECT_TIMEOUT], 1);
  t.same(next.send(connect({ clientId: 'b' })), ['CONNACK new 0'], 'and is served');
  t.same(client.send(pingreq()), ['PINGRESP']);
  checkInvariants(broker);
  t.end();
});

t.test('4.2: with a client in every slot a new link gets none', (t) => {
  const broker = makeBroker({ clientsMax: 2, connectionsMax: 2 });
  const clients = [connected(broker, { clientId: 'a' }), connected(broker, { clientId: 'b' })];
  t.equal(new Peer(broker).slot, NONE);
  t.equal(broker.counters[count.REFUSED_FULL], 1);
  for (const client of clients) t.same(client.send(pingreq()), ['PINGRESP']);
  clients[0]!.drop();
  t.not(new Peer(broker).slot, NONE, 'one slot is free again');
  checkInvariants(broker);
  t.end();
});

t.test('3.1.2.5: a will that does not fit is answered with 0x03, and nothing else is lost', (t) => {
  const broker = makeBroker({ retainedBytes: 1024 });
  const publisher = connected(broker, { clientId: 'publisher' });
  publisher.send(publish('full', 'x'.repeat(950), { retain: true }));
  const away = connected(broker, { clientId: 'a', clean: false });
  away.send(subscribe(1, ['news', 1]));
  away.send(disconnect());
  const will = { topic: 'w', payload: 'y'.repeat(200) };
  for (const [clientId, clean] of [['a', false], ['b', false], ['c', true]] as const) {
    const { answers, closed } = attempt(broker, connect({ clientId, clean, will }));
    t.same([answers, closed], [['CONNACK new 3'], true], clientId);
  }
  t.equal(broker.counters[count.REFUSED_FULL], 3);
  checkInvariants(broker);
  publisher.send(publish('news', 'kept', { qos: 1 }));
  const back = attempt(broker, connect({ clientId: 'a', clean: false }));
  t.same(back.answers, ['CONNACK present 0', 'PUBLISH q1 id1 news kept'],
    'the session of who was refused');
  publisher.send(publish('full', '', { retain: true }));
  t.same(attempt(broker, connect({ clientId: 'b', will })).answers, ['CONNACK new 0'],
    'it fits when there is room');
  checkInvariants(broker);
  t.end();
});

t.test('2.2.3: a packet that claims more than packetBytesMax is refused from its header, CONNECT from its level', (t) => {
  const broker = makeBroker({ packetBytesMax: 1024 });
  for (const claim of ['10 ff ff ff 7f', '10 fe 07']) {
    t.notOk(attempt(broker, fromHex(`${claim} 0004 4d515454`)).closed, 'not before the level is there');
    const { answers, closed } = attempt(broker, fromHex(`${claim} 0004 4d515454 04`));
    t.same([answers, closed], [[], true], claim);
  }
  t.notOk(attempt(broker, fromHex('10 fd 07')).closed, '1,024 bytes are taken');
  t.ok(attempt(broker, fromHex('10 80 80 80 80')).closed, 'a length of five bytes is none');
  const client = connected(broker, { clientId: 'a' });
  client.send(fromHex('30 fe 07'));
  t.ok(client.link.closed, 'and after CONNECT');
  t.equal(broker.counters[count.ERRORS_TOO_LARGE], 3);
  t.equal(broker.counters[count.ERRORS_MALFORMED], 1);
  checkInvariants(broker);
  t.end();
});

t.test('4.2: slots are used again, and nothing of the one before shows', (t) => {
  const broker = makeBroker({ clientsMax: 2, connectionsMax: 2 });
  for (let round = 0; round < 5; round++) {
    const peer = connected(broker, { clientId: `client-${round}`, keepAlive: 1 });
    peer.send(subscribe(1, ['a/+', 2]));
    peer.send(publish('a/b', 'unacknowledged', { qos: 2, id: 7 }));
    peer.send(publish('a/b', 'cut').slice(0, 4));
    peer.drop();
    t.same(tablesInUse(broker), [], `round ${round}`);
  }
  const last = connected(broker, { clientId: 'last' });
  t.same(last.send(pingreq()), ['PINGRESP']);
  checkInvariants(broker);
  t.end();
});
