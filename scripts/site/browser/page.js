/** What a page of the documentation does in the reader's browser: search, copy, theme. It works without, too. */

import { createSearch, fold, toWords } from './search.js';

const HITS_MAX = 12;
const EXCERPT_BEFORE = 60;
const EXCERPT_MAX = 180;
const COPIED_MS = 1500;

/**
 * @template {Element} T
 * @param {string} selector
 * @param {new () => T} kind
 */
function find(selector, kind) {
  const element = document.querySelector(selector);
  return element instanceof kind ? element : null;
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {(Node | string)[]} children
 */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

/** The index is fetched when the search is first wanted. */
function createLazySearch() {
  /** @type {Promise<ReturnType<typeof createSearch>> | null} */
  let search = null;
  return () => {
    search ??= fetch('/docs/search.json').then(async (answer) => {
      if (!answer.ok) throw new Error(`The search index cannot be had (${answer.status}).`);
      return createSearch(await answer.json());
    });
    // What failed is tried again with the next letter.
    search.catch(() => {
      search = null;
    });
    return search;
  };
}

/**
 * The text with what was asked for marked: each word of it that begins with one of the question's.
 * @param {string} text
 * @param {readonly string[]} asked
 */
function mark(text, asked) {
  const parts = text.split(/([\p{L}\p{N}\p{M}]+)/u);
  return parts.map((part, at) => {
    const begun = at % 2 === 1 ? asked.find((word) => fold(part).startsWith(word)) : undefined;
    return begun === undefined ? part : make('mark', '', part);
  });
}

/**
 * A piece of the text around the first word that was asked for.
 * @param {string} text
 * @param {readonly string[]} asked
 */
function toExcerpt(text, asked) {
  const places = asked.map((word) => fold(text).indexOf(word)).filter((place) => place >= 0);
  const place = places.length === 0 ? 0 : Math.min(...places);
  const start = place <= EXCERPT_BEFORE ? 0 : text.indexOf(' ', place - EXCERPT_BEFORE) + 1;
  const piece = text.slice(start, start + EXCERPT_MAX);
  return `${start > 0 ? '… ' : ''}${piece}${start + EXCERPT_MAX < text.length ? ' …' : ''}`;
}

/**
 * @param {import('./search.js').Hit} hit
 * @param {readonly string[]} asked
 * @param {number} number
 */
function toOption(hit, asked, number) {
  const link = document.createElement('a');
  link.href = hit.href;
  link.id = `Hit-${number}`;
  link.setAttribute('role', 'option');
  link.tabIndex = -1;
  const path = hit.headings.slice(0, -1).join(' › ');
  link.append(
    make('strong', '', ...mark(hit.headings.at(-1) ?? hit.title, asked)),
    make('span', 'path', path),
    make('span', 'text', ...mark(toExcerpt(hit.text, asked), asked)),
  );
  return link;
}

/**
 * What was found, below the field: shown, gone through by the arrow keys, and closed.
 * @param {HTMLInputElement} input
 * @param {HTMLElement} list
 */
function createHitList(input, list) {
  let chosen = -1;
  const forget = () => {
    chosen = -1;
    input.removeAttribute('aria-activedescendant');
  };
  return {
    close() {
      forget();
      list.hidden = true;
      input.setAttribute('aria-expanded', 'false');
    },
    /** @param {readonly Node[]} nodes */
    show(nodes) {
      forget();
      list.replaceChildren(...nodes);
      list.hidden = false;
      input.setAttribute('aria-expanded', 'true');
    },
    /** @param {1 | -1} step */
    move(step) {
      const options = [...list.querySelectorAll('a')];
      if (options.length === 0) return;
      const from = chosen < 0 && step < 0 ? 0 : chosen;
      chosen = (from + step + options.length) % options.length;
      for (const [at, option] of options.entries())
        option.setAttribute('aria-selected', String(at === chosen));
      options[chosen]?.scrollIntoView({ block: 'nearest' });
      input.setAttribute('aria-activedescendant', `Hit-${chosen}`);
    },
    /** Goes to what is chosen, or to the first. */
    follow() {
      if (!list.hidden) list.querySelectorAll('a')[Math.max(chosen, 0)]?.click();
    },
  };
}

/**
 * @param {HTMLInputElement} input
 * @param {HTMLElement} list
 */
function startSearch(input, list) {
  const getSearch = createLazySearch();
  const shown = createHitList(input, list);
  const answer = async () => {
    const question = input.value;
    const asked = toWords(question);
    if (asked.length === 0) return shown.close();
    /** @type {Node[]} */
    let nodes;
    try {
      const found = (await getSearch())(question, HITS_MAX);
      nodes = found.map((hit, number) => toOption(hit, asked, number));
      if (nodes.length === 0) nodes = [make('p', '', 'Nothing was found.')];
    } catch {
      nodes = [make('p', '', 'The search does not answer now.')];
    }
    // A later letter may have been answered before.
    if (input.value === question) shown.show(nodes);
  };
  input.disabled = false;
  input.addEventListener('focus', () => {
    getSearch().catch(() => {});
    if (input.value !== '') answer();
  });
  input.addEventListener('input', answer);
  input.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') shown.move(1);
    else if (event.key === 'ArrowUp') shown.move(-1);
    else if (event.key === 'Enter') shown.follow();
    else if (event.key === 'Escape') {
      shown.close();
      input.blur();
    } else return;
    event.preventDefault();
  });
  document.addEventListener('click', ({ target }) => {
    if (target instanceof Node && target !== input) shown.close();
  });
  focusByKey(input);
}

/**
 * By `/`, as long as nothing is typed elsewhere, and by Ctrl-K.
 * @param {HTMLInputElement} input
 */
function focusByKey(input) {
  document.addEventListener('keydown', (event) => {
    const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
    const isSlash = event.key === '/' && !isTyping;
    if (!isSlash && !(event.key === 'k' && (event.ctrlKey || event.metaKey))) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
}

function addCopyButtons() {
  for (const block of document.querySelectorAll('.code')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'copy';
    button.textContent = 'Copy';
    button.addEventListener('click', async () => {
      const text = block.querySelector('code')?.textContent ?? '';
      button.textContent = await copy(text.replace(/\n$/, ''));
      setTimeout(() => {
        button.textContent = 'Copy';
      }, COPIED_MS);
    });
    block.append(button);
  }
}

/**
 * Says what came of it. Browsers copy for pages of this machine, and for those that came over TLS.
 * @param {string} text
 */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return 'Copied';
  } catch {
    return 'Not allowed';
  }
}

/** @param {HTMLButtonElement} button */
function startTheme(button) {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => {
    const { theme } = document.documentElement.dataset;
    return theme === undefined ? system.matches : theme === 'dark';
  };
  const show = () => {
    button.textContent = isDark() ? 'Light' : 'Dark';
  };
  button.hidden = false;
  button.addEventListener('click', () => {
    const theme = isDark() ? 'light' : 'dark';
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem('theme', theme);
    } catch {
      // The choice then holds for this page.
    }
    show();
  });
  system.addEventListener('change', show);
  show();
}

const input = find('#Search', HTMLInputElement);
const hits = find('#Hits', HTMLElement);
if (input !== null && hits !== null) startSearch(input, hits);
const themeButton = find('#Theme', HTMLButtonElement);
if (themeButton !== null) startTheme(themeButton);
addCopyButtons();
