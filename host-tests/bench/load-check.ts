// Loss, duplicates and order at one subscriber, by the sequence numbers that each source counts up
// from 0. The usual arrival costs one comparison; only an anomaly is remembered.

export interface Faults {
  lost: number;
  duplicates: number;
  outOfOrder: number;
}

/** More numbers than this are not remembered for one gap: then all of the rest counts as lost. */
const REMEMBERED_MAX = 100_000;

export class SequenceCheck {
  /** Messages that arrived, whatever their number. */
  arrivedCount = 0;
  readonly #expected: Uint32Array;
  readonly #missing = new Set<number>();
  #forgotten = 0;
  #duplicates = 0;
  #outOfOrder = 0;

  constructor(sourceCount: number) {
    this.#expected = new Uint32Array(sourceCount);
  }

  take(source: number, sequence: number): void {
    this.arrivedCount++;
    if (source < this.#expected.length && this.#expected[source] === sequence) {
      this.#expected[source] = sequence + 1;
    } else {
      this.#takeUnexpected(source, sequence);
    }
  }

  #takeUnexpected(source: number, sequence: number): void {
    const expected = this.#expected[source];
    if (expected === undefined) throw new Error(`a message of unknown source ${source} arrived`);
    if (sequence < expected) {
      if (this.#missing.delete(source * 2 ** 32 + sequence)) this.#outOfOrder++;
      else this.#duplicates++;
      return;
    }
    for (let missing = expected; missing < sequence; missing++) {
      if (this.#missing.size < REMEMBERED_MAX) this.#missing.add(source * 2 ** 32 + missing);
      else this.#forgotten++;
    }
    this.#expected[source] = sequence + 1;
  }

  /**
   * Adds this subscriber's anomalies; `sentBy(source)` is how many messages that source has sent.
   */
  addTo(faults: Faults, sentBy: (source: number) => number): void {
    faults.lost += this.#missing.size + this.#forgotten;
    for (let source = 0; source < this.#expected.length; source++) {
      faults.lost += Math.max(0, sentBy(source) - (this.#expected[source] ?? 0));
    }
    faults.duplicates += this.#duplicates;
    faults.outOfOrder += this.#outOfOrder;
  }
}
