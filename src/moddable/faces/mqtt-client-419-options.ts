// What programs for the MQTT client of ECMA-419 give and get, and how our client sees that.
// Imported by mqtt-client-419.ts and by programs.

import { clientLimits, type ClientLimits } from '../../client/limits.js';
import type { WillOptions } from '../../client/mqtt-client.js';
import type { ResolverConstructor, SystemIo, TcpSocketConstructor } from '../io.js';
import type { MqttClient419 } from './mqtt-client-419.js';

/** Bytes as programs give them. */
export type ByteBuffer = ArrayBuffer | ArrayBufferView;

export interface ReadableOptions {
  /** Always false: a message is told when all of it is there. */
  more: false;
  topic: string;
  QoS: number;
  byteLength: number;
  retain: boolean;
  duplicate: boolean;
}

export interface ControlMessage {
  /** One of the operation codes: all that a broker sends but PUBLISH. */
  operation: number;
  /** The packet identifier, where it has one: the one given to `write`, if it was given one. */
  id?: number;
  /** CONNACK; 0, since any other is an error. */
  returnCode?: number;
  /** SUBACK: for each item the granted QoS, or 0x80. */
  payload?: number[];
}

export interface WriteOptions {
  /** Default PUBLISH. */
  operation?: number;
  /** 1 to 65,535, that `onControl` tells again; default one of its own. */
  id?: number;
  /** PUBLISH. */
  topic?: string;
  QoS?: number;
  retain?: boolean | number;
  /** Bytes of the payload; those that `data` does not have yet follow by more calls. */
  byteLength?: number;
  /** SUBSCRIBE and UNSUBSCRIBE. */
  items?: readonly { topic: string; QoS?: number }[];
}

export interface Will419 {
  topic: string;
  message: string | ByteBuffer;
  QoS?: number;
  retain?: boolean | number;
}

export interface MqttClient419Options extends SystemIo {
  host: string;
  /** Default 1883. */
  port?: number;
  /** Default empty: the broker chooses one. */
  id?: string;
  user?: string;
  password?: string | ByteBuffer;
  /** Default true. */
  clean?: boolean;
  /** Milliseconds; default 0, none. `keepalive` is the older name of the same. */
  keepAlive?: number;
  keepalive?: number;
  will?: Will419;
  /** The socket class, and what else goes to its constructor. */
  socket: { io: TcpSocketConstructor };
  /** The resolver class, and what else goes to its constructor. */
  dns: { io: ResolverConstructor };
  /** `buffer` is the only one. */
  format?: string;
  target?: unknown;

  onReadable?(this: MqttClient419, count: number, options: ReadableOptions): void;
  onWritable?(this: MqttClient419, count: number): void;
  onControl?(this: MqttClient419, message: ControlMessage): void;
  onClose?(this: MqttClient419): void;
  onError?(this: MqttClient419, error: Error): void;

  // Not of ECMA-419, and beside what every class of ours is given: Timer, now and trace.

  /** Whether it opens another connection when one is lost; default false. */
  reconnect?: boolean;
  /** Default as `faceLimits` says. */
  limits?: Partial<ClientLimits>;
}

/** Identifiers that SUBSCRIBE and UNSUBSCRIBE take by turns; PUBLISH takes the others. */
export const CONTROL_IDS = 16;

/**
 * Limits of a client whose users write and read messages of 16 KiB, as those of the SDK do: about
 * 70 KB. A program with smaller messages lowers `packetBytesMax`, and the rest follows. Throws
 * RangeError as `checkClientLimits` does.
 */
export function faceLimits(given: Partial<ClientLimits> = {}): ClientLimits {
  const packetBytesMax = given.packetBytesMax ?? 16 * 1024 + 128;
  return clientLimits({
    packetBytesMax,
    stagingBytes: 512,
    inboxBytes: packetBytesMax,
    outboxBytes: packetBytesMax + 64,
    acknowledgementBytes: 64,
    subscriptionsMax: CONTROL_IDS,
    filterBytes: 32,
    queuedMax: 16,
    queueBytes: packetBytesMax + 1024,
    inflightMax: 16,
    receiveMax: 16,
    connectTimeoutMs: 30_000,
    ...given,
  });
}

/** Views the same bytes. */
export function bytesOf(data: ByteBuffer): Uint8Array {
  return ArrayBuffer.isView(data) ?
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength) :
    new Uint8Array(data);
}

/** As our client wants it. */
export function willOf({ topic, message, QoS = 0, retain = false }: Will419): WillOptions {
  return { topic, message: textOrBytes(message), QoS, retain: !!retain };
}

export function textOrBytes(value: string | ByteBuffer): string | Uint8Array {
  return typeof value === 'string' ? value : bytesOf(value);
}
