// Subscriptions of a client of MQTT 5.0: options, identifiers, properties, what the broker has told
// that it takes, and its answers. Runs on Node and on XS.

import t from 'tap';
import {
  IDENTIFIERS_NOT_SUPPORTED, MALFORMED, OK, PROTOCOL_ERROR, QUOTA_EXCEEDED, SERVER_UNAVAILABLE, SHARED_NOT_SUPPORTED, SUBSCRIBE, TOO_LARGE,
  TOPIC_FILTER_INVALID, UNSUBSCRIBE, WILDCARDS_NOT_SUPPORTED,
} from '../../src/wire/codes.js';
import { ascii, suback, suback5, unsuback5, type Properties } from '../support/packets.js';
import { checkClientInvariants } from './invariants.js';
import { encoded, ScriptedBroker } from './scripted-broker.js';

const LEVEL_5 = { protocolLevel: 5 } as const;

function connected(told: Properties = {}, ...given: ConstructorParameters<typeof ScriptedBroker>): ScriptedBroker {
  const broker = new ScriptedBroker({ ...LEVEL_5, ...given[0] }, given[1]);
  broker.accept(false, told);
  broker.notes.told();
  return broker;
}

function subscribe(broker: ScriptedBroker, filter: string, options: number, properties?: Properties): number {
  const given = properties === undefined ? null : encoded(SUBSCRIBE, properties);
  const outcome = broker.client.subscribe(ascii(filter), options, given);
  checkClientInvariants(broker.client);
  return outcome;
}

t.test('options and properties go out with the filter, and again with every new session', (t) => {
  const broker = new ScriptedBroker(LEVEL_5);
  t.equal(subscribe(broker, 'a/+', 0x2e, { user: [['x', 'y']], subscription: 300 }), OK);
  t.equal(subscribe(broker, 'b', 0x11), OK);
  t.same(broker.accept(), ['SUBSCRIBE id65532 a/+ 46 {subscription 300, user x=y}', 'SUBSCRIBE id65533 b 17'],
    'the identifier comes first');
  broker.send(suback5(0xfffc, { reason: 'well' }, 2));
  broker.send(suback5(0xfffd, {}, 1));
  t.same(broker.notes.told().slice(1), ['subscribed a/+ 2', 'subscribed b 1']);
  broker.lose();
  broker.pass(1000);
  t.same(broker.accept(true), []);
  broker.lose();
  broker.pass(2000);
  t.same(broker.accept(false), ['SUBSCRIBE id65532 a/+ 46 {subscription 300, user x=y}', 'SUBSCRIBE id65533 b 17']);
  t.end();
});

t.test('a filter that is wanted otherwise: other options, other properties, none', (t) => {
  const broker = connected();
  for (const [options, properties, words] of [
    [1, undefined, '1'], [2, { subscription: 1 }, '2 {subscription 1}'],
    [4, { subscription: 2, user: [['n', 'v'.repeat(70)]] }, `4 {subscription 2, user n=${'v'.repeat(70)}}`],
    [0, {}, '0'], [0, { subscription: 3 }, '0 {subscription 3}'], [1, undefined, '1'],
  ] as [number, Properties | undefined, string][]) {
    t.equal(subscribe(broker, 'a', options, properties), OK);
    t.same(broker.sent(), [`SUBSCRIBE id65532 a ${words}`]);
    broker.send(suback5(0xfffc, {}, options & 3));
    checkClientInvariants(broker.client);
  }
  t.equal(subscribe(broker, 'a', 1, { user: [['n', 'v'.repeat(200)]] }), OK);
  broker.sent();
  broker.send(suback5(0xfffc, {}, 1));
  t.equal(subscribe(broker, 'a', 1, { user: [['n', 'v'.repeat(190)]] }), OK, 'in the place of those before');
  t.same(broker.sent(), [`SUBSCRIBE id65532 a 1 {user n=${'v'.repeat(190)}}`]);
  broker.send(suback5(0xfffc, {}, 1));
  t.equal(subscribe(broker, 'b'.repeat(30), 1), OK);
  t.equal(subscribe(broker, 'a', 1, { user: [['n', 'v'.repeat(220)]] }), QUOTA_EXCEEDED, 'more than there is');
  t.same(broker.sent(), [`SUBSCRIBE id65533 ${'b'.repeat(30)} 1`]);
  checkClientInvariants(broker.client);
  broker.client.unsubscribe(ascii('a'), encoded(UNSUBSCRIBE, { user: [['w', 'why']] }));
  t.same(broker.sent(), ['UNSUBSCRIBE id65532 a {user w=why}']);
  broker.send(unsuback5(0xfffc, {}, 0));
  checkClientInvariants(broker.client);
  t.equal(broker.client.memory.subscriptions.count, 1);
  t.end();
});

