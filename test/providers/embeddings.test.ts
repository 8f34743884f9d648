import { describe, expect, test } from 'bun:test';
import { readModelSettings } from '../../src/config/model-settings.ts';
import type { EmbedCall, EmbeddingModel } from '../../src/providers/embedder.ts';
import { embedTexts } from '../../src/providers/embeddings/embedding-batches.ts';
import { estimateEmbeddingTokens, splitWindows } from '../../src/providers/embeddings/embedding-windows.ts';
import { createEmbedders, OPENAI_EMBEDDING } from '../../src/providers/embeddings/embeddings.ts';
import {
  type CallOptions,
  type Provider,
  ProviderError,
  type RequestHeaders,
} from '../../src/providers/provider.ts';
import { NO_MODEL_SETTINGS } from '../../src/providers/routing/provider-settings.ts';
import { createRouter } from '../../src/providers/routing/router.ts';

const LIMITS = { textsMax: 4, tokensMax: 1000, textTokensMax: 100, dimensions: null };

function toCall(): EmbedCall {
  return { signal: new AbortController().signal, requestId: 'req_1', tenant: 'test', keyId: null };
}

/** A vector that tells whose it is: its direction is the text's number. */
function toVector(text: string): number[] {
  const number = Number(/\d+/.exec(text)?.[0] ?? 0);
  return [Math.cos(number), Math.sin(number)];
}

function toBase64(vector: readonly number[]): string {
  return Buffer.from(Float32Array.from(vector).buffer).toString('base64');
}

function answer(data: readonly unknown[]): Response {
  return Response.json({ object: 'list', data, model: 'm', usage: { prompt_tokens: 1, total_tokens: 1 } });
}

function toItems(inputs: readonly string[]): { object: string; index: number; embedding: string }[] {
  return inputs.map((text, index) => ({ object: 'embedding', index, embedding: toBase64(toVector(text)) }));
}

