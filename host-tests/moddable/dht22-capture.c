// A fake line, clock and interrupt mask under src/moddable/dht22/dht22-edges.h, for dht22-capture.test.ts: takes a
// scenario per line of standard input, runs the capture of the boards in it and tells in a line what came of it.
//
// A scenario, all numbers, times in nanoseconds:
//     cyclesPerMicro  counter  lookNanos  widthsMax  wire  awayAt  awayNanos  n  level1 … leveln
// `counter` is what the cycle counter shows at first; a look at the line takes `lookNanos`, at the counter one cycle.
// `wire` is 0 or 1 when the line is shorted to that, else 2. The levels begin when the capture lets the line go: a
// low, a high and so on; the last one stays. From `awayAt` after that on, nothing is executed for `awayNanos`.
//
// The answer, after which the widths follow:
//     count  maskedNanos  totalNanos  lowNanos  faults
// `maskedNanos` is the longest time that interrupts were masked, `lowNanos` how long the line was pulled low before;
// `faults` a sum: 1 interrupts left masked, 2 masked twice, 4 pulled or waited while masked, 8 the line left low, 16
// stored beyond its count, 32 another pin.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIN 13
#define LEVELS_MAX 4096
#define BUFFER_BYTES 256
#define UNTOUCHED 0xA5
#define PATIENCE_NANOS 1000000000u

enum { LEFT_MASKED = 1, MASKED_TWICE = 2, SLOW_WHILE_MASKED = 4, LEFT_LOW = 8, BEYOND = 16, OTHER_PIN = 32 };

static struct {
	uint64_t cyclesPerMicro, counter, lookNanos, widthsMax, wire, awayAt, awayNanos, levelCount;
	uint64_t level[LEVELS_MAX];
} scenario;

/** Picoseconds since the capture began: a cycle at 240 MHz is no whole number of nanoseconds. */
static uint64_t nowPicos, releasedPicos, pulledPicos, lowPicos, maskedPicos, longestPicos;
static int released, pulled, masked, wasAway;
static unsigned faults;

static void spend(uint64_t picos)
{
	nowPicos += picos;
	if (released && !wasAway && scenario.awayNanos > 0 && nowPicos - releasedPicos >= scenario.awayAt * 1000) {
		wasAway = 1;
		nowPicos += scenario.awayNanos * 1000;
	}
	if (nowPicos > PATIENCE_NANOS * UINT64_C(1000)) {
		fprintf(stderr, "the capture does not end\n");
		exit(3);
	}
}

static int sensorLevel(void)
{
	uint64_t picos = nowPicos - releasedPicos;
	uint64_t i = 0;
	while (i + 1 < scenario.levelCount && picos >= scenario.level[i] * 1000) picos -= scenario.level[i++] * 1000;
	return (int)(i & 1);
}

static int lineLevel(uint32_t pin)
{
	if (pin != PIN) faults |= OTHER_PIN;
	spend(scenario.lookNanos * 1000);
	if (scenario.wire < 2) return (int)scenario.wire;
	if (pulled) return 0;
	return released ? sensorLevel() : 1;
}

static uint32_t counter(void)
{
	spend(1000000 / scenario.cyclesPerMicro);
	return (uint32_t)(scenario.counter + nowPicos * scenario.cyclesPerMicro / 1000000);
}

static void pullLow(uint32_t pin)
{
	if (pin != PIN) faults |= OTHER_PIN;
	if (masked) faults |= SLOW_WHILE_MASKED;
	pulled = 1;
	pulledPicos = nowPicos;
}

static void letGo(uint32_t pin)
{
	if (pin != PIN) faults |= OTHER_PIN;
	pulled = 0;
	released = 1;
	releasedPicos = nowPicos;
	lowPicos = nowPicos - pulledPicos;
}

static void waitFor(uint32_t micros)
{
	if (masked) faults |= SLOW_WHILE_MASKED;
	spend(micros * UINT64_C(1000000));
}

static void maskInterrupts(void)
{
	if (masked) faults |= MASKED_TWICE;
	masked = 1;
	maskedPicos = nowPicos;
}

static void restoreInterrupts(void)
{
	masked = 0;
	if (nowPicos - maskedPicos > longestPicos) longestPicos = nowPicos - maskedPicos;
}

#define DHT22_FAST
#define DHT22_LEVEL(pin) lineLevel(pin)
#define DHT22_PULL(pin) pullLow(pin)
#define DHT22_RELEASE(pin) letGo(pin)
#define DHT22_DELAY(micros) waitFor(micros)
#define DHT22_CYCLES() counter()
#define DHT22_MASK() maskInterrupts()
#define DHT22_UNMASK() restoreInterrupts()
#include "dht22-edges.h"

static int readNumber(uint64_t *number)
{
	return scanf("%" SCNu64, number) == 1;
}

/** 1 when there is a whole scenario, 0 at the end of the input. */
static int readScenario(void)
{
	uint64_t *const heads[] = { &scenario.counter, &scenario.lookNanos, &scenario.widthsMax, &scenario.wire,
		&scenario.awayAt, &scenario.awayNanos, &scenario.levelCount };
	if (!readNumber(&scenario.cyclesPerMicro)) return 0;
	int whole = 1;
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) whole = whole && readNumber(heads[i]);
	whole = whole && scenario.levelCount <= LEVELS_MAX && scenario.widthsMax <= BUFFER_BYTES;
	for (uint64_t i = 0; whole && i < scenario.levelCount; i++) whole = readNumber(&scenario.level[i]);
	if (!whole) {
		fprintf(stderr, "not a scenario\n");
		exit(2);
	}
	return 1;
}

int main(void)
{
	static uint8_t widths[BUFFER_BYTES];
	while (readScenario()) {
		nowPicos = releasedPicos = pulledPicos = lowPicos = maskedPicos = longestPicos = 0;
		released = pulled = masked = wasAway = 0;
		faults = 0;
		memset(widths, UNTOUCHED, sizeof widths);
		const uint32_t count =
			dht22Capture(PIN, (uint32_t)scenario.cyclesPerMicro, widths, (uint32_t)scenario.widthsMax);
		if (masked) faults |= LEFT_MASKED;
		if (pulled) faults |= LEFT_LOW;
		if (count > scenario.widthsMax) faults |= BEYOND;
		for (size_t i = count; i < sizeof widths; i++) if (widths[i] != UNTOUCHED) faults |= BEYOND;
		printf("%" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %u", count, longestPicos / 1000, nowPicos / 1000,
			lowPicos / 1000, faults);
		for (uint32_t i = 0; i < count && i < sizeof widths; i++) printf(" %u", widths[i]);
		printf("\n");
	}
	return 0;
}
