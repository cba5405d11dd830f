// src/moddable/network/mdns-responder.ts and broker-finder.ts in a local network of UDP: a hub that claims its name and
// answers, sensors that find it, hosts that quarrel, and packets that nobody should send. Messages of others are
// written by hand or as captured, and ours are read by a decoder of the tests.
import t from 'tap';
import { brokerFinder, type BrokerFinderOptions } from '../../src/moddable/network/broker-finder.js';
import { DnsReader, DnsWriter, dnsName } from '../../src/moddable/network/dns-message.js';
import { MdnsResponder, type MdnsResponderOptions } from '../../src/moddable/network/mdns-responder.js';
import {
  A, addressRecord, ANY, brokerRecords, describe, message, PTR, query, response, SRV, UNICAST, type Record_,
} from './discovery-messages.js';
import { FakeNet } from './fake-io.js';
import { FakeLan } from './network-fakes.js';

const GROUP = '224.0.0.251';
const HOST_A = 'maison.local A 8001 120 192.168.1.7';
const HOST_NSEC = 'maison.local NSEC 8001 120 maison.local 0 1 64';
const BROKER = [
  '_mqtt._tcp.local PTR 1 4500 maison._mqtt._tcp.local',
  'maison._mqtt._tcp.local SRV 8001 120 maison.local:1883',
  'maison._mqtt._tcp.local TXT 8001 4500 0',
];

function setUp() {
  const net = new FakeNet('lwip');
  const lan = new FakeLan(net);
  const names: string[] = [];
  const hub = (address = '192.168.1.7', more: Partial<MdnsResponderOptions> = {}) => new MdnsResponder({
    ...net.io, UDP: lan.host(address), hostName: 'maison', address, port: 1883, random: () => 0,
    onName: (name) => names.push(`${address} ${name}`), ...more,
  });
  /** Another host, with what was sent to it. */
  const other = (address = '192.168.1.50', port = 5353) => {
    const heard: string[][] = [];
    const socket = new (lan.host(address))({
      port,
      onReadable(count) {
        for (; count > 0; count--) heard.push(describe(new Uint8Array(this.read()!)));
      },
    });
    return { socket, heard, ask: (bytes: Uint8Array, to = GROUP) => socket.write(bytes, to, 5353) };
  };
  /** What was sent from this address since the last call. */
  let at = 0;
  const sent = (address = '192.168.1.7') => {
    const lines = lan.packets.slice(at).filter(({ from }) => from.startsWith(`${address}:`))
      .map(({ to, bytes }) => ({ to, lines: describe(bytes) }));
    at = lan.packets.length;
    return lines;
  };
  return { net, lan, names, hub, other, sent };
}

t.test('the name is probed three times, then announced twice [RFC 6762 8.1, 8.3]', (t) => {
  const { net, hub, names, sent } = setUp();
  const responder = hub();
  t.equal(responder.hostName, '');
  net.run(800);
  const probe = { to: `${GROUP}:5353`, lines: ['0 0', '? maison.local ANY 8001', 'maison.local A 1 120 192.168.1.7'] };
  t.same(sent(), [probe, probe, probe]);
  t.same(names, []);
  net.run(5000);
  const announcement = { to: `${GROUP}:5353`, lines: ['0 8400', ...BROKER, HOST_A, HOST_NSEC] };
  t.same(sent(), [announcement, announcement]);
  t.same(names, ['192.168.1.7 maison']);
  t.equal(responder.hostName, 'maison');
  t.equal((net.io.Timer as unknown as { count: number }).count, 0, 'and the timer is gone');
  responder.close();
  responder.close();
  t.equal(responder.hostName, '');
  t.end();
});

