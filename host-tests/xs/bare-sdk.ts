// The SDK's modules that hub-main.ts and sensor-main.ts import, as bare as they can be: for measuring, in XS, what the
// programs of the boards take. engine.ts puts each of these under the name of its module. Time, bytes and the network
// come from the test.
//
// What lives in the machine costs what it costs with the SDK. There an object made by C is an instance and a slot for
// the data of C, where it also keeps its callbacks: two slots. A socket of TCP has a third one for its `target`, a WiFi
// for its `callback`. Here the second slot is a property. All else is static, and made before anything is counted.
import type { TcpSocketOptions } from '../../src/moddable/io.js';
import { frameOf, pulsesOf } from '../sensor/pulse-trains.js';
import './measure.js';

/** `mc/config`: what the board's manifests say and mcconfig's command line adds, as the script's argument. */
export const config = JSON.parse(xs.args[0]!) as Record<string, unknown>;

/** What a socket takes before something is acknowledged, on ESP8266. */
const SEND_BYTES = 2920;

/** `stackSlots`: the most of the stack that the platform's call of one callback took. */
export const board = { nowMs: 0, traced: '', stackSlots: 0 };

/** How the platform calls the program: all callbacks go through here. */
export function call<Arguments extends unknown[]>(
  callback: (...values: Arguments) => void, receiver: unknown, ...values: Arguments
): void {
  const before = xs.stackSlots();
  callback.apply(receiver, values);
  const taken = xs.stackPeak() - before;
  if (taken > board.stackSlots) board.stackSlots = taken;
}

/** Calls whatever timers there are, as often as `count` says, with 250 ms from one time to the next. */
export function turns(count: number): void {
  for (; count > 0; count--) {
    board.nowMs += 250;
    for (let i = 0; i < timers.length; i++) if (timers[i] !== undefined) call(timers[i]!.callback, undefined);
    for (let i = 0; i < sockets.length; i++) sockets[i]?.acknowledge();
  }
}

export const Time = {
  get ticks(): number {
    return board.nowMs;
  },
};

class BareTimer {
  readonly callback: () => void;

  constructor(callback: () => void) {
    this.callback = callback;
  }
}

/** Where the platform has them; with room for all there can be, so that one more takes nothing. */
const timers = new Array<BareTimer | undefined>(8).fill(undefined);
const sockets = new Array<TCP | undefined>(32).fill(undefined);

function enter<Item>(items: (Item | undefined)[], item: Item): void {
  const free = items.indexOf(undefined);
  if (free < 0) throw new Error('more than there is room for');
  items[free] = item;
}

function leave<Item>(items: (Item | undefined)[], item: Item): void {
  const at = items.indexOf(item);
  if (at >= 0) items[at] = undefined;
}

export const Timer = {
  repeat(callback: () => void): BareTimer {
    const timer = new BareTimer(callback);
    enter(timers, timer);
    return timer;
  },
  schedule(): void {},
  clear(timer: BareTimer): void {
    leave(timers, timer);
  },
};

const NO_OPTIONS: TcpSocketOptions = { onReadable() {}, onWritable() {}, onError() {} };
const NOTHING = new Uint8Array(0);

export class TCP {
  /** The last one, opened or accepted. All of a program share the callbacks of that one. */
  static last: TCP | undefined;
  static options = NO_OPTIONS;
  static bytes: Uint8Array = NOTHING;
  static at = 0;
  readonly target: unknown;
  data = 0;

  constructor(options: TcpSocketOptions) {
    this.target = options.target;
    TCP.options = options;
    TCP.last = this;
    enter(sockets, this);
  }

  read(view: Uint8Array): number {
    for (let i = 0; i < view.length; i++) view[i] = TCP.bytes[TCP.at++]!;
    return view.length;
  }

  write(): number {
    return SEND_BYTES;
  }

  close(): void {
    leave(sockets, this);
  }

  /** The connection is lost. */
  lose(): void {
    call(TCP.options.onError, this);
    turns(1);
  }

