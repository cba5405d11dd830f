// The io of a board without a board: TCP, Listener and Timer classes that behave as those of Moddable's SDK do, faults
// included, over a network in memory and a clock that the test moves. Two platforms: `lwip`, as ESP32 and ESP8266 have
// it, and `lin`, the simulator on Linux. At the other end of a connection is a second socket, or a `RawPeer`.
// Runs on Node and on XS.

import type {
  SystemIo, TcpListenerConstructor, TcpSocketConstructor, TcpSocketOptions,
} from '../../src/moddable/io.js';
import { End } from './fake-network.js';
import { FakeListener, FakeTcp } from './fake-sockets.js';
import { FakeTimers, LinTimers } from './fake-timers.js';
import { concat, read } from '../support/packets.js';

export type Platform = 'lwip' | 'lin';

export interface NetOptions {
  /** What a segment needs to arrive, and as much its acknowledgement. */
  latencyMs?: number;
  /** The send buffer of a socket on lwip. */
  sendBytes?: number;
  /** Entries of the message queue of the board, of which a task that posts to itself must not need more. */
  queueLength?: number;
  /** ESP8266: closing resets the connection at once. */
  closeResets?: boolean;
  startMs?: number;
}

interface Event {
  atMs: number;
  run: () => void;
}

export class FakeNet {
  readonly platform: Platform;
  readonly options: Required<NetOptions>;
  nowMs = 0;
  readonly traces: string[] = [];
  /** By port: who is told of a new connection. */
  readonly listeners = new Map<number, (end: End) => void>();
  /** Sockets of the board that are open. */
  readonly sockets = new Set<FakeTcp>();
  /** A port in use was bound on lin. */
  willCrash = false;
  /** Calls to `read` of a listener for which nothing waited. */
  vainAccepts = 0;
  /** Messages in the queue of the board, */
  #queuedCount = 0;
  /** posted by the program since it was called, and the most that were so. */
  #postedCount = 0;
  postedMax = 0;
  /** Bytes read in the callback that read most. */
  readMax = 0;
  readInCallback = 0;
  readonly #events: Event[] = [];
  readonly io: SystemIo & { TCP: TcpSocketConstructor; Listener: TcpListenerConstructor };

  constructor(platform: Platform, options: NetOptions = {}) {
    this.platform = platform;
    this.options = {
      latencyMs: 1, sendBytes: 5744, queueLength: 40, closeResets: false, startMs: 1000, ...options,
    };
    const net = this;
    this.io = {
      Timer: platform === 'lin' ? new LinTimers(this) : new FakeTimers(this),
      now: () => {
        const ms = this.nowMs + this.options.startMs;
        return platform === 'lin' ? 1.7e12 + ms : ms | 0;
      },
      trace: (text) => this.traces.push(text),
      TCP: class extends FakeTcp {
        constructor(tcpOptions?: TcpSocketOptions) {
          super(net, tcpOptions);
        }
      },
      Listener: class extends FakeListener {
        constructor(listenerOptions: { port: number; onReadable(count: number): void }) {
          super(net, listenerOptions);
        }
      },
    };
  }

  after(delayMs: number, run: () => void): void {
    const event = { atMs: this.nowMs + delayMs, run };
    let at = this.#events.length;
    while (at > 0 && this.#events[at - 1]!.atMs > event.atMs) at--;
    this.#events.splice(at, 0, event);
  }

  /** Lets time pass, and all that happens in it. */
  run(ms: number): void {
    const endMs = this.nowMs + ms;
    let sameTimeCount = 0;
    for (;;) {
      const event = this.#events[0];
      if (event === undefined || event.atMs > endMs) break;
      this.#events.shift();
      sameTimeCount = event.atMs === this.nowMs ? sameTimeCount + 1 : 0;
      if (sameTimeCount > 20_000) throw new Error('something goes on without end, and time stands still');
      if (event.atMs > this.nowMs) this.nowMs = event.atMs;
      event.run();
    }
    this.nowMs = endMs;
  }

  /** The board is busy with something else for so long: time passes, and nothing happens. */
  holdUp(ms: number): void {
    this.nowMs += ms;
  }

  /** Calls into the program, where an exception that comes back restarts the board. */
  call(callback: () => void): void {
    this.readInCallback = 0;
    this.#postedCount = 0;
    try {
      callback();
    } catch (error) {
      throw new Error(`the board restarts: ${error}`);
    }
    this.postedMax = Math.max(this.postedMax, this.#postedCount);
    this.readMax = Math.max(this.readMax, this.readInCallback);
  }

  /** Posts to the board's own queue: forever, if it is full. */
  post(run: () => void): void {
    if (this.#queuedCount >= this.options.queueLength) throw new Error('the board stands still: its queue is full');
    this.#queuedCount++;
    this.#postedCount++;
    this.after(0, () => {
      this.#queuedCount--;
      run();
    });
  }

  /** The two ends of a new connection; throws when nobody listens there. */
  connect(port: number): End {
    const listener = this.listeners.get(port);
    if (listener === undefined) throw new Error('refused');
    const near = new End(this);
    const far = new End(this);
    near.peer = far;
    far.peer = near;
    listener(far);
    return near;
  }

  /** A server of the test's own. */
  listenRaw(port: number, accepted: (peer: RawPeer) => void): void {
    this.listeners.set(port, (end) => accepted(new RawPeer(end)));
  }

  /** A client of the test's own. */
  open(port = 1883): RawPeer {
    return new RawPeer(this.connect(port));
  }
}

/** The other end of a connection, in the hand of the test. */
export class RawPeer {
  readonly end: End;
  /** How the other side ended it: '', 'closed' or 'reset'. */
  ended = '';
  #reading = true;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(end: End) {
    this.end = end;
    end.receiveBytes = 65536;
    end.onData = () => this.#read();
    end.onFin = () => this.ended = 'closed';
    end.onReset = () => this.ended = 'reset';
  }

  send(...packets: Uint8Array[]): this {
    this.end.send(concat(...packets));
    this.end.output();
    return this;
  }

  /** Sends, and closes behind it. */
  sendAndClose(...packets: Uint8Array[]): void {
    this.send(...packets);
    this.end.close();
  }

  /** Whole packets that came since the last call, in words. */
  packets(): string[] {
    const { packets, used } = read(this.#bytes);
    this.#bytes = this.#bytes.slice(used);
    return packets;
  }

  /** Stops reading, with so little room for what still comes. */
  pause(receiveBytes = 0): void {
    this.#reading = false;
    this.end.receiveBytes = receiveBytes;
  }

  resume(): void {
    this.#reading = true;
    this.end.receiveBytes = 65536;
    this.#read();
    this.end.peer.output();
  }

  #read(): void {
    if (this.#reading) this.#bytes = concat(this.#bytes, this.end.take(this.end.inbox.length));
  }
}
