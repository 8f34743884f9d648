/** Components, placed into files and put in order. */

import type { ApiDocument } from './document.ts';
import { type Layout, toFileName } from './layout.ts';
import { printComponent } from './print.ts';
import { listReferences, type Shape } from './shapes.ts';

/** Finds each component that the roots need, in an order in which everything stands before its users. */
export function orderComponents(
  document: ApiDocument,
  roots: readonly string[],
  toShapeOf: (name: string) => Shape,
): Map<string, Shape> {
  const ordered = new Map<string, Shape>();
  const open: string[] = [];
  const visit = (name: string): void => {
    if (ordered.has(name)) return;
    if (open.includes(name)) {
      throw new Error(
        `components that refer to each other are not supported: ${[...open, name].join(' → ')}`,
      );
    }
    open.push(name);
    const shape = toShapeOf(name);
    for (const reference of listReferences(shape)) visit(reference);
    open.pop();
    ordered.set(name, shape);
  };
  const wanted = new Set(roots);
  for (const name of Object.keys(document.components.schemas)) if (wanted.has(name)) visit(name);
  return ordered;
}

/** The text of each file, by its name without the ending. */
export function printFiles(
  layout: Layout,
  schemasFolder: string,
  components: ReadonlyMap<string, Shape>,
): Map<string, string> {
  const files = Map.groupBy(components, ([name]) => toFileName(layout, name));
  refuseCycles(layout, files);
  return new Map(
    [...files].map(([file, members]) => {
      const references = members.flatMap(([, shape]) => listReferences(shape));
      const outside = references.filter((name) => toFileName(layout, name) !== file);
      const text = members.map(([name, shape]) => printComponent(name, shape)).join('\n');
      const imports = [...printLibraryImports(schemasFolder, text), printImports(layout, outside)];
      return [file, [...imports, '', text].join('\n')];
    }),
  );
}

/** Imports of what the text uses and no generated file holds. */
export function printLibraryImports(schemasFolder: string, text: string): string[] {
  const names = [
    ...(/\bStatic</.test(text) ? ['type Static'] : []),
    ...(/\bType\./.test(text) ? ['Type'] : []),
  ];
  return [
    ...(names.length > 0 ? [`import { ${names.join(', ')} } from '@sinclair/typebox';`] : []),
    ...(text.includes('createMap(') ? [`import { createMap } from '${schemasFolder}/open-map.ts';`] : []),
  ];
}

/** One import a file, for the components named. */
export function printImports(layout: Layout, names: readonly string[]): string {
  const byFile = Map.groupBy(new Set(names), (name) => toFileName(layout, name));
  return [...byFile]
    .map(([file, members]) => `import { ${members.toSorted().join(', ')} } from './${file}.ts';`)
    .toSorted()
    .join('\n');
}

function refuseCycles(
  layout: Layout,
  files: ReadonlyMap<string, readonly (readonly [string, Shape])[]>,
): void {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file))
      throw new Error(`files import each other: ${[...path, file].join(' → ')}; see layout.ts`);
    if (done.has(file)) return;
    const references = (files.get(file) ?? []).flatMap(([, shape]) => listReferences(shape));
    const imported = new Set(references.map((name) => toFileName(layout, name)));
    for (const other of imported) if (other !== file) visit(other, [...path, file]);
    done.add(file);
  };
  for (const file of files.keys()) visit(file, []);
}
