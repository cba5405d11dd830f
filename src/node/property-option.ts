// `--property COMMAND PROPERTY VALUE`, as Mosquitto's tools have it: properties of MQTT 5.0 by
// their names in the specification, with dashes. Read here, with all that can be wrong about them;
// used by pub and sub.

import type { ClientLimits } from '../client/limits.js';
import type {
  ConnectProperties, DisconnectProperties, PublishProperties, SubscribeProperties, UserProperties,
  WillProperties,
} from '../client/properties.js';
import { VARINT_MAX } from '../wire/properties.js';
import { checkTopicName } from '../wire/topic.js';
import { UsageError, wholeNumber, type Option, type Values } from './arguments.js';

const USER_PROPERTY = 'user-property';

export const PROPERTY_OPTION: Option = {
  name: 'property', short: 'D', value: 'WORDS', many: true,
  wordCount: ([, property]) => property === USER_PROPERTY ? 4 : 3,
  help: 'COMMAND PROPERTY VALUE: a property, see above, with a user-property NAME VALUE; may be ' +
    'given several times',
};

/** What was given, by command; a command without properties has an empty object. */
export interface GivenProperties {
  connect: ConnectProperties;
  /** What CONNECT says about the client's own limits. */
  limits: Partial<Pick<ClientLimits, 'receiveMax' | 'packetBytesMax' | 'topicAliasMax'>>;
  /** The topic alias is not sent: the client gives aliases to topics by itself. */
  publish: PublishProperties & { topicAlias?: number };
  will: WillProperties;
  subscribe: SubscribeProperties;
  unsubscribe: UserProperties;
  disconnect: DisconnectProperties;
}

export type PropertyCommand = Exclude<keyof GivenProperties, 'limits'>;

type Key = keyof ConnectProperties | keyof GivenProperties['limits'] | keyof WillProperties |
  keyof SubscribeProperties | keyof DisconnectProperties | 'topicAlias';

/** How a value is written: 0 or 1; a whole number, its least and most; or a text. */
type Form = 'flag' | 'text' | 'topic' | readonly [least: number, most: number];

interface Property {
  readonly key: Key;
  readonly form: Form;
  readonly commands: readonly PropertyCommand[];
}

const UINT16_MAX = 0xffff;
const UINT32_MAX = 0xffff_ffff;
const MESSAGE: readonly PropertyCommand[] = ['publish', 'will'];
const CONNECT: readonly PropertyCommand[] = ['connect'];

const PROPERTIES: Readonly<Record<string, Property>> = {
  'authentication-data': { key: 'authenticationData', form: 'text', commands: CONNECT },
  'authentication-method': { key: 'authenticationMethod', form: 'text', commands: CONNECT },
  'content-type': { key: 'contentType', form: 'text', commands: MESSAGE },
  'correlation-data': { key: 'correlationData', form: 'text', commands: MESSAGE },
  'maximum-packet-size': { key: 'packetBytesMax', form: [64, 268_435_460], commands: CONNECT },
  'message-expiry-interval':
    { key: 'messageExpirySeconds', form: [0, UINT32_MAX], commands: MESSAGE },
  'payload-format-indicator': { key: 'payloadIsText', form: 'flag', commands: MESSAGE },
  'reason-string': { key: 'reasonString', form: 'text', commands: ['disconnect'] },
  'receive-maximum': { key: 'receiveMax', form: [1, UINT16_MAX], commands: CONNECT },
  'request-problem-information':
    { key: 'requestProblemInformation', form: 'flag', commands: CONNECT },
  'request-response-information':
    { key: 'requestResponseInformation', form: 'flag', commands: CONNECT },
  'response-topic': { key: 'responseTopic', form: 'topic', commands: MESSAGE },
  'session-expiry-interval':
    { key: 'sessionExpirySeconds', form: [0, UINT32_MAX], commands: ['connect', 'disconnect'] },
  'subscription-identifier':
    { key: 'identifier', form: [1, VARINT_MAX], commands: ['subscribe'] },
  'topic-alias': { key: 'topicAlias', form: [1, UINT16_MAX], commands: ['publish'] },
  'topic-alias-maximum': { key: 'topicAliasMax', form: [0, UINT16_MAX], commands: CONNECT },
  [USER_PROPERTY]: { key: 'userProperties', form: 'text',
    commands: ['connect', 'publish', 'will', 'subscribe', 'unsubscribe', 'disconnect'] },
  'will-delay-interval':
    { key: 'willDelaySeconds', form: [0, UINT32_MAX], commands: ['will'] },
};

