/**
 * The words of chunks that are published, put together again from the postings, which lie by term: a segment is read
 * from its first block to its last for some thousand of its chunks at a time, and these are remembered, since whoever
 * asks for one file will ask for its neighbours. It holds up other reading meanwhile; only copying asks for it.
 */

import type { Database } from 'bun:sqlite';
import { encodeTerms } from '../terms.ts';
import { forEachPosting, type PostingsEntry, readEntries } from './postings.ts';
import { BLOCKS_MAX, READY, toBlockId, toChunkId } from './schema.ts';
import type { Member } from './segments.ts';

/** Chunks whose words are put together in one reading of a segment. */
const WINDOW_CHUNKS = 4096;
/** Windows that are remembered: some ten MiB each. */
const WINDOWS_MAX = 3;

/** Answers the words of a version's chunks from one position up to another, encoded, in the order of the terms. */
export function createPublishedTerms(
  database: Database,
  windowChunks: number = WINDOW_CHUNKS,
): (version: number, from: number, end: number) => readonly string[] {
  const readMembers = database.prepare<Member & { segment: number }, [number, number, number]>(
    `SELECT segment, base, version, position, count FROM members JOIN segments ON segments.id = segment
     WHERE version = ?1 AND position < ?3 AND position + count > ?2 AND state = ${READY}`,
  );
  const findPiece = database.prepare<{ id: number | null }, [number]>(
    'SELECT max(id) AS id FROM codes WHERE id <= ?',
  );
  const readPieces = database.prepare<{ id: number; count: number; lengths: Uint8Array }, [number, number]>(
    'SELECT id, count, lengths FROM codes WHERE id >= ? AND id < ? ORDER BY id',
  );
  const readWindow = createWindowReader(database, windowChunks);

  const readLengths = (version: number, from: number, end: number): readonly number[] => {
    const first = toChunkId(version, from);
    const lengths: number[] = new Array(end - from).fill(0);
    for (const piece of readPieces.all(findPiece.get(first)?.id ?? first, toChunkId(version, end))) {
      const all = new Uint32Array(piece.lengths.slice().buffer);
      for (let i = 0; i < piece.count; i += 1) {
        const at = piece.id + i - first;
        if (at >= 0 && at < lengths.length) lengths[at] = all[i] ?? 0;
      }
    }
    return lengths;
  };

  return (version, from, end) => {
    const counts = Array.from({ length: end - from }, () => NO_WORDS);
    for (const { segment, base, position, count } of readMembers.all(version, from, end)) {
      const last = Math.min(end, position + count);
      for (let at = Math.max(from, position); at < last; at += 1) {
        const number = base + at - position;
        const window = readWindow(segment, Math.floor(number / windowChunks));
        counts[at - from] = readWords(window, number % windowChunks);
      }
    }
    const lengths = readLengths(version, from, end);
    return counts.map((words, at) => encodeTerms({ length: lengths[at] ?? 0, counts: words }));
  };
}

const NO_WORDS: ReadonlyMap<string, number> = new Map();

/** Words of the chunks of a part of a segment: numbers in few large arrays, since there are hundreds of each chunk. */
interface Window {
  readonly terms: readonly string[];
  /** Where the words of each chunk begin in `words`, and behind the last where they end. */
  readonly starts: Uint32Array;
  /** Pairs: which of the terms, how often. */
  readonly words: Uint32Array;
}

function readWords({ terms, starts, words }: Window, chunk: number): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const end = starts[chunk + 1] ?? 0;
  for (let at = starts[chunk] ?? end; at < end; at += 2) {
    counts.set(terms[words[at] ?? 0] ?? '', words[at + 1] ?? 0);
  }
  return counts;
}

/** A segment never changes once it is complete, and no other gets its number. */
function createWindowReader(
  database: Database,
  windowChunks: number,
): (segment: number, index: number) => Window {
  const readBlocks = database.prepare<{ bytes: Uint8Array }, [number, number]>(
    'SELECT bytes FROM postings WHERE id >= ? AND id < ? ORDER BY id',
  );
  const known = new Map<string, Window>();

  const read = (segment: number, index: number): Window => {
    const builder = new WindowBuilder(index * windowChunks, windowChunks);
    for (const { bytes } of readBlocks.iterate(toBlockId(segment, 0), toBlockId(segment, BLOCKS_MAX))) {
      for (const entry of readEntries(bytes)) builder.add(entry);
    }
    return builder.build();
  };

  return (segment, index) => {
    const key = `${segment}/${index}`;
    const window = known.get(key) ?? read(segment, index);
    known.delete(key);
    known.set(key, window);
    const [oldest] = known.keys();
    if (known.size > WINDOWS_MAX && oldest !== undefined) known.delete(oldest);
    return window;
  };
}

/** Turns what lies by term into what lies by chunk. */
class WindowBuilder {
  private readonly terms: string[] = [];
  /** Triples: which chunk of the window, which of the terms, how often. */
  private triples = new Uint32Array(3 * 65_536);
  private length = 0;
  private readonly start: number;
  private readonly chunks: number;

  constructor(start: number, chunks: number) {
    this.start = start;
    this.chunks = chunks;
  }

  /** Entries come in the order of their terms. */
  add(entry: PostingsEntry): void {
    const before = this.length;
    forEachPosting(entry, (chunk, count) => {
      const at = chunk - this.start;
      if (at >= 0 && at < this.chunks) this.push(at, this.terms.length, count);
    });
    if (this.length > before) this.terms.push(entry.term);
  }

  build(): Window {
    const { triples, length } = this;
    const starts = new Uint32Array(this.chunks + 1);
    for (let at = 0; at < length; at += 3) {
      const chunk = (triples[at] ?? 0) + 1;
      starts[chunk] = (starts[chunk] ?? 0) + 2;
    }
    for (let chunk = 0; chunk < this.chunks; chunk += 1) {
      starts[chunk + 1] = (starts[chunk + 1] ?? 0) + (starts[chunk] ?? 0);
    }
    const next = starts.slice();
    const words = new Uint32Array((length / 3) * 2);
    for (let at = 0; at < length; at += 3) {
      const chunk = triples[at] ?? 0;
      const to = next[chunk] ?? 0;
      words[to] = triples[at + 1] ?? 0;
      words[to + 1] = triples[at + 2] ?? 0;
      next[chunk] = to + 2;
    }
    return { terms: this.terms, starts, words };
  }

  private push(chunk: number, term: number, count: number): void {
    if (this.length === this.triples.length) {
      const larger = new Uint32Array(2 * this.triples.length);
      larger.set(this.triples);
      this.triples = larger;
    }
    this.triples[this.length] = chunk;
    this.triples[this.length + 1] = term;
    this.triples[this.length + 2] = count;
    this.length += 3;
  }
}
