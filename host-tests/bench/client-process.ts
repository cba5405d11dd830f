// The process of a client under measurement, as `bench` sees it: started with the channel over which
// it is told what to do, and ended. It ends by itself when this process does, whatever the reason.

import { fork, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { processFiguresKnown } from './process-figures.js';
import type { Faults } from './load-check.js';

export type Command =
  /** Opens so many clients, one after the other; the commands that follow are for the first of all. */
  | { readonly name: 'open'; readonly count: number }
  /** 'arrived' is said from then on after each so many messages that came. */
  | { readonly name: 'subscribe'; readonly topic: string; readonly qos: number; readonly arrivalsPerAnswer: number }
  /** Publishes so many at once; done when all are acknowledged, at QoS 0 when they are handed over. */
  | { readonly name: 'publish'; readonly topic: string; readonly qos: number; readonly count: number }
  /** Collects garbage. */
  | { readonly name: 'collect' }
  /** Answers what is wrong with the messages that came, of so many. */
  | { readonly name: 'faults'; readonly sentCount: number };

export interface Answer {
  readonly name: Command['name'] | 'arrived';
  /** In the answer to 'faults'. */
  readonly faults?: Faults;
}

const PROGRAM = fileURLToPath(new URL('./client-load.main.js', import.meta.url));

export class ClientProcess {
  /** Each answer, as it comes. */
  onAnswer: ((answer: Answer) => void) | null = null;
  readonly pid: number;
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;
  #ending = false;

  /**
   * @param name of `openByName`; @param port of the broker; @param fail called when the process ends
   * by itself.
   */
  constructor(name: string, port: number, fail: (error: Error) => void) {
    this.port = port;
    this.#child = fork(PROGRAM, [name, String(port)], { execArgv: ['--expose-gc'] });
    this.pid = this.#child.pid ?? 0;
    this.#child.on('message', (answer: Answer) => this.onAnswer?.(answer));
    this.#child.on('error', fail);
    this.#gone = new Promise((resolve) => {
      this.#child.once('exit', (code) => {
        if (!this.#ending) fail(new Error(`the process of client ${name} ended with ${code}`));
        resolve();
      });
    });
  }

  tell(command: Command): void {
    this.#child.send(command);
  }

  /** Tells, and resolves to the answer; replaces `onAnswer`. */
  ask(command: Command): Promise<Answer> {
    return new Promise((resolve) => {
      this.onAnswer = (answer) => {
        if (answer.name === command.name) resolve(answer);
      };
      this.tell(command);
    });
  }

  end(): Promise<void> {
    this.#ending = true;
    this.#child.kill('SIGKILL');
    return this.#gone;
  }
}

/** The most that was ever resident in a process; undefined without /proc. */
export function peakResidentBytes(pid: number): number | undefined {
  if (!processFiguresKnown) return undefined;
  const found = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return found ? Number(found[1]) * 1024 : undefined;
}
