// The command line of `maisonnette broker` as data: every option once, for parsing, for `--help`
// and for the limits.

import { parseArgs } from 'node:util';
import { hostLimits, QueueFull, type Limits } from '../limits.js';

/** What was asked for is wrong; the message is one sentence for the person at the keyboard. */
export class UsageError extends Error {}

interface LimitOption {
  name: string;
  limit: Exclude<keyof Limits, 'queueFull'>;
  help: string;
  /** The option counts in seconds, the limit in milliseconds. */
  seconds?: true;
}

const LIMIT_OPTIONS: readonly LimitOption[] = [
  { name: 'max-clients', limit: 'clientsMax',
    help: 'clients connected at once' },
  { name: 'max-sessions', limit: 'sessionsMax',
    help: 'sessions, connected or kept (4 for each client)' },
  { name: 'max-client-id', limit: 'clientIdBytesMax',
    help: 'bytes of a client identifier' },
  { name: 'max-packet', limit: 'packetBytesMax',
    help: 'bytes of a packet' },
  { name: 'max-levels', limit: 'topicLevelsMax',
    help: 'levels of a topic filter or retained topic' },
  { name: 'max-subscriptions', limit: 'subscriptionsMax',
    help: 'subscriptions' },
  { name: 'max-subscription-levels', limit: 'subscriptionNodesMax',
    help: 'distinct levels of all filters (4 each)' },
  { name: 'max-retained', limit: 'retainedMax',
    help: 'retained messages' },
  { name: 'max-retained-levels', limit: 'retainedNodesMax',
    help: 'distinct levels of all retained topics (4 each)' },
  { name: 'max-retained-bytes', limit: 'retainedBytes',
    help: 'bytes of retained messages and wills' },
  { name: 'max-queued', limit: 'sessionQueuedMax',
    help: 'messages that wait for one session' },
  { name: 'max-queued-bytes', limit: 'sessionQueuedBytesMax',
    help: 'bytes that wait for one session' },
  { name: 'max-all-queued', limit: 'queuedMax',
    help: 'messages that wait for all sessions' },
  { name: 'max-all-queued-bytes', limit: 'queueBytes',
    help: 'bytes that wait for all sessions' },
  { name: 'max-inflight', limit: 'inflightMax',
    help: 'unacknowledged messages sent to one client' },
  { name: 'max-receive', limit: 'receiveMax',
    help: 'unfinished QoS 2 messages from one client' },
  { name: 'connect-timeout', limit: 'connectTimeoutMs',
    help: 'seconds a connection may stay without CONNECT', seconds: true },
  { name: 'slow-timeout', limit: 'slowSubscriberMs',
    help: 'seconds publishers wait for a full subscriber', seconds: true },
  { name: 'sys-interval', limit: 'sysIntervalMs',
    help: 'seconds between updates of $SYS; 0 publishes none', seconds: true },
];

/** In milliseconds a limit still, and a 32-bit integer. */
const SECONDS_MAX = 2_147_483;

export interface BrokerCommand {
  host: string;
  port: number;
  verbose: boolean;
  /** Path, or undefined: everybody may connect. */
  passwordFile: string | undefined;
  help: boolean;
  limits: Limits;
}

/** Reads the arguments after `broker`. Throws UsageError for what it does not understand. */
export function parseBrokerArguments(args: readonly string[]): BrokerCommand {
  const values = parse(args);
  const given: Partial<Limits> = {};
  for (const { name, limit, seconds } of LIMIT_OPTIONS) {
    const text = values[name];
    if (typeof text !== 'string') continue;
    const value = wholeNumber(name, text);
    if (seconds && value > SECONDS_MAX) {
      throw new UsageError(`--${name} is ${value}: it must be 0 to ${SECONDS_MAX}`);
    }
    given[limit] = seconds ? value * 1000 : value;
  }
  if (typeof values['queue-full'] === 'string') given.queueFull = values['queue-full'] as QueueFull;
  const port = typeof values['port'] === 'string' ? wholeNumber('port', values['port']) : 1883;
  if (port > 65_535) throw new UsageError(`--port is ${port}: it must be 0 to 65535`);
  const host = typeof values['host'] === 'string' ? values['host'] : '127.0.0.1';
  if (host === '') {
    throw new UsageError('--host is empty: give an address, or leave it out for this machine only');
  }
  return {
    host,
    port,
    verbose: values['verbose'] === true,
    passwordFile: values['password-file'] as string | undefined,
    help: values['help'] === true,
    limits: limitsOf(given),
  };
}

function parse(args: readonly string[]): Record<string, string | boolean | undefined> {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {
    host: { type: 'string' },
    port: { type: 'string', short: 'p' },
    verbose: { type: 'boolean', short: 'v' },
    'password-file': { type: 'string' },
    help: { type: 'boolean', short: 'h' },
    'queue-full': { type: 'string' },
  };
  for (const { name } of LIMIT_OPTIONS) options[name] = { type: 'string' };
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values as
      Record<string, string | boolean | undefined>;
  } catch (error) {
    // Node's sentence names the option; what follows its first full stop is advice about quoting.
    throw new UsageError((error as Error).message.split(/\.\s/)[0]!);
  }
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) {
    throw new UsageError(`--${name} is "${text}": it must be a whole number`);
  }
  return Number(text);
}

/** The limits, with the core's complaint told in the names of the command line. */
function limitsOf(given: Partial<Limits>): Limits {
  try {
    return hostLimits(given);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    let message = error.message;
    for (const { name, limit } of LIMIT_OPTIONS) message = message.replaceAll(limit, `--${name}`);
    throw new UsageError(message.replaceAll('queueFull', '--queue-full'));
  }
}

export function brokerHelp(): string {
  const defaults = hostLimits();
  const rows = LIMIT_OPTIONS.map(({ name, limit, help, seconds }) =>
    `  --${`${name} N`.padEnd(28)} ${help} [${defaults[limit] / (seconds ? 1000 : 1)}]`);
  return `Usage: maisonnette broker [options]

An MQTT 3.1.1 broker. It listens on this machine only, unless --host says otherwise.

  --host ADDRESS                 address to listen on; 0.0.0.0 opens it to the network [127.0.0.1]
  -p, --port N                   port to listen on; 0 takes a free one [1883]
  --password-file FILE           who may connect, as mosquitto_passwd writes it [everybody]
  -v, --verbose                  log connections, refusals and protocol errors
  -h, --help                     this text

Limits, with their defaults:
${rows.join('\n')}
  --queue-full CHOICE            what a full queue does with a new message: ` +
    `${Object.values(QueueFull).join(', ')}
                                 [${defaults.queueFull}]
`;
}
