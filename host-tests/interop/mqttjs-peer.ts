// A client of MQTT.js for tests, in any version of the protocol, with everything that it receives.

import mqtt, {
  type IClientOptions, type IClientPublishOptions, type IClientSubscribeOptions, type IPublishPacket, type MqttClient,
  type Packet,
} from 'mqtt';
import { once, type EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { Changes, within, type Owner } from '../node/children.js';

export type QoS = 0 | 1 | 2;
export type Properties = NonNullable<IPublishPacket['properties']>;

export interface Message {
  topic: string;
  text: string;
  qos: number;
  retain: boolean;
  dup: boolean;
  payload: Buffer;
  /** As MQTT.js hands them out; undefined where there are none. */
  properties: Properties | undefined;
}

/** What the types of MQTT.js keep apart and tests do not. */
export interface AnyPacket {
  cmd: string;
  reasonCode?: number;
  returnCode?: number;
  granted?: number[];
  topic?: string;
  properties?: Record<string, unknown>;
}

/** An MQTT.js client with everything it receives. Says MQTT 3.1.1 unless `options` say otherwise. */
export class Peer {
  readonly client: MqttClient;
  readonly messages: Message[] = [];
  /** Every packet received. */
  readonly packets: AnyPacket[] = [];
  sessionPresent = false;
  readonly #changes = new Changes();

  constructor(t: Owner, port: number, options: IClientOptions) {
    const client = mqtt.connect({ host: '127.0.0.1', port, protocolVersion: 4, reconnectPeriod: 0, ...options });
    this.client = client;
    client.on('error', () => {}); // awaited where it is expected
    client.on('packetreceive', (packet: Packet) => {
      // A copy: MQTT.js itself alters what it received.
      this.packets.push({ ...(packet as AnyPacket) });
      this.#changes.signal();
    });
    client.on('message', (topic: string, payload: Buffer, { qos, retain, dup, properties }: IPublishPacket) => {
      this.messages.push({ topic, text: payload.toString(), qos, retain, dup, payload, properties });
      this.#changes.signal();
    });
    client.on('close', () => this.#changes.signal());
    t.teardown(() => client.endAsync(true));
  }

  static async connected(t: Owner, port: number, options: IClientOptions = {}): Promise<Peer> {
    const peer = new Peer(t, port, options);
    const connack = await peer.event('connect');
    peer.sessionPresent = (connack as { sessionPresent: boolean }).sessionPresent;
    return peer;
  }

  /** What the client's next event `name` says. */
  async event(name: 'connect' | 'close' | 'error'): Promise<unknown> {
    const [value] = await within(once(this.client as unknown as EventEmitter, name), `${name} of a client`);
    return value;
  }

  /** The code in SUBACK: the QoS that was granted, or why it was refused. */
  async subscribe(filter: string, qos: QoS, options: Partial<IClientSubscribeOptions> = {}): Promise<number> {
    const from = this.packets.length;
    // MQTT.js makes an error of a refusal; the packet says which it was.
    this.client.subscribe(filter, { ...options, qos });
    return (await this.packet('suback', from)).granted![0]!;
  }

  /** The code in UNSUBACK. */
  async unsubscribe(filter: string): Promise<number> {
    const from = this.packets.length;
    this.client.unsubscribe(filter);
    return (await this.packet('unsuback', from)).granted![0]!;
  }

  /** Its handshake is completed when this resolves. Throws what MQTT.js makes of a refusal. */
  async publish(topic: string, payload: string | Buffer, qos: QoS = 0, retain = false,
    properties?: Properties): Promise<void> {
    const options: IClientPublishOptions = { qos, retain, ...properties && { properties } };
    await within(this.client.publishAsync(topic, payload, options), `the end of PUBLISH to ${topic}`);
  }

  /** Publishes QoS 1 or 2; the reason code in PUBACK or PUBREC. */
  async answered(topic: string, payload: string | Buffer, qos: 1 | 2, retain = false,
    properties?: Properties): Promise<number> {
    const from = this.packets.length;
    this.client.publish(topic, payload, { qos, retain, ...properties && { properties } });
    return (await this.packet(qos === 1 ? 'puback' : 'pubrec', from)).reasonCode!;
  }

  async received(count: number): Promise<Message[]> {
    await this.#changes.until(() => this.messages.length >= count,
      () => `${count} messages; ${this.messages.length} came`);
    return this.messages;
  }

  /** The first packet `cmd`, from packet number `from` on. */
  async packet(cmd: string, from = 0): Promise<AnyPacket> {
    const find = (): AnyPacket | undefined => this.packets.slice(from).find((packet) => packet.cmd === cmd);
    await this.#changes.until(() => find() !== undefined,
      () => `${cmd}; the last that came: ${this.packets.slice(-5).map((packet) => packet.cmd).join(', ')}`);
    return find()!;
  }

  /** Waits for something that shows at a packet, a message or the end of the connection. */
  until(condition: () => boolean, what: string): Promise<void> {
    return this.#changes.until(condition, () => `${what}; ${this.messages.length} messages came`);
  }

  /**
   * Calls `act` where MQTT.js would answer a message, with the packet and what sends it, and lets it go on reading:
   * MQTT.js by itself reads nothing while an answer waits.
   */
  answerBy(act: (packet: AnyPacket, send: () => void) => void): void {
    const client = this.client as unknown as { _sendPacket: (packet: AnyPacket, done?: () => void) => void };
    const send = client._sendPacket.bind(client);
    client._sendPacket = (packet, ...others) => {
      if (!/^(puback|pubrec|pubcomp)$/.test(packet.cmd)) return send(packet, ...others);
      act(packet, () => send(packet));
      others[0]?.();
    };
  }

  /** Comes after all that was published before, so that what did not arrive by then does not arrive. */
  async settled(): Promise<Message[]> {
    const marks = (): number => this.messages.filter(({ topic }) => topic === 'settled').length;
    const before = marks();
    await this.subscribe('settled', 0);
    await this.publish('settled', 'now');
    await this.#changes.until(() => marks() > before, 'settled');
    return this.messages.filter(({ topic }) => topic !== 'settled');
  }

  async leave(): Promise<void> {
    await within(this.client.endAsync(), 'the end of the client');
  }

  /** Leaves with DISCONNECT as MQTT 5.0 has it. */
  async disconnect(reasonCode: number, sessionExpiryInterval?: number): Promise<void> {
    const properties = sessionExpiryInterval === undefined ? {} : { sessionExpiryInterval };
    await within(this.client.endAsync(false, { reasonCode, properties }), 'the end of the client');
  }

  /** As a device that loses its power. */
  async vanish(): Promise<void> {
    const closed = this.event('close');
    (this.client.stream as Socket).destroy();
    await closed;
  }
}
