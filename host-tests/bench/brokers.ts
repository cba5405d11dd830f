// The brokers under measurement: how each is found, started on a free port of 127.0.0.1 and ended.
// Every child is remembered until it is gone, and `endAllBrokers` (called on exit, whatever its
// reason) ends what is left, so that the benchmark leaves no process and no temporary file behind.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep } from './load-connection.js';

declare const HOST_TESTS: string;

export interface Broker {
  readonly name: string;
  readonly title: string;
  /** undefined where it is not installed or not built. */
  readonly version: string | undefined;
  readonly command: (port: number) => readonly string[];
  /** Whether it speaks MQTT 5.0, too. */
  readonly level5: boolean;
}

export interface RunningBroker {
  readonly port: number;
  readonly pid: number;
  end(): Promise<void>;
}

const children = new Set<ChildProcess>();
const temporaryFolders = new Set<string>();

function packageVersion(folder: string): string {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version;
}

function sibling(name: string): string {
  return fileURLToPath(new URL(`./${name}`, import.meta.url));
}

function ours(): Broker {
  const root = dirname(HOST_TESTS);
  const program = join(root, '.build', 'maisonnette.js');
  return {
    name: 'ours', title: 'Maisonnette',
    version: existsSync(program) ? packageVersion(root) : undefined,
    level5: true,
    command: (port) =>
      [process.execPath, program, 'broker', '--host', '127.0.0.1', '--port', String(port)],
  };
}

/**
 * Mosquitto as it is shipped, except for what would lose messages under load (it would drop above a
 * thousand queued and disconnect a publisher with more than twenty unfinished QoS 2 messages), for
 * persistence and log, which the other two have not, and for TCP_NODELAY, which all three set: with
 * Nagle's algorithm it joins writes and holds them back, cheaper and later.
 */
const MOSQUITTO_OPTIONS = `allow_anonymous true
set_tcp_nodelay true
persistence false
log_type none
max_queued_messages 0
max_inflight_messages 0
`;

function mosquitto(options: string): Broker {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
    .concat('/usr/sbin', '/usr/local/sbin', '/opt/homebrew/sbin');
  const program = folders.map((folder) => join(folder, 'mosquitto')).find(existsSync);
  const help = program === undefined ? '' : spawnSync(program, ['-h'], { encoding: 'utf8' }).stdout;
  return {
    name: 'mosquitto', title: 'Mosquitto',
    version: /version (\S+)/.exec(help)?.[1],
    level5: true,
    command: (port) => {
      const folder = mkdtempSync(join(tmpdir(), 'maisonnette-bench-'));
      temporaryFolders.add(folder);
      const file = join(folder, 'mosquitto.conf');
      writeFileSync(file, `listener ${port} 127.0.0.1\n${MOSQUITTO_OPTIONS}${options}\n`);
      return [program ?? 'mosquitto', '-c', file];
    },
  };
}

function aedes(): Broker {
  return {
    name: 'aedes', title: 'aedes',
    version: packageVersion(join(HOST_TESTS, 'node_modules', 'aedes')),
    level5: false,
    command: (port) => [process.execPath, sibling('aedes.main.js'), String(port)],
  };
}

/** Not a broker: the baseline of memory per connection on Node. */
export const bareSocket: Broker = {
  name: 'bare', title: 'bare Node socket', version: process.version,
  level5: false,
  command: (port) => [process.execPath, sibling('bare-socket.main.js'), String(port)],
};

/** One sentence for the report. */
export function configuration(mosquittoOptions: string): string {
  const changed = `${MOSQUITTO_OPTIONS}${mosquittoOptions}`.trim().split('\n').join(', ');
  return `All as shipped, except Mosquitto's ${changed}.`;
}

export const brokerNames: readonly string[] = ['ours', 'mosquitto', 'aedes'];

/** @param mosquittoOptions further lines of its configuration file. */
export function knownBrokers(mosquittoOptions: string): Broker[] {
  return [ours(), mosquitto(mosquittoOptions), aedes()];
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => { socket.destroy(); resolve(true); });
    socket.once('error', () => resolve(false));
  });
}

export async function startBroker(broker: Broker): Promise<RunningBroker> {
  const port = await freePort();
  const [program = '', ...args] = broker.command(port);
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  children.add(child);
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => { said = (said + bytes.toString()).slice(-500); });
  let ended = false;
  const gone = new Promise<void>((resolve) => {
    const end = () => { ended = true; children.delete(child); resolve(); };
    child.once('exit', end);
    child.once('error', (error) => { said = error.message; end(); });
  });
  const deadline = performance.now() + 5_000;
  while (!await accepts(port)) {
    if (ended) throw new Error(`${broker.title} ended at once: ${said.trim()}`);
    if (performance.now() > deadline) throw new Error(`${broker.title} accepts no connection`);
    await sleep(10);
  }
  return {
    port, pid: child.pid ?? 0,
    end: () => { child.kill('SIGKILL'); return gone; },
  };
}

/** Synchronous, so that it may be called from an 'exit' listener. */
export function endAllBrokers(): void {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of temporaryFolders) rmSync(folder, { recursive: true, force: true });
  temporaryFolders.clear();
}
