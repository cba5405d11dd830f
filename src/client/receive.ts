// The receiving half of a client: bytes that came from the broker are completed to packets in the
// inbox, framed, decoded, and the one switch over packet types hands them on. Called by client.ts.
//
// Reading stops, and a packet stays where it is, while there is no room for its answer, or while
// the application does not take a message.

import {
  CONNACK, INCOMPLETE, NONE, OK, PINGRESP, PROTOCOL_ERROR, PUBACK, PUBCOMP, PUBLISH, PUBREC,
  PUBREL, SUBACK, TOO_LARGE, UNSUBACK,
} from '../wire/codes.js';
import { decode } from '../wire/decode.js';
import { packetBytes, REMAINING_LENGTH_MAX, SHORT_PACKET_BYTES } from '../wire/encode.js';
import { frame } from '../wire/frame.js';
import type { Client } from './client.js';
import {
  handlePuback, handlePubcomp, handlePublish, handlePubrec, handlePubrel, handleSuback,
  handleUnsuback, skipPublish, UNREAD,
} from './handle.js';
import { CLOSING, CONNECTED, CONNECTING } from './states.js';

/** Why packets are left in the inbox. */
const FLOWING = 0;
export const OWN_OUTBOX = 1;
export const APPLICATION = 2;

export class Receiver {
  readonly #client: Client;
  #stalled = FLOWING;
  /** Bytes of a packet too large to be taken that are still to come. */
  #skipBytes = 0;

  constructor(client: Client) {
    this.#client = client;
  }

  /** The link is gone: forgets what came from it. */
  reset(): void {
    this.#client.memory.inbox.clear();
    this.#stalled = FLOWING;
    this.#skipBytes = 0;
  }

  /** As `Client.room`. */
  get room(): number {
    const inbox = this.#client.memory.inbox;
    return this.#stalled === FLOWING ? inbox.capacity - inbox.count : 0;
  }

  /** False while the application takes no message. */
  get isReading(): boolean {
    return this.#stalled !== APPLICATION;
  }

  /** As `Client.received`. */
  received(byteCount: number): void {
    this.#client.heard();
    this.#client.memory.inbox.count += byteCount;
    this.#consume();
  }

  /** Goes on reading if it was stopped for that reason. */
  resume(reason: number): void {
    if (this.#stalled !== reason || this.#client.state !== CONNECTED) return;
    this.#stalled = FLOWING;
    const link = this.#client.link;
    this.#consume();
    if (this.#stalled === FLOWING && link !== null && this.#client.link === link) {
      link.setReading(true);
    }
  }

  /** Handles the whole packets of the inbox. */
  #consume(): void {
    const client = this.#client;
    const inbox = client.memory.inbox;
    const link = client.link;
    const end = inbox.base + inbox.count;
    let at = inbox.base;
    while (at < end && this.#stalled === FLOWING) {
      if (this.#skipBytes > 0) {
        const count = Math.min(this.#skipBytes, end - at);
        this.#skipBytes -= count;
        at += count;
        continue;
      }
      const outcome = this.#next(at, end);
      if (client.link !== link) return;
      if (client.state === CLOSING) { // nothing of it matters any more
        inbox.clear();
        return;
      }
      if (outcome === INCOMPLETE) break;
      if (outcome < 0) {
        client.counters.errors++;
        client.lose(outcome);
        return;
      }
      at = outcome;
    }
    inbox.keepFrom(at);
  }

  /**
   * Handles the packet at `at`. Returns where the next one begins, `at` itself if this one must
   * wait, INCOMPLETE, or the refusal that ends the connection.
   */
  #next(at: number, end: number): number {
    const client = this.#client;
    const packet = client.packet;
    packet.protocolLevel = client.options.protocolLevel;
    const packetEnd = frame(client.bytes, at, end, packetBytes(REMAINING_LENGTH_MAX), packet);
    if (packetEnd < 0 && packetEnd !== INCOMPLETE) return packetEnd;
    if (packet.end - at > client.limits.packetBytesMax) return this.#skip(at, end);
    if (packetEnd === INCOMPLETE) return INCOMPLETE;
    // CONNACK comes first, and once [MQTT-3.2.0-1].
    if ((packet.type === CONNACK) !== (client.state === CONNECTING)) return PROTOCOL_ERROR;
    const decoded = decode(client.bytes, packet);
    if (decoded !== OK) return decoded;
    if (this.#mayNeedAnswer() && client.reserveAnswer(SHORT_PACKET_BYTES) === NONE) {
      return this.#stall(OWN_OUTBOX, at);
    }
    const link = client.link;
    const outcome = this.#handle();
    if (outcome === OK) return packetEnd;
    if (outcome !== UNREAD) return outcome;
    return client.link === link ? this.#stall(APPLICATION, at) : at;
  }

  #mayNeedAnswer(): boolean {
    const { type, flags } = this.#client.packet;
    return type === PUBLISH && (flags & 0x06) !== 0 || type === PUBREC || type === PUBREL;
  }

  #handle(): number {
    const client = this.#client;
    switch (client.packet.type) {
      case PUBLISH:
        return handlePublish(client);
      case PUBACK:
        return handlePuback(client);
      case PUBREC:
        return handlePubrec(client);
      case PUBREL:
        return handlePubrel(client);
      case PUBCOMP:
        return handlePubcomp(client);
      case CONNACK:
        return this.#handleConnack();
      case SUBACK:
        return handleSuback(client);
      case UNSUBACK:
        return handleUnsuback(client);
      case PINGRESP:
        return OK;
      default: // only a client sends them
        return PROTOCOL_ERROR;
    }
  }

  #handleConnack(): number {
    const { returnCode, sessionPresent } = this.#client.packet;
    // [MQTT-3.2.2-1]
    if (sessionPresent && this.#client.options.cleanSession) return PROTOCOL_ERROR;
    this.#client.answered(returnCode, sessionPresent);
    return OK;
  }

  /** A message larger than any we take: it is skipped and acknowledged, so that others come. */
  #skip(at: number, end: number): number {
    const client = this.#client;
    const packet = client.packet;
    if (packet.type !== PUBLISH || client.state !== CONNECTED) return TOO_LARGE;
    if (client.reserveAnswer(SHORT_PACKET_BYTES) === NONE) return this.#stall(OWN_OUTBOX, at);
    const outcome = skipPublish(client, at, end);
    if (outcome !== OK) return outcome;
    this.#skipBytes = packet.end - at;
    return at;
  }

  /** Leaves the packet at `at` where it is and stops reading from the broker. */
  #stall(reason: number, at: number): number {
    this.#stalled = reason;
    this.#client.link!.setReading(false);
    return at;
  }
}
