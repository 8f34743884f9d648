/** Which passage a mark in an answer points to, and which words of it. */

import type OpenAI from 'openai';

type RunStep = OpenAI.Beta.Threads.Runs.RunStep;
/** Both in a message that is kept, and in a piece of one that is streamed. */
type Annotation = OpenAI.Beta.Threads.Annotation | OpenAI.Beta.Threads.AnnotationDelta;

/** An answer as the page gets it: text, and in it citations. */
export type Piece =
  | { readonly type: 'text'; readonly value: string }
  | {
      readonly type: 'citation';
      /** From 1; the same for the same passage. */
      readonly number: number;
      readonly file: string;
      /** From 0 to 1; null where the server does not tell. */
      readonly score: number | null;
      readonly passage: string;
      /** The sentence or row of the passage that says it; a part of it, letter by letter. */
      readonly quote: string;
    };

export interface AnswerReader {
  /** Takes the passages that were found, where the step is a search. */
  addStep(step: RunStep): void;
  /** Cuts text at its markers. */
  cut(value: string, annotations: readonly Annotation[]): readonly Piece[];
}

interface Passage {
  readonly file: string;
  readonly score: number;
  readonly text: string;
}

/** `【4:0†report.pdf】` is the first result of the first search: searches are counted from 4. */
const FIRST_SEARCH = 4;
const MARKER = /^【(\d+):(\d+)†([^】]*)】$/;

/** For one run. */
export function createAnswerReader(): AnswerReader {
  const passages = new Map<string, Passage>();
  const numbers = new Map<string, number>();
  let searches = FIRST_SEARCH;
  let said = '';

  const toCitation = (marker: string): Piece => {
    const [, search = '', result = '', label = ''] = MARKER.exec(marker) ?? [];
    const found = passages.get(`${search}:${result}`);
    const number = numbers.get(marker) ?? numbers.size + 1;
    numbers.set(marker, number);
    const { file, score, text } = found ?? { file: label, score: null, text: '' };
    return {
      type: 'citation',
      number,
      file,
      score,
      passage: text,
      quote: toQuote(text, toLastSentence(said)),
    };
  };

  const toText = (value: string): Piece => {
    said += value;
    return { type: 'text', value };
  };

  return {
    addStep({ step_details: details }) {
      if (details.type !== 'tool_calls') return;
      for (const call of details.tool_calls) {
        if (call.type !== 'file_search') continue;
        for (const [index, result] of (call.file_search.results ?? []).entries()) {
          const text = (result.content ?? []).map((part) => part.text ?? '').join('\n');
          passages.set(`${searches}:${index}`, { file: result.file_name, score: result.score, text });
        }
        searches += 1;
      }
    },
    cut(value, annotations) {
      const markers = new Set(annotations.map(({ text }) => text ?? '').filter((text) => text !== ''));
      const pieces: Piece[] = [];
      let rest = value;
      for (let next = findFirst(rest, markers); next !== null; next = findFirst(rest, markers)) {
        if (next.at > 0) pieces.push(toText(rest.slice(0, next.at)));
        pieces.push(toCitation(next.marker));
        rest = rest.slice(next.at + next.marker.length);
      }
      if (rest !== '') pieces.push(toText(rest));
      return pieces;
    },
  };
}

function findFirst(text: string, markers: ReadonlySet<string>): { at: number; marker: string } | null {
  const found = [...markers].map((marker) => ({ marker, at: text.indexOf(marker) }));
  return found.filter(({ at }) => at >= 0).sort((a, b) => a.at - b.at)[0] ?? null;
}

function toSentences(text: string): string[] {
  return text.split(/(?<=[.!?])\s+|\n/).filter((sentence) => sentence.trim() !== '');
}

function toLastSentence(text: string): string {
  return toSentences(text).at(-1) ?? '';
}

function toWords(text: string): Set<string> {
  return new Set(text.toLowerCase().match(/[\p{L}\p{N}-]+/gu));
}

/** Of the passage, the sentence or row that has most words of what was said. */
function toQuote(passage: string, said: string): string {
  const words = toWords(said);
  const count = (sentence: string): number => toWords(sentence).intersection(words).size;
  return toSentences(passage).toSorted((a, b) => count(b) - count(a))[0] ?? '';
}
