// The codec alone, in one process: ours and mqtt-packet encode and decode the same PUBLISH by
// turns. CPU nanoseconds (garbage collection included) and heap bytes per packet, medians over the
// rounds. The heap figure needs --expose-gc. Run by `bench`, which reads the JSON that goes to
// standard output.
// Usage: node --expose-gc codec.main.js [ROUNDS]

import mqttPacket from 'mqtt-packet';
import { OK } from '../../src/wire/codes.js';
import { decode } from '../../src/wire/decode.js';
import { encodePublish } from '../../src/wire/encode.js';
import { frame } from '../../src/wire/frame.js';
import { Packet } from '../../src/wire/packet.js';
import { TopicLevels } from '../../src/wire/topic.js';
import { median } from './median.js';

const TOPIC = 'maison/salon/temperature';
const PAYLOAD = Buffer.from('21.4 ');

interface Codec {
  readonly name: string;
  /**
   * Both do their work `count` times and return a sum of lengths, so that nothing can be left out.
   */
  readonly generate: (count: number) => number;
  readonly parse: (count: number) => number;
}

export interface CodecFigures {
  readonly name: string;
  readonly generateNanos: number;
  readonly generateBytes: number;
  readonly parseNanos: number;
  readonly parseBytes: number;
}

/** QoS 0, no properties: what mqtt-packet generates, so that both codecs handle the same bytes. */
const ENCODED: Buffer = mqttPacket.generate({
  cmd: 'publish', topic: TOPIC, payload: PAYLOAD, qos: 0, retain: false, dup: false,
});

/** The codec of src/wire, as the broker uses it: everything in one array, levels of the topic recorded. */
function ourCodec(): Codec {
  const bytes = new Uint8Array(256);
  const packet = new Packet(new TopicLevels(16));
  packet.protocolLevel = 4;
  bytes.set(ENCODED);
  const end = ENCODED.length;
  const topicEnd = 4 + TOPIC.length;
  return {
    name: 'maisonnette',
    generate: (count) => {
      let size = 0;
      for (let index = 0; index < count; index++) {
        size += encodePublish(bytes, 128, 0, 0, 4, topicEnd, topicEnd, end) - 128;
      }
      return size;
    },
    parse: (count) => {
      let size = 0;
      for (let index = 0; index < count; index++) {
        if (frame(bytes, 0, end, 256, packet) !== end || decode(bytes, packet) !== OK) return NaN;
        size += packet.topicEnd - packet.topicStart + packet.payloadEnd - packet.payloadStart;
      }
      return size;
    },
  };
}

function theirCodec(): Codec {
  const packet = {
    cmd: 'publish', topic: TOPIC, payload: PAYLOAD, qos: 0, retain: false, dup: false,
  } as const;
  let parsedBytes = 0;
  const parser = mqttPacket.parser();
  parser.on('packet', (parsed) => {
    if (parsed.cmd === 'publish') parsedBytes += parsed.topic.length + parsed.payload.length;
  });
  return {
    name: 'mqtt-packet',
    generate: (count) => {
      let bytes = 0;
      for (let index = 0; index < count; index++) bytes += mqttPacket.generate(packet).length;
      return bytes;
    },
    parse: (count) => {
      parsedBytes = 0;
      for (let index = 0; index < count; index++) parser.parse(ENCODED);
      return parsedBytes;
    },
  };
}

const SLICE_MS = 60;
/**
 * Below what fills the young generation, so that no collection falls between the two looks at the
 * heap.
 */
const HEAP_COUNT = 1_000;

function nanosEach(work: (count: number) => number, bytesEach: number): number {
  let done = 0;
  let count = 1_000;
  const start = process.cpuUsage();
  const endMs = performance.now() + SLICE_MS;
  while (performance.now() < endMs) {
    if (work(count) !== count * bytesEach) throw new Error('the codec lost something');
    done += count;
    count = Math.min(count * 2, 16_000);
  }
  const { user, system } = process.cpuUsage(start);
  return (user + system) * 1_000 / done;
}

function heapBytesEach(work: (count: number) => number): number {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  work(HEAP_COUNT);
  // What memoryUsage itself allocates is the same with no work at all.
  const after = process.memoryUsage().heapUsed;
  globalThis.gc?.();
  const emptyBefore = process.memoryUsage().heapUsed;
  const emptyAfter = process.memoryUsage().heapUsed;
  return (after - before - (emptyAfter - emptyBefore)) / HEAP_COUNT;
}

function measure(codec: Codec): CodecFigures {
  return {
    name: codec.name,
    generateNanos: nanosEach(codec.generate, ENCODED.length),
    generateBytes: heapBytesEach(codec.generate),
    parseNanos: nanosEach(codec.parse, TOPIC.length + PAYLOAD.length),
    parseBytes: heapBytesEach(codec.parse),
  };
}

const rounds = Number(process.argv[2] ?? 5);
const codecs = [ourCodec(), theirCodec()];
for (const codec of codecs) measure(codec);
const results = codecs.map(() => [] as CodecFigures[]);
for (let round = 0; round < rounds; round++) {
  codecs.forEach((codec, index) => results[index]!.push(measure(codec)));
}
const summary: CodecFigures[] = codecs.map((codec, index) => {
  const middle = (pick: (each: CodecFigures) => number) => median(results[index]!.map(pick)) ?? 0;
  return {
    name: codec.name,
    generateNanos: middle((each) => each.generateNanos),
    generateBytes: middle((each) => each.generateBytes),
    parseNanos: middle((each) => each.parseNanos),
    parseBytes: middle((each) => each.parseBytes),
  };
});
process.stdout.write(`${JSON.stringify(summary)}\n`);
