// A turn of an object's own, outside of everything that calls it, as soon as there is one. Made by
// both faces.

import type { SystemIo } from '../io.js';

/** A wait of zero would let a board see to one message of its queue only before that. */
const TURN_MS = 1;

export class NextTurn {
  readonly #io: SystemIo;
  readonly #turn: () => void;
  #timer: unknown;

  constructor(io: SystemIo, turn: () => void) {
    this.#io = io;
    this.#turn = turn;
  }

  /** Asks for a turn. Idempotent until it takes place. */
  soon(): void {
    this.#timer ??= this.#io.Timer.repeat(() => {
      this.#io.Timer.clear(this.#timer);
      this.#timer = undefined;
      this.#turn();
    }, TURN_MS);
  }
}
