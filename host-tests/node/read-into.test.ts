// How sockets read into the window: on this Node with the handle that moves, and, as on one without, by copies.

import t from 'tap';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { readInto } from '../../src/node/tcp.js';

t.test('with a handle: what is sent arrives in the window, and pausing leaves the rest unread', async (t) => {
  const window = new Uint8Array(16);
  let text = '';
  const done = new Promise<void>((resolve) => {
    const server = createServer({ pauseOnConnect: true }, (accepted) => {
      const socket = readInto(window, accepted, (byteCount) => {
        text += Buffer.from(window.subarray(0, byteCount)).toString();
        socket.pause();
        const length = text.length;
        setTimeout(() => {
          t.equal(text.length, length, 'nothing comes while it is paused');
          socket.resume();
        }, 5);
      });
      t.not(socket, accepted, 'another socket has the handle');
      socket.on('end', () => {
        socket.destroy();
        server.close(() => resolve());
      });
      socket.resume();
    });
    server.listen(0, '127.0.0.1', () => connect((server.address() as AddressInfo).port, '127.0.0.1')
      .end('maison/salon/temperature 21.4 et maison/cuisine/temperature 19.8'));
  });
  await done;
  t.equal(text, 'maison/salon/temperature 21.4 et maison/cuisine/temperature 19.8');
});

t.test('without a handle: the same, piece by piece', async (t) => {
  const window = new Uint8Array(16);
  const stream = new PassThrough();
  const pieces: string[] = [];
  const socket = readInto(window, stream as unknown as Socket, (byteCount) => {
    pieces.push(Buffer.from(window.subarray(0, byteCount)).toString());
    if (pieces.length === 2) stream.pause();
  });
  t.equal(socket, stream as unknown as Socket);
  stream.write('maison/salon/temperature 21.4 et maison/cuisine/temperature 19.8');
  await new Promise(setImmediate);
  t.same(pieces, ['maison/salon/tem', 'perature 21.4 et'], 'the pause falls into the middle of a chunk');
  stream.resume();
  await new Promise(setImmediate);
  t.equal(pieces.join(''), 'maison/salon/temperature 21.4 et maison/cuisine/temperature 19.8');
});
