// What hub and sensor of each board take of its XS machine, from XS itself in 32 bits. Used by boards.test.ts and by
// `npm run budget`.
import { join } from 'node:path';
import {
  BOARDS, creationOf, MACHINE_SLOTS, RETAINED_PAYLOAD_BYTES, SLOT_BYTES, STACK_BASE_SLOTS, type Board, type Creation,
} from './boards.js';
import { bundleForXs, runOnXs, xsEngine } from './engine.js';
import { settingsOf } from './manifests.js';
import type { Heap, Measured } from './measure-board.js';

declare const HOST_TESTS: string;

export const ROLES = ['hub', 'hub with DHT22', 'sensor'] as const;
export type Role = typeof ROLES[number];

export interface Figures extends Measured {
  board: Board;
  role: Role;
  creation: Creation;
  /** At the most of both times; of chunks or slots what is scarcer. */
  bytesLeft: number;
  stackSlotsLeft: number;
}

/** As mcconfig's command line has it: longer than most. */
const NETWORK = { ssid: 'Maison de Monsieur Hulot', password: 'correct horse battery staple' };

/** Figures of all boards, and the bytes of bytecode of each program; or why there are none. */
export async function boardFigures(): Promise<
  { figures: Figures[]; codeBytes: Record<'hub' | 'sensor', number> } | { missing: string }
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
      if (role === 'sensor' && board.folder !== '.') continue; // any ESP32 is its sensor
      const { config, creation } =
        settingsOf(role === 'sensor' ? 'boards/sensor' : board.folder, board.platform);
      const settings = { ...config, ...NETWORK, ...role === 'hub' ? {} : { piece: 'chambre-des-enfants' } };
      const measured = await run(script, JSON.stringify(settings), role, String(RETAINED_PAYLOAD_BYTES)) as Measured;
      const machine = creationOf(creation);
      figures.push({
        board, role, creation: machine, ...measured,
        bytesLeft: Math.min(bytesLeft(machine, measured.made), bytesLeft(machine, measured.full)),
        stackSlotsLeft: machine.stackSlots - STACK_BASE_SLOTS - measured.stackSlots,
      });
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

function bytesLeft(creation: Creation, { slots, chunkBytes }: Heap): number {
  const slotBytes = SLOT_BYTES * (slots + MACHINE_SLOTS);
  if ('staticBytes' in creation) {
    return creation.staticBytes - SLOT_BYTES * creation.stackSlots - slotBytes - chunkBytes;
  }
  return Math.min(creation.chunkBytes - chunkBytes, SLOT_BYTES * creation.heapSlots - slotBytes);
}
