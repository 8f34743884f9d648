/** Random texts from a seed, in several scripts, with what makes cutting hard. */

export interface RandomSource {
  /** From 0 to `below`, exclusive. */
  next(below: number): number;
  pick<T>(items: readonly T[]): T;
}

/** mulberry32: the same numbers for the same seed. */
export function createRandom(seed: number): RandomSource {
  let state = seed >>> 0;
  const next = (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
  return {
    next,
    pick<T>(items: readonly T[]): T {
      const item = items[next(items.length)];
      if (item === undefined) throw new Error('There is nothing to pick.');
      return item;
    },
  };
}

const SENTENCES: readonly string[] = [
  'The quick brown fox jumps over the lazy dog. ',
  "It doesn't matter, they've said; it'll rain. ",
  'Größe und Maß der Übung sind unverändert. ',
  'Съешь ещё этих мягких французских булок, да выпей чаю. ',
  '吾輩は猫である。名前はまだ無い。',
  '学而时习之，不亦说乎。有朋自远方来，',
  '대한민국은 민주공화국이다. ',
  'ภาษาไทยเป็นภาษาที่ไม่มีช่องว่าง',
  'اللغة العربية جميلة جدا. ',
  'नमस्ते दुनिया, यह एक परीक्षण है। ',
  '👩‍👩‍👧 🇩🇪🇫🇷 👍🏽 e\u0301a\u0308 ',
  'x = foo_bar(1, 2) / ERR-4471; ',
  '1234567890 3.14159 ',
  '\r\n',
  '\n\n',
  '\n',
  '\t',
  '    ',
  'a'.repeat(90),
  'loremipsumdolorsitamet'.repeat(30),
  '—“quoted”… ',
  '\u0000\u0007',
  '𝒜𝓁𝓅𝒽𝒶',
];

export function makeText(random: RandomSource, sentences: number): string {
  let text = '';
  for (let i = 0; i < sentences; i += 1) text += random.pick(SENTENCES);
  return text;
}
