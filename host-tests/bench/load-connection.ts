// One connection of the load generator, of MQTT 3.1.1 or 5.0: counts packets straight from the read buffer and
// answers them, without an object per message. All connections read into one shared buffer (they
// parse it before they return); only the unfinished packet at its end is kept per connection. The
// answers to everything in one read go out in one write.

import { connect, type Socket } from 'node:net';
import { MARKER, connectPacket, subscribePacket, type Level } from './load-packets.js';
import type { SequenceCheck } from './load-check.js';

const READ_BYTES = 256 * 1024;
/** No packet that the generator receives is longer: a PUBLISH of 64 B, or a SUBACK of 100 codes. */
const PACKET_BYTES_MAX = 1024;
const TOO_LONG = 'the broker sent a packet that is too long';

const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
/** Four bytes of answer for a packet of at least four bytes, so an answer to a full read fits. */
const answers = Buffer.allocUnsafeSlow(READ_BYTES + PACKET_BYTES_MAX);

export class Connection {
  /** Checks what arrives here; null where nothing but the marker is expected. */
  check: SequenceCheck | null = null;
  /**
   * Called per message with its source, and after each read; null where the scenario needs
   * neither.
   */
  onMessage: ((source: number) => void) | null = null;
  onRead: (() => void) | null = null;

  connected = false;
  /** PUBACK and PUBCOMP: messages whose handshake the broker has completed. */
  completedCount = 0;
  /** PUBREL: messages whose QoS 2 handshake as a receiver is completed. */
  releasedCount = 0;
  subscribedCount = 0;
  markerCount = 0;

  readonly #socket: Socket;
  readonly #level: Level;
  readonly #fail: (error: Error) => void;
  readonly #kept = Buffer.allocUnsafeSlow(PACKET_BYTES_MAX);
  #keptBytes = 0;
  #answerEnd = 0;
  #closing = false;

  /** @param fail called once the broker closes the connection or breaks the protocol. */
  constructor(port: number, clientId: string, fail: (error: Error) => void, level: Level = 4) {
    this.#fail = fail;
    this.#level = level;
    this.#socket = connect({
      host: '127.0.0.1', port, noDelay: true,
      onread: { buffer: readBuffer, callback: (byteCount) => this.#take(byteCount) },
    });
    this.#socket.on('error', (error) => this.#stop(error));
    this.#socket.on('close', () => this.#stop(new Error('the broker closed the connection')));
    this.#socket.write(connectPacket(clientId, level));
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  subscribe(filters: readonly string[], qos: number): void {
    this.write(subscribePacket(1, filters, qos, this.#level));
  }

  close(): void {
    this.#closing = true;
    this.#socket.destroy();
  }

  #stop(error: Error): void {
    if (this.#closing) return;
    this.close();
    this.#fail(error);
  }

  #take(byteCount: number): boolean {
    if (this.#closing) return false;
    this.#answerEnd = 0;
    try {
      const start = this.#keptBytes > 0 ? this.#completeKept(byteCount) : 0;
      this.#keep(this.#consume(readBuffer, start, byteCount), byteCount);
    } catch (error) {
      this.#stop(error as Error);
      return false;
    }
    if (this.#answerEnd > 0) this.write(Buffer.from(answers.subarray(0, this.#answerEnd)));
    this.onRead?.();
    return true;
  }

  /**
   * Ends the packet kept from the read before; returns where the next packet starts in the read
   * buffer.
   */
  #completeKept(byteCount: number): number {
    const kept = this.#keptBytes;
    const room = PACKET_BYTES_MAX - kept;
    const copied = readBuffer.copy(this.#kept, kept, 0, Math.min(byteCount, room));
    this.#keptBytes = 0;
    const consumed = this.#consume(this.#kept, 0, kept + copied);
    if (consumed >= kept) return consumed - kept;
    if (copied < byteCount) throw new Error(TOO_LONG);
    this.#keptBytes = kept + copied;
    return byteCount;
  }

  #keep(start: number, end: number): void {
    if (start >= end) return;
    if (end - start > PACKET_BYTES_MAX) throw new Error(TOO_LONG);
    this.#keptBytes = readBuffer.copy(this.#kept, 0, start, end);
  }

  /** Handles all whole packets in `[start, end)`; returns the start of the unfinished one. */
  #consume(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (end - at >= 2) {
      let remaining = bytes[at + 1]!;
      let body = at + 2;
      if (remaining > 127) {
        if (body === end) break;
        if (bytes[body]! > 127) throw new Error(TOO_LONG);
        remaining = (remaining & 127) | (bytes[body]! << 7);
        body++;
      }
      if (body + remaining > end) break;
      this.#handle(bytes, bytes[at]!, body, body + remaining);
      at = body + remaining;
    }
    return at;
  }

