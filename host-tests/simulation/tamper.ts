// Faults put between the core and the judge, to see that the judge notices: one packet lost,
// doubled, changed, or two that change places; and what MQTT 5.0 can get wrong. For the tests of
// the simulation itself. Deterministic; runs on Node and on XS.

import { parsePublish } from './message.js';
import { runModel, type Coverage } from './families.js';
import type { Wire } from './client.js';
import { mayBeShared } from './terms.js';

export const TAMPERINGS =
  ['drop', 'duplicate', 'swap', 'change', 'identifier', 'expiry', 'property', 'retain', 'code', 'reason'] as const;
export type Tampering = typeof TAMPERINGS[number];

/**
 * The list of expectations that a packet belongs to; those whose order or number the model leaves
 * open have none.
 */
function stream(words: string): string {
  const seen = parsePublish(words);
  if (seen === null) return words.startsWith('PUBREL') ? 'release' : 'answer';
  // Nobody can say for certain what must come, or when.
  if (seen.retain || mayBeShared(seen.topic) || seen.expirySeconds !== null) return 'open';
  return seen.qos === 0 ? 'QoS 0' : 'QoS 1 and 2';
}

/** Whether nothing is lost on the way, nor a message too large for the client. */
const isCertain = (wire: Wire, how: Tampering): boolean =>
  !wire.everCongested && wire.wishes.packetBytesMax === Infinity && (wire.open || how === 'reason');

function tamperedWith(packets: string[], how: Tampering, at: number): string[] | null {
  const words = packets[at]!;
  const kind = stream(words);
  const next = packets[at + 1];
  switch (how) {
    case 'drop':
      return kind === 'open' ? null : [...packets.slice(0, at), ...packets.slice(at + 1)];
    case 'duplicate':
      return kind === 'open' ? null : [...packets.slice(0, at + 1), ...packets.slice(at)];
    case 'swap':
      if (kind === 'open' || next === undefined || next === words || stream(next) !== kind) return null;
      return [...packets.slice(0, at), next, words, ...packets.slice(at + 2)];
    default: {
      const changed = changedWith(words, how);
      return changed === words ? null : [...packets.slice(0, at), changed, ...packets.slice(at + 1)];
    }
  }
}

/** Another packet in the place of this, or this where nothing can be changed in that way. */
function changedWith(words: string, how: Tampering): string {
  if (how === 'code') return words.replace(/^(PUB(?:ACK|REC) id\d+)( 0x..)?$/, '$1 0x80');
  if (how === 'reason') return words.replace(/^(DISCONNECT) 0x../, '$1 0x88');
  const seen = parsePublish(words);
  if (seen === null) return words;
  switch (how) {
    case 'identifier':
      return words.replace(/subscription \d+/, 'subscription 9');
    case 'expiry':
      return words.replace(/expiry \d+/, `expiry ${seen.expirySeconds! + 3}`);
    case 'property':
      return words.replace(/((?:format|contentType|responseTopic|correlation|user) [^,}]+)/, '$1x');
    case 'retain':
      if (seen.retain || seen.duplicate || mayBeShared(seen.topic)) return words;
      return words.replace(/^(PUBLISH q\d(?: id\d+)?)/, '$1 retain');
    default:
      return words.replace(/( \{|$)/, '?$1');
  }
}

/**
 * Runs a scenario in which the first packet that can be tampered with from the `from`th on is; says
 * what was done to it and whether the run failed, which it should. Null when there was none.
 */
export function detects(
  seed: number, steps: number, how: Tampering, from: number,
): { to: string; failed: boolean } | null {
  const coverage: Coverage = {};
  let to = '';
  let packetCount = 0;
  const tamper = (wire: Wire, packets: string[]): string[] => {
    for (let at = 0; at < packets.length && to === '' && isCertain(wire, how); at++) {
      if (packetCount++ < from) continue;
      const tampered = tamperedWith(packets, how, at);
      if (tampered === null) continue;
      to = packets[at]!;
      return tampered;
    }
    return packets;
  };
  try {
    runModel(seed, steps, coverage, tamper);
  } catch {
    return { to, failed: true };
  }
  return to === '' ? null : { to, failed: false };
}
