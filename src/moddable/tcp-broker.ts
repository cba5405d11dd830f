// The broker on TCP, on a board: a listener, and a link for each connection. Called by the programs
// of boards, and by tests with io of their own. How sockets are handled is in tcp-links.ts.

import type { Broker } from '../broker/broker.js';
import { NONE } from '../wire/codes.js';
import type {
  SystemIo, TcpListener, TcpListenerConstructor, TcpSocket, TcpSocketConstructor,
} from './io.js';
import { Staging } from './staging.js';
import type { TcpLink } from './tcp-link.js';
import { TcpLinks, type LinkUser } from './tcp-links.js';

export interface BrokerIo extends SystemIo {
  Listener: TcpListenerConstructor;
  TCP: TcpSocketConstructor;
}

/** Sockets that may be closing while all slots of the broker are in use. */
const CLOSING_MAX = 2;

export class TcpBroker {
  readonly #broker: Broker;
  readonly #io: BrokerIo;
  readonly #links: TcpLinks;
  readonly #listener: TcpListener;
  #closed = false;

  /**
   * Accepts connections from now on, on all interfaces: the network must be there. `port` 0 is any
   * free one. Throws RangeError for a broker without `stagingBytes`, and Error when the port cannot
   * be used. (The simulator on Linux then crashes some time later, whatever its program does.)
   */
  constructor(broker: Broker, io: BrokerIo, { port = 1883 }: { port?: number } = {}) {
    this.#broker = broker;
    this.#io = io;
    const { connectionsMax, stagingBytes } = broker.limits;
    const staging = new Staging(broker.bytes, broker.memory.stagingStart, stagingBytes);
    this.#links = new TcpLinks(io, coreOf(broker), staging, connectionsMax + CLOSING_MAX);
    try {
      this.#listener = new io.Listener({ port, onReadable: (count) => this.#acceptAll(count) });
    } catch (error) {
      throw new Error(`cannot listen on port ${port} (${error}): is it in use already, ` +
        'or is there no network yet?');
    }
    this.#links.start();
  }

  /** The one in use. */
  get port(): number {
    return this.#listener.port;
  }

  /** To be called after `broker.publish`: sends soon what it has put into the queues. */
  flushSoon(): void {
    this.#links.flushSoon();
  }

  /**
   * Listens no more, publishes the wills, ends every connection. `finished` is called when the last
   * socket is closed. Idempotent.
   */
  close(finished: () => void = () => {}): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener.close();
    this.#broker.close();
    this.#links.finish(finished);
  }

  /** `count` connections wait; asking for more of them than there are costs memory. */
  #acceptAll(count: number): void {
    for (let i = 0; i < count && !this.#closed; i++) {
      try {
        const accepted = this.#listener.read();
        if (accepted !== undefined) this.#accept(accepted);
      } catch (error) {
        this.#links.trace('accept', error);
      }
    }
  }

  #accept(accepted: TcpSocket): void {
    const link = this.#links.take();
    try {
      link.slot = this.#broker.connected(link);
      if (link.slot !== NONE) {
        this.#links.open(this.#io.TCP, link, { from: accepted });
        return;
      }
      link.release();
    } catch (error) { // the peer has gone already, or there is no memory for one more
      this.#links.trace('accept', error);
      this.#links.kill(link);
    }
    accepted.close();
  }
}

/** The entry points of `broker`, by links. */
function coreOf(broker: Broker): LinkUser {
  return {
    windowStart: () => broker.windowStart,
    room: (link: TcpLink) => broker.room(link.slot),
    received: (link: TcpLink, byteCount: number) => broker.received(link.slot, byteCount),
    writable: (link: TcpLink) => broker.writable(link.slot),
    lost: (link: TcpLink) => broker.disconnected(link.slot),
    tick: (nowMs: number) => broker.tick(nowMs),
    get dirty(): boolean {
      return broker.dirty;
    },
    flush: () => broker.flush(),
  };
}
