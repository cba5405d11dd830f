// src/moddable/network/network.ts: joining, coming back, and the first boot, on a Wi-Fi that fails, rejects, drops and
// returns; and credentials.ts on a store as small as that of ESP8266.
import t from 'tap';
import { complaint, CredentialStore } from '../../src/moddable/network/credentials.js';
import { Network, type NetworkOptions } from '../../src/moddable/network/network.js';
import { FakeNet, type Platform } from './fake-io.js';
import { Browser, FakePreference, FakeWiFi, formRequest } from './network-fakes.js';

interface Setup {
  net: FakeNet;
  wifi: FakeWiFi;
  preference: FakePreference;
  network: Network;
  /** What the program was told. */
  told: string[];
}

function setUp(
  config: { ssid?: string; password?: string }, more: Partial<NetworkOptions> = {}, platform: Platform = 'lwip',
): Setup {
  const net = new FakeNet(platform);
  const wifi = new FakeWiFi(net);
  const preference = new FakePreference();
  const told: string[] = [];
  const network = new Network({
    ...net.io, WiFi: wifi.module, Net: wifi.Net, credentials: new CredentialStore(preference, config),
    hostName: 'maison', random: () => 0x8000_0000,
    onUp: (address) => told.push(`up ${address}`), onDown: () => told.push('down'), ...more,
  });
  return { net, wifi, preference, network, told };
}

const HOME = { ssid: 'home', password: 'correct horse' };

t.test('it joins with the credentials of the build, and tells once', (t) => {
  const { net, wifi, network, told } = setUp(HOME);
  t.equal(network.address, '');
  t.equal(network.signalDbm, undefined);
  network.start();
  network.start();
  net.run(10_000);
  t.same(told, ['up 192.168.1.7']);
  t.same(wifi.asked, ['1 home/correct horse']);
  wifi.tell('gotIP');
  net.run(60_000);
  t.same(told, ['up 192.168.1.7'], 'a renewed address is the same network');
  t.equal(network.address, '192.168.1.7');
  t.equal(network.signalDbm, -61);
  t.equal(network.joinCount, 1);
  network.close();
  network.close();
  t.same(told, ['up 192.168.1.7', 'down']);
  t.equal((net.io.Timer as unknown as { count: number }).count, 0, 'no timer is left');
  t.end();
});

t.test('an open network is joined without a password', (t) => {
  const { net, wifi, network } = setUp({ ssid: 'open' });
  network.start();
  net.run(5000);
  t.same(wifi.asked, ['1 open']);
  t.end();
});

t.test('attempts that fail are repeated for ever, less and less often, once a minute at last', (t) => {
  for (const attempt of ['refused', 'password', 'silent', 'throws'] as const) {
    const { net, wifi, network, told } = setUp(HOME);
    wifi.attempts[0] = attempt;
    network.start();
    net.run(3_600_000);
    const atSeconds = wifi.asked.map((asked) => parseInt(asked, 10));
    const waits = atSeconds.slice(1).map((second, i) => second - atSeconds[i]!);
    t.ok(waits[0]! < waits[3]! && waits[3]! < waits[6]!, `${attempt}: ${waits}`);
    t.ok(waits.at(-1)! >= 30 && waits.at(-1)! <= 100, `${attempt}: ${waits.at(-1)} s`);
    t.equal(wifi.accessPoint, '', 'credentials of the build are not asked for again');
    t.same(told, []);
    wifi.attempts[0] = 'joins';
    net.run(100_000);
    t.same(told, ['up 192.168.1.7'], `${attempt}, then it joins`);
    if (attempt === 'password') t.match(net.traces.join(''), /reject the password/);
  }
  t.end();
});

t.test('jitter: boards that lost the same network do not come back together', (t) => {
  const seconds = [0, 0xffff_ffff].map((value) => {
    const { net, wifi, network } = setUp(HOME, { random: () => value });
    wifi.attempts[0] = 'refused';
    network.start();
    net.run(300_000);
    return wifi.asked.length;
  });
  t.ok(seconds[0]! > seconds[1]!, `${seconds}`);
  t.end();
});

