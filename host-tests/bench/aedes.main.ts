// The broker aedes with its default options on a plain TCP server: what `bench` compares with.
// Usage: node aedes.main.js PORT

import { createServer } from 'node:net';
import { Aedes } from 'aedes';

const broker = await Aedes.createBroker();
createServer({ noDelay: true }, broker.handle).listen(Number(process.argv[2]), '127.0.0.1');
