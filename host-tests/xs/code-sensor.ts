// The modules of the sensor's program as one script, for the size of its bytecode; prints it. Run in XS by
// board-figures.ts. Without sensor-main.ts and the capture, which cannot be without the SDK.
import { brokerFinder } from '../../src/moddable/network/broker-finder.js';
import { CredentialStore } from '../../src/moddable/network/credentials.js';
import { Network } from '../../src/moddable/network/network.js';
import { Sensor } from '../../src/moddable/sensor.js';
import { sensorLimits } from '../../src/moddable/settings.js';
import './measure.js';

const roots = [brokerFinder, CredentialStore, Network, Sensor, sensorLimits];
xs.onEnd = () => xs.print(String(roots.length === 5 ? xs.codeBytes() : 0));