  #handle(bytes: Buffer, first: number, body: number, end: number): void {
    switch (first >> 4) {
      case 3: return this.#handlePublish(bytes, first, body);
      case 4:
      case 7: this.completedCount++; return;
      case 5: return this.#answer(0x62, bytes, body);
      case 6: this.releasedCount++; return this.#answer(0x70, bytes, body);
      case 2:
        if (bytes[body + 1] !== 0) throw new Error(`CONNACK with code ${bytes[body + 1]}`);
        this.connected = true;
        return;
      case 9:
        for (let at = this.#content(bytes, body + 2); at < end; at++) {
          if (bytes[at]! > 2) throw new Error(`SUBACK with code ${bytes[at]}`);
          this.subscribedCount++;
        }
        return;
      default: throw new Error(`unexpected packet type ${first >> 4}`);
    }
  }

  #handlePublish(bytes: Buffer, first: number, body: number): void {
    let payload = body + 2 + ((bytes[body]! << 8) | bytes[body + 1]!);
    const qos = (first >> 1) & 3;
    if (qos > 0) {
      this.#answer(qos === 1 ? 0x40 : 0x50, bytes, payload);
      payload += 2;
    }
    payload = this.#content(bytes, payload);
    const source = (bytes[payload + 4]! << 8) | bytes[payload + 5]!;
    if (source === MARKER) {
      this.markerCount++;
      return;
    }
    const sequence = ((bytes[payload]! << 24) | (bytes[payload + 1]! << 16) |
      (bytes[payload + 2]! << 8) | bytes[payload + 3]!) >>> 0;
    if (this.check !== null) this.check.take(source, sequence);
    if (this.onMessage !== null) this.onMessage(source);
  }

  /** What follows the properties that begin at `at`; a broker has few to say here. */
  #content(bytes: Buffer, at: number): number {
    return this.#level === 5 ? at + 1 + bytes[at]! : at;
  }

  #answer(first: number, bytes: Buffer, packetId: number): void {
    const at = this.#answerEnd;
    answers[at] = first;
    answers[at + 1] = 2;
    answers[at + 2] = bytes[packetId]!;
    answers[at + 3] = bytes[packetId + 1]!;
    this.#answerEnd = at + 4;
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The connections of one run: opened together, failing together, closed together. */
export class ConnectionGroup {
  readonly #port: number;
  readonly #connections: Connection[] = [];
  #failure: Error | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  async open(count: number, name: string, level: Level = 4): Promise<Connection[]> {
    const opened: Connection[] = [];
    while (opened.length < count) {
      // Fifty at a time: a broker's backlog of connections not yet accepted may be short.
      const some = Array.from({ length: Math.min(50, count - opened.length) }, (_, index) =>
        new Connection(this.#port, `${name}${opened.length + index}`, (error) => this.fail(error), level));
      this.#connections.push(...some);
      opened.push(...some);
      await this.reached(() => some.every((connection) => connection.connected), 'CONNACK');
    }
    return opened;
  }

  async subscribe(connection: Connection, filters: readonly string[], qos = 0): Promise<void> {
    const wanted = connection.subscribedCount + filters.length;
    connection.subscribe(filters, qos);
    await this.reached(() => connection.subscribedCount >= wanted, 'SUBACK');
  }

  fail(error: Error): void {
    this.#failure ??= error;
  }

  /**
   * Waits for `done`; false when `progress` has not changed for `stallMs`. Throws what failed
   * meanwhile.
   */
  async until(done: () => boolean, progress: () => number, stallMs = 1_000): Promise<boolean> {
    let last = progress();
    let lastMs = performance.now();
    while (!done()) {
      if (this.#failure) throw this.#failure;
      await sleep(1);
      const nowMs = performance.now();
      if (progress() !== last) {
        last = progress();
        lastMs = nowMs;
      } else if (nowMs - lastMs > stallMs) {
        return false;
      }
    }
    if (this.#failure) throw this.#failure;
    return true;
  }

  async reached(done: () => boolean, what: string): Promise<void> {
    if (!await this.until(done, () => 0, 5_000)) throw new Error(`no ${what} for five seconds`);
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }
}
