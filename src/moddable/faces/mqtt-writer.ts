// What a program of ECMA-419 writes, on its way into the core: messages whole or in parts, and the
// packets that the core does not write by itself. Made by mqtt-client-419.ts.
//
// A message in parts is laid out in the scratch of the core, where `publish` would lay it out. The
// core uses that only inside `publish`, `subscribe` and `unsubscribe`, and nobody else calls them.

import type { Client } from '../../client/client.js';
import { transmitWaiting } from '../../client/outgoing.js';
import { encodeText } from '../../client/text.js';
import {
  DISCONNECT, NONE, OK, PINGREQ, PUBACK, PUBCOMP, PUBLISH, PUBREC, QUOTA_EXCEEDED, SUBSCRIBE,
  UNSUBSCRIBE,
} from '../../wire/codes.js';
import {
  EMPTY_PACKET_BYTES, encodeEmpty, encodeField, encodeFiltersHeader, packetBytes, publishBytes,
} from '../../wire/encode.js';
import { checkTopicFilter, checkTopicName } from '../../wire/topic.js';
import {
  bytesOf, CONTROL_IDS, type ByteBuffer, type WriteOptions,
} from './mqtt-client-419-options.js';

interface Assembly {
  topic: Uint8Array;
  payload: Uint8Array;
  /** How much of the payload is there. */
  count: number;
  qos: number;
  retain: boolean;
  id: number;
}

/** Bytes of a PUBLISH beside topic and payload, at most. */
const PUBLISH_OVERHEAD = 9;
/** The most that is asked for at once of a message that is being written. */
const PART_BYTES = 4096;

export class Writer {
  readonly #core: Client;
  /** The message of which parts are missing, or which waits for room. */
  #assembly: Assembly | undefined;
  /** By row of the queue: the identifier that the program knows. */
  readonly #ids: Uint16Array;
  #lastId = 0;
  #lastControlId = 0;

  constructor(core: Client) {
    this.#core = core;
    this.#ids = new Uint16Array(core.limits.queuedMax);
  }

  /** As `MqttClient419.write`; of DISCONNECT, only whether it may come now. */
  write(operation: number, data: ByteBuffer | null, options: WriteOptions | undefined): void {
    if (this.#assembly !== undefined) this.#append(this.#assembly, data, options);
    else if (options === undefined) throw new Error('invalid');
    else if (operation === PUBLISH) this.#publish(data, options);
    else this.#control(operation, options);
    if (this.#core.waiting) transmitWaiting(this.#core);
  }

  #publish(data: ByteBuffer | null, options: WriteOptions): void {
    if (data === null) throw new Error('invalid');
    const part = bytesOf(data);
    const byteLength = options.byteLength ?? part.length;
    const topic = encodeText(options.topic ?? '');
    const qos = options.QoS ?? 0;
    if (part.length > byteLength || !(qos === 0 || qos === 1 || qos === 2) ||
        topic.length > 0xffff || checkTopicName(topic, 0, topic.length) !== OK) {
      throw new Error('invalid');
    }
    const core = this.#core;
    if (publishBytes(topic.length, byteLength, qos) > core.limits.packetBytesMax) {
      throw new Error('overflow');
    }
    const start = core.memory.scratchStart + 2 + topic.length;
    const whole = part.length === byteLength;
    const assembly = {
      topic, qos, payload: whole ? part : core.bytes.subarray(start, start + byteLength),
      count: part.length, retain: !!options.retain, id: options.id ?? this.#nextId(),
    };
    if (!whole) {
      assembly.payload.set(part);
      this.#assembly = assembly;
    } else if (!this.#transmit(assembly)) {
      throw new Error('overflow');
    }
  }

  #nextId(): number {
    return this.#lastId = this.#lastId % 0xffff + 1;
  }

