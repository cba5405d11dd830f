// A socket of Node as the core sees it: a Link. Made by the bindings of broker and client.

import type { Socket } from 'node:net';
import type { Link } from '../link.js';

/** How long a peer may take nothing of what is left for it, or leave its side open after ours. */
const CLOSE_TIMEOUT_MS = 2000;

export class TcpLink implements Link {
  readonly socket: Socket;
  /** `address:port` of the peer, for the log. */
  readonly peerName: string;
  closed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    this.peerName = `${socket.remoteAddress}:${socket.remotePort}`;
  }

  /**
   * All that an outbox may hold, or nothing: what the kernel does not take waits in the socket, and
   * nothing more is written until it has gone, since many small writes cost more than their bytes.
   * A bound would need a sign that there is room for more, which Node gives only after it was full.
   */
  get writableBytes(): number {
    const { connecting, writableNeedDrain } = this.socket;
    return this.closed || connecting || writableNeedDrain ? 0 : Number.MAX_SAFE_INTEGER;
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
    if (this.socket.connecting) {
      this.socket.destroy();
      return;
    }
    this.socket.resume();
    this.socket.end();
    let leftBytes = this.socket.writableLength;
    const timer = setInterval(() => {
      const { writableLength } = this.socket;
      if (writableLength >= leftBytes) this.socket.destroy();
      leftBytes = writableLength;
    }, CLOSE_TIMEOUT_MS);
    this.socket.once('close', () => clearInterval(timer));
  }
}
