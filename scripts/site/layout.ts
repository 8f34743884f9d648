/**
 * What stands around every page: head, search, navigation, contents. No script and no style is written into a page. Its own ids begin with a
 * capital: those of headings never do.
 */

import { escapeHtml } from './highlight.ts';
import type { Heading } from './render.ts';

export interface NavigationEntry {
  readonly group: string;
  readonly title: string;
  readonly path: string;
}

export interface Shell {
  readonly title: string;
  /** Of the page itself; null for one that has no place of its own. */
  readonly path: string | null;
  readonly html: string;
  readonly headings: readonly Heading[];
  readonly navigation: readonly NavigationEntry[];
  readonly previous: NavigationEntry | null;
  readonly next: NavigationEntry | null;
}

const NAME = 'understudy';
const CONTENTS_LEVEL_MAX = 3;
/** Fewer need no table of contents. */
const CONTENTS_MIN = 2;

export function toDocument(shell: Shell): string {
  const { title, path, html, headings, navigation } = shell;
  const nav = toNavigation(navigation, path);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title === NAME ? NAME : `${escapeHtml(title)} · ${NAME}`}</title>
<link rel="icon" href="/docs/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/docs/assets/style.css">
<script src="/docs/assets/theme.js"></script>
<script src="/docs/assets/page.js" type="module"></script>
</head>
<body>
<a class="skip" href="#Content">To the content</a>
<header>
<a class="name" href="/docs">${NAME}</a>
<search>
<input id="Search" type="search" placeholder="Search" aria-label="Search the documentation" autocomplete="off" spellcheck="false" role="combobox" aria-expanded="false" aria-controls="Hits" aria-autocomplete="list" disabled>
<kbd aria-hidden="true">/</kbd>
<div id="Hits" role="listbox" aria-label="What was found" hidden></div>
</search>
<button id="Theme" type="button" aria-label="Dark or light" hidden></button>
</header>
<details class="menu"><summary>All pages</summary>${nav}</details>
<div class="columns">
<div class="side">${nav}</div>
<main id="Content">
<article>
${html}</article>
${toNeighbours(shell)}
</main>
${toContents(headings)}
</div>
</body>
</html>
`;
}

function toNavigation(entries: readonly NavigationEntry[], current: string | null): string {
  const groups = [...new Set(entries.map(({ group }) => group))];
  const toLink = ({ path, title }: NavigationEntry) =>
    `<li><a href="${path}"${path === current ? ' aria-current="page"' : ''}>${escapeHtml(title)}</a></li>`;
  const lists = groups.map((group) => {
    const links = entries.filter((entry) => entry.group === group).map(toLink);
    return `<p>${escapeHtml(group)}</p><ul>${links.join('')}</ul>`;
  });
  return `<nav aria-label="Pages">${lists.join('')}</nav>`;
}

function toContents(headings: readonly Heading[]): string {
  const shown = headings.filter(({ level }) => level > 1 && level <= CONTENTS_LEVEL_MAX);
  if (shown.length < CONTENTS_MIN) return '<div class="contents"></div>';
  const links = shown.map(
    ({ level, anchor, text }) => `<li class="l${level}"><a href="#${anchor}">${escapeHtml(text)}</a></li>`,
  );
  return `<div class="contents"><nav aria-label="On this page"><p>On this page</p><ul>${links.join('')}</ul></nav></div>`;
}

function toNeighbours({ previous, next }: Shell): string {
  const toLink = (entry: NavigationEntry | null, rel: string, mark: string) =>
    entry === null
      ? '<span></span>'
      : `<a rel="${rel}" href="${entry.path}"><small>${mark}</small>${escapeHtml(entry.title)}</a>`;
  return `<nav class="neighbours" aria-label="Next pages">${toLink(previous, 'prev', 'Before')}${toLink(next, 'next', 'Next')}</nav>`;
}
