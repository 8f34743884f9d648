/** What the operator reads when the server is up. */

import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { isUsable } from '../config/usable-providers.ts';
import type { Log } from '../log.ts';
import type { ReadyMessage, StartupFindings } from './messages.ts';

export interface Started {
  readonly version: string;
  /** `http://127.0.0.1:8700/` */
  readonly url: string;
  readonly workers: number;
  /** What it is and where: `sqlite, /var/lib/understudy`. */
  readonly store: string;
  /** Whether the variable is set; its value is nobody's business. */
  readonly hasApiKey: boolean;
  readonly baseUrl: string | null;
  /** The names of other providers that there are keys or addresses for. */
  readonly providers: readonly string[];
  /** The model of new vector stores, as configured; empty where none is. */
  readonly embeddingModel: string;
  readonly findings: StartupFindings;
  /** Whether clients need a key of the server's. Absent: no. */
  readonly hasKeys?: boolean;
}

const SERVER_NAMES: Readonly<Record<string, string>> = Object.freeze({
  ollama: 'Ollama',
  lm_studio: 'LM Studio',
  llama_cpp: 'llama.cpp',
  vllm: 'vLLM',
});

const REHEARSAL = 'understudy/rehearsal';

/** A person at a terminal reads a page on stderr; a collector of logs gets one line more. */
export function announce(config: Config, version: string, ready: ReadyMessage, log: Log): void {
  const started: Started = {
    version,
    url: ready.url,
    workers: config.settings.workers,
    store: toStoreText(config),
    hasApiKey: config.openAiApiKey !== null,
    baseUrl: config.openAiBaseUrl,
    providers: toProviderNames(config),
    embeddingModel: config.settings.embeddingModel,
    findings: ready.findings,
    hasKeys: config.settings.auth === 'keys',
  };
  if (process.stderr.isTTY) {
    process.stderr.write(toBanner(started));
    return;
  }
  const { url, workers, store } = started;
  const model = toModelText(started);
  const search = toSearchText(started);
  const providers = started.providers.join(', ') || 'none';
  log.info('started', { version, url, workers, store, model, providers, search });
}

function toStoreText({ settings, cassandra, astra }: Config): string {
  if (astra !== null) {
    const which = astra.token === null ? "each request's own database" : 'the database of the server';
    return `astra, ${which}, keyspace ${astra.keyspace}`;
  }
  if (cassandra === null) return `${settings.store}, ${resolve(settings.dataDirectory)}`;
  return `cassandra, keyspace ${cassandra.keyspace} at ${cassandra.contactPoints.join(', ')}`;
}

/** Those that can be called by what the operator set alone. */
function toProviderNames({ models }: Config): string[] {
  return [...models.providers.values()]
    .filter((one) => one.entry.id !== 'openai' && isUsable(one))
    .map(({ entry }) => entry.name);
}

/** Text for a person at a terminal, ended by a line end. */
export function toBanner(started: Started): string {
  const origin = toReachable(started.url);
  const baseUrl = `${origin}/v1`;
  const model = started.findings.localServer?.models[0] ?? REHEARSAL;
  const count = started.workers === 1 ? '' : `, ${started.workers} workers`;
  const hasKeys = started.hasKeys === true;
  const key = hasKeys ? 'sk-understudy-…' : 'understudy';
  const authorization = hasKeys ? ` -H 'authorization: Bearer ${key}'` : '';
  return [
    '',
    `  understudy ${started.version}${count}`,
    '',
    `  API        ${baseUrl}`,
    `  Docs       ${origin}/docs`,
    `  Reference  ${origin}/docs/api`,
    `  Store      ${started.store}`,
    `  Model      ${toModelText(started)}`,
    ...(started.providers.length === 0 ? [] : [`  Providers  ${started.providers.join(', ')}`]),
    `             ${REHEARSAL} is always there: offline, scripted, no language model`,
    `  Search     ${toSearchText(started)}`,
    ...(hasKeys ? ['  Keys       every client needs one: understudy keys create --project NAME'] : []),
    '',
    `  In your program: new OpenAI({ baseURL: '${baseUrl}', apiKey: '${key}' }), or OPENAI_BASE_URL=${baseUrl}`,
    `  From a shell:    curl ${baseUrl}/assistants${authorization} -H 'content-type: application/json' -d '{"model":"${model}"}'`,
    '',
    '',
  ].join('\n');
}

/** All addresses of a machine are none that a client could call. */
function toReachable(url: string): string {
  return url.replace(/\/$/, '').replace(/\/\/(0\.0\.0\.0|\[::\])/, '//localhost');
}

/** Where the answers come from, or what to set. */
export function toModelText({
  hasApiKey,
  baseUrl,
  findings,
}: Pick<Started, 'hasApiKey' | 'baseUrl' | 'findings'>): string {
  const key = hasApiKey ? ' with OPENAI_API_KEY' : " with the request's key";
  if (baseUrl !== null) return `${baseUrl}${key}`;
  if (hasApiKey) return 'OpenAI, with OPENAI_API_KEY';
  const { localServer } = findings;
  if (localServer === null) {
    return "OpenAI, with the request's key. Set OPENAI_API_KEY, or OPENAI_BASE_URL to another server, for requests without one";
  }
  const name = SERVER_NAMES[localServer.kind] ?? localServer.kind;
  const more = localServer.modelCount - localServer.models.length;
  const models = `${localServer.models.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  return `${name} at ${localServer.baseUrl}, found at start: ${models === '' ? 'no model loaded yet' : models}`;
}

/** By what new vector stores are searched, or what to set. */
export function toSearchText({
  hasApiKey,
  baseUrl,
  embeddingModel,
}: Pick<Started, 'hasApiKey' | 'baseUrl' | 'embeddingModel'>): string {
  if (embeddingModel !== '') return `by words and by the vectors of ${embeddingModel}`;
  if (hasApiKey && baseUrl === null) return "by words and by the vectors of OpenAI's text-embedding-3-large";
  return 'by words; by meaning too with --embedding-model';
}
