// MessageStore: messages in one part or two, over chains of blocks, with holders; alone and against
// a simple model under seeded random use. Runs on Node and on XS.

import t from 'tap';
import { Random } from '../support/random.js';
import {
  ascii, concat, encodeProperties, publish, publish5, toHex, type Properties,
} from '../support/packets.js';
import { Columns } from '../../src/session/columns.js';
import { EXPIRES, MessageStore, WITH_PROPERTIES } from '../../src/session/messages.js';
import { storeBytes } from '../../src/table-bytes.js';
import { NONE } from '../../src/wire/codes.js';

const SEED = 20260712;
const BASE = 2000;
/** Where tests lay out what they store, and where they encode to. */
const SOURCE = 10;
const TARGET = 1000;

function makeStore(blockBytes: number, blockCount: number, referencesMax = 9): MessageStore {
  return new MessageStore(new Uint8Array(BASE + blockBytes * blockCount), BASE, blockBytes,
    blockCount, 1000, referencesMax, new Columns(storeBytes(blockCount, 1000, referencesMax)));
}

/** Stores the message, its payload `gap` bytes behind its topic. */
function store(messages: MessageStore, topic: string, payload: string, flags = 0, gap = 0): number {
  const { memory } = messages.blocks;
  const start = SOURCE + 2;
  memory[SOURCE] = topic.length >> 8;
  memory[SOURCE + 1] = topic.length;
  memory.set(ascii(topic), start);
  const end = start + topic.length;
  memory.fill(0xee, end, end + gap);
  memory.set(ascii(payload), end + gap);
  return messages.store(start, end, end + gap, end + gap + payload.length, flags);
}

/** A text whose characters are the bytes. */
function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

/** The message as PUBLISH, in hexadecimal. */
function encoded(messages: MessageStore, message: number, flags: number, id: number): string {
  const end = messages.encode(message, TARGET, flags, id);
  const size = messages.publishBytes(message, flags >> 1 & 3);
  if (end - TARGET !== size) return `${end - TARGET} bytes, ${size} announced`;
  return toHex(messages.blocks.memory.slice(TARGET, end));
}

t.test('topic and payload come out as PUBLISH as they went in, in one part or two, over any blocks', (t) => {
  const text = 'abcdefghijklmnopqrstuvwxyz'.repeat(12);
  for (const blockBytes of [1, 2, 3, 16, 64, 500]) {
    const messages = makeStore(blockBytes, Math.ceil(400 / blockBytes));
    let wrong = '';
    for (const topicBytes of [1, 2, 13, 14, 15, 62, 100]) {
      for (const payloadBytes of [0, 1, 15, 16, 17, 112, 250]) {
        for (const gap of [0, 1, 2, 40]) {
          const topic = text.slice(0, topicBytes);
          const payload = text.slice(20, 20 + payloadBytes);
          const message = store(messages, topic, payload, 0, gap);
          const name = `${topicBytes} and ${payloadBytes} bytes, ${gap} apart`;
          if (encoded(messages, message, 0,
            0) !== toHex(publish(topic, payload))) wrong += `${name}, QoS 0\n`;
          const wanted = toHex(publish(topic, payload,
            { qos: 2, id: 0xabcd, retain: true, duplicate: true }));
          if (encoded(messages, message, 13, 0xabcd) !== wanted) wrong += `${name}, QoS 2\n`;
          messages.release(message);
        }
      }
    }
    t.equal(wrong, '', `blocks of ${blockBytes}`);
    t.equal(messages.blocks.freeCount, messages.blocks.blockCount);
  }
  t.end();
});

t.test('a message with properties goes to 3.1.1 without them, to 5.0 with them and more, over any blocks', (t) => {
  const extra = { user: ['mehr', 'davon'] as [string, string] };
  const kinds: Properties[] = [
    { format: 1 }, { user: ['a', 'b'.repeat(150)] }, { expiry: 100, contentType: 'text' },
    { expiry: 100, user: ['a', 'b'.repeat(130)] },
  ];
  for (const blockBytes of [1, 3, 16, 500]) {
    const messages = makeStore(blockBytes, Math.ceil(700 / blockBytes));
    const { memory } = messages.blocks;
    let wrong = '';
    for (const properties of kinds) {
      for (const qos of [0, 1]) {
        for (const [topic, payload] of [['a', ''], ['maison/salon', 'x'.repeat(100)]] as const) {
          const stored = concat(encodeProperties(properties), ascii(payload));
          const expires = properties.expiry === undefined ? 0 : EXPIRES;
          const message = store(messages, topic, latin1(stored), qos << 1 | WITH_PROPERTIES | expires, 3);
          const name = `${topic} ${JSON.stringify(properties)}, QoS ${qos}`;
          const old = toHex(publish(topic, payload, { qos, id: 7 }));
          if (encoded(messages, message, qos << 1, 7) !== old) wrong += `${name}: 3.1.1\n`;
          for (const alias of [false, true]) {
            const more = encodeProperties(extra).slice(1);
            const sent = alias ? 0 : topic.length;
            const at = messages.encodeStart5(message, TARGET, qos << 1, 7, sent, more.length, 40);
            memory.set(more, at);
            const end = messages.encodePayload(message, at + more.length);
            const left = expires === 0 ? {} : { expiry: 60 };
            const both = properties.user === undefined ? { ...properties, ...left, ...extra } :
              { ...properties, ...left, user: [properties.user, extra.user] as [string, string][] };
            const wanted = publish(alias ? '' : topic, payload, { qos, id: 7, properties: both });
            if (toHex(memory.slice(TARGET, end)) !== toHex(wanted)) wrong += `${name}: 5.0\n`;
            if (messages.publishBytes5(message, qos, sent, more.length) !== wanted.length) wrong += `${name}: size\n`;
          }
          if (messages.payloadBytes(message) !== payload.length) wrong += `${name}: payload\n`;
          if (messages.contentBytes(message) !== stored.length) wrong += `${name}: content\n`;
          if (messages.expired(message, 100)) wrong += `${name}: expired early\n`;
          if (messages.expired(message, 101) !== (expires !== 0)) wrong += `${name}: expiry\n`;
          if (messages.expiringCount !== (expires === 0 ? 0 : 1)) wrong += `${name}: count\n`;
          messages.release(message);
          if (messages.expiringCount !== 0) wrong += `${name}: count after all\n`;
        }
      }
    }
    t.equal(wrong, '', `blocks of ${blockBytes}`);
  }
  t.end();
});

