// The npm package mqtt-packet as the oracle, both ways, over random packets of every type: what it generates we
// decode to the same fields and properties, what we encode it parses to the same, and both write the same bytes.
// Node only. SEED=… repeats a run.
import t from 'tap';
import { decodeAll, encodeOurs } from './oracle-ours.js';
import { generate, parse } from './oracle-theirs.js';
import { PROPERTIES } from './plain-properties.js';
import { RandomPackets, type Plain } from './random-packets.js';

const SEED = Number(process.env['SEED'] ?? Date.now() % 0x7fffffff);
const BATCHES = 300;
const BATCH_PACKETS = 20;
/** What comes up: 14 types, in MQTT 5.0 AUTH and every property as well. */
const KINDS = { 4: 14, 5: 15 + PROPERTIES.length } as const;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** In MQTT 5.0, mqtt-packet writes a reason and a property length where we leave out what says nothing. */
const isShortened = (plain: Plain): boolean =>
  'code' in plain && plain.cmd !== 'connack' && plain.properties.length === 0;

function namesIn(plain: Plain): string[] {
  const properties = 'properties' in plain ? plain.properties : [];
  const will = plain.cmd === 'connect' ? plain.will?.properties ?? [] : [];
  return [plain.cmd, ...[...properties, ...will].map(([name]) => name)];
}

/** As JSON with its keys in one order. */
function sorted(plain: Plain | undefined): string {
  return JSON.stringify(plain, (_, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
  });
}

function problemsOf(plains: readonly Plain[], level: number): string[] {
  const problems: string[] = [];
  const theirs = plains.map((plain) => generate(plain, level));
  const ours = plains.map((plain) => encodeOurs(plain, level));
  const both = [
    ['we decode what mqtt-packet generates', decodeAll(Buffer.concat(theirs), level)],
    ['mqtt-packet parses what we encode', ours.map((bytes) => parse(bytes, level))],
    ['we decode what we encode', decodeAll(Buffer.concat(ours), level)],
  ] as const;
  for (const [i, plain] of plains.entries()) {
    const wanted = sorted(plain);
    for (const [title, found] of both) {
      if (sorted(found[i]) !== wanted) problems.push(`${title}: ${sorted(found[i])}, wanted ${wanted}`);
    }
    if (hex(theirs[i]!) !== hex(ours[i]!) && !(level === 5 && isShortened(plain))) {
      problems.push(`bytes of ${wanted}: ${hex(ours[i]!)}, theirs ${hex(theirs[i]!)}`);
    }
  }
  return problems;
}

// Packets of ours are read by an implementation that knows nothing of us: [MQTT-7.0.0-2].
for (const level of [4, 5] as const) {
  t.test(`${BATCHES * BATCH_PACKETS} random packets of level ${level} agree with mqtt-packet, SEED=${SEED}`, (t) => {
    const random = new RandomPackets(SEED, level);
    const seen = new Set<string>();
    const problems: string[] = [];
    for (let batch = 0; batch < BATCHES && problems.length === 0; batch++) {
      const plains = Array.from({ length: BATCH_PACKETS }, () => random.next());
      for (const name of plains.flatMap(namesIn)) seen.add(name);
      problems.push(...problemsOf(plains, level).map((problem) => `batch ${batch}: ${problem}`));
    }
    t.equal(problems.join('\n'), '', `SEED=${SEED}`);
    t.equal(seen.size, KINDS[level], 'every type and every property has come up');
    t.end();
  });
}
