// The client on TCP, under Node: a socket for each connection, one write for each turn of the event
// loop. Called by the command line and by tests.

import { randomInt } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { Link } from '../link.js';
import { MqttClient, type MqttClientOptions } from '../client/mqtt-client.js';
import { TcpLink } from './tcp-link.js';
import { Ticker } from './ticker.js';

/** Where all sockets read; the bytes move on into the client's inbox at once. */
const WINDOW = new Uint8Array(64 * 1024);

export interface TcpClientOptions extends MqttClientOptions {
  host: string;
  port: number;
}

export class TcpClient extends MqttClient {
  readonly #options: TcpClientOptions;
  readonly #ticker: Ticker;
  #socket: Socket | undefined;
  #flushWanted = false;

  /** As MqttClient; nothing happens until `connect`. */
  constructor(options: TcpClientOptions) {
    super({ ...options, onClosed: (complete) => this.#closed(complete) }, {
      open: () => this.#open(),
      random: () => randomInt(0x1_0000_0000),
      wake: () => this.#scheduleFlush(),
    });
    if (!Number.isInteger(options.port) || options.port < 1 || options.port > 0xffff) {
      throw new RangeError(`port is ${options.port}: it must be a whole number, 1 to 65535`);
    }
    const { inboxBytes, packetBytesMax } = this.core.limits;
    if (inboxBytes < packetBytesMax + WINDOW.length) {
      throw new RangeError(`inboxBytes is ${inboxBytes}, less than packetBytesMax ` +
        `(${packetBytesMax}) and a window of ${WINDOW.length} together`);
    }
    this.#options = options;
    this.#ticker = new Ticker((nowMs) => this.core.tick(nowMs));
  }

  override connect(): void {
    super.connect();
    this.#ticker.start();
  }

  /** The core has let go of the link; what it wrote last may still be on its way. */
  #closed(complete: boolean): void {
    this.#ticker.stop();
    const socket = this.#socket;
    if (socket === undefined || socket.closed) this.#options.onClosed?.(complete);
    else socket.once('close', (failed) => this.#options.onClosed?.(complete && !failed));
  }

  #open(): Link {
    const { host, port } = this.#options;
    const socket: Socket = this.#socket = connect({
      host, port, noDelay: true, onread: { buffer: WINDOW, callback: (byteCount) => {
        if (!link.closed) this.#received(byteCount);
        return true;
      } },
    });
    const link = new TcpLink(socket);
    const whenOpen = (event: string, report: () => void): void => {
      socket.on(event, () => {
        if (!link.closed) report();
      });
    };
    const lost = (): void => {
      this.core.disconnected();
      link.close();
    };
    whenOpen('connect', () => this.core.opened());
    whenOpen('drain', () => this.core.writable());
    socket.on('error', (error) => {
      if (!link.closed) this.linkError = error;
    });
    whenOpen('end', lost);
    whenOpen('close', lost);
    return link;
  }

  /** There is room for all of it: nothing is read while reading is stopped. */
  #received(byteCount: number): void {
    this.core.bytes.set(WINDOW.subarray(0, byteCount), this.core.receiveStart);
    this.core.received(byteCount);
  }

  #scheduleFlush(): void {
    if (this.#flushWanted) return;
    this.#flushWanted = true;
    setImmediate(() => {
      this.#flushWanted = false;
      this.core.flush();
    });
  }
}
