// Names of rooms: `<piece>`, one level of a topic. Called where a name comes in.

/** What is wrong with `piece` as a level of a topic, as the end of a sentence; '' if nothing is. */
export function pieceProblem(piece: string): string {
  if (piece === '') return 'it is empty';
  if (/[/+#]/.test(piece)) return 'a room has no "/", "+" or "#"';
  if (piece[0] === '$') return 'a room does not begin with "$"';
  if (piece.length > PIECE_LENGTH_MAX) return `a room has at most ${PIECE_LENGTH_MAX} characters`;
  if (/[\u0000-\u001f\u007f-\u009f]/.test(piece)) return 'a room has no control characters';
  return /[\ud800-\udfff]/u.test(piece) ? 'it is not Unicode' : '';
}

const PIECE_LENGTH_MAX = 64;
