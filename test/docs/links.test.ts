/** Every link of a page leads somewhere: on the site, and where the Markdown is read. */

import { expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Marked, type Token } from 'marked';
import { makeSite } from '../../scripts/site/build.ts';
import { ROOT, readPages } from '../../scripts/site/pages.ts';
import { renderPage, resolveLink } from '../../scripts/site/render.ts';

const pages = readPages();

function readLinks(text: string): string[] {
  const links: string[] = [];
  const marked = new Marked();
  marked.walkTokens(marked.lexer(text), (token: Token) => {
    if (token.type === 'link' || token.type === 'image') links.push(token.href);
  });
  return links;
}

function findAnchors(file: string): ReadonlySet<string> {
  const { headings } = renderPage(readFileSync(join(ROOT, file), 'utf8'), file, (href) => href);
  return new Set(headings.map(({ anchor }) => anchor));
}

test('every relative link leads to a file of the project, and to a heading of it', () => {
  const found = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md'].map((file) => ({
    file,
    text: readFileSync(join(ROOT, file), 'utf8'),
  }));
  const broken: string[] = [];
  let count = 0;
  for (const { file, text } of [...pages, ...found]) {
    const anchors = new Map<string, ReadonlySet<string>>();
    for (const href of readLinks(text)) {
      const link = resolveLink(file, href);
      if (link === null) continue;
      count++;
      const isThere = existsSync(join(ROOT, link.file));
      if (isThere && link.anchor !== '' && !anchors.has(link.file))
        anchors.set(link.file, findAnchors(link.file));
      const leads = isThere && (link.anchor === '' || anchors.get(link.file)?.has(link.anchor));
      if (!leads) broken.push(`${file}: ${href}`);
    }
  }
  expect(broken).toEqual([]);
  expect(count).toBeGreaterThan(50);
});

test('every address on the site leads to a file of it, and to a place in it', () => {
  const site = makeSite();
  const broken: string[] = [];
  for (const [path, file] of site) {
    if (file.type !== 'text/html' || !('text' in file)) continue;
    const { text } = file;
    for (const [, name = ''] of text.matchAll(/ (?:href|src)="([^"]*)"/g)) {
      const address = name.replaceAll('&amp;', '&');
      if (/^https?:/.test(address)) continue;
      const [target = '', anchor = ''] = address.split('#');
      const found = site.get(target === '' ? path : target);
      const hasAnchor =
        anchor === '' || (found !== undefined && 'text' in found && found.text.includes(` id="${anchor}"`));
      if (found === undefined || !hasAnchor) broken.push(`${path}: ${address}`);
    }
  }
  expect(broken).toEqual([]);
});

test('no page loads anything from elsewhere, and none has a script or a style of its own', () => {
  for (const [path, file] of makeSite()) {
    if (!('text' in file)) continue;
    const { type, text } = file;
    if (type === 'text/css') expect(text, path).not.toMatch(/url\(|@import/);
    if (type !== 'text/html') continue;
    expect(text, path).not.toMatch(/<(?:script|link|img|iframe|source)[^>]+(?:src|href)="(?!\/docs\/)/);
    expect(text, path).not.toMatch(/<script(?![^>]* src=)| style="| on\w+="|<style/);
  }
});

test('no place of a page has the name of another one', () => {
  for (const [path, file] of makeSite()) {
    if (file.type !== 'text/html' || !('text' in file)) continue;
    const { text } = file;
    const ids = [...text.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    expect({ path, twice: ids.filter((id, at) => ids.indexOf(id) !== at) }).toEqual({ path, twice: [] });
  }
});

test('a page that has HTML in it, or no title, is refused', () => {
  expect(() => renderPage('# A\n\n<script>1</script>\n', 'a.md', (href) => href)).toThrow('has HTML in it');
  expect(() => renderPage('text', 'a.md', (href) => href)).toThrow('title');
});
