// src/moddable/network/setup-page.ts and http-request.ts: browsers, and those who are none, over sockets that behave as
// on a board and in the simulator.
import t, { type Test } from 'tap';
import { formField, HttpRequest } from '../../src/moddable/network/http-request.js';
import { SetupPage } from '../../src/moddable/network/setup-page.js';
import { FakeNet, type Platform } from './fake-io.js';
import { Browser, formRequest } from './network-fakes.js';

interface Setup {
  net: FakeNet;
  page: SetupPage;
  stored: { ssid: string; password: string }[];
  /** Lets time pass, for the page too. */
  run(ms: number): void;
  open(): Browser;
}

function setUp(platform: Platform, options: { closeResets?: boolean; sendBytes?: number } = {}): Setup {
  const net = new FakeNet(platform, options);
  const stored: { ssid: string; password: string }[] = [];
  const page = new SetupPage({ ...net.io, port: 80, hostName: 'maison', store: (entered) => stored.push(entered) });
  const run = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += 100) {
      net.run(100);
      page.tick(100);
    }
  };
  return { net, page, stored, run, open: () => new Browser(net, 80) };
}

function both(title: string, body: (t: Test, setup: Setup) => void): void {
  for (const platform of ['lwip', 'lin'] as const) {
    t.test(`${platform}: ${title}`, (t) => {
      body(t, setUp(platform));
      t.end();
    });
  }
}

const GET = 'GET / HTTP/1.1\r\nHost: 192.168.4.1\r\nAccept: text/html\r\n\r\n';

both('every path has the page, with nothing from elsewhere', (t, { open, run }) => {
  for (const path of ['/', '/generate_204', '/hotspot-detect.html', `/${'long/'.repeat(200)}`]) {
    const browser = open().send(GET.replace('/', path));
    run(300);
    t.equal(browser.status, 200, path.slice(0, 30));
    t.match(browser.received, /\r\nContent-Type: text\/html; charset=utf-8\r\n/);
    t.match(browser.received, /\r\nConnection: close\r\n/);
    t.match(browser.body, /<form method="post" action="\/">.*name="ssid".*name="password"/);
    t.notMatch(browser.body, /https?:|src=|href=|@import|<script/);
    const length = Number(/Content-Length: (\d+)/.exec(browser.received)![1]);
    t.equal(new TextEncoder().encode(browser.body).length, length, 'all of it came');
    run(1500);
    t.equal(browser.ended, 'closed');
  }
  const browser = open().send(GET.replace('/', '/favicon.ico'));
  run(300);
  t.equal(browser.status, 404);
});

both('a form is stored once, then the page has done its work', (t, { open, run, page, stored }) => {
  const browser = open().send(formRequest('ssid=Caf%C3%A9+%26+co&password=a%2Bb%3Dc%25d%26e'));
  run(300);
  t.equal(browser.status, 200);
  t.match(browser.body, /Stored.*<b>Café &amp; co<\/b>.*maison\.local/);
  t.same(stored, [{ ssid: 'Café & co', password: 'a+b=c%d&e' }]);
  t.notOk(page.finished, 'not before it was read');
  const second = open().send(formRequest('ssid=other&password=other+password'));
  run(300);
  t.equal(second.status, 200);
  t.equal(stored.length, 1);
  run(1500);
  t.ok(page.finished);
  t.notOk(page.busy);
});

both('split at every byte, a request is the same', (t, { open, run, net, stored }) => {
  const request = new TextEncoder().encode(formRequest('ssid=home&password=correct+horse'));
  const browser = open();
  for (const byte of request) {
    browser.send(Uint8Array.of(byte));
    net.run(25);
  }
  run(300);
  t.equal(browser.status, 200);
  t.same(stored, [{ ssid: 'home', password: 'correct horse' }]);
});

both('what is wrong is told, and what was typed is kept, as text', (t, { open, run, stored }) => {
  for (const [body, message] of [
    ['ssid=&password=correct+horse', /name of the network is missing/],
    ['', /name of the network is missing/],
    ['ssid=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E%27&password=short',
      /value="&quot;&gt;&lt;script&gt;alert\(1\)&lt;\/script&gt;&#39;"/],
    ['ssid=home&password=short', /8 to 63/],
    ['ssid=home%&password=correct+horse', /not understood/],
    ['ssid=home%4&password=correct+horse', /not understood/],
    ['ssid=home%zz&password=correct+horse', /not understood/],
    ['ssid=%ff%fe&password=correct+horse', /not understood/],
    ['ssid=home%00&password=correct+horse', /not understood/],
    ['ssid=ho%0Ame&password=correct+horse', /control/],
  ] as const) {
    const browser = open().send(formRequest(body));
    run(300);
    t.equal(browser.status, 400, body);
    t.match(browser.body, message);
    t.notMatch(browser.body, /<script/);
    run(1500);
  }
  t.same(stored, []);
});

both('what is no request for a page is refused and closed', (t, { open, run, stored, page }) => {
  for (const [request, status] of [
    ['\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00\n', 400],
    ['GET\n', 400],
    ['GET / SMTP\r\n\r\n', 400],
    ['DELETE / HTTP/1.1\r\n\r\n', 405],
    ['POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n', 411],
    ['POST / HTTP/1.1\r\nContent-Length: 385\r\n\r\n', 413],
    ['POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n', 413],
    ['POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n', 400],
    ['POST / HTTP/1.1\r\nContent-Length: 1e1\r\n\r\n', 400],
    ['POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n', 400],
    [`GET / HTTP/1.1\r\n${'X-Long: and more\r\n'.repeat(600)}\r\n`, 431],
    [`GET / HTTP/1.1\r\nCookie: ${'x'.repeat(9000)}\r\n\r\n`, 431],
  ] as const) {
    const browser = open().send(request);
    run(800);
    t.equal(browser.status, status, JSON.stringify(request.slice(0, 60)));
    run(1500);
    t.not(browser.ended, '');
  }
  t.same(stored, []);
  t.notOk(page.busy);
});

