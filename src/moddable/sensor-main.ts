// A sensor's main program: boards/sensor/manifest.json names it. Brings the SDK's classes and what
// mcconfig's command line says, and starts sensor.ts. For boards it is preloaded too, and the
// platform calls the function that it exports: so all of it is in flash but the objects that it
// makes.
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
import type { NetworkUser } from './hub.js';
import { brokerFinder, type BrokerFinderOptions } from './network/broker-finder.js';
import { CredentialStore } from './network/credentials.js';
import { Network, type NetworkOptions } from './network/network.js';
import { Sensor, type SensorOptions, type SleepOptions } from './sensor.js';
import {
  abortHook, localName, PORT, random, sensorLimits, setupPort, text, wholeNumber, type Settings,
} from './settings.js';
import type { Locate } from './tcp-client.js';
import { Ticker } from './ticker.js';

const DAY_SECONDS = 86_400;
/** What a board's clock counts while it sleeps. */
const SLEEP_SECONDS_MAX = 4200;

// The SDK's typings of some of these lag behind the SDK: see io.ts.
const io = Object.freeze({
  Listener, TCP, UDP, Timer, WiFi, Net,
  credentials: Object.freeze(new CredentialStore(Preference, config as Settings)),
  now(): number {
    return Time.ticks;
  },
  random(): number {
    return random(Time.ticks);
  },
  trace(line: string): void {
    trace(line);
  },
});
const SOCKET = Object.freeze({ io: TCP });

/** What the sensor, its client and its network ask for, all by the same names: `io` and these. */
class Parts {
  readonly piece = text(config, 'piece') ?? 'salon';
  readonly sensor = { io: Dht22Capture, pin: wholeNumber(config, 'pin', 4, 0, 48) };
  readonly intervalMs = 1000 * wholeNumber(config, 'interval', 10, 2, DAY_SECONDS);
  readonly limits = sensorLimits(config);
  readonly locate = locate();
  readonly ticker = new Ticker(io);
  readonly sleep = sleep();
  readonly setupPort = setupPort(config);
  private networkUser: NetworkUser | undefined;

  get socket(): object {
    return SOCKET;
  }

  get user(): string | undefined {
    return text(config, 'user');
  }

  get password(): string | undefined {
    return text(config, 'userPassword');
  }

  /** As which the setup page tells of the house. */
  get hostName(): string {
    return 'maison';
  }

  network(user: NetworkUser): Network {
    this.networkUser = user;
    return new Network(this as unknown as NetworkOptions);
  }

  onUp(address: string): void {
    this.networkUser?.onUp(address);
  }

  onDown(): void {
    this.networkUser?.onDown();
  }
}

Object.setPrototypeOf(Parts.prototype, io);

/** Without a host any broker that announces itself will do. */
function locate(): Locate {
  const host = text(config, 'host');
  const port = wholeNumber(config, 'port', PORT, 1, 65_535);
  const options = io as unknown as BrokerFinderOptions;
  if (host === undefined) return brokerFinder(options);
  const hostName = localName(host);
  if (hostName !== undefined) return brokerFinder({ ...options, hostName, port });
  return (found, failed) => Net.resolve(host, (name, address) => {
    if (address === undefined) failed(new Error(`nobody knows the address of ${name}`));
    else found(name, address, port);
  });
}

function sleep(): SleepOptions | undefined {
  const everySeconds = wholeNumber(config, 'sleep', 0, 5, SLEEP_SECONDS_MAX);
  if (everySeconds === 0) return undefined;
  const memory = new Board();
  return {
    everyMs: 1000 * everySeconds,
    memory,
    enter: (ms) => {
      if (!memory.deepSleep(ms)) trace(`maisonnette: no deep sleep here, of ${ms} ms\n`);
    },
  };
}

const abort = abortHook(io.trace);

export default function main(): void {
  (globalThis as { abort?: unknown }).abort = abort;
  try {
    new Sensor(new Parts() as unknown as SensorOptions).start();
  } catch (error) { // what was configured cannot be; to restart would not help
    trace(`maisonnette: ${error}\n`);
  }
}
