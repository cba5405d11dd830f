// The modules of a hub as one script, for the size of its bytecode; prints it. Run in XS by
// board-figures.ts.
import { Broker } from '../../src/broker/broker.js';
import './measure.js';

xs.onEnd = () => xs.print(String(typeof Broker === 'function' ? xs.codeBytes() : 0));
