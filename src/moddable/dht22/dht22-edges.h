// The timing of a DHT22's answer: the start pulse, then the widths of the lows and highs that
// follow, in microseconds. Nothing is decoded here, dht22-pulses.ts does that. Included by
// dht22-pin.c for a board, and by the tests over a fake line and clock: they prove this source.
//
//     line    --\______________/----\____/----\__/-\__/---\__ ... __/-\__/------
//                 start, 2 ms   wait  preamble  bit   bit          bit   end
//     masked                   |--------------------------------------------|
//     stored                         80   80   50 26 50 70        50 26 50
//
// Who includes it defines, each to be usable while interrupts are masked where that matters:
//   DHT22_FAST            puts a function where it runs without waiting for flash; it is therefore
//                         never inlined into one that is elsewhere
//   DHT22_LEVEL(pin)      the level of the line, 0 or 1
//   DHT22_PULL(pin)       pulls the line low
//   DHT22_RELEASE(pin)    lets it go: a resistor pulls it high
//   DHT22_DELAY(micros)   waits at least so long
//   DHT22_CYCLES()        a uint32_t counter of constant rate, which wraps
//   DHT22_MASK()          masks interrupts; may declare a variable, for
//   DHT22_UNMASK()        which restores what was before
//
// Invariant: whatever the line does, interrupts are masked for at most DHT22_FRAME_MICROS_MAX and
// DHT22_GLITCH_MICROS, the time of a look at the line aside, and what was before is restored; the
// whole takes DHT22_START_MICROS longer.

#ifndef DHT22_EDGES_H
#define DHT22_EDGES_H

#include <stdint.h>

/** The data sheet asks for 0.8 to 20 ms; there are clones that want 2. */
#define DHT22_START_MICROS 2000
/** A level that lasts longer is the line at rest, or stuck. The sensor waits up to 200. */
#define DHT22_LEVEL_MICROS_MAX 255
/** A whole frame has some 5,000, were all its bits 1; here is room for a slow sensor. */
#define DHT22_FRAME_MICROS_MAX 6000
/** A change that lasts shorter is not an edge: noise, or the foot of an edge that rises slowly. */
#define DHT22_GLITCH_MICROS 2

#define DHT22_STUCK (-1)

typedef struct {
	uint32_t pin;
	uint32_t cyclesPerMicro;
	/** When interrupts were masked, and when the level at hand began. */
	uint32_t maskedAt;
	uint32_t edgeAt;
} Dht22Line;

/**
 * Waits for the end of the level at hand, which is `level`: its width in microseconds, at most 255,
 * or DHT22_STUCK if it does not end in time. An edge that is seen late, because something that
 * cannot be masked came between, still ends its level.
 */
static inline __attribute__((always_inline))
int dht22LevelEnd(Dht22Line *line, int level)
{
	const uint32_t glitch = DHT22_GLITCH_MICROS * line->cyclesPerMicro;
	const uint32_t levelMax = DHT22_LEVEL_MICROS_MAX * line->cyclesPerMicro;
	const uint32_t frameMax = DHT22_FRAME_MICROS_MAX * line->cyclesPerMicro;

	for (;;) {
		const uint32_t now = DHT22_CYCLES();
		if (now - line->maskedAt >= frameMax) return DHT22_STUCK;
		while (DHT22_LEVEL(line->pin) != level) {
			if (DHT22_CYCLES() - now >= glitch) {
				const uint32_t micros = (now - line->edgeAt) / line->cyclesPerMicro;
				line->edgeAt = now;
				return micros > 255 ? 255 : (int)micros;
			}
		}
		if (now - line->edgeAt >= levelMax) return DHT22_STUCK;
	}
}

/**
 * Asks the sensor on `pin`, whose line must be at rest, and stores the widths of its answer, at
 * most `widthsMax`: low, high and so on, from the low of the preamble on. Returns how many: 83 from
 * a good sensor, 81 when it took the line before that had risen, 0 when nobody answers. What does
 * not end in time is not stored.
 */
static DHT22_FAST __attribute__((noinline))
uint32_t dht22Capture(uint32_t pin, uint32_t cyclesPerMicro, uint8_t *widths, uint32_t widthsMax)
{
	Dht22Line line = { .pin = pin, .cyclesPerMicro = cyclesPerMicro };
	uint32_t count = 0;

	// Held low by a fault, or without the resistor: nobody could answer.
	if (!DHT22_LEVEL(pin)) return 0;
	DHT22_PULL(pin);
	DHT22_DELAY(DHT22_START_MICROS);

	DHT22_MASK();
	line.maskedAt = line.edgeAt = DHT22_CYCLES();
	DHT22_RELEASE(pin);
	// Two levels are not the sensor's: ours until the line has risen, and the rest after it.
	if (dht22LevelEnd(&line, 0) >= 0 && dht22LevelEnd(&line, 1) >= 0) {
		while (count < widthsMax) {
			const int micros = dht22LevelEnd(&line, (int)(count & 1));
			if (micros < 0) break;
			widths[count++] = (uint8_t)micros;
		}
	}
	DHT22_UNMASK();
	return count;
}

#endif
