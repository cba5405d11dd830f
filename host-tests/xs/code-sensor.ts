// The modules of a sensor as one script, for the size of its bytecode; prints it. Run in XS by
// board-figures.ts.
import { MqttClient } from '../../src/client/mqtt-client.js';
import { SensorNode } from '../../src/room/sensor-node.js';
import { DHT22 } from '../../src/sensor/dht22.js';
import './measure.js';

const roots = [MqttClient, SensorNode, DHT22];
xs.onEnd = () => xs.print(String(roots.length === 3 ? xs.codeBytes() : 0));
