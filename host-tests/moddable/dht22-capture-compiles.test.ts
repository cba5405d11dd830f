// The C source of the DHT22 capture as a board gets it: dht22-pin.c compiles without warnings against Moddable's
// headers, for ESP8266 with its compiler. The headers of the chip's maker are taken where they are installed; else
// stand-ins of a few lines take their place, which prove what C and Moddable ask, not that the maker's names are right.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t from 'tap';

declare const HOST_TESTS: string;

const HOST_COMPILER = 'cc';
const BOARD_COMPILER = 'xtensa-lx106-elf-gcc';
const OBJDUMP = 'xtensa-lx106-elf-objdump';

const source = join(dirname(HOST_TESTS), 'src', 'moddable', 'dht22', 'dht22-pin.c');
const folder = mkdtempSync(join(tmpdir(), 'maisonnette-dht22-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

/** What mcconfig generates from the manifests. */
const GENERATED = {
  'mc.defines.h': '',
  'mc.xs.h': '#define xsID_pin 1\n#define xsID_target 2\n#define xsID_format 3\n',
};

/** For a compiler that comes without a C library: what Moddable's headers take from it. */
const C_LIBRARY = {
  'errno.h': '', 'malloc.h': '', 'math.h': '', 'stdio.h': '', 'string.h': '',
  'stdlib.h': '#include <stddef.h>\n',
  'setjmp.h': 'typedef int jmp_buf[17];\n',
};

const ARDUINO_CORE = {
  'Arduino.h': `#include <stdint.h>
    #define ICACHE_RAM_ATTR __attribute__((section(".iram.text")))
    #define ICACHE_RODATA_ATTR __attribute__((section(".irom.text")))
    #define ICACHE_FLASH_ATTR __attribute__((section(".irom0.text")))
    #define REGISTER(address) (*(volatile uint32_t *)(0x60000000 + (address)))
    #define GPOS REGISTER(0x304)
    #define GPOC REGISTER(0x308)
    #define GPES REGISTER(0x310)
    #define GPEC REGISTER(0x314)
    #define GPI REGISTER(0x318)
    #define GPC(pin) REGISTER(0x328 + ((pin) & 15) * 4)
    #define GPF(pin) REGISTER(0x800 + functions[(pin) & 15])
    #define GPCD 2
    #define GPFPU 7
    #define GPFFS(function) ((function) << 4)
    #define GPFFS_GPIO(pin) ((pin) == 0 || (pin) == 2 || (pin) == 4 || (pin) == 5 ? 0 : 3)
    #define xt_rsil(level) (__extension__({ uint32_t state; \\
      __asm__ __volatile__("rsil %0," #level : "=a"(state)); state; }))
    #define xt_wsr_ps(state) __asm__ __volatile__("wsr %0,ps; isync" :: "a"(state) : "memory")
    extern uint8_t functions[16];
    uint32_t millis(void);\n`,
  'user_interface.h': '#include <stdint.h>\nuint8_t system_get_cpu_freq(void);\nuint32_t system_get_time(void);\n',
};

const ESP_IDF = {
  'lwip/netdb.h': '', 'lwip/inet.h': '', 'esp_partition.h': 'typedef int esp_partition_t;\n', 'freertos/task.h': '',
  'freertos/FreeRTOS.h': `typedef struct { int owner; } portMUX_TYPE;
    #define portMUX_INITIALIZER_UNLOCKED { 0 }
    void portENTER_CRITICAL(portMUX_TYPE *mux);
    void portEXIT_CRITICAL(portMUX_TYPE *mux);\n`,
  'esp_attr.h': '#define IRAM_ATTR __attribute__((section(".iram1.0")))\n',
  'esp_cpu.h': '#include <stdint.h>\nuint32_t esp_cpu_get_cycle_count(void);\n',
  'esp_rom_sys.h': `#include <stdint.h>
    void esp_rom_delay_us(uint32_t us);
    uint32_t esp_rom_get_cpu_ticks_per_us(void);\n`,
  'hal/gpio_hal.h': '',
  'hal/gpio_ll.h': `#include <stdint.h>
    typedef struct { volatile uint32_t in, out_w1ts, out_w1tc; } gpio_dev_t;
    extern gpio_dev_t GPIO;
    int gpio_ll_get_level(gpio_dev_t *hw, uint32_t gpio_num);
    void gpio_ll_set_level(gpio_dev_t *hw, uint32_t gpio_num, uint32_t level);\n`,
  'driver/gpio.h': `#include <stdint.h>
    typedef enum { GPIO_NUM_MAX = 40 } gpio_num_t;
    typedef enum { GPIO_MODE_INPUT_OUTPUT_OD = 7 } gpio_mode_t;
    typedef enum { GPIO_PULLUP_DISABLE, GPIO_PULLUP_ENABLE } gpio_pullup_t;
    typedef enum { GPIO_PULLDOWN_DISABLE, GPIO_PULLDOWN_ENABLE } gpio_pulldown_t;
    typedef enum { GPIO_INTR_DISABLE } gpio_int_type_t;
    typedef struct {
      uint64_t pin_bit_mask; gpio_mode_t mode; gpio_pullup_t pull_up_en; gpio_pulldown_t pull_down_en;
      gpio_int_type_t intr_type;
    } gpio_config_t;
    #define GPIO_IS_VALID_OUTPUT_GPIO(gpio_num) ((1ULL << (gpio_num) & 0x30effffffULL) != 0)
    int gpio_config(const gpio_config_t *config);
    int gpio_set_level(gpio_num_t gpio_num, uint32_t level);
    int gpio_reset_pin(gpio_num_t gpio_num);\n`,
};

/** Writes headers to a folder of their own and answers its path. */
function headers(name: string, texts: Readonly<Record<string, string>>): string {
  const root = join(folder, name);
  for (const [path, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `#pragma once\n${text}`);
  }
  return root;
}

const runs = (command: string): boolean => spawnSync(command, ['--version']).status === 0;

/** What the compiler has to say. */
function compile(compiler: string, args: readonly string[]): string {
  const { status, stderr, error } = spawnSync(compiler, args, { encoding: 'utf8' });
  return status === 0 ? stderr : stderr || `${error ?? `exit ${status}`}`;
}

function notRun(what: string, why: string): void {
  process.stderr.write(`not run: ${what}: ${why}\n`);
}

const moddable = process.env['MODDABLE'];

/** Warnings are for our own source: everybody else's headers are system headers. */
function common(sdk: string): string[] {
  return ['-Wall', '-Wextra', '-Werror', '-D__ets__', '-DmxUseDefaultSharedChunks=1', '-DkCommodettoBitmapFormat=7',
    '-DkPocoRotation=0', `-I${headers('generated', GENERATED)}`,
    ...['modules/io/common', 'xs/includes', 'xs/platforms/esp'].flatMap((path) => ['-isystem', join(sdk, path)])];
}

/** As Moddable compiles for this chip. */
function forEsp8266(sdk: string, includes: readonly string[], object: string): string[] {
  return [...common(sdk), '-DESP8266', '-DICACHE_FLASH', '-U__STRICT_ANSI__', '-DF_CPU=80000000L', '-DARDUINO=10605',
    '-DARDUINO_ARCH_ESP8266', '-DmxNoConsole=1', '-DkESP8266Version=23', ...includes, '-std=gnu99', '-Os', '-g',
    '-fno-inline-functions', '-mlongcalls', '-mtext-section-literals', '-falign-functions=4', '-fdata-sections',
    '-ffunction-sections', '-fno-jump-tables', '-c', source, '-o', object];
}

function arduinoCore(): string | undefined {
  const { ARDUINO_ROOT, ESP_BASE } = process.env;
  return [ARDUINO_ROOT, join(ESP_BASE ?? join(homedir(), 'esp'), 'esp8266-2.3.0')]
    .find((path) => path !== undefined && existsSync(join(path, 'cores', 'esp8266', 'Arduino.h')));
}

function hasCLibrary(): boolean {
  writeFileSync(join(folder, 'probe.c'), '#include <setjmp.h>\n#include <stdlib.h>\n');
  return compile(BOARD_COMPILER, ['-fsyntax-only', join(folder, 'probe.c')]) === '';
}

function test8266(title: string, includes: readonly string[]): void {
  t.test(title, (t) => {
    const object = join(folder, 'dht22-pin.o');
    t.equal(compile(BOARD_COMPILER, forEsp8266(moddable!, includes, object)), '');
    const symbols = spawnSync(OBJDUMP, ['-t', object], { encoding: 'utf8' }).stdout;
    t.match(symbols, / \.iram\.text\t\w+ dht22Capture\n/, 'what runs with interrupts masked is in IRAM');
    t.notMatch(symbols, /\*UND\*\s+\w+ __\w+[sd]f[23\d]?\n/, 'no floating point');
    for (const name of ['xs_dht22', 'xs_dht22_capture', 'xs_dht22_close', 'xs_dht22_destructor']) {
      t.match(symbols, new RegExp(`^\\w+ g .* ${name}$`, 'm'), name);
    }
    t.end();
  });
}

const FOR_ESP8266 = 'the DHT22 capture, compiled for ESP8266';
if (moddable === undefined) {
  notRun(`${FOR_ESP8266} and ESP32`, 'MODDABLE is not set');
} else if (!runs(BOARD_COMPILER)) {
  notRun(FOR_ESP8266, `no "${BOARD_COMPILER}" (Debian: gcc-xtensa-lx106)`);
} else {
  const arduino = arduinoCore();
  if (arduino !== undefined && hasCLibrary()) {
    const paths = ['tools/sdk/include', 'tools/sdk/lwip/include', 'cores/esp8266', 'variants/generic'];
    test8266('for ESP8266, against the Arduino core', paths.flatMap((path) => ['-isystem', join(arduino, path)]));
  } else {
    const what = arduino === undefined ? 'no esp8266-2.3.0 in $ESP_BASE' : 'the compiler has no C library';
    notRun(`${FOR_ESP8266} against the Arduino core`, `${what}; stand-ins take its place`);
    const standIns = headers('esp8266', { ...C_LIBRARY, ...ARDUINO_CORE });
    test8266('for ESP8266, against stand-ins for the Arduino core', ['-ffreestanding', '-isystem', standIns]);
  }
}

if (moddable !== undefined && !runs(HOST_COMPILER)) {
  notRun('the DHT22 capture, compiled as for ESP32', `no C compiler "${HOST_COMPILER}" (Debian: gcc, libc6-dev)`);
} else if (moddable !== undefined) {
  t.test('for ESP32, by the compiler of this computer, against stand-ins for ESP-IDF', (t) => {
    t.equal(compile(HOST_COMPILER, [...common(moddable), '-DESP32=1', '-isystem', headers('esp-idf', ESP_IDF),
      '-std=gnu17', '-fsyntax-only', source]), '');
    t.end();
  });
}

t.test('the check for warnings can see one', { skip: runs(HOST_COMPILER) ? false : 'no C compiler' }, (t) => {
  writeFileSync(join(folder, 'warns.c'), 'int main(void) { int unused; return 0; }\n');
  t.match(compile(HOST_COMPILER, ['-Wall', '-Wextra', '-Werror', '-fsyntax-only', join(folder, 'warns.c')]), /unused/);
  t.end();
});
