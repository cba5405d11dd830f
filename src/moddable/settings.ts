// What a program was given on mcconfig's command line, `mcconfig … piece=salon`, or by its
// manifests' `config`: strings and numbers, as numbers and choices that can be relied on. Called by
// the main programs.

import {
  ESP32C3_LIMITS, ESP32_LIMITS, ESP32_RAISED_LIMITS, ESP8266_LIMITS,
} from '../board-limits.js';
import { ESP32_CLIENT_LIMITS, ESP8266_CLIENT_LIMITS } from '../client/board-limits.js';
import type { ClientLimits } from '../client/limits.js';
import type { Limits } from '../limits.js';

/** `mc/config`. */
export type Settings = Readonly<Record<string, unknown>>;

/** Limits by the name that a board's manifest gives it. */
const BOARDS: Readonly<Record<string, readonly [Readonly<Limits>, Readonly<ClientLimits>]>> =
  Object.freeze({
    'esp8266': Object.freeze([ESP8266_LIMITS, ESP8266_CLIENT_LIMITS] as const),
    'esp32': Object.freeze([ESP32_LIMITS, ESP32_CLIENT_LIMITS] as const),
    'esp32c3': Object.freeze([ESP32C3_LIMITS, ESP32_CLIENT_LIMITS] as const),
    'esp32-16-clients': Object.freeze([ESP32_RAISED_LIMITS, ESP32_CLIENT_LIMITS] as const),
    'simulator': Object.freeze([ESP32_LIMITS, ESP32_CLIENT_LIMITS] as const),
  });

/** Throws RangeError, naming the boards there are. */
export function hubLimits(settings: Settings): Readonly<Limits> {
  return boardOf(settings)[0];
}

/** As `hubLimits`. */
export function sensorLimits(settings: Settings): Readonly<ClientLimits> {
  return boardOf(settings)[1];
}

function boardOf(settings: Settings): readonly [Readonly<Limits>, Readonly<ClientLimits>] {
  const name = String(settings['board']);
  if (Object.hasOwn(BOARDS, name)) return BOARDS[name]!;
  throw new RangeError(`board is "${name}": it must be one of ${Object.keys(BOARDS).join(', ')}`);
}

/** Of a broker. */
export const PORT = 1883;

/** Of the page that asks for the Wi-Fi network: in a simulator the usual one may not be free. */
export function setupPort(settings: Settings): number {
  return wholeNumber(settings, 'setupPort', 80, 1, 65_535);
}

/** The text of a setting; undefined if it is missing or empty. */
export function text(settings: Settings, name: string): string | undefined {
  const value = settings[name];
  return value === undefined || value === '' ? undefined : String(value);
}

/**
 * A whole number, `least` to `most`; `otherwise` if it is missing. Throws RangeError, naming the
 * setting, for anything else.
 */
export function wholeNumber(
  settings: Settings, name: string, otherwise: number, least: number, most: number,
): number {
  const given = text(settings, name);
  if (given === undefined) return otherwise;
  const value = Number(given);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`${name} is "${given}": it must be a whole number, ${least} to ${most}`);
}

/** The host name in `maison.local`; undefined for other names. */
export function localName(host: string): string | undefined {
  const name = host.endsWith('.') ? host.slice(0, -1) : host;
  return name.toLowerCase().endsWith('.local') ? name.slice(0, -'.local'.length) : undefined;
}

/**
 * For `globalThis.abort`, which the platform calls before it restarts a board, when the manifest
 * defines `xs.abortHook`: tells why, and says no to what an exception outside our own callbacks
 * would do, in the SDK's network for instance. What the machine itself cannot go on with, such as
 * its memory being full, does restart it.
 */
export function abortHook(
  trace: (text: string) => void,
): (reason: string, exception: unknown) => boolean {
  return (reason, exception) => {
    const restarts = reason !== 'unhandled exception' && reason !== 'unhandled rejection';
    trace(`maisonnette: ${reason}: ${exception}${restarts ? '; restarting' : ''}\n`);
    return restarts;
  };
}

/**
 * Random integer, 0 to 2³²-1. The simulators begin with the same chance each time: the clock makes
 * programs differ.
 */
export function random(ticks: number): number {
  return (Math.random() * 0x1_0000_0000 ^ Math.imul(ticks, 0x9e37_79b1)) >>> 0;
}
