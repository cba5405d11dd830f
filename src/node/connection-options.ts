// How a command reaches its broker: the options that all clients share, with Mosquitto's names and
// letters, the client that follows from them, and the sentences for what can go wrong on the way.

import { UsageError, wholeNumber } from './arguments.js';
import type { Option, Section, Values } from './arguments.js';
import { onAsked } from './signals.js';
import { CONNECT_REFUSED, CONNECT_TIMEOUT, PING_TIMEOUT } from '../client/states.js';
import { TcpClient, type TcpClientOptions } from './tcp-client.js';
import {
  LEVEL_3_1, LEVEL_3_1_1, REFUSED_IDENTIFIER, REFUSED_NOT_AUTHORIZED, REFUSED_PROTOCOL_LEVEL,
  REFUSED_UNAVAILABLE, REFUSED_USER_OR_PASSWORD,
} from '../wire/codes.js';

const CONNECTION_OPTIONS: readonly Option[] = [
  { name: 'url', short: 'L', value: 'URL',
    help: 'all in one: mqtt://[USER[:PASSWORD]@]HOST[:PORT][/TOPIC]' },
  { name: 'host', short: 'h', value: 'ADDRESS', help: 'the broker', default: 'localhost' },
  { name: 'port', short: 'p', value: 'N', help: 'its port', default: '1883' },
  { name: 'username', short: 'u', value: 'NAME', help: 'login' },
  { name: 'password', short: 'P', alias: 'pw', value: 'TEXT', help: 'its password' },
  { name: 'id', short: 'i', value: 'TEXT',
    help: 'client identifier; without one, the broker chooses' },
  { name: 'id-prefix', short: 'I', value: 'TEXT',
    help: 'client identifier: this and the number of the process' },
  { name: 'keepalive', short: 'k', value: 'N',
    help: 'seconds between signs of life; 0 sends none', default: '60' },
  { name: 'disable-clean-session', short: 'c',
    help: 'the broker keeps the session; needs --id' },
  { name: 'protocol-version', short: 'V', value: 'VERSION',
    help: 'mqttv311 or mqttv31', default: 'mqttv311' },
  { name: 'help', help: 'this text' },
];

/** `--host`, `--port` and so on, and `--help`, which has no short form here: `-h` is `--host`. */
export const CONNECTION_SECTION: Section = { title: 'Connection', options: CONNECTION_OPTIONS };

/** The will, for commands that leave it to their user. */
export const WILL_SECTION: Section = {
  title: 'Will, which the broker publishes when the connection is lost',
  options: [
    { name: 'will-topic', value: 'TOPIC', help: 'its topic' },
    { name: 'will-payload', value: 'TEXT', help: 'its message', default: 'empty' },
    { name: 'will-qos', value: 'N', help: 'its QoS: 0, 1 or 2', default: '0' },
    { name: 'will-retain', help: 'the broker retains it' },
  ],
};

export interface Connection {
  /** For TcpClient: host, port, login, identifier, session, keep-alive, version, will. */
  options: TcpClientOptions;
  /** The topic in `--url`, if there is one. */
  topic: string | undefined;
}

/** What the values of CONNECTION_SECTION, and of WILL_SECTION if given, say. Throws UsageError. */
export function connectionOf(values: Values): Connection {
  const url = urlParts(values);
  const port = values.text('port') ?? url.port;
  const user = values.text('username') ?? url.user;
  const password = values.text('password') ?? url.password;
  if (password !== undefined && user === undefined) {
    throw new UsageError('--password needs --username');
  }
  const host = values.text('host') ?? url.host ?? 'localhost';
  if (host === '') throw new UsageError('--host is empty: give the address of the broker');
  return {
    options: {
      host,
      port: port === undefined ? 1883 : wholeNumber('port', port, 1, 65_535),
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
      ...sessionOptions(values),
      keepAlive: wholeNumber('keepalive', values.text('keepalive') ?? '60', 0, 65_535) * 1000,
      ...willOptions(values),
    },
    topic: url.topic,
  };
}

