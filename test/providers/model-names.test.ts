import { describe, expect, test } from 'bun:test';
import { findEntry } from '../../src/providers/catalogue/catalogue.ts';
import { guessProvider, matchesName, splitPrefix } from '../../src/providers/routing/model-names.ts';

describe('a name without a prefix', () => {
  const NAMES: readonly (readonly [provider: string | null, names: readonly string[]])[] = [
    [
      'openai',
      ['gpt-4o', 'gpt-4-1106-preview', 'gpt-5.1', 'chatgpt-4o-latest', 'o1', 'o3-mini', 'o4-mini-2025-04-16'],
    ],
    [
      'openai',
      ['text-embedding-3-large', 'text-embedding-ada-002', 'ft:gpt-4o-mini:org::id', 'whisper-1', 'tts-1-hd'],
    ],
    ['anthropic', ['claude-3-haiku-20240307', 'claude-opus-4-5', 'claude-2.1']],
    ['gemini', ['gemini-1.5-pro-latest', 'gemini-3-pro-preview', 'gemini-embedding-001']],
    [
      'cohere',
      [
        'command',
        'command-r',
        'command-a-03-2025',
        'embed-english-v3.0',
        'embed-v4.0',
        'embed-multilingual-v3.0',
      ],
    ],
    [
      'mistral',
      [
        'mistral-large-latest',
        'magistral-medium-2506',
        'codestral-latest',
        'ministral-8b',
        'pixtral-12b',
        'open-mistral-nemo',
      ],
    ],
    ['deepseek', ['deepseek-chat', 'deepseek-reasoner']],
    ['perplexity', ['sonar', 'sonar-pro', 'sonar-reasoning-pro']],
    ['xai', ['grok-4', 'grok-3-mini']],
    ['voyage', ['voyage-3.5']],
    [
      'bedrock',
      [
        'anthropic.claude-v2',
        'anthropic.claude-3-haiku-20240307-v1:0',
        'us.anthropic.claude-sonnet-4-20250514-v1:0',
        'eu.amazon.nova-pro-v1:0',
        'apac.amazon.nova-lite-v1:0',
        'global.anthropic.claude-sonnet-4-5-20250929-v1:0',
        'amazon.titan-embed-text-v1',
        'amazon.titan-embed-text-v2:0',
        'meta.llama2-13b-chat-v1',
        'cohere.embed-english-v3',
        'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-3-5-sonnet-20241022-v2:0',
        'arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:provisioned-model/abc',
      ],
    ],
    // Names of local models, and whatever else nobody can know.
    [
      null,
      [
        'llama3.2:1b',
        'deepseek-r1:8b',
        'mistral',
        'mistral:7b',
        'mistral-nemo:12b',
        'command-r:35b',
        'gpt-oss:20b',
        'gpt-oss-120b',
        'qwen3',
        'bge-m3',
        'nomic-embed-text',
        'embed-me',
        'phi4',
        'my-deployment',
        'meta-llama/Llama-3.3-70B-Instruct',
        'o',
        'o1x',
        'commander',
        'sonarqube',
        'claude',
        'gemini',
        '',
        '.',
        'anthropic.',
        'foo.bar',
        'us.foo',
        '__proto__',
        'constructor',
      ],
    ],
  ];

  test.each(NAMES.flatMap(([provider, names]) => names.map((name) => [name, provider] as const)))(
    '%p is known to be of %p',
    (name, provider) => {
      expect(guessProvider(name)).toBe(provider);
    },
  );

  test('is only ever given to a provider of the catalogue', () => {
    for (const [provider] of NAMES) if (provider !== null) expect(findEntry(provider)?.id).toBe(provider);
  });
});

test.each([
  ['groq/llama-3.3-70b', { prefix: 'groq', rest: 'llama-3.3-70b' }],
  ['openrouter/anthropic/claude-3', { prefix: 'openrouter', rest: 'anthropic/claude-3' }],
  ['gpt-4o', null],
  ['/gpt-4o', null],
  ['groq/', null],
  ['/', null],
  ['', null],
])('the prefix of %p is what stands before its first slash', (name, parts) => {
  expect(splitPrefix(name)).toEqual(parts);
});

test.each([
  ['gpt-4o', 'gpt-4o', true],
  ['gpt-4o', 'gpt-4o-mini', false],
  ['gpt-*', 'gpt-4o', true],
  ['gpt-*', 'xgpt-4o', false],
  ['*', 'anything/at-all', true],
  ['a*b', 'axb', false],
])('the pattern %p fits the name %p: %p', (pattern, name, fits) => {
  expect(matchesName(pattern, name)).toBe(fits);
});
