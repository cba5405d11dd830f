// The broker on TCP, on a board: a listener, and a link for each connection. Called by the programs
// of boards, and by tests with io of their own. How sockets are handled is in tcp-links.ts.

import type { Broker } from '../broker/broker.js';
import { NONE } from '../wire/codes.js';
import type {
  TcpListener, TcpListenerConstructor, TcpSocket, TcpSocketConstructor,
} from './io.js';
import { Staging } from './staging.js';
import type { TcpLink } from './tcp-link.js';
import { TcpLinks, type LinkUser } from './tcp-links.js';
import type { TimedIo } from './ticker.js';

export interface BrokerIo extends TimedIo {
  Listener: TcpListenerConstructor;
  TCP: TcpSocketConstructor;
}

/** A socket may be closing while all slots of the broker are in use: for who comes next. */
const CLOSING_MAX = 1;

export class TcpBroker {
  private readonly broker: Broker;
  private readonly io: BrokerIo;
  private readonly links: TcpLinks;
  private readonly listener: TcpListener;
  private closed = false;

  /**
   * Accepts connections from now on, on all interfaces: the network must be there. `port` 0 is any
   * free one. Throws RangeError for a broker without `stagingBytes`, and Error when the port cannot
   * be used. (The simulator on Linux then crashes some time later, whatever its program does.)
   */
  constructor(broker: Broker, io: BrokerIo, { port = 1883 }: { port?: number } = {}) {
    this.broker = broker;
    this.io = io;
    const { connectionsMax, stagingBytes } = broker.limits;
    const staging = new Staging(broker.bytes, broker.memory.stagingStart, stagingBytes);
    this.links = new TcpLinks(io, new BrokerLinks(broker), staging, connectionsMax + CLOSING_MAX);
    try {
      this.listener = new io.Listener({ port, onReadable: (count) => this.acceptAll(count) });
    } catch (error) {
      throw new Error(`cannot listen on port ${port} (${error}): is it in use already, ` +
        'or is there no network yet?');
    }
    this.links.start();
  }

  /** The one in use. */
  get port(): number {
    return this.listener.port;
  }

  /** To be called after `broker.publish`: sends soon what it has put into the queues. */
  flushSoon(): void {
    this.links.flushSoon();
  }

  /**
   * Listens no more, publishes the wills, ends every connection. `finished` is called when the last
   * socket is closed. Idempotent.
   */
  close(finished: () => void = () => {}): void {
    if (this.closed) return;
    this.closed = true;
    this.listener.close();
    this.broker.close();
    this.links.finish(finished);
  }

  /** `count` connections wait; asking for more of them than there are costs memory. */
  private acceptAll(count: number): void {
    for (let i = 0; i < count && !this.closed; i++) {
      try {
        const accepted = this.listener.read();
        if (accepted !== undefined) this.accept(accepted);
      } catch (error) {
        this.links.trace('accept', error);
      }
    }
  }

  private accept(accepted: TcpSocket): void {
    const link = this.links.take();
    try {
      link.slot = this.broker.connected(link);
      if (link.slot !== NONE) {
        this.links.open(this.io.TCP, link, { from: accepted });
        return;
      }
      link.release();
    } catch (error) { // the peer has gone already, or there is no memory for one more
      this.links.trace('accept', error);
      this.links.kill(link);
    }
    accepted.close();
  }
}

/** The entry points of a broker, by links. */
class BrokerLinks implements LinkUser {
  private readonly broker: Broker;

  constructor(broker: Broker) {
    this.broker = broker;
  }

  windowStart(): number {
    return this.broker.windowStart;
  }

  room(link: TcpLink): number {
    return this.broker.room(link.slot);
  }

  received(link: TcpLink, byteCount: number): void {
    this.broker.received(link.slot, byteCount);
  }

  writable(link: TcpLink): void {
    this.broker.writable(link.slot);
  }

  lost(link: TcpLink): void {
    this.broker.disconnected(link.slot);
  }

  tick(nowMs: number): void {
    this.broker.tick(nowMs);
  }

  get dirty(): boolean {
    return this.broker.dirty;
  }

  flush(): void {
    this.broker.flush();
  }
}
