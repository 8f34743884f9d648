/** What is said of a chunk beside its text: the document's title, the headings above, a file name that says something. */

import type { HeadingMark, PageMark, ReadText } from './read-text.ts';

/** Lines of headings; of deeper ones the highest and the nearest are kept. */
const HEADINGS_MAX = 6;
const NAME_LENGTH_MAX = 200;

/** Names that programs and cameras give. */
const GENERIC_NAMES = new Set(
  (
    'attachment attachments blob clipboard copy data default doc docs document documents download downloads dsc draft ' +
    'export file files final image images img import index input item new note notes output page pages paste pdf photo ' +
    'picture print printout readme sample scan scanned scanner screenshot sheet slide slides temp test text tmp txt ' +
    'unnamed untitled upload uploads version workbook book presentation unbenannt dokument datei sans titre'
  ).split(' '),
);
const CJK_WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}]{2,}/u;
const LATIN = /^[\p{Script=Latin}\p{M}]+$/u;
const VOWEL = /[aeiouyäöüåæøœáàâãéèêëíìîïóòôõúùûýÿ]/i;
const ID = /[0-9a-f]{8}-[0-9a-f]{4}-|^[0-9a-f]{16,}$|^(?=.*\d)[0-9A-Za-z_-]{20,}$/i;

/** The file's name without its extension where it looks like words, else null. */
export function toSpeakingName(fileName: string): string | null {
  const base = fileName.split(/[/\\]/).at(-1) ?? '';
  const bare = base.replace(/(?:\.tar)?\.[A-Za-z][A-Za-z0-9]{0,7}$/, '');
  if (ID.test(bare)) return null;
  const spaced = bare
    .replace(/(\p{Ll})(\p{Lu})/gu, '$1 $2')
    .replace(/[_+.]+|(?<![\p{L}\p{N}])-|-(?![\p{L}\p{N}])|-/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  const isSpeaking = spaced.split(' ').some((word) => {
    if (CJK_WORD.test(word)) return true;
    if (!/^[\p{L}\p{M}'’]{3,}$/u.test(word) || GENERIC_NAMES.has(word.toLowerCase())) return false;
    return !LATIN.test(word) || VOWEL.test(word);
  });
  return isSpeaking ? spaced.slice(0, NAME_LENGTH_MAX) : null;
}

/** Answers the context of the chunk that begins at an offset. Offsets must ascend from call to call. */
export function createContext(document: ReadText, fileName: string): (offset: number) => string {
  const title = document.title ?? '';
  const name = toSpeakingName(fileName) ?? '';
  const first = [name, title].filter((line) => line !== '');
  const path: HeadingMark[] = [];
  let next = 0;
  return (offset) => {
    for (; next < document.headings.length; next += 1) {
      const heading = document.headings[next];
      if (heading === undefined || heading.start > offset) break;
      while ((path.at(-1)?.level ?? 0) >= heading.level) path.pop();
      path.push(heading);
    }
    const shown = path.length > HEADINGS_MAX ? [...path.slice(0, 2), ...path.slice(2 - HEADINGS_MAX)] : path;
    return toDistinct([...first, ...shown.map(({ text }) => text)]).join('\n');
  };
}

/** Without lines that say the same again. */
function toDistinct(lines: readonly string[]): string[] {
  const seen = new Set<string>();
  return lines.filter((line) => {
    const key = line
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, ' ')
      .trim();
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Answers the page of an offset. Offsets must ascend from call to call. */
export function createPageFinder(pages: readonly PageMark[]): (offset: number) => number | null {
  let at = -1;
  return (offset) => {
    while ((pages[at + 1]?.start ?? Number.POSITIVE_INFINITY) <= offset) at += 1;
    return pages[at]?.page ?? null;
  };
}
