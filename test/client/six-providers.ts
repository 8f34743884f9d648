/** A real server with six providers behind it, none with a key of the operator's, and a client that has all six keys. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { type PatchOptions, patch } from 'understudy/client';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';

export const PROVIDERS = ['openai', 'groq', 'deepseek', 'xai', 'openrouter', 'together_ai'] as const;
export type ProviderName = (typeof PROVIDERS)[number];

export const KEYS: Readonly<Record<ProviderName, string>> = Object.freeze({
  openai: 'sk-key-of-openai',
  groq: 'gsk-key-of-groq',
  deepseek: 'key-of-deepseek',
  xai: 'xai-key-of-xai',
  openrouter: 'sk-or-key-of-openrouter',
  together_ai: 'key-of-together',
});

export const CLIENT_ENV: Readonly<Record<string, string>> = Object.freeze({
  OPENAI_API_KEY: KEYS.openai,
  GROQ_API_KEY: KEYS.groq,
  DEEPSEEK_API_KEY: KEYS.deepseek,
  XAI_API_KEY: KEYS.xai,
  OPENROUTER_API_KEY: KEYS.openrouter,
  TOGETHERAI_API_KEY: KEYS.together_ai,
});

/** What left the client. */
export interface SentCall {
  readonly method: string;
  /** Below `/v1`. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

export interface SixProviders {
  readonly server: TestServer;
  readonly upstream: ScriptedUpstream;
  /** A patched client with all keys, and what it sends. */
  connect(options?: PatchOptions): { readonly client: OpenAI; readonly sent: SentCall[] };
  close(): Promise<void>;
}

export async function startSixProviders(flags: readonly string[] = []): Promise<SixProviders> {
  const upstream = await startScriptedUpstream();
  const origin = new URL(upstream.url).origin;
  const folder = await mkdtemp(join(tmpdir(), 'understudy-client-'));
  const config = join(folder, 'understudy.json');
  const others = PROVIDERS.filter((id) => id !== 'openai');
  const providers = Object.fromEntries(others.map((id) => [id, { 'base-url': `${origin}/${id}/v1` }]));
  await writeFile(config, JSON.stringify({ providers }));
  const server = await startServer({
    flags: ['--config', config, ...flags],
    env: { OPENAI_BASE_URL: `${origin}/openai/v1` },
  });
  return {
    server,
    upstream,
    connect(options = {}) {
      const sent: SentCall[] = [];
      const record = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
        const body = typeof init?.body === 'string' ? init.body : '';
        const path = new URL(String(input)).pathname.slice('/v1'.length);
        sent.push({ method: init?.method ?? 'GET', path, headers: new Headers(init?.headers), body });
        return await fetch(input, init);
      };
      const given = new OpenAI({ apiKey: KEYS.openai, maxRetries: 0, fetch: record });
      const client = patch(given, { baseURL: server.url, env: CLIENT_ENV, ...options });
      return { client, sent };
    },
    async close() {
      await server.stop();
      await upstream.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A name that the upstream has a script for, as a model of the provider's. */
export function toModel(provider: ProviderName, script: string): string {
  // OpenAI stands behind OPENAI_BASE_URL here, where names keep their prefix.
  return `${provider}/${script}`;
}

/** The providers whose keys are anywhere in the headers. */
export function findKeys(headers: Headers): ProviderName[] {
  const text = [...headers].map(([name, value]) => `${name}: ${value}`).join('\n');
  return PROVIDERS.filter((id) => text.includes(KEYS[id]));
}

/** The provider that a request came to, by its path at the upstream. */
export function toProvider(path: string): string {
  return path.split('/')[1] ?? '';
}
