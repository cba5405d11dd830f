// Messages of DNS as multicast DNS sends them (RFC 1035 section 4, RFC 6762 section 18), read in
// place and written. Called by mdns-responder.ts and broker-finder.ts.
//
// Anybody in the network can send these bytes: a reader never leaves them, never follows a name in
// circles, and says of what it cannot read that it is over. Names are kept as the wire has them,
// in lower case and without pointers: length, label, …, 0.

export const TYPE_A = 1;
export const TYPE_PTR = 12;
export const TYPE_TXT = 16;
export const TYPE_AAAA = 28;
export const TYPE_SRV = 33;
export const TYPE_NSEC = 47;
export const TYPE_ANY = 255;

export const CLASS_IN = 1;
/** In a question: answer to me alone. In a record: forget what you knew of this name and type. */
export const CLASS_TOP_BIT = 0x8000;

export const MDNS_ADDRESS = '224.0.0.251';
export const MDNS_PORT = 5353;

const HEADER_BYTES = 12;
const NAME_BYTES_MAX = 255;

/** `embedded:io/socket/udp`. */
export interface UdpSocket {
  /** The next packet, in a buffer of its own that tells who sent it. */
  read(): (ArrayBuffer & { address: string; port: number }) | undefined;
  /** Throws when it cannot be sent. */
  write(bytes: Uint8Array, address: string, port: number): void;
  /** Receives what is sent to this group; not in the simulator on Linux. */
  add?(group: string): void;
  close(): void;
}

export type UdpSocketConstructor = new (options: {
  port?: number;
  /** `count` packets can be read: all that are there. */
  onReadable(this: UdpSocket, count: number): void;
}) => UdpSocket;

/** A name of these labels, of ASCII; each has 1 to 63 characters. */
export function dnsName(...labels: string[]): Uint8Array {
  const bytes: number[] = [];
  for (const label of labels) {
    bytes.push(label.length);
    for (let i = 0; i < label.length; i++) bytes.push(lower(label.charCodeAt(i)));
  }
  bytes.push(0);
  return Uint8Array.from(bytes);
}

