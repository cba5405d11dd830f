// `maisonnette broker`: its options, every limit among them, and its life, from the greeting to
// the last connection closed.

import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import packageJson from '../../package.json' with { type: 'json' };
import { Broker } from '../broker/broker.js';
import type { BrokerOptions } from '../broker/options.js';
import { byteBudget, hostLimits, QueueFull, type Limits } from '../limits.js';
import { helpText, HELP_OPTION, parseArguments, UsageError, wholeNumber } from './arguments.js';
import type { Command, Option } from './arguments.js';
import { ConnectionLog } from './log.js';
import { PasswordFile } from './passwords.js';
import { asked } from './signals.js';
import { TcpBroker } from './tcp.js';

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
  { name: 'max-topic-alias', limit: 'topicAliasMax',
    help: 'topics with an alias, of one client and for it; MQTT 5' },
  { name: 'max-topic-alias-bytes', limit: 'topicAliasBytes',
    help: 'bytes of a topic that has an alias' },
  { name: 'max-keepalive', limit: 'keepAliveSecondsMax',
    help: 'seconds of a keep-alive, told to MQTT 5 clients; 0 for any' },
  { name: 'session-expiry', limit: 'sessionExpirySecondsMax',
    help: 'seconds a session is kept for a client that is away; 0 for ever' },
  { name: 'connect-timeout', limit: 'connectTimeoutMs',
    help: 'seconds a connection may stay without CONNECT', seconds: true },
  { name: 'slow-timeout', limit: 'slowSubscriberMs',
    help: 'seconds publishers wait for a full subscriber', seconds: true },
  { name: 'sys-interval', limit: 'sysIntervalMs',
    help: 'seconds between updates of $SYS; 0 publishes none', seconds: true },
];

/** In milliseconds a limit still, and a 32-bit integer. */
const SECONDS_MAX = 2_147_483;

const OPTIONS: readonly Option[] = [
  { name: 'host', value: 'ADDRESS',
    help: 'address to listen on; 0.0.0.0 opens it to the network', default: '127.0.0.1' },
  { name: 'port', short: 'p', value: 'N',
    help: 'port to listen on; 0 takes a free one', default: '1883' },
  { name: 'password-file', value: 'FILE',
    help: 'who may connect, as mosquitto_passwd writes it', default: 'everybody' },
  { name: 'verbose', short: 'v', help: 'log connections, refusals and protocol errors' },
  HELP_OPTION,
];

function limitOptions(): Option[] {
  const defaults = hostLimits();
  return [
    ...LIMIT_OPTIONS.map(({ name, limit, help, seconds }) =>
      ({ name, value: 'N', help, default: `${defaults[limit] / (seconds ? 1000 : 1)}` })),
    { name: 'queue-full', value: 'CHOICE',
      help: `what a full queue does with a new message: ${Object.values(QueueFull).join(', ')}`,
      default: defaults.queueFull },
  ];
}

interface BrokerArguments {
  host: string;
  port: number;
  verbose: boolean;
  /** Path, or undefined: everybody may connect. */
  passwordFile: string | undefined;
  limits: Limits;
}

export const brokerCommand: Command = {
  name: 'broker',
  summary: 'run an MQTT broker',
  async run(args) {
    const given = parseBrokerArguments(args);
    if (given !== undefined) await runBroker(given);
    else process.stdout.write(brokerHelp());
    return 0;
  },
};

