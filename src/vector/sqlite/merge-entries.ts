/** The entries of several segments as those of one. */

import {
  BlockWriter,
  forEachPosting,
  type PostingsBlock,
  type PostingsEntry,
  PostingsWriter,
  readEntries,
} from './postings.ts';
import type { Segments } from './segments.ts';

/** Postings that are merged before blocks are handed over. */
const POSTINGS_PER_STEP = 100_000;

export interface MergeInput {
  readonly segment: number;
  /** From numbers of the input to those of the output; -1 for chunks that are gone. */
  readonly numbers: Int32Array;
}

/** Walks over the entries of a segment. */
interface Cursor {
  readonly input: MergeInput;
  readonly entries: Generator<PostingsEntry, boolean>;
  entry: PostingsEntry;
}

/**
 * Yields the blocks of the merged segment, some at a time. Answers whether it came to the end: false where an input was
 * freed meanwhile.
 */
export function* mergeEntries(
  segments: Segments,
  inputs: readonly MergeInput[],
): Generator<readonly PostingsBlock[], boolean> {
  const cursors: Cursor[] = [];
  for (const input of inputs) {
    const entries = readSegment(segments, input.segment);
    const first = entries.next();
    if (first.done !== true) cursors.push({ input, entries, entry: first.value });
    else if (!first.value) return false;
  }
  const blocks = new BlockWriter();
  const postings = new PostingsWriter();
  let count = 0;
  while (cursors.length > 0) {
    const term = findLeast(cursors);
    for (let i = 0; i < cursors.length; ) {
      const cursor = cursors[i];
      if (cursor === undefined || cursor.entry.term !== term) {
        i += 1;
        continue;
      }
      const { numbers } = cursor.input;
      count += cursor.entry.chunks;
      forEachPosting(cursor.entry, (chunk, times) => {
        const number = numbers[chunk] ?? -1;
        if (number >= 0) postings.add(number, times);
      });
      const next = cursor.entries.next();
      if (next.done !== true) {
        cursor.entry = next.value;
        i += 1;
      } else if (next.value) cursors.splice(i, 1);
      else return false;
    }
    if (postings.chunks > 0) blocks.add(term, postings);
    postings.clear();
    if (count < POSTINGS_PER_STEP) continue;
    count = 0;
    yield blocks.take();
  }
  blocks.closeBlock();
  yield blocks.take();
  return true;
}

function findLeast(cursors: readonly Cursor[]): string {
  let least = cursors[0]?.entry.term ?? '';
  for (const { entry } of cursors) if (entry.term < least) least = entry.term;
  return least;
}

/** All entries of a segment, in order. Answers whether all of it was there. */
function* readSegment(segments: Segments, segment: number): Generator<PostingsEntry, boolean> {
  const directory = segments.readDirectory(segment);
  if (directory === null) return false;
  for (let block = 0; block < directory.length; block += 1) {
    const bytes = segments.readBlock(segment, block);
    if (bytes === null) return false;
    yield* readEntries(bytes);
  }
  return true;
}
