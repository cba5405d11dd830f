// A peer on a plain TCP socket: sends whatever bytes the test wants, in whatever pieces, and reads packets in words
// with code that shares nothing with src/wire. No MQTT library would send what these tests send.

import { connect as openSocket, type Socket } from 'node:net';
import { connect, read, type ConnectFields } from '../support/packets.js';
import { Changes, type Owner, WAIT_MS, within } from './children.js';

export class RawClient {
  readonly socket: Socket;
  /** Everything received, in words. */
  readonly packets: string[] = [];
  /** The broker has sent FIN, or the connection is gone. */
  ended = false;
  closed = false;
  /** Code of the socket's error, if there was one. */
  errorCode = '';
  readonly #changes = new Changes();
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => this.errorCode = error.code ?? error.message);
    socket.on('end', () => this.#gone(false));
    socket.on('close', () => this.#gone(true));
  }

  /** Opens a connection and sends nothing; `halfOpen`: this side stays open after the broker's FIN. */
  static async open(owner: Owner, port: number, halfOpen = false): Promise<RawClient> {
    const socket = openSocket({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: halfOpen });
    const client = new RawClient(socket);
    owner.teardown(() => socket.destroy());
    const opened = new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    await within(opened, `a TCP connection to port ${port}`);
    return client;
  }

  /** Opens a connection, sends CONNECT and waits to be accepted. */
  static async connected(owner: Owner, port: number, fields: ConnectFields = {}): Promise<RawClient> {
    const client = await RawClient.open(owner, port);
    client.send(connect(fields));
    await client.packet(/^CONNACK (new|present) 0$/);
    return client;
  }

  #take(chunk: Buffer): void {
    const { packets, used } = read(this.#rest = Buffer.concat([this.#rest, chunk]));
    this.#rest = this.#rest.subarray(used);
    this.packets.push(...packets);
    this.#changes.signal();
  }

  #gone(closed: boolean): void {
    this.ended = true;
    this.closed ||= closed;
    this.#changes.signal();
  }

  send(...packets: Uint8Array[]): void {
    for (const bytes of packets) this.socket.write(bytes);
  }

  /** Waits for a packet that matches, from packet number `from` on; returns it. */
  async packet(pattern: RegExp, ms = WAIT_MS, from = 0): Promise<string> {
    const find = (): string | undefined => this.packets.slice(from).find((packet) => pattern.test(packet));
    await this.#changes.until(() => find() !== undefined, () => `a packet ${pattern}; ${this.#state()}`, ms);
    return find()!;
  }

  /** Waits until `count` packets match. */
  async packetCount(pattern: RegExp, count: number, ms = WAIT_MS): Promise<void> {
    let found = 0;
    let seen = 0;
    await this.#changes.until(() => {
      while (seen < this.packets.length) if (pattern.test(this.packets[seen++]!)) found++;
      return found >= count;
    }, () => `${count} packets ${pattern}; ${found} came; ${this.#state()}`, ms);
  }

  /** Waits until the broker has closed its side. */
  async end(ms = WAIT_MS): Promise<void> {
    await this.#changes.until(() => this.ended, () => `the broker to close; ${this.#state()}`, ms);
  }

  /** Waits until the connection is gone in both directions. */
  async close(ms = WAIT_MS): Promise<void> {
    await this.#changes.until(() => this.closed, () => `the connection to be gone; ${this.#state()}`, ms);
  }

  #state(): string {
    const last = this.packets.slice(-5).map((packet) => packet.slice(0, 60)).join('; ');
    return `${this.ended ? 'closed' : 'open'}, ${this.packets.length} packets, the last: ${last}`;
  }
}
