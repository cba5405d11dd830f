// The MQTT client of ECMA-419 over ours, for programs written for that of the SDK: the same
// options, callbacks and operations, by `read` and `write`. Called by such programs; strings and
// arrays are made here, for each packet.
//
// What is as there: one connection, and none after it is lost or refused (`onError`, then it is
// closed); `close` without DISCONNECT before it leaves the will to the broker; misuse throws, a
// lost network does not; what is written goes out in its order; what came before the end is told
// before the end.
//
// What is better: QoS 1 and 2 are kept until the broker has them; a message is acknowledged when
// all of it is read, and until then nothing behind it is told, nor the end; with `reconnect`,
// connections are opened again, what was kept goes on, and messages may be written meanwhile. Each
// connection begins with CONNACK, where the program subscribes.
//
// What is other: a message goes out when all of it is written, and is told when all of it is there:
// it must fit into `limits.packetBytesMax`, and larger ones that come are acknowledged and passed
// over. `duplicate` is not looked at: the core knows what it repeats. Acknowledgements are the
// core's, and `write` takes none. `onError` is given an Error, `onClose` is called after
// DISCONNECT, an empty message is told with a count of 0.
//
// The program is told of messages where the core tells us, of all else in turns of our own. What it
// throws is traced and ends the connection, as everywhere on boards; nothing else is lost by it.

import type { Client } from '../../client/client.js';
import { CONNECT_REFUSED, CONNECT_TIMEOUT, CONNECTED, PING_TIMEOUT } from '../../client/states.js';
import {
  ACCEPTED, CONNACK, CONNECT, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC,
  PUBREL, SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE,
} from '../../wire/codes.js';
import { TcpClient } from '../tcp-client.js';
import { watched } from './control-watch.js';
import { HeldMessage } from './held-message.js';
import {
  bytesOf, faceLimits, textOrBytes, willOf,
  type ByteBuffer, type ControlMessage, type MqttClient419Options, type WriteOptions,
} from './mqtt-client-419-options.js';
import { Writer } from './mqtt-writer.js';
import { NextTurn } from './next-turn.js';

export class MqttClient419 {
  static readonly CONNECT = CONNECT;
  static readonly CONNACK = CONNACK;
  static readonly PUBLISH = PUBLISH;
  static readonly PUBACK = PUBACK;
  static readonly PUBREC = PUBREC;
  static readonly PUBREL = PUBREL;
  static readonly PUBCOMP = PUBCOMP;
  static readonly SUBSCRIBE = SUBSCRIBE;
  static readonly SUBACK = SUBACK;
  static readonly UNSUBSCRIBE = UNSUBSCRIBE;
  static readonly UNSUBACK = UNSUBACK;
  static readonly PINGREQ = PINGREQ;
  static readonly PINGRESP = PINGRESP;
  static readonly DISCONNECT = DISCONNECT;

  target: unknown;
  readonly #options: MqttClient419Options;
  readonly #client: TcpClient;
  readonly #core: Client;
  readonly #next: NextTurn;
  /** What to tell, oldest first: a packet, why the connection ended, or that it is closed. */
  #events: (ControlMessage | Error | 'closed')[] = [];
  readonly #held: HeldMessage;
  readonly #writer: Writer;
  /** The program has been told of CONNACK. */
  #connected = false;
  /** The program is to be told of room. */
  #writableDue = false;
  /** DISCONNECT was written. */
  #saidGoodbye = false;
  #closed = false;

  /**
   * Begins to connect. Throws Error without a host, and RangeError, in one sentence, for options
   * and limits that no client can have.
   */
  constructor(options: MqttClient419Options) {
    if (!options.host) throw new Error('host required');
    this.format = options.format ?? 'buffer';
    if (options.target !== undefined) this.target = options.target;
    this.#options = options;
    this.#next = new NextTurn(options, () => this.#turn());
    this.#client = this.#makeClient(options);
    this.#core = this.#client.core;
    this.#held = new HeldMessage(this.#core);
    this.#writer = new Writer(this.#core);
    this.#client.connect();
  }

  get format(): string {
    return 'buffer';
  }

  /** Throws RangeError for another than `buffer`. */
  set format(value: string) {
    if (value !== 'buffer') throw new RangeError(`format is "${value}": it must be "buffer"`);
  }

  /**
   * The next bytes of the message that `onReadable` told, at most `count`, or as many as `target`
   * has and then their number; all that are left without either. `undefined` when none are left.
   * With the last byte the message is acknowledged, and another may come.
   */
  read(count?: number): ArrayBuffer | undefined;
  read(target: ByteBuffer): number | undefined;
  read(wanted: number | ByteBuffer = Infinity): ArrayBuffer | number | undefined {
    const held = this.#held;
    const into = typeof wanted === 'number' ? undefined : bytesOf(wanted);
    const most = into === undefined ? wanted as number : into.length;
    const count = Math.min(most, held.unreadBytes);
    if (count === 0 && most > 0) return undefined;
    const bytes = into === undefined ? new Uint8Array(count) : into.subarray(0, count);
    held.read(bytes);
    if (held.waits) this.#next.soon();
    return into === undefined ? bytes.buffer as ArrayBuffer : count;
  }

