// A TCP proxy on loopback that loses connections: after a number of bytes that chance decides, in the middle of
// whatever packet that is. What went through before arrives; what came after is gone, as with a network that fails.

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Random } from '../support/random.js';
import type { Owner } from '../node/children.js';

export class CuttingProxy {
  readonly port: number;
  /** Connections cut so far. */
  cutCount = 0;
  /** While true, connections that come are closed at once. */
  away = false;
  /** Bytes that pass, to one side or the other, before a connection is cut; asked once for each side of each. */
  bytesUntilCut: () => number = () => Infinity;
  readonly #random: Random;
  readonly #targetPort: number;
  readonly #pairs = new Set<[client: Socket, broker: Socket]>();

  private constructor(port: number, targetPort: number, random: Random) {
    this.port = port;
    this.#targetPort = targetPort;
    this.#random = random;
  }

  /** Listens on a free port for connections to `targetPort`. */
  static async open(owner: Owner, targetPort: number, random: Random): Promise<CuttingProxy> {
    let proxy: CuttingProxy | undefined;
    const server: Server = createServer({ noDelay: true }, (socket) => proxy!.#accept(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    proxy = new CuttingProxy((server.address() as AddressInfo).port, targetPort, random);
    owner.teardown(() => {
      proxy!.cutAll();
      return new Promise((resolve) => server.close(resolve));
    });
    return proxy;
  }

  /** Cuts every connection now. */
  cutAll(): void {
    for (const pair of [...this.#pairs]) this.#cut(pair);
  }

  #accept(client: Socket): void {
    if (this.away) {
      client.destroy();
      return;
    }
    const broker = connect({ port: this.#targetPort, host: '127.0.0.1', noDelay: true });
    const pair: [Socket, Socket] = [client, broker];
    this.#pairs.add(pair);
    for (const [from, to] of [[client, broker], [broker, client]] as const) {
      let left = this.bytesUntilCut();
      from.on('data', (chunk: Buffer) => {
        if (!this.#pairs.has(pair)) return;
        if (chunk.length <= left) {
          left -= chunk.length;
          if (!to.write(chunk)) from.pause();
          return;
        }
        to.write(chunk.subarray(0, left));
        this.cutCount++;
        this.#cut(pair);
      });
      to.on('drain', () => from.resume());
      from.on('error', () => {}); // 'close' follows
      from.on('end', () => to.end());
      from.on('close', () => {
        this.#pairs.delete(pair);
        to.destroySoon();
      });
    }
  }

  /** Both ends learn of it: in order, or by a reset. */
  #cut(pair: [Socket, Socket]): void {
    if (!this.#pairs.delete(pair)) return;
    for (const socket of pair) {
      // Node 20 never ends a process in which a socket was reset while it ended.
      if (this.#random.chance(50) || socket.writableEnded) socket.destroySoon();
      else socket.resetAndDestroy();
    }
  }
}
