// The terminal while a table is shown on it: a screen of its own, without cursor, that is given
// back on every end: an exit, an uncaught error, a signal, Ctrl-Z. Used by the commands with a
// table; knows nothing of what it shows.
//
// A terminal may stop reading: Ctrl-S, a connection that hangs. Node's streams would then hold up
// the whole process, as they write to terminals synchronously. So the lines are written past the
// stream, by a thread of libuv's pool, and new ones only when the last have left.

import { write } from 'node:fs';
import type { WriteStream } from 'node:tty';

/** Other screen, no cursor, no line wrap; and all of that back. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J';
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const DRAW_MS = 250;
/** Signals that end the process where it stands; SIGINT and SIGTERM are the command's. */
const ENDS: readonly NodeJS.Signals[] = ['SIGHUP', 'SIGQUIT'];

/** Such as process.stdout, if it is one. */
export type Terminal = WriteStream & { readonly fd: number };

export class Screen {
  readonly #stream: Terminal;
  readonly #render: (columns: number, rows: number) => readonly string[];
  readonly #timer: NodeJS.Timeout;
  /** What the terminal shows, by lines. */
  #shown: readonly string[] = [];
  #entered = false;
  /** Since it was entered, or its size changed. */
  #cleared = false;
  /** The terminal has not taken all that was written. */
  #writing = false;
  /** It was closed meanwhile. */
  #leaveAfter = false;

  /** Takes the screen and keeps it up to date with what `render` returns, four times a second. */
  constructor(
    stream: Terminal, render: (columns: number, rows: number) => readonly string[],
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

  /** Gives the screen back; if the terminal does not read, when it does. Idempotent. */
  close(): void {
    clearInterval(this.#timer);
    this.#stream.off('resize', this.#redraw);
    process.off('exit', this.#leave);
    for (const signal of ENDS) process.off(signal, this.#end);
    process.off('SIGTSTP', this.#stop);
    process.off('SIGCONT', this.#redraw);
    if (!this.#writing) this.#leave();
    else if (this.#entered) {
      this.#entered = false;
      this.#leaveAfter = true;
    }
  }

  /** Writes the lines that have changed, unless the terminal is not done with the last ones. */
  readonly draw = (): void => {
    if (!this.#entered || this.#writing) return;
    // Terminals that know nothing of their size say 0.
    const lines = this.#render(this.#stream.columns || 80, this.#stream.rows || 24);
    let output = this.#cleared ? '' : ENTER;
    this.#cleared = true;
    for (let row = 0; row < Math.max(lines.length, this.#shown.length); row++) {
      const line = lines[row] ?? '';
      if (line !== this.#shown[row]) output += `\u001b[${row + 1};1H${line}\u001b[K`;
    }
    this.#shown = lines;
    if (output !== '') this.#write(Buffer.from(output));
  };

  #enter(): void {
    this.#entered = true;
    this.#shown = [];
    this.#cleared = false;
    this.draw();
  }

  #write(bytes: Uint8Array): void {
    this.#writing = true;
    write(this.#stream.fd, bytes, 0, bytes.length, null, (error, byteCount) => {
      if (error === null && byteCount < bytes.length) this.#write(bytes.subarray(byteCount));
      else this.#written(error);
    });
  }

  #written(error: NodeJS.ErrnoException | null): void {
    this.#writing = false;
    if (this.#leaveAfter) this.#stream.write(LEAVE);
    if (error === null) return;
    this.#shown = [];
    this.#cleared = false;
    // Another process may have made the terminal say so instead of waiting: the next draw tries.
    if (error.code !== 'EAGAIN') this.#stream.emit('error', error);
  }

  /** The process ends or stops: it waits for a terminal that does not read. */
  readonly #leave = (): void => {
    if (!this.#entered) return;
    this.#entered = false;
    this.#stream.write(LEAVE);
  };

  /** The size has changed, or the process goes on after a stop. */
  readonly #redraw = (): void => this.#enter();

  readonly #end = (signal: NodeJS.Signals): void => {
    this.#leave();
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