  /**
   * Writes a message, a part of one, or another packet, as `options` say; the other parts of a
   * message follow without options. Returns how many bytes of topic and payload the next message,
   * or part, may have; `onWritable` tells when it may have more. Throws Error: "overflow" for more
   * than that, "invalid" for what cannot be sent, "unknown" for another operation, "closed", "not
   * connected".
   */
  write(data: ByteBuffer | null, options?: WriteOptions): number {
    if (this.#closed || this.#saidGoodbye) throw new Error('closed');
    const operation = options?.operation ?? PUBLISH;
    const isKept = this.#options.reconnect === true && operation === PUBLISH;
    if (!this.#connected && !isKept) throw new Error('not connected');
    // The connection is lost, which `onError` is about to tell: that is no fault of who writes.
    if (this.#core.state !== CONNECTED && !isKept) return 0;
    this.#writer.write(operation, data, options);
    if (operation === DISCONNECT) return this.#disconnect();
    this.#writableDue = true;
    this.#next.soon();
    return this.#writer.room;
  }

  #disconnect(): number {
    this.#saidGoodbye = true;
    this.#core.disconnect();
    return 0;
  }

  /** Ends at once, with nothing told any more. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#end();
    if (this.#saidGoodbye) return; // what waits before DISCONNECT still goes out
    this.#core.flush();
    this.#core.disconnected();
    this.#core.disconnect();
  }

  // What comes, told in turns of our own.

  #makeClient(options: MqttClient419Options): TcpClient {
    const { socket, user, password, will, keepAlive = options.keepalive ?? 0 } = options;
    return new TcpClient({
      Timer: options.Timer,
      now: () => options.now(),
      trace: (text) => options.trace(text),
      random: () => Math.floor(Math.random() * 0x1_0000_0000),
      host: options.host,
      port: options.port ?? 1883,
      dns: options.dns,
      socket: {
        ...socket,
        io: watched(socket.io, this.#packetCame.bind(this), () => this.#next.soon()),
      },
      id: options.id ?? '',
      clean: options.clean ?? true,
      keepAlive: Math.ceil(keepAlive / 1000) * 1000,
      queueQoS0: true,
      limits: faceLimits(options.limits),
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password: textOrBytes(password) }),
      ...(will === undefined ? {} : { will: willOf(will) }),
      onMessage: (topic, payload, { QoS, retain, duplicate }) => {
        const taken = this.#held.offer(this.#core.packet, () => {
          this.#tellEvents(); // what came before
          if (this.#closed) return;
          const byteLength = payload.length;
          this.#options.onReadable?.call(this, byteLength,
            { more: false, topic, QoS, byteLength, retain, duplicate });
        });
        return taken ? undefined : false;
      },
      onDisconnected: (reason, error) => this.#lost(error ?? new Error(reasonText(reason))),
      onClosed: () => this.#tell('closed'),
    });
  }

  #tell(event: ControlMessage | Error | 'closed'): void {
    if (this.#closed) return;
    this.#events.push(event);
    this.#next.soon();
  }

  /** A packet has come, which the core sees next. */
  #packetCame(type: number, first: number, second: number, payload: Uint8Array | undefined): void {
    if (type === CONNACK) {
      if (second === ACCEPTED) this.#tell({ operation: CONNACK, returnCode: second });
    } else if (type === PINGRESP) {
      this.#tell({ operation: PINGRESP });
    } else {
      const id = this.#writer.knownId(type, first << 8 | second);
      this.#tell(payload === undefined ?
        { operation: type, id } :
        { operation: type, id, payload: [...payload] });
    }
  }

  #lost(error: Error): void {
    this.#held.forget();
    this.#tell(error);
    if (this.#options.reconnect !== true) this.#core.disconnect();
  }

  #turn(): void {
    try {
      this.#tellEvents();
      if (this.#held.waits) this.#held.goOn();
      this.#tellWritable();
    } catch (error) {
      this.#options.trace(`maisonnette: connection ended: ${error}\n`);
      this.#core.disconnected();
      if (this.#events.length > 0) this.#next.soon();
    }
  }

  #tellWritable(): void {
    if (this.#closed || !this.#connected) return;
    if (this.#writer.goOn()) this.#writableDue = true;
    const room = this.#writableDue && !this.#saidGoodbye ? this.#writer.room : 0;
    if (room === 0) return;
    this.#writableDue = false;
    this.#options.onWritable?.call(this, room);
  }

  #tellEvents(): void {
    for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
      if (event === 'closed') {
        this.#end();
        this.#options.onClose?.call(this);
      } else if (event instanceof Error) {
        this.#connected = false;
        if (this.#options.reconnect !== true) this.#end();
        this.#options.onError?.call(this, event);
      } else {
        if (event.operation === CONNACK) this.#connected = this.#writableDue = true;
        this.#options.onControl?.call(this, event);
      }
    }
  }

  /** Nothing is told any more. */
  #end(): void {
    this.#closed = true;
    this.#connected = false;
    this.#events = [];
    this.#held.forget();
  }
}

function reasonText(reason: number): string {
  switch (reason) {
    case CONNECT_TIMEOUT:
    case PING_TIMEOUT:
      return 'time out';
    case CONNECT_REFUSED:
      return 'connection rejected';
    default:
      return reason < 0 ? 'protocol error' : 'connection lost';
  }
}
