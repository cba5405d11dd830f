// As cuts.test.ts, in MQTT 5.0.

import t from 'tap';
import { runCuts } from './cuts.js';

t.test('whatever byte is the last that arrives, nothing is lost and QoS 2 comes once, 5.0 [MQTT-4.3.3-1]', (t) => {
  const count = runCuts(3, [0, 1, 2], 5);
  t.comment(`${count} cuts`);
  t.ok(count > 500);
  t.end();
});
