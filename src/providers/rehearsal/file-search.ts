/** How the rehearsal model searches files: with its user's own words, and with a quote as its answer. */

import { toRecord } from '../json-values.ts';

/** Whether a function is the server's search: it takes a list of queries, and has to do with files. */
export function isFileSearch(name: string, parameters: unknown): boolean {
  const queries = toRecord(toRecord(toRecord(parameters)?.properties)?.queries);
  return /file/i.test(name) && queries?.type === 'array';
}

export interface QuotedPassage {
  readonly marker: string;
  readonly text: string;
}

/** Of a long answer of a search, so many sentences are looked at. */
const SENTENCES_MAX = 4_096;
const WORD_LENGTH_MIN = 3;

/**
 * The sentence, of all passages that a search has found, that shares most with the question, where words tell more the
 * fewer sentences have them; the first one of several. Null where there is no passage.
 */
export function findPassage(result: string, question: string): QuotedPassage | null {
  const sentences = [...readPassages(result)]
    .flatMap(({ marker, text }) => toSentences(text).map((sentence) => ({ marker, text: sentence })))
    .slice(0, SENTENCES_MAX)
    .map((quoted) => ({ ...quoted, words: toWords(quoted.text) }));
  const asked = [...toWords(question)].map((word) => {
    const count = sentences.filter(({ words }) => words.has(word)).length;
    // A number or a code is what a question is about.
    const share = /\p{N}/u.test(word) ? 2 : 1;
    return { word, weight: share * Math.log(1 + sentences.length / (count + 1)) };
  });
  let best: QuotedPassage | null = null;
  let most = -1;
  for (const { marker, text, words } of sentences) {
    const shared = asked.reduce((sum, { word, weight }) => sum + (words.has(word) ? weight : 0), 0);
    if (shared <= most) continue;
    most = shared;
    best = { marker, text };
  }
  return best;
}

/** Each passage stands under its marker, on a line of its own; before and behind them stands what the model is told. */
function* readPassages(result: string): Generator<QuotedPassage, void> {
  for (const part of result.split(/^(?=【\d+:\d+†)/m)) {
    const [, marker = '', text = ''] = /^(【\d+:\d+†[^】]*】)[^\n]*\n([\s\S]*)$/.exec(part) ?? [];
    const passage = text.replace(/\n\nCite what you use: [^\n]*\s*$/, '');
    if (marker !== '' && passage.trim() !== '') yield { marker, text: passage };
  }
}

/** Lines that go on belong together; rows of tables, items of lists and headings stand alone. */
function toSentences(text: string): readonly string[] {
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    const trimmed = line.trim();
    const before = lines.at(-1) ?? '';
    const goesOn = before !== '' && !/[.!?:。]$/.test(before) && !STANDS_ALONE.test(before);
    if (goesOn && trimmed !== '' && !STANDS_ALONE.test(trimmed))
      lines[lines.length - 1] = `${before} ${trimmed}`;
    else lines.push(trimmed);
  }
  return lines.flatMap((line) => line.split(/(?<=[.!?])\s+|(?<=。)/)).filter((sentence) => sentence !== '');
}

const STANDS_ALONE = /^(#|[-*•]\s)| \| |^\d+(\.\d+)*\s+\S+( \S+){0,5}$/;

function toWords(text: string): ReadonlySet<string> {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+(-[\p{L}\p{N}]+)*/gu) ?? [];
  return new Set(words.filter((word) => word.length >= WORD_LENGTH_MIN || /\p{N}/u.test(word)));
}
