// Packets of the load generator, encoded once before a measurement, of MQTT 3.1.1 or 5.0. Those of 5.0 have no
// properties, as those of 3.1.1.
// A batch is many PUBLISH packets of one length in one buffer, so that a burst is one write;
// between two writes only the sequence numbers change, in place.
//
//   payload, 64 bytes:   sequence (u32, big-endian) | source (u16) | filler 'x' …
//
// `source` says which publisher sent it: SequenceCheck counts per source. MARKER is the source of a
// message that only tells "all before me has been handled".

export const PAYLOAD_BYTES = 64;
export const MARKER = 0xffff;
export const MARKER_TOPIC = 'bench/marker';

/** Protocol level of MQTT 3.1.1, and of 5.0. */
export type Level = 4 | 5;

export interface Batch {
  readonly bytes: Buffer;
  readonly messageCount: number;
  readonly packetBytes: number;
  /** Where the sequence number lies in each packet. */
  readonly sequenceAt: number;
}

export interface BatchShape {
  readonly messageCount: number;
  readonly qos: number;
  /** 4 if it is not given. */
  readonly level?: Level;
  readonly retain?: boolean;
  /** Same length for every index: the packets of a batch are equally long. */
  readonly topic: (index: number) => string;
  readonly source?: (index: number) => number;
  /** Packet identifier of the first message; the others follow. Not used at QoS 0. */
  readonly firstPacketId?: number;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

function packet(first: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const header = [first];
  let rest = body.length;
  do {
    header.push((rest & 127) | (rest > 127 ? 128 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from(header), body]);
}

/** The length of properties, where there may be some: there are none. */
function properties(level: Level): Buffer {
  return Buffer.alloc(level === 5 ? 1 : 0);
}

/** Clean session, keep-alive 0: nothing but the scenario's own packets goes over the connection. */
export function connectPacket(clientId: string, level: Level = 4): Buffer {
  return packet(0x10, text('MQTT'), Buffer.from([level, 2, 0, 0]), properties(level), text(clientId));
}

export function subscribePacket(packetId: number, filters: readonly string[], qos: number, level: Level): Buffer {
  const wanted = filters.map((filter) => Buffer.concat([text(filter), Buffer.from([qos])]));
  return packet(0x82, Buffer.from([packetId >> 8, packetId & 255]), properties(level), ...wanted);
}

export function publishBatch(shape: BatchShape): Batch {
  const packets: Buffer[] = [];
  for (let index = 0; index < shape.messageCount; index++) {
    const payload = Buffer.alloc(PAYLOAD_BYTES, 'x');
    payload.writeUInt32BE(0, 0);
    payload.writeUInt16BE(shape.source?.(index) ?? 0, 4);
    const packetId = Buffer.alloc(shape.qos > 0 ? 2 : 0);
    if (shape.qos > 0) packetId.writeUInt16BE((shape.firstPacketId ?? 1) + index);
    const first = 0x30 | (shape.qos << 1) | (shape.retain ? 1 : 0);
    packets.push(packet(first, text(shape.topic(index)), packetId, properties(shape.level ?? 4), payload));
  }
  const packetBytes = packets[0]?.length ?? 0;
  if (packets.some((each) => each.length !== packetBytes)) {
    throw new Error('the packets of a batch must be equally long');
  }
  return {
    bytes: Buffer.concat(packets), messageCount: shape.messageCount, packetBytes,
    sequenceAt: packetBytes - PAYLOAD_BYTES,
  };
}

/** Writes the sequence numbers of a batch: `first`, `first + 1`, … */
export function numberBatch(batch: Batch, first: number): void {
  const { bytes, packetBytes } = batch;
  let at = batch.sequenceAt;
  const end = first + batch.messageCount;
  for (let sequence = first; sequence < end; sequence++) {
    bytes[at] = sequence >>> 24;
    bytes[at + 1] = sequence >>> 16;
    bytes[at + 2] = sequence >>> 8;
    bytes[at + 3] = sequence;
    at += packetBytes;
  }
}