/** Undefined: the help is asked for. */
function parseBrokerArguments(args: readonly string[]): BrokerArguments | undefined {
  const values = parseArguments(args, [...OPTIONS, ...limitOptions()]);
  if (values.flag('help')) return undefined;
  const given: Partial<Limits> = {};
  for (const { name, limit, seconds } of LIMIT_OPTIONS) {
    const text = values.text(name);
    if (text === undefined) continue;
    given[limit] = seconds ? wholeNumber(name, text, 0, SECONDS_MAX) * 1000 :
      wholeNumber(name, text, 0, Number.MAX_SAFE_INTEGER);
  }
  const queueFull = values.text('queue-full');
  if (queueFull !== undefined) given.queueFull = queueFull as QueueFull;
  const host = values.text('host') ?? '127.0.0.1';
  if (host === '') {
    throw new UsageError('--host is empty: give an address, or leave it out for this machine only');
  }
  return {
    host,
    port: wholeNumber('port', values.text('port') ?? '1883', 0, 65_535),
    verbose: values.flag('verbose'),
    passwordFile: values.text('password-file'),
    limits: limitsOf(given),
  };
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

function brokerHelp(): string {
  return helpText('maisonnette broker [options]',
    'An MQTT 3.1.1 and 5.0 broker. It listens on this machine only, unless --host says otherwise.',
    { title: 'Options', options: OPTIONS },
    { title: 'Limits', options: limitOptions() });
}

/** Resolves when SIGINT or SIGTERM has ended it. */
async function runBroker(given: BrokerArguments): Promise<void> {
  const log = new ConnectionLog((line) => process.stdout.write(`${line}\n`));
  const { limits, verbose, passwordFile } = given;
  const logins = passwordFile === undefined ? undefined : readPasswords(passwordFile);
  const broker = constructBroker(limits, {
    ...(verbose ? { observer: log } : {}),
    ...(logins ? { authenticate: (bytes, packet) => logins.authenticate(bytes, packet) } : {}),
  });
  log.attach(broker);
  const server = new TcpBroker(broker);
  const { port } = await listen(server, given);
  const end = asked();
  process.stdout.write(greeting(given, port));
  await end;
  await server.close();
}

function readPasswords(path: string): PasswordFile {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--password-file ${path} cannot be read: ${(error as Error).message}`);
  }
  try {
    return new PasswordFile(text);
  } catch (error) {
    throw new UsageError(`--password-file ${path}: ${(error as Error).message}`);
  }
}

/** A broker with these limits. Throws UsageError when this machine lacks the memory for it. */
export function constructBroker(limits: Limits, options: Partial<BrokerOptions> = {}): Broker {
  try {
    return new Broker(limits, {
      random: () => randomInt(0x1_0000_0000),
      version: `maisonnette ${packageJson.version}`,
      ...options,
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`this machine cannot give the ${byteBudget(limits).total} bytes ` +
      'that these limits need');
  }
}

/** Begins to listen; resolves with the port. Rejects with UsageError when it cannot be had. */
export async function listen(
  server: TcpBroker, { host, port }: { host: string; port: number },
): Promise<{ port: number }> {
  try {
    return await server.listen(port, host);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const where = `${host}:${port}`;
    if (code === 'EADDRINUSE') {
      throw new UsageError(`${where} is in use: another broker? choose another --port`);
    }
    if (code === 'EACCES') {
      throw new UsageError(`${where} needs more rights: choose a --port above 1023`);
    }
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
      throw new UsageError(`--host ${host} is no address of this machine`);
    }
    throw new UsageError(`cannot listen on ${where}: ${message}`);
  }
}

function greeting({ host, passwordFile }: BrokerArguments, port: number): string {
  const local = host.startsWith('127.') || host === '::1' || host === 'localhost';
  const reached = host === '127.0.0.1' || host === 'localhost' ||
    host === '0.0.0.0' || host === '::';
  const at = `${reached ? '' : ` -h ${host}`}${port === 1883 ? '' : ` -p ${port}`}` +
    `${passwordFile === undefined ? '' : ' -u NAME -P PASSWORD'}`;
  const open = `every machine that reaches ${host} can connect` +
    `${passwordFile === undefined ? ', without a password' : ' with a login'}`;
  return `maisonnette ${packageJson.version}: MQTT broker on ` +
    `${host.includes(':') ? `[${host}]` : host}:${port}
try it:    mosquitto_sub${at} -t 'maison/#' -v
           mosquitto_pub${at} -t maison/salon/temperature -m 21.4
network:   ${local ? 'only this machine can connect; to open it, add --host 0.0.0.0' : open}
stop:      Ctrl-C
`;
}
