// `maisonnette sub`: subscribes and prints what comes, with the options, the output and the exit
// codes of mosquitto_sub. What standard output does not take is not read from the broker either.

import { FILTER_BLOCK_BYTES } from '../client/limits.js';
import type { MessageInfo, SubscribeOptions } from '../client/mqtt-client.js';
import type { UserProperties } from '../client/properties.js';
import { OK, TOO_LARGE, TOPIC_FILTER_INVALID } from '../wire/codes.js';
import { checkTopicFilter } from '../wire/topic.js';
import {
  FailureError, helpText, parseArguments, seconds, UsageError, wholeNumber,
} from './arguments.js';
import type { Command, Option, Values } from './arguments.js';
import {
  connectionOf, CONNECTION_SECTION, runClient, WILL_SECTION, type CommandClientOptions,
} from './connection-options.js';
import { givenProperties, PROPERTY_OPTION, propertyHelp } from './property-option.js';
import { receivedProperties } from './received-properties.js';
import { becauseOf, dropWords, isRefusal } from './sentences.js';
import { parseFormat, type Format, type PrintedMessage } from './sub-format.js';
import type { TcpClient } from './tcp-client.js';

/** Exit code when --timeout runs out: Mosquitto's MOSQ_ERR_TIMEOUT. */
const TIMED_OUT = 27;

const OPTIONS: readonly Option[] = [
  { name: 'topic', short: 't', value: 'FILTER', many: true,
    help: 'what to subscribe to; may be given several times' },
  { name: 'qos', short: 'q', value: 'N',
    help: 'QoS of the subscriptions: 0, 1 or 2', default: '0' },
  { name: 'filter-out', short: 'T', value: 'FILTER', many: true,
    help: 'leave out what matches this; may be given several times' },
  { name: 'unsubscribe', short: 'U', value: 'FILTER', many: true,
    help: 'unsubscribe at the start, from a session that was kept; may be given several times' },
  { name: 'verbose', short: 'v', help: 'print the topic before each message' },
  { name: 'format', short: 'F', value: 'FORMAT',
    help: 'print in this format: %t topic, %p payload, %x and %X in hexadecimal, %l its length, ' +
      '%q QoS, %r retain, %m packet identifier, %j and %J JSON, %I and %U time, @X time as in ' +
      'strftime, of MQTT 5.0 %A topic alias, %C content type, %D correlation data, %E message ' +
      'expiry, %F payload format, %P user properties, %R response topic, %S subscription ' +
      'identifier, \\n and \\t and so on; as mosquitto_sub has them' },
  { name: 'no-newline', short: 'N', help: 'no new line after each message' },
  { name: 'count', short: 'C', value: 'N', help: 'end after so many messages' },
  { name: 'timeout', short: 'W', value: 'N',
    help: `end after N seconds, with exit code ${TIMED_OUT}` },
  { name: 'subscribe-only', short: 'E',
    help: 'end when the broker has answered the subscriptions' },
  { name: 'no-retained', short: 'R', help: 'leave out messages that were retained' },
  { name: 'retained-only', help: 'print retained messages only, and end at the first that is not' },
  { name: 'remove-retained', help: 'remove the retained messages that come from the broker' },
  { name: 'retain-as-published',
    help: 'RETAIN as the publisher has it, also in new messages; chooses MQTT 5.0' },
  PROPERTY_OPTION,
  { name: 'max-packet', value: 'N',
    help: 'bytes of the largest packet taken', default: '16777216' },
  { name: 'quiet', help: 'say nothing about failures' },
];

/** What it sends that has properties. */
const COMMANDS = ['connect', 'subscribe', 'unsubscribe', 'will', 'disconnect'] as const;

const EXIT_CODES = `
Exit codes: 0 as asked, also after Ctrl-C; 1 a failure; 2 a wrong option, no broker, a refused
login, or all subscriptions refused; ${TIMED_OUT} after --timeout. Once connected, it reconnects by
itself.`;

interface SubArguments {
  filters: ReadonlySet<string>;
  unwanted: ReadonlySet<string>;
  filtersOut: readonly string[];
  /** Of all subscriptions. */
  subscription: SubscribeOptions;
  unsubscription: UserProperties;
  print: Format;
  /** Of messages to print; Infinity: no end. */
  count: number;
  timeoutMs: number | undefined;
  subscribeOnly: boolean;
  noRetained: boolean;
  retainedOnly: boolean;
  removeRetained: boolean;
  quiet: boolean;
  client: CommandClientOptions;
}

