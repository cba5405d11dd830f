// The hub's main program: the root manifest names it. Brings the SDK's classes and what mcconfig's
// command line says, and starts hub.ts.
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
import { Hub, type HubOptions } from './hub.js';
import { CredentialStore } from './network/credentials.js';
import { MdnsResponder } from './network/mdns-responder.js';
import { Network } from './network/network.js';
import {
  abortHook, hubLimits, localName, PORT, random, setupPort, text, wholeNumber, type Settings,
} from './settings.js';

// The SDK's typings of some of these lag behind the SDK: see io.ts.
const io = {
  Listener, TCP, UDP, Timer, WiFi, Net, trace,
  now: () => Time.ticks,
  random: () => random(Time.ticks),
} as unknown as HubOptions & ConstructorParameters<typeof Network>[0] &
  ConstructorParameters<typeof MdnsResponder>[0];

function start(): void {
  const piece = text(config, 'piece');
  const host = text(config, 'host') ?? 'maison.local';
  const hostName = localName(host) ?? host;
  const options: HubOptions = {
    ...io,
    limits: hubLimits(config),
    port: wholeNumber(config, 'port', PORT, 1, 65_535),
    version: `maisonnette ${text(config, 'version')}`,
    board: new Board(),
    network: (user) => new Network({
      ...io, ...user, hostName,
      credentials: new CredentialStore(Preference, config as Settings),
      setupPort: setupPort(config),
    }),
    announce: (address, port) => new MdnsResponder({
      ...io, hostName, address, port,
    }),
  };
  if (piece !== undefined) {
    const pin = wholeNumber(config, 'pin', 4, 0, 48);
    options.local = { piece, sensor: { io: Dht22Capture, pin } };
  }
  new Hub(options).start();
}

(globalThis as { abort?: unknown }).abort = abortHook(trace);
try {
  start();
} catch (error) { // what was configured cannot be; to restart would not help
  trace(`maisonnette: ${error}\n`);
}
