// Wi-Fi for a program on a board: joins, comes back after every loss, and on a first boot asks for
// the credentials with a page of its own. Called by the programs of boards; the same on ESP8266,
// ESP32 and in the simulators.
//
// It drives the SDK's older class `wifi`, the only one with an access point; the newer
// `embedded:network/interface/wifi` must not be used beside it. The program is never started anew:
// what listens and what is connected learns of the network by `onUp` and `onDown`, which alternate.
//
// Time is counted in ticks, at turns of the program's ticker, and everything is done in them or in
// what the SDK calls; an exception leaves neither, since it would restart the board.

import type { TcpListenerConstructor, TcpSocketConstructor } from '../io.js';
import { Ticker, type TickerUser, type TimedIo } from '../ticker.js';
import type { Credentials, CredentialStore } from './credentials.js';
import { SetupPage } from './setup-page.js';

/** `wifi`. */
export interface WiFiModule {
  /** `message` is one of the constants below, among others. */
  new (options: undefined, onNotify: (message: string, reason?: number) => void): unknown;
  mode: number;
  connect(options: { ssid: string; password?: string }): void;
  disconnect(): void;
  accessPoint(options: { ssid: string }): void;
}

/** `net`: `IP`, `MAC` and `RSSI`. */
export interface NetModule {
  get(property: string): unknown;
}

export interface NetworkOptions extends TimedIo {
  WiFi: WiFiModule;
  Net: NetModule;
  /** For the setup page. */
  Listener: TcpListenerConstructor;
  TCP: TcpSocketConstructor;
  credentials: CredentialStore;
  /** As which the setup page says that the board will be found, without `.local`. */
  hostName: string;
  /** Of the page; default 80. */
  setupPort?: number;
  /** Random integer, 0 to 2³²-1: spreads the attempts of boards that lost the same network. */
  random(): number;
  /** The network is there; `address` as numbers. */
  onUp(address: string): void;
  /** It is gone, or has given the board another address: then `onUp` follows at once. */
  onDown(): void;
}

const STATION = 1;
const ACCESS_POINT = 2;
const GOT_IP = 'gotIP';
const LOST_IP = 'lostIP';
const DISCONNECTED = 'disconnect';
/** Why a network was left or not joined: it did not like the password. */
const PASSWORD_REJECTED = -1;

const TICK_MS = 500;
/** What joining may take: an ESP32 tries six times by itself. */
const JOIN_MS = 30_000;
/** What a chip that lost or did not find the network is given to find it by itself, */
const SETTLE_MS = 5000;
/** before it is told to try again: so much later, then twice as much, and so on. */
const WAIT_FIRST_MS = 1000;
const WAIT_MAX_MS = 60_000;
/** How often to look whether the address is still there: its loss is not always told. */
const CHECK_MS = 10_000;
/** Credentials that never worked may be wrong: after so long, the page asks for them again, */
const UNPROVEN_MS = 60_000;
/** for so long after somebody last looked at it; they may also have been right. */
const SETUP_MS = 180_000;

/** Not started, or closed. */
const OFF = 0;
const JOINING = 1;
/** Between two attempts. What the chip achieves by itself meanwhile counts all the same. */
const WAITING = 2;
const UP = 3;
/** An access point, with the page. */
const SETUP = 4;

export class Network implements TickerUser {
  private readonly options: NetworkOptions;
  private state = OFF;
  /** Until the next step of this state. */
  private leftMs = 0;
  /** The longest that the next wait can be. */
  private waitMs = WAIT_FIRST_MS;
  /** How long the network has been away, or up. */
  private sinceMs = 0;
  /** The board's own, as numbers; empty while the network is not there. For others to read. */
  address = '';
  /** How often the network came, since the start. For others to read. */
  joinCount = 0;
  private page: SetupPage | undefined;
  /** Never closed, only not heard: on ESP8266 what it still has to tell would tell nobody. */
  private wifi: unknown;
  private readonly ticker: Ticker;
  private tickedAtMs = 0;

  /** Nothing happens until `start`. */
  constructor(options: NetworkOptions) {
    this.options = options;
    this.ticker = options.ticker ?? new Ticker(options);
  }

  /** Strength of the signal in dBm, about -30 near to -90 far; undefined where unknown. */
  get signalDbm(): number | undefined {
    const signal = this.state === UP ? this.options.Net.get('RSSI') : undefined;
    return typeof signal === 'number' && signal < 0 ? signal : undefined;
  }

  /** The access point and its page are there. */
  get settingUp(): boolean {
    return this.state === SETUP;
  }

  /** Idempotent. */
  start(): void {
    if (this.state !== OFF) return;
    this.wifi ??= new this.options.WiFi(undefined, (message, reason) => {
      try {
        this.notified(message, reason);
      } catch (error) {
        this.failed(error);
      }
    });
    this.wait(0);
    this.ticker.add(this);
  }

  /** Idempotent. Leaves the network. */
  close(): void {
    if (this.state === OFF) return;
    this.ticker.remove(this);
    this.closePage();
    this.down();
    this.state = OFF;
    this.options.WiFi.disconnect();
  }

  private failed(error: unknown): void {
    this.options.trace(`network: ${error}\n`);
  }

  private wait(ms: number): void {
    this.state = WAITING;
    this.leftMs = ms;
  }

  /** An attempt has failed, or the network is lost. */
  private retry(): void {
    const { random } = this.options;
    this.wait(this.waitMs * (0.5 + random() / 0x2_0000_0000));
    this.waitMs = Math.min(2 * this.waitMs, WAIT_MAX_MS);
  }

