/** The sections of the configuration file about providers and models: what they are, and what is wrong with them. */

import { Value, type ValueError, ValueErrorType } from '@sinclair/typebox/value';
import { findClosest } from '../suggestion.ts';
import { checkMeaning } from './provider-config-checks.ts';
import { ModelSections } from './provider-config-schema.ts';

/** Further problems of one file are not told: the first ones say enough. */
const PROBLEMS_MAX = 20;

export const SECTION_NAMES: readonly string[] = Object.freeze(Object.keys(ModelSections.properties));

/**
 * The sections of a file's content; what is wrong with them is added to `problems`, each naming its place. Null: there are none
 * that could be used.
 */
export function readModelSections(
  content: Readonly<Record<string, unknown>>,
  path: string,
  problems: string[],
): ModelSections | null {
  const given = Object.fromEntries(
    SECTION_NAMES.flatMap((name) => (name in content ? [[name, content[name]]] : [])),
  );
  if (Object.keys(given).length === 0) return null;
  const found = Value.Check(ModelSections, given) ? checkMeaning(given, path) : findFaults(given, path);
  problems.push(...found);
  return found.length > 0 || !Value.Check(ModelSections, given) ? null : given;
}

// ——— What does not fit the shape ———

function findFaults(given: unknown, path: string): string[] {
  const faults = new Map<string, string>();
  for (const error of Value.Errors(ModelSections, given)) {
    if (faults.size >= PROBLEMS_MAX) break;
    // Of several complaints about one place the first is about what it should be.
    if (!faults.has(error.path)) faults.set(error.path, toFault(error, path));
  }
  return [...faults.values()];
}

/** The value is not said: people do write keys where none belongs. */
function toFault({ type, path: at, schema }: ValueError, path: string): string {
  const place = toPlace(at);
  if (type !== ValueErrorType.ObjectAdditionalProperties) {
    return `'${place}' in ${path} must be ${schema.description ?? 'something else'}.`;
  }
  const name = at.slice(at.lastIndexOf('/') + 1);
  const known = Object.keys(schema.properties ?? {});
  if (known.length === 0) return `'${place}' in ${path} has a name that cannot be used here.`;
  const closest = findClosest(name.replaceAll('_', '-').toLowerCase(), known);
  const hint = closest === null ? ` There are ${known.join(', ')}.` : ` Did you mean '${closest}'?`;
  return `There is no setting '${place}', which ${path} names.${hint}`;
}

/** JSON Pointer as people write it: `providers.groq.base-url`. */
function toPlace(pointer: string): string {
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .join('.');
}
