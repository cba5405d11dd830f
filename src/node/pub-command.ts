// `maisonnette pub`: publishes one message, the same one several times, or the lines of standard
// input, with the options of mosquitto_pub. It ends with 0 only when every message was handed over.

import { createReadStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EncodedProperties } from '../client/encoded-properties.js';
import { publishProperties, type PublishProperties } from '../client/properties.js';
import { QUOTA_EXCEEDED, SERVER_UNAVAILABLE, TOO_LARGE } from '../wire/codes.js';
import { checkTopicName } from '../wire/topic.js';
import {
  FailureError, helpText, parseArguments, seconds, UsageError, wholeNumber, type Command,
  type Option, type Values,
} from './arguments.js';
import {
  connectionOf, CONNECTION_SECTION, runClient, WILL_SECTION, type CommandClientOptions,
} from './connection-options.js';
import { lines, standardInput } from './lines.js';
import { givenProperties, PROPERTY_OPTION, propertyHelp } from './property-option.js';
import { dropWords } from './sentences.js';
import type { TcpClient } from './tcp-client.js';

const OPTIONS: readonly Option[] = [
  { name: 'topic', short: 't', value: 'TOPIC', help: 'where to publish' },
  { name: 'message', short: 'm', value: 'TEXT', help: 'the message' },
  { name: 'file', short: 'f', value: 'FILE', help: 'the message is what this file holds' },
  { name: 'stdin-line', short: 'l', help: 'each line of standard input is a message' },
  { name: 'stdin-file', short: 's', help: 'all of standard input is one message' },
  { name: 'null-message', short: 'n', help: 'an empty message; with --retain, it removes one' },
  { name: 'qos', short: 'q', value: 'N', help: 'QoS: 0, 1 or 2', default: '0' },
  { name: 'retain', short: 'r', help: 'the broker retains it' },
  { name: 'repeat', value: 'N', help: 'publish it N times', default: '1' },
  { name: 'repeat-delay', value: 'N', help: 'seconds between two of them', default: '0' },
  PROPERTY_OPTION,
  { name: 'quiet', help: 'say nothing about failures' },
];

/** What it sends that has properties. */
const COMMANDS = ['connect', 'publish', 'will', 'disconnect'] as const;

const EXIT_CODES = `
Exit codes: 0 everything was handed over (QoS 1 and 2: acknowledged by the broker); 1 not
everything was, or the broker refused some of it; 2 a wrong option, no broker, or a refused login.
Once connected, it reconnects by itself, but not for ever when the broker cuts it again and again
and takes no message, nor when another client with its identifier takes the session over.`;

/** Options of which one says what to publish. */
const SOURCES = ['message', 'file', 'stdin-line', 'stdin-file', 'null-message'] as const;

const PACKET_BYTES_MAX = 268_435_460;
const LINE_BYTES_MAX = 16 * 1024 * 1024;
/** Connections lost one after the other, on which a message waited and none was taken. */
const FRUITLESS_MAX = 3;

interface PubArguments {
  topic: Uint8Array;
  /** Payloads, one after the other; read no faster than they are published. */
  payloads: AsyncIterable<Uint8Array>;
  qos: number;
  retain: boolean;
  properties: EncodedProperties | null;
  quiet: boolean;
  client: CommandClientOptions;
}

export const pubCommand: Command = {
  name: 'pub',
  summary: 'publish messages, as mosquitto_pub does',
  async run(args) {
    const sections = [{ title: 'Options', options: OPTIONS }, CONNECTION_SECTION, WILL_SECTION];
    const values = parseArguments(args, sections.flatMap(({ options }) => options));
    if (values.flag('help')) {
      process.stdout.write(helpText('maisonnette pub [options] -t TOPIC -m TEXT',
        `Publishes a message, a file, or the lines of standard input.${EXIT_CODES}\n` +
        propertyHelp(COMMANDS), ...sections));
      return 0;
    }
    const quiet = values.flag('quiet');
    const given = await pubArguments(values);
    try {
      await new Publisher(given).run();
    } catch (error) {
      if (!quiet || !(error instanceof UsageError || error instanceof FailureError)) throw error;
      return error instanceof UsageError ? 2 : 1;
    } finally {
      process.stdin.destroy(); // it would keep the process
    }
    return 0;
  },
};