t.test('a network that drops and returns: down and up, by turns, soon again', (t) => {
  for (const platform of ['lwip', 'lin'] as const) {
    const { net, wifi, network, told } = setUp(HOME, {}, platform);
    network.start();
    net.run(120_000);
    for (let i = 0; i < 20; i++) {
      wifi.lose();
      wifi.tell('disconnect', 0);
      wifi.tell('lostIP');
      t.equal(network.address, '');
      net.run(120_000);
    }
    t.equal(told.join(), `up 192.168.1.7${',down,up 192.168.1.7'.repeat(20)}`, platform);
    t.equal(network.joinCount, 21);
    t.equal(wifi.asked.length, 21, 'one attempt each time');
  }
  t.end();
});

t.test('a network that accepts and drops at once is not joined ever faster', (t) => {
  const { net, wifi, network } = setUp(HOME);
  network.start();
  for (let i = 0; i < 3600; i++) {
    net.run(1000);
    if (wifi.joined) wifi.lose();
  }
  t.ok(wifi.asked.length < 100, `${wifi.asked.length} attempts in an hour`);
  t.end();
});

t.test('what the chip achieves by itself between two attempts counts', (t) => {
  const { net, wifi, network, told } = setUp(HOME);
  wifi.attempts[0] = 'refused';
  network.start();
  net.run(200_000);
  const { length } = wifi.asked;
  wifi.join();
  net.run(100_000);
  t.same(told, ['up 192.168.1.7']);
  t.equal(wifi.asked.length, length);
  t.end();
});

t.test('a farewell to what was before does not end a new attempt', (t) => {
  const { net, wifi, network, told } = setUp(HOME);
  network.start();
  net.run(1100);
  wifi.tell('disconnect', 0);
  net.run(3000);
  t.same(told, ['up 192.168.1.7']);
  t.equal(wifi.asked.length, 1);
  t.end();
});

t.test('another address is another network', (t) => {
  const { net, wifi, network, told } = setUp(HOME);
  network.start();
  net.run(5000);
  wifi.address = '192.168.1.8';
  wifi.tell('gotIP');
  wifi.address = '192.168.1.9';
  net.run(11_000);
  t.same(told, ['up 192.168.1.7', 'down', 'up 192.168.1.8', 'down', 'up 192.168.1.9'], 'told, or found out');
  t.end();
});

t.test('an address that is gone without a word is noticed', (t) => {
  const { net, wifi, network, told } = setUp(HOME);
  network.start();
  net.run(5000);
  wifi.joined = false;
  net.run(20_000);
  t.same(told, ['up 192.168.1.7', 'down', 'up 192.168.1.7']);
  t.end();
});

t.test('what the program throws restarts nothing', (t) => {
  const { net, wifi, network } = setUp(HOME, {
    onUp() {
      throw new Error('up failed');
    },
    onDown() {
      throw new Error('down failed');
    },
  });
  network.start();
  net.run(5000);
  wifi.lose();
  net.run(5000);
  t.equal(network.joinCount, 2);
  t.match(net.traces.join(''), /up failed[^]*down failed[^]*up failed/);
  wifi.address = '192.168.1.8';
  wifi.tell('gotIP');
  t.equal(network.address, '192.168.1.8');
  t.equal(network.joinCount, 3);
  network.close();
  t.equal(network.address, '');
  t.end();
});

t.test('a first boot: the page, then the network; and no page at the next start', (t) => {
  for (const platform of ['lwip', 'lin'] as const) {
    const { net, wifi, preference, network, told } = setUp({}, {}, platform);
    network.start();
    net.run(3000);
    t.equal(wifi.accessPoint, 'maisonnette-ABCD');
    t.ok(network.settingUp);
    t.match(net.traces.join(''), /Join "maisonnette-ABCD".*http:\/\/192\.168\.4\.1\/.*ssid=/);
    const browser = new Browser(net, 80).send(formRequest('ssid=Chez+nous&password=motdepasse'));
    net.run(1000);
    t.equal(browser.status, 200, 'the answer comes before the access point goes');
    t.match(browser.body, /Chez nous/);
    t.equal(wifi.accessPoint, 'maisonnette-ABCD');
    net.run(15_000);
    t.equal(browser.ended, 'closed');
    t.same(told, ['up 192.168.1.7']);
    t.equal(wifi.asked.at(-1)!.replace(/^\d+ /, ''), 'Chez nous/motdepasse');
    t.notOk(net.listeners.has(80), 'the page is gone');
    network.close();

    const next = new Network({
      ...net.io, WiFi: wifi.module, Net: wifi.Net, credentials: new CredentialStore(preference, {}),
      hostName: 'maison', random: () => 0, onUp: (address) => told.push(`again ${address}`), onDown() {},
    });
    wifi.attempts[0] = 'silent';
    next.start();
    net.run(1_000_000);
    t.equal(wifi.asked.filter((asked) => asked.startsWith('access point')).length, 1,
      'they worked once: the network is waited for, as after a power cut');
    wifi.attempts[0] = 'joins';
    net.run(100_000);
    t.equal(told.at(-1), 'again 192.168.1.7');
    next.close();
  }
  t.end();
});

