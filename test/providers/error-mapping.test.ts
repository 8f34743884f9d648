import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { redactKeys, toRetryAfterMs } from '../../src/providers/openai/error-mapping.ts';
import {
  catchProviderError,
  collectEvents,
  createTestProvider,
  toCallOptions,
  toChatRequest,
} from '../support/provider-calls.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { answer, chunk, fail } from '../support/upstream-steps.ts';

let upstream: ScriptedUpstream;
beforeAll(async () => {
  upstream = await startScriptedUpstream();
});
afterAll(() => upstream.close());

const provider = createTestProvider({ retryPolicy: { attemptsMax: 1 } });

async function failWith(
  name: string,
  status: number,
  body: string,
  type = 'application/json',
  apiKey?: string,
) {
  const model = upstream.script(name, [answer(status, body, { 'content-type': type })]);
  const call = provider.relay('chat/completions', toChatRequest(model) as never, {
    ...toCallOptions(upstream.url, { apiKey: apiKey ?? null }),
  });
  return await catchProviderError(call);
}

describe('errors of an upstream', () => {
  test('keep OpenAI’s message, type, param and code', async () => {
    const model = upstream.script('openai error', [
      fail(400, {
        message: 'Too long',
        type: 'invalid_request_error',
        param: 'messages',
        code: 'context_length_exceeded',
      }),
    ]);
    const { error } = await collectEvents(provider.chat(toChatRequest(model), toCallOptions(upstream.url)));
    expect(error).toMatchObject({
      kind: 'invalid_request',
      status: 400,
      message: 'Too long',
      type: 'invalid_request_error',
      param: 'messages',
      code: 'context_length_exceeded',
      isRetryable: false,
    });
  });

  test.each([
    [401, '{"error":{"message":"bad key","code":"invalid_api_key"}}', 'authentication'],
    [
      400,
      '{"error":{"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}',
      'authentication',
    ],
    [403, '{"error":{"message":"no"}}', 'authentication'],
    [402, '{"error":{"message":"pay"}}', 'insufficient_quota'],
    [429, '{"error":{"message":"x","type":"insufficient_quota"}}', 'insufficient_quota'],
    [429, '{"error":{"message":"x"}}', 'rate_limit'],
    [400, '{"error":{"message":"x","code":"rate_limit_exceeded"}}', 'rate_limit'],
    [404, '{"error":{"message":"The model `x` does not exist","code":"model_not_found"}}', 'model_not_found'],
    [
      404,
      '{"error":{"message":"model \\"x\\" not found, try pulling it first","type":"not_found_error"}}',
      'model_not_found',
    ],
    [404, '404 page not found', 'invalid_request'],
    [400, '{"error":{"message":"x","code":"content_filter"}}', 'content_filter'],
    [400, '{"error":{"message":"x","code":"context_length_exceeded"}}', 'invalid_request'],
    [408, '{}', 'timeout'],
    [504, '{}', 'timeout'],
    [500, '{}', 'server'],
    [529, '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', 'server'],
  ] as const)('status %p with %p is of kind %p', async (status, body, kind) => {
    expect((await failWith(`kind ${status} ${body}`, status, body)).kind).toBe(kind);
  });

  test.each([
    ['{"error":{"message":"from error.message"}}', 'from error.message'],
    ['{"error":"from error"}', 'from error'],
    ['{"message":"from message"}', 'from message'],
    ['{"detail":"from detail"}', 'from detail'],
    ['{"detail":[{"loc":["body"],"msg":"from detail list"}]}', 'from detail list'],
    ['[{"error":{"message":"from a list","code":500}}]', 'from a list'],
    ['{"object":"error","message":"from vLLM","code":500}', 'from vLLM'],
    ['{"code":"x","error":"from xAI"}', 'from xAI'],
    ['plain text of a proxy\nwith more', 'plain text of a proxy'],
    ['{}', "The model's server answered HTTP 500."],
    ['', "The model's server answered HTTP 500."],
    ['{"broken', "The model's server answered HTTP 500."],
    ['{"error":{"message":"line\\nbreak\\u0000"}}', 'line break'],
  ])('the message of %p is %p', async (body, message) => {
    expect((await failWith(`message ${body}`, 500, body)).message).toBe(message);
  });

  test('a missing base path is told apart from a missing model', async () => {
    const error = await failWith('no path', 404, '<html>404</html>', 'text/html');
    expect(error.message).toContain('/v1');
  });

  test.each([
    ['<html><head><title>502 Bad Gateway</title></head></html>', 'text/html'],
    ['<!DOCTYPE html>\n<p>Gateway</p>', 'text/plain'],
    ['{"error":{"message":"<html><body>Bad Gateway</body></html>"}}', 'application/json'],
    ['Error: <div class="x">Bad Gateway</div>', 'text/plain'],
  ])('HTML never gets into a message: %p', async (body, type) => {
    const error = await failWith(`html ${body}`, 502, body, type);
    expect(error.message).toBe("The model's server answered HTTP 502.");
  });

  test('a long message is cut', async () => {
    const error = await failWith('long', 400, JSON.stringify({ error: { message: 'm'.repeat(50_000) } }));
    expect(error.message.length).toBe(1000);
  });

  test('an endless error body is not read to its end', async () => {
    const endless = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              controller.enqueue(new Uint8Array(64 * 1024));
              await Bun.sleep(0);
            },
          }),
          { status: 500 },
        ),
    });
    try {
      const call = provider.relay('embeddings', {}, toCallOptions(`http://127.0.0.1:${endless.port}`));
      expect((await catchProviderError(call)).status).toBe(500);
    } finally {
      await endless.stop(true);
    }
  });
});

