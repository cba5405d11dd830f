// Moddable's TCP and Listener classes over a network in memory: lwip/tcp.c and lin/tcp.c, as far as a program can tell,
// with what they get wrong. Made by fake-io.ts.

import type { TcpSocket, TcpSocketOptions } from '../../src/moddable/io.js';
import { concat } from '../support/packets.js';
import type { FakeNet } from './fake-io.js';
import { End } from './fake-network.js';

const LIN_POLL_MS = 20;
const LIN_BUFFER_BYTES = 1536;
const WRITABLE = 1;
const READABLE = 2;
const ERROR = 4;
const OUTPUT = 8;

export class FakeTcp implements TcpSocket {
  target: unknown;
  readonly options: TcpSocketOptions | undefined;
  readonly #net: FakeNet;
  end: End | undefined;
  #open = true;
  #triggerable = 0;
  #triggered = 0;
  #error = false;
  /** lwip: it may be written to. */
  #ready = false;
  /** lin: what the poll has read and not yet been asked for, and what it takes until the next. */
  #buffer: Uint8Array = new Uint8Array(0);
  #room = 0;
  #connected = false;

  /** Without options it is what a listener hands out. */
  constructor(net: FakeNet, options: TcpSocketOptions | undefined) {
    this.#net = net;
    this.options = options;
    net.sockets.add(this);
    if (options === undefined) return;
    this.#triggerable = READABLE | WRITABLE | ERROR;
    this.target = options.target;
    if ('from' in options) this.#take(options.from as FakeTcp);
    else this.#connect(options.address, options.port!);
    if (net.platform === 'lin') this.#pollLater();
  }

