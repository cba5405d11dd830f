// Runs in XS, once for each board and each role: starts the program of the board, hub-main.ts or sensor-main.ts, as it
// is, and prints as JSON what slots and chunk bytes live on in the machine when it waits for clients or looks for a
// broker, and at full load. Code and constants are made before: on a device they are in flash. Started by
// board-figures.ts; its arguments are the configuration of the board, the role, and the bytes of each retained message.
import { board, call, config, TCP } from './bare-sdk.js';
import { Hub } from '../../src/moddable/hub.js';
import startHub from '../../src/moddable/hub-main.js';
import { Sensor } from '../../src/moddable/sensor.js';
import startSensor from '../../src/moddable/sensor-main.js';
import { hubLimits } from '../../src/moddable/settings.js';
import { fillHub, fillSensor, networkComes } from './full-load.js';

export interface Heap {
  slots: number;
  chunkBytes: number;
}

export interface Measured {
  made: Heap;
  full: Heap;
  /** The most that one call of a callback takes of the stack. */
  stackSlots: number;
}

let program: Hub | Sensor | undefined;
for (const { prototype } of [Hub, Sensor]) {
  const start = prototype.start;
  prototype.start = function (this: Hub & Sensor) {
    program = this;
    start.call(this);
  };
}

const before = { slots: 0, chunkBytes: 0 };
const made = { slots: 0, chunkBytes: 0 };
const full = { slots: 0, chunkBytes: 0 };

/** What lives now and did not before. */
function count(into: Heap): void {
  xs.collect();
  into.slots = xs.slots() - before.slots;
  into.chunkBytes = xs.chunkBytes() - before.chunkBytes;
}

const [, role, retainedPayloadBytes] = xs.args;
const start = role === 'sensor' ? startSensor : startHub;
xs.stripFunctions();
call(() => {}, undefined);
const callSlots = board.stackSlots; // by `call` itself, and by a function that does nothing
count(before);
call(start, undefined);
networkComes();
count(made);
if (program instanceof Hub) fillHub(program, hubLimits(config), Number(retainedPayloadBytes));
else fillSensor(program!);
TCP.forget();
count(full);
xs.print(JSON.stringify({ made, full, stackSlots: board.stackSlots - callSlots }));
