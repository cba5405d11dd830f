// The subscription identifiers that go with a message, MQTT 5.0 section 3.3.2.3.8. Found when a
// PUBLISH is encoded, among the few rows of a session that have one: by then nobody knows who
// published, so a filter with No Local goes along, too, with what came by another filter. Called by
// deliver.ts.

import { NONE } from '../wire/codes.js';
import { encodeVarintProperty } from '../wire/encode.js';
import { SUBSCRIPTION_IDENTIFIER, varintBytes } from '../wire/properties.js';
import type { Broker } from './broker.js';
import { NEXT_OF_SESSION, NODE, OPTIONS, SHARED } from './subscriptions.js';

/** As `via` of a delivery: the one subscription it came from is gone. */
export const GONE = -2;

/**
 * Bytes that the identifiers take as properties: that of the one subscription `via`, or if this is
 * NONE, of all of `session` that match the topic in `BrokerMemory.levels`.
 */
export function identifierBytes(broker: Broker, session: number, via: number): number {
  const subscriptions = broker.memory.subscriptions;
  if (via === GONE || !subscriptions.hasIdentifiers(session)) return 0;
  let byteCount = 0;
  let row: number = via === NONE ? subscriptions.firstOfSession[session] : via;
  while (row !== NONE && subscriptions.identifier(row) !== 0) {
    if (via === row || goesAlong(broker, row)) {
      byteCount += 1 + varintBytes(subscriptions.identifier(row));
    }
    row = via === NONE ? subscriptions.cells[row + NEXT_OF_SESSION] : NONE;
  }
  return byteCount;
}

/** Writes them at `at`, 5.0 [MQTT-3.3.4-3], [MQTT-3.3.4-4]; returns their end. */
export function encodeIdentifiers(
  broker: Broker, at: number, session: number, via: number,
): number {
  const subscriptions = broker.memory.subscriptions;
  let row: number = via === NONE ? subscriptions.firstOfSession[session] : via;
  while (row !== NONE && subscriptions.identifier(row) !== 0) {
    if (via === row || goesAlong(broker, row)) {
      at = encodeVarintProperty(
        broker.bytes, at, SUBSCRIPTION_IDENTIFIER, subscriptions.identifier(row));
    }
    row = via === NONE ? subscriptions.cells[row + NEXT_OF_SESSION] : NONE;
  }
  return at;
}

function goesAlong(broker: Broker, row: number): boolean {
  const { cells, tree } = broker.memory.subscriptions;
  return (cells[row + OPTIONS] & SHARED) === 0 &&
    tree.matches(cells[row + NODE], broker.memory.levels);
}
