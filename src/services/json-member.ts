/** Where a member of a JSON object stands in its text, so that it can be changed and nothing else. */

export interface MemberSpan {
  /** Of the value, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

/**
 * The member of the outermost object under this name whose value is a string; of several the last, which is the one that
 * counts. Null where there is none. `text` must be valid JSON.
 */
export function findMember(text: string, name: string): MemberSpan | null {
  let depth = 0;
  let found: MemberSpan | null = null;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
    else if (character === '"') {
      const end = findStringEnd(text, at);
      const start = depth === 1 && isNamed(text, at, end, name) ? findStringAfterColon(text, end) : null;
      if (start === null) {
        at = end - 1;
      } else {
        found = { start, end: findStringEnd(text, start) };
        at = found.end - 1;
      }
    }
  }
  return found;
}

/** Behind the closing quote of the string that opens here. */
function findStringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

function isNamed(text: string, start: number, end: number, name: string): boolean {
  // Names may be written with escapes; those that are much longer cannot be the one.
  if (end - start > name.length * 6 + 2) return false;
  return JSON.parse(text.slice(start, end)) === name;
}

/** The opening quote of a string value; null where no colon follows (a value, not a name), or the value is no string. */
function findStringAfterColon(text: string, from: number): number | null {
  const space = /\s*:\s*"/y;
  space.lastIndex = from;
  return space.test(text) ? space.lastIndex - 1 : null;
}