describe('keys', () => {
  const apiKey = 'my-private-key-0123456789';

  test.each([
    ['the key itself', `Incorrect API key provided: ${apiKey}.`],
    ['the key in a header', `Header Authorization: Bearer ${apiKey} was refused`],
    ['another key of OpenAI’s form', 'Incorrect API key provided: sk-proj-abcdefghijklmnop.'],
    ['a key that is masked in part', 'Incorrect API key provided: my-priv*********6789.'],
    ['a masked key of OpenAI’s form', 'Incorrect API key provided: sk-1234***************6789.'],
  ])('%s in an answer gets into no part of the error', async (name, message) => {
    const body = JSON.stringify({ error: { message, code: message, type: message, param: message } });
    const error = await failWith(`key ${name}`, 401, body, 'application/json', apiKey);
    const shown = [
      error.message,
      error.code,
      error.type,
      error.param,
      String(error),
      JSON.stringify(error),
    ].join(' ');
    expect(shown).toContain('[redacted]');
    for (const secret of [apiKey, 'sk-proj', 'my-priv', '6789', 'abcdefgh'])
      expect(shown).not.toContain(secret);
  });

  test('a key inside a stream’s error gets into no error', async () => {
    const model = upstream.script('key inline', [chunk({ error: { message: `bad key ${apiKey}` } })]);
    const { error } = await collectEvents(
      provider.chat(toChatRequest(model), toCallOptions(upstream.url, { apiKey })),
    );
    expect(error).toMatchObject({ message: 'bad key [redacted]' });
  });

  test('a key that a message is cut in is taken out before', async () => {
    const message = `${'m'.repeat(995)} ${apiKey}`;
    const error = await failWith(
      'key cut',
      400,
      JSON.stringify({ error: { message } }),
      'application/json',
      apiKey,
    );
    expect(error.message).not.toContain('my-p');
  });

  test.each(['key\nwith-line-end', 'key with spaces', 'kéy', '\u0000'])(
    'a key that no header can hold (%p) is refused without being shown',
    async (odd) => {
      const call = provider.listModels(toCallOptions(upstream.url, { apiKey: odd }));
      const error = await catchProviderError(call);
      expect(error.kind).toBe('authentication');
      expect(`${error.message} ${error.cause}`).not.toContain(odd);
    },
  );

  test('a short key is only taken out where it stands alone', () => {
    expect(redactKeys('the key abc of abcdef, abc.', 'abc')).toBe(
      'the key [redacted] of abcdef, [redacted].',
    );
    expect(redactKeys('nothing here', '')).toBe('nothing here');
    expect(redactKeys('a task-force is no key', null)).toBe('a task-force is no key');
  });
});

describe('retry-after', () => {
  const nowMs = Date.parse('2026-01-01T00:00:00Z');
  test.each([
    [{ 'retry-after': '2' }, 2000],
    [{ 'retry-after': '0.5' }, 500],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:10 GMT' }, 10_000],
    [{ 'retry-after': 'Wed, 31 Dec 2025 00:00:00 GMT' }, 0],
    [{ 'retry-after-ms': '150' }, 150],
    [{ 'retry-after': 'soon' }, null],
    [{ 'retry-after': '-5' }, null],
    [{}, null],
  ] as const)('%p is %p ms', (headers, expected) => {
    expect(toRetryAfterMs(new Headers(headers as Record<string, string>), nowMs)).toBe(expected);
  });
});
