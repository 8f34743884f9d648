/** The providers that are known, by their prefixes and by their hosts. */

import type { ProviderEntry } from './entry.ts';
import { HOSTED } from './hosted.ts';
import { OWN_PROTOCOLS } from './own-protocols.ts';
import { SELF_HOSTED } from './self-hosted.ts';

export type { DefaultEmbedding, Parameter, Protocol, ProviderEntry } from './entry.ts';

export const CATALOGUE: readonly ProviderEntry[] = Object.freeze([
  ...OWN_PROTOCOLS,
  ...HOSTED,
  ...SELF_HOSTED,
]);

const BY_PREFIX: ReadonlyMap<string, ProviderEntry> = new Map(
  CATALOGUE.flatMap((entry) => [entry.id, ...entry.aliases].map((prefix) => [prefix, entry] as const)),
);

/** By an id or an alias: `groq`, `cohere_chat`. */
export function findEntry(prefix: string): ProviderEntry | null {
  return BY_PREFIX.get(prefix) ?? null;
}

/** The id for what `local-servers.ts` finds. */
export const LOCAL_SERVER_IDS: Readonly<Record<string, string>> = Object.freeze({
  ollama: 'ollama',
  lm_studio: 'lm_studio',
  llama_cpp: 'llamafile',
  vllm: 'hosted_vllm',
});

const HOSTS = CATALOGUE.flatMap((entry) => toHosts(entry).map((host) => ({ host, entry })));
const BY_HOST: ReadonlyMap<string, ProviderEntry> = new Map(
  HOSTS.filter(({ host }) => !host.includes('{')).map(({ host, entry }) => [host, entry]),
);
const HOST_PATTERNS = HOSTS.filter(({ host }) => host.includes('{')).map(({ host, entry }) => ({
  pattern: toHostPattern(host),
  entry,
}));

/** Whose host it is, over TLS and on its own port; null where it is none of the catalogue's. */
export function findEntryByUrl(baseUrl: string): ProviderEntry | null {
  const url = URL.parse(baseUrl);
  if (url === null || url.protocol !== 'https:' || url.port !== '') return null;
  const { hostname } = url;
  return BY_HOST.get(hostname) ?? HOST_PATTERNS.find(({ pattern }) => pattern.test(hostname))?.entry ?? null;
}

/** The names of hosts that an entry has, `{…}` for one label. */
export function toHosts({ baseUrl, hosts }: ProviderEntry): readonly string[] {
  const own = /^https:\/\/([^/:]+)(\/|$)/.exec(baseUrl ?? '')?.[1];
  return own === undefined ? hosts : [own, ...hosts];
}

function toHostPattern(host: string): RegExp {
  const text = host.replaceAll('.', '\\.').replaceAll(/\{[^}]+\}/g, '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?');
  return new RegExp(`^${text}$`);
}

/** A base URL as the adapter wants it: without a slash at its end, with the version that the protocol has. */
export function normalizeBaseUrl(
  entry: Pick<ProviderEntry, 'protocol' | 'version'>,
  baseUrl: string,
): string {
  const trimmed = baseUrl.replace(/\/+$/, '');
  if (entry.protocol === 'azure') return trimmed.replace(/\/openai(\/deployments(\/.*)?)?$/, '');
  if (entry.version === null || VERSION_AT_END.test(trimmed)) return trimmed;
  return trimmed + entry.version;
}

/** `/v1`, `/v1beta`, `/v2alpha1` */
const VERSION_AT_END = /\/v\d+((alpha|beta)\d*)?$/;
