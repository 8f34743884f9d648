/** JSON: kept as it is where people can read it; what is written without line ends is laid out. Keys are kept. */

import { type ReadText, toReadText } from '../read-text.ts';

/** Lines longer than this on average are not meant to be read. */
const LINE_LENGTH_READABLE = 400;
/** Deeper levels are not indented further: an indent for each of a million brackets would be a bomb. */
const INDENT_LEVELS_MAX = 12;

export function readJson(text: string): ReadText {
  let lines = 1;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines += 1;
  return toReadText(text.length / lines > LINE_LENGTH_READABLE ? layOut(text) : text);
}

/** Each member on a line of its own. Linear, and needs no valid JSON: what is between quotes stays as it is. */
function layOut(text: string): string {
  const parts: string[] = [];
  let depth = 0;
  const lineEnd = (): string => `\n${'  '.repeat(Math.min(depth, INDENT_LEVELS_MAX))}`;
  const next = /["{}[\],]/g;
  for (let from = 0; from < text.length; ) {
    next.lastIndex = from;
    const at = next.exec(text)?.index ?? text.length;
    parts.push(text.slice(from, at).trim());
    const sign = text[at];
    from = at + 1;
    if (sign === undefined) break;
    if (sign === '"') {
      const end = findStringEnd(text, from);
      parts.push(text.slice(at, end));
      from = end;
      if (text[from] === ':') {
        parts.push(': ');
        from += 1;
      }
    } else if (sign === ',') parts.push(`,${lineEnd()}`);
    else if (sign === '{' || sign === '[') {
      depth += 1;
      parts.push(sign, lineEnd());
    } else {
      depth = Math.max(0, depth - 1);
      parts.push(lineEnd(), sign);
    }
  }
  return parts.join('');
}

/** Behind the quote that closes the string. */
function findStringEnd(text: string, from: number): number {
  for (let at = from; ; at += 1) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return text.length;
    let slashes = 0;
    while (text[quote - 1 - slashes] === '\\' && quote - 1 - slashes >= from) slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
    at = quote;
  }
}
