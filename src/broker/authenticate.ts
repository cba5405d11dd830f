// Enhanced authentication, MQTT 5.0 section 4.12: the steps of a method that the application
// registers. Called by handle-connect.ts for a CONNECT that names a method, and by dispatch.ts for
// AUTH with room for the largest packet in the outbox.
//
// Until the client has proved itself its CONNECT is held at the end of its inbox, and the steps
// together must be done within `connectTimeoutMs`. What a step answers is written straight into the
// outbox, behind where the header and the properties before it will go.

import {
  AUTH, BAD_AUTHENTICATION_METHOD, CONNACK, CONTINUE_AUTHENTICATION, DISCONNECT, NONE,
  NOT_AUTHORIZED, OK, PROTOCOL_ERROR, RE_AUTHENTICATE, SUCCESS, TOO_LARGE,
} from '../wire/codes.js';
import { decode } from '../wire/decode.js';
import { encodeHeader, encodeVarint, packetBytes, propertiesBytes } from '../wire/encode.js';
import { frame } from '../wire/frame.js';
import type { Packet } from '../wire/packet.js';
import { AUTHENTICATION_DATA, AUTHENTICATION_METHOD, uint16At } from '../wire/properties.js';
import { isReasonOf } from '../wire/reasons.js';
import { admit } from './admit.js';
import { asciiBytes } from './ascii.js';
import type { Broker } from './broker.js';
import { encodeAuthentication, refuseConnect } from './connack.js';
import type { Connection } from './connection.js';
import { reserve } from './deliver.js';

/** A method of enhanced authentication, registered in `BrokerOptions.authenticationMethods`. */
export interface AuthenticationMethod {
  /** As CONNECT names it, in ASCII: `SCRAM-SHA-256`. */
  readonly name: string;
  /**
   * One step of one client. Returns SUCCESS, CONTINUE_AUTHENTICATION (the client must say more), or
   * the reason code of MQTT 5.0 with which it is refused, 0x80 to 0xff; one that CONNACK, or later
   * DISCONNECT, may not carry becomes NOT_AUTHORIZED. Must not call the broker.
   */
  step(step: AuthenticationStep): number;
}

/** What a method gets at each step, and where it answers: one record, reused. */
export class AuthenticationStep {
  readonly bytes: Uint8Array;
  /** CONNECT, or an AUTH: identifier, user name and password are ranges of `bytes` in CONNECT. */
  readonly packet: Packet;
  /** Of the connection, 0 to `connectionsMax` - 1: a method may keep its state under it. */
  slot = 0;
  /** The first step: of a CONNECT, or, when its `packet` is an AUTH, of a re-authentication. */
  isFirst = false;
  /** Data from the client, in `bytes`; empty where there is none. */
  dataStart = 0;
  dataEnd = 0;
  /** Where data for the client may be written, in `bytes`, at most up to `answerMax`. */
  answerStart = 0;
  answerMax = 0;
  /** End of what was written; `answerStart` before the step: nothing. */
  answerEnd = 0;

  constructor(bytes: Uint8Array, packet: Packet) {
    this.bytes = bytes;
    this.packet = packet;
  }
}

/** Where each connection stands; made only where methods are registered. */
export class Authentication {
  readonly step: AuthenticationStep;
  readonly names: readonly Uint8Array[];
  /** By slot: its method, an index into `BrokerOptions.authenticationMethods`, or NONE. */
  readonly method: Int16Array;
  /** By slot: 1 between its first step and its last. */
  readonly running: Uint8Array;

  constructor(
    bytes: Uint8Array, packet: Packet, connectionsMax: number,
    methods: readonly AuthenticationMethod[],
  ) {
    this.step = new AuthenticationStep(bytes, packet);
    this.names = methods.map(({ name }) => asciiBytes(name));
    this.method = new Int16Array(connectionsMax).fill(NONE);
    this.running = new Uint8Array(connectionsMax);
  }

  /** The connection in `slot` is over. */
  end(slot: number): void {
    this.method[slot] = NONE;
    this.running[slot] = 0;
  }
}

/** Bytes of CONNACK or AUTH before the data, but for the method. */
const BEFORE_DATA_BYTES = 64;

/** CONNECT names a method: its first step. */
export function beginAuthentication(broker: Broker, connection: Connection): number {
  const { authentication, packet } = broker;
  const method = methodOf(broker);
  if (authentication === null || method === NONE) {
    return refuseConnect(broker, connection, -BAD_AUTHENTICATION_METHOD);
  }
  const { inbox, slot } = connection;
  authentication.method[slot] = method;
  const answerAt = reserve(broker, connection, broker.limits.packetBytesMax);
  const code = takeStep(broker, connection, authentication, answerAt, true);
  if (code !== CONTINUE_AUTHENTICATION) return finish(broker, connection, authentication, code);
  // What the client goes on with must fit beside its CONNECT.
  if (inbox.capacity - (packet.end - packet.start) < authBytes(broker, 0) ||
      sendAuth(broker, connection, authentication, answerAt, CONTINUE_AUTHENTICATION) !== OK) {
    return refuseConnect(broker, connection, -TOO_LARGE);
  }
  // From now on, of what it sends, AUTH and DISCONNECT are taken.
  connection.protocolLevel = packet.protocolLevel;
  authentication.running[slot] = 1;
  inbox.hold(packet.start, packet.end);
  return OK;
}

