// The client on TCP, on a board. Called by the programs of boards, and by tests with io of their
// own. How sockets are handled is in tcp-links.ts; when to connect again, the core knows.

import type { Client } from '../client/client.js';
import { MqttClient, type MqttClientOptions } from '../client/mqtt-client.js';
import type { Link } from '../link.js';
import type { ResolverConstructor, TcpSocketConstructor } from './io.js';
import { Staging } from './staging.js';
import type { TcpLink } from './tcp-link.js';
import { TcpLinks, type LinkUser } from './tcp-links.js';
import type { TimedIo } from './ticker.js';

/**
 * Finds the broker, for one attempt: calls `found`, with an address as numbers, or `failed`, at
 * once or later. What it finds for an attempt that is over is not used.
 */
export type Locate = (
  found: (host: string, address: string, port: number) => void,
  failed: (error: Error) => void,
) => void;

/** As those of ECMA-419's MQTT client, and what it does not ask for. */
export interface TcpClientOptions extends MqttClientOptions, TimedIo {
  /** A name, or an address as numbers; not with `locate`. */
  host?: string;
  /** Default 1883. */
  port?: number;
  /** The class of sockets, and options of its own. */
  socket: { io: TcpSocketConstructor };
  /** The class that resolves names, and options of its own; only for a `host` that is a name. */
  dns?: { io: ResolverConstructor };
  /** Finds the broker in another way, instead of `host`, `port` and `dns`. */
  locate?: Locate;
  /** Random integer, 0 to 2³²-1: spreads the attempts of clients that lost the same broker. */
  random(): number;
}

/** One in use, one that closes. */
const LINK_COUNT = 2;

export class TcpClient extends MqttClient {
  private readonly options: TcpClientOptions;
  private readonly locate: Locate;
  private readonly links: TcpLinks;
  /** The number of the attempt, so that a late answer to an earlier one is known as such. */
  private attempt = 0;

  /**
   * As MqttClient; nothing happens until `connect`, before which the network must be there. Throws
   * TypeError when nothing tells where the broker is.
   */
  constructor(options: TcpClientOptions) {
    const own = Object.create(options) as TcpClientOptions; // a copy would be there twice
    own.onClosed = (complete) => this.finish(complete);
    super(own, {
      open: () => this.open(),
      random: () => options.random(),
      wake: () => this.links.flushSoon(),
    });
    this.options = options;
    this.locate = options.locate ?? byName(options);
    const { bytes, memory, limits } = this.core;
    const staging = new Staging(bytes, memory.stagingStart, limits.stagingBytes);
    this.links = new TcpLinks(options, new ClientLinks(this.core), staging, LINK_COUNT);
  }

  override connect(): void {
    this.links.start();
    super.connect();
  }

  /** The core has let go of the link; what it wrote last may still be on its way. */
  private finish(complete: boolean): void {
    this.attempt++;
    this.links.finish(() => this.options.onClosed?.(complete));
  }

  private open(): Link {
    const links = this.links;
    const link = links.take();
    const attempt = ++this.attempt;
    const failed = (error: unknown): void => {
      if (attempt !== this.attempt || link.closed) return;
      this.linkError = error instanceof Error ? error : new Error(String(error));
      links.kill(link);
    };
    const found = (host: string, address: string, port: number): void => {
      if (attempt !== this.attempt || link.closed || link.socket !== undefined) return;
      const { io, ...socket } = this.options.socket;
      try {
        links.open(io, link, { ...socket, host, address, port });
      } catch (error) {
        failed(error);
      }
    };
    try {
      this.locate(found, failed);
    } catch (error) {
      failed(error);
    }
    return link;
  }
}

/** The entry points of a client. It has one link at a time, so they need not be told which. */
class ClientLinks implements LinkUser {
  private readonly core: Client;

  constructor(core: Client) {
    this.core = core;
  }

  windowStart(): number {
    return this.core.receiveStart;
  }

  room(): number {
    return this.core.room;
  }

  received(_link: TcpLink, byteCount: number): void {
    this.core.received(byteCount);
  }

  writable(): void {
    this.core.opened(); // the first time
    this.core.writable();
  }

  lost(): void {
    this.core.disconnected();
  }

  tick(nowMs: number): void {
    this.core.tick(nowMs);
  }

  get dirty(): boolean {
    return this.core.dirty;
  }

  flush(): void {
    this.core.flush();
  }
}

/** Asks `dns` for the address of `host`, anew for each attempt: it may have moved. */
function byName({ host, port = 1883, dns }: TcpClientOptions): Locate {
  if (!host) throw new TypeError('host or locate is missing: where is the broker?');
  if (isAddress(host)) return (found) => found(host, host, port);
  if (dns === undefined) throw new TypeError(`dns is missing: ${host} is a name, not an address`);
  const resolver = new dns.io(dns);
  return (found, failed) => {
    resolver.resolve({
      host,
      onResolved: (name, address) => found(name, address, port),
      onError: () => failed(new Error(`nobody knows the address of ${host}`)),
    });
  };
}

/** Whether that is an IPv4 address as numbers: a name is never all digits and dots. */
function isAddress(host: string): boolean {
  for (let i = 0; i < host.length; i++) {
    const character = host.charCodeAt(i);
    if (character !== 0x2e && (character < 0x30 || character > 0x39)) return false;
  }
  return true;
}