  /** One of the ticker. */
  turn(nowMs: number): void {
    if (nowMs - this.tickedAtMs < TICK_MS) return;
    this.tickedAtMs = nowMs;
    try {
      this.tick();
    } catch (error) {
      this.failed(error);
    }
  }

  private tick(): void {
    this.sinceMs += TICK_MS;
    this.leftMs -= TICK_MS;
    if (this.state === SETUP) {
      this.setupTick();
    } else if (this.state === UP) {
      // One that holds for as long as the next wait is none that comes and goes.
      if (this.sinceMs >= this.waitMs) this.waitMs = WAIT_FIRST_MS;
      if (this.leftMs <= 0) this.readAddress();
    } else if (this.leftMs <= 0) {
      if (this.state === JOINING) {
        this.options.trace('Wi-Fi: no answer in time\n');
        this.retry();
      } else {
        this.next();
      }
    }
  }

  /** A wait is over. */
  private next(): void {
    const { credentials } = this.options;
    const found = credentials.read();
    if (found === undefined || !credentials.proven && this.sinceMs >= UNPROVEN_MS) {
      this.openPage();
    } else {
      this.join(found);
    }
  }

  private join({ ssid, password }: Credentials): void {
    const { WiFi, trace } = this.options;
    trace(`Wi-Fi: joining "${ssid}"\n`);
    this.state = JOINING;
    this.leftMs = JOIN_MS;
    try {
      WiFi.mode = STATION;
      WiFi.connect(password === '' ? { ssid } : { ssid, password });
    } catch (error) {
      trace(`Wi-Fi: ${error}\n`);
      this.leftMs = SETTLE_MS;
    }
  }

  private notified(message: string, reason: number | undefined): void {
    if (this.state === OFF || this.state === SETUP) return;
    if (message === GOT_IP) {
      this.readAddress();
    } else if (message === LOST_IP || message === DISCONNECTED) {
      if (this.state === UP) {
        this.lost();
      } else if (this.state === JOINING && this.leftMs > SETTLE_MS) {
        // Not the end of this attempt: an ESP8266 goes on by itself, and says this also of what it
        // left for it.
        this.leftMs = SETTLE_MS;
        if (reason === PASSWORD_REJECTED) {
          this.options.trace('Wi-Fi: the network seems to reject the password\n');
        }
      }
    }
  }

  private lost(): void {
    this.options.trace('Wi-Fi: lost\n');
    this.retry();
    this.down();
  }

  /** The network is there, still or for the first time; the board's address may have changed. */
  private readAddress(): void {
    this.leftMs = CHECK_MS;
    const address = this.options.Net.get('IP');
    if (typeof address !== 'string') {
      if (this.state === UP) this.lost();
      return;
    }
    if (address === this.address) return;
    this.down();
    this.state = UP;
    this.sinceMs = 0;
    this.address = address;
    this.joinCount++;
    this.options.trace(`Wi-Fi: joined, address ${address}\n`);
    try {
      this.options.credentials.prove();
    } catch (error) {
      this.failed(error);
    }
    this.options.onUp(address);
  }

  private down(): void {
    if (this.address === '') return;
    this.address = '';
    this.sinceMs = 0;
    try {
      this.options.onDown();
    } catch (error) {
      this.failed(error);
    }
  }

  private openPage(): void {
    const { WiFi, Net, trace, credentials, setupPort = 80 } = this.options;
    this.state = SETUP;
    this.leftMs = SETUP_MS;
    // As a station it has an address to be named after, on a first boot too. An ESP32 must be a
    // station also because its access point gets no address when the mode is set before it exists;
    // a simulator, which has no such address, wants the mode.
    WiFi.mode = STATION;
    WiFi.disconnect();
    const mac = Net.get('MAC');
    if (typeof mac !== 'string') WiFi.mode = ACCESS_POINT;
    const ssid = accessPointName(mac);
    try {
      WiFi.accessPoint({ ssid });
      const { Listener, TCP, hostName } = this.options;
      this.page = new SetupPage({
        Listener, TCP, trace, port: setupPort, hostName,
        store: (entered) => credentials.write(entered),
      });
    } catch (error) {
      trace(`the setup page cannot be shown: ${error}\n`);
    }
    const port = setupPort === 80 ? '' : `:${setupPort}`;
    trace(`No Wi-Fi yet. Join "${ssid}" with a telephone or a computer, and open `
      + `http://${Net.get('IP') ?? '192.168.4.1'}${port}/ there; `
      + 'or build again with ssid="…" password="…".\n');
  }

  private setupTick(): void {
    const page = this.page;
    page?.tick(TICK_MS);
    if (page?.busy) this.leftMs = SETUP_MS;
    const given = this.options.credentials.read() !== undefined;
    const over = this.leftMs <= 0 && (given || page === undefined);
    if (!over && !page?.finished) return;
    this.closePage();
    this.options.WiFi.mode = STATION;
    this.sinceMs = 0;
    this.waitMs = WAIT_FIRST_MS;
    this.wait(WAIT_FIRST_MS);
  }

  private closePage(): void {
    this.page?.close();
    this.page = undefined;
  }
}

/** `maisonnette-` and the last four digits of the board's own address. */
function accessPointName(mac: unknown): string {
  if (typeof mac !== 'string') return 'maisonnette';
  return `maisonnette-${mac.slice(-5, -3)}${mac.slice(-2)}`;
}