export const subCommand: Command = {
  name: 'sub',
  summary: 'subscribe and print messages, as mosquitto_sub does',
  async run(args) {
    const sections = [{ title: 'Options', options: OPTIONS }, CONNECTION_SECTION, WILL_SECTION];
    const values = parseArguments(args, sections.flatMap(({ options }) => options));
    if (values.flag('help')) {
      process.stdout.write(helpText('maisonnette sub [options] -t FILTER',
        `Subscribes and prints the messages that come.${EXIT_CODES}\n${propertyHelp(COMMANDS)}`,
        ...sections));
      return 0;
    }
    return new Subscriber(subArguments(values)).run();
  },
};

function subArguments(values: Values): SubArguments {
  const given = givenProperties(values, COMMANDS);
  const connection = connectionOf(values, given);
  const filters = new Set(values.texts('topic'));
  if (connection.topic !== undefined) filters.add(connection.topic);
  if (filters.size === 0) throw new UsageError('--topic is missing: it says what to subscribe to');
  const unwanted = new Set(values.texts('unsubscribe'));
  const filtersOut = values.texts('filter-out');
  checkFilters('topic', filters);
  checkFilters('unsubscribe', unwanted);
  checkFilters('filter-out', filtersOut);
  if (values.flag('no-retained') && values.flag('retained-only')) {
    throw new UsageError('--no-retained and --retained-only together leave nothing to print');
  }
  const count = values.text('count');
  const timeout = values.text('timeout');
  if (given.limits.packetBytesMax !== undefined && values.given('max-packet')) {
    throw new UsageError('--max-packet and --property connect maximum-packet-size say the same: ' +
      'give one of them');
  }
  const packetBytesMax = given.limits.packetBytesMax ??
    wholeNumber('max-packet', values.text('max-packet') ?? '16777216', 64, 268_435_460);
  return {
    filters,
    unwanted,
    filtersOut,
    subscription: {
      QoS: wholeNumber('qos', values.text('qos') ?? '0', 0, 2),
      ...(values.flag('retain-as-published') ? { retainAsPublished: true } : {}),
      ...given.subscribe,
    },
    unsubscription: given.unsubscribe,
    print: printer(values),
    count: count === undefined ? Infinity : wholeNumber('count', count, 1, 0x7fffffff),
    timeoutMs: timeout === undefined ? undefined : seconds('timeout', timeout, 0.001, 2_147_483),
    subscribeOnly: values.flag('subscribe-only'),
    noRetained: values.flag('no-retained'),
    retainedOnly: values.flag('retained-only'),
    removeRetained: values.flag('remove-retained'),
    quiet: values.flag('quiet'),
    client: {
      ...connection.options,
      limits: {
        packetBytesMax,
        subscriptionsMax: filters.size + unwanted.size,
        filterBytes: filterBytes([...filters, ...unwanted]),
        queueBytes: Math.max(packetBytesMax + 4096, 4_194_304),
        messageBlockBytes: 4096,
        receiveMax: 16_384,
        topicAliasMax: 0, // as mosquitto_sub has it: what is printed tells of none
        ...given.limits,
      },
    },
  };
}

/** Bytes that a client needs for the filters: whole blocks for each. */
function filterBytes(filters: readonly string[]): number {
  const blocks = filters.map((filter) => Math.ceil(Buffer.byteLength(filter) / FILTER_BLOCK_BYTES));
  return blocks.reduce((sum, count) => sum + count, 0) * FILTER_BLOCK_BYTES;
}

function checkFilters(name: string, filters: Iterable<string>): void {
  for (const filter of filters) {
    const bytes = Buffer.from(filter);
    if (bytes.length <= 0xffff && checkTopicFilter(bytes, 0, bytes.length) === 0) continue;
    throw new UsageError(`--${name} is "${filter.slice(0, 100)}": ` +
      'that is no topic filter; + stands for a whole level, # for all the last ones');
  }
}

