// `maisonnette room`: a house on one computer. A broker, rooms with simulated sensors, each a
// client of its own over TCP, and one more client that watches them for the table.

import packageJson from '../../package.json' with { type: 'json' };
import { hostLimits } from '../limits.js';
import { House } from '../room/house.js';
import {
  HELP_OPTION, helpText, parseArguments, seconds, UsageError, wholeNumber,
  type Command, type Option,
} from './arguments.js';
import { constructBroker, listen } from './broker-command.js';
import { protocolLevelOf, VERSION_OPTION } from './connection-options.js';
import { HouseView } from './house-view.js';
import { namedPieces, type NamedPiece } from './pieces.js';
import { placeOf } from './sentences.js';
import { asked } from './signals.js';
import { DAY_SECONDS, SimulatedRoom } from './simulated-room.js';
import { TcpBroker } from './tcp.js';
import { TcpClient, type TcpClientOptions } from './tcp-client.js';

const OPTIONS: readonly Option[] = [
  { name: 'pieces', value: 'NAMES', help: 'the rooms, with commas between them',
    default: 'salon,cuisine,chambre' },
  { name: 'host', value: 'ADDRESS',
    help: 'address to listen on; 0.0.0.0 opens it to the network', default: '127.0.0.1' },
  { name: 'port', short: 'p', value: 'N', help: 'port to listen on; 0 takes a free one',
    default: '1883' },
  { name: 'interval', value: 'SECONDS', help: 'time between the readings of a room', default: '2' },
  { name: 'day', value: 'SECONDS', help: 'how long a simulated day takes; 86400 is a real one',
    default: '120' },
  { ...VERSION_OPTION, help: 'of MQTT, for the rooms: 3.1, 3.1.1 or 5' },
  { name: 'plain', help: 'lines instead of a table, also on a terminal' },
  HELP_OPTION,
];

const ROOMS_MAX = 100;

interface RoomArguments {
  pieces: NamedPiece[];
  host: string;
  port: number;
  intervalMs: number;
  dayMs: number;
  protocolLevel: number;
  plain: boolean;
}

export const roomCommand: Command = {
  name: 'room',
  summary: 'run a broker and rooms with simulated sensors, and show them',
  async run(args) {
    const given = parseRoomArguments(args);
    if (given === undefined) process.stdout.write(roomHelp());
    else await runRoom(given);
    return 0;
  },
};

function roomHelp(): string {
  return helpText('maisonnette room [options]',
    `A living house: an MQTT broker, and rooms whose simulated DHT22 sensors publish
maison/<room>/temperature, humidite and etat there, over TCP, shown as a table.
The broker listens on this machine only, unless --host says otherwise.
A name with accents is shown as it is; in topics it has none: Séjour is maison/sejour.`,
    { title: 'Options', options: OPTIONS });
}

/** Undefined: the help is asked for. */
function parseRoomArguments(args: readonly string[]): RoomArguments | undefined {
  const values = parseArguments(args, OPTIONS);
  if (values.flag('help')) return undefined;
  const pieces = namedPieces('pieces', values.text('pieces') ?? 'salon,cuisine,chambre');
  if (pieces.length > ROOMS_MAX) {
    throw new UsageError(`--pieces has ${pieces.length} rooms: ${ROOMS_MAX} are the most`);
  }
  const host = values.text('host') ?? '127.0.0.1';
  if (host === '') {
    throw new UsageError('--host is empty: give an address, or leave it out for this machine only');
  }
  return {
    pieces,
    host,
    port: wholeNumber('port', values.text('port') ?? '1883', 0, 65_535),
    intervalMs: seconds('interval', values.text('interval') ?? '2', 2, DAY_SECONDS),
    dayMs: seconds('day', values.text('day') ?? '120', 10, DAY_SECONDS),
    protocolLevel: protocolLevelOf(values),
    plain: values.flag('plain'),
  };
}

/** Resolves when SIGINT or SIGTERM has ended it. */
async function runRoom(given: RoomArguments): Promise<void> {
  const server = new TcpBroker(constructBroker(hostLimits()));
  const { port } = await listen(server, given);
  const house = new House({ staleMs: Math.max(3 * given.intervalMs, 15_000) });
  for (const { piece, label } of given.pieces) house.expect(piece, label);
  const connection = {
    host: ownAddress(given.host), port, protocolLevel: given.protocolLevel,
  };
  let failedCount = 0;
  const rooms = given.pieces.map(({ piece, label }) => new SimulatedRoom({
    piece, connection, intervalMs: given.intervalMs, dayMs: given.dayMs,
    observer: {
      failed: () => {
        failedCount++;
        view.line(`${label}: a reading failed, and was not published`);
      },
    },
  }));
  const view = new HouseView(house, {
    title: `Maisonnette ${packageJson.version}`,
    above: () => description(given, port, rooms, failedCount),
    below: hints(given.host, port),
    humidity: true, counts: false, plain: given.plain,
  });
  const watching = watch(house, view, connection);
  const end = asked();
  for (const room of rooms) room.start();
  view.open();
  await end;
  view.close();
  await Promise.all(rooms.map((room) => room.close()));
  await watching.close();
  await server.close();
  process.stdout.write('Ended: every room has said hors-ligne.\n');
}

/** A client like any other that asks for what all rooms publish. */
function watch(
  house: House, view: HouseView, connection: TcpClientOptions,
): { close(): Promise<void> } {
  let closed = (): void => {};
  const whenClosed = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const client = new TcpClient({
    ...connection,
    onMessage: (topic, payload, { retain }) => {
      view.told(topic, house.take(topic, payload, retain, performance.now()));
    },
    onClosed: closed,
  });
  for (const what of ['temperature', 'humidite', 'etat']) client.subscribe(`maison/+/${what}`);
  client.connect();
  return {
    close: () => {
      client.close();
      return whenClosed;
    },
  };
}

function description(
  { host, pieces, intervalMs, dayMs }: RoomArguments, port: number,
  rooms: readonly SimulatedRoom[], failedCount: number,
): string[] {
  const count = rooms.reduce((sum, { node }) => sum + node.readCount, 0);
  const day = dayMs === DAY_SECONDS * 1000 ? '' : `, a day in ${dayMs / 1000} s`;
  return [
    `MQTT broker on ${placeOf({ host, port })}`,
    `${pieces.length === 1 ? 'one room' : `${pieces.length} rooms`} with simulated DHT22 sensors` +
      `: a reading every ${intervalMs / 1000} s${day}`,
    ...(count === 0 ? [] : [`${count} readings published, ${failedCount} failed`]),
  ];
}

function hints(host: string, port: number): string[] {
  const reached = ownAddress(host);
  const at = `${reached === '127.0.0.1' || host === 'localhost' ? '' : ` -h ${reached}`}` +
    `${port === 1883 ? '' : ` -p ${port}`}`;
  return [`mosquitto_sub${at} -t 'maison/#' -v`, 'Ctrl-C ends'];
}

/** Where this machine finds a broker that listens on `host`. */
function ownAddress(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}
