/** What a patched client reads, and what it sends of it: seen by a `fetch` that answers itself. */

import { describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import { type PatchOptions, patch } from 'understudy/client';
import { CATALOGUE } from '../../src/providers/catalogue/catalogue.ts';
import { readRequestParameters } from '../../src/providers/routing/request-parameters.ts';

interface Seen {
  readonly url: string;
  readonly headers: Headers;
}

const REPLY = { id: 'chatcmpl-1', object: 'chat.completion', choices: [], created: 1, model: 'm' };

function connect(options: PatchOptions, given: ConstructorParameters<typeof OpenAI>[0] = {}) {
  const seen: Seen[] = [];
  const warnings: string[] = [];
  const warn = (text: string): void => void warnings.push(text);
  const quiet = (): void => undefined;
  const own = new OpenAI({
    apiKey: 'understudy',
    maxRetries: 0,
    logger: { warn, error: quiet, info: quiet, debug: quiet },
    fetch: async (input, init) => {
      seen.push({ url: String(input), headers: new Headers(init?.headers) });
      return Response.json(REPLY);
    },
    ...given,
  });
  return { client: patch(own, { env: {}, ...options }), seen, warnings };
}

/** The headers of a chat with this model that are for a provider. */
async function findSent(
  env: Record<string, string>,
  model: string,
  headers: Record<string, string> = {},
): Promise<Record<string, string>> {
  const { client, seen } = connect({ env });
  await client.chat.completions.create({ model, messages: [] }, { headers });
  const sent = [...(seen[0]?.headers ?? [])];
  return Object.fromEntries(
    sent.filter(([name]) => /^(llm-param|embedding|api-key|astra|openai-)/.test(name)),
  );
}

describe('the environment of a patched client', () => {
  test('each provider of the catalogue gets what its variables hold, under names that the server reads for it', async () => {
    for (const entry of CATALOGUE) {
      if (entry.id === 'openai') continue;
      const env: Record<string, string> = {};
      for (const variable of [...entry.keyVariables.slice(0, 1), ...entry.baseUrlVariables.slice(0, 1)]) {
        env[variable] = `value-of-${variable}`;
      }
      for (const { variables } of entry.parameters) env[variables[0] ?? ''] = `value-of-${variables[0]}`;
      const sent = await findSent(env, `${entry.id}/some-model`);
      const read = readRequestParameters(sent);
      const prefix = entry.id.toLowerCase().replaceAll(/[_.]/g, '-');
      const names = ['api-key', 'base-url', ...entry.parameters.map(({ name }) => name)];
      const values = names.map((name) => read.get(`${prefix}-${name}`) ?? read.get(name)).filter(Boolean);
      expect({ id: entry.id, values: values.sort() }).toEqual({
        id: entry.id,
        values: Object.values(env).sort(),
      });
    }
  });

  test('names of known kinds and prefixes find their provider; names that only the server knows carry nothing', async () => {
    const env = { ANTHROPIC_API_KEY: 'sk-ant-1', GROQ_API_KEY: 'gsk-1', GEMINI_API_KEY: 'gem-1' };
    expect(await findSent(env, 'claude-sonnet-4-5')).toEqual({ 'llm-param-anthropic-api-key': 'sk-ant-1' });
    expect(await findSent(env, 'gemini/gemini-2.5-pro')).toEqual({ 'llm-param-gemini-api-key': 'gem-1' });
    for (const model of ['fast', 'house/qwen3', 'meta-llama/Llama-3', 'understudy/rehearsal', 'gpt-4o']) {
      expect(await findSent(env, model)).toEqual({});
    }
  });

  test('an address or a region without a key is not sent: it would stand in the place of the operator’s', async () => {
    const env = {
      AWS_REGION: 'eu-west-1',
      ANTHROPIC_BASE_URL: 'https://api.anthropic.com',
      AZURE_API_VERSION: '1',
    };
    for (const model of ['bedrock/amazon.nova-pro-v1:0', 'anthropic/claude-x', 'azure/mine']) {
      expect(await findSent(env, model)).toEqual({});
    }
    expect(await findSent({ OLLAMA_API_BASE: 'http://127.0.0.1:11434' }, 'ollama/qwen3')).toEqual({
      'llm-param-ollama-base-url': 'http://127.0.0.1:11434',
    });
  });

  test('what a caller says himself of a call stays, and no key is added to it', async () => {
    const env = { GROQ_API_KEY: 'gsk-1' };
    expect(await findSent(env, 'groq/m', { 'api-key': 'gsk-2' })).toEqual({ 'api-key': 'gsk-2' });
    const { client, seen } = connect({ env: { ...env, OPENAI_API_KEY: 'sk-1' } });
    const headers = { 'base-url': 'https://elsewhere.example' };
    await client.chat.completions.create({ model: 'gpt-4o', messages: [] }, { headers });
    expect([...(seen[0]?.headers ?? [])].flat().join(' ')).not.toContain('sk-1');
  });

  test("OpenAI's organization and project go with OpenAI's models only", async () => {
    const { client, seen } = connect({}, { apiKey: 'sk-1', organization: 'org-1', project: 'proj-1' });
    await client.chat.completions.create({ model: 'gpt-4o', messages: [] });
    await client.chat.completions.create({ model: 'groq/m', messages: [] });
    expect(seen[0]?.headers.get('llm-param-organization')).toBe('org-1');
    expect(seen[0]?.headers.get('llm-param-project')).toBe('proj-1');
    expect([...(seen[1]?.headers ?? [])].flat().join(' ')).not.toMatch(/org-1|proj-1|sk-1/);
  });

  test('the token and the database of Astra go with every call', async () => {
    const env = { ASTRA_DB_APPLICATION_TOKEN: 'AstraCS:1', ASTRA_DB_ID: 'db-1' };
    expect(await findSent(env, 'fast')).toEqual({ 'astra-api-token': 'AstraCS:1', 'astra-db-id': 'db-1' });
  });

  test('a value that no header may have is left out, and said by its variable alone', async () => {
    const { client, seen, warnings } = connect({ env: { GROQ_API_KEY: 'gsk\n-secret' } });
    await client.chat.completions.create({ model: 'groq/m', messages: [] });
    expect(seen[0]?.headers.has('llm-param-groq-api-key')).toBe(false);
    expect(warnings.join()).toContain('GROQ_API_KEY');
    expect(warnings.join()).not.toContain('secret');
  });
});

describe('the address of a patched client', () => {
  test('comes from the options, the environment, or the client; never is it that of a provider', () => {
    const url = (options: PatchOptions, baseURL?: string): string =>
      connect(options, baseURL === undefined ? {} : { baseURL }).client.baseURL;
    const env = {
      UNDERSTUDY_BASE_URL: 'http://a:1/v1',
      base_url: 'http://b:1/v1',
      BASE_URL: 'http://c:1/v1',
    };
    expect(url({ env, baseURL: 'http://d:1' })).toBe('http://d:1/v1');
    expect(url({ env })).toBe('http://a:1/v1');
    expect(url({ env: { base_url: 'http://b:1/v1/', BASE_URL: 'http://c:1' } })).toBe('http://b:1/v1');
    expect(url({ env: { BASE_URL: 'http://c:1/under/v1' } })).toBe('http://c:1/under/v1');
    expect(url({}, 'http://e:1/v1')).toBe('http://e:1/v1');
    expect(url({}, 'https://api.openai.com/v1')).toBe('http://127.0.0.1:8700/v1');
    expect(url({}, 'https://api.groq.com/openai/v1')).toBe('http://127.0.0.1:8700/v1');
    expect(() => url({ baseURL: 'ftp://a' })).toThrow(TypeError);
  });

  test('a copy that is pointed elsewhere sends nothing of the environment there', async () => {
    const { client, seen } = connect({
      env: { GROQ_API_KEY: 'gsk-1', ASTRA_DB_APPLICATION_TOKEN: 'AstraCS:1' },
    });
    const copy = client.withOptions({ baseURL: 'https://elsewhere.example/v1' });
    await copy.chat.completions.create({ model: 'groq/m', messages: [] });
    expect([...(seen[0]?.headers ?? [])].flat().join(' ')).not.toMatch(/gsk-1|AstraCS/);
  });
});
