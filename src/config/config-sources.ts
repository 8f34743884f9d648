/** Where the value of a setting comes from: the command line, the environment or the file. All are handed in. */

import { findClosest } from '../suggestion.ts';
import { SECTION_NAMES } from './provider-config.ts';
import {
  CASSANDRA_PASSWORD_VARIABLE,
  CONFIG_FLAG,
  SECRET_VARIABLE,
  SETTING_NAMES,
  SETTINGS,
  type Setting,
  toVariable,
  VARIABLE_PREFIX,
} from './settings.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
/** The text of a file. Throws where it cannot be read. */
export type ReadFile = (path: string) => string;

const FILE_CHARACTERS_MAX = 1024 * 1024;

export interface Source {
  /** How it is named in a message: `--port`, `UNDERSTUDY_PORT`, `port in understudy.yaml`. */
  readonly name: string;
  /** Text of a flag or variable (several of a flag that is repeated), or what the file holds. */
  readonly value: unknown;
}

export interface ConfigFile {
  readonly path: string;
  readonly content: Readonly<Record<string, unknown>>;
}

export function findSource(
  setting: Setting,
  values: ReadonlyMap<string, readonly string[]>,
  env: Environment,
  file: ConfigFile | null,
): Source | null {
  const { flag } = setting;
  const given = values.get(flag);
  if (given !== undefined) return { name: `--${flag}`, value: isList(setting) ? given : given.at(-1) };
  const variable = toVariable(flag);
  const text = readVariable(env, variable);
  if (text !== null) return { name: variable, value: isList(setting) ? toParts(text) : text };
  if (file === null || !Object.hasOwn(file.content, flag)) return null;
  const value = file.content[flag];
  const isSingle = isList(setting) && typeof value === 'string';
  return { name: `'${flag}' in ${file.path}`, value: isSingle ? [value] : value };
}

/** Null where a variable is missing or empty: both mean that it is not set. */
export function readVariable(env: Environment, name: string): string | null {
  const text = env[name]?.trim() ?? '';
  // Kubernetes describes a service called `understudy` to every container beside it in a variable of this very name.
  if (name === toVariable(SETTINGS.port.flag) && text.startsWith('tcp://')) return null;
  return text === '' ? null : text;
}

export function isList(setting: Setting): boolean {
  return Array.isArray(setting.fallback);
}

function toParts(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

export function readConfigFile(
  values: ReadonlyMap<string, readonly string[]>,
  env: Environment,
  readFile: ReadFile,
  problems: string[],
): ConfigFile | null {
  const path = values.get(CONFIG_FLAG)?.at(-1) ?? readVariable(env, toVariable(CONFIG_FLAG));
  if (path === null || path === undefined) return null;
  try {
    const content = parseFile(path, readFile(path));
    problems.push(...findUnknownKeys(path, content));
    return { path, content };
  } catch (error) {
    problems.push(`The configuration file ${path} cannot be used: ${toMessage(error)}`);
    return null;
  }
}

function parseFile(path: string, text: string): Record<string, unknown> {
  if (text.length > FILE_CHARACTERS_MAX) throw new Error('it is too long.');
  // JSON has the better messages for what is wrong with JSON; YAML would take most of it as well.
  const content: unknown = path.endsWith('.json') ? JSON.parse(text) : Bun.YAML.parse(text);
  if (content === null || content === undefined) return {};
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new Error('it must hold settings by name, like `port: 8700`.');
  }
  return { ...content };
}

function findUnknownKeys(path: string, content: Readonly<Record<string, unknown>>): string[] {
  const known = [...SETTING_NAMES.map((name) => SETTINGS[name].flag), ...SECTION_NAMES];
  return Object.keys(content)
    .filter((key) => !known.includes(key))
    .map((key) => {
      const closest = findClosest(key.replaceAll('_', '-').toLowerCase(), known);
      const hint = closest === null ? '' : ` Did you mean '${closest}'?`;
      return `There is no setting '${key}', which ${path} names.${hint}`;
    });
}

/** Variables that look like one of ours with a slip in its name. Others may well mean something to others. */
export function findOddVariables(env: Environment): string[] {
  const flags = [CONFIG_FLAG, ...SETTING_NAMES.map((name) => SETTINGS[name].flag)];
  const known = [...flags.map(toVariable), SECRET_VARIABLE, CASSANDRA_PASSWORD_VARIABLE];
  const odd: string[] = [];
  for (const name of Object.keys(env)) {
    if (!name.startsWith(VARIABLE_PREFIX) || known.includes(name)) continue;
    const closest = findClosest(name, known);
    if (closest !== null) odd.push(`The variable ${name} means nothing. Did you mean ${closest}?`);
  }
  return odd;
}

function toMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
