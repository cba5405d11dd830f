// Random packets of every type as plain data, for oracle.test.ts: what a packet says, apart from any codec.

import { Random } from '../support/random.js';

export interface Will {
  topic: string;
  /** Hex, as everything that need not be text. */
  payload: string;
  qos: number;
  retain: boolean;
}

export interface PlainConnect {
  cmd: 'connect';
  level: number;
  clean: boolean;
  keepAlive: number;
  clientId: string;
  will: Will | null;
  userName: string | null;
  password: string | null;
}

export interface PlainPublish {
  cmd: 'publish';
  qos: number;
  duplicate: boolean;
  retain: boolean;
  topic: string;
  /** 0 at QoS 0. */
  id: number;
  payload: string;
}

export type Plain =
  | PlainConnect
  | PlainPublish
  | { cmd: 'connack'; present: boolean; code: number }
  | { cmd: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp' | 'unsuback'; id: number }
  | { cmd: 'subscribe'; id: number; filters: [filter: string, qos: number][] }
  | { cmd: 'suback'; id: number; granted: number[] }
  | { cmd: 'unsubscribe'; id: number; filters: string[] }
  | { cmd: 'pingreq' | 'pingresp' | 'disconnect' };

const COMMANDS = ['connect', 'connack', 'publish', 'publish', 'publish', 'puback', 'pubrec', 'pubrel', 'pubcomp',
  'subscribe', 'suback', 'unsubscribe', 'unsuback', 'pingreq', 'pingresp', 'disconnect'] as const;

const CHARACTERS = ['a', 'b', 'Z', '0', ' ', '-', '$', '\u0001', '\u007f', '\u00e9', '\u07ff', '\u0800', '\u20ac',
  '\ud7ff', '\ue000', '\ufeff', '\uffff', '\u{1f600}', '\u{10ffff}'];

/** The same packets for the same seed. */
export class RandomPackets {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  /** 0 to `count` - 1. */
  below(count: number): number {
    return this.#random.below(count);
  }

  next(): Plain {
    const cmd = this.#pick(COMMANDS);
    switch (cmd) {
      case 'connect':
        return this.#connect();
      case 'connack': {
        const code = this.below(6);
        return { cmd, present: code === 0 && this.#maybe(), code };
      }
      case 'publish':
        return this.#publish();
      case 'subscribe':
        return { cmd, id: this.#id(), filters: this.#some(() => [this.#filter(), this.below(3)]) };
      case 'suback':
        return { cmd, id: this.#id(), granted: this.#some(() => this.#pick([0, 1, 2, 0x80])) };
      case 'unsubscribe':
        return { cmd, id: this.#id(), filters: this.#some(() => this.#filter()) };
      case 'pingreq':
      case 'pingresp':
      case 'disconnect':
        return { cmd };
      default:
        return { cmd, id: this.#id() };
    }
  }

  #connect(): PlainConnect {
    const level = this.below(4) === 0 ? 3 : 4;
    const clientId = this.#text(this.below(30));
    const userName = this.#maybe() ? this.#text(this.below(20)) : null;
    const will = this.#maybe() ? {
      topic: this.#topic(), payload: this.#hex(this.#size()), qos: this.below(3), retain: this.#maybe(),
    } : null;
    return {
      cmd: 'connect', level, keepAlive: this.below(65536), will, userName,
      clientId: level === 3 && clientId === '' ? 'x' : clientId,
      clean: clientId === '' || this.#maybe(),
      password: userName !== null && this.#maybe() ? this.#hex(this.below(20)) : null,
    };
  }

  #publish(): PlainPublish {
    const qos = this.below(3);
    return {
      cmd: 'publish', qos, duplicate: qos > 0 && this.#maybe(), retain: this.#maybe(), topic: this.#topic(),
      id: qos > 0 ? this.#id() : 0, payload: this.#hex(this.#size()),
    };
  }

  #maybe(): boolean {
    return this.below(2) === 1;
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  #some<Item>(make: () => Item): Item[] {
    return Array.from({ length: 1 + this.below(this.below(8) === 0 ? 40 : 5) }, make);
  }

  #id(): number {
    return this.#pick([1, 255, 256, 65535, 1 + this.below(65535)]);
  }

  /** Mostly short, and now and then around a border of the remaining length. */
  #size(): number {
    const dice = this.below(40);
    return dice === 0 ? 16350 + this.below(60) : dice < 8 ? 100 + this.below(40) : this.below(30);
  }

  #hex(size: number): string {
    let hex = '';
    for (let i = 0; i < size; i++) hex += (this.below(256) + 256).toString(16).slice(1);
    return hex;
  }

  #text(length: number): string {
    let text = '';
    for (let i = 0; i < length; i++) text += this.#pick(CHARACTERS);
    return text;
  }

  #topic(): string {
    return Array.from({ length: 1 + this.below(5) }, () => this.#text(this.below(8))).join('/') || '/';
  }

  #filter(): string {
    const levels = Array.from({ length: 1 + this.below(5) },
      () => this.below(4) === 0 ? '+' : this.#text(this.below(8)));
    if (this.below(4) === 0) levels.push('#');
    return levels.join('/') || '#';
  }
}
