// `npm run budget`: what hub and sensor take of the XS machine of each board, as a table.

import { MACHINE_SLOTS, SLOT_BYTES, SOCKET_SLOTS, STACK_BASE_SLOTS, type Creation } from './xs/boards.js';
import { boardFigures, heapBytes } from './xs/board-figures.js';

const HOW = `How the figures are made: the main programs run as they are, from \`creation\` and \`config\` of their
manifests, in XS compiled for 32 bits (slots of ${SLOT_BYTES} bytes), over stand-ins for the SDK's classes. XS counts the
slots and chunk bytes in use before the program starts; when the network is up and the hub is announced, or the sensor
looks for a broker; and at full load: every client connected with a will, every session, subscription and
retained message there is room for, queues full, by packets through its sockets. It collects before it counts,
so that what counts is what lives. Objects that the SDK makes in C count as they do there: ${SOCKET_SLOTS} slots for a
socket. Code and constants are made before the first count: a board has them in flash, and how many bytes
of bytecode that is, is told above. New functions are without \`length\` and \`name\`, as the linker leaves them.
Off what is left are taken ${MACHINE_SLOTS} slots, the machine before any program. The stack is the most that any call from
the platform took, and ${STACK_BASE_SLOTS} slots before. Not counted: what the SDK has outside of the machine, such as keys,
lwIP and Wi-Fi; the page of a first boot, when there are no clients. This XS is older than the SDK's, and
its arrow functions take a little more: the figures are on the safe side.`;

function machineOf(creation: Creation): string {
  const stack = `stack ${creation.stackSlots} slots`;
  return 'staticBytes' in creation ?
    `${creation.staticBytes} B, of them ${stack}` :
    `${creation.chunkBytes} B of chunks, ${creation.heapSlots} slots, ${stack}`;
}

const result = await boardFigures();
if ('missing' in result) {
  process.stderr.write(`no budget: ${result.missing}\n`);
  process.exit(1);
}
for (const { board, role, creation, made, full, bytesLeft, stackSlots, stackSlotsLeft } of result.figures) {
  if (role === 'hub') console.log(`\n${board.name}: ${machineOf(creation)}`);
  for (const [when, heap] of [['made', made], ['full', full]] as const) {
    console.log(`  ${role.padEnd(14)} ${when} ${String(heap.slots).padStart(5)} slots ` +
      `${String(heap.chunkBytes).padStart(7)} B of chunks ${String(heapBytes(heap)).padStart(7)} B in all` +
      (when === 'full' ? `, ${bytesLeft} B left; stack ${stackSlots}, ${stackSlotsLeft} left` : ''));
  }
}
const { hub, sensor } = result.codeBytes;
console.log(`\nBytecode in flash: hub ${hub} B, sensor ${sensor} B.\n\n${HOW}`);
