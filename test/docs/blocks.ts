/** The code blocks of the pages, and what they hold. */

import { Marked, type Token, type Tokens } from 'marked';
import type { Page } from '../../scripts/site/pages.ts';

export interface Block {
  /** `docs/start.md, block 3`. */
  readonly name: string;
  /** `ts`, `sh`; empty where it is not said. */
  readonly language: string;
  /** What stands behind the language: `before`. */
  readonly marks: readonly string[];
  readonly text: string;
}

export function readBlocks({ file, text }: Page): Block[] {
  const blocks: Block[] = [];
  const marked = new Marked();
  marked.walkTokens(marked.lexer(text), (token: Token) => {
    if (token.type !== 'code') return;
    const { lang = '', text } = token as Tokens.Code;
    const [language = '', ...marks] = lang.split(/\s+/);
    blocks.push({ name: `${file}, block ${blocks.length + 1}`, language, marks, text });
  });
  return blocks;
}

/** The texts between single backticks. */
export function readCodeSpans({ text }: Page): string[] {
  const spans: string[] = [];
  const marked = new Marked();
  marked.walkTokens(marked.lexer(text), (token: Token) => {
    if (token.type === 'codespan') spans.push((token as Tokens.Codespan).text);
  });
  return spans;
}

/**
 * The arguments of every call of the program in a shell block: `understudy …`, `dist/understudy …` or `npm start -- …`, with variables in front or
 * without.
 */
export function findCalls(script: string): string[][] {
  return script
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .flatMap((line) => line.replace(/(^|\s)#.*$/, '').split(/&&|\|\||[;|]/))
    .map((command) => command.trim().split(/\s+/))
    .flatMap((words) => {
      const [program = '', ...rest] = words.slice(words.findIndex((word) => !/^[A-Z][A-Z0-9_]*=/.test(word)));
      if (/(^|\/)understudy$/.test(program)) return [rest];
      return program === 'npm' && rest[0] === 'start' ? [rest.slice(rest[1] === '--' ? 2 : 1)] : [];
    })
    .map((words) => words.slice(0, findEnd(words)));
}

/** Where a redirection begins. */
function findEnd(words: readonly string[]): number {
  const end = words.findIndex((word) => /^\d?[<>]/.test(word));
  return end < 0 ? words.length : end;
}
