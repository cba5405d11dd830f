// The link cut at every byte of every handshake, in each direction.

import t from 'tap';
import { runCuts } from './cuts.js';

t.test('whatever byte is the last that arrives, nothing is lost and QoS 2 comes once [MQTT-4.3.3-1]', (t) => {
  const count = runCuts(1);
  t.comment(`${count} cuts`);
  t.ok(count > 1000);
  t.end();
});
