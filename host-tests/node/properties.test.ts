// MQTT 5.0 on the command line: --property and all that can be wrong about it, what comes out of `sub -F`, both ways
// against Mosquitto and its tools, and what a broker says with a reason code, in words and exit codes.

import t from 'tap';
import { parseArguments, UsageError } from '../../src/node/arguments.js';
import { connectionOf, CONNECTION_SECTION, WILL_SECTION } from '../../src/node/connection-options.js';
import {
  givenProperties, PROPERTY_OPTION, type GivenProperties, type PropertyCommand,
} from '../../src/node/property-option.js';
import type { ReceivedProperty } from '../../src/node/received-properties.js';
import { parseFormat } from '../../src/node/sub-format.js';
import { connack5, disconnect, puback, publish5, pubrec, suback5, type Properties } from '../support/packets.js';
import { BROKER, Child, run, startBroker, type Exit, type Owner } from './children.js';
import { startMosquitto, withoutMosquitto } from './mosquitto.js';
import { StubServer, type StubConnection } from './stub-server.js';

t.setTimeout(120_000);
const skip = withoutMosquitto('MQTT 5.0 on the command line, against Mosquitto');
const ALL: readonly PropertyCommand[] = ['connect', 'publish', 'will', 'subscribe', 'unsubscribe', 'disconnect'];
const OPTIONS = [PROPERTY_OPTION, ...CONNECTION_SECTION.options, ...WILL_SECTION.options];

/** `words`, without -D, each of them split at its blanks. */
function given(words: readonly string[], commands = ALL): GivenProperties {
  return givenProperties(parseArguments(words.flatMap((each) => ['-D', ...each.split(' ')]), OPTIONS), commands);
}

function client(command: string, port: number, ...args: string[]): string[] {
  return [BROKER, command, '-h', '127.0.0.1', '-p', String(port), ...args];
}

function ours(owner: Owner, command: string, port: number, ...args: string[]): Promise<Exit> {
  return run(owner, process.execPath, client(command, port, ...args), '', 20_000);
}

t.test('every property of every command', (t) => {
  t.strictSame(given(['connect authentication-method m', 'connect authentication-data d', 'connect receive-maximum 1',
    'connect maximum-packet-size 64', 'connect topic-alias-maximum 0', 'connect request-problem-information 0',
    'connect request-response-information 1', 'connect session-expiry-interval 4294967295', 'connect user-property a b',
    'connect user-property a c']), {
    connect: { authenticationMethod: 'm', authenticationData: 'd', requestProblemInformation: false,
      requestResponseInformation: true, sessionExpirySeconds: 0xffff_ffff, userProperties: [['a', 'b'], ['a', 'c']] },
    limits: { receiveMax: 1, packetBytesMax: 64, topicAliasMax: 0 },
    publish: {}, will: {}, subscribe: {}, unsubscribe: {}, disconnect: {},
  });
  const message = (command: string): string[] => ['payload-format-indicator 1', 'message-expiry-interval 0',
    'content-type text/plain', 'response-topic r/é', 'correlation-data 7', 'user-property k v']
    .map((words) => `${command} ${words}`);
  const wanted = { payloadIsText: true, messageExpirySeconds: 0, contentType: 'text/plain', responseTopic: 'r/é',
    correlationData: '7', userProperties: [['k', 'v']] };
  t.strictSame(given(message('PUBLISH')).publish, wanted, 'in capitals, too, as mosquitto_pub has it');
  t.strictSame(given([...message('will'), 'will will-delay-interval 9']).will, { ...wanted, willDelaySeconds: 9 });
  t.strictSame(given(['subscribe subscription-identifier 268435455', 'subscribe user-property  ']).subscribe,
    { identifier: 268_435_455, userProperties: [['', '']] });
  t.strictSame(given(['unsubscribe user-property a b']).unsubscribe, { userProperties: [['a', 'b']] });
  t.strictSame(given(['disconnect session-expiry-interval 3', 'disconnect reason-string bye']).disconnect,
    { sessionExpirySeconds: 3, reasonString: 'bye' });
  t.end();
});

function refused(what: () => unknown, sentence: RegExp): void {
  try {
    what();
    t.fail(`taken: ${sentence}`);
  } catch (error) {
    t.ok(error instanceof UsageError, `${error}`.slice(0, 200));
    t.match((error as Error).message, sentence);
  }
}

