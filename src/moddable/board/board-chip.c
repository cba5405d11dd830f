// What the platform tells of itself, and deep sleep: the C side of board.ts, for ESP8266, ESP32 and
// the simulators. No state but the memory that outlives deep sleep, and no allocation. The figures
// of the XS machine are read from the machine itself: the SDK's instrumentation has them only in
// some builds.

#include "xsAll.h"
#include "xsmc.h"

#define UNKNOWN (-1)

// As RESET_REASONS in board.ts.
enum { POWER_ON, RESET_PIN, RESTART, CRASH, WATCHDOG, DEEP_SLEEP, BROWN_OUT };

#if ESP32

#include "esp_attr.h"
#include "esp_sleep.h"
#include "esp_system.h"

// Random after power came up: who reads it knows by a checksum.
#define SLEEP_BYTES 4096
static RTC_NOINIT_ATTR uint8_t gSleepMemory[SLEEP_BYTES];
#define READ_MEMORY(at, to, byteCount) c_memcpy(to, gSleepMemory + (at), byteCount)
#define WRITE_MEMORY(at, from, byteCount) c_memcpy(gSleepMemory + (at), from, byteCount)

static int freeMemoryBytes(void)
{
	return (int)esp_get_free_heap_size();
}

static int resetReason(void)
{
	switch (esp_reset_reason()) {
		case ESP_RST_POWERON: return POWER_ON;
		case ESP_RST_EXT: return RESET_PIN;
		case ESP_RST_SW: return RESTART;
		case ESP_RST_PANIC: return CRASH;
		case ESP_RST_INT_WDT: case ESP_RST_TASK_WDT: case ESP_RST_WDT: return WATCHDOG;
		case ESP_RST_DEEPSLEEP: return DEEP_SLEEP;
		case ESP_RST_BROWNOUT: return BROWN_OUT;
		default: return UNKNOWN;
	}
}

static int deepSleep(uint32_t ms)
{
	esp_deep_sleep((uint64_t)ms * 1000); // does not come back
	return 1;
}

#elif defined(__ets__)

// As user_interface.h of the chip's SDK has them, which cannot be included beside lwIP's headers.
struct rst_info { uint32_t reason; };
enum {
	REASON_DEFAULT_RST, REASON_WDT_RST, REASON_EXCEPTION_RST, REASON_SOFT_WDT_RST,
	REASON_SOFT_RESTART, REASON_DEEP_SLEEP_AWAKE, REASON_EXT_SYS_RST
};
extern struct rst_info *system_get_rst_info(void);
extern uint32_t system_get_free_heap_size(void);
extern uint8_t system_rtc_mem_read(uint8_t word, void *to, uint16_t byteCount);
extern uint8_t system_rtc_mem_write(uint8_t word, const void *from, uint16_t byteCount);
extern void system_deep_sleep(uint32_t micros);

// The memory of the real-time clock, in words. User words begin at 64; the first 32 of them belong
// to the SDK's clock and to the boot loader. It takes whole words only, from aligned places.
#define FIRST_WORD (64 + 32)
#define SLEEP_BYTES 384

static void READ_MEMORY(uint32_t at, uint8_t *to, uint32_t byteCount)
{
	uint32_t word;
	for (; byteCount >= 4; at += 4, to += 4, byteCount -= 4) {
		system_rtc_mem_read(FIRST_WORD + at / 4, &word, 4);
		c_memcpy(to, &word, 4);
	}
}

static void WRITE_MEMORY(uint32_t at, const uint8_t *from, uint32_t byteCount)
{
	uint32_t word;
	for (; byteCount >= 4; at += 4, from += 4, byteCount -= 4) {
		c_memcpy(&word, from, 4);
		system_rtc_mem_write(FIRST_WORD + at / 4, &word, 4);
	}
}

static int freeMemoryBytes(void)
{
	return (int)system_get_free_heap_size();
}

static int resetReason(void)
{
	switch (system_get_rst_info()->reason) {
		case REASON_DEFAULT_RST: return POWER_ON;
		case REASON_EXT_SYS_RST: return RESET_PIN;
		case REASON_SOFT_RESTART: return RESTART;
		case REASON_EXCEPTION_RST: return CRASH;
		case REASON_WDT_RST: case REASON_SOFT_WDT_RST: return WATCHDOG;
		case REASON_DEEP_SLEEP_AWAKE: return DEEP_SLEEP;
		default: return UNKNOWN;
	}
}

static int deepSleep(uint32_t ms)
{
	system_deep_sleep(ms * 1000); // soon, when this turn is over
	return 1;
}

#else // a simulator, which does not sleep

#define SLEEP_BYTES 4096
static uint8_t gSleepMemory[SLEEP_BYTES];
#define READ_MEMORY(at, to, byteCount) c_memcpy(to, gSleepMemory + (at), byteCount)
#define WRITE_MEMORY(at, from, byteCount) c_memcpy(gSleepMemory + (at), from, byteCount)

static int freeMemoryBytes(void)
{
	return UNKNOWN;
}

static int resetReason(void)
{
	return UNKNOWN;
}

static int deepSleep(uint32_t ms)
{
	(void)ms;
	return 0;
}

#endif

void xs_board_free_memory(xsMachine *the)
{
	xsmcSetInteger(xsResult, freeMemoryBytes());
}

void xs_board_slots(xsMachine *the)
{
	xsmcSetInteger(xsResult, (int)(the->currentHeapCount * sizeof(txSlot)));
}

void xs_board_chunks(xsMachine *the)
{
	xsmcSetInteger(xsResult, (int)the->currentChunksSize);
}

void xs_board_reset_reason(xsMachine *the)
{
	xsmcSetInteger(xsResult, resetReason());
}

void xs_board_sleep_bytes(xsMachine *the)
{
	xsmcSetInteger(xsResult, SLEEP_BYTES);
}

static uint8_t *checkedBuffer(xsMachine *the, xsUnsignedValue *byteCount)
{
	void *bytes;
	xsmcGetBufferWritable(xsArg(0), &bytes, byteCount);
	if (*byteCount > SLEEP_BYTES || *byteCount % 4 != 0)
		xsRangeError("not so many bytes, or no whole words");
	return bytes;
}

void xs_board_read(xsMachine *the)
{
	xsUnsignedValue byteCount;
	uint8_t *bytes = checkedBuffer(the, &byteCount);
	READ_MEMORY(0, bytes, byteCount);
}

void xs_board_write(xsMachine *the)
{
	xsUnsignedValue byteCount;
	uint8_t *bytes = checkedBuffer(the, &byteCount);
	WRITE_MEMORY(0, bytes, byteCount);
}

void xs_board_deep_sleep(xsMachine *the)
{
	xsmcSetBoolean(xsResult, deepSleep((uint32_t)xsmcToInteger(xsArg(0))));
}
