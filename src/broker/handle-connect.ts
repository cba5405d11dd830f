// CONNECT. Called by dispatch.ts with a decoded packet and room for CONNACK. MQTT 3.1.1
// sections 3.1, 3.2. Who asks for enhanced authentication is admitted by authenticate.ts.

import {
  ACCEPTED, CONNECT_CLEAN_SESSION, LEVEL_3_1, LEVEL_5, REFUSED_IDENTIFIER, REFUSED_NOT_AUTHORIZED,
  REFUSED_PROTOCOL_LEVEL, REFUSED_USER_OR_PASSWORD, UNSUPPORTED_LEVEL,
} from '../wire/codes.js';
import {
  AUTHENTICATION_METHOD, MAXIMUM_PACKET_SIZE, REQUEST_PROBLEM_INFORMATION, TOPIC_ALIAS_MAXIMUM,
  uint16At, uint32At,
} from '../wire/properties.js';
import type { Packet } from '../wire/packet.js';
import { admit } from './admit.js';
import { beginAuthentication } from './authenticate.js';
import type { Broker } from './broker.js';
import { refuseConnect } from './connack.js';
import type { Connection } from './connection.js';

/**
 * `outcome` is what decoding said: OK, or UNSUPPORTED_LEVEL, which alone of all refusals is
 * answered in 3.1.1.
 */
export function handleConnect(broker: Broker, connection: Connection, outcome: number): number {
  const refusal = refusalOf(broker, connection, outcome);
  if (refusal !== ACCEPTED) return refuseConnect(broker, connection, refusal);
  return hasMethod(broker.packet) ?
    beginAuthentication(broker, connection) :
    admit(broker, connection, 0, 0);
}

/** Why the CONNECT is refused before anything is done for it, or ACCEPTED. */
function refusalOf(broker: Broker, connection: Connection, outcome: number): number {
  const { limits, options, packet } = broker;
  if (outcome === UNSUPPORTED_LEVEL) return REFUSED_PROTOCOL_LEVEL; // [MQTT-3.1.2-2]
  const isLevel5 = packet.protocolLevel === LEVEL_5;
  connection.packetBytesMax = limits.outboxBytes;
  if (isLevel5) takeWishes(broker, connection);
  const clientIdBytes = packet.clientIdEnd - packet.clientIdStart;
  const isClean = (packet.connectFlags & CONNECT_CLEAN_SESSION) !== 0;
  if (clientIdBytes > limits.clientIdBytesMax || (clientIdBytes === 0 &&
      !isLevel5 && (!isClean || packet.protocolLevel === LEVEL_3_1))) {
    return REFUSED_IDENTIFIER; // [MQTT-3.1.3-8], [MQTT-3.1.3-9], 5.0 [MQTT-3.1.3-8]
  }
  if (hasMethod(packet) || options.authenticate === undefined) return ACCEPTED;
  // Whatever the application answers, the client gets a code that there is in its version.
  const login = options.authenticate(broker.bytes, packet);
  return login === ACCEPTED || login === REFUSED_USER_OR_PASSWORD ? login : REFUSED_NOT_AUTHORIZED;
}

/** Who names a method of authentication is to prove itself by that. */
function hasMethod(packet: Packet): boolean {
  return packet.protocolLevel === LEVEL_5 && packet.properties[AUTHENTICATION_METHOD] !== 0;
}

/** What the client of MQTT 5.0 says of itself, and what is to be kept to from now on. */
function takeWishes(broker: Broker, connection: Connection): void {
  const { bytes, limits, packet } = broker;
  const properties = packet.properties;
  const packetMaximum = properties[MAXIMUM_PACKET_SIZE];
  if (packetMaximum !== 0) {
    connection.packetBytesMax = Math.min(uint32At(bytes, packetMaximum), limits.outboxBytes);
  }
  const problem = properties[REQUEST_PROBLEM_INFORMATION];
  connection.problemInformation = problem === 0 || bytes[problem] !== 0;
  const aliases = properties[TOPIC_ALIAS_MAXIMUM];
  if (aliases !== 0) {
    connection.topicAliasMaximum = Math.min(uint16At(bytes, aliases), limits.topicAliasMax);
  }
}
