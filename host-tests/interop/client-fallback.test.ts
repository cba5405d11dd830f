// TcpClient in MQTT 5.0 at brokers that know no more than 3.1.1: aedes, and servers that say so in either form.

import t from 'tap';
import { StubServer } from '../node/stub-server.js';
import { WatchedClient, type WatchedOptions } from '../node/watched-client.js';
import { packet } from '../support/packets.js';
import { Aedes } from './mosquitto-broker.js';

const V5: WatchedOptions = { protocolLevel: 5 };

t.test('falls back to 3.1.1, only if it is told to', async (t) => {
  const aedes = await Aedes.open(t);
  // What brokers say to a level that they do not know: in the form of 3.1.1 [MQTT-3.1.2-2], or in that of 5.0.
  const stubs = await Promise.all([Uint8Array.of(0, 1), Uint8Array.of(0, 0x84, 0)].map((answer) =>
    StubServer.open(t, (connection) => {
      void connection.packet(/^CONNECT/).then((connect) => {
        connection.send(packet(0x20, connect.includes('{') ? answer : Uint8Array.of(0, 0)));
      });
    })));
  for (const { port } of [aedes, ...stubs]) {
    const strict = new WatchedClient(t, port, { ...V5, fallback: false });
    strict.client.connect();
    await strict.event(/^refused (1|132)$/);
    await strict.close();
    const flexible = await WatchedClient.open(t, port, { ...V5, fallback: true });
    t.equal(flexible.client.protocolLevel, 4);
  }
  const watched = await WatchedClient.open(t, aedes.port, { ...V5, fallback: true, id: 'flexible' });
  await watched.subscribe('maison/#', 2);
  for (const QoS of [1, 2]) {
    watched.client.publish('maison/a', `${QoS}`, { QoS, properties: { contentType: 'text/plain' } });
    await watched.event(new RegExp(`^message q${QoS} maison/a ${QoS}$`));
  }
});
