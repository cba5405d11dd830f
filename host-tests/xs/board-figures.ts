// What hub and sensor of each board take of its XS machine, from XS itself in 32 bits. Used by
// boards.test.ts and by `npm run budget`.

import { join } from 'node:path';
import { BOARDS, PROGRAM_CHUNK_BYTES, PROGRAM_SLOTS, SLOT_BYTES, type Board } from './boards.js';
import { bundleForXs, runOnXs, xsEngine } from './engine.js';
import type { Heap } from './measure-board.js';

declare const HOST_TESTS: string;

export const ROLES = ['hub', 'sensor'] as const;
export type Role = typeof ROLES[number];

export interface Figures {
  board: Board;
  role: Role;
  made: Heap;
  full: Heap;
  /** At full load, the program's allowance taken off; of chunks or slots what is scarcer. */
  bytesLeft: number;
}

/** Figures of all boards, and the bytes of bytecode of each role; or why there are none. */
export async function boardFigures(): Promise<
  { figures: Figures[]; codeBytes: Record<Role, number> } | { missing: string }
> {
  const engine = await xsEngine(32);
  if ('missing' in engine) return engine;
  const run = async (script: string, ...args: string[]): Promise<unknown> => {
    const { status, stdout, stderr } = await runOnXs(engine.path, script, args);
    if (status !== 0) throw new Error(`${script} ${args.join(' ')}: ${stderr}`);
    return JSON.parse(stdout);
  };
  const bundle = (name: string): Promise<string> => bundleForXs(join(HOST_TESTS, 'xs', name));
  const script = await bundle('measure-board.ts');
  const figures: Figures[] = [];
  for (const board of BOARDS) {
    for (const role of ROLES) {
      const { made, full } = await run(script, board.name, role) as { made: Heap; full: Heap };
      figures.push({ board, role, made, full, bytesLeft: bytesLeft(board, full) });
    }
  }
  const codeBytes = {
    hub: await run(await bundle('code-hub.ts')) as number,
    sensor: await run(await bundle('code-sensor.ts')) as number,
  };
  return { figures, codeBytes };
}

export function heapBytes({ slots, chunkBytes }: Heap): number {
  return SLOT_BYTES * slots + chunkBytes;
}

function bytesLeft({ creation }: Board, heap: Heap): number {
  const slotBytes = SLOT_BYTES * (heap.slots + PROGRAM_SLOTS);
  const chunkBytes = heap.chunkBytes + PROGRAM_CHUNK_BYTES;
  if ('staticBytes' in creation) {
    return creation.staticBytes - SLOT_BYTES * creation.stackSlots - slotBytes - chunkBytes;
  }
  return Math.min(creation.chunkBytes - chunkBytes, SLOT_BYTES * creation.heapSlots - slotBytes);
}
