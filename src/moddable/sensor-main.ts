// A sensor's main program: boards/sensor/manifest.json names it. Brings the SDK's classes and what
// mcconfig's command line says, and starts sensor.ts.
//
//   board     name of the limits, by the board's manifest    pin    of the DHT22, by the same
//   piece     its room: piece=salon                          interval    seconds between readings
//   ssid, password    the Wi-Fi network                      sleep    seconds, with deep sleep
//   host, port    of the broker; without host it is looked for
//   user, userPassword    for a broker that asks for them

import Listener from 'embedded:io/socket/listener';
import TCP from 'embedded:io/socket/tcp';
import UDP from 'embedded:io/socket/udp';
import config from 'mc/config';
import Net from 'net';
import Preference from 'preference';
import Time from 'time';
import Timer from 'timer';
import WiFi from 'wifi';
import { Board } from './board/board.js';
import { Dht22Capture } from './dht22/capture.js';
import { brokerFinder } from './network/broker-finder.js';
import { CredentialStore } from './network/credentials.js';
import { Network } from './network/network.js';
import { Sensor, type SensorOptions } from './sensor.js';
import {
  abortHook, localName, PORT, random, sensorLimits, setupPort, text, wholeNumber, type Settings,
} from './settings.js';
import type { Locate, TcpClientOptions } from './tcp-client.js';

// The SDK's typings of some of these lag behind the SDK: see io.ts.
const io = {
  Listener, TCP, UDP, Timer, WiFi, Net, trace,
  now: () => Time.ticks,
  random: () => random(Time.ticks),
} as unknown as SensorOptions & ConstructorParameters<typeof Network>[0] &
  Parameters<typeof brokerFinder>[0];
const DAY_SECONDS = 86_400;
/** What a board's clock counts while it sleeps. */
const SLEEP_SECONDS_MAX = 4200;

/** Without a host any broker that announces itself will do. */
function locate(host: string | undefined, port: number): Locate {
  if (host === undefined) return brokerFinder(io);
  const hostName = localName(host);
  if (hostName !== undefined) return brokerFinder({ ...io, hostName, port });
  return (found, failed) => Net.resolve(host, (name, address) => {
    if (address === undefined) failed(new Error(`nobody knows the address of ${name}`));
    else found(name, address, port);
  });
}

function start(): void {
  const everySeconds = wholeNumber(config, 'sleep', 0, 5, SLEEP_SECONDS_MAX);
  const user = text(config, 'user');
  const password = text(config, 'userPassword');
  const options: SensorOptions = {
    ...io,
    piece: text(config, 'piece') ?? 'salon',
    sensor: { io: Dht22Capture, pin: wholeNumber(config, 'pin', 4, 0, 48) },
    intervalMs: 1000 * wholeNumber(config, 'interval', 10, 2, DAY_SECONDS),
    limits: sensorLimits(config),
    socket: { io: TCP } as unknown as TcpClientOptions['socket'],
    locate: locate(text(config, 'host'), wholeNumber(config, 'port', PORT, 1, 65_535)),
    network: (user) => new Network({
      ...io, ...user,
      hostName: 'maison',
      credentials: new CredentialStore(Preference, config as Settings),
      setupPort: setupPort(config),
    }),
  };
  if (user !== undefined) options.user = user;
  if (password !== undefined) options.password = password;
  if (everySeconds > 0) {
    const memory = new Board();
    options.sleep = {
      everyMs: 1000 * everySeconds,
      memory,
      enter: (ms) => {
        if (!memory.deepSleep(ms)) trace(`maisonnette: no deep sleep here, of ${ms} ms\n`);
      },
    };
  }
  new Sensor(options).start();
}

(globalThis as { abort?: unknown }).abort = abortHook(trace);
try {
  start();
} catch (error) { // what was configured cannot be; to restart would not help
  trace(`maisonnette: ${error}\n`);
}
