// Chance that can be repeated: every random choice of the tests comes from one of these. Runs on
// Node and on XS.

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 to 2³²-1 (mulberry32). */
  next(): number {
    this.#state = this.#state + 0x6d2b79f5 >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ mixed >>> 15, mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return (mixed ^ mixed >>> 14) >>> 0;
  }

  /** 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.next() / 0x1_0000_0000 * count);
  }

  /** `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True in `percent` of all cases. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  /** One of the names, each as often as its weight says. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    const names = Object.keys(weights) as Name[];
    let total = 0;
    for (const name of names) total += weights[name];
    let at = this.below(total);
    for (const name of names) {
      at -= weights[name];
      if (at < 0) return name;
    }
    throw new Error('weights without sum');
  }
}
