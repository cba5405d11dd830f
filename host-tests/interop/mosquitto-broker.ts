// Mosquitto as the broker: a child process on a port of loopback that it keeps over restarts, and the same for our own.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BROKER, Child, run, within, type Exit, type Owner } from '../node/children.js';

const PROGRAMS = ['mosquitto', 'mosquitto_pub', 'mosquitto_sub', 'mosquitto_passwd'];

/** Why tests with a real Mosquitto are not run, or false; said once on stderr. */
export function mosquittoSkip(): string | false {
  const path = `${process.env['PATH']}:/usr/sbin:/usr/local/sbin`; // Debian's users have no sbin in theirs
  process.env['PATH'] = path;
  const missing = PROGRAMS.find((name) => spawnSync(name, ['--help']).error !== undefined);
  if (missing === undefined) return false;
  const skip = `not run: client and Mosquitto: no ${missing} on this machine (Debian: mosquitto, mosquitto-clients)`;
  process.stderr.write(`${skip}\n`);
  return skip;
}

/**
 * A free port that no outgoing connection is given by chance: below the range that Linux takes for those. A client that
 * tries again and again to reach a port of that range on its own machine may in the end be connected to itself.
 */
async function quietPort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** A broker that a test starts, ends and starts again, always on one port. */
export abstract class BrokerProcess {
  readonly port: number;
  protected readonly owner: Owner;
  #child: Child | undefined;

  protected constructor(owner: Owner, port: number) {
    this.owner = owner;
    this.port = port;
  }

  protected abstract launch(): Child;

  /** Accepts connections when this resolves. */
  async start(): Promise<void> {
    const child = this.#child = this.launch();
    await within((async () => {
      while (!await this.#accepts() && child.process.exitCode === null) await sleep(10);
    })(), () => `${child.process.spawnargs.join(' ')} to accept a connection; it said: ${child.stderr}`);
    if (child.process.exitCode !== null) throw new Error(`it did not start: ${child.stderr}`);
  }

  #accepts(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
  }

  /** Ends it: by SIGKILL at once, by SIGTERM as it likes to end. */
  async stop(signal: NodeJS.Signals): Promise<void> {
    this.#child!.process.kill(signal);
    await this.#child!.end();
  }

  mosquittoPub(...args: string[]): Promise<Exit> {
    return run(this.owner, 'mosquitto_pub', ['-h', '127.0.0.1', '-p', String(this.port), ...args], undefined, 20_000);
  }

  /** mosquitto_sub; it has not subscribed yet. */
  mosquittoSub(...args: string[]): Child {
    return new Child(this.owner, 'mosquitto_sub', ['-h', '127.0.0.1', '-p', String(this.port), ...args]);
  }
}

export class Mosquitto extends BrokerProcess {
  /** Its own folder: for files of the test that `lines` name, and for what it saves. */
  readonly folder: string;
  readonly #config: string;

  private constructor(owner: Owner, port: number, lines: (folder: string) => readonly string[]) {
    super(owner, port);
    this.folder = mkdtempSync(join(tmpdir(), 'mosquitto-'));
    owner.teardown(() => rmSync(this.folder, { recursive: true, force: true }));
    this.#config = join(this.folder, 'mosquitto.conf');
    const given = lines(this.folder);
    const opened = given.some((line) => line.startsWith('allow_anonymous')) ? [] : ['allow_anonymous true'];
    // `user root`: started by root it stays so, and reads the folder; started by another it makes no difference.
    writeFileSync(this.#config, [`listener ${port} 127.0.0.1`, 'user root', 'log_dest stderr', 'set_tcp_nodelay true',
      'max_queued_messages 0', ...opened, ...given, ''].join('\n'));
  }

  /** `lines` of its configuration, once its folder is made. */
  static async open(owner: Owner, lines: (folder: string) => readonly string[] = () => []): Promise<Mosquitto> {
    const mosquitto = new Mosquitto(owner, await quietPort(), lines);
    await mosquitto.start();
    return mosquitto;
  }

  protected launch(): Child {
    return new Child(this.owner, 'mosquitto', ['-c', this.#config]);
  }
}

export class OurBroker extends BrokerProcess {
  readonly #args: readonly string[];

  private constructor(owner: Owner, port: number, args: readonly string[]) {
    super(owner, port);
    this.#args = args;
  }

  static async open(owner: Owner, ...args: string[]): Promise<OurBroker> {
    const broker = new OurBroker(owner, await quietPort(), args);
    await broker.start();
    return broker;
  }

  protected launch(): Child {
    return new Child(this.owner, process.execPath, [BROKER, 'broker', '--port', String(this.port), ...this.#args]);
  }
}

/** Knows no MQTT 5.0. */
export class Aedes extends BrokerProcess {
  static async open(owner: Owner): Promise<Aedes> {
    const broker = new Aedes(owner, await quietPort());
    await broker.start();
    return broker;
  }

  protected launch(): Child {
    const program = fileURLToPath(new URL('../bench/aedes.main.js', import.meta.url));
    return new Child(this.owner, process.execPath, [program, String(this.port)]);
  }
}
