// CPU time and resident memory of a running broker, read from /proc (Linux). Elsewhere undefined:
// the benchmark then reports rates and faults only, and says so.

import { existsSync, readFileSync, readdirSync } from 'node:fs';

/** Clock ticks per second of /proc/PID/stat; 100 on every Linux architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

export const processFiguresKnown = existsSync('/proc/self/stat');

/**
 * User and system time of all threads in microseconds: exact to the nanosecond where the kernel
 * keeps schedstat, in steps of 10 ms where not. Threads that have ended are missing from schedstat;
 * the brokers here keep theirs.
 */
export function cpuMicros(pid: number): number | undefined {
  if (!processFiguresKnown) return undefined;
  let nanos = 0;
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      nanos += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
    }
  } catch {
    nanos = 0;
  }
  if (nanos > 0) return nanos / 1_000;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * (1_000_000 / TICKS_PER_SECOND);
}

/**
 * From smaps_rollup, which counts page by page; the counter in status may lag by some hundred KB.
 */
export function residentBytes(pid: number): number | undefined {
  if (!processFiguresKnown) return undefined;
  for (const file of ['smaps_rollup', 'status']) {
    try {
      const lines = readFileSync(`/proc/${pid}/${file}`, 'utf8');
      const found = /^(?:Rss|VmRSS):\s+(\d+) kB/m.exec(lines);
      if (found) return Number(found[1]) * 1024;
    } catch {
      // smaps_rollup needs more rights than status: then the next one answers.
    }
  }
  return undefined;
}
