// Hub and sensor of a board at full load, by packets through their sockets: every client connected with a will, every
// session taken, every subscription and retained message at full size, queues full. Throws where the load is not what
// it claims to be. Used by measure-board.ts, in XS.
import { DROPPED_RETAINED_FULL } from '../../src/broker/counters.js';
import type { Limits } from '../../src/limits.js';
import type { Hub } from '../../src/moddable/hub.js';
import type { Sensor } from '../../src/moddable/sensor.js';
import * as packets from '../support/packets.js';
import { Listener, turns, WiFi, type TCP } from './bare-sdk.js';

const MEASURES = ['temperature', 'humidite', 'etat', 'pression'];
/** Turns after which a socket that was ended is closed, and a network that came is in use. */
const SETTLE_TURNS = 8;

function topicOf(index: number): string {
  return `maison/piece-${index >> 2}/${MEASURES[index & 3]}`;
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not as it should be: ${what}`);
}

/** The access point is there; what follows from that follows. */
export function networkComes(): void {
  turns(SETTLE_TURNS);
  WiFi.last.callback('gotIP');
  turns(SETTLE_TURNS);
}

/** `limits` are the board's: those of the broker have room for the board's own topics too. */
export function fillHub({ broker, local }: Hub, limits: Readonly<Limits>, retainedPayloadBytes: number): void {
  let socket: TCP | undefined;
  for (let session = limits.sessionsMax - 1; session >= 0; session--) socket = takeSession(limits, session);
  const ownCount = local === undefined ? 0 : 3;
  for (let i = 0; i < limits.retainedMax - ownCount; i++) {
    socket!.receive(packets.publish(topicOf(i), 'r'.repeat(retainedPayloadBytes), { retain: true }));
  }
  socket = comeAndGo(limits, socket!); // while there is room in the queues
  for (let i = 0; i < 2 * limits.queuedMax; i++) { // nobody acknowledges, so all of it stays
    const topic = packets.ascii(topicOf(i % limits.subscriptionsMax));
    broker.publish(topic, packets.ascii('21.4'), 1, false);
  }
  turns(SETTLE_TURNS);
  comeAndGo(limits, socket);
  turns(SETTLE_TURNS);
  checkHub(broker, limits);
}

/**
 * What makes the calls of the broker deepest; in the end all is as it was. `socket` is that of session 0; returns its
 * new one.
 */
function comeAndGo(limits: Readonly<Limits>, socket: TCP): TCP {
  socket.receive(packets.publish(topicOf(0), '21.4', { qos: 2, id: 7, retain: true }));
  socket.receive(packets.pubrel(7));
  socket.receive(packets.unsubscribe(2, topicOf(0)));
  socket.receive(packets.subscribe(3, [topicOf(0), 1])); // what is retained there is sent
  socket.lose();
  turns(SETTLE_TURNS);
  takeSession(limits, 1); // taken over, so that its will is published
  turns(SETTLE_TURNS);
  comeAndGoInLevel5(limits);
  takeSession(limits, 1);
  turns(SETTLE_TURNS);
  return takeSession(limits, 0);
}

/** The same in MQTT 5.0: with all that makes it deeper, and a client that takes its own place. */
function comeAndGoInLevel5(limits: Readonly<Limits>): void {
  takeSession(limits, 1, 5);
  turns(SETTLE_TURNS);
  const socket = takeSession(limits, 1, 5);
  turns(SETTLE_TURNS);
  const member = topicOf(1);
  const group = `$share/g/${member}`;
  socket.receive(packets.unsubscribe5(2, {}, member));
  socket.receive(packets.subscribe5(3, IDENTIFIER, [group, 2]));
  for (let qos = 0; qos <= 2; qos++) {
    const fields = { qos, id: 7, properties: MESSAGE_PROPERTIES };
    socket.receive(packets.publish5(topicOf(0), '21.4', { ...fields, retain: true }));
    socket.receive(packets.publish5(member, '21.4', { ...fields, id: 8 }));
  }
  socket.receive(packets.pubrel(7));
  socket.receive(packets.pubrel(8));
  socket.receive(packets.unsubscribe5(4, {}, group));
  socket.receive(packets.subscribe5(5, IDENTIFIER, [member, 1]));
  turns(SETTLE_TURNS);
}

const IDENTIFIER = { subscription: 300 };
const MESSAGE_PROPERTIES: packets.Properties = { expiry: 3600, user: ['a', 'b'] };

/** A client with its share of subscriptions; the last ones stay connected. */
function takeSession(limits: Readonly<Limits>, session: number, level = 4): TCP {
  const socket = Listener.last.accept();
  const clientId = `client-${session}`.padEnd(limits.clientIdBytesMax, '-');
  const topic = `maison/piece-${session}/etat`;
  const will = { topic, payload: 'hors-ligne', retain: true, properties: MESSAGE_PROPERTIES };
  const properties = { sessionExpiry: 3600 };
  socket.receive(packets.connect({ clientId, clean: false, will, level, properties }));
  for (let i = session; i < limits.subscriptionsMax; i += limits.sessionsMax) {
    socket.receive(level === 5 ?
      packets.subscribe5(1, IDENTIFIER, [topicOf(i), 1]) :
      packets.subscribe(1, [topicOf(i), 1]));
  }
  if (session >= limits.clientsMax) {
    socket.receive(packets.disconnect());
    turns(SETTLE_TURNS);
  }
  return socket;
}

function checkHub({ memory, counters }: Hub['broker'], limits: Readonly<Limits>): void {
  let clients = 0;
  for (const { link, session } of memory.connections) if (link !== null && session >= 0) clients++;
  check(clients === limits.clientsMax, `${clients} clients`);
  check(memory.sessions.count === limits.sessionsMax, `${memory.sessions.count} sessions`);
  check(memory.subscriptions.count === limits.subscriptionsMax, `${memory.subscriptions.count} subscriptions`);
  check(memory.retained.count >= limits.retainedMax, `${memory.retained.count} retained`);
  check(counters[DROPPED_RETAINED_FULL] === 0, 'a retained message was refused');
  check(memory.deliveries.freeRows === 0 || memory.queued.blocks.freeCount < 2,
    `${memory.deliveries.freeRows} rows and ${memory.queued.blocks.freeCount} blocks are free`);
}

/** Readings without a broker, until the queue has dropped some for newer ones. */
export function fillSensor({ node }: Sensor): void {
  for (let i = 0; node.droppedCount === 0; i++) {
    turns(1);
    check(i < 100_000, `${node.client.waitingCount} messages wait`);
  }
}
