// In place of the config.js beside the SDK's example of an MQTT client, whose main.js this program runs as it is:
// another class, what that asks for beside the options of ECMA-419, and io that reaches only a broker on this machine.
import "system";
import Timer from "timer";
import Time from "time";
import { MqttClient419 } from "moddable/faces/mqtt-client-419";
import { Resolver, TCP, trace } from "loopback";

globalThis.trace = trace; // what the example tells, in a simulator that is not being debugged
globalThis.device = Object.freeze({
  ...globalThis.device,
  network: {
    ...globalThis.device?.network,
    mqtt: {
      io: MqttClient419,
      dns: { io: Resolver },
      socket: { io: TCP },
      Timer,
      now: () => Time.ticks,
      trace,
    },
  },
}, true);
