// The suites in XS as a microcontroller has it: slots of 16 bytes.
import { runSuites, SUITES } from './suites.js';

await runSuites(32, SUITES);