t.test('options that there are none of are not taken, 5.0 [MQTT-3.8.3-5]', (t) => {
  const broker = connected();
  for (const options of [3, 7, 0x30, 0x3d, 0x40, 0x41, 0x80, -1, 1.5, 256]) {
    t.equal(subscribe(broker, 'a', options), PROTOCOL_ERROR, String(options));
  }
  const old = new ScriptedBroker();
  for (const options of [3, 4, 8, 0x10]) t.equal(subscribe(old, 'a', options), PROTOCOL_ERROR, `${options} in 3.1.1`);
  t.equal(broker.client.subscribe(ascii('a'), 0, encoded(UNSUBSCRIBE, {})), PROTOCOL_ERROR, 'properties of another packet');
  t.equal(broker.client.unsubscribe(ascii('a'), encoded(SUBSCRIBE, {})), PROTOCOL_ERROR);
  t.same(broker.sent(), []);
  t.end();
});

t.test('shared filters: their form, 5.0 [MQTT-4.8.2-1], 5.0 [MQTT-4.8.2-2]', (t) => {
  const broker = connected({}, {}, { subscriptionsMax: 8 });
  for (const filter of ['$share/g/a', '$share/g/#', '$share/g//']) t.equal(subscribe(broker, filter, 1), OK, filter);
  for (const filter of ['$share/', '$share/g', '$share/g/', '$share//a', '$share/+/a', '$share/#']) {
    t.equal(subscribe(broker, filter, 1), TOPIC_FILTER_INVALID, filter);
  }
  t.equal(subscribe(broker, '$share/g/b', 5), PROTOCOL_ERROR, 'no local, 5.0 [MQTT-3.8.3-4]');
  t.equal(subscribe(broker, '$shared', 5), OK, 'not one of them');
  t.equal(broker.subscribe('$share/g', 0), TOPIC_FILTER_INVALID);
  const old = new ScriptedBroker();
  t.equal(old.subscribe('$share/', 0), OK, '3.1.1 knows no such filters');
  t.end();
});

t.test('what the broker does not take is refused at once: wildcards, shared filters, identifiers', (t) => {
  const broker = connected({ wildcards: 0, shared: 0, identifiers: 0 });
  t.equal(subscribe(broker, 'a/+', 0), WILDCARDS_NOT_SUPPORTED);
  t.equal(subscribe(broker, '$share/g/a', 0), SHARED_NOT_SUPPORTED);
  t.equal(subscribe(broker, 'a', 0, { subscription: 1 }), IDENTIFIERS_NOT_SUPPORTED);
  t.equal(subscribe(broker, 'a', 0, { user: [['x', 'y']] }), OK);
  t.equal(broker.client.unsubscribe(ascii('a/#')), OK, 'a session may have it from earlier');
  t.same(broker.sent(), ['SUBSCRIBE id65532 a 0 {user x=y}', 'UNSUBSCRIBE id65533 a/#']);
  t.same(broker.notes.told(), []);
  t.end();
});

t.test('and told when it was asked for before the broker was there', (t) => {
  const broker = new ScriptedBroker(LEVEL_5);
  subscribe(broker, 'a/#', 0);
  subscribe(broker, '$share/g/a', 0);
  subscribe(broker, 'a', 0, { subscription: 1 });
  subscribe(broker, 'long', 0, { user: [['x', 'y'.repeat(20)]] });
  t.same(broker.accept(false, { wildcards: 0, shared: 0, identifiers: 0, packetMaximum: 30 }), []);
  t.same(broker.notes.told().slice(1), [`subscribed a/# ${0xa2}`, `subscribed $share/g/a ${0x9e}`, `subscribed a ${0xa1}`,
    `subscribed long ${0x95}`]);
  t.same([broker.client.memory.subscriptions.count, broker.client.counters.refusedSubscriptions], [0, 4]);
  broker.client.unsubscribe(ascii('x'.repeat(40)));
  broker.sent();
  t.same(broker.notes.told(), [`unsubscribed ${'x'.repeat(40)} ${0x95}`]);
  checkClientInvariants(broker.client);
  t.end();
});

