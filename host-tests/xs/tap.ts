// The npm package `tap` as far as a deterministic suite needs it, for XS: engine.ts puts this file in its
// place, so that one test file runs on Node under the real tap and in XS under this. Types come from the
// real one. Synchronous only, and as in tap a subtest must call `t.end()`. TAP version 14 on stdout.
// Where the two differ this one is the stricter: `same` compares types and values, tap's compares loosely.
import type {} from './measure.js';

type Matcher = RegExp | { message: string | RegExp };

class Test {
  readonly #indent: string;
  #count = 0;
  #failedCount = 0;
  #ended = false;

  constructor(indent: string) {
    this.#indent = indent;
  }

  get passing(): boolean {
    return this.#failedCount === 0;
  }

  get assertionCount(): number {
    return this.#count;
  }

  test(title: string, body: (t: Test) => void): void {
    this.comment(`Subtest: ${title}`);
    const inner = new Test(`${this.#indent}    `);
    try {
      const returned: unknown = body(inner);
      if (returned !== undefined) inner.#report(false, 'in XS a test is synchronous and returns nothing');
      else if (!inner.#ended) inner.#report(false, 'test unfinished: t.end() was not called');
    } catch (error) {
      inner.#report(false, 'nothing is thrown', ['thrown: ' + describeError(error)]);
    }
    inner.plan();
    this.#report(inner.passing, title);
  }

  ok(value: unknown, title = 'expect truthy value'): boolean {
    return this.#report(Boolean(value), title, [`found: ${show(value)}`]);
  }

  notOk(value: unknown, title = 'expect falsey value'): boolean {
    return this.#report(!value, title, [`found: ${show(value)}`]);
  }

  equal(found: unknown, wanted: unknown, title = 'should be equal'): boolean {
    return this.#report(found === wanted, title, [`found: ${show(found)}`, `wanted: ${show(wanted)}`]);
  }

  not(found: unknown, doNotWant: unknown, title = 'should not be equal'): boolean {
    return this.#report(found !== doNotWant, title, [`found: ${show(found)}`]);
  }

  same(found: unknown, wanted: unknown, title = 'should be equivalent'): boolean {
    return this.#report(sameData(found, wanted), title, [`found: ${show(found)}`, `wanted: ${show(wanted)}`]);
  }

  /** A text, or each of as many texts as there are patterns. */
  match(found: unknown, wanted: RegExp | readonly RegExp[], title = 'should match pattern'): boolean {
    const texts = Array.isArray(found) ? found : [found];
    const patterns = wanted instanceof RegExp ? [wanted] : wanted;
    const passed = texts.length === patterns.length &&
      patterns.every((pattern, index) => typeof texts[index] === 'string' && pattern.test(texts[index]));
    return this.#report(passed, title, [`found: ${show(found)}`, `wanted: ${show(wanted)}`]);
  }

  throws(fn: () => unknown, matcher?: Matcher | string, title = 'expected to throw'): boolean {
    const wanted = typeof matcher === 'string' ? undefined : matcher;
    const name = typeof matcher === 'string' ? matcher : title;
    try {
      fn();
    } catch (error) {
      return this.#report(matches(error, wanted), name, [`thrown: ${describeError(error)}`]);
    }
    return this.#report(false, name, ['thrown: nothing']);
  }

  pass(title = 'pass'): boolean {
    return this.#report(true, title);
  }

  fail(title = 'fail'): boolean {
    return this.#report(false, title);
  }

  comment(text: string): void {
    for (const line of text.split('\n')) this.#print(`# ${line}`);
  }

  end(): void {
    this.#ended = true;
  }

  plan(): void {
    this.#print(`1..${this.#count}`);
  }

  #report(passed: boolean, title: string, details: string[] = []): boolean {
    this.#count++;
    if (!passed) this.#failedCount++;
    const name = title.replace(/\n/g, ' ').replace(/#/g, '\\#');
    this.#print(`${passed ? 'ok' : 'not ok'} ${this.#count} - ${name}`);
    if (!passed && details.length > 0) {
      this.#print('  ---');
      for (const detail of details) this.#printBlock(detail);
      this.#print('  ...');
    }
    if (passed && this.#ended) return this.#report(false, 'assertion after end()');
    return passed;
  }

  /** `key: text` as YAML that takes any text. */
  #printBlock(detail: string): void {
    const colon = detail.indexOf(': ');
    this.#print(`  ${detail.slice(0, colon)}: |`);
    for (const line of detail.slice(colon + 2).split('\n')) this.#print(`    ${line}`);
  }

  #print(line: string): void {
    xs.print(this.#indent + line);
  }
}

function matches(error: unknown, matcher: Matcher | undefined): boolean {
  if (matcher === undefined) return true;
  const pattern = matcher instanceof RegExp ? matcher : matcher.message;
  const message = String((error as Error | undefined)?.message);
  return typeof pattern === 'string' ? message.includes(pattern) : pattern.test(message);
}

function isTypedArray(value: object): value is Uint8Array {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

function sameData(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (isTypedArray(a) || Array.isArray(a)) return sameItems(a, b as ArrayLike<unknown>);
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) &&
    sameData((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}

function sameItems(a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) {
    if (!sameData(a[index], b[index])) return false;
  }
  return true;
}

function describeError(error: unknown): string {
  return error instanceof Error ? String(error.stack) : show(error);
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? '-0' : String(value);
  if (value instanceof Error) return describeError(value);
  if (isTypedArray(value)) return `${value.constructor.name} [${Array.from(value).join(', ')}]`;
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  const fields = Object.entries(value).map(([key, field]) => `${key}: ${show(field)}`);
  return `{ ${fields.join(', ')} }`;
}

const root = new Test('');
xs.print('TAP version 14');
xs.onEnd = () => {
  if (root.assertionCount === 0) root.fail('the suite tests something');
  root.plan();
  if (!root.passing) xs.exitCode(1);
};

export default root;
