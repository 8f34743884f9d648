/** Strings for a JSON schema: from the message where it has one that fits, of the right form where it has none. */

import { type JsonRecord, toList, toText } from '../json-values.ts';
import { sampleCandidates } from './pattern-samples.ts';
import { toCount, type ValueContext } from './schema-values.ts';

const MESSAGE_CHARACTERS_MAX = 120;
const WORDS_MAX = 200;
const PATTERN_CHARACTERS_MAX = 256;
const PATTERN_TEXT_CHARACTERS_MAX = 128;
const OPEN_QUANTIFIERS_MAX = 3;

/** Always the same moment, so that the same message makes the same call. */
const FORMAT_SAMPLES: Readonly<Record<string, string>> = Object.freeze({
  date: '2025-01-15',
  time: '12:00:00Z',
  'date-time': '2025-01-15T12:00:00Z',
  duration: 'PT1H',
  email: 'rehearsal@example.com',
  'idn-email': 'rehearsal@example.com',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uri: 'https://example.com/',
  url: 'https://example.com/',
  'uri-reference': '/example',
  uuid: '00000000-0000-4000-8000-000000000000',
  'json-pointer': '/example',
  regex: '.*',
});

const FORMAT_PATTERNS: Readonly<Record<string, RegExp>> = Object.freeze({
  date: /\b\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])\b/,
  time: /\b(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:Z|[+-]\d\d:\d\d)/,
  'date-time':
    /\b\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/,
  email: /[\w.+-]+@[\w-]+(?:\.[\w-]+)+/,
  uri: /https?:\/\/[^\s"'<>]+/,
  url: /https?:\/\/[^\s"'<>]+/,
  ipv4: /\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b/,
  uuid: /\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b/i,
});

export function makeText(schema: JsonRecord, { hints, name }: ValueContext): string {
  const format = toText(schema.format);
  const source = toText(schema.pattern);
  const pattern = source === null ? null : toPattern(source);
  const fits = (text: string): boolean => fitsText(text, schema, pattern) && fitsFormat(text, format);
  // A pattern that is not run can be followed, but nothing can be checked against it.
  if (source !== null && pattern === null) return sampleCandidates(source)[0] ?? '';
  const named = hints.named(name);
  if (named !== null && fits(named)) return named;
  const given = [schema.default, ...toList(schema.examples)].filter((text) => typeof text === 'string');
  if (format !== null && format in FORMAT_SAMPLES) {
    const found = FORMAT_PATTERNS[format]?.exec(hints.text)?.[0] ?? '';
    const fitting = [found, ...given, FORMAT_SAMPLES[format] ?? ''].find(fits);
    if (fitting !== undefined) return fitting;
  }
  if (source !== null) {
    const word = hints.text.split(' ', WORDS_MAX).find(fits);
    return hints.takePhrase(fits) ?? word ?? [...given, ...sampleCandidates(source)].find(fits) ?? '';
  }
  const phrase = hints.takePhrase((text) => fitsText(text, schema, null));
  return phrase ?? given.find(fits) ?? toLength(hints.text.slice(0, MESSAGE_CHARACTERS_MAX), schema);
}

/**
 * The pattern, where it is harmless to run: schemas come from clients, and a pattern that tries every way through a
 * text can take for ever.
 */
function toPattern(source: string): RegExp | null {
  if (source.length > PATTERN_CHARACTERS_MAX || /\([^)]*[+*{|][^)]*\)[+*{]/.test(source)) return null;
  if ((source.match(/[+*]|,\}/g) ?? []).length > OPEN_QUANTIFIERS_MAX) return null;
  try {
    return new RegExp(source, 'u');
  } catch {
    // Patterns of other languages: nothing that could be held to.
    return null;
  }
}

function fitsText(text: string, schema: JsonRecord, pattern: RegExp | null): boolean {
  const length = [...text].length;
  if (pattern !== null && length > PATTERN_TEXT_CHARACTERS_MAX) return false;
  if (length < (toCount(schema.minLength) ?? 0)) return false;
  if (length > (toCount(schema.maxLength) ?? Number.POSITIVE_INFINITY)) return false;
  return pattern === null || pattern.test(text);
}

function fitsFormat(text: string, format: string | null): boolean {
  const pattern = format === null ? undefined : FORMAT_PATTERNS[format];
  return pattern === undefined || pattern.exec(text)?.[0] === text || text === FORMAT_SAMPLES[format ?? ''];
}

/** Cut or filled up to the length that is asked for. */
function toLength(text: string, schema: JsonRecord): string {
  const characters = [...(text === '' ? 'rehearsal' : text)].slice(0, toCount(schema.maxLength) ?? undefined);
  const missing = (toCount(schema.minLength) ?? 0) - characters.length;
  return characters.join('') + (missing > 0 ? 'x'.repeat(missing) : '');
}