t.test('what is wrong about a property is told in one sentence', (t) => {
  const cases: [words: string[], sentence: RegExp][] = [
    [['auth user-property a b'], /^--property is for "auth": it must be for connect, publish or will$/],
    [['publish'], /^--property publish has "": it must be content-type, /],
    [['publish foo x'], /^--property publish has "foo": it must be .* or user-property$/],
    [['publish __proto__ x'], /^--property publish has "__proto__"/],
    [['publish will-delay-interval 1'], /^--property publish has "will-delay-interval"/],
    [['connect content-type x'], /^--property connect has "content-type"/],
    [['publish content-type'], /^--property publish content-type needs a value$/],
    [['publish user-property a'], /^--property publish user-property needs a name and a value$/],
    [['publish content-type a', 'publish content-type b'], /^--property publish content-type is given twice$/],
    [['connect receive-maximum 1', 'connect receive-maximum 1'], /receive-maximum is given twice/],
    [['publish payload-format-indicator 2'], /^--property publish payload-format-indicator is 2: it must be 0 to 1$/],
    [['publish message-expiry-interval soon'], /is "soon": it must be a whole number$/],
    [['publish message-expiry-interval 4294967296'], /it must be 0 to 4294967295$/],
    [['publish topic-alias 0'], /^--property publish topic-alias is 0: it must be 1 to 65535$/],
    [['connect receive-maximum 0'], /it must be 1 to 65535$/],
    [['connect maximum-packet-size 63'], /it must be 64 to 268435460$/],
    [['publish response-topic a/#'], /^--property publish response-topic is "a\/#": nobody can publish there/],
    [['publish response-topic '], /response-topic is "": nobody can publish there/],
    [[`publish content-type ${'x'.repeat(65_536)}`], /^--property publish content-type has 65536 bytes/],
  ];
  for (const [words, sentence] of cases) {
    refused(() => given(words, ['connect', 'publish', 'will']), sentence);
  }
  const connection = (words: string[], ...args: string[]): unknown =>
    connectionOf(parseArguments(args, OPTIONS), given(words));
  refused(() => connection(['will content-type x'], '-V', '5'), /^--property will needs --will-topic$/);
  refused(() => connection(['connect session-expiry-interval 5'], '-x', '5'), /say the same: give one of them$/);
  refused(() => connection(['connect session-expiry-interval 4294967295'], '-V', '5'), /for ever needs --id/);
  refused(() => connection(['disconnect session-expiry-interval 5'], '-V', '5'), /needs --session-expiry/);
  t.end();
});

t.test('fields of -F that are properties', (t) => {
  const properties: ReceivedProperty[] = [
    { identifier: 0x01, value: 0 }, { identifier: 0x0b, value: 7 }, { identifier: 0x0b, value: 268_435_455 },
    { identifier: 0x23, value: 5 }, { identifier: 0x09, value: '\0\xff' }, { identifier: 0x26, key: 'k', value: 'v' },
    { identifier: 0x03, value: 'ct' }, { identifier: 0x26, key: 'k', value: '"' },
  ];
  const message = { topic: 't', payload: Buffer.from('p'), qos: 1, retain: false, packetId: 9, properties };
  const print = (format: string, of: Partial<typeof message> = {}): string =>
    parseFormat(format)({ ...message, ...of }, 0n, () => t.fail('no complaint'));
  t.equal(print('%A|%3A|%03A|%-3A|%F|%S|%P|%D|%C|%4C|%.1C|%E'), '5|  5|005|5  |0|7 268435455|k:v k:"|\0\xff|ct|  ct|c|');
  t.equal(print('%3A|%03E|%4C|%4R|%4P|%4D|%-2F|', { properties: [] }), '   |000|    ||||  |');
  t.match(print('%j'), '"mid":9,"properties":{"payload-format-indicator":0,"subscription-identifier":[7,268435455],' +
    '"topic-alias":5,"correlation-data":"\\u0000\xff","user-properties":{"k":"v","k":"\\""},"content-type":"ct"},"payload"');
  t.notMatch(print('%j', { properties: [] }), /properties/);
  t.end();
});

const PROPERTIES = ['payload-format-indicator 1', 'content-type té"xt', 'response-topic r/é', 'correlation-data c"é',
  'user-property a b', 'user-property a é', 'user-property n ', 'message-expiry-interval 3000'];

function published(command: string): string[] {
  return PROPERTIES.flatMap((words) => ['-D', command, ...words.split(' ')]);
}

