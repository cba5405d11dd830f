// What 3.1.1 and 5.0 have in common, said in either: the tests of this folder run once in each.
import { disconnect, publish, subscribe, subscribe5, unsubscribe, unsubscribe5 } from '../support/packets.js';
import type { ConnectFields, PublishFields, Text } from '../support/packets.js';

export interface Dialect {
  name: '3.1.1' | '5.0';
  level: 4 | 5;
  /** Fields of a CONNECT whose session outlives its connection. */
  lasting(clientId: string): ConnectFields;
  /** Of one whose session does not. */
  passing(clientId: string): ConnectFields;
  publish(topic: Text, payload: Text, fields?: PublishFields): Uint8Array;
  subscribe(id: number, ...filters: [filter: Text, qos: number][]): Uint8Array;
  unsubscribe(id: number, ...filters: Text[]): Uint8Array;
  /** The answer to an UNSUBSCRIBE, in words; 5.0 has a code for each filter. */
  unsuback(id: number, ...codes: number[]): string;
  /** How the broker ends a connection for that reason: it says so in 5.0, and closes. */
  ended(code: string): string[];
  disconnect(): Uint8Array;
}

export const DIALECTS: readonly Dialect[] = [{
  name: '3.1.1', level: 4,
  lasting: (clientId) => ({ clientId, clean: false }),
  passing: (clientId) => ({ clientId }),
  publish, subscribe, unsubscribe,
  unsuback: (id) => `UNSUBACK id${id}`,
  ended: () => [],
  disconnect: () => disconnect(),
}, {
  name: '5.0', level: 5,
  lasting: (clientId) => ({ clientId, clean: false, level: 5, properties: { sessionExpiry: 3600 } }),
  passing: (clientId) => ({ clientId, level: 5 }),
  publish: (topic, payload, fields) => publish(topic, payload, { properties: {}, ...fields }),
  subscribe: (id, ...filters) => subscribe5(id, {}, ...filters),
  unsubscribe: (id, ...filters) => unsubscribe5(id, {}, ...filters),
  unsuback: (id, ...codes) => `UNSUBACK id${id} ${codes.join()}`,
  ended: (code) => [`DISCONNECT ${code}`],
  disconnect: () => disconnect(0),
}];

/** Without the properties that a limit of the broker, or its explanation, adds. */
export function bare(answers: readonly string[]): string[] {
  return answers.map((answer) => answer.replace(/ \{[^}]*\}$/, ''));
}
