#!/usr/bin/env node
// The command line: `maisonnette broker`. Exit codes: 0 ended by SIGINT or SIGTERM, 2 something
// asked for is wrong or cannot be had; then one sentence on standard error says what.

import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import packageJson from '../../package.json' with { type: 'json' };
import { Broker } from '../broker/broker.js';
import { byteBudget } from '../limits.js';
import { ConnectionLog } from './log.js';
import { brokerHelp, parseBrokerArguments, UsageError, type BrokerCommand } from './options.js';
import { PasswordFile } from './passwords.js';
import { TcpBroker } from './tcp.js';

const HELP = `Usage: maisonnette COMMAND [options]

  broker     run an MQTT broker

maisonnette COMMAND --help tells the options of a command; maisonnette --version the version.
`;

async function main(args: readonly string[]): Promise<void> {
  const [command, ...rest] = args;
  if (command === 'broker') return runBroker(parseBrokerArguments(rest));
  if (command === '--version') return print(`${packageJson.version}\n`);
  if (command === undefined || command === '--help' || command === '-h') return print(HELP);
  throw new UsageError(`unknown command "${command}": ` +
    'the commands are broker, --help and --version');
}

let outputFailed = false;

function print(text: string): void {
  if (!outputFailed) process.stdout.write(text);
}

async function runBroker(command: BrokerCommand): Promise<void> {
  if (command.help) return print(brokerHelp());
  const log = new ConnectionLog((line) => print(`${line}\n`));
  const { passwordFile } = command;
  const logins = passwordFile === undefined ? undefined : readPasswords(passwordFile);
  const broker = construct(command, log, logins);
  log.attach(broker);
  const server = new TcpBroker(broker);
  const { port } = await listen(server, command);
  const end = (): void => {
    process.removeListener('SIGINT', end);
    process.removeListener('SIGTERM', end);
    void server.close();
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  print(greeting(command, port));
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

function construct(
  { limits, verbose }: BrokerCommand, observer: ConnectionLog, logins: PasswordFile | undefined,
): Broker {
  try {
    return new Broker(limits, {
      random: () => randomInt(0x1_0000_0000),
      version: `maisonnette ${packageJson.version}`,
      ...(verbose ? { observer } : {}),
      ...(logins ? { authenticate: (bytes, packet) => logins.authenticate(bytes, packet) } : {}),
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`this machine cannot give the ${byteBudget(limits).total} bytes ` +
      'that these limits need');
  }
}

async function listen(server: TcpBroker, { host, port }: BrokerCommand): Promise<{ port: number }> {
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

function greeting({ host, passwordFile }: BrokerCommand, port: number): string {
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

// Whoever reads the log may leave, or the disk it goes to be full; the broker stays.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE' && !outputFailed) {
    process.stderr.write(`maisonnette: the log cannot be written: ${error.message}.\n`);
  }
  outputFailed = true;
});

main(process.argv.slice(2)).catch((error: unknown) => {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`maisonnette: ${error.message}.\n`);
  process.exitCode = 2;
});