t.test('it answers what is asked of it, to all or to one, and nothing else', (t) => {
  const { net, hub, other, sent } = setUp();
  hub();
  net.run(3000);
  sent();
  const host = other();
  const answers = (bytes: Uint8Array) => {
    net.run(2000);
    sent();
    host.ask(bytes);
    net.run(10);
    return sent();
  };
  const toAll = (...lines: string[]) => [{ to: `${GROUP}:5353`, lines: ['0 8400', ...lines] }];
  t.same(answers(query(['maison.local', A])), toAll(HOST_A, HOST_NSEC));
  t.same(answers(query(['MAISON.Local', A])), toAll(HOST_A, HOST_NSEC));
  t.same(answers(query(['maison.local', 28])), toAll(HOST_A, HOST_NSEC), 'that there is no address of IPv6');
  t.same(answers(query(['maison.local', ANY])), toAll(HOST_A, HOST_NSEC), 'a probe of somebody else');
  t.same(answers(query(['_mqtt._tcp.local', PTR])), toAll(...BROKER, HOST_A, HOST_NSEC));
  t.same(answers(query(['maison._mqtt._tcp.local', SRV])), toAll(...BROKER, HOST_A, HOST_NSEC));
  t.same(answers(query(['maison._mqtt._tcp.local', 16])), toAll(...BROKER, HOST_A, HOST_NSEC));
  t.same(answers(query(['_services._dns-sd._udp.local', PTR])),
    toAll('_services._dns-sd._udp.local PTR 1 4500 _mqtt._tcp.local'));
  t.same(answers(query(['x.local', A], ['maison.local', A])), toAll(HOST_A, HOST_NSEC), 'the second question');
  t.same(answers(query(['maison.local', A, UNICAST])),
    [{ to: '192.168.1.50:5353', lines: ['0 8400', HOST_A, HOST_NSEC] }]);
  for (const question of [['other.local', A], ['maison.locale', A], ['maiso.local', A], ['_http._tcp.local', PTR],
    ['maison.local', PTR], ['maison._mqtt._tcp.local', A], ['_mqtt._tcp.local', A], ['', ANY]] as [string, number][]) {
    t.same(answers(query(question)), [], question[0]);
  }
  t.same(answers(message(0, 0x8400, [['maison.local', A]])), [], 'a response is no question');
  const known = brokerRecords('maison', 'maison.local', '192.168.1.7').slice(0, 1);
  t.same(answers(message(0, 0, [['_mqtt._tcp.local', PTR]], known)), [], 'whoever knows it already [7.1]');
  const others = brokerRecords('other', 'other.local', '192.168.1.9').slice(0, 1);
  t.equal(answers(message(0, 0, [['_mqtt._tcp.local', PTR]], others)).length, 1);
  t.end();
});

t.test('a question with a pointer, as Avahi and Apple send it', (t) => {
  const { net, hub, other, sent } = setUp();
  hub();
  net.run(3000);
  sent();
  // _http._tcp.local PTR, then _mqtt with a pointer to ._tcp.local, PTR
  const bytes = Uint8Array.from([
    0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0,
    5, ...Buffer.from('_http'), 4, ...Buffer.from('_tcp'), 5, ...Buffer.from('local'), 0, 0, 12, 0, 1,
    5, ...Buffer.from('_mqtt'), 0xc0, 18, 0, 12, 0, 1,
  ]);
  other().ask(bytes);
  net.run(10);
  t.same(sent().map(({ lines }) => lines.length), [6]);
  t.end();
});

t.test('who speaks no multicast DNS gets its own question back, and short lives [6.7]', (t) => {
  const { net, hub, other } = setUp();
  hub();
  net.run(3000);
  const host = other('192.168.1.50', 40000);
  host.ask(message(0x1234, 0x0100, [['maison.local', A]]));
  net.run(10);
  t.same(host.heard, [['4660 8400', '? maison.local A 1', 'maison.local A 1 10 192.168.1.7']]);
  t.end();
});

t.test('the same is not sent to all twice in a second [6]', (t) => {
  const { net, hub, other, sent } = setUp();
  hub();
  net.run(5000);
  sent();
  const host = other();
  for (let i = 0; i < 100; i++) {
    host.ask(query(['_mqtt._tcp.local', PTR]));
    net.run(25);
  }
  t.equal(sent().length, 3);
  t.end();
});

