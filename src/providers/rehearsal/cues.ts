/**
 * What a user's message asks the rehearsal model to do.
 *
 * Two kinds of cues: a function whose name is mentioned is called, and lines that begin with `rehearsal:` are orders.
 * `docs/rehearsal.md` explains them to users; what is understood here must stand there.
 */

import { type JsonRecord, parseJson, toRecord } from '../json-values.ts';
import { escapePattern, mentionsPhrase } from './hints.ts';

export const ORDER_WORDS_MAX = 10_000;
export const ORDER_DELAY_MS_MAX = 10_000;
const ORDERS_MAX = 50;

export type Order =
  | { readonly kind: 'say'; readonly text: string }
  | { readonly kind: 'words'; readonly count: number }
  | { readonly kind: 'slow'; readonly delayMs: number }
  | {
      readonly kind: 'call';
      readonly name: string;
      readonly arguments: string | null;
      readonly isLater: boolean;
    }
  | { readonly kind: 'refuse'; readonly text: string }
  | { readonly kind: 'think'; readonly text: string }
  | { readonly kind: 'fail' }
  | { readonly kind: 'fail midway' }
  | { readonly kind: 'rate limit' }
  | { readonly kind: 'quota' }
  | { readonly kind: 'unknown'; readonly text: string };

export interface Cues {
  readonly orders: readonly Order[];
  /** The message without its orders. */
  readonly text: string;
}

export function readCues(message: string): Cues {
  const orders: Order[] = [];
  const lines: string[] = [];
  for (const line of message.split(/\r?\n/)) {
    const match = /^\s*rehearsal:\s*(.*)$/i.exec(line);
    if (match === null) lines.push(line);
    else if (orders.length < ORDERS_MAX) orders.push(toOrder((match[1] ?? '').trim()));
  }
  return { orders, text: lines.join('\n').trim() };
}

function toOrder(text: string): Order {
  const [, word = '', rest = ''] = /^(\S*)\s*([\s\S]*)$/.exec(text) ?? [];
  switch (word.toLowerCase()) {
    case 'say':
      return { kind: 'say', text: rest };
    case 'refuse':
      return { kind: 'refuse', text: rest === '' ? 'I will not do that, not even in a rehearsal.' : rest };
    case 'think':
      return { kind: 'think', text: rest };
    case 'words':
      return toCountOrder(rest, text);
    case 'slow':
      return toSlowOrder(rest, text);
    case 'call':
      return toCallOrder(rest, false, text);
    case 'then':
      return /^call\b/i.test(rest)
        ? toCallOrder(rest.slice('call'.length).trim(), true, text)
        : { kind: 'unknown', text };
    default:
      return toPlainOrder(text);
  }
}

function toPlainOrder(text: string): Order {
  switch (
    text
      .toLowerCase()
      .replace(/[\s_-]+/g, ' ')
      .replace(/\.$/, '')
  ) {
    case 'fail':
      return { kind: 'fail' };
    case 'fail midway':
      return { kind: 'fail midway' };
    case 'rate limit':
      return { kind: 'rate limit' };
    case 'quota':
      return { kind: 'quota' };
    default:
      return { kind: 'unknown', text };
  }
}

function toCountOrder(rest: string, text: string): Order {
  return /^\d+$/.test(rest)
    ? { kind: 'words', count: Math.min(Number(rest), ORDER_WORDS_MAX) }
    : { kind: 'unknown', text };
}

function toSlowOrder(rest: string, text: string): Order {
  const match = /^(\d+)\s*(ms|s)?$/i.exec(rest);
  if (match === null) return { kind: 'unknown', text };
  const delayMs = Number(match[1]) * (match[2]?.toLowerCase() === 's' ? 1000 : 1);
  return { kind: 'slow', delayMs: Math.min(delayMs, ORDER_DELAY_MS_MAX) };
}

function toCallOrder(rest: string, isLater: boolean, text: string): Order {
  const [, name = '', args = ''] = /^(\S*)\s*([\s\S]*)$/.exec(rest) ?? [];
  if (name === '') return { kind: 'unknown', text };
  return { kind: 'call', name, arguments: args === '' ? null : args, isLater };
}

/** A function that is to be called, with the part of the message that speaks of it. */
export interface Mention {
  readonly name: string;
  readonly text: string;
}

/**
 * The functions that a message mentions, in rounds: what follows a `then` is called once the results of what
 * stands before it are in.
 */
export function findMentions(text: string, names: readonly string[]): readonly (readonly Mention[])[] {
  const found = names
    .map((name) => ({ name, at: findMention(text, name) }))
    .filter((mention) => mention.at !== -1)
    .sort((a, b) => a.at - b.at);
  const rounds: Mention[][] = [];
  for (const [position, { name, at }] of found.entries()) {
    const begin = position === 0 ? 0 : at;
    const end = found[position + 1]?.at ?? text.length;
    const before = text.slice(found[position - 1]?.at ?? 0, at);
    const mention = { name, text: text.slice(begin, end) };
    const isLater = position > 0 && /\b(?:then|afterwards|after that)\b/i.test(before);
    const round = rounds.at(-1);
    if (round === undefined || isLater) rounds.push([mention]);
    else round.push(mention);
  }
  return rounds;
}

/** Words that every other function begins with: they say nothing of what it is about. */
const COMMON_WORDS: ReadonlySet<string> = new Set(
  'a all an by call check create current data do execute fetch find for get info is list look lookup make of on perform query read retrieve run set show the to tool function update use'.split(
    ' ',
  ),
);

/**
 * Where the message mentions the function; -1 where it does not. `get_weather` is mentioned by its name in any
 * writing (`getWeather`, `get weather`), or by all of its words that are not common ones (`weather`).
 */
function findMention(text: string, name: string): number {
  const words = toWords(name);
  const whole = new RegExp(
    `(?<![\\p{L}\\p{N}])${words.map(escapePattern).join('[\\s_.-]*')}(?![\\p{L}\\p{N}])`,
    'iu',
  );
  const at = text.search(whole);
  if (at !== -1) return at;
  const telling = words.filter((word) => !COMMON_WORDS.has(word));
  if (telling.length === 0 || !telling.every((word) => mentionsWord(text, word))) return -1;
  return Math.min(...telling.map((word) => text.toLowerCase().indexOf(word)));
}

function toWords(name: string): readonly string[] {
  return name
    .replace(/([\p{Ll}\p{N}])(\p{Lu})/gu, '$1_$2')
    .toLowerCase()
    .split(/[\s_.-]+/)
    .filter((word) => word !== '');
}

function mentionsWord(text: string, word: string): boolean {
  return mentionsPhrase(text, word) || mentionsPhrase(text, `${word}s`);
}

/** A JSON object in the text, such as `get_weather {"city": "Paris"}`; null where there is none. */
export function findJsonObject(text: string): JsonRecord | null {
  const begin = text.indexOf('{');
  const end = text.lastIndexOf('}');
  return begin === -1 || end < begin ? null : toRecord(parseJson(text.slice(begin, end + 1)));
}
