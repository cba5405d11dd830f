// Columns: views on one buffer that take what table-bytes.ts says, do not overlap, and hold what
// they were asked to hold. Runs on Node and on XS.

import t from 'tap';
import { Columns } from '../../src/session/columns.js';
import { cellBytes, columnBytes, indexBytes, tableBytes } from '../../src/table-bytes.js';

t.test('a cell is as narrow as its largest number allows', (t) => {
  t.same([0, 255, 256, 65_535, 65_536].map(cellBytes), [1, 1, 2, 2, 4]);
  t.same([1, 127, 128, 32_767, 32_768].map(indexBytes), [1, 1, 2, 2, 4]);
  t.same([0, 1, 4, 5].map((length) => columnBytes(length, 1)), [0, 4, 4, 8], 'in whole words');
  t.equal(tableBytes(3, 1, 2, 8), 4 + 8 + 24);
  for (const most of [255, 256, 65_535, 65_536]) {
    const column = new Columns(8).counts(2, most);
    column[1] = most;
    t.same([...column], [0, most]);
  }
  for (const rowCount of [127, 128, 32_767, 32_768]) {
    const column = new Columns(8).indices(2, rowCount);
    column[1] = rowCount - 1;
    t.same([...column], [-1, rowCount - 1]);
  }
  t.end();
});

t.test('columns stand one behind the other in one buffer, and end where it ends', (t) => {
  const columns = new Columns(tableBytes(3, 8, 4, 2, 1, 1) + tableBytes(5, 2));
  const made = [columns.float64(3), columns.int32(3), columns.uint16(3), columns.uint8(3),
    columns.unusedIndices(3, 100), columns.indices(5, 200)];
  let end = 0;
  for (const column of made) {
    t.equal(column.buffer, made[0]!.buffer);
    t.equal(column.byteOffset, end);
    end += Math.ceil(column.byteLength / 4) * 4;
  }
  t.equal(end, made[0]!.buffer.byteLength);
  t.throws(() => columns.uint8(1), 'no column beyond it');
  t.throws(() => { const late = new Columns(32); late.uint8(1); late.float64(1); }, 'eight bytes come first');
  t.end();
});