t.test('a name that another host has is given up for the next', (t) => {
  const { net, lan, hub, names, other, sent } = setUp();
  const first = other('192.168.1.20');
  const taken = new Set(['maison.local', 'maison-2.local']);
  lan.sockets.find(({ address }) => address === '192.168.1.20')!.groups.add(GROUP);
  let at = 0;
  const defend = (): void => {
    for (; at < lan.packets.length; at++) {
      const [, question] = describe(lan.packets[at]!.bytes);
      const name = / (\S+) ANY/.exec(question!)?.[1];
      if (name !== undefined && taken.has(name)) first.ask(response(addressRecord(name, '192.168.1.20')));
    }
  };
  hub();
  for (let i = 0; i < 400; i++) {
    net.run(10);
    defend();
  }
  t.same(names, ['192.168.1.7 maison-3']);
  t.match(sent().at(-1)!.lines.join('\n'), /maison-3\._mqtt\._tcp\.local SRV .* maison-3\.local:1883/);
  t.end();
});

t.test('two hubs that claim a name at once have two names in the end', (t) => {
  for (const [first, second] of [[0, 63], [10, 11], [63, 1]] as const) {
    const { net, hub, names } = setUp();
    const hubs = [hub('192.168.1.7', { random: () => first }), hub('192.168.1.8', { random: () => second })];
    net.run(20_000);
    t.same(hubs.map(({ hostName }) => hostName).sort(), ['maison', 'maison-2'], `${first} ${second}: ${names}`);
  }
  t.end();
});

t.test('two networks that become one: one of two hubs takes another name', (t) => {
  const { net, lan, hub, names } = setUp();
  const first = hub('192.168.1.7');
  net.run(5000);
  const away = lan.sockets.splice(0);
  const second = hub('192.168.1.8', { random: () => 40 });
  net.run(5000);
  t.same(names, ['192.168.1.7 maison', '192.168.1.8 maison']);
  lan.sockets.push(...away);
  const asking = new (lan.host('192.168.1.50'))({ port: 5353, onReadable() {} });
  asking.write(query(['maison.local', A]), GROUP, 5353);
  net.run(10_000);
  t.same([first.hostName, second.hostName].sort(), ['maison', 'maison-2']);
  t.end();
});

t.test('names that are none, ports in use, networks that are gone', (t) => {
  const { net, lan, hub, names } = setUp();
  for (const hostName of ['', 'maison.local', 'la maison', 'é', '-maison', 'x'.repeat(33), 'a\u0011']) {
    t.throws(() => hub('192.168.1.7', { hostName }), RangeError, hostName);
  }
  const busy = new (lan.host('192.168.1.7'))({ port: 5353, onReadable() {} });
  t.equal(hub().hostName, '');
  t.match(net.traces.join(''), /no name in the local network: Error: bind failed/);
  net.run(5000);
  t.same(names, []);
  busy.close();
  hub();
  lan.down = true;
  net.run(600);
  lan.down = false;
  net.run(5000);
  t.same(names, ['192.168.1.7 maison'], 'what cannot be sent does not matter');
  const simulated = hub('192.168.1.9', { UDP: lan.host('192.168.1.9', false), hostName: 'other' });
  net.run(5000);
  t.equal(simulated.hostName, 'other', 'where there are no groups');
  t.end();
});

function setUpSensor(more: Partial<BrokerFinderOptions> = {}) {
  const world = setUp();
  const { net, lan } = world;
  const told: string[] = [];
  const find = brokerFinder({ ...net.io, UDP: lan.host('192.168.1.30'), ...more });
  const locate = () => find(
    (host, address, port) => told.push(`${host} ${address}:${port}`),
    (error) => told.push(error.message),
  );
  return { ...world, told, locate };
}

t.test('a sensor finds the hub, by the service or by the name, and leaves nothing open', (t) => {
  for (const hostName of [undefined, 'maison', 'maison.local']) {
    const { net, lan, hub, told, locate } = setUpSensor(hostName === undefined ? {} : { hostName });
    hub();
    net.run(3000);
    locate();
    t.same(told, []);
    net.run(1500);
    t.same(told, ['maison.local 192.168.1.7:1883']);
    t.equal(lan.sockets.length, 1);
    net.run(10_000);
    t.equal(told.length, 1);
    t.equal((net.io.Timer as unknown as { count: number }).count, 0);
  }
  t.end();
});

