// Faults put between the core and the judge, to see that the judge notices: one packet lost,
// doubled, changed, or two that change places. For the tests of the simulation itself.
// Deterministic; runs on Node and on XS.

import { parsePublish } from './expect.js';
import { runModel, type Coverage } from './families.js';
import type { Wire } from './client.js';

export const TAMPERINGS = ['drop', 'duplicate', 'swap', 'change'] as const;
export type Tampering = typeof TAMPERINGS[number];

/**
 * The list of expectations that a packet belongs to; those whose order or number the model leaves
 * open have none.
 */
function stream(words: string): string {
  const seen = parsePublish(words);
  if (seen === null) return words.startsWith('PUBREL') ? 'release' : 'answer';
  if (seen.retain) return 'retained';
  return seen.qos === 0 ? 'QoS 0' : 'QoS 1 and 2';
}

function tamperedWith(packets: string[], how: Tampering, at: number): string[] | null {
  const words = packets[at]!;
  const kind = stream(words);
  const next = packets[at + 1];
  switch (how) {
    case 'drop':
      return kind === 'retained' ? null : [...packets.slice(0, at), ...packets.slice(at + 1)];
    case 'duplicate':
      return kind === 'retained' ? null : [...packets.slice(0, at + 1), ...packets.slice(at)];
    case 'swap':
      if (kind === 'retained' || next === undefined || next === words || stream(next) !== kind) return null;
      return [...packets.slice(0, at), next, words, ...packets.slice(at + 2)];
    case 'change':
      return parsePublish(words) === null ? null : [...packets.slice(0, at), `${words}?`, ...packets.slice(at + 1)];
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
    for (let at = 0; at < packets.length && to === '' && !wire.everCongested; at++) {
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
