// Random packets of every type as plain data, for oracle.test.ts: what a packet says, apart from any codec. Those of
// MQTT 3.1 and 3.1.1 have no properties, and no code but that of CONNACK and SUBACK.

import { Random } from '../support/random.js';
import { PROPERTIES, type PlainProperty, type PropertyRow } from './plain-properties.js';

export interface Will {
  topic: string;
  /** Hex, as everything that need not be text. */
  payload: string;
  qos: number;
  retain: boolean;
  properties: PlainProperty[];
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
  properties: PlainProperty[];
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
  properties: PlainProperty[];
}

export interface PlainAcknowledgement {
  cmd: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
  id: number;
  code: number;
  properties: PlainProperty[];
}

export type Plain =
  | PlainConnect
  | PlainPublish
  | PlainAcknowledgement
  | { cmd: 'connack'; present: boolean; code: number; properties: PlainProperty[] }
  | { cmd: 'subscribe'; id: number; filters: [filter: string, options: number][]; properties: PlainProperty[] }
  | { cmd: 'suback' | 'unsuback'; id: number; granted: number[]; properties: PlainProperty[] }
  | { cmd: 'unsubscribe'; id: number; filters: string[]; properties: PlainProperty[] }
  | { cmd: 'disconnect' | 'auth'; code: number; properties: PlainProperty[] }
  | { cmd: 'pingreq' | 'pingresp' };

const COMMANDS = ['connect', 'connack', 'publish', 'publish', 'publish', 'puback', 'pubrec', 'pubrel', 'pubcomp',
  'subscribe', 'suback', 'unsubscribe', 'unsuback', 'pingreq', 'pingresp', 'disconnect'] as const;
const COMMANDS_5 = [...COMMANDS, 'auth'] as const;

const CHARACTERS = ['a', 'b', 'Z', '0', ' ', '-', '$', '\u0001', '\u007f', '\u00e9', '\u07ff', '\u0800', '\u20ac',
  '\ud7ff', '\ue000', '\ufeff', '\uffff', '\u{1f600}', '\u{10ffff}'];

