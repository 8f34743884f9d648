import { describe, expect, test } from 'bun:test';
import { createOperationScopes } from '../../src/access/operation-scopes.ts';
import { toServedOperations } from '../../src/schemas/openapi-document.ts';

const scopes = createOperationScopes();

describe('every operation needs', () => {
  const table = [...toServedOperations()].map(([id, { method, path }]) => {
    const route = `/v1${path.replace('/models/{model}', '/models/*').replaceAll(/\{(\w+)\}/g, ':$1')}`;
    return [id, scopes.find(method, route)] as const;
  });
  const named = (scope: string): string[] => table.filter(([, one]) => one === scope).map(([id]) => id);

  test('the scope run where a model is asked', () => {
    expect(named('run').sort()).toEqual([
      'cancelRun',
      'createChatCompletion',
      'createEmbedding',
      'createRun',
      'createThreadAndRun',
      'searchVectorStore',
      'submitToolOuputsToRun',
    ]);
  });

  test('the scope read where something is read, and write for the rest: none is without', () => {
    for (const [id, { method }] of toServedOperations()) {
      if (named('run').includes(id)) continue;
      expect([id, named(method === 'GET' ? 'read' : 'write').includes(id)]).toEqual([id, true]);
    }
    expect(named('admin')).toEqual([]);
  });
});

test('what is handed through to a model’s provider needs the scope run, whatever it is', () => {
  for (const [method, route] of [
    ['POST', '/v1/moderations'],
    ['POST', '/v1/completions'],
    ['GET', '/v1/batches'],
    ['DELETE', '/v1/fine_tuning/*'],
    ['POST', '/v1/images/*'],
  ] as const) {
    expect([route, scopes.find(method, route)]).toEqual([route, 'run']);
  }
});

test('a route that nobody gave a scope is found, and needs everything', () => {
  const routes = [
    { method: 'GET', path: '/v1/assistants' },
    { method: 'HEAD', path: '/v1/assistants' },
    { method: 'ALL', path: '/v1/files/:file_id/content' },
    { method: 'OPTIONS', path: '/v1/*' },
    { method: 'GET', path: '/v1/health' },
    { method: 'GET', path: '/metrics' },
  ];
  expect(scopes.findForgotten(routes)).toEqual([]);
  const forgotten = [
    { method: 'GET', path: '/v1/secrets' },
    { method: 'DELETE', path: '/v1/threads/:thread_id/messages' },
  ];
  expect(scopes.findForgotten([...routes, ...forgotten])).toEqual([
    'GET /v1/secrets',
    'DELETE /v1/threads/:thread_id/messages',
  ]);
  expect(scopes.find('GET', '/v1/secrets')).toBe('admin');
});

test('the answer to HEAD is that to GET; a method that a route does not have is refused to whoever asks', () => {
  expect(scopes.find('HEAD', '/v1/files/:file_id/content')).toBe('read');
  expect(scopes.find('PUT', '/v1/files/:file_id/content')).toBe('read');
});
