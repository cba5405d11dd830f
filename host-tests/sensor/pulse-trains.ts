// What a DHT22 puts on its line, for tests: frames in every encoding, and the pulses of a frame. Runs on Node and on
// XS.

export type Encoding = (temperatureTenths: number) => number;

/** The four ways in which makers write a temperature; above zero they are one. */
export const ENCODINGS: Readonly<Record<string, Encoding>> = {
  'sign and magnitude': (tenths) => tenths < 0 ? 0x8000 | -tenths : tenths,
  "two's complement of 16 bits": (tenths) => tenths & 0xffff,
  "two's complement without its top bit": (tenths) => tenths < 0 ? tenths & 0x7fff : tenths,
  "two's complement of 12 bits": (tenths) => tenths & 0x0fff,
};

/** The five bytes of a reading, its temperature already encoded. */
export function frameOf(humidityTenths: number, word: number): Uint8Array {
  const frame = Uint8Array.of(humidityTenths >> 8, humidityTenths, word >> 8, word, 0);
  frame[4] = frame[0]! + frame[1]! + frame[2]! + frame[3]!;
  return frame;
}

export interface Train {
  preamble: boolean;
  /** The low that ends the last bit. */
  end: boolean;
}

export const TRAINS: readonly Train[] = [
  { preamble: true, end: true }, { preamble: true, end: false },
  { preamble: false, end: true }, { preamble: false, end: false },
];

export const bitOf = (frame: Uint8Array, bit: number): number => frame[bit >> 3]! >> 7 - (bit & 7) & 1;

/** Widths of lows and highs by turns, as the data sheet has them; each goes through `change`, then is clipped. */
export function pulsesOf(
  frame: Uint8Array, train: Train = TRAINS[0]!, change: (micros: number, index: number) => number = (micros) => micros,
): Uint8Array {
  const nominal = train.preamble ? [80, 80] : [];
  for (let bit = 0; bit < 40; bit++) nominal.push(50, bitOf(frame, bit) === 1 ? 70 : 26 + bit % 3);
  if (train.end) nominal.push(50);
  return Uint8Array.from(nominal.map((micros, index) => Math.max(0, Math.min(255, Math.round(change(micros, index))))));
}

export function trainTitle({ preamble, end }: Train): string {
  return `${preamble ? 'with' : 'without'} preamble, ${end ? 'with' : 'without'} the last low`;
}
