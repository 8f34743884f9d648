/** XML as events, bounded in depth. Entities that a document declares are not expanded; nothing is fetched. */

import { Parser } from 'htmlparser2';
import { DocumentError } from '../document-reader.ts';

/** Elements within elements. */
export const DEPTH_MAX = 1000;

export type Attributes = Readonly<Record<string, string>>;

export interface XmlHandler {
  /** Names are without their prefix. */
  open?(name: string, attributes: Attributes): void;
  close?(name: string): void;
  text?(text: string): void;
}

export interface XmlReader {
  write(text: string): void;
  end(): void;
}

const toLocal = (name: string): string => name.slice(name.lastIndexOf(':') + 1);

export function createXmlReader(handler: XmlHandler): XmlReader {
  let depth = 0;
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        depth += 1;
        checkDepth(depth);
        handler.open?.(toLocal(name), attributes);
      },
      onclosetag(name) {
        depth -= 1;
        handler.close?.(toLocal(name));
      },
      ontext(text) {
        handler.text?.(text);
      },
    },
    { xmlMode: true, decodeEntities: true },
  );
  return {
    write: (text) => parser.write(text),
    end: () => parser.end(),
  };
}

export function checkDepth(depth: number): void {
  if (depth > DEPTH_MAX) {
    throw new DocumentError('invalid_file', `The file's elements are nested more than ${DEPTH_MAX} deep.`);
  }
}

/** The whole of a part. */
export async function readXml(pieces: AsyncIterable<string>, handler: XmlHandler): Promise<void> {
  const reader = createXmlReader(handler);
  for await (const piece of pieces) reader.write(piece);
  reader.end();
}

export function readXmlText(text: string, handler: XmlHandler): void {
  const reader = createXmlReader(handler);
  reader.write(text);
  reader.end();
}

/** The attribute with this local name, whatever its prefix. */
export function findAttribute(attributes: Attributes, name: string): string | undefined {
  const plain = attributes[name];
  if (plain !== undefined) return plain;
  for (const key in attributes) if (key.endsWith(`:${name}`)) return attributes[key];
  return undefined;
}

/** The text of the first element of this name; null without one. */
export function findElementText(xml: string | null, wanted: string): string | null {
  if (xml === null) return null;
  let found: string | null = null;
  let isOpen = false;
  readXmlText(xml, {
    open(name) {
      if (name !== wanted || found !== null) return;
      isOpen = true;
      found = '';
    },
    close(name) {
      if (name === wanted) isOpen = false;
    },
    text(text) {
      if (isOpen) found = (found ?? '') + text;
    },
  });
  return found;
}
