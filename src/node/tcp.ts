// The broker on TCP, under Node: one server, a Link for each socket, one flush per turn of the
// event loop. Called by the command line and by tests.

import {
  createServer, Socket, type AddressInfo, type Server, type SocketConstructorOpts,
} from 'node:net';
import type { Broker } from '../broker/broker.js';
import { NONE } from '../wire/codes.js';
import { TcpLink } from './tcp-link.js';
import { Ticker } from './ticker.js';

export class TcpBroker {
  readonly #broker: Broker;
  readonly #server: Server;
  readonly #window: Uint8Array;
  readonly #sockets = new Set<Socket>();
  readonly #ticker: Ticker;
  #flushWanted = false;

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
    this.#ticker = new Ticker((nowMs) => {
      broker.tick(nowMs);
      this.#scheduleFlush();
    });
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
        this.#ticker.start();
        resolve(this.#server.address() as AddressInfo);
      });
    });
  }

  /** Ends every connection and stops listening; resolves when all sockets are closed. */
  async close(): Promise<void> {
    this.#ticker.stop();
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
