/** XML of any kind: the text of its elements, those that hold others on lines of their own. */

import { createTextBuilder, type ReadText, toLine } from '../read-text.ts';
import { readXmlText } from './xml-events.ts';

export function readPlainXml(xml: string): ReadText {
  const builder = createTextBuilder();
  let title: string | null = null;
  /** Text since the last line end. */
  let line = '';
  let lineTitle = false;
  /** Of each open element, whether text stands right in it: then what it holds goes on in its line. */
  const mixed: boolean[] = [];

  const endLine = (): void => {
    const shown = toLine(line);
    line = '';
    if (shown === '') return;
    if (lineTitle && title === null) title = shown;
    builder.write(`${shown}\n`);
  };
  readXmlText(withoutDoctype(xml), {
    open() {
      mixed.push(false);
    },
    close(name) {
      mixed.pop();
      lineTitle = name === 'title';
      if (mixed.at(-1) !== true) endLine();
    },
    text(value) {
      if (value.trim() !== '' && mixed.length > 0) mixed[mixed.length - 1] = true;
      line += value;
    },
  });
  endLine();
  return builder.finish(title);
}

/** Declarations of entities are text to the parser, and are not the document's. */
export function withoutDoctype(xml: string): string {
  const start = xml.slice(0, 4096).indexOf('<!DOCTYPE');
  if (start < 0) return xml;
  const close = xml.indexOf('>', start);
  const bracket = xml.indexOf('[', start);
  if (bracket < 0 || (close >= 0 && close < bracket)) return xml;
  const end = /\]\s*>/.exec(xml.slice(bracket));
  return end === null
    ? xml.slice(0, start)
    : xml.slice(0, start) + xml.slice(bracket + end.index + end[0].length);
}
