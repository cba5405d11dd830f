// The one seam between the core and a platform: a byte stream the core writes to. Implemented by
// node/, moddable/ and the in-memory link of the tests; imports nothing.
//
// A link never calls the core from inside one of these methods. What the platform has to tell goes
// through the core's own entry points (`connected`, `received`, `writable`, `disconnected`), one at
// a time.

export interface Link {
  /** How many bytes `write` takes right now; 0 when the peer does not keep up. */
  readonly writableBytes: number;

  /**
   * Sends bytes `start` to `end` of `source`, copying what it cannot send at once. Never asked for
   * more than `writableBytes`.
   */
  write(source: Uint8Array, start: number, end: number): void;

  /**
   * Whether the core wants bytes. After `setReading(false)` the platform leaves what arrives
   * unread, so that the peer slows down; after `setReading(true)` it offers them again, later and
   * not from inside this call.
   */
  setReading(wanted: boolean): void;

  /**
   * Sends what was written, then closes. Idempotent; the core uses the link no more and wants no
   * `disconnected` for it.
   */
  close(): void;
}
