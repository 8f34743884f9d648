import { describe, expect, test } from 'bun:test';
import {
  CATALOGUE,
  findEntry,
  findEntryByUrl,
  LOCAL_SERVER_IDS,
  normalizeBaseUrl,
  type ProviderEntry,
  toHosts,
} from '../../src/providers/catalogue/catalogue.ts';
import { isLoopbackHost } from '../../src/providers/routing/base-url.ts';

test('knows at least sixty providers', () => {
  expect(CATALOGUE.length).toBeGreaterThanOrEqual(60);
});

test('no two providers have a prefix in common, and none takes the server’s own', () => {
  const prefixes = CATALOGUE.flatMap(({ id, aliases }) => [id, ...aliases]);
  expect(new Set(prefixes).size).toBe(prefixes.length);
  expect(prefixes).not.toContain('understudy');
  for (const prefix of prefixes) {
    expect(prefix).toMatch(/^[a-z0-9][a-z0-9_.-]*$/);
    expect(findEntry(prefix)).not.toBeNull();
  }
});

test('no name of JavaScript’s own is a provider', () => {
  for (const name of ['constructor', '__proto__', 'toString', '']) expect(findEntry(name)).toBeNull();
});

describe.each(CATALOGUE.map((entry) => [entry.id, entry] as const))('%s', (_, entry: ProviderEntry) => {
  test('is called over TLS, or on this machine', () => {
    if (entry.baseUrl === null)
      return expect(entry.baseUrlVariables.length + entry.hosts.length).toBeGreaterThan(0);
    const url = new URL(entry.baseUrl.replaceAll(/\{[^}]+\}/g, 'x'));
    expect(url.protocol === 'https:' || (entry.isLocal && isLoopbackHost(url.hostname))).toBe(true);
    expect(entry.baseUrl).not.toEndWith('/');
    expect(normalizeBaseUrl(entry, entry.baseUrl)).toBe(entry.baseUrl);
  });

  test('has variables with names that a shell can set, none of them twice', () => {
    const parameters = entry.parameters.flatMap(({ variables, fileVariable }) =>
      fileVariable === undefined ? variables : [...variables, fileVariable],
    );
    const names = [...entry.keyVariables, ...entry.baseUrlVariables, ...parameters];
    for (const name of names) expect(name).toMatch(/^[A-Z][A-Z0-9_]*$/);
    expect(new Set(names).size).toBe(names.length);
    expect(entry.keyVariables.length).toBeGreaterThan(0);
  });

  test('needs nothing in its address or for its key that nobody could send', () => {
    const known = new Set(['api-key', ...entry.parameters.map(({ name }) => name)]);
    for (const [, place] of (entry.baseUrl ?? '').matchAll(/\{([^}]+)\}/g)) {
      expect(known).toContain(place ?? '');
      expect(entry.parameters.find(({ name }) => name === place)?.isLabel).toBe(true);
    }
    for (const name of entry.keySets.flat()) expect(known).toContain(name);
    expect(entry.keySets.length).toBeGreaterThan(0);
  });

  test('has quirks that can be read', () => {
    const { toolCallIds, embeddingTextsMax } = entry.quirks;
    if (toolCallIds !== undefined) {
      expect('0'.repeat(toolCallIds.length)).toMatch(new RegExp(toolCallIds.pattern));
    }
    if (embeddingTextsMax !== undefined) expect(embeddingTextsMax).toBeGreaterThan(0);
    expect(entry.embedding?.model ?? 'none').not.toBe('');
  });
});

test('no two providers take their key from one variable', () => {
  const owners = new Map<string, string>();
  for (const { id, keyVariables } of CATALOGUE) {
    for (const name of keyVariables) {
      expect([name, owners.get(name) ?? id]).toEqual([name, id]);
      owners.set(name, id);
    }
  }
});

test('what is found on this machine at start is in the catalogue', () => {
  for (const id of Object.values(LOCAL_SERVER_IDS)) expect(findEntry(id)?.isLocal).toBe(true);
});

