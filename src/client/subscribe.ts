// SUBSCRIBE and UNSUBSCRIBE as the application asks for them. Called by client.ts; what they note
// goes out with `transmitWaiting`.

import { NONE, OK, PROTOCOL_ERROR, QUOTA_EXCEEDED, TOO_LARGE } from '../wire/codes.js';
import { packetBytes } from '../wire/encode.js';
import { checkTopicFilter } from '../wire/topic.js';
import type { Client } from './client.js';
import { LEAVING } from './subscriptions.js';

/** As `Client.subscribe`. */
export function subscribe(client: Client, filter: Uint8Array, qos: number): number {
  if (qos !== 0 && qos !== 1 && qos !== 2) return PROTOCOL_ERROR;
  return want(client, filter, qos);
}

/** As `Client.unsubscribe`. */
export function unsubscribe(client: Client, filter: Uint8Array): number {
  return want(client, filter, LEAVING);
}

function want(client: Client, filter: Uint8Array, wanted: number): number {
  const { scratchStart, subscriptions } = client.memory;
  const filterBytes = filter.length;
  if (filterBytes > 0xffff || packetBytes(filterBytes + 5) > client.limits.packetBytesMax) {
    return TOO_LARGE;
  }
  const outcome = checkTopicFilter(filter, 0, filterBytes);
  if (outcome !== OK) return outcome;
  client.bytes.set(filter, scratchStart);
  if (subscriptions.want(scratchStart, scratchStart + filterBytes, wanted) === NONE) {
    return QUOTA_EXCEEDED;
  }
  client.transmitSoon();
  return OK;
}