t.test('nobody answers: told after five seconds, having asked four times; the next search is a new one', (t) => {
  const { net, lan, hub, told, locate, sent } = setUpSensor();
  locate();
  net.run(4900);
  t.same(told, []);
  net.run(200);
  t.same(told, ['no broker answers in the local network']);
  t.same(sent('192.168.1.30').map(({ lines }) => lines), Array(4).fill(['0 0', '? _mqtt._tcp.local PTR 8001']));
  hub();
  net.run(5000);
  locate();
  net.run(100);
  locate();
  net.run(3000);
  t.same(told.slice(1), ['maison.local 192.168.1.7:1883'], 'of two searches the first is over');
  lan.down = true;
  locate();
  net.run(6000);
  t.equal(told.length, 3, 'also when nothing can be sent');
  t.end();
});

t.test('a name that nobody has, and names that are none', (t) => {
  const { net, told, locate, hub } = setUpSensor({ hostName: 'grenier' });
  hub();
  locate();
  net.run(6000);
  t.same(told, ['nobody is called grenier in the local network']);
  for (const hostName of ['', 'broker.example.org', 'x'.repeat(64), '.local']) {
    t.throws(() => setUpSensor({ hostName }), RangeError, hostName);
  }
  t.end();
});

t.test('of several brokers the first of the alphabet, whoever answers first', (t) => {
  for (const order of [['bb', 'aaa', 'c'], ['c', 'bb', 'aaa'], ['aaa', 'bb', 'c']]) {
    const { net, told, locate, other } = setUpSensor();
    const host = other('192.168.1.50', 5353);
    locate();
    order.forEach((name, i) => net.after(200 + 200 * i, () => {
      const records = brokerRecords(name, `${name}.local`, `192.168.1.${name.charCodeAt(0)}`, 1884);
      host.socket.write(response(...records), '192.168.1.30', 50000);
    }));
    net.run(3000);
    t.same(told, ['aaa.local 192.168.1.97:1884'], `${order}`);
  }
  t.end();
});

t.test('a broker that tells of itself piece by piece is asked for the rest', (t) => {
  const { net, lan, told, locate, sent } = setUpSensor();
  const [pointer, service, address] = brokerRecords('hub 1', 'host.local', '192.168.1.5');
  const to = (record: Record_ | undefined) =>
    new (lan.host('192.168.1.50'))({ onReadable() {} }).write(response(record!), '192.168.1.30', 50000);
  locate();
  to(pointer);
  net.run(1100);
  t.same(sent('192.168.1.30').at(-1)!.lines, ['0 0', '? hub 1._mqtt._tcp.local SRV 8001']);
  to(service);
  net.run(1000);
  t.same(sent('192.168.1.30').at(-1)!.lines, ['0 0', '? host.local A 8001']);
  to(address);
  net.run(1500);
  t.same(told, ['host.local 192.168.1.5:1883']);
  t.end();
});

t.test('an answer as Avahi gives it: pointers, other records, the address first', (t) => {
  const { net, lan, told, locate } = setUpSensor();
  // header; serveur.local A; _mqtt._tcp.local PTR; SRV; TXT: names by pointers, as RFC 1035 section 4.1.4 has them
  const bytes = Uint8Array.from([
    0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 3,
    7, ...Buffer.from('serveur'), 5, ...Buffer.from('local'), 0, 0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4, 10, 0, 0, 9,
    5, ...Buffer.from('_mqtt'), 4, ...Buffer.from('_tcp'), 0xc0, 20, 0, 12, 0, 1, 0, 0, 0x11, 0x94, 0, 12,
    9, ...Buffer.from('Mosquitto'), 0xc0, 41,
    0xc0, 64, 0, 33, 0x80, 1, 0, 0, 0, 120, 0, 8, 0, 0, 0, 0, 0x07, 0x5b, 0xc0, 12,
    0xc0, 64, 0, 16, 0x80, 1, 0, 0, 0x11, 0x94, 0, 1, 0,
  ]);
  locate();
  new (lan.host('10.0.0.9'))({ port: 5353, onReadable() {} }).write(bytes, '192.168.1.30', 50000);
  net.run(3000);
  t.same(told, ['serveur.local 10.0.0.9:1883']);
  t.end();
});

