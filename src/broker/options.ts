// What an application gives a broker beside its limits: imported by broker.ts and by who makes one.

import type { Packet } from '../wire/packet.js';
import type { AuthenticationMethod } from './authenticate.js';
import type { Connection } from './connection.js';

export interface BrokerOptions {
  /**
   * Random integer, 0 to 2³²-1: names clients that give no identifier. Need not be secret, should
   * not repeat.
   */
  random: () => number;
  /** Name and version, for `$SYS/broker/version`. */
  version: string;
  /**
   * Accepts or refuses a login: a CONNACK return code, ACCEPTED, REFUSED_USER_OR_PASSWORD or
   * REFUSED_NOT_AUTHORIZED. Identifier, user name and password are ranges of `bytes` given by
   * `packet`, valid during the call; whether user name and password are there at all is in
   * `packet.connectFlags`. Must not call the broker. Default: all accepted.
   */
  authenticate?: (bytes: Uint8Array, packet: Packet) => number;
  /**
   * Methods of enhanced authentication, MQTT 5.0 section 4.12: what CONNECT asks for of them takes
   * the place of `authenticate`. Any other method is refused. Default: none.
   */
  authenticationMethods?: readonly AuthenticationMethod[];
  /**
   * Told of every connection accepted, refused and ended; must not call the broker's entry points.
   */
  observer?: BrokerObserver;
}

export interface BrokerObserver {
  /** CONNECT was accepted. */
  clientConnected(connection: Connection): void;
  /**
   * CONNECT was answered with `returnCode`: of 3.1.1, or a reason code of 5.0, as its client knows.
   */
  clientRefused(connection: Connection, returnCode: number): void;
  /**
   * The link is about to be closed, or lost. `reason` is a reason of end.ts, or the negative
   * outcome for which a peer was refused.
   */
  connectionEnded(connection: Connection, reason: number): void;
}
