// The receiving half of a client: bytes that came from the broker are completed to packets in the
// inbox, framed, decoded, and the one switch over packet types hands them on. Called by client.ts.
//
// Reading stops, and a packet stays where it is, while there is no room for its answer, or while
// the application does not take a message.

import {
  AUTH, CONNACK, DISCONNECT, INCOMPLETE, LEVEL_5, NONE, OK, PINGRESP, PROTOCOL_ERROR, PUBACK,
  PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, TOO_LARGE, UNSUBACK,
} from '../wire/codes.js';
import { decode } from '../wire/decode.js';
import {
  packetBytes, REASON_PACKET_BYTES, REMAINING_LENGTH_MAX, SHORT_PACKET_BYTES,
} from '../wire/encode.js';
import { frame } from '../wire/frame.js';
import type { Packet } from '../wire/packet.js';
import { handleAuth } from './authenticate.js';
import type { Client } from './client.js';
import { isCleanStart } from './connect.js';
import {
  handlePuback, handlePubcomp, handlePublish, handlePubrec, handlePubrel, handleSuback,
  handleUnsuback, skipPublish, UNREAD,
} from './handle.js';
import { BROKER_ENDED, CLOSING, CONNECTED, CONNECTING } from './states.js';

/** Why packets are left in the inbox. */
const FLOWING = 0;
export const OWN_OUTBOX = 1;
export const APPLICATION = 2;

/** Types of packets that a broker of any version sends, and AUTH, as bits. */
const BROKER_SENDS = 1 << CONNACK | 1 << PUBLISH | 1 << PUBACK | 1 << PUBREC | 1 << PUBREL |
  1 << PUBCOMP | 1 << SUBACK | 1 << UNSUBACK | 1 << PINGRESP | 1 << AUTH;

export class Receiver {
  private readonly client: Client;
  private stalled = FLOWING;
  /** Bytes of a packet too large to be taken that are still to come. */
  private skipBytes = 0;

  constructor(client: Client) {
    this.client = client;
  }

  /** The link is gone: forgets what came from it. */
  reset(): void {
    this.client.memory.inbox.clear();
    this.stalled = FLOWING;
    this.skipBytes = 0;
  }

  /** As `Client.room`. */
  get room(): number {
    const inbox = this.client.memory.inbox;
    return this.stalled === FLOWING ? inbox.capacity - inbox.count : 0;
  }

  /** False while the application takes no message. */
  get isReading(): boolean {
    return this.stalled !== APPLICATION;
  }

  /** As `Client.received`. */
  received(byteCount: number): void {
    this.client.heard();
    this.client.memory.inbox.count += byteCount;
    this.consume();
  }

  /** Goes on reading if it was stopped for that reason. */
  resume(reason: number): void {
    if (this.stalled !== reason || this.client.state !== CONNECTED) return;
    this.stalled = FLOWING;
    const link = this.client.link;
    this.consume();
    if (this.stalled === FLOWING && link !== null && this.client.link === link) {
      link.setReading(true);
    }
  }

  /** Handles the whole packets of the inbox. */
  private consume(): void {
    const client = this.client;
    const inbox = client.memory.inbox;
    const link = client.link;
    const end = inbox.base + inbox.count;
    let at = inbox.base;
    while (at < end && this.stalled === FLOWING) {
      if (this.skipBytes > 0) {
        const count = Math.min(this.skipBytes, end - at);
        this.skipBytes -= count;
        at += count;
        continue;
      }
      const outcome = this.next(at, end);
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
  private next(at: number, end: number): number {
    const client = this.client;
    const packet = client.packet;
    packet.protocolLevel = client.protocolLevel;
    const packetEnd = frame(client.bytes, at, end, packetBytes(REMAINING_LENGTH_MAX), packet);
    if (packetEnd < 0 && packetEnd !== INCOMPLETE) return packetEnd;
    if (packet.end - at > client.limits.packetBytesMax) return this.skip(at, end);
    if (packetEnd === INCOMPLETE) return INCOMPLETE;
    // CONNACK comes first, and once [MQTT-3.2.0-1]; before it at most AUTH, 5.0 [MQTT-3.2.0-2].
    if ((packet.type === CONNACK) !== (client.state === CONNECTING) &&
        packet.type !== AUTH || !this.mayCome()) return PROTOCOL_ERROR;
    const decoded = decode(client.bytes, packet);
    if (decoded !== OK) return decoded;
    if (this.mayNeedAnswer() && client.reserveAnswer(answerBytes(packet)) === NONE) {
      return this.stall(OWN_OUTBOX, at);
    }
    const link = client.link;
    const outcome = this.handle();
    if (outcome === OK) return packetEnd;
    if (outcome !== UNREAD) return outcome;
    return client.link === link ? this.stall(APPLICATION, at) : at;
  }

  /** Only a client sends the others. */
  private mayCome(): boolean {
    const { type, protocolLevel } = this.client.packet;
    return (BROKER_SENDS >> type & 1) !== 0 || type === DISCONNECT && protocolLevel === LEVEL_5;
  }

  private mayNeedAnswer(): boolean {
    const { type, flags } = this.client.packet;
    return type === PUBLISH && (flags & 0x06) !== 0 || type === PUBREC || type === PUBREL;
  }

  private handle(): number {
    const client = this.client;
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
        return this.handleConnack();
      case SUBACK:
        return handleSuback(client);
      case UNSUBACK:
        return handleUnsuback(client);
      case DISCONNECT:
        return this.handleDisconnect();
      case AUTH:
        return handleAuth(client);
      default: // PINGRESP
        return OK;
    }
  }

  private handleConnack(): number {
    const { reasonCode, sessionPresent } = this.client.packet;
    // [MQTT-3.2.2-1], 5.0 [MQTT-3.2.2-2], [MQTT-3.2.2-4]
    if (sessionPresent && isCleanStart(this.client)) return PROTOCOL_ERROR;
    return this.client.answered(reasonCode, sessionPresent);
  }

  /** The broker of MQTT 5.0 ends the connection, and mostly says why. */
  private handleDisconnect(): number {
    const { reasonCode } = this.client.packet;
    this.client.lose(reasonCode < 0x80 ? BROKER_ENDED : reasonCode);
    return OK;
  }

  /**
   * A message larger than any we take: it is skipped and acknowledged, so that others come. A
   * broker of MQTT 5.0 knows that it must not send it.
   */
  private skip(at: number, end: number): number {
    const client = this.client;
    const packet = client.packet;
    if (packet.type !== PUBLISH || client.state !== CONNECTED ||
        client.protocolLevel === LEVEL_5) return TOO_LARGE;
    if (client.reserveAnswer(SHORT_PACKET_BYTES) === NONE) return this.stall(OWN_OUTBOX, at);
    const outcome = skipPublish(client, at, end);
    if (outcome !== OK) return outcome;
    this.skipBytes = packet.end - at;
    return at;
  }

  /** Leaves the packet at `at` where it is and stops reading from the broker. */
  private stall(reason: number, at: number): number {
    this.stalled = reason;
    this.client.link!.setReading(false);
    return at;
  }
}

/** Bytes that an acknowledgement may take. */
function answerBytes({ protocolLevel }: Packet): number {
  return protocolLevel === LEVEL_5 ? REASON_PACKET_BYTES : SHORT_PACKET_BYTES;
}
