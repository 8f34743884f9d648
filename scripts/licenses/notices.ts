/** Licences that stand in comments of a file: of code that was copied into it. */

import { readFileSync } from 'node:fs';

/** A comment longer than this is no notice; the whole MIT License has a thousand characters. */
const NOTICE_CHARACTERS_MAX = 10_000;
const COMMENT = /\/\*[\s\S]*?\*\//g;
const PERMITS = /permission is hereby granted|@license|licensed under|redistribution and use/i;
const COPYRIGHT = /copyright/i;

/** The comments of a file that give a licence, without those whose holders `known` names already. */
export function readNotices(file: string, known: readonly string[]): string[] {
  if (!/\.[cm]?[jt]s$/.test(file)) return [];
  return [...readFileSync(file, 'utf8').matchAll(COMMENT)]
    .map(([comment]) => comment)
    .filter((comment) => comment.length <= NOTICE_CHARACTERS_MAX)
    .filter((comment) => PERMITS.test(comment) && COPYRIGHT.test(comment))
    .map(toNotice)
    .filter((notice) => !isKnown(notice, known));
}

/** The comment without its stars. */
function toNotice(comment: string): string {
  return comment
    .replace(/^\/\*+!?/, '')
    .replace(/\*\/$/, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\*? ?/, '').trimEnd())
    .join('\n')
    .trim();
}

function isKnown(notice: string, known: readonly string[]): boolean {
  const lines = notice.split('\n').filter((line) => /copyright\b.*(?:\d{4}|\(c\))/i.test(line));
  const texts = known.map(toComparable);
  return lines.length > 0 && lines.every((line) => texts.some((text) => text.includes(toComparable(line))));
}

function toComparable(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z0-9]+/g, ' ');
}
