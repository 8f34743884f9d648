/** What is wrong, or odd, about sections of the file that have the right shape. */

import { CATALOGUE, findEntry } from '../providers/catalogue/catalogue.ts';
import { CONNECTION_HEADERS } from '../providers/outbound/upstream-headers.ts';
import { splitPrefix } from '../providers/routing/model-names.ts';
import { findClosest } from '../suggestion.ts';
import { BASE_URL_TEXT, type ModelSections, type ProviderSection } from './provider-config-schema.ts';

/** Further problems of one file are not told: the first ones say enough. */
const PROBLEMS_MAX = 20;
const BUILT_IN = 'understudy';
/** None of the operator's to set. */
const RESERVED_HEADERS: ReadonlySet<string> = new Set([...CONNECTION_HEADERS, 'content-type']);

/** What of well-formed sections cannot be: each problem names its place. */
export function checkMeaning(sections: ModelSections, path: string): string[] {
  const problems: string[] = [];
  for (const [id, section] of Object.entries(sections.providers ?? {})) {
    problems.push(...checkProvider(id, section, path));
  }
  const aliases = Object.entries(sections.aliases ?? {});
  for (const [name, targets] of aliases) {
    if (name.startsWith(`${BUILT_IN}/`)) {
      problems.push(
        `'aliases.${name}' in ${path}: names that begin with '${BUILT_IN}/' are the server's own.`,
      );
    }
    for (const target of toList(targets)) {
      if (target === name || !Object.hasOwn(sections.aliases ?? {}, target)) continue;
      problems.push(
        `'aliases.${name}' in ${path} leads to '${target}', which is an alias too: name its model.`,
      );
    }
  }
  return problems.slice(0, PROBLEMS_MAX);
}

function checkProvider(id: string, section: ProviderSection, path: string): string[] {
  const place = `providers.${id}`;
  const entry = findEntry(id);
  const problems: string[] = [];
  if (id === BUILT_IN) problems.push(`'${place}' in ${path}: the name is the server's own.`);
  const ways = ['key-variable', 'key-file', 'api-key'] as const;
  const given = ways.filter((way) => section[way] !== undefined);
  if (given.length > 1) problems.push(`'${place}' in ${path} has ${given.join(' and ')}: one is enough.`);
  const baseUrl = section['base-url'];
  if (entry === null && baseUrl === undefined) {
    const closest = findClosest(
      id,
      CATALOGUE.map((one) => one.id),
    );
    const hint = closest === null ? '' : ` Did you mean the provider '${closest}'?`;
    problems.push(`'${place}' in ${path} needs a base-url: no provider of this name is known.${hint}`);
  }
  if (baseUrl !== undefined && !isBaseUrl(baseUrl)) {
    problems.push(`'${place}.base-url' in ${path} must be ${BASE_URL_TEXT}.`);
  }
  for (const name of Object.keys(section.headers ?? {})) {
    if (RESERVED_HEADERS.has(name.toLowerCase())) {
      problems.push(`'${place}.headers.${name}' in ${path}: this header is the connection's own.`);
    }
  }
  const known = entry?.parameters.map((one) => one.name) ?? [];
  for (const name of Object.keys(section.parameters ?? {})) {
    if (entry === null || known.includes(name)) continue;
    const hint = known.length === 0 ? ' It has none.' : ` There are ${known.join(', ')}.`;
    problems.push(`'${place}.parameters.${name}' in ${path} is no parameter of ${entry.name}.${hint}`);
  }
  return problems;
}

/** What can be called: nothing in it that would be lost, or be seen where it should not. */
export function isBaseUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return false;
  return url.username === '' && url.password === '' && url.search === '' && url.hash === '';
}

export function toList(models: string | readonly string[]): readonly string[] {
  return typeof models === 'string' ? [models] : models;
}

/** What is odd about the sections, but does not stop the server. */
export function findOddSections(sections: ModelSections, path: string): string[] {
  const odd: string[] = [];
  const own = Object.keys(sections.providers ?? {});
  for (const [id, section] of Object.entries(sections.providers ?? {})) {
    if (section['api-key'] === undefined) continue;
    odd.push(
      `'providers.${id}.api-key' in ${path}: whoever reads the file has the key. Better are key-variable and key-file.`,
    );
  }
  for (const section of ['aliases', 'fallbacks'] as const) {
    for (const [name, targets] of Object.entries(sections[section] ?? {})) {
      for (const target of toList(targets)) {
        const prefix = splitPrefix(target)?.prefix;
        if (prefix === undefined || prefix === BUILT_IN || own.includes(prefix) || findEntry(prefix) !== null)
          continue;
        const closest = findClosest(prefix, [...own, ...CATALOGUE.map(({ id }) => id)]);
        if (closest === null) continue;
        odd.push(
          `'${section}.${name}' in ${path}: no provider is called '${prefix}'. Did you mean '${closest}'? As it is, ` +
            `'${target}' goes to the default upstream.`,
        );
      }
    }
  }
  return odd;
}