t.test('both ways against Mosquitto: the same properties, the same bytes', { skip }, async (t) => {
  const { port } = await startMosquitto(t);
  const at = ['-h', '127.0.0.1', '-p', String(port)];
  for (const qos of ['0', '1', '2']) {
    const message = ['-t', `p/${qos}/ours`, '-m', 'hé"llo', '-q', qos, '-r', ...published('publish')];
    t.match(await ours(t, 'pub', port, ...message, '-D', 'publish', 'topic-alias', '3'), { code: 0, stderr: '' });
    message[1] = `p/${qos}/theirs`;
    t.equal((await run(t, 'mosquitto_pub', [...at, ...message])).code, 0);
  }
  await run(t, 'mosquitto_pub', [...at, '-V', '5', '-t', 'p/0/bare', '-m', '1', '-r']);
  const formats = ['%A|%C|%D|%E|%F|%P|%R|%S|', '%5A|%-9C|%.2C|%12C|%9D|%10E|%-10E|%010E|%05F|%20P|%9R|%-9R|%.1R|%6S|%-6S|%06S|',
    '%j', '%J'];
  for (const topic of ['p/1/ours', 'p/2/theirs', 'p/0/bare']) {
    for (const format of formats) {
      for (const how of [['-V', '5'], ['-D', 'subscribe', 'subscription-identifier', '200000'], ['-V', '311']]) {
        const args = [...how, '-t', topic, '-q', '2', '-C', '1', '-F', format];
        const [theirs, own] = await Promise.all([
          run(t, 'mosquitto_sub', [...at, ...args]), ours(t, 'sub', port, ...args)]);
        t.equal(timeless(own.stdout), timeless(theirs.stdout), `${format} of ${topic}, ${how.join(' ')}`);
      }
    }
  }
  for (const whose of ['ours', 'theirs']) {
    const { stdout } = await run(t, 'mosquitto_sub', [...at, '-V', '5', '-t', `p/1/${whose}`, '-C', '1', '-F', '%C|%D|%F|%P|%R']);
    t.equal(stdout, 'té"xt|c"é|1|a:b a:é n:|r/é\n', `published by ${whose}`);
  }
});

/** Without the time of now, and without what has gone of an expiry interval meanwhile. */
function timeless(text: string): string {
  return text.replace(/"tst":"[^"]*",/, '').replace(/\b0*(3000|29\d\d)\b/g, (digits) => 'x'.repeat(digits.length));
}

t.test('our broker between both tools; topic aliases as it gives them', { skip }, async (t) => {
  const { port } = await startBroker(t);
  const at = ['-h', '127.0.0.1', '-p', String(port)];
  const format = '%C|%D|%E|%F|%P|%R|%t|%p';
  for (const whose of ['ours', 'theirs']) {
    const message = ['-t', `p/${whose}`, '-m', 'm', '-q', '1', '-r', ...published('publish')];
    t.match(await (whose === 'ours' ? ours(t, 'pub', port, ...message) : run(t, 'mosquitto_pub', [...at, ...message])),
      { code: 0, stderr: '' });
    const args = ['-V', '5', '-t', `p/${whose}`, '-C', '1', '-F', format];
    const wanted = `té"xt|c"é|xxxx|1|a:b a:é n:|r/é|p/${whose}|m\n`;
    t.equal(timeless((await run(t, 'mosquitto_sub', [...at, ...args])).stdout), wanted, `${whose} to theirs`);
    t.equal(timeless((await ours(t, 'sub', port, ...args)).stdout), wanted, `${whose} to ours`);
  }
  const aliased = new Child(t, process.execPath, client('sub', port, '-t', 'a/b', '-t', '+/b', '-C', '2', '-F', '%A %S %t %p',
    '-D', 'connect', 'topic-alias-maximum', '5', '-D', 'subscribe', 'subscription-identifier', '9'));
  let ended = false;
  const exit = aliased.end().finally(() => ended = true);
  while (!ended) await ours(t, 'pub', port, '-V', '5', '-t', 'a/b', '-m', 'x');
  t.equal((await exit).stdout, '1 9 9 a/b x\n1 9 9 a/b x\n', 'both subscriptions have the identifier');
});

