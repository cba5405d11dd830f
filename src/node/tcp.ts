// The broker on TCP, under Node: one server, a Link for each socket, one flush per turn of the
// event loop. Called by the command line and by tests.

import {
  createServer, Socket, type AddressInfo, type Server, type SocketConstructorOpts,
} from 'node:net';
import type { Broker } from '../broker/broker.js';
import type { Link } from '../link.js';
import { NONE } from '../wire/codes.js';

/**
 * Bytes that a socket takes at once. What the kernel does not take of them waits in the socket, and
 * nothing more is written until it has gone: many small writes would cost more than their bytes.
 */
const WRITE_BYTES_MAX = 1024 * 1024;
/** How long a peer may take to close its side after ours, whatever it sends meanwhile. */
const CLOSE_TIMEOUT_MS = 2000;
const TICK_MS = 250;

export class TcpLink implements Link {
  readonly socket: Socket;
  /** `address:port` of the peer, for the log. */
  readonly peerName: string;
  closed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    this.peerName = `${socket.remoteAddress}:${socket.remotePort}`;
  }

  get writableBytes(): number {
    return this.closed || this.socket.writableNeedDrain ? 0 : WRITE_BYTES_MAX;
  }

  write(source: Uint8Array, start: number, end: number): void {
    this.socket.write(Buffer.from(source.subarray(start, end)));
  }

  setReading(wanted: boolean): void {
    if (wanted) this.socket.resume();
    else this.socket.pause();
  }

  /**
   * Sends what waits, then closes; goes on reading, into nothing, so that a reset does not overtake
   * the last packet.
   */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.socket.destroyed) return;
    this.socket.resume();
    this.socket.end();
    const timer = setTimeout(() => this.socket.destroy(), CLOSE_TIMEOUT_MS);
    this.socket.once('close', () => clearTimeout(timer));
  }
}

export class TcpBroker {
  readonly #broker: Broker;
  readonly #server: Server;
  readonly #window: Uint8Array;
  readonly #sockets = new Set<Socket>();
  #flushWanted = false;
  #clockMs = 0;
  #tickedAtMs = performance.now();
  #ticker: NodeJS.Timeout | undefined;

  /**
   * Throws RangeError unless an inbox takes a window on top of an unfinished packet: Node reads
   * whole windows.
   */
  constructor(broker: Broker) {
    const { inboxBytes, packetBytesMax, windowBytes } = broker.limits;
    if (inboxBytes < packetBytesMax + windowBytes) {
      throw new RangeError(`inboxBytes is ${inboxBytes}, less than ` +
        `packetBytesMax (${packetBytesMax}) and windowBytes (${windowBytes}) together`);
    }
    this.#broker = broker;
    this.#window = broker.bytes.subarray(broker.windowStart, broker.windowStart + windowBytes);
    this.#server = createServer(
      { noDelay: true, pauseOnConnect: true }, (accepted) => this.#accept(accepted));
  }

  /**
   * Resolves to the address in use once connections are accepted; rejects with the system's error
   * if they cannot be.
   */
  listen(port: number, host: string): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, host, backlog: 1024 }, () => {
        this.#server.removeListener('error', reject);
        // One connection that cannot be accepted is no reason to lose the others.
        this.#server.on('error', (error) => process.emitWarning(error));
        this.#ticker = setInterval(() => this.#tick(), TICK_MS);
        this.#tick();
        resolve(this.#server.address() as AddressInfo);
      });
    });
  }

  /** Ends every connection and stops listening; resolves when all sockets are closed. */
  async close(): Promise<void> {
    clearInterval(this.#ticker);
    this.#broker.close();
    const closed = [...this.#sockets].map(
      (socket) => new Promise((resolve) => socket.once('close', resolve)));
    await Promise.all([...closed, new Promise((resolve) => this.#server.close(resolve))]);
  }

  #accept(accepted: Socket): void {
    let slot = NONE;
    const socket = readInto(this.#window, accepted, (byteCount) => {
      if (link.closed) return;
      this.#broker.received(slot, byteCount);
      this.#scheduleFlush();
    });
    const link = new TcpLink(socket);
    socket.on('error', ignoreReset);
    slot = this.#broker.connected(link);
    if (slot === NONE) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('drain', () => {
      if (link.closed) return;
      this.#broker.writable(slot);
      this.#scheduleFlush();
    });
    const lost = (): void => {
      if (link.closed) return;
      this.#broker.disconnected(slot);
      link.close();
      this.#scheduleFlush();
    };
    socket.on('end', lost);
    socket.on('close', lost);
    socket.resume();
  }

  /**
   * Timers run before sockets are read: after this process was held up, peers that were not silent
   * at all would look so. Of such a time only a little counts.
   */
  #tick(): void {
    const nowMs = performance.now();
    this.#clockMs += Math.min(nowMs - this.#tickedAtMs, 2 * TICK_MS);
    this.#tickedAtMs = nowMs;
    this.#broker.tick(this.#clockMs);
    this.#scheduleFlush();
  }

  /** Everything that one turn of the event loop produces leaves in one write for each socket. */
  #scheduleFlush(): void {
    if (this.#flushWanted || !this.#broker.dirty) return;
    this.#flushWanted = true;
    setImmediate(() => {
      this.#flushWanted = false;
      this.#broker.flush();
      this.#scheduleFlush();
    });
  }
}

/**
 * The accepted socket, reading into `window`: every read lands where the core wants it, and no
 * buffer is made for it. Node offers this (`onread`) for sockets it constructs from options, so the
 * accepted handle moves into such a one; should a Node have no handle to move, chunks are copied
 * into the window instead.
 */
export function readInto(
  window: Uint8Array, accepted: Socket, receive: (byteCount: number) => void,
): Socket {
  const holder = accepted as unknown as { _handle: object | null };
  const handle = holder._handle;
  if (handle === null || handle === undefined) {
    accepted.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += window.length) {
        if (accepted.isPaused()) {
          accepted.unshift(chunk.subarray(at));
          return;
        }
        const part = chunk.subarray(at, at + window.length);
        window.set(part);
        receive(part.length);
      }
    });
    return accepted;
  }
  holder._handle = null;
  accepted.destroy();
  const callback = (byteCount: number): boolean => {
    receive(byteCount);
    return true;
  };
  return new Socket({ handle, onread: { buffer: window, callback } } as SocketConstructorOpts);
}

/** A reset is followed by 'close', where the broker learns of it. */
function ignoreReset(): void {}
