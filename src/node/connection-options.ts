// How a command reaches its broker: the options that all clients share, with Mosquitto's names and
// letters, and the client that follows from them, from its first attempt to its end.

import type { CloseOptions } from '../client/mqtt-client.js';
import type { ConnectProperties, WillProperties } from '../client/properties.js';
import { CONNECT_REFUSED } from '../client/states.js';
import { LEVEL_3_1, LEVEL_3_1_1, LEVEL_5, SUCCESS } from '../wire/codes.js';
import { FailureError, UsageError, wholeNumber } from './arguments.js';
import type { Option, Section, Values } from './arguments.js';
import type { GivenProperties } from './property-option.js';
import { lossSentence, placeOf, refusalSentence, SESSION_TAKEN_OVER } from './sentences.js';
import { onAsked } from './signals.js';
import { TcpClient, type TcpClientOptions } from './tcp-client.js';

/** Also for commands that have their connection from elsewhere. */
export const VERSION_OPTION: Option = {
  name: 'mqtt-version', short: 'V', alias: 'protocol-version', value: 'VERSION',
  help: 'of MQTT: 3.1, 3.1.1 or 5, or as mosquitto_pub has them', default: '3.1.1',
};

/** Options that say nothing before MQTT 5.0: one of them chooses that version. */
const OPTIONS_OF_5 = ['property', 'session-expiry', 'retain-as-published'];

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
  { name: 'session-expiry', short: 'x', value: 'SECONDS',
    help: 'how long the broker keeps the session, -1 is for ever; chooses MQTT 5.0',
    default: '0, with -c -1' },
  VERSION_OPTION,
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

/** What a command wants of its client. */
export interface CommandClientOptions extends TcpClientOptions {
  /** What DISCONNECT says. */
  closing?: CloseOptions;
  /** Told, in one sentence without full stop, when the broker refuses an attempt to reconnect; */
  onRefusal?(sentence: string): void;
  /** and when a connection is lost, or an attempt fails; `reason` is onDisconnected's. */
  onLoss?(sentence: string, reason: number): void;
}

export interface Connection {
  /** Host, port, login, identifier, session, keep-alive, version, will. */
  options: CommandClientOptions;
  /** The topic in `--url`, if there is one. */
  topic: string | undefined;
}

/**
 * What the values of CONNECTION_SECTION, and of WILL_SECTION and PROPERTY_OPTION if given, say; but
 * for the limits among the properties. Throws UsageError.
 */
export function connectionOf(values: Values, properties?: GivenProperties): Connection {
  const protocolLevel = protocolLevelOf(values);
  const url = urlParts(values);
  const port = values.text('port') ?? url.port;
  const user = values.text('username') ?? url.user;
  const password = values.text('password') ?? url.password;
  if (password !== undefined && user === undefined && protocolLevel !== LEVEL_5) {
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
      protocolLevel,
      ...sessionOptions(values, protocolLevel, properties),
      keepAlive: wholeNumber('keepalive', values.text('keepalive') ?? '60', 0, 65_535) * 1000,
      ...willOptions(values, properties?.will),
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
  ['3.1', LEVEL_3_1], ['31', LEVEL_3_1], ['mqttv31', LEVEL_3_1],
  ['3.1.1', LEVEL_3_1_1], ['311', LEVEL_3_1_1], ['mqttv311', LEVEL_3_1_1],
  ['5', LEVEL_5], ['5.0', LEVEL_5], ['mqttv5', LEVEL_5],
]);

/** The version that VERSION_OPTION asks for, or the other options need. Throws UsageError. */
export function protocolLevelOf(values: Values): number {
  const version = values.text('mqtt-version');
  const only5 = OPTIONS_OF_5.find((name) => values.given(name));
  if (version === undefined) return only5 === undefined ? LEVEL_3_1_1 : LEVEL_5;
  const level = LEVELS.get(version);
  if (level === undefined) {
    throw new UsageError(`--mqtt-version is "${version}": it must be 3.1, 3.1.1 or 5`);
  }
  if (only5 !== undefined && level !== LEVEL_5) {
    throw new UsageError(
      `--${only5} is of MQTT 5.0: it does not go with --mqtt-version ${version}`);
  }
  return level;
}

