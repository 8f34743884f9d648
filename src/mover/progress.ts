/** What a copy has done so far, told while it goes on: one line that changes in a terminal, a line now and then elsewhere. */

import type { CopiedRecords } from './record-copier.ts';

export interface Counts {
  readonly inserted: number;
  readonly present: number;
  readonly differing: number;
  readonly bytes: number;
  readonly chunks: number;
  /** Of the source, what was compared: records, bytes, chunks. */
  readonly compared: number;
  readonly comparedBytes: number;
  readonly comparedChunks: number;
}

export interface Progress {
  readonly counts: Counts;
  countRecords(copied: CopiedRecords): void;
  readonly countBytes: (bytes: number) => void;
  readonly countChunks: (chunks: number) => void;
  countCompared(compared: {
    readonly records?: number;
    readonly bytes?: number;
    readonly chunks?: number;
  }): void;
  /** A line of its own. */
  say(line: string): void;
  /** Names what is going on from now on: `Copying`. */
  begin(phase: string): void;
  /** Leaves the line to others until something begins. */
  pause(): void;
  stop(): void;
}

export interface ProgressSink {
  readonly isTerminal: boolean;
  write(text: string): void;
}

const TERMINAL_MS = 200;
const PIPE_MS = 5_000;
const CLEAR_LINE = '\r\u001b[K';

export function createProgress(sink: ProgressSink): Progress {
  const counts = {
    inserted: 0,
    present: 0,
    differing: 0,
    bytes: 0,
    chunks: 0,
    compared: 0,
    comparedBytes: 0,
    comparedChunks: 0,
  };
  let phase = '';
  let last = { done: toDone(counts), atMs: performance.now() };
  const show = (): void => {
    if (phase === '') return;
    const done = toDone(counts);
    const nowMs = performance.now();
    const rates = toRates(last.done, done, (nowMs - last.atMs) / 1000);
    last = { done, atMs: nowMs };
    const line = [`${phase}: ${toText(counts, phase)}`, ...rates].join('; ');
    sink.write(sink.isTerminal ? `${CLEAR_LINE}${line}` : `${line}\n`);
  };
  const timer = setInterval(show, sink.isTerminal ? TERMINAL_MS : PIPE_MS);

  return {
    counts,
    countRecords({ inserted, present, differing }) {
      counts.inserted += inserted;
      counts.present += present;
      counts.differing += differing;
    },
    countBytes: (bytes) => {
      counts.bytes += bytes;
    },
    countChunks: (chunks) => {
      counts.chunks += chunks;
    },
    countCompared({ records = 0, bytes = 0, chunks = 0 }) {
      counts.compared += records;
      counts.comparedBytes += bytes;
      counts.comparedChunks += chunks;
    },
    say(line) {
      sink.write(`${sink.isTerminal ? CLEAR_LINE : ''}${line}\n`);
    },
    begin(next) {
      phase = next;
      last = { done: toDone(counts), atMs: performance.now() };
      show();
    },
    pause() {
      phase = '';
      if (sink.isTerminal) sink.write(CLEAR_LINE);
    },
    stop() {
      clearInterval(timer);
      if (sink.isTerminal) sink.write(CLEAR_LINE);
    },
  };
}

/** What has gone through, of each kind. */
interface Done {
  readonly records: number;
  readonly bytes: number;
  readonly chunks: number;
}

function toDone(counts: Counts): Done {
  return {
    records: counts.inserted + counts.present + counts.differing + counts.compared,
    bytes: counts.bytes + counts.comparedBytes,
    chunks: counts.chunks + counts.comparedChunks,
  };
}

/** Of what moves at all. */
function toRates(before: Done, now: Done, seconds: number): readonly string[] {
  const perSecond = (kind: keyof Done): number =>
    Math.round((now[kind] - before[kind]) / Math.max(seconds, 0.001));
  const [records, bytes, chunks] = [perSecond('records'), perSecond('bytes'), perSecond('chunks')];
  const parts = [
    ...(records > 0 ? [`${formatCount(records)} records/s`] : []),
    ...(bytes > 0 ? [`${formatBytes(bytes)}/s`] : []),
    ...(chunks > 0 ? [`${formatCount(chunks)} chunks/s`] : []),
  ];
  return parts.length === 0 ? [] : [parts.join(', ')];
}

function toText(counts: Counts, phase: string): string {
  const isComparing = phase === COMPARING;
  const present = isComparing ? 0 : counts.present + counts.differing;
  return [
    `${formatCount(isComparing ? counts.compared : counts.inserted)} records`,
    ...(present > 0 ? [`${formatCount(present)} there already`] : []),
    `${formatBytes(isComparing ? counts.comparedBytes : counts.bytes)} of files`,
    `${formatCount(isComparing ? counts.comparedChunks : counts.chunks)} chunks`,
  ].join(', ');
}

export const COPYING = 'Copying';
export const COMPARING = 'Comparing';

export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit] ?? ''}`;
}