  #append(assembly: Assembly, data: ByteBuffer | null, options: WriteOptions | undefined): void {
    const { payload, count } = assembly;
    if (count === payload.length) throw new Error('overflow'); // it waits for room
    if (data === null || options !== undefined || data.byteLength > payload.length - count) {
      throw new Error('invalid');
    }
    payload.set(bytesOf(data), count);
    assembly.count += data.byteLength;
    this.#complete(assembly);
  }

  /** Passes a message on that is all there, or leaves it where it is until there is room. */
  #complete(assembly: Assembly): void {
    if (assembly.count === assembly.payload.length && this.#transmit(assembly)) {
      this.#assembly = undefined;
    }
  }

  /** Passes a message on that waited for room; whether one waited. */
  goOn(): boolean {
    const assembly = this.#assembly;
    if (assembly === undefined || assembly.count < assembly.payload.length) return false;
    this.#complete(assembly);
    return true;
  }

  /** False without room. */
  #transmit({ topic, payload, qos, retain, id }: Assembly): boolean {
    const handle = this.#core.publish(topic, payload, qos, retain);
    if (handle === QUOTA_EXCEEDED) return false;
    if (handle > 0) this.#ids[handle - 1] = id;
    return true;
  }

  #control(operation: number, options: WriteOptions): void {
    const core = this.#core;
    if (core.waiting) throw new Error('overflow'); // what was written before goes first
    switch (operation) {
      case SUBSCRIBE:
      case UNSUBSCRIBE:
        this.#filters(operation, options);
        break;
      case PINGREQ:
        core.sent(encodeEmpty(core.bytes, this.#reserve(EMPTY_PACKET_BYTES), PINGREQ));
        break;
      case DISCONNECT:
        break;
      default:
        throw new Error('unknown');
    }
  }

  #reserve(byteCount: number): number {
    const at = this.#core.reserve(byteCount);
    if (at === NONE) throw new Error('overflow');
    return at;
  }

  /** One packet for all items, which the core need not know of: the program subscribes anew. */
  #filters(operation: number, { items = [], id }: WriteOptions): void {
    const core = this.#core;
    const filters = items.map(({ topic }) => encodeText(topic));
    let listBytes = 0;
    for (let i = 0; i < filters.length; i++) {
      const filter = filters[i]!;
      const qos = items[i]!.QoS ?? 0;
      if (!(qos === 0 || qos === 1 || qos === 2) || filter.length > 0xffff ||
          checkTopicFilter(filter, 0, filter.length) !== OK) {
        throw new Error('invalid');
      }
      listBytes += filter.length + (operation === SUBSCRIBE ? 3 : 2);
    }
    if (listBytes === 0) throw new Error('invalid'); // [MQTT-3.8.3-3], [MQTT-3.10.3-2]
    const start = this.#reserve(packetBytes(listBytes + 2));
    this.#lastControlId = (this.#lastControlId + 1) % CONTROL_IDS;
    let at = encodeFiltersHeader(
      core.bytes, start, operation, id ?? 0xffff - this.#lastControlId, listBytes);
    for (let i = 0; i < filters.length; i++) {
      at = encodeField(core.bytes, at, filters[i]!);
      if (operation === SUBSCRIBE) core.bytes[at++] = items[i]!.QoS ?? 0;
    }
    core.sent(at);
  }

  /** Bytes of topic and payload that the core certainly takes now, or of the part that is next. */
  get room(): number {
    const assembly = this.#assembly;
    if (assembly !== undefined) {
      return Math.min(assembly.payload.length - assembly.count, PART_BYTES);
    }
    const { limits, memory, waiting } = this.#core;
    if (waiting || memory.deliveries.freeRows === 0) return 0;
    const free = memory.queued.blocks.freeCount * limits.messageBlockBytes;
    return Math.max(0, Math.min(free, limits.packetBytesMax) - PUBLISH_OVERHEAD);
  }

  /** The identifier that the program knows for that of a packet. */
  knownId(type: number, packetId: number): number {
    if (type !== PUBACK && type !== PUBREC && type !== PUBCOMP) return packetId;
    const { deliveries } = this.#core.memory;
    const row = deliveries.find(0, packetId);
    return row === NONE ? packetId : this.#ids[deliveries.handle(row) - 1]!;
  }
}
