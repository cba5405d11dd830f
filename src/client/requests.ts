// Requests and answers over MQTT 5.0, section 4.10, for applications that want them: a message
// names the topic where its answer is expected, and data that the answer brings back. The
// application passes on what comes:
//
//   const client = new TcpClient({ …, protocolLevel: 5, onMessage: (topic, payload, info) => {
//     if (requests.take(topic, payload, info)) return;
//     … } });
//   const requests = new Requests(client, 'answers/desk');
//   const payload = await requests.request('kitchen/light', 'toggle', { QoS: 1 });

import { LEVEL_5, OK, PROTOCOL_ERROR } from '../wire/codes.js';
import type { MessageInfo } from './incoming.js';
import type { MqttClient, PublishOptions } from './mqtt-client.js';
import { publishProperties, type PublishProperties } from './properties.js';

export interface RequestOptions extends PublishOptions {
  properties?: PublishProperties;
  /** How long the answer may take; default 10,000. */
  timeoutMs?: number;
}

/** Calls back once, after so many milliseconds; returns what calls that off. */
export type After = (ms: number, callback: () => void) => () => void;

/** Correlation data of ours are shorter. */
const KEY_BYTES_MAX = 32;

interface Waiting {
  answered: (payload: Uint8Array) => void;
  failed: (error: Error) => void;
  callOff: () => void;
}

export class Requests {
  private readonly client: MqttClient;
  private readonly responseTopic: string;
  private readonly after: After;
  /** By correlation data. */
  private readonly waiting = new Map<string, Waiting>();
  /** Makes those of one run differ from those of another, whose answers may come late. */
  private readonly run: string;
  private count = 0;
  private closed = false;

  /**
   * Answers are expected on `responseTopic`, of this client alone, to which it subscribes. `after`
   * is for engines without `setTimeout`. Throws RangeError for what is no topic name, and when the
   * client does not take it.
   */
  constructor(client: MqttClient, responseTopic: string, after: After = withSetTimeout) {
    publishProperties({ responseTopic });
    const outcome = client.subscribe(responseTopic, { QoS: 1 });
    if (outcome !== OK) throw new RangeError(`cannot subscribe to ${responseTopic} (${-outcome})`);
    this.client = client;
    this.responseTopic = responseTopic;
    this.after = after;
    this.run = client.core.options.random().toString(36);
  }

  /**
   * Publishes and waits for the answer, of which it gives a copy. Rejects with an Error that says
   * why there is none: the message was not taken, nothing came in time, or `close`.
   */
  async request(
    topic: string, message: string | Uint8Array, options: RequestOptions = {},
  ): Promise<Uint8Array> {
    const { timeoutMs = 10_000, properties, ...rest } = options;
    if (this.closed) throw new Error('no more requests');
    if (this.client.protocolLevel !== LEVEL_5) throw new Error('a request needs MQTT 5.0');
    const correlationData = `${this.run}.${++this.count}`;
    const outcome = this.client.publish(topic, message, {
      ...rest,
      properties: { ...properties, responseTopic: this.responseTopic, correlationData },
    });
    if (outcome < 0) throw new Error(`the request was not taken (${-outcome})`);
    return await new Promise((answered, failed) => {
      const callOff = this.after(timeoutMs, () => {
        this.waiting.delete(correlationData);
        failed(new Error(`no answer on ${topic} within ${timeoutMs} ms`));
      });
      this.waiting.set(correlationData, { answered, failed, callOff });
    });
  }

  /** Whether the message is for here: an answer, if perhaps one that comes too late. */
  take(topic: string, payload: Uint8Array, info: MessageInfo): boolean {
    if (topic !== this.responseTopic) return false;
    const data = info.correlationData;
    if (data === undefined) return true;
    const key = String.fromCharCode(...data.subarray(0, KEY_BYTES_MAX));
    const waiting = this.waiting.get(key);
    if (waiting === undefined) return true;
    this.waiting.delete(key);
    waiting.callOff();
    waiting.answered(payload.slice());
    return true;
  }

  /** Gives up all that wait, and the subscription. */
  close(): void {
    this.closed = true;
    this.client.unsubscribe(this.responseTopic);
    for (const { failed, callOff } of this.waiting.values()) {
      callOff();
      failed(new Error('no more requests'));
    }
    this.waiting.clear();
  }
}

/**
 * Publishes the answer to the request that `onMessage` is told of with `info`. Returns as
 * `MqttClient.publish`, and PROTOCOL_ERROR when it expects none.
 */
export function respond(
  client: MqttClient, info: MessageInfo, message: string | Uint8Array, QoS = info.QoS,
): number {
  const { responseTopic, correlationData } = info;
  if (responseTopic === undefined) return PROTOCOL_ERROR;
  const properties = correlationData === undefined ? {} : { correlationData };
  return client.publish(responseTopic, message, { QoS, properties });
}

function withSetTimeout(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
}