describe('embedTexts', () => {
  const texts = Array.from({ length: 23 }, (_, number) => `text ${number}`);

  function expectOwn(vectors: readonly Float32Array[]): void {
    expect(vectors).toHaveLength(texts.length);
    for (const [at, vector] of vectors.entries()) {
      const [x = 0, y = 0] = toVector(texts[at] ?? '');
      expect(vector[0]).toBeCloseTo(x, 5);
      expect(vector[1]).toBeCloseTo(y, 5);
    }
  }

  test('gives each text its own vector although items of an answer and whole answers come in any order', async () => {
    const open: (() => void)[] = [];
    const vectors = embedTexts(
      texts,
      async (inputs) => {
        // The answers are held back until several calls are there, and then given last one first.
        await new Promise<void>((resolve) => {
          open.push(resolve);
          if (open.length === 4 || inputs.length < 4) for (const one of open.splice(0).reverse()) one();
          else if (inputs.includes('text 16')) for (const one of open.splice(0).reverse()) one();
        });
        return answer(toItems(inputs).reverse());
      },
      LIMITS,
    );
    expectOwn(await vectors);
  });

  test('takes plain numbers as well as base64, and items without an index in their order', async () => {
    const vectors = await embedTexts(
      texts,
      async (inputs) => answer(inputs.map((text) => ({ embedding: toVector(text) }))),
      LIMITS,
    );
    expectOwn(vectors);
  });

  test('never brings more texts to a call than it may, and scales every vector to unit length', async () => {
    const sizes: number[] = [];
    const vectors = await embedTexts(
      texts,
      async (inputs) => {
        sizes.push(inputs.length);
        return answer(
          inputs.map((text, index) => ({ index, embedding: toVector(text).map((value) => value * 7) })),
        );
      },
      LIMITS,
    );
    expect(Math.max(...sizes)).toBe(4);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(23);
    expectOwn(vectors);
  });

  test.each([
    [
      'a vector less',
      (inputs: readonly string[]) => answer(toItems(inputs).slice(1)),
      /holds 3 vectors for 4 texts/,
    ],
    [
      'a number twice',
      (inputs: readonly string[]) => answer(toItems(inputs).map((item) => ({ ...item, index: 0 }))),
      /numbers its vectors wrongly/,
    ],
    [
      'zeros',
      (inputs: readonly string[]) => answer(inputs.map((_, index) => ({ index, embedding: [0, 0] }))),
      /vector of zeros/,
    ],
    [
      'what is no number',
      (inputs: readonly string[]) => answer(inputs.map((_, index) => ({ index, embedding: [1, null] }))),
      /numbers that are none/,
    ],
    [
      'vectors of several lengths',
      (inputs: readonly string[]) =>
        answer(inputs.map((_, index) => ({ index, embedding: index === 0 ? [1, 0] : [1, 0, 0] }))),
      /3 dimensions where 2 were expected/,
    ],
    ['HTML', () => new Response('<html>'), /holds 0 vectors/],
  ])('refuses an answer with %s', async (_, toAnswer, message) => {
    const failed = await embedTexts(texts.slice(0, 4), async (inputs) => toAnswer(inputs), LIMITS).catch(
      (error: unknown) => error,
    );
    expect(failed).toBeInstanceOf(ProviderError);
    expect((failed as ProviderError).kind).toBe('protocol');
    expect((failed as ProviderError).message).toMatch(message);
  });

  test('refuses vectors of other dimensions than the store has', async () => {
    const failed = await embedTexts(['text 1'], async (inputs) => answer(toItems(inputs)), {
      ...LIMITS,
      dimensions: 3,
    }).catch((error: unknown) => error);
    expect((failed as ProviderError).message).toMatch(/2 dimensions where 3 were expected/);
  });

  test('embeds a text that is longer than the window in parts, and weighs them by length', async () => {
    const seen: string[] = [];
    const text = `${'1 '.repeat(120)}${'2 '.repeat(60)}`;
    const [vector] = await embedTexts(
      [text],
      async (inputs) => {
        seen.push(...inputs);
        return answer(
          inputs.map((input, index) => {
            const ones = input.split('1').length - 1;
            const twos = input.split('2').length - 1;
            return { index, embedding: [ones, twos] };
          }),
        );
      },
      { ...LIMITS, textTokensMax: 40 },
    );
    expect(seen.join('')).toBe(text);
    expect(seen.length).toBe(3);
    // Three windows of the same length: two of the first kind, one of the other.
    expect((vector?.[0] ?? 0) / (vector?.[1] ?? 1)).toBeCloseTo(2, 3);
  });

  test('halves texts that the model itself finds too long', async () => {
    const lengths: number[] = [];
    const [vector] = await embedTexts(
      ['word '.repeat(50)],
      async (inputs) => {
        lengths.push(...inputs.map((input) => input.length));
        if (inputs.some((input) => input.length > 80)) {
          throw new ProviderError('invalid_request', 'the input length exceeds the context length', {
            status: 400,
          });
        }
        return answer(inputs.map((_, index) => ({ index, embedding: [3, 4] })));
      },
      LIMITS,
    );
    expect([...(vector ?? [])]).toEqual([expect.closeTo(0.6, 5), expect.closeTo(0.8, 5)]);
    expect(lengths.at(-1)).toBeLessThanOrEqual(80);
  });
});

describe('splitWindows', () => {
  test.each([
    ['words', 'one two three '.repeat(400)],
    ['one word', 'x'.repeat(5000)],
    ['pairs', '😀'.repeat(1500)],
    ['Japanese', '東京都の人口は'.repeat(300)],
  ])('loses nothing of %s, and no window is much larger than it may be', (_, text) => {
    const windows = splitWindows(text, 100);
    expect(windows.join('')).toBe(text);
    for (const window of windows) {
      expect(estimateEmbeddingTokens(window)).toBeLessThanOrEqual(160);
      expect(window.isWellFormed()).toBe(true);
    }
  });
});

