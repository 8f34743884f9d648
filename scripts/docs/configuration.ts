/**
 * The tables of `docs/configuration.md`, made from what reads the configuration: `src/config/settings.ts`, the secrets, and the catalogue
 * of providers. The text between them is written by hand and kept.
 */

import { toExpected } from '../../src/config/config.ts';
import { SECRET_VARIABLES } from '../../src/config/secret-variables.ts';
import { CONFIG_FLAG, SETTING_NAMES, SETTINGS, type Setting, toVariable } from '../../src/config/settings.ts';
import { TRACING_VARIABLES } from '../../src/config/tracing-config.ts';
import { CATALOGUE, type ProviderEntry } from '../../src/providers/catalogue/catalogue.ts';
import { toTable } from './table.ts';

const TABLES: Readonly<Record<string, () => string>> = Object.freeze({
  settings: toSettingsTable,
  secrets: toSecretsTable,
  traces: toTracesTable,
  providers: toProvidersTable,
});

/** The page with its tables as they should be. Errors: where the page lacks one. */
export function renewPage(page: string): string {
  let renewed = page;
  for (const [name, toText] of Object.entries(TABLES)) {
    const [begin, end] = [`<!-- ${name}: made by \`npm run docs\` -->`, `<!-- end of ${name} -->`];
    const [from, to] = [renewed.indexOf(begin), renewed.indexOf(end)];
    if (from < 0 || to < from)
      throw new Error(`The page has no place for the table '${name}': ${begin} … ${end}`);
    renewed = `${renewed.slice(0, from + begin.length)}\n\n${toText()}\n\n${renewed.slice(to)}`;
  }
  return renewed;
}

function toSettingsTable(): string {
  const rows = SETTING_NAMES.map((name) => toSettingRow(SETTINGS[name]));
  rows.push([
    code(`--${CONFIG_FLAG} FILE`),
    code(toVariable(CONFIG_FLAG)),
    '',
    'none',
    '',
    'A JSON or YAML file with settings, under the names of their flags.',
  ]);
  return toTable(['flag', 'variable', 'in the file', 'default', 'may be', 'what it is'], rows);
}

function toSettingRow(setting: Setting): string[] {
  const { flag, argument, about } = setting;
  return [
    code(argument === null ? `--${flag}` : `--${flag} ${argument}`),
    code(toVariable(flag)),
    code(flag),
    toDefault(setting),
    toExpected(setting),
    about,
  ];
}

function toDefault({ fallback, argument }: Setting): string {
  if (argument === null) return fallback === true ? 'on' : 'off';
  if (Array.isArray(fallback)) return fallback.length === 0 ? 'none' : code(fallback.join(', '));
  return fallback === '' ? 'none' : code(String(fallback));
}

function toSecretsTable(): string {
  return toTable(
    ['variable', 'what it is'],
    SECRET_VARIABLES.map(({ name, about }) => [code(name), about.join(' ')]),
  );
}

function toTracesTable(): string {
  return toTable(
    ['variable', 'what it is'],
    TRACING_VARIABLES.map(([name, about]) => [code(name), about]),
  );
}

function toProvidersTable(): string {
  const rows = CATALOGUE.map((entry) => [
    entry.name,
    code(`${entry.id}/…`),
    toNames(entry.keyVariables),
    toNames(entry.baseUrlVariables),
    toMore(entry),
  ]);
  return toTable(['provider', 'models', 'key', 'address', 'besides'], rows);
}

function toMore({ parameters }: ProviderEntry): string {
  return parameters
    .map(({ variables, fileVariable }) =>
      toNames([...variables, ...(fileVariable === undefined ? [] : [fileVariable])]),
    )
    .filter((names) => names !== '')
    .join('; ');
}

/** The first one that is set counts. */
function toNames(names: readonly string[]): string {
  return names.map(code).join(', ');
}

function code(text: string): string {
  return `\`${text}\``;
}