/** Negative, 0 or positive, as `first` sorts before, with or after `second`. */
export function compareBytes(first: Uint8Array, second: Uint8Array): number {
  const count = Math.min(first.length, second.length);
  for (let i = 0; i < count; i++) {
    if (first[i] !== second[i]) return first[i]! - second[i]!;
  }
  return first.length - second.length;
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

/** Goes through a message once: all questions first, then all records. */
export class DnsReader {
  readonly bytes: Uint8Array;
  /** Of the question or the record that was read last. */
  nameStart = 0;
  type = 0;
  dnsClass = 0;
  dataStart = 0;
  dataEnd = 0;
  private questionsLeft: number;
  private recordsLeft: number;
  private at = HEADER_BYTES;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    const whole = bytes.length >= HEADER_BYTES;
    this.questionsLeft = whole ? this.read16(4) : 0;
    this.recordsLeft = whole ? this.read16(6) + this.read16(8) + this.read16(10) : 0;
  }

  get id(): number {
    return this.bytes.length >= HEADER_BYTES ? this.read16(0) : 0;
  }

  get isResponse(): boolean {
    return (this.bytes[2]! & 0x80) !== 0;
  }

  /** False when there are no more. */
  nextQuestion(): boolean {
    if (this.questionsLeft === 0) return false;
    this.questionsLeft--;
    return this.named(4);
  }

  /** Of answers, authorities and additional ones alike; false when there are no more. */
  nextRecord(): boolean {
    while (this.nextQuestion());
    if (this.recordsLeft === 0) return false;
    this.recordsLeft--;
    if (!this.named(10)) return false;
    this.dataStart = this.at;
    this.dataEnd = this.at + this.read16(this.at - 2);
    this.at = this.dataEnd;
    return this.dataEnd <= this.bytes.length || this.over();
  }

  u16(at: number): number {
    return at + 2 <= this.bytes.length ? this.read16(at) : 0;
  }

  /** Whether the name that begins at `at` is this one. Allocates nothing. */
  isName(at: number, name: Uint8Array): boolean {
    const { bytes } = this;
    let limit = at; // a pointer points to before all that was read, so there is an end to them
    for (let i = 0; i < name.length;) {
      const labelBytes = bytes[at];
      if (labelBytes === undefined) return false;
      if (labelBytes >= 0xc0) {
        const to = this.pointer(at);
        if (to >= limit) return false;
        limit = to;
        at = to;
        continue;
      }
      if (labelBytes !== name[i] || at + labelBytes >= bytes.length) return false;
      for (let k = 1; k <= labelBytes; k++) {
        if (lower(bytes[at + k]!) !== name[i + k]) return false;
      }
      at += 1 + labelBytes;
      i += 1 + labelBytes;
    }
    return true;
  }

  /** The name that begins at `at`; undefined when it is none. */
  name(at: number): Uint8Array | undefined {
    const { bytes } = this;
    const name = new Uint8Array(NAME_BYTES_MAX);
    let count = 0;
    let limit = at;
    for (;;) {
      const labelBytes = bytes[at];
      if (labelBytes === undefined) return undefined;
      if (labelBytes >= 0xc0) {
        const to = this.pointer(at);
        if (to >= limit) return undefined;
        limit = to;
        at = to;
        continue;
      }
      const end = at + 1 + labelBytes;
      if (labelBytes > 63 || end > bytes.length) return undefined;
      if (count + 1 + labelBytes > NAME_BYTES_MAX) return undefined;
      name[count++] = labelBytes;
      if (labelBytes === 0) return name.slice(0, count);
      for (at++; at < end; at++) name[count++] = lower(bytes[at]!);
    }
  }

  /** Where the pointer at `at` points to; far away when half of it is missing. */
  private pointer(at: number): number {
    return at + 2 <= this.bytes.length ? this.read16(at) & 0x3fff : Infinity;
  }

  /** Reads a name and what follows it, of which type and class come first. */
  private named(byteCount: number): boolean {
    const { bytes } = this;
    let at = this.at;
    for (;;) {
      const labelBytes = bytes[at];
      if (labelBytes === undefined || labelBytes > 63 && labelBytes < 0xc0) return this.over();
      at += labelBytes > 63 ? 2 : 1 + labelBytes;
      if (labelBytes === 0 || labelBytes > 63) break;
    }
    if (at + byteCount > bytes.length) return this.over();
    this.nameStart = this.at;
    this.type = this.read16(at);
    this.dnsClass = this.read16(at + 2);
    this.at = at + byteCount;
    return true;
  }

  private over(): boolean {
    this.questionsLeft = 0;
    this.recordsLeft = 0;
    return false;
  }

  private read16(at: number): number {
    return this.bytes[at]! << 8 | this.bytes[at + 1]!;
  }
}

/** Writes one message after the other into one buffer; what is written must fit. */
export class DnsWriter {
  private readonly memory: Uint8Array;
  private at = 0;

  constructor(byteCount: number) {
    this.memory = new Uint8Array(byteCount);
  }

  /** The message so far, in place: until the next `start`. */
  get message(): Uint8Array {
    return this.memory.subarray(0, this.at);
  }

  start(id: number, isResponse: boolean): this {
    this.memory.fill(0, 0, HEADER_BYTES);
    this.at = 0;
    this.u16(id);
    if (isResponse) this.memory[2] = 0x84; // and authoritative
    this.at = HEADER_BYTES;
    return this;
  }

  question(name: Uint8Array, type: number, dnsClass: number): this {
    this.memory[5]!++;
    return this.bytes(name).u16(type).u16(dnsClass);
  }

  /** `data` are copied; `authority`: not an answer, but what a probe means to claim. */
  record(
    name: Uint8Array, type: number, dnsClass: number, seconds: number, data: Uint8Array,
    authority = false,
  ): this {
    this.memory[authority ? 9 : 7]!++;
    this.bytes(name).u16(type).u16(dnsClass).u16(0).u16(seconds).u16(data.length);
    return this.bytes(data);
  }

  /** One by one: an ESP8266 cannot copy from its flash, where constant names are. */
  bytes(bytes: Uint8Array): this {
    for (let i = 0; i < bytes.length; i++) this.memory[this.at++] = bytes[i]!;
    return this;
  }

  u16(value: number): this {
    this.memory[this.at++] = value >> 8;
    this.memory[this.at++] = value;
    return this;
  }
}