/** How a message is printed: --format before --verbose before the bare payload. */
function printer(values: Values): Format {
  const end = values.flag('no-newline') ? '' : '\n';
  const format = values.text('format');
  if (format !== undefined) {
    const print = parseFormat(format);
    return (...of) => print(...of) + end;
  }
  const verbose = values.flag('verbose');
  return ({ topic, payload }) => {
    const text = Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('latin1');
    if (!verbose) return text === '' ? '' : text + end;
    if (text === '' && end === '') return '';
    return `${Buffer.from(topic).toString('latin1')} ${text === '' ? '(null)' : text}${end}`;
  };
}

/** Whether a valid filter matches a topic [MQTT-4.7.2-1]. */
export function matches(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false;
  const wanted = filter.split('/');
  const levels = topic.split('/');
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '#') return true;
    if (i >= levels.length || (wanted[i] !== '+' && wanted[i] !== levels[i])) return false;
  }
  return wanted.length === levels.length;
}

/** Throws UsageError when the client did not take the filter that `--name` gave. */
function must(name: string, filter: string, outcome: number): void {
  if (outcome === OK) return;
  throw new UsageError(`--${name} "${filter.slice(0, 100)}" ` + (
    outcome === TOO_LARGE ? 'is too long for --max-packet' :
    outcome === TOPIC_FILTER_INVALID ? 'is shared, and so must be $share/GROUP/FILTER' :
    `cannot be asked for: ${dropWords(outcome)}`));
}

class Subscriber {
  readonly #given: SubArguments;
  #client: TcpClient | undefined;
  #close = (): void => {};
  /** Printed and not written yet, as `latin1`. */
  #output = '';
  #outputFull = false;
  #outputFailed = false;
  #skippedTold = false;
  /** No more messages are wanted. */
  #enough = false;
  #timedOut = false;
  #printedCount = 0;
  /** Filters whose SUBACK or UNSUBACK has not come yet, and those that were refused. */
  readonly #unanswered: Set<string>;
  readonly #refused = new Set<string>();
  /** Why it failed, when nothing was left to wait for. */
  #failure: UsageError | undefined;
  /** Handles of the messages that remove retained ones. */
  readonly #removals = new Set<number>();

  constructor(given: SubArguments) {
    this.#given = given;
    this.#unanswered = new Set([...given.filters, ...given.unwanted]);
  }

