/** Entries of the catalogue as the operator's file makes or changes them. */

import { CATALOGUE, type ProviderEntry } from '../providers/catalogue/catalogue.ts';
import { row } from '../providers/catalogue/entry.ts';
import type { Quirks } from '../providers/provider.ts';
import type { ProviderSection } from './provider-config-schema.ts';

/** A provider that the catalogue does not know: nothing is assumed of it but its protocol. */
export function toOwnEntry(id: string, section: ProviderSection): ProviderEntry {
  const hasKey = ['key-variable', 'key-file', 'api-key'].some((way) => way in section);
  const protocol = section.protocol ?? 'openai';
  const like = CATALOGUE.find((entry) => entry.protocol === protocol);
  const base = row(id, section.name ?? id, null, [toKeyVariable(id)], {
    protocol,
    version: protocol === 'openai' ? null : (like?.version ?? null),
    auth: like?.auth ?? 'bearer',
    parameters: protocol === 'openai' ? [] : (like?.parameters ?? []),
    keySets: protocol === 'openai' ? [['api-key']] : (like?.keySets ?? [['api-key']]),
    isKeyOptional: !hasKey && protocol === 'openai',
    listsModels: protocol === 'openai' || (like?.listsModels ?? true),
    quirks: protocol === 'openai' ? {} : (like?.quirks ?? {}),
  });
  return toChangedEntry(base, section);
}

/** `my-vllm` has its key in `MY_VLLM_API_KEY` unless the file says otherwise. */
function toKeyVariable(id: string): string {
  const name = id.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_');
  return `${/^\d/.test(name) ? '_' : ''}${name}_API_KEY`;
}

/** An entry with what the file says differently. */
export function toChangedEntry(entry: ProviderEntry, section: ProviderSection): ProviderEntry {
  const { name, protocol, auth, 'key-optional': isKeyOptional, 'embedding-model': embedding } = section;
  const variable = section['key-variable'];
  return {
    ...entry,
    ...(name === undefined ? {} : { name }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(auth === undefined ? {} : { auth: auth === 'bearer' ? 'bearer' : { header: auth.toLowerCase() } }),
    ...(isKeyOptional === undefined ? {} : { isKeyOptional }),
    ...(variable === undefined ? {} : { keyVariables: [variable] }),
    ...(embedding === undefined ? {} : { embedding: { model: embedding, dimensions: null } }),
    quirks: { ...entry.quirks, ...toQuirks(section.quirks ?? {}) },
  };
}

const SWITCHES: Readonly<Record<string, keyof Quirks>> = Object.freeze({
  'no-stream-options': 'noStreamOptions',
  'no-stop': 'noStop',
  'no-tools': 'noTools',
  'no-images': 'noImages',
  'no-developer-role': 'noDeveloperRole',
  'json-object-only': 'jsonObjectOnly',
  'no-embedding-format': 'noEmbeddingFormat',
});

/** A switch that is off takes back what the catalogue says. */
function toQuirks(given: NonNullable<ProviderSection['quirks']>): Quirks {
  const { 'max-tokens-name': maxTokensName, ...switches } = given;
  const quirks = Object.entries(switches).map(([name, isOn]) => [SWITCHES[name], isOn ? true : undefined]);
  return { ...Object.fromEntries(quirks), ...(maxTokensName === undefined ? {} : { maxTokensName }) };
}
