/**
 * The model cites a search result by repeating its marker, `【4:0†report.pdf】`. Here markers are found in what it
 * says, however they are cut into pieces and whatever variant of them it writes.
 */

import type { FoundPassage } from './run-records.ts';

/** What a marker points to. */
export interface Citation {
  /** As the client gets it, in whatever way the model wrote it. */
  readonly marker: string;
  readonly fileId: string;
}

/** A piece of a message's text: a marker, whole, or text without any. */
export interface TextPiece {
  readonly text: string;
  /** Null for text. */
  readonly citation: Citation | null;
}

/** The results that can be cited, by the numbers of their markers: `4:0`. */
export type KnownCitations = ReadonlyMap<string, Citation>;

export function toKnownCitations(found: readonly FoundPassage[]): KnownCitations {
  return new Map(
    found.map(({ marker, file_id: fileId }) => [marker.slice(1, marker.indexOf('†')), { marker, fileId }]),
  );
}

/** Characters of a name that is shown in a marker. */
const NAME_CHARACTERS_MAX = 100;
/** Characters that a model may write behind the dagger; more is no marker. */
const LABEL_CHARACTERS_MAX = 480;
/** Results that one bracket may name. */
const REFERENCES_MAX = 16;

/** The marker of a result, in OpenAI's form. Brackets and daggers of the name would end it early. */
export function toMarker(search: number, index: number, fileName: string): string {
  const safe = fileName.replace(/[\p{Cc}【】[\]†]+/gu, ' ').trim();
  const name = [...safe.slice(0, 2 * NAME_CHARACTERS_MAX)].slice(0, NAME_CHARACTERS_MAX).join('');
  return `【${search}:${index}†${name === '' ? 'source' : name}】`;
}

const MARKERS = new RegExp(`【\\d{1,4}(?::\\d{1,4})?†[^】\\n\\r]{0,${LABEL_CHARACTERS_MAX}}】`, 'g');

/**
 * The text without markers. Those of earlier runs, and those that stand in documents, would be taken for results of
 * this run when the model repeats them.
 */
export function removeMarkers(text: string): string {
  return text.includes('†') ? text.replace(MARKERS, '') : text;
}

/**
 * Characters of a text as OpenAI counts them in `start_index` and `end_index`: code points, the indexes of its own
 * Python code. (In recorded answers of the hosted service a marker `【4:0†source】` counts 12, so they are no bytes.)
 * Programs in languages that count UTF-16 units find the marker by `text` where characters beyond U+FFFF precede it.
 */
export function countCharacters(text: string): number {
  let count = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit >= 0xdc00 && unit <= 0xdfff) count -= 1;
  }
  return count;
}

const SPACE = '[ \\u00a0\\u3000]{0,3}';
const NUMBER = '\\d{1,4}';
const COLON = '[:：]';
const SEPARATOR = '[,;、，；]';
const REFERENCE = `${NUMBER}${SPACE}${COLON}${SPACE}${NUMBER}${SPACE}`;
const REFERENCES = `(?:${REFERENCE}${SEPARATOR}${SPACE}){0,${REFERENCES_MAX - 1}}`;
const PART_OF_REFERENCE = `(?:${NUMBER}${SPACE}(?:${COLON}${SPACE}(?:${NUMBER}${SPACE})?)?)?`;

/** How a marker looks: whole, and from its beginning to the end of what has come so far. */
interface MarkerForm {
  readonly whole: RegExp;
  readonly begun: RegExp;
}

/** `alone` is a marker of one number, which only counts with a label behind it; empty where there is none. */
function toForm(open: string, close: string, isBareAllowed: boolean, alone: string): MarkerForm {
  const label = `†[^${close}\\n\\r]{0,${LABEL_CHARACTERS_MAX}}`;
  const other = alone === '' ? '' : `|${alone}${label}`;
  const whole = `${REFERENCES}${REFERENCE}(?:${label})${isBareAllowed ? '?' : ''}${other}`;
  const begun = `${REFERENCES}(?:${PART_OF_REFERENCE}|${REFERENCE}${label})${other}`;
  return {
    whole: new RegExp(`^${open}${SPACE}(?:${whole})${close}`),
    begun: new RegExp(`^${open}${SPACE}(?:${begun})$`),
  };
}

