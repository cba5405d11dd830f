// What the client makes of packets of MQTT 5.0 that are wrong in themselves: all vectors and every fault of every
// property end the connection with their code, whole and byte by byte, and the application is told. Runs on Node and
// on XS alike.
import t from 'tap';
import { ScriptedBroker } from '../client/scripted-broker.js';
import * as codes from '../../src/wire/codes.js';
import { connack5 } from '../support/packets.js';
import { propertyCases } from '../wire/plain-properties.js';
import { bytesOf, GROUPS, titleOf } from '../wire/vectors.js';

interface Case {
  title: string;
  bytes: Uint8Array;
  /** A name of src/wire/codes.ts. */
  outcome: string;
}

const VECTORS: readonly Case[] = GROUPS.flatMap(({ vectors }) => vectors)
  .filter(({ level, clause, packetBytesMax, outcome }) => level !== 4 && clause.startsWith('5.0 ') &&
    packetBytesMax === undefined && outcome !== 'INCOMPLETE')
  .map((vector) => ({ title: titleOf(vector), bytes: bytesOf(vector), outcome: vector.outcome }));
const FAULTS: readonly Case[] = propertyCases().filter(({ property }) => property !== null);

const typeOf = ({ bytes }: Case): number => bytes[0]! >> 4;
const numberOf = (outcome: string): number => (codes as unknown as Record<string, number>)[outcome]!;

/** The link of a client that has been told of a connection, unless the packet is its CONNACK. */
function broker(isConnack: boolean): ScriptedBroker {
  const scripted = new ScriptedBroker({ protocolLevel: 5 });
  scripted.client.connect();
  scripted.open();
  if (!isConnack) scripted.send(connack5(false, 0, { aliasMaximum: 5 }));
  scripted.notes.told();
  return scripted;
}

function problems(cases: readonly Case[], wanted: (item: Case) => RegExp): string[] {
  const found: string[] = [];
  for (const item of cases) {
    for (const pieceBytes of [Infinity, 1]) {
      const scripted = broker(typeOf(item) === codes.CONNACK);
      const sent = scripted.send(item.bytes, pieceBytes);
      const told = [...sent, ...scripted.notes.told(), scripted.link.closed ? 'closed' : 'open'].join(', ');
      if (!wanted(item).test(told)) found.push(`${item.title}: ${told}`);
    }
  }
  return found;
}

const { CONNACK } = codes;
/** Types that a server sends. */
const RECEIVED = [CONNACK, codes.PUBLISH, codes.PUBACK, codes.PUBREC, codes.PUBREL, codes.PUBCOMP, codes.SUBACK,
  codes.UNSUBACK, codes.PINGRESP, codes.DISCONNECT, codes.AUTH];

for (const [name, all] of [['vector', VECTORS], ['fault of a property', FAULTS]] as const) {
  t.test(`5.0 [MQTT-4.13.2-1]: every ${name} that a server may send ends the client's connection`, (t) => {
    for (const type of RECEIVED) {
      const wrong = all.filter((item) => item.outcome !== 'OK' && typeOf(item) === type);
      // Before it is accepted a client says nothing, section 4.12 aside.
      const sent = (code: number): string => type === CONNACK ? '' : `DISCONNECT 0x${code.toString(16)}, `;
      t.same(problems(wrong, ({ outcome }) =>
        new RegExp(`^${sent(-numberOf(outcome))}ended ${numberOf(outcome)}, closed$`)), [],
      `${wrong.length} packets of type ${type}`);
    }
    t.ok(all.length > 300, `${all.length} packets, right and wrong`);
    t.end();
  });
}

t.test('5.0 section 4.13: a packet that only clients send ends the connection, right or wrong in itself', (t) => {
  const types = [codes.CONNECT, codes.SUBSCRIBE, codes.UNSUBSCRIBE, codes.PINGREQ];
  const all = [...VECTORS, ...FAULTS].filter((item) => types.includes(typeOf(item)));
  t.same(problems(all, () => /^DISCONNECT 0x8[12], ended -1(29|30), closed$/), [], `${all.length} packets`);
  t.end();
});