t.test('a message without properties gets some for 5.0, or none', (t) => {
  const messages = makeStore(16, 10);
  const message = store(messages, 'a/b', 'xyz');
  let end = messages.encodePayload(message, messages.encodeStart5(message, TARGET, 2, 5, 3, 0, 0));
  t.equal(toHex(messages.blocks.memory.slice(TARGET, end)), toHex(publish5('a/b', 'xyz', { qos: 1, id: 5 })));
  const at = messages.encodeStart5(message, TARGET, 0, 0, 0, 3, 0);
  messages.blocks.memory.set([0x23, 0, 9], at);
  end = messages.encodePayload(message, at + 3);
  t.equal(toHex(messages.blocks.memory.slice(TARGET, end)), toHex(publish5('', 'xyz', { properties: { alias: 9 } })));
  t.end();
});

t.test('a message goes when the last of its holders lets go', (t) => {
  const messages = makeStore(16, 10);
  const message = store(messages, 'a/b', 'x'.repeat(40), 3);
  t.same([messages.count, messages.blocks.freeCount, messages.flags(message)], [1, 7, 3]);
  messages.hold(message);
  messages.hold(message);
  messages.release(message);
  messages.release(message);
  t.same([messages.count, messages.blocks.freeCount], [1, 7]);
  messages.release(message);
  t.same([messages.count, messages.blocks.freeCount], [0, 10]);
  t.end();
});

t.test('a message that does not fit is not stored, and nothing is changed', (t) => {
  const messages = makeStore(16, 3);
  t.equal((messages.blocks.blocksFor(6 + 40 + 2) <= messages.blocks.freeCount), true, '48 bytes with the length of the topic');
  t.equal((messages.blocks.blocksFor(6 + 41 + 2) <= messages.blocks.freeCount), false);
  t.equal(store(messages, 'topics', 'x'.repeat(41)), NONE);
  t.same([messages.count, messages.blocks.freeCount], [0, 3]);
  const message = store(messages, 'topics', 'x'.repeat(40));
  t.not(message, NONE);
  t.equal(store(messages, 'a', ''), NONE);
  t.equal(encoded(messages, message, 0, 0), toHex(publish('topics', 'x'.repeat(40))));
  t.end();
});

t.test('as many holders as were announced can be counted', (t) => {
  for (const holders of [255, 256, 65_535, 65_536]) {
    const messages = makeStore(16, 1, holders);
    const message = store(messages, 'a', '');
    for (let i = 1; i < holders; i++) messages.hold(message);
    t.equal(messages.holders(message), holders);
  }
  t.end();
});

t.test(`random use agrees with a model; seed ${SEED}`, (t) => {
  const random = new Random(SEED);
  const messages = makeStore(16, 60);
  const model = new Map<number, { topic: string; payload: string; flags: number; holders: number }>();
  const topics = ['a', 'maison/salon/temperature', 'maison/salon/temperaturf', 'x'.repeat(33)];
  let problem = '';
  for (let step = 0; step < 1200 && problem === ''; step++) {
    const action = random.weighted({ store: step % 200 < 100 ? 60 : 30, hold: 15, release: 40 });
    const held = [...model.keys()];
    if (action === 'store') {
      const topic = random.pick(topics);
      const payload = String.fromCharCode(97 + step % 26).repeat(random.below(120));
      const flags = random.below(8);
      const fits = (messages.blocks.blocksFor(topic.length + payload.length + 2) <= messages.blocks.freeCount);
      const message = store(messages, topic, payload, flags, random.below(3));
      if ((message !== NONE) !== fits || model.has(message)) problem = `step ${step}: stored as ${message}`;
      if (message !== NONE) model.set(message, { topic, payload, flags, holders: 1 });
    } else if (held.length > 0) {
      const message = random.pick(held);
      const record = model.get(message)!;
      if (action === 'hold') {
        messages.hold(message);
        record.holders++;
      } else {
        if (encoded(messages, message, 0, 0) !== toHex(publish(record.topic, record.payload)) ||
            messages.flags(message) !== record.flags) problem = `step ${step}: message ${message} has changed`;
        messages.release(message);
        if (--record.holders === 0) model.delete(message);
      }
    }
    if (messages.count !== model.size) problem ||= `step ${step}: ${messages.count} messages, not ${model.size}`;
  }
  t.equal(problem, '');
  t.end();
});
