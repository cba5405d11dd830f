// The hub's main program: the root manifest names it. Brings the SDK's classes and what mcconfig's
// command line says, and starts hub.ts. For boards it is preloaded too, and the platform calls the
// function that it exports: so all of it is in flash but the objects that it makes.
//
//   board    name of the limits, by the board's manifest      pin    of a DHT22, by the same
//   piece    room of a DHT22 on this board: piece=salon       port   1883
//   ssid, password    the Wi-Fi network                       host   its name there: maison.local

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
import { Hub, type HubOptions, type NetworkUser } from './hub.js';
import { CredentialStore } from './network/credentials.js';
import { MdnsResponder, type MdnsResponderOptions } from './network/mdns-responder.js';
import { Network, type NetworkOptions } from './network/network.js';
import {
  abortHook, hubLimits, localName, PORT, random, setupPort, text, wholeNumber, type Settings,
} from './settings.js';
import { Ticker } from './ticker.js';

// The SDK's typings of some of these lag behind the SDK: see io.ts.
const io = Object.freeze({
  Listener, TCP, UDP, Timer, WiFi, Net,
  credentials: Object.freeze(new CredentialStore(Preference, config as Settings)),
  board: Object.freeze(new Board()),
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

/** What hub, network and announcement ask for, all by the same names: `io` and these. */
class Parts {
  readonly limits = hubLimits(config);
  readonly port = wholeNumber(config, 'port', PORT, 1, 65_535);
  readonly ticker = new Ticker(io);
  readonly hostName = hostName();
  readonly setupPort = setupPort(config);
  readonly local = localSensor();
  /** Once the network is up. */
  address = '';
  private user: NetworkUser | undefined;

  get version(): string {
    return `maisonnette ${text(config, 'version')}`;
  }

  network(user: NetworkUser): Network {
    this.user = user;
    return new Network(this as unknown as NetworkOptions);
  }

  onUp(address: string): void {
    this.user?.onUp(address);
  }

  onDown(): void {
    this.user?.onDown();
  }

  announce(address: string): MdnsResponder {
    this.address = address;
    return new MdnsResponder(this as unknown as MdnsResponderOptions);
  }
}

Object.setPrototypeOf(Parts.prototype, io);

function hostName(): string {
  const host = text(config, 'host') ?? 'maison.local';
  return localName(host) ?? host;
}

function localSensor(): HubOptions['local'] {
  const piece = text(config, 'piece');
  if (piece === undefined) return undefined;
  const pin = wholeNumber(config, 'pin', 4, 0, 48);
  return { piece, sensor: { io: Dht22Capture, pin } };
}

const abort = abortHook(io.trace);

export default function main(): void {
  (globalThis as { abort?: unknown }).abort = abort;
  try {
    new Hub(new Parts() as unknown as HubOptions).start();
  } catch (error) { // what was configured cannot be; to restart would not help
    trace(`maisonnette: ${error}\n`);
  }
}