  #take(from: FakeTcp): void {
    if (!(from instanceof FakeTcp) || from.end === undefined || from.end.dead) {
      this.#net.sockets.delete(this);
      throw new Error('invalid from');
    }
    this.attach(from.end);
    from.end = undefined;
    from.close();
    this.#ready = true;
    if (this.#net.platform === 'lwip') {
      this.#trigger(WRITABLE | (this.end!.inbox.length > 0 ? READABLE : 0));
      if (this.end!.finReceived) this.#finReceived();
    }
  }

  #connect(address: string | undefined, port: number): void {
    if (!/^\d+\.\d+\.\d+\.\d+$/.test(String(address))) {
      this.#net.sockets.delete(this);
      throw new Error('invalid address');
    }
    if (address !== '127.0.0.1') return; // nobody there: no answer at all
    this.#net.after(this.#net.options.latencyMs, () => {
      if (!this.#open) return;
      try {
        this.attach(this.#net.connect(port));
      } catch {
        this.#error = this.#net.platform === 'lin';
        this.#trigger(ERROR);
        return;
      }
      this.#ready = true;
      if (this.#net.platform === 'lwip') this.#trigger(WRITABLE);
    });
  }

  attach(end: End): void {
    const net = this.#net;
    this.end = end;
    if (net.platform === 'lin') {
      end.receiveBytes = 65536;
      end.sendBytes = 65536;
      return;
    }
    end.sendBytes = net.options.sendBytes;
    end.onData = () => this.#trigger(READABLE);
    end.onRoom = () => this.#trigger(WRITABLE);
    end.onFin = () => this.#finReceived();
    end.onReset = () => this.#trigger(ERROR);
  }

  #finReceived(): void {
    this.#triggerable &= ~WRITABLE;
    this.end!.onRoom = () => {};
    this.#trigger(ERROR);
  }

  read(view: Uint8Array): number | undefined {
    if (!this.#open) throw new Error('invalid host data');
    const lin = this.#net.platform === 'lin';
    const available = lin ? this.#buffer.length : this.end!.inbox.length;
    if (available === 0) return undefined;
    if (view.length === 0 || view.length > available) throw new Error('invalid');
    this.#net.readInCallback += view.length;
    if (lin) {
      view.set(this.#buffer.subarray(0, view.length));
      this.#buffer = this.#buffer.slice(view.length);
    } else {
      view.set(this.end!.take(view.length));
    }
    if (this.#error && available === view.length) this.#trigger(ERROR);
    return view.length;
  }

  write(view: Uint8Array): number | undefined {
    if (!this.#open) throw new Error('invalid host data');
    return this.#net.platform === 'lin' ? this.#writeLin(view) : this.#writeLwip(view);
  }

  #writeLin(view: Uint8Array): number | undefined {
    if (view.length > this.#room) throw new Error('would block');
    this.#room -= view.length;
    if (this.end!.dead) {
      this.#trigger(ERROR); // and no poll will report it
      return undefined;
    }
    this.end!.send(view);
    this.end!.output();
    return this.#room;
  }

  #writeLwip(view: Uint8Array): number | undefined {
    const end = this.end;
    if (!this.#ready) throw new Error('not ready');
    if (this.#error || end === undefined || end.dead) return undefined;
    if (view.length > end.room) throw new Error('would block');
    if (!end.send(view)) {
      this.#trigger(ERROR);
      return undefined;
    }
    this.#trigger(OUTPUT);
    return end.room;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#triggerable = 0;
    this.#triggered = 0;
    this.#net.sockets.delete(this);
    if (this.end !== undefined && this.#net.options.closeResets) this.end.abort();
    else this.end?.close();
  }

  #trigger(flags: number): void {
    if (this.#net.platform === 'lin') {
      if ((flags & ERROR) !== 0) this.#error = true;
      this.#triggered |= flags & this.#triggerable;
      return;
    }
    const before = this.#triggered;
    this.#triggered |= flags;
    if (before === 0 && this.#open) this.#net.post(() => this.#deliver());
  }

  /** As tcpDeliver of lwip/tcp.c. */
  #deliver(): void {
    const { options } = this;
    let triggered = this.#triggered;
    this.#triggered = 0;
    if ((triggered & ERROR) !== 0) {
      triggered &= ~(OUTPUT | WRITABLE);
      this.#error = true;
      this.#ready = false;
    }
    const end = this.end;
    if ((triggered & OUTPUT) !== 0) end?.output();
    if ((triggered & this.#triggerable & READABLE) !== 0 && end !== undefined && end.inbox.length > 0) {
      this.#net.call(() => options!.onReadable.call(this, end.inbox.length));
    }
    if (this.#error && end !== undefined && end.inbox.length > 0) return;
    if (this.#error) {
      if ((this.#triggerable & ERROR) !== 0) this.#net.call(() => options!.onError.call(this));
    } else if ((triggered & this.#triggerable & WRITABLE) !== 0) {
      this.#net.call(() => options!.onWritable.call(this, end!.room));
    }
  }

  #pollLater(): void {
    this.#net.after(LIN_POLL_MS, () => {
      if (!this.#open) return;
      if (!this.#error) this.#poll();
      else if (!this.#connected) this.#report();
      this.#pollLater();
    });
  }

  /** As tcpTask of lin/tcp.c: once it has seen an error, it reports nothing any more. */
  #poll(): void {
    const end = this.end;
    if (end === undefined) return;
    this.#connected = true;
    if (this.#room !== LIN_BUFFER_BYTES && (end.room >= LIN_BUFFER_BYTES || end.dead)) {
      this.#room = LIN_BUFFER_BYTES;
      this.#trigger(WRITABLE);
    }
    if (this.#buffer.length < LIN_BUFFER_BYTES) {
      const bytes = end.take(Math.min(end.inbox.length, LIN_BUFFER_BYTES - this.#buffer.length));
      this.#buffer = concat(this.#buffer, bytes);
      if (bytes.length > 0) this.#trigger(READABLE);
      else if (end.finReceived || end.dead) {
        this.#error = true;
        if (this.#buffer.length === 0) this.#trigger(ERROR);
      }
    }
    this.#report();
  }

  /** As reportTrigger: goes on when the first callback has closed the socket. */
  #report(): void {
    const { options } = this;
    const triggered = this.#triggered;
    this.#triggered = 0;
    if ((triggered & WRITABLE) !== 0 && this.#room > 0 && !this.#error) {
      this.#net.call(() => options!.onWritable.call(this, this.#room));
    }
    if ((triggered & READABLE) !== 0 && this.#buffer.length > 0) {
      this.#net.call(() => options!.onReadable.call(this, this.#buffer.length));
    }
    if ((triggered & ERROR) !== 0) this.#net.call(() => options!.onError.call(this));
  }
}

export class FakeListener {
  readonly port: number;
  readonly #net: FakeNet;
  readonly #pending: End[] = [];
  #told = false;
  #open = true;

  constructor(net: FakeNet, { port, onReadable }: { port: number; onReadable(count: number): void }) {
    if (net.listeners.has(port)) {
      net.willCrash = net.platform === 'lin';
      throw new Error('bind socket failed');
    }
    this.#net = net;
    this.port = port;
    const tell = (): void => {
      this.#told = false;
      if (this.#open) net.call(() => onReadable(this.#pending.length));
    };
    net.listeners.set(port, (end) => {
      this.#pending.push(end);
      if (this.#told) return;
      this.#told = true;
      if (net.platform === 'lin') net.after(LIN_POLL_MS, tell);
      else net.post(tell);
    });
  }

  read(): TcpSocket | undefined {
    if (!this.#open) throw new Error('invalid host data');
    const end = this.#pending.shift();
    if (end === undefined) {
      this.#net.vainAccepts++;
      return undefined;
    }
    const socket = new FakeTcp(this.#net, undefined);
    socket.end = end;
    return socket;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#net.listeners.delete(this.port);
    for (const end of this.#pending) end.close();
  }
}
