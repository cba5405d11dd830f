// TcpClient against real brokers, over TCP on loopback: Mosquitto (Debian: mosquitto, mosquitto-clients), and ours,
// which must serve it as well.

import t, { type Test } from 'tap';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONNECTED } from '../../src/client/states.js';
import { RawClient } from '../node/raw-client.js';
import { WatchedClient, type WatchedOptions } from '../node/watched-client.js';
import { Random } from '../support/random.js';
import { CuttingProxy } from './cutting-proxy.js';
import { type BrokerProcess, Mosquitto, mosquittoSkip, OurBroker } from './mosquitto-broker.js';

const skip = mosquittoSkip();

t.jobs = 3;
const withMosquitto = { skip, buffered: true };

/** The one part of Mosquitto that can refuse a subscription; with the program, where the system puts it. */
const dynamicSecurity = findLibrary('mosquitto_dynamic_security.so');

function findLibrary(name: string): string | undefined {
  for (const folder of ['/usr/lib', '/usr/local/lib', '/opt/homebrew/lib']) {
    if (!existsSync(folder)) continue;
    for (const each of ['', ...readdirSync(folder)]) {
      const file = join(folder, each, name);
      if (existsSync(file)) return file;
    }
  }
  return undefined;
}

interface Kind {
  name: string;
  skip: string | false;
  open: (owner: Test) => Promise<BrokerProcess>;
  /**
   * As `open`, and it sends in order however much a subscriber has yet to get. Mosquitto 2.0.11, as it comes, does not:
   * its window of 20 is counted twice, by a quota and by places in a list, and when acknowledgements of QoS 1 come
   * before older ones of QoS 2 the two differ. Then a new message goes out before those that wait for room, the end
   * of `flush` too. With a window without bounds nothing ever waits for room, and the order is that of the publisher.
   */
  openInOrder: (owner: Test) => Promise<BrokerProcess>;
}

const KINDS: readonly Kind[] = [
  { name: 'Mosquitto', skip, open: (owner) => Mosquitto.open(owner),
    openInOrder: (owner) => Mosquitto.open(owner, () => ['max_inflight_messages 0']) },
  { name: 'our broker', skip: false, open: (owner) => OurBroker.open(owner),
    openInOrder: (owner) => OurBroker.open(owner) },
];

/** One client publishes behind all that went before: when another has this, it has that, too. */
async function flush(publisher: WatchedClient, ...readers: WatchedClient[]): Promise<void> {
  const from = readers.map((reader) => reader.events.length);
  await publisher.publish('end', 'end', 1);
  await Promise.all(readers.map((reader, i) => reader.event(/^message .* end end$/, from[i])));
}

/** Subscribed to `filter`, and to what `flush` sends. */
async function reader(
  owner: Test, port: number, filter: string, QoS: number, options: WatchedOptions = {},
): Promise<WatchedClient> {
  const watched = await WatchedClient.open(owner, port, options);
  await watched.subscribe('end', 1);
  await watched.subscribe(filter, QoS);
  return watched;
}

/** What came, without the end. */
function messages(watched: WatchedClient): string[] {
  return watched.told(/^message (?!q. end end)/).map((event) => event.slice('message '.length));
}

function numbers(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, i) => String(first + i));
}

