// Logins from a password file in Mosquitto's format, as `mosquitto_passwd` writes it: one
// `name:hash` per line. Read once at start; `authenticate` then serves the broker's hook.
//
//   $7$iterations$salt$hash    PBKDF2 with SHA-512, salt and hash in base64 (Mosquitto 2)
//   $6$salt$hash               SHA-512 of password and salt (Mosquitto 1)

import { createHash, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import {
  ACCEPTED, CONNECT_PASSWORD, CONNECT_USER_NAME, REFUSED_NOT_AUTHORIZED,
  REFUSED_USER_OR_PASSWORD,
} from '../wire/codes.js';
import type { Packet } from '../wire/packet.js';

interface Login {
  /** 0 stands for the older form, a single hash. */
  iterations: number;
  salt: Buffer;
  hash: Buffer;
}

export class PasswordFile {
  readonly #logins = new Map<string, Login>();

  /** Throws Error, naming the line, for a text that is no password file. */
  constructor(text: string) {
    for (const [index, line] of text.split(/\r?\n/).entries()) {
      if (line.trim() === '' || line.startsWith('#')) continue;
      const match = /^([^:]+):\$(?:7\$([1-9]\d{0,5})|6)\$([\w+/=]+)\$([\w+/=]+)\s*$/.exec(line);
      if (match === null) {
        throw new Error(`line ${index + 1} is not "name:hash" as mosquitto_passwd writes it`);
      }
      const [, name, iterations, salt, hash] = match;
      if (this.#logins.has(name!)) throw new Error(`line ${index + 1} has ${name} once more`);
      this.#logins.set(name!, {
        iterations: Number(iterations ?? 0),
        salt: Buffer.from(salt!, 'base64'),
        hash: Buffer.from(hash!, 'base64'),
      });
    }
  }

  /** The broker's hook: ACCEPTED, or why not. */
  authenticate(bytes: Uint8Array, packet: Packet): number {
    if ((packet.connectFlags & CONNECT_USER_NAME) === 0) return REFUSED_NOT_AUTHORIZED;
    if ((packet.connectFlags & CONNECT_PASSWORD) === 0) return REFUSED_USER_OR_PASSWORD;
    const name = Buffer.from(bytes.subarray(packet.userNameStart, packet.userNameEnd)).toString();
    const login = this.#logins.get(name);
    if (login === undefined) return REFUSED_USER_OR_PASSWORD;
    const password = bytes.subarray(packet.passwordStart, packet.passwordEnd);
    return isPassword(password, login) ? ACCEPTED : REFUSED_USER_OR_PASSWORD;
  }
}

function isPassword(password: Uint8Array, { iterations, salt, hash }: Login): boolean {
  const given = iterations === 0
    ? createHash('sha512').update(password).update(salt).digest()
    : pbkdf2Sync(password, salt, iterations, 64, 'sha512');
  return given.length === hash.length && timingSafeEqual(given, hash);
}
