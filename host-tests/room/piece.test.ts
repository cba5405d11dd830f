// Names of rooms as levels of topics. Runs on Node and on XS.

import t from 'tap';
import { pieceProblem } from '../../src/room/piece.js';

t.test('a room is one level of a topic, in any script', (t) => {
  for (const piece of ['salon', 'Salon', 'chambre-2', 'salle de bain', 'séjour', '寝室', 'a$', '.',
    'é'.repeat(64)]) {
    t.equal(pieceProblem(piece), '', piece);
  }
  for (const piece of ['', 'a/b', '/', '+', '#', 'a+', 'a#b', '$SYS', '$', 'a\u0000', 'a\nb', '\u001b[31m', 'a\u0085',
    '\u007f', '\ud800', 'a\udc00b', 'x'.repeat(65)]) {
    t.not(pieceProblem(piece), '', JSON.stringify(piece));
  }
  t.end();
});
