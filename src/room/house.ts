// What is known of a house, out of the messages on `maison/+/temperature`, `maison/+/humidite` and
// `maison/+/etat`: the latest reading of each room, its age, some history, and the means. Whoever
// subscribes feeds it; the terminal table and the averages show it. It does not care who
// publishes: any sensor that sends plain decimals will do.
//
// The rule it keeps: what may be old is never shown as fresh. A reading is fresh when it arrived
// live (not as a retained message, whose age nobody can tell), within the stale bound, and the
// room's `etat` is not `hors-ligne`. Only fresh rooms enter the mean of the house.

import { pieceProblem } from './piece.js';

/** The first level of all topics. */
export const HOUSE_LEVEL = 'maison';
export const TEMPERATURE_LEVEL = 'temperature';
export const HUMIDITY_LEVEL = 'humidite';
export const STATE_LEVEL = 'etat';
export const ONLINE = 'en-ligne';
export const OFFLINE = 'hors-ligne';

/** How much a reading, or a room by its readings, can be relied on. */
export type Status = 'waiting' | 'fresh' | 'stale' | 'age unknown' | 'offline';

export interface HouseOptions {
  /** Milliseconds after which a reading is stale; default 90,000. */
  staleMs?: number;
  /** Milliseconds that a room's mean reaches back; default one hour. */
  windowMs?: number;
  /** Readings kept of each series; a mean is of so many at most. Default 720. */
  historyMax?: number;
  /** Rooms kept; messages of further ones are counted and ignored. Default 256. */
  roomsMax?: number;
}

/** The readings of one quantity in one room: temperature in °C or relative humidity in percent. */
export class Series {
  /** The last readable value; NaN before the first. */
  latest = NaN;
  /** When `latest` arrived, as told; undefined when it was retained, or there is none. */
  arrivedMs: number | undefined;
  /** Messages that were no plain decimal, or not a possible value. */
  unreadableCount = 0;
  /** Whether the last message was one of those. */
  unreadable = false;
  readonly #least: number;
  readonly #most: number;
  readonly #values: Float64Array;
  readonly #timesMs: Float64Array;
  #count = 0;
  #next = 0;

  /** `least` to `most` are the possible values. */
  constructor(least: number, most: number, historyMax: number) {
    this.#least = least;
    this.#most = most;
    this.#values = new Float64Array(historyMax);
    this.#timesMs = new Float64Array(historyMax);
  }

