// mosquitto_pub and mosquitto_sub of Debian in MQTT 5.0, at our broker and at a real Mosquitto: both must make them
// print the same.

import t, { type Test } from 'tap';
import type { Child } from '../node/children.js';
import { Mosquitto, OurBroker, mosquittoSkip, type BrokerProcess } from './mosquitto-broker.js';

const skip = mosquittoSkip();

/** Retained at the beginning of each test: a subscriber has it when its subscription is in force. */
const READY = 'ready';
/** All that mosquitto_sub can say of a message, but for the time, in a line. */
const EVERYTHING = '%A|%C|%D|%E|%F|%l|%m|%P|%p|%q|%R|%r|%S|%t|%x';

function d(...words: string[]): string[] {
  return words.map((word) => word.split('=')).flatMap(([name, ...values]) => ['-D', 'publish', name!, ...values]);
}

const PROPERTIES = d('user-property=a=1', 'content-type=text/plain', 'user-property=b=é', 'response-topic=rép/a',
  'user-property=a=', 'correlation-data=x"y', 'payload-format-indicator=1', 'message-expiry-interval=4000000000');

class House {
  readonly #broker: BrokerProcess;
  readonly #test: Test;

  private constructor(t: Test, broker: BrokerProcess) {
    this.#test = t;
    this.#broker = broker;
  }

  static async open(t: Test, broker: BrokerProcess): Promise<House> {
    const house = new House(t, broker);
    await house.publish('-t', READY, '-m', 'now', '-r', '-q', '1');
    return house;
  }

  /** mosquitto_pub of MQTT 5.0; what it says on stderr. */
  async publish(...args: string[]): Promise<string> {
    const { code, stderr } = await this.#broker.mosquittoPub('-V', '5', ...args);
    this.#test.equal(code, 0, `mosquitto_pub ${args.join(' ')}: ${stderr}`);
    return stderr;
  }

  old(...args: string[]): Promise<unknown> {
    return this.#broker.mosquittoPub(...args);
  }

  /** mosquitto_sub of MQTT 5.0, not yet subscribed. */
  start(...args: string[]): Child {
    return this.#broker.mosquittoSub('-V', '5', ...args);
  }

  /** The same, subscribed when this resolves; `lines` leaves out what told so. */
  async sub(...args: string[]): Promise<Child> {
    const child = this.start('-t', READY, ...args);
    await child.line(/now/);
    return child;
  }
}

/** What is printed once READY was. */
async function lines(child: Child): Promise<string[]> {
  const { stdout } = await child.end();
  return stdout.trimEnd().split('\n').filter((line) => !line.includes(READY) && line !== 'now');
}

/** Runs `scenario` at both brokers; what it told at ours must be what it told at Mosquitto. */
function both(name: string, scenario: (house: House, t: Test) => Promise<readonly unknown[]>): void {
  t.test(name, { skip }, async (t) => {
    const ours = await scenario(await House.open(t, await OurBroker.open(t)), t);
    const theirs = await scenario(await House.open(t, await Mosquitto.open(t)), t);
    t.strictSame(ours, theirs);
    t.ok(ours.length > 0, `${ours.length} lines`);
  });
}

both('all properties, every QoS, live and retained', async (house) => {
  const told: string[] = [];
  const subs: Child[] = [];
  for (const granted of ['0', '1', '2']) {
    subs.push(await house.sub('-q', granted, '-t', 'maison/#', '-F', EVERYTHING, '-C', '9',
      '-D', 'subscribe', 'subscription-identifier', `${300 * (Number(granted) + 1)}`));
  }
  for (const qos of ['0', '1', '2']) {
    await house.publish('-q', qos, '-t', `maison/${qos}`, '-m', `été ${qos}`, ...PROPERTIES);
    await house.publish('-q', qos, '-t', `maison/${qos}`, '-n');
  }
  await house.old('-V', '311', '-t', 'maison/old', '-m', 'old', '-q', '1');
  await house.publish('-q', '2', '-t', 'maison/kept', '-m', 'kept', '-r', ...PROPERTIES);
  // A second or two may have gone by; and what differs in topic and QoS comes in any order.
  const plain = (line: string): string => line.replace(/\|(4000000000|3999999999|399999999[0-8])\|/, '|4000000000|');
  for (const sub of subs) told.push(...(await lines(sub)).map(plain).sort());
  const late = house.start('-q', '2', '-t', 'maison/#', '-F', EVERYTHING, '-C', '1');
  told.push(...(await lines(late)).map(plain));
  return told;
});

both('JSON of everything (-F %j)', async (house) => {
  const sub = await house.sub('-q', '1', '-t', 'maison/#', '-F', '%j', '-C', '4');
  await house.publish('-q', '2', '-t', 'maison/a', '-m', 'été "', ...PROPERTIES);
  await house.publish('-t', 'maison/b', '-m', 'x');
  await house.publish('-t', 'maison/c', '-m', 'x', '-q', '1', ...d('user-property=only=one'));
  return (await lines(sub)).map((line) => ({ ...JSON.parse(line) as object, tst: '' }));
});

