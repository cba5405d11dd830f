// What the setup page needs to understand of HTTP, byte by byte and bounded: the method, and the
// body of a form. Whatever else a browser sends is passed over, and never kept. Called by
// setup-page.ts.

import { decodeText } from '../../client/text.js';
import { isUtf8 } from '../../wire/utf8.js';

/** States of a request that is not answered yet; all others are the status of the answer. */
export const INCOMPLETE = 0;
/** A whole request, with `method` and `body`. */
export const COMPLETE = 1;

/** A request line and its headers in all, */
const HEAD_BYTES_MAX = 8192;
/** what of a line is looked at, */
const LINE_BYTES_MAX = 96;
/** and a form: two fields, of which each byte may come as three. */
const BODY_BYTES_MAX = 384;

export class HttpRequest {
  /** `GET` or `POST`, once the first line has come. */
  method = '';
  /** As it came; a browser asks for other things than the page too. */
  path = '';
  /** INCOMPLETE, COMPLETE, or the status with which to answer. For others to read. */
  state = INCOMPLETE;
  private headBytes = 0;
  /** The line that is being read, its first bytes. */
  private line = '';
  private lineBytes = 0;
  /** Of the body: how many there will be; once it begins, how many have come. */
  private bodyBytes = 0;
  private bodySoFar: Uint8Array | undefined;

  get body(): Uint8Array {
    return this.bodySoFar ?? new Uint8Array(0);
  }

  /**
   * Takes the next byte. Returns COMPLETE, INCOMPLETE, or the status of HTTP with which to answer
   * (RFC 9110 section 15.5): nothing that follows is looked at then.
   */
  push(byte: number): number {
    if (this.state !== INCOMPLETE) return this.state;
    this.state = this.bodySoFar === undefined ? this.head(byte) : this.inBody(this.bodySoFar, byte);
    return this.state;
  }

  private inBody(body: Uint8Array, byte: number): number {
    body[this.bodyBytes++] = byte;
    return this.bodyBytes === body.length ? COMPLETE : INCOMPLETE;
  }

  private head(byte: number): number {
    if (++this.headBytes > HEAD_BYTES_MAX) return 431;
    if (byte !== 0x0a) {
      if (byte !== 0x0d && ++this.lineBytes <= LINE_BYTES_MAX) {
        this.line += String.fromCharCode(byte);
      }
      return INCOMPLETE;
    }
    const line = this.line;
    const long = this.lineBytes > LINE_BYTES_MAX;
    this.line = '';
    this.lineBytes = 0;
    if (this.method === '') return line === '' ? INCOMPLETE : this.requestLine(line, long);
    return line === '' ? this.headEnds() : this.header(line, long);
  }

  private requestLine(line: string, long: boolean): number {
    const words = line.split(' ');
    this.path = words[1] ?? '';
    this.method = words[0]!;
    if (!long && (words.length !== 3 || !words[2]!.startsWith('HTTP/1.'))) return 400;
    return this.method === 'GET' || this.method === 'POST' ? INCOMPLETE : 405;
  }

  private header(line: string, long: boolean): number {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    if (name === 'transfer-encoding') return 411;
    if (name !== 'content-length') return INCOMPLETE;
    const value = line.slice(colon + 1).trim();
    if (long || this.bodyBytes > 0 || !isDigits(value)) return 400;
    const byteCount = Number(value);
    if (byteCount > BODY_BYTES_MAX) return 413;
    this.bodyBytes = byteCount;
    return INCOMPLETE;
  }

  private headEnds(): number {
    if (this.method === 'GET' || this.bodyBytes === 0) return COMPLETE;
    this.bodySoFar = new Uint8Array(this.bodyBytes);
    this.bodyBytes = 0;
    return INCOMPLETE;
  }
}

function isDigits(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x30 || code > 0x39) return false;
  }
  return text !== '';
}

/**
 * A field of a form (`application/x-www-form-urlencoded`), decoded: empty when it is not there,
 * undefined when it is no UTF-8 or wrongly escaped.
 */
export function formField(body: Uint8Array, name: string): string | undefined {
  let at = 0;
  while (at < body.length) {
    let end = body.indexOf(0x26, at); // &
    if (end < 0) end = body.length;
    let equals = body.indexOf(0x3d, at); // =
    if (equals < 0 || equals > end) equals = end;
    if (decode(body, at, equals) === name) return decode(body, Math.min(equals + 1, end), end);
    at = end + 1;
  }
  return '';
}

function decode(body: Uint8Array, start: number, end: number): string | undefined {
  const bytes = new Uint8Array(end - start);
  let count = 0;
  for (let at = start; at < end; at++) {
    let byte = body[at]!;
    if (byte === 0x2b) byte = 0x20; // + is a space
    if (byte === 0x25) { // %
      const high = at + 2 < end ? digit(body[at + 1]!) : -1;
      const low = at + 2 < end ? digit(body[at + 2]!) : -1;
      if (high < 0 || low < 0) return undefined;
      byte = high << 4 | low;
      at += 2;
    }
    bytes[count++] = byte;
  }
  return isUtf8(bytes, 0, count) ? decodeText(bytes, 0, count) : undefined;
}

/** Of a hexadecimal digit, its value; -1 when it is none. */
function digit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}
