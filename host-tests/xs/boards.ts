// The boards, as their manifests have them: what memory `creation` gives the XS machine, and, by the name in `config`,
// which limits hub and sensor have there. Read by boards.test.ts and board-figures.ts.
import type { ClientLimits } from '../../src/client/limits.js';
import type { Limits } from '../../src/limits.js';
import { hubLimits, sensorLimits } from '../../src/moddable/settings.js';
import { settingsOf } from './manifests.js';

/** Bytes of a slot in an XS of 32 bits. */
export const SLOT_BYTES = 16;

/** `creation` of a manifest: one block for all, in bytes, or a size for each. */
export type Creation =
  { readonly staticBytes: number; readonly stackSlots: number } |
  { readonly chunkBytes: number; readonly heapSlots: number; readonly stackSlots: number };

export interface Board {
  readonly name: string;
  /** Of the hub's manifest, and for which platform of mcconfig. */
  readonly folder: string;
  readonly platform: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly creation: Creation;
  readonly hub: Readonly<Limits>;
  readonly sensor: Readonly<ClientLimits>;
}

/** Bytes of the payload of each retained message in the full load. */
export const RETAINED_PAYLOAD_BYTES = 128;

/** The machine before any program, on an ESP8266; its tables of keys lie outside of what `creation` gives. */
export const MACHINE_SLOTS = 28;

/**
 * A socket of the SDK in the machine (modules/io/socket/lwip/tcp.c): an instance, a slot for the data of C, where it
 * keeps its callbacks too, and its `target`. bare-sdk.ts has it of the same size.
 */
export const SOCKET_SLOTS = 3;

/** The stack before any call: what the machine itself keeps there, and what a call from C takes. */
export const STACK_BASE_SLOTS = 22;

/** What must be left of a machine, for what lives but a moment, and so that it collects seldom. */
export const RESERVE_BYTES = 4096;

export const BOARDS: readonly Board[] = [
  board('ESP8266', '.', 'esp'),
  board('ESP32', '.', 'esp32'),
  board('ESP32-C3', '.', 'esp32/esp32c3'),
  board('ESP32, 16 clients', 'boards/esp32-16-clients', 'esp32'),
];

function board(name: string, folder: string, platform: string): Board {
  const { config, creation } = settingsOf(folder, platform);
  return {
    name, folder, platform, config,
    creation: creationOf(creation), hub: hubLimits(config), sensor: sensorLimits(config),
  };
}

/** `static` unless 0 is all there is; otherwise chunks and slots must be fixed, so that this is all there is. */
export function creationOf(creation: Readonly<Record<string, unknown>>): Creation {
  const { static: staticBytes, stack: stackSlots, chunk, heap } = creation as {
    static: number; stack: number; chunk: { initial: number; incremental: number };
    heap: { initial: number; incremental: number };
  };
  if (staticBytes > 0) return { staticBytes, stackSlots };
  if (chunk.incremental !== 0 || heap.incremental !== 0) throw new Error('this machine has no size');
  return { chunkBytes: chunk.initial, heapSlots: heap.initial, stackSlots };
}
