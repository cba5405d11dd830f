// Mosquitto's broker and tools, for tests that hold ours against them: where they are, and a broker on a free port.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child, run, type Owner } from './children.js';

const FOLDERS = (process.env['PATH'] ?? '').split(delimiter)
  .concat('/usr/sbin', '/usr/local/sbin', '/opt/homebrew/sbin');

function program(name: string): string | undefined {
  return FOLDERS.map((folder) => join(folder, name)).find(existsSync);
}

/** For tap's `skip`: false, or why tests of `what` that need Mosquitto cannot run. Says so on standard error. */
export function withoutMosquitto(what: string): false | string {
  const missing = ['mosquitto', 'mosquitto_pub', 'mosquitto_sub'].find((name) => program(name) === undefined);
  if (missing === undefined) return false;
  const skip = `not run: ${what}: no ${missing} on this machine (Debian: mosquitto, mosquitto-clients)`;
  process.stderr.write(`${skip}\n`);
  return skip;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts Mosquitto on loopback; `logins` are names and passwords, without any everybody may connect. */
export async function startMosquitto(
  owner: Owner, logins: Readonly<Record<string, string>> = {}, port?: number,
): Promise<{ port: number; child: Child }> {
  const folder = mkdtempSync(join(tmpdir(), 'maisonnette-test-'));
  owner.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'mosquitto.conf');
  const passwords = join(folder, 'passwords');
  const names = Object.entries(logins);
  if (names.length > 0) {
    writeFileSync(passwords, names.map(([name, password]) => `${name}:${password}\n`).join(''), { mode: 0o644 });
    spawnSync('mosquitto_passwd', ['-U', passwords]);
  }
  port ??= await freePort();
  writeFileSync(file, `listener ${port} 127.0.0.1\nmax_queued_messages 0\n` +
    (names.length === 0 ? 'allow_anonymous true\n' : `allow_anonymous false\npassword_file ${passwords}\n`) +
    (process.getuid?.() === 0 ? 'user root\n' : ''));
  const child = new Child(owner, program('mosquitto')!, ['-c', file]);
  for (let i = 0; i < 100; i++) { // until it listens: its tool reaches it, or is refused by it
    const { code } = await run(owner, 'mosquitto_pub', ['-h', '127.0.0.1', '-p', String(port), '-t', 'up', '-n']);
    if (code === 0 || code === 5 || code === 4) return { port, child };
    await sleep(50);
  }
  throw new Error(`Mosquitto does not listen on ${port}: ${child.stderr}`);
}
