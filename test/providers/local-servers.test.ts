import { afterEach, describe, expect, test } from 'bun:test';
import { DETECTION_MS, findLocalServers } from '../../src/providers/routing/local-servers.ts';

type Routes = Readonly<Record<string, Response | (() => Response | Promise<Response>)>>;
const servers: { stop(closeActive: boolean): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop(true)));
});

/** A server with these answers, 404 for the rest; its port. */
function startFake(
  routes: Routes,
  rest: () => Response = () => new Response('not found', { status: 404 }),
): number {
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request): Promise<Response> {
      const route = routes[new URL(request.url).pathname];
      if (route === undefined) return rest();
      // A body serves once; the types know clone() by another Response than ours.
      return typeof route === 'function' ? await route() : new Response(route.clone().body, route);
    },
  });
  servers.push(server);
  return server.port ?? 0;
}

function toModelList(ownedBy: string, ...ids: string[]): Response {
  return Response.json({
    object: 'list',
    data: ids.map((id) => ({ id, object: 'model', created: 1_700_000_000, owned_by: ownedBy })),
  });
}

const OLLAMA: Routes = {
  '/': new Response('Ollama is running'),
  '/api/version': Response.json({ version: '0.12.3' }),
  '/v1/models': toModelList('library', 'llama3.2:latest'),
};
const LM_STUDIO: Routes = {
  '/v1/models': toModelList('organization_owner', 'qwen2.5-7b-instruct'),
  '/api/v0/models': Response.json({
    object: 'list',
    data: [
      { id: 'qwen2.5-7b-instruct', object: 'model', type: 'llm', publisher: 'x', compatibility_type: 'gguf' },
    ],
  }),
};
const LLAMA_CPP: Routes = {
  '/v1/models': () => {
    const response = Response.json({
      models: [{ name: 'model.gguf', model: 'model.gguf' }],
      object: 'list',
      data: [{ id: 'model.gguf', object: 'model', created: 1, owned_by: 'llamacpp', meta: {} }],
    });
    response.headers.set('server', 'llama.cpp');
    return response;
  },
  '/props': Response.json({ default_generation_settings: {}, total_slots: 1 }),
};
const VLLM: Routes = {
  '/v1/models': toModelList('vllm', 'meta-llama/Llama-3.1-8B'),
  '/version': Response.json({ version: '0.10.1' }),
};

function find(...ports: number[]) {
  return findLocalServers({ fetch, ports, timeoutMs: 2_000 });
}