/** Reason codes of MQTT 5.0, from the table of each packet. */
const RECEIVED = [0, 0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const RELEASED = [0, 0, 0x92];
const CODES = {
  connack: [0, 0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a,
    0x9b, 0x9c, 0x9d, 0x9f],
  puback: RECEIVED, pubrec: RECEIVED, pubrel: RELEASED, pubcomp: RELEASED,
  suback: [0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
  unsuback: [0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91],
  disconnect: [0, 0, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96,
    0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2],
  auth: [0, 0x18, 0x19],
};

/** The same packets for the same seed and level: 4, with some of MQTT 3.1 in between, or 5. */
export class RandomPackets {
  readonly #random: Random;
  readonly #is5: boolean;

  constructor(seed: number, level: 4 | 5 = 4) {
    this.#random = new Random(seed);
    this.#is5 = level === 5;
  }

  /** 0 to `count` - 1. */
  below(count: number): number {
    return this.#random.below(count);
  }

  next(): Plain {
    const cmd = this.#pick(this.#is5 ? COMMANDS_5 : COMMANDS);
    switch (cmd) {
      case 'connect':
        return this.#connect();
      case 'connack': {
        const code = this.#is5 ? this.#pick(CODES.connack) : this.below(6);
        return { cmd, present: code === 0 && this.#maybe(), code, properties: this.#properties('CONNACK') };
      }
      case 'publish':
        return this.#publish();
      case 'subscribe': {
        const options = (): number => this.below(3) | (this.#is5 ? this.below(4) << 2 | this.below(3) << 4 : 0);
        const filters = this.#some((): [string, number] => [this.#filter(), options()]);
        return { cmd, id: this.#id(), filters, properties: this.#properties('SUBSCRIBE') };
      }
      case 'suback': {
        const granted = this.#some(() => this.#pick(this.#is5 ? CODES.suback : [0, 1, 2, 0x80]));
        return { cmd, id: this.#id(), granted, properties: this.#properties('SUBACK') };
      }
      case 'unsubscribe':
        return {
          cmd, id: this.#id(), filters: this.#some(() => this.#filter()), properties: this.#properties('UNSUBSCRIBE'),
        };
      case 'unsuback': {
        const granted = this.#is5 ? this.#some(() => this.#pick(CODES.unsuback)) : [];
        return { cmd, id: this.#id(), granted, properties: this.#properties('UNSUBACK') };
      }
      case 'pingreq':
      case 'pingresp':
        return { cmd };
      case 'disconnect':
      case 'auth':
        return { cmd, code: this.#code(cmd), properties: this.#properties(cmd.toUpperCase()) };
      default:
        return { cmd, id: this.#id(), code: this.#code(cmd), properties: this.#properties(cmd.toUpperCase()) };
    }
  }

  #code(cmd: keyof typeof CODES): number {
    return this.#is5 ? this.#pick(CODES[cmd]) : 0;
  }

  #connect(): PlainConnect {
    const level = this.#is5 ? 5 : this.below(4) === 0 ? 3 : 4;
    const clientId = this.#text(this.below(30));
    const userName = this.#maybe() ? this.#text(this.below(20)) : null;
    const will = this.#maybe() ? {
      topic: this.#topic(), payload: this.#hex(this.#size()), qos: this.below(3), retain: this.#maybe(),
      properties: this.#properties('WILL'),
    } : null;
    return {
      cmd: 'connect', level, keepAlive: this.below(65536), will, userName,
      clientId: level === 3 && clientId === '' ? 'x' : clientId,
      clean: clientId === '' || this.#maybe(),
      password: userName !== null && this.#maybe() ? this.#hex(this.below(20)) : null,
      properties: this.#properties('CONNECT'),
    };
  }

  #publish(): PlainPublish {
    const qos = this.below(3);
    const properties = this.#properties('PUBLISH');
    const hasAlias = properties.some(([name]) => name === 'TOPIC_ALIAS');
    return {
      cmd: 'publish', qos, duplicate: qos > 0 && this.#maybe(), retain: this.#maybe(),
      topic: hasAlias && this.#maybe() ? '' : this.#topic(),
      id: qos > 0 ? this.#id() : 0, payload: this.#hex(this.#size()), properties,
    };
  }

  /**
   * Some of those that the packet may have, in any order. Those that may be there often stand together, user properties
   * of the same name as well, because mqtt-packet keeps them so; and theirs are never empty, because it would lose one.
   */
  #properties(packet: string): PlainProperty[] {
    if (!this.#is5 || this.below(3) === 0) return [];
    const chance = this.#pick([1, 4, 8]);
    const rows = PROPERTIES.filter((row) => row.in.includes(packet) && this.below(8) < chance);
    const method = PROPERTIES.find(({ name }) => name === 'AUTHENTICATION_METHOD')!;
    if (rows.some(({ name }) => name === 'AUTHENTICATION_DATA') && !rows.includes(method)) rows.push(method);
    const shuffled = rows.map((row) => ({ row, at: this.below(1000) })).sort((a, b) => a.at - b.at);
    return shuffled.flatMap(({ row }) => this.#property(row, packet));
  }

  #property(row: PropertyRow, packet: string): PlainProperty[] {
    const { name } = row;
    switch (row.format) {
      case 'flag':
        return [[name, this.below(2)]];
      case 'uint16':
        return [[name, this.#number(0xffff) || 1]];
      case 'uint32':
        return [[name, this.#number(0xffffffff) || 1]];
      case 'varint':
        return this.#times(packet === 'PUBLISH' ? 4 : 1, () => [name, this.#number(0x0fffffff) || 1]);
      case 'binary':
        return [[name, `0x${this.#hex(this.below(this.below(8) === 0 ? 300 : 20))}`]];
      case 'pair':
        return this.#times(3, (index) => `k${index}${this.#text(this.below(6))}`)
          .flatMap((key) => this.#times(2, (): PlainProperty => [name, key, `v${this.#text(this.below(9))}`]));
      default:
        return [[name, name === 'RESPONSE_TOPIC' ? this.#topic() : this.#text(this.below(20))]];
    }
  }

  #times<Item>(most: number, make: (index: number) => Item): Item[] {
    return Array.from({ length: 1 + this.below(most) }, (_, index) => make(index));
  }

  /** Up to `most`, often at a border. */
  #number(most: number): number {
    const borders = [1, 127, 128, 255, 256, 16383, 16384, 65535, 65536, 2097151, 2097152, 0x7fffffff, 0x80000000, most];
    return this.#maybe() ? this.below(most) : this.#pick(borders.filter((border) => border <= most));
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
