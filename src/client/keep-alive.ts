// When a client must say something, and when it must give up its broker (MQTT 3.1.1 sections
// 3.1.2.10 and 3.12). Called by client.ts.

/** What `age` asks for. */
export const NOTHING = 0;
export const PING = 1;
export const GIVE_UP = 2;

/** No PINGREQ is unanswered. */
const NOT_WAITING = -1;

export class KeepAlive {
  private quietMaxMs = 0;
  private readonly timeoutMs: number;
  /** Since something was sent, since something came, and since PINGREQ or NOT_WAITING. */
  private quietOutMs = 0;
  private quietInMs = 0;
  private waitingMs = NOT_WAITING;

  /** `timeoutMs` is how long an answer may take. */
  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
  }

  /** A connection begins; 0 is no keep-alive. */
  reset(keepAliveSeconds: number): void {
    const keepAliveMs = keepAliveSeconds * 1000;
    this.quietMaxMs = keepAliveMs === 0 ? Infinity : keepAliveMs - Math.min(1000, keepAliveMs / 2);
    this.sent();
    this.heard();
  }

  /** Bytes were handed to the link. */
  sent(): void {
    this.quietOutMs = 0;
  }

  /** Bytes came: whatever they are, the broker lives. */
  heard(): void {
    this.quietInMs = 0;
    this.waitingMs = NOT_WAITING;
  }

  /** PINGREQ is on its way. */
  asked(): void {
    this.waitingMs = 0;
  }

  /**
   * Time passes: PING when the broker would soon miss us [MQTT-3.1.2-23], or we miss it; GIVE_UP
   * when nothing came after that, or the link took nothing for as long. Who does not read, because
   * the application wants no message now, cannot miss the broker.
   */
  age(elapsedMs: number, isReading: boolean): number {
    this.quietOutMs += elapsedMs;
    this.quietInMs += elapsedMs;
    if (!isReading) this.heard();
    if (this.quietOutMs >= this.quietMaxMs + this.timeoutMs) return GIVE_UP;
    if (this.waitingMs !== NOT_WAITING) {
      this.waitingMs += elapsedMs;
      return this.waitingMs >= this.timeoutMs ? GIVE_UP : NOTHING;
    }
    return this.quietOutMs >= this.quietMaxMs || this.quietInMs >= this.quietMaxMs ?
      PING :
      NOTHING;
  }
}
