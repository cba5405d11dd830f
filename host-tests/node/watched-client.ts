// A TcpClient for tests: what it is told is kept in words, in order, and can be awaited.

import type { MessageInfo } from '../../src/client/mqtt-client.js';
import { TcpClient, type TcpClientOptions } from '../../src/node/tcp-client.js';
import { CLOSED } from '../../src/client/states.js';
import { Changes, WAIT_MS, type Owner } from './children.js';

/** What a test gives; the rest are quick attempts to connect to loopback. */
export type WatchedOptions = Partial<Omit<TcpClientOptions, `on${string}`>>;

export interface Received {
  topic: string;
  text: string;
  info: MessageInfo;
}

export class WatchedClient {
  readonly client: TcpClient;
  /**
   * `connected new`, `refused 5`, `disconnected 1 ECONNREFUSED`, `message q1 retain maison/salon 21.4`,
   * `subscribed maison/# 1`, `unsubscribed maison/#` (with the reason code, unless that is 0), `delivered 7`,
   * `dropped 7`, `closed`, `closed incomplete`.
   */
  readonly events: string[] = [];
  readonly messages: Received[] = [];
  /** By handle: the reason code told with `delivered` or `dropped`. */
  readonly reasons = new Map<number, number>();
  /** Called before a message is noted; false leaves it unread. */
  onMessage: (message: Received) => boolean = () => true;
  /** Called after an event was noted. */
  onEvent: (event: string) => void = () => {};
  readonly #changes = new Changes();

  /** Not connected yet. Closed when `owner` ends. */
  constructor(owner: Owner, port: number, options: WatchedOptions = {}) {
    const { limits, ...others } = options;
    this.client = new TcpClient({
      host: '127.0.0.1', port, ...others, limits: { reconnectFirstMs: 20, reconnectMaxMs: 200, ...limits },
      onConnected: (present) => this.#note(`connected ${present ? 'present' : 'new'}`),
      onRefused: (returnCode) => this.#note(`refused ${returnCode}`),
      onDisconnected: (reason, error) => this.#note(`disconnected ${reason} ${codeOf(error)}`.trimEnd()),
      onMessage: (topic, payload, info) => this.#message(topic, payload, info),
      onSubscribed: (filter, returnCode) => this.#note(`subscribed ${filter} ${returnCode}`),
      onUnsubscribed: (filter, reason) => this.#note(`unsubscribed ${filter}${reason === 0 ? '' : ` ${reason}`}`),
      onDelivered: (handle, reason) => {
        this.reasons.set(handle, reason);
        this.#note(`delivered ${handle}`);
      },
      onDropped: (handle, reason) => {
        this.reasons.set(handle, reason);
        this.#note(`dropped ${handle}`);
      },
      onClosed: (complete) => this.#note(complete ? 'closed' : 'closed incomplete'),
    });
    owner.teardown(() => this.close());
  }

  /** Connected to `port` when this resolves. */
  static async open(owner: Owner, port: number, options: WatchedOptions = {}): Promise<WatchedClient> {
    const watched = new WatchedClient(owner, port, options);
    watched.client.connect();
    await watched.event(/^connected/);
    return watched;
  }

  #message(topic: string, payload: Uint8Array, info: MessageInfo): void | false {
    const message = { topic, text: Buffer.from(payload).toString(), info };
    if (!this.onMessage(message)) return false;
    this.messages.push(message);
    const { QoS, retain, duplicate } = info;
    const words = ['message', `q${QoS}`, ...(duplicate ? ['dup'] : []), ...(retain ? ['retain'] : []), topic];
    this.#note(`${words.join(' ')} ${message.text.length > 60 ? `${message.text.length} bytes` : message.text}`);
  }

  #note(event: string): void {
    this.events.push(event);
    this.onEvent(event);
    this.#changes.signal();
  }

  /** Waits for an event that matches, from event number `from` on; returns it. */
  async event(pattern: RegExp, from = 0, ms = WAIT_MS): Promise<string> {
    let at = from;
    const find = (): boolean => {
      while (at < this.events.length && !pattern.test(this.events[at]!)) at++;
      return at < this.events.length;
    };
    await this.#changes.until(find, () => `the event ${pattern}; ${this.#told()}`, ms);
    return this.events[at]!;
  }

  /** Waits until `count` events match. */
  async eventCount(pattern: RegExp, count: number, ms = WAIT_MS): Promise<void> {
    let at = 0;
    let found = 0;
    await this.#changes.until(() => {
      while (at < this.events.length) if (pattern.test(this.events[at++]!)) found++;
      return found >= count;
    }, () => `${count} events ${pattern}; ${found} came; ${this.#told()}`, ms);
  }

  /** Waits for something that shows at an event. */
  until(condition: () => boolean, what: string, ms = WAIT_MS): Promise<void> {
    return this.#changes.until(condition, () => `${what}; ${this.#told()}`, ms);
  }

  #told(): string {
    return `${this.events.length} events, state ${this.client.state}, the last: ` +
      this.events.slice(-12).map((event) => event.slice(0, 60)).join('; ');
  }

  /** The events that match. */
  told(pattern: RegExp): string[] {
    return this.events.filter((event) => pattern.test(event));
  }

  texts(topic?: string): string[] {
    return this.messages.filter((message) => topic === undefined || message.topic === topic).map(({ text }) => text);
  }

  /** Subscribed when this resolves. */
  async subscribe(filter: string, QoS = 0): Promise<string> {
    const from = this.events.length;
    const outcome = this.client.subscribe(filter, { QoS });
    if (outcome !== 0) throw new Error(`subscribe ${filter}: ${outcome}`);
    const head = `subscribed ${filter} `;
    let answer: string | undefined;
    await this.until(() => (answer = this.events.slice(from).find((event) => event.startsWith(head))) !== undefined,
      `the answer to ${filter}`);
    return answer!;
  }

  /** Publishes, QoS 1 or 2; the broker has it when this resolves. */
  async publish(topic: string, text: string, QoS: number, retain = false): Promise<void> {
    const from = this.events.length;
    const handle = this.client.publish(topic, text, { QoS, retain });
    if (handle <= 0) throw new Error(`publish ${topic}: ${handle}`);
    await this.event(new RegExp(`^delivered ${handle}$`), from);
  }

  /** Closes it, unless that is done, and waits. */
  async close(): Promise<void> {
    const from = this.events.length;
    if (this.client.state === CLOSED) return;
    this.client.close();
    await this.event(/^closed/, from);
  }
}

/** The system's code; of an error that sums up several, theirs. */
function codeOf(error: Error | undefined): string {
  return error === undefined ? '' : (error as NodeJS.ErrnoException).code ?? error.message;
}
