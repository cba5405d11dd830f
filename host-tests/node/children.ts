// Child processes for tests: the broker as its users start it, and command line clients. Each child is ended by the
// test that started it; every wait is bounded and says what it waited for.

import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';

declare const HOST_TESTS: string;

export const BROKER = join(HOST_TESTS, '..', '.build', 'maisonnette.js');
export const WAIT_MS = 8000;

/** What children.ts needs of a tap test: a place to register the end. */
export interface Owner {
  teardown(end: () => unknown): unknown;
}

/** `promise`, or an error naming `what` after `ms`. */
export async function within<T>(promise: Promise<T>, what: string | (() => string), ms = WAIT_MS): Promise<T> {
  const timer = new AbortController();
  const late = sleep(ms, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`waited ${ms} ms for ${typeof what === 'string' ? what : what()}`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}

/** Waits until `condition` holds, looking again on every `signal`. */
export class Changes {
  readonly #waiting = new Set<() => void>();

  signal(): void {
    for (const look of [...this.#waiting]) look();
  }

  until(condition: () => boolean, what: string | (() => string), ms = WAIT_MS): Promise<void> {
    let look = (): void => {};
    const met = new Promise<void>((resolve) => {
      look = (): void => {
        if (condition()) resolve();
      };
    });
    this.#waiting.add(look);
    look();
    return within(met, what, ms).finally(() => this.#waiting.delete(look));
  }
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A running child, its output by lines as it comes. */
export class Child {
  readonly process: ChildProcess;
  readonly lines: string[] = [];
  readonly exit: Promise<Exit>;
  readonly #changes = new Changes();
  #stdout = '';
  #stderr = '';

  /** Starts `command`; `input` is all of its standard input. Killed, if need be, when `owner` ends. */
  constructor(owner: Owner, command: string, args: readonly string[], input?: string, cwd = HOST_TESTS) {
    const child = spawn(command, args, { stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'], cwd });
    this.process = child;
    child.stdout!.setEncoding('utf8').on('data', (text: string) => this.#stdout += text);
    child.stderr!.setEncoding('utf8').on('data', (text: string) => this.#stderr += text);
    createInterface(child.stdout!).on('line', (line) => {
      this.lines.push(line);
      this.#changes.signal();
    });
    child.stdin?.on('error', () => {}); // it may end before it has read everything
    child.stdin?.end(input);
    this.exit = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr }));
    });
    this.exit.catch(() => {});
    owner.teardown(() => this.kill());
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The first line of standard output that matches. */
  async line(pattern: RegExp, ms = WAIT_MS): Promise<string> {
    const find = (): string | undefined => this.lines.find((line) => pattern.test(line));
    await this.#changes.until(() => find() !== undefined, () => `a line ${pattern} of ` +
      `${this.process.spawnargs.join(' ')}; it said: ${this.lines.slice(-20).join(' | ')} ${this.#stderr}`, ms);
    return find()!;
  }

  /** Waits until so many lines match. */
  lineCount(pattern: RegExp, count: number, ms = WAIT_MS): Promise<void> {
    return this.#changes.until(() => this.lines.filter((line) => pattern.test(line)).length >= count,
      () => `${count} lines ${pattern} of ${this.process.spawnargs.join(' ')}; it said: ${this.lines.slice(-20).join(' | ')}`, ms);
  }

  /** Waits for the end. */
  end(ms = WAIT_MS): Promise<Exit> {
    return within(this.exit, () => `the end of ${this.process.spawnargs.join(' ')}; it said: ` +
      `${this.#stdout.slice(-500)} ${this.#stderr.slice(-500)}`, ms);
  }

  /** Ends it without asking, and waits for that. */
  async kill(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill('SIGKILL');
    await this.exit.catch(() => {});
  }
}

/** Runs `command` to its end. */
export async function run(
  owner: Owner, command: string, args: readonly string[], input?: string, ms = WAIT_MS,
): Promise<Exit> {
  const child = new Child(owner, command, args, input);
  try {
    return await child.end(ms);
  } finally {
    await child.kill();
  }
}

export interface RunningBroker {
  port: number;
  child: Child;
}

/** Starts `maisonnette broker` on a free port of loopback. */
export async function startBroker(owner: Owner, ...args: string[]): Promise<RunningBroker> {
  const child = new Child(owner, process.execPath, [BROKER, 'broker', '--port', '0', ...args]);
  const greeting = await child.line(/MQTT broker on/);
  return { port: Number(/:(\d+)$/.exec(greeting)![1]), child };
}