async function pubArguments(values: Values): Promise<PubArguments> {
  const given = givenProperties(values, COMMANDS);
  const connection = connectionOf(values, given);
  const name = values.text('topic') ?? connection.topic;
  if (name === undefined) throw new UsageError('--topic is missing: it says where to publish');
  const topic = Buffer.from(name);
  if (topic.length > 0xffff || checkTopicName(topic, 0, topic.length) !== 0) {
    throw new UsageError(`--topic is "${name.slice(0, 100)}": one cannot publish there, ` +
      'as it is empty, too long or has + or #');
  }
  const { payloads, bytesMax } = await source(values);
  const properties = messageProperties(given.publish);
  const needed = bytesMax + topic.length + (properties?.bytes.length ?? 0) + 16;
  if (needed > PACKET_BYTES_MAX) throw tooLarge(`${bytesMax}`);
  const largest = given.limits.packetBytesMax;
  if (largest !== undefined && largest < needed && !values.flag('stdin-line')) {
    throw new UsageError(`--property connect maximum-packet-size is ${largest}: ` +
      `it is also the largest that this client sends, and the message needs up to ${needed}`);
  }
  // And CONNECT has to fit.
  const packetBytesMax = largest ?? Math.max(needed, 262_144);
  return {
    topic,
    payloads,
    qos: wholeNumber('qos', values.text('qos') ?? '0', 0, 2),
    retain: values.flag('retain'),
    properties,
    quiet: values.flag('quiet'),
    client: {
      ...connection.options,
      // QoS 0 by way of the queue, too: it tells when it is full, and when there is room again.
      queueQoS0: true,
      limits: {
        packetBytesMax,
        outboxBytes: packetBytesMax + 65_536,
        queueBytes: Math.max(4 * 1024 * 1024, packetBytesMax + 4096),
        queuedMax: 4096,
        messageBlockBytes: 512,
        ...given.limits,
      },
    },
  };
}

/** Null: none. Throws UsageError for what no PUBLISH can say. */
function messageProperties(given: PublishProperties): EncodedProperties | null {
  if (Object.keys(given).length === 0) return null;
  try {
    return publishProperties(given);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`--property publish: ${error.message}`);
  }
}

function tooLarge(byteCount: string): UsageError {
  return new UsageError(`the message has ${byteCount} bytes: a packet of MQTT has at most ` +
    `${PACKET_BYTES_MAX}, with the topic`);
}

interface Source {
  payloads: AsyncIterable<Uint8Array>;
  /** Of one payload. */
  bytesMax: number;
}

async function source(values: Values): Promise<Source> {
  const given = SOURCES.filter((name) => values.flag(name) || values.text(name) !== undefined);
  if (given.length !== 1) {
    throw new UsageError(given.length === 0 ?
      `what to publish is missing: give one of ${SOURCES.map((name) => `--${name}`).join(', ')}` :
      `${given.map((name) => `--${name}`).join(' and ')}: each says what to publish, give one`);
  }
  const repeat = values.text('repeat');
  const delay = values.text('repeat-delay');
  if (given[0] === 'stdin-line') {
    if (repeat !== undefined) throw new UsageError('--repeat does not go with --stdin-line');
    return { payloads: lines(standardInput(), LINE_BYTES_MAX), bytesMax: LINE_BYTES_MAX };
  }
  const payload = await onePayload(given[0]!, values);
  const count = repeat === undefined ? 1 : wholeNumber('repeat', repeat, 1, 0x7fffffff);
  const delayMs = delay === undefined ? 0 : seconds('repeat-delay', delay, 0, 2_147_483);
  return { payloads: repeated(payload, count, delayMs), bytesMax: payload.length };
}

async function onePayload(
  name: (typeof SOURCES)[number], values: Values,
): Promise<Uint8Array> {
  if (name === 'stdin-file') return whole(standardInput());
  return name === 'file' ? whole(fileContent(values.text('file')!)) :
    Buffer.from(values.text('message') ?? '');
}

async function* fileContent(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>;
  } catch (error) {
    throw new UsageError(`--file ${path} cannot be read: ${(error as Error).message}`);
  }
}

/** All of it, unless it is more than any packet holds. */
async function whole(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const kept: Uint8Array[] = [];
  let byteCount = 0;
  for await (const chunk of chunks) {
    byteCount += chunk.length;
    if (byteCount > PACKET_BYTES_MAX) throw tooLarge(`more than ${PACKET_BYTES_MAX}`);
    kept.push(chunk);
  }
  return Buffer.concat(kept, byteCount);
}

async function* repeated(
  payload: Uint8Array, count: number, delayMs: number,
): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) {
    if (i > 0 && delayMs > 0) await sleep(delayMs, undefined, { ref: false });
    yield payload;
  }
}

