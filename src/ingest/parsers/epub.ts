/** Books: the chapters in their order, each read as the page of HTML that it is. */

import { DocumentError } from '../document-reader.ts';
import { createTextBuilder, type ReadText, toLine } from '../read-text.ts';
import { writeHtml } from './html.ts';
import { toPath } from './office-parts.ts';
import { readXmlText } from './xml-events.ts';
import type { Zip } from './zip.ts';

const CHAPTERS_MAX = 20_000;

export async function readEpub(zip: Zip): Promise<ReadText> {
  const packagePart = findPackage(zip);
  const { title, chapters, contents } = readPackage(zip, packagePart);
  const encrypted = findEncrypted(zip);
  if (chapters.some((part) => encrypted.has(part))) {
    throw new DocumentError('invalid_file', 'The book is encrypted (DRM).');
  }
  const builder = createTextBuilder();
  const names = contents === null ? new Map<string, string>() : readContents(zip, contents);
  for (const part of chapters) {
    const bytes = zip.readBytes(part);
    if (bytes === null) continue;
    const before = builder.length;
    const chapter = createTextBuilder();
    writeHtml(new TextDecoder().decode(bytes), chapter);
    const { headings, text } = chapter.finish();
    if (text.trim() === '') continue;
    // A chapter that has no heading of its own goes by its name in the table of contents.
    const name = names.get(part);
    if (headings.length === 0 && name !== undefined && before === builder.length) builder.heading(1, name);
    writeHtml(new TextDecoder().decode(bytes), builder);
  }
  return builder.finish(title);
}

function findPackage(zip: Zip): string {
  let path = '';
  readXmlText(zip.readSmall('META-INF/container.xml') ?? '', {
    open(name, attributes) {
      if (name === 'rootfile' && path === '') path = attributes['full-path'] ?? '';
    },
  });
  if (!zip.has(path))
    throw new DocumentError('invalid_file', 'The book is corrupt: it does not say what its parts are.');
  return path;
}

interface Package {
  readonly title: string | null;
  readonly chapters: readonly string[];
  /** The part with the table of contents. */
  readonly contents: string | null;
}

function readPackage(zip: Zip, part: string): Package {
  const folder = part.slice(0, part.lastIndexOf('/') + 1);
  const items = new Map<string, { path: string; isText: boolean }>();
  const order: string[] = [];
  let title: string | null = null;
  let isTitle = false;
  let contents: string | null = null;
  readXmlText(zip.readSmall(part) ?? '', {
    open(name, attributes) {
      if (name === 'item') {
        const path = toPath(folder, safeDecode(attributes.href ?? ''));
        const type = attributes['media-type'] ?? '';
        items.set(attributes.id ?? '', { path, isText: /html|xml$/.test(type) && !/ncx|svg/.test(type) });
        if (/ncx/.test(type) || attributes.properties === 'nav') contents = path;
      } else if (name === 'itemref' && order.length < CHAPTERS_MAX) order.push(attributes.idref ?? '');
      else if (name === 'title' && title === null) isTitle = true;
    },
    close(name) {
      if (name === 'title') isTitle = false;
    },
    text(text) {
      if (isTitle) title = (title ?? '') + text;
    },
  });
  const chapters = order.flatMap((id) => {
    const item = items.get(id);
    return item?.isText === true ? [item.path] : [];
  });
  return { title, chapters, contents };
}

function safeDecode(href: string): string {
  try {
    return decodeURIComponent(href);
  } catch {
    return href;
  }
}

/** Names of parts in the table of contents, of either of its two forms: the first of each part. */
function readContents(zip: Zip, part: string): Map<string, string> {
  const folder = part.slice(0, part.lastIndexOf('/') + 1);
  const names = new Map<string, string>();
  let text = '';
  const add = (href: string): void => {
    const target = toPath(folder, safeDecode(href.split('#')[0] ?? ''));
    if (!names.has(target) && toLine(text) !== '') names.set(target, toLine(text));
  };
  let href = '';
  readXmlText(zip.readSmall(part) ?? '', {
    open(name, attributes) {
      if (name === 'navPoint') text = '';
      else if (name === 'a') {
        text = '';
        href = attributes.href ?? '';
      } else if (name === 'content') add(attributes.src ?? '');
    },
    close(name) {
      if (name === 'a') add(href);
    },
    text(value) {
      text += value;
    },
  });
  return names;
}

/** Parts that a key is needed for. Fonts that are only scrambled are among them, too, and no chapters. */
function findEncrypted(zip: Zip): Set<string> {
  const parts = new Set<string>();
  readXmlText(zip.readSmall('META-INF/encryption.xml') ?? '', {
    open(name, attributes) {
      if (name === 'CipherReference') parts.add(toPath('', safeDecode(attributes.URI ?? '')));
    },
  });
  return parts;
}
