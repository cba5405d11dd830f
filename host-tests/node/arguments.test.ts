// Options as data: what parseArguments takes and refuses, how the help is laid out, what follows for a connection.

import t from 'tap';
import {
  helpText, parseArguments, seconds, UsageError, wholeNumber, type Option, type Values,
} from '../../src/node/arguments.js';
import { connectionOf, CONNECTION_SECTION, WILL_SECTION } from '../../src/node/connection-options.js';
import { dropWords, lossSentence, placeOf, reasonWords, refusalSentence } from '../../src/node/sentences.js';
import { CONNECT_TIMEOUT, EXPIRED, LINK_LOST, PING_TIMEOUT } from '../../src/client/states.js';
import { MALFORMED, NOT_AUTHORIZED, QOS_NOT_SUPPORTED } from '../../src/wire/codes.js';
import { isReasonOf } from '../../src/wire/reasons.js';

const OPTIONS: readonly Option[] = [
  { name: 'message', short: 'm', value: 'TEXT', help: 'the message' },
  { name: 'topic', short: 't', value: 'TOPIC', many: true, help: 'a topic' },
  { name: 'password', short: 'P', alias: 'pw', value: 'TEXT', help: 'a password', default: 'none' },
  { name: 'verbose', short: 'v', help: 'more' },
  { name: 'quiet', help: `less${' and less'.repeat(20)}` },
];

const parse = (...args: string[]): Values => parseArguments(args, OPTIONS);

function refused(run: () => unknown, words: RegExp): void {
  try {
    run();
    t.fail(`taken, though ${words} was expected`);
  } catch (error) {
    t.ok(error instanceof UsageError, `${error}`);
    t.match((error as Error).message, words);
    t.notMatch((error as Error).message, /[.?]$|\n/, 'a sentence of one line that takes a full stop');
  }
}

t.test('a value may begin with a dash, be empty, hold anything', (t) => {
  for (const value of ['-1.5', '--verbose', '-', '--', '', 'a=b', ' ', 'été\n']) {
    t.equal(parse('-m', value).text('message'), value, `-m ${value}`);
    t.equal(parse('--message', value).text('message'), value, `--message ${value}`);
    t.equal(parse(`--message=${value}`).text('message'), value, `--message=${value}`);
  }
  t.equal(parse('-mtext').text('message'), 'text');
  t.end();
});

t.test('flags, repeated options, the last one of others, other names', (t) => {
  const values = parse('-v', '-t', 'a', '--topic', '-t', '--topic=c', '-m', '1', '-m', '2', '--pw', 'x');
  t.equal(values.flag('verbose'), true);
  t.equal(values.flag('quiet'), false);
  t.strictSame(values.texts('topic'), ['a', '-t', 'c']);
  t.equal(values.text('message'), '2');
  t.equal(values.text('password'), 'x');
  t.equal(parse('--pw=y').text('password'), 'y');
  t.strictSame(parse().texts('topic'), []);
  t.equal(parse().text('message'), undefined);
  t.end();
});

t.test('what is refused names the option', (t) => {
  refused(() => parse('--nonsense'), /--nonsense/);
  refused(() => parse('-x'), /-x/);
  refused(() => parse('stray'), /stray/);
  refused(() => parse('--', 'stray'), /stray/);
  refused(() => parse('--message'), /--message/);
  refused(() => parse('-v', '-m'), /--message/);
  refused(() => parse('--verbose=3'), /--verbose/);
  t.end();
});

t.test('numbers: their form and their range', (t) => {
  t.equal(wholeNumber('n', '0', 0, 5), 0);
  t.equal(wholeNumber('n', '5', 0, 5), 5);
  for (const text of ['', '-1', '1.5', 'abc', '0x1', '1e3', ' 1']) {
    refused(() => wholeNumber('n', text, 0, 5), new RegExp(`--n is "${text}": it must be a whole number`));
    if (text !== '1.5') refused(() => seconds('n', text, 0, 5), new RegExp(`--n is "${text}"`));
  }
  for (const text of ['9'.repeat(20), '9'.repeat(400)]) {
    refused(() => wholeNumber('n', text, 0, 5), new RegExp(`--n is ${text}: it must be 0 to 5`));
    refused(() => seconds('n', text, 0, 5), new RegExp(`--n is ${text}: it must be 0 to 5`));
  }
  refused(() => wholeNumber('n', '6', 1, 5), /--n is 6: it must be 1 to 5/);
  refused(() => wholeNumber('n', '0', 1, 5), /--n is 0: it must be 1 to 5/);
  t.equal(seconds('n', '1.5', 0, 5), 1500);
  t.equal(seconds('n', '3', 0, 5), 3000);
  refused(() => seconds('n', '5.1', 0, 5), /--n is 5.1: it must be 0 to 5/);
  t.end();
});

