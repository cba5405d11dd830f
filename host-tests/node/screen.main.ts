// Takes the screen and then fails, or exits, as its argument says: terminal.test.ts runs it in a pseudo-terminal.

import { Screen } from '../../src/node/screen.js';

new Screen(process.stdout, () => ['taken']);
setTimeout(() => {
  if (process.argv[2] === 'exit') process.exit(3);
  throw new Error('what went wrong');
}, 300);
