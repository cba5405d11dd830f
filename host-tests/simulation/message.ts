// A message as the simulation knows it: what was published, what a client is to get of that, what
// it got. Packets come in the words of support/packets.ts, with topics in the place of aliases.
// Deterministic; runs on Node and on XS.

import { encodeProperties, publish, type Properties } from '../support/packets.js';

export interface Message {
  topic: string;
  payload: string;
  qos: number;
  /** MQTT 5.0: those of the publisher, but for an alias; texts in them have neither comma nor brace. */
  properties: Properties;
}

/** A PUBLISH that has come. */
export interface Seen {
  topic: string;
  payload: string;
  qos: number;
  id: number;
  duplicate: boolean;
  retain: boolean;
  /** In words, but for those below. */
  properties: string;
  expirySeconds: number | null;
  /** Subscription identifiers, the least first. */
  identifiers: string;
}

/** What the model must know of a connection to judge what comes over it. */
export interface View {
  level: number;
  nowMs: number;
  /** What comes now was written after this time. */
  sinceMs: number;
  /** Bytes of the largest packet that the client takes, and whether it takes aliases. */
  packetBytesMax: number;
  takesAliases: boolean;
}

/** What a client is to get, and for which of its subscriptions. */
export interface Wanted extends Message {
  /** null: two subscriptions of the same QoS differ in Retain As Published. */
  retain: boolean | null;
  /** When it was published. */
  atMs: number;
  /**
   * The filter of the one subscription it comes from, several where nobody can tell which of them it
   * is; or null: all that match and are not shared.
   */
  via: string[] | null;
  /** Subscription identifiers that may go with it: those of now, and of any time since. */
  identifiers: string[];
  /** As it was published, for a shared subscription. */
  published?: Message;
}

const PUBLISH_WORDS = /^PUBLISH q(\d)(?: id(\d+))?( dup)?( retain)? (\S*) ([^{]*?)(?: \{(.*)\})?$/;

/** The parts of a PUBLISH in words, or null for another packet. */
export function parsePublish(words: string): Seen | null {
  const found = PUBLISH_WORDS.exec(words);
  if (found === null) return null;
  const properties: string[] = [];
  const identifiers: number[] = [];
  let expirySeconds: number | null = null;
  for (const property of found[7]?.split(', ') ?? []) {
    if (property.startsWith('expiry ')) expirySeconds = Number(property.slice(7));
    else if (property.startsWith('subscription ')) identifiers.push(Number(property.slice(13)));
    else properties.push(property);
  }
  return { qos: Number(found[1]), id: Number(found[2] ?? 0), duplicate: found[3] !== undefined,
    retain: found[4] !== undefined, topic: found[5]!, payload: found[6]!, properties: properties.join(', '),
    expirySeconds, identifiers: join(identifiers) };
}

export const join = (identifiers: number[]): string => identifiers.sort((one, other) => one - other).join(' ');

/** Properties in words as `parsePublish` gives them: without the expiry. */
export function wordsOf(properties: Properties): string {
  const words: string[] = [];
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'expiry' || name === 'willDelay') continue;
    if (name === 'user') for (const pair of value as [string, string][]) words.push(`user ${pair.join('=')}`);
    else words.push(`${name} ${value as string | number}`);
  }
  return words.join(', ');
}

/** Whether it says that it is UTF-8, and is not. */
export const isMisformed = ({ properties, payload }: Message): boolean =>
  properties.format === 1 && /[\x80-\xff]/.test(payload);

export const expiresAtMs = ({ properties, atMs }: Wanted): number =>
  properties.expiry === undefined ? Infinity : atMs + (properties.expiry as number) * 1000;

