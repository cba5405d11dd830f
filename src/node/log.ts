// What the broker does with its connections, in words: `--verbose`, in the manner of Mosquitto's
// log.

import type { Broker } from '../broker/broker.js';
import type { BrokerObserver } from '../broker/options.js';
import type { Connection } from '../broker/connection.js';
import {
  CLIENT_CLOSED, CLIENT_CLOSED_WITH_WILL, CONNECT_REFUSED, CONNECT_TIMEOUT, KEEP_ALIVE_TIMEOUT,
  LINK_LOST, SERVER_SHUTTING_DOWN, TAKEN_OVER,
} from '../broker/end.js';
import {
  BAD_AUTHENTICATION_METHOD, BAD_USER_NAME_OR_PASSWORD, CLIENT_IDENTIFIER_NOT_VALID, MALFORMED,
  NONE, NOT_AUTHORIZED, PAYLOAD_FORMAT_INVALID, PROTOCOL_ERROR, QUOTA_EXCEEDED,
  RECEIVE_MAXIMUM_EXCEEDED, REFUSED_IDENTIFIER, REFUSED_NOT_AUTHORIZED, REFUSED_PROTOCOL_LEVEL,
  REFUSED_UNAVAILABLE, REFUSED_USER_OR_PASSWORD, TOO_LARGE, TOPIC_ALIAS_INVALID,
  TOPIC_FILTER_INVALID, TOPIC_NAME_INVALID, UNSUPPORTED_LEVEL,
} from '../wire/codes.js';
import { reasonWords } from './sentences.js';
import { TcpLink } from './tcp-link.js';

const REFUSALS: ReadonlyMap<number, string> = new Map([
  [REFUSED_PROTOCOL_LEVEL, 'unsupported protocol version'],
  [REFUSED_IDENTIFIER, 'identifier rejected'],
  [REFUSED_UNAVAILABLE, 'server unavailable: a table is full'],
  [REFUSED_USER_OR_PASSWORD, 'bad user name or password'],
  [REFUSED_NOT_AUTHORIZED, 'not authorised'],
  [-UNSUPPORTED_LEVEL, 'unsupported protocol version'],
  [-CLIENT_IDENTIFIER_NOT_VALID, 'identifier rejected'],
  [-BAD_USER_NAME_OR_PASSWORD, 'bad user name or password'],
  [-NOT_AUTHORIZED, 'not authorised'],
  [-BAD_AUTHENTICATION_METHOD, 'unknown authentication method'],
  [-TOO_LARGE, 'it takes only packets that are too small'],
  [-QUOTA_EXCEEDED, 'a limit of the broker is reached'],
  [-PAYLOAD_FORMAT_INVALID, 'its will is not UTF-8'],
]);

const ENDS: ReadonlyMap<number, string> = new Map([
  [CLIENT_CLOSED, 'disconnected'],
  [CLIENT_CLOSED_WITH_WILL, 'disconnected, with its will'],
  [LINK_LOST, 'closed its connection'],
  [SERVER_SHUTTING_DOWN, 'disconnected: the broker is shutting down'],
  [KEEP_ALIVE_TIMEOUT, 'has exceeded timeout, disconnecting'],
  [TAKEN_OVER, 'already connected, closing old connection'],
  [CONNECT_TIMEOUT, 'disconnected: no CONNECT in time'],
  [MALFORMED, 'disconnected due to malformed packet'],
  [PROTOCOL_ERROR, 'disconnected due to protocol error'],
  [TOO_LARGE, 'disconnected due to oversize packet'],
  [TOPIC_NAME_INVALID, 'disconnected due to invalid topic name'],
  [TOPIC_FILTER_INVALID, 'disconnected due to invalid topic filter'],
  [RECEIVE_MAXIMUM_EXCEEDED, 'disconnected: too many unfinished QoS 2 messages'],
  [TOPIC_ALIAS_INVALID, 'disconnected due to invalid topic alias'],
  [QUOTA_EXCEEDED, 'disconnected: a limit of the broker is reached'],
  [PAYLOAD_FORMAT_INVALID, 'disconnected due to a payload that is not UTF-8'],
  [NOT_AUTHORIZED, 'disconnected, not authorised'],
]);

function peerName(connection: Connection): string {
  return connection.link instanceof TcpLink ? connection.link.peerName : 'this process';
}

export class ConnectionLog implements BrokerObserver {
  readonly #write: (line: string) => void;
  #broker: Broker | undefined;

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** The broker whose packets and sessions give the words. */
  attach(broker: Broker): void {
    this.#broker = broker;
  }

  clientConnected(connection: Connection): void {
    const { connectFlags, keepAliveSeconds, protocolLevel } = this.#broker!.packet;
    this.#line(`New client connected from ${peerName(connection)} as ${this.#name(connection)} ` +
      `(p${protocolLevel}, c${connectFlags >> 1 & 1}, k${keepAliveSeconds})`);
  }

  clientRefused(connection: Connection, returnCode: number): void {
    this.#line(`Client from ${peerName(connection)} ` +
      `refused: ${REFUSALS.get(returnCode) ?? reasonWords(returnCode)}`);
  }

  connectionEnded(connection: Connection, reason: number): void {
    if (reason === CONNECT_REFUSED) return;
    this.#line(`Client ${this.#name(connection)} ` +
      `${ENDS.get(reason) ?? `disconnected (${reason})`}`);
  }

  #name(connection: Connection): string {
    if (connection.session === NONE) return `<unknown> from ${peerName(connection)}`;
    const { sessions } = this.#broker!.memory;
    const start = sessions.clientIdStart(connection.session);
    const bytes = sessions.memory.subarray(
      start, start + sessions.clientIdBytes(connection.session));
    return new TextDecoder().decode(bytes).replace(/[\p{Cc}\p{Cf}]/gu, '?');
  }

  #line(text: string): void {
    this.#write(`${Math.floor(Date.now() / 1000)}: ${text}.`);
  }
}
