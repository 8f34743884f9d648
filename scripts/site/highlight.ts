/** Colours for code, made when the site is built: comments, strings and the words of a language. */

const WORDS = Object.freeze({
  ts: 'as async await break case catch class const continue default else export extends false finally for from function if import in interface let new null of return switch throw true try type undefined while',
  python:
    'and as assert async await break class continue def elif else except False finally for from if import in is lambda None not or pass raise return True try while with yield',
  sh: 'case do done elif else esac export fi for if in then while',
  yaml: 'false null true',
  json: 'false null true',
});

type Language = keyof typeof WORDS;

const ALIASES: Readonly<Record<string, Language>> = Object.freeze({
  ts: 'ts',
  typescript: 'ts',
  js: 'ts',
  javascript: 'ts',
  python: 'python',
  py: 'python',
  sh: 'sh',
  bash: 'sh',
  yaml: 'yaml',
  json: 'json',
});

const SLASH_COMMENT = String.raw`\/\/[^\n]*|\/\*[\s\S]*?\*\/`;
const HASH_COMMENT = String.raw`(?<=^|\s)#[^\n]*`;
const STRING = String.raw`"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'`;

/** HTML. Text of an unknown language is only escaped. */
export function highlight(code: string, name: string): string {
  const language = ALIASES[name];
  if (language === undefined) return escapeHtml(code);
  const comment = language === 'ts' ? SLASH_COMMENT : language === 'json' ? '(?!)' : HASH_COMMENT;
  const string = language === 'ts' ? `${STRING}|\`(?:[^\`\\\\]|\\\\.)*\`` : STRING;
  const words = new Set(WORDS[language].split(' '));
  const parts = new RegExp(`(?<comment>${comment})|(?<string>${string})|(?<word>[A-Za-z_][\\w-]*)`, 'gm');
  let html = '';
  let end = 0;
  for (const match of code.matchAll(parts)) {
    const { comment, string, word } = match.groups ?? {};
    const kind =
      comment !== undefined ? 'c' : string !== undefined ? 's' : words.has(word ?? '') ? 'k' : null;
    html += escapeHtml(code.slice(end, match.index));
    html += kind === null ? escapeHtml(match[0]) : `<span class="${kind}">${escapeHtml(match[0])}</span>`;
    end = match.index + match[0].length;
  }
  return html + escapeHtml(code.slice(end));
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
