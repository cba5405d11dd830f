// Programs in Moddable's simulator on Linux, for tests: a display, the simulator itself, and MQTT.js clients that
// remember what they receive. Needs MODDABLE, Xvfb and Mosquitto's tools.
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Changes, Child, run, within, type Owner } from '../node/children.js';
import { RawClient } from '../node/raw-client.js';
import { missing, tool } from './mcconfig.js';

export const WAIT_MS = 20_000;

/** Why programs cannot be run in the simulator here; '' if they can. */
export async function missingForSimulator(): Promise<string> {
  const why = missing();
  if (why !== '') return why;
  if (process.platform !== 'linux') return 'the simulator is driven on Linux only';
  const owner: Owner = { teardown() {} }; // they end at once
  for (const [program, ...args] of [['Xvfb', '-help'], ['mosquitto_sub', '--help'], ['mosquitto_pub', '--help']]) {
    const found = await run(owner, program!, args, '').then(() => true, () => false);
    if (!found) return `no ${program} on this machine (Debian: xvfb, mosquitto-clients)`;
  }
  return '';
}

/** A display for simulators, which they do not do without. */
export class Display {
  readonly #owner: Owner;
  readonly #number: string;

  private constructor(owner: Owner, number: string) {
    this.#owner = owner;
    this.#number = number;
  }

  /** One that nobody else uses, until `owner` ends. */
  static async open(owner: Owner): Promise<Display> {
    const child = new Child(owner, 'Xvfb', ['-displayfd', '1', '-screen', '0', '1024x768x24', '-nolisten', 'tcp']);
    return new Display(owner, await child.line(/^\d+$/, WAIT_MS));
  }

  /** Starts the simulator with a program; each has settings of its own, or one would start the other's program. */
  simulate(library: string): Child {
    const settings = mkdtempSync(join(tmpdir(), 'maisonnette-simulator-'));
    mkdirSync(join(settings, 'tech.moddable.mcsim'));
    this.#owner.teardown(() => rmSync(settings, { recursive: true, force: true })); // after the child has ended
    return new Child(this.#owner, 'env',
      [`DISPLAY=:${this.#number}`, `XDG_CONFIG_HOME=${settings}`, `HOME=${settings}`, tool('mcsim'), library]);
  }
}

/** Waits until somebody accepts connections. */
export async function accepting(port: number): Promise<void> {
  const endMs = Date.now() + 4 * WAIT_MS;
  for (;;) {
    try {
      (await RawClient.open({ teardown() {} }, port)).socket.destroy();
      return;
    } catch (error) {
      if (Date.now() > endMs) throw error;
      await sleep(200);
    }
  }
}

/** What is registered first is ended last. */
export class Ends implements Owner {
  readonly #ends: (() => unknown)[] = [];

  teardown(end: () => unknown): void {
    this.#ends.push(end);
  }

  async all(): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
  }
}

export interface Message {
  topic: string;
  text: string;
  qos: number;
  retain: boolean;
}

/** An MQTT.js client and all it receives. */
export class Peer {
  readonly client: MqttClient;
  readonly messages: Message[] = [];
  closed = false;
  readonly #changes = new Changes();

  private constructor(owner: Owner, options: IClientOptions) {
    this.client = mqtt.connect({ host: '127.0.0.1', protocolVersion: 4, reconnectPeriod: 0, ...options });
    this.client.on('error', () => {});
    this.client.on('message', (topic, payload, { qos, retain }) => {
      this.messages.push({ topic, text: payload.toString(), qos, retain });
      this.#changes.signal();
    });
    this.client.on('close', () => {
      this.closed = true;
      this.#changes.signal();
    });
    owner.teardown(() => this.client.endAsync(true));
  }

  static async connected(owner: Owner, options: IClientOptions): Promise<Peer> {
    const peer = new Peer(owner, options);
    await within(new Promise((resolve) => peer.client.once('connect', resolve)), 'CONNACK', WAIT_MS);
    return peer;
  }

  async subscribed(filter: string, qos: 0 | 1 | 2): Promise<this> {
    await within(this.client.subscribeAsync(filter, { qos }), `SUBACK for ${filter}`, WAIT_MS);
    return this;
  }

  async publish(topic: string, payload: string, qos: 0 | 1 | 2, retain = false): Promise<void> {
    await within(this.client.publishAsync(topic, payload, { qos, retain }), `the end of ${topic}`, WAIT_MS);
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    const latest = (): string => JSON.stringify(this.messages.slice(-5)).slice(0, 1000);
    await this.#changes.until(condition, () => `${what}; ${latest()}`, WAIT_MS);
  }

  async end(): Promise<void> {
    await within(this.client.endAsync(), 'the end of a client', WAIT_MS);
  }
}
