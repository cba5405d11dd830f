// A command in a pseudo-terminal, and the screen that a person would see: understands the few control sequences that
// this project writes, and complains about every other.

import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { widthOfText } from '../../src/node/table.js';
import { BROKER, Changes, within, type Owner } from './children.js';

declare const HOST_TESTS: string;

export class Terminal {
  /** What was written that no terminal here understands, and lines that did not fit. */
  readonly problems: string[] = [];
  /** Everything written, as it came. */
  output = '';
  cursorVisible = true;
  wrapping = true;
  /** Whether the screen of its own is shown. */
  otherScreen = false;
  /** How often it was entered. */
  enteredCount = 0;
  readonly #columns: () => number;
  #normal: string[] = [''];
  #other: string[] = [];
  #row = 0;
  readonly #changes = new Changes();
  readonly #process: ChildProcess;
  readonly #exit: Promise<number | null>;

  /** Runs `maisonnette`, or another program, with these arguments. Killed, if need be, when `owner` ends. */
  constructor(
    owner: Owner, size: [columns: number, rows: number], args: readonly string[], env: Record<string, string> = {},
    program = BROKER,
  ) {
    let [columns] = size;
    this.#columns = () => columns;
    this.resize = (newColumns, rows) => {
      columns = newColumns;
      this.#order(`resize ${newColumns} ${rows}`);
    };
    this.#process = spawn('python3', [join(HOST_TESTS, 'node', 'pseudo_terminal.py'), ...size.map(String),
      process.execPath, program, ...args],
    { stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: process.env['PATH'] ?? '', TERM: 'xterm-256color', ...env } });
    this.#process.stdin!.on('error', () => {}); // it may end before it has read everything
    let rest = '';
    this.#process.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
      rest = this.#write(rest + text);
      this.#changes.signal();
    });
    this.#exit = new Promise((resolve, reject) => {
      this.#process.on('error', reject);
      this.#process.on('close', resolve);
    });
    owner.teardown(async () => {
      this.#process.stdin!.end(); // pseudo_terminal.py then kills the command
      await this.#exit;
    });
  }

  readonly resize: (columns: number, rows: number) => void;

  type(text: string): void {
    this.#order(`type ${Buffer.from(text).toString('hex')}`);
  }

  signal(name: NodeJS.Signals): void {
    this.#order(`signal ${name}`);
  }

  /** The lines shown, without colours. */
  get lines(): readonly string[] {
    return this.otherScreen ? this.#other : this.#normal;
  }

  /** Waits until the screen shows that. */
  async shows(pattern: RegExp, ms = 15_000): Promise<string> {
    const find = (): string | undefined => pattern.exec(this.lines.join('\n'))?.[0];
    await this.until(() => find() !== undefined, `${pattern}`, ms);
    return find()!;
  }

  until(condition: () => boolean, what: string, ms = 15_000): Promise<void> {
    return this.#changes.until(condition, () => `${what}; the screen shows:\n${this.lines.join('\n')}`, ms);
  }

  /** The exit code, at the end. */
  end(): Promise<number | null> {
    return within(this.#exit, () => `the end; the screen shows:\n${this.lines.join('\n')}`);
  }

  #order(order: string): void {
    this.#process.stdin!.write(`${order}\n`);
  }

  /** Returns what is not complete yet. */
  #write(text: string): string {
    let rest = text;
    while (rest !== '') {
      const found = /^(?:\u001b\[(\??)([\d;]*)([A-Za-z])|([^\u001b]+))/.exec(rest);
      if (found === null) {
        if (!/^\u001b(\[\??[\d;]*)?$/.test(rest)) this.problems.push(JSON.stringify(rest.slice(0, 20)));
        return rest;
      }
      rest = rest.slice(found[0].length);
      const [, mode, numbers, letter, plain] = found;
      if (plain !== undefined) this.#print(plain);
      else if (mode === '?') this.#setMode(numbers!, letter === 'h');
      else this.#control(numbers!, letter!);
    }
    return '';
  }

  #print(text: string): void {
    if (!this.otherScreen) {
      const lines = text.replaceAll('\r', '').split('\n');
      this.#normal[this.#normal.length - 1] += lines[0]!;
      this.#normal.push(...lines.slice(1));
      return;
    }
    const line = (this.#other[this.#row] ?? '') + text;
    this.#other[this.#row] = line;
    // What is typed is echoed by the terminal where the cursor stands; that is not the table's.
    if (widthOfText(line.replace(/\^[CZ]/g, '')) > this.#columns()) this.problems.push(`too wide: ${line}`);
  }

  #setMode(numbers: string, on: boolean): void {
    if (numbers === '25') this.cursorVisible = on;
    else if (numbers === '7') this.wrapping = on;
    else if (numbers === '1049') {
      this.otherScreen = on;
      if (on) this.enteredCount++;
    } else this.problems.push(`mode ${numbers}`);
  }

  #control(numbers: string, letter: string): void {
    if (letter === 'm') return;
    if (letter === 'J' && numbers === '2') {
      this.#other = [];
    } else if (letter === 'H' && /^\d+;1$/.test(numbers)) {
      this.#row = Number.parseInt(numbers, 10) - 1;
      while (this.#other.length <= this.#row) this.#other.push('');
      this.#other[this.#row] = ''; // a whole line follows, always
    } else if (letter !== 'K' || numbers !== '') {
      this.problems.push(`${numbers}${letter}`);
    }
  }
}
