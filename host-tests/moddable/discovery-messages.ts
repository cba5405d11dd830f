// Messages of DNS for discovery.test.ts, written and read without the code under test.

export const A = 1;
export const PTR = 12;
export const SRV = 33;
export const ANY = 255;
export const UNICAST = 0x8001;

const NAMES: Record<number, string> = { 1: 'A', 12: 'PTR', 16: 'TXT', 28: 'AAAA', 33: 'SRV', 47: 'NSEC', 255: 'ANY' };

export function nameBytes(name: string): number[] {
  return [...name.split('.').flatMap((label) => [label.length, ...new TextEncoder().encode(label)]), 0];
}

const u16 = (value: number): number[] => [value >> 8, value & 0xff];

export type Question = [name: string, type: number, dnsClass?: number];
export type Record_ = [name: string, type: number, data: number[]];

export function message(id: number, flags: number, questions: Question[], answers: Record_[] = []): Uint8Array {
  const record = ([name, type, data]: Record_): number[] =>
    [...nameBytes(name), ...u16(type), 0x80, 1, 0, 0, 0, 120, ...u16(data.length), ...data];
  return Uint8Array.from([
    ...u16(id), ...u16(flags), ...u16(questions.length), ...u16(answers.length), 0, 0, 0, 0,
    ...questions.flatMap(([name, type, dnsClass = 1]) => [...nameBytes(name), ...u16(type), ...u16(dnsClass)]),
    ...answers.flatMap(record),
  ]);
}

export const query = (...questions: Question[]): Uint8Array => message(0, 0, questions);

export function addressRecord(host: string, address: string): Record_ {
  return [host, A, address.split('.').map(Number)];
}

/** What a broker answers who asks for the service. */
export function brokerRecords(name: string, host: string, address: string, port = 1883): Record_[] {
  const service = '_mqtt._tcp.local';
  return [
    [service, PTR, nameBytes(`${name}.${service}`)],
    [`${name}.${service}`, SRV, [0, 0, 0, 0, ...u16(port), ...nameBytes(host)]],
    addressRecord(host, address),
  ];
}

export const response = (...records: Record_[]): Uint8Array => message(0, 0x8400, [], records);

/** In words, one line for each question and record. */
export function describe(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 12;
  const name = (): string => {
    const labels: string[] = [];
    while (bytes[at] !== 0) {
      if (bytes[at]! >= 0xc0) throw new Error('a pointer, which we do not write');
      labels.push(new TextDecoder().decode(bytes.subarray(at + 1, at + 1 + bytes[at]!)));
      at += 1 + bytes[at]!;
    }
    at++;
    return labels.join('.');
  };
  lines.push(`${view.getUint16(0)} ${view.getUint16(2).toString(16)}`);
  for (let i = 0; i < view.getUint16(4); i++) {
    const text = name();
    lines.push(`? ${text} ${NAMES[view.getUint16(at)]} ${view.getUint16(at + 2).toString(16)}`);
    at += 4;
  }
  const count = view.getUint16(6) + view.getUint16(8) + view.getUint16(10);
  for (let i = 0; i < count; i++) {
    const text = name();
    const type = NAMES[view.getUint16(at)];
    const head = `${text} ${type} ${view.getUint16(at + 2).toString(16)} ${view.getUint32(at + 4)}`;
    const length = view.getUint16(at + 8);
    at += 10;
    const end = at + length;
    let data: string;
    if (type === 'PTR') data = name();
    else if (type === 'SRV') {
      const port = view.getUint16(at + 4);
      at += 6;
      data = `${name()}:${port}`;
    } else if (type === 'NSEC') data = `${name()} ${bytes.subarray(at, end).join(' ')}`;
    else data = bytes.subarray(at, end).join('.');
    at = end;
    lines.push(`${head} ${data}`);
  }
  if (at !== bytes.length) throw new Error(`${bytes.length - at} bytes too many`);
  return lines;
}