class Publisher {
  readonly #given: PubArguments;
  #client: TcpClient | undefined;
  #close = (): void => {};
  #begun = false;
  #isConnected = false;
  #fruitlessCount = 0;
  /** The last sentence about the connection: the same one is not repeated. */
  #told = '';
  #publishedCount = 0;
  #refusedCount = 0;
  /** Why the last of them was. */
  #refusal = '';
  /** Everything was published, */
  #complete = false;
  /** and acknowledged or refused, where that is due. */
  #allAnswered = false;
  #failure: Error | undefined;
  /** Goes on with what had to wait. */
  #goOn = (): void => {};

  constructor(given: PubArguments) {
    this.#given = given;
  }

  async run(): Promise<void> {
    const complete = await runClient({
      ...this.#given.client,
      onConnected: () => this.#connected(),
      onRefusal: (sentence) => this.#tell(sentence),
      onLoss: (sentence) => this.#lost(sentence),
      onDelivered: () => this.#answered(),
      onDropped: (_handle, reason) => this.#dropped(reason),
    }, (client, close) => {
      this.#client = client;
      this.#close = close;
    });
    if (this.#failure) throw this.#failure;
    if (!this.#allAnswered || !complete) throw this.#incomplete('');
    if (this.#refusedCount > 0) throw this.#refused();
  }

  #incomplete(why: string): FailureError {
    const refused = this.#refusedCount === 0 ? '' : `, ${this.#refusedCount} refused`;
    return new FailureError(`not everything was handed over (${this.#publishedCount} published, ` +
      `${this.#client!.waitingCount} of them waiting${refused})${why}`);
  }

  #refused(): FailureError {
    const which = this.#publishedCount === 1 ? 'the message was' :
      `${this.#refusedCount} of ${this.#publishedCount} messages were`;
    return new FailureError(`${which} not taken: ${this.#refusal}`);
  }

  #connected(): void {
    this.#isConnected = true;
    this.#told = '';
    this.#goOn();
    if (this.#begun) return;
    this.#begun = true;
    this.#publishAll().catch((error: unknown) => {
      this.#failure = error as Error;
      this.#close();
    });
  }

  /** A connection was lost, or the attempt to get a new one failed. */
  #lost(sentence: string): void {
    this.#tell(sentence);
    if (!this.#isConnected) return;
    this.#isConnected = false;
    if (this.#client!.waitingCount === 0 || ++this.#fruitlessCount < FRUITLESS_MAX) return;
    this.#failure = this.#incomplete(
      `: the connection was lost ${FRUITLESS_MAX} times, and nothing was taken in between`);
    this.#close();
  }

  #tell(sentence: string): void {
    if (sentence !== this.#told && !this.#given.quiet) {
      process.stderr.write(`maisonnette: ${sentence}.\n`);
    }
    this.#told = sentence;
  }

  #answered(): void {
    this.#fruitlessCount = 0;
    this.#goOn();
    this.#closeWhenDone();
  }

  /** The queue refuses what is new, so nothing makes room for it: the broker does not take it. */
  #dropped(reason: number): void {
    this.#refusedCount++;
    this.#refusal = dropWords(reason);
    // What is the last word of all anyway is not said twice.
    if (!this.#complete) this.#tell(`a message was not taken: ${this.#refusal}`);
    this.#answered();
  }

  async #publishAll(): Promise<void> {
    for await (const payload of this.#given.payloads) {
      while (!this.#publish(payload)) await new Promise<void>((resolve) => this.#goOn = resolve);
    }
    this.#complete = true;
    this.#closeWhenDone();
  }

  /** False when there is no room now. */
  #publish(payload: Uint8Array): boolean {
    const { topic, qos, retain, properties } = this.#given;
    const outcome = this.#client!.publishBytes(topic, payload, qos, retain, properties);
    if (outcome === QUOTA_EXCEEDED || outcome === SERVER_UNAVAILABLE) return false;
    if (outcome < 0) {
      throw new FailureError(`message ${this.#publishedCount + 1} of ${payload.length} bytes ` +
        `cannot be published: ${outcome === TOO_LARGE ?
          'its packet is larger than the broker or --property connect maximum-packet-size allows' :
          dropWords(outcome)}`);
    }
    this.#publishedCount++;
    return true;
  }

  #closeWhenDone(): void {
    if (!this.#complete || this.#client!.waitingCount > 0) return;
    this.#allAnswered = true;
    this.#close();
  }
}
