/**
 * Finds the words of a text: runs of letters and digits of any script, what several of them make where they are
 * joined (`ERR-4471`, `foo_bar`, `v2.3.1`), and pairs of characters where a script sets no spaces.
 *
 * One pass over the text, without regular expressions on the way: the cost is linear whatever the text is.
 */

/** Takes what is found, in the order of the text. */
export interface WordSink {
  /** A word, in its own case and with its accents. */
  onWord(word: string): void;
  /** A name made of several words, or a part of a word that has parts (`getUserName`). Not one of the text's words. */
  onName(name: string): void;
  /** One character of a script without spaces; `isAlone` where no other of such a script stands beside it. */
  onCharacter(character: string, isAlone: boolean): void;
  /** Two characters of such a script, side by side. */
  onPair(pair: string): void;
}

/** More words in a chain (a path, a table's rule) make a new chain. */
const CHAIN_WORDS_MAX = 8;
/** Words that are longer are cut to this, in UTF-16 units; what follows counts as another word. */
const WORD_LENGTH_MAX = 96;

/** What a character is. */
const OTHER = 0;
const LETTER = 1;
const CAPITAL = 2;
const DIGIT = 3;
/** Of a script that sets no spaces between words. */
const UNSPACED = 4;
/** Joins words to a name: `-` and `_` tightly, others (`.` `/` `:` `#` `@`) loosely. */
const TIGHT = 5;
const LOOSE = 6;
const APOSTROPHE = 7;
/** The first half of a character beyond the basic plane, which needs a closer look. */
const SURROGATE = 8;
const NOT_YET_KNOWN = 255;

const JOINERS: ReadonlyMap<string, number> = new Map([
  ...[...'-_\u2010\u2011'].map((joiner) => [joiner, TIGHT] as const),
  ...[...'./:#@,\\'].map((joiner) => [joiner, LOOSE] as const),
  ...[..."'\u2019\u02bc"].map((joiner) => [joiner, APOSTROPHE] as const),
]);
const IS_UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\u30fc\u3005]/u;
const IS_WORDLIKE = /[\p{L}\p{M}\p{N}\u00ad\u200c\u200d]/u;
const IS_DIGIT = /\p{N}/u;
const IS_CAPITAL = /\p{Lu}/u;

interface ChainWord {
  readonly start: number;
  readonly end: number;
  /** The joiner before the word; empty for the first. */
  readonly joiner: string;
  readonly isTight: boolean;
}

export interface WordScanner {
  /** `text` in NFKC. */
  scan(text: string, sink: WordSink): void;
}

