// One page over HTTP that asks for the name and the password of the Wi-Fi network, while the board
// is an access point. Called by network.ts.
//
// Every path has the page, so that a telephone that looks whether it is on the Internet shows it.
// Everything is bounded: connections, what is kept of a request, and the time until it is answered.
// One request, one answer, and the connection is closed, in `tick` only: some platforms go on to
// call a socket that was closed inside its own callback. No exception leaves a callback.

import { encodeText } from '../../client/text.js';
import type {
  TcpListener, TcpListenerConstructor, TcpSocket, TcpSocketConstructor,
} from '../io.js';
import { complaint, type Credentials } from './credentials.js';
import { COMPLETE, formField, HttpRequest, INCOMPLETE } from './http-request.js';

export interface SetupPageOptions {
  Listener: TcpListenerConstructor;
  TCP: TcpSocketConstructor;
  trace(text: string): void;
  /** Default 80. */
  port?: number;
  /** What the board calls itself once it is in the network: `maison.local`. */
  hostName: string;
  /**
   * Stores what was entered, and throws when it cannot: the page then says so. Called once with
   * success; when its answer has gone out, `finished` is true.
   */
  store(credentials: Credentials): void;
}

/** Browsers open a second connection before they need it. */
const CONNECTION_COUNT = 3;
/** For a request and its answer together. */
const PATIENCE_MS = 10_000;
/** For an answer to arrive before the connection is closed, which resets it on ESP8266. */
const LINGER_MS = 1500;
/** What a socket is given at once. */
const PIECE_BYTES = 512;

export class SetupPage {
  private readonly options: SetupPageOptions;
  private readonly listener: TcpListener;
  private connections: Connection[] = [];
  private stored = false;
  /** How long ago something was stored. */
  private storedMs = 0;

  /** Throws when it cannot listen. */
  constructor(options: SetupPageOptions) {
    this.options = options;
    const { port = 80, Listener } = options;
    this.listener = new Listener({
      port,
      onReadable: (count) => {
        for (; count > 0; count--) this.accept(this.listener.read());
      },
    });
  }

  /** Credentials are stored, and whoever entered them has been told, or does not listen. */
  get finished(): boolean {
    return this.stored && (this.storedMs > PATIENCE_MS
      || this.connections.every((connection) => !connection.answering));
  }

  /** Somebody is reading the page or filling it in. */
  get busy(): boolean {
    return this.connections.length > 0;
  }

  /** Time has passed. */
  tick(elapsedMs: number): void {
    if (this.stored) this.storedMs += elapsedMs;
    this.connections = this.connections.filter((connection) => connection.tick(elapsedMs));
  }

  close(): void {
    this.listener.close();
    for (const connection of this.connections) connection.close();
    this.connections = [];
  }

  private accept(from: TcpSocket | undefined): void {
    if (from === undefined) return;
    try {
      if (this.connections.length < CONNECTION_COUNT) {
        const { TCP, trace } = this.options;
        this.connections.push(
          new Connection(TCP, from, trace, (request) => this.answer(request)));
      } else {
        from.close();
      }
    } catch (error) {
      this.options.trace(`setup page: ${error}\n`);
    }
  }

  private answer(request: HttpRequest): string {
    const { state, method, path } = request;
    const { hostName } = this.options;
    if (state !== COMPLETE) return response(state, 'That was no request for this page.');
    if (path === '/favicon.ico') return response(404, 'There is no picture.');
    if (this.stored) return response(200, 'The name and the password are stored.');
    if (method === 'GET') return response(200, form('', ''));
    const ssid = formField(request.body, 'ssid');
    const password = formField(request.body, 'password');
    if (ssid === undefined || password === undefined) {
      return response(400, form('', 'That was not understood. Please try again.'));
    }
    const wrong = complaint({ ssid, password });
    if (wrong !== '') return response(400, form(ssid, wrong));
    try {
      this.options.store({ ssid, password });
    } catch (error) {
      this.options.trace(`the credentials cannot be stored: ${error}\n`);
      return response(500, form(ssid, 'That could not be stored. Please try again.'));
    }
    this.stored = true;
    return response(200, `<p>Stored. The board now joins <b>${escapeHtml(ssid)}</b>. Join it too: `
      + `from there the board is <b>${escapeHtml(hostName)}.local</b>.</p>`
      + '<p>If it cannot, this page comes back after about two minutes.</p>');
  }
}

/** In the place of a response that is on its way: an ESP8266 has no room for three of them. */
const SENT = new Uint8Array(0);

/** For all sockets: by its target each one knows its connection. */
const CALLBACKS = Object.freeze({
  onReadable(this: TcpSocket, count: number): void {
    (this.target as Connection).readable(this, count);
  },
  onWritable(this: TcpSocket, count: number): void {
    (this.target as Connection).writable(this, count);
  },
  onError(this: TcpSocket): void {
    (this.target as Connection).lost();
  },
});

