// Packets of several MiB, larger than what the kernel takes at once, from one of our clients through the broker to
// another: nothing waits for a sign that does not come.

import t from 'tap';
import { BROKER, Child, run, startBroker } from './children.js';

const PACKET_BYTES = 8 * 1024 * 1024;

for (const qos of ['0', '1', '2']) {
  t.test(`QoS ${qos}`, async (t) => {
    const { port } = await startBroker(t, '--max-packet', String(PACKET_BYTES), '--max-clients', '4');
    const at = ['-h', '127.0.0.1', '-p', String(port), '-t', 'large', '-q', qos];
    const sub = new Child(t, process.execPath, [BROKER, 'sub', ...at, '-C', '2', '-F', 'took %l']);
    const ready = new Child(t, process.execPath,
      [BROKER, 'sub', '-h', '127.0.0.1', '-p', String(port), '-t', '$SYS/broker/subscriptions/count', '-C', '1', '-v']);
    await ready.end();
    const payload = 'x'.repeat(PACKET_BYTES - 100);
    t.match(await run(t, process.execPath, [BROKER, 'pub', ...at, '-s'], payload), { code: 0, stderr: '' });
    t.match(await run(t, process.execPath, [BROKER, 'pub', ...at, '-m', 'y']), { code: 0, stderr: '' });
    const { code, stdout } = await sub.end();
    t.match({ code, stdout }, { code: 0, stdout: `took ${payload.length}\ntook 1\n` });
  });
}