export function createWordScanner(): WordScanner {
  // What each UTF-16 unit is, looked up once.
  const kinds = new Uint8Array(0x1_0000).fill(NOT_YET_KNOWN);

  function kindAt(text: string, at: number): number {
    const code = text.charCodeAt(at);
    let kind = kinds[code] ?? OTHER;
    if (kind === NOT_YET_KNOWN) {
      kind = toKind(code);
      kinds[code] = kind;
    }
    return kind === SURROGATE ? toKindOfPair(text, at) : kind;
  }

  function scan(text: string, sink: WordSink): void {
    let at = 0;
    while (at < text.length) {
      const kind = kindAt(text, at);
      if (isWordlike(kind)) at = scanChain(text, at, sink);
      else if (kind === UNSPACED) at = scanUnspaced(text, at, sink);
      else at += 1;
    }
  }

  /** Words that are joined, from `at` on. Returns where they end. */
  function scanChain(text: string, at: number, sink: WordSink): number {
    let end = scanWord(text, at, sink);
    const next = kindAt(text, end);
    // The usual word: nothing is joined to it.
    if (end >= text.length || (next !== TIGHT && next !== LOOSE)) {
      if (next === APOSTROPHE) return scanApostrophe(text, at, end);
      emitSigned(text, at, end, sink);
      return end;
    }
    const chain: ChainWord[] = [{ start: at, end, joiner: '', isTight: false }];
    while (chain.length < CHAIN_WORDS_MAX && end + 1 < text.length) {
      const joint = kindAt(text, end);
      if ((joint !== TIGHT && joint !== LOOSE) || !isWordlike(kindAt(text, end + 1))) break;
      const joiner = text.charAt(end);
      if (joiner === ',' && !(isDigitAt(text, end - 1) && isDigitAt(text, end + 1))) break;
      const start = end + 1;
      end = scanWord(text, start, sink);
      chain.push({ start, end, joiner, isTight: joint === TIGHT });
    }
    const last = chain[chain.length - 1];
    if (chain.length > 1) emitNames(text, chain, sink);
    if (last !== undefined) emitSigned(text, last.start, end, sink);
    return end;
  }

  /** One word; its parts too. Returns where it ends. */
  function scanWord(text: string, at: number, sink: WordSink): number {
    let end = at;
    // Places where a part may begin: a capital after a small letter, a small letter after several capitals, and where
    // letters and digits meet.
    let humps = 0;
    let borders = 0;
    let capitals = 0;
    let before = OTHER;
    const limit = Math.min(text.length, at + WORD_LENGTH_MAX);
    while (end < limit) {
      const kind = kindAt(text, end);
      if (!isWordlike(kind)) break;
      if (kind === CAPITAL ? before === LETTER : kind === LETTER && capitals > 1) humps += 1;
      capitals = kind === CAPITAL ? capitals + 1 : 0;
      if (before !== OTHER && (kind === DIGIT) !== (before === DIGIT)) borders += 1;
      before = kind;
      end += isHighSurrogate(text.charCodeAt(end)) ? 2 : 1;
    }
    const word = text.slice(at, end);
    sink.onWord(word);
    if (humps > 0) emitHumps(word, sink);
    else if (borders === 1) emitSides(word, sink);
    return end;
  }

  /** A run of characters without spaces. Returns where it ends. */
  function scanUnspaced(text: string, at: number, sink: WordSink): number {
    let end = at;
    let before = '';
    while (end < text.length && kindAt(text, end) === UNSPACED) {
      const size = isHighSurrogate(text.charCodeAt(end)) ? 2 : 1;
      const character = text.slice(end, end + size);
      end += size;
      const isAlone = before === '' && (end >= text.length || kindAt(text, end) !== UNSPACED);
      sink.onCharacter(character, isAlone);
      if (before !== '') sink.onPair(before + character);
      before = character;
    }
    return end;
  }

  function isDigitAt(text: string, at: number): boolean {
    return kindAt(text, at) === DIGIT;
  }

  /** `don't`, `it's`: what follows the apostrophe says nothing; `l'eau`: it does. Returns where to go on. */
  function scanApostrophe(text: string, at: number, end: number): number {
    const start = end + 1;
    let after = start;
    while (after < text.length && after - start < 3 && isWordlike(kindAt(text, after))) after += 1;
    const isShort = after === text.length || !isWordlike(kindAt(text, after));
    return isShort && end - at > 1 && CLITICS.has(text.slice(start, after).toLowerCase()) ? after : start;
  }

  return { scan };
}

const CLITICS: ReadonlySet<string> = new Set(['s', 't', 'd', 'm', 'll', 're', 've']);

