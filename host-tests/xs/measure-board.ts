// Runs in XS, once for each board and each of `hub` and `sensor`, named by its arguments: prints as
// JSON what slots and chunk bytes it lives on when it is made, and at full load. Code and constants
// are made before: on a device they are in flash. Started by board-figures.ts.

import { BOARDS } from './boards.js';
import { Hub, Sensor, SinkLink } from './full-load.js';
import './measure.js';

export interface Heap {
  slots: number;
  chunkBytes: number;
}

/** What lives on after `make`, and after `fill`. */
function measureHeap<Made>(make: () => Made, fill: (made: Made) => void): { made: Heap; full: Heap } {
  xs.collect();
  const slots = xs.slots();
  const chunkBytes = xs.chunkBytes();
  const subject = make();
  xs.collect();
  const made = { slots: xs.slots() - slots, chunkBytes: xs.chunkBytes() - chunkBytes };
  fill(subject);
  xs.collect();
  // Less what `made` itself takes: an object of two properties.
  const full = { slots: xs.slots() - slots - 3, chunkBytes: xs.chunkBytes() - chunkBytes };
  return { made, full };
}

const board = BOARDS.find(({ name }) => name === xs.args[0])!;
/** The sockets' links are no part of the hub. */
const links = Array.from({ length: board.hub.clientsMax }, () => new SinkLink());
xs.print(JSON.stringify(xs.args[1] === 'hub' ?
  measureHeap(() => new Hub(board.hub, links), (hub) => hub.fill(board.retainedPayloadBytes)) :
  measureHeap(() => new Sensor(board.sensor, links[0]!), (sensor) => sensor.fill())));