t.test('the application may end it all when it is told of a refusal', (t) => {
  const broker = new ScriptedBroker(LEVEL_5);
  subscribe(broker, 'a/#', 0);
  subscribe(broker, 'b', 0);
  broker.notes.subscribed = () => broker.client.disconnect();
  t.same(broker.accept(false, { wildcards: 0 }), ['DISCONNECT']);
  checkClientInvariants(broker.client);
  t.end();
});

t.test('a filter with its properties must fit into a packet', (t) => {
  const broker = connected({}, {}, { filterBytes: 1024 });
  const most = 256 - 3 - 2 - 2 - 2 - 1 - 1; // header, identifier, length of properties, of the filter, filter, options
  t.equal(subscribe(broker, 'a', 0, { user: [['', 'v'.repeat(most - 5 + 1)]] }), TOO_LARGE);
  t.equal(subscribe(broker, 'a', 0, { user: [['', 'v'.repeat(most - 5)]] }), OK);
  t.match(broker.sent(), [/^SUBSCRIBE id65532 a 0 \{user =v+\}$/]);
  t.end();
});

t.test('every reason code of SUBACK and UNSUBACK is told', (t) => {
  for (const reasonCode of [0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]) {
    const broker = connected();
    broker.subscribe('a', 2);
    broker.sent();
    broker.send(suback5(0xfffc, {}, reasonCode));
    t.same(broker.notes.told(), [`subscribed a ${reasonCode}`]);
    t.same([broker.client.memory.subscriptions.count, broker.client.counters.refusedSubscriptions],
      reasonCode < 0x80 ? [1, 0] : [0, 1]);
  }
  for (const reasonCode of [0, 0x11, 0x80, 0x87]) {
    const broker = connected();
    broker.unsubscribe('a');
    broker.sent();
    broker.send(unsuback5(0xfffc, {}, reasonCode));
    t.same(broker.notes.told(), [`unsubscribed a${reasonCode === 0 ? '' : ` ${reasonCode}`}`]);
  }
  for (const codes of [[0, 0], [3]]) {
    const broker = connected();
    broker.unsubscribe('a');
    broker.sent();
    broker.send(unsuback5(0xfffc, {}, ...codes));
    t.same(broker.notes.told(), [`ended ${PROTOCOL_ERROR}`]);
  }
  for (const answer of [suback(0xfffc, 0), suback5(0xfffc, {}), suback5(0xfffc, {}, 3)]) {
    const broker = connected();
    broker.subscribe('a', 2);
    broker.sent();
    broker.send(answer);
    t.match(broker.notes.told(), [new RegExp(`ended (${MALFORMED}|${PROTOCOL_ERROR})`)]);
  }
  t.end();
});

t.test('what the application asks for when it is told of a refusal goes out as well', (t) => {
  const broker = new ScriptedBroker(LEVEL_5);
  subscribe(broker, 'a/#', 0);
  subscribe(broker, 'b', 0);
  const { subscribed } = broker.notes;
  broker.notes.subscribed = (...told) => {
    broker.notes.subscribed = subscribed;
    broker.client.subscribe(ascii('instead'), 1);
    subscribed.call(broker.notes, ...told);
  };
  const sent = [...broker.accept(false, { wildcards: 0 }), ...broker.sent()];
  t.same(sent.sort(), ['SUBSCRIBE id65532 instead 1', 'SUBSCRIBE id65533 b 0']);
  checkClientInvariants(broker.client);
  t.end();
});

t.test('a message that is published while the application ends it all goes nowhere', (t) => {
  const broker = new ScriptedBroker(LEVEL_5);
  subscribe(broker, 'a/#', 0);
  let outcome = 0;
  broker.notes.connected = () => {
    outcome = broker.publish('b', 'x');
  };
  broker.notes.subscribed = () => broker.client.disconnect();
  t.same(broker.accept(false, { wildcards: 0 }), ['DISCONNECT']);
  t.equal(outcome, SERVER_UNAVAILABLE);
  checkClientInvariants(broker.client);
  t.end();
});
