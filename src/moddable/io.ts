// The parts of ECMA-419 io that this project uses, as narrow interfaces: programs for boards pass
// the SDK's classes in, tests pass fakes. The published typings lag behind the SDK and declare some
// of these otherwise, so a program casts once, where it imports them. Imports nothing.

/** `embedded:io/socket/tcp`. */
export interface TcpSocket {
  /** What `target` was in its options. */
  readonly target: unknown;
  /**
   * Fills all of `view`, and returns how many bytes that are; undefined when there is nothing to
   * read. Throws when there are fewer.
   */
  read(view: Uint8Array): number | undefined;
  /**
   * Takes all of `view` and returns how many bytes more fit, or throws; undefined when the socket
   * is dead.
   */
  write(view: Uint8Array): number | undefined;
  close(): void;
}

export interface TcpSocketOptions {
  /** A socket that a listener has accepted; otherwise `address`, as numbers, and `port`. */
  from?: TcpSocket;
  address?: string;
  host?: string;
  port?: number;
  nodelay?: boolean;
  target?: unknown;
  /** `count` bytes can be read: all that is there, not only what is new. */
  onReadable(this: TcpSocket, count: number): void;
  /** `count` bytes can be written. The first time, the socket is connected. */
  onWritable(this: TcpSocket, count: number): void;
  /** The socket is dead, or the peer has closed its side. May come twice. */
  onError(this: TcpSocket): void;
}

export type TcpSocketConstructor = new (options: TcpSocketOptions) => TcpSocket;

/** `embedded:io/socket/listener`. */
export interface TcpListener {
  /** The next connection, for `from`. */
  read(): TcpSocket | undefined;
  close(): void;
  readonly port: number;
}

export type TcpListenerConstructor = new (options: {
  port: number;
  /** `count` connections wait: all of them. */
  onReadable(count: number): void;
}) => TcpListener;

/** `embedded:network/dns/resolver/udp`. */
export interface Resolver {
  resolve(options: {
    host: string;
    onResolved(host: string, address: string): void;
    onError(): void;
  }): void;
}

export type ResolverConstructor = new (options: object) => Resolver;

/** `timer`: milliseconds. */
export interface TimerModule {
  repeat(callback: () => void, ms: number): unknown;
  /** Fires after `ms`, then every `repeatMs`; allocates nothing. */
  schedule(timer: unknown, ms: number, repeatMs: number): void;
  clear(timer: unknown): void;
}

/** What every program needs of its board. */
export interface SystemIo {
  Timer: TimerModule;
  /** Milliseconds from anywhere, which may wrap as 32-bit integers do: `Time.ticks`. */
  now(): number;
  /** Where to tell what nobody else is told: an exception that was caught. */
  trace(text: string): void;
}
