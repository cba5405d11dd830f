// A program as somebody writes it who knows the SDK's `mqttserver`: it tells who asks what it was told, and counts.
import config from "mc/config";
import Listener from "embedded:io/socket/listener";
import TCP from "embedded:io/socket/tcp";
import Time from "time";
import Timer from "timer";
import { MqttServer } from "moddable/faces/mqtt-server";

class Server extends MqttServer {
  #told = 0;

  constructor(options) {
    super({ Listener, TCP, Timer, now: () => Time.ticks, trace, ...options });
  }

  onMessage(topic, body) {
    this.#told += 1;
    switch (topic) {
      case "ask":
        this.publish("answer", "to " + String.fromArrayBuffer(body));
        break;
      case "count":
        this.publish("counted", String(this.#told));
        break;
      case "fail":
        throw new Error("a fault of this program");
      case "bytes":
        this.publish("bytes back", body);
        break;
      case "close":
        this.close();
    }
  }
}

new Server({ port: Number(config.port) });
