// A broker on the fake io of a board, and what its tests share.
import t, { type Test } from 'tap';
import type { BrokerOptions } from '../../src/broker/options.js';
import type { Broker } from '../../src/broker/broker.js';
import type { Limits } from '../../src/limits.js';
import { TcpBroker } from '../../src/moddable/tcp-broker.js';
import { connect, puback } from '../support/packets.js';
import { makeBroker } from '../support/peer.js';
import { FakeNet, type NetOptions, type Platform, type RawPeer } from './fake-io.js';

export interface Setup {
  net: FakeNet;
  broker: Broker;
  tcp: TcpBroker;
  /** A peer that has connected. */
  join(clientId: string, ...packets: Uint8Array[]): RawPeer;
}

interface SetupOptions {
  limits?: Partial<Limits>;
  options?: Partial<BrokerOptions>;
  net?: NetOptions;
}

export function setUp(platform: Platform, { limits, options, net: netOptions }: SetupOptions = {}): Setup {
  const net = new FakeNet(platform, netOptions);
  const broker = makeBroker({ stagingBytes: 256, ...limits }, options);
  const tcp = new TcpBroker(broker, net.io);
  const join = (clientId: string, ...packets: Uint8Array[]): RawPeer => {
    const peer = net.open().send(connect({ clientId }), ...packets);
    net.run(100 + 6 * net.options.latencyMs);
    const answers = peer.packets();
    if (answers[0] !== 'CONNACK new 0') throw new Error(`${clientId} was not accepted: ${answers}`);
    return peer;
  };
  return { net, broker, tcp, join };
}

/** A test on both platforms. */
export function both(title: string, body: (t: Test, platform: Platform) => void): void {
  for (const platform of ['lwip', 'lin'] as const) {
    t.test(`${platform}: ${title}`, (t) => {
      body(t, platform);
      t.end();
    });
  }
}

export const texts = (count: number): string[] => Array.from({ length: count }, (_, i) => `number ${i}`);
/** PUBACK for a PUBLISH in words; nothing for others. */
export const answer = (text: string): Uint8Array => {
  const id = /^PUBLISH q1 id(\d+)/.exec(text);
  return id === null ? new Uint8Array(0) : puback(Number(id[1]));
};
export const clientsConnected = (broker: Broker): number =>
  broker.memory.connections.filter((connection) => connection.link !== null).length;
