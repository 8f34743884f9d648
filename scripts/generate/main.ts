/** `bun run generate --spec FILE|URL`: writes src/schemas/generated from OpenAI's API document. */

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ADDITIONS } from './additions.ts';
import { CORRECTIONS, RENAMED } from './corrections.ts';
import { readDocument } from './document.ts';
import { generate } from './generate.ts';
import { LAYOUT } from './layout.ts';
import { writeFiles } from './write.ts';

const OUTPUT = join(import.meta.dir, '..', '..', 'src', 'schemas', 'generated');

/** Places of a dropped keyword that are named; more are counted. */
const PLACES_SHOWN_MAX = 4;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { spec: { type: 'string' } } });
  if (values.spec === undefined) throw new Error('usage: bun run generate --spec FILE|URL');
  const document = await readDocument(values.spec);
  const { files, dropped } = await generate({
    document,
    layout: LAYOUT,
    corrections: [...CORRECTIONS, ...ADDITIONS],
    renamed: RENAMED,
    schemasFolder: '..',
  });
  const changed = await writeFiles(OUTPUT, files);

  console.log(
    `${files.size} files from version ${document.info.version}, ${changed.length} of them changed.`,
  );
  console.log('Of the document, the schemas do not keep:');
  for (const [what, places] of dropped) {
    const more = places.length - PLACES_SHOWN_MAX;
    const shown = places.slice(0, PLACES_SHOWN_MAX).join(', ');
    console.log(`  ${what}: ${shown}${more > 0 ? ` and ${more} more` : ''}`);
  }
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