  acknowledge(): void {
    call(TCP.options.onWritable, this, SEND_BYTES);
  }

  /** What was noted of what the program gave is dropped; nothing more can come. */
  static forget(): void {
    TCP.last = undefined;
    TCP.options = NO_OPTIONS;
    TCP.bytes = NOTHING;
  }

  /** `bytes` have come; returns when all of them are read. */
  receive(bytes: Uint8Array): void {
    TCP.bytes = bytes;
    TCP.at = 0;
    call(TCP.options.onReadable, this, bytes.length);
    for (let i = 0; TCP.at < bytes.length; i++) {
      if (i > 100) throw new Error(`${bytes.length - TCP.at} of ${bytes.length} bytes are not read`);
      turns(1);
    }
    turns(1);
  }
}

export class Listener {
  static last: Listener;
  static readonly #accepted = { read: () => undefined, write: () => undefined, close: () => {} };
  readonly onReadable: (count: number) => void;

  constructor(options: { onReadable(count: number): void }) {
    this.onReadable = options.onReadable;
    Listener.last = this;
  }

  get port(): number {
    return 1883;
  }

  read(): unknown {
    return Listener.#accepted;
  }

  close(): void {}

  /** Somebody connects; his socket. */
  accept(): TCP {
    TCP.last = undefined;
    call(this.onReadable, this, 1);
    const socket = TCP.last as TCP | undefined;
    if (socket === undefined) throw new Error(`not accepted: ${board.traced}`);
    socket.acknowledge();
    return socket;
  }
}

type Packet = ArrayBuffer & { address: string; port: number };

export class UDP {
  static last: UDP | undefined;
  static packet: Packet | undefined;
  static writtenCount = 0;
  readonly onReadable: (count: number) => void;

  constructor(options: { onReadable(count: number): void }) {
    this.onReadable = options.onReadable;
    UDP.last = this;
  }

  read(): Packet | undefined {
    return UDP.packet;
  }

  write(): void {
    UDP.writtenCount++;
  }

  add(): void {}

  close(): void {
    UDP.last = undefined;
  }

  /** A packet comes from a port of multicast DNS. */
  receive(bytes: Uint8Array): void {
    UDP.packet = Object.assign(bytes.slice().buffer, { address: '192.168.1.9', port: 5353 }) as Packet;
    call(this.onReadable, this, 1);
    UDP.packet = undefined;
  }
}

export class WiFi {
  static mode = 0;
  static last: WiFi;
  readonly callback: (message: string) => void;
  data = 0;

  constructor(_options: undefined, callback: (message: string) => void) {
    this.callback = callback;
    WiFi.last = this;
  }

  static connect(): void {}

  static disconnect(): void {}

  static accessPoint(): void {}
}

/** As long as they can be. */
const PROPERTIES: Record<string, unknown> = { IP: '192.168.100.100', RSSI: -61, MAC: '24:0A:C4:12:AB:CD' };
export const Net = { get: (name: string): unknown => PROPERTIES[name] };

export const Preference = { get: () => undefined, set: () => {}, delete: () => {} };

const PULSES = pulsesOf(frameOf(652, 351));
/** What C does, by its names in dht22/capture.ts and board/board.ts. */
const FUNCTIONS: Record<string, (value: never) => unknown> = {
  xs_dht22: () => undefined,
  xs_dht22_capture(into: Uint8Array): number {
    into.set(PULSES);
    return PULSES.length;
  },
  xs_dht22_close: () => undefined,
  xs_board_free_memory: () => 12_345,
  xs_board_slots: () => 12_345,
  xs_board_chunks: () => 12_345,
  xs_board_reset_reason: () => 0,
  xs_board_sleep_bytes: () => 384,
  xs_board_read: () => undefined,
  xs_board_write: () => undefined,
};

class NativeObject {
  data = 0;
}

Object.assign(globalThis, {
  native: (name: string) => FUNCTIONS[name],
  Native: () => NativeObject,
  trace: (text: string) => {
    board.traced = text;
  },
});