t.test('what was entered is wrong: the page comes back; it was right: the network is tried again', (t) => {
  const { net, wifi, network, told } = setUp({});
  wifi.attempts[0] = 'password';
  network.start();
  net.run(3000);
  new Browser(net, 80).send(formRequest('ssid=home&password=wrong+horse'));
  net.run(4000);
  t.equal(wifi.accessPoint, '');
  net.run(150_000);
  t.equal(wifi.accessPoint, 'maisonnette-ABCD', 'within two minutes and a half');
  new Browser(net, 80).send(formRequest('ssid=home&password=correct+horse'));
  net.run(60_000);
  t.equal(wifi.asked.at(-1)!.replace(/^\d+ /, ''), 'home/correct horse');
  net.run(200_000);
  t.ok(network.settingUp);
  wifi.attempts[0] = 'joins';
  net.run(200_000);
  t.same(told, ['up 192.168.1.7'], 'the router was late');
  t.end();
});

t.test('no access point, no port: tried again, and nothing restarts', (t) => {
  const { net, wifi, network } = setUp({});
  wifi.accessPointFails = true;
  network.start();
  net.run(3000);
  t.match(net.traces.join(''), /cannot be shown: Error: esp_wifi_set_mode failed/);
  wifi.accessPointFails = false;
  net.run(200_000);
  t.equal(wifi.accessPoint, 'maisonnette-ABCD');
  network.close();
  t.notOk(net.listeners.has(80));
  t.end();
});

t.test('a simulator has no address of its own', (t) => {
  const { net, wifi, network } = setUp({}, { setupPort: 8080 });
  wifi.mac = undefined;
  network.start();
  net.run(3000);
  t.equal(wifi.accessPoint, 'maisonnette');
  t.equal(wifi.module.mode, 2);
  t.ok(net.listeners.has(8080));
  t.end();
});

t.test('credentials: those of the build first, long ones in parts, none rather than mixed ones', (t) => {
  const preference = new FakePreference();
  const store = new CredentialStore(preference, {});
  t.equal(store.read(), undefined);
  const long = { ssid: 'é'.repeat(16), password: 'p'.repeat(31) + 'q'.repeat(32) };
  store.write(long);
  t.same(store.read(), long);
  t.notOk(store.proven);
  store.prove();
  t.ok(store.proven);
  const built = new CredentialStore(preference, { ssid: 'built', password: 'with this' });
  t.same(built.read(), { ssid: 'built', password: 'with this' });
  t.ok(built.proven);
  store.write({ ssid: 'open', password: '' });
  t.same(store.read(), { ssid: 'open', password: '' });
  t.notOk(store.proven, 'others must prove themselves');
  for (let count = 0; count < 3; count++) {
    preference.writesLeft = Infinity;
    store.write(long);
    preference.writesLeft = count;
    t.throws(() => store.write({ ssid: 'other', password: 'other password' }));
    t.equal(store.read(), undefined, `power lost after ${count} writes`);
  }
  store.clear();
  t.equal(preference.entries.size, 0);
  t.end();
});

t.test('credentials that cannot be are told so', (t) => {
  t.equal(complaint({ ssid: 'x'.repeat(32), password: '' }), '');
  t.equal(complaint({ ssid: 'x', password: '8 chars!' }), '');
  t.equal(complaint({ ssid: 'x', password: '~'.repeat(63) }), '');
  t.match(complaint({ ssid: '', password: '' }), /missing/);
  t.match(complaint({ ssid: 'é'.repeat(17), password: '' }), /32 bytes/);
  t.match(complaint({ ssid: 'a\u0007b', password: '' }), /control/);
  t.match(complaint({ ssid: 'x', password: '7 chars' }), /8 to 63/);
  t.match(complaint({ ssid: 'x', password: 'x'.repeat(64) }), /8 to 63/);
  t.match(complaint({ ssid: 'x', password: 'mot de passé' }), /ASCII/);
  t.end();
});