class Connection {
  private readonly socket: TcpSocket;
  private readonly trace: (text: string) => void;
  private readonly request = new HttpRequest();
  private readonly answer: (request: HttpRequest) => string;
  private writableBytes = 0;
  private response: Uint8Array | undefined;
  private sentBytes = 0;
  private leftMs = PATIENCE_MS;
  private dead = false;
  private closed = false;

  constructor(
    TCP: TcpSocketConstructor, from: TcpSocket, trace: (text: string) => void,
    answer: (request: HttpRequest) => string,
  ) {
    this.trace = trace;
    this.answer = answer;
    this.socket = new TCP({ from, target: this, ...CALLBACKS });
  }

  /** An answer is on its way. */
  get answering(): boolean {
    return this.response !== undefined;
  }

  /** Time has passed. False when the connection is over, and closed. */
  tick(elapsedMs: number): boolean {
    this.leftMs -= elapsedMs;
    if (!this.dead && this.leftMs > 0) return true;
    this.close();
    return false;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.socket.close();
  }

  private guard(callback: () => void): void {
    if (this.closed || this.dead) return;
    try {
      callback();
    } catch (error) {
      this.dead = true;
      this.trace(`setup page: ${error}\n`);
    }
  }

  readable(socket: TcpSocket, count: number): void {
    this.guard(() => this.read(socket, count));
  }

  writable(socket: TcpSocket, count: number): void {
    this.guard(() => this.write(socket, count));
  }

  lost(): void {
    this.dead = true;
  }

  /** Everything is read, also what is of no use: a lost peer is told of only after that. */
  private read(socket: TcpSocket, count: number): void {
    if (count === 0) return;
    const bytes = new Uint8Array(count);
    if (socket.read(bytes) === undefined) return;
    for (const byte of bytes) this.request.push(byte);
    if (this.request.state === INCOMPLETE || this.response !== undefined) return;
    this.response = encodeText(this.answer(this.request));
    this.write(socket, this.writableBytes);
  }

  private write(socket: TcpSocket, writableBytes: number): void {
    this.writableBytes = writableBytes;
    const response = this.response;
    if (response === undefined || this.sentBytes === response.length) return;
    while (this.writableBytes > 0 && this.sentBytes < response.length) {
      const end = this.sentBytes + Math.min(this.writableBytes, PIECE_BYTES);
      const piece = response.slice(this.sentBytes, end);
      const left = socket.write(piece);
      if (left === undefined) {
        this.dead = true;
        return;
      }
      this.sentBytes += piece.length;
      this.writableBytes = left;
    }
    if (this.sentBytes < response.length) return;
    this.leftMs = LINGER_MS;
    this.response = SENT;
    this.sentBytes = 0;
  }
}

const REASONS: Readonly<Record<number, string>> = Object.freeze({
  200: 'OK', 400: 'Bad Request', 404: 'Not Found', 405: 'Method Not Allowed',
  411: 'Length Required', 413: 'Content Too Large', 431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
});

function response(status: number, content: string): string {
  const body = '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
    + '<meta name="viewport" content="width=device-width"><title>Maisonnette</title><style>'
    + 'body{font:1.1em sans-serif;max-width:22em;margin:2em auto;padding:0 1em}'
    + 'input,button{font:inherit;width:100%;box-sizing:border-box;padding:.5em;margin:.2em 0 1em}'
    + `</style></head><body><h1>Maisonnette</h1>${content}</body></html>`;
  return `HTTP/1.1 ${status} ${REASONS[status]}\r\n`
    + 'Content-Type: text/html; charset=utf-8\r\n'
    + `Content-Length: ${encodeText(body).length}\r\n`
    + (status === 405 ? 'Allow: GET, POST\r\n' : '')
    + 'Cache-Control: no-store\r\nConnection: close\r\n\r\n' + body;
}

function form(ssid: string, message: string): string {
  return (message === '' ? '<p>Which Wi-Fi network shall this board join?</p>'
    : `<p role="alert"><b>${escapeHtml(message)}</b></p>`)
    + '<form method="post" action="/"><label>Name of the network'
    + '<input name="ssid" required maxlength="32" autocapitalize="none" '
    + `value="${escapeHtml(ssid)}">`
    + '</label><label>Password<input name="password" type="password" maxlength="63"></label>'
    + '<button>Join</button></form>';
}

function escapeHtml(text: string): string {
  let escaped = '';
  for (const character of text) escaped += ESCAPES[character] ?? character;
  return escaped;
}

const ESCAPES: Readonly<Record<string, string>> = Object.freeze({
  '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;',
});
