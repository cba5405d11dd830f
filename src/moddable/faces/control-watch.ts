// Which control packets come from a broker: users of the MQTT client of ECMA-419 are told each of
// them, while our core tells only what they mean. Used by mqtt-client-419.ts as a socket class that
// passes everything on and looks at the bytes that are read. It judges nothing: what is malformed
// ends the connection in the core, which gets the same bytes next.
//
//   type | flags   remaining length   identifier (2)   codes
//                  1 to 4 bytes       body: noted, but for PUBLISH, which is only passed over

import { PUBLISH } from '../../wire/codes.js';
import type { TcpSocket, TcpSocketConstructor, TcpSocketOptions } from '../io.js';

/**
 * A packet other than PUBLISH has come: `first` and `second` are the first bytes of its body, 0
 * where it has none; `payload` the others, in an array of its own, undefined where there are none.
 */
export type ControlObserver = (
  type: number, first: number, second: number, payload: Uint8Array | undefined,
) => void;

const TYPE = 0;
const LENGTH = 1;
const BODY = 2;

/** Follows the packets of one connection through the pieces they come in. */
export class ControlWatch {
  readonly #told: ControlObserver;
  #expected = TYPE;
  #type = 0;
  /** Bytes of the body that are still to come, and the shift of the next digit of their number. */
  #remaining = 0;
  #shift = 0;
  #body: number[] = [];

  constructor(told: ControlObserver) {
    this.#told = told;
  }

  /** `bytes` are the next that have come. */
  see(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#expected === BODY) {
        at += this.#type === PUBLISH ? this.#pass(bytes.length - at) : this.#note(bytes[at]!);
      } else if (this.#expected === TYPE) {
        this.#type = bytes[at++]! >> 4;
        this.#remaining = this.#shift = 0;
        this.#expected = LENGTH;
      } else {
        const digit = bytes[at++]!;
        this.#remaining += (digit & 0x7f) << this.#shift;
        this.#shift += 7;
        if (digit < 0x80 || this.#shift > 21) this.#expected = BODY;
      }
      if (this.#expected === BODY && this.#remaining === 0) this.#end();
    }
  }

  #pass(available: number): number {
    const count = Math.min(available, this.#remaining);
    this.#remaining -= count;
    return count;
  }

  #note(byte: number): number {
    if (this.#body.length < BODY_BYTES_MAX) this.#body.push(byte);
    this.#remaining--;
    return 1;
  }

  #end(): void {
    const body = this.#body;
    this.#expected = TYPE;
    if (this.#type === PUBLISH) return;
    this.#body = [];
    const payload = body.length > 2 ? Uint8Array.from(body.slice(2)) : undefined;
    this.#told(this.#type, body[0] ?? 0, body[1] ?? 0, payload);
  }
}

/** More of a body is not kept, whatever a broker sends. */
const BODY_BYTES_MAX = 1024;

/**
 * The socket class `io` with a watch on each socket made of it. `moreRoom` is called when a socket
 * takes more bytes, after the binding has used it.
 */
export function watched(
  io: TcpSocketConstructor, told: ControlObserver, moreRoom: () => void,
): TcpSocketConstructor {
  return class extends io {
    readonly #watch = new ControlWatch(told);

    constructor(options: TcpSocketOptions) {
      super({
        ...options,
        onWritable(this: TcpSocket, count: number): void {
          options.onWritable.call(this, count);
          moreRoom();
        },
      });
    }

    override read(view: Uint8Array): number | undefined {
      const count = super.read(view);
      if (count !== undefined) this.#watch.see(view);
      return count;
    }
  };
}
