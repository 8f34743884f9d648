/** What the three Office formats share: relations between parts, and the document's own title. */

import { findElementText, readXmlText } from './xml-events.ts';
import type { Zip } from './zip.ts';

export interface Relation {
  readonly id: string;
  /** The last part of its kind's address: `slide`, `notesSlide`. */
  readonly kind: string;
  /** Path of the part in the archive. */
  readonly target: string;
}

/** What a part points to within the archive, in order. */
export function readRelations(zip: Zip, part: string): Relation[] {
  const folder = part.slice(0, part.lastIndexOf('/') + 1);
  const xml = zip.readSmall(`${folder}_rels/${part.slice(folder.length)}.rels`);
  const relations: Relation[] = [];
  if (xml === null) return relations;
  readXmlText(xml, {
    open(name, attributes) {
      if (name !== 'Relationship' || attributes.TargetMode === 'External') return;
      relations.push({
        id: attributes.Id ?? '',
        kind: (attributes.Type ?? '').split('/').at(-1) ?? '',
        target: toPath(folder, attributes.Target ?? ''),
      });
    },
  });
  return relations;
}

/** A target is relative to its part's folder, or to the archive. */
export function toPath(folder: string, target: string): string {
  const path: string[] = [];
  for (const step of (target.startsWith('/') ? target : folder + target).split('/')) {
    if (step === '..') path.pop();
    else if (step !== '' && step !== '.') path.push(step);
  }
  return path.join('/');
}

/** The part that holds the document itself, which may have any name. */
export function findMainPart(zip: Zip, fallback: string): string {
  const found = readRelations(zip, '').find(({ kind }) => kind === 'officeDocument')?.target;
  return found !== undefined && zip.has(found) ? found : fallback;
}

export function readOfficeTitle(zip: Zip): string | null {
  return findElementText(zip.readSmall('docProps/core.xml'), 'title');
}
