// A server on loopback whose every byte the test decides: what a TcpClient meets that no real broker would do. What
// comes is read in words, by code that shares nothing with src/wire.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { packet, read } from '../support/packets.js';
import { Changes, type Owner, WAIT_MS } from './children.js';

export const connack = (returnCode = 0, present = false): Uint8Array =>
  packet(0x20, Uint8Array.of(present ? 1 : 0, returnCode));

export class StubConnection {
  readonly socket: Socket;
  /** What the client sent, in words. */
  readonly packets: string[] = [];
  byteCount = 0;
  /** Protocol level in which what comes is read. */
  level = 4;
  /** The client has sent FIN. */
  ended = false;
  closed = false;
  readonly atMs = performance.now();
  readonly #changes: Changes;
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, changes: Changes) {
    this.socket = socket;
    this.#changes = changes;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => {}); // a client that was destroyed with bytes unread; 'close' follows
    socket.on('end', () => {
      this.ended = true;
      changes.signal();
    });
    socket.on('close', () => {
      this.closed = true;
      changes.signal();
    });
  }

  #take(chunk: Buffer): void {
    this.byteCount += chunk.length;
    const { packets, used } = read(this.#rest = Buffer.concat([this.#rest, chunk]), this.level);
    this.#rest = this.#rest.subarray(used);
    this.packets.push(...packets);
    this.#changes.signal();
  }

  send(...packets: Uint8Array[]): void {
    for (const bytes of packets) this.socket.write(bytes);
  }

  until(condition: () => boolean, what: string, ms = WAIT_MS): Promise<void> {
    return this.#changes.until(condition, () => `${what}; ${this.packets.length} packets came, the last: ` +
      this.packets.slice(-5).map((text) => text.slice(0, 60)).join('; '), ms);
  }

  /** Waits for a packet that matches; returns it. */
  async packet(pattern: RegExp, ms = WAIT_MS): Promise<string> {
    const find = (): string | undefined => this.packets.find((text) => pattern.test(text));
    await this.until(() => find() !== undefined, `the packet ${pattern}`, ms);
    return find()!;
  }
}

export class StubServer {
  readonly port: number;
  readonly connections: StubConnection[] = [];
  readonly #changes: Changes;

  private constructor(port: number, changes: Changes) {
    this.port = port;
    this.#changes = changes;
  }

  /** Listens on a free port; `serve` is called with each connection. */
  static async open(owner: Owner, serve: (connection: StubConnection) => void = () => {}): Promise<StubServer> {
    const changes = new Changes();
    let stub: StubServer | undefined;
    const server: Server = createServer({ noDelay: true }, (socket) => {
      const connection = new StubConnection(socket, changes);
      stub!.connections.push(connection);
      serve(connection);
      changes.signal();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    stub = new StubServer((server.address() as AddressInfo).port, changes);
    owner.teardown(() => {
      for (const { socket } of stub!.connections) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    });
    return stub;
  }

  /** The connection of that number, counted from 0, once it is there. */
  async connection(index: number, ms = WAIT_MS): Promise<StubConnection> {
    await this.#changes.until(() => this.connections.length > index,
      () => `connection ${index}; there were ${this.connections.length}`, ms);
    return this.connections[index]!;
  }

  /** The connection of that number, whose CONNECT has been accepted. */
  async accepted(index = 0, present = false): Promise<StubConnection> {
    const connection = await this.connection(index);
    await connection.packet(/^CONNECT/);
    connection.send(connack(0, present));
    return connection;
  }
}
