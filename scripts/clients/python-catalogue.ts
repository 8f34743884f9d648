/** `clients/python/src/understudy_client/_catalogue.py`: what the Python client has to know of the catalogue. */

import { CATALOGUE, type ProviderEntry, toHosts } from '../../src/providers/catalogue/catalogue.ts';
import { NAME_RULES } from '../../src/providers/routing/model-names.ts';

export const PYTHON_CATALOGUE = 'clients/python/src/understudy_client/_catalogue.py';

/** The whole file. */
export function toPythonCatalogue(): string {
  const entries = CATALOGUE.map(toEntry).join('\n');
  const rules = NAME_RULES.map(
    ({ provider, pattern }) => `    (${text(provider)}, ${text(pattern.source)}),`,
  );
  return `"""Who is known, by the server's own catalogue. Made by \`npm run generate:clients\`: do not change it here."""

from __future__ import annotations

from typing import NamedTuple


class Parameter(NamedTuple):
    name: str
    variables: tuple[str, ...]
    file_variable: str | None


class Entry(NamedTuple):
    id: str
    aliases: tuple[str, ...]
    key_variables: tuple[str, ...]
    base_url_variables: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    key_sets: tuple[tuple[str, ...], ...]
    is_key_optional: bool
    hosts: tuple[str, ...]
    """\`{…}\` stands for one label of a name."""


CATALOGUE: tuple[Entry, ...] = (
${entries}
)

# The provider whose model a name without a prefix is: the first pattern that fits.
NAME_RULES: tuple[tuple[str, str], ...] = (
${rules.join('\n')}
)
`;
}

function toEntry(entry: ProviderEntry): string {
  const parameters = entry.parameters.map(
    ({ name, variables, fileVariable }) =>
      `Parameter(${text(name)}, ${tuple(variables.map(text))}, ${fileVariable === undefined ? 'None' : text(fileVariable)})`,
  );
  const lines = [
    `id=${text(entry.id)}`,
    `aliases=${tuple(entry.aliases.map(text))}`,
    `key_variables=${tuple(entry.keyVariables.map(text))}`,
    `base_url_variables=${tuple(entry.baseUrlVariables.map(text))}`,
    `parameters=${tuple(parameters)}`,
    `key_sets=${tuple(entry.keySets.map((names) => tuple(names.map(text))))}`,
    `is_key_optional=${entry.isKeyOptional ? 'True' : 'False'}`,
    `hosts=${tuple(toHosts(entry).map(text))}`,
  ];
  return `    Entry(\n${lines.map((line) => `        ${line},\n`).join('')}    ),`;
}

/** JSON's strings are Python's, as far as the catalogue goes. */
function text(value: string): string {
  return JSON.stringify(value);
}

function tuple(items: readonly string[]): string {
  return items.length === 1 ? `(${items[0]},)` : `(${items.join(', ')})`;
}
