// Rooms as they are typed on the command line, and what becomes of them in topics.

import t from 'tap';
import { UsageError } from '../../src/node/arguments.js';
import { namedPiece, namedPieces, plainPiece } from '../../src/node/pieces.js';
import { pieceProblem } from '../../src/room/piece.js';

t.test('the plain form has no accents, spaces and capitals', async (t) => {
  const pairs: [string, string][] = [['Séjour', 'sejour'], ['Salle à manger', 'salle-a-manger'], ['Cœur', 'coeur'],
    ['Æther', 'aether'], ['Chambre d’Éloïse', 'chambre-d-eloise'], ['  salon ', 'salon'], ['a/b', 'a-b'],
    ['$SYS', 'sys'], ['Ça', 'ca'],
    ['e\u0301tage 2', 'etage-2'], ['Straße', 'strasse'], ['寝室', ''], ['', ''], ['salon', 'salon']];
  for (const [name, plain] of pairs) {
    t.equal(plainPiece(name), plain, name);
    if (plain !== '') t.equal(pieceProblem(plain), '');
  }
});

t.test('what people type becomes a level without accents, where it can', async (t) => {
  const pairs: [string, string][] = [['Séjour', 'sejour'], ['salon', 'salon'], ['Salon_2', 'Salon_2'],
    ['salle à manger', 'salle-a-manger'], ['寝室', '寝室'], ['寝室 A', '寝室 A'], ['…', '…']];
  for (const [label, piece] of pairs) t.same(namedPiece('piece', label), { label, piece });
});

t.test('several rooms, with commas between', async (t) => {
  t.same(namedPieces('pieces', 'salon, Séjour ,cuisine').map(({ piece }) => piece), ['salon', 'sejour', 'cuisine']);
  const refused: [string, RegExp][] = [['', /empty/], ['salon,', /empty/], ['salon,a/b', /"a\/b".*try a-b$/],
    ['$x', /"\$".*try x$/], ['salon,+', /"\+"/], ['a\u001b', /control/],
    ['sejour,salon,Séjour', /sejour and Séjour.*maison\/sejour/], ['a,a', /a and a/]];
  for (const [typed, words] of refused) {
    try {
      namedPieces('pieces', typed);
      t.fail(`${JSON.stringify(typed)} is refused`);
    } catch (error) {
      t.ok(error instanceof UsageError);
      t.match((error as Error).message, words, JSON.stringify(typed));
    }
  }
});
