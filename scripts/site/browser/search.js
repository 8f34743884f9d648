/**
 * The search of the documentation: in the reader's browser, in an index that was made with the site. The build uses the same words.
 *
 * @typedef {{
 *   pages: [title: string, path: string][],
 *   entries: [page: number, anchor: string, headings: string[], text: string][],
 *   words: string,
 *   places: number[][],
 * }} SearchIndex `words` are sorted and stand between spaces; of each, `places` has the entries where it is: the entry's number
 * times four, and 2 for its own heading, 1 for those above it, 0 for its text.
 *
 * @typedef {{ title: string, headings: string[], href: string, text: string, score: number }} Hit
 */

/** Where a word is best: in the heading itself. */
export const OWN_HEADING = 2;
/** Of a word in the text, above it, and in the heading itself. */
const WEIGHTS = [1, 2, 8];
const WHOLE_WORD = 2;
const PHRASE_IN_TEXT = 6;
const PHRASE_IN_HEADING = 24;
const PHRASE_IS_HEADING = 100;
/** `--port` with its dashes: before whatever else is called `port`. */
const FLAG_IN_HEADING = 150;
/** `GET /v1/threads`, with which a section of the reference begins. */
const PHRASE_BEGINS_TEXT = 70;
/** Words of one question that count. */
const QUESTION_WORDS_MAX = 12;

/**
 * Small letters without accents.
 * @param {string} text
 */
export function fold(text) {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
}

/**
 * The words of a question: names like `http_requests_total` are several.
 * @param {string} text
 * @returns {string[]}
 */
export function toWords(text) {
  return fold(text).match(/[\p{L}\p{N}]+/gu) ?? [];
}

/**
 * The words by which a text is found: `createThread` by its parts, too.
 * @param {string} text
 * @returns {string[]}
 */
export function toIndexWords(text) {
  const parts = text.match(/[\p{L}\p{N}]*\p{Ll}\p{Lu}[\p{L}\p{N}]*/gu) ?? [];
  return [...toWords(text), ...parts.flatMap((name) => toWords(name.replace(/(\p{Ll})(\p{Lu})/gu, '$1 $2')))];
}

/** @param {SearchIndex} index */
export function createSearch(index) {
  const words = index.words.split(' ');
  /** @type {(string[] | undefined)[]} */
  const folded = [];

  /** The headings of an entry and its text, folded; made when first wanted. @param {number} number */
  const foldEntry = (number) => {
    const known = folded[number];
    if (known !== undefined) return known;
    const [, , headings, text] = index.entries[number] ?? [0, '', [], ''];
    const made = [fold(headings.at(-1) ?? ''), fold(text)];
    folded[number] = made;
    return made;
  };

  /**
   * The best place of each entry that has a word which begins so.
   * @param {string} prefix
   * @returns {Map<number, number>} Scores, by entry.
   */
  const findWord = (prefix) => {
    /** @type {Map<number, number>} */
    const found = new Map();
    for (let at = findFirst(words, prefix); words[at]?.startsWith(prefix); at++) {
      const factor = words[at] === prefix ? WHOLE_WORD : 1;
      for (const place of index.places[at] ?? []) {
        const score = (WEIGHTS[place % 4] ?? 0) * factor;
        const entry = Math.floor(place / 4);
        if (score > (found.get(entry) ?? 0)) found.set(entry, score);
      }
    }
    return found;
  };

  /**
   * What has all words of the question, each as the beginning of one; the best first.
   * @param {string} question
   * @param {number} limit
   * @returns {Hit[]}
   */
  return (question, limit) => {
    const asked = [...new Set(toWords(question))].slice(0, QUESTION_WORDS_MAX);
    const [first, ...others] = asked.map(findWord);
    if (first === undefined) return [];
    const typed = fold(question).trim().replace(/\s+/g, ' ');
    /** @type {{ entry: number, score: number }[]} */
    const scored = [];
    for (const [entry, score] of first) {
      if (!others.every((found) => found.has(entry))) continue;
      const [heading = '', text = ''] = foldEntry(entry);
      const sum = others.reduce((total, found) => total + (found.get(entry) ?? 0), score);
      scored.push({ entry, score: sum + scorePhrase(typed, heading, text) });
    }
    scored.sort((one, other) => other.score - one.score || one.entry - other.entry);
    return scored.slice(0, limit).map(({ entry, score }) => toHit(index, entry, score));
  };
}

/**
 * @param {string} typed Folded.
 * @param {string} heading
 * @param {string} text
 */
function scorePhrase(typed, heading, text) {
  const phrase = withoutDashes(typed);
  if (phrase === '') return 0;
  const isFlag = typed !== phrase && beginsWith(heading, typed);
  const name = (isFlag ? FLAG_IN_HEADING : 0) + (beginsWith(text, typed) ? PHRASE_BEGINS_TEXT : 0);
  if (withoutDashes(heading) === phrase) return name + PHRASE_IS_HEADING;
  if (heading.includes(phrase)) {
    return name + PHRASE_IN_HEADING + (beginsWith(withoutDashes(heading), phrase) ? PHRASE_IN_TEXT : 0);
  }
  return name + (text.includes(phrase) ? PHRASE_IN_TEXT : 0);
}

/** @param {string} text */
function withoutDashes(text) {
  return text.trim().replace(/^-+/, '');
}

/**
 * Whether the text begins with the whole name: `--port NUMBER` with `--port`, `/v1/threads and` with `/v1/threads`, and neither
 * with a part of it.
 * @param {string} text
 * @param {string} name
 */
function beginsWith(text, name) {
  return text.startsWith(name) && !/[\p{L}\p{N}_/{-]/u.test(text.charAt(name.length));
}

/**
 * The place of the first word that is not before the prefix.
 * @param {readonly string[]} words
 * @param {string} prefix
 */
function findFirst(words, prefix) {
  let [low, high] = [0, words.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((words[middle] ?? '') < prefix) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * @param {SearchIndex} index
 * @param {number} entry
 * @param {number} score
 * @returns {Hit}
 */
function toHit(index, entry, score) {
  const [page, anchor, headings, text] = index.entries[entry] ?? [0, '', [], ''];
  const [title, path] = index.pages[page] ?? ['', ''];
  return { title, headings, href: anchor === '' ? path : `${path}#${anchor}`, text, score };
}