  /** Takes one message's payload. */
  take(payload: Uint8Array, retained: boolean, nowMs: number): void {
    const value = parseDecimal(payload);
    this.unreadable = !(value >= this.#least && value <= this.#most);
    if (this.unreadable) {
      this.unreadableCount++;
    } else if (!retained) {
      this.latest = value;
      this.arrivedMs = nowMs;
      this.#values[this.#next] = value;
      this.#timesMs[this.#next] = nowMs;
      this.#next = (this.#next + 1) % this.#values.length;
      if (this.#count < this.#values.length) this.#count++;
    } else if (value !== this.latest) {
      // After a reconnection retained messages come again. The value we saw keeps its age.
      this.latest = value;
      this.arrivedMs = undefined;
    }
  }

  /** Live readings kept. */
  get count(): number {
    return this.#count;
  }

  /** The live reading `back` steps before the last one. */
  reading(back: number): number {
    return this.#values[this.#at(back)]!;
  }

  /** How many live readings are not older than `windowMs`. */
  countSince(nowMs: number, windowMs: number): number {
    let count = 0;
    while (count < this.#count && nowMs - this.#timesMs[this.#at(count)]! <= windowMs) count++;
    return count;
  }

  /**
   * The mean of the live readings of the last `windowMs`. Where there are none the latest value
   * stands for them, if there is one; else NaN.
   */
  mean(nowMs: number, windowMs: number): number {
    const count = this.countSince(nowMs, windowMs);
    if (count === 0) return this.latest;
    let sum = 0;
    for (let back = 0; back < count; back++) sum += this.reading(back);
    return sum / count;
  }

  #at(back: number): number {
    const { length } = this.#values;
    return (this.#next - 1 - back + 2 * length) % length;
  }
}

/** One room. */
export class Room {
  /** The level of its topics. */
  readonly piece: string;
  /** What people call it; the same, unless said otherwise. */
  readonly label: string;
  readonly temperature: Series;
  readonly humidity: Series;
  /** What its `etat` says; undefined when nothing did yet. */
  online: boolean | undefined;
  readonly #staleMs: number;

  constructor(piece: string, label: string, staleMs: number, historyMax: number) {
    this.piece = piece;
    this.label = label;
    this.#staleMs = staleMs;
    this.temperature = new Series(TEMPERATURE_LEAST, TEMPERATURE_MOST, historyMax);
    this.humidity = new Series(0, 100, historyMax);
  }

  statusOf(series: Series, nowMs: number): Status {
    if (this.online === false) return 'offline';
    if (Number.isNaN(series.latest)) return 'waiting';
    if (series.arrivedMs === undefined) return 'age unknown';
    return nowMs - series.arrivedMs > this.#staleMs ? 'stale' : 'fresh';
  }

  /** That of its temperature, or of its humidity where it has no temperature. */
  status(nowMs: number): Status {
    return this.statusOf(this.leading, nowMs);
  }

  /** The series that speaks for the room's age and status. */
  get leading(): Series {
    const { temperature, humidity } = this;
    return Number.isNaN(temperature.latest) && !Number.isNaN(humidity.latest) ?
      humidity : temperature;
  }
}

export class House {
  /** Rooms in the order of `expect`, then the others by name. Read it, do not change it. */
  readonly rooms: Room[] = [];
  /** Messages of rooms beyond `roomsMax`. */
  ignoredCount = 0;
  readonly windowMs: number;
  readonly #staleMs: number;
  readonly #historyMax: number;
  readonly #roomsMax: number;
  readonly #byPiece = new Map<string, Room>();
  #expectedCount = 0;

  constructor(options: HouseOptions = {}) {
    this.#staleMs = options.staleMs ?? 90_000;
    this.windowMs = options.windowMs ?? 3_600_000;
    this.#historyMax = options.historyMax ?? 720;
    this.#roomsMax = options.roomsMax ?? 256;
  }

  /** Makes a place for a room that has not been heard of yet. */
  expect(piece: string, label = piece): Room {
    return this.#add(piece, label, this.#expectedCount++);
  }

  /**
   * Takes one message. `payload` is only read during the call. Returns the room it is about;
   * undefined when it is about none, or about one whose name no room can have.
   */
  take(topic: string, payload: Uint8Array, retained: boolean, nowMs: number): Room | undefined {
    const levels = topic.split('/', 4);
    if (levels.length !== 3 || levels[0] !== HOUSE_LEVEL) return undefined;
    const [, piece, quantity] = levels as [string, string, string];
    if (quantity !== TEMPERATURE_LEVEL && quantity !== HUMIDITY_LEVEL &&
      quantity !== STATE_LEVEL) return undefined;
    // An empty payload is how a retained message is removed: it tells nothing.
    if (payload.length === 0) return this.#byPiece.get(piece);
    const room = this.#byPiece.get(piece) ?? this.#newRoom(piece);
    if (room === undefined) return undefined;
    if (quantity === TEMPERATURE_LEVEL) room.temperature.take(payload, retained, nowMs);
    else if (quantity === HUMIDITY_LEVEL) room.humidity.take(payload, retained, nowMs);
    else if (isText(payload, ONLINE)) room.online = true;
    else if (isText(payload, OFFLINE)) room.online = false;
    return room;
  }

  /** The mean of the means of all rooms whose temperature is fresh; NaN when there is none. */
  temperatureMean(nowMs: number): number {
    return this.#mean((room) => room.temperature, nowMs);
  }

  /** The same of the relative humidity, in percent. */
  humidityMean(nowMs: number): number {
    return this.#mean((room) => room.humidity, nowMs);
  }

  /** Rooms that `temperatureMean` is made of. */
  freshCount(nowMs: number): number {
    return this.rooms.filter((room) => room.statusOf(room.temperature, nowMs) === 'fresh').length;
  }

  #mean(seriesOf: (room: Room) => Series, nowMs: number): number {
    let sum = 0;
    let count = 0;
    for (const room of this.rooms) {
      const series = seriesOf(room);
      if (room.statusOf(series, nowMs) !== 'fresh') continue;
      sum += series.mean(nowMs, this.windowMs);
      count++;
    }
    return count === 0 ? NaN : sum / count;
  }

  #newRoom(piece: string): Room | undefined {
    if (pieceProblem(piece) !== '') return undefined;
    if (this.rooms.length >= this.#roomsMax) {
      this.ignoredCount++;
      return undefined;
    }
    let at = this.#expectedCount;
    while (at < this.rooms.length && this.rooms[at]!.piece < piece) at++;
    return this.#add(piece, piece, at);
  }

  #add(piece: string, label: string, at: number): Room {
    const room = new Room(piece, label, this.#staleMs, this.#historyMax);
    this.rooms.splice(at, 0, room);
    this.#byPiece.set(piece, room);
    return room;
  }
}

// What any room thermometer can mean, in °C. Outside are the error values of cheap sensors, such
// as -127 of a DS18B20 that does not answer.
const TEMPERATURE_LEAST = -90;
const TEMPERATURE_MOST = 150;
const DECIMAL_BYTES_MAX = 32;

/**
 * The value of a plain decimal such as `21.4`, `-0.2` or `+7`, white space around it allowed, and
 * also with a decimal comma, as French sensors have it. NaN for everything else: units, JSON,
 * exponents, `nan`, nothing.
 */
export function parseDecimal(payload: Uint8Array): number {
  if (payload.length > DECIMAL_BYTES_MAX) return NaN;
  let text = '';
  for (let i = 0; i < payload.length; i++) text += String.fromCharCode(payload[i]!);
  const found = /^[ \t\r\n]*([-+]?[0-9]+(?:[.,][0-9]+)?)[ \t\r\n]*$/.exec(text);
  return found === null ? NaN : Number(found[1]!.replace(',', '.'));
}

function isText(payload: Uint8Array, ascii: string): boolean {
  if (payload.length !== ascii.length) return false;
  for (let i = 0; i < payload.length; i++) {
    if (payload[i] !== ascii.charCodeAt(i)) return false;
  }
  return true;
}
