// Io for a program that names a host on the Internet, in a test: whatever the name and the port, it gets to this
// machine and to the port that mcconfig's command line tells.
import config from "mc/config";
import SystemTCP from "embedded:io/socket/tcp";
import UDP from "embedded:io/socket/udp";
import Timer from "timer";

const ADDRESS = "127.0.0.1";

export class Resolver {
  resolve({ host, onResolved }) {
    Timer.set(() => onResolved.call(this, host, ADDRESS));
  }
}

export class TCP extends SystemTCP {
  constructor(options) {
    super({ ...options, address: ADDRESS, port: Number(config.port) });
  }
}

let socket;

/** A datagram for each text. */
export function trace(text) {
  socket ??= new UDP({});
  socket.write(ArrayBuffer.fromString(String(text)), ADDRESS, Number(config.tracePort));
}
