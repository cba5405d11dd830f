// A program that does nothing but use a TcpClient as its first argument says; tcp-client.test.ts watches that it ends
// by itself when it should. The second argument is the port.

import { TcpClient } from '../../src/node/tcp-client.js';

const [use, port] = process.argv.slice(2);

const client = new TcpClient({
  host: '127.0.0.1', port: Number(port), limits: { reconnectFirstMs: 20, reconnectMaxMs: 20 },
  onConnected: () => client.close(),
  onDisconnected: () => {
    console.log('disconnected');
    if (use === 'give up') client.close();
  },
  onClosed: (complete) => console.log(complete ? 'closed' : 'closed incomplete'),
});

if (use !== 'construct') client.connect();
if (use === 'close at once') client.close();
