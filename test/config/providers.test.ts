import { describe, expect, test } from 'bun:test';
import { inspect } from 'node:util';
import { type Config, ConfigError, parseConfig } from '../../src/config/config.ts';
import type { Environment } from '../../src/config/config-sources.ts';
import type { ProviderSettings } from '../../src/providers/routing/provider-settings.ts';

const FILE = 'models.yaml';
const KEY = 'sk-do-not-print-me';

/** What `models.yaml` and the environment come to; `files` are others that can be read. */
function parse(
  file: string,
  env: Environment = {},
  files: Readonly<Record<string, string>> = {},
  path = FILE,
): Config {
  return parseConfig(['--config', path], env, (asked) => {
    const text = asked === path ? file : files[asked];
    if (text === undefined) throw new Error(`ENOENT: no such file, open '${asked}'`);
    return text;
  });
}

function problemsOf(...args: Parameters<typeof parse>): readonly string[] {
  try {
    parse(...args);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

function find(config: Config, id: string): ProviderSettings {
  const found = config.models.providers.get(id);
  if (found === undefined) throw new Error(`nothing is set for ${id}`);
  return found;
}

describe('variables that everybody uses', () => {
  test('make providers, by the first one that is set', () => {
    const config = parseConfig(
      [],
      { GROQ_API_KEY: 'g', PERPLEXITY_API_KEY: 'p2', TOGETHER_API_KEY: ' t\n' },
      () => '',
    );
    expect([...config.models.providers.keys()].sort()).toEqual(['groq', 'perplexity', 'together_ai']);
    expect(find(config, 'together_ai').apiKey?.reveal()).toBe('t');
    const both = parseConfig([], { PERPLEXITYAI_API_KEY: 'p1', PERPLEXITY_API_KEY: 'p2' }, () => '');
    expect(find(both, 'perplexity').apiKey?.reveal()).toBe('p1');
  });

  test('give what is needed besides a key', () => {
    const env = {
      AWS_ACCESS_KEY_ID: 'id',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_REGION: 'eu-west-1',
      AZURE_API_BASE: 'https://r.openai.azure.com/',
      AZURE_API_KEY: 'a',
      AZURE_API_VERSION: '2024-10-21',
      GOOGLE_APPLICATION_CREDENTIALS: '/keys/google.json',
    };
    const config = parseConfig([], env, (path) => {
      if (path === '/keys/google.json') return '{"type":"service_account"}\n';
      throw new Error('ENOENT');
    });
    const shown = (id: string) =>
      Object.fromEntries(
        Object.entries(find(config, id).parameters).map(([name, value]) => [name, value.reveal()]),
      );
    expect(shown('bedrock')).toEqual({
      'aws-access-key-id': 'id',
      'aws-secret-access-key': 'secret',
      'aws-region-name': 'eu-west-1',
    });
    expect(shown('azure')).toEqual({ 'api-version': '2024-10-21' });
    expect(find(config, 'azure').baseUrl).toBe('https://r.openai.azure.com');
    expect(shown('vertex_ai')).toEqual({ 'vertex-credentials': '{"type":"service_account"}' });
  });

  test('that say only where, or are other programs’, make none', () => {
    const config = parseConfig(
      [],
      { AWS_REGION: 'eu-west-1', AZURE_API_VERSION: '1', VERTEXAI_LOCATION: 'x' },
      () => '',
    );
    expect([...config.models.providers.keys()]).toEqual([]);
  });

  test('that cannot be right are told of and left out, but OpenAI’s stop the server', () => {
    const config = parseConfig(
      [],
      { GROQ_API_KEY: `${KEY} twice`, OLLAMA_API_BASE: 'here', GOOGLE_APPLICATION_CREDENTIALS: '/gone' },
      () => {
        throw new Error('ENOENT');
      },
    );
    expect([...config.models.providers.keys()]).toEqual([]);
    expect(config.warnings).toEqual([
      'GOOGLE_APPLICATION_CREDENTIALS names a file that cannot be read, and is ignored.',
      'GROQ_API_KEY holds characters that no key has, and is ignored.',
      'OLLAMA_API_BASE must be a URL like http://127.0.0.1:11434/v1, and is ignored.',
    ]);
    expect(() => parseConfig([], { OPENAI_API_KEY: 'a b' }, () => '')).toThrow(
      'OPENAI_API_KEY holds characters',
    );
  });
});

describe('providers of a file', () => {
  const FULL = `
providers:
  my-vllm:
    name: Our vLLM
    base-url: http://10.0.0.5:8000/v1/
    key-variable: VLLM_TOKEN
    auth: X-Token
    headers: { x-team: search, x-gate: { variable: GATE } }
    timeouts: { connect-seconds: 2, first-byte-seconds: 0.5, idle-seconds: 30 }
    limits: { concurrent-calls: 4 }
    allowed-hosts: [gpu.lan:8000]
    models: [qwen, llama]
    quirks: { no-images: true, max-tokens-name: max_tokens }
  deepseek:
    key-file: /run/secrets/deepseek
    quirks: { no-images: false }
  cohere_chat:
    api-key: in-the-open
aliases: { fast: groq/llama-3, best: [my-vllm/qwen, fast-one] }
fallbacks: { my-vllm/qwen: groq/llama-3 }
default-model: fast
allowed-models: [best]
embedding-model: text-embedding-3-small
`;
  const ENV = { VLLM_TOKEN: 'v', GATE: 'open' };
  const FILES = { '/run/secrets/deepseek': 'd\n' };

  test('say everything of a provider of one’s own', () => {
    const own = find(parse(FULL, ENV, FILES), 'my-vllm');
    expect(own).toMatchObject({
      baseUrl: 'http://10.0.0.5:8000/v1',
      timeouts: { connectMs: 2000, firstByteMs: 500, idleMs: 30_000 },
      callsMax: 4,
      models: ['qwen', 'llama'],
      entry: {
        id: 'my-vllm',
        name: 'Our vLLM',
        protocol: 'openai',
        auth: { header: 'x-token' },
        isKeyOptional: false,
        quirks: { noImages: true, maxTokensName: 'max_tokens' },
      },
    });
    expect(own.apiKey?.reveal()).toBe('v');
    expect(own.headers['x-team']?.reveal()).toBe('search');
    expect(own.headers['x-gate']?.reveal()).toBe('open');
  });

  test('change what the catalogue says, under any of its prefixes', () => {
    const config = parse(FULL, ENV, FILES);
    expect(find(config, 'deepseek').apiKey?.reveal()).toBe('d');
    expect(find(config, 'deepseek').entry.quirks).toMatchObject({
      jsonObjectOnly: true,
      maxTokensName: 'max_tokens',
    });
    expect(find(config, 'deepseek').entry.quirks.noImages).toBeUndefined();
    expect(find(config, 'cohere').apiKey?.reveal()).toBe('in-the-open');
  });

  test('name models, and those that may be asked for; what the server itself uses always may', () => {
    const { models } = parse(FULL, ENV, FILES);
    expect(models.aliases.get('fast')).toEqual(['groq/llama-3']);
    expect(models.aliases.get('best')).toEqual(['my-vllm/qwen', 'fast-one']);
    expect(models.fallbacks.get('my-vllm/qwen')).toEqual(['groq/llama-3']);
    expect(models.defaultModel).toBe('fast');
    expect(models.allowedModels).toEqual(['best', 'text-embedding-3-small', 'fast']);
    expect(models.allowedHosts).toEqual(['gpu.lan:8000']);
  });

  test('are overruled by the environment', () => {
    const file =
      'providers: { groq: { api-key: of-the-file, base-url: "https://file.example" }, ollama: { base-url: "http://file.example" } }';
    const config = parse(file, { GROQ_API_KEY: 'of-the-environment', OLLAMA_API_BASE: 'http://gpu:11434' });
    expect(find(config, 'groq').apiKey?.reveal()).toBe('of-the-environment');
    expect(find(config, 'groq').baseUrl).toBe('https://file.example');
    expect(find(config, 'ollama').baseUrl).toBe('http://gpu:11434');
  });

  test('may be OpenAI itself', () => {
    const config = parse(
      'providers: { openai: { key-variable: MY_KEY, base-url: "https://eu.api.openai.com/v1" } }',
      { MY_KEY: 'k' },
    );
    expect(config.openAiApiKey?.reveal()).toBe('k');
    expect(config.openAiBaseUrl).toBe('https://eu.api.openai.com/v1');
  });

  test('have a variable for their key without naming one, and need no key where none is named', () => {
    const file = 'providers: { my-vllm: { base-url: "http://10.0.0.5:8000/v1" } }';
    expect(find(parse(file), 'my-vllm').entry.isKeyOptional).toBe(true);
    expect(find(parse(file, { MY_VLLM_API_KEY: 'k' }), 'my-vllm').apiKey?.reveal()).toBe('k');
  });

  test('may stand in a JSON file', () => {
    const config = parse(
      '{"providers": {"groq": {"api-key": "k"}}, "aliases": {"fast": "groq/x"}}',
      {},
      {},
      'models.json',
    );
    expect(find(config, 'groq').apiKey?.reveal()).toBe('k');
  });

  test('with a key in the open, a variable that is not set, or a slip in an alias, are told of', () => {
    const file = `
providers: { groq: { api-key: ${KEY} }, xai: { key-variable: NOT_SET } }
aliases: { fast: grok/llama-3, ours: my-org/model }
`;
    const { warnings } = parse(file);
    expect(warnings).toEqual([
      "'providers.groq.api-key' in models.yaml: whoever reads the file has the key. Better are key-variable and key-file.",
      "'aliases.fast' in models.yaml: no provider is called 'grok'. Did you mean 'groq'? As it is, 'grok/llama-3' goes to the default upstream.",
      "'providers.xai.key-variable': the variable NOT_SET is not set.",
    ]);
  });

  test('keep their secrets out of every text that is made of the configuration', () => {
    const file = `
providers:
  groq: { api-key: ${KEY} }
  bedrock: { parameters: { aws-access-key-id: id, aws-secret-access-key: ${KEY} } }
  mine: { base-url: "http://x.example", headers: { x-secret: ${KEY} } }
`;
    const config = parse(file);
    for (const text of [
      JSON.stringify(config.models),
      inspect(config.models, { depth: 9 }),
      Bun.inspect(config.models),
    ]) {
      expect(text).not.toContain('do-not-print');
    }
  });
});

describe('what is refused, and in which words', () => {
  const REFUSED: readonly (readonly [file: string, problem: string])[] = [
    ['providers: []', "'providers' in models.yaml must be providers by name."],
    ['providers: { Groq: {} }', "'providers.Groq' in models.yaml has a name that cannot be used here."],
    [
      'providers: { groq: { base_url: x } }',
      "There is no setting 'providers.groq.base_url', which models.yaml names. Did you mean 'base-url'?",
    ],
    [
      'providers: { groq: { key-variable: 5 } }',
      "'providers.groq.key-variable' in models.yaml must be the name of a variable.",
    ],
    [
      'providers: { groq: { timeouts: { connect-seconds: -1 } } }',
      "'providers.groq.timeouts.connect-seconds' in models.yaml must be a number of seconds up to 86400.",
    ],
    [
      'providers: { groq: { limits: { concurrent-calls: 0 } } }',
      "'providers.groq.limits.concurrent-calls' in models.yaml must be a whole number from 1 to 100000.",
    ],
    [
      'providers: { groq: { headers: { x: { secret: 1 } } } }',
      "'providers.groq.headers.x' in models.yaml must be text, or {variable: NAME}, or {file: PATH}.",
    ],
    [
      'providers: { groq: { allowed-hosts: ["http://x"] } }',
      "'providers.groq.allowed-hosts.0' in models.yaml must be a host, like models.example or 10.0.0.5:8000.",
    ],
    [
      'providers: { mine: { base-url: "http://x", protocol: grpc } }',
      "'providers.mine.protocol' in models.yaml must be one of openai, azure, anthropic, gemini, vertex, bedrock, cohere, mistral, voyage, watsonx.",
    ],
    [
      'providers: { grok: {} }',
      "'providers.grok' in models.yaml needs a base-url: no provider of this name is known. Did you mean the provider 'groq'?",
    ],
    [
      `providers: { mine: { base-url: "http://user:${KEY}@x" } }`,
      "'providers.mine.base-url' in models.yaml must be a URL like http://127.0.0.1:8000/v1, without user name, password, query or fragment.",
    ],
    [
      'providers: { groq: { api-key: a, key-file: b } }',
      "'providers.groq' in models.yaml has key-file and api-key: one is enough.",
    ],
    [
      'providers: { groq: { key-file: /gone } }',
      "'providers.groq.key-file': the file /gone cannot be read, or is empty.",
    ],
    [
      `providers: { groq: { api-key: "${KEY} x" } }`,
      "'providers.groq.api-key' holds characters that no key has.",
    ],
    [
      'providers: { groq: { headers: { x-a: { variable: NOT_SET } } } }',
      "'providers.groq.headers.x-a': the variable NOT_SET is not set.",
    ],
    [
      'providers: { groq: { headers: { Host: x } } }',
      "'providers.groq.headers.Host' in models.yaml: this header is the connection's own.",
    ],
    [
      'providers: { groq: { parameters: { region: x } } }',
      "'providers.groq.parameters.region' in models.yaml is no parameter of Groq. It has none.",
    ],
    [
      'providers: { understudy: { base-url: "http://x" } }',
      "'providers.understudy' in models.yaml: the name is the server's own.",
    ],
    [
      'aliases: { fast: [] }',
      "'aliases.fast' in models.yaml must be the name of a model, or a list of up to 8.",
    ],
    [
      'aliases: { fast: slow, slow: groq/x }',
      "'aliases.fast' in models.yaml leads to 'slow', which is an alias too: name its model.",
    ],
    [
      'aliases: { understudy/mine: groq/x }',
      "'aliases.understudy/mine' in models.yaml: names that begin with 'understudy/' are the server's own.",
    ],
    ['allowed-models: gpt-4o', "'allowed-models' in models.yaml must be a list of models."],
    ['alias: {}', "There is no setting 'alias', which models.yaml names. Did you mean 'aliases'?"],
  ];

  test.each(REFUSED)('%s', (file, problem) => {
    const problems = problemsOf(file);
    expect(problems.map((text) => text.slice(0, problem.length))).toEqual([problem]);
    expect(problems.join()).not.toContain('do-not-print');
  });

  test('hosts that requests may name are names of hosts', () => {
    expect(() => parseConfig(['--allow-upstream', 'http://x'], {}, () => '')).toThrow(
      '--allow-upstream must be hosts like models.example or 10.0.0.5:8000, not ["http://x"].',
    );
  });
});

test('the file that the documentation shows is one that the server takes', async () => {
  const page = await Bun.file(new URL('../../docs/providers.md', import.meta.url)).text();
  const example = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  const env = { HOUSE_KEY: 'h', GATE: 'g' };
  const config = parse(example, env, { '/run/secrets/groq': 'k' });
  expect(config.warnings).toEqual([]);
  expect([...config.models.providers.keys()]).toEqual(['groq', 'house']);
  expect(config.models.aliases.size).toBeGreaterThan(2);
});
