// `npm run budget`: what hub and sensor take of the XS machine of each board, as a table.

import { PROGRAM_CHUNK_BYTES, PROGRAM_SLOTS, SLOT_BYTES, type Board } from './xs/boards.js';
import { boardFigures, heapBytes } from './xs/board-figures.js';

const HOW = `How the figures are made: XS, compiled for 32 bits (slots of ${SLOT_BYTES} bytes), counts the slots and chunk
bytes in use before hub or sensor is made, after that, and at full load: every client connected with a
will, every session, subscription and retained message there is room for, queues full, by packets through
links that take everything. It collects before it counts, so that what counts is what lives. Code and
constants are made before the first count: a board has them in flash, and how many bytes of bytecode
that is, is told above. Off what is left are taken ${PROGRAM_SLOTS} slots and ${PROGRAM_CHUNK_BYTES} bytes of chunks for what
is not measured: the machine before any program (28 slots), the program of the board, its sockets.`;

function machineOf({ creation }: Board): string {
  const stack = SLOT_BYTES * creation.stackSlots;
  return 'staticBytes' in creation ?
    `${creation.staticBytes} B, ${stack} of them stack` :
    `${creation.chunkBytes} B of chunks, ${creation.heapSlots} slots, stack ${stack} B`;
}

const result = await boardFigures();
if ('missing' in result) {
  process.stderr.write(`no budget: ${result.missing}\n`);
  process.exit(1);
}
for (const { board, role, made, full, bytesLeft } of result.figures) {
  if (role === 'hub') console.log(`\n${board.name}: ${machineOf(board)}`);
  for (const [when, heap] of [['made', made], ['full', full]] as const) {
    console.log(`  ${role.padEnd(6)} ${when} ${String(heap.slots).padStart(5)} slots ` +
      `${String(heap.chunkBytes).padStart(7)} B of chunks ${String(heapBytes(heap)).padStart(7)} B in all` +
      (when === 'full' ? `, ${bytesLeft} B left` : ''));
  }
}
const { hub, sensor } = result.codeBytes;
console.log(`\nBytecode in flash: hub ${hub} B, sensor ${sensor} B.\n\n${HOW}`);