interface UrlParts {
  host?: string | undefined;
  port?: string | undefined;
  user?: string | undefined;
  password?: string | undefined;
  topic?: string | undefined;
}

// The topic is taken as it stands: in MQTT `#` is a wildcard, in a URL of the web it is not.
const URL_FORM = new RegExp('^mqtt://' +
  '(?:(?<user>[^@/:]*)(?::(?<password>[^@/]*))?@)?' +
  '(?<host>\\[[^\\]@/]+\\]|[^@/:[\\]]+)(?::(?<port>[^@/:]*))?(?:/(?<topic>.*))?$', 'is');

function urlParts(values: Values): UrlParts {
  const url = values.text('url');
  if (url === undefined) return {};
  for (const name of ['host', 'port']) {
    if (values.text(name) !== undefined) {
      throw new UsageError(`--url and --${name} both say where the broker is: give one of them`);
    }
  }
  if (/^mqtts:/i.test(url)) {
    throw new UsageError('--url begins with mqtts: but connections with TLS are not there yet');
  }
  const parts = URL_FORM.exec(url);
  if (parts === null) {
    throw new UsageError('--url is not of the form mqtt://[USER[:PASSWORD]@]HOST[:PORT][/TOPIC]');
  }
  const { user, password, host, port, topic } = parts.groups!;
  return {
    host: host!.replace(/^\[|\]$/g, ''),
    port: port === '' ? undefined : port,
    user: decoded(user),
    password: decoded(password),
    topic: topic === '' ? undefined : topic,
  };
}

function decoded(part: string | undefined): string | undefined {
  if (part === undefined) return undefined;
  try {
    return decodeURIComponent(part);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    throw new UsageError('--url has a % in its login that no two hexadecimal digits follow: ' +
      'write %25 for a percent sign');
  }
}

const LEVELS: ReadonlyMap<string, number> = new Map([
  ['mqttv311', LEVEL_3_1_1], ['311', LEVEL_3_1_1], ['mqttv31', LEVEL_3_1], ['31', LEVEL_3_1],
]);

function sessionOptions(values: Values): Partial<TcpClientOptions> {
  const version = values.text('protocol-version') ?? 'mqttv311';
  const protocolLevel = LEVELS.get(version);
  if (protocolLevel === undefined) {
    throw new UsageError(/^(mqttv)?5(0)?$/.test(version) ?
      `--protocol-version is ${version}: MQTT 5.0 is not there yet` :
      `--protocol-version is "${version}": it must be mqttv311 or mqttv31`);
  }
  const prefix = values.text('id-prefix');
  const id = values.text('id') ?? (prefix === undefined ? undefined : `${prefix}${process.pid}`);
  if (values.text('id') !== undefined && prefix !== undefined) {
    throw new UsageError('--id and --id-prefix both name the client: give one of them');
  }
  const clean = !values.flag('disable-clean-session');
  if (!clean && !values.text('id')) {
    throw new UsageError('--disable-clean-session needs --id: ' +
      'a session is found again by its client identifier');
  }
  return { protocolLevel, clean, ...(id === undefined ? {} : { id }) };
}

function willOptions(values: Values): Partial<TcpClientOptions> {
  const topic = values.text('will-topic');
  if (topic === undefined) {
    const lone = ['will-payload', 'will-qos', 'will-retain']
      .find((name) => values.text(name) !== undefined || values.flag(name));
    if (lone !== undefined) throw new UsageError(`--${lone} needs --will-topic`);
    return {};
  }
  return {
    will: {
      topic,
      message: values.text('will-payload') ?? '',
      QoS: wholeNumber('will-qos', values.text('will-qos') ?? '0', 0, 2),
      retain: values.flag('will-retain'),
    },
  };
}

