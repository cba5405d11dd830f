// The name and the password of the Wi-Fi network: from the command line of the build, or stored by
// the setup page. Called by network.ts and setup-page.ts.

import { encodeText } from '../../client/text.js';

export interface Credentials {
  /** 1 to 32 bytes of UTF-8. */
  ssid: string;
  /** 8 to 63 characters of ASCII; empty for an open network. */
  password: string;
}

/** `preference`. */
export interface PreferenceModule {
  get(domain: string, name: string): unknown;
  set(domain: string, name: string, value: string | boolean): void;
  delete(domain: string, name: string): void;
}

const DOMAIN = 'wifi';
/** An ESP8266 stores domain, name and value in 64 bytes together: a long password in two parts. */
const PART_BYTES = 32;

export class CredentialStore {
  private readonly preference: PreferenceModule;
  private readonly config: { ssid?: unknown; password?: unknown };

  /** `config` is `mc/config`, where `ssid=…` and `password=…` of the command line arrive. */
  constructor(preference: PreferenceModule, config: { ssid?: unknown; password?: unknown }) {
    this.preference = preference;
    this.config = config;
  }

  /** The program was built with credentials: they are used, whatever is stored. */
  get built(): boolean {
    return text(this.config.ssid) !== '';
  }

  /** Undefined when there are none. */
  read(): Credentials | undefined {
    if (this.built) {
      return { ssid: text(this.config.ssid), password: text(this.config.password) };
    }
    const ssid = this.get('ssid');
    return ssid === '' ? undefined : { ssid, password: this.get('password') + this.get('more') };
  }

  /** Whether a board has joined a network with these: then a network that is away comes back. */
  get proven(): boolean {
    return this.built || this.preference.get(DOMAIN, 'proven') === true;
  }

  prove(): void {
    if (!this.proven) this.preference.set(DOMAIN, 'proven', true);
  }

  /**
   * Throws what the platform throws when it cannot store. The name of the network is written last:
   * after a loss of power in between, there are no credentials rather than mixed ones.
   */
  write({ ssid, password }: Credentials): void {
    this.clear();
    this.preference.set(DOMAIN, 'password', password.slice(0, PART_BYTES));
    this.preference.set(DOMAIN, 'more', password.slice(PART_BYTES));
    this.preference.set(DOMAIN, 'ssid', ssid);
  }

  /** For a board that moves to another network: the next start is a first one. */
  clear(): void {
    for (const name of ['ssid', 'proven', 'password', 'more']) {
      this.preference.delete(DOMAIN, name);
    }
  }

  private get(name: string): string {
    return text(this.preference.get(DOMAIN, name));
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** What is wrong with credentials that somebody typed, as a sentence; empty when nothing is. */
export function complaint({ ssid, password }: Credentials): string {
  const byteCount = encodeText(ssid).length;
  if (byteCount === 0) return 'The name of the network is missing.';
  if (byteCount > 32) return 'The name of a network has at most 32 bytes.';
  if (hasControl(ssid)) return 'The name of a network has no control characters.';
  if (password === '') return '';
  if (password.length < 8 || password.length > 63) {
    return 'The password has 8 to 63 characters, or none for an open network.';
  }
  for (let i = 0; i < password.length; i++) {
    const code = password.charCodeAt(i);
    if (code < 0x20 || code > 0x7e) return 'The password has letters, digits and signs of ASCII.';
  }
  return '';
}

function hasControl(string: string): boolean {
  for (let i = 0; i < string.length; i++) {
    const code = string.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}
