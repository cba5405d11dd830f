// What a TcpLink takes from the core while its peer does not read.

import t from 'tap';
import { createServer, connect, type AddressInfo } from 'node:net';
import { TcpLink } from '../../src/node/tcp-link.js';

t.test('a link whose socket could not send everything takes nothing more until it has', async (t) => {
  const server = createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<import('node:net').Socket>((resolve) => server.once('connection', resolve));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const connected = new Promise((resolve) => socket.once('connect', resolve));
  const peer = await accepted;
  await connected;
  socket.on('error', () => {}); // the peer is destroyed in the end, with bytes unread
  const link = new TcpLink(socket);
  const bytes = new Uint8Array(64 * 1024);
  let written = 0;
  while (link.writableBytes > 0 && written < 1000) {
    link.write(bytes, 0, bytes.length);
    written++;
    await new Promise(setImmediate);
  }
  t.ok(written < 1000, `the kernel took ${written} writes`);
  t.ok(socket.writableLength <= 2 * bytes.length, `${socket.writableLength} bytes wait in the socket`);
  const drained = new Promise((resolve) => socket.once('drain', resolve));
  peer.resume();
  await drained;
  t.ok(link.writableBytes > 0, 'and then it takes more');
  link.close();
  t.equal(link.writableBytes, 0, 'closed, it takes nothing');
  peer.destroy();
  await new Promise((resolve) => server.close(resolve));
});
