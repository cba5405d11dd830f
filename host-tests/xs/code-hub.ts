// The modules of the hub's program as one script, for the size of its bytecode; prints it. Run in XS by
// board-figures.ts. Without hub-main.ts and the capture, which cannot be without the SDK.
import { Hub } from '../../src/moddable/hub.js';
import { CredentialStore } from '../../src/moddable/network/credentials.js';
import { MdnsResponder } from '../../src/moddable/network/mdns-responder.js';
import { Network } from '../../src/moddable/network/network.js';
import { hubLimits } from '../../src/moddable/settings.js';
import './measure.js';

const roots = [Hub, CredentialStore, MdnsResponder, Network, hubLimits];
xs.onEnd = () => xs.print(String(roots.length === 5 ? xs.codeBytes() : 0));
