/**
 * The documentation as a site: plain files, made from `docs/*.md`, which ask nothing of anybody but the server that they come from.
 *
 * `buildSite` runs when the executable is built, and when a server that runs from the source is first asked for a page: it is imported as a
 * macro by `src/routes/site-assets.ts`. So it is synchronous, and what it answers is plain.
 */

import { existsSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { type NavigationEntry, toDocument } from './layout.ts';
import { isListed, type Page, ROOT, readPages, SITE_PATH } from './pages.ts';
import { type Rendered, renderPage, resolveLink } from './render.ts';
import { toSearchIndex } from './search-index.ts';

export interface TextFile {
  /** Without what follows a semicolon: `text/html`. */
  readonly type: string;
  readonly text: string;
}

export interface BinaryFile {
  readonly type: string;
  readonly bytes: Uint8Array;
}

export type SiteFile = TextFile | BinaryFile;

export interface PackedFile {
  readonly type: string;
  /** A strong validator, with its quotes. */
  readonly etag: string;
  /** Of the style sheet within a picture, as a policy names it: who opens the picture by itself needs it. */
  readonly styleHash: string | null;
  /** The file, compressed by gzip, in Base64. */
  readonly gzip: string;
}

export const INDEX_PATH = `${SITE_PATH}/search.json`;
/** The page for what is not there; served under no path of its own. */
export const MISSING_PATH = `${SITE_PATH}/404`;

const ASSETS: readonly (readonly [string, string])[] = Object.freeze([
  ['style.css', 'text/css'],
  ['theme.js', 'text/javascript'],
  ['page.js', 'text/javascript'],
  ['search.js', 'text/javascript'],
  ['icon.svg', 'image/svg+xml'],
]);
/** Where the pages' pictures are: those that are shown are served. */
const PICTURES = 'docs/pictures/';
const PICTURE_TYPES: Readonly<Record<string, string>> = Object.freeze({
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
});
const GZIP_LEVEL = 9;
const ETAG_CHARACTERS = 22;

/** All files, by the path that they are served under. */
export function makeSite(root: string = ROOT): Map<string, SiteFile> {
  const read = readPages(root);
  const paths = new Map(read.map(({ file, path }) => [file, path]));
  const shown = new Set<string>();
  const showPicture = (file: string, href: string): string | null => {
    const picture = resolveLink(file, href)?.file;
    if (picture === undefined || !picture.startsWith(PICTURES) || !existsSync(join(root, picture)))
      return null;
    shown.add(picture);
    return toPicturePath(picture);
  };
  const pages = read.map((page) => ({ ...page, rendered: render(page, paths, showPicture) }));
  const navigation = pages
    .filter(isListed)
    .map(({ group, path, rendered }) => ({ group, path, title: rendered.title }));
  const files = new Map<string, SiteFile>();
  for (const [number, page] of pages.entries()) {
    files.set(page.path, { type: 'text/html', text: toPageText(page, navigation, number) });
  }
  files.set(MISSING_PATH, { type: 'text/html', text: toMissingText(navigation) });
  files.set(INDEX_PATH, { type: 'application/json', text: JSON.stringify(toSearchIndex(pages)) });
  for (const [name, type] of ASSETS) {
    const text = readFileSync(join(import.meta.dir, 'browser', name), 'utf8');
    files.set(`${SITE_PATH}/assets/${name}`, { type, text });
  }
  for (const picture of [...shown].sort()) files.set(toPicturePath(picture), readPicture(root, picture));
  return files;
}

/** The same, as small as can be served. */
export function buildSite(): Record<string, PackedFile> {
  return Object.fromEntries([...makeSite()].map(([path, file]) => [path, pack(file)]));
}

function toPicturePath(picture: string): string {
  return `${SITE_PATH}/pictures/${picture.slice(PICTURES.length)}`;
}

function readPicture(root: string, picture: string): SiteFile {
  const type = PICTURE_TYPES[extname(picture)];
  if (type === undefined) throw new Error(`${picture} is of no kind that the site knows.`);
  const bytes = readFileSync(join(root, picture));
  return type === 'image/svg+xml' ? { type, text: bytes.toString('utf8') } : { type, bytes };
}

export function toBytes(file: SiteFile): Uint8Array<ArrayBuffer> {
  return new Uint8Array('text' in file ? Buffer.from(file.text) : file.bytes);
}

function pack(file: SiteFile): PackedFile {
  const bytes = toBytes(file);
  const hash = new Bun.CryptoHasher('sha256').update(bytes).digest('base64url').slice(0, ETAG_CHARACTERS);
  return {
    type: file.type,
    etag: `"${hash}"`,
    styleHash: 'text' in file ? toStyleHash(file) : null,
    gzip: Buffer.from(Bun.gzipSync(bytes, { level: GZIP_LEVEL })).toString('base64'),
  };
}

function toStyleHash({ type, text }: TextFile): string | null {
  const style = type === 'image/svg+xml' ? /<style>([\s\S]*?)<\/style>/.exec(text)?.[1] : undefined;
  if (style === undefined) return null;
  return `sha256-${new Bun.CryptoHasher('sha256').update(style).digest('base64')}`;
}

/** Where a picture of a page is served; null where there is none. */
type ShowPicture = (file: string, href: string) => string | null;

function render(
  { text, file }: Page,
  paths: ReadonlyMap<string, string>,
  showPicture: ShowPicture,
): Rendered {
  const toHref = (href: string): string | null => {
    const link = resolveLink(file, href);
    if (link === null) return href;
    const path = link.file === file ? '' : paths.get(link.file);
    if (path === undefined) return null;
    return link.anchor === '' ? path : `${path}#${link.anchor}`;
  };
  return renderPage(text, file, toHref, (href) => showPicture(file, href));
}

function toPageText(
  { path, rendered }: { readonly path: string; readonly rendered: Rendered },
  navigation: readonly NavigationEntry[],
  number: number,
): string {
  const { title, html, headings } = rendered;
  const [previous = null, next = null] = [navigation[number - 1], navigation[number + 1]];
  return toDocument({ title, path, html, headings, navigation, previous, next });
}

function toMissingText(navigation: readonly NavigationEntry[]): string {
  const html = '<h1>There is no such page</h1>\n<p>The search above looks through all that there are.</p>\n';
  const title = 'Not found';
  return toDocument({ title, path: null, html, headings: [], navigation, previous: null, next: null });
}
