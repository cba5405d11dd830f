// The CONNECT of a client, from its options, which do not change. Called by client.ts.

import {
  CONNECT_CLEAN_SESSION, CONNECT_PASSWORD, CONNECT_USER_NAME, CONNECT_WILL,
  CONNECT_WILL_QOS_SHIFT, CONNECT_WILL_RETAIN,
} from '../wire/codes.js';
import { connectBytes, encodeConnect } from '../wire/encode.js';
import type { ClientOptions } from './options.js';

const ABSENT = /* @__PURE__ */ new Uint8Array(0);

function flagsOf({ cleanSession, will, userName, password }: ClientOptions): number {
  return (cleanSession ? CONNECT_CLEAN_SESSION : 0) |
    (will === undefined ? 0 : CONNECT_WILL | will.qos << CONNECT_WILL_QOS_SHIFT |
      (will.retain ? CONNECT_WILL_RETAIN : 0)) |
    (userName === undefined ? 0 : CONNECT_USER_NAME) |
    (password === undefined ? 0 : CONNECT_PASSWORD);
}

/** Size of the CONNECT. */
export function connectPacketBytes(options: ClientOptions): number {
  const { protocolLevel, clientId, will, userName, password } = options;
  return connectBytes(protocolLevel, flagsOf(options), clientId,
    will?.topic ?? ABSENT, will?.payload ?? ABSENT, userName ?? ABSENT, password ?? ABSENT);
}

/** Writes the CONNECT at `at`; returns its end. */
export function encodeConnectOf(options: ClientOptions, bytes: Uint8Array, at: number): number {
  const { protocolLevel, keepAliveSeconds, clientId, will, userName, password } = options;
  return encodeConnect(bytes, at, protocolLevel, flagsOf(options), keepAliveSeconds, clientId,
    will?.topic ?? ABSENT, will?.payload ?? ABSENT, userName ?? ABSENT, password ?? ABSENT);
}