t.test('more brokers than it remembers, and services of others', (t) => {
  const { net, lan, told, locate } = setUpSensor();
  locate();
  const socket = new (lan.host('192.168.1.50'))({ onReadable() {} });
  const web: Record_ = ['a._http._tcp.local', SRV, [0, 0, 0, 0, 0, 80, 1, 0x61, 5, ...Buffer.from('local'), 0]];
  socket.write(response(web, addressRecord('a.local', '192.168.1.80')), '192.168.1.30', 50000);
  for (let i = 0; i < 50; i++) {
    const name = `b${99 - i}`;
    socket.write(response(...brokerRecords(name, `${name}.local`, `192.168.2.${i}`)), '192.168.1.30', 50000);
  }
  net.run(3000);
  t.same(told, ['b92.local 192.168.2.7:1883'], 'the last of eight that it remembers');
  t.end();
});

t.test('any bytes at all stop nobody', (t) => {
  const { net, lan, hub, told, locate, sent } = setUpSensor();
  const responder = hub();
  net.run(3000);
  locate();
  const host = new (lan.host('192.168.1.66'))({ port: 5353, onReadable() {} });
  const hostile: Uint8Array[] = [
    new Uint8Array(0), new Uint8Array(11), new Uint8Array(12).fill(255),
    new Uint8Array(1500).fill(255), new Uint8Array(1500).fill(0xc0),
    Uint8Array.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 255, 0, 1]), // a name that points to itself
    Uint8Array.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0x78, 0xc0, 12, 0, 255, 0, 1]), // or round
    Uint8Array.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 1]), // or is empty
    Uint8Array.from([0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 1, 0, 2, 0xc0, 12]),
  ];
  const seeds = [
    query(['maison.local', A], ['_mqtt._tcp.local', PTR]), response(...brokerRecords('z', 'z.local', '1.2.3.4')),
    message(1, 0, [['_mqtt._tcp.local', PTR]], brokerRecords('maison', 'maison.local', '192.168.1.7')),
  ];
  let seed = 6762;
  const random = (): number => seed = Math.imul(seed, 1664525) + 1013904223 >>> 0;
  for (let i = 0; i < 3000; i++) {
    const bytes = seeds[i % 3]!.slice(0, random() % 8 === 0 ? random() % 60 : undefined);
    for (let k = 0; k < 1 + i % 5; k++) bytes[random() % bytes.length] = random() >>> 24;
    hostile.push(bytes);
  }
  for (const bytes of hostile) {
    host.write(bytes, '192.168.1.7', 5353);
    host.write(bytes, '192.168.1.30', 50000);
    net.run(1);
  }
  net.run(5000);
  t.equal(told.length, 1, 'the search came to an end');
  sent();
  const name = responder.hostName;
  t.match(name, /^maison/, 'perhaps another name: anybody can claim one');
  host.write(query([`${name}.local`, A]), '192.168.1.7', 5353);
  net.run(10);
  t.equal(sent().length, 1);
  t.end();
});

t.test('messages: what is written is read again; a reader cut anywhere stays inside', (t) => {
  const name = dnsName('Maison', 'local');
  const whole = new DnsWriter(200).start(7, true).question(name, A, 1)
    .record(name, A, 1, 10, Uint8Array.of(1, 2, 3, 4)).message;
  for (let end = 0; end <= whole.length; end++) {
    const reader = new DnsReader(whole.slice(0, end));
    const questions = reader.nextQuestion() ? 1 : 0;
    const records = reader.nextRecord() ? 1 : 0;
    t.equal(questions === 1, end >= 12 + name.length + 4, `${end}`);
    t.equal(records === 1, end === whole.length);
    t.ok(reader.name(end) === undefined && !reader.isName(end, name), 'no name at the end');
    t.equal(reader.isName(12, name), end >= 12 + name.length, 'a whole name or none');
    t.equal(reader.name(12) !== undefined, end >= 12 + name.length);
  }
  const reader = new DnsReader(whole);
  t.ok(reader.nextQuestion());
  t.ok(reader.isName(reader.nameStart, dnsName('MAISON', 'local')));
  t.notOk(reader.nextQuestion());
  t.ok(reader.nextRecord());
  t.same([...reader.bytes.subarray(reader.dataStart, reader.dataEnd)], [1, 2, 3, 4]);
  t.notOk(reader.nextRecord());
  t.end();
});
