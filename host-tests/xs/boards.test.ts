// Hub and sensor of every board inside the memory of its XS machine, at full load and with a reserve to spare; and
// working takes nothing that making did not, but for the sockets.
import t from 'tap';
import { RESERVE_BYTES, SOCKET_SLOTS } from './boards.js';
import { boardFigures } from './board-figures.js';

/** An ESP8266 is a hub or a sensor: the README promises no more. */
const NOT_PROMISED = 'ESP8266, hub with DHT22';

const result = await boardFigures();
if ('missing' in result) {
  process.stderr.write(`not run: the budget of the boards: ${result.missing}\n`);
  t.pass('the budget of the boards', { skip: result.missing });
} else {
  for (const { board, role, made, full, bytesLeft, stackSlotsLeft } of result.figures) {
    const title = `${board.name}, ${role}`;
    if (title !== NOT_PROMISED) {
      t.ok(bytesLeft >= RESERVE_BYTES, `${title}: ${bytesLeft} bytes left at full load, at least ${RESERVE_BYTES}`);
    }
    t.ok(stackSlotsLeft >= 0, `${title}: ${stackSlotsLeft} slots left of the stack`);
    if (role === 'sensor') continue;
    const sockets = { slots: SOCKET_SLOTS * board.hub.clientsMax, chunkBytes: 0 };
    t.same({ slots: full.slots - made.slots, chunkBytes: full.chunkBytes - made.chunkBytes }, sockets,
      `${title}: full load takes the sockets of its clients, and no slot and no chunk byte more`);
  }
  t.ok(Math.min(...Object.values(result.codeBytes)) > 10_000, 'there is code');
}
