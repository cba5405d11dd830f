// One handshake after another, cut at one byte: the scenarios of cuts.test.ts. Runs on Node and XS.

import {
  judgeAlive, judgeEnd, judgeIncoming, judgeOutgoing, judgeSubscriptions, type Injected,
} from './judge.js';
import { World } from './world.js';

export interface Cut {
  qos: number;
  /** Whether the client publishes, or is published for. */
  outgoing: boolean;
  /** Which way is cut, and at which of its bytes. */
  ofBroker: boolean;
  at: number;
  /** Noticed at once by both sides, or by time-outs. */
  noticed: boolean;
  /** What becomes of the session: it is kept, lost with the broker, or was a clean one. */
  session: 'kept' | 'lost' | 'clean';
  /** Default 4. */
  protocolLevel?: number;
}

const FILTERS = ['in/#', 's/a', 's/b'];

/** Runs the scenario; returns how many bytes went the way that is cut, on the first connection. */
export function runCut({ qos, outgoing, ofBroker, at, noticed, session, protocolLevel = 4 }: Cut): number {
  const world = new World(1, { protocolLevel, clean: session === 'clean', keepAliveSeconds: noticed ? 0 : 4 });
  const { application } = world;
  const injected: Injected[] = [];
  world.prepare = (wire) => {
    (ofBroker ? wire.toClient : wire.toBroker).lostFrom = at;
    wire.disturbed = at < Infinity;
    world.prepare = () => {};
  };
  application.subscribe('in/#', 2);
  application.subscribe('s/a', 1);
  world.connect();
  world.run();
  const first = world.wires[0]!;
  const act = (): void => {
    if (outgoing) {
      application.publish('out/a', qos, 'x');
      application.publish('out/a', qos, 'y');
    } else {
      for (let i = 1; i <= 2; i++) {
        const payload = `${injected.length + 1}.`;
        injected.push({ payload, qos, firm: session === 'kept' && isSubscribed(world) });
        world.inject('in/x', payload, qos);
      }
    }
  };
  act();
  world.run();
  application.unsubscribe('s/a');
  application.subscribe('s/b', 2);
  world.run();
  if (noticed && first.isCut) {
    if (session === 'lost') world.replaceBroker();
    else world.break(first);
    world.run();
  } else if (session === 'lost') {
    world.replaceBroker();
    world.run();
  }
  if (!noticed) for (let ms = 0; ms < 16_000; ms += 500) world.pass(500); // ping, time-out, and again
  act();
  world.heal();
  judgeOutgoing(world, session === 'kept');
  judgeIncoming(world, injected);
  judgeSubscriptions(world, FILTERS);
  judgeAlive(world);
  judgeEnd(world);
  return (ofBroker ? first.toClient : first.toBroker).sentBytes;
}

/** The broker has the session of the client with its subscription, as the first SUBACK tells. */
function isSubscribed(world: World): boolean {
  return world.application.told.some((what) => what.startsWith('subscribed in/#'));
}

export function tellCut(cut: Cut): string {
  return `level ${cut.protocolLevel}, QoS ${cut.qos} ${cut.outgoing ? 'from' : 'for'} the client, ${cut.ofBroker ? 'broker' : 'client'} cut ` +
    `at byte ${cut.at}, ${cut.noticed ? 'noticed' : 'by time-out'}, session ${cut.session}`;
}

/**
 * Cuts each way of the handshakes of these QoS after each `step`th byte. Throws for the first that
 * fails; returns how many there were.
 */
export function runCuts(step: number, qosList: readonly number[] = [0, 1, 2], protocolLevel = 4): number {
  let count = 0;
  for (const qos of qosList) {
    for (const outgoing of [true, false]) {
      for (const ofBroker of [true, false]) {
        for (const noticed of [true, false]) {
          for (const session of ['kept', 'lost', 'clean'] as const) {
            const cut: Cut = { qos, outgoing, ofBroker, at: Infinity, noticed, session, protocolLevel };
            const end = runCut(cut);
            for (let at = 0; at <= end; at += step) {
              count++;
              try {
                runCut({ ...cut, at });
              } catch (error) {
                throw new Error(`${tellCut({ ...cut, at })}: ${error instanceof Error ? error.stack : String(error)}`);
              }
            }
          }
        }
      }
    }
  }
  return count;
}