describe('servers on this machine', () => {
  test.each([
    ['ollama', OLLAMA, 'llama3.2:latest'],
    ['lm_studio', LM_STUDIO, 'qwen2.5-7b-instruct'],
    ['llama_cpp', LLAMA_CPP, 'model.gguf'],
    ['vllm', VLLM, 'meta-llama/Llama-3.1-8B'],
  ] as const)('%s is known by its answers, on whatever port', async (kind, routes, model) => {
    const port = startFake(routes);
    const [server] = await find(port);
    expect(server).toMatchObject({ kind, baseUrl: `http://127.0.0.1:${port}/v1` });
    expect(server?.models.map(({ id }) => id)).toEqual([model]);
  });

  test.each([
    [
      'ollama without a model',
      'ollama',
      { ...OLLAMA, '/v1/models': Response.json({ object: 'list', data: null }) },
    ],
    [
      'ollama behind a proxy that hides its root',
      'ollama',
      { ...OLLAMA, '/': new Response('', { status: 404 }) },
    ],
    ['llama.cpp without its header', 'llama_cpp', { '/v1/models': toModelList('llamacpp', 'm') }],
    [
      'an old llama.cpp known by its props',
      'llama_cpp',
      {
        '/v1/models': toModelList('me', 'm'),
        '/props': Response.json({ default_generation_settings: {}, total_slots: 4 }),
      },
    ],
    ['LM Studio without its own list', 'lm_studio', { '/v1/models': toModelList('organization_owner', 'm') }],
  ] as [string, string, Routes][])('%s is recognised', async (_, kind, routes) => {
    expect((await find(startFake(routes)))[0]?.kind).toBe(kind as never);
  });

  test('LM Studio without a model is known by how it refuses a path', async () => {
    const port = startFake({ '/v1/models': Response.json({ object: 'list', data: [] }) }, () =>
      Response.json({ error: 'Unexpected endpoint or method. (GET /)' }),
    );
    expect((await find(port))[0]?.kind).toBe('lm_studio');
  });

  test('all four are found at once, in the order of the ports', async () => {
    const ports = [VLLM, OLLAMA, LLAMA_CPP, LM_STUDIO].map((routes) => startFake(routes));
    expect((await find(...ports)).map(({ kind }) => kind)).toEqual([
      'vllm',
      'ollama',
      'llama_cpp',
      'lm_studio',
    ]);
  });

  test.each([
    ['a web server', { '/': new Response('<html>Tomcat</html>') }],
    ['a server that answers everything with its page', { '/v1/models': new Response('<html>app</html>') }],
    ['a server with other JSON', { '/v1/models': Response.json({ hello: 'world' }) }],
    ['a server that wants a key', { '/v1/models': new Response('{}', { status: 401 }) }],
    ['a list of models of nobody known', { '/v1/models': toModelList('openai', 'gpt-4o') }],
    ['a redirect', { '/v1/models': new Response(null, { status: 302, headers: { location: '/login' } }) }],
    ['vLLM’s models on what is not vLLM', { '/v1/models': toModelList('vllm', 'm') }],
  ] as [string, Routes][])('%s is not taken for a model’s server', async (_, routes) => {
    expect(await find(startFake(routes))).toEqual([]);
  });

  test('never one of ours, even when it passes on the models of Ollama', async () => {
    const withHeader = (response: Response): Response => {
      response.headers.set('x-understudy-version', '0.1.0');
      return response;
    };
    const port = startFake({
      '/': () => withHeader(new Response('Ollama is running')),
      '/v1/models': () => withHeader(toModelList('library', 'llama3.2')),
      '/api/version': () => withHeader(Response.json({ version: '1' })),
    });
    expect(await find(port)).toEqual([]);
  });

  test('nobody at a port, and no HTTP at another, are no error', async () => {
    const closed = startFake({});
    await servers.pop()?.stop(true);
    const raw = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { data: (socket) => void socket.end('garbage\r\n') },
    });
    try {
      expect(await find(closed, raw.port)).toEqual([]);
    } finally {
      raw.stop(true);
    }
  });

  test('a server that does not answer costs no more than the bound, and hides no other', async () => {
    const silent = startFake({ '/v1/models': () => new Promise<Response>(() => {}) });
    const slowBody = startFake({
      '/v1/models': () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })),
    });
    const ollama = startFake(OLLAMA);
    const startedMs = performance.now();
    const found = await findLocalServers({ fetch, ports: [silent, slowBody, ollama], timeoutMs: 800 });
    expect(performance.now() - startedMs).toBeLessThan(3_000);
    expect(DETECTION_MS).toBeLessThanOrEqual(300);
    expect(found.map(({ kind }) => kind)).toEqual(['ollama']);
  });

  test('an endless list is not read to its end', async () => {
    const port = startFake({
      '/v1/models': () =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              controller.enqueue(new Uint8Array(256 * 1024));
              await Bun.sleep(0);
            },
          }),
        ),
    });
    expect(await find(port)).toEqual([]);
  });

  test('a proxy of the environment is not asked for this machine', async () => {
    const before = process.env.HTTP_PROXY;
    process.env.HTTP_PROXY = 'http://127.0.0.1:9';
    try {
      expect((await find(startFake(OLLAMA)))[0]?.kind).toBe('ollama');
    } finally {
      if (before === undefined) delete process.env.HTTP_PROXY;
      else process.env.HTTP_PROXY = before;
    }
  });
});
