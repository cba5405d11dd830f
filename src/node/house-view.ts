// Shows a house to people: a live table on a terminal, lines everywhere else. Used by the room and
// averages commands, which feed the house.

import type { House, Room } from '../room/house.js';
import { HUMIDITY_LEVEL, STATE_LEVEL, TEMPERATURE_LEVEL } from '../room/house.js';
import { coloursWanted, Screen } from './screen.js';
import { leftOutSentence, plainLine, tableLines } from './table.js';

/** What waits for a reader of the lines, at most, and one line more. */
const UNREAD_BYTES_MAX = 256 * 1024;

export interface HouseViewOptions {
  title: string;
  /** What stands above the table, each time it is drawn. */
  above: () => readonly string[];
  below: readonly string[];
  /** Whether there is humidity to be shown, and how many readings a mean is made of. */
  humidity: boolean;
  counts: boolean;
  /** Lines also on a terminal. */
  plain: boolean;
}

export class HouseView {
  readonly #house: House;
  readonly #options: HouseViewOptions;
  readonly #screenWanted: boolean;
  #opened = false;
  #leftOutTold = false;
  #screen: Screen | undefined;

  constructor(house: House, options: HouseViewOptions) {
    this.#house = house;
    this.#options = options;
    this.#screenWanted =
      process.stdout.isTTY === true && process.env['TERM'] !== 'dumb' && !options.plain;
  }

  /** Idempotent. */
  open(): void {
    if (this.#opened) return;
    this.#opened = true;
    const { title, above, below, humidity, counts } = this.#options;
    if (!this.#screenWanted) {
      this.line([title, ...above(), ...below].join('\n'));
      return;
    }
    const colour = coloursWanted(process.stdout);
    this.#screen = new Screen(process.stdout, (columns, rows) => tableLines(this.#house, {
      columns, rows, colour, title, above: above(), below, humidity, counts,
    }, performance.now()));
  }

  /** The house has taken a message on `topic`, which was about `room`, or about none it knows. */
  told(topic: string, room: Room | undefined): void {
    if (!this.#wantsLines) return;
    if (this.#house.ignoredCount > 0 && !this.#leftOutTold) {
      this.#leftOutTold = true;
      this.line(leftOutSentence(this.#house));
    }
    if (room === undefined) return;
    // A reading is told once, when all of it is there; and a room that goes.
    const last = this.#options.humidity ? HUMIDITY_LEVEL : TEMPERATURE_LEVEL;
    const worthALine = topic.endsWith(`/${last}`) ||
      (topic.endsWith(`/${STATE_LEVEL}`) && room.online === false);
    if (worthALine) this.line(plainLine(room, this.#house, performance.now()));
  }

  /**
   * Something else happened: a line where there is no table, which shows it by itself. Lines that
   * nobody reads are left out: they would fill the memory.
   */
  line(text: string): void {
    if (this.#wantsLines) process.stdout.write(`${text}\n`);
  }

  get #wantsLines(): boolean {
    return !this.#screenWanted && process.stdout.writableLength < UNREAD_BYTES_MAX;
  }

  /** Gives the terminal back. Idempotent. */
  close(): void {
    this.#screen?.close();
  }
}