function sessionOptions(
  values: Values, protocolLevel: number, given: GivenProperties | undefined,
): Partial<CommandClientOptions> {
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
  const session = { clean, ...(id === undefined ? {} : { id }) };
  if (protocolLevel !== LEVEL_5) return session;
  const expirySeconds = sessionExpiry(values, given?.connect.sessionExpirySeconds, clean);
  const properties: ConnectProperties = { ...given?.connect,
    ...(expirySeconds === 0 ? {} : { sessionExpirySeconds: expirySeconds }) };
  const closing = given?.disconnect ?? {};
  if (closing.sessionExpirySeconds && expirySeconds === 0) {
    throw new UsageError('--property disconnect session-expiry-interval needs --session-expiry: ' +
      'a session that was to end with the connection cannot be kept'); // 5.0 section 3.14.2.2.2
  }
  return {
    ...session,
    ...(Object.keys(properties).length === 0 ? {} : { properties }),
    ...(properties.authenticationMethod === undefined ? {} : { authenticate }),
    ...(Object.keys(closing).length === 0 ? {} : { closing: { properties: closing } }),
  };
}

/** Methods of one step only: what the broker says last is taken, a question is not answered. */
function authenticate(_data: Uint8Array, reasonCode: number): string | null {
  return reasonCode === SUCCESS ? '' : null;
}

/** A session expiry interval that is no time: the session is kept for ever. */
const NEVER = 0xffff_ffff;

/** Seconds; `property` is what --property says of it. */
function sessionExpiry(values: Values, property: number | undefined, clean: boolean): number {
  const text = values.text('session-expiry');
  if (text !== undefined && property !== undefined) {
    throw new UsageError('--session-expiry and --property connect session-expiry-interval ' +
      'say the same: give one of them');
  }
  const given = text === undefined ? property :
    text === '-1' || text === '∞' ? NEVER : wholeNumber('session-expiry', text, 0, NEVER);
  if (given === NEVER && !values.text('id')) {
    throw new UsageError('a session that is kept for ever needs --id: ' +
      'it is found again by its client identifier');
  }
  return given ?? (clean ? 0 : NEVER);
}

function willOptions(
  values: Values, properties: WillProperties = {},
): Partial<TcpClientOptions> {
  const topic = values.text('will-topic');
  const hasProperties = Object.keys(properties).length > 0;
  if (topic === undefined) {
    const lone = ['will-payload', 'will-qos', 'will-retain'].find((name) => values.given(name)) ??
      (hasProperties ? 'property will' : undefined);
    if (lone !== undefined) throw new UsageError(`--${lone} needs --will-topic`);
    return {};
  }
  return {
    will: {
      topic,
      message: values.text('will-payload') ?? '',
      QoS: wholeNumber('will-qos', values.text('will-qos') ?? '0', 0, 2),
      retain: values.flag('will-retain'),
      ...(hasProperties ? { properties } : {}),
    },
  };
}

/**
 * A client from its first attempt to its end. `start` gets it before the first attempt, to
 * subscribe, publish or keep it, with what ends it. Resolves when it is closed, by the command
 * (`end()`) or by SIGINT or SIGTERM, which send DISCONNECT, so that no will is published: true when
 * all that was on its way has left. Rejects with UsageError when options cannot be had or the first
 * attempt fails, in this case without another attempt; with FailureError when another client has
 * taken the session over (the two would take it from each other for ever); and with what `start`
 * throws. Later the client reconnects by itself: what then goes wrong is told to `onRefusal` and
 * `onLoss` only, and they are told nothing of a first attempt that fails.
 */
export function runClient(
  options: CommandClientOptions, start: (client: TcpClient, end: () => void) => void,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const place = placeOf(options);
    let accepted = false;
    let ending = false;
    let failure: UsageError | FailureError | undefined;
    let forget = (): void => {};
    const end = (): void => {
      ending = true;
      client.close(options.closing);
    };
    const fail = (error: UsageError | FailureError): void => {
      if (!ending) failure = error;
      end();
    };
    const client = newClient({
      ...options,
      onConnected: (sessionPresent) => {
        accepted = true;
        options.onConnected?.(sessionPresent);
      },
      onRefused: (code) => {
        const sentence = refusalSentence(place, code, client.incoming.reasonString);
        if (accepted) options.onRefusal?.(sentence);
        else fail(new UsageError(sentence));
      },
      onDisconnected: (reason, error) => {
        if (accepted && reason === CONNECT_REFUSED) return; // told already
        const sentence =
          lossSentence(place, reason, error, () => client.incoming.reasonString);
        if (!accepted) fail(new UsageError(sentence));
        else if (reason === SESSION_TAKEN_OVER) fail(new FailureError(sentence));
        else options.onLoss?.(sentence, reason);
      },
      onClosed: (complete) => {
        forget();
        options.onClosed?.(complete);
        if (failure) reject(failure);
        else resolve(complete);
      },
    });
    start(client, end);
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
