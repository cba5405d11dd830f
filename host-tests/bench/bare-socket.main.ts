// The least that a Node process can spend on an MQTT connection: a `net` socket that answers the
// first bytes with CONNACK and then keeps still. `bench` subtracts its memory from that of the
// brokers on Node.
// Usage: node bare-socket.main.js PORT

import { createServer } from 'node:net';

const connack = Uint8Array.of(0x20, 2, 0, 0);

createServer((socket) => {
  socket.once('data', () => socket.write(connack));
  socket.on('error', () => socket.destroy());
}).listen(Number(process.argv[2]), '127.0.0.1');
