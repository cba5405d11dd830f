// Rooms as people name them on the command line, and as levels of topics: there by default without
// accents, so that a topic can be typed on every keyboard. Called by the room and sensor commands.

import { pieceProblem } from '../room/piece.js';
import { UsageError } from './arguments.js';

export interface NamedPiece {
  /** As it was typed: `Séjour`. */
  label: string;
  /** As it stands in topics: `sejour`. */
  piece: string;
}

/** One room. Throws UsageError, naming `--option`, and with a form that would do. */
export function namedPiece(option: string, typed: string): NamedPiece {
  const label = typed.trim();
  const problem = pieceProblem(label);
  if (problem === '') return { label, piece: pieceOf(label) };
  const plain = plainPiece(label);
  throw new UsageError(`--${option} has a room named ${JSON.stringify(label)}: ${problem}` +
    `${plain === '' ? '' : `; try ${plain}`}`);
}

/** Rooms with commas between. Throws UsageError as `namedPiece` does, and when two are the same. */
export function namedPieces(option: string, typed: string): NamedPiece[] {
  const rooms = typed.split(',').map((name) => namedPiece(option, name));
  rooms.forEach(({ piece, label }, index) => {
    const first = rooms.findIndex((room) => room.piece === piece);
    if (first === index) return;
    throw new UsageError(`--${option} has ${rooms[first]!.label} and ${label}: ` +
      `both would publish on maison/${piece}`);
  });
  return rooms;
}

/**
 * The form of a name without accents, spaces and capital letters: `Séjour` → `sejour`, `Salle à
 * manger` → `salle-a-manger`. '' where nothing of it is Latin.
 */
export function plainPiece(name: string): string {
  return withoutAccents(name).replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '');
}

/**
 * The level for a valid name: the name itself if it is printable ASCII without spaces, else its
 * plain form, unless that would lose letters of another script.
 */
function pieceOf(name: string): string {
  if (/^[\x21-\x7e]+$/.test(name)) return name;
  const latin = /^[\p{ASCII}\p{Punctuation}\p{Separator}]+$/u.test(withoutAccents(name));
  return latin ? plainPiece(name) || name : name;
}

function withoutAccents(name: string): string {
  return name.normalize('NFD').toLowerCase()
    .replaceAll('œ', 'oe').replaceAll('æ', 'ae').replaceAll('ß', 'ss')
    .replace(/\p{Mark}/gu, '');
}
