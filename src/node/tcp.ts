// The broker on TCP, under Node: one server, a Link for each socket, one flush per turn of the event loop.
// Called by the command line and by tests.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Broker } from '../broker/broker.js';
import type { Link } from '../link.js';
import { NONE } from '../wire/codes.js';

/** Bytes that may wait in one socket before its link takes no more. */
const SOCKET_BYTES_MAX = 1024 * 1024;
/** How long a peer may take to close its side after ours. */
const CLOSE_TIMEOUT_MS = 2000;
const TICK_MS = 250;

class TcpLink implements Link {
  readonly socket: Socket;
  closed = false;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  get writableBytes(): number {
    return this.closed ? 0 : SOCKET_BYTES_MAX - this.socket.writableLength;
  }

  write(source: Uint8Array, start: number, end: number): void {
    this.socket.write(Buffer.from(source.subarray(start, end)));
  }

  setReading(wanted: boolean): void {
    if (wanted) this.socket.resume();
    else this.socket.pause();
  }

  /** Sends what waits, then closes; goes on reading, into nothing, so that the last packet is not lost to a reset. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.socket.removeAllListeners('data');
    this.socket.resume();
    this.socket.end();
    this.socket.setTimeout(CLOSE_TIMEOUT_MS, () => this.socket.destroy());
  }
}

export class TcpBroker {
  readonly #broker: Broker;
  readonly #server: Server;
  readonly #links = new Set<TcpLink>();
  readonly #window: Uint8Array;
  #flushWanted = false;
  #ticker: NodeJS.Timeout | undefined;

  constructor(broker: Broker) {
    this.#broker = broker;
    this.#window = broker.bytes.subarray(broker.windowStart, broker.windowStart + broker.limits.windowBytes);
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  /** Resolves to the address in use once connections are accepted; rejects with the system's error if they cannot be. */
  listen(port: number, host: string): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, host, backlog: 1024 }, () => {
        this.#server.removeListener('error', reject);
        this.#ticker = setInterval(() => this.#tick(), TICK_MS);
        this.#tick();
        resolve(this.#server.address() as AddressInfo);
      });
    });
  }

  /** Ends every connection and stops listening. */
  async close(): Promise<void> {
    clearInterval(this.#ticker);
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#broker.close();
    for (const link of this.#links) link.close();
    await closed;
  }

  #accept(socket: Socket): void {
    const link = new TcpLink(socket);
    const slot = this.#broker.connected(link);
    socket.on('error', ignoreReset);
    if (slot === NONE) {
      socket.destroy();
      return;
    }
    this.#links.add(link);
    socket.on('data', (chunk: Buffer) => this.#receive(link, slot, chunk));
    socket.on('drain', () => {
      if (link.closed) return;
      this.#broker.writable(slot);
      this.#scheduleFlush();
    });
    const lost = (): void => {
      this.#links.delete(link);
      if (link.closed) return;
      this.#broker.disconnected(slot);
      this.#scheduleFlush();
      link.close();
    };
    socket.on('end', lost);
    socket.on('close', lost);
  }

  #receive(link: TcpLink, slot: number, chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !link.closed;) {
      const room = this.#broker.room(slot);
      if (room === 0) {
        // The core has stopped reading in the middle of the chunk: what is left comes first when it goes on.
        link.socket.unshift(chunk.subarray(at));
        break;
      }
      const part = at === 0 && chunk.length <= room ? chunk : chunk.subarray(at, at + room);
      this.#window.set(part);
      this.#broker.received(slot, part.length);
      at += part.length;
    }
    this.#scheduleFlush();
  }

  #tick(): void {
    this.#broker.tick(performance.now());
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

/** A reset is followed by 'close', where the broker learns of it. */
function ignoreReset(): void {}
