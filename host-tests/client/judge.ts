// What must be true of a world at the end of a scenario, when the network is good again and all is
// delivered. Called by steps.ts and the tests. Runs on Node and on XS.

import { CONNECTED } from '../../src/client/states.js';
import type { SeenPublish } from './watch.js';
import type { World } from './world.js';

/** What the broker has published for the client. */
export interface Injected {
  payload: string;
  qos: number;
  /** The client's session with the subscription was there, and stays. */
  firm: boolean;
}

const numberOf = (payload: string): number => Number(payload.slice(0, payload.indexOf('.')));

/**
 * `kept`: the broker has kept the client's session all the time, so that QoS 2 is exactly once.
 */
export function judgeOutgoing({ application, heard }: World, kept: boolean): void {
  const counts = new Map<string, number>();
  const last = new Map<string, number>();
  const ours = heard.filter(({ topic }) => topic.startsWith('out/'));
  for (const publish of ours) {
    const { topic, qos, payload } = publish;
    const count = (counts.get(payload) ?? 0) + 1;
    counts.set(payload, count);
    const number = numberOf(payload);
    judgeProperties(publish, application.sent[number - 1]!.expirySeconds);
    if (count > 1) continue;
    const line = `${topic} ${qos}`;
    if (number < (last.get(line) ?? 0)) throw new Error(`${payload} came after ${last.get(line)} [MQTT-4.6.0-1]`);
    last.set(line, number);
  }
  if (application.kept.size > 0) throw new Error(`${application.kept.size} messages were never answered for`);
  for (const { payload, topic, qos, fate } of application.sent) {
    if (!topic.startsWith('out/')) continue;
    const count = counts.get(payload) ?? 0;
    counts.delete(payload);
    const what = `message ${payload.slice(0, 20)}, ${fate}, came ${count} times`;
    if (fate === 'delivered' && qos > 0 && count === 0) throw new Error(`${what}: lost`);
    if (qos !== 1 && count > 1 && (kept || qos === 0)) throw new Error(what);
    if ((fate === 'dropped' && kept || fate === 'refused') && count > 0) throw new Error(what);
    if (fate === 'kept') throw new Error(what);
  }
  for (const payload of counts.keys()) throw new Error(`${payload} was never published`);
}

/** The properties have come as they were sent, but that the expiry counts down. */
function judgeProperties({ payload, properties }: SeenPublish, expirySeconds: number | undefined): void {
  const wanted = expirySeconds === undefined ? /^$/ :
    new RegExp(`^\\{${expirySeconds < Infinity ? 'expiry (\\d+), ' : ''}user number=${numberOf(payload)}(, alias \\d+)?\\}$`);
  const found = wanted.exec(properties);
  if (found === null || Number(found[1] ?? 0) > (expirySeconds ?? 0)) throw new Error(`${payload} came with ${properties}`);
}

export function judgeIncoming({ application }: World, injected: readonly Injected[]): void {
  const counts = new Map<string, number>();
  const last = new Map<number, number>();
  for (const { topic, payload, qos } of application.got) {
    if (!topic.startsWith('in/')) continue;
    const count = (counts.get(payload) ?? 0) + 1;
    counts.set(payload, count);
    if (count > 1) continue;
    const number = numberOf(payload);
    if (number < (last.get(qos) ?? 0)) throw new Error(`${payload} was given after ${last.get(qos)}`);
    last.set(qos, number);
  }
  for (const { payload, qos, firm } of injected) {
    const count = counts.get(payload) ?? 0;
    counts.delete(payload);
    const what = `message ${payload} for the client was given ${count} times`;
    if (qos !== 1 && count > 1) throw new Error(what);
    if (firm && qos > 0 && count === 0) throw new Error(what);
  }
  for (const payload of counts.keys()) throw new Error(`${payload} was never published for the client`);
}

/** The subscriptions at the broker are those the application asked for last. */
export function judgeSubscriptions(world: World, filters: readonly string[]): void {
  const { application } = world;
  filters.forEach((filter, i) => {
    const before = application.got.length;
    const topic = filter.replace('#', 'x');
    world.inject(topic, `probe ${i}`, 2);
    world.run();
    const got = application.got.slice(before).find((other) => other.topic === topic && other.payload === `probe ${i}`);
    const wanted = application.wanted.get(filter);
    if (got?.qos !== wanted) {
      throw new Error(`filter ${filter}: wanted is ${wanted}, given is ${got?.qos}`);
    }
  });
}

/** The connection works: one message of each QoS goes through at once. */
export function judgeAlive(world: World): void {
  for (const qos of [0, 1, 2]) {
    const before = world.heard.length;
    const outcome = world.application.publish('out/alive', qos, 'alive');
    world.run();
    const found: SeenPublish[] = world.heard.slice(before);
    if (outcome < 0 || found.length !== 1 || found[0]!.qos !== qos) {
      throw new Error(`QoS ${qos} does not go through: ${outcome}, ${found.map(({ message }) => message).join('; ')}`);
    }
  }
  if (world.client.state !== CONNECTED || world.client.waitingCount !== 0) throw new Error('not at rest');
}

/** DISCONNECT keeps the will back; a link that is lost lets it out. */
export function judgeEnd(world: World): void {
  const wills = (): number => world.heard.filter(({ topic }) => topic === 'will').length;
  const before = wills();
  world.client.disconnect();
  world.run();
  const { told } = world.application;
  if (told[told.length - 1] !== 'closed true') throw new Error(`the end tells ${told[told.length - 1]}`);
  if (wills() !== before) throw new Error('a will in spite of DISCONNECT [MQTT-3.14.4-3]');
  world.connect();
  world.run();
  world.break(world.wires[world.wires.length - 1]!);
  world.run();
  if (wills() !== before + 1) throw new Error('no will [MQTT-3.1.2-8]');
}