t.test('options of several words', (t) => {
  const options: readonly Option[] = [
    { name: 'pair', short: 'D', value: 'WORDS', many: true, help: 'words',
      wordCount: ([first]) => first === 'three' ? 3 : 2 },
    { name: 'verbose', short: 'v', help: 'more' },
  ];
  const given = (...args: string[]): Values => parseArguments(args, options);
  const values = given('-D', 'a', '-v', '--pair', 'three', '', 'é=f', '-v', '-D', 'three', 'b');
  t.strictSame(values.lists('pair'), [['a', '-v'], ['three', '', 'é=f'], ['three', 'b']]);
  t.equal(values.flag('verbose'), true);
  t.strictSame(given('--pair=a', '-v').lists('pair'), [['a']], 'too few words are told from enough');
  t.strictSame(given().lists('pair'), []);
  t.ok(values.given('pair') && !given('-v').given('pair'));
  refused(() => given('-D'), /--pair/);
  t.end();
});

t.test('help: aligned, with defaults, within 98 columns', (t) => {
  const text = helpText('maisonnette x', 'It does x.', { title: 'Options', options: OPTIONS });
  const lines = text.split('\n');
  t.equal(lines[0], 'Usage: maisonnette x');
  t.match(text, /^ {2}-m, --message TEXT {3}the message$/m);
  t.match(text, /^ {2}-P, --password TEXT {2}a password \[none\]$/m);
  t.match(text, /^ {6}--quiet {10}less and less/m);
  t.strictSame(lines.filter((line) => line.length > 98 || line.endsWith(' ')), []);
  const wrapped = lines.filter((line) => /^ {23}(and|less)/.test(line));
  t.ok(wrapped.length >= 1, 'what is too long goes on in the same column');
  t.end();
});

const connection = (...args: string[]): ReturnType<typeof connectionOf> =>
  connectionOf(parseArguments(args, [...CONNECTION_SECTION.options, ...WILL_SECTION.options]));

t.test('a connection: defaults, every option, every part of the URL', (t) => {
  t.strictSame(connection(),
    { options: { host: 'localhost', port: 1883, protocolLevel: 4, clean: true, keepAlive: 60_000 },
      topic: undefined });
  t.strictSame(connection('-h', '::1', '-p', '7', '-u', 'anne', '-P', 'sésame', '-i', 'me', '-c', '-k', '0', '-V', '31',
    '--will-topic', 'w', '--will-payload', '-1', '--will-qos', '2', '--will-retain'), {
    options: { host: '::1', port: 7, user: 'anne', password: 'sésame', protocolLevel: 3, clean: false, id: 'me',
      keepAlive: 0, will: { topic: 'w', message: '-1', QoS: 2, retain: true } },
    topic: undefined,
  });
  const parts = (url: string): unknown[] => {
    const { options: { host, port, user, password }, topic } = connection('--url', url);
    return [host, port, user, password, topic];
  };
  t.strictSame(parts('mqtt://here'), ['here', 1883, undefined, undefined, undefined]);
  t.strictSame(parts('MQTT://here:99/'), ['here', 99, undefined, undefined, undefined]);
  t.strictSame(parts('mqtt://a%40b:c%3a%2F@[::1]:99/maison/+/#'), ['::1', 99, 'a@b', 'c:/', 'maison/+/#']);
  t.strictSame(parts('mqtt://anne@here//x'), ['here', 1883, 'anne', undefined, '/x']);
  t.equal(connection('-L', 'mqtt://anne@here', '-u', 'eve', '--pw', 'p').options.user, 'eve', 'an option wins');
  t.equal(connection('-I', 'pre-').options.id, `pre-${process.pid}`);
  t.end();
});

t.test('versions, under all their names, and the session of MQTT 5.0', (t) => {
  const names: [level: number, names: string[]][] =
    [[3, ['3.1', '31', 'mqttv31']], [4, ['3.1.1', '311', 'mqttv311']], [5, ['5', '5.0', 'mqttv5']]];
  for (const [level, versions] of names) {
    for (const version of versions) {
      for (const name of ['-V', '--mqtt-version', '--protocol-version']) {
        t.equal(connection(name, version).options.protocolLevel, level, `${name} ${version}`);
      }
    }
  }
  const session = (...args: string[]): unknown[] => {
    const { options: { protocolLevel, clean, properties } } = connection(...args);
    return [protocolLevel, clean, properties?.sessionExpirySeconds];
  };
  t.strictSame(session('-V', '5'), [5, true, undefined]);
  t.strictSame(session('-V', '5', '-x', '0'), [5, true, undefined], '0 is what no property says, too');
  t.strictSame(session('-x', '60'), [5, true, 60], 'it chooses the version');
  t.strictSame(session('-x', '60', '-c', '-i', 'me'), [5, false, 60]);
  t.strictSame(session('-V', '5', '-c', '-i', 'me'), [5, false, 0xffff_ffff], 'for ever, as in 3.1.1');
  t.strictSame(session('-c', '-i', 'me'), [4, false, undefined]);
  for (const never of ['-1', '∞', '4294967295']) t.strictSame(session('-x', never, '-i', 'me'), [5, true, 0xffff_ffff]);
  t.equal(connection('-V', '5', '-P', 'secret').options.password, 'secret', 'without a name, in MQTT 5.0');
  t.end();
});

