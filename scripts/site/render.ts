/** A page of Markdown as HTML, with what its navigation and the search want to know of it. */

import { posix } from 'node:path';
import { Marked, type Token, type Tokens } from 'marked';
import { escapeHtml, highlight } from './highlight.ts';
import { createSlugs, type ToSlug } from './slugs.ts';

export interface Heading {
  readonly level: number;
  readonly text: string;
  readonly anchor: string;
}

/** What the search finds: a section under its heading, or one row of a table. */
export interface Entry {
  /** Empty for the beginning of the page. */
  readonly anchor: string;
  /** From the page's title down: `Configuration`, `Settings`, `--port NUMBER`. */
  readonly headings: readonly string[];
  readonly text: string;
}

export interface Rendered {
  readonly title: string;
  readonly html: string;
  readonly headings: readonly Heading[];
  readonly entries: readonly Entry[];
}

/** Where a link of a page leads on the site; null where what it names is not there. */
export type ToHref = (href: string) => string | null;

/** `file` names the page in errors; `toSource` says where a picture is. Errors: a page without a title; a picture that is nowhere. */
export function renderPage(
  markdown: string,
  file: string,
  toHref: ToHref,
  toSource: ToHref = toHref,
): Rendered {
  const marked = new Marked({ gfm: true });
  const tokens = marked.lexer(markdown);
  const page = new PageReader(file);
  marked.use({
    renderer: {
      heading({ tokens: inline, depth }) {
        const anchor = page.takeAnchor();
        const link = `<a class="anchor" href="#${anchor}" aria-label="Link to this section">#</a>`;
        return `<h${depth} id="${anchor}">${this.parser.parseInline(inline)}${depth > 1 ? link : ''}</h${depth}>\n`;
      },
      link({ href, tokens: inline }) {
        const text = this.parser.parseInline(inline);
        const target = toHref(href);
        if (target === null)
          return `<span class="file" title="${escapeHtml(href)}, in the project's folder">${text}</span>`;
        return `<a href="${escapeHtml(target)}"${/^https?:/.test(target) ? ' rel="noreferrer"' : ''}>${text}</a>`;
      },
      image({ href, text }) {
        const source = toSource(href);
        if (source === null) throw new Error(`${file} shows ${href}, which is not there.`);
        if (text === '') throw new Error(`${file} does not say what ${href} shows.`);
        return `<img src="${escapeHtml(source)}" alt="${escapeHtml(text)}">`;
      },
      code({ text, lang }) {
        const language = (lang ?? '').split(/\s/)[0] ?? '';
        return `<div class="code"><pre><code>${highlight(text, language)}\n</code></pre></div>\n`;
      },
      table(table) {
        const toCells = (cells: readonly Tokens.TableCell[], tag: string) =>
          cells.map((cell) => `<${tag}>${this.parser.parseInline(cell.tokens)}</${tag}>`).join('');
        const rows = table.rows.map((row) => `<tr id="${page.takeAnchor()}">${toCells(row, 'td')}</tr>`);
        return `<div class="table" tabindex="0" role="region" aria-label="Table"><table><thead><tr>${toCells(table.header, 'th')}</tr></thead><tbody>\n${rows.join('\n')}\n</tbody></table></div>\n`;
      },
      // Only notes for whoever makes the page are written as HTML.
      html: ({ text }) => {
        if (text.replaceAll(/<!--[\s\S]*?-->/g, '').trim() !== '')
          throw new Error(`${file} has HTML in it: ${text}`);
        return '';
      },
    },
  });
  page.read(tokens);
  return page.finish(marked.parser(tokens));
}

/** Goes through the page once: what is rendered then takes the anchors in the same order. */
class PageReader {
  readonly #file: string;
  readonly #toSlug: ToSlug = createSlugs();
  readonly #rowSlugs: ToSlug = createSlugs();
  readonly #anchors: string[] = [];
  readonly #headings: Heading[] = [];
  readonly #entries: { anchor: string; headings: string[]; text: string }[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  read(tokens: readonly Token[]): void {
    const path: Heading[] = [];
    for (const token of tokens) {
      if (token.type === 'heading') {
        const { tokens: inline, depth } = token as Tokens.Heading;
        const text = toText(inline);
        const heading = { level: depth, text, anchor: this.#toSlug(text) };
        while ((path.at(-1)?.level ?? 0) >= depth) path.pop();
        path.push(heading);
        this.#anchors.push(heading.anchor);
        this.#headings.push(heading);
        this.#entries.push({
          anchor: depth === 1 ? '' : heading.anchor,
          headings: path.map(({ text }) => text),
          text: '',
        });
      } else if (token.type === 'table') {
        this.#readTable(token as Tokens.Table, path);
      } else {
        this.#addText(toText([token]));
      }
    }
  }

  #readTable(table: Tokens.Table, path: readonly Heading[]): void {
    this.#addText(table.header.map((cell) => toText(cell.tokens)).join(' · '));
    const section = this.#entries.length - 1;
    for (const row of table.rows) {
      const [name = '', ...rest] = row.map((cell) => toText(cell.tokens));
      const anchor = this.#rowSlugs(`${path.at(-1)?.anchor ?? ''} ${name || 'row'}`);
      const anchored = `row-${anchor}`;
      this.#anchors.push(anchored);
      const text = rest.filter((cell) => cell !== '').join(' · ');
      this.#entries.push({ anchor: anchored, headings: [...path.map(({ text }) => text), name], text });
    }
    // What follows the table belongs to the section again.
    const [entry] = this.#entries.splice(section, 1);
    if (entry !== undefined) this.#entries.push(entry);
  }

  #addText(text: string): void {
    const entry = this.#entries.at(-1);
    if (entry !== undefined && text.trim() !== '') entry.text = `${entry.text} ${text.trim()}`.trim();
  }

  takeAnchor(): string {
    const anchor = this.#anchors.shift();
    if (anchor === undefined)
      throw new Error(`${this.#file} has a heading or a table within something else.`);
    return anchor;
  }

  finish(html: string): Rendered {
    const [first] = this.#headings;
    if (first?.level !== 1) throw new Error(`${this.#file} does not begin with a title.`);
    if (this.#anchors.length > 0) throw new Error(`${this.#file} has headings that were not rendered.`);
    return { title: first.text, html, headings: this.#headings, entries: this.#entries };
  }
}

/** What a reader sees, without its marks. */
export function toText(tokens: readonly Token[]): string {
  return tokens.map(toTokenText).join('').replaceAll(/\s+/g, ' ');
}

function toTokenText(token: Token): string {
  if (token.type === 'html' || token.type === 'def') return '';
  if (token.type === 'br' || token.type === 'space') return ' ';
  if (token.type === 'list')
    return (token as Tokens.List).items.map((item) => `${toText(item.tokens)} `).join('');
  if (token.type === 'codespan' || token.type === 'code') return token.text;
  if ('tokens' in token && token.tokens !== undefined) return toText(token.tokens);
  return 'text' in token ? unescapeHtml(token.text) : token.raw;
}

/** Text may have been written with entities. */
function unescapeHtml(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&');
}

/** Where a relative link of a file leads, from the project's folder, with its anchor; null for a link that is not relative. */
export function resolveLink(file: string, href: string): { file: string; anchor: string } | null {
  if (/^[a-z][a-z0-9+.-]*:/i.test(href) || href.startsWith('/')) return null;
  const [path = '', anchor = ''] = href.split('#');
  return { file: path === '' ? file : posix.join(posix.dirname(file), path), anchor };
}