/** Whether what has come is this, and not too late. `again`: the client may have seen it before. */
export function isSame(wanted: Wanted, seen: Seen, view: View, again = false): boolean {
  if (wanted.topic !== seen.topic || wanted.payload !== seen.payload || wanted.qos !== seen.qos) return false;
  // [MQTT-3.3.1-9], also for a session that wants it as published. When a shared subscription is gone,
  // the core cannot tell what came through it from a retained message.
  const old = wanted.via === null ? false : wanted.published === undefined ? wanted.retain : null;
  const retain = view.level === 5 ? wanted.retain : old;
  // A session may have had it on a connection of the other version.
  if (retain !== null && retain !== seen.retain && !(again && view.level < 5)) return false;
  // 5.0 [MQTT-3.3.2-5]; the broker counts whole seconds
  if (!again && view.sinceMs >= expiresAtMs(wanted) + 1000) return false;
  if (view.level < 5) return seen.properties === '' && seen.expirySeconds === null && seen.identifiers === '';
  // On a connection of 3.1.1 nobody could tell through which shared subscription it came, or which of
  // two messages it was, of which one has no properties since it was sent again in 3.1.1.
  if (again && wanted.published !== undefined) return true;
  return wordsOf(wanted.properties) === seen.properties && wanted.identifiers.includes(seen.identifiers) &&
    isExpiryRight(wanted, seen.expirySeconds, view);
}

/** The interval less the time that the message has waited, to a second, 5.0 [MQTT-3.3.2-6]. */
function isExpiryRight(wanted: Wanted, seconds: number | null, view: View): boolean {
  if (wanted.properties.expiry === undefined || seconds === null) {
    return wanted.properties.expiry === undefined && seconds === null;
  }
  const least = (expiresAtMs(wanted) - view.nowMs) / 1000 - 1;
  const most = (expiresAtMs(wanted) - Math.max(view.sinceMs, wanted.atMs)) / 1000 + 1;
  return (seconds > least && seconds < most) || (seconds === 0 && most < 0);
}

/** Whether the client, for all that is known, need not get it: it has expired, or is too large. */
export function mayBeMissing(wanted: Wanted, view: View): boolean {
  return view.nowMs >= expiresAtMs(wanted) || mayBeTooLarge(wanted, view);
}

export const mayBeTooLarge = (wanted: Wanted, view: View): boolean => bytesOf(wanted, view)[1] > view.packetBytesMax;


export const isTooLarge = (wanted: Wanted, view: View): boolean => bytesOf(wanted, view)[0] > view.packetBytesMax;

/** Bytes of its PUBLISH, at least and at most: with an alias in the place of the topic, or beside it. */
function bytesOf({ topic, payload, qos, properties, identifiers }: Wanted, view: View): [least: number, most: number] {
  if (view.level < 5) return [0, 0];
  const sizes: number[] = [];
  for (const known of identifiers) {
    const own = known === '' ? properties : { ...properties, subscription: known.split(' ').map(Number) };
    sizes.push(publish(topic, payload, { qos, properties: own }).length);
    if (!view.takesAliases) continue;
    sizes.push(publish(topic, payload, { qos, properties: { ...own, alias: 1 } }).length);
    sizes.push(publish('', payload, { qos, properties: { ...own, alias: 1 } }).length);
  }
  return [Math.min(...sizes), Math.max(...sizes)];
}

export function tell({ topic, payload, qos, properties, identifiers, retain }: Wanted): string {
  const bytes = encodeProperties(properties).length - 1;
  return `${topic} ${payload} q${qos}${retain === null ? ' retain or not' : retain ? ' retain' : ''}` +
    `${bytes > 0 ? ` {${JSON.stringify(properties)}}` : ''}${identifiers.join('') === '' ? '' :
      ` with identifiers ${identifiers.map((known) => known === '' ? 'none' : known).join(' or ')}`}`;
}

export const tellSeen = ({ topic, payload, qos, id, duplicate, retain, properties, expirySeconds, identifiers }: Seen,
): string => `${topic} ${payload} q${qos}${id > 0 ? ` id${id}` : ''}${duplicate ? ' dup' : ''}` +
  `${retain ? ' retain' : ''} {${properties}}${expirySeconds === null ? '' : ` for ${expirySeconds} s`}` +
  `${identifiers === '' ? '' : ` with identifiers ${identifiers}`}`;
