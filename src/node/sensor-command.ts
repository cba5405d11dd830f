// `maisonnette sensor`: one room with a simulated sensor, publishing to any broker. Says what it
// does in lines, as a service would log it.

import { sentenceOf } from '../sensor/dht22-pulses.js';
import type { SensorNodeObserver } from '../room/sensor-node.js';
import {
  helpText, parseArguments, seconds, UsageError, type Command, type Option, type Values,
} from './arguments.js';
import { connectionOf, CONNECTION_SECTION } from './connection-options.js';
import { namedPiece } from './pieces.js';
import { lossSentence, placeOf, refusalSentence } from './sentences.js';
import { asked } from './signals.js';
import {
  DAY_SECONDS, QUEUED_MAX, SimulatedRoom, type SimulatedRoomOptions,
} from './simulated-room.js';

const OPTIONS: readonly Option[] = [
  { name: 'piece', value: 'NAME', help: 'the room; in topics without accents', default: 'salon' },
  { name: 'interval', value: 'SECONDS', help: 'time between readings', default: '10' },
  { name: 'on-change', value: 'STEP',
    help: 'publish only what has changed by so much, 0.1 °C or % and more, since the last time' },
  { name: 'heartbeat', value: 'SECONDS',
    help: 'with --on-change: publish what has not changed after this time',
    default: '6 intervals' },
  { name: 'day', value: 'SECONDS', help: 'how long a simulated day takes', default: '86400' },
];

export const sensorCommand: Command = {
  name: 'sensor',
  summary: 'run one room with a simulated sensor, for any broker',
  async run(args) {
    const values = parseArguments(args, [...OPTIONS, ...CONNECTION_SECTION.options]);
    if (values.flag('help')) process.stdout.write(sensorHelp());
    else await runSensor(sensorOptions(values));
    return 0;
  },
};

function sensorHelp(): string {
  return helpText('maisonnette sensor [options]',
    `One room with a simulated DHT22 sensor. Publishes, retained and with QoS 1:
  maison/<room>/temperature   21.4         degrees Celsius
  maison/<room>/humidite      48.3         percent
  maison/<room>/etat          en-ligne     hors-ligne when it ends, is lost or reads nothing
The client identifier is maison-<room>, unless --id says otherwise.
The broker must be there at the start, else the exit code is 2. While it is away later, readings
wait and are sent in order when it is back; ${QUEUED_MAX} at most, then the oldest are dropped.`,
    { title: 'Options', options: OPTIONS }, CONNECTION_SECTION);
}

function sensorOptions(values: Values): Omit<SimulatedRoomOptions, 'observer'> {
  const { options: connection, topic } = connectionOf(values);
  if (topic !== undefined) {
    throw new UsageError('--url has a topic: a sensor has its own, give it a --piece instead');
  }
  const { piece } = namedPiece('piece', values.text('piece') ?? 'salon');
  const intervalMs = seconds('interval', values.text('interval') ?? '10', 2, DAY_SECONDS);
  const heartbeat = values.text('heartbeat');
  const step = values.text('on-change');
  if (heartbeat !== undefined && step === undefined) {
    throw new UsageError('--heartbeat needs --on-change');
  }
  return {
    piece, connection, intervalMs,
    dayMs: seconds('day', values.text('day') ?? `${DAY_SECONDS}`, 10, DAY_SECONDS),
    ...(step === undefined ? {} : { changeTenths: tenths(step) }),
    ...(heartbeat === undefined ? {} :
      { heartbeatMs: seconds('heartbeat', heartbeat, intervalMs / 1000, DAY_SECONDS) }),
  };
}

function tenths(step: string): number {
  if (/^\d{1,3}(\.\d)?$/.test(step) && Number(step) > 0) return Math.round(Number(step) * 10);
  throw new UsageError(
    `--on-change is "${step}": it must be 0.1 or more, with one decimal at most`);
}

/** Resolves when SIGINT or SIGTERM has ended it. */
async function runSensor(options: Omit<SimulatedRoomOptions, 'observer'>): Promise<void> {
  const place = placeOf(options.connection);
  let accepted = false;
  let refuse = (_error: UsageError): void => {};
  const refused = new Promise<never>((_resolve, reject) => {
    refuse = reject;
  });
  const told = (): string | undefined => room.node.client.incoming.reasonString;
  const log = sensorLog(options.piece, place, say, () => ({
    waitingCount: room.node.client.waitingCount, droppedCount: room.node.droppedCount,
  }), told);
  const room = new SimulatedRoom({
    ...options,
    connection: {
      ...options.connection,
      onRefused: (returnCode) => {
        const sentence = refusalSentence(place, returnCode, told());
        if (accepted) say(sentence);
        else refuse(new UsageError(sentence));
      },
    },
    observer: {
      ...log,
      connected: () => {
        accepted = true;
        log.connected();
      },
      disconnected: (reason, error) => {
        if (accepted) log.disconnected(reason, error);
        else refuse(new UsageError(lossSentence(place, reason, error, told)));
      },
    },
  });
  room.start();
  try {
    await Promise.race([asked(), refused]);
  } finally {
    await room.close();
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/**
 * What happens to a node, in lines; `queue` tells how many messages wait, and were dropped, `told`
 * the reason string of the packet at hand.
 */
export function sensorLog(
  piece: string, place: string, say: (line: string) => void,
  queue: () => { waitingCount: number; droppedCount: number }, told: () => string | undefined,
) {
  let away = false;
  /** What was dropped up to the last connection; and whether it was told that it goes on. */
  let droppedCount = 0;
  let dropping = false;
  return {
    connected: () => {
      const { waitingCount, droppedCount: all } = queue();
      const lost = all === droppedCount ? '' : `, ${all - droppedCount} older ones were dropped`;
      droppedCount = all;
      dropping = false;
      if (away) say(`${place} is back: ${waitingCount} messages on their way${lost}`);
      else say(`connected to ${place}, publishing maison/${piece}/temperature and humidite`);
      away = false;
    },
    disconnected: (reason: number, error: Error | undefined) => {
      const sentence = lossSentence(place, reason, error, told);
      if (!away) say(`${sentence}: readings wait until it is back`);
      away = true;
    },
    announced: (online: boolean) => say(`${piece} is ${online ? 'en-ligne' : 'hors-ligne'}`),
    failed: (failure: number) => say(`no reading: ${sentenceOf(failure)}`),
    read: (temperatureTenths: number, humidityTenths: number) => {
      const { waitingCount, droppedCount: all } = queue();
      if (!dropping && all > droppedCount) {
        dropping = true;
        say('the queue is full: from now on the oldest readings are dropped for new ones');
      }
      const kept = away ? `  (${waitingCount} messages wait)` : '';
      say(`${piece}  ${(temperatureTenths / 10).toFixed(1)} °C  ` +
        `${(humidityTenths / 10).toFixed(1)} %${kept}`);
    },
  } satisfies SensorNodeObserver;
}
