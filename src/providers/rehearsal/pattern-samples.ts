/**
 * A text for a regular expression, for the patterns that schemas really hold: codes, dates, telephone numbers.
 *
 * Understands literals, classes, groups, alternatives, quantifiers and anchors; a pattern with more gets a text that
 * may not match, so whoever asks checks.
 */

const USUAL_TEXTS: readonly string[] = Object.freeze([
  'a',
  'abc',
  'ABC',
  '1',
  '123',
  '2025-01-15',
  'abc123',
  'a@example.com',
  'https://example.com/',
  '+14155550100',
]);
const REPEATS_MAX = 256;

/** Texts worth trying, the one that was made for the pattern first. */
export function sampleCandidates(source: string): readonly string[] {
  const made = new PatternSampler(source).sample();
  return made === null ? USUAL_TEXTS : [made, ...USUAL_TEXTS];
}

/** Reads the pattern once, from left to right, and takes the first way through it. */
class PatternSampler {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  sample(): string | null {
    const text = this.#readAlternatives();
    return this.#at === this.#source.length ? text : null;
  }

  #readAlternatives(): string | null {
    const first = this.#readSequence();
    while (this.#source[this.#at] === '|') {
      this.#at += 1;
      if (this.#readSequence() === null) return null;
    }
    return first;
  }

  #readSequence(): string | null {
    let text = '';
    while (
      this.#at < this.#source.length &&
      this.#source[this.#at] !== '|' &&
      this.#source[this.#at] !== ')'
    ) {
      const atom = this.#readAtom();
      if (atom === null) return null;
      text += atom.repeat(this.#readCount());
    }
    return text;
  }

  #readAtom(): string | null {
    const character = this.#source[this.#at] ?? '';
    this.#at += 1;
    if (character === '^' || character === '$') return '';
    if (character === '.') return 'a';
    if (character === '\\') return this.#readEscape();
    if (character === '[') return this.#readClass();
    return character === '(' ? this.#readGroup() : character;
  }

  #readGroup(): string | null {
    const opening = /^(?:\?:|\?<[A-Za-z_]\w*>)?/.exec(this.#source.slice(this.#at))?.[0] ?? '';
    this.#at += opening.length;
    if (this.#source[this.#at] === '?') return null;
    const text = this.#readAlternatives();
    if (this.#source[this.#at] !== ')') return null;
    this.#at += 1;
    return text;
  }

  #readEscape(): string | null {
    const character = this.#source[this.#at] ?? '';
    this.#at += 1;
    if (character === 'd') return '1';
    if (character === 'w') return 'a';
    if (character === 's') return ' ';
    if (character === 'D' || character === 'S') return 'a';
    if (character === 'W') return '-';
    if (character === 'b' || character === 'B') return '';
    return /[A-Za-z0-9]/.test(character) ? null : character;
  }

  #readClass(): string | null {
    const end = /^\^?\]?(?:\\.|[^\]\\])*\]/.exec(this.#source.slice(this.#at))?.[0];
    if (end === undefined) return null;
    this.#at += end.length;
    const body = end.slice(0, -1);
    if (!body.startsWith('^')) return this.#firstOf(body);
    const pattern = new RegExp(`[${body}]`, 'u');
    return ['a', 'A', '1', '-', ' '].find((text) => pattern.test(text)) ?? null;
  }

  #firstOf(body: string): string | null {
    if (!body.startsWith('\\')) return body[0] ?? null;
    const name = body[1] ?? '';
    return { d: '1', w: 'a', s: ' ' }[name] ?? (/[A-Za-z0-9]/.test(name) ? null : name);
  }

  /** How often the atom before is repeated: as seldom as allowed, but once where it may. */
  #readCount(): number {
    const match = /^(?:\?|\*|\+|\{(\d+)(,\d*)?\})\??/.exec(this.#source.slice(this.#at));
    if (match === null) return 1;
    this.#at += match[0].length;
    return match[1] === undefined ? 1 : Math.min(Number(match[1]), REPEATS_MAX);
  }
}
