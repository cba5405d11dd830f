// The suites in XS as this computer has it, as far as the width can matter.
import { runSuites, SUITES_64 } from './suites.js';

await runSuites(64, SUITES_64);