const LIMIT_KEYS: readonly Key[] = ['receiveMax', 'packetBytesMax', 'topicAliasMax'];

/**
 * What `--property` was given for these commands, which are those that the tool sends. Throws
 * UsageError for others, and for what no such command can say.
 */
export function givenProperties(
  values: Values, commands: readonly PropertyCommand[],
): GivenProperties {
  const given: GivenProperties = {
    connect: {}, limits: {}, publish: {}, will: {}, subscribe: {}, unsubscribe: {}, disconnect: {},
  };
  for (const words of values.lists(PROPERTY_OPTION.name)) take(words, commands, given);
  return given;
}

function take(
  words: readonly string[], commands: readonly PropertyCommand[], given: GivenProperties,
): void {
  const [word = '', property = '', ...texts] = words;
  const command = commands.find((known) => known === word.toLowerCase());
  if (command === undefined) {
    throw new UsageError(`--property is for "${word}": it must be for ${listed(commands)}`);
  }
  const name = `property ${command} ${property}`;
  const known = Object.hasOwn(PROPERTIES, property) ? PROPERTIES[property] : undefined;
  if (known === undefined || !known.commands.includes(command)) {
    throw new UsageError(`--property ${command} has "${property}": it must be ` +
      listed(propertyNames(command)));
  }
  const isUserProperty = property === USER_PROPERTY;
  if (texts.length < (isUserProperty ? 2 : 1)) {
    throw new UsageError(`--${name} needs ${isUserProperty ? 'a name and ' : ''}a value`);
  }
  const values = texts.map((text) => valueOf(name, text, known.form));
  const target = (LIMIT_KEYS.includes(known.key) ? given.limits : given[command]) as
    Record<string, unknown>;
  if (isUserProperty) target[known.key] = [...(target[known.key] as [] ?? []), values];
  else if (target[known.key] !== undefined) throw new UsageError(`--${name} is given twice`);
  else target[known.key] = values[0];
}

/** What `command` may have, in the order of the alphabet. */
function propertyNames(command: PropertyCommand): string[] {
  return Object.keys(PROPERTIES).filter((name) => PROPERTIES[name]!.commands.includes(command));
}

const HELP_COLUMNS = 98;

/** For the help of a tool that sends these commands: what --property may be given. */
export function propertyHelp(commands: readonly PropertyCommand[]): string {
  const lines = ['', 'Properties for --property, which chooses MQTT 5.0:'];
  for (const command of commands) {
    let line = `  ${command.padEnd(11)}`;
    for (const name of propertyNames(command)) {
      if (line.length + name.length + 2 > HELP_COLUMNS) {
        lines.push(line);
        line = ' '.repeat(13);
      }
      line += ` ${name}`;
    }
    lines.push(line);
  }
  if (commands.includes('publish')) {
    lines.push('The number of a topic-alias does not matter: the client gives them out itself.');
  }
  return lines.join('\n');
}

function valueOf(name: string, text: string, form: Form): string | number | boolean {
  if (form === 'flag') return wholeNumber(name, text, 0, 1) === 1;
  if (typeof form !== 'string') return wholeNumber(name, text, form[0], form[1]);
  const bytes = Buffer.from(text);
  if (bytes.length > UINT16_MAX) {
    throw new UsageError(`--${name} has ${bytes.length} bytes: ${UINT16_MAX} are the most`);
  }
  if (form === 'topic' && checkTopicName(bytes, 0, bytes.length) !== 0) {
    throw new UsageError(`--${name} is "${text.slice(0, 100)}": nobody can publish there, ` +
      'as it is empty or has + or #');
  }
  return text;
}

function listed(names: readonly string[]): string {
  return names.length === 1 ? names[0]! : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}
