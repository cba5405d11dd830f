// One client under measurement, or many idle ones, in a process of their own, so that CPU and memory
// are theirs alone. Does what `bench` tells it over the channel to its parent and answers each
// command once it is done; ends when the channel does.
// Usage, by `bench` only: node --expose-gc client-load.main.js NAME PORT

import { openByName, type ClientUnderLoad, type Events } from './client-kinds.js';
import { SequenceCheck } from './load-check.js';
import { PAYLOAD_BYTES } from './load-packets.js';
import type { Answer, Command } from './client-process.js';

const [name = '', port = ''] = process.argv.slice(2);
const clients: ClientUnderLoad[] = [];
const check = new SequenceCheck(1);
/** A payload for each message of a burst: MQTT.js holds them until they are acknowledged. */
const payloads: Buffer[] = [];
let publishedCount = 0;
let unacknowledgedCount = 0;
let arrivalsPerAnswer = 0;

function answer(said: Answer): void {
  process.send?.(said);
}

const events: Events = {
  message(payload) {
    check.take(payload[4]! << 8 | payload[5]!,
      (payload[0]! << 24 | payload[1]! << 16 | payload[2]! << 8 | payload[3]!) >>> 0);
    if (check.arrivedCount % arrivalsPerAnswer === 0) answer({ name: 'arrived' });
  },
  acknowledged() {
    if (--unacknowledgedCount === 0) answer({ name: 'publish' });
  },
  failed(reason) {
    process.stderr.write(`bench: client ${name}: ${reason}\n`);
    process.exit(1);
  },
};

async function openClients(count: number): Promise<void> {
  const open = openByName[name];
  if (!open) throw new Error(`no client is called "${name}"`);
  for (let index = 0; index < count; index++) {
    clients.push(await open(Number(port), `client${clients.length}`, events));
  }
}

function publishBurst(topic: string, qos: number, count: number): void {
  while (payloads.length < count) payloads.push(Buffer.alloc(PAYLOAD_BYTES));
  unacknowledgedCount = qos === 0 ? 0 : count;
  for (let index = 0; index < count; index++) {
    const payload = payloads[index]!;
    payload.writeUInt32BE(publishedCount++);
    clients[0]!.publish(topic, payload, qos);
  }
  if (qos === 0) answer({ name: 'publish' });
}

async function obey(command: Command): Promise<void> {
  switch (command.name) {
    case 'open':
      await openClients(command.count);
      break;
    case 'subscribe':
      arrivalsPerAnswer = command.arrivalsPerAnswer;
      await clients[0]!.subscribe(command.topic, command.qos);
      break;
    case 'publish': // which answers by itself
      publishBurst(command.topic, command.qos, command.count);
      return;
    case 'collect':
      global.gc!();
      break;
    case 'faults': {
      const faults = { lost: 0, duplicates: 0, outOfOrder: 0 };
      check.addTo(faults, () => command.sentCount);
      answer({ name: 'faults', faults });
      return;
    }
  }
  answer({ name: command.name });
}

process.on('message', (command: Command) => void obey(command));
process.on('disconnect', () => process.exit());
