// Logins from a password file: both forms of Mosquitto's, over TCP with MQTT.js and in the core's hook.

import t from 'tap';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { connect } from '../support/packets.js';
import { connected, makeBroker, Peer } from '../support/peer.js';
import { PasswordFile } from '../../src/node/passwords.js';
import { BROKER, run, startBroker } from './children.js';

/** Written by mosquitto_passwd 2.0.11: `marie` with `secret`, `jean` with `bonjour` in the older form. */
const FILE = `# la maison
marie:$7$101$rftzN8UwRd2tJ3HS$pAKvQfEtf1DTFDei/RW5PFZZh0gq+Q+vlGjXvfF4KWDbWCq6VAs8EfYrm+n06E4hK8zM8R+ffRiB6iFcUicNWg==

jean:$6$zt6Re1Pxz0QjBHuL$kBtJmnhekvucXvQNV08pK7c5hLGWehjR4GOqmDGFnUlvVT9EBc7LKjGzuwU+FV6AprDrwQkdfJBi6O+XoubN8g==
`;

t.test('a login is accepted or refused with the return code of MQTT 3.1.1 table 3.1', (t) => {
  const file = new PasswordFile(FILE);
  const broker = makeBroker({}, { authenticate: (bytes, packet) => file.authenticate(bytes, packet) });
  connected(broker, { clientId: 'a', userName: 'marie', password: 'secret' }).drop();
  connected(broker, { clientId: 'b', userName: 'jean', password: 'bonjour' }).drop();
  const answer = (fields: object): string => new Peer(broker).send(connect({ clientId: 'c', ...fields })).join();
  t.equal(answer({ userName: 'marie', password: 'Secret' }), 'CONNACK new 4', 'another password');
  t.equal(answer({ userName: 'marie', password: '' }), 'CONNACK new 4', 'an empty password');
  t.equal(answer({ userName: 'marie' }), 'CONNACK new 4', 'no password');
  t.equal(answer({ userName: 'Marie', password: 'secret' }), 'CONNACK new 4', 'another name');
  t.equal(answer({ userName: '', password: 'secret' }), 'CONNACK new 4', 'an empty name');
  t.equal(answer({}), 'CONNACK new 5', 'no login at all');
  t.equal(broker.memory.sessions.count, 0, 'nobody is left');
  t.end();
});

t.test('a line that is no login is named', (t) => {
  for (const line of ['marie', 'marie:secret', ':$7$101$YQ==$YQ==', 'paul:$7$x$YQ==$YQ==', 'paul:$7$0$YQ==$YQ==',
    'paul:$5$YQ==$YQ==']) {
    t.throws(() => new PasswordFile(`${FILE}${line}\n`), { message: /^line 5 is not "name:hash"/ }, line);
  }
  t.throws(() => new PasswordFile(FILE + FILE), { message: 'line 6 has marie once more' });
  t.end();
});

t.test('--password-file lets in who is in the file, and says what is wrong with one', async (t) => {
  const path = join(t.testdir({ logins: FILE, broken: 'marie:secret\n' }), 'logins');
  const { port } = await startBroker(t, '--password-file', path);
  const client = await connectAsync(`mqtt://marie:secret@127.0.0.1:${port}`);
  await client.endAsync();
  const url = `mqtt://marie:wrong@127.0.0.1:${port}`;
  await t.rejects(connectAsync(url, { reconnectPeriod: 0 }), /Bad username or password/);
  const refused = async (file: string, words: RegExp): Promise<void> => {
    const exit = await run(t, process.execPath, [BROKER, 'broker', '--port', '0', '--password-file', file]);
    t.match(exit.stderr, words);
    t.equal(exit.stderr.trim().split('\n').length, 1, 'one sentence');
    t.equal(exit.code, 2);
  };
  await refused(path.replace(/logins$/, 'broken'), /--password-file .*broken: line 1 is not "name:hash"/);
  await refused(path.replace(/logins$/, 'absent'), /--password-file .*absent cannot be read/);
});
