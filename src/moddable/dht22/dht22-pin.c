// The DHT22's line on a pin of an ESP8266 or an ESP32: reserves the pin, drives and reads it, and
// hands what dht22-edges.h measures to capture.ts. The host data of an instance is its pin and one,
// so that nothing is allocated; NULL while the instance has no pin.
//
// ESP32, too, polls the line with interrupts masked, on one core and for 6 ms at most every 2 s or
// more, instead of letting the RMT peripheral receive it, which would mask nothing. Polling is the
// source that the tests prove over a fake line and clock, on every chip the same; when the RMT
// receiver begins, while the line is held low, and how it ends, only a board can show. FreeRTOS
// makes up for the ticks that it misses meanwhile.

#include "xsmc.h"
#include "xsHost.h"
#include "mc.xs.h"
#include "builtinCommon.h"

#if ESP32

#include "driver/gpio.h"
#include "esp_attr.h"
#include "esp_cpu.h"
#include "esp_rom_sys.h"
#include "hal/gpio_hal.h"
#include "hal/gpio_ll.h"

static portMUX_TYPE gMux = portMUX_INITIALIZER_UNLOCKED;

#define DHT22_FAST IRAM_ATTR
#define DHT22_LEVEL(pin) gpio_ll_get_level(&GPIO, pin)
#define DHT22_PULL(pin) gpio_ll_set_level(&GPIO, pin, 0)
#define DHT22_RELEASE(pin) gpio_ll_set_level(&GPIO, pin, 1)
#define DHT22_DELAY(micros) esp_rom_delay_us(micros)
#define DHT22_CYCLES() ((uint32_t)esp_cpu_get_cycle_count())
#define DHT22_MASK() portENTER_CRITICAL(&gMux)
#define DHT22_UNMASK() portEXIT_CRITICAL(&gMux)

#define CYCLES_PER_MICRO() esp_rom_get_cpu_ticks_per_us()

static int canDrive(uint32_t pin)
{
	return pin < GPIO_NUM_MAX && GPIO_IS_VALID_OUTPUT_GPIO(pin);
}

static void openPin(uint32_t pin)
{
	const gpio_config_t config = {
		.pin_bit_mask = 1ULL << pin,
		.mode = GPIO_MODE_INPUT_OUTPUT_OD,
		.pull_up_en = GPIO_PULLUP_ENABLE,
		.pull_down_en = GPIO_PULLDOWN_DISABLE,
		.intr_type = GPIO_INTR_DISABLE,
	};
	gpio_set_level(pin, 1);
	gpio_config(&config);
}

static void closePin(uint32_t pin)
{
	gpio_reset_pin(pin);
}

#else

#include "user_interface.h"

extern void ets_delay_us(uint32_t micros);

static inline __attribute__((always_inline))
uint32_t cycles(void)
{
	uint32_t count;
	__asm__ __volatile__("rsr %0, ccount" : "=a"(count));
	return count;
}

#define DHT22_FAST ICACHE_RAM_ATTR
#define DHT22_LEVEL(pin) ((int)(GPI >> (pin) & 1))
#define DHT22_PULL(pin) (GPOC = 1u << (pin))
#define DHT22_RELEASE(pin) (GPOS = 1u << (pin))
#define DHT22_DELAY(micros) ets_delay_us(micros)
#define DHT22_CYCLES() cycles()
#define DHT22_MASK() const uint32_t unmasked = xt_rsil(15)
#define DHT22_UNMASK() xt_wsr_ps(unmasked)

#define CYCLES_PER_MICRO() system_get_cpu_freq()

/** Pin 16 belongs to the clock that wakes the chip, and has no open drain. */
static int canDrive(uint32_t pin)
{
	return pin < 16;
}

static void openPin(uint32_t pin)
{
	GPOS = 1u << pin;
	GPC(pin) = 1u << GPCD;
	GPF(pin) = GPFFS(GPFFS_GPIO(pin)) | 1u << GPFPU;
	GPES = 1u << pin;
}

static void closePin(uint32_t pin)
{
	GPEC = 1u << pin;
	GPC(pin) = 0;
	GPF(pin) = GPFFS(GPFFS_GPIO(pin));
}

#endif

#include "dht22-edges.h"

void xs_dht22_destructor(void *data);

static const xsHostHooks ICACHE_RODATA_ATTR hooks = { xs_dht22_destructor, NULL, NULL };

void xs_dht22_destructor(void *data)
{
	if (!data) return;
	const uint32_t pin = (uint32_t)(uintptr_t)data - 1;
	closePin(pin);
	builtinFreePin(pin);
}

void xs_dht22(xsMachine *the)
{
	xsmcVars(1);
	xsmcGet(xsVar(0), xsArg(0), xsID_pin);
	const uint32_t pin = builtinGetPin(the, &xsVar(0));
	if (!canDrive(pin)) xsRangeError("not a pin for a DHT22");
	if (!builtinIsPinFree(pin)) xsUnknownError("pin in use");
	builtinUsePin(pin);
	openPin(pin);
	xsmcSetHostData(xsThis, (void *)(uintptr_t)(pin + 1));
	xsSetHostHooks(xsThis, (xsHostHooks *)&hooks);
}

void xs_dht22_capture(xsMachine *the)
{
	void *widths;
	xsUnsignedValue widthsMax;
	const uint32_t pin = (uint32_t)(uintptr_t)xsmcGetHostDataValidate(xsThis, (void *)&hooks) - 1;
	xsmcGetBufferWritable(xsArg(0), &widths, &widthsMax);
	// No call into XS from here on: it may move the buffer.
	const uint32_t count = dht22Capture(pin, CYCLES_PER_MICRO(), widths, widthsMax);
	xsmcSetInteger(xsResult, (xsIntegerValue)count);
}

void xs_dht22_close(xsMachine *the)
{
	void *data = xsmcGetHostData(xsThis);
	if (!data || !xsmcGetHostDataValidate(xsThis, (void *)&hooks)) return;
	xs_dht22_destructor(data);
	xsmcSetHostData(xsThis, NULL);
	xsmcSetHostDestructor(xsThis, NULL);
}
