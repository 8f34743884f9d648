/**
 * What the router is told of providers and models: the variables that everybody uses for keys (`GROQ_API_KEY`), and the
 * sections of the file. The environment wins over the file.
 */

import { CATALOGUE, findEntry, type ProviderEntry } from '../providers/catalogue/catalogue.ts';
import type { ModelSettings, ProviderSettings } from '../providers/routing/provider-settings.ts';
import { Secret } from '../secret.ts';
import { type Environment, type ReadFile, readVariable } from './config-sources.ts';
import { isBaseUrl, toList } from './provider-config-checks.ts';
import type { ModelSections, ProviderSection, ValueSource } from './provider-config-schema.ts';
import { toChangedEntry, toOwnEntry } from './provider-entries.ts';

export interface ModelSources {
  readonly env: Environment;
  readonly readFile: ReadFile;
  /** Null where the file has none. */
  readonly sections: ModelSections | null;
  /** Hosts that the operator allows as `base-url` by a flag. */
  readonly allowedHosts: readonly string[];
  /** Models that the server itself asks: allowed, whatever the file says. */
  readonly ownModels: readonly string[];
}

export interface ModelFindings {
  readonly settings: ModelSettings;
  /** What stops the server. No value is shown. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

const SECRET_FILE_CHARACTERS_MAX = 64 * 1024;

/** Collects what is wrong while values are read. */
interface Reading {
  readonly env: Environment;
  readonly readFile: ReadFile;
  readonly problems: string[];
  readonly warnings: string[];
}

export function readModelSettings(sources: ModelSources): ModelFindings {
  const { sections } = sources;
  const reading: Reading = { env: sources.env, readFile: sources.readFile, problems: [], warnings: [] };
  const given = new Map<string, ProviderSection>();
  for (const [id, section] of Object.entries(sections?.providers ?? {})) {
    given.set(findEntry(id)?.id ?? id, section);
  }
  const entries = [
    ...CATALOGUE,
    ...[...given].filter(([id]) => findEntry(id) === null).map(([id, section]) => toOwnEntry(id, section)),
  ];
  const providers = new Map<string, ProviderSettings>();
  for (const entry of entries) {
    const settings = readProvider(entry, given.get(entry.id) ?? null, reading);
    if (settings !== null) providers.set(entry.id, settings);
  }
  return {
    settings: {
      providers,
      aliases: toLists(sections?.aliases),
      fallbacks: toLists(sections?.fallbacks),
      defaultModel: sections?.['default-model'] ?? null,
      allowedModels: toAllowed(sections, sources.ownModels),
      allowedHosts: [
        ...sources.allowedHosts,
        ...Object.values(sections?.providers ?? {}).flatMap((section) => section['allowed-hosts'] ?? []),
      ],
    },
    problems: reading.problems,
    warnings: reading.warnings,
  };
}

/** What the operator himself has the server use needs no leave. */
function toAllowed(sections: ModelSections | null, ownModels: readonly string[]): readonly string[] | null {
  const allowed = sections?.['allowed-models'];
  if (allowed === undefined) return null;
  const standard = sections?.['default-model'];
  return [...allowed, ...ownModels, ...(standard === undefined ? [] : [standard])];
}

function toLists(
  given: Readonly<Record<string, string | readonly string[]>> | undefined,
): ReadonlyMap<string, readonly string[]> {
  return new Map(Object.entries(given ?? {}).map(([name, models]) => [name, toList(models)]));
}

// ——— What is set for one provider ———

/** Null where nothing is. */
function readProvider(
  entry: ProviderEntry,
  section: ProviderSection | null,
  reading: Reading,
): ProviderSettings | null {
  const changed = section === null ? entry : toChangedEntry(entry, section);
  // OpenAI's variables are ours to complain of; others may be there for other programs.
  const isStrict = entry.id === 'openai' || section !== null;
  const place = `providers.${entry.id}`;
  const apiKey = readKey(changed, section, place, isStrict, reading);
  const baseUrl = readBaseUrl(changed, section, isStrict, reading);
  const parameters = readParameters(changed, section, place, reading);
  if (section === null && apiKey === null && baseUrl === null && !isSet(changed, parameters)) return null;
  const { timeouts = {}, limits = {} } = section ?? {};
  return {
    entry: changed,
    apiKey,
    baseUrl,
    parameters,
    headers: readTexts(section?.headers ?? {}, `${place}.headers`, reading),
    timeouts: toTimeouts(timeouts),
    callsMax: limits['concurrent-calls'] ?? null,
    models: section?.models ?? [],
  };
}

/** A region alone (which many machines have in their environment) makes no provider. */
function isSet({ parameters: known }: ProviderEntry, parameters: ProviderSettings['parameters']): boolean {
  return known.some(({ name, kind }) => kind !== 'plain' && name in parameters);
}

function readKey(
  { keyVariables }: ProviderEntry,
  section: ProviderSection | null,
  place: string,
  isStrict: boolean,
  reading: Reading,
): Secret | null {
  for (const variable of keyVariables) {
    const text = readVariable(reading.env, variable);
    if (text === null) continue;
    if (isKey(text)) return new Secret(text);
    complain(reading, isStrict, `${variable} holds characters that no key has.`);
  }
  const { 'key-variable': variable, 'key-file': path, 'api-key': key } = section ?? {};
  if (variable !== undefined) {
    reading.warnings.push(`'${place}.key-variable': the variable ${variable} is not set.`);
  }
  const text = path === undefined ? (key ?? null) : readSecretFile(path, `${place}.key-file`, reading);
  if (text === null || isKey(text)) return text === null ? null : new Secret(text);
  reading.problems.push(
    `'${place}.${path === undefined ? 'api-key' : 'key-file'}' holds characters that no key has.`,
  );
  return null;
}

/** It travels in a header, where anything else would fail at the first request, or worse. */
function isKey(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

/** The value is not shown in a message: people do write keys into it. */
function readBaseUrl(
  { baseUrlVariables }: ProviderEntry,
  section: ProviderSection | null,
  isStrict: boolean,
  reading: Reading,
): string | null {
  for (const variable of baseUrlVariables) {
    const text = readVariable(reading.env, variable);
    if (text === null) continue;
    if (isBaseUrl(text)) return text.replace(/\/+$/, '');
    complain(reading, isStrict, toBaseUrlFault(variable, text));
  }
  return section?.['base-url']?.replace(/\/+$/, '') ?? null;
}

function toBaseUrlFault(variable: string, text: string): string {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol)
    ? `${variable} must hold no user name, password, query or fragment.`
    : `${variable} must be a URL like http://127.0.0.1:11434/v1.`;
}

function readParameters(
  { parameters }: ProviderEntry,
  section: ProviderSection | null,
  place: string,
  reading: Reading,
): Record<string, Secret> {
  const found = readTexts(section?.parameters ?? {}, `${place}.parameters`, reading);
  for (const { name, variables, fileVariable } of parameters) {
    const variable = variables.find((one) => readVariable(reading.env, one) !== null);
    if (variable !== undefined) {
      found[name] = new Secret(readVariable(reading.env, variable) ?? '');
      continue;
    }
    const path = fileVariable === undefined ? null : readVariable(reading.env, fileVariable);
    if (path === null || fileVariable === undefined || name in found) continue;
    const text = tryReadFile(path, reading);
    if (text !== null) found[name] = new Secret(text);
    else reading.warnings.push(`${fileVariable} names a file that cannot be read, and is ignored.`);
  }
  return found;
}

function readTexts(
  given: Readonly<Record<string, ValueSource>>,
  place: string,
  reading: Reading,
): Record<string, Secret> {
  const found: Record<string, Secret> = {};
  for (const [name, source] of Object.entries(given)) {
    const text = readText(source, `${place}.${name}`, reading);
    if (text !== null) found[name.toLowerCase()] = new Secret(text);
  }
  return found;
}

function readText(source: ValueSource, place: string, reading: Reading): string | null {
  if (typeof source === 'string') return source;
  if ('file' in source) return readSecretFile(source.file, place, reading);
  const text = readVariable(reading.env, source.variable);
  if (text === null) reading.problems.push(`'${place}': the variable ${source.variable} is not set.`);
  return text;
}

function readSecretFile(path: string, place: string, reading: Reading): string | null {
  const text = tryReadFile(path, reading);
  if (text === null) reading.problems.push(`'${place}': the file ${path} cannot be read, or is empty.`);
  return text;
}

function tryReadFile(path: string, { readFile }: Reading): string | null {
  try {
    const text = readFile(path).trim();
    return text === '' || text.length > SECRET_FILE_CHARACTERS_MAX ? null : text;
  } catch {
    return null;
  }
}

function complain(reading: Reading, isStrict: boolean, fault: string): void {
  if (isStrict) reading.problems.push(fault);
  else reading.warnings.push(`${fault.slice(0, -1)}, and is ignored.`);
}

function toTimeouts(given: NonNullable<ProviderSection['timeouts']>): ProviderSettings['timeouts'] {
  const { 'connect-seconds': connect, 'first-byte-seconds': firstByte, 'idle-seconds': idle } = given;
  return {
    ...(connect === undefined ? {} : { connectMs: connect * 1000 }),
    ...(firstByte === undefined ? {} : { firstByteMs: firstByte * 1000 }),
    ...(idle === undefined ? {} : { idleMs: idle * 1000 }),
  };
}