t.test('a will with properties', { skip }, async (t) => {
  const { port } = await startMosquitto(t);
  const listener = new Child(t, 'mosquitto_sub', ['-h', '127.0.0.1', '-p', String(port), '-V', '5', '-t', 'w', '-t', 'ready',
    '-F', '%t %p|%C|%D|%F|%P|%R']);
  const ready = async (): Promise<void> => {
    while (!listener.lines.some((line) => line.startsWith('ready'))) {
      await ours(t, 'pub', port, '-t', 'ready', '-m', 'x');
    }
  };
  await ready();
  const dying = new Child(t, process.execPath, client('sub', port, '-t', 'mine', '-v', '--will-topic', 'w',
    '--will-payload', 'gone', ...published('will'), '-D', 'will', 'will-delay-interval', '0'));
  while (!dying.lines.includes('mine x')) await ours(t, 'pub', port, '-t', 'mine', '-m', 'x');
  await dying.kill();
  t.equal(await listener.line(/^w/), 'w gone|té"xt|c"é|1|a:b a:é n:|r/é');
});

for (const broker of ['mosquitto', 'ours'] as const) {
  t.test(`${broker}: a session that outlives its connection; retain as published`, {
    skip: broker === 'mosquitto' && skip }, async (t) => {
    const { port } = await (broker === 'ours' ? startBroker(t) : startMosquitto(t));
    const at = ['-i', 'me', '-c', '-t', 's', '-q', '1'];
    t.match(await ours(t, 'sub', port, '-i', 'me', '-x', '60', '-t', 's', '-q', '1', '-E'), { code: 0, stderr: '' });
    t.match(await ours(t, 'pub', port, '-V', '5', '-t', 's', '-m', 'kept', '-q', '1'), { code: 0, stderr: '' });
    t.match(await ours(t, 'sub', port, ...at, '-x', '60', '-C', '1', '-D', 'connect', 'user-property', 'a', 'b', '-D',
      'disconnect', 'session-expiry-interval', '0'), { code: 0, stdout: 'kept\n' });
    t.match(await ours(t, 'pub', port, '-t', 's', '-m', 'lost', '-q', '1'), { code: 0 });
    const anew = new Child(t, process.execPath, client('sub', port, ...at, '-x', '60', '-C', '1', '--retain-as-published',
      '-F', '%p %r'));
    const late = new Child(t, process.execPath, client('sub', port, '-t', 's', '-V', '5', '-C', '1', '-F', '%p %r'));
    let both = false;
    const ended = Promise.all([anew.end(), late.end()]).finally(() => both = true);
    while (!both) await ours(t, 'pub', port, '-t', 's', '-m', 'new', '-q', '1', '-r');
    const [{ stdout: asPublished }, { stdout: plain }] = await ended;
    t.equal(asPublished, 'new 1\n', 'the session had ended with the last DISCONNECT: nothing was lost in it');
    t.match(plain, /^new [01]\n$/);
  });
}

/** A server of MQTT 5.0 that accepts, with those properties, and then does as `serve` says. */
function server(
  owner: Owner, serve: (connection: StubConnection, packet: string) => void, properties: Properties = {}, code = 0,
): Promise<StubServer> {
  return StubServer.open(owner, (connection) => {
    connection.level = 5;
    let seen = 0;
    connection.socket.on('data', () => {
      for (const packet of connection.packets.slice(seen)) {
        seen++;
        if (packet.startsWith('CONNECT ')) connection.send(connack5(false, code, properties));
        else serve(connection, packet);
      }
    });
  });
}

const idOf = (packet: string): number => Number(/ id(\d+)/.exec(packet)![1]);