t.test('a connection that cannot be meant', (t) => {
  const cases: [args: string[], words: RegExp][] = [
    [['--url', 'http://here'], /--url .*mqtt:\/\//],
    [['--url', 'mqtt://'], /--url/],
    [['--url', 'mqtt://a:b:c'], /--url/],
    [['--url', 'mqtts://here'], /TLS/],
    [['--url', 'mqtt://a%4@here'], /--url.*%25/],
    [['--url', 'mqtt://here:0'], /--port is 0.*65535/],
    [['--url', 'mqtt://here:x'], /--port is "x"/],
    [['--url', 'mqtt://here', '-p', '1'], /--url and --port/],
    [['--url', 'mqtt://here', '-h', 'x'], /--url and --host/],
    [['-h', ''], /--host is empty/],
    [['-P', 'x'], /--password needs --username/],
    [['-c'], /--disable-clean-session needs --id/],
    [['-c', '-I', 'x'], /--disable-clean-session needs --id/],
    [['-i', 'x', '-I', 'x'], /--id and --id-prefix/],
    [['-V', '4'], /--mqtt-version is "4": it must be 3.1, 3.1.1 or 5/],
    [['-V', '3.1.1', '-x', '5'], /--session-expiry is of MQTT 5.0: it does not go with --mqtt-version 3.1.1/],
    [['-x', 'soon'], /--session-expiry is "soon": it must be a whole number/],
    [['-x', '4294967296'], /--session-expiry is 4294967296: it must be 0 to 4294967295/],
    [['-x', '-2'], /--session-expiry is "-2"/],
    [['-x', '-1'], /kept for ever needs --id/],
    [['-x', '4294967295', '-I', 'x'], /kept for ever needs --id/],
    [['-k', '65536'], /--keepalive is 65536.*65535/],
    [['--will-payload', 'x'], /--will-payload needs --will-topic/],
    [['--will-qos', '1'], /--will-qos needs --will-topic/],
    [['--will-retain'], /--will-retain needs --will-topic/],
    [['--will-topic', 'w', '--will-qos', '3'], /--will-qos is 3: it must be 0 to 2/],
  ];
  for (const [args, words] of cases) refused(() => connection(...args), words);
  t.end();
});

t.test('sentences for what goes wrong on the way', (t) => {
  const error = (code: string): Error => Object.assign(new Error(`what the system says of ${code}`), { code });
  t.equal(placeOf({ host: '::1', port: 1883 }), '[::1]:1883');
  t.match(refusalSentence('here:1', 4), /here:1 refuses .*--username or --password/);
  t.match(refusalSentence('here:1', 5), /not authorised/);
  t.match(refusalSentence('here:1', 99), /return code 99/);
  t.match(lossSentence('here:1', LINK_LOST, error('ECONNREFUSED')), /here:1 cannot be reached: nothing listens/);
  t.match(lossSentence('here:1', LINK_LOST, error('ENOTFOUND')), /no machine has this name/);
  t.match(lossSentence('here:1', LINK_LOST, error('EODD')), /what the system says of EODD/);
  t.match(lossSentence('here:1', LINK_LOST, undefined), /here:1 closed the connection/);
  t.match(lossSentence('here:1', CONNECT_TIMEOUT, undefined), /no answer in time/);
  t.match(lossSentence('here:1', PING_TIMEOUT, undefined), /no longer answers/);
  t.match(lossSentence('here:1', MALFORMED, undefined), /0x81/);
  t.match(lossSentence('here:1', NOT_AUTHORIZED, undefined), /further steps of authentication/);
  t.equal(refusalSentence('here:1', 0x97, 'no\x1b[2J more'),
    'here:1 refuses the connection: a limit of the broker is reached (0x97); it says "no [2J more"');
  t.equal(lossSentence('here:1', 0x8b, undefined, () => undefined),
    'here:1 ended the connection: the broker is shutting down (0x8B)');
  t.match(lossSentence('here:1', 0x98, undefined, () => 'so long'), /\(0x98\); it says "so long"$/);
  t.equal(dropWords(QOS_NOT_SUPPORTED), 'the broker does not take this QoS (0x9B)');
  t.match(dropWords(EXPIRED), /message-expiry-interval/);
  t.equal(reasonWords(0xff), 'reason code 0xFF');
  for (let code = 0x80; code < 0x100; code++) { // every code that a broker may send has its words
    const known = Array.from({ length: 16 }, (_, type) => type).some((type) => isReasonOf(type, code));
    if (known) t.notMatch(reasonWords(code), /reason code/, `0x${code.toString(16)}`);
  }
  t.end();
});