/** `host:port`, as people write it. */
export function placeOf({ host, port }: { host: string; port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

const REFUSALS: ReadonlyMap<number, string> = new Map([
  [REFUSED_PROTOCOL_LEVEL, 'it does not speak this --protocol-version'],
  [REFUSED_IDENTIFIER, 'the client identifier (--id) is not allowed'],
  [REFUSED_UNAVAILABLE, 'it takes no more clients at the moment'],
  [REFUSED_USER_OR_PASSWORD, 'wrong --username or --password'],
  [REFUSED_NOT_AUTHORIZED, 'not authorised: it wants another --username and --password'],
]);

/** Why the broker said no; `returnCode` is CONNACK's. */
export function refusalSentence(place: string, returnCode: number): string {
  return `${place} refuses the connection: ` +
    `${REFUSALS.get(returnCode) ?? `return code ${returnCode}`}`;
}

const SYSTEM_ERRORS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nothing listens there (is the broker running?)'],
  ['ECONNRESET', 'the connection was reset'],
  ['EPIPE', 'the connection was reset'],
  ['ENOTFOUND', 'no machine has this name'],
  ['EAI_AGAIN', 'names cannot be looked up at the moment'],
  ['ETIMEDOUT', 'it does not answer'],
  ['EHOSTUNREACH', 'there is no way to this address'],
  ['ENETUNREACH', 'there is no way to this network'],
  ['EADDRNOTAVAIL', 'this is no address one can connect to'],
  ['EACCES', 'the system does not allow it'],
]);

/**
 * Why a connection, or an attempt, ended: `reason` and `error` are onDisconnected's. One sentence
 * without full stop.
 */
export function lossSentence(place: string, reason: number, error: Error | undefined): string {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (reason === CONNECT_TIMEOUT) return `${place} cannot be reached: no answer in time`;
  if (reason === PING_TIMEOUT) return `${place} no longer answers`;
  if (reason < 0) {
    return `what ${place} sends is not MQTT as this client knows it ` +
      `(0x${(-reason).toString(16)}): it may be no MQTT broker`;
  }
  if (error === undefined) return `${place} closed the connection`;
  return `${place} cannot be reached: ` +
    `${(code === undefined ? undefined : SYSTEM_ERRORS.get(code)) ?? error.message}`;
}

/**
 * A client from its first attempt to its end. `start` gets it before the first attempt, to
 * subscribe, publish or keep it. Resolves when it is closed, by the command (`client.close()`) or
 * by SIGINT or SIGTERM, which send DISCONNECT, so that no will is published: true when all that was
 * on its way has left. Rejects with
 * UsageError when options cannot be had or the first attempt fails, in this case without another
 * attempt; and with what `start` throws. Later the client reconnects by itself: what then goes
 * wrong is told to the callbacks in `options` only, a refusal to `onRefused` alone, and they are
 * told nothing of a first attempt that fails.
 */
export function runClient(
  options: TcpClientOptions, start: (client: TcpClient) => void,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const place = placeOf(options);
    let accepted = false;
    let ending = false;
    let failure: UsageError | undefined;
    let forget = (): void => {};
    const end = (): void => {
      ending = true;
      client.close();
    };
    const fail = (sentence: string): void => {
      if (!ending) failure = new UsageError(sentence);
      end();
    };
    const client = newClient({
      ...options,
      onConnected: (sessionPresent) => {
        accepted = true;
        options.onConnected?.(sessionPresent);
      },
      onRefused: (returnCode) => {
        if (accepted) options.onRefused?.(returnCode);
        else fail(refusalSentence(place, returnCode));
      },
      onDisconnected: (reason, error) => {
        if (!accepted) fail(lossSentence(place, reason, error));
        else if (reason !== CONNECT_REFUSED) options.onDisconnected?.(reason, error);
      },
      onClosed: (complete) => {
        forget();
        options.onClosed?.(complete);
        if (failure) reject(failure);
        else resolve(complete);
      },
    });
    start(client);
    forget = onAsked(end);
    client.connect();
  });
}

function newClient(options: TcpClientOptions): TcpClient {
  // MQTT 3.1 has no empty identifiers.
  const own = options.protocolLevel === LEVEL_3_1 ? `maisonnette-${process.pid}` : '';
  try {
    return new TcpClient({ ...options, id: options.id || own });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(error.message);
  }
}
