// `npm run fuzz -- --seed=N --seconds=N`: the fuzz for as long as one likes. Exit code 1 for a
// failure, 2 for bad options.

import { fuzz, tell } from './fuzz.js';

function refuse(sentence: string): never {
  process.stderr.write(`fuzz: ${sentence}\n`);
  process.exit(2);
}

const options = { seed: Math.floor(Math.random() * 0x1_0000_0000), seconds: 60 };
for (const argument of process.argv.slice(2)) {
  const found = /^--(seed|seconds)=(\d+)$/.exec(argument);
  if (found === null) refuse(`bad option "${argument}": known are --seed=N and --seconds=N, whole numbers.`);
  options[found[1] as 'seed' | 'seconds'] = Number(found[2]);
}
if (options.seed > 0xffffffff) refuse(`the seed is ${options.seed}: it must be less than 4294967296.`);

process.stdout.write(`fuzz: seed ${options.seed}, ${options.seconds} s\n`);
try {
  const coverage = {};
  const runs = fuzz(options.seed, options.seconds * 1000, () => performance.now(), coverage);
  process.stdout.write(`fuzz: met ${tell(coverage)}\nfuzz: ${runs} runs, nothing found\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
