import { describe, expect, test } from 'bun:test';
import { toModelInfos } from '../../src/providers/openai/models.ts';
import { ProviderError } from '../../src/providers/provider.ts';
import { catchProviderError, createTestProvider, toCallOptions } from '../support/provider-calls.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

describe('the list of models', () => {
  test.each([
    [
      'OpenAI',
      {
        object: 'list',
        data: [{ id: 'gpt-4o', object: 'model', created: 1_715_367_049, owned_by: 'system' }],
      },
      [{ id: 'gpt-4o', created: 1_715_367_049, ownedBy: 'system' }],
    ],
    ['Ollama without models', { object: 'list', data: null }, []],
    [
      'Ollama’s own list',
      { models: [{ name: 'llama3:8b', model: 'llama3:8b' }] },
      [{ id: 'llama3:8b', created: 0, ownedBy: 'unknown' }],
    ],
    [
      'LM Studio’s own list',
      { data: [{ id: 'qwen', publisher: 'lmstudio' }] },
      [{ id: 'qwen', created: 0, ownedBy: 'lmstudio' }],
    ],
    [
      'Together',
      [{ id: 'meta/llama', created: 12.5, organization: 'Meta' }],
      [{ id: 'meta/llama', created: 12, ownedBy: 'Meta' }],
    ],
    [
      'names alone',
      { data: ['a', 'b'] },
      [
        { id: 'a', created: 0, ownedBy: 'unknown' },
        { id: 'b', created: 0, ownedBy: 'unknown' },
      ],
    ],
    [
      'entries without a name',
      { data: [null, {}, 7, { id: '' }, { id: 'ok', created: 'x', owned_by: null }] },
      [{ id: 'ok', created: 0, ownedBy: 'unknown' }],
    ],
  ])('of %s is understood', (_, document, expected) => {
    expect(toModelInfos(JSON.stringify(document))).toEqual(expected);
  });

  test.each(['<html></html>', '{"error":"x"}', '"text"', '', 'null'])('%p is no list', (text) => {
    expect(() => toModelInfos(text)).toThrow(ProviderError);
  });

  test('is fetched with the key', async () => {
    const upstream = await startScriptedUpstream({ models: ['m1', 'm2'] });
    try {
      const provider = createTestProvider();
      const models = await provider.listModels(toCallOptions(upstream.url, { apiKey: 'sk-list' }));
      expect(models.map(({ id }) => id)).toEqual(['m1', 'm2']);
      expect(upstream.requests[0]).toMatchObject({
        method: 'GET',
        path: '/v1/models',
        headers: { authorization: 'Bearer sk-list' },
      });
    } finally {
      await upstream.close();
    }
  });

  test.each([401, 404, 500])('that is answered with %p is an error of that status', async (status) => {
    const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('{}', { status }) });
    try {
      const call = createTestProvider().listModels(toCallOptions(`http://127.0.0.1:${server.port}/v1`));
      expect((await catchProviderError(call)).status).toBe(status);
    } finally {
      await server.stop(true);
    }
  });
});
