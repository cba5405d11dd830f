// Reads what a DHT22 says: from the widths of its pulses to five bytes, and from these to a
// reading. Called by dht22.ts; pure and stateless, it allocates nothing.
//
// The sensor answers a start pulse with a preamble and 40 bits, most significant first, each a low
// and a high whose length is the bit. In microseconds, by the data sheet:
//
//     preamble     bit 0        bit 1        end
//     low  high    low  high    low  high    low
//     80   80      50   26–28   50   70      50
//
// The bytes: humidity in tenths (2), temperature in tenths (2), their sum (1).
//
// Invariant: a frame in which one bit was read wrong is never taken. A wrong bit of the four bytes
// changes their sum by a power of two below 256, a wrong bit of the sum changes the sum, and a
// preamble taken for a bit, or the reverse, leaves other than 40 of them.

/** Read; all else that the functions here answer is a failure. */
export const OK = 0;
/** No pulse at all: not connected, not ready or locked up. */
export const NO_ANSWER = -1;
/** Fewer than 40 bits. */
export const TOO_SHORT = -2;
/** More than 40 bits. */
export const TOO_LONG = -3;
/** A pulse of no length, or of 255 µs and more: a line that is stuck or shorted for a moment. */
export const STUCK = -4;
export const WRONG_CHECKSUM = -5;
/** Forty zeros, whose checksum is right. */
export const ALL_ZERO = -6;
/** Over 100 %. */
export const HUMIDITY_IMPOSSIBLE = -7;
/** Outside -40…80 °C. */
export const TEMPERATURE_IMPOSSIBLE = -8;
/** Further from the reading before than a room gets in that time; dht22.ts decides. */
export const JUMP = -9;
/** 25.5 % at 25.5 °C where the readings around it are not; dht22.ts decides. */
export const GLITCH = -10;

const SENTENCES = Object.freeze([
  '',
  'the sensor does not answer',
  'the sensor stopped before its last bit',
  'the sensor sent more than 40 bits',
  'the data line was stuck',
  'the checksum is wrong',
  'the frame is all zero',
  'the humidity is over 100 percent',
  'the temperature is outside -40 to 80 degrees',
  'the reading is further from the one before than a room can be',
  'the reading is 25.5 percent at 25.5 degrees, as confused sensors say',
]);

/** The sentence for a failure, NO_ANSWER to GLITCH: a constant, fit for `onError`. */
export function sentenceOf(failure: number): string {
  return SENTENCES[-failure]!;
}

/** Room for the longest good capture, 83 widths, and one more that shows a longer one. */
export const WIDTHS_MAX = 84;
const FRAME_WIDTHS = 80;
/** Clipped widths are at least as long as this. */
const CLIPPED_MICROS = 255;

export const FRAME_BYTES = 5;

const HUMIDITY_TENTHS_MAX = 1000;
const TEMPERATURE_TENTHS_MIN = -400;
const TEMPERATURE_TENTHS_MAX = 800;

/** What a frame says. One instance, reused. */
export class Reading {
  /** Relative humidity in tenths of a percent, 0 to 1000. */
  humidityTenths = 0;
  /** In tenths of a degree Celsius, -400 to 800. */
  temperatureTenths = 0;
}

/**
 * Reads the 40 bits of a capture into the five bytes of `frame`: OK, or a failure from NO_ANSWER to
 * STUCK, and then `frame` is undefined. The first `count` widths are those of a low, a high and so
 * on, in microseconds, clipped to 255. The preamble and the low at the end may be missing.
 *
 * The first bit is always 0, because a humidity of 1000 takes ten bits of sixteen: a first high
 * that is long is the preamble's, and a frame that lost its last bit is not taken for one without
 * it.
 */
export function decodePulses(widths: Uint8Array, count: number, frame: Uint8Array): number {
  if (count === 0) return NO_ANSWER;
  if (count < FRAME_WIDTHS) return TOO_SHORT;
  const longest = longestZero(widths);
  const start = widths[1]! > longest ? 2 : 0;
  const end = start + FRAME_WIDTHS;
  if (count < end) return TOO_SHORT;
  if (count > end + 1) return TOO_LONG;
  for (let i = 0; i < end; i++) {
    if (widths[i] === 0 || widths[i]! >= CLIPPED_MICROS) return STUCK;
  }
  let bits = 0;
  for (let i = 0; i < FRAME_WIDTHS; i += 2) {
    bits = bits << 1 & 0xff;
    if (widths[start + i + 1]! > longest) bits |= 1;
    if ((i & 14) === 14) frame[i >> 4] = bits;
  }
  return OK;
}

/**
 * The longest high of a 0, in microseconds. When each pulse is up to 30 % off in its own way, a 0
 * has at most 36 and a 1 at least 49, but the low beside them 35 to 65: a single low tells nothing.
 * What lies between 36 and 49 tells them apart, unless all lows together say that a clock, of the
 * capture or of the sensor, is off by more than that: then it is off for the highs alike.
 */
function longestZero(widths: Uint8Array): number {
  let sum = 0;
  // Lows of bits with and without a preamble.
  for (let i = 2; i < FRAME_WIDTHS; i += 2) sum += widths[i]!;
  const mean = sum / LOWS;
  return mean > 65 || mean < 35 ? mean * 42 / 50 : 42;
}

const LOWS = FRAME_WIDTHS / 2 - 1;

/** Reads five bytes into `reading`: OK, or a failure from WRONG_CHECKSUM on, and nothing is set. */
export function decodeFrame(frame: Uint8Array, reading: Reading): number {
  const humidity = frame[0]! << 8 | frame[1]!;
  const word = frame[2]! << 8 | frame[3]!;
  if ((frame[0]! + frame[1]! + frame[2]! + frame[3]! & 0xff) !== frame[4]) return WRONG_CHECKSUM;
  if (humidity === 0 && word === 0) return ALL_ZERO;
  if (humidity > HUMIDITY_TENTHS_MAX) return HUMIDITY_IMPOSSIBLE;
  const temperature = temperatureOf(word);
  if (temperature < TEMPERATURE_TENTHS_MIN || temperature > TEMPERATURE_TENTHS_MAX) {
    return TEMPERATURE_IMPOSSIBLE;
  }
  reading.humidityTenths = humidity;
  reading.temperatureTenths = temperature;
  return OK;
}

/**
 * Tenths of a degree of a word. Makers write temperatures below zero in four ways, which the high
 * nibble tells apart, because -400 to 800 need no more than eleven bits and a sign:
 *
 *     8065   -10.1   sign and magnitude, as in the data sheet; 8000 is 0 for all makers
 *     ff9b   -10.1   two's complement of 16 bits
 *     7f9b   -10.1   the same without its top bit
 *     0f9b   -10.1   two's complement of 12 bits
 *
 * Any other nibble makes a number that is out of range.
 */
function temperatureOf(word: number): number {
  switch (word >> 12) {
    case 0x8: return 0 - (word & 0xfff);
    case 0xf: return word - 0x10000;
    case 0x7: return word - 0x8000;
    case 0x0: return word < 0x800 ? word : word - 0x1000;
    default: return word;
  }
}