describe('createEmbedders', () => {
  const calls: { body: Record<string, unknown>; options: CallOptions }[] = [];
  const provider: Provider = {
    id: 'openai',
    // biome-ignore lint/correctness/useYield: nothing is said here
    async *chat() {
      throw new Error('not asked');
    },
    async relay(_, body, options) {
      calls.push({ body, options });
      return answer(toItems(body.input as string[]));
    },
    listModels: async () => [],
  };

  function create(
    configured: EmbeddingModel | null,
    apiKey: string | null = null,
    baseUrl: string | null = null,
  ) {
    const router = createRouter({
      openai: provider,
      rehearsal: provider,
      operator: { apiKey, baseUrl },
      localServer: null,
      policy: { allowedHosts: [], allowLoopback: true },
    });
    return createEmbedders({ router, configured });
  }

  test('takes the model that a header names, then the configured one, then that of OpenAI, else none', () => {
    const configured = { model: 'bge-m3', dimensions: null };
    const header: RequestHeaders = {
      'embedding-model': 'nomic-embed-text',
      'embedding-param-dimensions': '128',
    };
    expect(create(configured).choose(header)).toEqual({ model: 'nomic-embed-text', dimensions: 128 });
    expect(create(configured, 'sk-1').choose({})).toEqual(configured);
    expect(create(null, 'sk-1').choose({})).toEqual(OPENAI_EMBEDDING);
    expect(create(null).choose({ authorization: 'Bearer sk-2' })).toEqual(OPENAI_EMBEDDING);
    expect(create(null).choose({ authorization: 'Bearer understudy' })).toBeNull();
    expect(create(null, 'sk-1', 'http://127.0.0.1:1/v1').choose({})).toBeNull();
  });

  test('takes that of a known provider where the upstream is one, or where the operator’s model is its', () => {
    const choose = (
      operator: { apiKey: string | null; baseUrl: string | null },
      defaultModel: string | null,
    ) => {
      const router = createRouter({
        openai: provider,
        rehearsal: provider,
        operator,
        settings: {
          ...NO_MODEL_SETTINGS,
          defaultModel,
          providers: readModelSettings({
            env: { COHERE_API_KEY: 'c', GROQ_API_KEY: 'g' },
            readFile: () => '',
            sections: null,
            allowedHosts: [],
            ownModels: [],
          }).settings.providers,
        },
        localServer: null,
        policy: { allowedHosts: [], allowLoopback: true },
      });
      return createEmbedders({ router, configured: null }).choose({});
    };
    const none = { apiKey: null, baseUrl: null };
    const together = { apiKey: 'k', baseUrl: 'https://api.together.xyz/v1' };
    expect(choose(together, null)).toEqual({ model: 'BAAI/bge-base-en-v1.5', dimensions: null });
    expect(choose(none, 'cohere/command-a')).toEqual({ model: 'cohere/embed-v4.0', dimensions: null });
    expect(choose(none, 'groq/llama')).toBeNull();
    // Keys alone send nobody's documents anywhere.
    expect(choose(none, null)).toBeNull();
  });

  test('names the header that is wrong', () => {
    const embedders = create(null);
    const headers = { 'embedding-model': 'm', 'embedding-param-dimensions': 'many' };
    expect(() => embedders.choose(headers)).toThrow(/embedding-param-dimensions/);
  });

  test('sends parameters of the embedding model to it, and its key instead of that of the language model', async () => {
    calls.length = 0;
    const headers = {
      authorization: 'Bearer sk-chat',
      'embedding-param-api-key': 'sk-embed',
      'embedding-param-base-url': 'http://127.0.0.1:9/v1',
      'embedding-param-input-type': 'query',
      'embedding-param-truncate': 'false',
    };
    const embedder = create(null).resolve({ model: 'm', dimensions: 2 }, headers);
    expect(embedder.fromRequest).toBe(true);
    await embedder.embed(['text 1'], toCall());
    expect(calls[0]?.body).toEqual({
      model: 'm',
      input: ['text 1'],
      encoding_format: 'base64',
      dimensions: 2,
      input_type: 'query',
      truncate: false,
    });
    expect(calls[0]?.options.credentials).toEqual({
      apiKey: 'sk-embed',
      baseUrl: 'http://127.0.0.1:9/v1',
      fromRequest: true,
      baseUrlFromRequest: true,
    });
  });

  test("never sends the key of the language model, or the operator's, to an address that is for embeddings only", async () => {
    calls.length = 0;
    const headers = { authorization: 'Bearer sk-chat', 'embedding-param-base-url': 'http://127.0.0.1:9/v1' };
    const embedder = create(null, 'sk-operator').resolve({ model: 'm', dimensions: null }, headers);
    await embedder.embed(['text 1'], toCall());
    expect(calls[0]?.options.credentials.apiKey).toBeNull();
  });
});