t.test('what a broker refuses, with reason code and reason string', async (t) => {
  const refusing = await server(t, () => {}, { reason: 'come\nback later' }, 0x89);
  t.match(await ours(t, 'pub', refusing.port, '-V', '5', '-t', 'a', '-m', 'x'), { code: 2, stdout: '',
    stderr: /^maisonnette: 127\.0\.0\.1:\d+ refuses the connection: .*busy.* \(0x89\); it says "come back later"\.\n$/ });

  const acks = await server(t, (connection, packet) => {
    if (packet.startsWith('PUBLISH q1')) connection.send(puback(idOf(packet), packet.includes('good') ? 0x10 : 0x87, {}));
    if (packet.startsWith('PUBLISH q2')) connection.send(pubrec(idOf(packet), 0x97));
  });
  const pub = (...args: string[]): Promise<Exit> => ours(t, 'pub', acks.port, '-V', '5', '-t', 'a', ...args);
  t.match(await pub('-q', '1', '-m', 'good'), { code: 0, stderr: '' }, 'that nobody has subscribed is no failure');
  t.match(await pub('-q', '1', '-m', 'bad'), { code: 1,
    stderr: 'maisonnette: the message was not taken: not authorised (0x87).\n' });
  t.match(await pub('-q', '2', '-m', 'bad', '--quiet'), { code: 1, stderr: '' });
  t.match(await pub('-q', '2', '-m', 'bad', '--repeat', '3'), { code: 1,
    stderr: /maisonnette: 3 of 3 messages were not taken: a limit of the broker is reached \(0x97\)\.\n$/ });

  const poor = await server(t, () => {}, { maximumQos: 0, retainAvailable: 0, packetMaximum: 100 });
  const cases: [args: string[], words: RegExp][] = [
    [['-q', '1', '-m', 'x'], /does not take this QoS \(0x9B\)/], [['-r', '-m', 'x'], /does not retain messages \(0x9A\)/],
    [['-m', 'x'.repeat(100)], /larger than the broker/]];
  for (const [args, words] of cases) {
    t.match(await ours(t, 'pub', poor.port, '-V', '5', '-t', 'a', ...args), { code: 1, stderr: words });
  }
});

t.test('SUBACK, DISCONNECT and further authentication, in words', async (t) => {
  const subs = await server(t, (connection, packet) => {
    if (packet.startsWith('SUBSCRIBE')) connection.send(suback5(idOf(packet), {}, packet.includes('fine') ? 0 : 0xa2));
  });
  t.match(await ours(t, 'sub', subs.port, '-V', '5', '-t', 'bad'), { code: 2,
    stderr: /refuses the subscription to bad: the broker takes no wildcards in topic filters \(0xA2\)\.\n.*all subscriptions/ });
  t.match(await ours(t, 'sub', subs.port, '-V', '5', '-t', 'fine', '-E'), { code: 0, stderr: '' });
  t.match(await ours(t, 'sub', subs.port, '-V', '5', '-t', '$share/group'), { code: 2,
    stderr: 'maisonnette: --topic "$share/group" is shared, and so must be $share/GROUP/FILTER.\n' });
  t.match(await ours(t, 'averages', subs.port, '-V', '5'), { code: 1, stderr: /no wildcards/ });

  let count = 0;
  const ending = await server(t, (connection, packet) => {
    if (!packet.startsWith('SUBSCRIBE')) return;
    connection.send(suback5(idOf(packet), {}, 0));
    if (count++ === 0) connection.send(disconnect(0x98, { reason: 'maintenance' }));
    else connection.send(publish5('a', 'back'), disconnect(0x8e, {}));
  });
  const exit = await ours(t, 'sub', ending.port, '-V', '5', '-t', 'a');
  t.match(exit, { code: 1, stdout: 'back\n' }, 'it has come back once, but not after somebody took the session over');
  t.match(exit.stderr, /ended the connection: its administrator has done so \(0x98\); it says "maintenance"\.\n/);
  t.match(exit.stderr, /ended the connection: another client with the same --id has connected \(0x8E\)\.\n$/);
  t.equal(ending.connections.length, 2);

  const asking = await StubServer.open(t, (connection) => connection.socket.once('data', () =>
    connection.send(Uint8Array.of(0xf0, 6, 0x18, 4, 0x15, 0, 1, 0x6d))));
  t.match(await ours(t, 'pub', asking.port, '-t', 'a', '-m', 'x', '-D', 'connect', 'authentication-method', 'm'),
    { code: 2, stderr: /further steps of authentication/ });
});

t.test('the commands of the house speak 5.0, too', async (t) => {
  const { port, child } = await startBroker(t, '--verbose');
  const sensor = new Child(t, process.execPath, [BROKER, 'sensor', '--piece', 'cave', '-V', '5', '-p', String(port)]);
  await child.line(/ as maison-cave \(p5, /);
  const averages = new Child(t, process.execPath, [BROKER, 'averages', '--mqtt-version', '5', '-p', String(port)]);
  await averages.line(/connected to/);
  await child.lineCount(/ \(p5, /, 2);
  await sensor.kill();
  const room = new Child(t, process.execPath, [BROKER, 'room', '--port', '0', '-V', '5', '--pieces', 'salon', '--plain']);
  await room.line(/^salon .*°C/, 20_000);
});
