/** What is in the executable and is no package of npm: code and data that this project, or a package, has copied. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openZip } from '../../src/ingest/parsers/zip.ts';
import { toPlainText } from './packages.ts';

export interface Work {
  readonly name: string;
  readonly version: string | null;
  readonly license: string;
  /** The package that brings it; null where this project does. */
  readonly within: string | null;
  readonly url: string;
  readonly text: string;
}

const CMAPS = 'src/ingest/parsers/pdf-cmaps.zip';
const SNOWBALL = 'src/vector/snowball';
const PDF_JS = 'node_modules/unpdf/dist/pdfjs.mjs';

/** Those whose files are among the inputs. */
export function findWorks(root: string, inputs: readonly string[]): Work[] {
  const works: Work[] = [];
  if (inputs.includes(PDF_JS)) works.push(readPdfJs(root));
  if (inputs.includes(CMAPS)) works.push(readCMaps(root));
  if (inputs.some((path) => path.startsWith(`${SNOWBALL}/`))) works.push(readSnowball(root));
  return works;
}

function readPdfJs(root: string): Work {
  const source = readFileSync(join(root, PDF_JS), 'utf8');
  const [, version = null] = /apiVersion:[`'"](\d+\.\d+\.\d+)[`'"]/.exec(source) ?? [];
  if (version === null) throw new Error(`${PDF_JS} does not say which version of pdf.js it is.`);
  return {
    name: 'pdf.js',
    version,
    license: 'Apache-2.0',
    within: 'unpdf',
    url: `https://github.com/mozilla/pdf.js/blob/v${version}/LICENSE`,
    // The licence itself, which is the same for everybody; pdf.js has no notice beside it.
    text: toPlainText(readFileSync(join(root, 'LICENSE'), 'utf8')),
  };
}

function readCMaps(root: string): Work {
  const archive = openZip(readFileSync(join(root, CMAPS)));
  const bytes = archive.readBytes('LICENSE');
  if (bytes === null) throw new Error(`${CMAPS} has no LICENSE in it.`);
  const lines = new TextDecoder().decode(bytes).split('\n');
  return {
    name: 'Adobe CMap Resources',
    version: null,
    license: 'BSD-3-Clause',
    within: null,
    url: 'https://github.com/adobe-type-tools/cmap-resources',
    text: toPlainText(lines.map((line) => line.replace(/^%%Copyright:( -+$)? ?/, '')).join('\n')),
  };
}

function readSnowball(root: string): Work {
  const source = readFileSync(join(root, SNOWBALL, 'english.js'), 'utf8');
  const [, version = null] = /by Snowball (\d+\.\d+\.\d+)/.exec(source) ?? [];
  return {
    name: 'Snowball',
    version,
    license: 'BSD-3-Clause',
    within: null,
    url: 'https://snowballstem.org/',
    text: toPlainText(readFileSync(join(root, SNOWBALL, 'LICENSE'), 'utf8')),
  };
}
