#!/usr/bin/env node
// The command line: finds the command and turns its end into an exit code. 0: as asked; 2: what was
// asked for is wrong or cannot be had; 1: something failed on the way; then one sentence on
// standard error says what. Commands may have codes of their own.

import packageJson from '../../package.json' with { type: 'json' };
import { FailureError, UsageError, type Command } from './arguments.js';
import { averagesCommand } from './averages-command.js';
import { brokerCommand } from './broker-command.js';
import { pubCommand } from './pub-command.js';
import { roomCommand } from './room-command.js';
import { sensorCommand } from './sensor-command.js';
import { subCommand } from './sub-command.js';

const COMMANDS: readonly Command[] =
  [roomCommand, brokerCommand, sensorCommand, averagesCommand, pubCommand, subCommand];

function help(): string {
  const rows = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}\n`);
  return `Usage: maisonnette COMMAND [options]

${rows.join('')}
maisonnette COMMAND --help tells the options of a command; maisonnette --version the version.
`;
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command !== undefined) return command.run(rest);
  if (name === '--version') process.stdout.write(`${packageJson.version}\n`);
  else if (name === undefined || name === '--help' || name === '-h') process.stdout.write(help());
  else {
    throw new UsageError(`unknown command "${name}": the commands are ` +
      `${COMMANDS.map((known) => known.name).join(', ')}, --help and --version`);
  }
  return 0;
}

// Whoever reads the output may leave, or the disk it goes to be full: that alone ends no command.
let outputFailed = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE' && !outputFailed) {
    process.stderr.write(`maisonnette: the output cannot be written: ${error.message}.\n`);
  }
  outputFailed = true;
});

main(process.argv.slice(2)).then((exitCode) => {
  process.exitCode = exitCode;
}, (error: unknown) => {
  if (!(error instanceof UsageError || error instanceof FailureError)) throw error;
  process.stderr.write(`maisonnette: ${error.message}.\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
