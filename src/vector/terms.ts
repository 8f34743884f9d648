/** The words of a chunk with their counts: made once where a document is read, indexed by every engine. */

export interface TermCounts {
  /** All words, repetitions too: BM25's length of the document. */
  readonly length: number;
  readonly counts: ReadonlyMap<string, number>;
}

/** Longer words are cut: nobody asks for them, and each is a key of the index. In UTF-16 units. */
export const TERM_LENGTH_MAX = 96;

/** One line with the length, then one for each term: the term, a tab, its count. Terms hold no white space. */
export function encodeTerms({ length, counts }: TermCounts): string {
  let text = String(length);
  for (const [term, count] of counts) text += `\n${term}\t${count}`;
  return text;
}

/** The reverse of `encodeTerms`. Throws where the text is not its work. */
export function decodeTerms(text: string): TermCounts {
  const [first = '', ...lines] = text.split('\n');
  const length = Number(first);
  if (!Number.isInteger(length) || length < 0) throw new Error('The terms do not begin with a length.');
  const counts = new Map<string, number>();
  for (const line of lines) {
    const tab = line.indexOf('\t');
    if (tab < 1) throw new Error('A term has no count.');
    counts.set(line.slice(0, tab), Number(line.slice(tab + 1)));
  }
  return { length, counts };
}
