// The boards, as their XS machines see them: what memory `creation` gives, which limits hub and
// sensor have there, and what else lives in the machine. Read by boards.test.ts.

import {
  ESP32C3_LIMITS, ESP32_LIMITS, ESP32_RAISED_LIMITS, ESP8266_LIMITS,
} from '../../src/board-limits.js';
import { ESP32_CLIENT_LIMITS, ESP8266_CLIENT_LIMITS } from '../../src/client/board-limits.js';
import type { ClientLimits } from '../../src/client/limits.js';
import type { Limits } from '../../src/limits.js';

/** Bytes of a slot in an XS of 32 bits. */
export const SLOT_BYTES = 16;

/** `creation` of a manifest, in bytes: one block for all (`static`), or a size for each. */
export type Creation =
  { readonly staticBytes: number; readonly stackSlots: number } |
  { readonly chunkBytes: number; readonly heapSlots: number; readonly stackSlots: number };

export interface Board {
  readonly name: string;
  readonly creation: Creation;
  readonly hub: Readonly<Limits>;
  /** Bytes of the payload of each retained message in the full load. */
  readonly retainedPayloadBytes: number;
  readonly sensor: Readonly<ClientLimits>;
}

/**
 * What is not measured here: the program of the board, its sockets with their listener, timers and
 * callbacks. The machine itself, prepared for an ESP8266, has 28 slots and no chunk before them;
 * its tables of keys lie outside of what `creation` gives.
 */
export const PROGRAM_SLOTS = 192;
export const PROGRAM_CHUNK_BYTES = 1024;

/** What must be left of a machine, so that it collects seldom and a new connection finds room. */
export const RESERVE_BYTES = 4096;

const ESP32_CREATION: Creation = { chunkBytes: 78_848, heapSlots: 4928, stackSlots: 512 };

export const BOARDS: readonly Board[] = [
  {
    name: 'ESP8266', creation: { staticBytes: 32_768, stackSlots: 256 },
    hub: ESP8266_LIMITS, retainedPayloadBytes: 128, sensor: ESP8266_CLIENT_LIMITS,
  },
  {
    name: 'ESP32', creation: ESP32_CREATION,
    hub: ESP32_LIMITS, retainedPayloadBytes: 128, sensor: ESP32_CLIENT_LIMITS,
  },
  {
    name: 'ESP32-C3', creation: { staticBytes: 94_208, stackSlots: 384 },
    hub: ESP32C3_LIMITS, retainedPayloadBytes: 128, sensor: ESP32_CLIENT_LIMITS,
  },
  {
    name: 'ESP32, 16 clients', creation: { chunkBytes: 118_784, heapSlots: 2432, stackSlots: 512 },
    hub: ESP32_RAISED_LIMITS, retainedPayloadBytes: 128, sensor: ESP32_CLIENT_LIMITS,
  },
];
