// src/moddable/staging.ts: every range of bytes goes through, in pieces that a socket takes, and nothing else moves.
import t from 'tap';
import type { TcpSocket } from '../../src/moddable/io.js';
import { Staging } from '../../src/moddable/staging.js';

/** A socket that holds what was written, or what is to be read. */
class Tube implements TcpSocket {
  readonly target = undefined;
  bytes: number[] = [];
  pieces: number[] = [];
  room = Infinity;

  read(view: Uint8Array): number | undefined {
    if (this.bytes.length === 0) return undefined;
    if (view.length === 0 || view.length > this.bytes.length) throw new Error('invalid');
    this.pieces.push(view.length);
    view.set(this.bytes.splice(0, view.length));
    return view.length;
  }

  write(view: Uint8Array): number | undefined {
    if (view.length > this.room) throw new Error('would block');
    this.pieces.push(view.length);
    this.bytes.push(...view);
    this.room -= view.length;
    return this.room;
  }

  close(): void {}
}

const STAGING_START = 300;

/** 300 bytes that tell where they are, and room for staging behind them. */
function numbered(stagingBytes: number): { bytes: Uint8Array; staging: Staging } {
  const bytes = Uint8Array.from({ length: STAGING_START + stagingBytes }, (_, at) => at % 251);
  return { bytes, staging: new Staging(bytes, STAGING_START, stagingBytes) };
}

t.test('what is written is the range, whatever its length', (t) => {
  for (const stagingBytes of [1, 2, 3, 64, 100, 256]) {
    const { bytes, staging } = numbered(stagingBytes);
    const written: string[] = [];
    const wanted: string[] = [];
    for (let length = 0; length <= 260; length++) {
      const socket = new Tube();
      socket.room = 1000;
      staging.write(socket, 7, 7 + length);
      written.push(socket.bytes.join(' '));
      wanted.push(bytes.subarray(7, 7 + length).join(' '));
    }
    t.same(written, wanted, `by way of ${stagingBytes}`);
  }
  t.end();
});

t.test('write tells the room that is left', (t) => {
  const { staging } = numbered(64);
  const socket = new Tube();
  socket.room = 500;
  t.equal(staging.write(socket, 0, 100), 400);
  t.end();
});

t.test('pieces are the largest powers of two that fit', (t) => {
  const { staging } = numbered(100);
  const socket = new Tube();
  staging.write(socket, 0, 203);
  t.same(socket.pieces, [64, 64, 64, 8, 2, 1]);
  t.end();
});

t.test('what is read lands in the range, and only there', (t) => {
  for (const stagingBytes of [1, 2, 3, 64, 100, 256]) {
    const { bytes, staging } = numbered(stagingBytes);
    const outcome: string[] = [];
    const wanted: string[] = [];
    for (let length = 1; length <= 260; length++) {
      const expected = bytes.slice(0, STAGING_START);
      const socket = new Tube();
      const coming = Array.from({ length: length + 5 }, (_, i) => (i * 7 + length) % 256);
      socket.bytes = [...coming];
      staging.read(socket, 11, length);
      expected.set(coming.slice(0, length), 11);
      outcome.push(`${bytes.subarray(0, STAGING_START).join(' ')}, left: ${socket.bytes.join(' ')}`);
      wanted.push(`${expected.join(' ')}, left: ${coming.slice(length).join(' ')}`);
    }
    t.same(outcome, wanted, `by way of ${stagingBytes}`);
  }
  t.end();
});

t.test('what is discarded is read, and moves nothing', (t) => {
  const { bytes, staging } = numbered(64);
  const before = bytes.slice(0, STAGING_START);
  const socket = new Tube();
  socket.bytes = Array.from({ length: 203 }, () => 1);
  staging.discard(socket, 200);
  t.equal(socket.bytes.length, 3);
  t.same(bytes.slice(0, STAGING_START), before);
  t.end();
});

t.test('a dead socket, one that throws, and one that has less than it said', (t) => {
  const { staging } = numbered(64);
  const dead = new Tube();
  dead.write = () => undefined;
  t.equal(staging.write(dead, 0, 10), -1);
  t.equal(staging.probe(dead), false);
  const alive = new Tube();
  t.equal(staging.probe(alive), true);
  t.same(alive.bytes, [], 'and nothing was written');
  const full = new Tube();
  full.room = 5;
  t.throws(() => staging.write(full, 0, 10), { message: 'would block' });
  const empty = new Tube();
  t.throws(() => staging.read(empty, 0, 10), { message: /fewer/ });
  t.end();
});

t.test('without room there is no staging', (t) => {
  t.throws(() => numbered(0), { message: /stagingBytes is 0/ });
  t.end();
});