// To the subscriber there are none: mosquitto_sub 2.0.11 may announce that it takes some, but does not know them.
both('topic aliases of the publisher', async (house) => {
  const sub = await house.sub('-q', '1', '-t', 'maison/#', '-F', EVERYTHING, '-C', '7');
  for (const qos of ['0', '1']) {
    await house.publish('-q', qos, '-t', `maison/${qos}`, '-m', 'x', '--repeat', '3', '--repeat-delay', '0.01',
      ...d('topic-alias=1'));
  }
  return lines(sub);
});

both('retained, and retain as published', async (house) => {
  await house.publish('-t', 'maison/kept', '-m', 'kept', '-r', '-q', '1');
  const as = await house.sub('-q', '1', '-t', 'maison/#', '--retain-as-published', '-F', '%r %t %p', '-C', '4');
  const not = await house.sub('-q', '1', '-t', 'maison/#', '-F', '%r %t %p', '-C', '4');
  await house.publish('-t', 'maison/kept', '-m', 'new', '-r', '-q', '1');
  await house.publish('-t', 'maison/passing', '-m', 'new', '-q', '1');
  return [...await lines(as), '', ...await lines(not)];
});

both('a session that is kept for some time (-x), and what expires meanwhile', async (house) => {
  const kept = ['-c', '-i', 'kept', '-x', '60', '-q', '2', '-t', 'maison/#', '-F', '%q %E %t %p'];
  await (await house.sub(...kept, '-C', '1')).end();
  await house.publish('-t', 'maison/a', '-m', 'zero');
  await house.publish('-t', 'maison/a', '-m', 'one', '-q', '1', ...d('message-expiry-interval=1'));
  await house.publish('-t', 'maison/b', '-m', 'two', '-q', '2');
  await house.publish('-t', 'maison/b', '-m', 'three', '-q', '2', ...d('message-expiry-interval=100'));
  await new Promise((resolve) => setTimeout(resolve, 2200));
  const told = await lines(house.start(...kept, '-C', '2'));
  const left = Number(/ (\d+) /.exec(told[1]!)![1]);
  return [told[0], left >= 95 && left <= 98 || left, await lines(house.start('-i', 'kept', '-t', READY, '-C', '1'))];
});

both('a will with properties, after its delay', async (house) => {
  const reader = await house.sub('-q', '2', '-t', 'will/#', '-F', EVERYTHING, '-C', '2');
  const properties = ['user-property=a=1', 'content-type=text/plain', 'response-topic=r', 'correlation-data=c',
    'payload-format-indicator=1', 'message-expiry-interval=50', 'will-delay-interval=1'];
  const will = await house.sub('-i', 'abrupt', '-x', '60', '--will-topic', 'will/abrupt', '--will-payload', 'gone',
    '--will-qos', '1', ...properties.flatMap((word) => ['-D', 'will', ...word.split('=')]));
  will.process.kill('SIGKILL');
  await will.exit;
  return lines(reader);
});

both('shared subscriptions: each message to one member', async (house) => {
  const subs = await Promise.all([0, 1, 2].map(() => house.sub('-q', '1', '-t', '$share/g/maison/+', '-F', '%t %p')));
  for (let i = 0; i < 12; i++) await house.publish('-q', '1', '-t', `maison/${i}`, '-m', `${i}`);
  const all = (): string[] => subs.flatMap((sub) => sub.lines).filter((line) => line.startsWith('maison'));
  while (all().length < 12) await new Promise((resolve) => setTimeout(resolve, 10));
  for (const sub of subs) await sub.kill();
  return [...all().sort(), ...subs.map((sub) => sub.lines.length - 1)];
});

t.test('what our broker says is said by mosquitto_pub and mosquitto_sub', { skip }, async (t) => {
  const broker = await OurBroker.open(t, '--max-packet', '2000', '--max-subscriptions', '1');
  const pub = (...args: string[]) => broker.mosquittoPub('-V', '5', ...args);
  t.match(await pub('-q', '1', '-t', '$SYS/x', '-m', 'x'), { stderr: /Not authorized/ }, '0x87');
  t.match(await pub('-q', '1', '-t', 'a', '-m', 'now', '-r'), { code: 0, stderr: '' }, '0x10 is no failure');
  const large = await pub('-q', '1', '-t', 'a', '-m', 'x'.repeat(2000), '-d');
  t.notMatch(large.stdout, /PUBLISH/, 'it keeps to the maximum packet size');
  const twin = async (): Promise<Child> => {
    const child = broker.mosquittoSub('-V', '5', '-i', 'twin', '-t', 'a', '-d');
    await child.line(/now/); // what it says about packets comes at its end
    return child;
  };
  const first = await twin();
  t.match(await broker.mosquittoSub('-V', '5', '-t', 'b', '-d').end(),
    { stderr: /All subscription requests were denied/, stdout: /Subscribed.*151/ }, '0x97');
  const second = await twin();
  t.match((await first.end()).stdout, /Received DISCONNECT \(142\)/, 'taken over');
  await broker.stop('SIGTERM');
  t.match((await second.end()).stdout, /Received DISCONNECT \(139\)/, 'shutting down');
});
