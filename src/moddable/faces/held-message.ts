// The message that a program reads: it stays in the inbox of the core, unacknowledged, until all of
// it is read, and meanwhile nothing more is read from the broker. Made by mqtt-client-419.ts.

import type { Client } from '../../client/client.js';
import type { Packet } from '../../wire/packet.js';

const NOTHING = 0;
/** The program is being told, inside the core. */
const TOLD = 1;
/** The program was told, and has left some of it unread. */
const LEFT = 2;
/** All is read since; the core comes for the answer. */
const READ = 3;

export class HeldMessage {
  readonly #core: Client;
  #state = NOTHING;
  /** Where the unread part of the payload stands in the memory of the core. */
  #at = 0;
  unreadBytes = 0;
  /** The core goes on from inside `read`, where no other message can be told. */
  #inside = false;
  /** Another message has come, and was not told for that. */
  waits = false;

  constructor(core: Client) {
    this.#core = core;
  }

  /** As `ClientObserver.message`; `tell` tells the program, which may read at once. */
  offer(packet: Packet, tell: () => void): boolean {
    if (this.#state === READ) {
      this.#state = NOTHING;
      return true;
    }
    if (this.#inside) {
      this.waits = true;
      return false;
    }
    this.#state = TOLD;
    this.#at = packet.payloadStart;
    this.unreadBytes = packet.payloadEnd - packet.payloadStart;
    tell();
    if (this.#state !== TOLD) return false; // it was forgotten
    this.#state = this.unreadBytes === 0 ? NOTHING : LEFT;
    // The packet will be the first of the inbox.
    this.#at -= packet.start - this.#core.memory.inbox.base;
    return this.#state === NOTHING;
  }

  /** Copies the next bytes of the payload; there are as many. */
  read(target: Uint8Array): void {
    const core = this.#core;
    target.set(core.bytes.subarray(this.#at, this.#at + target.length));
    this.#at += target.length;
    this.unreadBytes -= target.length;
    if (this.#state !== LEFT || this.unreadBytes > 0) return;
    this.#state = READ;
    this.#inside = true;
    core.resume();
    this.#inside = false;
  }

  /** Takes up the message that waits, outside of everything. */
  goOn(): void {
    this.waits = false;
    this.#core.resume();
  }

  /** The connection is lost, and with it what was unread. */
  forget(): void {
    this.#state = NOTHING;
    this.unreadBytes = 0;
    this.waits = false;
  }
}