function isWordlike(kind: number): boolean {
  return kind === LETTER || kind === CAPITAL || kind === DIGIT;
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

function toKind(code: number): number {
  if (isHighSurrogate(code)) return SURROGATE;
  const character = String.fromCharCode(code);
  const joiner = JOINERS.get(character);
  if (joiner !== undefined) return joiner;
  if (IS_UNSPACED.test(character)) return IS_DIGIT.test(character) ? DIGIT : UNSPACED;
  if (!IS_WORDLIKE.test(character)) return OTHER;
  if (IS_DIGIT.test(character)) return DIGIT;
  return IS_CAPITAL.test(character) ? CAPITAL : LETTER;
}

function toKindOfPair(text: string, at: number): number {
  const code = text.codePointAt(at) ?? 0;
  if (code < 0x1_0000) return OTHER;
  const character = String.fromCodePoint(code);
  if (IS_UNSPACED.test(character)) return UNSPACED;
  if (!IS_WORDLIKE.test(character)) return OTHER;
  return IS_DIGIT.test(character) ? DIGIT : LETTER;
}

/** `C++`, `C#`, `.NET`: the sign makes another name of the word. */
function emitSigned(text: string, start: number, end: number, sink: WordSink): void {
  const after = text.charCodeAt(end);
  if (after === PLUS && text.charCodeAt(end + 1) === PLUS) sink.onName(`${text.slice(start, end)}++`);
  else if (after === HASH && end - start === 1) sink.onName(`${text.slice(start, end)}#`);
  if (text.charCodeAt(start - 1) === DOT && (start === 1 || IS_GAP.test(text.charAt(start - 2)))) {
    sink.onName(`.${text.slice(start, end)}`);
  }
}

const PLUS = 0x2b;
const HASH = 0x23;
const DOT = 0x2e;
const IS_GAP = /[\s(["'`,;]/;

/** The parts of `getUserName`. */
function emitHumps(word: string, sink: WordSink): void {
  const parts = word.split(HUMP);
  if (parts.length < 2) return;
  for (const part of parts) if (part.length > 1) sink.onName(part);
}

/** Before a capital that follows a small letter or a digit, and before the last capital of several. */
const HUMP = /(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll}{2})/u;

/** The two sides of `500mg` or `covid19`. */
function emitSides(word: string, sink: WordSink): void {
  const border = word.search(BORDER);
  const first = word.slice(0, border);
  const second = word.slice(border);
  if (first.length > 1 || IS_DIGIT.test(first)) sink.onName(first);
  if (second.length > 1 || IS_DIGIT.test(second)) sink.onName(second);
}

const BORDER = /(?<=\p{N})(?=[^\p{N}])|(?<=[^\p{N}])(?=\p{N})/u;

/**
 * The names that joined words make: all together, those that are joined tightly, and a version's number within more.
 * A joiner stays only between digits, so that `ERR-4471`, `err_4471` and `ERR4471` are one name, 1.23 and 12.3 two.
 */
function emitNames(text: string, chain: readonly ChainWord[], sink: WordSink): void {
  sink.onName(toName(text, chain));
  if (chain.length > 2) emitInnerNames(text, chain, sink);
  const first = chain[0];
  if (first !== undefined && IS_V_NUMBER.test(text.slice(first.start, first.end))) {
    sink.onName(toName(text, [{ ...first, start: first.start + 1 }, ...chain.slice(1)]));
  }
}

function emitInnerNames(text: string, chain: readonly ChainWord[], sink: WordSink): void {
  const isVersion = (word: ChainWord) => IS_VERSION_PART.test(text.slice(word.start, word.end));
  emitRuns(
    chain,
    (word) => word.isTight,
    (run) => sink.onName(toName(text, run)),
  );
  emitRuns(
    chain,
    (word, before) => word.joiner === '.' && isVersion(word) && isVersion(before),
    (run) => sink.onName(toName(text, run)),
  );
}

const IS_VERSION_PART = /^v?\d/i;
const IS_V_NUMBER = /^v\d+$/i;

/** Runs of at least two words, shorter than the whole chain, in which `isJoined` holds for each but the first. */
function emitRuns(
  chain: readonly ChainWord[],
  isJoined: (word: ChainWord, before: ChainWord) => boolean,
  emit: (run: readonly ChainWord[]) => void,
): void {
  let run: ChainWord[] = [];
  const close = () => {
    if (run.length > 1 && run.length < chain.length) emit(run);
  };
  for (const word of chain) {
    const before = run[run.length - 1];
    if (before !== undefined && isJoined(word, before)) {
      run.push(word);
      continue;
    }
    close();
    run = [word];
  }
  close();
}

function toName(text: string, words: readonly ChainWord[]): string {
  let name = '';
  for (const { start, end, joiner } of words) {
    const isKept = IS_ENDING_IN_DIGIT.test(name) && IS_DIGIT.test(text.charAt(start));
    // 12,500 is 12500.
    const isOfThousands = joiner === ',' && end - start === 3;
    name += (isKept && !isOfThousands ? joiner : '') + text.slice(start, end);
  }
  return name;
}

const IS_ENDING_IN_DIGIT = /\p{N}$/u;