describe('whose host it is', () => {
  test.each([
    ['https://api.openai.com/v1', 'openai'],
    ['https://eu.api.openai.com/v1', 'openai'],
    ['https://api.groq.com/openai/v1', 'groq'],
    ['https://openrouter.ai/api/v1', 'openrouter'],
    ['https://api.anthropic.com', 'anthropic'],
    ['https://my-resource.openai.azure.com', 'azure'],
    ['https://bedrock-runtime.eu-west-1.amazonaws.com', 'bedrock'],
    ['https://us-central1-aiplatform.googleapis.com', 'vertex_ai'],
    ['https://aiplatform.googleapis.com', 'vertex_ai'],
    ['https://ab12345.snowflakecomputing.com/api/v2/cortex/v1', 'snowflake'],
    ['https://ollama.com/v1', 'ollama'],
    // Another port, no TLS, or somebody else's name around it.
    ['https://api.openai.com:8443/v1', null],
    ['http://api.openai.com/v1', null],
    ['https://api.openai.com.evil.example/v1', null],
    ['https://evil-api.groq.com.example/v1', null],
    ['https://a.b.openai.azure.com', null],
    ['https://evil.example/.openai.azure.com', null],
    ['https://-.openai.azure.com', null],
    ['http://localhost:11434/v1', null],
    ['https://localhost/v1', null],
    ['nonsense', null],
  ])('%p: %p', (url, id) => {
    expect(findEntryByUrl(url)?.id ?? null).toBe(id);
  });

  test('each host of the catalogue is its own', () => {
    for (const entry of CATALOGUE) {
      for (const host of toHosts(entry)) {
        const url = `https://${host.replaceAll(/\{[^}]+\}/g, 'x-1')}`;
        expect([url, findEntryByUrl(url)?.id]).toEqual([url, entry.id]);
      }
    }
  });
});

describe('base URLs as people write them', () => {
  test.each([
    ['anthropic', 'https://api.anthropic.com', 'https://api.anthropic.com/v1'],
    ['anthropic', 'https://proxy.example/anthropic/v1/', 'https://proxy.example/anthropic/v1'],
    [
      'gemini',
      'https://generativelanguage.googleapis.com',
      'https://generativelanguage.googleapis.com/v1beta',
    ],
    [
      'gemini',
      'https://generativelanguage.googleapis.com/v1',
      'https://generativelanguage.googleapis.com/v1',
    ],
    ['cohere', 'https://api.cohere.com/', 'https://api.cohere.com/v2'],
    ['mistral', 'https://api.mistral.ai', 'https://api.mistral.ai/v1'],
    ['ollama', 'http://localhost:11434', 'http://localhost:11434/v1'],
    ['ollama', 'http://localhost:11434/v1///', 'http://localhost:11434/v1'],
    ['azure', 'https://r.openai.azure.com/openai', 'https://r.openai.azure.com'],
    ['azure', 'https://r.openai.azure.com/openai/deployments/d/', 'https://r.openai.azure.com'],
    ['azure', 'https://r.openai.azure.com/openai/v1', 'https://r.openai.azure.com/openai/v1'],
    // Taken as given: who knows what is in front of it.
    ['groq', 'https://proxy.example/groq', 'https://proxy.example/groq'],
    ['openai', 'http://127.0.0.1:8000', 'http://127.0.0.1:8000'],
  ])('%s at %p is %p', (id, given, expected) => {
    const entry = findEntry(id);
    if (entry === null) throw new Error(`no ${id}`);
    expect(normalizeBaseUrl(entry, given)).toBe(expected);
  });
});

test('the documentation has every prefix and every variable', async () => {
  const page = await Bun.file(new URL('../../docs/providers.md', import.meta.url)).text();
  for (const { id, aliases, keyVariables, baseUrlVariables } of CATALOGUE) {
    for (const prefix of [id, ...aliases]) expect(page).toContain(`\`${prefix}/\``);
    for (const variable of [...keyVariables, ...baseUrlVariables.slice(0, 1)])
      expect(page).toContain(`\`${variable}\``);
  }
});