  async run(): Promise<number> {
    const { client, quiet, timeoutMs } = this.#given;
    const onDrain = (): void => this.#drained();
    const onError = (error: NodeJS.ErrnoException): void => this.#outputEnded(error);
    process.stdout.on('drain', onDrain).on('error', onError);
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => {
      this.#timedOut = true;
      this.#close();
    }, timeoutMs);
    const looking = setInterval(() => this.#tellSkipped(), 250);
    try {
      await runClient({
        ...client,
        onMessage: (topic, payload, info) => this.#message(topic, payload, info),
        onSubscribed: (filter, reasonCode) => this.#subscribed(filter, reasonCode),
        onUnsubscribed: (filter, reasonCode) => this.#unsubscribed(filter, reasonCode),
        onDelivered: (handle) => this.#removed(handle),
        onDropped: (handle, reason) => this.#notRemoved(handle, reason),
        onLoss: (sentence, reason) => {
          if (isRefusal(reason)) this.#say(sentence);
        },
      }, (started, close) => this.#start(started, close));
      if (this.#failure) throw this.#failure;
    } catch (error) {
      if (!quiet || !(error instanceof UsageError || error instanceof FailureError)) throw error;
      return error instanceof UsageError ? 2 : 1;
    } finally {
      clearTimeout(timer);
      clearInterval(looking);
      this.#tellSkipped();
      this.#flush();
      process.stdout.removeListener('drain', onDrain);
    }
    if (this.#outputFailed) return 1;
    if (!this.#timedOut) return 0;
    this.#say(`--timeout is over after ${timeoutMs! / 1000} s`);
    return TIMED_OUT;
  }

  #start(client: TcpClient, close: () => void): void {
    this.#client = client;
    this.#close = close;
    const { filters, unwanted, subscription, unsubscription } = this.#given;
    for (const filter of filters) must('topic', filter, client.subscribe(filter, subscription));
    for (const filter of unwanted) {
      must('unsubscribe', filter, client.unsubscribe(filter, unsubscription));
    }
  }

  #message(topic: string, payload: Uint8Array, { QoS, retain }: MessageInfo): void | false {
    // What is not wanted any more stays unacknowledged, for the session's next connection; but for
    // acknowledgements of our own, reading goes on.
    if (this.#enough) return this.#removals.size === 0 ? false : undefined;
    if (this.#outputFull) return false;
    const given = this.#given;
    if (given.retainedOnly && !retain) return this.#end();
    if (given.filtersOut.some((filter) => matches(filter, topic))) return;
    // Its own removal may come back as it was published: there is nothing left to remove.
    if (given.removeRetained && retain && payload.length > 0) {
      const handle = this.#client!.publish(topic, '', { QoS: 1, retain: true });
      if (handle < 0) return false; // the queue is full; on with it when one was removed
      this.#removals.add(handle);
    }
    if (given.noRetained && retain) return;
    const { bytes, packet } = this.#client!.core;
    const packetId = QoS === 0 ? 0 : packet.packetId;
    const properties = receivedProperties(bytes, packet);
    this.#print({ topic, payload, qos: QoS, retain, packetId, properties });
    if (++this.#printedCount === given.count) this.#end();
  }

  #print(message: PrintedMessage): void {
    const now = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
    if (this.#output === '') queueMicrotask(() => this.#flush());
    this.#output += this.#given.print(message, now, (sentence) => this.#say(sentence));
    if (this.#output.length >= 65_536) this.#flush();
  }

  #flush(): void {
    const text = this.#output;
    this.#output = '';
    if (text === '' || this.#outputFailed) return;
    if (!process.stdout.write(text, 'latin1')) this.#outputFull = true;
  }

  #drained(): void {
    this.#outputFull = false;
    this.#client?.resume();
  }

  /** Nobody reads any more, as after `| head -1`: a quiet end. Another error is main's to tell. */
  #outputEnded(error: NodeJS.ErrnoException): void {
    this.#outputFailed = error.code !== 'EPIPE';
    this.#outputFull = false;
    this.#end();
  }

  /**
   * No more messages; closes as soon as the broker has the removals, and after the message at hand
   * is acknowledged.
   */
  #end(): void {
    this.#enough = true;
    queueMicrotask(() => this.#closeIfRemoved());
  }

  #removed(handle: number): void {
    this.#removals.delete(handle);
    if (this.#enough) this.#closeIfRemoved();
    else this.#client!.resume();
  }

  #notRemoved(handle: number, reason: number): void {
    if (this.#removals.has(handle)) {
      this.#say(`a retained message could not be removed: ${dropWords(reason)}`);
    }
    this.#removed(handle);
  }

  #closeIfRemoved(): void {
    if (this.#removals.size === 0) this.#close();
    else this.#client!.resume();
  }

  #subscribed(filter: string, reasonCode: number): void {
    if (isRefusal(reasonCode)) {
      if (!this.#refused.has(filter)) {
        this.#say(`the broker refuses the subscription to ${filter}${becauseOf(reasonCode)}`);
      }
      this.#refused.add(filter);
      const wanted = [...this.#given.filters].filter((each) => !this.#given.unwanted.has(each));
      if (wanted.every((each) => this.#refused.has(each))) {
        this.#failure = new UsageError('all subscriptions were refused');
        this.#close();
        return;
      }
    } else this.#refused.delete(filter);
    this.#answered(filter);
  }

  #unsubscribed(filter: string, reasonCode: number): void {
    if (isRefusal(reasonCode)) {
      this.#say(`the broker does not unsubscribe from ${filter}${becauseOf(reasonCode)}`);
    }
    this.#answered(filter);
  }

  #answered(filter: string): void {
    this.#unanswered.delete(filter);
    if (this.#given.subscribeOnly && this.#unanswered.size === 0) this.#close();
  }

  /** Once: who wants such messages has to start again, with a larger --max-packet. */
  #tellSkipped(): void {
    if (this.#skippedTold || !this.#client?.core.counters.skippedTooLarge) return;
    this.#skippedTold = true;
    this.#say('a message larger than --max-packet was skipped; further ones are not told');
  }

  #say(sentence: string): void {
    if (!this.#given.quiet) process.stderr.write(`maisonnette: ${sentence}.\n`);
  }
}
