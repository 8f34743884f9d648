/**
 * The few marks that models write – paragraphs, lists, headings, bold, code – as elements of the page. Everything else is text: the
 * page never takes what a model says for HTML.
 *
 * @typedef {{ kind: 'paragraph' | 'heading' | 'code', text: string } | { kind: 'bullets' | 'numbers', items: string[] }} Block
 */

/** A citation within a text is one character of the private range: this one plus its place among the citations. */
const CITATION_BASE = 0xe000;
/** As many as there are characters. */
export const CITATIONS_MAX = 0x1900;
const INLINE = /(\*\*[^*\n]+\*\*|`[^`\n]+`|[\uE000-\uF8FF])/;

/** @param {number} place Less than `CITATIONS_MAX`. */
export function toCitationCharacter(place) {
  return String.fromCharCode(CITATION_BASE + place);
}

/**
 * What a model says, without characters that would be taken for citations.
 * @param {string} text
 */
export function removeCitationCharacters(text) {
  return text.replace(/[\uE000-\uF8FF]/g, '');
}

/**
 * @param {string} text
 * @returns {Block[]}
 */
export function toBlocks(text) {
  /** @type {Block[]} */
  const blocks = [];
  let isInCode = false;
  let isApart = true;
  for (const line of text.split('\n')) {
    const last = blocks.at(-1);
    if (/^\s*```/.test(line)) {
      isInCode = !isInCode;
      if (isInCode) blocks.push({ kind: 'code', text: '' });
      isApart = true;
    } else if (isInCode && last?.kind === 'code') {
      last.text += last.text === '' ? line : `\n${line}`;
    } else if (line.trim() === '') {
      isApart = true;
    } else {
      addLine(blocks, line, isApart);
      isApart = false;
    }
  }
  return blocks;
}

/**
 * @param {Block[]} blocks
 * @param {string} line
 * @param {boolean} isApart An empty line is before it.
 */
function addLine(blocks, line, isApart) {
  const last = blocks.at(-1);
  const [, heading] = /^#{1,6}\s+(.*)$/.exec(line) ?? [];
  const [, bullet] = /^\s*[-*•]\s+(.*)$/.exec(line) ?? [];
  const [, numbered] = /^\s*\d{1,3}[.)]\s+(.*)$/.exec(line) ?? [];
  const item = bullet ?? numbered;
  const kind = bullet === undefined ? 'numbers' : 'bullets';
  if (heading !== undefined) blocks.push({ kind: 'heading', text: heading });
  else if (item !== undefined && last?.kind === kind) last.items.push(item);
  else if (item !== undefined) blocks.push({ kind, items: [item] });
  else if (last?.kind === 'paragraph' && !isApart) last.text += `\n${line}`;
  else blocks.push({ kind: 'paragraph', text: line });
}

/**
 * @param {Block} block
 * @param {(place: number) => Node} toMark Makes the mark of a citation.
 */
export function toElement(block, toMark) {
  if (block.kind === 'code') {
    const pre = document.createElement('pre');
    pre.textContent = block.text;
    return pre;
  }
  if ('items' in block) {
    const list = document.createElement(block.kind === 'bullets' ? 'ul' : 'ol');
    list.append(...block.items.map((item) => toInline('li', item, toMark)));
    return list;
  }
  return toInline(block.kind === 'heading' ? 'h3' : 'p', block.text, toMark);
}

/**
 * @param {string} tag
 * @param {string} text
 * @param {(place: number) => Node} toMark
 */
function toInline(tag, text, toMark) {
  const element = document.createElement(tag);
  for (const part of text.split(INLINE)) {
    if (/^[\uE000-\uF8FF]$/.test(part)) element.append(toMark(part.charCodeAt(0) - CITATION_BASE));
    else if (part.length > 4 && part.startsWith('**')) element.append(toLeaf('strong', part.slice(2, -2)));
    else if (part.length > 2 && part.startsWith('`')) element.append(toLeaf('code', part.slice(1, -1)));
    else element.append(part);
  }
  return element;
}

/**
 * @param {string} tag
 * @param {string} text
 */
function toLeaf(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