/** AUTH: of who begins, goes on, or begins again, 5.0 [MQTT-4.12.0-7]. */
export function handleAuth(broker: Broker, connection: Connection): number {
  const { authentication, packet } = broker;
  const slot = connection.slot;
  if (authentication === null || authentication.method[slot] === NONE) return PROTOCOL_ERROR;
  const isFirst = packet.reasonCode === RE_AUTHENTICATE;
  if (packet.reasonCode === SUCCESS || isFirst === (authentication.running[slot] !== 0)) {
    return PROTOCOL_ERROR;
  }
  // With the method of its CONNECT, 5.0 [MQTT-4.12.0-5], [MQTT-4.12.1-1].
  if (packet.properties[AUTHENTICATION_METHOD] === 0 ||
      methodOf(broker) !== authentication.method[slot]) return PROTOCOL_ERROR;
  const answerAt = reserve(broker, connection, broker.limits.packetBytesMax);
  const code = takeStep(broker, connection, authentication, answerAt, isFirst);
  if (code !== CONTINUE_AUTHENTICATION && connection.session === NONE) {
    return finish(broker, connection, authentication, code);
  }
  if (code !== CONTINUE_AUTHENTICATION && code !== SUCCESS) {
    return code >= 0x80 && isReasonOf(DISCONNECT, code) ? -code : NOT_AUTHORIZED;
  }
  authentication.running[slot] = code === CONTINUE_AUTHENTICATION ? 1 : 0;
  return sendAuth(broker, connection, authentication, answerAt, code);
}

/** The method that the packet in hand names, as an index, or NONE if it is not registered. */
function methodOf(broker: Broker): number {
  const { authentication, bytes, packet } = broker;
  if (authentication === null) return NONE;
  const names = authentication.names;
  const at = packet.properties[AUTHENTICATION_METHOD];
  for (let method = 0; method < names.length; method++) {
    if (isField(bytes, at, names[method])) return method;
  }
  return NONE;
}

/** Whether the field at `at` is `wanted`. */
function isField(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  if (uint16At(bytes, at) !== wanted.length) return false;
  for (let i = 0; i < wanted.length; i++) {
    if (bytes[at + 2 + i] !== wanted[i]) return false;
  }
  return true;
}

/** Lets the method take its step; what it answers stands behind `answerAt` of the outbox. */
function takeStep(
  broker: Broker, connection: Connection, authentication: Authentication, answerAt: number,
  isFirst: boolean,
): number {
  const { bytes, limits, packet } = broker;
  const { method, step } = authentication;
  const data = packet.properties[AUTHENTICATION_DATA];
  const before = BEFORE_DATA_BYTES + uint16At(bytes, packet.properties[AUTHENTICATION_METHOD]);
  const room = Math.min(connection.packetBytesMax, limits.packetBytesMax) - before;
  step.slot = connection.slot;
  step.isFirst = isFirst;
  step.dataStart = data === 0 ? 0 : data + 2;
  step.dataEnd = data === 0 ? 0 : data + 2 + uint16At(bytes, data);
  step.answerStart = step.answerEnd = answerAt + before;
  step.answerMax = step.answerStart + Math.max(room, 0);
  return broker.options.authenticationMethods![method[connection.slot]].step(step);
}

/** The last step of a CONNECT, with its code: admitted, or refused. */
function finish(
  broker: Broker, connection: Connection, authentication: Authentication, code: number,
): number {
  const step = authentication.step;
  if (code === SUCCESS && step.answerEnd <= step.answerMax) {
    if (authentication.running[connection.slot] !== 0) {
      const outcome = recallConnect(broker, connection);
      if (outcome !== OK) return outcome;
    }
    authentication.running[connection.slot] = 0;
    return admit(broker, connection, step.answerStart, step.answerEnd);
  }
  const isRefusal = code !== SUCCESS && isReasonOf(CONNACK, code);
  return refuseConnect(broker, connection, isRefusal ? code : -NOT_AUTHORIZED);
}

/** Makes the CONNECT that was held the packet in hand again: OK, as when it came. */
function recallConnect(broker: Broker, connection: Connection): number {
  const { bytes, limits, packet } = broker;
  const { inbox } = connection;
  frame(bytes, inbox.base + inbox.capacity, inbox.base + limits.inboxBytes,
    limits.packetBytesMax, packet);
  inbox.release(limits.inboxBytes);
  return decode(bytes, packet);
}

/** AUTH with what the step has to say; TOO_LARGE when the client does not take so much. */
function sendAuth(
  broker: Broker, connection: Connection, authentication: Authentication, answerAt: number,
  reasonCode: number,
): number {
  const bytes = broker.bytes;
  const { answerEnd, answerMax, answerStart } = authentication.step;
  const dataBytes = answerEnd - answerStart;
  if (answerEnd > answerMax || authBytes(broker, dataBytes) > connection.packetBytesMax) {
    return TOO_LARGE;
  }
  const byteCount = propertiesOfAuth(broker, dataBytes);
  let at = encodeHeader(bytes, answerAt, AUTH << 4, 1 + propertiesBytes(byteCount));
  bytes[at++] = reasonCode;
  at = encodeVarint(bytes, at, byteCount);
  broker.sent(connection, encodeAuthentication(broker, at, answerStart, answerEnd));
  return OK;
}

/** Bytes of an AUTH of the method in hand with so much data. */
function authBytes(broker: Broker, dataBytes: number): number {
  return packetBytes(1 + propertiesBytes(propertiesOfAuth(broker, dataBytes)));
}

function propertiesOfAuth(broker: Broker, dataBytes: number): number {
  const methodBytes = uint16At(broker.bytes, broker.packet.properties[AUTHENTICATION_METHOD]);
  return 3 + methodBytes + (dataBytes === 0 ? 0 : 3 + dataBytes);
}