for (const { name, skip, open, openInOrder } of KINDS) {
  const options = { skip, buffered: true };

  for (const protocolLevel of [4, 3]) {
    t.test(`${name}, level ${protocolLevel}: every QoS to every QoS`, options, async (t) => {
      const { port } = await open(t);
      const readers = await Promise.all([0, 1, 2].map((QoS) => reader(t, port, 'maison/#', QoS,
        { protocolLevel, id: `reader-${QoS}` })));
      const publisher = await WatchedClient.open(t, port, { protocolLevel, id: 'publisher' });
      t.equal(publisher.client.publish('maison/salon', 'été 0'), 0);
      await publisher.publish('maison/salon', 'été 1', 1);
      await publisher.publish('maison/salon', 'été 2', 2);
      await flush(publisher, ...readers);
      readers.forEach((reader, granted) => {
        t.ok(reader.events.includes(`subscribed maison/# ${granted}`));
        t.strictSame(messages(reader), [0, 1, 2].map((QoS) => `q${Math.min(QoS, granted)} maison/salon été ${QoS}`));
      });
      t.equal(publisher.client.waitingCount, 0);
    });
  }

  t.test(`${name}: 1,000 messages of each QoS, each once and in order`, options, async (t) => {
    const { port } = await openInOrder(t);
    const all = await reader(t, port, 'n/#', 2);
    const publisher = await WatchedClient.open(t, port);
    for (const number of numbers(1, 1000)) {
      for (const QoS of [0, 1, 2]) {
        const outcome = publisher.client.publish(`n/${QoS}`, number, { QoS });
        if (QoS === 0 ? outcome !== 0 : outcome <= 0) t.fail(`not taken: ${outcome}`);
      }
      if (Number(number) % 100 === 0) await publisher.until(() => publisher.client.waitingCount < 100, 'room');
    }
    await publisher.until(() => publisher.client.waitingCount === 0, 'the last acknowledgement');
    await flush(publisher, all);
    for (const QoS of [0, 1, 2]) t.strictSame(all.texts(`n/${QoS}`), numbers(1, 1000), `QoS ${QoS}`);
    t.equal(all.told(/ dup /).length, 0);
    t.equal(publisher.told(/^delivered/).length, 2001, 'QoS 1, QoS 2 and the end');
  });

  t.test(`${name}: retained messages: kept, marked when they are old, cleared`, options, async (t) => {
    const { port } = await open(t);
    const publisher = await WatchedClient.open(t, port);
    const live = await reader(t, port, 'maison/#', 1);
    await publisher.publish('maison/a', 'old', 1, true);
    await publisher.publish('maison/a', 'new', 2, true);
    publisher.client.publish('maison/b', 'kept', { retain: true });
    await publisher.publish('maison/c', 'passing', 1);
    await flush(publisher, live);
    t.strictSame(messages(live),
      ['q1 maison/a old', 'q1 maison/a new', 'q0 maison/b kept', 'q1 maison/c passing'], 'live, none is marked');
    const late = await reader(t, port, 'maison/#', 2);
    await flush(publisher, late);
    t.strictSame(messages(late).sort(), ['q0 retain maison/b kept', 'q2 retain maison/a new']);
    await publisher.publish('maison/a', '', 1, true);
    const later = await reader(t, port, 'maison/#', 2);
    await flush(publisher, later);
    t.strictSame(messages(later), ['q0 retain maison/b kept']);
  });

  t.test(`${name}: a will when the link is lost, none after close`, options, async (t) => {
    const { port } = await open(t);
    const proxy = await CuttingProxy.open(t, port, new Random(1));
    const house = await reader(t, port, 'etat/#', 2);
    const client = (id: string): Promise<WatchedClient> => WatchedClient.open(t, proxy.port, {
      id, limits: { reconnectFirstMs: 60_000, reconnectMaxMs: 60_000 },
      will: { topic: `etat/${id}`, message: 'hors-ligne', QoS: 2, retain: true },
    });
    await (await client('polite')).close();
    const abrupt = await client('abrupt');
    proxy.cutAll();
    await house.event(/^message .* etat\/abrupt hors-ligne$/);
    await abrupt.event(/^disconnected 1/);
    await flush(house, house);
    t.strictSame(messages(house), ['q2 etat/abrupt hors-ligne']);
    const late = await reader(t, port, 'etat/#', 1);
    await flush(house, late);
    t.strictSame(messages(late), ['q1 retain etat/abrupt hors-ligne'], 'it was retained');
  });

  t.test(`${name}: a kept session gets what it missed, in order, and says that it was there`, options, async (t) => {
    const { port } = await open(t);
    const publisher = await WatchedClient.open(t, port);
    const kept = await reader(t, port, 'maison/+', 2, { id: 'kept', clean: false });
    await publisher.publish('maison/a', '0', 1);
    await flush(publisher, kept);
    await kept.close();
    for (const number of numbers(1, 60)) await publisher.publish('maison/a', number, 1 + Number(number) % 2);
    publisher.client.publish('maison/a', 'passing');
    kept.client.connect();
    await kept.eventCount(/^message/, 62);
    await flush(publisher, kept);
    t.strictSame(kept.told(/^connected/), ['connected new', 'connected present']);
    // A broker may keep QoS 0 messages, too: Mosquitto does not, unless it is told to.
    t.strictSame(kept.texts('maison/a').filter((text) => text !== 'passing'), numbers(0, 60));
    t.equal(kept.told(/^subscribed/).length, 2, 'nothing was subscribed again');
    await kept.close();

    const other = await WatchedClient.open(t, port, { id: 'kept', clean: false });
    t.equal(other.events[0], 'connected present', 'another process that has the identifier finds the session, too');
    await flush(publisher, other);
    await other.close();
    const clean = await WatchedClient.open(t, port, { id: 'kept' });
    t.equal(clean.events[0], 'connected new', 'a clean session ends it');
    await clean.close();
    t.equal((await WatchedClient.open(t, port, { id: 'kept', clean: false })).events[0], 'connected new');
  });

  t.test(`${name}, level 3: a kept session, of which CONNACK says nothing`, options, async (t) => {
    const { port } = await open(t);
    const publisher = await WatchedClient.open(t, port);
    const kept = await reader(t, port, 'maison/+', 2, { protocolLevel: 3, id: 'kept', clean: false });
    await kept.close();
    for (const number of numbers(1, 20)) await publisher.publish('maison/a', number, 2);
    kept.client.connect();
    await kept.eventCount(/^connected new/, 2);
    await kept.eventCount(/^message/, 20);
    await flush(publisher, kept);
    t.strictSame(kept.texts('maison/a'), numbers(1, 20));
  });

  t.test(`${name}: unsubscribe, and filters that overlap`, options, async (t) => {
    const { port } = await open(t);
    const publisher = await WatchedClient.open(t, port);
    const watched = await reader(t, port, 'maison/salon/+', 1);
    await watched.subscribe('maison/#', 2);
    await publisher.publish('maison/salon/t', '1', 2);
    await flush(publisher, watched);
    const both = messages(watched);
    t.ok(both.length === 1 || both.length === 2, `once, or once for each [MQTT-3.3.5-1]: ${both.join(', ')}`);
    // The higher QoS of both, says the clause; Mosquitto 2.0.11 takes one of them.
    for (const message of both) t.match(message, /^q[12] maison\/salon\/t 1$/);
    t.equal(watched.client.unsubscribe('maison/#'), 0);
    await watched.event(/^unsubscribed maison\/#$/);
    await publisher.publish('maison/salon/t', '2', 2);
    await publisher.publish('maison/cuisine', '3', 2);
    await flush(publisher, watched);
    t.strictSame(messages(watched).slice(both.length), ['q1 maison/salon/t 2']);
    t.equal(watched.client.unsubscribe('maison/salon/+'), 0);
    await watched.event(/^unsubscribed maison\/salon\/\+$/);
    await publisher.publish('maison/salon/t', '4', 2);
    await flush(publisher, watched);
    t.equal(messages(watched).length, both.length + 1);
  });

  t.test(`${name}: 200 KB there and back, byte for byte, at every QoS`, options, async (t) => {
    const { port } = await open(t);
    let text = '';
    for (let i = 0; text.length < 200_000; i++) text += `${i} `;
    const watched = await reader(t, port, 'large/#', 2);
    for (const QoS of [0, 1, 2]) t.ok(watched.client.publish(`large/${QoS}`, text, { QoS }) >= 0);
    await watched.eventCount(/^message .* large\//, 3);
    for (const QoS of [0, 1, 2]) t.ok(watched.texts(`large/${QoS}`)[0] === text, `QoS ${QoS}`);
    t.equal(watched.told(/^disconnected/).length, 0);
  });

  t.test(`${name}: without an identifier the broker gives one, to each its own [MQTT-3.1.3-6]`, options, async (t) => {
    const { port } = await open(t);
    const [a, b] = await Promise.all([reader(t, port, 'x', 1), reader(t, port, 'x', 1)]);
    await a!.publish('x', 'both', 1);
    await flush(a!, a!, b!);
    for (const each of [a!, b!]) t.strictSame(messages(each), ['q1 x both']);
    for (const each of [a!, b!]) t.equal(each.told(/^disconnected/).length, 0);
  });

  t.test(`${name}: taken over again and again, it comes back ever more slowly`, options, async (t) => {
    const { port } = await open(t);
    const limits = { reconnectFirstMs: 100, reconnectMaxMs: 60_000 };
    const twin = new WatchedClient(t, port, { id: 'twin', limits });
    const connectedMs: number[] = [];
    const lostMs: number[] = [];
    twin.onEvent = (event) => {
      if (event.startsWith('connected')) connectedMs.push(performance.now());
      if (event.startsWith('disconnected')) lostMs.push(performance.now());
    };
    twin.client.connect();
    for (let round = 1; round <= 5; round++) {
      await twin.eventCount(/^connected/, round);
      await RawClient.connected(t, port, { clientId: 'twin' });
      await twin.eventCount(/^disconnected/, round);
    }
    await twin.eventCount(/^connected/, 6);
    const waits = lostMs.map((ms, i) => connectedMs[i + 1]! - ms);
    waits.forEach((ms, i) => t.ok(ms >= 0.5 * limits.reconnectFirstMs * 2 ** i, `wait ${i}: ${ms.toFixed(0)} ms`));
  });

  t.test(`${name}: messages larger than packetBytesMax are skipped, and the others come`, options, async (t) => {
    const { port } = await open(t);
    const publisher = await WatchedClient.open(t, port);
    const small = await reader(t, port, 's/#', 2, { limits: { packetBytesMax: 1000 } });
    const large = 'x'.repeat(50_000);
    for (const number of numbers(1, 40)) { // more than a broker lets wait for their acknowledgement
      publisher.client.publish('s/0', large);
      await publisher.publish('s/1', large, 1);
      await publisher.publish('s/2', large, 2);
      await publisher.publish('s/small', number, Number(number) % 3 === 0 ? 1 : 2);
      // The reader keeps up, so that nothing waits for room in Mosquitto's window, where it may be passed: the broker
      // that has what the reader sent last has all its acknowledgements of before, too.
      await small.event(new RegExp(`^message .* s/small ${number}$`));
      await small.publish('read', number, 1);
    }
    await flush(publisher, small);
    t.strictSame(small.texts('s/small'), numbers(1, 40));
    t.equal(messages(small).length, 40);
    t.equal(small.client.core.counters.skippedTooLarge, 120);
    t.equal(small.told(/^disconnected/).length, 0);
  });

  t.test(`${name}: keep-alive of 1 s and of 2 s, and nothing else to say [MQTT-3.1.2-23]`, options, async (t) => {
    const { port } = await open(t);
    const silent = [1000, 2000].map((keepAlive) => new WatchedClient(t, port, { keepAlive }));
    for (const { client } of silent) client.connect();
    await Promise.all(silent.map((each) => each.event(/^connected/)));
    // How long that is: until the broker has missed one that sends no PINGREQ. Mosquitto looks every few seconds.
    await (await RawClient.connected(t, port, { keepAlive: 2 })).end(15_000);
    for (const each of silent) {
      t.strictSame(each.events, ['connected new']);
      t.equal(each.client.state, CONNECTED);
    }
  });
}

t.test('a login: accepted, and refused with its code; the right one is tried on', withMosquitto, async (t) => {
  let file = '';
  const passwords = (folder: string): void => {
    file = join(folder, 'passwords');
    writeFileSync(file, '', { mode: 0o600 });
    const { status } = spawnSync('mosquitto_passwd', ['-b', file, 'anne', 'sésame']);
    if (status !== 0) throw new Error('mosquitto_passwd failed');
  };
  const mosquitto = await Mosquitto.open(t, (folder) => {
    passwords(folder);
    return ['allow_anonymous false', `password_file ${file}`];
  });
  const ours = await OurBroker.open(t, '--password-file', file);
  // Mosquitto says to any login that it is not authorized.
  for (const [{ port }, wrong] of [[mosquitto, 5], [ours, 4]] as const) {
    const anne = await WatchedClient.open(t, port, { user: 'anne', password: 'sésame' });
    await anne.publish('a', 'b', 1);
    const logins: [login: WatchedOptions, returnCode: number][] =
      [[{ user: 'anne', password: 'wrong' }, wrong], [{ user: 'eve', password: 'sésame' }, wrong], [{}, 5]];
    for (const [login, returnCode] of logins) {
      const refused = new WatchedClient(t, port, login);
      refused.client.connect();
      await refused.eventCount(/^refused/, 2);
      t.strictSame(refused.events.slice(0, 3),
        [`refused ${returnCode}`, 'disconnected 4', `refused ${returnCode}`]);
      t.equal(refused.client.core.counters.refused, 2);
      await refused.close();
    }
  }
});

t.test('a subscription that is refused is told, and the others hold', {
  skip: skip || dynamicSecurity === undefined && 'not run: no mosquitto_dynamic_security.so on this machine',
}, async (t) => {
  const rules = {
    defaultACLAccess: { publishClientSend: true, publishClientReceive: true, subscribe: false, unsubscribe: true },
    anonymousGroup: 'all', clients: [], groups: [{ groupname: 'all', roles: [{ rolename: 'open' }] }],
    roles: [{ rolename: 'open', acls: [{ acltype: 'subscribePattern', topic: 'open/#', allow: true, priority: 1 }] }],
  };
  const mosquitto = await Mosquitto.open(t, (folder) => {
    const file = join(folder, 'rules.json');
    writeFileSync(file, JSON.stringify(rules), { mode: 0o600 });
    return [`plugin ${dynamicSecurity}`, `plugin_opt_config_file ${file}`];
  });
  const ours = await OurBroker.open(t, '--max-subscriptions', '1');
  for (const { port } of [mosquitto, ours]) {
    const watched = await WatchedClient.open(t, port);
    t.equal(await watched.subscribe('open/a', 1), 'subscribed open/a 1');
    t.equal(await watched.subscribe('secret', 1), 'subscribed secret 128');
    await watched.publish('secret', 'x', 1);
    await watched.publish('open/a', 'y', 1);
    await watched.event(/^message/);
    t.strictSame(watched.texts(), ['y']);
    t.equal(watched.client.core.counters.refusedSubscriptions, 1);
    t.equal(watched.told(/^disconnected/).length, 0);
  }
});

t.test('mosquitto_sub and mosquitto_pub at the other end', withMosquitto, async (t) => {
  const broker = await Mosquitto.open(t);
  const watched = await reader(t, broker.port, 'from/#', 2);
  await watched.publish('ready', 'now', 1, true);
  for (const QoS of [0, 1, 2]) {
    const sub = broker.mosquittoSub('-q', '2', '-t', 'to/#', '-t', 'ready', '-F', '%q %r %t %p', '-C', '3');
    await sub.line(/now$/);
    t.ok(watched.client.publish(`to/${QoS}`, 'été', { QoS }) >= 0);
    await watched.publish('to/end', 'end', 2);
    const { code, stdout } = await sub.end();
    t.equal(code, 0);
    t.strictSame(stdout.trimEnd().split('\n').slice(1), [`${QoS} 0 to/${QoS} été`, '2 0 to/end end']);
    t.match(await broker.mosquittoPub('-t', `from/${QoS}`, '-m', 'été', '-q', String(QoS), '-r'),
      { code: 0, stderr: '' });
    await watched.event(new RegExp(`^message q${QoS} from/${QoS} été$`));
  }
  let text = '';
  for (let i = 0; text.length < 200_000; i++) text += `${i},`;
  const sub = broker.mosquittoSub('-q', '2', '-t', 'large', '-t', 'ready', '-C', '2');
  await sub.line(/now$/);
  t.ok(watched.client.publish('large', text, { QoS: 2 }) > 0);
  t.ok((await sub.end()).stdout === `now\n${text}\n`, '200 KB to mosquitto_sub');
  const file = join(broker.folder, 'large');
  writeFileSync(file, text);
  t.match(await broker.mosquittoPub('-t', 'from/large', '-q', '2', '-f', file), { code: 0, stderr: '' });
  await watched.event(/^message q2 from\/large/);
  t.ok(watched.texts('from/large')[0] === text, '200 KB from mosquitto_pub');
});
