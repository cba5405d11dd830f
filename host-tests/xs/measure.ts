// Declares `xs`, the global that host.c offers to a script in XS, and measures with it.
// Imported by the suites that hold the core to its promise: no slot and no chunk byte per message.
// Under Node there is no `xs`: a suite that runs on both asks `runsOnXs` before it measures.

/** What host.c offers. Nothing here allocates slots or chunks, except `print` of a value that is no string. */
export interface XsHost {
  /** One line on stdout. */
  print(line: string): void;
  /** The process's exit status, unless something is thrown and not caught, which makes it 1. */
  exitCode(code: number): void;
  /** Bytecodes run so far, exactly. What built-in functions do inside (`fill`, `set`) is no bytecode. */
  bytecodes(): number;
  /** Slots in use, garbage since the last collection included; the stack is not. */
  slots(): number;
  /** Chunk bytes in use (text, buffers, arrays, code; each with its header), garbage included. */
  chunkBytes(): number;
  /** Garbage collections so far, modulo 65,536. */
  collections(): number;
  /** Bytes of bytecode of the whole script; on a device such code stays in flash. */
  codeBytes(): number;
  /** Collects and compacts everything now. */
  collect(): void;
  /** Slots on the stack now; from now on `stackPeak` counts anew. */
  stackSlots(): number;
  /** The most slots that any function that was called since began with on the stack. */
  stackPeak(): number;
  /**
   * From now on a new function has neither `length` nor `name`, which are slots: as on a board, where the linker
   * leaves out what makes them. (Stacks then do not name it.)
   */
  stripFunctions(): void;
  /** 16 when compiled for 32 bits, as on an ESP32; 32 when compiled for 64 bits. */
  readonly slotBytes: number;
  /** The command line after the script's name. */
  readonly args: readonly string[];
  /** Called once, after the script and its promise jobs have run. */
  onEnd: (() => void) | undefined;
}

declare global {
  const xs: XsHost;
}

export const runsOnXs = typeof xs !== 'undefined';

export interface Cost {
  /** Per iteration, the loop itself included: a whole number if every iteration takes the same path. */
  bytecodes: number;
  /** Slots that n more iterations took: a total, so that 0 means that not one of them took a slot. */
  slots: number;
  /** Chunk bytes that n more iterations took: a total, as `slots`. */
  chunkBytes: number;
  /** Collections during the measurement. Unless 0, `slots` and `chunkBytes` mean nothing: lower n. */
  collections: number;
}

/**
 * Compares fn(2n) with fn(n), after a warm-up and a collection, so that what a call of `fn` costs by itself
 * cancels. `fn` repeats the operation as often as its argument says and leaves things as it found them.
 * Exact: the same figures in every process, whatever else the computer does; chunk bytes differ with the
 * width, because a chunk's header is 8 bytes in 32 bits and 16 in 64. Evaluating a string literal takes a chunk,
 * as it does on a device in modules that are preloaded: keep literals out of the loop.
 */
export function measure(fn: (n: number) => void, n: number): Cost {
  const twice = 2 * n;
  fn(twice);
  xs.collect();
  const collections = xs.collections();
  const bytecodes0 = xs.bytecodes();
  const slots0 = xs.slots();
  const chunkBytes0 = xs.chunkBytes();
  fn(n);
  const bytecodes1 = xs.bytecodes();
  const slots1 = xs.slots();
  const chunkBytes1 = xs.chunkBytes();
  fn(twice);
  const bytecodes2 = xs.bytecodes();
  const slots2 = xs.slots();
  const chunkBytes2 = xs.chunkBytes();
  return {
    bytecodes: (bytecodes2 - bytecodes1 - (bytecodes1 - bytecodes0)) / n,
    slots: slots2 - slots1 - (slots1 - slots0),
    chunkBytes: chunkBytes2 - chunkBytes1 - (chunkBytes1 - chunkBytes0),
    collections: xs.collections() - collections,
  };
}

/** What `free` needs of a test. */
interface Asserts {
  comment(text: string): unknown;
  equal(found: unknown, wanted: unknown, title: string): unknown;
}

/**
 * A function that measures `operation`, so many times and twice as often, tells its bytecodes and asserts that it takes
 * no slot, no chunk byte and no collection.
 */
export function freeFor(operations: number): (t: Asserts, title: string, operation: () => void) => Cost {
  return (t, title, operation) => {
    const cost = measure((n) => {
      for (let i = 0; i < n; i++) operation();
    }, operations);
    t.comment(`${title}: ${cost.bytecodes} bytecodes`);
    t.equal(cost.slots, 0, `${title}: not one slot`);
    t.equal(cost.chunkBytes, 0, `${title}: not one chunk byte`);
    t.equal(cost.collections, 0, `${title}: no collection`);
    return cost;
  };
}
