/**
 * What a message offers for a function's arguments: quoted texts, phrases, numbers, and `name: value` pairs.
 *
 * Phrases and numbers are handed out one after the other, so that two properties get two of them while they last.
 */

export interface Hints {
  /** The message, in one line. */
  readonly text: string;
  /** The value of `name: value`, `name=value` (quoted or one word) or `3 name`; null where there is none. */
  named(name: string): string | null;
  /** Whether the word or phrase stands in the message, whatever its case. */
  mentions(phrase: string): boolean;
  /** The next unused phrase that fits; the first one again when all are used; null where none fits. */
  takePhrase(fits: (phrase: string) => boolean): string | null;
  /** Unused numbers first. */
  numbers(): readonly number[];
  useNumber(value: number): void;
}

const TEXT_CHARACTERS_MAX = 20_000;
const PHRASES_MAX = 64;
const PHRASE_WORDS_MAX = 6;

const QUOTED = /"([^"]+)"|“([^”]+)”|«([^»]+)»|`([^`]+)`|(?<![\p{L}\p{N}])'([^']+)'(?![\p{L}\p{N}])/gu;
const PREPOSITIONS = /(?<![\p{L}\p{N}_])(?:in|for|of|to|about|at|on|from|named|called)\s+/giu;
/** Where a phrase ends: punctuation, or a word that leads on to something else. */
const PHRASE_END =
  /[,;:!?()\n]|\.(?:\s|$)|\s(?:and|or|then|in|for|of|to|about|at|on|from|with|using|please|is|are|was|today|tomorrow|now|right)(?![\p{L}\p{N}_])/iu;
const LEADING_ARTICLE = /^(?:the|a|an|my|our|your)\s+/i;

export function createHints(message: string): Hints {
  const text = message.slice(0, TEXT_CHARACTERS_MAX).replace(/\s+/g, ' ').trim();
  const phrases = findPhrases(text);
  const numbers = findNumbers(text);
  const usedPhrases = new Set<string>();
  const usedNumbers: number[] = [];

  return {
    text,
    named: (name) => findNamed(text, name),
    mentions: (phrase) => mentionsPhrase(text, phrase),
    takePhrase(fits) {
      const fitting = phrases.filter(fits);
      const phrase = fitting.find((candidate) => !usedPhrases.has(candidate)) ?? fitting[0] ?? null;
      if (phrase !== null) usedPhrases.add(phrase);
      return phrase;
    },
    numbers() {
      const unused = [...numbers];
      for (const used of usedNumbers) {
        const at = unused.indexOf(used);
        if (at !== -1) unused.splice(at, 1);
      }
      return unused.length > 0 ? unused : numbers;
    },
    useNumber(value) {
      usedNumbers.push(value);
    },
  };
}

/** As `createHints`, but the fuller message answers what the narrower part of it leaves open. */
export function createFallbackHints(part: string, whole: string): Hints {
  const inner = createHints(part);
  const outer = createHints(whole);
  return {
    text: inner.text === '' ? outer.text : inner.text,
    named: (name) => inner.named(name) ?? outer.named(name),
    mentions: (phrase) => inner.mentions(phrase),
    takePhrase: (fits) => inner.takePhrase(fits) ?? outer.takePhrase(fits),
    numbers: () => (inner.numbers().length > 0 ? inner.numbers() : outer.numbers()),
    useNumber(value) {
      inner.useNumber(value);
      outer.useNumber(value);
    },
  };
}

export function mentionsPhrase(text: string, phrase: string): boolean {
  const wanted = phrase.trim();
  if (wanted === '') return false;
  const pattern = escapePattern(wanted).replace(/[\s_-]+/g, '[\\s_-]+');
  return new RegExp(`(?<![\\p{L}\\p{N}])${pattern}(?![\\p{L}\\p{N}])`, 'iu').test(text);
}

export function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}

/** Quoted texts first, in their order; then what follows a preposition. */
function findPhrases(text: string): readonly string[] {
  const phrases: string[] = [];
  const add = (phrase: string): void => {
    const trimmed = phrase.trim();
    if (trimmed !== '' && phrases.length < PHRASES_MAX) phrases.push(trimmed);
  };
  for (const match of text.matchAll(QUOTED)) add(match.slice(1).find((group) => group !== undefined) ?? '');
  const unquoted = text.replace(QUOTED, ' , ');
  for (const match of unquoted.matchAll(PREPOSITIONS)) {
    if (phrases.length === PHRASES_MAX) break;
    const rest = unquoted.slice(match.index + match[0].length).replace(LEADING_ARTICLE, '');
    const end = PHRASE_END.exec(rest)?.index ?? rest.length;
    add(
      rest
        .slice(0, end)
        .replace(/[.\s]+$/, '')
        .split(' ')
        .slice(0, PHRASE_WORDS_MAX)
        .join(' '),
    );
  }
  return phrases;
}

/** Numbers that stand alone: not the 4 of `gpt-4`, nor a date's parts. */
function findNumbers(text: string): readonly number[] {
  const found = text.matchAll(/(?<![\p{L}\p{N}_.:/-])-?\d+(?:\.\d+)?(?![\p{L}\p{N}_:/]|[.-]\d)/gu);
  return [...found].slice(0, PHRASES_MAX).map((match) => Number(match[0]));
}

function findNamed(text: string, name: string): string | null {
  if (name === '') return null;
  const words = escapePattern(name).replace(/_/g, '[ _]');
  const pattern = new RegExp(
    `(?<![\\p{L}\\p{N}_])["']?${words}["']?\\s*[:=]\\s*(?:"([^"]*)"|'([^']*)'|([^\\s,;}\\]]+))`,
    'iu',
  );
  const match = pattern.exec(text);
  if (match !== null) return match[1] ?? match[2] ?? match[3]?.replace(/[.?!]+$/, '') ?? null;
  // `for 3 days`: a number with its name behind it.
  const counted = new RegExp(
    `(?<![\\p{L}\\p{N}_.-])(-?\\d+(?:\\.\\d+)?)\\s+${words}(?![\\p{L}\\p{N}_])`,
    'iu',
  );
  return counted.exec(text)?.[1] ?? null;
}
