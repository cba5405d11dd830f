// The terminal while a table is shown on it: a screen of its own, without cursor, that is given
// back on every end: an exit, an uncaught error, a signal, Ctrl-Z. Used by the commands with a
// table; knows nothing of what it shows.

import type { WriteStream } from 'node:tty';

/** Other screen, no cursor, no line wrap; and all of that back. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J';
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const DRAW_MS = 250;
/** Signals that end the process where it stands; SIGINT and SIGTERM are the command's. */
const ENDS: readonly NodeJS.Signals[] = ['SIGHUP', 'SIGQUIT'];

export class Screen {
  readonly #stream: WriteStream;
  readonly #render: (columns: number, rows: number) => readonly string[];
  readonly #timer: NodeJS.Timeout;
  /** What the terminal shows, by lines. */
  #shown: readonly string[] = [];
  #entered = false;

  /** Takes the screen and keeps it up to date with what `render` returns, four times a second. */
  constructor(
    stream: WriteStream, render: (columns: number, rows: number) => readonly string[],
  ) {
    this.#stream = stream;
    this.#render = render;
    this.#timer = setInterval(this.draw, DRAW_MS);
    this.#timer.unref();
    stream.on('resize', this.#redraw);
    // Also after an uncaught error, and before Node prints it, so that it stays to be read.
    process.on('exit', this.#leave);
    for (const signal of ENDS) process.on(signal, this.#end);
    process.on('SIGTSTP', this.#stop);
    process.on('SIGCONT', this.#redraw);
    this.#enter();
  }

  /** Gives the screen back. Idempotent. */
  close(): void {
    clearInterval(this.#timer);
    this.#stream.off('resize', this.#redraw);
    process.off('exit', this.#leave);
    for (const signal of ENDS) process.off(signal, this.#end);
    process.off('SIGTSTP', this.#stop);
    process.off('SIGCONT', this.#redraw);
    this.#leave();
  }

  /** Writes the lines that have changed. */
  readonly draw = (): void => {
    if (!this.#entered) return;
    const lines = this.#render(this.#stream.columns, this.#stream.rows);
    let output = '';
    for (let row = 0; row < Math.max(lines.length, this.#shown.length); row++) {
      const line = lines[row] ?? '';
      if (line !== this.#shown[row]) output += `\u001b[${row + 1};1H${line}\u001b[K`;
    }
    this.#shown = lines;
    if (output !== '') this.#stream.write(output);
  };

  #enter(): void {
    this.#entered = true;
    this.#shown = [];
    this.#stream.write(ENTER);
    this.draw();
  }

  readonly #leave = (): void => {
    if (!this.#entered) return;
    this.#entered = false;
    this.#stream.write(LEAVE);
  };

  /** The size has changed, or the process goes on after a stop. */
  readonly #redraw = (): void => this.#enter();

  readonly #end = (signal: NodeJS.Signals): void => {
    this.close();
    process.kill(process.pid, signal);
  };

  readonly #stop = (): void => {
    this.#leave();
    process.kill(process.pid, 'SIGSTOP');
  };
}

/** Whether colours may be used: https://no-color.org. */
export function coloursWanted(stream: WriteStream): boolean {
  return stream.hasColors();
}
