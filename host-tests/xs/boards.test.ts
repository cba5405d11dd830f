// Hub and sensor of every board inside the memory of its XS machine, at full load and with a reserve
// to spare; and working takes nothing that making did not.

import t from 'tap';
import { RESERVE_BYTES } from './boards.js';
import { boardFigures } from './board-figures.js';

const result = await boardFigures();
if ('missing' in result) {
  process.stderr.write(`not run: the budget of the boards: ${result.missing}\n`);
  t.pass('the budget of the boards', { skip: result.missing });
} else {
  for (const { board, role, made, full, bytesLeft } of result.figures) {
    const title = `${board.name}, ${role}`;
    t.ok(bytesLeft >= RESERVE_BYTES, `${title}: ${bytesLeft} bytes left at full load, at least ${RESERVE_BYTES}`);
    t.same(full, made, `${title}: full load takes no slot and no chunk byte more`);
  }
  t.ok(Math.min(...Object.values(result.codeBytes)) > 10_000, 'there is code');
}
