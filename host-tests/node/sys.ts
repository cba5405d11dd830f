// Reads `$SYS` of a running broker, as a user would: by subscribing. The broker must run with a short --sys-interval.

import { subscribe } from '../support/packets.js';
import { type Owner } from './children.js';
import { RawClient } from './raw-client.js';

export class SysReader {
  readonly #client: RawClient;

  private constructor(client: RawClient) {
    this.#client = client;
  }

  static async open(owner: Owner, port: number): Promise<SysReader> {
    const client = await RawClient.connected(owner, port, { clientId: 'sys-reader' });
    client.send(subscribe(1, ['$SYS/#', 0]));
    await client.packet(/^SUBACK id1 0$/);
    return new SysReader(client);
  }

  /** The newest value of `$SYS/broker/<name>`. */
  value(name: string): number {
    const prefix = `$SYS/broker/${name} `;
    const last = this.#client.packets.findLast((packet) => packet.includes(prefix));
    return last === undefined ? NaN : Number(last.slice(last.indexOf(prefix) + prefix.length));
  }

  /** Waits until the newest value of `name` is what `wanted` says. */
  async until(name: string, wanted: (value: number) => boolean): Promise<number> {
    const topic = `$SYS/broker/${name}`;
    for (let from = 0; !wanted(this.value(name)); from = this.#client.packets.length) {
      await this.#client.packet(new RegExp(` ${topic.replace('$', '\\$')} `), 5000, from).catch((error: unknown) => {
        throw new Error(`${topic} stays ${this.value(name)}: ${(error as Error).message}`);
      });
    }
    return this.value(name);
  }
}