both('many headers, and long ones, of an honest browser', (t, { open, run }) => {
  const headers = `User-Agent: ${'Mozilla '.repeat(60)}\r\nCookie: ${'x=1; '.repeat(500)}\r\n`;
  const browser = open().send(`GET / HTTP/1.1\r\n${headers}\r\n`);
  run(500);
  t.equal(browser.status, 200);
});

both('slow and silent clients are dropped, and hold up nobody for long', (t, { open, run }) => {
  const silent = open();
  const slow = open();
  const half = open().send(GET.slice(0, 20));
  run(200);
  const refused = open().send(GET);
  run(300);
  t.not(refused.ended, '', 'there are three connections');
  for (let i = 0; i < 15; i++) {
    slow.send('G');
    run(1000);
  }
  t.not(silent.ended, '');
  t.not(slow.ended, '');
  t.not(half.ended, '');
  const browser = open().send(GET);
  run(300);
  t.equal(browser.status, 200);
});

both('clients that reset or close in the middle leave nothing behind', (t, { open, run, page }) => {
  for (let i = 0; i < 20; i++) {
    const browser = open().send(GET.slice(0, i * 3));
    run(100);
    if (i % 2 === 0) browser.end.abort();
    else browser.end.close();
    run(200);
  }
  const gone = open().send(GET);
  gone.end.abort();
  run(1200);
  t.notOk(page.busy);
});

both('two requests on one connection: the first is answered', (t, { open, run }) => {
  const browser = open().send(GET + GET);
  run(2000);
  t.equal(browser.received.split('HTTP/1.1 200').length, 2);
  t.equal(browser.ended, 'closed');
});

t.test('a store that fails: the page says so, and asks again', (t) => {
  const net = new FakeNet('lwip');
  let failing = true;
  const page = new SetupPage({
    ...net.io, hostName: 'maison', store() {
      if (failing) throw new Error("can't save prefs");
    },
  });
  const first = new Browser(net, 80).send(formRequest('ssid=home&password=correct+horse'));
  net.run(300);
  t.equal(first.status, 500);
  t.notOk(page.finished);
  failing = false;
  const second = new Browser(net, 80).send(formRequest('ssid=home&password=correct+horse'));
  net.run(300);
  t.equal(second.status, 200);
  page.close();
  net.run(100);
  t.equal(net.sockets.size, 0);
  t.throws(() => new Browser(net, 80), /refused/);
  t.end();
});

t.test('on ESP8266, where closing resets, the answer has come before; a small send buffer only takes longer', (t) => {
  const { open, run } = setUp('lwip', { closeResets: true, sendBytes: 600 });
  const browser = open().send(GET);
  run(3000);
  t.match(browser.body, /<\/html>$/);
  t.end();
});

t.test('a client that does not read its answer is dropped', (t) => {
  const { open, run, page } = setUp('lwip', { sendBytes: 600 });
  const browser = open();
  browser.end.receiveBytes = 10;
  browser.end.onData = () => {};
  browser.send(GET);
  run(12_000);
  t.notOk(page.busy);
  t.end();
});

t.test('whoever keeps asking cannot keep the page from being finished', (t) => {
  const { open, run, page } = setUp('lwip');
  open().send(formRequest('ssid=home&password=correct+horse'));
  for (let i = 0; i < 30 && !page.finished; i++) {
    run(400);
    open().send(GET);
  }
  t.ok(page.finished);
  t.end();
});

t.test('fields of a form', (t) => {
  const field = (body: string, name: string) => formField(new TextEncoder().encode(body), name);
  t.equal(field('a=1&b=2', 'b'), '2');
  t.equal(field('a=1&b=2', 'c'), '');
  t.equal(field('a', 'a'), '');
  t.equal(field('a=', 'a'), '');
  t.equal(field('&&a=1', 'a'), '1');
  t.equal(field('b&a==', 'a'), '=');
  t.equal(field('%61=1', 'a'), '1');
  t.equal(field('a=%e2%82%ac%F0%9F%8F%A0', 'a'), '€🏠');
  t.equal(field('a=%', 'a'), undefined);
  t.equal(field('a=%4&1', 'a'), undefined);
  t.equal(field('a=%C3', 'a'), undefined);
  t.end();
});

t.test('any bytes at all: an answer or more to wait for, never an exception', (t) => {
  let seed = 419;
  const random = (): number => seed = Math.imul(seed, 1664525) + 1013904223 >>> 0;
  const whole = formRequest('ssid=home&password=correct+horse');
  let refused = 0;
  for (let i = 0; i < 3000; i++) {
    const request = new HttpRequest();
    const bytes = new TextEncoder().encode(whole);
    for (let k = 0; k <= i % 4; k++) bytes[random() % bytes.length] = random() >>> 24;
    for (const byte of bytes) request.push(byte);
    if (request.state >= 400) refused++;
    formField(request.body, 'ssid');
    formField(request.body, 'password');
  }
  t.ok(refused > 100, `${refused} of 3000`);
  t.end();
});