/** `【13†source】` is how markers looked in the first version of the API: models still know it. */
const WIDE = toForm('【', '】', true, `${NUMBER}${SPACE}`);
/** `[1:2]` is a slice in many a language: in square brackets only the dagger makes a marker. */
const SQUARE = toForm('\\[', '\\]', false, '');

/** The references of a whole marker. */
const NAMED = new RegExp(
  `(?:^.${SPACE}|${SEPARATOR}${SPACE})(${NUMBER})${SPACE}${COLON}${SPACE}(${NUMBER})${SPACE}(?=†|${SEPARATOR}|.$)`,
  'g',
);
const CUT_MARKER = new RegExp(`^【${SPACE}(${NUMBER})${SPACE}${COLON}`);
const TIME_OF_DAY = /^\d{1,2}:[0-5]\d$/;

/**
 * Takes the model's text in pieces of any size and answers it as text and markers. What may be the beginning of a
 * marker is held back until that is decided; all other text goes out at once. Markers come out in OpenAI's form, those
 * that name no known result not at all.
 */
export class CitationFilter {
  #held = '';
  readonly #known: KnownCitations;
  readonly #searches: ReadonlySet<string>;

  constructor(known: KnownCitations) {
    this.#known = known;
    this.#searches = new Set([...known.keys()].map(toSearch));
  }

  push(text: string): readonly TextPiece[] {
    const all = this.#held + text;
    const pieces: TextPiece[] = [];
    let done = 0;
    let at = findOpener(all, 0);
    while (at !== -1) {
      const form = all[at] === '【' ? WIDE : SQUARE;
      const rest = all.slice(at);
      const marker = form.whole.exec(rest)?.[0];
      if (marker === undefined && form.begun.test(rest)) break;
      const citations = marker === undefined ? null : this.#toCitations(marker);
      if (marker === undefined || citations === null) {
        at = findOpener(all, at + 1);
        continue;
      }
      addText(pieces, all.slice(done, at));
      for (const citation of citations) pieces.push({ text: citation.marker, citation });
      done = at + marker.length;
      at = findOpener(all, done);
    }
    const end = at === -1 ? all.length : at;
    addText(pieces, all.slice(done, end));
    this.#held = all.slice(end);
    return pieces;
  }

  /** Ends the text: answers what was held back, unless that is a marker that was cut short. */
  flush(): readonly TextPiece[] {
    const held = this.#held;
    this.#held = '';
    const search = CUT_MARKER.exec(held)?.[1] ?? '';
    return held === '' || held.includes('†') || this.#searches.has(search)
      ? []
      : [{ text: held, citation: null }];
  }

  /** The known results that a marker names; null where it is no marker: `【10:30】` is a time of day. */
  #toCitations(marker: string): readonly Citation[] | null {
    const keys = new Set([...marker.matchAll(NAMED)].map(([, search, index]) => `${search}:${index}`));
    const citations = [...keys].flatMap((key) => this.#known.get(key) ?? []);
    if (citations.length > 0 || marker.includes('†')) return citations;
    const isInvented = [...keys].some((key) => this.#searches.has(toSearch(key)) && !TIME_OF_DAY.test(key));
    return isInvented ? [] : null;
  }
}

function toSearch(key: string): string {
  return key.slice(0, key.indexOf(':'));
}

function findOpener(text: string, from: number): number {
  const wide = text.indexOf('【', from);
  const square = text.indexOf('[', from);
  return wide === -1 || square === -1 ? Math.max(wide, square) : Math.min(wide, square);
}

function addText(pieces: TextPiece[], text: string): void {
  if (text !== '') pieces.push({ text, citation: null });
}
