// What all commands of the command line share: options as data, for parsing and for `--help`, and
// the two errors that end a command with one sentence. Knows no command and no client.

import { parseArgs, type ParseArgsConfig } from 'node:util';

/** What was asked for is wrong or cannot be had; its message is one sentence without full stop. */
export class UsageError extends Error {}

/** Something failed while the command ran; its message is one sentence without full stop. */
export class FailureError extends Error {}

/** One of `maisonnette COMMAND`. */
export interface Command {
  readonly name: string;
  /** For the list of commands; a few words. */
  readonly summary: string;
  /**
   * Runs with the arguments after the name and resolves with the exit code when the command has
   * ended. Rejects with UsageError (exit code 2) or FailureError (exit code 1).
   */
  run(args: readonly string[]): Promise<number>;
}

export interface Option {
  /** Long name, without dashes. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** Another long name that means the same. */
  readonly alias?: string;
  /** What stands for the value in the help (`N`, `FILE`); absent: a flag. */
  readonly value?: string;
  readonly help: string;
  /** For the help; the command applies it. */
  readonly default?: string;
  /** May be given several times; otherwise the last one counts. */
  readonly many?: true;
  /** The value is several arguments: how many, when these follow. `Values.lists` has them. */
  readonly wordCount?: (following: readonly string[]) => number;
}

/** Options under one heading of the help. */
export interface Section {
  readonly title: string;
  readonly options: readonly Option[];
}

/** `--help`, with its short form, for commands where `-h` means nothing else. */
export const HELP_OPTION: Option = { name: 'help', short: 'h', help: 'this text' };

/** No argument has this character. */
const BETWEEN_WORDS = '\0';

type Given = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** What was given for each option; made by `parseArguments`. */
export class Values {
  readonly #given: Given;

  constructor(given: Given) {
    this.#given = given;
  }

  /** Whether the flag `name` was given. */
  flag(name: string): boolean {
    return this.#given[name] === true;
  }

  /** The value of the option `name`, or undefined when it was not given. */
  text(name: string): string | undefined {
    const value = this.#given[name];
    return typeof value === 'string' ? value : undefined;
  }

  /** The values of an option that may be given several times, in the order they were given. */
  texts(name: string): readonly string[] {
    const value = this.#given[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** The same for an option with a `wordCount`: the arguments of each, too few where they end. */
  lists(name: string): readonly (readonly string[])[] {
    return this.texts(name).map((words) => words.split(BETWEEN_WORDS));
  }

  /** Whether the option `name` was given at all. */
  given(name: string): boolean {
    return this.#given[name] !== undefined;
  }
}

/**
 * Reads the arguments of a command. As in Mosquitto's tools, what follows an option with a value
 * is its value, whatever it begins with: `-m -1.5`. Throws UsageError for what it does not know.
 */
export function parseArguments(args: readonly string[], options: readonly Option[]): Values {
  const config: NonNullable<ParseArgsConfig['options']> = {};
  for (const { name, short, value, many } of options) {
    config[name] = {
      type: value === undefined ? 'boolean' : 'string',
      ...(short === undefined ? {} : { short }),
      ...(many ? { multiple: true } : {}),
    };
  }
  try {
    return new Values(parseArgs({
      args: joinValues(args, options), options: config, strict: true, allowPositionals: false,
    }).values);
  } catch (error) {
    // Node's sentence names the option; what follows its first full stop is advice about quoting.
    throw new UsageError((error as Error).message.split(/\.\s/)[0]!.replace(/\s+/g, ' '));
  }
}

/** The arguments, each option with a value in the one form that takes any value: `--name=value`. */
function joinValues(args: readonly string[], options: readonly Option[]): string[] {
  const joined: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === '--') return [...joined, ...args.slice(i)];
    const equals = arg.indexOf('=');
    const given = arg.startsWith('--') && equals > 0 ? arg.slice(0, equals) : arg;
    const option = options.find(({ name, short, alias }) =>
      given === `--${name}` || given === `--${alias}` || given === `-${short}`);
    if (option === undefined) joined.push(arg);
    else if (given !== arg) joined.push(`--${option.name}${arg.slice(equals)}`);
    else if (option.value === undefined || i + 1 === args.length) joined.push(`--${option.name}`);
    else {
      const following = args.slice(i + 1);
      const words = following.slice(0, option.wordCount?.(following) ?? 1);
      joined.push(`--${option.name}=${words.join(BETWEEN_WORDS)}`);
      i += words.length;
    }
  }
  return joined;
}

const HELP_COLUMNS = 98;

/** The text of `--help`: how to call the command, what it does, its options by sections. */
export function helpText(usage: string, text: string, ...sections: readonly Section[]): string {
  const all = sections.flatMap(({ options }) => options);
  const width = Math.max(...all.map((option) => label(option).length)) + 2;
  const blocks = sections.map(({ title, options }) => [
    `${title}:`, ...options.flatMap((option) => helpLines(option, width)),
  ].join('\n'));
  return `Usage: ${usage}\n\n${[text, ...blocks].join('\n\n')}\n`;
}

function label({ name, short, value }: Option): string {
  return `  ${short === undefined ? '    ' : `-${short}, `}--${name}` +
    `${value === undefined ? '' : ` ${value}`}`;
}

function helpLines(option: Option, width: number): string[] {
  const words = option.help.split(' ');
  if (option.default !== undefined) words.push(`[${option.default}]`);
  const lines = [label(option).padEnd(width)];
  for (const word of words) {
    const last = lines.length - 1;
    const line = lines[last]!;
    if (line.length + word.length + 1 > HELP_COLUMNS) lines.push(`${' '.repeat(width)}${word}`);
    else lines[last] = line.length === width ? line + word : `${line} ${word}`;
  }
  return lines;
}

/** The whole number in `text`, from `least` to `most`. Throws UsageError, naming `--name`. */
export function wholeNumber(name: string, text: string, least: number, most: number): number {
  if (!/^\d+$/.test(text)) {
    throw new UsageError(`--${name} is "${text}": it must be a whole number`);
  }
  return within(name, text, least, most);
}

/** Milliseconds, of `text` in seconds, from `least` to `most` seconds. Throws UsageError. */
export function seconds(name: string, text: string, least: number, most: number): number {
  if (!/^\d+(\.\d+)?$/.test(text)) {
    throw new UsageError(`--${name} is "${text}": it must be a number of seconds`);
  }
  return Math.round(within(name, text, least, most) * 1000);
}

function within(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${name} is ${text}: it must be ${least} to ${most}`);
}
