// The two clients under measurement, ours and MQTT.js 5, behind the few calls that `client.main.ts`
// needs, each as an application would use it: text for the topic, bytes for the payload, default
// options. And the least that a connected client can be, a socket that has had its CONNACK, for the
// baseline of memory.

import { connect } from 'node:net';
import type { MqttClient } from 'mqtt';
import { TcpClient } from '../../src/node/tcp-client.js';
import { connectPacket } from './load-packets.js';

const HOST = '127.0.0.1';

export interface Events {
  /** A message has come; `payload` is valid during the call. */
  message(payload: Uint8Array): void;
  /** A published message of QoS 1 or 2 is acknowledged. */
  acknowledged(): void;
  /** The connection is lost, or something was refused. */
  failed(reason: string): void;
}

export interface ClientUnderLoad {
  /** `payload` stays as it is until the message is acknowledged, or has arrived elsewhere. */
  publish(topic: string, payload: Buffer, qos: number): void;
  /** Resolves when the broker has answered. */
  subscribe(filter: string, qos: number): Promise<void>;
}

/** Makes a client and resolves when the broker has accepted it. */
export type Open = (port: number, id: string, events: Events) => Promise<ClientUnderLoad>;

const openOurs: Open = (port, id, events) => new Promise((resolve) => {
  let subscribed: (() => void) | undefined;
  const client = new TcpClient({
    host: HOST, port, id,
    onConnected: () => resolve({
      publish: (topic, payload, qos) => {
        const outcome = client.publish(topic, payload, { QoS: qos });
        if (outcome < 0) events.failed(`publish answered ${outcome}`);
      },
      subscribe: (filter, qos) => new Promise((done) => {
        subscribed = done;
        client.subscribe(filter, { QoS: qos });
      }),
    }),
    onMessage: (_topic, payload) => events.message(payload),
    onDelivered: () => events.acknowledged(),
    onSubscribed: (filter, returnCode) => {
      if (returnCode > 2) events.failed(`${filter} was refused`);
      subscribed?.();
    },
    onDisconnected: (reason, error) => events.failed(error?.message ?? `connection lost: ${reason}`),
  });
  client.connect();
});

const openMqttjs: Open = async (port, id, events) => {
  const { default: mqtt } = await import('mqtt');
  const client: MqttClient = mqtt.connect({ host: HOST, port, clientId: id });
  const acknowledged = (error?: Error | null): void => {
    if (error) events.failed(error.message);
    else events.acknowledged();
  };
  client.on('message', (_topic, payload) => events.message(payload));
  client.on('error', (error) => events.failed(error.message));
  client.on('close', () => events.failed('connection lost'));
  await new Promise<void>((resolve) => client.once('connect', () => resolve()));
  return {
    publish: (topic, payload, qos) => {
      if (qos === 0) client.publish(topic, payload);
      else client.publish(topic, payload, { qos: qos as 1 | 2 }, acknowledged);
    },
    subscribe: async (filter, qos) => {
      await client.subscribeAsync(filter, { qos: qos as 0 | 1 | 2 });
    },
  };
};

const openBare: Open = (port, id, events) => new Promise((resolve) => {
  const refuse = (): never => { throw new Error('a bare socket only keeps still'); };
  const socket = connect({ host: HOST, port });
  socket.on('error', (error) => events.failed(error.message));
  socket.once('data', () => resolve({ publish: refuse, subscribe: refuse }));
  socket.write(connectPacket(id));
});

/** By the names that the benchmark gives them. */
export const openByName: Readonly<Record<string, Open>> = {
  ours: openOurs, mqttjs: openMqttjs, bare: openBare,
};
