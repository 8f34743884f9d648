/**
 * Adobe's tables of character codes for Chinese, Japanese and Korean fonts that a PDF names and does not contain: those
 * that the PDF standard names, and those that lead to Unicode, in the packed form of pdf.js (`pdfjs-dist/cmaps`,
 * licence in the archive).
 */

import archivePath from './pdf-cmaps.zip' with { type: 'file' };
import { openZip, type Zip } from './zip.ts';

/** Made for each document by pdf.js, which asks for a table by the name of its file. */
export function createCMapFactory(): new () => {
  fetch(wanted: { kind: string; filename: string }): Promise<Uint8Array>;
} {
  let archive: Promise<Zip> | null = null;
  const open = async (): Promise<Zip> => openZip(await Bun.file(archivePath).bytes());
  return class {
    async fetch({ kind, filename }: { kind: string; filename: string }): Promise<Uint8Array> {
      if (kind !== 'cMapUrl') throw new Error(`There are no files of the kind ${kind}.`);
      archive ??= open();
      const table = (await archive).readBytes(filename);
      if (table === null) throw new Error(`There is no table ${filename}.`);
      // What is handed out is transferred away.
      return new Uint8Array(table);
    }
  };
}
